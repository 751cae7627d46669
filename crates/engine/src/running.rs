//! Persistent queries while they run: one task each that waits for records, runs epochs, and commits them.
//!
//! The next epoch is computed while the last one is being made durable; it is committed only when that one is. A query
//! that fails is opened again from its last commit, after a pause, until it succeeds or is terminated.

use std::{sync::Arc, time::Duration};

use futures::future::select_all;
use parking_lot::Mutex;
use planner::plan::QueryPlan;
use recordlog::{CommitTicket, Offset, RecordLog, TopicPartition};
use runtime::{Cut, Query, QueryOptions, QueryStats, TableView, log_error};
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
    view: Option<TableView>,
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
    pub async fn open(
        id: String,
        opener: Opener,
        sink: Option<String>,
        reads: Vec<String>,
        paused: bool,
    ) -> Result<Arc<RunningQuery>> {
        let query = opener.open().await?;
        let state = if paused { QueryState::Paused } else { QueryState::Running };
        let shared = Shared { state, stats: query.stats(), view: query.view(), positions: query.positions() };
        Ok(Arc::new(RunningQuery {
            id,
            opener,
            sink,
            reads,
            shared: Mutex::new(shared),
            control: watch::Sender::new(if paused { Control::Pause } else { Control::Run }),
            committed: watch::Sender::new(0),
            query: tokio::sync::Mutex::new(Some(query)),
        }))
    }

    pub fn state(&self) -> QueryState {
        self.shared.lock().state.clone()
    }

    pub fn stats(&self) -> Arc<QueryStats> {
        self.shared.lock().stats.clone()
    }

    pub fn view(&self) -> Option<TableView> {
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
        self.shared.lock().state = if paused { QueryState::Paused } else { QueryState::Running };
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
        let mut slot = self.query.lock().await;
        let Some(query) = slot.as_mut() else { return Ok(()) };
        while let Some(epoch) = query.run_epoch(cut)? {
            let ticket = self.opener.log.commit(epoch.commit);
            wait(ticket).await?;
            query.committed(epoch.number);
        }
        self.shared.lock().positions = query.positions();
        Ok(())
    }

    /// Run until stopped.
    pub fn spawn(self: &Arc<RunningQuery>) -> tokio::task::JoinHandle<()> {
        let own = self.clone();
        tokio::spawn(async move {
            let mut pause_ms = RETRY_MS.0;
            loop {
                let before = *own.committed.borrow();
                match own.run().await {
                    Ok(()) => return,
                    Err(error) => {
                        if *own.control.borrow() == Control::Stop {
                            return;
                        }
                        tracing::error!(query = %own.id, %error, retry_ms = pause_ms, "query failed, will be tried again");
                        own.shared.lock().state = QueryState::Error(error.to_string());
                    }
                }
                if *own.committed.borrow() != before {
                    pause_ms = RETRY_MS.0;
                }
                let mut control = own.control.subscribe();
                let stopped = control.wait_for(|c| *c == Control::Stop);
                if tokio::time::timeout(Duration::from_millis(pause_ms), stopped).await.is_ok() {
                    return;
                }
                pause_ms = (pause_ms * 2).min(RETRY_MS.1);
                if let Err(error) = own.reopen().await {
                    tracing::error!(query = %own.id, %error, "query cannot be opened");
                }
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
        (shared.stats, shared.view, shared.positions) = (query.stats(), query.view(), query.positions());
        if *self.control.borrow() == Control::Run {
            shared.state = QueryState::Running;
        }
        *slot = Some(query);
        Ok(())
    }

    async fn run(&self) -> Result<()> {
        let topics = match self.query.lock().await.as_ref() {
            Some(query) => query.topics(),
            None => return Err(Error::unavailable("the query could not be opened")),
        };
        let mut watches =
            topics.iter().map(|t| self.opener.log.watch(t).map_err(log_error)).collect::<Result<Vec<_>>>()?;
        let mut control = self.control.subscribe();
        let mut last: Option<(u64, CommitTicket, Vec<(TopicPartition, Offset)>)> = None;
        loop {
            let wanted = *control.borrow_and_update();
            if wanted != Control::Run {
                self.finish(&mut last).await?;
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
                let epoch = query.run_epoch(cut);
                (query, epoch)
            });
            let (query, epoch) = run.await.map_err(|e| Error::internal(format!("an epoch broke off: {e}")))?;
            let positions = query.positions();
            *slot = Some(query);
            drop(slot);
            self.finish(&mut last).await?;
            match epoch? {
                Some(epoch) => {
                    last = Some((epoch.number, self.opener.log.commit(epoch.commit), positions));
                }
                None => {
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
        self.committed.send_modify(|n| *n += 1);
        Ok(())
    }
}

async fn wait(ticket: CommitTicket) -> Result<()> {
    ticket.await.map_err(|_| Error::unavailable("the log is closed"))?.map_err(log_error)?;
    Ok(())
}
