//! What goes wrong stops what it concerns, says so, loses nothing, and goes on by itself when it is mended.

use std::{path::PathBuf, sync::Arc};

use crate::support::*;
use engine::{Engine, EngineConfig};
use host::{FaultOp, Host, Simulation};

const SETUP: &str = "
    CREATE STREAM s (k VARCHAR KEY, v BIGINT) WITH (kafka_topic = 's', value_format = 'JSON', partitions = 1);
    CREATE STREAM other (k VARCHAR KEY, v BIGINT) WITH (kafka_topic = 'other', value_format = 'JSON', partitions = 1);
    CREATE TABLE counts AS SELECT k, COUNT(*) AS n FROM s GROUP BY k EMIT CHANGES;
    CREATE TABLE others AS SELECT k, COUNT(*) AS n FROM other GROUP BY k EMIT CHANGES;
";
const COUNTS: &str = "CTAS_COUNTS_0";
const OTHERS: &str = "CTAS_OTHERS_1";

fn config() -> EngineConfig {
    EngineConfig { threads: 2, ..EngineConfig::default() }
}

async fn world() -> (Simulation, Arc<Engine>) {
    let sim = Host::simulated(7, 1_000_000);
    let engine = open(&sim, config()).await;
    run(&engine, SETUP).await.unwrap();
    (sim, engine)
}

async fn insert(engine: &Arc<Engine>, stream: &str, key: &str) -> Result<(), String> {
    run(engine, &format!("INSERT INTO {stream} VALUES ('{key}', 1);")).await.map(drop)
}

/// Stop, do something to the disk, and start again.
async fn restart(sim: &Simulation, engine: Arc<Engine>, between: impl FnOnce()) -> Arc<Engine> {
    engine.shutdown().await;
    drop(engine);
    between();
    open(sim, config()).await
}

/// A query as SHOW QUERIES has it.
async fn shown(engine: &Arc<Engine>, id: &str) -> String {
    let rows = run(engine, "SHOW QUERIES;").await.unwrap();
    rows.into_iter().find(|row| row.starts_with(id)).unwrap()
}

/// A part of the paths of a topic's files.
fn place(engine: &Engine, topic: &str) -> String {
    format!("{:032x}", engine.log().topic(topic).unwrap().unwrap().id)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk_refuses_what_it_cannot_keep_until_there_is_room() {
    let (sim, engine) = world().await;
    insert(&engine, "s", "a").await.unwrap();
    until_rows(&engine, "SELECT * FROM counts;", &["a 1"]).await;
    sim.disk.set_capacity(Some(sim.disk.used_bytes()));
    let refused = insert(&engine, "s", "b").await.unwrap_err();
    assert!(refused.contains("space"), "{refused}");
    // What cannot be written down does not happen.
    let refused = run(&engine, &format!("PAUSE {COUNTS};")).await.unwrap_err();
    assert!(refused.contains("space"), "{refused}");
    assert!(shown(&engine, COUNTS).await.contains("RUNNING"));
    let refused = run(&engine, "CREATE STREAM copy AS SELECT * FROM s EMIT CHANGES;").await.unwrap_err();
    assert!(refused.contains("space"), "{refused}");
    assert!(engine.catalog().source("COPY").is_none());
    assert_eq!(run(&engine, "SELECT * FROM counts;").await.unwrap(), ["a 1"], "lookups go on");
    sim.disk.set_capacity(None);
    insert(&engine, "s", "a").await.unwrap();
    until_rows(&engine, "SELECT * FROM counts;", &["a 2"]).await;
    let engine = restart(&sim, engine, || ()).await;
    until_rows(&engine, "SELECT * FROM counts;", &["a 2"]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_query_that_cannot_commit_says_so_and_goes_on_when_it_can() {
    let (sim, engine) = world().await;
    sim.disk.inject(FaultOp::Write, &place(&engine, &format!("_millstream-{COUNTS}-changelog")), u32::MAX);
    for _ in 0..3 {
        insert(&engine, "s", "a").await.unwrap();
        insert(&engine, "other", "b").await.unwrap();
    }
    let report = until(&engine, COUNTS, |r| r.state == "ERROR").await;
    assert!(report.error.as_ref().unwrap().contains("injected Write fault"), "{report:?}");
    assert!(shown(&engine, COUNTS).await.contains("ERROR"));
    until_rows(&engine, "SELECT * FROM others;", &["b 3"]).await;
    assert!(run(&engine, "SELECT * FROM counts;").await.unwrap().is_empty(), "nothing that is not committed is seen");
    sim.disk.heal();
    until_rows(&engine, "SELECT * FROM counts;", &["a 3"]).await;
    until(&engine, COUNTS, |r| r.state == "RUNNING").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_unreadable_file_stops_the_queries_that_need_it() {
    let (sim, engine) = world().await;
    sim.disk.inject(FaultOp::Read, &place(&engine, "s"), u32::MAX);
    insert(&engine, "s", "a").await.unwrap();
    insert(&engine, "other", "b").await.unwrap();
    let report = until(&engine, COUNTS, |r| r.state == "ERROR").await;
    assert!(report.error.as_ref().unwrap().contains("injected Read fault"), "{report:?}");
    until_rows(&engine, "SELECT * FROM others;", &["b 1"]).await;
    sim.disk.heal();
    until_rows(&engine, "SELECT * FROM counts;", &["a 1"]).await;
    until(&engine, COUNTS, |r| r.state == "RUNNING").await;
}

fn flip(sim: &Simulation, files: &[PathBuf]) {
    assert!(!files.is_empty());
    for file in files {
        sim.disk.flip(file, 120, 0x40).unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_damaged_segment_is_named_and_stops_who_reads_it() {
    let (sim, engine) = world().await;
    run(&engine, &format!("PAUSE {COUNTS};")).await.unwrap();
    until(&engine, COUNTS, |r| r.state == "PAUSED").await;
    for key in ["a", "b", "a"] {
        insert(&engine, "s", key).await.unwrap();
        insert(&engine, "other", key).await.unwrap();
    }
    let files = files_of(&sim, &engine, "s");
    let engine = restart(&sim, engine, || flip(&sim, &files)).await;
    run(&engine, &format!("RESUME {COUNTS};")).await.unwrap();
    let report = until(&engine, COUNTS, |r| r.state == "ERROR").await;
    assert!(report.error.as_ref().unwrap().contains("s-0 is damaged at offset"), "{report:?}");
    let error = run(&engine, "SELECT * FROM s;").await.unwrap_err();
    assert!(error.contains("s-0 is damaged at offset"), "{error}");
    until_rows(&engine, "SELECT * FROM others;", &["a 2", "b 1"]).await;
    // Its file is put back from a backup.
    flip(&sim, &files);
    until_rows(&engine, "SELECT * FROM counts;", &["a 2", "b 1"]).await;
    until(&engine, COUNTS, |r| r.state == "RUNNING").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_damaged_state_stops_its_query_and_not_the_server() {
    let (sim, engine) = world().await;
    for key in ["a", "b", "a"] {
        insert(&engine, "s", key).await.unwrap();
        insert(&engine, "other", key).await.unwrap();
    }
    until_rows(&engine, "SELECT * FROM counts;", &["a 2", "b 1"]).await;
    until_rows(&engine, "SELECT * FROM others;", &["a 2", "b 1"]).await;
    let changelog = format!("_millstream-{COUNTS}-changelog");
    let files = files_of(&sim, &engine, &changelog);
    let engine = restart(&sim, engine, || flip(&sim, &files)).await;
    let report = until(&engine, COUNTS, |r| r.state == "ERROR").await;
    assert!(report.error.as_ref().unwrap().contains(&format!("{changelog}-0 is damaged at offset")), "{report:?}");
    insert(&engine, "s", "b").await.unwrap();
    insert(&engine, "other", "b").await.unwrap();
    until_rows(&engine, "SELECT * FROM others;", &["a 2", "b 2"]).await;
    flip(&sim, &files);
    until_rows(&engine, "SELECT * FROM counts;", &["a 2", "b 2"]).await;
    assert!(!shown(&engine, OTHERS).await.contains("ERROR"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_topic_that_is_gone_stops_who_reads_it_and_not_the_start() {
    let (sim, engine) = world().await;
    insert(&engine, "s", "a").await.unwrap();
    until_rows(&engine, "SELECT * FROM counts;", &["a 1"]).await;
    engine.log().delete_topic("s").await.unwrap();
    let gone = |r: &engine::QueryReport| r.error.as_ref().is_some_and(|e| e.contains("topic s"));
    until(&engine, COUNTS, gone).await;
    let engine = restart(&sim, engine, || ()).await;
    until(&engine, COUNTS, gone).await;
    insert(&engine, "other", "b").await.unwrap();
    until_rows(&engine, "SELECT * FROM others;", &["b 1"]).await;
    // Another topic of that name is read from its beginning.
    create_topic(&engine, "s", 1, &[]).await;
    for key in ["a", "b", "c", "d"] {
        insert(&engine, "s", key).await.unwrap();
    }
    until_rows(&engine, "SELECT * FROM counts;", &["a 2", "b 1", "c 1", "d 1"]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_record_that_is_too_long_for_the_sink_costs_itself() {
    let sim = Host::simulated(7, 1_000_000);
    let engine = open(&sim, config()).await;
    create_topic(&engine, "s", 1, &[("max.message.bytes", "9000000")]).await;
    let setup = "CREATE STREAM s (k VARCHAR KEY, v VARCHAR) WITH (kafka_topic = 's', value_format = 'JSON');
                 CREATE STREAM out AS SELECT k, v FROM s EMIT CHANGES;";
    run(&engine, setup).await.unwrap();
    let long = "x".repeat(1_100_000);
    for value in ["one", long.as_str(), "two"] {
        let value = format!("{{\"V\":\"{value}\"}}");
        write(&engine, vec![("s", 0, batch(&[(Some(b"k"), Some(value.as_bytes()), 1)]))]).await;
    }
    until_rows(&engine, "SELECT v FROM out;", &["one", "two"]).await;
    let report = until(&engine, "CSAS_OUT_0", |r| r.unwritable == 1).await;
    assert_eq!(report.state, "RUNNING");
    let wanted = "UNWRITABLE the record takes 1100041 bytes, and a batch of OUT 1048588 (max.message.bytes) s 0 1";
    until_rows(
        &engine,
        "SELECT kind, error, source_topic, source_partition, source_offset FROM processing_log;",
        &[wanted],
    )
    .await;
    // Many that fit alone but not together.
    let half = "y".repeat(600_000);
    let value = format!("{{\"V\":\"{half}\"}}");
    let record = (Some(&b"k"[..]), Some(value.as_bytes()), 1);
    write(&engine, vec![("s", 0, batch(&[record, record, record]))]).await;
    until_rows(&engine, "SELECT COUNT(*) AS n FROM out;", &["5"]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_long_records_that_cannot_be_decoded_cost_themselves() {
    let (_sim, engine) = world().await;
    let bad = "{".repeat(900);
    let records: Vec<_> = (0..1_000).map(|_| (Some(&b"k"[..]), Some(bad.as_bytes()), 1)).collect();
    for _ in 0..4 {
        write(&engine, vec![("s", 0, batch(&records))]).await;
    }
    insert(&engine, "s", "a").await.unwrap();
    until_rows(&engine, "SELECT * FROM counts;", &["a 1"]).await;
    let report = until(&engine, COUNTS, |r| r.undecodable == 4_000).await;
    assert_eq!(report.state, "RUNNING");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_state_that_grows_too_large_stops_its_query_by_name() {
    const BYTES_MAX: u64 = 4 << 20;
    let sim = Host::simulated(7, 1_000_000);
    let engine = open(&sim, EngineConfig { state_bytes_max: Some(BYTES_MAX), ..config() }).await;
    run(&engine, SETUP).await.unwrap();
    let keys: Vec<String> = (0..50_000).map(|n| format!("key {n:0100}")).collect();
    for keys in keys.chunks(5_000) {
        let records: Vec<_> = keys.iter().map(|k| (Some(k.as_bytes()), Some(&b"{}"[..]), 1)).collect();
        write(&engine, vec![("s", 0, batch(&records))]).await;
    }
    let report = until(&engine, COUNTS, |r| r.state == "ERROR").await;
    let error = report.error.unwrap();
    assert!(error.contains(COUNTS) && error.contains("memory") && error.contains(&BYTES_MAX.to_string()), "{error}");
    insert(&engine, "other", "b").await.unwrap();
    until_rows(&engine, "SELECT * FROM others;", &["b 1"]).await;
    // With more memory it goes on where it was.
    engine.shutdown().await;
    drop(engine);
    let engine = open(&sim, config()).await;
    until_rows(&engine, "SELECT COUNT(*) AS n, SUM(n) AS total FROM counts;", &["50000 50000"]).await;
}

/// A schema registry elsewhere, which is not always to be reached.
#[derive(Default)]
struct Elsewhere {
    schemas: formats::MemoryRegistry,
    is_down: std::sync::atomic::AtomicBool,
}

impl Elsewhere {
    fn reached(&self) -> types::Result<&formats::MemoryRegistry> {
        match self.is_down.load(std::sync::atomic::Ordering::SeqCst) {
            true => Err(types::Error::unavailable("the registry is away")),
            false => Ok(&self.schemas),
        }
    }
}

impl formats::SchemaRegistry for Elsewhere {
    fn register(&self, subject: &str, schema: &formats::SchemaText) -> types::Result<i32> {
        self.reached()?.register(subject, schema)
    }

    fn by_id(&self, id: i32) -> types::Result<Option<Arc<formats::RegisteredSchema>>> {
        self.reached()?.by_id(id)
    }

    fn latest(&self, subject: &str) -> types::Result<Option<Arc<formats::RegisteredSchema>>> {
        self.reached()?.latest(subject)
    }

    fn version(&self, subject: &str, version: i32) -> types::Result<Option<Arc<formats::RegisteredSchema>>> {
        self.reached()?.version(subject, version)
    }

    fn subjects_of(&self, id: i32) -> types::Result<Vec<String>> {
        self.reached()?.subjects_of(id)
    }

    fn delete_subject(&self, subject: &str) -> types::Result<()> {
        self.reached()?.delete_subject(subject)
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_schema_registry_that_is_away_costs_no_record() {
    use std::sync::atomic::Ordering;

    for format in ["AVRO", "PROTOBUF"] {
        let sim = Host::simulated(7, 1_000_000);
        let registry = Arc::new(Elsewhere::default());
        let config = EngineConfig { registry: Some(registry.clone()), ..config() };
        let engine = open(&sim, config.clone()).await;
        let setup = format!(
            "CREATE STREAM s (k VARCHAR KEY, v BIGINT) WITH (kafka_topic = 's', value_format = '{format}', partitions = 1);
             CREATE TABLE counts WITH (value_format = 'JSON') AS SELECT k, COUNT(v) AS n FROM s GROUP BY k EMIT CHANGES;
             PAUSE {COUNTS};"
        );
        run(&engine, &setup).await.unwrap();
        insert(&engine, "s", "a").await.unwrap();
        insert(&engine, "s", "a").await.unwrap();
        engine.shutdown().await;
        drop(engine);
        let engine = open(&sim, config).await;
        registry.is_down.store(true, Ordering::SeqCst);
        run(&engine, &format!("RESUME {COUNTS};")).await.unwrap();
        let report = until(&engine, COUNTS, |r| r.state == "ERROR").await;
        assert!(report.error.as_ref().unwrap().contains("the registry is away"), "{report:?}");
        registry.is_down.store(false, Ordering::SeqCst);
        until_rows(&engine, "SELECT * FROM counts;", &["a 2"]).await;
        let report = until(&engine, COUNTS, |r| r.state == "RUNNING").await;
        assert_eq!(report.undecodable, 0);
    }
}
