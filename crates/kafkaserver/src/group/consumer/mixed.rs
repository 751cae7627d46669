//! Members of both protocols in one group, while its clients move from one to the other one by one (KIP-848's online
//! migration).
//!
//! The group is of the consumer protocol as long as one member is. What the others call their generation is their
//! epoch; that they have to join again they learn by heartbeats. Joining they say what they have, syncing they hear
//! what they are to have. There is no leader: the server assigns.

use std::{collections::BTreeMap, sync::Arc};

use bytes::Bytes;
use indexmap::IndexMap;
use kafka_protocol::error::ResponseError;

use super::{About, Beat, ClassicSide, Consumer, JOINING, Member, Part, Parts, Topics, member::Standing};
use crate::group::{
    Sync,
    classic::{self, CONSUMERS, Classic, Join, JoinRefused, Joined, Synced, refuse},
    subscription,
};

/// The partitions of topics that there are.
fn parts(places: Vec<(String, i32)>, topics: &dyn Topics) -> Parts {
    places.into_iter().filter_map(|(topic, partition)| Some((topics.shape(&topic)?.id, partition))).collect()
}

impl Consumer {
    /// A group with the members of a classic one, each with what it has there. `None` where they are no consumers.
    pub fn of_classic(&self, classic: &Classic, topics: &dyn Topics, now_ms: i64) -> Option<Consumer> {
        if classic.protocol_type != CONSUMERS {
            return None;
        }
        let epoch = self.epoch.max(classic.generation);
        let mut group = Consumer { epoch, session_ms: self.session_ms, ..Consumer::default() };
        for (id, member) in &classic.members {
            let (_, metadata) =
                member.protocols.iter().find(|(name, _)| *name == classic.protocol).or(member.protocols.first())?;
            let names = subscription::read(metadata)?.topics.into_iter().collect();
            let assigned: Parts = parts(subscription::read_assignment(&member.assignment)?, topics)
                .into_iter()
                .filter(|part| group.held.insert(*part))
                .collect();
            if let Some(instance) = &member.instance {
                group.instances.insert(instance.clone(), id.clone());
            }
            let topics = group.subscription(names);
            let about = About {
                instance: member.instance.clone(),
                client_id: member.client_id.clone(),
                client_host: member.client_host.clone(),
                names: Arc::clone(&topics),
                rebalance_ms: member.rebalance_ms,
                classic: Some(ClassicSide { session_ms: member.session_ms, protocols: member.protocols.clone() }),
                ..About::default()
            };
            let member = Member {
                about,
                topics,
                epoch: classic.generation,
                before: classic.generation,
                target: assigned.clone(),
                assigned,
                expires_ms: now_ms.saturating_add(member.session_ms),
                ..Member::default()
            };
            group.put(id.clone(), member);
        }
        group.look(topics, now_ms);
        Some(group)
    }

    /// The classic group that it becomes when no member of the consumer protocol is left; its members join again. This
    /// one is empty then.
    pub fn become_classic(&mut self, initial_delay_ms: i64, now_ms: i64) -> Classic {
        // Their own epoch, so that their next heartbeat is one of this generation.
        let generation = self.members.values().map(|member| member.epoch).max().unwrap_or(0).max(0);
        let moved = |(id, member): (&String, &Member)| {
            let about = &member.about;
            let classic = about.classic.as_ref()?;
            let who = (about.instance.clone(), about.client_id.clone(), about.client_host.clone());
            let times = (classic.session_ms, about.rebalance_ms);
            let protocols = classic.protocols.clone();
            Some((id.clone(), classic::Member::moved(who, times, protocols, self.written(&member.assigned), now_ms)))
        };
        let members: IndexMap<String, classic::Member> = self.members.iter().filter_map(moved).collect();
        *self = Consumer { epoch: self.epoch, session_ms: self.session_ms, ..Consumer::default() };
        Classic::of_consumers(generation, members, initial_delay_ms, now_ms)
    }

    /// Whether there are members, and all speak the classic protocol.
    pub fn is_all_classic(&self) -> bool {
        !self.members.is_empty() && self.members.values().all(|member| member.about.classic.is_some())
    }

    /// Whether a member speaks the classic protocol.
    pub fn is_classic(&self, id: &str) -> bool {
        self.members.get(id).is_some_and(|member| member.about.classic.is_some())
    }

    /// Who has that instance's id.
    pub fn holder(&self, instance: &str) -> Option<String> {
        self.instances.get(instance).cloned()
    }

    /// The only member of the consumer protocol, if a classic one comes in its place.
    pub fn last_replaced_by(&self, join: &Join) -> Option<String> {
        let holder = self.holder(join.instance.as_ref()?).filter(|_| join.member_id.is_empty())?;
        let mut others = self.members.iter().filter(|(_, member)| member.about.classic.is_none()).map(|(id, _)| id);
        (others.next() == Some(&holder) && others.next().is_none()).then_some(holder)
    }

    /// A member joins by the classic protocol, or joins again.
    pub fn join_classic(&mut self, join: &Join, topics: &dyn Topics, now_ms: i64) -> Result<Joined, JoinRefused> {
        let id = join.member_id.as_str();
        let refused = |error| refuse(error, id);
        join.check_session()?;
        let inconsistent = || refused(ResponseError::InconsistentGroupProtocol);
        let (protocol, metadata) = join.protocols.first().ok_or_else(inconsistent)?;
        let said = subscription::read(metadata).filter(|_| self.fits(join)).ok_or_else(inconsistent)?;
        let holder = join.instance.as_deref().and_then(|instance| self.holder(instance));
        if !id.is_empty() && holder.is_some_and(|holder| holder != id) {
            return Err(refused(ResponseError::FencedInstanceId));
        }
        if id.is_empty() && join.instance.is_none() && join.id_required {
            return Err(refuse(ResponseError::MemberIdRequired, &join.new_member_id));
        }
        let known = self.members.get(id).filter(|member| member.about.classic.is_some());
        if known.is_none() && !said.owned.is_empty() {
            // It was taken out, and others may have what it thinks it has: it has to give that up first.
            return Err(refused(ResponseError::UnknownMemberId));
        }
        let member_id = if id.is_empty() { &join.new_member_id } else { id }.to_owned();
        let beat = Beat {
            member_id: member_id.clone(),
            epoch: known.map_or(JOINING, |member| member.epoch),
            instance: join.instance.clone(),
            rack: None,
            rebalance_ms: Some(join.rebalance_ms),
            names: Some(said.topics.into_iter().collect()),
            pattern: Some(String::new()),
            assignor: None,
            owned: Some(parts(said.owned, topics)),
            client_id: join.client_id.clone(),
            client_host: join.client_host.clone(),
            classic: Some(ClassicSide { session_ms: join.session_ms, protocols: join.protocols.clone() }),
        };
        let heard = self.heartbeat(beat, topics, now_ms).map_err(|failure| refused(failure.error))?;
        self.set_due(&member_id, Some(now_ms.saturating_add(join.rebalance_ms)));
        Ok(Joined {
            generation: heard.epoch,
            protocol_type: CONSUMERS.to_owned(),
            protocol: protocol.clone(),
            leader: String::new(),
            member_id,
            skip_assignment: false,
            members: Vec::new(),
        })
    }

    /// Whether it shares a protocol with all others that speak the classic one: they may be among themselves again.
    fn fits(&self, join: &Join) -> bool {
        let others = self.members.iter().filter(|(id, _)| **id != join.member_id);
        let others: Vec<&ClassicSide> = others.filter_map(|(_, member)| member.about.classic.as_ref()).collect();
        let shared = |name: &String| others.iter().all(|side| side.protocols.iter().any(|(own, _)| own == name));
        join.protocol_type == CONSUMERS && join.protocols.iter().any(|(name, _)| shared(name))
    }

    /// A member wants to know what it is to have.
    pub fn sync_classic(&mut self, sync: &Sync, now_ms: i64) -> Result<Synced, ResponseError> {
        let member = self.check_classic(&sync.member_id, sync.instance.as_deref(), sync.generation)?;
        let side = member.about.classic.as_ref();
        let protocol = side.and_then(|side| side.protocols.first()).map(|(name, _)| name.clone()).unwrap_or_default();
        let differs = |said: &Option<String>, is: &str| said.as_ref().is_some_and(|said| said != is);
        if differs(&sync.protocol_type, CONSUMERS) || differs(&sync.protocol, &protocol) {
            return Err(ResponseError::InconsistentGroupProtocol);
        }
        if self.epoch > member.epoch && member.standing != Standing::Revoking {
            return Err(ResponseError::RebalanceInProgress);
        }
        let assignment = self.written(&member.assigned);
        self.set_due(&sync.member_id, None);
        self.hear_classic(&sync.member_id, now_ms);
        Ok(Synced { protocol_type: CONSUMERS.to_owned(), protocol, assignment })
    }

    /// A member is alive; the error says that it has to join again.
    pub fn beat_classic(
        &mut self,
        (id, instance): (&str, Option<&str>),
        generation: i32,
        now_ms: i64,
    ) -> Result<(), ResponseError> {
        let member = self.check_classic(id, instance, generation)?;
        let has_to_join = match member.standing {
            Standing::Revoking => true,
            Standing::Waiting | Standing::Settled if member.epoch < self.epoch => true,
            Standing::Waiting => self.could_have(member).all(|part| !self.held.contains(part)),
            Standing::Settled => false,
        };
        let due_ms = member.due_ms.unwrap_or_else(|| now_ms.saturating_add(member.about.rebalance_ms));
        self.hear_classic(id, now_ms);
        if !has_to_join {
            return Ok(());
        }
        self.set_due(id, Some(due_ms));
        Err(ResponseError::RebalanceInProgress)
    }

    /// What a member is to have and has not yet.
    fn could_have<'a>(&self, member: &'a Member) -> impl Iterator<Item = &'a Part> {
        member.target.difference(&member.assigned)
    }

    /// A sign of life.
    pub fn hear_classic(&mut self, id: &str, now_ms: i64) {
        let of_group_ms = self.session_ms;
        if let Some(member) = self.members.get_mut(id) {
            member.expires_ms = now_ms.saturating_add(member.about.session_ms(of_group_ms));
        }
    }

    fn set_due(&mut self, id: &str, due_ms: Option<i64>) {
        let Some(member) = self.members.get_mut(id) else { return };
        member.due_ms = due_ms;
        self.quiet_until_ms = self.quiet_until_ms.min(member.deadline_ms());
    }

    /// The member of the classic protocol whose request it is, if it may send it.
    pub fn check_classic(&self, id: &str, instance: Option<&str>, generation: i32) -> Result<&Member, ResponseError> {
        if instance.and_then(|instance| self.instances.get(instance)).is_some_and(|holder| holder != id) {
            return Err(ResponseError::FencedInstanceId);
        }
        let member = self.members.get(id).filter(|member| member.about.classic.is_some());
        let member = member.ok_or(ResponseError::UnknownMemberId)?;
        if member.epoch == generation { Ok(member) } else { Err(ResponseError::IllegalGeneration) }
    }

    /// An assignment as members of the classic protocol read it.
    fn written(&self, parts: &Parts) -> Bytes {
        let names = self.names_by_id();
        let mut topics: BTreeMap<&str, Vec<i32>> = BTreeMap::new();
        for (id, partition) in parts {
            if let Some(name) = names.get(id) {
                topics.entry(name).or_default().push(*partition);
            }
        }
        subscription::write_assignment(topics.into_iter())
    }
}
