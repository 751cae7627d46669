//! The listener over real sockets, asked by a client that speaks every version of every API.

#![allow(clippy::unwrap_used, missing_docs)]

mod login;
mod support;

mod apis;
mod auth;
mod consumer_groups;
mod groups;
mod hostile;
mod many;
mod migration;
mod records;
mod security;
mod topics;
mod transactions;
