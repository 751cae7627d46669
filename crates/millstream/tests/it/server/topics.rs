//! Topics, read as a consumer reads them: what is committed.

use std::collections::BTreeMap;

use recordlog::{
    RecordLog, TopicPartition,
    batch::{RecordRanges, decode_ranges},
};
use serde_json::Value;

/// A record.
#[derive(Debug, Clone)]
pub struct Record {
    pub partition: u32,
    /// Its place among all records of the log.
    pub arrival: u64,
    pub time: i64,
    pub key: Vec<u8>,
    /// `None`: a tombstone.
    pub value: Option<Value>,
}

impl Record {
    /// A field of the value.
    pub fn field(&self, name: &str) -> &Value {
        self.value.as_ref().and_then(|v| v.get(name)).unwrap_or(&Value::Null)
    }

    pub fn int(&self, name: &str) -> Option<i64> {
        self.field(name).as_i64()
    }

    pub fn key_text(&self) -> String {
        String::from_utf8(self.key.clone()).expect("a key of text")
    }
}

/// All records of a topic, in the order in which the log accepted them.
pub fn read(log: &dyn RecordLog, topic: &str) -> Vec<Record> {
    let partitions = log.topic(topic).unwrap().unwrap_or_else(|| panic!("topic {topic} exists")).config.partitions;
    let (mut all, mut ranges) = (vec![], RecordRanges::default());
    for partition in 0..partitions {
        let place = TopicPartition::new(topic, partition);
        let ends = log.offsets(&place).expect("offsets");
        let mut next = ends.start;
        while next < ends.end {
            let batches = log.read(&place, next, 1 << 20).expect("reads");
            next = batches.last().expect("a batch").next_offset;
            for batch in batches {
                decode_ranges(&batch.bytes, &mut ranges).expect("a sound batch");
                for i in 0..ranges.len() {
                    let value = ranges.value(i).map(|v| serde_json::from_slice(v).expect("JSON"));
                    let arrival = batch.arrival + u64::from(ranges.offset_deltas[i]);
                    let key = ranges.key(i).expect("a key").to_vec();
                    all.push(Record { partition, arrival, time: ranges.timestamps_ms[i], key, value });
                }
            }
        }
    }
    all.sort_by_key(|r| r.arrival);
    all
}

/// The values of each key, in order. A key is in one partition only.
pub fn by_key(records: &[Record]) -> BTreeMap<Vec<u8>, Vec<Option<Value>>> {
    let mut out: BTreeMap<Vec<u8>, Vec<Option<Value>>> = BTreeMap::new();
    let mut places = BTreeMap::new();
    for record in records {
        let place = *places.entry(record.key.clone()).or_insert(record.partition);
        assert_eq!(place, record.partition, "key {:?} is in two partitions", record.key);
        out.entry(record.key.clone()).or_default().push(record.value.clone());
    }
    out
}
