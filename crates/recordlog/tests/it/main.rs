//! The log from outside, over crashes. One binary: it is linked once.

#![allow(clippy::unwrap_used, missing_docs)]

mod compaction;
mod crash;
mod embedded;
mod fuzz;
mod model;
mod support;
mod transactions;
