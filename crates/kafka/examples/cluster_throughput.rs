//! How fast the log on a cluster takes and gives records: `throughput HOST:PORT [RECORDS]`. Writes records of 225 bytes
//! in transactions to four partitions, reads them back with a thread a partition, and prints both rates.
#![allow(clippy::unwrap_used, missing_docs)]

use std::{collections::BTreeMap, sync::Arc, thread, time::Instant};

use host::Host;
use kafka::{ClusterConfig, ClusterLog};
use recordlog::{
    Append, Commit, RecordLog, TopicConfig, TopicPartition,
    batch::{BatchBuilder, BatchHeader, Compression},
};

const PARTITIONS: u32 = 4;
const RECORDS_A_COMMIT: u32 = 20_000;

#[tokio::main]
async fn main() {
    let mut arguments = std::env::args().skip(1);
    let bootstrap = arguments.next().expect("HOST:PORT");
    let records: u32 = arguments.next().map_or(2_000_000, |n| n.parse().expect("a number of records"));
    let config = ClusterConfig { bootstrap, service: "throughput".to_owned(), properties: BTreeMap::new() };
    let log = ClusterLog::open(config, Host::real()).await.unwrap();
    let topic = format!("throughput-{:08x}", Host::real().random.next_u64() >> 32);
    let shape = TopicConfig { partitions: PARTITIONS, replicas: 0, settings: BTreeMap::new() };
    log.create_topic(&topic, shape).await.unwrap();
    let value = "x".repeat(218);
    let begun = Instant::now();
    let mut tickets = vec![];
    for from in (0..records).step_by(RECORDS_A_COMMIT as usize) {
        let append = |partition| {
            let mut builder = BatchBuilder::new();
            for i in 0..RECORDS_A_COMMIT / PARTITIONS {
                let key = format!("{:07}", from + i);
                builder.push(Some(key.as_bytes()), Some(value.as_bytes()), 1, &[]).unwrap();
            }
            let batches = builder.build(Compression::None).unwrap().unwrap().into();
            Append { partition: TopicPartition::new(&*topic, partition), batches }
        };
        let commit = Commit { appends: (0..PARTITIONS).map(append).collect(), writer: Some("writer".into()) };
        tickets.push(log.commit(commit));
        if tickets.len() > 4 {
            tickets.remove(0).await.unwrap().unwrap();
        }
    }
    for ticket in tickets {
        ticket.await.unwrap().unwrap();
    }
    let rate = |begun: Instant| f64::from(records) / begun.elapsed().as_secs_f64();
    println!("written: {:.0} records/s", rate(begun));
    let begun = Instant::now();
    let readers: Vec<_> = (0..PARTITIONS)
        .map(|partition| {
            let (log, partition) = (Arc::clone(&log), TopicPartition::new(&*topic, partition));
            thread::spawn(move || {
                let (mut next, mut count) = (0, 0);
                while count < records / PARTITIONS {
                    let batches = log.read(&partition, next, 256 << 10).unwrap();
                    for batch in &batches {
                        count += BatchHeader::parse(&batch.bytes).unwrap().record_count;
                        next = batch.next_offset;
                    }
                }
            })
        })
        .collect();
    readers.into_iter().for_each(|reader| reader.join().unwrap());
    println!("read: {:.0} records/s", rate(begun));
    log.delete_topic(&topic).await.unwrap();
}
