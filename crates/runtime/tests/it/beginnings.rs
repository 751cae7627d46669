//! Where tasks begin, and what they need to be there.

use std::{collections::BTreeMap, sync::Arc};

use futures::executor::block_on;
use host::Host;
use planner::plan::QueryPlan;
use recordlog::RecordLog;
use runtime::{Cut, Query, Share, beginnings, create_topics, shares};

use crate::support::{POOL, World};

/// A stream, and a query over it with two stages.
fn set_up() -> (World, String, QueryPlan) {
    let mut world = World::new(true);
    world.create_topic("s", 1);
    world.declare("CREATE STREAM s (k VARCHAR KEY, v BIGINT) WITH (kafka_topic = 's', value_format = 'JSON');");
    let (id, plan) = world.plan(
        "CREATE TABLE by_v WITH (key_format = 'JSON') AS SELECT v, COUNT(*) AS n FROM s GROUP BY v EMIT CHANGES;",
    );
    (world, id, plan)
}

fn open(world: &World, query: (&str, &QueryPlan), share: Share) -> types::Result<Query> {
    open_on(world, query, share, &world.log)
}

fn open_on(
    world: &World,
    (id, plan): (&str, &QueryPlan),
    share: Share,
    log: &Arc<dyn RecordLog>,
) -> types::Result<Query> {
    let options = world.options(id, Some(share), false);
    block_on(Query::open(plan, options, log.clone(), Host::in_memory(), POOL.clone()))
}

fn begin(world: &World, (id, plan): (&str, &QueryPlan)) -> Vec<Share> {
    let options = world.options(id, None, false);
    block_on(create_topics(plan, &options, &world.log)).unwrap();
    world.commit(beginnings(plan, &options, &world.log, 0).unwrap());
    shares(plan, &*world.log).unwrap()
}

/// Run all tasks, opened anew, until there is no more.
fn run(world: &World, query: (&str, &QueryPlan)) {
    for share in shares(query.1, &*world.log).unwrap() {
        let mut task = open(world, query, share).unwrap();
        while let Some(epoch) = task.run_epoch(Cut::Records(2)).unwrap() {
            world.commit(epoch.commit.appends);
            task.committed(epoch.number);
        }
    }
}

fn write(world: &World, partition: u32, v: i64) {
    world.write("s", partition, Some(b"a"), Some(format!(r#"{{"V": {v}}}"#).as_bytes()), v);
}

fn keys(world: &World) -> Vec<String> {
    let mut keys: Vec<String> = world.read("BY_V").into_iter().map(|(key, ..)| key).collect();
    keys.sort();
    keys
}

#[test]
fn a_task_that_is_opened_late_does_not_begin_late() {
    let (world, id, mut plan) = set_up();
    plan.from_earliest = false;
    write(&world, 0, 1);
    begin(&world, (&id, &plan));
    write(&world, 0, 2);
    run(&world, (&id, &plan));
    assert_eq!(keys(&world), ["2"]);
    // Said again it changes nothing.
    begin(&world, (&id, &plan));
    write(&world, 0, 3);
    run(&world, (&id, &plan));
    assert_eq!(keys(&world), ["2", "3"]);
}

#[test]
fn what_a_task_will_read_is_known_before_it_is_opened() {
    let (world, id, plan) = set_up();
    let begun = begin(&world, (&id, &plan));
    let tasks = world.options(&id, None, false).progress.tasks(&*world.log, &id).unwrap();
    assert_eq!(tasks.iter().filter_map(|task| task.share).collect::<Vec<_>>(), begun);
    for task in tasks {
        let [(partition, 0)] = task.positions.as_slice() else { panic!("{task:?}") };
        assert_eq!(&*partition.topic == "s", task.share.is_some_and(|share| share.stage == 0), "{task:?}");
        let own = task.share.map(|share| share.partition);
        assert_eq!(Some(partition.partition), own, "{task:?}");
    }
}

#[test]
fn a_topic_that_nobody_can_be_asked_about_is_not_taken_for_another() {
    let (world, id, plan) = set_up();
    write(&world, 0, 1);
    begin(&world, (&id, &plan));
    run(&world, (&id, &plan));
    for share in shares(&plan, &*world.log).unwrap() {
        let error = open_on(&world, (&id, &plan), share, &world.silent_log()).err().expect("cannot be opened");
        assert!(error.to_string().contains("nobody answers"), "{error}");
    }
    write(&world, 0, 2);
    run(&world, (&id, &plan));
    assert_eq!(keys(&world), ["1", "2"]);
}

#[test]
fn a_task_makes_no_topics() {
    let (world, id, plan) = set_up();
    for share in shares(&plan, &*world.log).unwrap() {
        let error = open(&world, (&id, &plan), share).err().unwrap();
        assert!(error.to_string().contains("is not there"), "{error}");
    }
    assert!(world.log.topics().iter().all(|topic| world.names.query_of_topic(&topic.name).is_none()));
    begin(&world, (&id, &plan));
    let own = world.log.topics().into_iter().filter(|topic| world.names.query_of_topic(&topic.name) == Some(&id));
    let wanted = ["changelog.1", "repartition.0"].map(|ending| format!("_millstream.a-{id}-{ending}"));
    assert_eq!(own.map(|topic| topic.name.to_string()).collect::<Vec<_>>(), wanted);
    let beyond = Share { stage: 0, partition: 7 };
    assert!(open(&world, (&id, &plan), beyond).is_err());
}

#[test]
fn a_task_that_died_before_its_commit_has_done_nothing() {
    let (world, id, plan) = set_up();
    begin(&world, (&id, &plan));
    write(&world, 0, 1);
    let first = Share { stage: 0, partition: 0 };
    let mut task = open(&world, (&id, &plan), first).unwrap();
    assert!(task.run_epoch(Cut::Bytes(1 << 20)).unwrap().is_some());
    assert!(task.consumed().is_empty());
    drop(task);
    run(&world, (&id, &plan));
    assert_eq!(keys(&world), ["1"]);
    let mut last = open(&world, (&id, &plan), Share { stage: 1, partition: 0 }).unwrap();
    let ends = |query: &Query| query.consumed().into_iter().map(|(_, next)| next).collect::<Vec<_>>();
    assert_eq!(ends(&last), [1]);
    write(&world, 0, 2);
    let mut task = open(&world, (&id, &plan), first).unwrap();
    world.commit(task.run_epoch(Cut::Bytes(1 << 20)).unwrap().unwrap().commit.appends);
    let epoch = last.run_epoch(Cut::Bytes(1 << 20)).unwrap().unwrap();
    assert_eq!(ends(&last), [1]);
    world.commit(epoch.commit.appends);
    last.committed(epoch.number);
    assert_eq!(ends(&last), [2]);
}

#[test]
fn what_a_query_had_in_flight_is_forgotten_with_it() {
    let (world, id, plan) = set_up();
    let all = begin(&world, (&id, &plan));
    let plan = Arc::new(plan);
    write(&world, 0, 1);
    run(&world, (&id, &plan));
    let tasks = world.progress.tasks(&*world.log, &id).unwrap();
    assert_eq!(tasks.iter().filter_map(|task| task.share).collect::<Vec<_>>(), all);
    world.commit(vec![world.progress.forgotten(&*world.log, &id, 0).unwrap()]);
    assert!(world.progress.tasks(&*world.log, &id).unwrap().is_empty());
}

#[test]
fn a_partition_that_comes_later_is_read_from_its_first_record() {
    let mut world = World::new(true);
    world.create_topic("s", 1);
    world.declare("CREATE STREAM s (k VARCHAR KEY, v BIGINT) WITH (kafka_topic = 's', value_format = 'JSON');");
    let (id, mut plan) = world.plan("CREATE STREAM by_v AS SELECT k, v FROM s EMIT CHANGES;");
    plan.from_earliest = false;
    write(&world, 0, 1);
    assert_eq!(begin(&world, (&id, &plan)).len(), 1);
    run(&world, (&id, &plan));
    block_on(world.log.alter_topic("s", BTreeMap::new(), Some(2))).unwrap();
    write(&world, 0, 2);
    write(&world, 1, 3);
    assert_eq!(shares(&plan, &*world.log).unwrap().len(), 2);
    run(&world, (&id, &plan));
    let values = world.read("BY_V").into_iter().filter_map(|(_, value, _)| value).collect::<Vec<_>>();
    assert_eq!(values.len(), 2, "{values:?}");
}
