//! The server over a real connection. One binary: it is linked once.

#![allow(clippy::unwrap_used, missing_docs)]

mod common;
mod copy;
mod engine;
mod fuzz;
mod pg_catalog;
mod protocol;
mod topics;
mod values;
