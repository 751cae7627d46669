//! A continuous query: its graph with state, and the running of one epoch.

mod build;
mod ending;
mod fetch;
mod growth;
mod idle;
mod paging;
mod segment;
mod stage;
mod standby;
mod state;
mod tasks;
mod tier;
mod view;
mod write;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use host::Host;
use operators::{ChangeBatch, Picked, Report, TimeLine, merge_sorted};
use planner::plan::{QueryPlan, SinkSpec};
use recordlog::{Append, Commit, Offset, RecordLog, TopicPartition};
use types::{Error, Result};

use self::{
    fetch::{Fetched, SourceReader},
    growth::Growth,
    idle::Steps,
    segment::{Outputs, Task},
    stage::Consumed,
    state::create_internal_topics,
    tasks::{graph_of, partitions_of},
    tier::Tier,
};
use crate::{
    budget::{Charge, StateBudget},
    find::RecordFinder,
    graph::{Graph, NodeId, NodeKind, lower},
    headers::HeaderBook,
    journal::{Progress, ProgressIndex, reader_name},
    log_error,
    names::TopicNames,
    order::Numbers,
    processing_log,
    share::Share,
    shared::SharedSources,
    sink::{SinkWriter, append},
    source::{Cut, topic_of},
    stats::{NodeStats, QueryStats},
};
pub use standby::StandbyTask;
pub use tasks::{beginnings, create_topics, shares, table_of};
pub use tier::TierOptions;
pub use view::TableView;

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
    /// Where state goes that does not fit into memory; `None`: nowhere.
    pub tier: Option<TierOptions>,
    /// What queries read together.
    pub shared: Arc<SharedSources>,
    /// What the engine's own topics are called.
    pub names: Arc<TopicNames>,
    /// Which part of it runs here; `None`: all of it, and rows change partitions in memory.
    pub share: Option<Share>,
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

/// What the segments have made of an epoch's records.
struct Made {
    /// Rows for a client, by partition; where there is a sink they are in the appends.
    root: Vec<ChangeBatch>,
    /// How stream time advanced.
    times: BTreeMap<NodeId, TimeLine>,
    appends: Vec<Append>,
}

/// Rows of an epoch from which on it is worth to spread it over threads.
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
    /// By segment: its partitions that run here.
    tasks: Vec<Vec<Task>>,
    readers: Vec<SourceReader>,
    /// Whether records are taken in order of arrival over all readers.
    ordered: bool,
    /// Those that records get where the log gives none.
    numbers: Arc<Numbers>,
    sink: Option<(SinkSpec, Vec<SinkWriter>, u32)>,
    view: Option<TableView>,
    epoch: u64,
    times: BTreeMap<NodeId, i64>,
    /// When records came last, or the query was opened, on the host's monotonic clock.
    fed: Duration,
    stats: Arc<QueryStats>,
    charge: Charge,
    growth: Growth,
    /// Operators all of whose state may leave memory.
    pageable: BTreeSet<NodeId>,
    /// `None`: all state is in memory.
    tier: Option<Tier>,
    /// What went wrong after an epoch's commit.
    failed: Option<Error>,
    /// How far repartition topics are done with.
    consumed: Consumed,
}

impl Query {
    /// Lower `plan`, create the topics that it needs, and take up what was committed before under this id. The topics of
    /// a query that runs in tasks are there already (see [`crate::create_topics`]).
    pub async fn open(
        plan: &QueryPlan,
        options: QueryOptions,
        log: Arc<dyn RecordLog>,
        host: Host,
        pool: Arc<rayon::ThreadPool>,
    ) -> Result<Query> {
        let mut query = Query::lowered(plan, options, log, host, pool)?;
        let progress = match query.options.durable {
            true => query.take_over().await?,
            false => None,
        };
        query.place_readers(plan, progress.as_ref())?;
        if query.options.durable {
            match query.options.share {
                Some(_) => query.check_topics()?,
                None => create_internal_topics(query.log.clone(), query.internal_topics()).await?,
            }
        }
        match progress {
            Some(progress) => query.restore(progress)?,
            None if query.options.durable => query.write_beginning().await?,
            None => {}
        }
        Ok(query)
    }

    /// Become who commits it, and see how far it has come.
    async fn take_over(&mut self) -> Result<Option<Progress>> {
        let options = &self.options;
        let writer = options.names.task_writer(&options.id, options.share);
        self.log.take_over(&writer).await.map_err(log_error)?;
        options.progress.settle(&*self.log).await?;
        options.progress.of(&*self.log, &options.id, options.share)
    }

    /// Where a query begins is where it began, whatever comes between now and its first epoch.
    async fn write_beginning(&mut self) -> Result<()> {
        let begun = self.log.commit(self.commit(vec![self.progress_append()?]));
        begun.await.map_err(|_| Error::unavailable("the log is closed"))?.map_err(log_error)?;
        Ok(())
    }

    /// Lower `plan`, with nothing taken up yet.
    fn lowered(
        plan: &QueryPlan,
        options: QueryOptions,
        log: Arc<dyn RecordLog>,
        host: Host,
        pool: Arc<rayon::ThreadPool>,
    ) -> Result<Query> {
        let graph = match options.share {
            Some(_) => graph_of(plan, &*log)?,
            None => lower(plan, &|source| partitions_of(source, &*log))?,
        };
        let mut query = Query {
            stats: Arc::new(stats_of(&graph)),
            tasks: vec![],
            readers: vec![],
            ordered: graph.ordered,
            numbers: Arc::default(),
            sink: None,
            view: None,
            epoch: 0,
            times: BTreeMap::new(),
            fed: host.clock.monotonic(),
            charge: Charge::new(options.budget.clone()),
            growth: Growth::default(),
            pageable: BTreeSet::new(),
            tier: None,
            failed: None,
            consumed: Consumed::default(),
            options,
            graph,
            log,
            host,
            pool,
        };
        query.sink = query.sink_of(plan)?;
        query.build()?;
        Ok(query)
    }

    /// The sink and a writer for each partition that runs here; `None`: results go elsewhere.
    fn sink_of(&self, plan: &QueryPlan) -> Result<Option<(SinkSpec, Vec<SinkWriter>, u32)>> {
        let Some(root) = self.graph.nodes.get(self.graph.root).filter(|root| self.runs(root.stage)) else {
            return Ok(None);
        };
        let Some(spec) = &plan.sink else { return Ok(None) };
        let partitions = topic_of(&spec.source, &*self.log)?.config.partitions;
        let registry = self.options.registry.as_ref();
        let own = self.own_partitions(root.partitions);
        let writers = own.map(|_| SinkWriter::new(spec, registry)).collect::<Result<Vec<_>>>()?;
        Ok(Some((spec.clone(), writers, partitions)))
    }

    fn commit(&self, appends: Vec<Append>) -> Commit {
        let options = &self.options;
        let writer = options.durable.then(|| options.names.task_writer(&options.id, options.share));
        Commit { appends, writer }
    }

    /// The record of how far it has come.
    fn progress_append(&self) -> Result<Append> {
        let (options, now_ms) = (&self.options, self.host.clock.now_ms());
        options.progress.append((&options.id, options.share), &self.progress(), now_ms)
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
        self.consumed.committed(epoch);
        if let Some(tier) = &mut self.tier
            && let Err(error) = tier.committed(epoch, &*self.log, &self.host)
        {
            self.failed = Some(error);
        }
    }

    /// Run one epoch on what has arrived; `None` when nothing has. What it gives must be committed, or the query be
    /// opened again: its state has moved on. Runs on the calling thread and, when there is enough to do, the pool's.
    pub fn run_epoch(&mut self, cut: Cut) -> Result<Option<Epoch>> {
        let started = self.host.clock.monotonic();
        let fetched = self.fetch(self.growth.cut(cut))?;
        let sum = |count: fn(&Fetched) -> usize| fetched.iter().map(count).sum::<usize>();
        self.growth.passed(sum(|f| f.rows.len()), sum(|f| f.left_out));
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
        let parallel = fetched.iter().map(|f| f.rows.len() as u64).sum::<u64>() >= PARALLEL_RECORDS_MIN;
        let (mut reports, mut headers) = (vec![], HeaderBook::default());
        for fetched in &mut fetched {
            reports.append(&mut fetched.reports);
            headers.extend(std::mem::take(&mut fetched.headers));
        }
        // With enough to do, each partition ends by itself; what there is little of is put in order over all of them.
        let Made { root, times, mut appends } = match parallel && self.sink.is_some() && self.options.share.is_none() {
            true => self.run_apart((&fetched, steps), headers, &mut reports)?,
            false => self.run_together((&fetched, steps), headers, &mut reports, parallel)?,
        };
        let rows = match self.sink {
            Some(_) => None,
            None if self.options.share.is_some() => None,
            None => {
                let pieces: Vec<Picked<'_>> = root.iter().map(|batch| Picked { batch, rows: None }).collect();
                merge_sorted(&pieces)?
            }
        };
        for (node, line) in &times {
            self.times.extend(line.end().map(|t| (*node, t)));
        }
        reports.sort_by_key(|r| r.seq);
        self.log_reports(&reports, &fetched, &mut appends)?;
        if self.options.durable {
            appends.push(self.progress_append()?);
        }
        self.note_read();
        self.stats.records_in.fetch_add(records, Ordering::Relaxed);
        self.stats.epochs.fetch_add(1, Ordering::Relaxed);
        self.stats.epoch_took(nanos(self.host.clock.monotonic().saturating_sub(started)));
        if let Some(time) = self.times.values().max() {
            self.stats.stream_time_ms.store(*time, Ordering::Relaxed);
        }
        if self.epoch.is_multiple_of(MEASURE_EPOCHS) || parallel || self.is_tight() {
            self.keep_within_budget()?;
        }
        Ok(Epoch { number: self.epoch, commit: self.commit(appends), rows, records })
    }

    /// Segment by segment, then the sink, then the changes of state.
    fn run_together(
        &mut self,
        input: (&[Fetched], &Steps),
        headers: HeaderBook,
        reports: &mut Vec<Report>,
        parallel: bool,
    ) -> Result<Made> {
        let mut outputs = Outputs::default();
        for segment in 0..self.graph.segments.len() {
            self.run_segment(segment, input, &mut outputs, reports, parallel)?;
        }
        let root = outputs.rows.remove(&self.graph.root).unwrap_or_default();
        let headers = Arc::new(headers);
        let mut appends = self.write_sink(&root, vec![], &headers, reports, parallel)?;
        appends.extend(self.write_exchanges(&outputs, &headers, reports)?);
        if self.options.durable {
            self.drain_state(&mut appends, parallel)?;
        } else {
            // Nobody takes what changed: it need not be remembered.
            let operators = self.tasks.iter_mut().flatten().flat_map(|t| t.operators.values_mut());
            operators.for_each(|o| o.drain(&mut |_, _| {}));
        }
        Ok(Made { root, times: outputs.times, appends })
    }

    fn progress(&self) -> Progress {
        let number = |at: &NodeId| self.graph.nodes.get(*at).map_or(0, |n| n.number);
        let name = |r: &SourceReader| self.reader_name(r.node, &r.reader.partition);
        let offsets = self.readers.iter().map(|r| (name(r), r.reader.next)).collect();
        let times = self.times.iter().map(|(at, time)| (number(at), *time)).collect();
        let topic = |r: &SourceReader| Some((r.reader.partition.topic.to_string(), r.reader.topic_id.clone()?));
        let topics = self.readers.iter().filter_map(topic);
        let snapshots = self.readers.iter().filter_map(|r| Some((name(r), r.reader.snapshot_end?)));
        let reached = |r: &SourceReader| Some((name(r), r.reader.times.as_ref()?.taken()?));
        Progress {
            epoch: self.epoch,
            offsets,
            times,
            topics: topics.collect(),
            snapshots: snapshots.collect(),
            numbers: self.numbers.next(),
            reached: self.readers.iter().filter_map(reached).collect(),
        }
    }

    /// What the reader of a source's, or of a repartition topic's, partition is called in progress.
    fn reader_name(&self, node: NodeId, partition: &TopicPartition) -> String {
        match self.graph.nodes.get(node) {
            Some(node) => node.reader_name(partition),
            None => reader_name("0", partition),
        }
    }

    fn log_reports(&self, reports: &[Report], fetched: &[Fetched], appends: &mut Vec<Append>) -> Result<()> {
        if reports.is_empty() {
            return Ok(());
        }
        reports.iter().for_each(|r| self.stats.count(r.kind));
        let topic = self.options.names.processing_log();
        if self.log.topic(&topic).map_err(log_error)?.is_none() {
            return Ok(());
        }
        let read = fetched.iter().map(|f| (&f.partition, &f.read)).collect();
        let mut finder = RecordFinder::new(&*self.log, read);
        let mut find = |seq| finder.find(seq);
        let batches = processing_log::batches(&self.options.id, reports, self.host.clock.now_ms(), &mut find)?;
        appends.extend(batches.into_iter().map(|batch| append(&topic, 0, batch)));
        Ok(())
    }
}

fn stats_of(graph: &Graph) -> QueryStats {
    let node = |n: &crate::graph::Node| NodeStats {
        label: n.label.clone(),
        inputs: n.inputs.clone(),
        exchange: matches!(n.kind, NodeKind::Exchange(_)),
        stage: n.stage,
        ..NodeStats::default()
    };
    let stats = QueryStats { nodes: graph.nodes.iter().map(node).collect(), ..QueryStats::default() };
    stats.stream_time_ms.store(i64::MIN, Ordering::Relaxed);
    stats
}

fn nanos(time: std::time::Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}
