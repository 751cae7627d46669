//! Tree + catalog → bound plan: names, types, keys, formats and coercions resolved; pure, no async.
//!
//! Invariant: knows no tasks and no wires; changes nothing: what a statement would do comes back as a value.

pub mod ddl;
pub mod expr;
pub mod insert;
mod keys;
pub mod naming;
pub mod plan;
pub mod properties;
pub mod pull;
pub mod query;
mod visit;

#[cfg(test)]
mod testing;
