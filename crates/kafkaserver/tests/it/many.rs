//! Many connections, many partitions.

use std::collections::HashSet;

use kafka_protocol::messages::{
    ApiVersionsRequest, MetadataRequest, ProduceRequest, metadata_request::MetadataRequestTopic,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::support::*;

const CONNECTIONS: i32 = 200;
const REQUESTS: i32 = 30;

/// 200 connections, each with all its requests under way at once.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_hundred_connections_write_at_once() {
    let server = Server::start().await;
    server.client().await.create("t", 4, &[]).await;
    let address = server.address;
    let writers = (0..CONNECTIONS).map(|writer| {
        tokio::spawn(async move {
            let mut client = Client::connect(address).await;
            let mut all = Vec::new();
            for number in 0..REQUESTS {
                let value = format!("{writer}-{number}");
                all.extend(frame(9, number, &produce_request("t", writer % 4, batch(&[&value]))));
            }
            client.stream.write_all(&all).await.unwrap();
            for number in 0..REQUESTS {
                let done = client.receive::<ProduceRequest>(9, number).await;
                assert_eq!(done.responses[0].partition_responses[0].error_code, 0);
            }
        })
    });
    for writer in writers.collect::<Vec<_>>() {
        writer.await.unwrap();
    }
    let mut client = server.client().await;
    let mut seen = HashSet::new();
    for partition in 0..4 {
        let values = client.values("t", partition, true).await;
        let mut next = std::collections::HashMap::new();
        for value in &values {
            let (writer, number) = value.split_once('-').unwrap();
            let expected: &mut i32 = next.entry(writer.to_owned()).or_default();
            assert_eq!(number.parse(), Ok(*expected), "a writer's records keep their order");
            *expected += 1;
        }
        seen.extend(values);
    }
    assert_eq!(seen.len(), usize::try_from(CONNECTIONS * REQUESTS).unwrap());
    server.stop().await;
}

#[tokio::test]
async fn connections_over_the_limit_are_closed() {
    let server = Server::start_with(|settings| settings.connections_max = 2).await;
    let (mut one, mut two) = (server.client().await, server.client().await);
    for client in [&mut one, &mut two] {
        client.ask(4, &ApiVersionsRequest::default()).await;
    }
    let mut three = server.client().await;
    assert_eq!(three.stream.read(&mut [0; 1]).await.unwrap_or(0), 0);
    drop(one);
    // The place is free again as soon as the server has noticed.
    loop {
        let mut four = server.client().await;
        let _ = four.stream.write_all(&frame(4, 1, &ApiVersionsRequest::default())).await;
        if four.answer().await.is_some() {
            break;
        }
    }
    two.ask(4, &ApiVersionsRequest::default()).await;
}

#[tokio::test]
async fn ten_thousand_partitions() {
    let server = Server::start().await;
    let mut client = server.client().await;
    for topic in 0..10 {
        assert_eq!(client.create(&format!("t{topic}"), 1_000, &[]).await, 0);
    }
    let all = client.ask(12, &MetadataRequest::default().with_topics(None)).await;
    assert_eq!(all.topics.iter().map(|topic| topic.partitions.len()).sum::<usize>(), 10_001);
    let wanted = MetadataRequestTopic::default().with_name(Some(name("t3")));
    let one = client.ask(12, &MetadataRequest::default().with_topics(Some(vec![wanted]))).await;
    assert_eq!(one.topics[0].partitions.len(), 1_000);
    // One fetch over all of them; the last partition gets something while it waits.
    let mut request = fetch_request("t0", 0, 0).with_session_epoch(0).with_max_wait_ms(60_000).with_min_bytes(1);
    let partition = request.topics[0].partitions[0].clone();
    request.topics = (0..10)
        .map(|topic| {
            let partitions = (0..1_000).map(|number| partition.clone().with_partition(number)).collect();
            fetch_request(&format!("t{topic}"), 0, 0).topics.remove(0).with_partitions(partitions)
        })
        .collect();
    let waiting = client.send(12, &request).await;
    let mut writer = server.client().await;
    assert_eq!(writer.produce("t9", 999, batch(&["a"])).await.error_code, 0);
    let response = client.receive::<kafka_protocol::messages::FetchRequest>(12, waiting).await;
    let with_records = response.responses.iter().flat_map(|topic| &topic.partitions);
    let with_records = with_records.filter(|p| p.records.as_ref().is_some_and(|records| !records.is_empty()));
    assert_eq!(with_records.map(|p| p.partition_index).collect::<Vec<_>>(), [999]);
    server.stop().await;
}
