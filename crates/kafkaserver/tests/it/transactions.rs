//! Transactions of producers, and the engine's own commits beside them.

use kafka_protocol::{
    messages::{
        AddOffsetsToTxnRequest, AddPartitionsToTxnRequest, DescribeProducersRequest, DescribeTransactionsRequest,
        EndTxnRequest, GroupId, InitProducerIdRequest, ListTransactionsRequest, OffsetFetchRequest, ProducerId,
        TransactionalId, TxnOffsetCommitRequest,
        add_partitions_to_txn_request::AddPartitionsToTxnTopic,
        describe_producers_request::TopicRequest,
        offset_fetch_request::{OffsetFetchRequestGroup, OffsetFetchRequestTopics},
        txn_offset_commit_request::{TxnOffsetCommitRequestPartition, TxnOffsetCommitRequestTopic},
    },
    protocol::StrBytes,
};
use recordlog::{Append, Commit, RecordLog, TopicPartition};

use crate::support::*;

const INVALID_PRODUCER_EPOCH: i16 = 47;
const INVALID_TXN_STATE: i16 = 48;
const INVALID_PRODUCER_ID_MAPPING: i16 = 49;
const INVALID_TRANSACTION_TIMEOUT: i16 = 50;
const UNSTABLE_OFFSET_COMMIT: i16 = 88;
const PRODUCER_FENCED: i16 = 90;

fn id() -> TransactionalId {
    TransactionalId(StrBytes::from_static_str("x"))
}

/// A producer: id, epoch, next sequence number.
struct Producer(i64, i16, i32);

async fn begin(client: &mut Client) -> Producer {
    let request =
        InitProducerIdRequest::default().with_transactional_id(Some(id())).with_transaction_timeout_ms(60_000);
    let begun = client.ask(4, &request).await;
    assert_eq!(begun.error_code, 0);
    Producer(begun.producer_id.0, begun.producer_epoch, 0)
}

impl Producer {
    async fn add(&self, client: &mut Client, topic: &str, partitions: &[i32]) -> i16 {
        let topic = AddPartitionsToTxnTopic::default().with_name(name(topic)).with_partitions(partitions.to_vec());
        let request = AddPartitionsToTxnRequest::default()
            .with_v3_and_below_transactional_id(id())
            .with_v3_and_below_producer_id(ProducerId(self.0))
            .with_v3_and_below_producer_epoch(self.1)
            .with_v3_and_below_topics(vec![topic]);
        let added = client.ask(3, &request).await;
        added.results_by_topic_v3_and_below[0].results_by_partition[0].partition_error_code
    }

    async fn produce(&mut self, client: &mut Client, topic: &str, partition: i32, value: &str) -> i16 {
        let batch = batch_of(Some((self.0, self.1, self.2, true)), &[value]);
        let done = client.ask(9, &in_transaction("x", produce_request(topic, partition, batch))).await;
        let code = done.responses[0].partition_responses[0].error_code;
        self.2 += i32::from(code == 0);
        code
    }

    async fn end(&self, client: &mut Client, commits: bool) -> i16 {
        let request = EndTxnRequest::default()
            .with_transactional_id(id())
            .with_producer_id(ProducerId(self.0))
            .with_producer_epoch(self.1)
            .with_committed(commits);
        client.ask(3, &request).await.error_code
    }

    async fn offsets(&self, client: &mut Client, offset: i64) {
        let request = AddOffsetsToTxnRequest::default()
            .with_transactional_id(id())
            .with_producer_id(ProducerId(self.0))
            .with_producer_epoch(self.1)
            .with_group_id(group());
        assert_eq!(client.ask(3, &request).await.error_code, 0);
        let partition =
            TxnOffsetCommitRequestPartition::default().with_partition_index(0).with_committed_offset(offset);
        let topic = TxnOffsetCommitRequestTopic::default().with_name(name("t")).with_partitions(vec![partition]);
        let request = TxnOffsetCommitRequest::default()
            .with_transactional_id(id())
            .with_group_id(group())
            .with_producer_id(ProducerId(self.0))
            .with_producer_epoch(self.1)
            .with_topics(vec![topic]);
        assert_eq!(client.ask(3, &request).await.topics[0].partitions[0].error_code, 0);
    }
}

fn group() -> GroupId {
    GroupId(StrBytes::from_static_str("g"))
}

/// The group's offset in t-0: error, offset.
async fn committed(client: &mut Client) -> (i16, i64) {
    let topic = OffsetFetchRequestTopics::default().with_name(name("t")).with_partition_indexes(vec![0]);
    let wanted = OffsetFetchRequestGroup::default().with_group_id(group()).with_topics(Some(vec![topic]));
    let request = OffsetFetchRequest::default().with_groups(vec![wanted]).with_require_stable(true);
    let found = client.ask(9, &request).await.groups.remove(0).topics.remove(0).partitions.remove(0);
    (found.error_code, found.committed_offset)
}

#[tokio::test]
async fn a_transaction_is_seen_whole_or_not_at_all() {
    let server = Server::start().await;
    let mut client = server.client().await;
    client.create("t", 2, &[]).await;
    client.create("u", 1, &[]).await;
    let mut producer = begin(&mut client).await;
    assert_eq!(producer.produce(&mut client, "t", 0, "no").await, INVALID_TXN_STATE, "not added yet");
    assert_eq!(producer.add(&mut client, "t", &[0, 1]).await, 0);
    assert_eq!(producer.add(&mut client, "u", &[0]).await, 0);
    assert_eq!(producer.produce(&mut client, "t", 0, "a").await, 0);
    producer.2 = 0;
    assert_eq!(producer.produce(&mut client, "u", 0, "b").await, 0);
    producer.offsets(&mut client, 7).await;
    client.produce("t", 0, batch(&["beside"])).await;
    // Read committed stops before the first open transaction, read uncommitted does not.
    assert_eq!(client.values("t", 0, true).await, [""; 0]);
    assert_eq!(client.values("t", 0, false).await, ["a", "beside"]);
    assert_eq!(client.offset_at("t", 0, -1, true).await, (0, 0));
    assert_eq!(client.offset_at("t", 0, -1, false).await, (0, 2));
    assert_eq!(committed(&mut client).await, (UNSTABLE_OFFSET_COMMIT, -1));
    let request = DescribeProducersRequest::default()
        .with_topics(vec![TopicRequest::default().with_name(name("t")).with_partition_indexes(vec![0])]);
    let shown = client.ask(0, &request).await;
    assert_eq!(shown.topics[0].partitions[0].active_producers[0].current_txn_start_offset, 0);
    let listed = client.ask(1, &ListTransactionsRequest::default()).await;
    assert_eq!(&*listed.transaction_states[0].transaction_state, "Ongoing");

    assert_eq!(producer.end(&mut client, true).await, 0);
    assert_eq!(producer.end(&mut client, true).await, 0, "asked again it is the same");
    assert_eq!(producer.end(&mut client, false).await, INVALID_TXN_STATE);
    assert_eq!(client.values("t", 0, true).await, ["a", "beside"]);
    assert_eq!(client.values("u", 0, true).await, ["b"]);
    assert_eq!(committed(&mut client).await, (0, 7));

    // The next one is aborted.
    producer.2 = 1;
    assert_eq!(producer.add(&mut client, "t", &[0]).await, 0);
    assert_eq!(producer.produce(&mut client, "t", 0, "gone").await, 0);
    producer.offsets(&mut client, 9).await;
    assert_eq!(producer.end(&mut client, false).await, 0);
    client.produce("t", 0, batch(&["after"])).await;
    assert_eq!(client.values("t", 0, true).await, ["a", "beside", "after"]);
    assert_eq!(client.values("t", 0, false).await, ["a", "beside", "gone", "after"]);
    assert_eq!(committed(&mut client).await, (0, 7));

    let server = server.power_loss().await;
    let mut client = server.client().await;
    assert_eq!(client.values("t", 0, true).await, ["a", "beside", "after"]);
    assert_eq!(committed(&mut client).await, (0, 7));
}

#[tokio::test]
async fn the_one_that_comes_later_shuts_out_the_one_before() {
    let server = Server::start().await;
    let (mut one, mut two) = (server.client().await, server.client().await);
    one.create("t", 1, &[]).await;
    let mut first = begin(&mut one).await;
    first.add(&mut one, "t", &[0]).await;
    first.produce(&mut one, "t", 0, "zombie").await;
    let mut second = begin(&mut two).await;
    assert_eq!((second.0, second.1 > first.1), (first.0, true));
    assert_eq!(first.produce(&mut one, "t", 0, "late").await, INVALID_PRODUCER_EPOCH);
    assert_eq!(first.end(&mut one, true).await, PRODUCER_FENCED);
    assert_eq!(first.add(&mut one, "t", &[0]).await, PRODUCER_FENCED);
    second.add(&mut two, "t", &[0]).await;
    assert_eq!(second.produce(&mut two, "t", 0, "kept").await, 0);
    assert_eq!(second.end(&mut two, true).await, 0);
    assert_eq!(two.values("t", 0, true).await, ["kept"]);
    let stranger = Producer(first.0 + 500, 0, 0);
    assert_eq!(stranger.end(&mut two, true).await, INVALID_PRODUCER_ID_MAPPING);
    let too_long =
        InitProducerIdRequest::default().with_transactional_id(Some(id())).with_transaction_timeout_ms(i32::MAX);
    assert_eq!(two.ask(4, &too_long).await.error_code, INVALID_TRANSACTION_TIMEOUT);
}

#[tokio::test]
async fn an_open_transaction_survives_a_crash_and_ends_by_its_timeout() {
    let server = Server::start().await;
    let mut client = server.client().await;
    client.create("t", 1, &[]).await;
    let mut producer = begin(&mut client).await;
    producer.add(&mut client, "t", &[0]).await;
    producer.produce(&mut client, "t", 0, "a").await;
    let server = server.power_loss().await;
    let mut client = server.client().await;
    // It goes on as if nothing had been.
    assert_eq!(producer.produce(&mut client, "t", 0, "b").await, 0);
    assert_eq!(producer.end(&mut client, true).await, 0);
    assert_eq!(client.values("t", 0, true).await, ["a", "b"]);
    // One whose producer is silent is aborted.
    producer.add(&mut client, "t", &[0]).await;
    producer.produce(&mut client, "t", 0, "gone").await;
    client.produce("t", 0, batch(&["after"])).await;
    let server = server.power_loss().await;
    let mut client = server.client().await;
    assert_eq!(client.values("t", 0, true).await, ["a", "b"]);
    server.sim.clock.advance_ms(61_000);
    while client.values("t", 0, true).await.len() < 3 {}
    assert_eq!(client.values("t", 0, true).await, ["a", "b", "after"]);
    let code = producer.produce(&mut client, "t", 0, "late").await;
    assert_eq!(code, INVALID_PRODUCER_EPOCH);
    let shown = client.ask(0, &DescribeTransactionsRequest::default().with_transactional_ids(vec![id()])).await;
    assert_eq!(&*shown.transaction_states[0].transaction_state, "CompleteAbort");
}

/// An epoch of the engine is one commit over several topics: who reads committed sees all of it or nothing, and an
/// open transaction of a client holds back only what comes after it in its partition.
#[tokio::test]
async fn commits_of_the_engine_are_atomic_to_kafka_clients() {
    let server = Server::start().await;
    let mut client = server.client().await;
    client.create("t", 1, &[]).await;
    client.create("u", 1, &[]).await;
    let epoch = |value: &str| {
        let append = |topic: &str| Append { partition: TopicPartition::new(topic, 0), batches: batch(&[value]).into() };
        server.log.commit(Commit::of(vec![append("t"), append("u")]))
    };
    epoch("1").await.unwrap().unwrap();
    let mut producer = begin(&mut client).await;
    producer.add(&mut client, "t", &[0]).await;
    producer.produce(&mut client, "t", 0, "open").await;
    epoch("2").await.unwrap().unwrap();
    assert_eq!(client.values("t", 0, true).await, ["1"]);
    assert_eq!(client.values("u", 0, true).await, ["1", "2"]);
    assert_eq!(server.log.offsets(&TopicPartition::new("t", 0)).unwrap().end, 1, "the engine reads committed");
    producer.end(&mut client, false).await;
    assert_eq!(client.values("t", 0, true).await, ["1", "2"]);
    assert_eq!(server.log.offsets(&TopicPartition::new("t", 0)).unwrap().end, 4);
}

#[tokio::test]
async fn ids_of_producers_are_never_given_twice() {
    let mut seen = std::collections::HashSet::new();
    let mut server = Server::start().await;
    for _ in 0..3 {
        let mut client = server.client().await;
        for _ in 0..20 {
            let id = client.ask(4, &InitProducerIdRequest::default().with_transactional_id(None)).await;
            assert!(seen.insert(id.producer_id.0), "{:?}", id.producer_id);
        }
        server = server.power_loss().await;
    }
}
