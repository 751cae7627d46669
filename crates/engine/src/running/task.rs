//! One task of a persistent query: it waits for records, runs epochs, and commits them.
//!
//! The next epoch is computed while the last one is being made durable; it is committed only when that one is. A task
//! that fails is opened again from its last commit, after a pause, until it succeeds or is stopped.

use std::{
    sync::{
        Arc, Weak,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use futures::future::select_all;
use parking_lot::Mutex;
use planner::plan::QueryPlan;
use recordlog::{CommitTicket, Offset, RecordLog, TopicPartition};
use runtime::{Cut, Epoch, Query, QueryOptions, QueryStats, Share, TableView, log_error};
use serde::{Deserialize, Serialize};
use tokio::{
    sync::{Semaphore, watch},
    task::JoinHandle,
};
use types::{Error, ErrorKind, Result};

use crate::Engine;

/// What a query is doing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum QueryState {
    Running,
    Paused,
    /// It failed and will be tried again.
    Error(String),
    Terminated,
    /// Another process runs it; this one has a copy of its state.
    Standby,
}

impl QueryState {
    pub fn name(&self) -> &'static str {
        match self {
            QueryState::Running => "RUNNING",
            QueryState::Paused => "PAUSED",
            QueryState::Error(_) => "ERROR",
            QueryState::Terminated => "TERMINATED",
            QueryState::Standby => "STANDBY",
        }
    }
}

/// What is needed to open a query (again), or one of its tasks.
#[derive(Clone)]
pub(crate) struct Opener {
    pub plan: Arc<QueryPlan>,
    pub options: QueryOptions,
    pub log: Arc<dyn RecordLog>,
    pub host: host::Host,
    pub pool: Arc<rayon::ThreadPool>,
    pub epoch_bytes_max: usize,
    /// Who computes a large epoch has one of these: many queries with much to read take turns, so that memory holds the
    /// epochs of a few, and those who read the same come to it at about the same time.
    pub turns: Arc<Semaphore>,
    /// The source that it writes; none for a table that is only kept.
    pub sink: Option<String>,
    /// Where a task that failed hears whether it is still to run: an engine among others of its service.
    pub member: Weak<Engine>,
    /// Tasks that are opened at a time.
    pub opening: Arc<Semaphore>,
}

impl Opener {
    pub async fn open(&self) -> Result<Query> {
        let (log, host, pool) = (self.log.clone(), self.host.clone(), self.pool.clone());
        Query::open(&self.plan, self.options.clone(), log, host, pool).await
    }

    /// The same for one task.
    pub fn of_share(&self, share: Share) -> Opener {
        let options = QueryOptions { share: Some(share), ..self.options.clone() };
        Opener { options, ..self.clone() }
    }

    /// As who it commits.
    pub fn writer(&self) -> Arc<str> {
        self.options.names.task_writer(&self.options.id, self.options.share)
    }

    /// As the log calls it.
    fn name(&self) -> String {
        match self.options.share {
            Some(share) => format!("{} {share}", self.options.id),
            None => self.options.id.clone(),
        }
    }
}

/// A task that runs (or is driven by hand).
pub(crate) struct Task {
    opener: Opener,
    shared: Mutex<Shared>,
    control: watch::Sender<Control>,
    /// Changes after every commit of the query's tasks in this process.
    committed: Arc<watch::Sender<u64>>,
    /// How often this task went on.
    steps: AtomicU64,
    /// What runs it.
    running: Mutex<Option<JoinHandle<()>>>,
    query: tokio::sync::Mutex<Option<Query>>,
}

struct Shared {
    state: QueryState,
    stats: Arc<QueryStats>,
    view: Option<Arc<TableView>>,
    positions: Vec<(TopicPartition, Offset)>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Control {
    Run,
    Pause,
    Stop,
}

/// How long a statement that pauses waits for an epoch that is being computed.
const REST_WAIT: Duration = Duration::from_secs(2);

/// First and longest pause before a failed query is tried again.
const RETRY_MS: (u64, u64) = (200, 15_000);

/// Longest pause where it failed for want of the log, which may be there again at any moment.
const AWAY_RETRY_MS: u64 = 2_000;

/// Consumed records of exchanges are deleted so often.
const PURGE_EVERY: Duration = Duration::from_secs(10);

impl Task {
    /// Open it; it runs when it is [spawned](Task::spawn).
    pub async fn open(opener: Opener, paused: bool, committed: &Arc<watch::Sender<u64>>) -> Result<Arc<Task>> {
        let query = opener.open().await?;
        Ok(Task::new(opener, paused, committed, Some(Ok(query))))
    }

    /// As [`Task::open`]; one that cannot be opened is in state ERROR, and is tried again when it runs.
    pub async fn open_or_fail(opener: Opener, paused: bool, committed: &Arc<watch::Sender<u64>>) -> Arc<Task> {
        let opened = opener.open().await;
        if let Err(error) = &opened {
            tracing::error!(query = %opener.name(), %error, "query cannot be opened, will be tried again");
        }
        Task::new(opener, paused, committed, Some(opened))
    }

    /// One that is opened when it runs.
    pub fn later(opener: Opener, paused: bool, committed: &Arc<watch::Sender<u64>>) -> Arc<Task> {
        Task::new(opener, paused, committed, None)
    }

    fn new(
        opener: Opener,
        paused: bool,
        committed: &Arc<watch::Sender<u64>>,
        opened: Option<Result<Query>>,
    ) -> Arc<Task> {
        let running = if paused { QueryState::Paused } else { QueryState::Running };
        let (shared, query) = match opened {
            Some(Ok(query)) => {
                let (stats, view, positions) = (query.stats(), query.view().map(Arc::new), query.positions());
                (Shared { state: running, stats, view, positions }, Some(query))
            }
            other => {
                let state = match other {
                    Some(Err(error)) => QueryState::Error(error.to_string()),
                    _ => running,
                };
                (Shared { state, stats: Arc::default(), view: None, positions: vec![] }, None)
            }
        };
        Arc::new(Task {
            opener,
            shared: Mutex::new(shared),
            control: watch::Sender::new(if paused { Control::Pause } else { Control::Run }),
            committed: committed.clone(),
            steps: AtomicU64::new(0),
            running: Mutex::default(),
            query: tokio::sync::Mutex::new(query),
        })
    }

    pub fn state(&self) -> QueryState {
        self.shared.lock().state.clone()
    }

    pub fn stats(&self) -> Arc<QueryStats> {
        self.shared.lock().stats.clone()
    }

    pub fn view(&self) -> Option<Arc<TableView>> {
        self.shared.lock().view.clone()
    }

    /// Next offsets to read as of the last commit.
    pub fn positions(&self) -> Vec<(TopicPartition, Offset)> {
        self.shared.lock().positions.clone()
    }

    /// Records that it has still to read, as far as the log knows now; `None`: it was never open, and nothing is known.
    pub fn lag(&self) -> Option<i64> {
        let positions = self.positions();
        let behind = |(partition, next): (TopicPartition, Offset)| {
            self.opener.log.offsets(&partition).map_or(0, |ends| (ends.end - next).max(0))
        };
        (!positions.is_empty()).then(|| positions.into_iter().map(behind).sum())
    }

    /// Wait until a task that was paused has ended what it was at, so that it reads nothing that comes from now on; not for
    /// long where that is waiting for the log.
    pub async fn rest(&self) {
        let _ = tokio::time::timeout(REST_WAIT, self.query.lock()).await;
    }

    pub fn pause(&self, paused: bool) {
        self.control.send_replace(if paused { Control::Pause } else { Control::Run });
        let mut shared = self.shared.lock();
        // What failed stays failed until it was opened again.
        if !matches!(shared.state, QueryState::Error(_)) {
            shared.state = if paused { QueryState::Paused } else { QueryState::Running };
        }
    }

    /// Stop it and wait until it has.
    pub async fn stop(&self) {
        self.control.send_replace(Control::Stop);
        self.shared.lock().state = QueryState::Terminated;
        let running = self.running.lock().take();
        if let Some(running) = running {
            // What it is committing is committed or not when it has ended.
            let _ = running.await;
        }
        *self.query.lock().await = None;
        self.opener.log.release(&self.opener.writer());
        self.went_on();
    }

    /// Read all there is, in epochs cut like that: for engines driven by hand.
    pub async fn drive(&self, cut: Cut) -> Result<()> {
        if *self.control.borrow() != Control::Run {
            return Ok(());
        }
        if self.query.lock().await.is_none() {
            self.reopen().await?;
        }
        let mut slot = self.query.lock().await;
        let Some(query) = slot.as_mut() else { return Ok(()) };
        let driven = drive_epochs(query, &*self.opener.log, cut).await;
        let mut shared = self.shared.lock();
        match driven {
            Ok(()) => {
                shared.positions = query.positions();
                shared.state = QueryState::Running;
            }
            Err(error) => {
                shared.state = QueryState::Error(error.to_string());
                *slot = None;
                return Err(error);
            }
        }
        Ok(())
    }

    fn went_on(&self) {
        self.steps.fetch_add(1, Ordering::Relaxed);
        self.committed.send_modify(|n| *n += 1);
    }

    /// Run until stopped.
    pub fn spawn(self: &Arc<Task>) {
        let own = self.clone();
        let run = async move {
            let mut pause_ms = RETRY_MS.0;
            loop {
                let before = own.steps.load(Ordering::Relaxed);
                let is_open = own.query.lock().await.is_some();
                let opened = if is_open { Ok(()) } else { own.reopen().await };
                let ended = match opened {
                    Ok(()) => own.run().await,
                    Err(e) => Err(e),
                };
                let Err(error) = ended else { return };
                // Its state has moved on from what is committed: it has to be read back, and until then takes no room.
                *own.query.lock().await = None;
                if *own.control.borrow() == Control::Stop {
                    return;
                }
                if own.steps.load(Ordering::Relaxed) != before {
                    pause_ms = RETRY_MS.0;
                }
                if error.kind() == ErrorKind::Unavailable {
                    pause_ms = pause_ms.min(AWAY_RETRY_MS);
                }
                let query = own.opener.name();
                tracing::error!(%query, %error, retry_ms = pause_ms, "query failed, will be tried again");
                own.fail(&error);
                let mut control = own.control.subscribe();
                let stopped = control.wait_for(|c| *c == Control::Stop);
                if tokio::time::timeout(Duration::from_millis(pause_ms), stopped).await.is_ok() {
                    return;
                }
                pause_ms = (pause_ms * 2).min(RETRY_MS.1);
            }
        };
        *self.running.lock() = Some(tokio::spawn(run));
    }

    fn fail(&self, error: &Error) {
        let mut shared = self.shared.lock();
        shared.state = QueryState::Error(error.to_string());
        if self.opener.options.share.is_some() {
            // Another process may have the task by now, and newer rows.
            shared.view = None;
        }
    }

    async fn reopen(&self) -> Result<()> {
        let mut control = self.control.subscribe();
        if let Some(engine) = self.opener.member.upgrade() {
            // What shut this task out may be a statement that ends it. Who catches up with that waits for its end.
            let caught_up = tokio::spawn(async move { engine.catch_up().await });
            tokio::select! {
                done = caught_up => done.map_err(|e| Error::internal(format!("the catalog's reader broke off: {e}")))??,
                _ = control.wait_for(|c| *c == Control::Stop) => return Ok(()),
            }
        }
        if self.opener.options.share.is_some() {
            // Before any waits to be opened: what a process has left open hides what others have committed.
            let writer = self.opener.writer();
            let taken = self.opener.log.take_over(&writer);
            tokio::select! {
                taken = taken => taken.map_err(log_error)?,
                _ = control.wait_for(|c| *c == Control::Stop) => return Ok(()),
            }
        }
        let _one_of_few = self.opener.opening.acquire().await;
        let mut slot = self.query.lock().await;
        *slot = None;
        if *control.borrow() == Control::Stop {
            return Ok(());
        }
        // Reading a state back is work for a core, and nothing that others wait for.
        let opener = self.opener.clone();
        let standby = match (self.opener.member.upgrade(), self.opener.options.share) {
            (Some(engine), Some(share)) => engine.standby(&self.opener.options.id, share).await,
            _ => None,
        };
        let open = move || {
            let runtime = tokio::runtime::Handle::current();
            match standby {
                Some(standby) => runtime.block_on(standby.promote()),
                None => runtime.block_on(opener.open()),
            }
        };
        let query = tokio::select! {
            opened = tokio::task::spawn_blocking(open) => {
                opened.map_err(|e| Error::internal(format!("a query could not be opened: {e}")))??
            }
            // Whoever has it next shuts out what is still being opened here.
            _ = control.wait_for(|c| *c == Control::Stop) => return Ok(()),
        };
        let mut shared = self.shared.lock();
        (shared.stats, shared.view, shared.positions) = (query.stats(), query.view().map(Arc::new), query.positions());
        *slot = Some(query);
        Ok(())
    }

    /// It goes on: what failed before does no longer.
    fn recovered(&self) {
        let mut shared = self.shared.lock();
        if matches!(shared.state, QueryState::Error(_)) {
            tracing::info!(query = %self.opener.name(), "query goes on");
            shared.state = QueryState::Running;
        }
    }

    async fn run(&self) -> Result<()> {
        let topics = match self.query.lock().await.as_ref() {
            Some(query) => query.topics(),
            // It was stopped meanwhile.
            None => return Ok(()),
        };
        let mut watches =
            topics.iter().map(|t| self.opener.log.watch(t).map_err(log_error)).collect::<Result<Vec<_>>>()?;
        let mut control = self.control.subscribe();
        let mut purged = self.opener.host.clock.monotonic();
        let mut last: Option<(u64, CommitTicket, Vec<(TopicPartition, Offset)>)> = None;
        loop {
            let wanted = *control.borrow_and_update();
            if wanted != Control::Run {
                self.finish(&mut last).await?;
                if wanted == Control::Pause {
                    self.shared.lock().state = QueryState::Paused;
                }
                if wanted == Control::Stop || control.changed().await.is_err() {
                    return Ok(());
                }
                continue;
            }
            watches.iter_mut().for_each(|w| {
                w.borrow_and_update();
            });
            let mut slot = self.query.lock().await;
            // Who has been told to pause since begins nothing any more: see [`Task::rest`].
            if *control.borrow() != wanted {
                continue;
            }
            let Some(query) = slot.take() else { return Ok(()) };
            let turn = match query.has_much_to_read() {
                true => self.opener.turns.acquire().await.ok(),
                false => None,
            };
            let cut = Cut::Bytes(self.opener.epoch_bytes_max);
            let run = tokio::task::spawn_blocking(move || {
                let mut query = query;
                let epoch = next_epoch(&mut query, cut);
                (query, epoch)
            });
            let (query, epoch) = run.await.map_err(|e| Error::internal(format!("an epoch broke off: {e}")))?;
            drop(turn);
            let (positions, idle_in) = (query.positions(), query.idle_in());
            *slot = Some(query);
            drop(slot);
            self.finish(&mut last).await?;
            self.purge(&mut purged).await;
            match epoch? {
                Some(epoch) => {
                    last = Some((epoch.number, self.opener.log.commit(epoch.commit), positions));
                }
                None => {
                    self.recovered();
                    self.idle_at(positions);
                    let changes = watches.iter_mut().map(|w| Box::pin(w.changed()));
                    tokio::select! {
                        (changed, _, _) = select_all(changes) => {
                            changed.map_err(|_| Error::undefined_source("a topic that it reads was deleted"))?;
                        }
                        changed = control.changed() => {
                            if changed.is_err() {
                                return Ok(());
                            }
                        }
                        () = pass(idle_in) => {}
                    }
                }
            }
        }
    }

    /// There is nothing to read, and nothing that waits to be committed. It may be further on than its last commit: behind
    /// what nobody reads.
    fn idle_at(&self, positions: Vec<(TopicPartition, Offset)>) {
        let mut shared = self.shared.lock();
        if shared.positions != positions {
            shared.positions = positions;
            drop(shared);
            self.went_on();
        }
    }

    /// Delete what all of an exchange's readers have consumed.
    async fn purge(&self, purged: &mut Duration) {
        let now = self.opener.host.clock.monotonic();
        if self.opener.options.share.is_none() || now.saturating_sub(*purged) < PURGE_EVERY {
            return;
        }
        *purged = now;
        let consumed = self.query.lock().await.as_ref().map(Query::consumed).unwrap_or_default();
        for (partition, before) in consumed {
            // The next time does it.
            if let Err(error) = self.opener.log.delete_records(&partition, before).await {
                tracing::debug!(%partition, %error, "what was consumed could not be deleted");
            }
        }
    }

    /// Wait for the last epoch's commit, and show it to readers.
    async fn finish(&self, last: &mut Option<(u64, CommitTicket, Vec<(TopicPartition, Offset)>)>) -> Result<()> {
        let Some((epoch, ticket, positions)) = last.take() else { return Ok(()) };
        wait(ticket).await?;
        if let Some(query) = self.query.lock().await.as_mut() {
            query.committed(epoch);
        }
        self.shared.lock().positions = positions;
        self.recovered();
        self.went_on();
        Ok(())
    }
}

/// An epoch on what has arrived; where nothing has for long enough, one that closes windows.
pub(crate) fn next_epoch(query: &mut Query, cut: Cut) -> Result<Option<Epoch>> {
    match query.run_epoch(cut)? {
        Some(epoch) => Ok(Some(epoch)),
        None => query.run_idle_epoch(),
    }
}

/// Let that time pass; for ever if there is none.
pub(crate) async fn pass(time: Option<Duration>) {
    match time {
        Some(time) => tokio::time::sleep(time).await,
        None => std::future::pending().await,
    }
}

async fn drive_epochs(query: &mut Query, log: &dyn RecordLog, cut: Cut) -> Result<()> {
    while let Some(epoch) = next_epoch(query, cut)? {
        wait(log.commit(epoch.commit)).await?;
        query.committed(epoch.number);
    }
    Ok(())
}

async fn wait(ticket: CommitTicket) -> Result<()> {
    ticket.await.map_err(|_| Error::unavailable("the log is closed"))?.map_err(log_error)?;
    Ok(())
}
