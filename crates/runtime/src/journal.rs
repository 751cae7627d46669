//! What a commit remembers besides outputs: how far the query has read, stream time, and what changed in its state.
//!
//! All three are records of internal topics, written in the same commit of the log as the outputs. So on one machine
//! and on a cluster it is the log alone that decides what happened.

use std::collections::{BTreeMap, HashMap};

use bytes::Bytes;
use parking_lot::{Mutex, MutexGuard};
use recordlog::{
    Append, Offset, RecordLog, TopicPartition,
    batch::{BatchBuilder, Compression},
    replay,
};
use serde::{Deserialize, Serialize};
use types::{Error, Result};

use crate::{log_error, sink::append};

/// The topic of how far each query has read: key the query's id, value a [`Progress`] as JSON.
pub const OFFSETS_TOPIC: &str = "_millstream-offsets";

/// The topic of a query's state: key the operator's number (2 bytes, big-endian) and the entry's key.
pub fn changelog_topic(query: &str) -> String {
    format!("_millstream-{query}-changelog")
}

/// The query whose state a topic holds, if it is such a topic.
pub fn query_of_changelog(topic: &str) -> Option<&str> {
    topic.strip_prefix("_millstream-")?.strip_suffix("-changelog")
}

/// Whether a topic belongs to the engine itself.
pub fn is_internal_topic(name: &str) -> bool {
    name.starts_with("_millstream-")
}

/// How far a query has come.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Progress {
    /// Its last epoch.
    pub epoch: u64,
    /// Next offset to read, by reader (source node in the plan's order, then partition).
    pub offsets: BTreeMap<String, Offset>,
    /// Stream time by operator, ms.
    pub times: BTreeMap<usize, i64>,
    /// Ids of the topics read, as text: offsets mean nothing in another topic of the same name.
    #[serde(default)]
    pub topics: BTreeMap<String, String>,
    /// Where partitions of tables that are read first ended when the query began, by reader, until they are read so far.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub snapshots: BTreeMap<String, Offset>,
}

/// A record's bytes as a batch of its own.
pub(crate) fn one_record(key: &[u8], value: Option<&[u8]>, time_ms: i64) -> Result<Bytes> {
    let mut builder = BatchBuilder::with_capacity(key.len() + value.map_or(0, <[u8]>::len) + 64);
    let fail = |e| Error::internal(format!("record batch: {e}"));
    builder.push(Some(key), value, time_ms, &[]).map_err(fail)?;
    builder.finish(Compression::None).map_err(fail)
}

/// The append that records progress.
pub(crate) fn progress_append(query: &str, progress: &Progress, time_ms: i64) -> Result<Append> {
    let value = serde_json::to_vec(progress).map_err(|e| Error::internal(e.to_string()))?;
    Ok(append(OFFSETS_TOPIC, 0, one_record(query.as_bytes(), Some(&value), time_ms)?))
}

/// How far the queries of a log have come: read once, and from then on only what was added. Opening many queries costs
/// one reading of the topic.
#[derive(Default)]
pub struct ProgressIndex {
    read: Mutex<ReadProgress>,
}

#[derive(Default)]
struct ReadProgress {
    next: Offset,
    /// The last value by query.
    last: HashMap<Vec<u8>, Bytes>,
}

impl ProgressIndex {
    /// The last progress of `query`.
    pub(crate) fn of(&self, log: &dyn RecordLog, query: &str) -> Result<Option<Progress>> {
        let bytes = self.caught_up(log)?.last.get(query.as_bytes()).cloned();
        let read = |bytes: Bytes| {
            serde_json::from_slice(&bytes)
                .map_err(|e| Error::corrupt(format!("progress of {query} cannot be read: {e}")))
        };
        bytes.map(read).transpose()
    }

    /// The queries that there is progress of.
    ///
    /// # Errors
    /// The log cannot be read.
    pub fn queries(&self, log: &dyn RecordLog) -> Result<Vec<String>> {
        let read = self.caught_up(log)?;
        Ok(read.last.keys().map(|k| String::from_utf8_lossy(k).into_owned()).collect())
    }

    fn caught_up(&self, log: &dyn RecordLog) -> Result<MutexGuard<'_, ReadProgress>> {
        let mut read = self.read.lock();
        if log.topic(OFFSETS_TOPIC).is_some() {
            let ReadProgress { next, last } = &mut *read;
            *next = replay(log, &TopicPartition::new(OFFSETS_TOPIC, 0), *next, log_error, |record| {
                let key = record.key.unwrap_or_default();
                match record.value {
                    Some(value) => last.insert(key.to_vec(), Bytes::copy_from_slice(value)),
                    None => last.remove(key),
                };
                Ok(())
            })?;
        }
        Ok(read)
    }
}

/// Forget how far a query has come; durable when it returns.
pub async fn forget_progress(log: &dyn RecordLog, query: &str, time_ms: i64) -> Result<()> {
    let appends = vec![append(OFFSETS_TOPIC, 0, one_record(query.as_bytes(), None, time_ms)?)];
    let ticket = log.commit(recordlog::Commit { appends });
    ticket.await.map_err(|_| Error::unavailable("the log is closed"))?.map_err(log_error)?;
    Ok(())
}
