//! OffsetCommit.

use std::collections::BTreeMap;

use kafka_protocol::messages::{
    OffsetCommitRequest, OffsetCommitResponse,
    offset_commit_request::OffsetCommitRequestPartition,
    offset_commit_response::{OffsetCommitResponsePartition, OffsetCommitResponseTopic},
};

use super::{Api, Reply};
use crate::{
    auth::{Operation, Resource},
    call::Call,
    group::offsets::{Commit, Committed, Committer, Committing, Place, check_commit},
    wire::shape::{
        Field,
        Kind::{Array, Fixed, Text},
        all, between, from,
    },
};

/// The first version that knows the errors of the consumer protocol.
const EPOCHS_FROM_VERSION: i16 = 9;

/// See the module.
pub(crate) struct OffsetCommit;

impl Api for OffsetCommit {
    type Request = OffsetCommitRequest;
    type Response = OffsetCommitResponse;
    const KEY: i16 = 8;
    const VERSIONS: (i16, i16) = (2, 9);
    const FIELDS: &'static [Field] = &[
        all(Text),
        all(Fixed(4)),
        all(Text),
        from(7, Text),
        between(0, 4, Fixed(8)),
        all(Array(&[all(Text), all(Array(&[all(Fixed(4)), all(Fixed(8)), from(6, Fixed(4)), all(Text)]))])),
    ];

    async fn handle(call: &Call, request: OffsetCommitRequest) -> Reply<OffsetCommitResponse> {
        let group = request.group_id.to_string();
        let who = Committer {
            member_id: &request.member_id,
            instance: request.group_instance_id.as_deref(),
            generation: request.generation_id_or_member_epoch,
            request: if call.version() < EPOCHS_FROM_VERSION { Committing::Old } else { Committing::Plain },
        };
        let allowed = call.authorize(Operation::Read, Resource::Group(&group));
        let allowed = allowed.and_then(|()| Ok(call.broker.groups.check_committer(&call.broker, &group, who)?));
        let mut offsets: BTreeMap<Place, Committed> = BTreeMap::new();
        let mut topics = Vec::with_capacity(request.topics.len());
        for topic in &request.topics {
            let mut partitions = Vec::with_capacity(topic.partitions.len());
            for partition in &topic.partitions {
                let checked = allowed.clone().and_then(|()| check_commit(call, &topic.name, &partition.into()));
                let code = crate::error::code_of(&checked);
                if let Ok(committed) = checked {
                    offsets.insert((topic.name.to_string(), partition.partition_index), committed);
                }
                let index = partition.partition_index;
                partitions
                    .push(OffsetCommitResponsePartition::default().with_partition_index(index).with_error_code(code));
            }
            let name = topic.name.clone();
            topics.push(OffsetCommitResponseTopic::default().with_name(name).with_partitions(partitions));
        }
        if !offsets.is_empty()
            && let Err(failure) = call.broker.groups.commit(&call.broker, &group, offsets).await
        {
            let all = topics.iter_mut().flat_map(|topic| &mut topic.partitions);
            all.filter(|partition| partition.error_code == 0).for_each(|p| p.error_code = failure.code());
        }
        Reply::from(OffsetCommitResponse::default().with_topics(topics))
    }
}

impl<'a> From<&'a OffsetCommitRequestPartition> for Commit<'a> {
    fn from(partition: &'a OffsetCommitRequestPartition) -> Commit<'a> {
        Commit {
            partition: partition.partition_index,
            offset: partition.committed_offset,
            leader_epoch: partition.committed_leader_epoch,
            metadata: partition.committed_metadata.as_deref(),
        }
    }
}
