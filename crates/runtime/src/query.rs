//! A continuous query: its graph with state, and the running of one epoch.

mod fetch;
mod idle;
mod segment;
mod state;

use std::{
    collections::BTreeMap,
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use arrow::datatypes::SchemaRef;
use host::Host;
use operators::{ChangeBatch, Materialize, Picked, Report, merge_sorted};
use parking_lot::RwLock;
use planner::plan::{QueryPlan, SinkSpec};
use rayon::prelude::*;
use recordlog::{Append, Commit, CommitTicket, Offset, RecordLog, TopicPartition, batch::BuiltBatch};
use statestore::View;
use types::{Error, Result};

use self::{
    fetch::{Fetched, SourceReader},
    idle::Steps,
    segment::{Outputs, Task},
    state::create_internal_topics,
};
use crate::{
    budget::{Charge, StateBudget},
    find::RecordFinder,
    graph::{Graph, NodeId, NodeKind, lower},
    headers::HeaderBook,
    journal::{Progress, ProgressIndex, progress_append},
    log_error, processing_log,
    route::Router,
    shared::SharedSources,
    sink::{SinkWriter, append, keeps_order, ordered_appends, target_appends},
    source::Cut,
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
    /// What queries read together.
    pub shared: Arc<SharedSources>,
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
        // In order over all partitions what is little, in order within each what may come from several.
        let (all_in_order, encoded_first) = (keeps_order(rows), spec.rekeyed && root.len() > 1);
        let headers = Arc::new(headers);
        let work = |(from, (writer, batch)): (usize, (&mut SinkWriter, &ChangeBatch))| {
            let mut reports = vec![];
            let from = u32::try_from(from).unwrap_or(0);
            writer.set_headers(Arc::clone(&headers));
            if all_in_order || encoded_first {
                let encoded = writer.encode(batch, from, partitions, &mut reports)?;
                let n = encoded.len();
                return Ok((Some(encoded), vec![], n, reports));
            }
            let (batches, n) = writer.batches(batch, from, partitions, &mut reports)?;
            Ok((None, batches, n, reports))
        };
        type Written = Result<(Option<crate::sink::Encoded>, Vec<(u32, BuiltBatch)>, usize, Vec<Report>)>;
        let parallel = parallel && !all_in_order;
        let results: Vec<Written> = if parallel {
            self.pool.install(|| writers.par_iter_mut().zip(root).enumerate().map(work).collect())
        } else {
            writers.iter_mut().zip(root).enumerate().map(work).collect()
        };
        let topic = spec.source.topic.as_str();
        let (mut appends, mut all, mut written) = (vec![], vec![], 0);
        for result in results {
            let (encoded, batches, n, own) = result?;
            all.extend(encoded);
            reports.extend(own);
            appends.extend(batches.into_iter().map(|(p, b)| append(topic, p, b)));
            written += n;
        }
        if all_in_order {
            appends = ordered_appends(&all, topic)?;
        } else if encoded_first {
            let of_target = |target: u32| target_appends(&all, topic, target);
            let merged: Vec<Vec<Append>> = if parallel {
                self.pool.install(|| (0..partitions).into_par_iter().map(of_target).collect::<Result<_>>())?
            } else {
                (0..partitions).map(of_target).collect::<Result<_>>()?
            };
            appends = merged.into_iter().flatten().collect();
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

fn nanos(time: std::time::Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}
