//! State that does not fit into memory: lookups and scans see what is on disk, an engine that opens goes on with it, and
//! what is damaged there is read from the changelog again.

use std::{path::Path, sync::Arc};

use engine::{Cut, Engine, EngineConfig};
use host::{Host, OpenMode, Simulation};

use crate::support::*;

const SETUP: &str = "
    CREATE STREAM s (k VARCHAR KEY, v BIGINT) WITH (kafka_topic = 's', value_format = 'JSON');
    CREATE TABLE counts AS SELECT k, COUNT(*) AS n, SUM(v) AS total FROM s GROUP BY k EMIT CHANGES;";

const KEYS: u64 = 500;

async fn opened(sim: &Simulation) -> Arc<Engine> {
    let (data_dir, state_hot_bytes) = (Some("/data".into()), Some(20_000));
    open(sim, EngineConfig { manual: true, data_dir, state_hot_bytes, ..EngineConfig::default() }).await
}

/// Every key once more, in many epochs, so that the state is measured.
async fn feed(engine: &Arc<Engine>, round: u64) {
    for n in (0..KEYS).step_by(5) {
        let keys: Vec<_> = (n..n + 5).map(|k| (format!("key {k:05}"), format!("{{\"V\":{}}}", k + round))).collect();
        let records: Vec<_> = keys.iter().map(|(k, v)| (Some(k.as_bytes()), Some(v.as_bytes()), 1)).collect();
        write(engine, vec![("s", 0, batch(&records))]).await;
        engine.drive(Cut::All).await.unwrap();
    }
}

async fn check(engine: &Arc<Engine>, rounds: u64) {
    let row = |k: u64| format!("key {k:05} {rounds} {}", rounds * k + rounds * (rounds - 1) / 2);
    let all: Vec<String> = (0..KEYS).map(row).collect();
    assert_eq!(run(engine, "SELECT * FROM counts;").await.unwrap(), all);
    assert_eq!(run(engine, "SELECT COUNT(*) AS n FROM counts;").await.unwrap(), [KEYS.to_string()]);
    assert_eq!(run(engine, "SELECT * FROM counts LIMIT 7;").await.unwrap(), all[..7]);
    for k in [0, 3, 77, KEYS - 1] {
        let one = run(engine, &format!("SELECT * FROM counts WHERE k = 'key {k:05}';")).await.unwrap();
        assert_eq!(one, [row(k)]);
    }
    let several = "SELECT * FROM counts WHERE k IN ('key 00004', 'key 00444', 'nobody');";
    assert_eq!(run(engine, several).await.unwrap(), [row(4), row(444)]);
    let range = "SELECT * FROM counts WHERE k >= 'key 00100' AND k < 'key 00140';";
    assert_eq!(run(engine, range).await.unwrap(), all[100..140]);
    assert_eq!(run(engine, "SELECT * FROM counts WHERE k = 'nobody';").await.unwrap(), [""; 0]);
}

fn report(engine: &Arc<Engine>) -> engine::QueryReport {
    engine.reports().into_iter().next().unwrap()
}

fn files(sim: &Simulation, dir: &Path, out: &mut Vec<std::path::PathBuf>) {
    for entry in sim.host.disk.list(dir).unwrap_or_default() {
        let path = dir.join(&entry.name);
        if entry.is_dir { files(sim, &path, out) } else { out.push(path) }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lookups_see_what_is_on_disk_and_damage_is_mended() {
    let mut sim = Host::simulated(5, 1_000_000);
    let mut engine = opened(&sim).await;
    create_topic(&engine, "s", 1, &[("retention.ms", "-1")]).await;
    run(&engine, SETUP).await.unwrap();
    for round in 1..5 {
        feed(&engine, round - 1).await;
        check(&engine, round).await;
        let stats = report(&engine);
        assert!(stats.disk_bytes > 0 && stats.state_rows < KEYS && stats.state_bytes < 60_000, "{stats:?}");
        assert!(round == 1 || stats.state_lookups.1 > 100, "{stats:?}");
        drop(engine);
        sim = sim.kill();
        // Opened again it has in memory what came after the mark, and no more.
        engine = opened(&sim).await;
        assert!(report(&engine).state_rows < KEYS, "{:?}", report(&engine));
        check(&engine, round).await;
    }
    drop(engine);
    let (data, mut found) = (Path::new("/data/state"), vec![]);
    files(&sim, data, &mut found);
    assert!(found.len() > 1);
    for path in found {
        let whole = sim.host.disk.read_all(&path).unwrap();
        for at in [0, whole.len() / 2, whole.len() - 1] {
            for cut in [true, false] {
                let sim = sim.kill();
                let file = sim.host.disk.open(&path, OpenMode::ReadWrite).unwrap();
                match cut {
                    true => file.truncate(at as u64).unwrap(),
                    false => file.write_at(at as u64, &[whole[at] ^ 1]).unwrap(),
                }
                let engine = opened(&sim).await;
                // A read that meets the damage fails; the query notices, and reads its changelog.
                let _ = run(&engine, "SELECT * FROM counts;").await;
                write(&engine, vec![("s", 0, batch(&[(Some(b"nobody"), None, 1)]))]).await;
                let _ = engine.drive(Cut::All).await;
                engine.drive(Cut::All).await.unwrap();
                check(&engine, 4).await;
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dropped_table_leaves_nothing_on_disk() {
    let sim = Host::simulated(6, 1_000_000);
    let engine = opened(&sim).await;
    create_topic(&engine, "s", 1, &[("retention.ms", "-1")]).await;
    run(&engine, SETUP).await.unwrap();
    feed(&engine, 0).await;
    let mut found = vec![];
    files(&sim, Path::new("/data/state"), &mut found);
    assert!(!found.is_empty());
    run(&engine, "DROP TABLE counts;").await.unwrap();
    let mut left = vec![];
    files(&sim, Path::new("/data/state"), &mut left);
    assert_eq!(left, Vec::<std::path::PathBuf>::new());
}
