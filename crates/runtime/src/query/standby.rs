//! State of a task that another process runs, kept warm: whoever has it can take the task over without reading a
//! changelog from its beginning.
//!
//! It follows the changelog, of which it reads what is committed, and how far the task has come; it never writes to the
//! log and takes nothing over until it is promoted. What it has is some epoch's state only where it has read all there
//! is; a piece of the changelog may end within an epoch.

use std::sync::{Arc, atomic::Ordering};

use host::Host;
use planner::plan::QueryPlan;
use recordlog::{Offset, RecordLog, TopicPartition};
use types::{Error, Result};

use super::{
    Query, QueryOptions, TableView,
    segment::Task,
    state::{Restored, Restoring},
    tier::MARK_AGE_MAX_MS,
};
use crate::{log_error, stats::QueryStats};

/// See the module.
pub struct StandbyTask {
    plan: QueryPlan,
    query: Query,
    /// `None`: the task has no state.
    state: Option<Followed>,
}

/// What is followed.
struct Followed {
    restored: Restored,
    /// Which changelog it is of.
    topic_id: u128,
    /// When all of it had been read last, ms since 1970.
    whole_ms: i64,
}

impl StandbyTask {
    /// Begin to follow the task that `options` name, with what is on disk of its state.
    ///
    /// # Errors
    /// As [`Query::open`]; the options name no task.
    pub async fn open(
        plan: &QueryPlan,
        options: QueryOptions,
        log: Arc<dyn RecordLog>,
        host: Host,
        pool: Arc<rayon::ThreadPool>,
    ) -> Result<StandbyTask> {
        if options.share.is_none() || !options.durable {
            return Err(Error::internal("a query that runs whole cannot be followed"));
        }
        let query = Query::lowered(plan, options, log, host, pool)?;
        query.check_topics()?;
        let mut standby = StandbyTask { plan: plan.clone(), state: None, query };
        standby.note_progress()?;
        let query = &mut standby.query;
        if let Some(topic) = query.changelog_topic()? {
            let whole_ms = query.host.clock.now_ms();
            let restored = with_tasks(query, |restoring, p, tasks| restoring.begin(p, tasks))?;
            standby.state = restored.map(|restored| Followed { restored, topic_id: topic.id, whole_ms });
        }
        Ok(standby)
    }

    /// Read on, a piece of the changelog; whether there is more. Runs on the calling thread.
    ///
    /// # Errors
    /// The log cannot be read; the state is too large; the changelog is another one, or has gone on without this for so
    /// long that it may not tell all any more: then it has to be opened again.
    pub fn follow(&mut self) -> Result<bool> {
        self.note_progress()?;
        let now_ms = self.query.host.clock.now_ms();
        let Some(Followed { restored, topic_id, whole_ms }) = &mut self.state else { return Ok(false) };
        check_topic(&self.query, *topic_id)?;
        let more = with_tasks(&mut self.query, |restoring, _, tasks| restoring.read_on(restored, tasks, false))?;
        let more = more.unwrap_or(false);
        if !more {
            *whole_ms = now_ms;
            let epoch = self.query.epoch;
            self.query.view.iter().flat_map(|v| &v.partitions).for_each(|view| view.write().commit(epoch));
            with_tasks(&mut self.query, |restoring, _, tasks| restoring.renew_mark(restored, tasks))?;
        } else if now_ms.saturating_sub(*whole_ms) > MARK_AGE_MAX_MS {
            return Err(Error::unavailable("the changelog was not followed for too long"));
        }
        self.query.charge_state()?;
        Ok(more)
    }

    /// Where in the changelog it reads on; `None`: the task has no state.
    pub fn position(&self) -> Option<(TopicPartition, Offset)> {
        let (state, share) = self.state.as_ref().zip(self.query.options.share)?;
        Some((TopicPartition::new(self.query.changelog(), share.partition), state.restored.next))
    }

    /// Records of the changelog, about, that it has not read.
    ///
    /// # Errors
    /// The log cannot be read.
    pub fn lag(&self) -> Result<u64> {
        let Some((partition, next)) = self.position() else { return Ok(0) };
        let end = self.query.log.offsets(&partition).map_err(log_error)?.end;
        Ok((end - next).max(0).unsigned_abs())
    }

    /// The rows of the task's table, where it makes one, as of what was read last.
    pub fn view(&self) -> Option<TableView> {
        self.query.view()
    }

    /// Its counters.
    pub fn stats(&self) -> Arc<QueryStats> {
        self.query.stats()
    }

    /// The topics whose growth is a reason to [follow](StandbyTask::follow).
    pub fn topics(&self) -> Vec<String> {
        self.state.iter().map(|_| self.query.changelog()).collect()
    }

    /// Take the task over, and run it from now on.
    ///
    /// # Errors
    /// As [`Query::open`].
    pub async fn promote(self) -> Result<Query> {
        let StandbyTask { plan, mut query, state } = self;
        let progress = query.take_over().await?;
        query.check_topics()?;
        query.place_readers(&plan, progress.as_ref())?;
        let Some(progress) = progress else {
            query.write_beginning().await?;
            return Ok(query);
        };
        query.resume(&progress);
        let Some(Followed { mut restored, topic_id, whole_ms }) = state else {
            query.committed(progress.epoch);
            return Ok(query);
        };
        check_topic(&query, topic_id)?;
        if query.host.clock.now_ms().saturating_sub(whole_ms) > MARK_AGE_MAX_MS {
            return Err(Error::unavailable("the changelog was not followed for too long"));
        }
        let known = restored.records;
        let store = with_tasks(&mut query, |restoring, p, tasks| Ok((p, restoring.finish(&mut restored, tasks)?)))?;
        // What was read before is no part of what taking over took.
        query.stats.restored.store(restored.records - known, Ordering::Relaxed);
        query.restored(store.into_iter().filter_map(|(p, store)| Some((p, store?))).collect())?;
        Ok(query)
    }

    /// How far the task has come.
    fn note_progress(&mut self) -> Result<()> {
        let options = &self.query.options;
        if let Some(progress) = options.progress.of(&*self.query.log, &options.id, options.share)? {
            self.query.resume(&progress);
        }
        Ok(())
    }
}

fn check_topic(query: &Query, id: u128) -> Result<()> {
    let changelog = query.changelog();
    match query.log.topic(&changelog).map_err(log_error)?.is_some_and(|topic| topic.id == id) {
        true => Ok(()),
        false => Err(Error::unavailable(format!("{changelog} is not what it was"))),
    }
}

/// Restore with the parts of the task that hold state; `None`: there are none.
fn with_tasks<T>(
    query: &mut Query,
    work: impl FnOnce(&Restoring<'_>, u32, &mut [&mut Task]) -> Result<T>,
) -> Result<Option<T>> {
    let Some(topic) = query.changelog_topic()? else { return Ok(None) };
    let mut all = std::mem::take(&mut query.tasks);
    let done = query.restoring(&topic, &all).and_then(|restoring| {
        let mut tasks: Vec<&mut Task> = all.iter_mut().flatten().filter(|t| !t.operators.is_empty()).collect();
        let partition = tasks.first().map(|task| task.partition);
        partition.map(|p| work(&restoring, p, &mut tasks)).transpose()
    });
    query.tasks = all;
    done
}
