//! What an epoch reads: each partition of each source, cut where the order of records asks for it, decoded.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use host::Clock;
use operators::{ChangeBatch, Report};
use planner::plan::{QueryPlan, Start};
use rayon::prelude::*;
use recordlog::{Offset, RecordLog, StoredBatch, TopicPartition};
use types::{Error, Result};

use super::{PARALLEL_RECORDS_MIN, Query, nanos};
use crate::{
    arrival::{Partition, read_in_order},
    graph::{NodeId, NodeKind, SourceNode},
    headers::HeaderBook,
    journal::Progress,
    log_error,
    order::{Numbers, Times},
    repartition::RepartitionReader,
    rows::RowReader,
    shared::{Membership, SharedRows},
    source::{Cut, PIECE_BYTES, ReadRange, Reader, Rows, Taken, take_epoch},
    stats::QueryStats,
};

/// Reads one partition of a source, or of what a stage before wrote for an exchange.
pub(super) struct SourceReader {
    pub node: NodeId,
    pub reader: Reader,
    pub rows: Decoder,
}

/// What makes rows of what is read.
pub(super) enum Decoder {
    Source(Box<RowReader>),
    Exchange(Box<RepartitionReader>),
}

/// What an epoch has read of one partition of a source.
pub(super) struct Fetched {
    pub node: NodeId,
    pub partition: TopicPartition,
    pub read: ReadRange,
    pub rows: ChangeBatch,
    /// Rows besides, which the filter that reads them would drop in silence.
    pub left_out: usize,
    pub reports: Vec<Report>,
    pub headers: HeaderBook,
}

impl SourceReader {
    /// Read and decode: what was taken, or of what is there about so many bytes.
    pub fn read(&mut self, log: &dyn RecordLog, taken: Option<Taken>, cut: Cut) -> Result<Fetched> {
        let SourceReader { node, reader, rows } = self;
        let partition = reader.partition.clone();
        let (node, mut reports) = (*node, vec![]);
        let bytes = match (&taken, cut) {
            (_, Cut::Bytes(bytes)) => bytes.max(1),
            (Some(_), Cut::Records(_)) => 0,
            (None, Cut::Records(_)) => return Err(Error::internal("an epoch without a cut")),
        };
        let (read, got) = match (rows, taken) {
            (Decoder::Exchange(rows), taken) => {
                let (read, batch) = match taken {
                    Some(taken) => (taken.range(), rows.read(&partition, &taken, &mut reports)?),
                    None => (reader.read_all(&mut **rows, log, bytes, Offset::MAX)?, rows.finish(&mut reports)?),
                };
                (read, SharedRows::all(batch, rows.take_headers()))
            }
            (Decoder::Source(rows), taken) => {
                let alone = !reader.shared.as_ref().is_some_and(Membership::has_company);
                match taken {
                    None if alone => {
                        let read = reader.read_all(&mut **rows, log, bytes, Offset::MAX)?;
                        let batch = rows.finish(&partition, &mut reports)?;
                        (read, SharedRows::all(batch, rows.take_headers()))
                    }
                    taken => {
                        let taken = taken.map_or_else(|| reader.take_all(log, bytes), Ok)?;
                        let got = match &reader.shared {
                            Some(shared) if taken.to > taken.from && (!alone || taken.is_hollow()) => {
                                shared.read(log, &partition, &taken, rows, &mut reports)?
                            }
                            _ => {
                                let batch = rows.read(&partition, &taken, &mut reports)?;
                                SharedRows::all(batch, rows.take_headers())
                            }
                        };
                        (taken.range(), got)
                    }
                }
            }
        };
        let SharedRows { rows, headers, left_out } = got;
        Ok(Fetched { node, partition, read, rows, left_out, reports, headers })
    }
}

impl Query {
    pub(super) fn place_readers(&mut self, plan: &QueryPlan, progress: Option<&Progress>) -> Result<()> {
        self.numbers = Arc::new(Numbers::starting_at(progress.map_or(0, |pr| pr.numbers)));
        let came_later = progress.is_none() && self.came_later()?;
        let mut readers = vec![];
        for (at, node) in self.graph.nodes.iter().enumerate().filter(|(_, node)| self.runs(node.stage)) {
            for p in self.own_partitions(node.partitions) {
                match &node.kind {
                    NodeKind::Source(source) => {
                        readers.push(self.source_reader((at, source, p), plan, (progress, came_later))?);
                    }
                    NodeKind::Exchange(_) if self.options.share.is_some() => {
                        readers.push(self.exchange_reader(at, p, progress)?);
                    }
                    _ => {}
                }
            }
        }
        // Of one reader everything comes in order.
        self.ordered = self.graph.ordered && (self.options.share.is_none() || readers.len() > 1);
        if self.log.arrival_end().is_none() {
            for SourceReader { node, reader, .. } in &mut readers {
                let reached = progress.filter(|pr| pr.topics.get(&*reader.partition.topic) == reader.topic_id.as_ref());
                let name = self.reader_name(*node, &reader.partition);
                let taken = reached.and_then(|pr| pr.reached.get(&name)).copied();
                reader.times = self.ordered.then(|| Times::after(taken));
                reader.numbers = Some(self.numbers.clone());
            }
        }
        self.readers = readers;
        self.consumed.begin(&self.readers);
        Ok(())
    }

    /// Whether it is a task of a partition that its topic did not have when the query began.
    fn came_later(&self) -> Result<bool> {
        let options = &self.options;
        match options.share {
            Some(_) if options.durable => Ok(!options.progress.tasks(&*self.log, &options.id)?.is_empty()),
            _ => Ok(false),
        }
    }

    fn source_reader(
        &self,
        (at, source, p): (NodeId, &SourceNode, u32),
        plan: &QueryPlan,
        (progress, came_later): (Option<&Progress>, bool),
    ) -> Result<SourceReader> {
        let partition = TopicPartition::new(source.source.topic.as_str(), p);
        let begin = || match came_later {
            true => Ok(self.log.offsets(&partition).map_err(log_error)?.start),
            false => first_offset(&*self.log, source, &partition, plan.from_earliest),
        };
        let mut reader = self.reader_at(at, partition.clone(), progress, &begin)?;
        let schema = self.graph.nodes.get(at).map(|n| n.schema.clone());
        let schema = schema.ok_or_else(|| Error::internal("a source that is none"))?;
        let (registry, strict) = (self.options.registry.as_ref(), self.options.strict_timestamps);
        let rows = RowReader::new(source, schema.clone(), registry, strict)?;
        if source.start == Start::Snapshot {
            let end = match progress {
                Some(progress) => progress.snapshots.get(&self.reader_name(at, &partition)).copied(),
                None if came_later => None,
                None => Some(self.log.offsets(&partition).map_err(log_error)?.end),
            };
            reader.snapshot_end = end.filter(|end| reader.next < *end);
        }
        if self.log.arrival_end().is_some() {
            reader.shared = Some(self.options.shared.join(&reader, source, &schema, registry, strict));
        }
        Ok(SourceReader { node: at, reader, rows: Decoder::Source(Box::new(rows)) })
    }

    fn exchange_reader(&self, at: NodeId, p: u32, progress: Option<&Progress>) -> Result<SourceReader> {
        let node = self.graph.nodes.get(at).ok_or_else(|| Error::internal("an exchange that is none"))?;
        let topic = self.options.names.repartition(&self.options.id, node.number);
        let reader = self.reader_at(at, TopicPartition::new(topic, p), progress, &|| Ok(0))?;
        let rows = RepartitionReader::new(node.schema.clone())?;
        Ok(SourceReader { node: at, reader, rows: Decoder::Exchange(Box::new(rows)) })
    }

    /// A reader that goes on where `progress` says, or else begins at `begin`.
    fn reader_at(
        &self,
        at: NodeId,
        partition: TopicPartition,
        progress: Option<&Progress>,
        begin: &dyn Fn() -> Result<Offset>,
    ) -> Result<Reader> {
        let topic = &*partition.topic;
        let id = self.log.topic(topic).map_err(log_error)?.map(|t| t.id.to_string());
        let read_before = progress.and_then(|pr| pr.topics.get(topic));
        let is_another = read_before.is_some() && read_before != id.as_ref();
        if is_another {
            tracing::warn!(query = %self.options.id, topic, "the topic was made anew; it is read from its beginning");
        }
        let known = progress.and_then(|pr| pr.offsets.get(&self.reader_name(at, &partition))).copied();
        let next = match known {
            Some(next) if !is_another => next,
            // Made anew, or a partition that the topic did not have when the query began.
            _ if progress.is_some() => self.log.offsets(&partition).map_err(log_error)?.start,
            _ => begin()?,
        };
        Ok(Reader::new(partition, next, id))
    }

    /// Whether the next epoch is worth to be spread over threads, or to wait for its turn. Not asked of a cluster, which
    /// may take its time to answer.
    pub fn has_much_to_read(&self) -> bool {
        if self.log.arrival_end().is_none() {
            return false;
        }
        let waiting = self.readers.iter().filter_map(|r| r.reader.waiting(&*self.log).ok());
        waiting.sum::<u64>() >= PARALLEL_RECORDS_MIN
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
            let fetched = source.read(log, taken, cut)?;
            if let Some(stats) = stats.nodes.get(source.node) {
                stats.busy_ns.fetch_add(nanos(clock.monotonic().saturating_sub(started)), Ordering::Relaxed);
            }
            Ok(fetched)
        };
        if let Cut::Bytes(bytes) = cut
            && self.ordered
            && log.arrival_end().is_some()
            && self.readers.iter().all(|source| source.reader.is_alone())
        {
            return fetch_in_order(&mut self.readers, log, bytes.max(1), pool, (clock.as_ref(), stats));
        }
        // Where order does not matter, each partition is read and decoded in one go.
        let taken: Vec<Option<Taken>> = if self.ordered || matches!(cut, Cut::Records(_)) {
            let mut readers: Vec<&mut Reader> = self.readers.iter_mut().map(|r| &mut r.reader).collect();
            take_epoch(&mut readers, log, cut, self.ordered, pool)?.into_iter().map(Some).collect()
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

/// What arrived first, of partitions that nobody else reads now.
fn fetch_in_order(
    readers: &mut [SourceReader],
    log: &dyn RecordLog,
    bytes: usize,
    pool: Option<&rayon::ThreadPool>,
    (clock, stats): (&dyn Clock, &QueryStats),
) -> Result<Vec<Fetched>> {
    let shared: Vec<_> = readers.iter_mut().map(|source| source.reader.leave_company()).collect();
    let partitions = readers.iter_mut().map(|SourceReader { node, reader, rows }| {
        let busy_ns = stats.nodes.get(*node).map(|stats| &stats.busy_ns);
        Partition { reader, rows: Timed { rows, clock, busy_ns } }
    });
    let read = read_in_order(partitions.collect(), log, (bytes, PIECE_BYTES), pool);
    readers.iter_mut().zip(shared).for_each(|(source, shared)| source.reader.shared = shared);
    let fetched = readers.iter_mut().zip(read?).map(|(SourceReader { node, reader, rows }, read)| {
        let (partition, mut reports) = (reader.partition.clone(), vec![]);
        let (rows, headers) = rows.finish(&partition, &mut reports)?;
        Ok(Fetched { node: *node, partition, read, rows, left_out: 0, reports, headers })
    });
    fetched.collect()
}

/// Makes rows, and notes how long that takes.
struct Timed<'a> {
    rows: &'a mut Decoder,
    clock: &'a dyn Clock,
    busy_ns: Option<&'a AtomicU64>,
}

impl Rows for Timed<'_> {
    fn push(&mut self, partition: &TopicPartition, stored: &StoredBatch, taken: &Taken) -> Result<()> {
        let started = self.clock.monotonic();
        let pushed = match &mut *self.rows {
            Decoder::Source(rows) => rows.push(partition, stored, taken),
            Decoder::Exchange(rows) => rows.push(partition, stored, taken),
        };
        let passed = nanos(self.clock.monotonic().saturating_sub(started));
        if let Some(busy_ns) = self.busy_ns {
            busy_ns.fetch_add(passed, Ordering::Relaxed);
        }
        pushed
    }
}

impl Decoder {
    /// The rows of what was pushed, and their records' headers.
    fn finish(&mut self, partition: &TopicPartition, reports: &mut Vec<Report>) -> Result<(ChangeBatch, HeaderBook)> {
        match self {
            Decoder::Source(rows) => Ok((rows.finish(partition, reports)?, rows.take_headers())),
            Decoder::Exchange(rows) => Ok((rows.finish(reports)?, rows.take_headers())),
        }
    }
}

pub(super) fn first_offset(
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
