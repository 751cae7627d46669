//! Every kind of query gives the same records, in the same order, however its input is cut into epochs, also when the
//! machine dies between, and the same for each key on any number of partitions. On a log that gives no numbers it gives
//! the same records as on one that does, where the order by time is that of arrival.
//!
//! What is right is said by the operators' own oracles; here the whole way is held against itself: sources, exchanges,
//! commits, recovery.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use crate::support::*;
use engine::{Cut, Engine, EngineConfig};
use host::{Host, Simulation};
use rand::{Rng, SeedableRng, rngs::StdRng};
use recordlog::{
    TopicPartition,
    batch::{RecordRanges, decode_ranges},
    partitioner::partition_for_key,
};

const SOURCES: &str = "
    CREATE STREAM s (k VARCHAR KEY, v BIGINT, w VARCHAR, arr ARRAY<BIGINT>) WITH (kafka_topic = 's', value_format = 'JSON');
    CREATE STREAM r (k VARCHAR KEY, v BIGINT) WITH (kafka_topic = 'r', value_format = 'JSON');
    CREATE TABLE t (k VARCHAR PRIMARY KEY, v BIGINT, f VARCHAR) WITH (kafka_topic = 't', value_format = 'JSON');
    CREATE TABLE u (k VARCHAR PRIMARY KEY, v BIGINT) WITH (kafka_topic = 'u', value_format = 'JSON');
    CREATE STREAM merged (k VARCHAR KEY, v BIGINT) WITH (kafka_topic = 'MERGED', value_format = 'JSON');
";

/// Name of the output, and the query.
const QUERIES: &[(&str, &str)] = &[
    ("FILTERED", "STREAM filtered AS SELECT k, v + 1 AS v, UCASE(w) AS w FROM s WHERE v > 0 OR w IS NULL"),
    ("EXPLODED", "STREAM exploded AS SELECT k, EXPLODE(arr) AS x, v FROM s"),
    ("REKEYED", "STREAM rekeyed AS SELECT * FROM s PARTITION BY w"),
    ("COUNTS", "TABLE counts AS SELECT w, COUNT(*) AS n, SUM(v) AS total, MIN(v) AS low FROM s GROUP BY w"),
    ("LARGE", "TABLE large AS SELECT k, COUNT(*) AS n FROM s GROUP BY k HAVING COUNT(*) > 2 AND SUM(v) < 30"),
    ("TUMBLED", "TABLE tumbled AS SELECT w, COUNT(*) AS n FROM s
                 WINDOW TUMBLING (SIZE 10 MILLISECONDS, GRACE PERIOD 5 MILLISECONDS) GROUP BY w"),
    ("HOPPED", "TABLE hopped AS SELECT k, SUM(v) AS n FROM s
                WINDOW HOPPING (SIZE 10 MILLISECONDS, ADVANCE BY 4 MILLISECONDS, GRACE PERIOD 5 MILLISECONDS) GROUP BY k"),
    ("SESSIONS", "TABLE sessions AS SELECT w, COUNT(*) AS n FROM s
                  WINDOW SESSION (4 MILLISECONDS, GRACE PERIOD 5 MILLISECONDS) GROUP BY w"),
    ("TUMBLED_FINAL", "TABLE tumbled_final AS SELECT w, COUNT(*) AS n FROM s
                       WINDOW TUMBLING (SIZE 10 MILLISECONDS, GRACE PERIOD 5 MILLISECONDS) GROUP BY w EMIT FINAL"),
    ("HOPPED_FINAL", "TABLE hopped_final AS SELECT k, COUNT(*) AS n FROM s
                      WINDOW HOPPING (SIZE 10 MILLISECONDS, ADVANCE BY 5 MILLISECONDS, GRACE PERIOD 0 MILLISECONDS)
                      GROUP BY k EMIT FINAL"),
    ("SESSIONS_FINAL", "TABLE sessions_final AS SELECT k, COUNT(*) AS n FROM s
                        WINDOW SESSION (4 MILLISECONDS, GRACE PERIOD 2 MILLISECONDS) GROUP BY k EMIT FINAL"),
    ("BY_F", "TABLE by_f AS SELECT f, COUNT(*) AS n, SUM(v) AS total FROM t GROUP BY f"),
    ("ENRICHED", "STREAM enriched AS SELECT s.k AS k, s.v AS v, t.v AS tv FROM s LEFT JOIN t ON s.k = t.k"),
    ("ENRICHED_INNER", "STREAM enriched_inner AS SELECT s.k AS k, s.v AS v, t.f AS f FROM s JOIN t ON s.k = t.k"),
    ("PAIRS", "STREAM pairs AS SELECT s.k AS k, s.v AS v, r.v AS rv FROM s JOIN r
               WITHIN (3 MILLISECONDS, 5 MILLISECONDS) GRACE PERIOD 4 MILLISECONDS ON s.k = r.k"),
    ("PAIRS_LEFT", "STREAM pairs_left AS SELECT s.k AS k, s.v AS v, r.v AS rv FROM s LEFT JOIN r
                    WITHIN 4 MILLISECONDS GRACE PERIOD 2 MILLISECONDS ON s.k = r.k"),
    ("PAIRS_FULL", "STREAM pairs_full AS SELECT ROWKEY AS k, s.v AS v, r.v AS rv FROM s FULL OUTER JOIN r
                    WITHIN 4 MILLISECONDS GRACE PERIOD 0 MILLISECONDS ON s.k = r.k"),
    ("BOTH", "TABLE both AS SELECT t.k AS k, t.v AS tv, u.v AS uv FROM t JOIN u ON t.k = u.k"),
    ("BOTH_LEFT", "TABLE both_left AS SELECT t.k AS k, t.v AS tv, u.v AS uv FROM t LEFT JOIN u ON t.k = u.k"),
    ("BOTH_FULL", "TABLE both_full AS SELECT ROWKEY AS k, t.v AS tv, u.v AS uv FROM t FULL OUTER JOIN u ON t.k = u.k"),
    ("POINTED", "TABLE pointed AS SELECT t.k AS k, t.f AS f, u.v AS uv FROM t JOIN u ON t.f = u.k"),
    ("POINTED_LEFT", "TABLE pointed_left AS SELECT t.k AS k, t.f AS f, u.v AS uv FROM t LEFT JOIN u ON t.f = u.k"),
    ("CHAINED", "TABLE chained AS SELECT k, n + 1 AS n FROM large WHERE n > 3"),
    ("REKEYED_COUNTS", "TABLE rekeyed_counts AS SELECT f, SUM(uv) AS total FROM pointed GROUP BY f"),
    ("DISTINCT_W", "TABLE distinct_w AS SELECT DISTINCT w FROM s"),
    ("DISTINCT_F", "TABLE distinct_f WITH (key_format = 'JSON') AS SELECT DISTINCT f, v % 2 AS odd FROM t"),
    ("DISTINCT_WINDOWS", "TABLE distinct_windows AS SELECT DISTINCT w FROM s
                          WINDOW HOPPING (SIZE 10 MILLISECONDS, ADVANCE BY 4 MILLISECONDS, GRACE PERIOD 5 MILLISECONDS)"),
    ("NULL_COUNTS", "TABLE null_counts WITH (key_format = 'JSON') AS
                     SELECT w, COUNT(*) AS n FROM s GROUP BY w INCLUDE NULLS"),
    ("NULL_FS", "TABLE null_fs WITH (key_format = 'JSON') AS
                 SELECT f, COUNT(*) AS n, MAX(v) AS high, STRING_AGG(k, ',') AS ks FROM t GROUP BY f INCLUDE NULLS"),
    ("NULL_FS_ON", "TABLE null_fs_on AS SELECT f, n + 1 AS n FROM null_fs WHERE n > 0"),
    ("ENRICHED_IF", "STREAM enriched_if AS SELECT s.k AS k, s.v AS v, t.v AS tv
                     FROM s LEFT JOIN t ON s.k = t.k AND s.v > t.v"),
    ("PAIRS_IF", "STREAM pairs_if AS SELECT ROWKEY AS k, s.v AS v, r.v AS rv FROM s FULL OUTER JOIN r
                  WITHIN 4 MILLISECONDS GRACE PERIOD 2 MILLISECONDS ON s.k = r.k AND s.v > r.v"),
    ("PAIRS_SELF", "STREAM pairs_self AS SELECT a.k AS k, a.v AS v, b.v AS bv FROM s a JOIN s b
                    WITHIN 4 MILLISECONDS GRACE PERIOD 2 MILLISECONDS ON a.k = b.k AND a.w = b.w"),
    ("BOTH_IF", "TABLE both_if AS SELECT t.k AS k, t.v AS tv, u.v AS uv FROM t LEFT JOIN u ON t.k = u.k AND u.v > t.v"),
    ("POINTED_IF", "TABLE pointed_if AS SELECT t.k AS k, t.f AS f, u.v AS uv FROM t LEFT JOIN u ON t.f = u.k AND u.v > t.v"),
    ("POINTED_SELF", "TABLE pointed_self AS SELECT a.k AS k, b.v AS bv FROM t a LEFT JOIN t b ON a.f = b.k"),
    ("POINTED_TWICE", "TABLE pointed_twice AS SELECT t.k AS k, a.v AS av, b.v AS bv
                       FROM t JOIN u a ON t.f = a.k LEFT JOIN u b ON UCASE(t.f) = UCASE(t.k) AND LCASE(t.f) = b.k"),
    ("POINTED_CHAIN", "TABLE pointed_chain AS SELECT t.k AS k, b.f AS bf, u.v AS uv
                       FROM t LEFT JOIN t b ON t.f = b.k LEFT JOIN u ON b.f = u.k"),
    ("POINTED_AFTER", "TABLE pointed_after AS SELECT t.k AS k, u.v AS uv, c.v AS cv
                       FROM t JOIN u ON t.k = u.k JOIN u c ON t.f = c.k"),
    ("CHAIN_TOTALS", "TABLE chain_totals AS SELECT x.bf AS bf, COUNT(*) AS n, SUM(x.uv) AS total FROM
                      (SELECT t.k AS k, b.f AS bf, u.v AS uv FROM t JOIN t b ON t.f = b.k JOIN u ON b.f = u.k) x
                      GROUP BY x.bf"),
    ("", "INSERT INTO merged SELECT k, v FROM s WHERE v > 3"),
    ("MERGED", "INSERT INTO merged SELECT k, v FROM r"),
];

/// The output that several queries write.
const SHARED: &str = "MERGED";

/// A record of the input.
#[derive(Clone)]
struct Written {
    topic: &'static str,
    key: Option<String>,
    value: Option<String>,
    time: i64,
}

/// Records, some of them late or of one time; or each later than the one before.
fn input(rng: &mut StdRng, rising: bool) -> Vec<Written> {
    let count = rng.random_range(1..120);
    let (mut now, mut out) = (1_000, vec![]);
    for _ in 0..count {
        let topic = ["s", "s", "r", "t", "u"][rng.random_range(0..5)];
        now += rng.random_range(i64::from(rising)..4);
        let late = if !rising && rng.random_bool(0.3) { rng.random_range(0..25) } else { 0 };
        let table = topic == "t" || topic == "u";
        let name = |rng: &mut StdRng| format!("key{}", rng.random_range(0..5));
        let key = (table || rng.random_bool(0.95)).then(|| name(rng));
        let int = |rng: &mut StdRng| match rng.random_range(0..10) {
            0 => "null".to_string(),
            _ => rng.random_range(-5..10).to_string(),
        };
        let text = |rng: &mut StdRng| match rng.random_range(0..10) {
            0 => "null".to_string(),
            _ => format!("\"{}\"", name(rng)),
        };
        let value = match topic {
            "s" => {
                let items: Vec<String> = (0..rng.random_range(0..4)).map(|_| int(rng)).collect();
                format!(r#"{{"V": {}, "W": {}, "ARR": [{}]}}"#, int(rng), text(rng), items.join(", "))
            }
            "t" => format!(r#"{{"V": {}, "F": {}}}"#, int(rng), text(rng)),
            _ => format!(r#"{{"V": {}}}"#, int(rng)),
        };
        let value = match rng.random_range(0..20) {
            0 => Some("not JSON".to_string()),
            1..3 => None,
            3..6 if table => None,
            _ => Some(value),
        };
        out.push(Written { topic, key, value, time: now - late });
    }
    out
}

/// How the input is given.
#[derive(Debug, Clone, Copy)]
enum Way {
    OneByOne,
    AllAtOnce,
    /// In pieces, each driven before the next one is there.
    Cut,
    /// At random moments the machine dies.
    Crashes,
}

/// Records of an output: partition → (key, value, time), in order.
type Outputs = BTreeMap<&'static str, BTreeMap<u32, Vec<(String, String, i64)>>>;

/// What queries are told.
#[derive(Debug, PartialEq)]
struct Told {
    /// Of the rows that were lost.
    lost: BTreeSet<String>,
    /// Of the tables' rows.
    kept: BTreeMap<&'static str, BTreeSet<String>>,
}

struct World {
    sim: Simulation,
    rng: StdRng,
    /// Whether its log numbers what arrives.
    numbered: bool,
    /// Whether state may take next to nothing of memory: then all that may leave it is read from disk.
    cold: bool,
}

impl World {
    async fn open(&self) -> Arc<Engine> {
        let (data_dir, state_hot_bytes) = (Some("/data".into()), self.cold.then_some(1));
        let config = EngineConfig { manual: true, data_dir, state_hot_bytes, ..EngineConfig::default() };
        match self.numbered {
            true => open(&self.sim, config).await,
            false => open_unnumbered(&self.sim, config).await,
        }
    }

    async fn set_up(&self, engine: &Arc<Engine>, partitions: u32) {
        for topic in ["s", "r", "t", "u", "MERGED"] {
            create_topic(engine, topic, partitions, &[("retention.ms", "-1")]).await;
        }
        run(engine, SOURCES).await.unwrap();
        for (_, query) in QUERIES {
            let create = if query.starts_with("INSERT") { "" } else { "CREATE " };
            let emit = if query.contains("EMIT FINAL") { "" } else { " EMIT CHANGES" };
            run(engine, &format!("{create}{query}{emit};")).await.unwrap();
        }
    }

    /// Drive until there is no more; a machine that dies is started again.
    async fn drive(&mut self, mut engine: Arc<Engine>, cut: Cut, crashes: bool) -> Arc<Engine> {
        for _ in 0..if crashes { 4 } else { 0 } {
            self.sim.disk.crash_after(self.rng.random_range(1..150));
            let driven = engine.drive(cut).await;
            if driven.is_ok() && !self.sim.disk.is_dead() {
                break;
            }
            drop(engine);
            self.sim = if self.rng.random() { self.sim.power_loss() } else { self.sim.kill() };
            engine = self.open().await;
        }
        if crashes {
            drop(engine);
            self.sim = self.sim.kill();
            engine = self.open().await;
        }
        engine.drive(cut).await.expect("drives");
        engine
    }
}

async fn outputs(
    (seed, numbered): (u64, bool),
    input: &[Written],
    partitions: u32,
    (way, cold): (Way, bool),
) -> (Outputs, Told) {
    let rng = StdRng::seed_from_u64(seed ^ 0x5eed);
    let mut world = World { sim: Host::simulated(seed, 1_000_000), rng, numbered, cold };
    let mut engine = world.open().await;
    world.set_up(&engine, partitions).await;
    let pieces = if matches!(way, Way::Cut | Way::Crashes) { world.rng.random_range(1..6) } else { 1 };
    for piece in input.chunks(input.len().div_ceil(pieces).max(1)) {
        for w in piece {
            let key = w.key.as_deref().map(str::as_bytes);
            let partition = key.map_or(0, |k| partition_for_key(k, partitions));
            let batch = batch(&[(key, w.value.as_deref().map(str::as_bytes), w.time)]);
            write(&engine, vec![(w.topic, partition, batch)]).await;
        }
        let cut = match way {
            Way::OneByOne => Cut::Records(1),
            Way::AllAtOnce => Cut::All,
            Way::Cut | Way::Crashes => Cut::Records(world.rng.random_range(1..40)),
        };
        engine = world.drive(engine, cut, matches!(way, Way::Crashes)).await;
    }
    let read = QUERIES.iter().filter(|q| !q.0.is_empty()).map(|(topic, _)| (*topic, read(&engine, topic)));
    let outputs = read.collect();
    let lost = run(&engine, "SELECT query, kind, error, source_topic, source_offset FROM processing_log;").await;
    let mut kept = BTreeMap::new();
    for (name, _) in QUERIES.iter().filter(|(_, query)| query.starts_with("TABLE") && !query.contains("WINDOW")) {
        let rows = run(&engine, &format!("SELECT ROWTIME, * FROM {name};")).await;
        kept.insert(*name, rows.unwrap().into_iter().collect());
    }
    (outputs, Told { lost: lost.unwrap().into_iter().collect(), kept })
}

fn read(engine: &Engine, topic: &str) -> BTreeMap<u32, Vec<(String, String, i64)>> {
    let log = engine.log();
    let partitions = log.topic(topic).unwrap().unwrap_or_else(|| panic!("topic {topic}")).config.partitions;
    let (mut out, mut ranges) = (BTreeMap::new(), RecordRanges::default());
    for partition in 0..partitions {
        let place = TopicPartition::new(topic, partition);
        let (mut next, end) = (0, log.offsets(&place).unwrap().end);
        let records: &mut Vec<_> = out.entry(partition).or_default();
        while next < end {
            for batch in log.read(&place, next, 1 << 20).unwrap() {
                next = batch.next_offset;
                decode_ranges(&batch.bytes, &mut ranges).unwrap();
                for i in 0..ranges.len() {
                    let text = |bytes: Option<&[u8]>| bytes.map_or("null".into(), |b| b.escape_ascii().to_string());
                    records.push((text(ranges.key(i)), text(ranges.value(i)), ranges.timestamps_ms[i]));
                }
            }
        }
    }
    out
}

/// The records of each key, of all partitions; of records without a key only which there are.
fn by_key(outputs: &BTreeMap<u32, Vec<(String, String, i64)>>) -> BTreeMap<&str, Vec<(&str, i64)>> {
    let mut out: BTreeMap<&str, Vec<(&str, i64)>> = BTreeMap::new();
    for (key, value, time) in outputs.values().flatten() {
        out.entry(key).or_default().push((value, *time));
    }
    if let Some(keyless) = out.get_mut("null") {
        keyless.sort_unstable();
    }
    out
}

async fn check(seed: u64) {
    let mut rng = StdRng::seed_from_u64(seed);
    let input = input(&mut rng, false);
    let mut one: Option<Outputs> = None;
    for partitions in [1, 3] {
        let (want, told) = outputs((seed, true), &input, partitions, (Way::OneByOne, false)).await;
        let ways =
            [(Way::AllAtOnce, false), (Way::Cut, false), (Way::Cut, true), (Way::Crashes, seed.is_multiple_of(2))];
        for way in ways {
            let (got, also_told) = outputs((seed, true), &input, partitions, way).await;
            for (topic, want) in &want {
                let (mut got, mut want) = (got[topic].clone(), want.clone());
                if *topic == SHARED {
                    // Two queries write it, and nothing says which of them is first.
                    got.values_mut().chain(want.values_mut()).for_each(|records| records.sort_unstable());
                }
                assert_eq!(got, want, "{topic}, {way:?}, {partitions} partitions, seed {seed}");
            }
            assert_eq!(also_told, told, "{way:?}, {partitions} partitions, seed {seed}");
        }
        if let Some(one) = &one {
            for (topic, one) in one {
                if *topic == SHARED {
                    continue;
                }
                assert_eq!(by_key(&want[topic]), by_key(one), "{topic} over {partitions} partitions, seed {seed}");
            }
        }
        one.get_or_insert(want);
    }
}

/// Seeds that are tried.
const SEEDS: u64 = 12;

fn seeds() -> std::ops::Range<u64> {
    let from = std::env::var("MILLSTREAM_SEED").ok().and_then(|s| s.parse().ok()).unwrap_or(0);
    let seeds = std::env::var("MILLSTREAM_SEEDS").ok().and_then(|s| s.parse().ok()).unwrap_or(SEEDS);
    from..from + seeds
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn outputs_do_not_depend_on_cuts_crashes_and_partitions() {
    for seed in seeds() {
        check(seed).await;
    }
}

async fn check_unnumbered(seed: u64) {
    let mut rng = StdRng::seed_from_u64(seed);
    let input = input(&mut rng, true);
    for partitions in [1, 3] {
        let (want, told) = outputs((seed, true), &input, partitions, (Way::OneByOne, false)).await;
        for way in [Way::OneByOne, Way::AllAtOnce, Way::Cut, Way::Crashes] {
            let (got, also_told) = outputs((seed, false), &input, partitions, (way, false)).await;
            for (topic, want) in want.iter().filter(|(topic, _)| **topic != SHARED) {
                assert_eq!(&got[topic], want, "{topic}, {way:?}, {partitions} partitions, seed {seed}");
            }
            assert_eq!(also_told, told, "{way:?}, {partitions} partitions, seed {seed}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_log_without_numbers_gives_the_same_where_time_is_the_order_of_arrival() {
    for seed in seeds() {
        check_unnumbered(seed).await;
    }
}
