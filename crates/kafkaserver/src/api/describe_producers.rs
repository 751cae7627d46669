//! DescribeProducers: who writes to a partition.

use kafka_protocol::messages::{
    DescribeProducersRequest, DescribeProducersResponse, ProducerId,
    describe_producers_response::{PartitionResponse, ProducerState, TopicResponse},
};
use recordlog::ActiveProducer;

use super::{Api, Reply, once, partition_of};
use crate::{
    auth::{Operation, Resource},
    call::{Call, text},
    error::Failure,
    wire::shape::{
        Field,
        Kind::{Array, Fixed, List, Text},
        all,
    },
};

/// See the module.
pub(crate) struct DescribeProducers;

impl Api for DescribeProducers {
    type Request = DescribeProducersRequest;
    type Response = DescribeProducersResponse;
    const KEY: i16 = 61;
    const VERSIONS: (i16, i16) = (0, 0);
    const FIELDS: &'static [Field] = &[all(Array(&[all(Text), all(List(&Fixed(4)))]))];

    async fn handle(call: &Call, request: DescribeProducersRequest) -> Reply<DescribeProducersResponse> {
        let topic = |topic: kafka_protocol::messages::describe_producers_request::TopicRequest| {
            let partition = |index: &i32| {
                let response = PartitionResponse::default().with_partition_index(*index).with_error_message(None);
                match producers(call, &topic.name, *index) {
                    Ok(active) => response.with_active_producers(active.into_iter().map(describe).collect()),
                    Err(failure) => {
                        response.with_error_code(failure.code()).with_error_message(Some(text(&failure.message)))
                    }
                }
            };
            let partitions = once(&topic.partition_indexes, |index| **index).map(partition).collect();
            TopicResponse::default().with_name(topic.name).with_partitions(partitions)
        };
        let topics = once(request.topics, |topic| topic.name.clone()).map(topic).collect();
        Reply::from(DescribeProducersResponse::default().with_topics(topics))
    }
}

fn producers(call: &Call, topic: &str, partition: i32) -> Result<Vec<ActiveProducer>, Failure> {
    call.authorize(Operation::Read, Resource::Topic(topic))?;
    Ok(call.broker.log.producers(&partition_of(topic, partition)?)?)
}

fn describe(producer: ActiveProducer) -> ProducerState {
    ProducerState::default()
        .with_producer_id(ProducerId(producer.producer_id))
        .with_producer_epoch(i32::from(producer.epoch))
        .with_last_sequence(producer.last_sequence)
        .with_last_timestamp(producer.last_time_ms)
        .with_coordinator_epoch(0)
        .with_current_txn_start_offset(producer.open_since.unwrap_or(-1))
}
