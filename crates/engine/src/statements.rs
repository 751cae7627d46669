//! The statement log: every statement that changed the catalog, as records of a topic. The catalog is what comes of
//! running them again.

use std::collections::BTreeMap;

use recordlog::{
    Append, Commit, RecordLog, TopicConfig, TopicPartition,
    batch::{BatchBuilder, Compression},
    replay,
};
use runtime::log_error;
use serde::{Deserialize, Serialize};
use types::{Error, Result};

use crate::surroundings::Answers;

/// Its topic.
pub(crate) const STATEMENTS_TOPIC: &str = "_millstream-statements";

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

/// Create the engine's own topics where they are missing.
pub(crate) async fn create_topics(log: &dyn RecordLog) -> Result<()> {
    let compact = [
        ("cleanup.policy", "compact".to_string()),
        // A record an epoch and query: it is compacted often, since it is read at every start.
        ("segment.bytes", OFFSETS_SEGMENT_BYTES.to_string()),
        // A query over many partitions has a long record.
        ("max.message.bytes", i32::MAX.to_string()),
    ];
    let compact: BTreeMap<_, _> = compact.into_iter().map(|(name, value)| (name.to_string(), value)).collect();
    let keep = BTreeMap::from([("retention.ms".to_string(), "-1".to_string())]);
    let week = BTreeMap::from([("retention.ms".to_string(), "604800000".to_string())]);
    let wanted = [
        (STATEMENTS_TOPIC, keep),
        (schemaregistry::SCHEMAS_TOPIC, compact.clone()),
        (runtime::OFFSETS_TOPIC, compact),
        (runtime::PROCESSING_LOG_TOPIC, week),
    ];
    for (name, settings) in wanted {
        if log.topic(name).is_none() {
            let config = TopicConfig { partitions: 1, replicas: 1, settings };
            log.create_topic(name, config).await.map_err(log_error)?;
        }
    }
    Ok(())
}

/// Append an entry; durable when it returns.
pub(crate) async fn append(log: &dyn RecordLog, statement: &LoggedStatement, now_ms: i64) -> Result<()> {
    let json = serde_json::to_vec(statement).map_err(|e| Error::internal(e.to_string()))?;
    let mut builder = BatchBuilder::with_capacity(json.len() + 64);
    let fail = |e| Error::internal(format!("statement log: {e}"));
    builder.push(None, Some(&json), now_ms, &[]).map_err(fail)?;
    let batches = builder.finish(Compression::None).map_err(fail)?;
    commit(
        log,
        Commit {
            appends: vec![Append { partition: TopicPartition::new(STATEMENTS_TOPIC, 0), batches: batches.into() }],
        },
    )
    .await?;
    Ok(())
}

/// Commit, and wait until it is durable.
pub(crate) async fn commit(log: &dyn RecordLog, commit: Commit) -> Result<Vec<recordlog::Appended>> {
    let ticket = log.commit(commit);
    ticket.await.map_err(|_| Error::unavailable("the log is closed"))?.map_err(log_error)
}

/// All entries, in order.
pub(crate) fn read(log: &dyn RecordLog) -> Result<Vec<LoggedStatement>> {
    read_json(log, STATEMENTS_TOPIC)
}

/// The JSON values of all records of a topic of one partition, in order.
pub(crate) fn read_json<T: serde::de::DeserializeOwned>(log: &dyn RecordLog, topic: &str) -> Result<Vec<T>> {
    let partition = TopicPartition::new(topic, 0);
    let mut out = vec![];
    replay(log, &partition, 0, log_error, |record| {
        let damaged = |e| Error::corrupt(format!("{partition} is damaged at offset {}: {e}", record.offset));
        out.push(serde_json::from_slice(record.value.unwrap_or_default()).map_err(damaged)?);
        Ok(())
    })?;
    Ok(out)
}
