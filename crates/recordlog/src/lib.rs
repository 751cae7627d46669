//! A partitioned, offset-addressed log of record batches: the trait that the engine runs on, and the embedded,
//! durable implementation.
//!
//! Invariant: knows no columns and no SQL. Bytes come in as Kafka record batches (v2) and are stored as they came.

pub mod batch;
pub mod embedded;
pub mod partitioner;
mod replay;
pub mod settings;

use std::{collections::BTreeMap, fmt, sync::Arc};

use async_trait::async_trait;
use bytes::Bytes;
use tokio::sync::{oneshot, watch};

pub use self::replay::{Replayed, replay, replay_piece};

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
    /// A batch handed in for appending is larger than its topic allows.
    #[error("record batch refused: {bytes} bytes, {topic} takes {bytes_max} (max.message.bytes)")]
    BatchTooLarge {
        /// Which topic.
        topic: String,
        /// The batch's size.
        bytes: usize,
        /// What the topic takes.
        bytes_max: usize,
    },
    /// A record without a key for a topic that is compacted.
    #[error("record batch refused: {0} is compacted, so its records need a key")]
    KeyMissing(String),
    /// A batch that its producer may not append now.
    #[error("producer {producer_id} cannot append to {partition}: {error}")]
    Producer {
        /// Which partition.
        partition: TopicPartition,
        /// Which producer.
        producer_id: i64,
        /// Why.
        error: ProducerError,
    },
    /// The disk said no; nothing was acknowledged. Comes back when mended.
    #[error("{what}: {error}")]
    Io {
        /// Operation and path.
        what: String,
        /// The operating system's words.
        error: String,
    },
    /// Another one has become the writer of that name (see [`RecordLog::take_over`]); what this one hands in is lost.
    #[error("writer {0} was taken over by another process")]
    Fenced(String),
    /// The machines that hold the log cannot be reached, or do not answer in time. Comes back when they do.
    #[error("the log is unavailable: {0}")]
    Unavailable(String),
    /// The log is shutting down.
    #[error("the log is closed")]
    Closed,
}

/// Why a producer with an id cannot append a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ProducerError {
    /// Another producer took its place.
    #[error("its epoch {epoch} was replaced by {current}")]
    Fenced {
        /// The batch's epoch.
        epoch: i16,
        /// The latest.
        current: i16,
    },
    /// A batch before it is missing.
    #[error("sequence number {sequence} does not follow, {expected} would")]
    OutOfOrder {
        /// The batch's first.
        sequence: i32,
        /// What would be next.
        expected: i32,
    },
    /// A batch outside of a transaction while its producer has one open.
    #[error("it has a transaction open and the batch is not part of one")]
    InTransaction,
}

/// Result with [`LogError`].
pub type Result<T, E = LogError> = std::result::Result<T, E>;

/// A topic's settings, by Kafka's names (`retention.ms`, `retention.bytes`, `cleanup.policy`, `max.message.bytes`,
/// `segment.bytes`, `segment.ms`, `message.timestamp.type`, `delete.retention.ms`, `min.compaction.lag.ms`, …).
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct TopicConfig {
    /// How many partitions; at least 1.
    pub partitions: u32,
    /// Replicas; 0 to create a topic with: as many as the log makes by itself. One machine holds one.
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
    /// What.
    pub batches: Batches,
}

/// One or more whole v2 batches, base offsets counted from 0; the log overwrites base offset and leader epoch (which the
/// checksum does not cover).
#[derive(Debug, Clone)]
pub enum Batches {
    /// As somebody sent them: the log checks them through and through.
    Received(Bytes),
    /// One that this process has built.
    Built(batch::BuiltBatch),
}

impl From<Bytes> for Batches {
    fn from(bytes: Bytes) -> Batches {
        Batches::Received(bytes)
    }
}

impl From<batch::BuiltBatch> for Batches {
    fn from(batch: batch::BuiltBatch) -> Batches {
        Batches::Built(batch)
    }
}

/// Appends that become durable and visible together, or not at all: an epoch's outputs, changelogs and offsets, or
/// one producer's request. Runs of appends to one partition keep their order.
#[derive(Debug, Clone, Default)]
pub struct Commit {
    /// The appends, numbered by arrival in this order.
    pub appends: Vec<Append>,
    /// Who writes, by a name that one process has at a time (see [`RecordLog::take_over`]). Commits of one writer become
    /// visible in the order in which they were queued. `None`: nobody in particular; such commits of one process to one
    /// partition keep their order.
    pub writer: Option<Arc<str>>,
}

impl Commit {
    /// By nobody in particular.
    pub fn of(appends: Vec<Append>) -> Commit {
        Commit { appends, writer: None }
    }
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
    /// of the record at `base_offset + i` is `arrival + i`. Survives restarts. 0 where the log does not number (see
    /// [`RecordLog::arrival_end`]).
    pub arrival: u64,
    /// The batch, v2, checksum verified, base offset set.
    pub bytes: Bytes,
}

/// Which records a reader wants.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Isolation {
    /// All that are durable.
    Uncommitted,
    /// Those before the first open transaction; the reader is told which of them belong to aborted ones.
    Committed,
}

/// The ends of a partition, open transactions told apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ends {
    /// First offset held.
    pub start: Offset,
    /// One past the last record before the first open transaction: [`Offsets::end`].
    pub stable: Offset,
    /// One past the last record.
    pub end: Offset,
}

/// A transaction that was aborted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AbortedTransaction {
    /// Whose.
    pub producer_id: i64,
    /// Its first record.
    pub first_offset: Offset,
    /// The mark that ended it.
    pub last_offset: Offset,
}

/// Batches as they are stored, marks and records of aborted transactions among them.
#[derive(Debug, Clone)]
pub struct Fetched {
    /// The ends when it was read.
    pub ends: Ends,
    /// Whole batches, as [`RecordLog::read`] gives them.
    pub batches: Vec<StoredBatch>,
    /// Aborted transactions with records in the batches; only with [`Isolation::Committed`].
    pub aborted: Vec<AbortedTransaction>,
}

/// A record's place and time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RecordPlace {
    /// Its offset.
    pub offset: Offset,
    /// Its timestamp, ms since 1970.
    pub time_ms: i64,
}

/// A producer with an id, as a partition knows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ActiveProducer {
    /// Its id.
    pub producer_id: i64,
    /// Its epoch.
    pub epoch: i16,
    /// Sequence number of its last record, -1 if that is not known.
    pub last_sequence: i32,
    /// When it last appended, ms since 1970.
    pub last_time_ms: i64,
    /// First offset of its open transaction.
    pub open_since: Option<Offset>,
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
    /// The topic of that name; `None`: there is none.
    ///
    /// # Errors
    /// Whether there is could not be asked.
    fn topic(&self, name: &str) -> Result<Option<Topic>>;
    /// All topics, by name.
    fn topics(&self) -> Vec<Topic>;
    /// Become the writer of that name: what another process of that name left open is ended, and what it hands in from
    /// now on fails. What [`RecordLog::offsets`] and [`RecordLog::read`] say afterwards is at least as new: one reads then
    /// where that writer stopped. A log that one process has to itself has nothing to do.
    async fn take_over(&self, writer: &str) -> Result<()>;
    /// Nothing more comes from this process by that name unless it takes it over again: what is kept for it may go.
    fn release(&self, _writer: &str) {}
    /// Wait until all that was committed to a partition before can be read: on some logs what one writer has open hides
    /// what others have committed behind it. On others there is nothing to wait for.
    async fn settle(&self, _partition: &TopicPartition) -> Result<()> {
        Ok(())
    }
    /// Queue a commit. Returns at once. On the embedded log commits become visible in the order in which they were
    /// queued, on others those of one writer do.
    fn commit(&self, commit: Commit) -> CommitTicket;
    /// The ends of a partition.
    fn offsets(&self, partition: &TopicPartition) -> Result<Offsets>;
    /// Every record with a smaller arrival number can be read now: what a reader of several partitions may go up to
    /// without missing, in one of them, what came before that in another. `None`: this log does not number records over
    /// its partitions; a reader of several puts them in order itself.
    fn arrival_end(&self) -> Option<u64>;
    /// Whole committed batches from the one that holds `from` on, about `bytes_max` bytes but at least one batch;
    /// empty at the end. The first batch may begin before `from`, on a log where a record is always in the same batch. Records of aborted transactions are left out: their
    /// batch stands there without any, so that offsets go on, or their offsets are left out, also at the end. May wait,
    /// for a while, for what is there to come.
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
