//! What continuous queries come to in the end is what DataFusion computes at once over everything that was written: the
//! whole way from bytes to results, held against an engine that knows no changes, no state and no arrival.
//!
//! Rows are late, tables are updated and deleted from. What a row meets is said to DataFusion as columns: its place in
//! the order of arrival, the stream time at which it came, and for tables from when to when a row held.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use crate::support::{batch, create_topic, open, run, write};
use arrow::{
    array::{ArrayRef, Int64Array, RecordBatch, StringArray},
    util::display::{ArrayFormatter, FormatOptions},
};
use datafusion::{datasource::MemTable, prelude::SessionContext};
use engine::{Cut, EngineConfig};
use host::Host;
use rand::{Rng, SeedableRng, rngs::StdRng};
use recordlog::partitioner::partition_for_key;

const SOURCES: &str = "
    CREATE STREAM s (k VARCHAR KEY, v BIGINT, w VARCHAR) WITH (kafka_topic = 's', value_format = 'JSON');
    CREATE STREAM r (k VARCHAR KEY, v BIGINT, w VARCHAR) WITH (kafka_topic = 'r', value_format = 'JSON');
    CREATE TABLE t (k VARCHAR PRIMARY KEY, v BIGINT, w VARCHAR) WITH (kafka_topic = 't', value_format = 'JSON');
    CREATE TABLE u (k VARCHAR PRIMARY KEY, v BIGINT, w VARCHAR) WITH (kafka_topic = 'u', value_format = 'JSON');
";

/// A continuous query, how its result is read, and what DataFusion computes.
struct Case {
    query: &'static str,
    read: &'static str,
    theirs: &'static str,
}

const fn case(query: &'static str, read: &'static str, theirs: &'static str) -> Case {
    Case { query, read, theirs }
}

const CASES: &[Case] = &[
    case(
        "STREAM filtered AS SELECT k, v * 2 AS v2, w FROM s WHERE v > 0 OR w IS NULL",
        "SELECT k, v2, w FROM filtered",
        "SELECT k, v * 2, w FROM s WHERE v > 0 OR w IS NULL",
    ),
    case(
        "TABLE counts AS SELECT w, COUNT(*) AS n, COUNT(v) AS vs, MIN(v) AS low, MAX(v) AS high FROM s GROUP BY w",
        "SELECT w, n, vs, low, high FROM counts",
        "SELECT w, count(*), count(v), min(v), max(v) FROM s WHERE w IS NOT NULL GROUP BY w",
    ),
    case(
        "TABLE sums AS SELECT k, SUM(v) AS total, AVG(v) AS mean, COUNT_DISTINCT(w) AS ws FROM s WHERE v IS NOT NULL GROUP BY k \
         HAVING COUNT(*) > 1",
        "SELECT k, total, mean, ws FROM sums",
        "SELECT k, sum(v), avg(v), count(DISTINCT w) FROM s WHERE v IS NOT NULL GROUP BY k HAVING count(*) > 1",
    ),
    // A group that has lost its last row stays, with a count of 0, as in ksqlDB.
    case(
        "TABLE of_table AS SELECT w, COUNT(*) AS n, SUM(v) AS total FROM t WHERE v IS NOT NULL GROUP BY w",
        "SELECT w, n, total FROM of_table WHERE n > 0",
        "SELECT w, count(*), sum(v) FROM t_now WHERE v IS NOT NULL AND w IS NOT NULL GROUP BY w",
    ),
    case(
        "TABLE tumbled AS SELECT k, COUNT(*) AS n, MAX(v) AS high FROM s \
         WINDOW TUMBLING (SIZE 10 MILLISECONDS, RETENTION 1 DAY, GRACE PERIOD 6 MILLISECONDS) GROUP BY k",
        "SELECT k, WINDOWSTART, WINDOWEND, n, high FROM tumbled",
        "SELECT k, time / 10 * 10, time / 10 * 10 + 10, count(*), max(v) FROM s WHERE time / 10 * 10 + 16 > st \
         GROUP BY k, time / 10 * 10",
    ),
    case(
        "TABLE closed AS SELECT k, COUNT(*) AS n, MIN(v) AS low FROM s \
         WINDOW TUMBLING (SIZE 10 MILLISECONDS, RETENTION 1 DAY, GRACE PERIOD 6 MILLISECONDS) GROUP BY k EMIT FINAL",
        "SELECT k, WINDOWSTART, n, low FROM closed",
        "SELECT k, time / 10 * 10, count(*), min(v) FROM s WHERE time / 10 * 10 + 16 > st \
         GROUP BY k, time / 10 * 10 HAVING time / 10 * 10 + 16 <= (SELECT max(st) FROM s)",
    ),
    case(
        "TABLE hopped AS SELECT k, COUNT(*) AS n, COUNT(v) AS vs FROM s \
         WINDOW HOPPING (SIZE 12 MILLISECONDS, ADVANCE BY 4 MILLISECONDS, RETENTION 1 DAY, GRACE PERIOD 5 MILLISECONDS) GROUP BY k",
        "SELECT k, WINDOWSTART, WINDOWEND, n, vs FROM hopped",
        "SELECT k, a, a + 12, count(*), count(v) FROM (SELECT k, v, st, (time / 4 - i) * 4 AS a FROM s CROSS JOIN \
         (VALUES (0), (1), (2)) AS hops(i)) WHERE a + 17 > st GROUP BY k, a",
    ),
    case(
        "TABLE sat AS SELECT k, COUNT(*) AS n, MAX(v) AS high FROM s WINDOW SESSION (7 MILLISECONDS, RETENTION 2 DAYS) GROUP BY k",
        "SELECT k, WINDOWSTART, WINDOWEND, n, high FROM sat",
        "SELECT k, min(time), max(time), count(*), max(v) FROM (SELECT *, sum(CASE WHEN gap > 7 THEN 1 ELSE 0 END) \
         OVER (PARTITION BY k ORDER BY time, seq) AS island FROM (SELECT *, time - lag(time) OVER (PARTITION BY k ORDER BY time, seq) \
         AS gap FROM s)) GROUP BY k, island",
    ),
    case(
        "STREAM enriched AS SELECT s.k AS k, s.v AS v, t.v AS tv, t.w AS tw FROM s LEFT JOIN t ON s.k = t.k",
        "SELECT k, v, tv, tw FROM enriched",
        "SELECT s.k, s.v, h.v, h.w FROM s LEFT JOIN t_was h ON s.k = h.k AND h.since < s.seq AND s.seq < h.until",
    ),
    case(
        "STREAM pointing AS SELECT s.w AS w, s.v AS v, t.v AS tv FROM s JOIN t ON s.w = t.k",
        "SELECT w, v, tv FROM pointing",
        "SELECT s.w, s.v, h.v FROM s JOIN t_was h ON s.w = h.k AND h.since < s.seq AND s.seq < h.until",
    ),
    case(
        "STREAM pairs AS SELECT s.k AS k, s.v AS v, r.v AS rv FROM s JOIN r WITHIN (3 MILLISECONDS, 5 MILLISECONDS) \
         GRACE PERIOD 1 DAY ON s.k = r.k",
        "SELECT k, v, rv FROM pairs",
        "SELECT s.k, s.v, r.v FROM s JOIN r ON s.k = r.k AND r.time >= s.time - 3 AND r.time <= s.time + 5",
    ),
    case(
        "TABLE both AS SELECT t.k AS k, t.v AS tv, u.v AS uv FROM t JOIN u ON t.k = u.k",
        "SELECT k, tv, uv FROM both",
        "SELECT t.k, t.v, u.v FROM t_now t JOIN u_now u ON t.k = u.k",
    ),
    case(
        "TABLE both_left AS SELECT t.k AS k, t.v AS tv, u.v AS uv FROM t LEFT JOIN u ON t.k = u.k WHERE t.v > 0",
        "SELECT k, tv, uv FROM both_left",
        "SELECT t.k, t.v, u.v FROM t_now t LEFT JOIN u_now u ON t.k = u.k WHERE t.v > 0",
    ),
    case(
        "TABLE both_full AS SELECT ROWKEY AS k, t.v AS tv, u.v AS uv FROM t FULL OUTER JOIN u ON t.k = u.k",
        "SELECT k, tv, uv FROM both_full",
        "SELECT coalesce(t.k, u.k), t.v, u.v FROM t_now t FULL OUTER JOIN u_now u ON t.k = u.k",
    ),
    case(
        "TABLE foreign_keys AS SELECT t.k AS k, t.w AS w, u.v AS uv FROM t JOIN u ON t.w = u.k",
        "SELECT k, w, uv FROM foreign_keys",
        "SELECT t.k, t.w, u.v FROM t_now t JOIN u_now u ON t.w = u.k",
    ),
    case(
        "TABLE foreign_left AS SELECT t.k AS k, t.w AS w, u.v AS uv FROM t LEFT JOIN u ON t.w = u.k",
        "SELECT k, w, uv FROM foreign_left",
        "SELECT t.k, t.w, u.v FROM t_now t LEFT JOIN u_now u ON t.w = u.k",
    ),
    case(
        "TABLE by_pointed AS SELECT w, COUNT(*) AS n, COUNT(uv) AS us FROM foreign_left GROUP BY w",
        "SELECT w, n, us FROM by_pointed WHERE n > 0",
        "SELECT t.w, count(*), count(u.v) FROM t_now t LEFT JOIN u_now u ON t.w = u.k WHERE t.w IS NOT NULL GROUP BY t.w",
    ),
];

/// A record.
#[derive(Debug, Clone)]
struct Record {
    topic: &'static str,
    key: String,
    /// `None`: a deletion.
    value: Option<(Option<i64>, Option<String>)>,
    time: i64,
}

fn records(rng: &mut StdRng) -> Vec<Record> {
    let mut now = 1_000;
    let record = |rng: &mut StdRng| {
        let topic = ["s", "s", "s", "r", "t", "t", "u"][rng.random_range(0..7)];
        now += rng.random_range(0..4);
        let late = if rng.random_bool(0.3) { rng.random_range(0..30) } else { 0 };
        let key = |rng: &mut StdRng| format!("key{}", rng.random_range(0..5));
        let dead = matches!(topic, "t" | "u") && rng.random_bool(0.2);
        let v = rng.random_bool(0.9).then(|| rng.random_range(-5..10));
        let value = (v, rng.random_bool(0.9).then(|| key(rng)));
        Record { topic, key: key(rng), value: (!dead).then_some(value), time: now - late }
    };
    let count = rng.random_range(1..200);
    let mut record = record;
    (0..count).map(|_| record(rng)).collect()
}

/// Rows of a table of DataFusion: numbers and texts by column.
#[derive(Default)]
struct Rows {
    names: Vec<&'static str>,
    cells: Vec<Vec<Cell>>,
}

#[derive(Debug, Clone)]
enum Cell {
    Int(Option<i64>),
    Text(Option<String>),
}

impl Rows {
    fn new(names: &[&'static str]) -> Rows {
        Rows { names: names.to_vec(), cells: vec![] }
    }

    fn batch(&self) -> RecordBatch {
        let column = |(at, name): (usize, &&'static str)| -> (&'static str, ArrayRef) {
            let text = |row: &Vec<Cell>| if let Cell::Text(text) = &row[at] { text.clone() } else { None };
            let int = |row: &Vec<Cell>| if let Cell::Int(int) = row[at] { int } else { None };
            let array: ArrayRef = match *name {
                "k" | "w" => Arc::new(self.cells.iter().map(text).collect::<StringArray>()),
                _ => Arc::new(self.cells.iter().map(int).collect::<Int64Array>()),
            };
            (name, array)
        };
        RecordBatch::try_from_iter_with_nullable(self.names.iter().enumerate().map(column).map(|(n, a)| (n, a, true)))
            .unwrap()
    }
}

/// What was written, as DataFusion sees it.
fn oracle(records: &[Record]) -> SessionContext {
    let mut streams = HashMap::from([
        ("s", Rows::new(&["seq", "k", "v", "w", "time", "st"])),
        ("r", Rows::new(&["seq", "k", "v", "w", "time", "st"])),
    ]);
    let mut was = HashMap::from([
        ("t", Rows::new(&["k", "v", "w", "since", "until"])),
        ("u", Rows::new(&["k", "v", "w", "since", "until"])),
    ]);
    let mut now: HashMap<&str, BTreeMap<String, Vec<Cell>>> =
        HashMap::from([("t", BTreeMap::new()), ("u", BTreeMap::new())]);
    let mut times: HashMap<&str, i64> = HashMap::new();
    for (seq, record) in (0_i64..).zip(records) {
        let cells =
            record.value.clone().map(|(v, w)| vec![Cell::Text(Some(record.key.clone())), Cell::Int(v), Cell::Text(w)]);
        if let Some(stream) = streams.get_mut(record.topic) {
            let st = times.entry(record.topic).or_insert(i64::MIN);
            *st = record.time.max(*st);
            let cells =
                [vec![Cell::Int(Some(seq))], cells.unwrap(), vec![Cell::Int(Some(record.time)), Cell::Int(Some(*st))]];
            stream.cells.push(cells.concat());
            continue;
        }
        let (now, was) = (now.get_mut(record.topic).unwrap(), was.get_mut(record.topic).unwrap());
        if let Some(mut old) = now.remove(&record.key) {
            old.push(Cell::Int(Some(seq)));
            was.cells.push(old);
        }
        if let Some(mut cells) = cells {
            cells.push(Cell::Int(Some(seq)));
            now.insert(record.key.clone(), cells);
        }
    }
    let context = SessionContext::new();
    let register = |name: String, rows: &Rows| {
        let batch = rows.batch();
        let table = MemTable::try_new(batch.schema(), vec![vec![batch]]).unwrap();
        context.register_table(name, Arc::new(table)).unwrap();
    };
    for (name, rows) in &streams {
        register((*name).to_owned(), rows);
    }
    for (name, rows) in now {
        let was = was.get_mut(name).unwrap();
        let mut current = Rows::new(&["k", "v", "w"]);
        for mut cells in rows.into_values() {
            current.cells.push(cells[..3].to_vec());
            cells.push(Cell::Int(Some(i64::MAX)));
            was.cells.push(cells);
        }
        register(format!("{name}_now"), &current);
        register(format!("{name}_was"), was);
    }
    context
}

/// Rows as sorted lines of cells, as the engine's are read.
async fn theirs(context: &SessionContext, sql: &str) -> Vec<String> {
    let batches = context.sql(sql).await.unwrap_or_else(|e| panic!("{sql}: {e}")).collect().await.unwrap();
    let options = FormatOptions::default().with_null("null");
    let mut lines = vec![];
    for batch in batches {
        let columns: Vec<_> = batch.columns().iter().map(|c| ArrayFormatter::try_new(c, &options).unwrap()).collect();
        for row in 0..batch.num_rows() {
            lines.push(columns.iter().map(|c| c.value(row).to_string()).collect::<Vec<_>>().join(" "));
        }
    }
    lines.sort();
    lines
}

fn json(value: &(Option<i64>, Option<String>)) -> String {
    let v = value.0.map_or("null".to_owned(), |v| v.to_string());
    let w = value.1.as_ref().map_or("null".to_owned(), |w| format!("\"{w}\""));
    format!("{{\"V\": {v}, \"W\": {w}}}")
}

/// The number of rows of each case.
async fn check(seed: u64) -> Vec<usize> {
    let mut rng = StdRng::seed_from_u64(seed);
    let input = records(&mut rng);
    let sim = Host::simulated(seed, 1_000_000);
    let engine = open(&sim, EngineConfig { manual: true, ..EngineConfig::default() }).await;
    let partitions = rng.random_range(1..4);
    for topic in ["s", "r", "t", "u"] {
        create_topic(&engine, topic, partitions, &[("retention.ms", "-1")]).await;
    }
    run(&engine, SOURCES).await.unwrap();
    for case in CASES {
        let emit = if case.query.contains("EMIT FINAL") { "" } else { " EMIT CHANGES" };
        run(&engine, &format!("CREATE {}{emit};", case.query)).await.unwrap_or_else(|e| panic!("{}: {e}", case.query));
    }
    for piece in input.chunks(rng.random_range(1..60)) {
        for record in piece {
            let key = record.key.as_bytes();
            let value = record.value.as_ref().map(json);
            let bytes = batch(&[(Some(key), value.as_deref().map(str::as_bytes), record.time)]);
            write(&engine, vec![(record.topic, partition_for_key(key, partitions), bytes)]).await;
        }
        let cut = if rng.random() { Cut::All } else { Cut::Records(rng.random_range(1..20)) };
        engine.drive(cut).await.unwrap();
    }
    let context = oracle(&input);
    let mut rows = vec![];
    for case in CASES {
        let ours = run(&engine, &format!("{};", case.read)).await.unwrap_or_else(|e| panic!("{}: {e}", case.read));
        let theirs = theirs(&context, case.theirs).await;
        assert_eq!(ours, theirs, "{} and {}, seed {seed}, {} records", case.query, case.theirs, input.len());
        rows.push(ours.len());
    }
    engine.shutdown().await;
    rows
}

/// Seeds that are tried, unless MILLSTREAM_SEEDS says otherwise.
const SEEDS: u64 = 15;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn results_are_what_datafusion_computes_at_once() {
    let setting = |name: &str| std::env::var(name).ok().and_then(|s| s.parse().ok());
    let from = setting("MILLSTREAM_SEED").unwrap_or(0);
    let mut rows = vec![0; CASES.len()];
    for seed in from..from + setting("MILLSTREAM_SEEDS").unwrap_or(SEEDS) {
        check(seed).await.into_iter().zip(&mut rows).for_each(|(new, all)| *all += new);
    }
    for (case, rows) in CASES.iter().zip(rows) {
        assert!(rows > 0, "nothing was compared for {}", case.query);
    }
}
