//! The embedded log as its users see it.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use crate::support::*;
use bytes::Bytes;
use futures::executor::block_on;
use host::{FaultOp, Host, RealDisk, Simulation};
use recordlog::{
    Commit, LogError, Offsets, RecordLog, TopicConfig, TopicPartition,
    batch::{BatchBuilder, Compression},
    embedded::{Durability, EmbeddedLog, Settings},
};

fn simulated() -> (Simulation, Log) {
    let sim = Host::simulated(1, 1_000_000);
    let log = open(&sim);
    (sim, log)
}

fn settings() -> Settings {
    Settings { threads: false, ..Settings::default() }
}

fn open(sim: &Simulation) -> Log {
    EmbeddedLog::open(sim.host.clone(), "/data", settings()).unwrap()
}

fn one(topic: &str) -> TopicPartition {
    TopicPartition::new(topic, 0)
}

#[test]
fn what_is_committed_is_read_and_survives_a_restart() {
    let (sim, log) = simulated();
    create(&log, "a", TopicConfig::with_partitions(2));
    create(&log, "b", TopicConfig::with_partitions(1));
    let both = batches(&[vec![rec("k", "1", 5), rec("k", "2", 6)], vec![rec("l", "3", 4)]]);
    let appends = vec![append("a", 1, both), append("b", 0, batch(&[rec("m", "4", 9)]))];
    let appended = commit(&log, appends).unwrap();
    assert_eq!((appended[0].base_offset, appended[0].record_count, appended[0].arrival), (0, 3, 0));
    assert_eq!((appended[1].base_offset, appended[1].record_count, appended[1].arrival), (0, 1, 3));
    assert_eq!(put(&log, "a", 1, &[rec("n", "5", 9)]).unwrap().base_offset, 3);

    let check = |log: &EmbeddedLog| {
        let expect =
            [(0, 0, rec("k", "1", 5)), (1, 1, rec("k", "2", 6)), (2, 2, rec("l", "3", 4)), (3, 4, rec("n", "5", 9))];
        assert_eq!(read_all(log, "a", 1).unwrap(), expect);
        assert_eq!(read_from(log, &TopicPartition::new("a", 1), 1, 1).unwrap(), expect[1..]);
        assert_eq!(read_all(log, "a", 0).unwrap(), []);
        assert_eq!(read_all(log, "b", 0).unwrap(), [(0, 3, rec("m", "4", 9))]);
        assert_eq!(log.offsets(&TopicPartition::new("a", 1)).unwrap(), Offsets { start: 0, end: 4 });
        assert!(log.size_bytes(&TopicPartition::new("a", 1)).unwrap() > 200);
    };
    check(&log);
    drop(log);
    let log = open(&sim);
    check(&log);
    log.checkpoint().unwrap();
    check(&log);
    drop(log);
    let log = open(&sim);
    check(&log);
    assert_eq!(put(&log, "b", 0, &[rec("x", "6", 1)]).unwrap().arrival, 5);
    let killed = sim.kill();
    assert_eq!(values(&open(&killed), "b", 0), ["4", "6"]);
}

#[test]
fn a_log_is_open_once_at_a_time() {
    let (sim, log) = simulated();
    let error = EmbeddedLog::open(sim.host.clone(), "/data", settings()).unwrap_err();
    assert!(error.to_string().contains("another process"), "{error}");
    log.close().unwrap();
    assert!(matches!(put(&log, "a", 0, &[]), Err(LogError::UnknownTopic(_))));
    open(&sim);
}

#[test]
fn topics_are_made_changed_and_deleted() {
    let (sim, log) = simulated();
    create(&log, "t", TopicConfig::with_partitions(1).with("retention.ms", "5"));
    let first = log.topic("t").unwrap();
    let again = block_on(log.create_topic("t", TopicConfig::with_partitions(1)));
    assert!(matches!(again, Err(LogError::TopicExists(name)) if name == "t"));
    let bad = |name: &str, config: TopicConfig| match block_on(log.create_topic(name, config)) {
        Err(LogError::Invalid(what)) => what,
        other => panic!("{other:?}"),
    };
    assert!(bad("a b", TopicConfig::with_partitions(1)).contains("\"a b\""));
    assert!(bad("a", TopicConfig::with_partitions(0)).contains("partitions"));
    assert!(bad("a", TopicConfig::with_partitions(1).with("colour", "red")).contains("colour"));

    put(&log, "t", 0, &[rec("k", "old", 1)]).unwrap();
    let settings = BTreeMap::from([("retention.ms".into(), None), ("segment.ms".into(), Some("7".into()))]);
    let altered = block_on(log.alter_topic("t", settings, Some(3))).unwrap();
    assert_eq!(altered.id, first.id);
    assert_eq!(altered.config, TopicConfig::with_partitions(3).with("segment.ms", "7"));
    assert!(block_on(log.alter_topic("t", BTreeMap::new(), Some(2))).is_err());
    assert!(block_on(log.alter_topic("t", BTreeMap::from([("x".into(), None)]), None)).is_err());
    put(&log, "t", 2, &[rec("k", "new partition", 1)]).unwrap();

    let mut watch = log.watch("t").unwrap();
    watch.mark_unchanged();
    block_on(log.delete_topic("t")).unwrap();
    assert!(watch.has_changed().unwrap_or(true));
    assert!(matches!(block_on(log.delete_topic("t")), Err(LogError::UnknownTopic(_))));
    assert!(log.read(&one("t"), 0, 10).is_err());
    create(&log, "t", TopicConfig::with_partitions(1));
    assert_ne!(log.topic("t").unwrap().id, first.id);
    assert_eq!(values(&log, "t", 0), Vec::<String>::new());
    drop(log);
    let log = open(&sim);
    assert_eq!(log.topics().len(), 1);
    assert_eq!(values(&log, "t", 0), Vec::<String>::new());
    assert!(!sim.disk.files().iter().any(|path| path.ends_with(".log")));
}

#[test]
fn unsound_batches_are_refused_and_nothing_of_the_commit_stays() {
    let (_, log) = simulated();
    create(&log, "t", TopicConfig::with_partitions(1).with("max.message.bytes", "200"));
    create(&log, "c", TopicConfig::with_partitions(1).with("cleanup.policy", "compact"));
    let good = batch(&[rec("k", "v", 1)]);
    let refused = |topic: &str, bytes: Bytes, expect: &str| {
        let error = commit(&log, vec![append("t", 0, good.clone()), append(topic, 0, bytes)]).unwrap_err();
        assert!(error.to_string().starts_with("record batch refused: "), "{error}");
        assert!(error.to_string().contains(expect), "{error}");
    };
    let mut flipped = good.to_vec();
    flipped[65] ^= 1;
    refused("t", Bytes::from(flipped), "checksum");
    refused("t", good.slice(..good.len() - 1), "where the batch takes");
    refused("t", Bytes::new(), "no batch");
    refused("t", batch(&[rec("k", &"x".repeat(200), 1)]), "max.message.bytes");
    refused("c", batch(&[(None, None, 1)]), "need a key");
    let unknown = commit(&log, vec![append("t", 0, good.clone()), append("u", 0, good.clone())]);
    assert!(matches!(unknown, Err(LogError::UnknownTopic(_))));
    let unknown = commit(&log, vec![append("t", 0, good.clone()), append("t", 1, good.clone())]);
    assert!(matches!(unknown, Err(LogError::UnknownPartition(_))));
    assert_eq!(values(&log, "t", 0), Vec::<String>::new());
    assert_eq!(commit(&log, vec![]).unwrap(), []);
    assert_eq!(commit(&log, vec![append("t", 0, good)]).unwrap()[0].arrival, 0);
}

#[test]
fn batches_are_stored_as_they_came() {
    let (_, log) = simulated();
    create(&log, "t", TopicConfig::with_partitions(1));
    let mut builder = BatchBuilder::new();
    builder.set_producer(77, 3, 1000);
    builder.push(Some(b"k"), Some(b"value value value"), 5, &[("h", Some(b"1"))]).unwrap();
    let batch = builder.finish(Compression::Lz4).unwrap();
    commit(&log, vec![append("t", 0, batch.clone())]).unwrap();
    let stored = log.read(&one("t"), 0, 1).unwrap();
    assert_eq!(stored[0].bytes[12..16], [0; 4]);
    assert_eq!(stored[0].bytes[16..], batch[16..]);
}

#[test]
fn the_log_stamps_its_time_where_the_topic_wants_that() {
    let (sim, log) = simulated();
    create(&log, "t", TopicConfig::with_partitions(1).with("message.timestamp.type", "LogAppendTime"));
    let appended = put(&log, "t", 0, &[rec("a", "1", 5), rec("b", "2", 6)]).unwrap();
    assert_eq!(appended.append_time_ms, 1_000_000);
    sim.clock.advance_ms(5);
    put(&log, "t", 0, &[rec("c", "3", 7)]).unwrap();
    let times: Vec<i64> = read_all(&log, "t", 0).unwrap().into_iter().map(|(_, _, (_, _, time))| time).collect();
    assert_eq!(times, [1_000_000, 1_000_000, 1_000_005]);
    assert_eq!(log.offset_for_time(&one("t"), 1_000_001).unwrap(), Some(2));
}

#[test]
fn offsets_out_of_range_are_refused() {
    let (_, log) = simulated();
    create(&log, "t", TopicConfig::with_partitions(1));
    put(&log, "t", 0, &[rec("a", "1", 1), rec("b", "2", 2), rec("c", "3", 3)]).unwrap();
    put(&log, "t", 0, &[rec("d", "4", 4)]).unwrap();
    assert!(log.read(&one("t"), 4, 100).unwrap().is_empty());
    for offset in [-1, 5] {
        let expect_end = 4;
        match log.read(&one("t"), offset, 100) {
            Err(LogError::OutOfRange { offset: of, start: 0, end, .. }) => assert_eq!((of, end), (offset, expect_end)),
            other => panic!("{other:?}"),
        }
    }
    // A batch may begin before what was asked for.
    assert_eq!(log.read(&one("t"), 2, 1).unwrap()[0].base_offset, 0);
    block_on(log.delete_records(&one("t"), 2)).unwrap();
    assert_eq!(log.offsets(&one("t")).unwrap(), Offsets { start: 2, end: 4 });
    assert!(matches!(log.read(&one("t"), 1, 100), Err(LogError::OutOfRange { .. })));
    assert!(matches!(block_on(log.delete_records(&one("t"), 5)), Err(LogError::OutOfRange { .. })));
    block_on(log.delete_records(&one("t"), 4)).unwrap();
    assert_eq!(log.size_bytes(&one("t")).unwrap(), 0);
    assert_eq!(put(&log, "t", 0, &[rec("e", "5", 5)]).unwrap().base_offset, 4);
    assert_eq!(values(&log, "t", 0), ["5"]);
}

#[test]
fn times_find_offsets_over_segments_and_batches() {
    let (sim, log) = simulated();
    create(&log, "t", TopicConfig::with_partitions(1).with("segment.bytes", "300"));
    for i in 0..30 {
        // Times go up by tens, every other record is out of order.
        put(&log, "t", 0, &[rec("k", "v", i * 10 + 100), rec("k", "v", i * 10)]).unwrap();
    }
    let check = |log: &EmbeddedLog| {
        let all = read_all(log, "t", 0).unwrap();
        for time in [i64::MIN, 0, 95, 100, 101, 105, 250, 389, 390, 391, i64::MAX] {
            let expect = all.iter().find(|(_, _, (_, _, at))| *at >= time).map(|(offset, ..)| *offset);
            assert_eq!(log.offset_for_time(&one("t"), time).unwrap(), expect, "{time}");
        }
    };
    check(&log);
    block_on(log.delete_records(&one("t"), 17)).unwrap();
    check(&log);
    drop(log);
    check(&open(&sim));
}

#[test]
fn retention_by_size_and_by_age() {
    let (sim, log) = simulated();
    let config = TopicConfig::with_partitions(1).with("segment.bytes", "250").with("retention.ms", "-1");
    create(&log, "size", config.clone().with("retention.bytes", "1000"));
    create(&log, "age", config.with("retention.ms", "100"));
    for i in 0..40 {
        put(&log, "size", 0, &[rec("k", "v", 1)]).unwrap();
        put(&log, "age", 0, &[rec("k", "v", 1_000_000 + i)]).unwrap();
    }
    log.maintain(1_000_000).unwrap();
    let size = log.size_bytes(&one("size")).unwrap();
    assert!((1000..1250).contains(&size), "{size}");
    assert_eq!(log.offsets(&one("age")).unwrap().start, 0);
    let done = log.maintain(1_000_120).unwrap();
    assert!(done.segments_retired > 5);
    let start = log.offsets(&one("age")).unwrap().start;
    assert!((15..=20).contains(&start), "{start}");
    assert_eq!(read_all(&log, "age", 0).unwrap().len() as i64, 40 - start);
    log.maintain(1_000_999).unwrap();
    assert_eq!(log.offsets(&one("age")).unwrap(), Offsets { start: 40, end: 40 });
    drop(log);
    let log = open(&sim);
    assert_eq!(log.offsets(&one("age")).unwrap(), Offsets { start: 40, end: 40 });
    assert_eq!(put(&log, "age", 0, &[rec("k", "v", 1)]).unwrap().base_offset, 40);
}

#[test]
fn a_damaged_segment_is_reported_by_topic_partition_and_offset() {
    let (sim, log) = simulated();
    create(&log, "t", TopicConfig::with_partitions(1));
    for i in 0..10 {
        put(&log, "t", 0, &[rec("k", &format!("value {i}"), i)]).unwrap();
    }
    log.checkpoint().unwrap();
    let size = log.size_bytes(&one("t")).unwrap();
    drop(log);
    let path = sim.disk.files().into_iter().find(|path| path.extension().is_some_and(|e| e == "log")).unwrap();
    for position in (0..size).step_by(7) {
        sim.disk.flip(&path, position, 0x40).unwrap();
        let log = open(&sim);
        let damaged = i64::try_from(position / (size / 10)).unwrap();
        if damaged > 0 {
            assert_eq!(log.read(&one("t"), 0, 1 << 20).unwrap().len() as i64, damaged);
        }
        match log.read(&one("t"), damaged, 1 << 20) {
            Err(LogError::Corrupt { partition, offset, .. }) => {
                assert_eq!((partition, offset), (one("t"), damaged), "byte {position}");
            }
            other => panic!("byte {position}: {other:?}"),
        }
        drop(log);
        sim.disk.flip(&path, position, 0x40).unwrap();
    }
    assert_eq!(values(&open(&sim), "t", 0).len(), 10);
}

#[test]
fn a_full_disk_fails_commits_whole_until_there_is_room() {
    for inline_bytes_max in [0, 1 << 20] {
        let sim = Host::simulated(5, 0);
        let settings = Settings { inline_bytes_max, ..settings() };
        let log = EmbeddedLog::open(sim.host.clone(), "/data", settings.clone()).unwrap();
        create(&log, "t", TopicConfig::with_partitions(2));
        put(&log, "t", 0, &[rec("k", "before", 1)]).unwrap();
        let (mut fitted, mut refused) = (0, 0);
        for room in (0..1200).step_by(37) {
            sim.disk.set_capacity(Some(sim.disk.used_bytes() + room));
            let value = "x".repeat(300);
            let appends =
                vec![append("t", 0, batch(&[rec("k", &value, 1)])), append("t", 1, batch(&[rec("k", &value, 1)]))];
            match commit(&log, appends) {
                Ok(_) => fitted += 1,
                Err(error) => {
                    assert!(matches!(error, LogError::Io { .. }), "{error}");
                    refused += 1;
                }
            }
            sim.disk.set_capacity(None);
            let committed = values(&log, "t", 1).len();
            assert_eq!(values(&log, "t", 0).len(), committed + 1);
            let restarted = EmbeddedLog::open(sim.power_loss().host, "/data", settings.clone()).unwrap();
            assert_eq!(values(&restarted, "t", 0).len(), committed + 1);
            assert_eq!(values(&restarted, "t", 1).len(), committed);
        }
        assert!(fitted > 0 && refused > 3, "{fitted} {refused}");
        put(&log, "t", 0, &[rec("k", "after", 1)]).unwrap();
        assert_eq!(values(&log, "t", 0).last().unwrap(), "after");
    }
}

#[test]
fn failing_syncs_and_writes_lose_nothing_acknowledged() {
    for (op, path, inline_bytes_max) in [
        (FaultOp::Sync, "journal", 1 << 20),
        (FaultOp::Sync, ".log", 0),
        (FaultOp::Write, "journal", 1 << 20),
        (FaultOp::Write, ".log", 1 << 20),
        (FaultOp::Create, ".log", 0),
        (FaultOp::Sync, "checkpoint", 0),
        (FaultOp::Rename, "checkpoint", 0),
    ] {
        let sim = Host::simulated(6, 0);
        let settings = Settings { inline_bytes_max, checkpoint_bytes: 600, ..settings() };
        let log = EmbeddedLog::open(sim.host.clone(), "/data", settings.clone()).unwrap();
        create(&log, "t", TopicConfig::with_partitions(1).with("segment.bytes", "300"));
        let mut acknowledged = Vec::new();
        for i in 0..40 {
            if i % 5 == 3 {
                sim.disk.inject(op, path, 1 + i % 2);
            }
            let value = i.to_string();
            if put(&log, "t", 0, &[rec("k", &value, 1)]).is_ok() {
                acknowledged.push(value);
            }
            sim.disk.heal();
            assert_eq!(values(&log, "t", 0), acknowledged, "{op:?} {path}");
            let restarted = EmbeddedLog::open(sim.power_loss().host, "/data", settings.clone()).unwrap();
            let found = values(&restarted, "t", 0);
            // A commit that failed may yet be there if its entry reached the disk, and only as the last one.
            assert!(found.starts_with(&acknowledged) && found.len() <= acknowledged.len() + 1, "{op:?} {path} {i}");
        }
        assert!(acknowledged.len() >= 24, "{op:?} {path}: {}", acknowledged.len());
    }
}

/// A commit that is large everywhere syncs its segments at the same time.
#[test]
fn a_commit_of_which_one_segment_cannot_be_synced_is_nowhere() {
    let sim = Host::simulated(7, 0);
    let settings = Settings { threads: true, inline_bytes_max: 0, ..settings() };
    let log = EmbeddedLog::open(sim.host.clone(), "/data", settings.clone()).unwrap();
    let partitions = 6;
    create(&log, "t", TopicConfig::with_partitions(partitions).with("segment.bytes", "500"));
    let mut acknowledged = Vec::new();
    for i in 0..30 {
        // Of one partition, or of so many, whichever come first.
        match i % 5 {
            2 => sim.disk.inject(FaultOp::Sync, &format!("{}-", i % partitions), 1),
            4 => sim.disk.inject(FaultOp::Sync, ".log", 1 + i % partitions),
            _ => {}
        }
        let value = i.to_string();
        let appends = (0..partitions).map(|p| append("t", p, batch(&[rec("k", &value, 1)]))).collect();
        let committed = commit(&log, appends);
        sim.disk.heal();
        assert_eq!(committed.is_ok(), !matches!(i % 5, 2 | 4), "{i}: {committed:?}");
        if committed.is_ok() {
            acknowledged.push(value);
        }
        let restarted = EmbeddedLog::open(sim.power_loss().host, "/data", settings.clone()).unwrap();
        for p in 0..partitions {
            assert_eq!(values(&log, "t", p), acknowledged, "{i}, partition {p}");
            assert_eq!(values(&restarted, "t", p), acknowledged, "{i}, partition {p}, after a loss of power");
        }
    }
}

#[test]
fn reads_that_fail_come_back() {
    let (sim, log) = simulated();
    create(&log, "t", TopicConfig::with_partitions(1));
    put(&log, "t", 0, &[rec("k", "v", 1)]).unwrap();
    drop(log);
    let log = open(&sim);
    sim.disk.inject(FaultOp::Read, ".log", 1);
    assert!(matches!(log.read(&one("t"), 0, 1), Err(LogError::Io { .. })));
    assert_eq!(values(&log, "t", 0), ["v"]);
}

#[test]
fn watchers_hear_of_commits_after_they_are_visible() {
    let (_, log) = simulated();
    create(&log, "t", TopicConfig::with_partitions(2));
    create(&log, "u", TopicConfig::with_partitions(1));
    let (mut t, u) = (log.watch("t").unwrap(), log.watch("u").unwrap());
    assert!(!t.has_changed().unwrap());
    put(&log, "t", 1, &[rec("k", "v", 1)]).unwrap();
    assert!(t.has_changed().unwrap() && !u.has_changed().unwrap());
    t.mark_unchanged();
    block_on(t.wait_for(|_| true)).unwrap();
    assert!(log.watch("nothing").is_err());
}

#[test]
fn thousands_of_partitions_over_few_files() {
    let sim = Host::simulated(9, 0);
    let settings = Settings { files_open_max: 8, tail_bytes_max: 0, ..settings() };
    let log = EmbeddedLog::open(sim.host.clone(), "/data", settings.clone()).unwrap();
    for topic in 0..20 {
        create(&log, &format!("t{topic}"), TopicConfig::with_partitions(50));
    }
    let everywhere = |value: &str| {
        let batch = batch(&[rec("k", value, 1)]);
        (0..1000).map(|i| append(&format!("t{}", i / 50), i % 50, batch.clone())).collect::<Vec<_>>()
    };
    commit(&log, everywhere("1")).unwrap();
    commit(&log, everywhere("2")).unwrap();
    drop(log);
    let log = EmbeddedLog::open(sim.host.clone(), "/data", settings).unwrap();
    for i in 0..1000 {
        assert_eq!(values(&log, &format!("t{}", i / 50), i % 50), ["1", "2"]);
    }
}

#[test]
fn on_a_real_disk_with_threads_many_commit_at_once() {
    for durability in [Durability::Fsync, Durability::Interval(1), Durability::None] {
        let dir = tempfile::tempdir().unwrap();
        let host = Host::real().with_disk(Arc::new(RealDisk));
        let settings = Settings {
            durability,
            checkpoint_bytes: 20_000,
            inline_bytes_max: 4_000,
            maintenance_interval_ms: 1,
            ..Settings::default()
        };
        let log = EmbeddedLog::open(host.clone(), dir.path().join("log"), settings.clone()).unwrap();
        let config = TopicConfig::with_partitions(4).with("segment.bytes", "50000").with("retention.ms", "-1");
        create(&log, "t", config);
        std::thread::scope(|scope| {
            for partition in 0..4_u32 {
                let log = &log;
                scope.spawn(move || {
                    let large = "x".repeat(5_000);
                    let mut tickets = Vec::new();
                    for i in 0..60 {
                        let value = if i % 20 == 7 { large.clone() } else { i.to_string() };
                        let batch = batch(&[rec("k", &value, i)]);
                        let appends =
                            vec![append("t", partition, batch.clone()), append("t", (partition + 1) % 4, batch)];
                        tickets.push(log.commit(Commit::of(appends)));
                    }
                    for ticket in tickets {
                        ticket.blocking_recv().unwrap().unwrap();
                    }
                });
            }
        });
        let check = |log: &EmbeddedLog| {
            let mut arrivals = Vec::new();
            for partition in 0..4 {
                let all = read_all(log, "t", partition).unwrap();
                assert_eq!(all.len(), 120);
                assert!(all.is_sorted_by(|a, b| a.1 < b.1));
                arrivals.extend(all.into_iter().map(|(_, arrival, _)| arrival));
            }
            arrivals.sort_unstable();
            assert_eq!(arrivals, (0..480).collect::<Vec<u64>>());
        };
        check(&log);
        log.close().unwrap();
        let late = commit(&log, vec![append("t", 0, batch(&[rec("k", "late", 1)]))]);
        assert!(matches!(late, Err(LogError::Closed)));
        drop(log);
        check(&EmbeddedLog::open(host, dir.path().join("log"), settings).unwrap());
    }
}

#[test]
fn a_commit_over_partitions_is_seen_whole() {
    let host = Host::in_memory();
    let log = EmbeddedLog::open(host, "/log", Settings { threads: true, ..Settings::in_memory() }).unwrap();
    create(&log, "t", TopicConfig::with_partitions(2));
    let done = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for i in 0..2_000 {
                let batch = batch(&[rec("k", "v", i)]);
                commit(&log, vec![append("t", 0, batch.clone()), append("t", 1, batch)]).unwrap();
            }
            done.store(true, std::sync::atomic::Ordering::SeqCst);
        });
        while !done.load(std::sync::atomic::Ordering::SeqCst) {
            // Whoever sees a commit in the first partition sees it in the second.
            let first = log.offsets(&TopicPartition::new("t", 0)).unwrap().end;
            let second = log.offsets(&TopicPartition::new("t", 1)).unwrap().end;
            assert!(second >= first, "{first} {second}");
        }
    });
}

#[test]
fn logs_in_memory_are_cheap_and_synchronous() {
    let sim = Host::simulated(1, 77);
    for _ in 0..300 {
        let log = EmbeddedLog::open_in_memory(&sim.host).unwrap();
        create(&log, "t", TopicConfig::with_partitions(1));
        let mut ticket = log.commit(Commit::of(vec![append("t", 0, batch(&[rec("k", "v", 1)]))]));
        assert_eq!(ticket.try_recv().unwrap().unwrap()[0].base_offset, 0);
    }
}

#[test]
fn an_interval_passes_before_the_journal_is_synced() {
    let sim = Host::simulated(3, 0);
    let settings = Settings { durability: Durability::Interval(100), ..settings() };
    let log = EmbeddedLog::open(sim.host.clone(), "/data", settings).unwrap();
    create(&log, "t", TopicConfig::with_partitions(1));
    let before = sim.disk.syncs();
    for _ in 0..10 {
        put(&log, "t", 0, &[rec("k", "v", 1)]).unwrap();
    }
    assert_eq!(sim.disk.syncs(), before);
    sim.clock.advance_ms(u32::try_from(Duration::from_millis(100).as_millis()).unwrap());
    put(&log, "t", 0, &[rec("k", "v", 1)]).unwrap();
    assert_eq!(sim.disk.syncs(), before + 1);
}
