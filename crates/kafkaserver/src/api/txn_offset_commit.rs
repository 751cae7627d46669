//! TxnOffsetCommit: offsets that become the group's when the transaction is committed.

use std::collections::BTreeMap;

use kafka_protocol::messages::{
    TxnOffsetCommitRequest, TxnOffsetCommitResponse,
    txn_offset_commit_request::TxnOffsetCommitRequestPartition,
    txn_offset_commit_response::{TxnOffsetCommitResponsePartition, TxnOffsetCommitResponseTopic},
};

use super::{Api, Reply, init_producer_id::old_code};
use crate::{
    auth::{Operation, Resource},
    call::Call,
    error::Failure,
    group::offsets::{Commit, Committed, Committer, Committing, Place, check_commit},
    txn::Producer,
    wire::shape::{
        Field,
        Kind::{Array, Fixed, Text},
        all, from,
    },
};

/// No version of this tells a fenced producer from a wrong epoch.
const FENCED_FROM_VERSION: i16 = i16::MAX;
/// The first version that says which member commits.
const MEMBER_FROM_VERSION: i16 = 3;

/// See the module.
pub(crate) struct TxnOffsetCommit;

impl Api for TxnOffsetCommit {
    type Request = TxnOffsetCommitRequest;
    type Response = TxnOffsetCommitResponse;
    const KEY: i16 = 28;
    const VERSIONS: (i16, i16) = (0, 4);
    const FIELDS: &'static [Field] = &[
        all(Text),
        all(Text),
        all(Fixed(8)),
        all(Fixed(2)),
        from(3, Fixed(4)),
        from(3, Text),
        from(3, Text),
        all(Array(&[all(Text), all(Array(&[all(Fixed(4)), all(Fixed(8)), from(2, Fixed(4)), all(Text)]))])),
    ];

    async fn handle(call: &Call, request: TxnOffsetCommitRequest) -> Reply<TxnOffsetCommitResponse> {
        let mut offsets: BTreeMap<Place, Committed> = BTreeMap::new();
        let mut codes: BTreeMap<Place, i16> = BTreeMap::new();
        for topic in &request.topics {
            for partition in &topic.partitions {
                let place = (topic.name.to_string(), partition.partition_index);
                match check_commit(call, &topic.name, &partition.into()) {
                    Ok(committed) => drop(offsets.insert(place, committed)),
                    Err(failure) => drop(codes.insert(place, failure.code())),
                }
            }
        }
        let added = match offsets.is_empty() {
            true => Ok(()),
            false => add(call, &request, offsets).await,
        };
        let code = added.err().map_or(0, |failure| old_code(call.version(), FENCED_FROM_VERSION, &failure));
        let topic = |topic: kafka_protocol::messages::txn_offset_commit_request::TxnOffsetCommitRequestTopic| {
            let partition = |index: i32| {
                let own = codes.get(&(topic.name.to_string(), index)).copied();
                let answer = TxnOffsetCommitResponsePartition::default().with_partition_index(index);
                answer.with_error_code(own.unwrap_or(code))
            };
            let partitions = topic.partitions.iter().map(|p| partition(p.partition_index)).collect();
            TxnOffsetCommitResponseTopic::default().with_name(topic.name).with_partitions(partitions)
        };
        let topics = request.topics.into_iter().map(topic).collect();
        Reply::from(TxnOffsetCommitResponse::default().with_topics(topics))
    }
}

impl<'a> From<&'a TxnOffsetCommitRequestPartition> for Commit<'a> {
    fn from(partition: &'a TxnOffsetCommitRequestPartition) -> Commit<'a> {
        Commit {
            partition: partition.partition_index,
            offset: partition.committed_offset,
            leader_epoch: partition.committed_leader_epoch,
            metadata: partition.committed_metadata.as_deref(),
        }
    }
}

async fn add(
    call: &Call,
    request: &TxnOffsetCommitRequest,
    offsets: BTreeMap<Place, Committed>,
) -> Result<(), Failure> {
    let (id, group) = (request.transactional_id.as_str(), request.group_id.as_str());
    call.authorize(Operation::Write, Resource::Transaction(id))?;
    call.authorize(Operation::Read, Resource::Group(group))?;
    // Clients that do not say which member they are must not be held to it.
    if call.version() >= MEMBER_FROM_VERSION && (request.generation_id >= 0 || !request.member_id.is_empty()) {
        let who = Committer {
            member_id: &request.member_id,
            instance: request.group_instance_id.as_deref(),
            generation: request.generation_id,
            request: Committing::Transaction,
        };
        call.broker.groups.check_committer(&call.broker, group, who)?;
    }
    let who = Producer { transactional_id: id, id: request.producer_id.0, epoch: request.producer_epoch };
    call.broker.transactions.add_offsets(&call.broker, who, group, offsets).await
}
