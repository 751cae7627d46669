//! The server as users run it: a process that is started, killed, stopped, started twice.

#![allow(clippy::unwrap_used, missing_docs)]

mod clients;
mod kill;
mod lifecycle;
mod load;
mod process;
mod queries;
mod topics;
