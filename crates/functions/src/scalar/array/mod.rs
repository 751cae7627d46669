//! Functions on arrays.

pub mod array_concat;
pub mod array_contains;
pub mod array_distinct;
pub mod array_except;
pub mod array_intersect;
pub mod array_join;
pub mod array_length;
pub mod array_max;
pub mod array_min;
pub mod array_remove;
pub mod array_sort;
pub mod array_union;
pub mod generate_series;
pub mod slice;

mod extreme;
pub(crate) mod lists;
mod sets;

use types::{Error, Result, SqlType};

use crate::{ScalarFunction, overload::Resolved};

/// All of them, by name.
pub(super) static FUNCTIONS: &[&dyn ScalarFunction] = &[
    &array_concat::FUNCTION,
    &array_contains::FUNCTION,
    &array_distinct::FUNCTION,
    &array_except::FUNCTION,
    &array_intersect::FUNCTION,
    &array_join::FUNCTION,
    &array_length::FUNCTION,
    &array_max::FUNCTION,
    &array_min::FUNCTION,
    &array_remove::FUNCTION,
    &array_sort::FUNCTION,
    &array_union::FUNCTION,
    &generate_series::FUNCTION,
    &slice::FUNCTION,
];

/// The type of the first argument's elements.
fn element_type(resolved: &Resolved) -> Result<SqlType> {
    match resolved.value(0) {
        SqlType::Array(element) => Ok(*element),
        other => Err(Error::internal(format!("an ARRAY is wanted, not {other}"))),
    }
}
