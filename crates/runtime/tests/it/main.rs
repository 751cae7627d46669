//! Queries from outside: plans in, records out. One binary: it is linked once.

#![allow(clippy::unwrap_used, missing_docs)]

mod beginnings;
mod standby;
mod support;
mod tasks;
