//! The client of a schema registry elsewhere: Confluent's, or one that speaks its REST API.
//!
//! It stands in the place of the registry that is built in ([`formats::SchemaRegistry`]). A schema never changes, so
//! what has an id, and what is a version of a subject, is asked for once; what is the latest is asked for each time.
//! Decoders meet ids in the middle of a batch and wait for the answer, so a request has a time limit, few repetitions,
//! and an id that is not there is not asked for again at once.
//!
//! Invariant: knows no queries and no log.

mod bodies;
mod cache;
mod client;
mod settings;
mod transport;

pub use client::Client;
pub use settings::{Settings, SettingsError};
