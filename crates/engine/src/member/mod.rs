//! One of several processes of a service.
//!
//! All of them follow the statement log, so that each has the whole catalog. One of them, the leader, writes it; the
//! others hand it what changes something. The tasks of the queries are spread over slots, and a process runs the tasks of
//! the slots that it is given. Any of them answers a query: what it needs of a table that others have, it asks them for.
//!
//! Nothing here decides who may write: that do the log's writers. A task that another process has opened, and a leader
//! that another has replaced, cannot commit any more, whatever this process believes.

mod change;
mod follow;
mod places;
mod rows;
mod schemas;
mod standby;
mod states;
mod wire;

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    hash::Hasher,
    sync::Arc,
};

use async_trait::async_trait;
use parking_lot::Mutex;
use recordlog::Offset;
use runtime::Share;
use tokio::sync::Semaphore;
use types::{Error, Result};

use self::standby::Standbys;
use crate::{
    Engine,
    api::ServiceConfig,
    session::{PlannedQuery, Plans},
};

pub(crate) use change::change;
pub(crate) use rows::read;
pub(crate) use schemas::SchemaLeader;

/// Tasks that are opened at a time: each waits for the cluster most of the time.
const OPENING_MAX: usize = 8;

/// The other processes of a service, as one of them finds them.
#[async_trait]
pub trait Peers: Send + Sync + 'static {
    /// By slot, where the process is reached that has it. Slots that are being moved are missing.
    async fn holders(&self) -> Result<BTreeMap<u32, String>>;
    /// Hand a request to the process at an address, and wait for what [`Engine::answer`] gives there.
    async fn ask(&self, address: &str, request: &str) -> Result<Vec<u8>, AskError>;
}

/// Why a process did not answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AskError {
    /// The request did not get there.
    #[error("{0}")]
    Unreached(String),
    /// It may have got there.
    #[error("{0}")]
    Broken(String),
}

/// What a process knows of its service.
pub(crate) struct Member {
    peers: Arc<dyn Peers>,
    /// How many slots there are.
    slots: u32,
    /// Where this process is reached.
    address: String,
    /// Slots that this process has.
    held: Mutex<BTreeSet<u32>>,
    /// Where the statement log was read to, and what came of it.
    ledger: tokio::sync::Mutex<Ledger>,
    /// Tasks are started and stopped by one at a time.
    adjusting: tokio::sync::Mutex<()>,
    /// Who has which slot, as it was asked for last.
    holders: Mutex<Arc<BTreeMap<u32, String>>>,
    opening: Arc<Semaphore>,
    /// How many other processes follow a task.
    standby_replicas: usize,
    standbys: Standbys,
}

/// The statement log as far as it was read.
#[derive(Default)]
struct Ledger {
    next: Offset,
    /// Statements read.
    count: u64,
    plans: Plans,
    /// Topics that statements deleted, with their ids.
    deleted: HashMap<String, String>,
}

impl Member {
    pub fn new(config: &ServiceConfig) -> Member {
        Member {
            peers: config.peers.clone(),
            slots: config.slots.max(1),
            address: config.advertise.clone().unwrap_or_default(),
            held: Mutex::default(),
            ledger: tokio::sync::Mutex::default(),
            adjusting: tokio::sync::Mutex::default(),
            holders: Mutex::default(),
            opening: Arc::new(Semaphore::new(OPENING_MAX)),
            standby_replicas: config.standby_replicas,
            standbys: Standbys::default(),
        }
    }

    pub fn slots(&self) -> u32 {
        self.slots
    }

    pub fn opening(&self) -> Arc<Semaphore> {
        self.opening.clone()
    }

    /// The slot of a task: those of a stage are in slots side by side, so that they spread evenly.
    fn slot(&self, query: &str, share: &Share) -> u32 {
        let mut hasher = Fnv::default();
        hasher.write(query.as_bytes());
        hasher.write(&share.stage.to_be_bytes());
        let slots = u64::from(self.slots);
        u32::try_from((hasher.finish() % slots + u64::from(share.partition)) % slots).unwrap_or(0)
    }
}

/// A hash that is the same in every process and version: FNV-1a.
struct Fnv(u64);

impl Default for Fnv {
    fn default() -> Fnv {
        Fnv(0xcbf2_9ce4_8422_2325)
    }
}

impl Hasher for Fnv {
    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

/// Under which id a query runs that statement `number` made. Queries have ids that are never used again; a table that is
/// only kept may be made anew under its name, and then begins anew.
pub(crate) fn runtime_id(id: &str, sink: Option<&String>, number: u64) -> String {
    match sink {
        Some(_) => id.to_string(),
        None => format!("{id}.{number}"),
    }
}

impl Engine {
    pub(crate) fn this_member(&self) -> Result<&Arc<Member>> {
        self.member.as_ref().ok_or_else(|| Error::internal("this process is no member of a service"))
    }

    /// Work in these slots alone: stop the tasks of others, and wait until they have.
    pub async fn let_go(&self, held: &BTreeSet<u32>) {
        let Some(member) = &self.member else { return };
        let _one = member.adjusting.lock().await;
        member.held.lock().retain(|slot| held.contains(slot));
        let queries: Vec<_> = self.queries.lock().values().cloned().collect();
        let keep = queries.iter().map(|query| {
            let id = query.opener.options.id.as_str();
            query.keep(move |share| held.contains(&member.slot(id, share)))
        });
        futures::future::join_all(keep).await;
    }

    /// Run the tasks of these slots, too.
    pub async fn take(&self, held: &BTreeSet<u32>) {
        let Some(member) = &self.member else { return };
        let _one = member.adjusting.lock().await;
        member.held.lock().extend(held);
        let queries: Vec<_> = self.queries.lock().values().cloned().collect();
        for query in queries {
            self.start_held(member, &query);
        }
    }

    /// Lead the service from now on.
    ///
    /// # Errors
    /// The log cannot be written or read.
    pub async fn lead(&self) -> Result<()> {
        let member = self.this_member()?.clone();
        let _nothing_changes = self.changing.lock().await;
        self.service.take_over(self.host.clock.now_ms()).await?;
        self.catch_up().await?;
        let (ids, deleted): (BTreeSet<String>, Vec<_>) = {
            let ledger = member.ledger.lock().await;
            let id = |(id, query): (&String, &PlannedQuery)| runtime_id(id, query.sink.as_ref(), query.number);
            (ledger.plans.iter().map(id).collect(), ledger.deleted.clone().into_iter().collect())
        };
        self.tidy_up(&ids, &deleted).await;
        tracing::info!("this process leads the service");
        Ok(())
    }

    /// Lead it no more.
    pub fn step_down(&self) {
        self.service.step_down();
    }

    /// Whether this process leads the service, as far as it knows.
    pub fn leads(&self) -> bool {
        self.service.leads()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Nobody;

    #[async_trait]
    impl Peers for Nobody {
        async fn holders(&self) -> Result<BTreeMap<u32, String>> {
            Ok(BTreeMap::new())
        }

        async fn ask(&self, address: &str, _: &str) -> Result<Vec<u8>, AskError> {
            Err(AskError::Unreached(address.to_string()))
        }
    }

    #[test]
    fn the_tasks_of_a_stage_are_in_slots_of_their_own() {
        let config =
            ServiceConfig { id: "s".into(), advertise: None, slots: 8, standby_replicas: 0, peers: Arc::new(Nobody) };
        let member = Member::new(&config);
        for stage in 0..4 {
            let slots: BTreeSet<u32> =
                (0..8).map(|partition| member.slot("CTAS_T_1", &Share { stage, partition })).collect();
            assert_eq!(slots, (0..8).collect());
        }
        // Every process says the same, whatever it was built with.
        assert_eq!(member.slot("CTAS_T_1", &Share { stage: 0, partition: 0 }), 5);
    }
}
