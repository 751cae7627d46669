//! The embedded log against a model that is a vector per partition: any commits, reads, restarts, kills, checkpoints,
//! under settings that put every path to use.

use crate::support::*;
use futures::executor::block_on;
use host::{Host, Simulation};
use proptest::{collection::vec, prelude::*, sample::select};
use recordlog::{
    LogError, RecordLog, TopicConfig, TopicPartition,
    batch::Compression,
    embedded::{Durability, EmbeddedLog, Settings},
};

const TOPICS: [&str; 2] = ["one", "two"];
const PARTITIONS: u32 = 2;

#[derive(Debug, Clone)]
enum Step {
    /// Appends: which partition, sizes of the values of each batch.
    Commit(Vec<(usize, Vec<Vec<usize>>)>),
    /// Read from a part of the way on.
    Read {
        place: usize,
        part: f64,
        bytes_max: usize,
    },
    DeleteRecords {
        place: usize,
        part: f64,
    },
    Checkpoint,
    Maintain,
    Reopen,
    Kill,
    DamagedCommit(usize),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let place = || 0..TOPICS.len() * PARTITIONS as usize;
    let sizes = prop_oneof![4 => 0_usize..50, 1 => 0_usize..40_000];
    let batches = vec(vec(sizes, 1..4), 1..3);
    let step = prop_oneof![
        8 => vec((place(), batches), 0..4).prop_map(Step::Commit),
        4 => (place(), 0.0..1.0, select(vec![0, 1, 100, 5_000, 1 << 20, usize::MAX]))
            .prop_map(|(place, part, bytes_max)| Step::Read { place, part, bytes_max }),
        1 => (place(), 0.0..1.0).prop_map(|(place, part)| Step::DeleteRecords { place, part }),
        1 => Just(Step::Checkpoint),
        1 => Just(Step::Maintain),
        1 => Just(Step::Reopen),
        1 => Just(Step::Kill),
        1 => place().prop_map(Step::DamagedCommit),
    ];
    vec(step, 1..40)
}

fn settings() -> impl Strategy<Value = Settings> {
    let durability = select(vec![Durability::Fsync, Durability::Interval(10), Durability::None]);
    (durability, select(vec![0, 200, 1 << 20]), select(vec![500, 1 << 20]), select(vec![0, 300, 1 << 20]), 1_usize..4)
        .prop_map(|(durability, inline_bytes_max, checkpoint_bytes, tail, files_open_max)| Settings {
            durability,
            threads: false,
            checkpoint_bytes,
            inline_bytes_max,
            files_open_max,
            tail_bytes_max: tail * 2,
            tail_partition_bytes_max: tail,
            ..Settings::default()
        })
}

#[derive(Default)]
struct Model {
    /// Per partition: the start, and every record there was.
    partitions: Vec<(usize, Vec<(u64, Rec)>)>,
    arrivals: u64,
}

struct World {
    sim: Simulation,
    settings: Settings,
    log: Option<Log>,
    model: Model,
}

fn tp(place: usize) -> TopicPartition {
    TopicPartition::new(TOPICS[place / PARTITIONS as usize], (place % PARTITIONS as usize) as u32)
}

impl World {
    fn log(&self) -> &EmbeddedLog {
        self.log.as_ref().unwrap()
    }

    fn open(&mut self) {
        self.log = Some(EmbeddedLog::open(self.sim.host.clone(), "/d/log", self.settings.clone()).unwrap());
    }

    fn expect(&self, place: usize, from: usize) -> Vec<Stored> {
        let all = self.model.partitions[place].1.iter().enumerate().skip(from);
        all.map(|(offset, (arrival, rec))| (offset as i64, *arrival, rec.clone())).collect()
    }

    fn offset_at(&self, place: usize, part: f64) -> usize {
        let (start, records) = &self.model.partitions[place];
        start + ((records.len() - start) as f64 * part) as usize
    }

    fn commit(&mut self, appends: &[(usize, Vec<Vec<usize>>)]) {
        let mut made = Vec::new();
        let mut expect = Vec::new();
        for (place, all) in appends {
            let mut bytes = Vec::new();
            let base_offset = self.model.partitions[*place].1.len() as i64;
            expect.push((base_offset, self.model.arrivals));
            for sizes in all {
                let records: Vec<Rec> = sizes
                    .iter()
                    .enumerate()
                    .map(|(i, size)| rec(&format!("{i}"), &"v".repeat(*size), *size as i64))
                    .collect();
                let codec = Compression::ALL[sizes.len() % Compression::ALL.len()];
                bytes.extend_from_slice(&batch_with(&records, codec));
                for record in records {
                    self.model.partitions[*place].1.push((self.model.arrivals, record));
                    self.model.arrivals += 1;
                }
            }
            let tp = tp(*place);
            made.push(append(&tp.topic, tp.partition, bytes.into()));
        }
        let appended = commit(self.log(), made).unwrap();
        let found: Vec<_> = appended.iter().map(|one| (one.base_offset, one.arrival)).collect();
        assert_eq!(found, expect);
    }

    fn step(&mut self, step: &Step) {
        match step {
            Step::Commit(appends) => self.commit(appends),
            Step::Read { place, part, bytes_max } => {
                let from = self.offset_at(*place, *part);
                let read = read_from(self.log(), &tp(*place), from as i64, *bytes_max).unwrap();
                assert_eq!(read, self.expect(*place, from));
                let beyond = self.model.partitions[*place].1.len() as i64 + 1;
                assert!(matches!(self.log().read(&tp(*place), beyond, 1), Err(LogError::OutOfRange { .. })));
            }
            Step::DeleteRecords { place, part } => {
                let before = self.offset_at(*place, *part);
                block_on(self.log().delete_records(&tp(*place), before as i64)).unwrap();
                self.model.partitions[*place].0 = before;
            }
            Step::Checkpoint => self.log().checkpoint().unwrap(),
            Step::Maintain => drop(self.log().maintain(1_000).unwrap()),
            Step::Reopen => {
                self.log = None;
                self.open();
            }
            Step::Kill => {
                self.sim = self.sim.kill();
                self.open();
            }
            Step::DamagedCommit(place) => {
                let mut bytes = batch(&[rec("k", "v", 1)]).to_vec();
                bytes[62] ^= 1;
                let (good, tp) = (batch(&[rec("k", "v", 1)]), tp(*place));
                let appends = vec![append("one", 0, good), append(&tp.topic, tp.partition, bytes.into())];
                assert!(matches!(commit(self.log(), appends), Err(LogError::BadBatch(_))));
            }
        }
    }

    fn check_all(&self) {
        for place in 0..self.model.partitions.len() {
            let (start, records) = &self.model.partitions[place];
            let offsets = self.log().offsets(&tp(place)).unwrap();
            assert_eq!((offsets.start, offsets.end), (*start as i64, records.len() as i64));
            let read = read_from(self.log(), &tp(place), offsets.start, 3_000).unwrap();
            assert_eq!(read, self.expect(place, *start));
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 150, ..ProptestConfig::default() })]

    #[test]
    fn the_log_is_its_model(settings in settings(), steps in steps(), segment_bytes in select(vec![14, 400, 10_000])) {
        let sim = Host::simulated(1, 1_000);
        let mut world = World { sim, settings, log: None, model: Model::default() };
        world.model.partitions = vec![(0, Vec::new()); TOPICS.len() * PARTITIONS as usize];
        world.open();
        for topic in TOPICS {
            let config = TopicConfig::with_partitions(PARTITIONS)
                .with("segment.bytes", &segment_bytes.to_string())
                .with("retention.ms", "-1");
            create(world.log(), topic, config);
        }
        for step in &steps {
            world.step(step);
        }
        world.check_all();
        world.step(&Step::Reopen);
        world.check_all();
    }
}
