//! Members come, go, die, are slow and lose answers, topics grow: no partition is two members' at any time, and when
//! it is calm everything is somebody's, evenly.
//!
//! Members of the classic protocol are among them, those that keep what they may while they join again and those that
//! give up everything first.
//!
//! A member here does as clients do. It takes over at once what it is told to have, gives up only some time after it
//! was told, and says so with its next heartbeat. When an answer was lost it says everything.

use bytes::{BufMut, Bytes, BytesMut};
use proptest::prelude::*;

use super::{
    tests::{World, beat, join, names, new_group},
    *,
};
use crate::group::{Sync, classic::Join, subscription};

const HEARTBEAT_MS: i64 = 5_000;
const NAMES: [&str; 3] = ["t", "u", "v"];
/// Heartbeats of everybody until a group has to be calm.
const CALM_ROUNDS: usize = 20;

/// A client.
#[derive(Debug, Clone)]
struct Client {
    epoch: i32,
    topics: Vec<&'static str>,
    instance: Option<String>,
    /// What it works on.
    owned: Parts,
    /// What it was told to have, until it has given up the rest.
    told: Option<Parts>,
    /// Whether the server knows what it works on.
    said: bool,
    /// Whether the last answer was lost.
    unsure: bool,
    /// For one of the classic protocol.
    classic: Option<Classic>,
}

/// What a client of the classic protocol knows besides.
#[derive(Debug, Clone, Copy)]
struct Classic {
    /// It gives up everything before it joins again.
    is_eager: bool,
    has_to_join: bool,
}

#[derive(Debug, Clone)]
enum Act {
    /// A new client with these topics, perhaps a static one.
    Join(usize, bool),
    /// One of the classic protocol, perhaps an eager one.
    JoinClassic(usize, bool),
    /// A client heartbeats; the answer may be lost.
    Beat(usize, bool),
    /// A client does what it was told.
    Obey(usize),
    /// A client says good-bye, perhaps only for a while.
    Leave(usize, bool),
    /// A client is no more.
    Die(usize),
    Subscribe(usize, usize),
    Grow(usize),
    Pass(i64),
}

fn act() -> impl Strategy<Value = Act> {
    let client = 0_usize..8;
    prop_oneof![
        3 => (1_usize..8, any::<bool>()).prop_map(|(topics, is_static)| Act::Join(topics, is_static)),
        2 => (1_usize..8, any::<bool>()).prop_map(|(topics, is_eager)| Act::JoinClassic(topics, is_eager)),
        8 => (client.clone(), prop::bool::weighted(0.15)).prop_map(|(client, lost)| Act::Beat(client, lost)),
        8 => client.clone().prop_map(Act::Obey),
        1 => (client.clone(), any::<bool>()).prop_map(|(client, for_a_while)| Act::Leave(client, for_a_while)),
        1 => client.clone().prop_map(Act::Die),
        1 => (client, 1_usize..8).prop_map(|(client, topics)| Act::Subscribe(client, topics)),
        1 => (0_usize..3).prop_map(Act::Grow),
        2 => (1_i64..20_000).prop_map(Act::Pass),
    ]
}

/// The topics whose bit is set.
fn topics_of(bits: usize) -> Vec<&'static str> {
    NAMES.iter().enumerate().filter(|(bit, _)| bits & (1 << bit) != 0).map(|(_, name)| *name).collect()
}

/// What a client of the classic protocol says when it joins.
fn said(topics: &[&str], owned: &[(&str, i32)]) -> Bytes {
    let mut bytes = BytesMut::new();
    let string = |bytes: &mut BytesMut, text: &str| {
        bytes.put_i16(i16::try_from(text.len()).unwrap());
        bytes.put_slice(text.as_bytes());
    };
    bytes.put_i16(1);
    bytes.put_i32(i32::try_from(topics.len()).unwrap());
    topics.iter().for_each(|topic| string(&mut bytes, topic));
    bytes.put_i32(-1);
    bytes.put_i32(i32::try_from(owned.len()).unwrap());
    for (topic, partition) in owned {
        string(&mut bytes, topic);
        bytes.put_i32(1);
        bytes.put_i32(*partition);
    }
    bytes.freeze()
}

struct Play {
    group: Consumer,
    world: World,
    clients: BTreeMap<String, Client>,
    now_ms: i64,
    joined: usize,
}

impl Client {
    /// It is no member, gives up everything, and joins with its next heartbeat.
    fn begin_anew(&mut self, error: ResponseError) {
        let expected = [ResponseError::UnknownMemberId, ResponseError::IllegalGeneration];
        assert!(expected.contains(&error), "{error:?}");
        (self.epoch, self.told) = (JOINING, None);
        self.owned.clear();
    }
}

impl Play {
    fn new() -> Play {
        let world = World::of(&[("t", 4), ("u", 3), ("v", 1)]);
        Play { group: new_group(), world, clients: BTreeMap::new(), now_ms: 0, joined: 0 }
    }

    fn nth(&self, number: usize) -> Option<String> {
        let count = self.clients.len().max(1);
        self.clients.keys().nth(number % count).cloned()
    }

    fn join(&mut self, topics: Vec<&'static str>, instance: Option<String>) {
        self.come(topics, instance, None);
    }

    fn come(&mut self, topics: Vec<&'static str>, instance: Option<String>, classic: Option<Classic>) {
        self.joined += 1;
        let id = format!("m{:03}", self.joined);
        let owned = Parts::new();
        let client = Client { epoch: JOINING, topics, instance, owned, told: None, said: true, unsure: false, classic };
        self.clients.insert(id.clone(), client);
        self.beat(&id, false);
    }

    fn beat(&mut self, id: &str, lost: bool) {
        if self.clients.get(id).is_some_and(|client| client.classic.is_some()) {
            return self.beat_classic(id, lost);
        }
        let Some(client) = self.clients.get_mut(id) else { return };
        let mut request = match client.epoch == JOINING || client.unsure {
            true => Beat { epoch: client.epoch, owned: Some(client.owned.clone()), ..join(id, &client.topics) },
            false => beat(id, client.epoch),
        };
        if !client.said {
            request.owned = Some(client.owned.clone());
        }
        request.names = Some(names(&client.topics));
        request.instance.clone_from(&client.instance);
        match self.group.heartbeat(request, &self.world, self.now_ms) {
            Ok(_) if lost => client.unsure = true,
            Ok(heard) => {
                client.epoch = heard.epoch;
                (client.said, client.unsure) = (true, false);
                if let Some(told) = heard.assignment {
                    client.owned.extend(told.iter().copied());
                    (client.told, client.said) = (Some(told), false);
                }
            }
            // Another has its instance, and a client goes no further.
            Err(Failure { error: ResponseError::UnreleasedInstanceId | ResponseError::FencedInstanceId, .. }) => {
                self.clients.remove(id);
            }
            Err(failure) => {
                let expected = [ResponseError::UnknownMemberId, ResponseError::FencedMemberEpoch];
                assert!(expected.contains(&failure.error), "{failure:?}");
                // It gives up everything and joins with its next heartbeat.
                (client.epoch, client.told, client.said, client.unsure) = (JOINING, None, true, false);
                client.owned.clear();
            }
        }
    }

    /// A heartbeat of the classic protocol, or all that it takes to have an assignment again.
    fn beat_classic(&mut self, id: &str, lost: bool) {
        let Some(client) = self.clients.get_mut(id) else { return };
        let Some(classic) = &mut client.classic else { return };
        if client.epoch != JOINING && !classic.has_to_join {
            match self.group.beat_classic((id, None), client.epoch, self.now_ms) {
                Ok(()) => {}
                Err(ResponseError::RebalanceInProgress) => classic.has_to_join = true,
                Err(error) => return client.begin_anew(error),
            }
            return;
        }
        // What it was told to give up it gives up before it joins again.
        if let Some(told) = client.told.take() {
            client.owned = told;
        }
        if classic.is_eager {
            client.owned.clear();
        }
        let name = |id: u128| NAMES.into_iter().find(|name| self.world.0[*name].id == id).unwrap();
        let owned: Vec<(&str, i32)> = client.owned.iter().map(|(id, partition)| (name(*id), *partition)).collect();
        let joins = Join {
            member_id: id.to_owned(),
            new_member_id: String::new(),
            instance: None,
            client_id: String::new(),
            client_host: String::new(),
            session_ms: 45_000,
            rebalance_ms: 60_000,
            protocol_type: "consumer".to_owned(),
            protocols: vec![("any".to_owned(), said(&client.topics, &owned))],
            id_required: true,
            can_skip: true,
            ticket: 0,
        };
        let joined = match self.group.join_classic(&joins, &self.world, self.now_ms) {
            // It asks again.
            Ok(_) if lost => return,
            Ok(joined) => joined,
            Err(refused) => return client.begin_anew(refused.error),
        };
        client.epoch = joined.generation;
        classic.has_to_join = false;
        let sync = Sync {
            member_id: id.to_owned(),
            instance: None,
            generation: client.epoch,
            protocol_type: None,
            protocol: None,
            assignments: Vec::new(),
        };
        match self.group.sync_classic(&sync, self.now_ms) {
            Ok(_) if lost => classic.has_to_join = true,
            Ok(synced) => {
                let places = subscription::read_assignment(&synced.assignment).unwrap();
                let told: Parts = places.iter().map(|(topic, part)| (self.world.0[topic.as_str()].id, *part)).collect();
                client.owned.extend(told.iter().copied());
                client.told = Some(told);
            }
            Err(ResponseError::RebalanceInProgress) => classic.has_to_join = true,
            Err(error) => client.begin_anew(error),
        }
    }

    fn obey(&mut self, id: &str) {
        if let Some(client) = self.clients.get_mut(id)
            && let Some(told) = client.told.take()
        {
            client.said = client.classic.is_some();
            if let Some(classic) = &mut client.classic {
                classic.has_to_join |= client.owned != told;
            }
            client.owned = told;
        }
    }

    fn step(&mut self, act: Act) {
        match act {
            Act::Join(bits, is_static) if self.clients.len() < 8 => {
                let instance = is_static.then(|| format!("i{}", self.joined % 3));
                self.join(topics_of(bits), instance);
            }
            Act::JoinClassic(bits, is_eager) if self.clients.len() < 8 => {
                self.come(topics_of(bits), None, Some(Classic { is_eager, has_to_join: false }));
            }
            Act::Join(..) | Act::JoinClassic(..) => {}
            Act::Beat(number, lost) => drop(self.nth(number).map(|id| self.beat(&id, lost))),
            Act::Obey(number) => drop(self.nth(number).map(|id| self.obey(&id))),
            Act::Leave(number, for_a_while) => {
                let Some(id) = self.nth(number) else { return };
                let Some(client) = self.clients.remove(&id) else { return };
                let for_a_while = for_a_while && client.instance.is_some();
                let left = self.group.leave(&id, client.instance.as_deref(), for_a_while, self.now_ms);
                let is_known = left.is_ok();
                if is_known && for_a_while && number % 2 == 0 {
                    self.join(client.topics, client.instance);
                }
            }
            Act::Die(number) => drop(self.nth(number).and_then(|id| self.clients.remove(&id))),
            Act::Subscribe(number, bits) => {
                if let Some(client) = self.nth(number).and_then(|id| self.clients.get_mut(&id)) {
                    client.topics = topics_of(bits);
                    // Only a join tells the server of a classic client's topics.
                    if let Some(classic) = &mut client.classic {
                        classic.has_to_join = true;
                    }
                }
            }
            Act::Grow(topic) => {
                let name = NAMES[topic];
                let partitions = self.world.0[name].partitions;
                self.world.set(name, partitions + 1);
            }
            Act::Pass(ms) => {
                self.now_ms += ms;
                self.group.tick(self.now_ms);
            }
        }
    }

    /// No partition is worked on by two of the members.
    fn check_exclusive(&self) {
        let mut seen: BTreeMap<Part, &String> = BTreeMap::new();
        for (id, client) in self.clients.iter().filter(|(id, _)| self.group.members.contains_key(*id)) {
            for part in &client.owned {
                if let Some(other) = seen.insert(*part, id) {
                    panic!("{part:?} is both {other}'s and {id}'s");
                }
            }
        }
    }

    /// Everybody heartbeats and obeys for a while; who is silent is taken out.
    fn calm_down(&mut self) {
        if self.clients.values().all(|client| client.classic.is_some()) && !self.clients.is_empty() {
            // Such a group is a classic one, which this is not about.
            self.join(vec!["t"], None);
        }
        for _ in 0..CALM_ROUNDS {
            self.now_ms += HEARTBEAT_MS;
            self.group.tick(self.now_ms);
            for id in self.clients.keys().cloned().collect::<Vec<_>>() {
                self.beat(&id, false);
                self.check_exclusive();
                self.obey(&id);
            }
        }
    }

    /// Every partition that anybody wants is exactly one's, who wants it; nobody has two more than one who would take
    /// one of his.
    fn check_whole(&self) {
        let all: BTreeMap<&String, &Client> = self.clients.iter().collect();
        assert_eq!(self.group.members.keys().collect::<Vec<_>>(), all.keys().copied().collect::<Vec<_>>());
        let expect = if all.is_empty() { Phase::Empty } else { Phase::Stable };
        assert_eq!(self.group.phase(), expect);
        let wanted: Names = all.values().flat_map(|client| names(&client.topics)).collect();
        let mut free: Parts = Parts::new();
        for shape in wanted.iter().map(|name| self.world.0[name]) {
            free.extend((0..shape.partitions).map(|partition| (shape.id, partition)));
        }
        for (id, client) in &all {
            assert_eq!(client.owned, self.group.members[*id].target);
            assert_eq!((client.epoch, client.said), (self.group.epoch, true));
            for part in &client.owned {
                assert!(free.remove(part), "{part:?} is there, and nobody else's");
                assert!(client.topics.iter().any(|name| self.world.0[*name].id == part.0));
            }
        }
        assert!(free.is_empty(), "{free:?} are nobody's");
        for giver in all.values() {
            for taker in all.values() {
                let ids: Vec<u128> = taker.topics.iter().map(|name| self.world.0[*name].id).collect();
                let could_take = giver.owned.iter().any(|part| ids.contains(&part.0));
                assert!(!could_take || giver.owned.len() <= taker.owned.len() + 1, "{giver:?} {taker:?}");
            }
        }
        assert_eq!(self.group.held.len(), all.values().map(|client| client.owned.len()).sum::<usize>());
        let bytes = self.group.members.iter().map(|(id, member)| id.len() + member.about.bytes());
        assert_eq!(self.group.bytes, bytes.sum::<usize>());
        assert!(self.group.subscriptions.len() <= all.len() + 1);
    }

    fn targets(&self) -> BTreeMap<Part, String> {
        let members = self.group.members.iter();
        members.flat_map(|(id, member)| member.target.iter().map(move |part| (*part, id.clone()))).collect()
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 250, ..ProptestConfig::default() })]

    #[test]
    fn nothing_is_shared_and_all_is_taken(acts in prop::collection::vec(act(), 1..120)) {
        let mut play = Play::new();
        for act in acts {
            play.step(act);
            play.check_exclusive();
        }
        play.calm_down();
        play.check_whole();
    }

    /// Among members that want the same: who comes takes only what makes it even, and what is left by who goes is all
    /// that moves.
    #[test]
    fn as_little_as_possible_moves(before in 1_usize..9, partitions in 1_i32..40, leaver in 0_usize..10) {
        let mut play = Play::new();
        play.world.set("t", partitions);
        for _ in 0..before {
            play.join(vec!["t", "u"], None);
        }
        play.calm_down();
        play.check_whole();
        let total = play.targets().len();

        let was = play.targets();
        play.join(vec!["t", "u"], None);
        let new = format!("m{:03}", play.joined);
        let now = play.targets();
        let moved: Vec<&Part> = now.iter().filter(|(part, id)| was[*part] != **id).map(|(part, _)| part).collect();
        prop_assert!(moved.iter().all(|part| now[*part] == new));
        prop_assert!(moved.len() <= total.div_ceil(before + 1));
        play.calm_down();
        play.check_whole();

        let was = play.targets();
        let gone = play.nth(leaver).unwrap();
        play.group.leave(&gone, None, false, play.now_ms).unwrap();
        play.clients.remove(&gone);
        let now = play.targets();
        prop_assert!(now.iter().all(|(part, id)| was[part] == *id || was[part] == gone));
        play.calm_down();
        play.check_whole();
    }
}
