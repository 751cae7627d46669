//! Table functions, one file each.

use crate::TableFunction;

/// All of them, by name.
pub static TABLES: &[&dyn TableFunction] = &[];

/// The table function of that name, in any case.
pub fn lookup(name: &str) -> Option<&'static dyn TableFunction> {
    TABLES.iter().copied().find(|f| f.doc().name.eq_ignore_ascii_case(name))
}
