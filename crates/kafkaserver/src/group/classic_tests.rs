//! The classic group protocol on a virtual clock.

use super::*;

/// A group with its clock, and a name for every request that waits.
struct Scene {
    group: Classic,
    now_ms: i64,
    tickets: u64,
    effects: Vec<Effect>,
}

impl Scene {
    fn new() -> Scene {
        Scene { group: Classic::default(), now_ms: 1_000_000, tickets: 0, effects: Vec::new() }
    }

    fn with_delay(delay_ms: i64) -> Scene {
        let group = Classic { initial_delay_ms: delay_ms, ..Classic::default() };
        Scene { group, ..Scene::new() }
    }

    fn request(&mut self, id: &str) -> Join {
        self.tickets += 1;
        Join {
            member_id: id.to_owned(),
            new_member_id: format!("new-{}", self.tickets),
            instance: None,
            client_id: "client".to_owned(),
            client_host: "/127.0.0.1".to_owned(),
            session_ms: 10_000,
            rebalance_ms: 60_000,
            protocol_type: "consumer".to_owned(),
            protocols: vec![("range".to_owned(), Bytes::from("r")), ("sticky".to_owned(), Bytes::from("s"))],
            id_required: false,
            can_skip: true,
            ticket: self.tickets,
        }
    }

    /// Join; the request's ticket.
    fn join(&mut self, change: impl FnOnce(&mut Join)) -> Ticket {
        let mut join = self.request("");
        change(&mut join);
        let ticket = join.ticket;
        self.effects.extend(self.group.join(join, self.now_ms));
        ticket
    }

    fn join_as(&mut self, id: &str) -> Ticket {
        self.join(|join| join.member_id = id.to_owned())
    }

    fn sync(&mut self, id: &str, assignments: &[(&str, &str)]) -> Ticket {
        self.tickets += 1;
        let assignments: Vec<(String, Bytes)> =
            assignments.iter().map(|(id, what)| (id.to_string(), Bytes::from(what.to_string()))).collect();
        self.effects.extend(self.group.sync(id, &assignments, self.tickets, self.now_ms));
        self.tickets
    }

    fn after(&mut self, ms: i64) {
        self.now_ms += ms;
        self.effects.extend(self.group.tick(self.now_ms));
    }

    fn heartbeat(&mut self, id: &str) -> Result<(), ResponseError> {
        self.group.heartbeat(id, self.now_ms)
    }

    fn leave(&mut self, id: &str, instance: Option<&str>) -> Result<(), ResponseError> {
        let (left, effects) = self.group.leave(id, instance, self.now_ms);
        self.effects.extend(effects);
        left
    }

    /// What became of a join, once; `None` while it waits.
    fn joined(&mut self, ticket: Ticket) -> Option<Result<Joined, JoinRefused>> {
        let at = self.effects.iter().position(|e| matches!(e, Effect::Join(done, _) if *done == ticket))?;
        match self.effects.remove(at) {
            Effect::Join(_, outcome) => Some(outcome),
            Effect::Sync(..) => None,
        }
    }

    fn accepted(&mut self, ticket: Ticket) -> Joined {
        self.joined(ticket).expect("it does not wait").expect("it is accepted")
    }

    fn refused(&mut self, ticket: Ticket) -> ResponseError {
        self.joined(ticket).expect("it does not wait").expect_err("it is refused").error
    }

    /// What became of a sync, once; `None` while it waits.
    fn synced(&mut self, ticket: Ticket) -> Option<Result<String, ResponseError>> {
        let at = self.effects.iter().position(|e| matches!(e, Effect::Sync(done, _) if *done == ticket))?;
        match self.effects.remove(at) {
            Effect::Sync(_, outcome) => Some(outcome.map(|s| String::from_utf8(s.assignment.to_vec()).expect("text"))),
            Effect::Join(..) => None,
        }
    }

    /// A stable group of so many members; their ids, the leader's first.
    fn stable(count: usize) -> (Scene, Vec<String>) {
        let mut scene = Scene::new();
        let mut ids: Vec<String> = Vec::new();
        for _ in 0..count {
            let new = scene.join(|_| {});
            let rejoined: Vec<Ticket> = ids.iter().map(|id| scene.join_as(id)).collect();
            for (ticket, id) in rejoined.into_iter().zip(&ids) {
                assert_eq!(&scene.accepted(ticket).member_id, id);
            }
            ids.push(scene.accepted(new).member_id);
        }
        scene.share_out(&ids);
        (scene, ids)
    }

    /// The first of `ids` leads and gives each member its own id.
    fn share_out(&mut self, ids: &[String]) {
        let waiting: Vec<Ticket> = ids.iter().skip(1).map(|id| self.sync(id, &[])).collect();
        let all: Vec<(&str, &str)> = ids.iter().map(|id| (id.as_str(), id.as_str())).collect();
        let leaders = self.sync(&ids[0], &all);
        for (ticket, id) in [leaders].into_iter().chain(waiting).zip(ids) {
            assert_eq!(self.synced(ticket), Some(Ok(id.clone())));
        }
        assert_eq!((self.group.phase, self.effects.len()), (Phase::Stable, 0));
    }
}

#[test]
fn one_member_alone() {
    let mut scene = Scene::new();
    let ticket = scene.join(|_| {});
    let joined = scene.accepted(ticket);
    assert_eq!((joined.generation, &joined.leader, &*joined.protocol), (1, &joined.member_id, "range"));
    assert_eq!(joined.members, [(joined.member_id.clone(), None, Bytes::from("r"))]);
    assert_eq!(scene.group.phase, Phase::Syncing);
    let id = joined.member_id;
    let ticket = scene.sync(&id, &[(&id, "all")]);
    assert_eq!(scene.synced(ticket), Some(Ok("all".to_owned())));
    assert_eq!(scene.heartbeat(&id), Ok(()));
    // To sync again is to be told again.
    let ticket = scene.sync(&id, &[]);
    assert_eq!(scene.synced(ticket), Some(Ok("all".to_owned())));
    assert_eq!(scene.leave(&id, None), Ok(()));
    assert_eq!((scene.group.phase, scene.group.leader.clone()), (Phase::Empty, None));
    assert_eq!(scene.group.generation, 2);
    assert_eq!(scene.heartbeat(&id), Err(ResponseError::UnknownMemberId));
    assert!(!scene.group.needs_ticks());
}

#[test]
fn a_new_member_makes_everybody_join_again() {
    let (mut scene, ids) = Scene::stable(1);
    let new = scene.join(|_| {});
    assert_eq!(scene.joined(new), None, "it waits for the other");
    assert_eq!(scene.heartbeat(&ids[0]), Err(ResponseError::RebalanceInProgress));
    let old = scene.sync(&ids[0], &[]);
    assert_eq!(scene.synced(old), Some(Err(ResponseError::RebalanceInProgress)));
    let old = scene.join_as(&ids[0]);
    let (leader, follower) = (scene.accepted(old), scene.accepted(new));
    assert_eq!((leader.generation, follower.generation), (2, 2));
    assert_eq!((leader.members.len(), follower.members.len()), (2, 0));
    assert_eq!(follower.leader, ids[0], "the leader stays");
    scene.share_out(&[ids[0].clone(), follower.member_id]);
}

#[test]
fn who_does_not_join_in_time_is_left_out() {
    let (mut scene, ids) = Scene::stable(2);
    let new = scene.join(|_| {});
    let follower = scene.join_as(&ids[1]);
    // The leader says that it is alive, but does not come.
    for _ in 0..59 {
        scene.after(1_000);
        assert_eq!(scene.heartbeat(&ids[0]), Err(ResponseError::RebalanceInProgress));
    }
    assert_eq!((scene.joined(new), scene.joined(follower)), (None, None));
    scene.after(1_000);
    let (new, follower) = (scene.accepted(new), scene.accepted(follower));
    assert_eq!((new.generation, &follower.leader), (3, &ids[1]), "there is another leader");
    assert_eq!(follower.members.len(), 2);
    assert_eq!(scene.heartbeat(&ids[0]), Err(ResponseError::UnknownMemberId));
}

#[test]
fn who_is_silent_is_taken_out() {
    let (mut scene, ids) = Scene::stable(2);
    scene.after(9_000);
    assert_eq!(scene.heartbeat(&ids[0]), Ok(()));
    scene.after(999);
    assert_eq!(scene.group.phase, Phase::Stable);
    scene.after(1);
    assert_eq!((scene.group.phase, scene.group.members.len()), (Phase::Joining, 1));
    let ticket = scene.join_as(&ids[0]);
    assert_eq!(scene.accepted(ticket).members.len(), 1);
    let ticket = scene.join_as(&ids[1]);
    assert_eq!(scene.refused(ticket), ResponseError::UnknownMemberId);
}

#[test]
fn while_the_leader_assigns_the_others_wait() {
    let (mut scene, ids) = Scene::stable(2);
    let new = scene.join(|_| {});
    let (a, b) = (scene.join_as(&ids[0]), scene.join_as(&ids[1]));
    scene.accepted(a);
    scene.accepted(b);
    let new = scene.accepted(new).member_id;
    let (b, c) = (scene.sync(&ids[1], &[]), scene.sync(&new, &[]));
    assert_eq!((scene.synced(b), scene.synced(c)), (None, None));
    // The leader goes: those who wait are told to join again.
    assert_eq!(scene.leave(&ids[0], None), Ok(()));
    let again = Some(Err(ResponseError::RebalanceInProgress));
    assert_eq!((scene.synced(b), scene.synced(c)), (again.clone(), again));
    let (b, c) = (scene.join_as(&ids[1]), scene.join_as(&new));
    assert_eq!(scene.accepted(b).members.len(), 2);
    scene.accepted(c);
    scene.share_out(&[ids[1].clone(), new]);
}

#[test]
fn a_leader_that_never_assigns_is_given_up() {
    let (mut scene, ids) = Scene::stable(2);
    let (b, a) = (scene.join_as(&ids[1]), scene.join_as(&ids[0]));
    // A follower that changes nothing is answered at once; the leader's asking begins a rebalance.
    assert_eq!(scene.accepted(b).generation, 2);
    let b = scene.join_as(&ids[1]);
    scene.accepted(a);
    scene.accepted(b);
    let b = scene.sync(&ids[1], &[]);
    for _ in 0..60 {
        let _ = scene.heartbeat(&ids[0]);
        scene.after(1_000);
    }
    assert_eq!(scene.synced(b), Some(Err(ResponseError::RebalanceInProgress)));
    assert_eq!(scene.heartbeat(&ids[0]), Err(ResponseError::UnknownMemberId));
    let b = scene.join_as(&ids[1]);
    assert_eq!(scene.accepted(b).leader, ids[1]);
}

#[test]
fn a_new_group_waits_for_more_members() {
    let mut scene = Scene::with_delay(300);
    let a = scene.join(|_| {});
    scene.after(200);
    let b = scene.join(|_| {});
    scene.after(100);
    assert_eq!((scene.joined(a), scene.joined(b)), (None, None), "somebody came, so it waits once more");
    scene.after(300);
    let (a, b) = (scene.accepted(a), scene.accepted(b));
    assert_eq!((a.generation, b.generation, a.members.len()), (1, 1, 2));
    // It does not wait for ever, though somebody comes every time.
    let mut scene = Scene::with_delay(300);
    let first = scene.join(|join| join.rebalance_ms = 1_000);
    for _ in 0..4 {
        scene.after(250);
        scene.join(|join| join.rebalance_ms = 1_000);
    }
    assert!(scene.accepted(first).members.len() >= 4);
}

#[test]
fn a_new_member_learns_its_id_first() {
    let mut scene = Scene::new();
    let ticket = scene.join(|join| join.id_required = true);
    let refused = scene.joined(ticket).expect("it is told at once").expect_err("it has to ask again");
    assert_eq!((refused.error, scene.group.members.len()), (ResponseError::MemberIdRequired, 0));
    let ticket = scene.join_as(&refused.member_id);
    assert_eq!(scene.accepted(ticket).member_id, refused.member_id);
    // An id that was not used in time is forgotten.
    let ticket = scene.join(|join| join.id_required = true);
    let refused = scene.joined(ticket).expect("it is told at once").expect_err("it has to ask again");
    scene.after(10_000);
    let ticket = scene.join_as(&refused.member_id);
    assert_eq!(scene.refused(ticket), ResponseError::UnknownMemberId);
}

#[test]
fn an_instance_that_comes_back_keeps_its_place() {
    let mut scene = Scene::new();
    let instance = |join: &mut Join| join.instance = Some("i".to_owned());
    let ticket = scene.join(instance);
    let first = scene.accepted(ticket).member_id;
    scene.share_out(std::slice::from_ref(&first));
    let ticket = scene.join(instance);
    let back = scene.accepted(ticket);
    assert_eq!((back.generation, back.skip_assignment, scene.group.phase), (1, true, Phase::Stable));
    assert_ne!(back.member_id, first);
    let ticket = scene.sync(&back.member_id, &[]);
    assert_eq!(scene.synced(ticket), Some(Ok(first.clone())), "with what it had");
    // The one before is shut out.
    let fenced = Err(ResponseError::FencedInstanceId);
    assert_eq!(scene.group.check(&first, Some("i"), 1), fenced);
    assert_eq!(scene.leave(&first, Some("i")), fenced);
    let ticket = scene.join(|join| {
        instance(join);
        join.member_id.clone_from(&first);
    });
    assert_eq!(scene.refused(ticket), ResponseError::FencedInstanceId);
    // With another subscription it is a rebalance.
    let ticket = scene.join(|join| {
        instance(join);
        join.protocols = vec![("range".to_owned(), Bytes::from("other"))];
    });
    assert_eq!(scene.accepted(ticket).generation, 2);
    // It leaves by its instance alone.
    assert_eq!(scene.leave("", Some("i")), Ok(()));
    assert_eq!(scene.leave("", Some("i")), Err(ResponseError::UnknownMemberId));
}

#[test]
fn an_instance_that_is_away_keeps_its_place_until_its_session_ends() {
    let mut scene = Scene::new();
    let ticket = scene.join(|join| {
        join.instance = Some("i".to_owned());
        join.session_ms = 300_000;
    });
    let away = scene.accepted(ticket).member_id;
    scene.share_out(std::slice::from_ref(&away));
    let ticket = scene.join(|_| {});
    scene.after(60_000);
    let joined = scene.accepted(ticket);
    assert_eq!((joined.members.len(), &joined.leader), (2, &joined.member_id));
    let ticket = scene.sync(&joined.member_id, &[(&joined.member_id, "0"), (&away, "1")]);
    assert_eq!(scene.synced(ticket), Some(Ok("0".to_owned())));
    let ticket = scene.sync(&away, &[]);
    assert_eq!(scene.synced(ticket), Some(Ok("1".to_owned())));
    for _ in 0..60 {
        let _ = scene.heartbeat(&joined.member_id);
        scene.after(5_000);
    }
    assert_eq!(scene.group.members.len(), 1);
}

#[test]
fn members_have_to_fit_together() {
    let (mut scene, _) = Scene::stable(1);
    let mut check = |change: fn(&mut Join), expect: ResponseError| {
        let ticket = scene.join(change);
        assert_eq!(scene.refused(ticket), expect);
    };
    check(|join| join.protocol_type = "connect".to_owned(), ResponseError::InconsistentGroupProtocol);
    check(|join| join.protocol_type.clear(), ResponseError::InconsistentGroupProtocol);
    check(|join| join.protocols.clear(), ResponseError::InconsistentGroupProtocol);
    check(|join| join.protocols.iter_mut().for_each(|p| p.0.push('x')), ResponseError::InconsistentGroupProtocol);
    check(|join| join.session_ms = 10, ResponseError::InvalidSessionTimeout);
    check(|join| join.session_ms = i64::MAX, ResponseError::InvalidSessionTimeout);
    check(|join| join.member_id = "stranger".to_owned(), ResponseError::UnknownMemberId);
    check(|join| join.protocols[0].1 = Bytes::from(vec![0; GROUP_BYTES_MAX]), ResponseError::GroupMaxSizeReached);
    assert_eq!(scene.group.phase, Phase::Stable, "nobody else is troubled");
}

#[test]
fn the_protocol_is_the_one_that_most_like() {
    let mut scene = Scene::with_delay(300);
    let prefer = |names: &'static [&str]| {
        move |join: &mut Join| join.protocols = names.iter().map(|n| (n.to_string(), Bytes::from(*n))).collect()
    };
    let ticket = scene.join(prefer(&["own", "range", "sticky"]));
    scene.join(prefer(&["sticky", "range"]));
    scene.join(prefer(&["sticky", "range"]));
    scene.after(300);
    scene.after(300);
    let joined = scene.accepted(ticket);
    assert_eq!(joined.protocol, "sticky");
    assert!(joined.members.iter().all(|(.., metadata)| metadata == "sticky"));
}

#[test]
fn generations_and_ids_are_checked() {
    let (scene, ids) = Scene::stable(2);
    let check = |id: &str, generation, expect| assert_eq!(scene.group.check(id, None, generation), expect);
    check(&ids[0], 2, Ok(()));
    check(&ids[0], 1, Err(ResponseError::IllegalGeneration));
    check("stranger", 2, Err(ResponseError::UnknownMemberId));
}

/// Whatever members do, requests are answered once, and a group whose members all go on asking becomes stable.
#[test]
fn random_members() {
    use proptest::prelude::*;
    let steps = prop::collection::vec((0_usize..5, 0_u8..6, 0_i64..4_000), 1..120);
    proptest!(|(steps in steps)| {
        let mut scene = Scene::with_delay(300);
        let mut ids: Vec<Option<String>> = vec![None; 5];
        let mut waiting: BTreeMap<Ticket, usize> = BTreeMap::new();
        for (who, what, ms) in steps {
            let id = ids[who].clone();
            match (what, id) {
                (0 | 1, id) => {
                    let ticket = scene.join(|join| join.member_id = id.unwrap_or_default());
                    waiting.insert(ticket, who);
                }
                (2 | 3, Some(id)) => {
                    let ticket = scene.sync(&id, &[(&id, "x")]);
                    waiting.insert(ticket, who);
                }
                (4, Some(id)) => {
                    let _ = scene.leave(&id, None);
                    ids[who] = None;
                }
                _ => scene.after(ms),
            }
            for effect in std::mem::take(&mut scene.effects) {
                let ticket = match &effect {
                    Effect::Join(ticket, _) | Effect::Sync(ticket, _) => *ticket,
                };
                let who = waiting.remove(&ticket);
                prop_assert!(who.is_some(), "a request is answered once");
                match (effect, who) {
                    (Effect::Join(_, Ok(joined)), Some(who)) => ids[who] = Some(joined.member_id),
                    (Effect::Join(_, Err(refused)), Some(who))
                        if refused.error == ResponseError::UnknownMemberId => ids[who] = None,
                    _ => {}
                }
            }
            let leads = |id: &String| scene.group.members.contains_key(id);
            prop_assert!(scene.group.leader.as_ref().is_none_or(leads), "the leader is a member");
        }
        // Everybody who waits hears something in the end.
        for _ in 0..200 {
            scene.after(1_000);
        }
        for effect in std::mem::take(&mut scene.effects) {
            match effect {
                Effect::Join(ticket, _) | Effect::Sync(ticket, _) => drop(waiting.remove(&ticket)),
            }
        }
        prop_assert!(waiting.is_empty(), "{waiting:?} wait for ever");
        prop_assert!(scene.group.members.is_empty() && scene.group.phase == Phase::Empty, "all sessions have ended");
    });
}
