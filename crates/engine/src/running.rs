//! Persistent queries while they run: one task each that waits for records, runs epochs, and commits them.
//!
//! The next epoch is computed while the last one is being made durable; it is committed only when that one is. A query
//! that fails is opened again from its last commit, after a pause, until it succeeds or is terminated.

use std::{sync::Arc, time::Duration};

use futures::future::select_all;
use parking_lot::Mutex;
use planner::plan::QueryPlan;
use recordlog::{CommitTicket, Offset, RecordLog, TopicPartition};
use runtime::{Cut, Epoch, Query, QueryOptions, QueryStats, TableView, log_error};
use tokio::sync::watch;
use types::{Error, Result};

/// What a query is doing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum QueryState {
    Running,
    Paused,
    /// It failed and will be tried again.
    Error(String),
    Terminated,
}

impl QueryState {
    pub fn name(&self) -> &'static str {
        match self {
            QueryState::Running => "RUNNING",
            QueryState::Paused => "PAUSED",
            QueryState::Error(_) => "ERROR",
            QueryState::Terminated => "TERMINATED",
        }
    }
}

/// What is needed to open a query (again).
#[derive(Clone)]
pub(crate) struct Opener {
    pub plan: Arc<QueryPlan>,
    pub options: QueryOptions,
    pub log: Arc<dyn RecordLog>,
    pub host: host::Host,
    pub pool: Arc<rayon::ThreadPool>,
    pub epoch_bytes_max: usize,
    /// The source that it writes; none for a table that is only kept.
    pub sink: Option<String>,
}

impl Opener {
    pub async fn open(&self) -> Result<Query> {
        let (log, host, pool) = (self.log.clone(), self.host.clone(), self.pool.clone());
        Query::open(&self.plan, self.options.clone(), log, host, pool).await
    }
}

/// A query that runs (or is driven by hand).
pub(crate) struct RunningQuery {
    pub id: String,
    pub opener: Opener,
    /// The source that it writes; none for a table that is only kept.
    pub sink: Option<String>,
    /// Names of the sources that it reads.
    pub reads: Vec<String>,
    shared: Mutex<Shared>,
    control: watch::Sender<Control>,
    /// Changes after every commit.
    committed: watch::Sender<u64>,
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

/// First and longest pause before a failed query is tried again.
const RETRY_MS: (u64, u64) = (200, 15_000);

impl RunningQuery {
    /// Open a query; it runs when it is [spawned](RunningQuery::spawn).
    pub async fn open(opener: Opener, paused: bool) -> Result<Arc<RunningQuery>> {
        let query = opener.open().await?;
        Ok(RunningQuery::new(opener, paused, Ok(query)))
    }

    /// As [`RunningQuery::open`]; a query that cannot be opened is in state ERROR, and is tried again when it runs.
    pub async fn open_or_fail(opener: Opener, paused: bool) -> Arc<RunningQuery> {
        let opened = opener.open().await;
        if let Err(error) = &opened {
            tracing::error!(query = %opener.options.id, %error, "query cannot be opened, will be tried again");
        }
        RunningQuery::new(opener, paused, opened)
    }

    fn new(opener: Opener, paused: bool, opened: Result<Query>) -> Arc<RunningQuery> {
        let running = if paused { QueryState::Paused } else { QueryState::Running };
        let (shared, query) = match opened {
            Ok(query) => {
                let (stats, view, positions) = (query.stats(), query.view().map(Arc::new), query.positions());
                (Shared { state: running, stats, view, positions }, Some(query))
            }
            Err(error) => {
                let state = QueryState::Error(error.to_string());
                (Shared { state, stats: Arc::default(), view: None, positions: vec![] }, None)
            }
        };
        Arc::new(RunningQuery {
            id: opener.options.id.clone(),
            sink: opener.sink.clone(),
            reads: opener.plan.reads.clone(),
            opener,
            shared: Mutex::new(shared),
            control: watch::Sender::new(if paused { Control::Pause } else { Control::Run }),
            committed: watch::Sender::new(0),
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

    pub fn watch_commits(&self) -> watch::Receiver<u64> {
        self.committed.subscribe()
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
        // The task holds this while it runs an epoch.
        *self.query.lock().await = None;
        self.committed.send_modify(|n| *n += 1);
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

    /// Run until stopped.
    pub fn spawn(self: &Arc<RunningQuery>) -> tokio::task::JoinHandle<()> {
        let own = self.clone();
        tokio::spawn(async move {
            let mut pause_ms = RETRY_MS.0;
            loop {
                let before = *own.committed.borrow();
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
                if *own.committed.borrow() != before {
                    pause_ms = RETRY_MS.0;
                }
                tracing::error!(query = %own.id, %error, retry_ms = pause_ms, "query failed, will be tried again");
                own.shared.lock().state = QueryState::Error(error.to_string());
                let mut control = own.control.subscribe();
                let stopped = control.wait_for(|c| *c == Control::Stop);
                if tokio::time::timeout(Duration::from_millis(pause_ms), stopped).await.is_ok() {
                    return;
                }
                pause_ms = (pause_ms * 2).min(RETRY_MS.1);
            }
        })
    }

    async fn reopen(&self) -> Result<()> {
        let mut slot = self.query.lock().await;
        *slot = None;
        if *self.control.borrow() == Control::Stop {
            return Ok(());
        }
        let query = self.opener.open().await?;
        let mut shared = self.shared.lock();
        (shared.stats, shared.view, shared.positions) = (query.stats(), query.view().map(Arc::new), query.positions());
        *slot = Some(query);
        Ok(())
    }

    /// It goes on: what failed before does no longer.
    fn recovered(&self) {
        let mut shared = self.shared.lock();
        if matches!(shared.state, QueryState::Error(_)) {
            tracing::info!(query = %self.id, "query goes on");
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
            let Some(query) = slot.take() else { return Ok(()) };
            let cut = Cut::Bytes(self.opener.epoch_bytes_max);
            let run = tokio::task::spawn_blocking(move || {
                let mut query = query;
                let epoch = next_epoch(&mut query, cut);
                (query, epoch)
            });
            let (query, epoch) = run.await.map_err(|e| Error::internal(format!("an epoch broke off: {e}")))?;
            let (positions, idle_in) = (query.positions(), query.idle_in());
            *slot = Some(query);
            drop(slot);
            self.finish(&mut last).await?;
            match epoch? {
                Some(epoch) => {
                    last = Some((epoch.number, self.opener.log.commit(epoch.commit), positions));
                }
                None => {
                    self.recovered();
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

    /// Wait for the last epoch's commit, and show it to readers.
    async fn finish(&self, last: &mut Option<(u64, CommitTicket, Vec<(TopicPartition, Offset)>)>) -> Result<()> {
        let Some((epoch, ticket, positions)) = last.take() else { return Ok(()) };
        wait(ticket).await?;
        if let Some(query) = self.query.lock().await.as_mut() {
            query.committed(epoch);
        }
        self.shared.lock().positions = positions;
        self.recovered();
        self.committed.send_modify(|n| *n += 1);
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
