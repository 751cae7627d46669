//! OffsetFetch: how far groups have come.

use std::collections::{BTreeMap, BTreeSet};

use kafka_protocol::{
    error::ResponseError,
    messages::{
        GroupId, OffsetFetchRequest, OffsetFetchResponse, TopicName,
        offset_fetch_response::{
            OffsetFetchResponseGroup, OffsetFetchResponsePartition, OffsetFetchResponsePartitions,
            OffsetFetchResponseTopic, OffsetFetchResponseTopics,
        },
    },
    protocol::StrBytes,
};

use super::{Api, Reply, once};
use crate::{
    auth::{Operation, Resource},
    call::{Call, text},
    error::Failure,
    group::{Kind, offsets::Committed},
    wire::shape::{
        Field,
        Kind::{Array, Fixed, List, Text},
        between, from,
    },
};

/// The first version that asks about several groups.
const SEVERAL_FROM_VERSION: i16 = 8;

/// See the module.
pub(crate) struct OffsetFetch;

/// A partition's offset, if the group has one.
struct Found {
    partition: i32,
    outcome: Result<Option<Committed>, Failure>,
}

/// By topic.
type Answers = Vec<(TopicName, Vec<Found>)>;

impl Api for OffsetFetch {
    type Request = OffsetFetchRequest;
    type Response = OffsetFetchResponse;
    const KEY: i16 = 9;
    const VERSIONS: (i16, i16) = (1, 9);
    const FIELDS: &'static [Field] = &[
        between(0, 7, Text),
        between(0, 7, Array(&[between(0, 7, Text), between(0, 7, List(&Fixed(4)))])),
        from(
            8,
            Array(&[
                from(8, Text),
                from(9, Text),
                from(9, Fixed(4)),
                from(8, Array(&[from(8, Text), from(8, List(&Fixed(4)))])),
            ]),
        ),
        from(7, Fixed(1)),
    ];

    async fn handle(call: &Call, request: OffsetFetchRequest) -> Reply<OffsetFetchResponse> {
        let stable = request.require_stable;
        if call.version() >= SEVERAL_FROM_VERSION {
            let group = |group: kafka_protocol::messages::offset_fetch_request::OffsetFetchRequestGroup| {
                let wanted =
                    group.topics.map(|topics| topics.into_iter().map(|t| (t.name, t.partition_indexes)).collect());
                let who = (group.member_id.as_deref(), group.member_epoch);
                let found = check_member(call, &group.group_id, who);
                let found = found.and_then(|()| find(call, &group.group_id, wanted, stable));
                let answer = OffsetFetchResponseGroup::default().with_group_id(group.group_id);
                match found {
                    Ok(found) => answer.with_topics(found.into_iter().map(topic).collect()),
                    Err(failure) => answer.with_error_code(failure.code()),
                }
            };
            let groups = once(request.groups, |group| group.group_id.clone()).map(group).collect();
            return Reply::from(OffsetFetchResponse::default().with_groups(groups));
        }
        let wanted = request.topics.map(|topics| topics.into_iter().map(|t| (t.name, t.partition_indexes)).collect());
        Reply::from(match find(call, &request.group_id, wanted, stable) {
            Ok(found) => OffsetFetchResponse::default().with_topics(found.into_iter().map(old_topic).collect()),
            Err(failure) => OffsetFetchResponse::default().with_error_code(failure.code()),
        })
    }
}

/// Whether one who says that he is a member of the consumer protocol is one, and up to date.
fn check_member(call: &Call, group: &GroupId, (id, epoch): (Option<&str>, i32)) -> Result<(), Failure> {
    call.authorize(Operation::Describe, Resource::Group(group))?;
    let checked = call.broker.groups.with(group, |state| match (id, epoch) {
        (None, ..0) => Ok(()),
        _ if state.kind == Kind::Classic => Ok(()),
        (id, epoch) => state.consumer.check(id.unwrap_or_default(), epoch),
    });
    Ok(checked.unwrap_or(Ok(()))?)
}

fn find(
    call: &Call,
    group: &GroupId,
    wanted: Option<Vec<(TopicName, Vec<i32>)>>,
    stable: bool,
) -> Result<Answers, Failure> {
    call.authorize(Operation::Describe, Resource::Group(group))?;
    let mut offsets = call.broker.groups.with(group, |state| state.offsets.clone()).unwrap_or_default();
    offsets.retain(|place, committed| call.broker.is_of_topic(place, committed));
    let pending = if stable { call.broker.transactions.pending_offsets(group) } else { BTreeSet::new() };
    let wanted = wanted.unwrap_or_else(|| {
        let mut all: BTreeMap<&str, Vec<i32>> = BTreeMap::new();
        for (topic, partition) in offsets.keys() {
            if call.may(Operation::Describe, Resource::Topic(topic)) {
                all.entry(topic).or_default().push(*partition);
            }
        }
        all.into_iter().map(|(topic, partitions)| (TopicName(text(topic)), partitions)).collect()
    });
    let answer = |(topic, partitions): (TopicName, Vec<i32>)| {
        let allowed = call.authorize(Operation::Describe, Resource::Topic(&topic));
        let found = |partition: i32| {
            let place = (topic.to_string(), partition);
            let outcome = match (&allowed, pending.contains(&place)) {
                (Err(failure), _) => Err(failure.clone()),
                (Ok(()), true) => Err(ResponseError::UnstableOffsetCommit.into()),
                (Ok(()), false) => Ok(offsets.get(&place).cloned()),
            };
            Found { partition, outcome }
        };
        let found = partitions.into_iter().map(found).collect();
        (topic, found)
    };
    Ok(wanted.into_iter().map(answer).collect())
}

/// A partition's answer: offset, leader epoch, metadata, error.
fn parts(outcome: Result<Option<Committed>, Failure>) -> (i64, i32, StrBytes, i16) {
    match outcome {
        Ok(Some(committed)) => (committed.offset, committed.leader_epoch, text(&committed.metadata), 0),
        Ok(None) => (-1, -1, text(""), 0),
        Err(failure) => (-1, -1, text(""), failure.code()),
    }
}

fn topic((name, found): (TopicName, Vec<Found>)) -> OffsetFetchResponseTopics {
    let partition = |found: Found| {
        let (offset, leader_epoch, metadata, code) = parts(found.outcome);
        OffsetFetchResponsePartitions::default()
            .with_partition_index(found.partition)
            .with_committed_offset(offset)
            .with_committed_leader_epoch(leader_epoch)
            .with_metadata(Some(metadata))
            .with_error_code(code)
    };
    OffsetFetchResponseTopics::default().with_name(name).with_partitions(found.into_iter().map(partition).collect())
}

fn old_topic((name, found): (TopicName, Vec<Found>)) -> OffsetFetchResponseTopic {
    let partition = |found: Found| {
        let (offset, leader_epoch, metadata, code) = parts(found.outcome);
        OffsetFetchResponsePartition::default()
            .with_partition_index(found.partition)
            .with_committed_offset(offset)
            .with_committed_leader_epoch(leader_epoch)
            .with_metadata(Some(metadata))
            .with_error_code(code)
    };
    OffsetFetchResponseTopic::default().with_name(name).with_partitions(found.into_iter().map(partition).collect())
}
