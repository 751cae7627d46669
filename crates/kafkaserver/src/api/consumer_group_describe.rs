//! ConsumerGroupDescribe: groups of the consumer protocol (KIP-848).

use std::collections::HashMap;

use kafka_protocol::{
    error::ResponseError,
    messages::{
        ConsumerGroupDescribeRequest, ConsumerGroupDescribeResponse, GroupId, TopicName,
        consumer_group_describe_response::{Assignment, DescribedGroup, Member, TopicPartitions},
    },
};
use uuid::Uuid;

use super::{Api, Reply, once};
use crate::{
    auth::{Operation, Resource},
    call::{Call, text},
    error::Failure,
    group::{
        Kind,
        consumer::{self, Consumer, Parts},
    },
    wire::shape::{
        Field,
        Kind::{Fixed, List, Text},
        all,
    },
};

/// A member of the consumer protocol.
const TYPE_CONSUMER: i8 = 1;
/// One of the classic protocol, while a group's members move from one to the other.
const TYPE_CLASSIC: i8 = 0;

/// See the module.
pub(crate) struct ConsumerGroupDescribe;

impl Api for ConsumerGroupDescribe {
    type Request = ConsumerGroupDescribeRequest;
    type Response = ConsumerGroupDescribeResponse;
    const KEY: i16 = 69;
    const VERSIONS: (i16, i16) = (0, 1);
    const FIELDS: &'static [Field] = &[all(List(&Text)), all(Fixed(1))];

    async fn handle(call: &Call, request: ConsumerGroupDescribeRequest) -> Reply<ConsumerGroupDescribeResponse> {
        let group = |id: GroupId| {
            let described = describe(call, &id).unwrap_or_else(|failure| {
                DescribedGroup::default()
                    .with_error_code(failure.code())
                    .with_error_message(Some(text(&failure.message)))
            });
            described.with_group_id(id)
        };
        let groups = once(request.group_ids, GroupId::clone).map(group).collect();
        Reply::from(ConsumerGroupDescribeResponse::default().with_groups(groups))
    }
}

fn describe(call: &Call, id: &str) -> Result<DescribedGroup, Failure> {
    call.authorize(Operation::Describe, Resource::Group(id))?;
    let none = |words: &str| Failure::new(ResponseError::GroupIdNotFound, format!("group {id} {words}"));
    let described = call.broker.groups.with(id, |state| match state.kind {
        Kind::Classic => Err(none("is of the classic protocol")),
        Kind::Consumer => {
            let group = &state.consumer;
            for name in group.subscribed() {
                call.authorize(Operation::Describe, Resource::Topic(&name))?;
            }
            Ok(of(group))
        }
    });
    described.unwrap_or_else(|| Err(none("does not exist")))
}

fn of(group: &Consumer) -> DescribedGroup {
    let names = group.names_by_id();
    let member = |(id, member): (&String, &consumer::Member)| {
        let subscribed = member.about.names.iter().map(|name| TopicName(text(name))).collect();
        Member::default()
            .with_member_id(text(id))
            .with_instance_id(member.about.instance.as_deref().map(text))
            .with_rack_id(member.about.rack.as_deref().map(text))
            .with_member_epoch(member.epoch)
            .with_client_id(text(&member.about.client_id))
            .with_client_host(text(&member.about.client_host))
            .with_subscribed_topic_names(subscribed)
            .with_subscribed_topic_regex(member.about.pattern.as_deref().map(text))
            .with_assignment(assignment(&member.assigned, &names))
            .with_target_assignment(assignment(&member.target, &names))
            .with_member_type(if member.about.classic.is_some() { TYPE_CLASSIC } else { TYPE_CONSUMER })
    };
    DescribedGroup::default()
        .with_error_message(None)
        .with_group_state(text(group.phase().name()))
        .with_group_epoch(group.epoch)
        .with_assignment_epoch(group.epoch)
        .with_assignor_name(text(group.assignor.name()))
        .with_members(group.members.iter().map(member).collect())
}

/// Without what is of topics that are no more.
fn assignment(parts: &Parts, names: &HashMap<u128, &str>) -> Assignment {
    let mut topics: Vec<TopicPartitions> = Vec::new();
    for (id, partition) in parts {
        let Some(name) = names.get(id) else { continue };
        let id = Uuid::from_u128(*id);
        match topics.last_mut().filter(|topic| topic.topic_id == id) {
            Some(topic) => topic.partitions.push(*partition),
            None => topics.push(
                TopicPartitions::default()
                    .with_topic_id(id)
                    .with_topic_name(TopicName(text(name)))
                    .with_partitions(vec![*partition]),
            ),
        }
    }
    Assignment::default().with_topic_partitions(topics)
}
