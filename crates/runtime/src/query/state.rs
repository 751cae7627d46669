//! A query's state between epochs: read back from its changelog, drained into it, measured.

use std::{
    collections::{BTreeMap, BTreeSet, HashSet},
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

use coldstore::{ColdStore, Entries, Mark};
use host::Host;
use operators::{Operator, StepContext, TimeLine};
use rayon::prelude::*;
use recordlog::{
    Append, Offset, RecordLog, Replayed, Topic, TopicPartition,
    batch::{BatchBuilder, BuiltBatch},
    replay, replay_piece,
};
use statestore::{Keys, cold_error};
use types::{Error, Result};

use super::{
    Query,
    paging::{PIECE_BYTES_MIN, SMALL_PART},
    segment::Task,
    tier::{MARK_RENEWED_MS, Operators, Tier, attach, each_part, open_part, take},
};
use crate::{
    graph::{Node, NodeId, NodeKind},
    journal::Progress,
    log_error,
    sink::{BATCH_BYTES, append, finish},
};

/// Bytes after which a changelog's segment is closed.
const CHANGELOG_SEGMENT_BYTES: u32 = 32 << 20;

impl Query {
    fn has_state(&self) -> bool {
        self.graph.nodes.iter().any(Node::is_stateful)
    }

    /// Topics that the commits of a query that runs whole need.
    pub(super) fn internal_topics(&self) -> Vec<InternalTopic> {
        let mut wanted = vec![InternalTopic::compacted(self.options.names.offsets(), 1)];
        if self.has_state() {
            let partitions = self.graph.segments.iter().map(|s| s.partitions).max().unwrap_or(1);
            wanted.push(InternalTopic::compacted(self.changelog(), partitions));
        }
        wanted
    }

    /// The topic of its state.
    pub(super) fn changelog(&self) -> String {
        self.options.names.changelog(&self.options.id, self.options.share.map(|share| share.stage))
    }

    /// Take up what `progress` says but the state.
    pub(super) fn resume(&mut self, progress: &Progress) {
        self.epoch = progress.epoch;
        let stateful = |number: usize| self.graph.nodes.iter().position(|n| n.is_stateful() && n.number == number);
        self.times = progress.times.iter().filter_map(|(n, time)| Some((stateful(*n)?, *time))).collect();
    }

    /// The topic of its state; `None`: what runs here has none.
    ///
    /// # Errors
    /// It is not there, or the log cannot say.
    pub(super) fn changelog_topic(&self) -> Result<Option<Topic>> {
        let changelog = self.changelog();
        let is_stateful = |at: &NodeId| self.graph.nodes.get(*at).is_some_and(Node::is_stateful);
        match self.log.topic(&changelog).map_err(log_error)? {
            None if self.tasks.iter().flatten().any(|task| task.operators.keys().any(is_stateful)) => {
                Err(Error::unavailable(format!("topic {changelog} cannot be found just now")))
            }
            topic => Ok(topic),
        }
    }

    /// Read the state back of what was committed last.
    pub(super) fn restore(&mut self, progress: Progress) -> Result<()> {
        self.resume(&progress);
        let Some(topic) = self.changelog_topic()? else { return Ok(()) };
        let mut tasks = std::mem::take(&mut self.tasks);
        let restoring = self.restoring(&topic, &tasks)?;
        let groups: Vec<_> = by_partition(&mut tasks).into_iter().collect();
        let records = AtomicU64::new(0);
        let restore = |(p, tasks)| {
            let (store, read) = restoring.partition(p, tasks)?;
            records.fetch_add(read, Ordering::Relaxed);
            Ok((p, store))
        };
        let stores = self.pool.install(|| groups.into_par_iter().map(restore).collect::<Result<Vec<_>>>());
        self.tasks = tasks;
        let stores = stores?;
        self.stats.restored.store(records.into_inner(), Ordering::Relaxed);
        self.restored(stores.into_iter().filter_map(|(p, store)| Some((p, store?))).collect())
    }

    /// The state is back; of some partitions a part of it is on disk.
    pub(super) fn restored(&mut self, stores: BTreeMap<u32, Arc<ColdStore>>) -> Result<()> {
        let epoch = self.epoch;
        if !stores.is_empty() {
            self.begin_tier(&stores)?;
        }
        self.keep_within_budget()?;
        self.committed(epoch);
        Ok(())
    }

    /// What restoring its state from `topic` needs to know.
    pub(super) fn restoring(&self, topic: &Topic, tasks: &[Vec<Task>]) -> Result<Restoring<'_>> {
        let dir = self.options.tier.as_ref().map(|tier| tier.query_dir(topic.id));
        let is_there = match &dir {
            Some(dir) => {
                // Other tasks of the stage may have been here alone.
                let own = self.options.share.map_or_else(|| dir.clone(), |share| dir.join(share.partition.to_string()));
                self.host.disk.exists(&own).map_err(|e| Error::unavailable(format!("{}: {e}", own.display())))?
            }
            None => false,
        };
        let budget = &self.options.budget;
        let bytes_max = match self.options.share {
            None => budget.cold_from_bytes() / partitions_with_state(tasks).max(1),
            // What the others leave, of whom some are tasks of the same query.
            Some(_) => {
                budget.cold_from_bytes().saturating_sub(self.charge.others()).max(budget.cold_from_bytes() / SMALL_PART)
            }
        };
        Ok(Restoring {
            log: &*self.log,
            host: &self.host,
            topic: topic.name.clone(),
            nodes: &self.graph.nodes,
            epoch: self.epoch,
            dir,
            is_there,
            bytes_max,
        })
    }

    pub(super) fn drain_state(&mut self, appends: &mut Vec<Append>, parallel: bool) -> Result<()> {
        if !self.has_state() {
            return Ok(());
        }
        let topic = self.changelog();
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
        let results: Vec<Result<Vec<_>>> = match parallel {
            true => self.pool.install(|| groups.into_par_iter().map(work).collect()),
            false => groups.into_iter().map(work).collect(),
        };
        for result in results {
            appends.extend(result?.into_iter().map(|(p, batch)| append(&topic, p, batch)));
        }
        Ok(())
    }

    /// Count the state's rows and bytes in memory: of all of it, and of what may leave.
    pub(super) fn measure_state(&self) -> (u64, u64) {
        let (mut total, mut paged) = (self.tier.as_ref().map_or(0, Tier::memory_bytes) as u64, 0);
        for (at, (stats, node)) in self.stats.nodes.iter().zip(&self.graph.nodes).enumerate() {
            let operators = || self.tasks.iter().flatten().filter_map(|t| t.operators.get(&at));
            let sizes = operators().map(|o| o.size());
            let (rows, bytes) = sizes.fold((0, 0), |(r, b), (rows, bytes)| (r + rows, b + bytes));
            stats.state_rows.store(rows as u64, Ordering::Relaxed);
            stats.state_bytes.store(bytes as u64, Ordering::Relaxed);
            total += bytes as u64;
            if self.pageable.contains(&at) {
                paged += bytes as u64;
                let disk_bytes = self.tier.as_ref().map_or(0, |tier| tier.disk_bytes(node.number));
                stats.disk_bytes.store(disk_bytes, Ordering::Relaxed);
            }
        }
        (total, paged)
    }
}

/// How many partitions have operators here.
fn partitions_with_state(tasks: &[Vec<Task>]) -> u64 {
    let tasks = tasks.iter().flatten().filter(|t| !t.operators.is_empty());
    tasks.map(|t| t.partition).collect::<BTreeSet<_>>().len() as u64
}

/// What restoring needs to know of the query.
pub(super) struct Restoring<'a> {
    log: &'a dyn RecordLog,
    host: &'a Host,
    topic: Arc<str>,
    nodes: &'a [Node],
    epoch: u64,
    /// Where state may go that does not fit, and whether some did before.
    dir: Option<PathBuf>,
    is_there: bool,
    /// Bytes of a partition's state from which on it goes there.
    bytes_max: u64,
}

/// A kept table whose rows follow from the groups of an aggregation, while those are read back.
struct Following {
    /// The numbers of the aggregation and of the table.
    from: usize,
    number: usize,
    /// What its rows go through.
    steps: Vec<Box<dyn Operator>>,
    /// Groups that were read back since the table was brought up to them.
    restored: Keys,
}

impl Following {
    fn all(nodes: &[Node]) -> Vec<Following> {
        let step = |at: &NodeId| match &nodes.get(*at)?.kind {
            NodeKind::Operator(make) => Some(make()),
            _ => None,
        };
        let following = |node: &Node| {
            let follows = node.follows()?;
            let from = nodes.get(follows.from)?.number;
            let steps = follows.steps.iter().map(step).collect::<Option<_>>()?;
            Some(Following { from, number: node.number, steps, restored: Keys::default() })
        };
        nodes.iter().filter_map(following).collect()
    }

    /// Bring the table up to what was read back.
    fn catch_up(&mut self, operators: &mut Operators<'_>) -> Result<()> {
        let restored = std::mem::take(&mut self.restored);
        let Some(aggregation) = operators.get(&self.from).filter(|_| !restored.is_empty()) else { return Ok(()) };
        let Some(mut rows) = aggregation.rows(&restored)? else { return Ok(()) };
        // What fails was reported when it first did.
        let (time, mut reports) = (TimeLine::default(), vec![]);
        let mut context = StepContext { epoch: 0, caching: false, time: &time, reports: &mut reports };
        for step in &mut self.steps {
            rows = step.step(vec![rows], &mut context)?;
        }
        operators.get_mut(&self.number).map_or(Ok(()), |table| table.restore_rows(&rows))
    }
}

/// Records of a changelog between two looks at the size of the state.
const MEASURE_RECORDS: usize = 4096;

/// A partition's state on its way back.
pub(super) struct Restored {
    partition: TopicPartition,
    store: Option<Arc<ColdStore>>,
    mark: Option<Mark>,
    following: Vec<Following>,
    /// The numbers of operators all of whose state may leave memory.
    pageable: HashSet<usize>,
    /// What of theirs comes before is in the store.
    known: Offset,
    /// Where the changelog is to be read on.
    pub next: Offset,
    /// How many of its records were read so far.
    pub records: u64,
}

impl Restoring<'_> {
    /// Read back a partition's state, or where that is on disk what came after; gives the store on disk and how
    /// many records were read.
    fn partition(&self, p: u32, mut tasks: Vec<&mut Task>) -> Result<(Option<Arc<ColdStore>>, u64)> {
        let mut restored = self.begin(p, &mut tasks)?;
        let store = self.finish(&mut restored, &mut tasks)?;
        Ok((store, restored.records))
    }

    fn operators<'a>(&self, tasks: &'a mut [&mut Task]) -> Operators<'a> {
        let number = |at: &NodeId| self.nodes.get(*at).filter(|n| n.is_stateful()).map(|n| n.number);
        let operators = tasks.iter_mut().flat_map(|t| &mut t.operators);
        operators.filter_map(|(at, o)| Some((number(at)?, o))).collect()
    }

    /// Begin with what is on disk.
    pub fn begin(&self, p: u32, tasks: &mut [&mut Task]) -> Result<Restored> {
        let partition = TopicPartition::new(self.topic.clone(), p);
        let mut operators = self.operators(tasks);
        let (mut store, mut mark) = (None, None);
        if let Some(dir) = self.dir.as_ref().filter(|_| self.is_there) {
            let (opened, found) = open_part(self.host, dir, &partition, self.log, self.epoch)?;
            operators.iter_mut().for_each(|(number, o)| attach(&mut ***o, *number, &opened));
            (store, mark) = (Some(opened), found);
        }
        let pageable: HashSet<usize> =
            operators.iter_mut().filter_map(|(n, o)| each_part(&mut ***o, &mut |_, _| {}).then_some(*n)).collect();
        let known = mark.map_or(0, |m| m.offset);
        let next = if pageable.len() == operators.len() { known } else { 0 };
        Ok(Restored {
            partition,
            store,
            mark,
            following: Following::all(self.nodes),
            pageable,
            known,
            next,
            records: 0,
        })
    }

    /// Read on in the changelog: to its end, or a piece of it; whether there is more.
    pub fn read_on(&self, restored: &mut Restored, tasks: &mut [&mut Task], all: bool) -> Result<bool> {
        let mut operators = self.operators(tasks);
        let Restored { partition, store, following, pageable, known, next, records, .. } = restored;
        let mut restored_here = 0;
        let each = |record: Replayed<'_>| {
            *records += 1;
            let Some((number, key)) = record.key.and_then(|k| k.split_first_chunk::<2>()) else { return Ok(()) };
            let number = usize::from(u16::from_be_bytes(*number));
            // Rows that follow from others may be here from a time when they did not.
            if record.offset < *known && pageable.contains(&number) || following.iter().any(|f| f.number == number) {
                return Ok(());
            }
            if let Some(operator) = operators.get_mut(&number) {
                operator.restore(key, record.value)?;
            }
            let own = following.iter_mut().filter(|f| f.from == number);
            own.for_each(|f| f.restored.push(|out| out.extend_from_slice(key)));
            restored_here += 1;
            if restored_here % MEASURE_RECORDS == 0 {
                following.iter_mut().try_for_each(|f| f.catch_up(&mut operators))?;
                if !pageable.is_empty() {
                    self.page_out(partition, &mut operators, pageable, store)?;
                }
            }
            Ok(())
        };
        let more = match all {
            true => {
                *next = replay(self.log, partition, *next, log_error, each)?;
                false
            }
            false => {
                let (end, more) = replay_piece(self.log, partition, *next, log_error, each)?;
                *next = end;
                more
            }
        };
        following.iter_mut().try_for_each(|f| f.catch_up(&mut operators))?;
        operators.values_mut().for_each(|operator| operator.drain(&mut |_, _| {}));
        if !all && !pageable.is_empty() {
            self.page_out(partition, &mut operators, pageable, store)?;
        }
        Ok(more)
    }

    /// Read the rest, and say on disk that all is there; gives the store on disk.
    pub fn finish(&self, restored: &mut Restored, tasks: &mut [&mut Task]) -> Result<Option<Arc<ColdStore>>> {
        self.read_on(restored, tasks, true)?;
        if restored.mark.is_none() {
            self.mark(restored, tasks)?;
        }
        Ok(restored.store.clone())
    }

    /// As [`Restoring::mark`], where that was long ago.
    pub fn renew_mark(&self, restored: &mut Restored, tasks: &mut [&mut Task]) -> Result<()> {
        let is_old = |mark: Mark| self.host.clock.now_ms().saturating_sub(mark.time_ms) > MARK_RENEWED_MS;
        match restored.mark.is_none_or(is_old) {
            true => self.mark(restored, tasks),
            false => Ok(()),
        }
    }

    /// Where some of the state is on disk, write all that changed, and say so there.
    fn mark(&self, restored: &mut Restored, tasks: &mut [&mut Task]) -> Result<()> {
        let Some(store) = restored.store.clone() else { return Ok(()) };
        let mark = Mark { epoch: self.epoch, offset: restored.next, time_ms: self.host.clock.now_ms() };
        self.write(&mut self.operators(tasks), &store, Some(mark))?;
        restored.mark = Some(mark);
        Ok(())
    }

    /// Where a partition's state has become too large, let it go to disk.
    fn page_out(
        &self,
        partition: &TopicPartition,
        operators: &mut Operators<'_>,
        pageable: &HashSet<usize>,
        store: &mut Option<Arc<ColdStore>>,
    ) -> Result<()> {
        let sizes = operators.iter().filter(|(n, _)| pageable.contains(n)).map(|(_, o)| o.size().1 as u64);
        let bytes: u64 = sizes.sum();
        let Some(dir) = self.dir.as_ref().filter(|_| bytes > self.bytes_max) else { return Ok(()) };
        let store = match store {
            Some(store) => store,
            None => {
                let (opened, _) = open_part(self.host, dir, partition, self.log, self.epoch)?;
                operators.iter_mut().for_each(|(number, o)| attach(&mut ***o, *number, &opened));
                store.insert(opened)
            }
        };
        self.write(operators, store, None)?;
        let evicted = usize::try_from(bytes / 2).unwrap_or(usize::MAX);
        operators.values_mut().for_each(|o| {
            each_part(&mut ***o, &mut |_, paged| paged.evict(evicted));
        });
        Ok(())
    }

    /// Write all that changed. It is of committed epochs.
    fn write(&self, operators: &mut Operators<'_>, store: &ColdStore, mark: Option<Mark>) -> Result<()> {
        loop {
            let mut entries = Entries::default();
            let bytes_max = usize::try_from(self.bytes_max / 4).unwrap_or(usize::MAX).max(PIECE_BYTES_MIN);
            let all = take(operators, bytes_max, &mut entries);
            store.add(entries, self.epoch, mark.filter(|_| all)).map_err(cold_error)?;
            store.merge(&AtomicBool::new(false)).map_err(cold_error)?;
            operators.values_mut().for_each(|o| {
                each_part(&mut ***o, &mut |_, paged| paged.written(store.version()));
            });
            if all {
                return Ok(());
            }
        }
    }
}

/// What changed in a task's state, as records of the changelog, in batches.
pub(super) fn drain_task(
    task: &mut Task,
    nodes: &[Node],
    time_ms: i64,
    mut each: impl FnMut(BuiltBatch),
) -> Result<()> {
    let mut builder = BatchBuilder::with_capacity(std::mem::take(&mut task.changelog_length));
    let (mut longest, mut failed, mut key) = (0, None, Vec::new());
    let mut each = |batch: BuiltBatch| {
        longest = batch.bytes().len().max(longest);
        each(batch);
    };
    for (node, operator) in &mut task.operators {
        let Some(node) = nodes.get(*node).filter(|n| n.is_stateful()) else { continue };
        if node.follows().is_some() {
            operator.drain(&mut |_, _| {});
            continue;
        }
        let prefix = u16::try_from(node.number).unwrap_or(u16::MAX).to_be_bytes();
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
    task.changelog_length = longest;
    failed.map_or(Ok(()), Err)
}

/// The tasks that have operators, of all segments, by partition: their states share a partition of the changelog.
pub(super) fn by_partition(tasks: &mut [Vec<Task>]) -> BTreeMap<u32, Vec<&mut Task>> {
    let mut groups: BTreeMap<u32, Vec<&mut Task>> = BTreeMap::new();
    for segment in tasks {
        for task in segment.iter_mut().filter(|t| !t.operators.is_empty()) {
            groups.entry(task.partition).or_default().push(task);
        }
    }
    groups
}

/// A topic that commits need.
pub(super) struct InternalTopic {
    pub name: String,
    partitions: u32,
    /// Whether it holds the latest of each key; else all, until it is deleted.
    is_compacted: bool,
}

impl InternalTopic {
    /// One that holds the latest of each key.
    pub fn compacted(name: String, partitions: u32) -> InternalTopic {
        InternalTopic { name, partitions, is_compacted: true }
    }

    /// One between two stages.
    pub fn repartition(name: String, partitions: u32) -> InternalTopic {
        InternalTopic { name, partitions, is_compacted: false }
    }

    /// An error unless so many partitions are enough.
    pub fn check(&self, there: u32) -> Result<()> {
        let (name, partitions) = (&self.name, self.partitions);
        match self.is_compacted {
            true if there < partitions => Err(Error::invalid(format!(
                "the topics that it reads have {partitions} partitions now, and its state in {name} {there}: rows of a \
                 key are not where its state is; drop the query and create it again"
            ))),
            // Keys are spread over just so many.
            false if there != partitions => Err(Error::invalid(format!(
                "the topics that it reads have {partitions} partitions now, and {name} {there}: rows of a key are not \
                 where they were; drop the query and create it again"
            ))),
            _ => Ok(()),
        }
    }

    /// How it is made; `plain`: without what not every cluster knows.
    fn config(&self, plain: bool) -> recordlog::TopicConfig {
        let (policy, retention, future) = match self.is_compacted {
            true => ("compact", None, None),
            false => {
                // Rows may be of any time, also of one to come, which brokers refuse by default.
                let future = ("message.timestamp.after.max.ms", i64::MAX.to_string());
                ("delete", Some(("retention.ms", "-1".to_string())), Some(future).filter(|_| !plain))
            }
        };
        let settings = [
            ("cleanup.policy", policy.to_string()),
            ("max.message.bytes", i32::MAX.to_string()),
            // What is not in a closed segment is not compacted, and is replayed when the query opens.
            ("segment.bytes", CHANGELOG_SEGMENT_BYTES.to_string()),
        ];
        let settings = settings.into_iter().chain(retention).chain(future);
        let settings = settings.map(|(name, value)| (name.to_string(), value)).collect();
        recordlog::TopicConfig { partitions: self.partitions, replicas: 0, settings }
    }
}

pub(super) async fn create_internal_topics(log: Arc<dyn RecordLog>, wanted: Vec<InternalTopic>) -> Result<()> {
    for topic in wanted {
        if let Some(there) = log.topic(&topic.name).map_err(log_error)? {
            topic.check(there.config.partitions)?;
            continue;
        }
        let mut made = log.create_topic(&topic.name, topic.config(false)).await;
        if matches!(made, Err(recordlog::LogError::Invalid(_))) {
            made = log.create_topic(&topic.name, topic.config(true)).await;
        }
        match made {
            Ok(_) | Err(recordlog::LogError::TopicExists(_)) => {}
            Err(e) => return Err(log_error(e)),
        }
    }
    Ok(())
}
