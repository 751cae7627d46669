//! Compaction as a reader sees it: the last value of every key, and of nothing else less than before.

use std::collections::BTreeMap;

use crate::support::*;
use host::{Host, Simulation};
use proptest::{collection::vec, prelude::*};
use recordlog::{
    RecordLog, TopicConfig, TopicPartition,
    batch::Compression,
    embedded::{EmbeddedLog, Settings},
};

fn config(segment_bytes: u32) -> TopicConfig {
    TopicConfig::with_partitions(1)
        .with("cleanup.policy", "compact")
        .with("segment.bytes", &segment_bytes.to_string())
        .with("min.cleanable.dirty.ratio", "0.01")
        .with("delete.retention.ms", "1000")
}

fn open(sim: &Simulation) -> Log {
    let settings = Settings { threads: false, checkpoint_bytes: 3_000, ..Settings::default() };
    EmbeddedLog::open(sim.host.clone(), "/data", settings).unwrap()
}

fn key_values(log: &EmbeddedLog) -> Vec<String> {
    let all = read_all(log, "t", 0).unwrap();
    all.into_iter().map(|(_, _, (key, value, _))| format!("{}={}", key.unwrap(), value.unwrap_or("-".into()))).collect()
}

#[test]
fn the_last_value_of_a_key_stays_with_its_offset() {
    let sim = Host::simulated(1, 0);
    let log = open(&sim);
    create(&log, "t", config(1 << 20).with("segment.ms", "10"));
    put(&log, "t", 0, &[rec("a", "1", 1), rec("b", "1", 2), rec("a", "2", 3)]).unwrap();
    put(&log, "t", 0, &[rec("a", "3", 4)]).unwrap();
    put(&log, "t", 0, &[rec("b", "2", 5), rec("c", "1", 6)]).unwrap();
    assert_eq!(log.maintain(5).unwrap().partitions_compacted, 0);
    let done = log.maintain(10).unwrap();
    assert_eq!((done.partitions_compacted, done.records_removed), (1, 3));
    let expect = [(3, 3, rec("a", "3", 4)), (4, 4, rec("b", "2", 5)), (5, 5, rec("c", "1", 6))];
    assert_eq!(read_all(&log, "t", 0).unwrap(), expect);
    assert_eq!(log.maintain(20).unwrap().partitions_compacted, 0);
    put(&log, "t", 0, &[rec("a", "4", 7)]).unwrap();
    assert_eq!(log.maintain(30).unwrap().records_removed, 1);
    assert_eq!(key_values(&log), ["b=2", "c=1", "a=4"]);
    drop(log);
    assert_eq!(key_values(&open(&sim)), ["b=2", "c=1", "a=4"]);
    assert_eq!(key_values(&open(&sim.power_loss())), ["b=2", "c=1", "a=4"]);
}

#[test]
fn tombstones_go_after_their_time_but_never_the_last_record() {
    let sim = Host::simulated(1, 0);
    let log = open(&sim);
    create(&log, "t", config(1 << 20).with("segment.ms", "10"));
    put(&log, "t", 0, &[rec("a", "1", 1), rec("b", "1", 2)]).unwrap();
    put(&log, "t", 0, &[(Some("a".into()), None, 3), rec("c", "1", 4), (Some("b".into()), None, 5)]).unwrap();
    log.maintain(10).unwrap();
    assert_eq!(key_values(&log), ["a=-", "c=1", "b=-"]);
    log.maintain(900).unwrap();
    assert_eq!(key_values(&log), ["a=-", "c=1", "b=-"]);
    log.maintain(1_010).unwrap();
    assert_eq!(key_values(&log), ["c=1", "b=-"]);
    assert_eq!(log.offsets(&TopicPartition::new("t", 0)).unwrap().end, 5);
}

#[test]
fn young_records_wait() {
    let sim = Host::simulated(1, 0);
    let log = open(&sim);
    create(&log, "t", config(1 << 20).with("segment.ms", "10").with("min.compaction.lag.ms", "100"));
    put(&log, "t", 0, &[rec("a", "1", 50), rec("a", "2", 60)]).unwrap();
    assert_eq!(log.maintain(150).unwrap().partitions_compacted, 0);
    assert_eq!(log.maintain(160).unwrap().records_removed, 1);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 80, ..ProptestConfig::default() })]

    #[test]
    fn compaction_leaves_the_last_of_each_key(
        rounds in vec(vec((0_u8..12, any::<bool>(), 0_usize..60), 0..60), 1..5),
        segment_bytes in 100_u32..2_000,
        restarts: bool,
    ) {
        let sim = Host::simulated(3, 0);
        let mut log = open(&sim);
        create(&log, "t", config(segment_bytes));
        let mut written: Vec<Stored> = Vec::new();
        for round in &rounds {
            for chunk in round.chunks(3) {
                let records: Vec<Rec> = chunk
                    .iter()
                    .map(|(key, deleted, size)| {
                        (Some(key.to_string()), (!deleted).then(|| "v".repeat(*size)), written.len() as i64)
                    })
                    .collect();
                let codec = Compression::ALL[written.len() % 5];
                commit(&log, vec![append("t", 0, batch_with(&records, codec))]).unwrap();
                for record in records {
                    written.push((written.len() as i64, written.len() as u64, record));
                }
            }
            log.maintain(0).unwrap();
            if restarts {
                drop(log);
                log = open(&sim);
            }
            let left = read_all(&log, "t", 0).unwrap();
            // What is left was written so, in order, and the last record of each key is among it.
            let mut last = BTreeMap::new();
            for stored in &written {
                last.insert(stored.2.0.clone(), stored.clone());
            }
            prop_assert!(left.iter().all(|stored| written.get(stored.0 as usize) == Some(stored)));
            prop_assert!(left.is_sorted_by(|a, b| a.0 < b.0));
            for stored in last.values() {
                prop_assert!(left.contains(stored), "{stored:?} is missing");
            }
            prop_assert!(left.last() == written.last());
            // All but the open segment holds every key once.
            let open_from = left.len().saturating_sub(segment_bytes as usize / 25 + 12);
            let mut keys: Vec<_> = left[..open_from].iter().map(|stored| stored.2.0.clone()).collect();
            let count = keys.len();
            keys.sort();
            keys.dedup();
            prop_assert_eq!(keys.len(), count);
        }
    }
}
