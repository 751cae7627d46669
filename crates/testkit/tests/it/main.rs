//! The runner on its own cases and on those of ksqlDB. One binary: it is linked once.

#![allow(clippy::unwrap_used, missing_docs)]

mod conformance;
mod differences;
mod mutation;
mod sql;
mod support;
