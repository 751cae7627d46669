//! DeleteRecords: forget what lies before an offset.

use kafka_protocol::messages::{
    DeleteRecordsRequest, DeleteRecordsResponse,
    delete_records_response::{DeleteRecordsPartitionResult, DeleteRecordsTopicResult},
};
use recordlog::{Offset, RecordLog, TopicPartition};

use super::{Api, Reply};
use crate::{
    auth::Operation,
    call::Call,
    error::Failure,
    wire::shape::{
        Field,
        Kind::{Array, Fixed, Text},
        all,
    },
};

/// The offset that stands for the end.
const TO_THE_END: i64 = -1;

/// See the module.
pub(crate) struct DeleteRecords;

impl Api for DeleteRecords {
    type Request = DeleteRecordsRequest;
    type Response = DeleteRecordsResponse;
    const KEY: i16 = 21;
    const VERSIONS: (i16, i16) = (0, 2);
    const FIELDS: &'static [Field] =
        &[all(Array(&[all(Text), all(Array(&[all(Fixed(4)), all(Fixed(8))]))])), all(Fixed(4))];

    async fn handle(call: &Call, request: DeleteRecordsRequest) -> Reply<DeleteRecordsResponse> {
        let mut topics = Vec::with_capacity(request.topics.len());
        for topic in request.topics {
            let mut partitions = Vec::with_capacity(topic.partitions.len());
            for partition in &topic.partitions {
                let result = DeleteRecordsPartitionResult::default().with_partition_index(partition.partition_index);
                let deleted = delete(call, topic.name.as_str(), partition.partition_index, partition.offset).await;
                partitions.push(match deleted {
                    Ok(start) => result.with_low_watermark(start),
                    Err(failure) => result.with_low_watermark(-1).with_error_code(failure.code()),
                });
            }
            topics.push(DeleteRecordsTopicResult::default().with_name(topic.name).with_partitions(partitions));
        }
        Reply::from(DeleteRecordsResponse::default().with_topics(topics))
    }
}

async fn delete(call: &Call, topic: &str, partition: i32, before: i64) -> Result<Offset, Failure> {
    call.authorize_change(Operation::Delete, topic)?;
    let partition = super::partition_of(topic, partition)?;
    let log = &call.broker.log;
    let end = log.ends(&partition)?.end;
    let before = if before == TO_THE_END { end } else { before };
    log.delete_records(&partition, before).await?;
    Ok(start_of(call, &partition)?)
}

fn start_of(call: &Call, partition: &TopicPartition) -> Result<Offset, recordlog::LogError> {
    call.broker.log.ends(partition).map(|ends| ends.start)
}
