//! The operators of the dialect: arithmetic, casts, comparison, LIKE, `a[i]`, `s->f`, and the types that they agree on.

mod arithmetic;
mod cast;
mod coercion;
mod comparison;
mod like;
mod literal;
mod subscript;
mod text;
mod value;

pub use arithmetic::{Arithmetic, bind_arithmetic, bind_negate};
pub use cast::bind_cast;
pub use coercion::{common_type, implicitly_castable, numeric_common_type};
pub use comparison::{Comparison, bind_comparison};
pub use like::bind_like;
pub use literal::{literal_boolean, literal_type};
pub use subscript::{bind_field, bind_subscript};
pub use text::value_to_string;
pub use value::{compare_values, values_equal};
