//! Writing a case's records to the log and reading what is in it.

use std::{collections::BTreeMap, sync::Arc};

use bytes::Bytes;
use recordlog::{
    Append, Commit, RecordLog, TopicConfig, TopicPartition,
    batch::{BatchBuilder, Compression, RecordRanges, decode_ranges},
    partitioner::{RoundRobin, partition_for_key},
};

use crate::{
    case::{HeaderSpec, RecordSpec},
    failure::Failure,
    record::{Found, Shape},
};
use formats::Part;

/// Bytes of one read of a partition.
const READ_BYTES_MAX: usize = 1 << 20;

/// A record of a topic, with its place in the order of arrival over all partitions.
#[derive(Debug, Clone)]
pub struct Arrived {
    /// Numbered over all topics.
    pub arrival: u64,
    /// The record.
    pub found: Found,
}

/// Create a topic unless it is there.
///
/// # Errors
/// The log refuses.
pub async fn create(log: &dyn RecordLog, name: &str, partitions: u32, replicas: u16) -> Result<(), Failure> {
    let fail = |e| Failure::new(format!("topic {name}: {e}"));
    if log.topic(name).map_err(fail)?.is_some() {
        return Ok(());
    }
    let config = TopicConfig { partitions, replicas, settings: BTreeMap::new() };
    log.create_topic(name, config).await.map(drop).map_err(fail)
}

/// Write a record as a batch of its own: by its key, or to the partitions in turn.
///
/// # Errors
/// It has no bytes in the topic's formats, or the log refuses.
pub async fn write(log: &dyn RecordLog, shape: &Shape, record: &RecordSpec, turns: &RoundRobin) -> Result<(), Failure> {
    let name = &record.topic;
    let fail = |what: String| Failure::new(format!("cannot write a record to {name}: {what}"));
    let key = shape.encode_key(&record.key, record.window).map_err(fail)?;
    let value = shape.encode(Part::Value, &record.value).map_err(fail)?;
    let topic = log.topic(name).map_err(|e| fail(e.to_string()))?;
    let topic = topic.ok_or_else(|| fail("the topic does not exist".to_owned()))?;
    let partition = match &key {
        Some(key) => partition_for_key(key, topic.config.partitions),
        None => turns.next(topic.config.partitions),
    };
    let headers: Vec<(&str, Option<&[u8]>)> =
        record.headers.iter().flatten().map(|h| (h.name.as_str(), h.value.as_deref())).collect();
    let mut builder = BatchBuilder::new();
    let pushed = builder.push(key.as_deref(), value.as_deref(), record.timestamp.unwrap_or(0), &headers);
    pushed.map_err(|e| fail(e.to_string()))?;
    let batches = builder.finish(Compression::None).map_err(|e| fail(e.to_string()))?;
    let append = Append { partition: TopicPartition::new(topic.name, partition), batches: batches.into() };
    match log.commit(Commit::of(vec![append])).await {
        Ok(written) => written.map(drop).map_err(|e| fail(e.to_string())),
        Err(_) => Err(fail("the log dropped it".to_owned())),
    }
}

/// All records of a topic, in order of arrival.
///
/// # Errors
/// The topic does not exist or cannot be read.
pub fn read(log: &dyn RecordLog, name: &str, shape: &Shape) -> Result<Vec<Arrived>, Failure> {
    let fail = |what: String| Failure::new(format!("cannot read {name}: {what}"));
    let topic = log.topic(name).map_err(|e| fail(e.to_string()))?;
    let topic = topic.ok_or_else(|| fail("the topic does not exist".to_owned()))?;
    let mut records = Vec::new();
    for partition in 0..topic.config.partitions {
        let partition = TopicPartition::new(Arc::clone(&topic.name), partition);
        let offsets = log.offsets(&partition).map_err(|e| fail(e.to_string()))?;
        let mut at = offsets.start;
        while at < offsets.end {
            let batches = log.read(&partition, at, READ_BYTES_MAX).map_err(|e| fail(e.to_string()))?;
            let Some(last) = batches.last() else { break };
            let next = last.next_offset;
            for batch in &batches {
                unpack(&batch.bytes, batch.arrival, shape, &mut records).map_err(fail)?;
            }
            if next <= at {
                break;
            }
            at = next;
        }
    }
    records.sort_by_key(|record: &Arrived| record.arrival);
    Ok(records)
}

fn unpack(bytes: &Bytes, arrival: u64, shape: &Shape, out: &mut Vec<Arrived>) -> Result<(), String> {
    let mut ranges = RecordRanges::default();
    decode_ranges(bytes, &mut ranges).map_err(|e| e.to_string())?;
    for (index, number) in (0..ranges.len()).zip(arrival..) {
        let (key, window) = shape.split_key(ranges.key(index));
        let mut headers = Vec::new();
        for header in ranges.headers_of(index) {
            let header = header.map_err(|e| e.to_string())?;
            let name = String::from_utf8_lossy(header.name).into_owned();
            headers.push(HeaderSpec { name, value: header.value.map(<[u8]>::to_vec) });
        }
        out.push(Arrived {
            arrival: number,
            found: Found {
                key,
                window,
                value: ranges.value(index).map(<[u8]>::to_vec),
                timestamp: ranges.timestamps_ms.get(index).copied().unwrap_or_default(),
                headers,
            },
        });
    }
    Ok(())
}
