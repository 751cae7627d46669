//! Transactions of producers: which partitions and offsets belong to one, and ending it.
//!
//! A transaction's partitions and pending offsets are durable before they are acknowledged. Ending it is one commit of
//! the log: the marks in all its partitions, the offsets of its groups and the record that it ended become durable and
//! visible together, so there is no state between open and ended, and no recovery of one.

mod state;
mod timers;

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::Arc,
};

use kafka_protocol::error::ResponseError;
use parking_lot::Mutex;
use recordlog::{Append, Commit, LogError, RecordLog, TopicPartition};

pub(crate) use self::{
    state::{Phase, Transaction},
    timers::run as run_timers,
};
use crate::{
    broker::Broker,
    error::Failure,
    group::offsets::{self, Committed, Place},
    store::{Kept, Key, settle, to_json},
};

/// Longest time that a transaction may be open, ms.
const TIMEOUT_MS_MAX: i32 = 15 * 60 * 1000;
/// Most transactional ids.
const IDS_MAX: usize = 100_000;
/// Most partitions of one transaction.
const PARTITIONS_MAX: usize = 100_000;

/// All transactional ids.
#[derive(Debug, Default)]
pub(crate) struct Transactions {
    known: Mutex<Known>,
}

#[derive(Debug, Default)]
struct Known {
    by_id: BTreeMap<String, Arc<Cell>>,
    by_producer: HashMap<i64, Arc<Cell>>,
}

/// A transactional id.
#[derive(Debug)]
struct Cell {
    id: String,
    /// Held by whoever changes it, over the commit that makes the change durable.
    changing: tokio::sync::Mutex<()>,
    state: Mutex<Transaction>,
}

/// Who asks: id, producer, epoch.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Producer<'a> {
    pub transactional_id: &'a str,
    pub id: i64,
    pub epoch: i16,
}

impl Transactions {
    /// As remembered; what was open still is.
    pub fn from_kept(kept: &Kept) -> Transactions {
        let transactions = Transactions::default();
        for (key, value) in kept {
            let Key::Transaction(id) = key else { continue };
            match serde_json::from_value(value.clone()) {
                Ok(state) => drop(transactions.insert(id, state)),
                Err(error) => tracing::warn!(id, %error, "a transactional id cannot be read and is left out"),
            }
        }
        transactions
    }

    fn insert(&self, id: &str, state: Transaction) -> Arc<Cell> {
        let mut known = self.known.lock();
        let producer_id = state.producer_id;
        let changing = tokio::sync::Mutex::default();
        let cell = Arc::new(Cell { id: id.to_owned(), changing, state: Mutex::new(state) });
        known.by_id.insert(id.to_owned(), Arc::clone(&cell));
        known.by_producer.insert(producer_id, Arc::clone(&cell));
        cell
    }

    fn cell(&self, id: &str) -> Option<Arc<Cell>> {
        self.known.lock().by_id.get(id).cloned()
    }

    /// All transactional ids as they are.
    pub fn all(&self) -> Vec<(String, Transaction)> {
        let cells: Vec<Arc<Cell>> = self.known.lock().by_id.values().cloned().collect();
        cells.into_iter().map(|cell| (cell.id.clone(), cell.state.lock().clone())).collect()
    }

    /// A transactional id as it is.
    pub fn get(&self, id: &str) -> Option<Transaction> {
        self.cell(id).map(|cell| cell.state.lock().clone())
    }

    /// Offsets of a group that open transactions will decide about.
    pub fn pending_offsets(&self, group: &str) -> BTreeSet<Place> {
        let cells: Vec<Arc<Cell>> = self.known.lock().by_id.values().cloned().collect();
        let mut pending = BTreeSet::new();
        for cell in cells {
            let state = cell.state.lock();
            if state.phase.is_open() {
                pending.extend(state.offsets_of(group).map(|(place, _)| place.clone()));
            }
        }
        pending
    }

    /// Do something with a partition while a transaction of the producer is open and has the partition.
    pub fn while_open<T>(
        &self,
        producer_id: i64,
        epoch: i16,
        place: &TopicPartition,
        act: impl FnOnce() -> T,
    ) -> Result<T, Failure> {
        let cell = self.known.lock().by_producer.get(&producer_id).cloned();
        let cell = cell.ok_or(ResponseError::InvalidProducerIdMapping)?;
        let state = cell.state.lock();
        if epoch != state.epoch || producer_id != state.producer_id {
            return Err(ResponseError::InvalidProducerEpoch.into());
        }
        if state.phase != Phase::Ongoing || !state.has(place) {
            let message = format!("no transaction of {} with {place} is open", cell.id);
            return Err(Failure::new(ResponseError::InvalidTxnState, message));
        }
        Ok(act())
    }

    /// Give a transactional id a producer id and an epoch of its own: whoever had it before is shut out, and a
    /// transaction that was open is aborted.
    pub async fn begin_producer(
        &self,
        broker: &Broker,
        id: &str,
        timeout_ms: i32,
        before: Option<(i64, i16)>,
    ) -> Result<(i64, i16), Failure> {
        if !(1..=TIMEOUT_MS_MAX).contains(&timeout_ms) {
            let message = format!("a transaction may be open for 1 to {TIMEOUT_MS_MAX} ms, not {timeout_ms}");
            return Err(Failure::new(ResponseError::InvalidTransactionTimeout, message));
        }
        let cell = match self.cell(id) {
            Some(cell) => cell,
            None => {
                if self.known.lock().by_id.len() >= IDS_MAX {
                    return Err(ResponseError::CoordinatorNotAvailable.into());
                }
                let new = Transaction::new(broker.store.new_producer_id().await?, timeout_ms, broker.now_ms());
                self.cell(id).unwrap_or_else(|| self.insert(id, new))
            }
        };
        let _changing = cell.changing.lock().await;
        let current = cell.state.lock().clone();
        if let Some((producer_id, epoch)) = before
            && (producer_id, epoch) != (current.producer_id, current.epoch)
        {
            return Err(ResponseError::ProducerFenced.into());
        }
        if current.phase.is_open() {
            self.end_locked(broker, &cell, false, true).await?;
        }
        let mut next = cell.state.lock().clone();
        let was_used = next.epoch >= 0 && !current.phase.is_open();
        if was_used && !next.raise_epoch() {
            next.replace_producer(broker.store.new_producer_id().await?);
        }
        next.timeout_ms = timeout_ms;
        next.epoch = next.epoch.max(0);
        next.changed_ms = broker.now_ms();
        self.save(broker, &cell, next.clone()).await?;
        if next.producer_id != current.producer_id {
            let mut known = self.known.lock();
            known.by_producer.remove(&current.producer_id);
            known.by_producer.insert(next.producer_id, Arc::clone(&cell));
        }
        Ok((next.producer_id, next.epoch))
    }

    /// Make a changed state durable and then current.
    async fn save(&self, broker: &Broker, cell: &Cell, next: Transaction) -> Result<(), Failure> {
        let record = (Key::Transaction(cell.id.clone()), Some(to_json(&next)?));
        broker.store.record(&[record]).await?;
        *cell.state.lock() = next;
        Ok(())
    }

    fn find(&self, who: Producer<'_>) -> Result<Arc<Cell>, Failure> {
        self.cell(who.transactional_id).ok_or_else(|| ResponseError::InvalidProducerIdMapping.into())
    }

    fn check(state: &Transaction, who: Producer<'_>) -> Result<(), Failure> {
        if state.producer_id != who.id {
            return Err(ResponseError::InvalidProducerIdMapping.into());
        }
        if state.epoch != who.epoch {
            return Err(ResponseError::ProducerFenced.into());
        }
        if state.phase == Phase::Ending { Err(ResponseError::ConcurrentTransactions.into()) } else { Ok(()) }
    }

    /// Change an id's open transaction, which begins if there is none.
    async fn change(
        &self,
        broker: &Broker,
        who: Producer<'_>,
        change: impl FnOnce(&mut Transaction) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        let cell = self.find(who)?;
        let _changing = cell.changing.lock().await;
        let mut next = cell.state.lock().clone();
        Transactions::check(&next, who)?;
        let before = next.clone();
        next.open(broker.now_ms());
        change(&mut next)?;
        if next == before { Ok(()) } else { self.save(broker, &cell, next).await }
    }

    /// Add partitions to the open transaction.
    pub async fn add_partitions(&self, broker: &Broker, who: Producer<'_>, places: &[Place]) -> Result<(), Failure> {
        let add = |state: &mut Transaction| {
            state.partitions.extend(places.iter().cloned());
            let fits = state.partitions.len() <= PARTITIONS_MAX;
            if fits { Ok(()) } else { Err(ResponseError::InvalidRequest.into()) }
        };
        self.change(broker, who, add).await
    }

    /// Add a group to the open transaction.
    pub async fn add_group(&self, broker: &Broker, who: Producer<'_>, group: &str) -> Result<(), Failure> {
        let add = |state: &mut Transaction| {
            state.add_group(group);
            Ok(())
        };
        self.change(broker, who, add).await
    }

    /// Add offsets of a group to the open transaction, which has the group.
    pub async fn add_offsets(
        &self,
        broker: &Broker,
        who: Producer<'_>,
        group: &str,
        offsets: BTreeMap<Place, Committed>,
    ) -> Result<(), Failure> {
        let add = |state: &mut Transaction| state.add_offsets(group, offsets);
        self.change(broker, who, add).await
    }

    /// End the open transaction. To ask for what has happened already is fine.
    pub async fn end(&self, broker: &Broker, who: Producer<'_>, commits: bool) -> Result<(), Failure> {
        let cell = self.find(who)?;
        let _changing = cell.changing.lock().await;
        let phase = {
            let state = cell.state.lock();
            Transactions::check(&state, who)?;
            state.phase
        };
        match (phase, commits) {
            (Phase::Committed, true) | (Phase::Aborted, false) => Ok(()),
            (Phase::Ongoing, _) => self.end_locked(broker, &cell, commits, false).await,
            _ => {
                let message = format!("{} has no transaction open", who.transactional_id);
                Err(Failure::new(ResponseError::InvalidTxnState, message))
            }
        }
    }

    /// End the open transaction; `cell.changing` is held. `fences` shuts its producer out.
    async fn end_locked(&self, broker: &Broker, cell: &Cell, commits: bool, fences: bool) -> Result<(), Failure> {
        let ending = {
            let mut state = cell.state.lock();
            // From here on no batch gets in before the marks.
            state.phase = Phase::Ending;
            state.clone()
        };
        let mut next = ending.ended(commits, broker.now_ms());
        if fences && !next.raise_epoch() {
            next.replace_producer(broker.store.new_producer_id().await?);
        }
        let mark_epoch = if next.producer_id == ending.producer_id { next.epoch } else { i16::MAX };
        let ended = self.commit_end(broker, cell, &ending, &next, mark_epoch, commits).await;
        let mut state = cell.state.lock();
        if let Err(failure) = ended {
            state.phase = Phase::Ongoing;
            return Err(failure);
        }
        *state = next;
        drop(state);
        if commits {
            for (group, offsets) in ending.groups {
                broker.groups.show(broker, &group, offsets.into_iter().collect())?;
            }
        }
        Ok(())
    }

    async fn commit_end(
        &self,
        broker: &Broker,
        cell: &Cell,
        ending: &Transaction,
        next: &Transaction,
        mark_epoch: i16,
        commits: bool,
    ) -> Result<(), Failure> {
        let mut records = vec![(Key::Transaction(cell.id.clone()), Some(to_json(next)?))];
        if commits {
            for (group, pending) in &ending.groups {
                records.extend(offsets::records(group, &pending.iter().cloned().collect())?);
            }
        }
        loop {
            // A topic that was deleted needs no mark; when one is deleted just now, look again.
            let places = ending.partitions.iter().filter(|place| broker.has_partition(&place.0, place.1));
            let mut appends = Vec::new();
            for place in places {
                let partition = crate::api::partition_of(&place.0, place.1)?;
                let batches = state::mark(ending.producer_id, mark_epoch, commits, broker.now_ms())?;
                appends.push(Append { partition, batches: batches.into() });
            }
            appends.push(broker.store.append(&records)?);
            match settle(broker.log.commit(Commit::of(appends))).await {
                Err(failure) if failure.error == ResponseError::UnknownTopicOrPartition => {
                    if broker.log.topic(crate::store::TOPIC).is_none() {
                        return Err(LogError::UnknownTopic(crate::store::TOPIC.to_owned()).into());
                    }
                }
                other => return other.map(drop),
            }
        }
    }
}
