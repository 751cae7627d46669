//! Random work of several writers and processes against a list in memory.

use std::{collections::HashMap, sync::Arc};

use kafka::ClusterLog;
use rand::{Rng, SeedableRng, rngs::StdRng};
use recordlog::{Commit, RecordLog, TopicPartition};

use crate::support::*;

const PARTITIONS: u32 = 3;
const WRITERS: [&str; 3] = ["a", "b", "c"];
const STEPS: usize = 120;

/// What each writer has written to each partition, in order; and commits whose outcome a crash has left open.
#[derive(Default)]
struct Model {
    written: HashMap<(Option<&'static str>, u32), Vec<Rec>>,
    records: i64,
}

impl Model {
    fn appends(
        &mut self,
        writer: Option<&str>,
        topic: &str,
        random: &mut StdRng,
    ) -> (Vec<recordlog::Append>, Vec<(u32, Vec<Rec>)>) {
        let mut made = vec![];
        for partition in 0..PARTITIONS {
            if random.random_bool(0.6) {
                let count =
                    if random.random_bool(0.1) { random.random_range(100..2000) } else { random.random_range(1..6) };
                let records: Vec<Rec> = (0..count)
                    .map(|_| {
                        self.records += 1;
                        rec(
                            writer.unwrap_or("-"),
                            &format!("{} {}", self.records, "x".repeat(random.random_range(0..60))),
                            self.records,
                        )
                    })
                    .collect();
                made.push((partition, records));
            }
        }
        (made.iter().map(|(p, records)| append(topic, *p, records)).collect(), made)
    }

    fn add(&mut self, writer: Option<&'static str>, made: Vec<(u32, Vec<Rec>)>) {
        for (partition, records) in made {
            self.written.entry((writer, partition)).or_default().extend(records);
        }
    }

    /// Everything that was written is there, in each writer's order, and nothing else.
    fn check(&self, log: &ClusterLog, topic: &str, random: &mut StdRng) {
        for partition in 0..PARTITIONS {
            let all = read_pieces(log, topic, partition, 0, random.random_range(1..200_000));
            for writer in WRITERS.into_iter().map(Some).chain([None]) {
                let key = writer.unwrap_or("-").as_bytes();
                let of: Vec<&Rec> = all.iter().map(|(_, r)| r).filter(|r| r.key.as_deref() == Some(key)).collect();
                let empty = vec![];
                let expect: Vec<&Rec> = self.written.get(&(writer, partition)).unwrap_or(&empty).iter().collect();
                assert_eq!(of.len(), expect.len(), "{writer:?} in {partition}");
                assert!(of == expect, "{writer:?} in {partition}");
            }
            assert!(all.is_sorted_by_key(|(offset, _)| *offset));
            if let Some(at) = all.len().checked_sub(1).map(|last| random.random_range(0..=last)) {
                let part = read_pieces(log, topic, partition, all[at].0, random.random_range(1..100_000));
                assert!(part == all[at..], "from {}", all[at].0);
            }
            let ends = log.offsets(&TopicPartition::new(topic, partition)).unwrap();
            assert!(ends.start == 0 && all.last().is_none_or(|(last, _)| *last < ends.end));
        }
    }
}

async fn run(cluster: Cluster, seed: u64) {
    eprintln!("seed {seed}");
    let mut random = StdRng::seed_from_u64(seed);
    let topic = cluster.topic("model");
    let mut log: Arc<ClusterLog> = cluster.log().await;
    let reader = cluster.log().await;
    log.create_topic(&topic, config(PARTITIONS, &[])).await.unwrap();
    let mut model = Model::default();
    for _ in 0..STEPS {
        match random.random_range(0..20) {
            0 => {
                // A crash: what was queued is written or not, and taking over tells.
                let writer = WRITERS[random.random_range(0..3)];
                let (appends, made) = model.appends(Some(writer), &topic, &mut random);
                let ticket = log.commit(Commit { appends, writer: Some(writer.into()) });
                drop(log);
                log = cluster.log().await;
                for writer in WRITERS {
                    log.take_over(writer).await.unwrap();
                }
                let told = outcome(ticket).await;
                let is_there = made.iter().all(|(p, records)| {
                    let all = read_from(&log, &topic, *p, 0);
                    all.iter().filter(|(_, r)| records.contains(r)).count() == records.len()
                });
                if let Some(Ok(_)) = told {
                    assert!(is_there, "a commit that was told is there");
                }
                if is_there {
                    model.add(Some(writer), made);
                }
            }
            1 => {
                let writer = WRITERS[random.random_range(0..3)];
                log.take_over(writer).await.unwrap();
            }
            2..4 => model.check(&log, &topic, &mut random),
            4 => {
                (0..PARTITIONS).for_each(|p| catch_up(&reader, &log, &topic, p));
                model.check(&reader, &topic, &mut random);
            }
            5..8 => {
                let (appends, made) = model.appends(None, &topic, &mut random);
                commit(&log, None, appends).await.unwrap();
                model.add(None, made);
            }
            _ => {
                // Several at once, of several writers.
                let mut tickets = vec![];
                for _ in 0..random.random_range(1..5) {
                    let writer = WRITERS[random.random_range(0..3)];
                    let (appends, made) = model.appends(Some(writer), &topic, &mut random);
                    tickets.push(log.commit(Commit { appends, writer: Some(writer.into()) }));
                    model.add(Some(writer), made);
                }
                for ticket in tickets {
                    ticket.await.unwrap().unwrap();
                }
            }
        }
    }
    model.check(&log, &topic, &mut random);
    (0..PARTITIONS).for_each(|p| catch_up(&reader, &log, &topic, p));
    model.check(&reader, &topic, &mut random);
}

#[test]
fn random_work_agrees_with_the_model() {
    on_each(|cluster| run(cluster, rand::random()));
}
