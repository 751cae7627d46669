//! Produce: record batches are checked, handed to the log as they are, and acknowledged when they are durable.
//!
//! Each partition's batch is a commit of its own, as clients expect: one may fail and the others stand. The log makes
//! all that wait durable with one sync.

use bytes::Bytes;
use kafka_protocol::{
    error::ResponseError,
    messages::{
        ProduceRequest, ProduceResponse, TopicName,
        produce_request::TopicProduceData,
        produce_response::{PartitionProduceResponse, TopicProduceResponse},
    },
};
use recordlog::{
    Append, Appended, Commit, CommitTicket, LogError, Offset, RecordLog, TopicPartition,
    batch::{BatchError, BatchHeader, Compression},
};
use uuid::Uuid;

use super::{Api, Reply, partition_of};
use crate::{
    auth::{Operation, Resource},
    call::{Call, text},
    error::Failure,
    wire::shape::{
        Field,
        Kind::{Array, Blob, Fixed, Text},
        all, between, from,
    },
};

/// The first version whose clients know zstd.
const ZSTD_FROM_VERSION: i16 = 7;

/// See the module.
pub(crate) struct Produce;

/// A partition's batch on its way.
struct Sent {
    index: i32,
    outcome: Result<(TopicPartition, CommitTicket), Failure>,
}

/// A topic's batches on their way.
struct SentTopic {
    name: TopicName,
    id: Uuid,
    partitions: Vec<Sent>,
}

impl Api for Produce {
    type Request = ProduceRequest;
    type Response = ProduceResponse;
    const KEY: i16 = 0;
    const VERSIONS: (i16, i16) = (3, 12);
    const FIELDS: &'static [Field] = &[
        all(Text),
        all(Fixed(2)),
        all(Fixed(4)),
        all(Array(&[between(0, 12, Text), from(13, Fixed(16)), all(Array(&[all(Fixed(4)), all(Blob)]))])),
    ];

    async fn handle(call: &Call, request: ProduceRequest) -> Reply<ProduceResponse> {
        let acks = request.acks;
        let refused = check_request(call, &request).err();
        let send = |topic: TopicProduceData| match &refused {
            Some(failure) => refuse(topic, failure),
            None => send(call, topic),
        };
        let sent: Vec<SentTopic> = request.topic_data.into_iter().map(send).collect();
        if acks == 0 && refused.is_none() {
            return Reply::Nothing;
        }
        let broker = call.broker.clone();
        Reply::Later(Box::pin(async move {
            let mut responses = Vec::with_capacity(sent.len());
            for topic in sent {
                let mut partitions = Vec::with_capacity(topic.partitions.len());
                for partition in topic.partitions {
                    let done = match partition.outcome {
                        Ok((place, ticket)) => settle(ticket).await.map(|appended| {
                            let start = broker.log.ends(&place).map_or(-1, |ends| ends.start);
                            (appended, start)
                        }),
                        Err(failure) => Err(failure),
                    };
                    partitions.push(answer(partition.index, done));
                }
                let response = TopicProduceResponse::default().with_name(topic.name).with_topic_id(topic.id);
                responses.push(response.with_partition_responses(partitions));
            }
            ProduceResponse::default().with_responses(responses)
        }))
    }
}

fn check_request(call: &Call, request: &ProduceRequest) -> Result<(), Failure> {
    if !matches!(request.acks, -1..=1) {
        let message = format!("acks can be -1, 0 or 1, not {}", request.acks);
        return Err(Failure::new(ResponseError::InvalidRequiredAcks, message));
    }
    match &request.transactional_id {
        Some(id) => call.authorize(Operation::Write, Resource::Transaction(id.as_str())),
        None => Ok(()),
    }
}

fn refuse(topic: TopicProduceData, failure: &Failure) -> SentTopic {
    let partitions = topic.partition_data.iter();
    let partitions = partitions.map(|data| Sent { index: data.index, outcome: Err(failure.clone()) }).collect();
    SentTopic { name: topic.name, id: topic.topic_id, partitions }
}

fn send(call: &Call, topic: TopicProduceData) -> SentTopic {
    let allowed = call.authorize_change(Operation::Write, topic.name.as_str());
    let mut partitions = Vec::with_capacity(topic.partition_data.len());
    for data in topic.partition_data {
        let sent = allowed.clone().and_then(|()| {
            let place = partition_of(topic.name.as_str(), data.index)?;
            let batch = data.records.unwrap_or_default();
            let header = check_batch(&batch, call.version())?;
            let ticket = append(call, &place, batch, &header)?;
            Ok((place, ticket))
        });
        partitions.push(Sent { index: data.index, outcome: sent });
    }
    SentTopic { name: topic.name, id: topic.topic_id, partitions }
}

/// Hand a batch to the log; one that belongs to a transaction, only while that is open.
fn append(call: &Call, place: &TopicPartition, batches: Bytes, header: &BatchHeader) -> Result<CommitTicket, Failure> {
    let commit = Commit::of(vec![Append { partition: place.clone(), batches: batches.into() }]);
    let log = &call.broker.log;
    if header.is_transactional() {
        let (id, epoch) = (header.producer_id, header.producer_epoch);
        return call.broker.transactions.while_open(id, epoch, place, || log.commit(commit));
    }
    Ok(log.commit(commit))
}

/// What clients may send: one batch, of format v2, without marks of their own. The log checks the rest.
fn check_batch(batch: &[u8], version: i16) -> Result<BatchHeader, Failure> {
    let invalid = |message: &str| Failure::new(ResponseError::InvalidRecord, message);
    if batch.is_empty() {
        return Err(invalid("there is no record batch"));
    }
    let header = BatchHeader::parse(batch).map_err(|error| match error {
        BatchError::Magic(magic @ (0 | 1)) => {
            let message =
                format!("records of message format v{magic} are not taken, only of v2 (Kafka 0.11 and later)");
            Failure::new(ResponseError::UnsupportedForMessageFormat, message)
        }
        other => Failure::new(ResponseError::CorruptMessage, other.to_string()),
    })?;
    if header.length != batch.len() {
        return Err(invalid("there is more than one record batch for the partition"));
    }
    if header.is_control() {
        return Err(invalid("clients do not write control batches"));
    }
    if header.is_transactional() && header.producer_id < 0 {
        return Err(invalid("a batch of a transaction has no producer id"));
    }
    if version < ZSTD_FROM_VERSION && matches!(header.compression(), Ok(Compression::Zstd)) {
        let message = "zstd is for Produce requests of version 7 and later";
        return Err(Failure::new(ResponseError::UnsupportedCompressionType, message));
    }
    Ok(header)
}

async fn settle(ticket: CommitTicket) -> Result<Appended, Failure> {
    let appended = ticket.await.map_err(|_| LogError::Closed)??;
    appended.first().copied().ok_or_else(|| ResponseError::UnknownServerError.into())
}

fn answer(index: i32, done: Result<(Appended, Offset), Failure>) -> PartitionProduceResponse {
    let response = PartitionProduceResponse::default().with_index(index).with_error_message(None);
    match done {
        Ok((appended, start)) => response
            .with_base_offset(appended.base_offset)
            .with_log_append_time_ms(appended.append_time_ms)
            .with_log_start_offset(start),
        Err(failure) => response
            .with_error_code(failure.code())
            .with_base_offset(-1)
            .with_error_message(Some(text(&failure.message))),
    }
}

#[cfg(test)]
mod tests {
    use recordlog::batch::BatchBuilder;

    use super::*;

    #[test]
    fn what_clients_may_not_send_is_refused() {
        let batch = |change: fn(&mut BatchBuilder)| {
            let mut builder = BatchBuilder::new();
            change(&mut builder);
            builder.push(None, Some(b"v"), 1, &[]).expect("fits");
            builder.finish(Compression::None).expect("is whole").to_vec()
        };
        let check = |bytes: &[u8], expect: Option<ResponseError>| {
            assert_eq!(check_batch(bytes, 9).err().map(|failure| failure.error), expect);
        };
        let plain = batch(|_| {});
        check(&plain, None);
        check(&[], Some(ResponseError::InvalidRecord));
        check(&[plain.clone(), plain.clone()].concat(), Some(ResponseError::InvalidRecord));
        check(plain.get(..30).unwrap_or_default(), Some(ResponseError::CorruptMessage));
        check(&batch(|b| b.set_control(true)), Some(ResponseError::InvalidRecord));
        check(&batch(|b| b.set_transactional(true)), Some(ResponseError::InvalidRecord));
        let mut old = plain;
        if let Some(magic) = old.get_mut(16) {
            *magic = 1;
        }
        check(&old, Some(ResponseError::UnsupportedForMessageFormat));
    }
}
