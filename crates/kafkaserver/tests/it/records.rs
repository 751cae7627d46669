//! Producing and fetching.

use bytes::Bytes;
use kafka_protocol::{
    messages::{
        ApiVersionsRequest, DeleteRecordsRequest, FetchRequest, MetadataRequest, ProduceRequest,
        delete_records_request::{DeleteRecordsPartition, DeleteRecordsTopic},
    },
    protocol::{Decodable, HeaderVersion, Request},
};
use tokio::io::AsyncWriteExt;

use crate::support::*;

/// Kafka's codes.
const OFFSET_OUT_OF_RANGE: i16 = 1;
const CORRUPT_MESSAGE: i16 = 2;
const UNKNOWN_TOPIC_OR_PARTITION: i16 = 3;
const MESSAGE_TOO_LARGE: i16 = 10;
const INVALID_REQUIRED_ACKS: i16 = 21;
const TOPIC_AUTHORIZATION_FAILED: i16 = 29;
const UNSUPPORTED_FOR_MESSAGE_FORMAT: i16 = 43;
const OUT_OF_ORDER_SEQUENCE_NUMBER: i16 = 45;
const INVALID_RECORD: i16 = 87;
const INVALID_FETCH_SESSION_EPOCH: i16 = 71;
const FETCH_SESSION_ID_NOT_FOUND: i16 = 70;

#[tokio::test]
async fn what_is_produced_is_fetched_byte_by_byte() {
    let server = Server::start().await;
    let mut client = server.client().await;
    assert_eq!(client.create("t", 2, &[]).await, 0);
    let done = client.produce("t", 1, batch(&["a", "b"])).await;
    assert_eq!((done.error_code, done.base_offset, done.log_append_time_ms, done.log_start_offset), (0, 0, -1, 0));
    let sent = batch(&["c"]);
    assert_eq!(client.produce("t", 1, sent.clone()).await.base_offset, 2);
    let data = client.fetch("t", 1, 2).await.responses.remove(0).partitions.remove(0);
    assert_eq!((data.high_watermark, data.last_stable_offset, data.log_start_offset), (3, 3, 0));
    let got = data.records.unwrap();
    // All but base offset and leader epoch is as it came.
    assert_eq!((&got[..8], &got[8..12], &got[16..]), (&2_i64.to_be_bytes()[..], &sent[8..12], &sent[16..]));
    assert_eq!(client.values("t", 1, false).await, ["a", "b", "c"]);
    assert_eq!(client.values("t", 0, false).await, [""; 0]);

    let server = server.power_loss().await;
    assert_eq!(server.client().await.values("t", 1, false).await, ["a", "b", "c"], "acknowledged is durable");
}

#[tokio::test]
async fn what_cannot_be_taken_is_refused_with_words() {
    let server = Server::start().await;
    let mut client = server.client().await;
    client.create("t", 1, &[("max.message.bytes", "200")]).await;
    client.create("compacted", 1, &[("cleanup.policy", "compact")]).await;
    let mut check = async |topic: &str, partition, batch: Bytes, code: i16, words: &str| {
        let done = client.produce(topic, partition, batch).await;
        let message = done.error_message.unwrap_or_default();
        assert_eq!((done.error_code, done.base_offset), (code, -1), "{message:?}");
        assert!(message.contains(words), "{message:?} has {words:?}");
    };
    let changed = |at: usize, byte: u8| {
        let mut bytes = batch(&["a"]).to_vec();
        bytes[at] = byte;
        Bytes::from(bytes)
    };
    check("typo", 0, batch(&["a"]), UNKNOWN_TOPIC_OR_PARTITION, "topic typo does not exist").await;
    check("t", 7, batch(&["a"]), UNKNOWN_TOPIC_OR_PARTITION, "t-7").await;
    check("t", -7, batch(&["a"]), UNKNOWN_TOPIC_OR_PARTITION, "-7").await;
    check("t", 0, Bytes::new(), INVALID_RECORD, "no record batch").await;
    check("t", 0, changed(16, 0), UNSUPPORTED_FOR_MESSAGE_FORMAT, "v0 are not taken, only of v2").await;
    check("t", 0, changed(16, 1), UNSUPPORTED_FOR_MESSAGE_FORMAT, "v1 are not taken, only of v2").await;
    check("t", 0, changed(63, 9), CORRUPT_MESSAGE, "checksum").await;
    check("t", 0, batch(&["a"]).slice(..40), CORRUPT_MESSAGE, "40 bytes where").await;
    check("t", 0, batch(&[&"x".repeat(200)]), MESSAGE_TOO_LARGE, "max.message.bytes").await;
    check("compacted", 0, batch(&["a"]), INVALID_RECORD, "need a key").await;
    check("_millstream-kafka", 0, batch(&["a"]), TOPIC_AUTHORIZATION_FAILED, "the engine's own").await;
    assert_eq!(client.offset_at("t", 0, -1, false).await, (0, 0), "nothing was written");
    let response = client.ask(9, &produce_request("t", 0, batch(&["a"])).with_acks(2)).await;
    assert_eq!(response.responses[0].partition_responses[0].error_code, INVALID_REQUIRED_ACKS);
}

#[tokio::test]
async fn a_producer_with_an_id_is_deduplicated() {
    let server = Server::start().await;
    let mut client = server.client().await;
    client.create("t", 1, &[]).await;
    let sent = |sequence, value| batch_of(Some((9, 0, sequence, false)), &[value]);
    assert_eq!(client.produce("t", 0, sent(0, "a")).await.base_offset, 0);
    assert_eq!(client.produce("t", 0, sent(1, "b")).await.base_offset, 1);
    assert_eq!(client.produce("t", 0, sent(0, "a")).await.base_offset, 0, "the same again is the same");
    assert_eq!(client.produce("t", 0, sent(5, "f")).await.error_code, OUT_OF_ORDER_SEQUENCE_NUMBER);
    assert_eq!(client.values("t", 0, false).await, ["a", "b"]);
}

#[tokio::test]
async fn requests_are_answered_in_order_however_many_are_under_way() {
    let server = Server::start().await;
    let mut client = server.client().await;
    client.create("t", 1, &[]).await;
    let mut all = Vec::new();
    for id in 0..300 {
        match id % 3 {
            0 => all.extend(frame(9, 1000 + id, &produce_request("t", 0, batch(&[&id.to_string()])))),
            1 => all.extend(frame(12, 1000 + id, &MetadataRequest::default())),
            // This one wants no answer.
            _ => all.extend(frame(9, 1000 + id, &produce_request("t", 0, batch(&[&id.to_string()])).with_acks(0))),
        }
    }
    client.stream.write_all(&all).await.unwrap();
    for id in (0..300).filter(|id| id % 3 != 2) {
        if id % 3 == 0 {
            let done = client.receive::<ProduceRequest>(9, 1000 + id).await;
            assert_eq!(done.responses[0].partition_responses[0].error_code, 0);
        } else {
            client.receive::<MetadataRequest>(12, 1000 + id).await;
        }
    }
    let expected: Vec<String> = (0..300).filter(|id| id % 3 != 1).map(|id| id.to_string()).collect();
    let mut values = client.values("t", 0, false).await;
    while values.len() < expected.len() {
        values = client.values("t", 0, false).await;
    }
    assert_eq!(values, expected);
}

#[tokio::test]
async fn a_fetch_waits_for_records() {
    let server = Server::start().await;
    let (mut reader, mut writer) = (server.client().await, server.client().await);
    writer.create("t", 1, &[]).await;
    let patient = fetch_request("t", 0, 0).with_max_wait_ms(60_000).with_min_bytes(100);
    let id = reader.send(12, &patient).await;
    // Too little to answer, then enough.
    writer.produce("t", 0, batch(&["a"])).await;
    writer.produce("t", 0, batch(&["b"])).await;
    let response = reader.receive::<FetchRequest>(12, id).await;
    let records = response.responses[0].partitions[0].records.clone().unwrap();
    assert_eq!(batches(&records).len(), 2);
    // With nothing new it comes back when its time is over.
    let response = reader.ask(12, &fetch_request("t", 0, 2).with_max_wait_ms(30).with_min_bytes(1)).await;
    assert!(response.responses[0].partitions[0].records.as_ref().is_none_or(Bytes::is_empty));
    // An error does not wait.
    for (topic, offset, code) in [("typo", 0, UNKNOWN_TOPIC_OR_PARTITION), ("t", 77, OFFSET_OUT_OF_RANGE)] {
        let request = fetch_request(topic, 0, offset).with_max_wait_ms(60_000).with_min_bytes(1);
        let response = reader.ask(12, &request).await;
        assert_eq!(response.responses[0].partitions[0].error_code, code);
    }
    // A client that goes away while it waits is not waited for.
    reader.send(12, &patient.with_topics(fetch_request("t", 0, 2).topics)).await;
    drop(reader);
    server.stop().await;
}

#[tokio::test]
async fn limits_of_a_fetch_hold_and_every_partition_has_its_turn() {
    let server = Server::start().await;
    let mut client = server.client().await;
    client.create("t", 3, &[]).await;
    for partition in 0..3 {
        for _ in 0..5 {
            client.produce("t", partition, batch(&[&"x".repeat(100)])).await;
        }
    }
    let size = i32::try_from(batch(&[&"x".repeat(100)]).len()).unwrap();
    let all = |partition_bytes: i32, bytes: i32| {
        let mut request = fetch_request("t", 0, 0).with_max_bytes(bytes);
        let mut first = request.topics[0].partitions[0].clone().with_partition_max_bytes(partition_bytes);
        request.topics[0].partitions.clear();
        for partition in 0..3 {
            first.partition = partition;
            request.topics[0].partitions.push(first.clone());
        }
        request
    };
    let counts = |response: &kafka_protocol::messages::FetchResponse| {
        let partitions = response.responses[0].partitions.iter();
        let mut counts: Vec<(i32, usize)> =
            partitions.map(|p| (p.partition_index, batches(p.records.as_ref().unwrap()).len())).collect();
        counts.sort_unstable();
        counts.into_iter().map(|(_, count)| count).collect::<Vec<_>>()
    };
    assert_eq!(counts(&client.ask(12, &all(1 << 20, 1 << 20)).await), [5, 5, 5]);
    assert_eq!(counts(&client.ask(12, &all(size * 2, 1 << 20)).await), [2, 2, 2]);
    assert_eq!(counts(&client.ask(12, &all(1, 1)).await), [1, 0, 0], "one batch comes even if it is too large");
    // In a session the next answer begins with the next partition.
    let begun = client.ask(12, &all(1, 1).with_session_epoch(0)).await;
    assert_eq!(counts(&begun), [1, 0, 0]);
    let next = FetchRequest::default().with_max_bytes(1).with_session_id(begun.session_id).with_session_epoch(1);
    let response = client.ask(12, &next).await;
    assert_eq!(response.responses[0].partitions.len(), 1, "only news");
    assert_eq!(response.responses[0].partitions[0].partition_index, 1);
    let response = client.ask(12, &next.clone().with_session_epoch(9)).await;
    assert_eq!(response.error_code, INVALID_FETCH_SESSION_EPOCH);
    let response = client.ask(12, &next.with_session_id(12345)).await;
    assert_eq!(response.error_code, FETCH_SESSION_ID_NOT_FOUND);
}

#[tokio::test]
async fn topics_can_be_named_by_id() {
    let server = Server::start().await;
    let mut client = server.client().await;
    client.create("t", 1, &[]).await;
    client.produce("t", 0, batch(&["a"])).await;
    let id = uuid::Uuid::from_u128(server.log.topic("t").unwrap().id);
    let mut request = fetch_request("t", 0, 0);
    request.topics[0].topic_id = id;
    let response = client.ask(17, &request).await;
    assert_eq!(response.responses[0].topic_id, id);
    assert_eq!(batches(response.responses[0].partitions[0].records.as_ref().unwrap()).len(), 1);
    request.topics[0].topic_id = uuid::Uuid::from_u128(5);
    let response = client.ask(17, &request).await;
    assert_eq!(response.responses[0].partitions[0].error_code, 100, "there is no topic of that id");
}

#[tokio::test]
async fn offsets_are_found_by_time_and_records_deleted() {
    let server = Server::start().await;
    let mut client = server.client().await;
    client.create("t", 1, &[]).await;
    client.produce("t", 0, batch(&["a", "b", "c"])).await;
    for (time, offset) in [(-2, 0), (-1, 3), (-3, 2), (0, 0), (2, 1), (3, 2), (4, -1)] {
        assert_eq!(client.offset_at("t", 0, time, false).await, (0, offset), "{time}");
    }
    let delete = |offset| {
        let partition = DeleteRecordsPartition::default().with_partition_index(0).with_offset(offset);
        let topic = DeleteRecordsTopic::default().with_name(name("t")).with_partitions(vec![partition]);
        DeleteRecordsRequest::default().with_topics(vec![topic])
    };
    let done = client.ask(2, &delete(2)).await.topics.remove(0).partitions.remove(0);
    assert_eq!((done.error_code, done.low_watermark), (0, 2));
    assert_eq!(client.offset_at("t", 0, -2, false).await, (0, 2));
    let data = client.fetch("t", 0, 1).await.responses.remove(0).partitions.remove(0);
    assert_eq!((data.error_code, data.log_start_offset), (OFFSET_OUT_OF_RANGE, 2));
    let done = client.ask(2, &delete(9)).await.topics.remove(0).partitions.remove(0);
    assert_eq!(done.error_code, OFFSET_OUT_OF_RANGE);
    let done = client.ask(2, &delete(-1)).await.topics.remove(0).partitions.remove(0);
    assert_eq!((done.error_code, done.low_watermark), (0, 3), "-1 is up to the end");
}

#[tokio::test]
async fn times_are_the_logs_where_a_topic_says_so() {
    let server = Server::start().await;
    let mut client = server.client().await;
    client.create("t", 1, &[("message.timestamp.type", "LogAppendTime")]).await;
    let done = client.produce("t", 0, batch(&["a"])).await;
    assert_eq!(done.log_append_time_ms, BEGIN_MS);
    let data = client.fetch("t", 0, 0).await.responses.remove(0).partitions.remove(0);
    let bytes = data.records.unwrap();
    assert_eq!(batches(&bytes)[0].header().max_timestamp, BEGIN_MS);
}

#[tokio::test]
async fn what_has_an_answer_coming_gets_it_when_the_server_stops() {
    let server = Server::start().await;
    let mut client = server.client().await;
    client.create("t", 1, &[]).await;
    client.ask(3, &ApiVersionsRequest::default()).await;
    let id = client.send(9, &produce_request("t", 0, batch(&["a"]))).await;
    let id_2 = client.send(9, &produce_request("t", 0, batch(&["b"]))).await;
    server.stop().await;
    // It may have been stopped before it read them, but what it answers it answers in order.
    for expected in [id, id_2] {
        let Some(mut body) = client.answer().await else { break };
        let header = <ProduceRequest as Request>::Response::header_version(9);
        let header = kafka_protocol::messages::ResponseHeader::decode(&mut body, header).unwrap();
        assert_eq!(header.correlation_id, expected);
    }
}
