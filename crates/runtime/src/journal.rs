//! What a commit remembers besides outputs: how far the query has read, stream time, and what changed in its state.
//!
//! All three are records of internal topics, written in the same commit of the log as the outputs. So on one machine
//! and on a cluster it is the log alone that decides what happened.

use std::collections::BTreeMap;

use bytes::Bytes;
use recordlog::{
    Append, Offset, RecordLog, TopicPartition,
    batch::{BatchBuilder, Compression, RecordRanges, decode_ranges},
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

/// Call `each` with key and value of every record of a partition from `from` on.
pub(crate) fn replay(
    log: &dyn RecordLog,
    partition: &TopicPartition,
    mut each: impl FnMut(Option<&[u8]>, Option<&[u8]>) -> Result<()>,
) -> Result<()> {
    const REPLAY_BYTES: usize = 4 << 20;
    let ends = log.offsets(partition).map_err(log_error)?;
    let (mut next, mut ranges) = (ends.start, RecordRanges::default());
    while next < ends.end {
        let batches = log.read(partition, next, REPLAY_BYTES).map_err(log_error)?;
        let Some(last) = batches.last() else { break };
        next = last.next_offset;
        for batch in &batches {
            decode_ranges(&batch.bytes, &mut ranges)
                .map_err(|e| Error::corrupt(format!("{partition} is damaged at offset {}: {e}", batch.base_offset)))?;
            for i in 0..ranges.len() {
                each(ranges.key(i), ranges.value(i))?;
            }
        }
    }
    Ok(())
}

/// The last progress of every query in the log.
pub(crate) fn read_progress(log: &dyn RecordLog, query: &str) -> Result<Option<Progress>> {
    let partition = TopicPartition::new(OFFSETS_TOPIC, 0);
    let mut last = None;
    if log.topic(OFFSETS_TOPIC).is_none() {
        return Ok(None);
    }
    replay(log, &partition, |key, value| {
        if key == Some(query.as_bytes()) {
            last = value.map(<[u8]>::to_vec);
        }
        Ok(())
    })?;
    let read = |bytes: Vec<u8>| {
        serde_json::from_slice(&bytes).map_err(|e| Error::corrupt(format!("progress of {query} cannot be read: {e}")))
    };
    last.map(read).transpose()
}

/// Forget how far a query has come; durable when it returns.
pub async fn forget_progress(log: &dyn RecordLog, query: &str, time_ms: i64) -> Result<()> {
    let appends = vec![append(OFFSETS_TOPIC, 0, one_record(query.as_bytes(), None, time_ms)?)];
    let ticket = log.commit(recordlog::Commit { appends });
    ticket.await.map_err(|_| Error::unavailable("the log is closed"))?.map_err(log_error)?;
    Ok(())
}
