use super::*;

const SESSION_MS: i64 = 45_000;
const REBALANCE_MS: i64 = 10_000;

/// Topics by name. A pattern is a beginning of names.
#[derive(Debug, Default)]
pub(super) struct World(pub BTreeMap<String, Shape>);

impl World {
    pub fn of(topics: &[(&str, i32)]) -> World {
        let mut world = World::default();
        topics.iter().for_each(|(name, partitions)| world.set(name, *partitions));
        world
    }

    /// Make a topic, or give it that many partitions.
    pub fn set(&mut self, name: &str, partitions: i32) {
        let next = self.0.values().map(|shape| shape.id).max().unwrap_or(0) + 1;
        self.0.entry(name.to_owned()).or_insert(Shape { id: next, partitions }).partitions = partitions;
    }
}

impl Topics for World {
    fn shape(&self, name: &str) -> Option<Shape> {
        self.0.get(name).copied()
    }

    fn matching(&self, pattern: &str) -> Result<Arc<[String]>, Failure> {
        if pattern == "(" {
            return Err(ResponseError::InvalidRegularExpression.into());
        }
        Ok(self.0.keys().filter(|name| name.starts_with(pattern)).cloned().collect())
    }
}

pub(super) fn names(names: &[&str]) -> Names {
    names.iter().map(ToString::to_string).collect()
}

pub(super) fn new_group() -> Consumer {
    Consumer { session_ms: SESSION_MS, ..Consumer::default() }
}

pub(super) fn join(id: &str, topics: &[&str]) -> Beat {
    Beat {
        member_id: id.to_owned(),
        rebalance_ms: Some(REBALANCE_MS),
        names: Some(names(topics)),
        owned: Some(Parts::new()),
        ..Beat::default()
    }
}

pub(super) fn beat(id: &str, epoch: i32) -> Beat {
    Beat { member_id: id.to_owned(), epoch, ..Beat::default() }
}

fn owning(id: &str, epoch: i32, owned: &[i32]) -> Beat {
    Beat { owned: Some(parts(owned)), ..beat(id, epoch) }
}

/// Partitions of the first topic.
fn parts(partitions: &[i32]) -> Parts {
    partitions.iter().map(|partition| (1, *partition)).collect()
}

/// One topic of four partitions, and a group.
struct Stage {
    group: Consumer,
    world: World,
    now_ms: i64,
}

impl Stage {
    fn new() -> Stage {
        Stage { group: new_group(), world: World::of(&[("t", 4)]), now_ms: 0 }
    }

    fn hear(&mut self, beat: Beat) -> Result<Heard, ResponseError> {
        self.group.heartbeat(beat, &self.world, self.now_ms).map_err(|failure| failure.error)
    }

    /// The epoch and, if it is told, the assignment in topic 1 of the answer.
    fn check(&mut self, beat: Beat, epoch: i32, assignment: Option<&[i32]>) {
        let expect = Heard { epoch, assignment: assignment.map(parts) };
        assert_eq!(self.hear(beat.clone()), Ok(expect), "{beat:?}");
    }

    fn refused(&mut self, beat: Beat, error: ResponseError) {
        assert_eq!(self.hear(beat.clone()), Err(error), "{beat:?}");
    }

    fn pass(&mut self, ms: i64) {
        self.now_ms += ms;
        self.group.tick(self.now_ms);
    }
}

#[test]
fn a_partition_is_given_when_it_was_given_up() {
    let mut stage = Stage::new();
    assert_eq!(stage.group.phase(), Phase::Empty);
    stage.check(join("a", &["t"]), 1, Some(&[0, 1, 2, 3]));
    stage.check(owning("a", 1, &[0, 1, 2, 3]), 1, None);
    assert_eq!(stage.group.phase(), Phase::Stable);
    // The second is a member at once, and waits for its part.
    stage.check(join("b", &["t"]), 2, Some(&[]));
    assert_eq!(stage.group.phase(), Phase::Reconciling);
    stage.check(beat("b", 2), 2, None);
    // The first stays in its epoch until it has given up.
    stage.check(beat("a", 1), 1, Some(&[0, 1]));
    stage.check(beat("a", 1), 1, None);
    stage.check(owning("a", 1, &[0, 1, 2]), 1, None);
    stage.check(beat("b", 2), 2, None);
    stage.check(owning("a", 1, &[0, 1]), 2, None);
    stage.check(beat("b", 2), 2, Some(&[2, 3]));
    assert_eq!(stage.group.phase(), Phase::Stable);
    assert_eq!(stage.group.check("a", 2), Ok(()));
    assert_eq!(stage.group.check("a", 1), Err(ResponseError::StaleMemberEpoch));
    assert_eq!(stage.group.check("c", 1), Err(ResponseError::UnknownMemberId));
    // It leaves, and all is the first's again.
    stage.group.leave("b", None, false, stage.now_ms).unwrap();
    stage.check(beat("a", 2), 3, Some(&[0, 1, 2, 3]));
    assert_eq!(stage.group.leave("b", None, false, 0).unwrap_err().error, ResponseError::UnknownMemberId);
}

#[test]
fn epochs_are_checked() {
    let mut stage = Stage::new();
    stage.refused(beat("a", 1), ResponseError::UnknownMemberId);
    stage.check(join("a", &["t"]), 1, Some(&[0, 1, 2, 3]));
    // The first answer was lost: asked again, answered again.
    stage.check(join("a", &["t"]), 1, Some(&[0, 1, 2, 3]));
    stage.check(Beat { names: Some(names(&["t", "u"])), ..beat("a", 1) }, 2, None);
    stage.refused(beat("a", 3), ResponseError::FencedMemberEpoch);
    // The epoch before will do with what it was told to have, and not without.
    stage.check(owning("a", 1, &[0, 1]), 2, Some(&[0, 1, 2, 3]));
    stage.refused(beat("a", 1), ResponseError::FencedMemberEpoch);
    stage.refused(owning("a", 1, &[7]), ResponseError::FencedMemberEpoch);
    // One who says everything is told everything.
    stage.check(Beat { epoch: 2, ..join("a", &["t", "u"]) }, 2, Some(&[0, 1, 2, 3]));
    // Who joins again has given up everything.
    stage.check(join("a", &["t", "u"]), 2, Some(&[0, 1, 2, 3]));
}

#[test]
fn who_is_silent_is_taken_out() {
    let mut stage = Stage::new();
    stage.hear(join("a", &["t"])).unwrap();
    stage.pass(SESSION_MS - 1);
    stage.hear(join("b", &["t"])).unwrap();
    stage.pass(1);
    stage.refused(beat("a", 1), ResponseError::UnknownMemberId);
    stage.check(beat("b", 2), 3, Some(&[0, 1, 2, 3]));
    // One who heartbeats and does not give up is, too, after the time that it asked for.
    stage.check(join("c", &["t"]), 4, Some(&[]));
    stage.check(beat("b", 3), 3, Some(&[0, 1]));
    stage.pass(REBALANCE_MS - 1);
    stage.check(beat("b", 3), 3, None);
    stage.check(beat("c", 4), 4, None);
    stage.pass(1);
    stage.refused(beat("b", 3), ResponseError::UnknownMemberId);
    stage.check(beat("c", 4), 5, Some(&[0, 1, 2, 3]));
    stage.pass(SESSION_MS);
    assert!(stage.group.is_empty());
}

#[test]
fn static_members_come_back() {
    let mut stage = Stage::new();
    let instance = |beat: Beat, name: &str| Beat { instance: Some(name.to_owned()), ..beat };
    stage.check(instance(join("a", &["t"]), "one"), 1, Some(&[0, 1, 2, 3]));
    stage.check(instance(join("b", &["t"]), "two"), 2, Some(&[]));
    stage.check(beat("a", 1), 1, Some(&[0, 1]));
    stage.check(owning("a", 1, &[0, 1]), 2, None);
    stage.check(beat("b", 2), 2, Some(&[2, 3]));
    stage.refused(instance(join("c", &["t"]), "one"), ResponseError::UnreleasedInstanceId);
    stage.refused(instance(beat("c", 2), "one"), ResponseError::FencedInstanceId);
    stage.refused(instance(beat("c", 2), "three"), ResponseError::UnknownMemberId);
    assert_eq!(stage.group.leave("c", Some("one"), true, 0).unwrap_err().error, ResponseError::FencedInstanceId);
    assert_eq!(stage.group.leave("c", Some("x"), true, 0).unwrap_err().error, ResponseError::UnknownMemberId);
    // Away and back under another id: its part was kept, and nobody noticed.
    stage.group.leave("a", Some("one"), true, stage.now_ms).unwrap();
    assert_eq!(stage.group.check("a", AWAY), Err(ResponseError::StaleMemberEpoch));
    stage.refused(instance(beat("a", 2), "one"), ResponseError::FencedMemberEpoch);
    stage.check(instance(beat("b", 2), "two"), 2, None);
    stage.check(instance(join("a2", &["t"]), "one"), 2, Some(&[0, 1]));
    assert_eq!(stage.group.members.keys().collect::<Vec<_>>(), ["a2", "b"]);
    // Away for too long.
    stage.group.leave("a2", Some("one"), true, stage.now_ms).unwrap();
    stage.pass(SESSION_MS - 1);
    stage.check(beat("b", 2), 2, None);
    stage.pass(1);
    stage.check(beat("b", 2), 3, Some(&[0, 1, 2, 3]));
    stage.check(instance(join("d", &["t"]), "one"), 4, Some(&[]));
    // Gone for good.
    stage.group.leave("d", Some("one"), false, stage.now_ms).unwrap();
    assert_eq!(stage.group.members.len(), 1);
}

#[test]
fn topics_and_subscriptions_change() {
    let mut stage = Stage::new();
    stage.check(join("a", &["t", "later"]), 1, Some(&[0, 1, 2, 3]));
    // They are looked at from time to time.
    stage.world.set("t", 5);
    stage.check(beat("a", 1), 1, None);
    stage.now_ms += TOPICS_LOOK_MS;
    stage.check(beat("a", 1), 2, Some(&[0, 1, 2, 3, 4]));
    stage.world.set("later", 1);
    stage.now_ms += TOPICS_LOOK_MS;
    assert!(stage.hear(beat("a", 2)).unwrap().assignment.unwrap().contains(&(2, 0)));
    // A topic goes; the member gives up what is no more.
    stage.world.0.remove("t");
    stage.now_ms += TOPICS_LOOK_MS;
    let heard = stage.hear(beat("a", 3)).unwrap();
    assert_eq!((heard.epoch, heard.assignment), (3, Some([(2, 0)].into())));
    let heard = stage.hear(Beat { owned: Some([(2, 0)].into()), ..beat("a", 3) }).unwrap();
    assert_eq!(heard, Heard { epoch: 4, assignment: None });
    // Nothing is wanted any more.
    stage.check(Beat { names: Some(Names::new()), ..beat("a", 4) }, 4, Some(&[]));
    stage.check(owning("a", 4, &[]), 5, None);
    assert_eq!(stage.group.subscribed(), Names::new());
}

#[test]
fn patterns() {
    let mut stage = Stage::new();
    let pattern = |beat: Beat, pattern: &str| Beat { pattern: Some(pattern.to_owned()), ..beat };
    stage.refused(pattern(join("a", &[]), "("), ResponseError::InvalidRegularExpression);
    assert!(stage.group.is_empty(), "who is refused is no member");
    stage.check(pattern(Beat { names: None, ..join("a", &[]) }, "t"), 1, Some(&[0, 1, 2, 3]));
    stage.world.set("other", 1);
    stage.world.set("t2", 1);
    let heard = stage.hear(beat("a", 1)).unwrap();
    assert_eq!((heard.epoch, heard.assignment.unwrap().len()), (2, 5), "what matches now, too");
    stage.refused(pattern(beat("a", 2), "("), ResponseError::InvalidRegularExpression);
    assert_eq!(stage.group.members["a"].about.pattern.as_deref(), Some("t"), "and the old one still counts");
    // By name as well, and then by name alone.
    let more = Beat { names: Some(names(&["other", "t"])), ..beat("a", 2) };
    assert_eq!(stage.hear(more).unwrap().assignment.unwrap().len(), 6);
    stage.hear(pattern(beat("a", 3), "")).unwrap();
    assert_eq!(stage.group.subscribed(), names(&["other", "t"]));
}

#[test]
fn assignors_are_voted_for() {
    let mut stage = Stage::new();
    let with = |beat: Beat, assignor| Beat { assignor: Some(assignor), ..beat };
    stage.hear(join("a", &["t"])).unwrap();
    assert_eq!(stage.group.assignor, Assignor::Uniform);
    stage.hear(with(join("b", &["t"]), Assignor::Range)).unwrap();
    assert_eq!(stage.group.assignor, Assignor::Range);
    stage.hear(with(beat("a", 1), Assignor::Uniform)).unwrap();
    assert_eq!((stage.group.assignor, stage.group.epoch), (Assignor::Uniform, 3), "a tie");
}

#[test]
fn a_group_is_bounded() {
    let mut stage = Stage::new();
    let long = "x".repeat(GROUP_BYTES_MAX / 2);
    stage.hear(join("a", &[&long])).unwrap();
    stage.refused(join("b", &[&long]), ResponseError::GroupMaxSizeReached);
    stage.hear(join("b", &["t"])).unwrap();
    stage.refused(Beat { names: Some(names(&[&long])), ..beat("b", 2) }, ResponseError::GroupMaxSizeReached);
    assert_eq!(stage.group.members.len(), 2);
}
