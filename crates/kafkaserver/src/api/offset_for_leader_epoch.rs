//! OffsetForLeaderEpoch: where a leader's records end. There has been one leader, so they end where the log does.

use kafka_protocol::{
    error::ResponseError,
    messages::{
        OffsetForLeaderEpochRequest, OffsetForLeaderEpochResponse,
        offset_for_leader_epoch_request::OffsetForLeaderPartition,
        offset_for_leader_epoch_response::{EpochEndOffset, OffsetForLeaderTopicResult},
    },
};

use super::{Api, Reply, partition_of};
use crate::{
    auth::{Operation, Resource},
    broker::LEADER_EPOCH,
    call::Call,
    error::Failure,
    wire::shape::{
        Field,
        Kind::{Array, Fixed, Text},
        all, from,
    },
};

/// See the module.
pub(crate) struct OffsetForLeaderEpoch;

impl Api for OffsetForLeaderEpoch {
    type Request = OffsetForLeaderEpochRequest;
    type Response = OffsetForLeaderEpochResponse;
    const KEY: i16 = 23;
    const VERSIONS: (i16, i16) = (2, 4);
    const FIELDS: &'static [Field] =
        &[from(3, Fixed(4)), all(Array(&[all(Text), all(Array(&[all(Fixed(4)), all(Fixed(4)), all(Fixed(4))]))]))];

    async fn handle(call: &Call, request: OffsetForLeaderEpochRequest) -> Reply<OffsetForLeaderEpochResponse> {
        let topic = |topic: kafka_protocol::messages::offset_for_leader_epoch_request::OffsetForLeaderTopic| {
            let partition = |partition: &OffsetForLeaderPartition| {
                let end = EpochEndOffset::default().with_partition(partition.partition);
                match end_of(call, topic.topic.as_str(), partition) {
                    Ok((epoch, offset)) => end.with_leader_epoch(epoch).with_end_offset(offset),
                    Err(failure) => end.with_error_code(failure.code()),
                }
            };
            let partitions = topic.partitions.iter().map(partition).collect();
            OffsetForLeaderTopicResult::default().with_topic(topic.topic).with_partitions(partitions)
        };
        let topics = request.topics.into_iter().map(topic).collect();
        Reply::from(OffsetForLeaderEpochResponse::default().with_topics(topics))
    }
}

fn end_of(call: &Call, topic: &str, wanted: &OffsetForLeaderPartition) -> Result<(i32, i64), Failure> {
    call.authorize(Operation::Describe, Resource::Topic(topic))?;
    check_leader_epoch(wanted.current_leader_epoch)?;
    let end = call.broker.log.ends(&partition_of(topic, wanted.partition)?)?.end;
    Ok(if wanted.leader_epoch >= LEADER_EPOCH { (LEADER_EPOCH, end) } else { (-1, -1) })
}

/// An error when the client takes another leader for the current one.
pub(super) fn check_leader_epoch(epoch: i32) -> Result<(), Failure> {
    // Negative: it does not say.
    if epoch > LEADER_EPOCH { Err(ResponseError::UnknownLeaderEpoch.into()) } else { Ok(()) }
}
