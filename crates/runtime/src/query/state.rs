//! A query's state between epochs: read back from its changelog, drained into it, measured.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, atomic::Ordering},
};

use operators::Operator;
use rayon::prelude::*;
use recordlog::{
    Append, RecordLog, TopicPartition,
    batch::{BatchBuilder, BuiltBatch},
    replay,
};
use types::{Error, Result};

use super::{Query, segment::Task};
use crate::{
    graph::{Node, NodeId},
    journal::{Progress, changelog_topic},
    log_error,
    sink::{BATCH_BYTES, append, finish},
};

/// Bytes after which a changelog's segment is closed.
const CHANGELOG_SEGMENT_BYTES: u32 = 32 << 20;

impl Query {
    fn has_state(&self) -> bool {
        self.graph.nodes.iter().any(Node::is_stateful)
    }

    /// Topics that commits need, and their partitions.
    pub(super) fn internal_topics(&self) -> Vec<(String, u32)> {
        let mut wanted = vec![(crate::journal::OFFSETS_TOPIC.to_string(), 1)];
        if self.has_state() {
            let partitions = self.graph.segments.iter().map(|s| s.partitions).max().unwrap_or(1);
            wanted.push((changelog_topic(&self.options.id), partitions));
        }
        wanted
    }

    pub(super) fn restore(&mut self, progress: Progress) -> Result<()> {
        self.epoch = progress.epoch;
        let stateful = |number: usize| self.graph.nodes.iter().position(|n| n.is_stateful() && n.number == number);
        self.times = progress.times.iter().filter_map(|(n, time)| Some((stateful(*n)?, *time))).collect();
        let topic = changelog_topic(&self.options.id);
        if self.log.topic(&topic).is_none() {
            return Ok(());
        }
        let by_number = self.graph.nodes.iter().enumerate().filter(|(_, n)| n.is_stateful());
        let by_number: HashMap<usize, NodeId> = by_number.map(|(at, n)| (n.number, at)).collect();
        let groups: Vec<(u32, Vec<&mut Task>)> = by_partition(&mut self.tasks).into_iter().collect();
        let log = &*self.log;
        let work = |(p, tasks): (u32, Vec<&mut Task>)| -> Result<()> {
            let mut operators: BTreeMap<NodeId, &mut Box<dyn Operator>> =
                tasks.into_iter().flat_map(|t| t.operators.iter_mut().map(|(at, o)| (*at, o))).collect();
            replay(log, &TopicPartition::new(topic.as_str(), p), 0, log_error, |record| {
                let Some((number, key)) = record.key.and_then(|k| k.split_first_chunk::<2>()) else { return Ok(()) };
                let node = by_number.get(&usize::from(u16::from_be_bytes(*number)));
                match node.and_then(|n| operators.get_mut(n)) {
                    Some(operator) => operator.restore(key, record.value),
                    None => Ok(()),
                }
            })?;
            operators.into_values().for_each(|operator| operator.drain(&mut |_, _| {}));
            Ok(())
        };
        self.pool.install(|| groups.into_par_iter().map(work).collect::<Result<()>>())?;
        let epoch = self.epoch;
        self.committed(epoch);
        self.measure_state()
    }

    pub(super) fn drain_state(&mut self, appends: &mut Vec<Append>) -> Result<()> {
        let topic = changelog_topic(&self.options.id);
        let time_ms = self.host.clock.now_ms();
        let nodes = &self.graph.nodes;
        let work = |(p, tasks): (u32, Vec<&mut Task>)| -> Result<Vec<(u32, BuiltBatch)>> {
            let mut out = vec![];
            for task in tasks {
                drain_task(task, nodes, time_ms, |batch| out.push((p, batch)))?;
            }
            Ok(out)
        };
        let groups: Vec<_> = by_partition(&mut self.tasks).into_iter().collect();
        let results: Vec<Result<Vec<_>>> = self.pool.install(|| groups.into_par_iter().map(work).collect());
        for result in results {
            appends.extend(result?.into_iter().map(|(p, batch)| append(&topic, p, batch)));
        }
        Ok(())
    }

    /// Count the state's rows and bytes; an error where there are more than there may be.
    pub(super) fn measure_state(&mut self) -> Result<()> {
        let mut total = 0;
        for (at, stats) in self.stats.nodes.iter().enumerate() {
            let sizes = self.tasks.iter().flatten().filter_map(|t| t.operators.get(&at)).map(|o| o.size());
            let (rows, bytes) = sizes.fold((0, 0), |(r, b), (rows, bytes)| (r + rows, b + bytes));
            stats.state_rows.store(rows as u64, Ordering::Relaxed);
            stats.state_bytes.store(bytes as u64, Ordering::Relaxed);
            total += bytes as u64;
        }
        self.charge.set(total).map_err(|over| {
            let largest = self.stats.nodes.iter().max_by_key(|n| n.state_bytes.load(Ordering::Relaxed));
            over.error(&self.options.id, largest.map_or("", |n| n.label.as_str()))
        })
    }
}

/// What changed in a task's state, as records of the changelog, in batches.
fn drain_task(task: &mut Task, nodes: &[Node], time_ms: i64, mut each: impl FnMut(BuiltBatch)) -> Result<()> {
    let (mut builder, mut failed, mut key) = (BatchBuilder::with_capacity(0), None, Vec::new());
    for (node, operator) in &mut task.operators {
        let Some(number) = nodes.get(*node).filter(|n| n.is_stateful()).map(|n| n.number) else { continue };
        let prefix = u16::try_from(number).unwrap_or(u16::MAX).to_be_bytes();
        operator.drain(&mut |k, v| {
            key.clear();
            key.extend_from_slice(&prefix);
            key.extend_from_slice(k);
            if builder.bytes() > BATCH_BYTES {
                finish(&mut builder).map_or_else(|e| failed = Some(e), &mut each);
            }
            if let Err(e) = builder.push(Some(&key), v, time_ms, &[]) {
                failed = Some(Error::internal(format!("a state entry cannot be written: {e}")));
            }
        });
    }
    if !builder.is_empty() {
        each(finish(&mut builder)?);
    }
    failed.map_or(Ok(()), Err)
}

/// The tasks that have operators, of all segments, by partition: their states share a partition of the changelog.
fn by_partition(tasks: &mut [Vec<Task>]) -> BTreeMap<u32, Vec<&mut Task>> {
    let mut groups: BTreeMap<u32, Vec<&mut Task>> = BTreeMap::new();
    for segment in tasks {
        for (p, task) in (0u32..).zip(segment).filter(|(_, t)| !t.operators.is_empty()) {
            groups.entry(p).or_default().push(task);
        }
    }
    groups
}

pub(super) async fn create_internal_topics(log: Arc<dyn RecordLog>, wanted: Vec<(String, u32)>) -> Result<()> {
    for (name, partitions) in wanted {
        if let Some(there) = log.topic(&name) {
            if there.config.partitions < partitions {
                return Err(Error::invalid(format!(
                    "the topics that it reads have {partitions} partitions now, and its state in {name} {}: rows of a \
                     key are not where its state is; drop the query and create it again",
                    there.config.partitions
                )));
            }
            continue;
        }
        let settings = [
            ("cleanup.policy", "compact".to_string()),
            ("max.message.bytes", i32::MAX.to_string()),
            // What is not in a closed segment is not compacted, and is replayed when the query opens.
            ("segment.bytes", CHANGELOG_SEGMENT_BYTES.to_string()),
        ];
        let settings = settings.into_iter().map(|(name, value)| (name.to_string(), value)).collect();
        match log.create_topic(&name, recordlog::TopicConfig { partitions, replicas: 1, settings }).await {
            Ok(_) | Err(recordlog::LogError::TopicExists(_)) => {}
            Err(e) => return Err(log_error(e)),
        }
    }
    Ok(())
}
