//! The server as users run it: a process that is started, killed, stopped, started twice.

mod clients;
mod cluster;
mod kill;
mod lifecycle;
mod load;
pub mod process;
mod queries;
mod topics;
