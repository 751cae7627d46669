//! ListOffsets: ends of partitions, and offsets for times.

use kafka_protocol::{
    error::ResponseError,
    messages::{
        ListOffsetsRequest, ListOffsetsResponse,
        list_offsets_request::ListOffsetsPartition,
        list_offsets_response::{ListOffsetsPartitionResponse, ListOffsetsTopicResponse},
    },
};
use recordlog::RecordPlace;

use super::{Api, Reply, offset_for_leader_epoch::check_leader_epoch, partition_of};
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

/// Times that stand for something else.
const LATEST: i64 = -1;
const EARLIEST: i64 = -2;
const MAX_TIMESTAMP: i64 = -3;
const EARLIEST_LOCAL: i64 = -4;
const LATEST_TIERED: i64 = -5;
const EARLIEST_PENDING_UPLOAD: i64 = -6;

/// The first version that tells the leader's epoch.
const EPOCH_FROM_VERSION: i16 = 4;

/// See the module.
pub(crate) struct ListOffsets;

impl Api for ListOffsets {
    type Request = ListOffsetsRequest;
    type Response = ListOffsetsResponse;
    const KEY: i16 = 2;
    const VERSIONS: (i16, i16) = (1, 10);
    const FIELDS: &'static [Field] = &[
        all(Fixed(4)),
        from(2, Fixed(1)),
        all(Array(&[all(Text), all(Array(&[all(Fixed(4)), from(4, Fixed(4)), all(Fixed(8))]))])),
        from(10, Fixed(4)),
    ];

    async fn handle(call: &Call, request: ListOffsetsRequest) -> Reply<ListOffsetsResponse> {
        let committed = request.isolation_level == 1;
        let topic = |topic: kafka_protocol::messages::list_offsets_request::ListOffsetsTopic| {
            let partition = |wanted: &ListOffsetsPartition| {
                let found = ListOffsetsPartitionResponse::default().with_partition_index(wanted.partition_index);
                match find(call, topic.name.as_str(), wanted, committed) {
                    Ok(Some(place)) => {
                        let epoch = if call.version() >= EPOCH_FROM_VERSION { LEADER_EPOCH } else { -1 };
                        found.with_offset(place.offset).with_timestamp(place.time_ms).with_leader_epoch(epoch)
                    }
                    Ok(None) => found,
                    Err(failure) => found.with_error_code(failure.code()),
                }
            };
            let partitions = topic.partitions.iter().map(partition).collect();
            ListOffsetsTopicResponse::default().with_name(topic.name).with_partitions(partitions)
        };
        let topics = request.topics.into_iter().map(topic).collect();
        Reply::from(ListOffsetsResponse::default().with_topics(topics))
    }
}

fn find(
    call: &Call,
    topic: &str,
    wanted: &ListOffsetsPartition,
    committed: bool,
) -> Result<Option<RecordPlace>, Failure> {
    call.authorize(Operation::Describe, Resource::Topic(topic))?;
    check_leader_epoch(wanted.current_leader_epoch)?;
    let partition = partition_of(topic, wanted.partition_index)?;
    let log = &call.broker.log;
    let ends = log.ends(&partition)?;
    let end = if committed { ends.stable } else { ends.end };
    let at = |offset| Some(RecordPlace { offset, time_ms: -1 });
    let before_end = |place: &RecordPlace| place.offset < end;
    Ok(match wanted.timestamp {
        LATEST => at(end),
        EARLIEST | EARLIEST_LOCAL => at(ends.start),
        MAX_TIMESTAMP => log.latest_time(&partition)?.filter(before_end),
        LATEST_TIERED | EARLIEST_PENDING_UPLOAD => None,
        time_ms if time_ms >= 0 => log.first_from(&partition, time_ms)?.filter(before_end),
        _ => return Err(ResponseError::UnsupportedVersion.into()),
    })
}
