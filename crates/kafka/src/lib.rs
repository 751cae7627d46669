//! The log on a Kafka cluster: what the engine keeps in topics of its own process otherwise is in topics of a cluster
//! here, so that several processes can share the work and nothing is lost with a machine.
//!
//! Reading: batches are fetched ahead from the brokers ([`broker`], [`fetch`]) in a few lanes ([`fetchers`]), a reader's
//! place in a partition is a [`cursor`]. Writing: one transactional producer ([`produce`]) and one thread a writer
//! ([`writer`]). All else is librdkafka's. What is known about topics and ends of partitions is kept and refreshed ([`topics`], [`ends`]),
//! since the engine asks for it at every step; who leads what is asked for anew where a broker is gone ([`leaders`]).
//!
//! Invariant: knows records as bytes; no SQL and no columns.

mod admin;
mod broker;
mod caretaker;
mod client;
mod commits;
mod config;
mod cursor;
mod ends;
mod errors;
mod fetch;
mod fetchers;
mod log;
mod look_again;
mod native;
mod places;
mod produce;
mod seat;
mod slots;
mod topics;
mod watchers;
mod writer;

pub use config::ClusterConfig;
pub use log::ClusterLog;
pub use seat::Seat;
pub use slots::{Holders, SlotSet, Slots};
