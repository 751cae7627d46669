//! A partitioned, offset-addressed log of record batches: the trait that the engine runs on, and the embedded,
//! durable implementation.
//!
//! Invariant: knows no columns and no SQL. Bytes come in as Kafka record batches (v2) and are stored as they came.

pub mod batch;
pub mod embedded;
pub mod partitioner;
pub mod settings;

use std::{collections::BTreeMap, fmt, sync::Arc};

use async_trait::async_trait;
use bytes::Bytes;
use tokio::sync::{oneshot, watch};

/// Place of a record in its partition, from 0.
pub type Offset = i64;

/// A partition of a topic.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TopicPartition {
    /// The topic's name.
    pub topic: Arc<str>,
    /// From 0.
    pub partition: u32,
}

impl TopicPartition {
    /// Partition `partition` of `topic`.
    pub fn new(topic: impl Into<Arc<str>>, partition: u32) -> TopicPartition {
        TopicPartition { topic: topic.into(), partition }
    }
}

impl fmt::Display for TopicPartition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.topic, self.partition)
    }
}

/// What can go wrong, and so what the caller can do.
#[derive(Debug, Clone, thiserror::Error)]
pub enum LogError {
    /// No such topic.
    #[error("topic {0} does not exist")]
    UnknownTopic(String),
    /// No such partition.
    #[error("partition {0} does not exist")]
    UnknownPartition(TopicPartition),
    /// The name is taken.
    #[error("topic {0} exists already")]
    TopicExists(String),
    /// A name or setting that cannot be.
    #[error("{0}")]
    Invalid(String),
    /// Before the first or after the last offset.
    #[error("offset {offset} of {partition} is out of range: it holds {start} to {end}")]
    OutOfRange {
        /// Which partition.
        partition: TopicPartition,
        /// Asked for.
        offset: Offset,
        /// First offset held.
        start: Offset,
        /// One past the last.
        end: Offset,
    },
    /// Stored or received bytes are not a sound batch.
    #[error("{partition} is damaged at offset {offset}: {what}")]
    Corrupt {
        /// Which partition.
        partition: TopicPartition,
        /// The damaged batch's first offset.
        offset: Offset,
        /// What does not fit.
        what: String,
    },
    /// A batch handed in for appending is not sound.
    #[error("record batch refused: {0}")]
    BadBatch(String),
    /// The disk said no; nothing was acknowledged. Comes back when mended.
    #[error("{what}: {error}")]
    Io {
        /// Operation and path.
        what: String,
        /// The operating system's words.
        error: String,
    },
    /// The log is shutting down.
    #[error("the log is closed")]
    Closed,
}

/// Result with [`LogError`].
pub type Result<T, E = LogError> = std::result::Result<T, E>;

/// A topic's settings, by Kafka's names (`retention.ms`, `retention.bytes`, `cleanup.policy`, `max.message.bytes`,
/// `segment.bytes`, `segment.ms`, `message.timestamp.type`, `delete.retention.ms`, `min.compaction.lag.ms`, …).
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct TopicConfig {
    /// How many partitions; at least 1.
    pub partitions: u32,
    /// Replicas, kept and shown; one machine holds one.
    pub replicas: u16,
    /// Settings that differ from the default.
    pub settings: BTreeMap<String, String>,
}

/// A topic as it is.
#[derive(Debug, Clone)]
pub struct Topic {
    /// Its name.
    pub name: Arc<str>,
    /// A number that no other topic has or had (a dropped and re-created topic gets another).
    pub id: u128,
    /// Its settings.
    pub config: TopicConfig,
}

/// The ends of a partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Offsets {
    /// First offset held.
    pub start: Offset,
    /// One past the last record that a read-committed reader may see. Everything below is durable.
    pub end: Offset,
}

/// Record batches to append to one partition.
#[derive(Debug, Clone)]
pub struct Append {
    /// Where to.
    pub partition: TopicPartition,
    /// One or more whole v2 batches, base offsets counted from 0; the log overwrites base offset and leader epoch
    /// (which the checksum does not cover).
    pub batches: Bytes,
}

/// Appends that become durable and visible together, or not at all: an epoch's outputs, changelogs and offsets, or
/// one producer's request. Runs of appends to one partition keep their order.
#[derive(Debug, Clone, Default)]
pub struct Commit {
    /// The appends, numbered by arrival in this order.
    pub appends: Vec<Append>,
}

/// Where one append landed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Appended {
    /// Offset of its first record.
    pub base_offset: Offset,
    /// Records in it.
    pub record_count: u32,
    /// Arrival number of its first record (see [`StoredBatch::arrival`]).
    pub arrival: u64,
    /// Log append time, ms since 1970 (-1 when the topic keeps the producer's time).
    pub append_time_ms: i64,
}

/// Resolves when the commit is durable and visible (one [`Appended`] an append), or failed as a whole.
pub type CommitTicket = oneshot::Receiver<Result<Vec<Appended>>>;

/// A batch as read.
#[derive(Debug, Clone)]
pub struct StoredBatch {
    /// Offset of its first record.
    pub base_offset: Offset,
    /// One past the offset of its last record.
    pub next_offset: Offset,
    /// The log numbers every record that it accepts, over all topics, in the order of acceptance: the arrival number
    /// of the record at `base_offset + i` is `arrival + i`. Survives restarts.
    pub arrival: u64,
    /// The batch, v2, checksum verified, base offset set.
    pub bytes: Bytes,
}

/// The log that the engine runs on.
#[async_trait]
pub trait RecordLog: Send + Sync + 'static {
    /// Create a topic; durable when it returns.
    async fn create_topic(&self, name: &str, config: TopicConfig) -> Result<Topic>;
    /// Delete a topic and its records.
    async fn delete_topic(&self, name: &str) -> Result<()>;
    /// Change settings (`None` removes one) or raise the number of partitions.
    async fn alter_topic(
        &self,
        name: &str,
        settings: BTreeMap<String, Option<String>>,
        partitions: Option<u32>,
    ) -> Result<Topic>;
    /// The topic of that name.
    fn topic(&self, name: &str) -> Option<Topic>;
    /// All topics, by name.
    fn topics(&self) -> Vec<Topic>;
    /// Queue a commit. Commits become visible in the order in which they were queued. Returns at once.
    fn commit(&self, commit: Commit) -> CommitTicket;
    /// The ends of a partition.
    fn offsets(&self, partition: &TopicPartition) -> Result<Offsets>;
    /// Every record with a smaller arrival number can be read now: what a reader of several partitions may go up to
    /// without missing, in one of them, what came before that in another.
    fn arrival_end(&self) -> u64;
    /// Whole committed batches from the one that holds `from` on, about `bytes_max` bytes but at least one batch;
    /// empty at the end. The first batch may begin before `from`.
    fn read(&self, partition: &TopicPartition, from: Offset, bytes_max: usize) -> Result<Vec<StoredBatch>>;
    /// The first offset whose record is at or after `time_ms`, `None` if there is none.
    fn offset_for_time(&self, partition: &TopicPartition, time_ms: i64) -> Result<Option<Offset>>;
    /// Forget the records before `before`.
    async fn delete_records(&self, partition: &TopicPartition, before: Offset) -> Result<()>;
    /// Changes whenever something was appended to any partition of the topic, or it was deleted.
    fn watch(&self, topic: &str) -> Result<watch::Receiver<u64>>;
    /// Bytes that the partition takes on disk.
    fn size_bytes(&self, partition: &TopicPartition) -> Result<u64>;
}
