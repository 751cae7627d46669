//! What the broker has to remember, as records of one compacted topic: committed offsets, transactions, producer ids,
//! users and access rules. Key and value are JSON, so that `READ TOPIC` shows them. Kafka clients do not get to see them:
//! users' keys are among them.

use std::{collections::BTreeMap, sync::Arc};

use kafka_protocol::error::ResponseError;
use parking_lot::Mutex;
use recordlog::{
    Append, Appended, Commit, CommitTicket, LogError, RecordLog, TopicConfig, TopicPartition,
    batch::{BatchBuilder, Compression},
    embedded::EmbeddedLog,
    replay,
};
use serde::{Deserialize, Serialize};

use crate::{
    auth::{Hash, acl::Acl},
    error::Failure,
};

/// Its topic.
pub(crate) const TOPIC: &str = "_millstream-kafka";
/// Producer ids that are set aside at once.
const PRODUCER_ID_BLOCK: i64 = 1_000;

/// What a record is about.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Key {
    /// A group's offset in a partition.
    Offset { group: String, topic: String, partition: i32 },
    /// A transactional id.
    Transaction(String),
    /// Where producer ids go on.
    ProducerIds,
    /// A user's keys.
    Credential { user: String, hash: Hash },
    /// An access rule; the value says nothing more.
    Acl(Acl),
}

/// Everything that is remembered, the latest of each.
pub(crate) type Kept = BTreeMap<Key, serde_json::Value>;

/// The topic, to write to.
#[derive(Debug)]
pub(crate) struct Store {
    log: Arc<EmbeddedLog>,
    producer_ids: Mutex<IdBlock>,
    /// Held while a block of ids is set aside.
    setting_aside: tokio::sync::Mutex<()>,
}

#[derive(Debug, Default)]
struct IdBlock {
    next: i64,
    end: i64,
}

impl Store {
    /// Make the topic if it is missing.
    pub async fn open(log: Arc<EmbeddedLog>) -> Result<Store, Failure> {
        if log.topic(TOPIC).is_none() {
            let config = TopicConfig::with_partitions(1).with("cleanup.policy", "compact");
            match log.create_topic(TOPIC, config).await {
                Ok(_) | Err(LogError::TopicExists(_)) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(Store { log, producer_ids: Mutex::default(), setting_aside: tokio::sync::Mutex::default() })
    }

    /// Read the topic.
    pub fn read_all(&self) -> Result<Kept, Failure> {
        let partition = TopicPartition::new(TOPIC, 0);
        let mut kept = Kept::new();
        replay(&*self.log, &partition, 0, Failure::from, |record| {
            let damaged = |e: serde_json::Error| {
                let (partition, offset, what) = (partition.clone(), record.offset, e.to_string());
                Failure::from(LogError::Corrupt { partition, offset, what })
            };
            let key: Key = serde_json::from_slice(record.key.unwrap_or_default()).map_err(damaged)?;
            match record.value.map(serde_json::from_slice).transpose().map_err(damaged)? {
                Some(value) => kept.insert(key, value),
                None => kept.remove(&key),
            };
            Ok(())
        })?;
        if let Some(next) = kept.get(&Key::ProducerIds).and_then(serde_json::Value::as_i64) {
            *self.producer_ids.lock() = IdBlock { next, end: next };
        }
        Ok(kept)
    }

    /// The append that records these; `None` forgets.
    pub fn append(&self, records: &[(Key, Option<serde_json::Value>)]) -> Result<Append, Failure> {
        let now_ms = self.log.host().clock.now_ms();
        let mut builder = BatchBuilder::new();
        let failed = |error: &dyn std::fmt::Display| {
            Failure::new(ResponseError::UnknownServerError, format!("{TOPIC}: {error}"))
        };
        for (key, value) in records {
            let key = serde_json::to_vec(key).map_err(|error| failed(&error))?;
            let value = value.as_ref().map(serde_json::to_vec).transpose().map_err(|error| failed(&error))?;
            builder.push(Some(&key), value.as_deref(), now_ms, &[]).map_err(|error| failed(&error))?;
        }
        let batches = builder.finish(Compression::None).map_err(|error| failed(&error))?;
        Ok(Append { partition: TopicPartition::new(TOPIC, 0), batches: batches.into() })
    }

    /// Record these, durably when it returns.
    pub async fn record(&self, records: &[(Key, Option<serde_json::Value>)]) -> Result<(), Failure> {
        if records.is_empty() {
            return Ok(());
        }
        let appends = vec![self.append(records)?];
        settle(self.log.commit(Commit::of(appends))).await.map(drop)
    }

    /// A producer id that nobody had before.
    pub async fn new_producer_id(&self) -> Result<i64, Failure> {
        loop {
            if let Some(id) = self.next_producer_id() {
                return Ok(id);
            }
            let _one = self.setting_aside.lock().await;
            let (next, is_empty) = {
                let block = self.producer_ids.lock();
                (block.end, block.next >= block.end)
            };
            if is_empty {
                let end = next.saturating_add(PRODUCER_ID_BLOCK);
                self.record(&[(Key::ProducerIds, Some(end.into()))]).await?;
                *self.producer_ids.lock() = IdBlock { next, end };
            }
        }
    }

    fn next_producer_id(&self) -> Option<i64> {
        let mut block = self.producer_ids.lock();
        let id = block.next;
        (id < block.end).then(|| {
            block.next += 1;
            id
        })
    }
}

/// Wait for a commit.
pub(crate) async fn settle(ticket: CommitTicket) -> Result<Vec<Appended>, Failure> {
    Ok(ticket.await.map_err(|_| LogError::Closed)??)
}

/// A value as JSON.
pub(crate) fn to_json<T: Serialize>(value: &T) -> Result<serde_json::Value, Failure> {
    serde_json::to_value(value).map_err(|error| Failure::new(ResponseError::UnknownServerError, error.to_string()))
}
