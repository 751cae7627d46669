//! Table functions, one file each, and the list of them.
//!
//! Several of them in one SELECT run side by side, the shorter filled with NULLs: that is the planner's business.

mod cube_explode;
mod explode;
#[cfg(test)]
mod tests;

pub use cube_explode::CUBE_ELEMENTS_MAX;

use crate::TableFunction;

/// All of them, by name.
pub static TABLES: &[&dyn TableFunction] = &[&cube_explode::CubeExplode, &explode::Explode];

/// The table function of that name or alias, in any case.
pub fn lookup(name: &str) -> Option<&'static dyn TableFunction> {
    let named = |f: &&'static dyn TableFunction| {
        let doc = f.doc();
        doc.name.eq_ignore_ascii_case(name) || doc.aliases.iter().any(|a| a.eq_ignore_ascii_case(name))
    };
    TABLES.iter().copied().find(named)
}
