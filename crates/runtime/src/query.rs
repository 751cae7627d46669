//! A continuous query: its graph with state, and the running of one epoch.

mod idle;

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use arrow::datatypes::SchemaRef;
use host::Host;
use operators::{ChangeBatch, Materialize, Operator, Picked, Report, StepContext, TimeLine, merge_sorted};
use parking_lot::RwLock;
use planner::plan::{QueryPlan, SinkSpec, Start};
use rayon::prelude::*;
use recordlog::{
    Append, Commit, CommitTicket, Offset, RecordLog, TopicPartition,
    batch::{BatchBuilder, BuiltBatch},
    replay,
};
use statestore::View;
use types::{Error, Result};

use self::idle::Steps;
use crate::{
    budget::{Charge, StateBudget},
    find::RecordFinder,
    graph::{Graph, Node, NodeId, NodeKind, SourceNode, lower},
    headers::HeaderBook,
    journal::{Progress, ProgressIndex, changelog_topic, progress_append},
    log_error, processing_log,
    route::{Routed, Router, gather},
    rows::RowReader,
    sink::{BATCH_BYTES, SinkWriter, append, finish, keeps_order, ordered_appends},
    source::{Cut, ReadRange, Reader, Taken, take_epoch},
    stats::{NodeStats, QueryStats},
};

/// How a query runs.
#[derive(Clone)]
pub struct QueryOptions {
    /// Its id.
    pub id: String,
    /// Whether superseded changes of a key within an epoch are dropped.
    pub caching: bool,
    /// Whether it commits progress and state (persistent queries), or lives for one client.
    pub durable: bool,
    /// Whether a TIMESTAMP column that holds no timestamp stops the query; else the record is dropped and reported.
    pub strict_timestamps: bool,
    /// Where formats find their schemas.
    pub registry: Option<Arc<dyn formats::SchemaRegistry>>,
    /// What is known of how far queries have come; needed where `durable`.
    pub progress: Arc<ProgressIndex>,
    /// What the states of all queries together may take.
    pub budget: Arc<StateBudget>,
}

/// A table's rows, for lookups.
#[derive(Clone)]
pub struct TableView {
    /// By partition: key columns in ordered encoding → time and columns.
    pub partitions: Vec<Arc<RwLock<View>>>,
    /// The columns of a row.
    pub schema: SchemaRef,
    /// Positions of the key columns, windows included.
    pub key: Vec<usize>,
}

/// What an epoch wants committed.
pub struct Epoch {
    /// Its number.
    pub number: u64,
    /// Everything that is to be written.
    pub commit: Commit,
    /// Rows for the client, in order, where the query has no sink.
    pub rows: Option<ChangeBatch>,
    /// Records read.
    pub records: u64,
}

/// Records of an epoch from which on it is worth to spread it over threads.
const PARALLEL_RECORDS_MIN: u64 = 2048;

/// Small epochs between two looks at the size of the state.
const MEASURE_EPOCHS: u64 = 64;

/// Bytes after which a changelog's segment is closed.
const CHANGELOG_SEGMENT_BYTES: u32 = 32 << 20;

/// A running query.
pub struct Query {
    options: QueryOptions,
    graph: Graph,
    log: Arc<dyn RecordLog>,
    host: Host,
    pool: Arc<rayon::ThreadPool>,
    tasks: Vec<Vec<Task>>,
    readers: Vec<SourceReader>,
    sink: Option<(SinkSpec, Vec<SinkWriter>, u32)>,
    view: Option<TableView>,
    epoch: u64,
    times: BTreeMap<NodeId, i64>,
    /// When records came last, or the query was opened, on the host's monotonic clock.
    fed: Duration,
    stats: Arc<QueryStats>,
    charge: Charge,
}

/// Reads one partition of a source.
struct SourceReader {
    node: NodeId,
    reader: Reader,
    rows: RowReader,
}

/// What an epoch has read of one partition of a source.
struct Fetched {
    node: NodeId,
    partition: TopicPartition,
    read: ReadRange,
    rows: ChangeBatch,
    reports: Vec<Report>,
    headers: HeaderBook,
}

/// One partition of a segment.
#[derive(Default)]
struct Task {
    operators: BTreeMap<NodeId, Box<dyn Operator>>,
    routers: BTreeMap<NodeId, Router>,
}

/// What a task's run gives.
#[derive(Default)]
struct TaskOutput {
    /// Rows that other segments (or the sink) take.
    rows: BTreeMap<NodeId, ChangeBatch>,
    /// Rows for exchanges, by exchange.
    routed: BTreeMap<NodeId, Routed>,
    reports: Vec<Report>,
}

/// What segments left for those after them.
#[derive(Default)]
struct Outputs {
    rows: BTreeMap<NodeId, Vec<ChangeBatch>>,
    routed: BTreeMap<NodeId, Vec<Routed>>,
    times: BTreeMap<NodeId, TimeLine>,
}

impl Query {
    /// Lower `plan`, create the topics that it needs, and take up what was committed before under this id.
    pub async fn open(
        plan: &QueryPlan,
        options: QueryOptions,
        log: Arc<dyn RecordLog>,
        host: Host,
        pool: Arc<rayon::ThreadPool>,
    ) -> Result<Query> {
        let partitions_of = |source: &catalog::Source| {
            let topic = log.topic(&source.topic);
            let unknown =
                || Error::undefined_source(format!("topic {} of {} does not exist", source.topic, source.name));
            topic.map(|t| t.config.partitions).ok_or_else(unknown)
        };
        let graph = lower(plan, &partitions_of)?;
        let sink = match &plan.sink {
            Some(spec) => {
                let topic = log.topic(&spec.source.topic);
                let unknown = || Error::undefined_source(format!("topic {} does not exist", spec.source.topic));
                let partitions = topic.ok_or_else(unknown)?.config.partitions;
                let root = graph.nodes.get(graph.root).map_or(1, |n| n.partitions);
                let registry = options.registry.as_ref();
                let writers = (0..root).map(|_| SinkWriter::new(spec, registry)).collect::<Result<Vec<_>>>()?;
                Some((spec.clone(), writers, partitions))
            }
            None => None,
        };
        let mut query = Query {
            stats: Arc::new(stats_of(&graph)),
            tasks: vec![],
            readers: vec![],
            sink,
            view: None,
            epoch: 0,
            times: BTreeMap::new(),
            fed: host.clock.monotonic(),
            charge: Charge::new(options.budget.clone()),
            options,
            graph,
            log,
            host,
            pool,
        };
        query.build()?;
        let options = &query.options;
        let progress = if options.durable { options.progress.of(&*query.log, &options.id)? } else { None };
        query.place_readers(plan, progress.as_ref())?;
        if query.options.durable {
            let wanted = query.internal_topics();
            create_internal_topics(query.log.clone(), wanted).await?;
        }
        match progress {
            Some(progress) => query.restore(progress)?,
            // Where a query begins is where it began, whatever comes between now and its first epoch.
            None if query.options.durable => {
                let begun = query.begin()?;
                begun.await.map_err(|_| Error::unavailable("the log is closed"))?.map_err(log_error)?;
            }
            None => {}
        }
        Ok(query)
    }

    /// Write down where it begins.
    fn begin(&self) -> Result<CommitTicket> {
        let append = progress_append(&self.options.id, &self.progress(), self.host.clock.now_ms())?;
        Ok(self.log.commit(Commit { appends: vec![append] }))
    }

    fn build(&mut self) -> Result<()> {
        let graph = &self.graph;
        let registry = self.options.registry.as_ref();
        let mut view = None;
        for segment in &graph.segments {
            let mut tasks: Vec<Task> = (0..segment.partitions).map(|_| Task::default()).collect();
            for at in &segment.nodes {
                let Some(node) = graph.nodes.get(*at) else { continue };
                for task in &mut tasks {
                    match &node.kind {
                        NodeKind::Operator(make) => {
                            task.operators.insert(*at, make());
                        }
                        NodeKind::Keep { key, old_values, expiry } => {
                            let keep = Materialize::new(node.schema.clone(), key.clone(), *old_values, *expiry);
                            if *at == graph.root {
                                let (schema, key) = (node.schema.clone(), key.clone());
                                view.get_or_insert(TableView { partitions: vec![], schema, key })
                                    .partitions
                                    .push(keep.view());
                            }
                            task.operators.insert(*at, Box::new(keep));
                        }
                        NodeKind::Source(_) | NodeKind::Exchange(_) | NodeKind::Union => {}
                    }
                }
                // Exchanges that read this node are routed where its rows are made.
                for (exchange, reader) in graph.nodes.iter().enumerate() {
                    if let NodeKind::Exchange(spec) = &reader.kind
                        && reader.inputs.contains(at)
                    {
                        for task in &mut tasks {
                            task.routers.insert(exchange, Router::new(spec, node.schema.clone(), registry)?);
                        }
                    }
                }
            }
            self.tasks.push(tasks);
        }
        self.view = view;
        Ok(())
    }

    fn place_readers(&mut self, plan: &QueryPlan, progress: Option<&Progress>) -> Result<()> {
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
                self.readers.push(SourceReader { node: at, reader, rows });
            }
        }
        Ok(())
    }

    fn has_state(&self) -> bool {
        self.graph.nodes.iter().any(Node::is_stateful)
    }

    /// Topics that commits need, and their partitions.
    fn internal_topics(&self) -> Vec<(String, u32)> {
        let mut wanted = vec![(crate::journal::OFFSETS_TOPIC.to_string(), 1)];
        if self.has_state() {
            let partitions = self.graph.segments.iter().map(|s| s.partitions).max().unwrap_or(1);
            wanted.push((changelog_topic(&self.options.id), partitions));
        }
        wanted
    }

    fn restore(&mut self, progress: Progress) -> Result<()> {
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

    /// Its counters.
    pub fn stats(&self) -> Arc<QueryStats> {
        self.stats.clone()
    }

    /// The rows of its table, where it makes one.
    pub fn view(&self) -> Option<TableView> {
        self.view.clone()
    }

    /// The topics that it reads.
    pub fn topics(&self) -> Vec<String> {
        let mut topics: Vec<String> = self.readers.iter().map(|r| r.reader.partition.topic.to_string()).collect();
        topics.dedup();
        topics
    }

    /// Where its reading of each partition stands: (topic partition, next offset).
    pub fn positions(&self) -> Vec<(TopicPartition, Offset)> {
        self.readers.iter().map(|r| (r.reader.partition.clone(), r.reader.next)).collect()
    }

    /// The log has committed the epoch: readers may see it.
    pub fn committed(&mut self, epoch: u64) {
        if let Some(view) = &self.view {
            view.partitions.iter().for_each(|p| p.write().commit(epoch));
        }
    }

    /// Run one epoch on what has arrived; `None` when nothing has. What it gives must be committed, or the query be
    /// opened again: its state has moved on. Runs on the calling thread and, when there is enough to do, the pool's.
    pub fn run_epoch(&mut self, cut: Cut) -> Result<Option<Epoch>> {
        let started = self.host.clock.monotonic();
        let fetched = self.fetch(cut)?;
        if fetched.iter().all(|f| f.read.to <= f.read.from) {
            return Ok(None);
        }
        let epoch = self.epoch_of(fetched, &Steps::new(), started)?;
        self.fed = self.host.clock.monotonic();
        Ok(Some(epoch))
    }

    /// The epoch of what was read since `started`; stream time goes on by `steps`, too.
    fn epoch_of(&mut self, mut fetched: Vec<Fetched>, steps: &Steps, started: Duration) -> Result<Epoch> {
        let records: i64 = fetched.iter().map(|f| f.read.to - f.read.from).sum();
        self.epoch += 1;
        let records = records.unsigned_abs();
        let parallel = records >= PARALLEL_RECORDS_MIN;
        let mut outputs = Outputs::default();
        let (mut reports, mut headers) = (vec![], HeaderBook::default());
        for fetched in &mut fetched {
            reports.append(&mut fetched.reports);
            headers.extend(std::mem::take(&mut fetched.headers));
        }
        for segment in 0..self.graph.segments.len() {
            self.run_segment(segment, (&fetched, steps), &mut outputs, &mut reports, parallel)?;
        }
        let root = outputs.rows.remove(&self.graph.root).unwrap_or_default();
        let mut appends = self.write_sink(&root, headers, &mut reports, parallel)?;
        let rows = match self.sink {
            Some(_) => None,
            None => {
                let pieces: Vec<Picked<'_>> = root.iter().map(|batch| Picked { batch, rows: None }).collect();
                merge_sorted(&pieces)?
            }
        };
        for (node, line) in &outputs.times {
            self.times.extend(line.end().map(|t| (*node, t)));
        }
        reports.sort_by_key(|r| r.seq);
        self.log_reports(&reports, &fetched, &mut appends)?;
        if self.options.durable {
            self.drain_state(&mut appends)?;
            let time_ms = self.host.clock.now_ms();
            appends.push(progress_append(&self.options.id, &self.progress(), time_ms)?);
        } else {
            // Nobody takes what changed: it need not be remembered.
            let operators = self.tasks.iter_mut().flatten().flat_map(|t| t.operators.values_mut());
            operators.for_each(|o| o.drain(&mut |_, _| {}));
        }
        self.stats.records_in.fetch_add(records, Ordering::Relaxed);
        self.stats.epochs.fetch_add(1, Ordering::Relaxed);
        self.stats.epoch_took(nanos(self.host.clock.monotonic().saturating_sub(started)));
        if let Some(time) = self.times.values().max() {
            self.stats.stream_time_ms.store(*time, Ordering::Relaxed);
        }
        if self.epoch.is_multiple_of(MEASURE_EPOCHS) || parallel {
            self.measure_state()?;
        }
        Ok(Epoch { number: self.epoch, commit: Commit { appends }, rows, records })
    }

    fn progress(&self) -> Progress {
        let number = |at: &NodeId| self.graph.nodes.get(*at).map_or(0, |n| n.number);
        let offset = |r: &SourceReader| (reader_name(number(&r.node), &r.reader.partition), r.reader.next);
        let offsets = self.readers.iter().map(offset).collect();
        let times = self.times.iter().map(|(at, time)| (number(at), *time)).collect();
        let topic = |r: &SourceReader| Some((r.reader.partition.topic.to_string(), r.reader.topic_id.clone()?));
        let topics = self.readers.iter().filter_map(topic);
        let snapshot =
            |r: &SourceReader| Some((reader_name(number(&r.node), &r.reader.partition), r.reader.snapshot_end?));
        let snapshots = self.readers.iter().filter_map(snapshot);
        Progress { epoch: self.epoch, offsets, times, topics: topics.collect(), snapshots: snapshots.collect() }
    }

    /// Read and decode what an epoch takes, one entry a reader.
    fn fetch(&mut self, cut: Cut) -> Result<Vec<Fetched>> {
        let log = &*self.log;
        let waiting = self.readers.iter().map(|r| r.reader.waiting(log)).sum::<Result<u64>>()?;
        let pool = Some(&*self.pool).filter(|_| waiting >= PARALLEL_RECORDS_MIN && self.readers.len() > 1);
        let (clock, stats) = (&self.host.clock, &self.stats);
        let read = |source: &mut SourceReader, taken: Option<Taken>| -> Result<Fetched> {
            let started = clock.monotonic();
            let SourceReader { node, reader, rows } = source;
            let partition = reader.partition.clone();
            let mut reports = vec![];
            let (read, batch) = match (taken, cut) {
                (None, Cut::Bytes(bytes)) => {
                    let read = reader.read_all(rows, log, bytes.max(1), Offset::MAX)?;
                    (read, rows.finish(&partition, &mut reports)?)
                }
                (taken, _) => {
                    let taken = taken.ok_or_else(|| Error::internal("an epoch without a cut"))?;
                    (taken.range(), rows.read(&partition, &taken, &mut reports)?)
                }
            };
            if let Some(stats) = stats.nodes.get(*node) {
                stats.busy_ns.fetch_add(nanos(clock.monotonic().saturating_sub(started)), Ordering::Relaxed);
            }
            Ok(Fetched { node: *node, partition, read, rows: batch, reports, headers: rows.take_headers() })
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

    fn run_segment(
        &mut self,
        at: usize,
        (fetched, steps): (&[Fetched], &Steps),
        outputs: &mut Outputs,
        reports: &mut Vec<Report>,
        parallel: bool,
    ) -> Result<()> {
        let Some(segment) = self.graph.segments.get(at) else { return Ok(()) };
        for node in segment.nodes.iter().filter(|n| self.graph.nodes.get(**n).is_some_and(|n| n.timed)) {
            let inputs = self.graph.nodes.get(*node).map(|n| n.inputs.as_slice()).unwrap_or_default();
            let batches = |input| outputs.rows.get(input).into_iter().flatten().map(|b| (&b.seq, &b.rowtime)).collect();
            let rows: Vec<Vec<_>> = inputs.iter().map(batches).collect();
            let mut line = TimeLine::of_inputs(self.times.get(node).copied(), &rows);
            steps.get(node).into_iter().flatten().for_each(|(seq, time)| line.advance(*seq, *time));
            outputs.times.insert(*node, line);
        }
        let run = Run {
            graph: &self.graph,
            segment: at,
            outputs,
            fetched,
            stats: &self.stats,
            host: &self.host,
            caching: self.options.caching,
            epoch: self.epoch,
        };
        let Some(tasks) = self.tasks.get_mut(at) else { return Ok(()) };
        let results: Vec<Result<TaskOutput>> = if parallel && tasks.len() > 1 {
            self.pool.install(|| tasks.par_iter_mut().enumerate().map(|(p, task)| run.task(p, task)).collect())
        } else {
            tasks.iter_mut().enumerate().map(|(p, task)| run.task(p, task)).collect()
        };
        for result in results {
            let output = result?;
            reports.extend(output.reports);
            for (node, batch) in output.rows {
                outputs.rows.entry(node).or_default().push(batch);
            }
            for (exchange, routed) in output.routed {
                outputs.routed.entry(exchange).or_default().push(routed);
            }
        }
        Ok(())
    }

    fn write_sink(
        &mut self,
        root: &[ChangeBatch],
        headers: HeaderBook,
        reports: &mut Vec<Report>,
        parallel: bool,
    ) -> Result<Vec<Append>> {
        let Some((spec, writers, partitions)) = &mut self.sink else { return Ok(vec![]) };
        let partitions = *partitions;
        let rows: usize = root.iter().map(ChangeBatch::len).sum();
        if rows == 0 {
            return Ok(vec![]);
        }
        if let Some(topic) = self.log.topic(&spec.source.topic) {
            let bytes_max = topic.config.message_bytes_max();
            writers.iter_mut().for_each(|w| w.limit(bytes_max));
        }
        let ordered = keeps_order(rows);
        let headers = Arc::new(headers);
        let work = |(from, (writer, batch)): (usize, (&mut SinkWriter, &ChangeBatch))| {
            let mut reports = vec![];
            let from = u32::try_from(from).unwrap_or(0);
            writer.set_headers(Arc::clone(&headers));
            if ordered {
                let encoded = writer.encode(batch, from, partitions, &mut reports)?;
                let n = encoded.len();
                return Ok((Some(encoded), vec![], n, reports));
            }
            let (batches, n) = writer.batches(batch, from, partitions, &mut reports)?;
            Ok((None, batches, n, reports))
        };
        type Written = Result<(Option<crate::sink::Encoded>, Vec<(u32, BuiltBatch)>, usize, Vec<Report>)>;
        let results: Vec<Written> = if parallel && !ordered {
            self.pool.install(|| writers.par_iter_mut().zip(root).enumerate().map(work).collect())
        } else {
            writers.iter_mut().zip(root).enumerate().map(work).collect()
        };
        let (mut appends, mut all, mut written) = (vec![], vec![], 0);
        for result in results {
            let (encoded, batches, n, own) = result?;
            all.extend(encoded);
            reports.extend(own);
            appends.extend(batches.into_iter().map(|(p, b)| append(&spec.source.topic, p, b)));
            written += n;
        }
        if ordered {
            appends = ordered_appends(&all, &spec.source.topic)?;
        }
        self.stats.records_out.fetch_add(written as u64, Ordering::Relaxed);
        Ok(appends)
    }

    fn log_reports(&self, reports: &[Report], fetched: &[Fetched], appends: &mut Vec<Append>) -> Result<()> {
        if reports.is_empty() {
            return Ok(());
        }
        reports.iter().for_each(|r| self.stats.count(r.kind));
        if self.log.topic(processing_log::PROCESSING_LOG_TOPIC).is_none() {
            return Ok(());
        }
        let read = fetched.iter().map(|f| (&f.partition, &f.read)).collect();
        let mut finder = RecordFinder::new(&*self.log, read);
        let mut find = |seq| finder.find(seq);
        let batches = processing_log::batches(&self.options.id, reports, self.host.clock.now_ms(), &mut find)?;
        appends.extend(batches.into_iter().map(|batch| append(processing_log::PROCESSING_LOG_TOPIC, 0, batch)));
        Ok(())
    }

    fn drain_state(&mut self, appends: &mut Vec<Append>) -> Result<()> {
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
    fn measure_state(&mut self) -> Result<()> {
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

/// What tasks of a segment share.
struct Run<'a> {
    graph: &'a Graph,
    segment: usize,
    outputs: &'a Outputs,
    fetched: &'a [Fetched],
    stats: &'a QueryStats,
    host: &'a Host,
    caching: bool,
    epoch: u64,
}

impl Run<'_> {
    /// Run partition `p` of the segment.
    fn task(&self, p: usize, task: &mut Task) -> Result<TaskOutput> {
        let mut out = TaskOutput::default();
        let mut local: BTreeMap<NodeId, ChangeBatch> = BTreeMap::new();
        let none = TimeLine::default();
        let nodes = self.graph.segments.get(self.segment).map(|s| s.nodes.as_slice()).unwrap_or_default();
        for at in nodes {
            let Some(node) = self.graph.nodes.get(*at) else { continue };
            if p >= node.partitions as usize {
                continue;
            }
            let started = self.host.clock.monotonic();
            let batch = match &node.kind {
                NodeKind::Source(_) => {
                    let own = self.fetched.iter().find(|f| f.node == *at && f.partition.partition as usize == p);
                    own.map(|f| f.rows.clone()).ok_or_else(|| Error::internal("a reader is missing"))?
                }
                NodeKind::Exchange(_) => {
                    gather(self.outputs.routed.get(at).map(Vec::as_slice).unwrap_or_default(), p, &node.schema)?
                }
                NodeKind::Union => {
                    let inputs = self.inputs(node, p, &mut local);
                    let pieces: Vec<Picked<'_>> = inputs.iter().map(|batch| Picked { batch, rows: None }).collect();
                    merge_sorted(&pieces)?.unwrap_or_else(|| ChangeBatch::empty(&node.schema))
                }
                NodeKind::Operator(_) | NodeKind::Keep { .. } => {
                    let inputs = self.inputs(node, p, &mut local);
                    let time = node.time_from.and_then(|t| self.outputs.times.get(&t)).unwrap_or(&none);
                    let reports = &mut out.reports;
                    let mut context = StepContext { epoch: self.epoch, caching: self.caching, time, reports };
                    let operator = task.operators.get_mut(at);
                    operator.ok_or_else(|| Error::internal("an operator is missing"))?.step(inputs, &mut context)?
                }
            };
            if let Some(stats) = self.stats.nodes.get(*at) {
                stats.rows.fetch_add(batch.len() as u64, Ordering::Relaxed);
                stats.busy_ns.fetch_add(nanos(self.host.clock.monotonic().saturating_sub(started)), Ordering::Relaxed);
            }
            local.insert(*at, batch);
        }
        self.hand_over(p, task, local, &mut out)?;
        Ok(out)
    }

    fn inputs(&self, node: &Node, p: usize, local: &mut BTreeMap<NodeId, ChangeBatch>) -> Vec<ChangeBatch> {
        let input = |i: &NodeId| {
            let schema = self.graph.nodes.get(*i).map(|n| &n.schema);
            let found = local.remove(i).or_else(|| self.outputs.rows.get(i).and_then(|o| o.get(p)).cloned());
            found.or_else(|| schema.map(ChangeBatch::empty))
        };
        node.inputs.iter().filter_map(input).collect()
    }

    /// Give what other segments need: rows, or rows routed to where they go.
    fn hand_over(
        &self,
        p: usize,
        task: &mut Task,
        mut local: BTreeMap<NodeId, ChangeBatch>,
        out: &mut TaskOutput,
    ) -> Result<()> {
        for (at, node) in self.graph.nodes.iter().enumerate() {
            let NodeKind::Exchange(spec) = &node.kind else { continue };
            let Some(batch) = node.inputs.first().and_then(|i| local.remove(i)) else { continue };
            let Some(router) = task.routers.get_mut(&at) else { continue };
            let from = u32::try_from(p).unwrap_or(0);
            out.routed.insert(at, router.route(spec, batch, from, node.partitions, &mut out.reports)?);
        }
        out.rows = local;
        Ok(())
    }
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

async fn create_internal_topics(log: Arc<dyn RecordLog>, wanted: Vec<(String, u32)>) -> Result<()> {
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

fn stats_of(graph: &Graph) -> QueryStats {
    let node = |n: &crate::graph::Node| NodeStats {
        label: n.label.clone(),
        inputs: n.inputs.clone(),
        exchange: matches!(n.kind, NodeKind::Exchange(_)),
        ..NodeStats::default()
    };
    let stats = QueryStats { nodes: graph.nodes.iter().map(node).collect(), ..QueryStats::default() };
    stats.stream_time_ms.store(i64::MIN, Ordering::Relaxed);
    stats
}

fn reader_name(source: usize, partition: &TopicPartition) -> String {
    format!("{source}:{partition}")
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

fn nanos(time: std::time::Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}
