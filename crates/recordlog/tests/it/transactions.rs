//! Producers with ids and their transactions, as the log's users see them.

use crate::support::*;
use bytes::Bytes;
use futures::executor::block_on;
use host::{Host, Simulation};
use recordlog::{
    AbortedTransaction, Appended, Ends, Isolation, LogError, Offsets, ProducerError, RecordLog, Result, TopicConfig,
    TopicPartition,
    batch::{BatchBuilder, BatchHeader, Compression},
    embedded::{EmbeddedLog, Settings},
};

/// A producer of the tests: id, epoch, next sequence number.
struct Producer(i64, i16, i32);

impl Producer {
    fn batch(&mut self, values: &[&str], transactional: bool) -> Bytes {
        let mut builder = BatchBuilder::new();
        builder.set_producer(self.0, self.1, self.2);
        builder.set_transactional(transactional);
        for value in values {
            builder.push(Some(b"k"), Some(value.as_bytes()), 1, &[]).unwrap();
        }
        self.2 += i32::try_from(values.len()).unwrap();
        builder.finish(Compression::Lz4).unwrap()
    }

    fn mark(&self, commits: bool) -> Bytes {
        let mut builder = BatchBuilder::new();
        builder.set_producer(self.0, self.1, -1);
        builder.set_transactional(true);
        builder.set_control(true);
        builder.push(Some(&[0, 0, 0, u8::from(commits)]), Some(&[0; 6]), 1, &[]).unwrap();
        builder.finish(Compression::None).unwrap()
    }
}

fn send(log: &EmbeddedLog, batch: Bytes) -> Result<Appended> {
    commit(log, vec![append("t", 0, batch)]).map(|appended| appended[0])
}

fn simulated() -> (Simulation, Log) {
    let sim = Host::simulated(1, 1_000_000);
    let log = open(&sim);
    create(&log, "t", TopicConfig::with_partitions(1));
    (sim, log)
}

fn open(sim: &Simulation) -> Log {
    let settings = Settings { threads: false, ..Settings::default() };
    EmbeddedLog::open(sim.host.clone(), "/data", settings).unwrap()
}

fn place() -> TopicPartition {
    TopicPartition::new("t", 0)
}

fn ends(log: &EmbeddedLog) -> (i64, i64, i64) {
    let Ends { start, stable, end } = log.ends(&place()).unwrap();
    assert_eq!(log.offsets(&place()).unwrap(), Offsets { start, end: stable });
    (start, stable, end)
}

/// Run a check now, after a replay of the journal, and after a checkpoint.
fn check_over_restarts(sim: Simulation, log: Log, check: impl Fn(&EmbeddedLog)) -> (Simulation, Log) {
    check(&log);
    drop(log);
    let sim = sim.power_loss();
    let log = open(&sim);
    check(&log);
    log.checkpoint().unwrap();
    drop(log);
    let sim = sim.power_loss();
    let log = open(&sim);
    check(&log);
    (sim, log)
}

#[test]
fn a_batch_that_comes_again_lands_once_and_a_gap_is_refused() {
    let (sim, log) = simulated();
    let mut producer = Producer(5, 0, 0);
    let first = producer.batch(&["a", "b"], false);
    let second = producer.batch(&["c"], false);
    assert_eq!(send(&log, first.clone()).unwrap().base_offset, 0);
    // In one commit with what follows, too.
    let both = commit(&log, vec![append("t", 0, second.clone()), append("t", 0, second.clone())]).unwrap();
    assert_eq!((both[0].base_offset, both[1].base_offset), (2, 2));
    let (_, log) = check_over_restarts(sim, log, |log| {
        assert_eq!(send(log, first.clone()).unwrap().base_offset, 0);
        assert_eq!(send(log, second.clone()).unwrap().base_offset, 2);
        assert_eq!(values(log, "t", 0), ["a", "b", "c"]);
    });
    let refused = send(&log, Producer(5, 0, 7).batch(&["x"], false)).unwrap_err();
    let expect = ProducerError::OutOfOrder { sequence: 7, expected: 3 };
    assert!(matches!(refused, LogError::Producer { producer_id: 5, error, .. } if error == expect), "{refused}");
    assert_eq!(send(&log, Producer(5, 1, 0).batch(&["d"], false)).unwrap().base_offset, 3);
    let fenced = send(&log, producer.batch(&["x"], false)).unwrap_err();
    let expect = ProducerError::Fenced { epoch: 0, current: 1 };
    assert!(matches!(fenced, LogError::Producer { error, .. } if error == expect), "{fenced}");
    assert_eq!(values(&log, "t", 0), ["a", "b", "c", "d"]);
}

#[test]
fn an_open_transaction_is_not_seen_and_an_aborted_one_never() {
    let (sim, log) = simulated();
    let (mut one, mut two) = (Producer(1, 0, 0), Producer(2, 0, 0));
    put(&log, "t", 0, &[rec("k", "before", 1)]).unwrap();
    send(&log, one.batch(&["1a", "1b"], true)).unwrap();
    send(&log, two.batch(&["2a"], true)).unwrap();
    put(&log, "t", 0, &[rec("k", "after", 1)]).unwrap();
    let (sim, log) = check_over_restarts(sim, log, |log| {
        assert_eq!(ends(log), (0, 1, 5));
        assert_eq!(values(log, "t", 0), ["before"]);
        let all = log.fetch(&place(), 0, 1 << 20, Isolation::Uncommitted).unwrap();
        assert_eq!((all.batches.len(), all.aborted.len()), (4, 0));
        let open = log.producers(&place()).unwrap();
        assert_eq!(open.iter().map(|p| p.open_since).collect::<Vec<_>>(), [Some(1), Some(3)]);
    });
    send(&log, one.mark(false)).unwrap();
    assert_eq!((ends(&log), values(&log, "t", 0)), ((0, 3, 6), vec!["before".to_owned()]));
    send(&log, two.batch(&["2b"], true)).unwrap();
    send(&log, two.mark(true)).unwrap();
    send(&log, one.batch(&["1c"], true)).unwrap();
    send(&log, one.mark(true)).unwrap();
    check_over_restarts(sim, log, |log| {
        assert_eq!(ends(log), (0, 10, 10));
        let records = read_all(log, "t", 0).unwrap();
        let seen: Vec<_> = records.iter().map(|(at, _, (_, value, _))| (*at, value.clone().unwrap())).collect();
        let marks = |value: &String| value.as_bytes() == [0; 6];
        let seen: Vec<_> = seen.into_iter().filter(|(_, value)| !marks(value)).collect();
        let expect = [(0, "before"), (3, "2a"), (4, "after"), (6, "2b"), (8, "1c")];
        assert_eq!(seen, expect.map(|(at, value)| (at, value.to_owned())));
        let fetched = log.fetch(&place(), 0, 1 << 20, Isolation::Committed).unwrap();
        let aborted = AbortedTransaction { producer_id: 1, first_offset: 1, last_offset: 5 };
        assert_eq!(fetched.aborted, [aborted]);
        assert!(fetched.batches.iter().all(|b| BatchHeader::parse(&b.bytes).unwrap().record_count > 0));
    });
}

#[test]
fn marks_over_several_partitions_show_together() {
    let (sim, log) = simulated();
    create(&log, "u", TopicConfig::with_partitions(2));
    let mut producer = Producer(1, 0, 0);
    let batch = producer.batch(&["x"], true);
    for partition in 0..2 {
        commit(&log, vec![append("u", partition, batch.clone())]).unwrap();
    }
    commit(&log, vec![append("u", 0, producer.mark(true)), append("u", 1, producer.mark(true))]).unwrap();
    check_over_restarts(sim, log, |log| {
        for partition in 0..2 {
            assert_eq!(log.offsets(&TopicPartition::new("u", partition)).unwrap(), Offsets { start: 0, end: 2 });
        }
    });
}

#[test]
fn compaction_leaves_what_is_open_and_takes_what_was_aborted() {
    let (sim, log) = simulated();
    let config = TopicConfig::with_partitions(1).with("cleanup.policy", "compact").with("segment.bytes", "200");
    let config = config.with("min.cleanable.dirty.ratio", "0");
    create(&log, "c", config);
    let put = |batch: Bytes| commit(&log, vec![append("c", 0, batch)]).map(|appended| appended[0]);
    let mut producer = Producer(1, 0, 0);
    put(batch(&[rec("k", "kept", 1)])).unwrap();
    put(producer.batch(&["aborted"], true)).unwrap();
    put(producer.mark(false)).unwrap();
    let mut later = Producer(2, 0, 0);
    put(later.batch(&["open"], true)).unwrap();
    put(batch(&[rec("k", "newest", 1)])).unwrap();
    put(batch(&[rec("l", "other", 1)])).unwrap();
    put(batch(&[rec("m", "last", 1)])).unwrap();
    log.maintain(sim.host.clock.now_ms() + 1).unwrap();
    let texts =
        |log: &EmbeddedLog| values(log, "c", 0).into_iter().filter(|v| v.as_bytes() != [0; 6]).collect::<Vec<_>>();
    assert_eq!(texts(&log), ["kept"]);
    let first = log.fetch(&TopicPartition::new("c", 0), 0, 1 << 20, Isolation::Uncommitted).unwrap();
    assert!(!first.batches.iter().any(|b| b.base_offset == 1), "the aborted batch is gone");
    put(later.mark(true)).unwrap();
    put(batch(&[rec("n", "end", 1)])).unwrap();
    log.maintain(sim.host.clock.now_ms() + 2).unwrap();
    assert_eq!(texts(&log), ["newest", "other", "last", "end"]);
}

#[test]
fn deleting_records_of_an_open_transaction_moves_the_stable_end() {
    let (_, log) = simulated();
    let mut producer = Producer(1, 0, 0);
    send(&log, producer.batch(&["a", "b"], true)).unwrap();
    block_on(log.delete_records(&place(), 2)).unwrap();
    put(&log, "t", 0, &[rec("k", "x", 1)]).unwrap();
    assert_eq!(ends(&log), (2, 2, 3));
    send(&log, producer.mark(true)).unwrap();
    assert_eq!(ends(&log), (2, 4, 4));
}
