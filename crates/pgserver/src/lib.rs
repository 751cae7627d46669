//! PostgreSQL's wire protocol in front of the engine: psql, drivers and BI tools connect as to a PostgreSQL server.
//!
//! A connection is one task. It reads a message, runs what it says and writes into one bounded buffer; when the
//! buffer is full or a query has to wait for rows, the task waits for the socket, so a slow client holds back its own
//! query and nobody else's. A query that never ends is a row stream like any other: what has arrived is sent before
//! waiting for more.
//!
//! Invariant: knows the engine by its sessions alone ([`Backend`]); what belongs to the wire (portals, cursors,
//! transactions' status, COPY's formats, session variables, pg_catalog) is here.

mod backend;
mod cancel;
mod connection;
mod copy;
mod listener;
mod peer;
mod pg_catalog;
mod protocol;
mod settings;
mod statement;
mod topics;
mod values;
mod variables;

pub use backend::{Backend, CopyRows, Session};
pub use listener::{listen, serve};
pub use settings::Settings;
