//! The engine from outside: statements in, rows out, over crashes and faults. One binary: it is linked once.

#![allow(clippy::unwrap_used, missing_docs)]

mod basics;
mod beginnings;
mod faults;
mod fuzz;
mod invariance;
mod oracle;
mod support;
mod tiers;
