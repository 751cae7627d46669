//! Queries that run in tasks, in any order, opened again and again, give what they give when they run whole: the same
//! tables, and the same rows of streams, where that does not depend on the order between partitions.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use futures::executor::block_on;
use host::Host;
use planner::plan::QueryPlan;
use rand::{Rng, SeedableRng, rngs::StdRng, seq::SliceRandom};
use recordlog::partitioner::partition_for_key;
use runtime::{Cut, Query, Share, StandbyTask, TableView, beginnings, create_topics, shares};

use crate::support::{POOL, World};

const SOURCES: &str = "
    CREATE STREAM s (k VARCHAR KEY, v BIGINT, w VARCHAR, arr ARRAY<BIGINT>) WITH (kafka_topic = 's', value_format = 'JSON');
    CREATE STREAM r (k VARCHAR KEY, v BIGINT) WITH (kafka_topic = 'r', value_format = 'JSON');
    CREATE TABLE t (k VARCHAR PRIMARY KEY, v BIGINT, f VARCHAR) WITH (kafka_topic = 't', value_format = 'JSON');
    CREATE TABLE u (k VARCHAR PRIMARY KEY, v BIGINT) WITH (kafka_topic = 'u', value_format = 'JSON');
    CREATE TABLE x (k VARCHAR PRIMARY KEY, v BIGINT) WITH (kafka_topic = 'x', value_format = 'JSON');
";

/// Partitions of the topics; x differs, which nothing is joined with by its key.
const TOPICS: [(&str, u32); 5] = [("s", 3), ("r", 3), ("t", 3), ("u", 3), ("x", 2)];

/// Name of the output, and the query. Windows take all rows that come: which are late depends on the order. So does which
/// groups were there for a moment, behind a join, and are empty in the end.
const QUERIES: &[(&str, &str)] = &[
    ("FILTERED", "STREAM filtered AS SELECT k, v + 1 AS v, UCASE(w) AS w FROM s WHERE v > 0 OR w IS NULL"),
    ("EXPLODED", "STREAM exploded AS SELECT k, EXPLODE(arr) AS x, v FROM s"),
    ("REKEYED", "STREAM rekeyed AS SELECT * FROM s PARTITION BY w"),
    ("REKEYED_TWICE", "STREAM rekeyed_twice AS SELECT w, v, k FROM rekeyed PARTITION BY k"),
    ("COUNTS", "TABLE counts AS SELECT w, COUNT(*) AS n, SUM(v) AS total, MIN(v) AS low FROM s GROUP BY w"),
    ("LARGE", "TABLE large AS SELECT k, COUNT(*) AS n FROM s GROUP BY k HAVING COUNT(*) > 2 AND SUM(v) < 30"),
    (
        "TUMBLED",
        "TABLE tumbled AS SELECT w, COUNT(*) AS n FROM s
                 WINDOW TUMBLING (SIZE 10 MILLISECONDS, GRACE PERIOD 1 HOUR) GROUP BY w",
    ),
    (
        "HOPPED",
        "TABLE hopped AS SELECT k, SUM(v) AS n FROM s
                WINDOW HOPPING (SIZE 10 MILLISECONDS, ADVANCE BY 4 MILLISECONDS, GRACE PERIOD 1 HOUR) GROUP BY k",
    ),
    (
        "SESSIONS",
        "TABLE sessions AS SELECT w, COUNT(*) AS n FROM s
                  WINDOW SESSION (4 MILLISECONDS, GRACE PERIOD 1 HOUR) GROUP BY w",
    ),
    (
        "TUMBLED_FINAL",
        "TABLE tumbled_final AS SELECT w, COUNT(*) AS n FROM s
                       WINDOW TUMBLING (SIZE 10 MILLISECONDS, GRACE PERIOD 1 HOUR) GROUP BY w EMIT FINAL",
    ),
    (
        "SESSIONS_FINAL",
        "TABLE sessions_final AS SELECT k, COUNT(*) AS n FROM s
                        WINDOW SESSION (4 MILLISECONDS, GRACE PERIOD 1 HOUR) GROUP BY k EMIT FINAL",
    ),
    ("BY_F", "TABLE by_f AS SELECT f, COUNT(*) AS n, SUM(v) AS total FROM t GROUP BY f"),
    ("ENRICHED", "STREAM enriched AS SELECT s.k AS k, s.v AS v, t.v AS tv FROM s LEFT JOIN t ON s.k = t.k"),
    ("ENRICHED_INNER", "STREAM enriched_inner AS SELECT s.k AS k, s.v AS v, t.f AS f FROM s JOIN t ON s.k = t.k"),
    (
        "PAIRS",
        "STREAM pairs AS SELECT s.k AS k, s.v AS v, r.v AS rv FROM s JOIN r
               WITHIN (3 MILLISECONDS, 5 MILLISECONDS) GRACE PERIOD 1 HOUR ON s.k = r.k",
    ),
    (
        "PAIRS_LEFT",
        "STREAM pairs_left AS SELECT s.k AS k, s.v AS v, r.v AS rv FROM s LEFT JOIN r
                    WITHIN 4 MILLISECONDS GRACE PERIOD 1 HOUR ON s.k = r.k",
    ),
    (
        "PAIRS_BY_W",
        "STREAM pairs_by_w AS SELECT ROWKEY AS k, s.v AS v, r.v AS rv FROM s FULL OUTER JOIN r
                    WITHIN 4 MILLISECONDS GRACE PERIOD 1 HOUR ON s.w = r.k",
    ),
    ("BOTH", "TABLE both AS SELECT t.k AS k, t.v AS tv, u.v AS uv FROM t JOIN u ON t.k = u.k"),
    ("BOTH_FULL", "TABLE both_full AS SELECT ROWKEY AS k, t.v AS tv, u.v AS uv FROM t FULL OUTER JOIN u ON t.k = u.k"),
    ("POINTED", "TABLE pointed AS SELECT t.k AS k, t.f AS f, x.v AS uv FROM t JOIN x ON t.f = x.k"),
    ("POINTED_LEFT", "TABLE pointed_left AS SELECT t.k AS k, t.f AS f, u.v AS uv FROM t LEFT JOIN u ON t.f = u.k"),
    ("CHAINED", "TABLE chained AS SELECT k, n + 1 AS n FROM large WHERE n > 3"),
    (
        "REKEYED_COUNTS",
        "TABLE rekeyed_counts AS SELECT f, SUM(uv) AS total FROM pointed GROUP BY f HAVING COUNT(*) > 0",
    ),
    ("DISTINCT_W", "TABLE distinct_w AS SELECT DISTINCT w FROM s"),
    ("DISTINCT_F", "TABLE distinct_f WITH (key_format = 'JSON') AS SELECT DISTINCT f, v % 2 AS odd FROM t"),
    (
        "NULL_FS",
        "TABLE null_fs WITH (key_format = 'JSON') AS
                 SELECT f, COUNT(*) AS n, MAX(v) AS high FROM t GROUP BY f INCLUDE NULLS",
    ),
    (
        "POINTED_IF",
        "TABLE pointed_if AS SELECT t.k AS k, t.f AS f, x.v AS uv FROM t LEFT JOIN x ON t.f = x.k AND x.v > t.v",
    ),
    ("POINTED_SELF", "TABLE pointed_self AS SELECT a.k AS k, b.v AS bv FROM t a LEFT JOIN t b ON a.f = b.k"),
    (
        "POINTED_CHAIN",
        "TABLE pointed_chain AS SELECT t.k AS k, b.f AS bf, u.v AS uv
                       FROM t LEFT JOIN t b ON t.f = b.k LEFT JOIN u ON b.f = u.k",
    ),
    (
        "CHAIN_TOTALS",
        "TABLE chain_totals AS SELECT x.bf AS bf, COUNT(*) AS n, SUM(x.uv) AS total FROM
                      (SELECT t.k AS k, b.f AS bf, u.v AS uv FROM t JOIN t b ON t.f = b.k JOIN u ON b.f = u.k) x
                      GROUP BY x.bf HAVING COUNT(*) > 0",
    ),
];

/// A record of the input.
struct Written {
    topic: &'static str,
    key: Option<String>,
    value: Option<String>,
    time: i64,
}

/// Records of one piece of the input; `rising`: each is later than the one before.
fn piece(rng: &mut StdRng, now: &mut i64, rising: bool) -> Vec<Written> {
    let mut out = vec![];
    for _ in 0..rng.random_range(1..40) {
        let topic = ["s", "s", "r", "t", "t", "u", "x"][rng.random_range(0..7)];
        *now += rng.random_range(i64::from(rising)..4);
        let late = if !rising && rng.random_bool(0.3) { rng.random_range(0..25) } else { 0 };
        let is_table = !matches!(topic, "s" | "r");
        let name = |rng: &mut StdRng| format!("key{}", rng.random_range(0..6));
        let key = (is_table || rng.random_bool(0.95)).then(|| name(rng));
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
            3..6 if is_table => None,
            _ => Some(value),
        };
        out.push(Written { topic, key, value, time: *now - late });
    }
    out
}

/// What closes all windows of every partition, once nothing else is on its way.
fn closers(now: i64) -> Vec<Written> {
    let closer = |n: usize| {
        let (topic, key) = if n.is_multiple_of(2) { ("s", format!("closer{n}")) } else { ("r", format!("end{n}")) };
        let value = format!(r#"{{"V": 1, "W": "{key}", "ARR": []}}"#);
        Written { topic, key: Some(key), value: Some(value), time: now + 4 * 3_600_000 }
    };
    (0..60).map(closer).collect()
}

fn write(world: &World, records: &[Written]) {
    for w in records {
        let partitions = TOPICS.iter().find(|(topic, _)| *topic == w.topic).unwrap().1;
        let key = w.key.as_deref().map(str::as_bytes);
        let partition = key.map_or(0, |k| partition_for_key(k, partitions));
        world.write(w.topic, partition, key, w.value.as_deref().map(str::as_bytes), w.time);
    }
}

fn set_up(numbered: bool) -> (World, Vec<(String, Arc<QueryPlan>)>) {
    let mut world = World::new(numbered);
    TOPICS.iter().for_each(|(topic, partitions)| world.create_topic(topic, *partitions));
    world.declare(SOURCES);
    let mut plans = vec![];
    for (_, query) in QUERIES {
        let emit = if query.contains("EMIT FINAL") { "" } else { " EMIT CHANGES" };
        let (id, plan) = world.plan(&format!("CREATE {query}{emit};"));
        plans.push((id, Arc::new(plan)));
    }
    (world, plans)
}

/// Run an epoch, and commit it unless it is to get lost; whether there was one.
fn step(world: &World, query: &mut Query, cut: Cut, lost: bool) -> bool {
    let Some(epoch) = query.run_epoch(cut).unwrap() else { return false };
    if !lost {
        block_on(world.log.commit(epoch.commit)).unwrap().unwrap();
        query.committed(epoch.number);
    }
    true
}

/// A table's rows as readers find them: key and columns as bytes.
type Rows = BTreeMap<Vec<u8>, Vec<u8>>;

fn rows(view: &TableView) -> Rows {
    let mut rows = Rows::new();
    for view in &view.partitions {
        let mut keep = |key: &[u8], row: &[u8]| {
            rows.insert(key.to_vec(), row.get(8..).unwrap().to_vec());
        };
        let rest = view.read().scan(&mut keep);
        rest.into_iter().for_each(|rest| rest.scan(&mut keep).unwrap());
    }
    rows
}

/// What a query's topic says in the end, and what readers find.
#[derive(Debug, PartialEq)]
enum Outcome {
    Table(BTreeMap<String, String>, Option<Rows>),
    Stream(Vec<(String, Option<String>, i64)>),
}

fn outcome(world: &World, name: &str, query: &str, view: Option<Rows>) -> Outcome {
    let mut records = world.read(name);
    if query.starts_with("STREAM") {
        records.sort();
        return Outcome::Stream(records);
    }
    let mut table = BTreeMap::new();
    for (key, value, _) in records {
        match value {
            Some(value) => table.insert(key, value),
            None => table.remove(&key),
        };
    }
    Outcome::Table(table, view)
}

/// All queries run whole.
fn whole(input: &[Vec<Written>], numbered: bool) -> Vec<Outcome> {
    let (world, plans) = set_up(numbered);
    let open = |(id, plan): &(String, Arc<QueryPlan>)| {
        let options = world.options(id, None, false);
        block_on(Query::open(plan, options, world.log.clone(), Host::in_memory(), POOL.clone())).unwrap()
    };
    let mut queries: Vec<Query> = plans.iter().map(open).collect();
    for piece in input {
        write(&world, piece);
        for query in &mut queries {
            while step(&world, query, Cut::Bytes(1 << 20), false) {}
        }
    }
    let both = QUERIES.iter().zip(&queries);
    both.map(|((name, text), query)| outcome(&world, name, text, query.view().map(|v| rows(&v)))).collect()
}

/// A task that somebody runs, and somebody else may follow.
struct Task {
    of: usize,
    share: Share,
    /// With the process that has it.
    query: Option<(Query, usize)>,
    standby: Option<(StandbyTask, usize)>,
}

struct Cluster {
    world: World,
    plans: Vec<(String, Arc<QueryPlan>)>,
    tasks: Vec<Task>,
    /// Processes, each with its disk.
    hosts: [Host; 2],
    rng: StdRng,
    cold: bool,
}

impl Cluster {
    fn new(seed: u64, numbered: bool) -> Cluster {
        let (world, plans) = set_up(numbered);
        let mut rng = StdRng::seed_from_u64(seed ^ 0x7a5);
        let mut tasks = vec![];
        for (of, (id, plan)) in plans.iter().enumerate() {
            let options = world.options(id, None, false);
            block_on(create_topics(plan, &options, &world.log)).unwrap();
            world.commit(beginnings(plan, &options, &world.log, 0).unwrap());
            let all = shares(plan, &*world.log).unwrap();
            assert!(all.is_sorted(), "{all:?}");
            tasks.extend(all.into_iter().map(|share| Task { of, share, query: None, standby: None }));
        }
        let cold = rng.random_bool(0.5);
        Cluster { world, plans, tasks, hosts: [Host::in_memory(), Host::in_memory()], rng, cold }
    }

    /// Open a task where it does not run: whoever follows it takes it over, or somebody begins with what is in the log.
    fn open(&mut self, at: usize) {
        let task = &mut self.tasks[at];
        if task.query.is_some() {
            return;
        }
        if let Some((standby, host)) = task.standby.take_if(|_| self.rng.random_bool(0.7)) {
            task.query = Some((block_on(standby.promote()).unwrap(), host));
            return;
        }
        let host = match &task.standby {
            // A process does not follow itself.
            Some((_, follower)) => 1 - follower,
            None => self.rng.random_range(0..2),
        };
        let (id, plan) = &self.plans[task.of];
        let options = self.world.options(id, Some(task.share), self.cold);
        let opened = Query::open(plan, options, self.world.log.clone(), self.hosts[host].clone(), POOL.clone());
        task.query = Some((block_on(opened).unwrap(), host));
    }

    /// Somebody follows the task, or goes on to.
    fn follow(&mut self, at: usize) {
        let task = &mut self.tasks[at];
        let host = task.query.as_ref().map_or(0, |(_, host)| 1 - host);
        if task.standby.is_none() {
            let (id, plan) = &self.plans[task.of];
            let options = self.world.options(id, Some(task.share), self.cold);
            let opened =
                StandbyTask::open(plan, options, self.world.log.clone(), self.hosts[host].clone(), POOL.clone());
            task.standby = Some((block_on(opened).unwrap(), host));
        }
        let (standby, _) = task.standby.as_mut().unwrap();
        while standby.follow().unwrap() {}
        assert_eq!(standby.lag().unwrap(), 0);
        // What it shows is what is committed.
        if let Some((query, _)) = &task.query {
            assert_eq!(standby.view().map(|v| rows(&v)), query.view().map(|v| rows(&v)), "{}", QUERIES[task.of].0);
        }
    }

    /// What is done with may be deleted.
    fn purge(&mut self, at: usize) {
        let Some((query, _)) = &self.tasks[at].query else { return };
        for (partition, before) in query.consumed() {
            let start = self.world.log.offsets(&partition).unwrap().start;
            if before > start {
                block_on(self.world.log.delete_records(&partition, before)).unwrap();
            }
        }
    }

    /// One thing that may happen to a task; whether it was an epoch.
    fn step(&mut self, at: usize) -> bool {
        match self.rng.random_range(0..20) {
            0 => self.tasks[at].query = None,
            1 => self.follow(at),
            2 => self.purge(at),
            _ => {}
        }
        self.open(at);
        let cut = match self.rng.random_range(0..3) {
            0 => Cut::Records(self.rng.random_range(1..10)),
            _ => Cut::Bytes(self.rng.random_range(1..2000)),
        };
        let lost = self.rng.random_bool(0.1);
        let task = &mut self.tasks[at];
        let (query, _) = task.query.as_mut().unwrap();
        let ran = step(&self.world, query, cut, lost);
        if ran && lost {
            // The process died before it could commit.
            task.query = None;
        }
        ran
    }

    /// Until nothing is left to do, in any order.
    fn settle(&mut self) {
        let mut order: Vec<usize> = (0..self.tasks.len()).collect();
        let mut quiet = 0;
        while quiet < 2 {
            order.shuffle(&mut self.rng);
            let ran = order.iter().filter(|at| self.step(**at)).count();
            quiet = if ran == 0 { quiet + 1 } else { 0 };
        }
    }

    fn view(&mut self, of: usize) -> Option<Rows> {
        let own: Vec<usize> = (0..self.tasks.len()).filter(|at| self.tasks[*at].of == of).collect();
        own.iter().for_each(|at| self.open(*at));
        let views = own.iter().filter_map(|at| self.tasks[*at].query.as_ref()?.0.view());
        let merged = TableView::merged(&views.map(Arc::new).collect::<Vec<_>>())?;
        assert_eq!(merged.numbers, (0..merged.of).collect::<Vec<_>>());
        assert_eq!(merged.partitions.len(), merged.numbers.len());
        Some(rows(&merged))
    }
}

fn in_tasks(seed: u64, input: &[Vec<Written>], numbered: bool) -> Vec<Outcome> {
    let mut cluster = Cluster::new(seed, numbered);
    for (at, piece) in input.iter().enumerate() {
        write(&cluster.world, piece);
        // On a log without numbers what comes later must be later; the last piece closes what all others opened.
        if !numbered || at + 2 >= input.len() {
            cluster.settle();
            continue;
        }
        for _ in 0..cluster.rng.random_range(0..cluster.tasks.len() * 2) {
            let at = cluster.rng.random_range(0..cluster.tasks.len());
            cluster.step(at);
        }
    }
    let mut outcomes = vec![];
    for (of, (name, text)) in QUERIES.iter().enumerate() {
        let view = cluster.view(of);
        outcomes.push(outcome(&cluster.world, name, text, view));
    }
    // All tasks have progress, and together it is where their topics end.
    for (of, (id, _)) in cluster.plans.iter().enumerate() {
        let known = cluster.world.progress.tasks(&*cluster.world.log, id).unwrap();
        let shares: BTreeSet<_> = known.iter().filter_map(|task| task.share).collect();
        assert_eq!(shares, cluster.tasks.iter().filter(|t| t.of == of).map(|t| t.share).collect());
        for (partition, next) in known.iter().flat_map(|task| &task.positions) {
            assert_eq!(*next, cluster.world.log.offsets(partition).unwrap().end, "{partition} of {id}");
        }
    }
    outcomes
}

/// Seeds that are tried.
const SEEDS: u64 = 6;

fn seeds() -> std::ops::Range<u64> {
    let number = |name: &str| std::env::var(name).ok().and_then(|s| s.parse().ok());
    let from = number("MILLSTREAM_SEED").unwrap_or(0);
    from..from + number("MILLSTREAM_SEEDS").unwrap_or(SEEDS)
}

fn check(seed: u64, numbered: bool) {
    let mut rng = StdRng::seed_from_u64(seed);
    let mut now = 1_000;
    let mut input: Vec<Vec<Written>> =
        (0..rng.random_range(1..6)).map(|_| piece(&mut rng, &mut now, !numbered)).collect();
    input.push(closers(now));
    let want = whole(&input, numbered);
    let got = in_tasks(seed, &input, numbered);
    for ((name, _), (got, want)) in QUERIES.iter().zip(got.iter().zip(&want)) {
        assert_eq!(got, want, "{name}, seed {seed}");
    }
}

#[test]
fn tasks_in_any_order_give_what_the_whole_query_gives() {
    seeds().for_each(|seed| check(seed, true));
}

#[test]
fn tasks_give_the_same_on_a_log_without_numbers() {
    seeds().for_each(|seed| check(seed, false));
}
