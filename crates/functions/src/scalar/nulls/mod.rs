//! Functions about NULL.

pub mod coalesce;
pub mod ifnull;
pub mod nullif;

use crate::ScalarFunction;

/// All of them, by name.
pub(super) static FUNCTIONS: &[&dyn ScalarFunction] = &[&coalesce::FUNCTION, &ifnull::FUNCTION, &nullif::FUNCTION];
