//! DescribeTopicPartitions: as Metadata, in pages.

use kafka_protocol::{
    error::ResponseError,
    messages::{
        BrokerId, DescribeTopicPartitionsRequest, DescribeTopicPartitionsResponse, TopicName,
        describe_topic_partitions_response::{
            Cursor, DescribeTopicPartitionsResponsePartition, DescribeTopicPartitionsResponseTopic,
        },
    },
};
use recordlog::{RecordLog, Topic};
use uuid::Uuid;

use super::{Api, Reply};
use crate::{
    auth::{Operation, Resource},
    broker::{BROKER_ID, LEADER_EPOCH, is_internal_topic},
    call::{Call, text},
    wire::shape::{
        Field,
        Kind::{Array, Fixed, Maybe, Text},
        all,
    },
};

/// Most partitions in one answer.
const PARTITIONS_MAX: usize = 2_000;

/// See the module.
pub(crate) struct DescribeTopicPartitions;

impl Api for DescribeTopicPartitions {
    type Request = DescribeTopicPartitionsRequest;
    type Response = DescribeTopicPartitionsResponse;
    const KEY: i16 = 75;
    const VERSIONS: (i16, i16) = (0, 0);
    const FIELDS: &'static [Field] =
        &[all(Array(&[all(Text)])), all(Fixed(4)), all(Maybe(&[all(Text), all(Fixed(4))]))];

    async fn handle(call: &Call, request: DescribeTopicPartitionsRequest) -> Reply<DescribeTopicPartitionsResponse> {
        let mut names: Vec<String> = match request.topics.is_empty() {
            true => call.broker.log.topics().iter().map(|topic| topic.name.to_string()).collect(),
            false => request.topics.iter().map(|topic| topic.name.to_string()).collect(),
        };
        names.sort_unstable();
        names.dedup();
        let (first_topic, mut first_partition) = match &request.cursor {
            Some(cursor) => (cursor.topic_name.to_string(), u32::try_from(cursor.partition_index).unwrap_or(0)),
            None => (String::new(), 0),
        };
        let limit = usize::try_from(request.response_partition_limit).unwrap_or(0).clamp(1, PARTITIONS_MAX);
        let mut left = limit;
        let mut response = DescribeTopicPartitionsResponse::default().with_next_cursor(None);
        for name in names.iter().filter(|name| **name >= first_topic) {
            let from = if *name == first_topic { std::mem::take(&mut first_partition) } else { 0 };
            if left == 0 {
                let cursor = Cursor::default().with_topic_name(TopicName(text(name))).with_partition_index(0);
                response.next_cursor = Some(cursor);
                break;
            }
            let known = call.broker.log.topic(name);
            let Some(topic) = known.filter(|_| call.may(Operation::Describe, Resource::Topic(name))) else {
                if !request.topics.is_empty() {
                    response.topics.push(unknown(call, name));
                }
                continue;
            };
            let shown = describe(&topic, from, left);
            left -= shown.partitions.len();
            let next = usize::try_from(from).unwrap_or(usize::MAX).saturating_add(shown.partitions.len());
            response.topics.push(shown);
            if next < usize::try_from(topic.config.partitions).unwrap_or(usize::MAX) {
                let next = i32::try_from(next).unwrap_or(i32::MAX);
                let cursor = Cursor::default().with_topic_name(TopicName(text(name))).with_partition_index(next);
                response.next_cursor = Some(cursor);
                break;
            }
        }
        Reply::from(response)
    }
}

fn unknown(call: &Call, name: &str) -> DescribeTopicPartitionsResponseTopic {
    let error = match call.may(Operation::Describe, Resource::Topic(name)) {
        true => ResponseError::UnknownTopicOrPartition,
        false => ResponseError::TopicAuthorizationFailed,
    };
    DescribeTopicPartitionsResponseTopic::default().with_error_code(error.code()).with_name(Some(TopicName(text(name))))
}

fn describe(topic: &Topic, from: u32, count_max: usize) -> DescribeTopicPartitionsResponseTopic {
    let numbers = (from..topic.config.partitions).take(count_max).filter_map(|number| i32::try_from(number).ok());
    let partition = |number| {
        DescribeTopicPartitionsResponsePartition::default()
            .with_partition_index(number)
            .with_leader_id(BrokerId(BROKER_ID))
            .with_leader_epoch(LEADER_EPOCH)
            .with_replica_nodes(vec![BrokerId(BROKER_ID)])
            .with_isr_nodes(vec![BrokerId(BROKER_ID)])
            .with_eligible_leader_replicas(Some(Vec::new()))
            .with_last_known_elr(Some(Vec::new()))
    };
    DescribeTopicPartitionsResponseTopic::default()
        .with_name(Some(TopicName(text(&topic.name))))
        .with_topic_id(Uuid::from_u128(topic.id))
        .with_is_internal(is_internal_topic(&topic.name))
        .with_partitions(numbers.map(partition).collect())
}
