//! The schema registry that is built in: subjects with versions, compatibility between them, ids that are the same in
//! all subjects; kept in a topic of the log.
//!
//! It answers the engine (through [`formats::SchemaRegistry`]) and, behind HTTP, the serializers of other Kafka
//! clients, so its rules and error codes are those of Confluent's registry, version 7.
//!
//! Invariant: knows no HTTP and no query; a change is durable before anybody sees it.

mod change;
mod entry;
mod error;
mod level;
mod registry;
mod state;

pub use change::{Addition, Change, ChangeAnswer, Leader};
pub use error::RegistryError;
pub use level::{Level, Mode};
pub use registry::Registry;
pub use state::SubjectVersion;

/// Which version of a subject is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Version {
    /// The newest.
    Latest,
    /// That number, from 1.
    Number(i32),
}

/// Subjects and versions that are deleted, but can be brought back: are they meant too?
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Deleted {
    /// Only what is there.
    Without,
    /// Those too.
    With,
}
