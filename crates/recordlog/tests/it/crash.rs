//! Crashes at any point: what was acknowledged is there whole, what was not is there whole or not at all, and arrival
//! numbers stay in order and are given once.

use std::collections::{BTreeMap, BTreeSet};

use crate::support::*;
use futures::executor::block_on;
use host::{Host, Simulation};
use rand::{Rng, SeedableRng, rngs::StdRng};
use recordlog::{
    RecordLog, Result, TopicConfig, TopicPartition,
    embedded::{Durability, EmbeddedLog, Settings},
};

const PARTITIONS: u32 = 3;

/// What a commit wrote: its number stands in every record, with how many records it has.
struct Written {
    commit: usize,
    records: usize,
}

struct Crash {
    rng: StdRng,
    sim: Simulation,
    settings: Settings,
    /// Acknowledged commits.
    acknowledged: Vec<Written>,
    /// Commits begun, in order; the last may be without an answer.
    begun: Vec<Written>,
    /// Of a compacted topic, by key: the last acknowledged value, and those written since.
    compacted: BTreeMap<String, (Option<String>, Vec<String>)>,
    /// Records before these offsets were deleted, as acknowledged, and as begun.
    deleted: [(i64, i64); PARTITIONS as usize],
}

impl Crash {
    fn new(seed: u64, durability: Durability) -> Crash {
        let mut rng = StdRng::seed_from_u64(seed);
        let settings = Settings {
            durability,
            threads: false,
            checkpoint_bytes: [300, 2_000, 1 << 20][rng.random_range(0..3)],
            inline_bytes_max: [0, 150, 1 << 20][rng.random_range(0..3)],
            tail_bytes_max: 0,
            files_open_max: 2,
            ..Settings::default()
        };
        let sim = Host::simulated(seed, 1_000);
        Crash {
            rng,
            sim,
            settings,
            acknowledged: vec![],
            begun: vec![],
            compacted: BTreeMap::new(),
            deleted: Default::default(),
        }
    }

    fn open(&self) -> Result<Log> {
        EmbeddedLog::open(self.sim.host.clone(), "/var/log", self.settings.clone())
    }

    /// Work until the machine dies.
    fn work(&mut self) -> Result<()> {
        let log = self.open()?;
        if log.topic("t").is_none() {
            let segment_bytes = ["100", "400", "100000"][self.rng.random_range(0..3)];
            let config = TopicConfig::with_partitions(PARTITIONS)
                .with("segment.bytes", segment_bytes)
                .with("retention.ms", "-1");
            block_on(log.create_topic("t", config))?;
        }
        if log.topic("c").is_none() {
            let config = TopicConfig::with_partitions(1)
                .with("cleanup.policy", "compact")
                .with("segment.bytes", "300")
                .with("min.cleanable.dirty.ratio", "0.01");
            block_on(log.create_topic("c", config))?;
        }
        loop {
            match self.rng.random_range(0..20) {
                0 => log.checkpoint()?,
                1 => drop(log.maintain(2_000)?),
                2 => self.delete_records(&log)?,
                3 => self.sim.clock.advance_ms(5),
                4..8 => self.put_compacted(&log)?,
                _ => self.commit(&log)?,
            }
        }
    }

    fn commit(&mut self, log: &EmbeddedLog) -> Result<()> {
        let number = self.begun.len();
        let mut appends = Vec::new();
        let mut records = 0;
        for _ in 0..self.rng.random_range(1..4) {
            let partition = self.rng.random_range(0..PARTITIONS);
            let count = self.rng.random_range(1..4);
            let padding = "x".repeat([0, 10, 700][self.rng.random_range(0..3)]);
            let all: Vec<Rec> = (0..count).map(|_| rec(&number.to_string(), &padding, 1)).collect();
            appends.push(append("t", partition, batch(&all)));
            records += count;
        }
        self.begun.push(Written { commit: number, records });
        commit(log, appends)?;
        self.acknowledged.push(Written { commit: number, records });
        Ok(())
    }

    fn put_compacted(&mut self, log: &EmbeddedLog) -> Result<()> {
        let key = self.rng.random_range(0..6).to_string();
        let value = self.rng.random_range(0..1_000_000).to_string();
        self.compacted.entry(key.clone()).or_default().1.push(value.clone());
        put(log, "c", 0, &[rec(&key, &value, 1)])?;
        self.compacted.insert(key, (Some(value), vec![]));
        Ok(())
    }

    /// The last value of each key is the last acknowledged one, or one whose commit had no answer.
    fn check_compacted(&mut self, log: &EmbeddedLog, promised: bool) {
        let mut found = BTreeMap::new();
        if log.topic("c").is_some() {
            for (_, _, (key, value, _)) in read_all(log, "c", 0).unwrap() {
                found.insert(key.unwrap(), value.unwrap());
            }
        }
        if promised {
            for (key, (acknowledged, since)) in &self.compacted {
                let last = found.get(key);
                let fits = last == acknowledged.as_ref() || last.is_some_and(|last| since.contains(last));
                assert!(fits, "key {key} has {last:?}, not {acknowledged:?} or one of {since:?}");
            }
        }
        self.compacted = found.into_iter().map(|(key, value)| (key, (Some(value), vec![]))).collect();
    }

    fn delete_records(&mut self, log: &EmbeddedLog) -> Result<()> {
        let partition = self.rng.random_range(0..PARTITIONS);
        let tp = TopicPartition::new("t", partition);
        let offsets = log.offsets(&tp)?;
        // Only a little at the front, so that something is left to check.
        let before = (offsets.start + 1).min(offsets.end);
        self.deleted[partition as usize].1 = before;
        block_on(log.delete_records(&tp, before))?;
        self.deleted[partition as usize].0 = before;
        Ok(())
    }

    /// What the log holds is what it should.
    fn check(&mut self, power_lost: bool) {
        let log = self.open().unwrap_or_else(|error| panic!("the log does not open: {error}"));
        let mut counts = vec![0; self.begun.len()];
        let mut arrivals = BTreeSet::new();
        let mut gone = 0;
        if log.topic("t").is_some() {
            for partition in 0..PARTITIONS {
                let offsets = log.offsets(&TopicPartition::new("t", partition)).unwrap();
                let (acknowledged, begun) = self.deleted[partition as usize];
                if self.settings.durability == Durability::Fsync || !power_lost {
                    assert!(offsets.start == acknowledged || offsets.start == begun);
                }
                self.deleted[partition as usize] = (offsets.start, offsets.start);
                gone += offsets.start;
                let all = read_all(&log, "t", partition).unwrap();
                assert_eq!(all.len() as i64, offsets.end - offsets.start);
                assert!(all.is_sorted_by(|a, b| a.1 < b.1), "arrival numbers go up within a partition");
                for (_, arrival, (key, ..)) in all {
                    assert!(arrivals.insert(arrival), "arrival {arrival} was given twice");
                    counts[key.unwrap().parse::<usize>().unwrap()] += 1;
                }
            }
        }
        let promised = self.settings.durability == Durability::Fsync || !power_lost;
        self.check_compacted(&log, promised);
        let whole = |written: &Written| counts[written.commit] == written.records;
        if gone == 0 {
            let lost = self.acknowledged.iter().find(|written| !whole(written));
            assert!(!promised || lost.is_none(), "commit {} was acknowledged", lost.unwrap().commit);
            for written in &self.begun {
                assert!(whole(written) || counts[written.commit] == 0, "commit {} is torn", written.commit);
            }
        }
        // What was not there after a crash will not come back; forget it.
        self.acknowledged.retain(|written| counts[written.commit] == written.records);
        for written in &mut self.begun {
            written.records = counts[written.commit];
        }
        for written in &mut self.acknowledged {
            written.records = counts[written.commit];
        }
    }
}

fn check(seed: u64, durability: Durability) {
    let mut crash = Crash::new(seed, durability);
    for _ in 0..crash.rng.random_range(1..5) {
        let operations = crash.rng.random_range(1..150);
        crash.sim.disk.crash_after(operations);
        let error = crash.work().expect_err("the machine dies");
        assert!(crash.sim.disk.is_dead(), "{error}");
        let power_lost = crash.rng.random();
        crash.sim = if power_lost { crash.sim.power_loss() } else { crash.sim.kill() };
        crash.check(power_lost);
        // A crash during recovery is a crash like any other.
        if crash.rng.random() {
            crash.sim.disk.crash_after(crash.rng.random_range(1..20));
            let _ = crash.open();
            let power_lost = crash.rng.random();
            crash.sim = if power_lost { crash.sim.power_loss() } else { crash.sim.kill() };
            crash.check(power_lost);
        }
    }
}

fn check_seeds(seeds: std::ops::Range<u64>, durability: Durability) {
    for seed in seeds {
        let result = std::panic::catch_unwind(|| check(seed, durability));
        assert!(result.is_ok(), "seed {seed} with {durability:?}");
    }
}

#[test]
fn with_fsync_nothing_acknowledged_is_lost() {
    check_seeds(0..500, Durability::Fsync);
}

#[test]
fn with_an_interval_the_log_stays_whole() {
    check_seeds(1_000..1_250, Durability::Interval(20));
}

#[test]
fn without_syncs_the_log_stays_whole() {
    check_seeds(2_000..2_250, Durability::None);
}
