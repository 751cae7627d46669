//! Kafka's wire protocol in front of the embedded log, so that every Kafka client works on it.
//!
//! The log stores Kafka's own record batches: a produce request's are checked and appended as they came, a fetch copies
//! bytes. There is one broker, the leader of every partition and coordinator of every group and transaction. What it
//! has to remember (committed offsets, transactions, producer ids) is in topics of the same log, so that ending a
//! transaction is one commit of the log, whole or not at all.
//!
//! Invariant: knows records as bytes; no SQL and no columns.

mod api;
mod auth;
mod broker;
mod call;
mod connection;
mod error;
mod group;
mod listener;
mod settings;
mod store;
mod txn;
mod wire;

pub use auth::{Names, Operation, ResourceKind, Rule, TlsError, TlsFiles, User};
pub use broker::{Broker, is_internal_topic};
pub use listener::{listen, serve};
pub use settings::Settings;
