//! Functions on maps.

pub mod as_map;
pub mod entries;
pub mod map_keys;
pub mod map_union;
pub mod map_values;

pub(crate) mod keys;

use crate::ScalarFunction;

/// All of them, by name.
pub(super) static FUNCTIONS: &[&dyn ScalarFunction] =
    &[&as_map::FUNCTION, &entries::FUNCTION, &map_keys::FUNCTION, &map_union::FUNCTION, &map_values::FUNCTION];
