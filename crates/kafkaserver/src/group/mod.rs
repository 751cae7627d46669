//! Consumer groups: who is a member, what each has, and how far the group has come.
//!
//! A group is of the protocol of its members, [`classic`] or [`consumer`]; an empty one becomes of the protocol of the
//! next who joins, and one with members of both is of the consumer protocol. Membership is in memory and ends with the server; members notice and join again. Committed offsets are in the
//! broker's own topic, durable before the commit is acknowledged.

pub(crate) mod classic;
pub(crate) mod consumer;
pub(crate) mod offsets;
mod patterns;
mod subscription;

use std::{
    collections::{BTreeMap, HashMap},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use kafka_protocol::error::ResponseError;
use parking_lot::Mutex;
use tokio::sync::oneshot;

use self::{
    classic::{Classic, Effect, Join, JoinRefused, Joined, Phase, Synced},
    consumer::{Consumer, Visible},
    offsets::{Committed, Place},
    patterns::Patterns,
};
use crate::{
    broker::Broker,
    call::Call,
    error::Failure,
    store::{Kept, Key},
};

/// Most groups.
const GROUPS_MAX: usize = 100_000;
/// How often sessions and deadlines are looked at.
const TICK: Duration = Duration::from_millis(50);
/// Offsets of a group without members are forgotten after so long, ms.
const OFFSETS_KEPT_MS: i64 = 7 * 24 * 60 * 60 * 1000;
/// How often forgotten offsets are looked for, ms.
const OFFSETS_LOOK_MS: i64 = 60 * 60 * 1000;

/// All groups.
#[derive(Debug, Default)]
pub(crate) struct Groups {
    by_id: Mutex<BTreeMap<String, Arc<Group>>>,
    tickets: AtomicU64,
    patterns: Patterns,
}

/// A group.
#[derive(Debug, Default)]
pub(crate) struct Group {
    state: Mutex<State>,
    /// Whether time matters to it. Many groups are only offsets that nobody asks for.
    ticks: AtomicBool,
}

/// A group's protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Kind {
    /// Members join, and the leader assigns.
    #[default]
    Classic,
    /// The server assigns (KIP-848).
    Consumer,
}

impl Kind {
    /// As Kafka's tools show it.
    pub fn name(self) -> &'static str {
        match self {
            Kind::Classic => "classic",
            Kind::Consumer => "consumer",
        }
    }
}

#[derive(Debug, Default)]
pub(crate) struct State {
    /// Of what protocol its members are, or were: the other one has none.
    pub kind: Kind,
    pub classic: Classic,
    pub consumer: Consumer,
    /// How far the group has come.
    pub offsets: BTreeMap<Place, Committed>,
    /// When it was last seen with members, ms since 1970.
    alive_ms: i64,
    /// It was taken out of the list; ask for it again.
    gone: bool,
    joining: HashMap<u64, oneshot::Sender<Result<Joined, JoinRefused>>>,
    syncing: HashMap<u64, oneshot::Sender<Result<Synced, ResponseError>>>,
}

impl State {
    /// Let those know whose requests are decided.
    fn settle(&mut self, effects: Vec<Effect>) {
        for effect in effects {
            // Who has gone does not mind.
            match effect {
                Effect::Join(ticket, outcome) => {
                    if let Some(waiting) = self.joining.remove(&ticket) {
                        drop(waiting.send(outcome));
                    }
                }
                Effect::Sync(ticket, outcome) => {
                    if let Some(waiting) = self.syncing.remove(&ticket) {
                        drop(waiting.send(outcome));
                    }
                }
            }
        }
    }

    /// When the last member of the consumer protocol has gone, the others are a classic group.
    fn downgrade_if_all_classic(&mut self, now_ms: i64) {
        if self.consumer.is_all_classic() {
            self.classic = self.consumer.become_classic(self.classic.initial_delay_ms, now_ms);
            self.kind = Kind::Classic;
        }
    }

    /// Whether it has no members.
    pub fn is_empty(&self) -> bool {
        self.classic.phase == Phase::Empty && self.consumer.is_empty()
    }

    fn needs_ticks(&self) -> bool {
        self.classic.needs_ticks() || !self.consumer.is_empty()
    }

    fn is_idle(&self) -> bool {
        !self.needs_ticks() && self.offsets.is_empty()
    }
}

impl Groups {
    /// The groups that have committed offsets.
    pub fn from_kept(kept: &Kept) -> Groups {
        let groups = Groups::default();
        let mut by_id = groups.by_id.lock();
        for (key, value) in kept {
            let Key::Offset { group, topic, partition } = key else { continue };
            let Ok(committed) = serde_json::from_value::<Committed>(value.clone()) else {
                tracing::warn!(group, topic, partition, "a committed offset cannot be read and is left out");
                continue;
            };
            let mut state = by_id.entry(group.clone()).or_default().state.lock();
            state.alive_ms = state.alive_ms.max(committed.time_ms);
            state.offsets.insert((topic.clone(), *partition), committed);
        }
        drop(by_id);
        groups
    }

    /// The group of that id.
    pub fn get(&self, id: &str) -> Option<Arc<Group>> {
        self.by_id.lock().get(id).cloned()
    }

    /// Do something with a group's state; `None` when there is no such group.
    pub fn with<T>(&self, id: &str, act: impl FnOnce(&mut State) -> T) -> Option<T> {
        let group = self.get(id)?;
        let mut state = group.state.lock();
        (!state.gone).then(|| act(&mut state))
    }

    /// The same with a group that is made where there is none.
    fn with_new<T>(&self, broker: &Broker, id: &str, act: impl FnOnce(&mut State) -> T) -> Result<T, ResponseError> {
        loop {
            let group = {
                let mut by_id = self.by_id.lock();
                if !by_id.contains_key(id) && by_id.len() >= GROUPS_MAX {
                    return Err(ResponseError::CoordinatorNotAvailable);
                }
                Arc::clone(by_id.entry(id.to_owned()).or_default())
            };
            let mut state = group.state.lock();
            if state.gone {
                continue;
            }
            group.ticks.store(true, Ordering::Relaxed);
            state.alive_ms = broker.now_ms();
            let delay_ms = broker.settings.group_initial_delay.as_millis();
            state.classic.initial_delay_ms = i64::try_from(delay_ms).unwrap_or(i64::MAX);
            let session_ms = broker.settings.group_session().as_millis();
            state.consumer.session_ms = i64::try_from(session_ms).unwrap_or(i64::MAX);
            return Ok(act(&mut state));
        }
    }

    /// All groups' ids.
    pub fn ids(&self) -> Vec<String> {
        self.by_id.lock().keys().cloned().collect()
    }

    fn ticket(&self) -> u64 {
        self.tickets.fetch_add(1, Ordering::Relaxed)
    }

    /// Join a group; resolves when the group's generation begins.
    pub async fn join(&self, call: &Call, group: &str, mut join: Join) -> Result<Joined, JoinRefused> {
        let broker = &call.broker;
        let refused = |error| JoinRefused { error, member_id: String::new() };
        if group.is_empty() {
            return Err(refused(ResponseError::InvalidGroupId));
        }
        join.ticket = self.ticket();
        let known = self.with(group, |_| ()).is_some();
        if !known && !join.member_id.is_empty() {
            return Err(JoinRefused { error: ResponseError::UnknownMemberId, member_id: join.member_id });
        }
        let (send, wait) = oneshot::channel();
        let begun = self.with_new(broker, group, |state| {
            let now_ms = broker.now_ms();
            if let Some(replaced) = state.consumer.last_replaced_by(&join) {
                // Who is replaced is there, so that it cannot fail.
                let _ = state.consumer.leave(&replaced, None, false, now_ms);
                state.downgrade_if_all_classic(now_ms);
            }
            if !state.consumer.is_empty() {
                return Some(state.consumer.join_classic(&join, &Visible(call), now_ms));
            }
            state.kind = Kind::Classic;
            state.joining.insert(join.ticket, send);
            let effects = state.classic.join(join, now_ms);
            state.settle(effects);
            None
        });
        if let Some(decided) = begun.map_err(refused)? {
            return decided;
        }
        wait.await.unwrap_or_else(|_| Err(refused(ResponseError::CoordinatorNotAvailable)))
    }

    /// Get a member's assignment; resolves when the leader has brought it.
    pub async fn sync(&self, broker: &Broker, group: &str, sync: Sync) -> Result<Synced, ResponseError> {
        let ticket = self.ticket();
        let (send, wait) = oneshot::channel();
        let begun = self.with(group, |state| {
            if !state.consumer.is_empty() {
                return state.consumer.sync_classic(&sync, broker.now_ms()).map(Some);
            }
            state.classic.check(&sync.member_id, sync.instance.as_deref(), sync.generation)?;
            let differs = |said: &Option<String>, is: &String| said.as_ref().is_some_and(|said| said != is);
            if differs(&sync.protocol_type, &state.classic.protocol_type)
                || differs(&sync.protocol, &state.classic.protocol)
            {
                return Err(ResponseError::InconsistentGroupProtocol);
            }
            state.syncing.insert(ticket, send);
            let effects = state.classic.sync(&sync.member_id, &sync.assignments, ticket, broker.now_ms());
            state.settle(effects);
            Ok(None)
        });
        if let Some(synced) = begun.unwrap_or(Err(ResponseError::UnknownMemberId))? {
            return Ok(synced);
        }
        wait.await.unwrap_or(Err(ResponseError::CoordinatorNotAvailable))
    }

    /// A member is alive.
    pub fn heartbeat(
        &self,
        broker: &Broker,
        group: &str,
        (id, instance): (&str, Option<&str>),
        generation: i32,
    ) -> Result<(), ResponseError> {
        let heard = self.with(group, |state| {
            if !state.consumer.is_empty() {
                return state.consumer.beat_classic((id, instance), generation, broker.now_ms());
            }
            state.classic.check(id, instance, generation)?;
            state.classic.heartbeat(id, broker.now_ms())
        });
        heard.unwrap_or(Err(ResponseError::UnknownMemberId))
    }

    /// A member leaves.
    pub fn leave(&self, broker: &Broker, group: &str, id: &str, instance: Option<&str>) -> Result<(), ResponseError> {
        let left = self.with(group, |state| {
            let now_ms = broker.now_ms();
            if !state.consumer.is_empty() {
                let holder = instance.filter(|_| id.is_empty()).and_then(|instance| state.consumer.holder(instance));
                let left = state.consumer.leave(holder.as_deref().unwrap_or(id), instance, false, now_ms);
                state.downgrade_if_all_classic(now_ms);
                return left.map_err(|failure| failure.error);
            }
            let (left, effects) = state.classic.leave(id, instance, now_ms);
            state.settle(effects);
            left
        });
        left.unwrap_or(Err(ResponseError::UnknownMemberId))
    }

    /// Delete a group that has no members, with its offsets.
    pub async fn delete(&self, broker: &Broker, id: &str) -> Result<(), Failure> {
        let deleted = self.with(id, |state| {
            if !state.is_empty() {
                return Err(ResponseError::NonEmptyGroup);
            }
            state.gone = true;
            Ok(std::mem::take(&mut state.offsets))
        });
        let offsets = deleted.ok_or(ResponseError::GroupIdNotFound)??;
        self.by_id.lock().remove(id);
        let forget: Vec<_> = offsets.into_keys().map(|place| (offsets::key(id, &place), None)).collect();
        broker.store.record(&forget).await
    }

    fn tick(&self, now_ms: i64) {
        let ticking: Vec<Arc<Group>> =
            self.by_id.lock().values().filter(|group| group.ticks.load(Ordering::Relaxed)).cloned().collect();
        for group in ticking {
            let mut state = group.state.lock();
            state.consumer.tick(now_ms);
            state.downgrade_if_all_classic(now_ms);
            let effects = state.classic.tick(now_ms);
            state.settle(effects);
            state.alive_ms = now_ms;
            // Whoever joins does so under the state's lock, and sets it again.
            group.ticks.store(state.needs_ticks(), Ordering::Relaxed);
        }
    }

    /// Forget groups that have neither members nor offsets.
    fn forget_idle(&self, now_ms: i64) {
        self.by_id.lock().retain(|_, group| {
            let mut state = group.state.lock();
            state.gone = state.is_idle() && now_ms.saturating_sub(state.alive_ms) > OFFSETS_LOOK_MS;
            !state.gone
        });
    }
}

/// A request for an assignment.
#[derive(Debug)]
pub(crate) struct Sync {
    pub member_id: String,
    pub instance: Option<String>,
    pub generation: i32,
    pub protocol_type: Option<String>,
    pub protocol: Option<String>,
    /// From the leader.
    pub assignments: Vec<(String, bytes::Bytes)>,
}

/// Let groups know that time passes, until the broker stops.
pub(crate) async fn run_timers(broker: Arc<Broker>) {
    let mut interval = tokio::time::interval(TICK);
    let mut looked_ms = broker.now_ms();
    loop {
        tokio::select! {
            _ = interval.tick() => {}
            () = broker.stop.cancelled() => return,
        }
        let now_ms = broker.now_ms();
        broker.groups.tick(now_ms);
        if now_ms.saturating_sub(looked_ms) > OFFSETS_LOOK_MS {
            looked_ms = now_ms;
            broker.groups.forget_idle(now_ms);
            if let Err(failure) = broker.groups.forget_old_offsets(&broker, now_ms).await {
                tracing::warn!(error = failure.message, "old offsets of groups could not be forgotten");
            }
        }
    }
}
