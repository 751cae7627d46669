//! A writer: a thread with the producers of one name. Commits that wait together become one transaction, which is as
//! good as several: each is visible as a whole, in the order queued.
//!
//! After a transaction of a named writer failed, nothing more of it is accepted until somebody takes the name over
//! again: what comes behind was computed on what failed. Whether a transaction is committed whose end could not be
//! asked for is not known; taking over settles it.

use std::{
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use recordlog::{Append, Appended, LogError, Offset, Result, TopicPartition};

use crate::{
    admin::Admin,
    broker::Wire,
    commits::{self, Queue, Waiting, Work},
    config::{ClusterConfig, ProduceSettings},
    places::Places,
    produce::{Producer, Refusal},
    topics::Topics,
    watchers::Watchers,
};

/// A step of a transaction is tried again until so much time has passed.
const STEP_WAIT: Duration = Duration::from_secs(20);
/// The part of a transaction's time after which it is given up.
const TIME_SHARE: f32 = 0.8;
/// What has failed is tried to be aborted for so long.
const UNDO_WAIT: Duration = Duration::from_secs(2);

/// What writers need to know of the rest.
pub(crate) struct Surroundings {
    pub config: ClusterConfig,
    pub producing: ProduceSettings,
    pub wire: Arc<Wire>,
    pub host: host::Host,
    pub topics: Topics,
    pub places: Places,
    pub admin: Admin,
    pub watchers: Arc<Watchers>,
}

/// Whose commits they are.
pub(crate) enum Identity {
    /// A writer that one process is at a time.
    Named(Arc<str>),
    /// Nobody's in particular: they do not depend on each other. The name is this process's own.
    Nobody(String),
}

/// The thread's state.
struct Writer {
    identity: Identity,
    surroundings: Arc<Surroundings>,
    /// Ready for a transaction.
    transactional: Option<Producer>,
    /// For single records, which need none.
    plain: Option<Producer>,
    failed: Option<LogError>,
}

/// Start a writer for a queue. It ends when the queue is closed.
pub(crate) fn start(identity: Identity, queue: Arc<Queue>, surroundings: Arc<Surroundings>) -> Result<()> {
    let mut writer = Writer { identity, surroundings, transactional: None, plain: None, failed: None };
    let run = move || {
        while let Some(work) = queue.next() {
            match work {
                Work::TakeOver(reply) => drop(reply.send(writer.take_over())),
                Work::Commits(group) => writer.run(group),
            }
        }
    };
    let started = thread::Builder::new().name("kafka-writer".to_owned()).spawn(run);
    started.map_err(|e| LogError::Io { what: "starting a thread".to_owned(), error: e.to_string() })?;
    Ok(())
}

impl Writer {
    fn run(&mut self, group: Vec<Waiting>) {
        if let Some(error) = &self.failed {
            let text = format!("a commit before it failed: {error}");
            let error = if matches!(error, LogError::Fenced(_)) { error.clone() } else { LogError::Unavailable(text) };
            return reply_all(group, &Err(error));
        }
        let outcome = self.write(&group);
        match (&outcome, &self.identity) {
            // What others queued at the same time is not to fail with one.
            (Err(LogError::Unavailable(_)), Identity::Nobody(_)) => {}
            (Err(_), Identity::Nobody(_)) if group.len() > 1 => {
                return group.into_iter().for_each(|one| self.run(vec![one]));
            }
            (Err(error), Identity::Named(_)) => self.failed = Some(error.clone()),
            _ => {}
        }
        reply_all(group, &outcome);
    }

    /// Write commits, all or none.
    fn write(&mut self, group: &[Waiting]) -> Result<Vec<Appended>> {
        let appends: Vec<&Append> = group.iter().flat_map(|waiting| &waiting.commit.appends).collect();
        if appends.iter().all(|append| commits::record_count(append) == 0) {
            return Ok(appends
                .iter()
                .map(|_| Appended { base_offset: -1, record_count: 0, arrival: 0, append_time_ms: -1 })
                .collect());
        }
        let surroundings = Arc::clone(&self.surroundings);
        let Surroundings { topics, places, admin, host, watchers, .. } = &*surroundings;
        for append in &appends {
            topics.check(&append.partition, places.asker(), admin, host.clock.monotonic())?;
        }
        let single = |w: &Waiting| w.commit.appends.iter().map(commits::record_count).sum::<u32>() <= 1;
        let landed = match self.identity {
            Identity::Nobody(_) if group.iter().all(single) => self.write_plainly(&appends),
            _ => self.transact(&appends),
        }?;
        for (append, landed) in appends.iter().zip(&landed) {
            let end = landed.base_offset.saturating_add(Offset::from(landed.record_count));
            places.written(&append.partition, end);
        }
        let mut written: Vec<&TopicPartition> = appends.iter().map(|append| &append.partition).collect();
        written.dedup_by_key(|partition| &partition.topic);
        written.iter().for_each(|partition| watchers.fire(&partition.topic));
        Ok(landed)
    }

    fn write_plainly(&mut self, appends: &[&Append]) -> Result<Vec<Appended>> {
        let Surroundings { producing, wire, .. } = &*self.surroundings;
        let deadline = Instant::now() + producing.message_timeout;
        let mut producer = match self.plain.take() {
            Some(producer) => producer,
            None => wire.wait_for(Producer::nameless(wire.brokers(), *producing, deadline))?,
        };
        // One that has failed is not used again.
        let landed = wire.wait_for(producer.write(appends, deadline))?;
        self.plain = Some(producer);
        Ok(landed)
    }

    fn name(&self) -> String {
        let name = match &self.identity {
            Identity::Named(name) => name,
            Identity::Nobody(name) => name.as_str(),
        };
        format!("{}{name}", self.surroundings.config.prefix())
    }

    fn take_over(&mut self) -> Result<()> {
        // The predecessor in this process goes first: two producers of one name fence each other.
        self.transactional = None;
        self.transactional = Some(self.open()?);
        self.failed = None;
        self.surroundings.places.doubt();
        Ok(())
    }

    fn open(&self) -> Result<Producer> {
        let Surroundings { producing, wire, .. } = &*self.surroundings;
        let (name, deadline) = (self.name(), Instant::now() + STEP_WAIT);
        wire.wait_for(Producer::of_name(wire.brokers(), *producing, &name, deadline))
    }

    fn transact(&mut self, appends: &[&Append]) -> Result<Vec<Appended>> {
        // One that has failed is not used again.
        let mut producer = match self.transactional.take() {
            Some(producer) => producer,
            None => self.open()?,
        };
        let wire = Arc::clone(&self.surroundings.wire);
        // When its time is over the cluster aborts it as if somebody else had taken over.
        let wait = STEP_WAIT.min(self.surroundings.producing.transaction_timeout.mul_f32(TIME_SHARE));
        let landed = match wire.wait_for(producer.write(appends, Instant::now() + wait)) {
            Ok(landed) => landed,
            Err(error) => {
                // Otherwise it is aborted when its time is up, or when somebody takes over.
                if let Err(failed) = wire.wait_for(producer.end(false, Instant::now() + UNDO_WAIT)) {
                    tracing::debug!(error = %LogError::from(failed), "a transaction that failed was not aborted");
                }
                return Err(error);
            }
        };
        match wire.wait_for(producer.end(true, Instant::now() + STEP_WAIT)) {
            Ok(()) => {
                self.transactional = Some(producer);
                Ok(landed)
            }
            Err(Refusal::Failed(error @ LogError::Fenced(_))) => Err(error),
            Err(Refusal::Failed(error)) => {
                Err(LogError::Unavailable(format!("a transaction was not committed: {error}")))
            }
            // Nothing that was asked for was answered.
            Err(Refusal::Again(error)) => {
                let text = format!("it is not known whether a transaction of {} is committed: {error}", self.name());
                Err(LogError::Unavailable(text))
            }
        }
    }
}

/// Tell each what became of it: `outcome` is about all their appends.
fn reply_all(group: Vec<Waiting>, outcome: &Result<Vec<Appended>>) {
    let mut from = 0;
    for waiting in group {
        let to = from + waiting.commit.appends.len();
        let own = outcome.as_ref().map(|landed| landed.get(from..to).unwrap_or_default().to_vec());
        // Nobody may be waiting any more.
        let _ = waiting.reply.send(own.map_err(LogError::clone));
        from = to;
    }
}
