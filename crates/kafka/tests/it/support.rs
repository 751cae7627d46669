//! A cluster to test against, and what tests write and read.

use std::{collections::BTreeMap, future::Future, net::SocketAddr, sync::Arc, thread, time::Duration};

use bytes::Bytes;
use host::Host;
use kafka::{ClusterConfig, ClusterLog};
use kafkaserver::{Broker, Settings};
use recordlog::{
    Append, Appended, Commit, Offset, RecordLog, Result, TopicConfig, TopicPartition,
    batch::{Batch, BatchBuilder, BatchHeader, Compression},
    embedded::EmbeddedLog,
};
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;

/// Longest that anything may take before it counts as hanging.
pub const PATIENCE: Duration = Duration::from_secs(90);

/// The listener in front of an embedded log, with threads of its own.
pub struct Server {
    pub address: SocketAddr,
    stop: CancellationToken,
    thread: Option<thread::JoinHandle<()>>,
    pub host: Host,
}

impl Server {
    /// Serve the log on a host's disk at some port, or at one that is given.
    pub fn start(host: Host, port: u16) -> Server {
        Server::start_with(host, port, |_| {})
    }

    /// As [`Server::start`], with settings of its own.
    pub fn start_with(host: Host, port: u16, set: impl FnOnce(&mut Settings)) -> Server {
        let mut settings = Settings { group_initial_delay: Duration::ZERO, ..Settings::default() };
        set(&mut settings);
        let (told, listening) = std::sync::mpsc::channel();
        let stop = CancellationToken::new();
        let (token, disk) = (stop.clone(), host.clone());
        let serve = async move {
            let log = EmbeddedLog::open(disk, "/data", recordlog::embedded::Settings::default()).unwrap();
            let listener = kafkaserver::listen(SocketAddr::from(([127, 0, 0, 1], port)), &settings).await.unwrap();
            told.send(listener.local_addr().unwrap()).unwrap();
            let broker = Broker::open(Arc::clone(&log), settings, token).await.unwrap();
            kafkaserver::serve(Arc::new(broker), listener).await;
            log.close().unwrap();
        };
        let run = move || tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap().block_on(serve);
        let thread = thread::spawn(run);
        Server { address: listening.recv().unwrap(), stop, thread: Some(thread), host }
    }

    /// Stop it; its port and its host, to start it again.
    pub fn stop(mut self) -> (Host, u16) {
        self.end();
        (self.host.clone(), self.address.port())
    }

    fn end(&mut self) {
        self.stop.cancel();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.end();
    }
}

/// A cluster, with a name that keeps a test's things apart from those of others.
#[derive(Clone)]
pub struct Cluster {
    pub address: String,
    pub name: String,
}

impl Cluster {
    pub fn at(address: impl Into<String>) -> Cluster {
        let random = Host::real().random.next_u64();
        Cluster { address: address.into(), name: format!("t{random:016x}") }
    }

    pub fn config(&self, properties: &[(&str, &str)]) -> ClusterConfig {
        let properties = properties.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        ClusterConfig { bootstrap: self.address.clone(), service: self.name.clone(), properties }
    }

    pub async fn log(&self) -> Arc<ClusterLog> {
        self.log_with(&[]).await
    }

    pub async fn log_with(&self, properties: &[(&str, &str)]) -> Arc<ClusterLog> {
        ClusterLog::open(self.config(properties), Host::real()).await.unwrap()
    }

    /// A topic's name, this test's own.
    pub fn topic(&self, name: &str) -> String {
        format!("{}-{name}", self.name)
    }
}

/// The address of a cluster of Apache Kafka, if there is one.
fn real() -> Option<String> {
    std::env::var("MILLSTREAM_TEST_KAFKA").ok().filter(|address| !address.is_empty())
}

/// Run a test on each cluster that there is.
pub fn on_each<F: Future<Output = ()>>(test: impl Fn(Cluster) -> F) {
    let runtime = || tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let run = |cluster: Cluster| {
        let test = test(cluster);
        runtime().block_on(async { tokio::time::timeout(PATIENCE, test).await.expect("it does not hang") });
    };
    let server = Server::start(Host::in_memory(), 0);
    run(Cluster::at(server.address.to_string()));
    drop(server);
    match real() {
        Some(address) => run(Cluster::at(address)),
        None => eprintln!("SKIPPED on Apache Kafka: MILLSTREAM_TEST_KAFKA (host:port) is not set"),
    }
}

/// A record as the tests know it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Rec {
    pub key: Option<Vec<u8>>,
    pub value: Option<Vec<u8>>,
    pub time: i64,
    pub headers: Vec<(String, Option<Vec<u8>>)>,
}

pub fn rec(key: &str, value: &str, time: i64) -> Rec {
    Rec { key: Some(key.into()), value: Some(value.into()), time, headers: vec![] }
}

pub fn batch(records: &[Rec]) -> Bytes {
    let mut builder = BatchBuilder::new();
    for record in records {
        let headers: Vec<(&str, Option<&[u8]>)> =
            record.headers.iter().map(|(name, value)| (name.as_str(), value.as_deref())).collect();
        builder.push(record.key.as_deref(), record.value.as_deref(), record.time, &headers).unwrap();
    }
    builder.finish(Compression::None).unwrap()
}

pub fn append(topic: &str, partition: u32, records: &[Rec]) -> Append {
    Append { partition: TopicPartition::new(topic, partition), batches: batch(records).into() }
}

pub fn config(partitions: u32, settings: &[(&str, &str)]) -> TopicConfig {
    let settings: BTreeMap<String, String> =
        settings.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    TopicConfig { partitions, replicas: 1, settings }
}

pub async fn commit(log: &ClusterLog, writer: Option<&str>, appends: Vec<Append>) -> Result<Vec<Appended>> {
    log.commit(Commit { appends, writer: writer.map(Into::into) }).await.unwrap()
}

/// Everything from an offset to the end, with offsets.
pub fn read_from(log: &ClusterLog, topic: &str, partition: u32, from: Offset) -> Vec<(Offset, Rec)> {
    read_pieces(log, topic, partition, from, 1 << 20)
}

/// As [`read_from`], so many bytes at a time.
pub fn read_pieces(
    log: &ClusterLog,
    topic: &str,
    partition: u32,
    from: Offset,
    bytes_max: usize,
) -> Vec<(Offset, Rec)> {
    let partition = TopicPartition::new(topic, partition);
    let (mut next, mut all) = (from, vec![]);
    loop {
        let batches = log.read(&partition, next, bytes_max).unwrap();
        let Some(last) = batches.last() else { return all };
        assert!(last.next_offset > next, "reading goes on");
        for stored in &batches {
            let header = BatchHeader::parse(&stored.bytes).unwrap();
            assert_eq!(header.base_offset, stored.base_offset);
            assert_eq!(header.next_offset(), stored.next_offset);
            all.extend(numbered(&stored.bytes).into_iter().filter(|(offset, _)| *offset >= next));
        }
        next = last.next_offset;
    }
}

/// The records of a batch, with their offsets.
fn numbered(bytes: &[u8]) -> Vec<(Offset, Rec)> {
    let batch = Batch::parse(bytes).unwrap();
    let rec = |record: recordlog::batch::Record<'_>| {
        let headers = record.headers.map(|header| {
            let header = header.unwrap();
            (String::from_utf8(header.name.to_vec()).unwrap(), header.value.map(<[u8]>::to_vec))
        });
        let (key, value) = (record.key.map(<[u8]>::to_vec), record.value.map(<[u8]>::to_vec));
        (record.offset, Rec { key, value, time: record.timestamp_ms, headers: headers.collect() })
    };
    batch.records().map(|record| rec(record.unwrap())).collect()
}

/// The records of a batch.
pub fn decoded(bytes: &[u8]) -> Vec<Rec> {
    numbered(bytes).into_iter().map(|(_, record)| record).collect()
}

/// Everything of a partition.
pub fn read_all(log: &ClusterLog, topic: &str, partition: u32) -> Vec<Rec> {
    read_from(log, topic, partition, 0).into_iter().map(|(_, record)| record).collect()
}

/// Wait for a ticket that may have been dropped.
pub async fn outcome(ticket: oneshot::Receiver<Result<Vec<Appended>>>) -> Option<Result<Vec<Appended>>> {
    ticket.await.ok()
}

/// Wait until one process sees the end that another one sees: what others write it hears of a moment later.
pub fn catch_up(reader: &ClusterLog, writer: &ClusterLog, topic: &str, partition: u32) {
    let partition = TopicPartition::new(topic, partition);
    let end = writer.offsets(&partition).unwrap().end;
    while reader.offsets(&partition).unwrap().end < end {
        thread::yield_now();
    }
}
