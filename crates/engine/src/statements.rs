//! The statement log: every statement that changed the catalog, as records of a topic. The catalog is what comes of
//! running them again.

use std::collections::BTreeMap;

use recordlog::{
    Append, Commit, LogError, Offset, RecordLog, TopicConfig, TopicPartition,
    batch::{BatchBuilder, Compression},
    replay,
};
use runtime::{TopicNames, log_error};
use serde::{Deserialize, Serialize};
use types::{Error, Result};

use crate::surroundings::Answers;

/// Bytes after which a segment of the topic of progress is closed.
const OFFSETS_SEGMENT_BYTES: u32 = 4 << 20;

/// One entry.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct LoggedStatement {
    /// The statement's text, variables substituted.
    pub text: String,
    /// The session's properties that differ from the server's.
    pub properties: BTreeMap<String, String>,
    /// What planning it asked of its surroundings.
    #[serde(default)]
    pub answers: Answers,
    /// Topics that it deletes, with their ids as text: a topic of that name may be made again by others.
    #[serde(default)]
    pub deletes: Vec<(String, String)>,
}

/// Create the engine's own topics where they are missing; `slots`: how many shares the work of a service is cut into.
pub(crate) async fn create_topics(log: &dyn RecordLog, names: &TopicNames, slots: u32) -> Result<()> {
    let compact = [
        // A record an epoch and query: it is compacted often, since it is read at every start.
        ("segment.bytes", OFFSETS_SEGMENT_BYTES.to_string()),
        // A query over many partitions has a long record.
        ("max.message.bytes", i32::MAX.to_string()),
    ];
    let compact = compact.into_iter().map(|(name, value)| (name.to_string(), value));
    let compact: BTreeMap<_, _> = compact.chain([compaction()]).collect();
    let keep = BTreeMap::from([("retention.ms".to_string(), "-1".to_string())]);
    let week = BTreeMap::from([("retention.ms".to_string(), "604800000".to_string())]);
    let wanted = [
        (names.statements(), 1, keep),
        (names.schemas(), 1, compact.clone()),
        (names.offsets(), 1, compact),
        (names.processing_log(), 1, week),
    ];
    let owner = (names.owner(), 1, BTreeMap::from([compaction()]));
    let shared = names.service_writer().map(|_| [owner, (names.tasks(), slots, BTreeMap::new())]);
    for (name, partitions, settings) in wanted.into_iter().chain(shared.into_iter().flatten()) {
        if log.topic(&name).map_err(log_error)?.is_none() {
            let config = TopicConfig { partitions, replicas: 0, settings };
            match log.create_topic(&name, config).await {
                Ok(_) | Err(LogError::TopicExists(_)) => {}
                Err(e) => return Err(log_error(e)),
            }
        }
    }
    Ok(())
}

fn compaction() -> (String, String) {
    ("cleanup.policy".to_string(), "compact".to_string())
}

/// An entry, to be committed by the service.
pub(crate) fn entry(topic: &str, statement: &LoggedStatement, now_ms: i64) -> Result<Append> {
    let json = serde_json::to_vec(statement).map_err(|e| Error::internal(e.to_string()))?;
    let mut builder = BatchBuilder::with_capacity(json.len() + 64);
    let fail = |e| Error::internal(format!("statement log: {e}"));
    builder.push(None, Some(&json), now_ms, &[]).map_err(fail)?;
    let batches = builder.finish(Compression::None).map_err(fail)?;
    Ok(Append { partition: TopicPartition::new(topic, 0), batches: batches.into() })
}

/// Commit, and wait until it is durable.
pub(crate) async fn commit(log: &dyn RecordLog, commit: Commit) -> Result<Vec<recordlog::Appended>> {
    let ticket = log.commit(commit);
    ticket.await.map_err(|_| Error::unavailable("the log is closed"))?.map_err(log_error)
}

/// All entries, in order.
pub(crate) fn read(log: &dyn RecordLog, topic: &str) -> Result<Vec<LoggedStatement>> {
    read_json(log, topic)
}

/// The entries from an offset on, and the offset behind them.
pub(crate) fn read_from(log: &dyn RecordLog, topic: &str, from: Offset) -> Result<(Vec<LoggedStatement>, Offset)> {
    let mut out = vec![];
    let next = each_json(log, topic, from, |entry| out.push(entry))?;
    Ok((out, next))
}

/// The JSON values of all records of a topic of one partition, in order.
pub(crate) fn read_json<T: serde::de::DeserializeOwned>(log: &dyn RecordLog, topic: &str) -> Result<Vec<T>> {
    let mut out = vec![];
    each_json(log, topic, 0, |value| out.push(value))?;
    Ok(out)
}

/// Those from an offset on; the offset behind them.
fn each_json<T: serde::de::DeserializeOwned>(
    log: &dyn RecordLog,
    topic: &str,
    from: Offset,
    mut each: impl FnMut(T),
) -> Result<Offset> {
    let partition = TopicPartition::new(topic, 0);
    replay(log, &partition, from, log_error, |record| {
        let damaged = |e| Error::corrupt(format!("{partition} is damaged at offset {}: {e}", record.offset));
        each(serde_json::from_slice(record.value.unwrap_or_default()).map_err(damaged)?);
        Ok(())
    })
}
