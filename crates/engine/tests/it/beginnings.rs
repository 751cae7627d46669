//! Where queries begin, and how they go on when nothing comes: over crashes, however the input is cut.

use std::sync::Arc;

use crate::support::*;
use engine::{Cut, Engine, EngineConfig};
use host::{Host, Simulation};
use rand::{Rng, SeedableRng, rngs::StdRng};

async fn start(sim: &Simulation) -> Arc<Engine> {
    open(sim, EngineConfig { manual: true, ..EngineConfig::default() }).await
}

/// Carry out statements that succeed.
async fn does(engine: &Arc<Engine>, text: &str) {
    run(engine, text).await.unwrap_or_else(|e| panic!("{text}: {e}"));
}

/// Drive to the end; the machine dies some times on the way.
async fn drive(mut sim: Simulation, mut engine: Arc<Engine>, cut: Cut, rng: &mut StdRng) -> (Simulation, Arc<Engine>) {
    for _ in 0..3 {
        sim.disk.crash_after(rng.random_range(1..60));
        if engine.drive(cut).await.is_ok() && !sim.disk.is_dead() {
            break;
        }
        drop(engine);
        sim = if rng.random() { sim.power_loss() } else { sim.kill() };
        engine = start(&sim).await;
    }
    drop(engine);
    sim = sim.kill();
    engine = start(&sim).await;
    engine.drive(cut).await.expect("drives");
    (sim, engine)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_query_begins_where_the_topic_ended_when_it_was_made() {
    let mut sim = Host::simulated(1, 1_000_000);
    let engine = start(&sim).await;
    create_topic(&engine, "s", 2, &[("retention.ms", "-1")]).await;
    does(
        &engine,
        "CREATE STREAM s (k VARCHAR KEY, v BIGINT) WITH (kafka_topic = 's', value_format = 'JSON');
         INSERT INTO s (k, v) VALUES ('a', 1);
         CREATE STREAM o AS SELECT * FROM s WITH (start = 'latest') EMIT CHANGES;
         INSERT INTO s (k, v) VALUES ('a', 2);",
    )
    .await;
    drop(engine);
    sim = sim.kill();
    let engine = start(&sim).await;
    engine.drive(Cut::All).await.unwrap();
    assert_eq!(run(&engine, "SELECT v FROM o;").await.unwrap(), ["2"]);
}

/// Events before the query was made find the table as it stood then, those after it as it is when they come.
async fn reads_the_table_first(seed: u64) {
    let mut rng = StdRng::seed_from_u64(seed);
    let sim = Host::simulated(seed, 1_000_000);
    let engine = start(&sim).await;
    let partitions = rng.random_range(1..4);
    for topic in ["s", "t"] {
        create_topic(&engine, topic, partitions, &[("retention.ms", "-1")]).await;
    }
    does(
        &engine,
        "CREATE STREAM s (k VARCHAR KEY, v BIGINT) WITH (kafka_topic = 's', value_format = 'JSON');
         CREATE TABLE t (k VARCHAR PRIMARY KEY, v BIGINT) WITH (kafka_topic = 't', value_format = 'JSON');",
    )
    .await;
    let (mut table, mut events, mut want) = (std::collections::BTreeMap::new(), 0, vec![]);
    let before = rng.random_range(0..30);
    let mut waiting = vec![];
    for step in 0..before + 10 {
        if step == before {
            does(
                &engine,
                "CREATE STREAM o AS SELECT s.k AS k, s.v AS v, t.v AS tv FROM s WITH (start = 'earliest')
                 LEFT JOIN t WITH (start = 'snapshot') ON s.k = t.k EMIT CHANGES;",
            )
            .await;
            want.extend(waiting.drain(..).map(|(k, v)| (k, v, table.get(&k).copied())));
        }
        let k = rng.random_range(0..4);
        match rng.random_range(0..3) {
            0 => {
                events += 1;
                does(&engine, &format!("INSERT INTO s (k, v) VALUES ('{k}', {events});")).await;
                match step < before {
                    true => waiting.push((k, events)),
                    false => want.push((k, events, table.get(&k).copied())),
                }
            }
            1 => {
                table.remove(&k);
                does(&engine, &format!("DELETE FROM t WHERE k = '{k}';")).await;
            }
            _ => {
                table.insert(k, step);
                does(&engine, &format!("INSERT INTO t (k, v) VALUES ('{k}', {step});")).await;
            }
        }
    }
    let cut = if rng.random() { Cut::All } else { Cut::Records(rng.random_range(1..5)) };
    let (_, engine) = drive(sim, engine, cut, &mut rng).await;
    let shown = |v: Option<u64>| v.map_or("null".to_string(), |v| v.to_string());
    let mut want: Vec<String> = want.into_iter().map(|(k, v, tv)| format!("{k} {v} {}", shown(tv))).collect();
    want.sort();
    assert_eq!(run(&engine, "SELECT k, v, tv FROM o;").await.unwrap(), want, "seed {seed}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_join_may_read_its_table_first() {
    for seed in 0..30 {
        reads_the_table_first(seed).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn windows_that_were_closed_for_want_of_records_stay_closed() {
    let mut sim = Host::simulated(7, 1_000_000);
    let mut engine = start(&sim).await;
    create_topic(&engine, "s", 3, &[("retention.ms", "-1")]).await;
    does(
        &engine,
        "CREATE STREAM s (k VARCHAR KEY, v BIGINT) WITH (kafka_topic = 's', value_format = 'JSON');
         CREATE TABLE o AS SELECT k, COUNT(*) AS n FROM s
             WINDOW HOPPING (SIZE 10 SECONDS, ADVANCE BY 5 SECONDS, RETENTION 1 HOUR)
             GROUP BY k EMIT FINAL IDLE TIMEOUT 30 SECONDS;
         INSERT INTO s (rowtime, k, v) VALUES (1000, 'a', 1), (6000, 'b', 1), (7000, 'a', 1);",
    )
    .await;
    let finals = "SELECT windowstart, k, n FROM o;";
    engine.drive(Cut::All).await.unwrap();
    sim.clock.advance_ms(29_999);
    engine.drive(Cut::All).await.unwrap();
    assert_eq!(run(&engine, finals).await.unwrap(), [""; 0]);
    sim.clock.advance_ms(1);
    engine.drive(Cut::All).await.unwrap();
    let closed = ["0 a 2", "0 b 1", "5000 a 1", "5000 b 1"];
    assert_eq!(run(&engine, finals).await.unwrap(), closed);
    drop(engine);
    sim = sim.kill();
    engine = start(&sim).await;
    // Stream time went on to the end of the last window: what lies before it is late, also after a crash.
    does(&engine, "INSERT INTO s (rowtime, k, v) VALUES (14000, 'a', 1), (16000, 'a', 1);").await;
    engine.drive(Cut::Records(1)).await.unwrap();
    sim.clock.advance_ms(30_000);
    engine.drive(Cut::Records(1)).await.unwrap();
    let more = ["0 a 2", "0 b 1", "10000 a 2", "15000 a 1", "5000 a 1", "5000 b 1"];
    assert_eq!(run(&engine, finals).await.unwrap(), more);
    sim.clock.advance_ms(300_000);
    engine.drive(Cut::All).await.unwrap();
    assert_eq!(run(&engine, finals).await.unwrap(), more);
}
