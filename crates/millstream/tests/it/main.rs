//! The program, its documentation and its map. One binary: it is linked once.

#![allow(clippy::unwrap_used, missing_docs)]

mod command_line;
mod docs;
mod map;
mod server;
mod support;
mod workloads;
