//! What is remembered of a transactional id.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use kafka_protocol::error::ResponseError;
use recordlog::{
    TopicPartition,
    batch::{BatchBuilder, Compression},
};
use serde::{Deserialize, Serialize};

use crate::{
    error::Failure,
    group::offsets::{Committed, Place},
};

/// Most offsets that a transaction carries.
const OFFSETS_MAX: usize = 100_000;

/// Where a transactional id stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Phase {
    /// It has had no transaction.
    Empty,
    /// A transaction is open.
    Ongoing,
    /// It is being ended; never stored.
    Ending,
    /// The last one was committed.
    Committed,
    /// The last one was aborted.
    Aborted,
}

impl Phase {
    /// As Kafka's tools show it.
    pub fn name(self) -> &'static str {
        match self {
            Phase::Empty => "Empty",
            Phase::Ongoing => "Ongoing",
            Phase::Ending => "PrepareCommit",
            Phase::Committed => "CompleteCommit",
            Phase::Aborted => "CompleteAbort",
        }
    }

    pub fn is_open(self) -> bool {
        matches!(self, Phase::Ongoing | Phase::Ending)
    }
}

/// A transactional id.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Transaction {
    pub producer_id: i64,
    /// -1 before its producer has begun.
    pub epoch: i16,
    pub timeout_ms: i32,
    pub phase: Phase,
    /// Of the open transaction.
    pub partitions: BTreeSet<Place>,
    /// Groups of the open transaction, with the offsets that become theirs when it is committed.
    pub groups: BTreeMap<String, Vec<(Place, Committed)>>,
    /// When the open transaction began, -1 for none; ms since 1970.
    pub started_ms: i64,
    /// When it was changed last.
    pub changed_ms: i64,
}

impl Transaction {
    /// An id without a producer.
    pub fn new(producer_id: i64, timeout_ms: i32, now_ms: i64) -> Transaction {
        Transaction {
            producer_id,
            epoch: -1,
            timeout_ms,
            phase: Phase::Empty,
            partitions: BTreeSet::new(),
            groups: BTreeMap::new(),
            started_ms: -1,
            changed_ms: now_ms,
        }
    }

    /// Begin a transaction if none is open.
    pub fn open(&mut self, now_ms: i64) {
        if !self.phase.is_open() {
            self.phase = Phase::Ongoing;
            self.started_ms = now_ms;
            self.changed_ms = now_ms;
        }
    }

    /// As it is after its transaction.
    pub fn ended(&self, commits: bool, now_ms: i64) -> Transaction {
        Transaction {
            phase: if commits { Phase::Committed } else { Phase::Aborted },
            partitions: BTreeSet::new(),
            groups: BTreeMap::new(),
            started_ms: -1,
            changed_ms: now_ms,
            ..self.clone()
        }
    }

    /// The next epoch; `false` when there is none.
    pub fn raise_epoch(&mut self) -> bool {
        // The last epoch is left for marks that shut a producer out.
        let next = self.epoch.checked_add(1).filter(|next| *next < i16::MAX);
        self.epoch = next.unwrap_or(self.epoch);
        next.is_some()
    }

    /// Go on as another producer.
    pub fn replace_producer(&mut self, producer_id: i64) {
        self.producer_id = producer_id;
        self.epoch = 0;
    }

    /// Whether the open transaction has a partition.
    pub fn has(&self, place: &TopicPartition) -> bool {
        i32::try_from(place.partition).is_ok_and(|number| self.partitions.contains(&(place.topic.to_string(), number)))
    }

    /// Whether the open transaction is open for too long.
    pub fn is_overdue(&self, now_ms: i64) -> bool {
        self.phase == Phase::Ongoing && now_ms.saturating_sub(self.started_ms) > i64::from(self.timeout_ms)
    }

    pub fn add_group(&mut self, group: &str) {
        if !self.groups.contains_key(group) {
            self.groups.insert(group.to_owned(), Vec::new());
        }
    }

    /// The pending offsets of a group.
    pub fn offsets_of(&self, group: &str) -> impl Iterator<Item = &(Place, Committed)> {
        self.groups.get(group).into_iter().flatten()
    }

    /// Add offsets of a group that the transaction has.
    pub fn add_offsets(&mut self, group: &str, offsets: BTreeMap<Place, Committed>) -> Result<(), Failure> {
        let pending = self.groups.get_mut(group).ok_or(ResponseError::InvalidTxnState)?;
        let mut all: BTreeMap<Place, Committed> = std::mem::take(pending).into_iter().collect();
        all.extend(offsets);
        if all.len() > OFFSETS_MAX {
            return Err(ResponseError::InvalidRequest.into());
        }
        *pending = all.into_iter().collect();
        Ok(())
    }
}

/// The mark that ends a transaction in a partition: a control batch of one record.
pub(super) fn mark(producer_id: i64, epoch: i16, commits: bool, now_ms: i64) -> Result<Bytes, Failure> {
    let mut builder = BatchBuilder::new();
    builder.set_producer(producer_id, epoch, -1);
    builder.set_transactional(true);
    builder.set_control(true);
    // Version and type; version and the coordinator's epoch.
    let key = [0, 0, 0, u8::from(commits)];
    let value = [0; 6];
    let failed = |error: recordlog::batch::BatchError| {
        Failure::new(ResponseError::UnknownServerError, format!("a transaction's mark: {error}"))
    };
    builder.push(Some(&key), Some(&value), now_ms, &[]).map_err(failed)?;
    builder.finish(Compression::None).map_err(failed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_stored_as_json() {
        let mut state = Transaction::new(5, 60_000, 1);
        state.epoch = 3;
        state.open(7);
        state.partitions.insert(("t".to_owned(), 1));
        state.add_group("g");
        let committed =
            Committed { offset: 9, leader_epoch: -1, metadata: String::new(), time_ms: 8, topic_id: u128::MAX };
        let offsets = BTreeMap::from([(("t".to_owned(), 0), committed)]);
        assert!(state.add_offsets("h", offsets.clone()).is_err());
        assert!(state.add_offsets("g", offsets).is_ok());
        let json = serde_json::to_string(&state).expect("writes");
        assert_eq!(serde_json::from_str::<Transaction>(&json).expect("reads"), state);
        let json = serde_json::to_value(&state).expect("writes");
        assert_eq!(serde_json::from_value::<Transaction>(json).expect("reads"), state);
        assert!(state.has(&TopicPartition::new("t", 1)) && !state.has(&TopicPartition::new("t", 0)));
        assert!(state.is_overdue(60_008) && !state.is_overdue(60_007));
        let ended = state.ended(true, 10);
        assert_eq!((ended.phase, ended.partitions.len(), ended.groups.len()), (Phase::Committed, 0, 0));
    }

    #[test]
    fn epochs_end() {
        let mut state = Transaction::new(5, 60_000, 1);
        assert!(state.raise_epoch());
        assert_eq!(state.epoch, 0);
        state.epoch = i16::MAX - 2;
        assert!(state.raise_epoch() && !state.raise_epoch());
    }
}
