//! A server on a simulated disk and clock, and a client.

use std::{collections::HashSet, net::SocketAddr, sync::Arc, time::Duration};

use bytes::{BufMut, Bytes, BytesMut};
use host::{Host, Simulation};
use kafka_protocol::{
    messages::{
        CreateTopicsRequest, FetchRequest, FetchResponse, GroupId, ListOffsetsRequest, OffsetCommitRequest,
        OffsetDeleteRequest, OffsetFetchRequest, ProduceRequest, RequestHeader, ResponseHeader, TopicName,
        TransactionalId,
        create_topics_request::{CreatableTopic, CreatableTopicConfig},
        fetch_request::{FetchPartition, FetchTopic},
        fetch_response::AbortedTransaction,
        list_offsets_request::{ListOffsetsPartition, ListOffsetsTopic},
        offset_commit_request::{OffsetCommitRequestPartition, OffsetCommitRequestTopic},
        offset_delete_request::{OffsetDeleteRequestPartition, OffsetDeleteRequestTopic},
        offset_fetch_request::{OffsetFetchRequestGroup, OffsetFetchRequestTopics},
        produce_request::{PartitionProduceData, TopicProduceData},
        produce_response::PartitionProduceResponse,
    },
    protocol::{Decodable, Encodable, HeaderVersion, Request, StrBytes},
};
use kafkaserver::{Broker, Settings};
use recordlog::{
    batch::{Batch, BatchBuilder, Compression, batch_length},
    embedded::EmbeddedLog,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    task::JoinHandle,
};
use tokio_util::sync::CancellationToken;

/// Longest that anything may take before it counts as hanging.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// When the simulated clock begins, ms since 1970.
pub const BEGIN_MS: i64 = 1_700_000_000_000;

/// A listener.
pub struct Server {
    pub address: SocketAddr,
    pub log: Arc<EmbeddedLog>,
    pub sim: Simulation,
    stop: CancellationToken,
    serving: JoinHandle<()>,
}

impl Server {
    pub async fn start() -> Server {
        Server::start_with(|_| {}).await
    }

    pub async fn start_with(change: impl FnOnce(&mut Settings)) -> Server {
        Server::start_on(Host::simulated(1, BEGIN_MS), change).await
    }

    pub async fn start_on(sim: Simulation, change: impl FnOnce(&mut Settings)) -> Server {
        let log = EmbeddedLog::open(sim.host.clone(), "/data", recordlog::embedded::Settings::default()).unwrap();
        let mut settings = Settings { group_initial_delay: Duration::ZERO, ..Settings::default() };
        change(&mut settings);
        let stop = CancellationToken::new();
        let listener = kafkaserver::listen("127.0.0.1:0".parse().unwrap(), &settings).await.unwrap();
        let address = listener.local_addr().unwrap();
        let broker = Broker::open(Arc::clone(&log), settings, stop.clone()).await.unwrap();
        let serving = tokio::spawn(kafkaserver::serve(Arc::new(broker), listener));
        Server { address, log, sim, stop, serving }
    }

    pub async fn client(&self) -> Client {
        Client::connect(self.address).await
    }

    /// Stop cleanly.
    pub async fn stop(self) -> Simulation {
        self.stop.cancel();
        tokio::time::timeout(PATIENCE, self.serving).await.expect("it stops").expect("it does not panic");
        self.log.close().unwrap();
        self.sim
    }

    /// End as by a loss of power, and start again.
    pub async fn power_loss(self) -> Server {
        self.power_loss_with(|_| {}).await
    }

    /// The same, with settings.
    pub async fn power_loss_with(self, change: impl FnOnce(&mut Settings)) -> Server {
        self.stop.cancel();
        self.serving.await.unwrap();
        let after = self.sim.power_loss();
        drop(self.log);
        Server::start_on(after, change).await
    }
}

/// A connection of a client.
pub struct Client {
    pub stream: TcpStream,
    correlation_id: i32,
}

/// A request as it goes over the wire, with its length.
pub fn frame<R: Request>(version: i16, correlation_id: i32, request: &R) -> BytesMut {
    let header = RequestHeader::default()
        .with_request_api_key(R::KEY)
        .with_request_api_version(version)
        .with_correlation_id(correlation_id)
        .with_client_id(Some(StrBytes::from_static_str("tests")));
    let mut frame = BytesMut::new();
    frame.put_u32(0);
    header.encode(&mut frame, R::header_version(version)).unwrap();
    request.encode(&mut frame, version).unwrap();
    let length = u32::try_from(frame.len() - 4).unwrap();
    frame[..4].copy_from_slice(&length.to_be_bytes());
    frame
}

impl Client {
    pub async fn connect(address: SocketAddr) -> Client {
        let stream = TcpStream::connect(address).await.expect("it connects");
        stream.set_nodelay(true).unwrap();
        Client { stream, correlation_id: 0 }
    }

    /// Send a request; the id that its answer has.
    pub async fn send<R: Request>(&mut self, version: i16, request: &R) -> i32 {
        self.correlation_id += 1;
        self.stream.write_all(&frame(version, self.correlation_id, request)).await.expect("it is sent");
        self.correlation_id
    }

    /// Bytes of the next answer; `None` when the server has closed the connection.
    pub async fn answer(&mut self) -> Option<Bytes> {
        let read = async {
            let length = self.stream.read_u32().await.ok()?;
            let mut body = vec![0; usize::try_from(length).unwrap()];
            self.stream.read_exact(&mut body).await.ok()?;
            Some(Bytes::from(body))
        };
        tokio::time::timeout(PATIENCE, read).await.expect("there is an answer")
    }

    /// The next answer, which is to request `id`.
    pub async fn receive<R: Request>(&mut self, version: i16, id: i32) -> R::Response {
        let mut body = self.answer().await.expect("the connection stays open");
        let header = ResponseHeader::decode(&mut body, R::Response::header_version(version)).unwrap();
        assert_eq!(header.correlation_id, id);
        let response = R::Response::decode(&mut body, version).unwrap();
        assert!(body.is_empty(), "{} bytes are left over of the answer to API {} v{version}", body.len(), R::KEY);
        response
    }

    pub async fn ask<R: Request>(&mut self, version: i16, request: &R) -> R::Response {
        let id = self.send(version, request).await;
        self.receive::<R>(version, id).await
    }

    /// Make a topic; 0 or an error code.
    pub async fn create(&mut self, topic: &str, partitions: i32, settings: &[(&str, &str)]) -> i16 {
        let configs = settings
            .iter()
            .map(|(name, value)| CreatableTopicConfig::default().with_name(text(name)).with_value(Some(text(value))));
        let wanted = CreatableTopic::default()
            .with_name(name(topic))
            .with_num_partitions(partitions)
            .with_replication_factor(-1)
            .with_configs(configs.collect());
        let response = self.ask(7, &CreateTopicsRequest::default().with_topics(vec![wanted])).await;
        response.topics[0].error_code
    }

    /// Produce one batch.
    pub async fn produce(&mut self, topic: &str, partition: i32, batch: Bytes) -> PartitionProduceResponse {
        let mut response = self.ask(9, &produce_request(topic, partition, batch)).await;
        response.responses.remove(0).partition_responses.remove(0)
    }

    /// Fetch what a partition has from `offset` on.
    pub async fn fetch(&mut self, topic: &str, partition: i32, offset: i64) -> FetchResponse {
        self.ask(12, &fetch_request(topic, partition, offset)).await
    }

    /// Values of a partition's records as a consumer reads them.
    pub async fn values(&mut self, topic: &str, partition: i32, committed: bool) -> Vec<String> {
        let request = fetch_request(topic, partition, 0).with_isolation_level(i8::from(committed));
        let mut response = self.ask(12, &request).await;
        let data = response.responses.remove(0).partitions.remove(0);
        assert_eq!(data.error_code, 0);
        let mut aborted = data.aborted_transactions.unwrap_or_default();
        let mut shown = Vec::new();
        let bytes = data.records.unwrap();
        let mut aborting = HashSet::new();
        for batch in batches(&bytes) {
            let header = *batch.header();
            let id = header.producer_id;
            let begun = |gone: &mut AbortedTransaction| gone.first_offset <= header.base_offset;
            aborting.extend(aborted.extract_if(.., begun).map(|gone| gone.producer_id.0));
            if header.is_control() {
                aborting.remove(&id);
            } else if !(committed && header.is_transactional() && aborting.contains(&id)) {
                let value = |r: Result<recordlog::batch::Record<'_>, _>| r.unwrap().value.unwrap().to_vec();
                shown.extend(batch.records().map(|record| String::from_utf8(value(record)).unwrap()));
            }
        }
        shown
    }

    /// The offset that stands for `time`: -1 the end, -2 the start, else the first record from that time on.
    pub async fn offset_at(&mut self, topic: &str, partition: i32, time: i64, committed: bool) -> (i16, i64) {
        let partition = ListOffsetsPartition::default().with_partition_index(partition).with_timestamp(time);
        let topic = ListOffsetsTopic::default().with_name(name(topic)).with_partitions(vec![partition]);
        let request = ListOffsetsRequest::default().with_isolation_level(i8::from(committed)).with_topics(vec![topic]);
        let mut response = self.ask(7, &request).await;
        let found = response.topics.remove(0).partitions.remove(0);
        (found.error_code, found.offset)
    }
}

pub fn text(text: &str) -> StrBytes {
    StrBytes::from_string(text.to_owned())
}

pub fn name(topic: &str) -> TopicName {
    TopicName(text(topic))
}

/// A batch of records without keys, of time 1, 2, 3, ….
pub fn batch(values: &[&str]) -> Bytes {
    batch_of(None, values)
}

/// A batch of a producer: id, epoch, sequence number, whether it is part of a transaction.
pub fn batch_of(producer: Option<(i64, i16, i32, bool)>, values: &[&str]) -> Bytes {
    let mut builder = BatchBuilder::new();
    if let Some((id, epoch, sequence, transactional)) = producer {
        builder.set_producer(id, epoch, sequence);
        builder.set_transactional(transactional);
    }
    for (time, value) in (1..).zip(values) {
        builder.push(None, Some(value.as_bytes()), time, &[]).unwrap();
    }
    builder.finish(Compression::None).unwrap()
}

/// The batches in fetched bytes.
pub fn batches(mut bytes: &[u8]) -> Vec<Batch<'_>> {
    let mut found = Vec::new();
    while let Some(length) = batch_length(bytes).filter(|length| *length <= bytes.len()) {
        found.push(Batch::parse_verified(&bytes[..length]).unwrap());
        bytes = &bytes[length..];
    }
    assert!(bytes.is_empty(), "only whole batches are sent");
    found
}

pub fn produce_request(topic: &str, partition: i32, batch: Bytes) -> ProduceRequest {
    let data = PartitionProduceData::default().with_index(partition).with_records(Some(batch));
    let topic = TopicProduceData::default().with_name(name(topic)).with_partition_data(vec![data]);
    ProduceRequest::default().with_acks(-1).with_timeout_ms(1000).with_topic_data(vec![topic])
}

pub fn in_transaction(id: &str, request: ProduceRequest) -> ProduceRequest {
    request.with_transactional_id(Some(TransactionalId(text(id))))
}

pub fn fetch_request(topic: &str, partition: i32, offset: i64) -> FetchRequest {
    let partition =
        FetchPartition::default().with_partition(partition).with_fetch_offset(offset).with_partition_max_bytes(1 << 20);
    let topic = FetchTopic::default().with_topic(name(topic)).with_partitions(vec![partition]);
    FetchRequest::default()
        .with_max_wait_ms(0)
        .with_min_bytes(0)
        .with_max_bytes(16 << 20)
        .with_session_epoch(-1)
        .with_topics(vec![topic])
}

/// The group of tests.
pub fn group() -> GroupId {
    GroupId(text("g"))
}

/// What is kept with every offset that tests commit.
const KEPT: &str = "kept";

/// A commit of the group in a partition of topic t, by a member with its generation or epoch; `("", -1)`: by nobody.
pub fn commit((member, epoch): (&str, i32), partition: i32, offset: i64) -> OffsetCommitRequest {
    let partition = OffsetCommitRequestPartition::default()
        .with_partition_index(partition)
        .with_committed_offset(offset)
        .with_committed_metadata(Some(text(KEPT)));
    let topic = OffsetCommitRequestTopic::default().with_name(name("t")).with_partitions(vec![partition]);
    OffsetCommitRequest::default()
        .with_group_id(group())
        .with_generation_id_or_member_epoch(epoch)
        .with_member_id(text(member))
        .with_topics(vec![topic])
}

/// The error of a commit.
pub async fn try_commit(client: &mut Client, version: i16, request: OffsetCommitRequest) -> i16 {
    client.ask(version, &request).await.topics[0].partitions[0].error_code
}

/// The error and the group's offset in a partition of topic t, as a member with its epoch asks for it.
pub async fn fetched(client: &mut Client, (member, epoch): (Option<&str>, i32), partition: i32) -> (i16, Option<i64>) {
    let topic = OffsetFetchRequestTopics::default().with_name(name("t")).with_partition_indexes(vec![partition]);
    let wanted = OffsetFetchRequestGroup::default()
        .with_group_id(group())
        .with_member_id(member.map(text))
        .with_member_epoch(epoch)
        .with_topics(Some(vec![topic]));
    let found = client.ask(9, &OffsetFetchRequest::default().with_groups(vec![wanted])).await.groups.remove(0);
    let Some(topic) = found.topics.first() else { return (found.error_code, None) };
    let kept = &topic.partitions[0];
    assert_eq!(kept.metadata.as_deref(), Some(if kept.committed_offset < 0 { "" } else { KEPT }));
    (found.error_code, Some(kept.committed_offset))
}

/// The group's offset in a partition of topic t, -1 for none.
pub async fn committed(client: &mut Client, partition: i32) -> i64 {
    let (error, offset) = fetched(client, (None, -1), partition).await;
    assert_eq!(error, 0);
    offset.unwrap()
}

/// Forget the group's offset in a partition of topic t; the error.
pub async fn forget(client: &mut Client, partition: i32) -> i16 {
    let partition = OffsetDeleteRequestPartition::default().with_partition_index(partition);
    let topic = OffsetDeleteRequestTopic::default().with_name(name("t")).with_partitions(vec![partition]);
    let request = OffsetDeleteRequest::default().with_group_id(group()).with_topics(vec![topic]);
    client.ask(0, &request).await.topics[0].partitions[0].error_code
}
