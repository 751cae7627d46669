//! The classic group protocol as a state machine: members join, the leader assigns, everybody syncs (KIP-62, 345, 394).
//!
//! It knows no sockets and no clock. A request that has to wait leaves a [`Ticket`]; what becomes of it is an
//! [`Effect`] of a later step. Time comes in with every step, ms since 1970.

use std::collections::{BTreeMap, HashMap};

use bytes::Bytes;
use indexmap::IndexMap;
use kafka_protocol::error::ResponseError;

/// Bounds of a member's session, ms.
const SESSION_MS_MIN: i64 = 1_000;
const SESSION_MS_MAX: i64 = 1_800_000;
/// Most members of a group.
const MEMBERS_MAX: usize = 10_000;
/// Most bytes that the members of a group say of themselves, and as many that they are assigned.
const GROUP_BYTES_MAX: usize = 32 << 20;

/// A request that waits.
pub(crate) type Ticket = u64;

/// Names of protocols, and what a member says with each.
pub(crate) type Protocols = Vec<(String, Bytes)>;

/// The protocol type of consumers.
pub(crate) const CONSUMERS: &str = "consumer";

/// Where a group stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Phase {
    /// No members.
    #[default]
    Empty,
    /// Members have to join again.
    Joining,
    /// The leader has to assign.
    Syncing,
    /// Everybody has an assignment.
    Stable,
}

impl Phase {
    /// As Kafka's tools show it.
    pub fn name(self) -> &'static str {
        match self {
            Phase::Empty => "Empty",
            Phase::Joining => "PreparingRebalance",
            Phase::Syncing => "CompletingRebalance",
            Phase::Stable => "Stable",
        }
    }
}

/// A member.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Member {
    /// What it calls itself over restarts.
    pub instance: Option<String>,
    pub client_id: String,
    pub client_host: String,
    pub session_ms: i64,
    pub rebalance_ms: i64,
    /// What it can do, the best first.
    pub protocols: Protocols,
    /// What the leader gave it; while the group is not stable, in the generation before.
    pub assignment: Bytes,
    /// When its session ends unless it is heard of.
    expires_ms: i64,
    joining: Option<Ticket>,
    syncing: Option<Ticket>,
}

/// A request to join.
#[derive(Debug, Clone)]
pub(crate) struct Join {
    pub member_id: String,
    /// For a member that has none.
    pub new_member_id: String,
    pub instance: Option<String>,
    pub client_id: String,
    pub client_host: String,
    pub session_ms: i64,
    pub rebalance_ms: i64,
    pub protocol_type: String,
    pub protocols: Protocols,
    /// A new member first learns its id and then joins with it.
    pub id_required: bool,
    /// The client knows how to be a leader that does not assign.
    pub can_skip: bool,
    pub ticket: Ticket,
}

/// The answer to a join.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Joined {
    pub generation: i32,
    pub protocol_type: String,
    pub protocol: String,
    pub leader: String,
    pub member_id: String,
    pub skip_assignment: bool,
    /// For the leader: everybody's id, instance and metadata.
    pub members: Vec<(String, Option<String>, Bytes)>,
}

/// An error, with the id that the client should use from now on.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct JoinRefused {
    pub error: ResponseError,
    pub member_id: String,
}

/// The answer to a sync.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Synced {
    pub protocol_type: String,
    pub protocol: String,
    pub assignment: Bytes,
}

/// What becomes of a request that waited.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Effect {
    Join(Ticket, Result<Joined, JoinRefused>),
    Sync(Ticket, Result<Synced, ResponseError>),
}

/// A group.
#[derive(Debug, Clone, Default)]
pub(crate) struct Classic {
    pub phase: Phase,
    pub generation: i32,
    pub protocol_type: String,
    pub protocol: String,
    pub leader: Option<String>,
    pub members: IndexMap<String, Member>,
    /// Members' ids by instance.
    instances: HashMap<String, String>,
    /// Ids that were given out and not joined with, and until when they can be.
    promised: HashMap<String, i64>,
    /// While joining or syncing: when those who are missing are given up.
    deadline_ms: i64,
    /// While a group comes into being: until when more members are waited for whatever happens.
    gathering: Option<Gathering>,
    /// How long to wait for more members at first.
    pub initial_delay_ms: i64,
}

#[derive(Debug, Clone, Copy)]
struct Gathering {
    until_ms: i64,
    at_most_ms: i64,
    more_came: bool,
}

pub(super) fn refuse(error: ResponseError, member_id: &str) -> JoinRefused {
    JoinRefused { error, member_id: member_id.to_owned() }
}

/// Bytes of what a member says of itself.
pub(super) fn bytes_of(protocols: &Protocols) -> usize {
    protocols.iter().map(|(name, metadata)| name.len() + metadata.len()).sum()
}

impl Join {
    /// Whether the session is one that there can be.
    pub fn check_session(&self) -> Result<(), JoinRefused> {
        match (SESSION_MS_MIN..=SESSION_MS_MAX).contains(&self.session_ms) {
            true => Ok(()),
            false => Err(refuse(ResponseError::InvalidSessionTimeout, &self.member_id)),
        }
    }
}

impl Classic {
    /// A member wants to join. What is decided at once is among the effects, too.
    pub fn join(&mut self, join: Join, now_ms: i64) -> Vec<Effect> {
        let mut effects = Vec::new();
        if let Err(refused) = self.try_join(&join, now_ms, &mut effects) {
            effects.push(Effect::Join(join.ticket, Err(refused)));
        }
        effects
    }

    fn try_join(&mut self, join: &Join, now_ms: i64, effects: &mut Vec<Effect>) -> Result<(), JoinRefused> {
        let id = join.member_id.as_str();
        join.check_session()?;
        if join.protocol_type.is_empty() || join.protocols.is_empty() || !self.fits(join) {
            return Err(refuse(ResponseError::InconsistentGroupProtocol, id));
        }
        if !self.members.contains_key(id) && self.members.len() + self.promised.len() >= MEMBERS_MAX {
            return Err(refuse(ResponseError::GroupMaxSizeReached, id));
        }
        let others = self.members.iter().filter(|(other, _)| *other != id).map(|(_, member)| &member.protocols);
        if others.map(bytes_of).sum::<usize>() + bytes_of(&join.protocols) > GROUP_BYTES_MAX {
            return Err(refuse(ResponseError::GroupMaxSizeReached, id));
        }
        let before = join.instance.as_ref().and_then(|instance| self.instances.get(instance)).cloned();
        match (id.is_empty(), &join.instance, before) {
            (true, Some(_), Some(before)) => self.replace(join, &before, now_ms, effects),
            (true, None, _) if join.id_required => {
                self.promised.insert(join.new_member_id.clone(), now_ms + join.session_ms);
                return Err(refuse(ResponseError::MemberIdRequired, &join.new_member_id));
            }
            (true, ..) => self.add(join, &join.new_member_id, now_ms, effects),
            (false, Some(_), Some(before)) if before != id => {
                return Err(refuse(ResponseError::FencedInstanceId, id));
            }
            (false, ..) if self.promised.remove(id).is_some() => self.add(join, id, now_ms, effects),
            (false, ..) => self.rejoin(join, now_ms, effects)?,
        }
        Ok(())
    }

    /// Whether the member speaks of the same thing as the others and shares a protocol with them.
    fn fits(&self, join: &Join) -> bool {
        let others: Vec<&Member> =
            self.members.iter().filter(|(id, _)| **id != join.member_id).map(|(_, m)| m).collect();
        if others.is_empty() {
            return true;
        }
        let shared = |name: &String| others.iter().all(|other| other.protocols.iter().any(|(own, _)| own == name));
        join.protocol_type == self.protocol_type && join.protocols.iter().any(|(name, _)| shared(name))
    }

    fn add(&mut self, join: &Join, id: &str, now_ms: i64, effects: &mut Vec<Effect>) {
        if self.members.is_empty() {
            self.protocol_type.clone_from(&join.protocol_type);
        }
        if let Some(instance) = &join.instance {
            self.instances.insert(instance.clone(), id.to_owned());
        }
        self.members.insert(id.to_owned(), Member::of(join, now_ms));
        if let Some(gathering) = &mut self.gathering {
            gathering.more_came = true;
        }
        self.rebalance(now_ms, effects);
    }

    /// A member with an instance came back without its id: it takes its own place.
    fn replace(&mut self, join: &Join, before: &str, now_ms: i64, effects: &mut Vec<Effect>) {
        let id = join.new_member_id.clone();
        let Some(old) = self.members.shift_remove(before) else {
            return self.add(join, &id, now_ms, effects);
        };
        let fenced = ResponseError::FencedInstanceId;
        effects.extend(old.joining.map(|ticket| Effect::Join(ticket, Err(refuse(fenced, before)))));
        effects.extend(old.syncing.map(|ticket| Effect::Sync(ticket, Err(fenced))));
        let was_leader = self.leader.as_deref() == Some(before);
        if was_leader {
            self.leader = Some(id.clone());
        }
        if let Some(instance) = &join.instance {
            self.instances.insert(instance.clone(), id.clone());
        }
        let same = old.protocols == join.protocols;
        let member = Member { assignment: old.assignment, ..Member::of(join, now_ms) };
        self.members.insert(id.clone(), member);
        if self.phase != Phase::Stable || !same {
            return self.rebalance(now_ms, effects);
        }
        if let Some(member) = self.members.get_mut(&id) {
            member.joining = None;
        }
        let mut joined = self.joined(&id);
        if was_leader && join.can_skip {
            joined.skip_assignment = true;
        } else if was_leader {
            // As Kafka: an old client that does not see itself as the leader takes the assignment that there is.
            before.clone_into(&mut joined.leader);
            joined.members.clear();
        }
        effects.push(Effect::Join(join.ticket, Ok(joined)));
    }

    fn rejoin(&mut self, join: &Join, now_ms: i64, effects: &mut Vec<Effect>) -> Result<(), JoinRefused> {
        let id = join.member_id.as_str();
        let is_leader = self.leader.as_deref() == Some(id);
        let phase = self.phase;
        let member = self.members.get_mut(id).ok_or_else(|| refuse(ResponseError::UnknownMemberId, id))?;
        let same = member.protocols == join.protocols;
        let answered = match phase {
            Phase::Empty => return Err(refuse(ResponseError::UnknownMemberId, id)),
            Phase::Joining => false,
            Phase::Syncing => same,
            Phase::Stable => same && !is_leader,
        };
        member.expires_ms = now_ms + join.session_ms;
        if answered {
            let joined = self.joined(id);
            effects.push(Effect::Join(join.ticket, Ok(joined)));
            return Ok(());
        }
        let before = member.joining.replace(join.ticket).filter(|before| *before != join.ticket);
        member.protocols.clone_from(&join.protocols);
        (member.session_ms, member.rebalance_ms) = (join.session_ms, join.rebalance_ms);
        // The client asks again: the first time is not waited for any more.
        effects.extend(before.map(|ticket| Effect::Join(ticket, Err(refuse(ResponseError::RebalanceInProgress, id)))));
        self.rebalance(now_ms, effects);
        Ok(())
    }

    /// Let everybody join again, unless that is so already, and see whether all have.
    fn rebalance(&mut self, now_ms: i64, effects: &mut Vec<Effect>) {
        if self.phase != Phase::Joining {
            let at_most_ms = now_ms + self.rebalance_ms();
            if self.phase == Phase::Empty && self.initial_delay_ms > 0 {
                let until_ms = (now_ms + self.initial_delay_ms).min(at_most_ms);
                self.gathering = Some(Gathering { until_ms, at_most_ms, more_came: false });
            }
            self.dismiss_syncing(effects);
            self.phase = Phase::Joining;
            self.deadline_ms = at_most_ms;
        }
        self.complete_if_all_joined(now_ms, effects);
    }

    fn dismiss_syncing(&mut self, effects: &mut Vec<Effect>) {
        for member in self.members.values_mut() {
            let waiting = member.syncing.take();
            effects.extend(waiting.map(|t| Effect::Sync(t, Err(ResponseError::RebalanceInProgress))));
        }
    }

    /// Those who wait are told to begin again: the group becomes of the other protocol.
    pub fn dismiss(&mut self) -> Vec<Effect> {
        let mut effects = Vec::new();
        self.dismiss_syncing(&mut effects);
        for (id, member) in &mut self.members {
            let refused = refuse(ResponseError::RebalanceInProgress, id);
            effects.extend(member.joining.take().map(|ticket| Effect::Join(ticket, Err(refused))));
        }
        effects
    }

    /// A group of consumers that were in one of the other protocol. They have to join again.
    pub fn of_consumers(
        generation: i32,
        members: IndexMap<String, Member>,
        initial_delay_ms: i64,
        now_ms: i64,
    ) -> Classic {
        let instance = |(id, member): (&String, &Member)| Some((member.instance.clone()?, id.clone()));
        let mut group = Classic {
            phase: Phase::Stable,
            generation,
            protocol_type: CONSUMERS.to_owned(),
            instances: members.iter().filter_map(instance).collect(),
            members,
            initial_delay_ms,
            ..Classic::default()
        };
        group.protocol = group.vote();
        // Nobody waits, so nobody has to be told.
        group.rebalance(now_ms, &mut Vec::new());
        group
    }

    fn rebalance_ms(&self) -> i64 {
        self.members.values().map(|member| member.rebalance_ms).max().unwrap_or(0)
    }

    fn complete_if_all_joined(&mut self, now_ms: i64, effects: &mut Vec<Effect>) {
        let all = self.members.values().all(|member| member.joining.is_some()) && self.promised.is_empty();
        if self.phase == Phase::Joining && self.gathering.is_none() && all {
            self.complete_join(now_ms, effects);
        }
    }

    /// Begin a generation with those who have joined.
    fn complete_join(&mut self, now_ms: i64, effects: &mut Vec<Effect>) {
        self.gathering = None;
        // Those with an instance keep their place until their session ends.
        self.members.retain(|_, member| member.joining.is_some() || member.instance.is_some());
        self.generation = self.generation.checked_add(1).unwrap_or(1);
        if self.members.is_empty() {
            self.become_empty();
            return;
        }
        self.protocol = self.vote();
        let joined = |id: &String| self.members.get(id).is_some_and(|member| member.joining.is_some());
        if !self.leader.as_ref().is_some_and(joined) {
            let first = self.members.iter().find(|(_, member)| member.joining.is_some());
            self.leader = first.or(self.members.first()).map(|(id, _)| id.clone());
        }
        self.phase = Phase::Syncing;
        self.deadline_ms = now_ms + self.rebalance_ms();
        let ids: Vec<String> = self.members.keys().cloned().collect();
        for id in ids {
            let Some(member) = self.members.get_mut(&id) else { continue };
            let Some(ticket) = member.joining.take() else { continue };
            member.expires_ms = now_ms + member.session_ms;
            effects.push(Effect::Join(ticket, Ok(self.joined(&id))));
        }
    }

    fn become_empty(&mut self) {
        self.phase = Phase::Empty;
        self.leader = None;
        self.protocol.clear();
        self.instances.clear();
    }

    /// Of the protocols that all members share, the one that most like best.
    fn vote(&self) -> String {
        let shared = |name: &str| self.members.values().all(|m| m.protocols.iter().any(|(own, _)| own == name));
        let mut votes: BTreeMap<&str, usize> = BTreeMap::new();
        for member in self.members.values() {
            if let Some((name, _)) = member.protocols.iter().find(|(name, _)| shared(name)) {
                *votes.entry(name).or_default() += 1;
            }
        }
        votes.into_iter().max_by_key(|(_, count)| *count).map(|(name, _)| name.to_owned()).unwrap_or_default()
    }

    fn joined(&self, id: &str) -> Joined {
        let leader = self.leader.clone().unwrap_or_default();
        let entry =
            |(id, member): (&String, &Member)| (id.clone(), member.instance.clone(), member.metadata(&self.protocol));
        Joined {
            generation: self.generation,
            protocol_type: self.protocol_type.clone(),
            protocol: self.protocol.clone(),
            members: if leader == id { self.members.iter().map(entry).collect() } else { Vec::new() },
            leader,
            member_id: id.to_owned(),
            skip_assignment: false,
        }
    }

    /// Whether a request is from a current member.
    pub fn check(&self, id: &str, instance: Option<&str>, generation: i32) -> Result<(), ResponseError> {
        if let Some(current) = instance.and_then(|instance| self.instances.get(instance))
            && current != id
        {
            return Err(ResponseError::FencedInstanceId);
        }
        if !self.members.contains_key(id) {
            return Err(ResponseError::UnknownMemberId);
        }
        if generation == self.generation { Ok(()) } else { Err(ResponseError::IllegalGeneration) }
    }

    /// A member wants its assignment; the leader brings everybody's.
    pub fn sync(&mut self, id: &str, assignments: &[(String, Bytes)], ticket: Ticket, now_ms: i64) -> Vec<Effect> {
        let mut effects = Vec::new();
        let is_leader = self.leader.as_deref() == Some(id);
        let protocol = (self.protocol_type.clone(), self.protocol.clone());
        let Some(member) = self.members.get_mut(id) else {
            return vec![Effect::Sync(ticket, Err(ResponseError::UnknownMemberId))];
        };
        member.expires_ms = now_ms + member.session_ms;
        let synced = |assignment: &Bytes| {
            Ok(Synced {
                protocol_type: protocol.0.clone(),
                protocol: protocol.1.clone(),
                assignment: assignment.clone(),
            })
        };
        match self.phase {
            Phase::Empty => effects.push(Effect::Sync(ticket, Err(ResponseError::UnknownMemberId))),
            Phase::Joining => effects.push(Effect::Sync(ticket, Err(ResponseError::RebalanceInProgress))),
            Phase::Stable => effects.push(Effect::Sync(ticket, synced(&member.assignment))),
            Phase::Syncing
                if is_leader && assignments.iter().map(|(_, a)| a.len()).sum::<usize>() > GROUP_BYTES_MAX =>
            {
                effects.push(Effect::Sync(ticket, Err(ResponseError::InvalidRequest)));
            }
            Phase::Syncing => {
                let before = member.syncing.replace(ticket);
                effects.extend(before.map(|t| Effect::Sync(t, Err(ResponseError::RebalanceInProgress))));
                if is_leader {
                    self.members.values_mut().for_each(|member| member.assignment = Bytes::new());
                    for (id, assignment) in assignments {
                        if let Some(member) = self.members.get_mut(id) {
                            member.assignment = assignment.clone();
                        }
                    }
                    self.phase = Phase::Stable;
                    for member in self.members.values_mut() {
                        let waiting = member.syncing.take();
                        effects.extend(waiting.map(|ticket| Effect::Sync(ticket, synced(&member.assignment))));
                    }
                }
            }
        }
        effects
    }

    /// A member is alive. `Err` tells it what to do.
    pub fn heartbeat(&mut self, id: &str, now_ms: i64) -> Result<(), ResponseError> {
        let phase = self.phase;
        let member = self.members.get_mut(id).ok_or(ResponseError::UnknownMemberId)?;
        member.expires_ms = now_ms + member.session_ms;
        match phase {
            Phase::Empty => Err(ResponseError::UnknownMemberId),
            Phase::Joining => Err(ResponseError::RebalanceInProgress),
            Phase::Syncing | Phase::Stable => Ok(()),
        }
    }

    /// A member goes. With an instance and without an id: whoever has that instance.
    pub fn leave(&mut self, id: &str, instance: Option<&str>, now_ms: i64) -> (Result<(), ResponseError>, Vec<Effect>) {
        let mut effects = Vec::new();
        let current = instance.and_then(|instance| self.instances.get(instance)).cloned();
        let gone = match (instance, current) {
            (Some(_), None) => return (Err(ResponseError::UnknownMemberId), effects),
            (Some(_), Some(current)) if !id.is_empty() && current != id => {
                return (Err(ResponseError::FencedInstanceId), effects);
            }
            (_, Some(current)) => current,
            (None, None) => id.to_owned(),
        };
        if self.promised.remove(&gone).is_some() {
            self.complete_if_all_joined(now_ms, &mut effects);
            return (Ok(()), effects);
        }
        if !self.members.contains_key(&gone) {
            return (Err(ResponseError::UnknownMemberId), effects);
        }
        self.remove(&gone, now_ms, &mut effects);
        (Ok(()), effects)
    }

    fn remove(&mut self, id: &str, now_ms: i64, effects: &mut Vec<Effect>) {
        let Some(member) = self.members.shift_remove(id) else { return };
        if let Some(instance) = &member.instance {
            self.instances.remove(instance);
        }
        let unknown = ResponseError::UnknownMemberId;
        effects.extend(member.joining.map(|ticket| Effect::Join(ticket, Err(refuse(unknown, id)))));
        effects.extend(member.syncing.map(|ticket| Effect::Sync(ticket, Err(unknown))));
        if self.leader.as_deref() == Some(id) {
            self.leader = None;
        }
        match self.phase {
            Phase::Empty => {}
            Phase::Joining => self.complete_if_all_joined(now_ms, effects),
            Phase::Syncing | Phase::Stable => self.rebalance(now_ms, effects),
        }
    }

    /// Time has passed.
    pub fn tick(&mut self, now_ms: i64) -> Vec<Effect> {
        let mut effects = Vec::new();
        let promised = self.promised.len();
        self.promised.retain(|_, until_ms| now_ms < *until_ms);
        if self.promised.len() < promised {
            self.complete_if_all_joined(now_ms, &mut effects);
        }
        if let Some(gathering) = self.gathering.filter(|gathering| now_ms >= gathering.until_ms) {
            let until_ms = (now_ms + self.initial_delay_ms).min(gathering.at_most_ms);
            let more = gathering.more_came && until_ms > now_ms;
            self.gathering = more.then_some(Gathering { until_ms, more_came: false, ..gathering });
            self.complete_if_all_joined(now_ms, &mut effects);
        }
        // Who waits for the others to join is alive.
        let silent = |member: &Member| member.joining.is_none() && now_ms >= member.expires_ms;
        let expired = self.members.iter().filter(|(_, member)| silent(member) && member.syncing.is_none());
        let expired: Vec<String> = expired.map(|(id, _)| id.clone()).collect();
        for id in expired {
            self.remove(&id, now_ms, &mut effects);
        }
        if now_ms >= self.deadline_ms {
            match self.phase {
                Phase::Joining if self.gathering.is_none() => self.complete_join(now_ms, &mut effects),
                Phase::Syncing => self.give_up_syncing(now_ms, &mut effects),
                _ => {}
            }
        }
        effects
    }

    /// Whether anything can come of time passing.
    pub fn needs_ticks(&self) -> bool {
        self.phase != Phase::Empty || !self.promised.is_empty()
    }

    /// Those who did not sync in time are taken out; the others begin again.
    fn give_up_syncing(&mut self, now_ms: i64, effects: &mut Vec<Effect>) {
        let late = self.members.iter().filter(|(_, member)| member.syncing.is_none());
        let late: Vec<String> = late.map(|(id, _)| id.clone()).collect();
        for id in late {
            self.remove(&id, now_ms, effects);
        }
        if self.phase == Phase::Syncing {
            self.rebalance(now_ms, effects);
        }
    }

    /// The topics that members are subscribed to, where they are consumers.
    pub fn subscribed(&self) -> Vec<String> {
        if self.protocol_type != CONSUMERS {
            return Vec::new();
        }
        let metadata = self.members.values().map(|member| member.metadata(&self.protocol));
        metadata.flat_map(|metadata| super::subscription::topics(&metadata)).collect()
    }
}

impl Member {
    /// Whom another group hands over, alive now.
    pub fn moved(
        (instance, client_id, client_host): (Option<String>, String, String),
        (session_ms, rebalance_ms): (i64, i64),
        protocols: Protocols,
        assignment: Bytes,
        now_ms: i64,
    ) -> Member {
        Member {
            instance,
            client_id,
            client_host,
            session_ms,
            rebalance_ms,
            protocols,
            assignment,
            expires_ms: now_ms.saturating_add(session_ms),
            joining: None,
            syncing: None,
        }
    }

    fn of(join: &Join, now_ms: i64) -> Member {
        Member {
            instance: join.instance.clone(),
            client_id: join.client_id.clone(),
            client_host: join.client_host.clone(),
            session_ms: join.session_ms,
            rebalance_ms: join.rebalance_ms,
            protocols: join.protocols.clone(),
            assignment: Bytes::new(),
            expires_ms: now_ms + join.session_ms,
            joining: Some(join.ticket),
            syncing: None,
        }
    }

    /// What it says with a protocol.
    pub fn metadata(&self, protocol: &str) -> Bytes {
        let found = self.protocols.iter().find(|(name, _)| name == protocol);
        found.map(|(_, metadata)| metadata.clone()).unwrap_or_default()
    }
}

#[cfg(test)]
#[path = "classic_tests.rs"]
mod tests;
