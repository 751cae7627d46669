//! Continuous queries at work: stages over partitions, run epoch by epoch, each epoch committed as one.
//!
//! A bound plan is lowered once into a graph of operators ([`graph`]); an epoch reads what has arrived ([`source`]),
//! runs the graph, partitions in parallel, rows changing partitions in memory ([`route`]), and ends in one commit of the
//! log: outputs ([`sink`]), changes of state, and the offsets read ([`journal`]). What was committed is what exists: a
//! query that is opened again goes on from its last commit. On a cluster a query may run in tasks, each by itself
//! ([`share`]); rows change partitions in topics then ([`repartition`]).
//!
//! Invariant: knows no SQL text and no wire.

mod arrival;
mod budget;
mod find;
mod graph;
mod headers;
mod journal;
mod names;
mod order;
mod processing_log;
mod query;
mod repartition;
mod route;
mod rows;
mod scan;
mod share;
mod shared;
mod sink;
mod source;
mod stats;

pub use budget::StateBudget;
pub use journal::{ProgressIndex, TaskProgress, record};
pub use names::{TopicNames, is_internal_topic};
pub use processing_log::processing_log_columns;
pub use query::{
    Epoch, Query, QueryOptions, StandbyTask, TableView, TierOptions, beginnings, create_topics, shares, table_of,
};
pub use scan::{Extent, TopicScan, extent};
pub use share::Share;
pub use shared::SharedSources;
pub use sink::rows_to_appends;
pub use source::{Cut, topic_of};
pub use stats::{NodeStats, QueryStats};

use types::Error;

/// A log's error, as users see it.
pub fn log_error(error: recordlog::LogError) -> Error {
    use recordlog::LogError as L;
    let text = error.to_string();
    match error {
        L::UnknownTopic(_) | L::UnknownPartition(_) => Error::undefined_source(text),
        L::TopicExists(_) => Error::exists(text),
        L::Invalid(_)
        | L::BadBatch(_)
        | L::BatchTooLarge { .. }
        | L::KeyMissing(_)
        | L::Producer { .. }
        | L::OutOfRange { .. } => Error::invalid(text),
        L::Corrupt { .. } => Error::corrupt(text),
        L::Io { .. } | L::Closed | L::Fenced(_) | L::Unavailable(_) => Error::unavailable(text),
    }
}
