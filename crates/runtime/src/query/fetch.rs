//! What an epoch reads: each partition of each source, cut where the order of records asks for it, decoded.

use std::sync::atomic::Ordering;

use operators::{ChangeBatch, Report};
use planner::plan::{QueryPlan, Start};
use rayon::prelude::*;
use recordlog::{Offset, RecordLog, TopicPartition};
use types::{Error, Result};

use super::{PARALLEL_RECORDS_MIN, Query, nanos, reader_name};
use crate::{
    graph::{NodeId, NodeKind, SourceNode},
    headers::HeaderBook,
    journal::Progress,
    log_error,
    rows::RowReader,
    shared::Membership,
    source::{Cut, ReadRange, Reader, Taken, take_epoch},
};

/// Reads one partition of a source.
pub(super) struct SourceReader {
    pub node: NodeId,
    pub reader: Reader,
    pub rows: RowReader,
}

/// What an epoch has read of one partition of a source.
pub(super) struct Fetched {
    pub node: NodeId,
    pub partition: TopicPartition,
    pub read: ReadRange,
    pub rows: ChangeBatch,
    pub reports: Vec<Report>,
    pub headers: HeaderBook,
}

impl Query {
    pub(super) fn place_readers(&mut self, plan: &QueryPlan, progress: Option<&Progress>) -> Result<()> {
        for (at, node) in self.graph.nodes.iter().enumerate() {
            let NodeKind::Source(source) = &node.kind else { continue };
            let id = self.log.topic(&source.source.topic).map(|t| t.id.to_string());
            let read_before = progress.and_then(|pr| pr.topics.get(&source.source.topic));
            let is_another = read_before.is_some() && read_before != id.as_ref();
            if is_another {
                tracing::warn!(query = %self.options.id, topic = %source.source.topic, "the topic was made anew; it is read from its beginning");
            }
            for p in 0..node.partitions {
                let partition = TopicPartition::new(source.source.topic.as_str(), p);
                let known = progress.and_then(|pr| pr.offsets.get(&reader_name(node.number, &partition))).copied();
                let next = match known {
                    Some(next) if !is_another => next,
                    // Made anew, or a partition that the topic did not have when the query began.
                    _ if progress.is_some() => self.log.offsets(&partition).map_err(log_error)?.start,
                    _ => first_offset(&*self.log, source, &partition, plan.from_earliest)?,
                };
                let (registry, strict) = (self.options.registry.as_ref(), self.options.strict_timestamps);
                let rows = RowReader::new(source, node.schema.clone(), registry, strict)?;
                let mut reader = Reader::new(partition, next, id.clone());
                if source.start == Start::Snapshot {
                    let end = match progress {
                        Some(progress) => progress.snapshots.get(&reader_name(node.number, &reader.partition)).copied(),
                        None => Some(self.log.offsets(&reader.partition).map_err(log_error)?.end),
                    };
                    reader.snapshot_end = end.filter(|end| next < *end);
                }
                reader.shared = Some(self.options.shared.join(&reader, source, &node.schema, registry, strict));
                self.readers.push(SourceReader { node: at, reader, rows });
            }
        }
        Ok(())
    }

    /// Read and decode what an epoch takes, one entry a reader.
    pub(super) fn fetch(&mut self, cut: Cut) -> Result<Vec<Fetched>> {
        let log = &*self.log;
        let waiting = match self.readers.as_slice() {
            [] | [_] => 0,
            readers => readers.iter().map(|r| r.reader.waiting(log)).sum::<Result<u64>>()?,
        };
        let pool = Some(&*self.pool).filter(|_| waiting >= PARALLEL_RECORDS_MIN);
        let (clock, stats) = (&self.host.clock, &self.stats);
        let read = |source: &mut SourceReader, taken: Option<Taken>| -> Result<Fetched> {
            let started = clock.monotonic();
            let SourceReader { node, reader, rows } = source;
            let partition = reader.partition.clone();
            let mut reports = vec![];
            let alone = !reader.shared.as_ref().is_some_and(Membership::has_company);
            let (read, batch, headers) = match (taken, cut) {
                (None, Cut::Bytes(bytes)) if alone => {
                    let read = reader.read_all(rows, log, bytes.max(1), Offset::MAX)?;
                    (read, rows.finish(&partition, &mut reports)?, rows.take_headers())
                }
                (taken, _) => {
                    let taken = match (taken, cut) {
                        (Some(taken), _) => taken,
                        (None, Cut::Bytes(bytes)) => reader.take_all(log, bytes.max(1))?,
                        (None, Cut::Records(_)) => return Err(Error::internal("an epoch without a cut")),
                    };
                    let (batch, headers) = match &reader.shared {
                        Some(shared) if taken.to > taken.from && (!alone || taken.is_hollow()) => {
                            shared.read(log, &partition, &taken, rows, &mut reports)?
                        }
                        _ => (rows.read(&partition, &taken, &mut reports)?, rows.take_headers()),
                    };
                    (taken.range(), batch, headers)
                }
            };
            if let Some(stats) = stats.nodes.get(*node) {
                stats.busy_ns.fetch_add(nanos(clock.monotonic().saturating_sub(started)), Ordering::Relaxed);
            }
            Ok(Fetched { node: *node, partition, read, rows: batch, reports, headers })
        };
        // Where order does not matter, each partition is read and decoded in one go.
        let taken: Vec<Option<Taken>> = if self.graph.ordered || matches!(cut, Cut::Records(_)) {
            let mut readers: Vec<&mut Reader> = self.readers.iter_mut().map(|r| &mut r.reader).collect();
            take_epoch(&mut readers, log, cut, self.graph.ordered, pool)?.into_iter().map(Some).collect()
        } else {
            self.readers.iter().map(|_| None).collect()
        };
        match pool {
            Some(pool) => {
                let sources = self.readers.par_iter_mut().zip(taken);
                pool.install(|| sources.map(|(source, taken)| read(source, taken)).collect())
            }
            None => self.readers.iter_mut().zip(taken).map(|(source, taken)| read(source, taken)).collect(),
        }
    }
}

fn first_offset(
    log: &dyn RecordLog,
    source: &SourceNode,
    partition: &TopicPartition,
    from_earliest: bool,
) -> Result<Offset> {
    let ends = log.offsets(partition).map_err(log_error)?;
    Ok(match &source.start {
        Start::Default if from_earliest => ends.start,
        Start::Default | Start::Latest => ends.end,
        Start::Earliest | Start::Snapshot => ends.start,
        Start::Time(time) => log.offset_for_time(partition, *time).map_err(log_error)?.unwrap_or(ends.end),
        Start::Offsets(offsets) => {
            offsets.get(&partition.partition).copied().unwrap_or(ends.start).clamp(ends.start, ends.end)
        }
    })
}
