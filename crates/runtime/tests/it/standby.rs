//! Who takes a task over from a copy of its state reads what the copy had not read, and no more.

use std::sync::atomic::Ordering;

use futures::executor::block_on;
use host::Host;
use runtime::{Cut, Query, Share, StandbyTask, create_topics};

use crate::support::{POOL, World};

/// Entries of state before it is followed, and after.
const BEFORE: u64 = 500;
const AFTER: u64 = 3;

#[test]
fn what_was_followed_is_not_read_again() {
    let mut world = World::new(false);
    world.create_topic("s", 1);
    world.declare("CREATE STREAM s (k VARCHAR KEY, v BIGINT) WITH (kafka_topic = 's', value_format = 'JSON');");
    let (id, plan) = world.plan("CREATE TABLE counts AS SELECT k, COUNT(*) AS n FROM s GROUP BY k EMIT CHANGES;");
    let options = world.options(&id, Some(Share { stage: 0, partition: 0 }), false);
    block_on(create_topics(&plan, &options, &world.log)).unwrap();
    let host = Host::in_memory();
    let open = || block_on(Query::open(&plan, options.clone(), world.log.clone(), host.clone(), POOL.clone())).unwrap();
    let count = |query: &mut Query, from: u64, to: u64| {
        for n in from..to {
            world.write("s", 0, Some(format!("k{n}").as_bytes()), Some(b"{\"V\": 1}"), 1);
        }
        while let Some(epoch) = query.run_epoch(Cut::Bytes(1 << 20)).unwrap() {
            block_on(world.log.commit(epoch.commit)).unwrap().unwrap();
            query.committed(epoch.number);
        }
    };
    let restored = |query: &Query| query.stats().restored.load(Ordering::Relaxed);

    let mut query = open();
    assert_eq!(restored(&query), 0);
    count(&mut query, 0, BEFORE);
    let followed = StandbyTask::open(&plan, options.clone(), world.log.clone(), host.clone(), POOL.clone());
    let mut standby = block_on(followed).unwrap();
    while standby.follow().unwrap() {}
    assert_eq!(standby.lag().unwrap(), 0);
    count(&mut query, BEFORE, BEFORE + AFTER);
    drop(query);

    // A group and its row of the table, which follows from it.
    let promoted = block_on(standby.promote()).unwrap();
    assert!((AFTER..=2 * AFTER).contains(&restored(&promoted)), "{}", restored(&promoted));
    drop(promoted);
    let opened = open();
    assert!(restored(&opened) >= BEFORE + AFTER, "{}", restored(&opened));
}
