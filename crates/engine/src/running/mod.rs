//! Persistent queries while they run: tasks, and how they do together.
//!
//! On a log that one process has to itself a query is one task. On a cluster it is one for each partition of each of its
//! stages, and this process runs those whose slots it has.

mod stats;
mod task;

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use parking_lot::{Mutex, RwLock};
use recordlog::{Offset, TopicPartition};
use runtime::{Cut, QueryStats, Share, TableView};
use tokio::sync::watch;
use types::Result;

pub(crate) use task::{Opener, QueryState, Task, next_epoch, pass};

/// A query that runs (or is driven by hand).
pub(crate) struct RunningQuery {
    pub id: String,
    pub opener: Opener,
    /// The source that it writes; none for a table that is only kept.
    pub sink: Option<String>,
    /// Names of the sources that it reads.
    pub reads: Vec<String>,
    /// What it is made of where several processes run it; `None`: one task is all of it.
    spread: Option<RwLock<Spread>>,
    tasks: Mutex<BTreeMap<Option<Share>, Arc<Task>>>,
    paused: AtomicBool,
    committed: Arc<watch::Sender<u64>>,
    /// By partition of its table, an epoch that this process knows to be committed, wherever the partition is: it shows
    /// nothing older.
    seen: Mutex<BTreeMap<u32, u64>>,
}

/// A query that several processes run.
#[derive(Default)]
pub(crate) struct Spread {
    /// The statement that made it, counted from 1.
    pub number: u64,
    /// All its tasks, stages before those that read them.
    pub shares: Arc<[Share]>,
    /// What the rows of its table look like, where it makes one; none of them are in it.
    pub table: Option<Arc<TableView>>,
    /// Why the tasks are not known.
    pub error: Option<String>,
}

impl RunningQuery {
    /// Open a query; it runs when it is [spawned](RunningQuery::spawn).
    pub async fn open(opener: Opener, paused: bool) -> Result<Arc<RunningQuery>> {
        let committed = Arc::new(watch::Sender::new(0));
        let task = Task::open(opener.clone(), paused, &committed).await?;
        Ok(RunningQuery::of_one(opener, paused, committed, task))
    }

    /// As [`RunningQuery::open`]; a query that cannot be opened is in state ERROR, and is tried again when it runs.
    pub async fn open_or_fail(opener: Opener, paused: bool) -> Arc<RunningQuery> {
        let committed = Arc::new(watch::Sender::new(0));
        let task = Task::open_or_fail(opener.clone(), paused, &committed).await;
        RunningQuery::of_one(opener, paused, committed, task)
    }

    fn of_one(opener: Opener, paused: bool, committed: Arc<watch::Sender<u64>>, task: Arc<Task>) -> Arc<RunningQuery> {
        let id = opener.options.id.clone();
        let query = RunningQuery::new(id, opener, paused, committed, None);
        query.tasks.lock().insert(None, task);
        Arc::new(query)
    }

    /// One of which this process runs nothing yet.
    pub fn spread(id: &str, opener: Opener, paused: bool, spread: Spread) -> Arc<RunningQuery> {
        let committed = Arc::new(watch::Sender::new(0));
        Arc::new(RunningQuery::new(id.to_string(), opener, paused, committed, Some(RwLock::new(spread))))
    }

    fn new(
        id: String,
        opener: Opener,
        paused: bool,
        committed: Arc<watch::Sender<u64>>,
        spread: Option<RwLock<Spread>>,
    ) -> RunningQuery {
        RunningQuery {
            id,
            sink: opener.sink.clone(),
            reads: opener.plan.reads.clone(),
            opener,
            spread,
            tasks: Mutex::default(),
            paused: AtomicBool::new(paused),
            committed,
            seen: Mutex::default(),
        }
    }

    /// A partition of its table is at an epoch.
    pub fn saw(&self, partition: u32, epoch: u64) {
        let mut seen = self.seen.lock();
        let known = seen.entry(partition).or_default();
        *known = epoch.max(*known);
    }

    /// The epoch at which a partition of its table is at least.
    pub fn seen(&self, partition: u32) -> u64 {
        self.seen.lock().get(&partition).copied().unwrap_or(0)
    }

    fn tasks(&self) -> Vec<Arc<Task>> {
        self.tasks.lock().values().cloned().collect()
    }

    /// The tasks that run here; of a query that is one task it has no name.
    pub fn each_task(&self) -> Vec<(Option<Share>, Arc<Task>)> {
        self.tasks.lock().iter().map(|(share, task)| (*share, task.clone())).collect()
    }

    /// Whether several processes run it.
    pub fn is_spread(&self) -> bool {
        self.spread.is_some()
    }

    /// The statement that made it, where several processes run it.
    pub fn number(&self) -> u64 {
        self.spread.as_ref().map_or(0, |spread| spread.read().number)
    }

    /// All its tasks, here and elsewhere, where several processes run it.
    pub fn shares(&self) -> Arc<[Share]> {
        self.spread.as_ref().map(|spread| spread.read().shares.clone()).unwrap_or_default()
    }

    /// Whether it is not known yet what its tasks are.
    pub fn is_unknown(&self) -> bool {
        self.spread.as_ref().is_some_and(|spread| spread.read().error.is_some())
    }

    /// Now it is known, or why it is not.
    pub fn learn(&self, known: Spread) {
        if let Some(spread) = &self.spread {
            *spread.write() = known;
        }
    }

    /// The worst of what its tasks in this process do.
    pub fn state(&self) -> QueryState {
        if let Some(error) = self.spread.as_ref().and_then(|spread| spread.read().error.clone()) {
            return QueryState::Error(error);
        }
        let states: Vec<QueryState> = self.tasks().iter().map(|task| task.state()).collect();
        let failed = states.iter().find(|state| matches!(state, QueryState::Error(_)));
        match failed.or(states.first()) {
            Some(state) => state.clone(),
            None if self.paused.load(Ordering::Relaxed) => QueryState::Paused,
            None => QueryState::Running,
        }
    }

    /// What a task does, if this process runs it.
    pub fn state_of(&self, share: Share) -> Option<QueryState> {
        self.tasks.lock().get(&Some(share)).map(|task| task.state())
    }

    /// What its tasks in this process have counted, together.
    pub fn stats(&self) -> Arc<QueryStats> {
        match self.tasks().as_slice() {
            [one] => one.stats(),
            several => {
                let all: Vec<_> = several.iter().map(|task| task.stats()).collect();
                Arc::new(stats::sum(&all))
            }
        }
    }

    /// The rows of its table, where it makes one; of one that several processes run, what they look like.
    pub fn view(&self) -> Option<Arc<TableView>> {
        match &self.spread {
            Some(spread) => spread.read().table.clone(),
            None => self.tasks().first().and_then(|task| task.view()),
        }
    }

    /// The rows of its table that this process has, by partition.
    pub fn views(&self) -> BTreeMap<u32, Arc<TableView>> {
        let views = self.tasks().into_iter().filter_map(|task| task.view());
        views.filter_map(|view| Some((*view.numbers.first()?, view))).collect()
    }

    /// Next offsets to read as of the last commit, of tasks in this process.
    pub fn positions(&self) -> Vec<(TopicPartition, Offset)> {
        self.tasks().iter().flat_map(|task| task.positions()).collect()
    }

    /// Records that its tasks in this process have still to read; `None`: not all of them have been open yet.
    pub fn lag(&self) -> Option<i64> {
        self.tasks().iter().map(|task| task.lag()).sum()
    }

    pub fn watch_commits(&self) -> watch::Receiver<u64> {
        self.committed.subscribe()
    }

    pub fn pause(&self, paused: bool) {
        if self.paused.swap(paused, Ordering::Relaxed) != paused || !self.is_spread() {
            self.tasks().iter().for_each(|task| task.pause(paused));
        }
    }

    /// Wait until its tasks, which were paused, have ended what they were at.
    pub async fn rest(&self) {
        let tasks = self.tasks();
        futures::future::join_all(tasks.iter().map(|task| task.rest())).await;
    }

    /// Stop it and wait until it has.
    pub async fn stop(&self) {
        let tasks = self.tasks();
        futures::future::join_all(tasks.iter().map(|task| task.stop())).await;
    }

    /// Stop the tasks that are not wanted here, and wait until they have.
    pub async fn keep(&self, is_wanted: impl Fn(&Share) -> bool) {
        let mut gone = vec![];
        self.tasks.lock().retain(|share, task| {
            let stays = share.is_some_and(|share| is_wanted(&share));
            if !stays {
                gone.push(task.clone());
            }
            stays
        });
        futures::future::join_all(gone.iter().map(|task| task.stop())).await;
    }

    /// Run the tasks that are wanted here and do not run yet.
    pub fn start(&self, is_wanted: impl Fn(&Share) -> bool) {
        let mut tasks = self.tasks.lock();
        for share in self.shares().iter().filter(|share| is_wanted(share)) {
            tasks.entry(Some(*share)).or_insert_with(|| {
                let paused = self.paused.load(Ordering::Relaxed);
                let task = Task::later(self.opener.of_share(*share), paused, &self.committed);
                task.spawn();
                task
            });
        }
    }

    /// Read all there is, in epochs cut like that: for engines driven by hand.
    pub async fn drive(&self, cut: Cut) -> Result<()> {
        for task in self.tasks() {
            task.drive(cut).await?;
        }
        Ok(())
    }

    /// Run until stopped.
    pub fn spawn(&self) {
        self.tasks().iter().for_each(|task| task.spawn());
    }
}
