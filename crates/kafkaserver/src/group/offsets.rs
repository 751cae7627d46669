//! Committed offsets of groups.

use std::collections::BTreeMap;

use kafka_protocol::error::ResponseError;
use serde::{Deserialize, Serialize};

use super::{Groups, OFFSETS_KEPT_MS, State, classic::Phase};
use crate::{
    auth::{Operation, Resource},
    broker::Broker,
    call::Call,
    error::Failure,
    store::{Key, to_json},
};

/// Longest text that a consumer keeps with an offset, bytes.
const METADATA_BYTES_MAX: usize = 4096;

/// Topic and partition.
pub(crate) type Place = (String, i32);

/// How far a group has come in a partition.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Committed {
    /// The next offset to read.
    pub offset: i64,
    /// As the consumer said it, -1 for nothing.
    pub leader_epoch: i32,
    /// What the consumer wanted to keep with it.
    pub metadata: String,
    /// When it was committed, ms since 1970.
    pub time_ms: i64,
    /// Of which topic: one that is deleted and made again is another, and begins at 0.
    pub topic_id: u128,
}

/// Who commits.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Committer<'a> {
    pub member_id: &'a str,
    pub instance: Option<&'a str>,
    /// Of the classic protocol's group, or the member's epoch of the consumer protocol; negative: not as a member.
    pub generation: i32,
    /// By what.
    pub request: Committing,
}

/// The request that commits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Committing {
    /// An OffsetCommit that knows the consumer protocol's errors.
    Plain,
    /// An OffsetCommit from before the consumer protocol.
    Old,
    /// A TxnOffsetCommit.
    Transaction,
}

/// The record's key.
pub(crate) fn key(group: &str, place: &Place) -> Key {
    Key::Offset { group: group.to_owned(), topic: place.0.clone(), partition: place.1 }
}

/// A partition's offset as a request has it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Commit<'a> {
    pub partition: i32,
    pub offset: i64,
    /// -1 for nothing.
    pub leader_epoch: i32,
    pub metadata: Option<&'a str>,
}

/// What is recorded of a commit, if the caller may and the partition is there.
pub(crate) fn check_commit(call: &Call, topic: &str, commit: &Commit<'_>) -> Result<Committed, Failure> {
    call.authorize(Operation::Read, Resource::Topic(topic))?;
    let topic_id = call.broker.topic_id_with(topic, commit.partition);
    let topic_id = topic_id.ok_or(ResponseError::UnknownTopicOrPartition)?;
    let metadata = commit.metadata.unwrap_or_default();
    if metadata.len() > METADATA_BYTES_MAX {
        return Err(ResponseError::OffsetMetadataTooLarge.into());
    }
    let Commit { offset, leader_epoch, .. } = *commit;
    Ok(Committed { offset, leader_epoch, metadata: metadata.to_owned(), time_ms: call.broker.now_ms(), topic_id })
}

fn check_committer(state: &State, who: Committer<'_>) -> Result<(), ResponseError> {
    let classic = &state.classic;
    if who.generation < 0 && state.is_empty() {
        return Ok(());
    }
    if state.consumer.is_classic(who.member_id) {
        return state.consumer.check_classic(who.member_id, who.instance, who.generation).map(drop);
    }
    if !state.consumer.is_empty() {
        return match (state.consumer.check(who.member_id, who.generation), who.request) {
            (Err(ResponseError::StaleMemberEpoch), Committing::Transaction) => Err(ResponseError::IllegalGeneration),
            (Ok(()) | Err(ResponseError::StaleMemberEpoch), Committing::Old) => Err(ResponseError::UnsupportedVersion),
            (checked, _) => checked,
        };
    }
    classic.check(who.member_id, who.instance, who.generation)?;
    // The assignment of this generation is not known yet, so nothing can have been read under it.
    if classic.phase == Phase::Syncing { Err(ResponseError::RebalanceInProgress) } else { Ok(()) }
}

impl Groups {
    /// Check who commits, in a group that is made for those who are no members.
    pub fn check_committer(&self, broker: &Broker, group: &str, who: Committer<'_>) -> Result<(), ResponseError> {
        if group.is_empty() {
            return Err(ResponseError::InvalidGroupId);
        }
        if who.generation < 0 {
            return self.with_new(broker, group, |state| check_committer(state, who))?;
        }
        self.with(group, |state| {
            check_committer(state, who)?;
            // To commit is to be alive, in the classic protocol.
            if !state.consumer.is_empty() {
                if state.consumer.is_classic(who.member_id) {
                    state.consumer.hear_classic(who.member_id, broker.now_ms());
                }
                return Ok(());
            }
            state.classic.heartbeat(who.member_id, broker.now_ms()).or_else(|error| match error {
                ResponseError::RebalanceInProgress => Ok(()),
                other => Err(other),
            })
        })
        .unwrap_or(Err(match who.request {
            // Memberships end with the server; of the consumer protocol, whoever hears this joins again.
            Committing::Plain => ResponseError::UnknownMemberId,
            Committing::Old | Committing::Transaction => ResponseError::IllegalGeneration,
        }))
    }

    /// Record offsets, durably when it returns.
    pub async fn commit(
        &self,
        broker: &Broker,
        group: &str,
        offsets: BTreeMap<Place, Committed>,
    ) -> Result<(), Failure> {
        let records = records(group, &offsets)?;
        broker.store.record(&records).await?;
        self.show(broker, group, offsets)
    }

    /// Let readers see offsets that are durable.
    pub fn show(&self, broker: &Broker, group: &str, offsets: BTreeMap<Place, Committed>) -> Result<(), Failure> {
        Ok(self.with_new(broker, group, |state| state.offsets.extend(offsets))?)
    }

    /// Forget offsets of a group.
    pub async fn forget(&self, broker: &Broker, group: &str, places: &[Place]) -> Result<(), Failure> {
        let gone = self.with(group, |state| {
            let gone = places.iter().filter(|place| state.offsets.remove(*place).is_some());
            gone.map(|place| (key(group, place), None)).collect::<Vec<_>>()
        });
        broker.store.record(&gone.unwrap_or_default()).await
    }

    /// Forget the offsets of all groups in a topic that was deleted.
    pub async fn forget_topic(&self, broker: &Broker, topic: &str) -> Result<(), Failure> {
        for id in self.ids() {
            let places = self.with(&id, |state| {
                state.offsets.keys().filter(|place| place.0 == topic).cloned().collect::<Vec<Place>>()
            });
            self.forget(broker, &id, &places.unwrap_or_default()).await?;
        }
        Ok(())
    }

    /// Forget the offsets of groups that have been without members for long.
    pub async fn forget_old_offsets(&self, broker: &Broker, now_ms: i64) -> Result<(), Failure> {
        for id in self.ids() {
            let old = self.with(&id, |state| {
                let last_ms = state.offsets.values().map(|committed| committed.time_ms).max();
                let alive_ms = state.alive_ms.max(last_ms.unwrap_or(0));
                let is_old = now_ms.saturating_sub(alive_ms) > OFFSETS_KEPT_MS;
                let goes = state.is_empty() && is_old;
                if goes { state.offsets.keys().cloned().collect::<Vec<Place>>() } else { Vec::new() }
            });
            self.forget(broker, &id, &old.unwrap_or_default()).await?;
        }
        Ok(())
    }
}

/// The records of offsets.
pub(crate) fn records(
    group: &str,
    offsets: &BTreeMap<Place, Committed>,
) -> Result<Vec<(Key, Option<serde_json::Value>)>, Failure> {
    offsets.iter().map(|(place, committed)| Ok((key(group, place), Some(to_json(committed)?)))).collect()
}
