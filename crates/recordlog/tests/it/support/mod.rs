//! What the tests of the embedded log share.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use futures::executor::block_on;
use recordlog::{
    Append, Appended, Commit, Offset, RecordLog, Result, TopicConfig, TopicPartition,
    batch::{Batch, BatchBuilder, Compression},
    embedded::EmbeddedLog,
};

/// A record as the tests know it: key, value, time.
pub type Rec = (Option<String>, Option<String>, i64);

pub fn rec(key: &str, value: &str, time: i64) -> Rec {
    (Some(key.to_owned()), Some(value.to_owned()), time)
}

pub fn batch(records: &[Rec]) -> Bytes {
    batch_with(records, Compression::None)
}

pub fn batch_with(records: &[Rec], compression: Compression) -> Bytes {
    let mut builder = BatchBuilder::new();
    for (key, value, time) in records {
        let (key, value) = (key.as_ref().map(String::as_bytes), value.as_ref().map(String::as_bytes));
        builder.push(key, value, *time, &[]).unwrap();
    }
    builder.finish(compression).unwrap()
}

pub fn batches(all: &[Vec<Rec>]) -> Bytes {
    let mut bytes = BytesMut::new();
    all.iter().for_each(|records| bytes.extend_from_slice(&batch(records)));
    bytes.freeze()
}

pub fn append(topic: &str, partition: u32, batches: Bytes) -> Append {
    Append { partition: TopicPartition::new(topic, partition), batches: batches.into() }
}

pub fn commit(log: &EmbeddedLog, appends: Vec<Append>) -> Result<Vec<Appended>> {
    log.commit(Commit::of(appends)).blocking_recv().unwrap()
}

pub fn put(log: &EmbeddedLog, topic: &str, partition: u32, records: &[Rec]) -> Result<Appended> {
    commit(log, vec![append(topic, partition, batch(records))]).map(|appended| appended[0])
}

pub fn create(log: &EmbeddedLog, topic: &str, config: TopicConfig) {
    block_on(log.create_topic(topic, config)).unwrap();
}

/// A stored record: offset, arrival number, record.
pub type Stored = (Offset, u64, Rec);

/// Everything from `from` on, read `bytes_max` at a time.
pub fn read_from(log: &EmbeddedLog, tp: &TopicPartition, from: Offset, bytes_max: usize) -> Result<Vec<Stored>> {
    let mut all = Vec::new();
    let mut next = from;
    loop {
        let batches = log.read(tp, next, bytes_max)?;
        if batches.is_empty() {
            return Ok(all);
        }
        for stored in batches {
            assert!(stored.next_offset > next, "a read goes on");
            let batch = Batch::parse(&stored.bytes).unwrap();
            assert_eq!(batch.header().base_offset, stored.base_offset);
            assert_eq!(batch.header().next_offset(), stored.next_offset);
            for record in batch.records() {
                let record = record.unwrap();
                let text = |bytes: Option<&[u8]>| bytes.map(|bytes| String::from_utf8(bytes.to_vec()).unwrap());
                if record.offset >= from {
                    let arrival = stored.arrival + (record.offset - stored.base_offset).unsigned_abs();
                    let rec = (text(record.key), text(record.value), record.timestamp_ms);
                    all.push((record.offset, arrival, rec));
                }
            }
            next = stored.next_offset;
        }
    }
}

pub fn read_all(log: &EmbeddedLog, topic: &str, partition: u32) -> Result<Vec<Stored>> {
    let tp = TopicPartition::new(topic, partition);
    read_from(log, &tp, log.offsets(&tp)?.start, 1 << 20)
}

pub fn values(log: &EmbeddedLog, topic: &str, partition: u32) -> Vec<String> {
    let all = read_all(log, topic, partition).unwrap();
    all.into_iter().map(|(_, _, (_, value, _))| value.unwrap_or_default()).collect()
}

pub type Log = Arc<EmbeddedLog>;
