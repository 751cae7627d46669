//! `TOPICS`: the topics of the log.

use recordlog::TopicPartition;

use super::{Cell, Flag, Number, Table, Text};
use crate::Engine;

pub(super) const TABLE: Table = Table {
    name: "TOPICS",
    columns: &[
        ("NAME", Text),
        ("PARTITIONS", Number),
        ("REPLICAS", Number),
        ("RECORDS", Number),
        ("SIZE_BYTES", Number),
        ("INTERNAL", Flag),
    ],
    rows,
};

fn rows(engine: &Engine) -> Vec<Vec<Cell>> {
    let row = |topic: recordlog::Topic| {
        let places = (0..topic.config.partitions).map(|p| TopicPartition::new(topic.name.clone(), p));
        let (mut records, mut bytes) = (0i64, 0u64);
        for place in places {
            records = records.saturating_add(engine.log.offsets(&place).map_or(0, |o| o.end - o.start));
            bytes = bytes.saturating_add(engine.log.size_bytes(&place).unwrap_or(0));
        }
        vec![
            topic.name.to_string().into(),
            topic.config.partitions.into(),
            i64::from(topic.config.replicas).into(),
            records.into(),
            bytes.into(),
            runtime::is_internal_topic(&topic.name).into(),
        ]
    };
    engine.log.topics().into_iter().map(row).collect()
}
