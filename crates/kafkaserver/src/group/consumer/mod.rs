//! Groups of the consumer protocol (KIP-848) as a state machine: the server assigns, members heartbeat.
//!
//! Each change of members, subscriptions or topics begins an epoch of the group with a new target, what each member is
//! to have. Members come to it one by one, see [`member`]. It knows no sockets and no clock: time comes in with every
//! step, ms since 1970, and topics through [`Topics`].
//!
//! The promise, as long as the server runs: a partition that one member was told to have is another's only when the
//! first has said that it gave it up, has left, or is taken out, since it was not heard of for a session or did not
//! give up in the time that it asked for. Membership ends with the server, as that of classic groups does: who was a
//! member is not known afterwards and joins again, and what was committed is kept.

mod assign;
mod member;
mod mixed;
#[cfg(test)]
mod properties;
mod serve;
#[cfg(test)]
mod tests;

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, HashSet},
    sync::Arc,
};

use kafka_protocol::error::ResponseError;

use self::assign::{Candidate, Question};
pub(crate) use self::{
    assign::{Assignor, Part, Parts, Shape},
    member::{AWAY, About, ClassicSide, Member, Names},
    serve::Visible,
};
use crate::error::Failure;

/// Most members of a group.
const MEMBERS_MAX: usize = 10_000;
/// Most bytes that the members of a group say of themselves.
const GROUP_BYTES_MAX: usize = 32 << 20;
/// How often a group looks at its topics, ms.
const TOPICS_LOOK_MS: i64 = 1_000;
/// The epoch of one who wants to become a member.
pub(crate) const JOINING: i32 = 0;

/// The topics there are, as a client may see them.
pub(crate) trait Topics {
    /// The topic of that name.
    fn shape(&self, name: &str) -> Option<Shape>;
    /// The names that match a pattern.
    fn matching(&self, pattern: &str) -> Result<Arc<[String]>, Failure>;
}

/// A heartbeat. What is `None` is as it was.
#[derive(Debug, Clone, Default)]
pub(crate) struct Beat {
    pub member_id: String,
    /// [`JOINING`] or that of the last answer.
    pub epoch: i32,
    pub instance: Option<String>,
    pub rack: Option<String>,
    pub rebalance_ms: Option<i64>,
    pub names: Option<Names>,
    /// Empty: none any more.
    pub pattern: Option<String>,
    pub assignor: Option<Assignor>,
    /// What it has.
    pub owned: Option<Parts>,
    pub client_id: String,
    pub client_host: String,
    /// For one who joins by the classic protocol.
    pub classic: Option<ClassicSide>,
}

impl Beat {
    /// Whether it says everything, as a client does that does not know what of it arrived before.
    fn is_full(&self) -> bool {
        self.rebalance_ms.is_some() && (self.names.is_some() || self.pattern.is_some()) && self.owned.is_some()
    }
}

/// The answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Heard {
    pub epoch: i32,
    /// What the member is to have, unless it knows.
    pub assignment: Option<Parts>,
}

/// Where a group stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Phase {
    /// No members.
    Empty,
    /// Members are on their way to what they are to have.
    Reconciling,
    /// Everybody has it.
    Stable,
}

impl Phase {
    /// As Kafka's tools show it.
    pub fn name(self) -> &'static str {
        match self {
            Phase::Empty => "Empty",
            Phase::Reconciling => "Reconciling",
            Phase::Stable => "Stable",
        }
    }
}

/// Who heartbeats.
enum Who {
    New,
    Known,
    /// The static member who was away, under the id that it had.
    Back(String),
}

/// A group.
#[derive(Debug, Default)]
pub(crate) struct Consumer {
    /// How often members, subscriptions or topics have changed; the target is always that of this epoch.
    pub epoch: i32,
    /// By which the target was made.
    pub assignor: Assignor,
    pub members: BTreeMap<String, Member>,
    /// How long a member may be silent.
    pub session_ms: i64,
    /// Members' ids by instance.
    instances: HashMap<String, String>,
    /// The subscriptions that members have.
    subscriptions: BTreeSet<Arc<Names>>,
    /// The topics of them that exist.
    shapes: BTreeMap<String, Shape>,
    looked_ms: i64,
    /// What members were told to have and have not given up.
    held: HashSet<Part>,
    /// No member's deadline is before it.
    quiet_until_ms: i64,
    /// About what members say of themselves.
    bytes: usize,
}

impl Consumer {
    /// A member is alive, and perhaps wants something else or has given something up.
    pub fn heartbeat(&mut self, beat: Beat, topics: &dyn Topics, now_ms: i64) -> Result<Heard, Failure> {
        let id = &beat.member_id;
        let known = match self.recognize(&beat)? {
            Who::New if self.members.len() >= MEMBERS_MAX => return Err(ResponseError::GroupMaxSizeReached.into()),
            Who::New => None,
            Who::Known => Some(id.clone()),
            Who::Back(before) => Some(before),
        };
        let before = known.as_ref().and_then(|known| self.members.get(known)).map(|member| &member.about);
        let said = known.as_ref().zip(before).map_or(0, |(id, about)| id.len() + about.bytes());
        let (mut about, wants) = say(before, &beat, topics)?;
        let says = id.len() + about.bytes();
        if says > said && self.bytes - said + says > GROUP_BYTES_MAX {
            return Err(ResponseError::GroupMaxSizeReached.into());
        }
        // From here on nothing fails, so that who is refused has changed nothing.
        let member = known.and_then(|known| self.take(&known));
        let mut changed = member.as_ref().is_none_or(|member| member.about.assignor != about.assignor);
        let mut member = member.unwrap_or_default();
        if let Some(topics) = wants {
            let topics = self.subscription(topics);
            changed |= topics != member.topics;
            if about.matched.is_empty() {
                about.names = Arc::clone(&topics);
            }
            member.topics = topics;
        }
        if let Some(instance) = &member.about.instance {
            self.instances.remove(instance);
        }
        if let Some(instance) = &about.instance {
            self.instances.insert(instance.clone(), id.clone());
        }
        member.about = about;
        member.expires_ms = now_ms.saturating_add(member.about.session_ms(self.session_ms));
        if beat.epoch == JOINING {
            self.release(&member);
            member.begin_anew(JOINING);
        }
        self.put(id.clone(), member);
        let is_due = changed || now_ms.saturating_sub(self.looked_ms) >= TOPICS_LOOK_MS;
        if is_due && self.look(topics, now_ms) || changed {
            self.retarget();
        }
        self.advance(&beat, now_ms)
    }

    /// Let a member go towards its target, and say what it is to have.
    fn advance(&mut self, beat: &Beat, now_ms: i64) -> Result<Heard, Failure> {
        let member = self.members.get_mut(&beat.member_id).ok_or(ResponseError::UnknownMemberId)?;
        // One who says another epoch has not heard the last answer.
        let mut tell = beat.epoch != member.epoch || beat.epoch == JOINING || beat.is_full();
        if !member.is_settled(self.epoch) {
            let (had, held): (Parts, Parts) = (member.assigned.clone(), member.holds().copied().collect());
            member.step(beat.owned.as_ref(), self.epoch, now_ms, |part| !self.held.contains(part));
            for part in &held {
                self.held.remove(part);
            }
            self.held.extend(member.holds().copied());
            tell |= member.assigned != had;
        }
        self.quiet_until_ms = self.quiet_until_ms.min(member.deadline_ms());
        Ok(Heard { epoch: member.epoch, assignment: tell.then(|| member.assigned.clone()) })
    }

    /// Whose heartbeat it is, if he may send it.
    fn recognize(&self, beat: &Beat) -> Result<Who, Failure> {
        let joins = beat.epoch == JOINING;
        let known = self.members.get(&beat.member_id);
        let holder = beat.instance.as_ref().and_then(|instance| self.instances.get(instance));
        match (&beat.instance, holder) {
            (Some(_), Some(holder)) if *holder != beat.member_id => {
                if !joins {
                    return Err(ResponseError::FencedInstanceId.into());
                }
                // In the classic protocol nobody says that he is away: who comes takes the place of who was there.
                let replaces =
                    |member: &Member| member.is_away() || member.about.classic.is_some() || beat.classic.is_some();
                return match self.members.get(holder) {
                    Some(member) if replaces(member) && known.is_none() => Ok(Who::Back(holder.clone())),
                    _ => Err(ResponseError::UnreleasedInstanceId.into()),
                };
            }
            (Some(_), None) if !joins => return Err(ResponseError::UnknownMemberId.into()),
            _ => {}
        }
        match known {
            // One who joins has given up what he had.
            Some(_) if joins => Ok(Who::Known),
            Some(member) if member.about.classic.is_some() != beat.classic.is_some() => {
                Err(ResponseError::UnknownMemberId.into())
            }
            Some(member) => check_epoch(member, beat).map(|()| Who::Known),
            None if joins => Ok(Who::New),
            None => Err(ResponseError::UnknownMemberId.into()),
        }
    }

    fn put(&mut self, id: String, member: Member) {
        self.bytes += id.len() + member.about.bytes();
        self.members.insert(id, member);
    }

    fn take(&mut self, id: &str) -> Option<Member> {
        let member = self.members.remove(id)?;
        self.bytes -= id.len() + member.about.bytes();
        Some(member)
    }

    /// The topics, shared with those who want the same.
    fn subscription(&mut self, topics: Names) -> Arc<Names> {
        if let Some(same) = self.subscriptions.get(&topics) {
            return Arc::clone(same);
        }
        let new = Arc::new(topics);
        self.subscriptions.insert(Arc::clone(&new));
        new
    }

    /// Look at the topics that anybody wants; whether they have changed.
    fn look(&mut self, topics: &dyn Topics, now_ms: i64) -> bool {
        self.looked_ms = now_ms;
        // Those that no member has any more are held by this list alone.
        self.subscriptions.retain(|topics| Arc::strong_count(topics) > 1);
        let names: BTreeSet<&String> = self.subscriptions.iter().flat_map(|topics| topics.iter()).collect();
        let shapes = names.into_iter().filter_map(|name| Some((name.clone(), topics.shape(name)?)));
        let shapes: BTreeMap<String, Shape> = shapes.collect();
        let changed = shapes != self.shapes;
        self.shapes = shapes;
        changed
    }

    /// Begin an epoch: what each member is to have from now on.
    fn retarget(&mut self) {
        self.epoch = self.epoch.saturating_add(1);
        self.assignor = self.vote();
        self.subscriptions.retain(|topics| Arc::strong_count(topics) > 1);
        let places: HashMap<&str, usize> = self.shapes.keys().map(String::as_str).zip(0..).collect();
        let place = |name: &String| places.get(name.as_str()).copied();
        let sets = self.subscriptions.iter().map(|topics| topics.iter().filter_map(place).collect());
        let set_of: HashMap<*const Names, usize> = self.subscriptions.iter().map(Arc::as_ptr).zip(0..).collect();
        let members = self.members.iter().map(|(id, member)| Candidate {
            id,
            instance: member.about.instance.as_deref(),
            set: set_of.get(&Arc::as_ptr(&member.topics)).copied(),
            before: &member.target,
        });
        let question = Question {
            topics: self.shapes.values().copied().collect(),
            sets: sets.collect(),
            members: members.collect(),
        };
        let answer = question.answer(self.assignor);
        for (member, target) in self.members.values_mut().zip(answer) {
            member.target = target;
        }
    }

    /// The assignor that most members ask for.
    fn vote(&self) -> Assignor {
        let mut votes: BTreeMap<Assignor, usize> = BTreeMap::new();
        for assignor in self.members.values().filter_map(|member| member.about.assignor) {
            *votes.entry(assignor).or_default() += 1;
        }
        votes.into_iter().max_by_key(|(_, count)| *count).map(|(assignor, _)| assignor).unwrap_or_default()
    }

    fn release(&mut self, member: &Member) {
        for part in member.holds() {
            self.held.remove(part);
        }
    }

    /// A member goes; a static one may go for a while, and what it is to have is kept for it.
    pub fn leave(&mut self, id: &str, instance: Option<&str>, for_a_while: bool, now_ms: i64) -> Result<(), Failure> {
        if let Some(instance) = instance {
            match self.instances.get(instance) {
                None => return Err(ResponseError::UnknownMemberId.into()),
                Some(holder) if holder != id => return Err(ResponseError::FencedInstanceId.into()),
                Some(_) => {}
            }
        }
        if !for_a_while {
            let is_known = self.remove(id);
            self.retarget_if(is_known);
            return if is_known { Ok(()) } else { Err(ResponseError::UnknownMemberId.into()) };
        }
        let mut member = self.take(id).ok_or(ResponseError::UnknownMemberId)?;
        self.release(&member);
        member.begin_anew(AWAY);
        member.expires_ms = now_ms.saturating_add(self.session_ms);
        self.put(id.to_owned(), member);
        Ok(())
    }

    /// Take a member out; whether it was one.
    fn remove(&mut self, id: &str) -> bool {
        let Some(member) = self.take(id) else { return false };
        if let Some(instance) = &member.about.instance {
            self.instances.remove(instance);
        }
        self.release(&member);
        true
    }

    fn retarget_if(&mut self, changed: bool) {
        if changed {
            self.retarget();
        }
    }

    /// Time has passed: those who were not heard of, or did not give up in time, are taken out.
    pub fn tick(&mut self, now_ms: i64) {
        if now_ms < self.quiet_until_ms {
            return;
        }
        let late = self.members.iter().filter(|(_, member)| member.deadline_ms() <= now_ms);
        let late: Vec<String> = late.map(|(id, _)| id.clone()).collect();
        let gone = late.iter().filter(|id| self.remove(id)).count();
        self.retarget_if(gone > 0);
        self.quiet_until_ms = self.members.values().map(Member::deadline_ms).min().unwrap_or(i64::MAX);
    }

    /// Whether one who commits or asks for offsets is a member that is up to date.
    pub fn check(&self, id: &str, epoch: i32) -> Result<(), ResponseError> {
        let member = self.members.get(id).ok_or(ResponseError::UnknownMemberId)?;
        let is_current = member.epoch == epoch && !member.is_away();
        if is_current { Ok(()) } else { Err(ResponseError::StaleMemberEpoch) }
    }

    pub fn is_empty(&self) -> bool {
        self.members.is_empty()
    }

    /// Where it stands.
    pub fn phase(&self) -> Phase {
        let is_settled = |member: &Member| member.is_away() || member.is_settled(self.epoch);
        match self.members.is_empty() {
            true => Phase::Empty,
            false if self.members.values().all(is_settled) => Phase::Stable,
            false => Phase::Reconciling,
        }
    }

    /// The topics that members want.
    pub fn subscribed(&self) -> Names {
        self.members.values().flat_map(|member| member.topics.iter().cloned()).collect()
    }

    /// The names of the topics that members want and that exist.
    pub fn names_by_id(&self) -> HashMap<u128, &str> {
        self.shapes.iter().map(|(name, shape)| (shape.id, name.as_str())).collect()
    }
}

/// A member sends the epoch that it was told last. That of the answer before will do if that answer may have been lost:
/// the member says what it has, and that is not more than it was told before.
fn check_epoch(member: &Member, beat: &Beat) -> Result<(), Failure> {
    let answer_lost = beat.epoch == member.before
        && beat.epoch < member.epoch
        && beat.owned.as_ref().is_some_and(|owned| owned.is_subset(&member.assigned));
    if beat.epoch == member.epoch || answer_lost {
        return Ok(());
    }
    let message = format!("the member is at epoch {}, not {}; it has to join again", member.epoch, beat.epoch);
    Err(Failure::new(ResponseError::FencedMemberEpoch, message))
}

/// What a member says of itself with this heartbeat, and its topics, if they are others than before.
fn say(before: Option<&About>, beat: &Beat, topics: &dyn Topics) -> Result<(About, Option<Names>), Failure> {
    let mut about = before.cloned().unwrap_or_default();
    about.client_id.clone_from(&beat.client_id);
    about.client_host.clone_from(&beat.client_host);
    about.instance = beat.instance.clone().or(about.instance);
    about.rack = beat.rack.clone().or(about.rack);
    about.pattern = beat.pattern.clone().or(about.pattern).filter(|pattern| !pattern.is_empty());
    about.assignor = beat.assignor.or(about.assignor);
    about.rebalance_ms = beat.rebalance_ms.unwrap_or(about.rebalance_ms);
    about.classic.clone_from(&beat.classic);
    let mut changed = before.is_none();
    if let Some(names) = beat.names.as_ref().filter(|names| **names != *about.names) {
        about.names = Arc::new(names.clone());
        changed = true;
    }
    let matched = about.pattern.as_ref().map(|pattern| topics.matching(pattern)).transpose()?.unwrap_or_default();
    if !Arc::ptr_eq(&matched, &about.matched) && matched != about.matched {
        about.matched = matched;
        changed = true;
    }
    let wants = changed.then(|| about.names.iter().chain(about.matched.iter()).cloned().collect());
    Ok((about, wants))
}
