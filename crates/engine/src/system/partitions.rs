//! `PARTITIONS`: the partitions of topics.

use recordlog::TopicPartition;

use super::{Cell, Number, Table, Text};
use crate::Engine;

pub(super) const TABLE: Table = Table {
    name: "PARTITIONS",
    columns: &[
        ("TOPIC", Text),
        ("PARTITION", Number),
        ("START_OFFSET", Number),
        ("END_OFFSET", Number),
        ("SIZE_BYTES", Number),
    ],
    rows,
};

fn rows(engine: &Engine) -> Vec<Vec<Cell>> {
    let mut rows = vec![];
    for topic in engine.log.topics() {
        for number in 0..topic.config.partitions {
            let place = TopicPartition::new(topic.name.clone(), number);
            let offsets = engine.log.offsets(&place).ok();
            let (start, end) = (offsets.as_ref().map(|o| o.start), offsets.as_ref().map(|o| o.end));
            let bytes = engine.log.size_bytes(&place).ok();
            rows.push(vec![topic.name.to_string().into(), number.into(), start.into(), end.into(), bytes.into()]);
        }
    }
    rows
}
