//! The real server, killed at random moments while clients write to it and queries of every kind run: afterwards what
//! was acknowledged is there once and in order, and every query's output and state are what its input says.
//!
//! `MILLSTREAM_KILLS` is the number of kills, `MILLSTREAM_SEED` repeats a run.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant, SystemTime},
};

use engine::{Cut, Engine, EngineConfig, Outcome};
use futures::StreamExt;
use rand::{Rng, SeedableRng, rngs::StdRng};
use recordlog::RecordLog;
use serde_json::Value;

use super::{
    load::{self, Churner, Producer, Write},
    process::{PATIENCE, Server},
    queries::{self, Input, Output},
    topics,
};

/// Kills when nobody says how many.
const KILLS_DEFAULT: u32 = 25;
/// Clients that write.
const PRODUCERS: u32 = 3;
/// Statements that are acknowledged between two kills, at most.
const STATEMENTS_MAX: u64 = 40;
/// A restart in this many is killed before it is done.
const EARLY: f64 = 0.2;
/// The longest that a kill waits beyond the event that it follows.
const DELAY_MAX_US: u64 = 20_000;

fn number_from_environment<T: std::str::FromStr>(name: &str) -> Option<T> {
    std::env::var(name).ok().map(|text| text.parse().unwrap_or_else(|_| panic!("{name} is no number")))
}

/// Journals short, cleaning all the time: kills fall into checkpoints and compactions, too.
const CONFIG: &str = "[log]\ncheckpoint_bytes = 200000\nmaintenance_interval_ms = 20\n";

#[test]
fn nothing_acknowledged_is_lost_and_nothing_is_there_twice() {
    let kills = number_from_environment("MILLSTREAM_KILLS").unwrap_or(KILLS_DEFAULT);
    let seed = number_from_environment("MILLSTREAM_SEED").unwrap_or_else(rand::random);
    println!("MILLSTREAM_KILLS={kills} MILLSTREAM_SEED={seed}");
    let dir = tempfile::tempdir().unwrap();
    let config = dir.path().join("config.toml");
    std::fs::write(&config, CONFIG).unwrap();
    let data = dir.path().join("data");
    let mut world = World::new(seed);
    let arguments = ["--config", config.to_str().unwrap()];
    world.set_up(&data, &arguments);
    let began = Instant::now();
    for _ in 0..kills {
        world.kill(&data, &arguments);
    }
    println!("{kills} kills in {:?}, {} of them early", began.elapsed(), world.early);
    let mut server = Server::start(&data, &arguments);
    server.ready();
    let (status, log) = server.terminate();
    assert!(status.success(), "SIGTERM ends the server cleanly: {status}\n{log}");
    world.runtime.block_on(check(&data, &world.producers, &world.churner));
}

struct World {
    rng: StdRng,
    runtime: tokio::runtime::Runtime,
    producers: Vec<Producer>,
    churner: Churner,
    early: u32,
}

impl World {
    fn new(seed: u64) -> World {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
        let now_ms = i64::try_from(now.as_millis()).unwrap();
        World {
            rng: StdRng::seed_from_u64(seed),
            runtime: tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap(),
            producers: (0..PRODUCERS).map(|p| Producer::new(p, seed, now_ms)).collect(),
            churner: Churner::default(),
            early: 0,
        }
    }

    fn set_up(&mut self, data: &Path, arguments: &[&str]) {
        let mut server = Server::start(data, arguments);
        let address = server.ready();
        self.runtime.block_on(async {
            let client = load::connect(address).await.expect("connects");
            client.batch_execute(queries::SOURCES).await.expect("the streams are created");
            client.batch_execute(queries::CACHED).await.expect("the query is created");
            assert!(load::no_cache(&client).await);
            client.batch_execute(queries::QUERIES).await.expect("the queries are created");
        });
        server.kill();
    }

    /// A life of the server, and its end.
    fn kill(&mut self, data: &Path, arguments: &[&str]) {
        let mut server = Server::start(data, arguments);
        let delay = Duration::from_micros(self.rng.random_range(0..DELAY_MAX_US));
        if self.rng.random_bool(EARLY) {
            std::thread::sleep(delay * 10);
            self.early += 1;
            return server.kill();
        }
        let address = server.ready();
        let statements = self.rng.random_range(0..STATEMENTS_MAX);
        let acknowledged = Arc::new(AtomicU64::new(0));
        let (producers, churner) = (&mut self.producers, &mut self.churner);
        self.runtime.block_on(async {
            let clients = producers.iter_mut().map(|p| p.work(address, acknowledged.clone()));
            let clients = async { tokio::join!(futures::future::join_all(clients), churner.work(address)) };
            let killer = async {
                let enough = async {
                    while acknowledged.load(Ordering::SeqCst) < statements {
                        tokio::task::yield_now().await;
                    }
                };
                let waited = tokio::time::timeout(PATIENCE, enough).await;
                assert!(waited.is_ok(), "the server hangs:\n{}", server.log());
                tokio::time::sleep(delay).await;
                tokio::task::spawn_blocking(move || server.kill()).await.unwrap();
            };
            tokio::join!(clients, killer);
        });
    }
}

/// What the data directory holds is what was acknowledged and what follows from it.
async fn check(data: &Path, producers: &[Producer], churner: &Churner) {
    let config = EngineConfig { data_dir: Some(data.to_path_buf()), manual: true, ..EngineConfig::default() };
    let engine = Engine::open(config.clone()).await.expect("the data directory opens");
    engine.drive(Cut::All).await.expect("queries finish what there is");
    let log = engine.log();
    let read = |topic: &str| topics::read(&*log, topic);
    let input = Input { events: read("events"), pays: read("pays"), accounts: read("accounts") };
    println!("{} events, {} pays, {} accounts", input.events.len(), input.pays.len(), input.accounts.len());
    check_writes(producers, &input);
    check_outputs(&*log, &input);
    let tables = tables(&engine).await;
    check_tables(&tables, &input);
    match churner.exists {
        Some(exists) => {
            assert_eq!(log.topic("CHURNED").unwrap().is_some(), exists, "the last CREATE or DROP was acknowledged")
        }
        None => println!("the last CREATE or DROP was not acknowledged"),
    }
    if log.topic("CHURNED").unwrap().is_some() && engine.catalog().source("CHURNED").is_some() {
        same("CHURNED", topics::by_key(&read("CHURNED")), queries::counts(&input));
    }
    // What was kept of the state is the state.
    engine.shutdown().await;
    drop(engine);
    let engine = Engine::open(config).await.expect("the data directory opens again");
    assert_eq!(self::tables(&engine).await, tables, "tables after another start");
}

/// Acknowledged rows are there once, in order; the others once or not at all; of a statement all or none.
fn check_writes(producers: &[Producer], input: &Input) {
    for (topic, records, name) in
        [("events", &input.events, "N"), ("pays", &input.pays, "N"), ("accounts", &input.accounts, "VER")]
    {
        let mut found = BTreeMap::new();
        let mut last = BTreeMap::new();
        for record in records.iter() {
            let Some(n) = record.int(name) else { continue };
            *found.entry(n).or_insert(0) += 1;
            let before = last.insert(record.key.clone(), n);
            assert!(before < Some(n), "{topic}: {n} comes after {before:?}");
        }
        let (mut known, mut lost) = (BTreeSet::<i64>::new(), 0);
        let writes = producers.iter().flat_map(|p| &p.writes).filter(|w| w.topic == topic);
        for Write { rows, acknowledged, .. } in writes {
            known.extend(rows);
            let times: BTreeSet<i32> = rows.iter().map(|n| found.get(n).copied().unwrap_or(0)).collect();
            lost += u32::from(times.contains(&0));
            match acknowledged {
                true => {
                    assert!(rows.is_empty() || times == BTreeSet::from([1]), "{topic}: {rows:?} are there {times:?}")
                }
                false => assert!(times.len() <= 1 && !times.contains(&2), "{topic}: {rows:?} are there {times:?}"),
            }
        }
        println!("{topic}: {lost} statements without an answer were not carried out");
        assert!(found.keys().all(|n| known.contains(n)), "{topic} has rows that nobody wrote");
    }
}

/// Output by output, key by key, record by record.
fn check_outputs(log: &dyn RecordLog, input: &Input) {
    let exact: &[(&str, fn(&Input) -> Output)] = &[
        ("filtered", queries::filtered),
        ("second", queries::second),
        ("rekeyed", queries::rekeyed),
        ("totals", queries::totals),
        ("tumbled", queries::tumbled),
        ("sessions", queries::sessions),
        ("enriched", queries::enriched),
        ("matched", queries::matched),
    ];
    for (topic, want) in exact {
        same(topic, topics::by_key(&topics::read(log, topic)), want(input));
    }
    let got = topics::by_key(&topics::read(log, "by_name"));
    let last: BTreeMap<_, _> = got.into_iter().filter_map(|(k, mut all)| Some((k, all.pop()?))).collect();
    assert_eq!(last, queries::by_name(input), "by_name");
    // With the cache on, some of the changes, in order, and the last one.
    let (got, want) = (topics::by_key(&topics::read(log, "cached")), queries::counts(input));
    assert_eq!(got.keys().collect::<Vec<_>>(), want.keys().collect::<Vec<_>>(), "cached");
    for (key, changes) in got {
        assert_eq!(changes.last(), want[&key].last(), "cached: the last count of {key:?}");
        let mut all = want[&key].iter();
        assert!(changes.iter().all(|c| all.any(|w| w == c)), "cached: the counts of {key:?} are out of order");
    }
}

fn same(topic: &str, mut got: Output, want: Output) {
    println!("{topic}: {} keys, {} records", want.len(), want.values().map(Vec::len).sum::<usize>());
    for (key, want) in want {
        let got = got.remove(&key).unwrap_or_default();
        if let Some(at) = (0..got.len().max(want.len())).find(|at| got.get(*at) != want.get(*at)) {
            let around =
                |all: &[Option<Value>]| all[at.saturating_sub(2).min(all.len())..(at + 3).min(all.len())].to_vec();
            panic!(
                "{topic}: key {:?}, record {at} of {}, expected {}\n got  {:?}\n want {:?}",
                String::from_utf8_lossy(&key),
                got.len(),
                want.len(),
                around(&got),
                around(&want)
            );
        }
    }
    assert!(got.is_empty(), "{topic}: keys that should not be there: {:?}", got.keys());
}

/// The rows of every table, as a lookup gives them.
async fn tables(engine: &Arc<Engine>) -> BTreeMap<&'static str, BTreeSet<String>> {
    let mut out = BTreeMap::new();
    for table in ["totals", "tumbled", "sessions", "by_name", "cached"] {
        let mut session = engine.session();
        let mut rows = BTreeSet::new();
        for statement in session.parse(&format!("SELECT * FROM {table};")).unwrap() {
            let prepared = session.prepare(&statement).await.unwrap();
            let Ok(Outcome::Rows(mut all)) = session.execute(&prepared, &[]).await else { panic!("{table} has rows") };
            while let Some(batch) = all.batches.next().await {
                let batch = batch.unwrap();
                let options = arrow::util::display::FormatOptions::default().with_null("null");
                for row in 0..batch.num_rows() {
                    let cells = batch.columns().iter().map(|c| {
                        let cells = arrow::util::display::ArrayFormatter::try_new(c, &options).unwrap();
                        cells.value(row).to_string()
                    });
                    assert!(rows.insert(cells.collect::<Vec<_>>().join(" ")), "{table} has a row twice");
                }
            }
        }
        out.insert(table, rows);
    }
    out
}

/// The tables' rows are the last values of their keys.
fn check_tables(tables: &BTreeMap<&'static str, BTreeSet<String>>, input: &Input) {
    let text = |value: &Value| match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    let rows = |output: Output, key: &dyn Fn(&[u8]) -> String, columns: &[&str]| -> BTreeSet<String> {
        let last = output.into_iter().filter_map(|(key, mut all)| Some((key, all.pop()??)));
        last.map(|(k, value)| columns.iter().fold(key(&k), |row, c| format!("{row} {}", text(&value[*c])))).collect()
    };
    let plain = |key: &[u8]| String::from_utf8_lossy(key).into_owned();
    let time = |bytes: &[u8]| i64::from_be_bytes(bytes.try_into().unwrap());
    let windowed = |key: &[u8]| {
        let (key, start) = key.split_at(key.len() - 8);
        format!("{} {} {}", plain(key), time(start), time(start) + 10_000)
    };
    let session = |key: &[u8]| {
        let (key, times) = key.split_at(key.len() - 16);
        format!("{} {} {}", plain(key), time(&times[8..]), time(&times[..8]))
    };
    let by_name = queries::by_name(input).into_iter().map(|(k, v)| (k, vec![v])).collect();
    assert_eq!(tables["totals"], rows(queries::totals(input), &plain, &["N", "TOTAL", "LEAST", "MOST"]));
    assert_eq!(tables["by_name"], rows(by_name, &plain, &["N", "VERS"]));
    assert_eq!(tables["cached"], rows(queries::counts(input), &plain, &["N"]));
    // Of windows the table keeps those that are young enough.
    for (table, all) in [
        ("tumbled", rows(queries::tumbled(input), &windowed, &["N", "TOTAL"])),
        ("sessions", rows(queries::sessions(input), &session, &["N", "TOTAL"])),
    ] {
        assert!(!tables[table].is_empty(), "{table} has rows");
        let strange: Vec<_> = tables[table].difference(&all).collect();
        assert!(strange.is_empty(), "{table} has rows that are not the last of their windows: {strange:?}");
    }
}
