//! The queries that run while the server is killed, and what each must have written: computed from the input, record by
//! record in the order of arrival, by the plainest code that does it.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::topics::Record;

/// Values by key, in order.
pub type Output = BTreeMap<Vec<u8>, Vec<Option<Value>>>;

/// Streams and tables over topics.
pub const SOURCES: &str = "
CREATE STREAM events (id VARCHAR KEY, n BIGINT, grp VARCHAR, amount BIGINT)
  WITH (kafka_topic = 'events', value_format = 'JSON', partitions = 3);
CREATE STREAM pays (id VARCHAR KEY, n BIGINT, paid BIGINT)
  WITH (kafka_topic = 'pays', value_format = 'JSON', partitions = 3);
CREATE TABLE accounts (id VARCHAR PRIMARY KEY, name VARCHAR, ver BIGINT)
  WITH (kafka_topic = 'accounts', value_format = 'JSON', partitions = 3);
";

/// What is written change by change.
pub const QUERIES: &str = "
CREATE STREAM filtered WITH (kafka_topic = 'filtered')
  AS SELECT id, n, amount * 2 AS twice FROM events WHERE amount % 3 <> 0 EMIT CHANGES;
CREATE STREAM second WITH (kafka_topic = 'second')
  AS SELECT id, n, twice FROM filtered WHERE twice > 60 EMIT CHANGES;
CREATE STREAM rekeyed WITH (kafka_topic = 'rekeyed')
  AS SELECT grp, id, n FROM events PARTITION BY grp EMIT CHANGES;
CREATE TABLE totals WITH (kafka_topic = 'totals', partitions = 2)
  AS SELECT grp, COUNT(*) AS n, SUM(amount) AS total, MIN(amount) AS least, MAX(amount) AS most
  FROM events GROUP BY grp EMIT CHANGES;
CREATE TABLE tumbled WITH (kafka_topic = 'tumbled')
  AS SELECT grp, COUNT(*) AS n, SUM(amount) AS total
  FROM events WINDOW TUMBLING (SIZE 10 SECONDS, GRACE PERIOD 5 SECONDS) GROUP BY grp EMIT CHANGES;
CREATE TABLE sessions WITH (kafka_topic = 'sessions')
  AS SELECT id, COUNT(*) AS n, SUM(amount) AS total
  FROM events WINDOW SESSION (2 SECONDS, GRACE PERIOD 5 SECONDS) GROUP BY id EMIT CHANGES;
CREATE STREAM enriched WITH (kafka_topic = 'enriched')
  AS SELECT e.id AS id, e.n AS n, a.name AS name, a.ver AS ver
  FROM events e LEFT JOIN accounts a ON e.id = a.id EMIT CHANGES;
CREATE STREAM matched WITH (kafka_topic = 'matched')
  AS SELECT e.id AS id, e.n AS en, p.n AS pn
  FROM events e LEFT JOIN pays p WITHIN 3 SECONDS GRACE PERIOD 4 SECONDS ON e.id = p.id EMIT CHANGES;
CREATE TABLE by_name WITH (kafka_topic = 'by_name')
  AS SELECT name, COUNT(*) AS n, SUM(ver) AS vers FROM accounts GROUP BY name EMIT CHANGES;
";

/// As `totals`, but superseded changes of an epoch need not be written.
pub const CACHED: &str = "
CREATE TABLE cached WITH (kafka_topic = 'cached')
  AS SELECT grp, COUNT(*) AS n FROM events GROUP BY grp EMIT CHANGES;
";

/// What was written, in order of arrival.
pub struct Input {
    pub events: Vec<Record>,
    pub pays: Vec<Record>,
    pub accounts: Vec<Record>,
}

/// Adds under a key.
fn push(out: &mut Output, key: impl Into<Vec<u8>>, value: Option<Value>) {
    out.entry(key.into()).or_default().push(value);
}

fn group(record: &Record) -> Vec<u8> {
    record.field("GRP").as_str().expect("a group").as_bytes().to_vec()
}

pub fn filtered(input: &Input) -> Output {
    let mut out = Output::new();
    for r in &input.events {
        if let Some(amount) = r.int("AMOUNT").filter(|a| a % 3 != 0) {
            push(&mut out, r.key.clone(), Some(json!({"N": r.field("N"), "TWICE": amount * 2})));
        }
    }
    out
}

pub fn second(input: &Input) -> Output {
    let big = |v: &Option<Value>| v.as_ref().is_some_and(|v| v["TWICE"].as_i64() > Some(60));
    let mut out = filtered(input);
    out.values_mut().for_each(|all| all.retain(big));
    out.retain(|_, all| !all.is_empty());
    out
}

pub fn rekeyed(input: &Input) -> Output {
    let mut out = Output::new();
    for r in &input.events {
        push(&mut out, group(r), Some(json!({"ID": r.key_text(), "N": r.field("N")})));
    }
    out
}

/// COUNT(*), SUM, MIN, MAX.
#[derive(Clone, Default)]
struct Sums {
    n: i64,
    total: i64,
    least: Option<i64>,
    most: Option<i64>,
}

impl Sums {
    fn add(&mut self, amount: Option<i64>) {
        self.n += 1;
        self.total += amount.unwrap_or(0);
        self.least = self.least.into_iter().chain(amount).min();
        self.most = self.most.into_iter().chain(amount).max();
    }
}

pub fn totals(input: &Input) -> Output {
    let (mut out, mut sums) = (Output::new(), BTreeMap::<Vec<u8>, Sums>::new());
    for r in &input.events {
        let s = sums.entry(group(r)).or_default();
        s.add(r.int("AMOUNT"));
        let value = json!({"N": s.n, "TOTAL": s.total, "LEAST": s.least, "MOST": s.most});
        push(&mut out, group(r), Some(value));
    }
    out
}

pub fn counts(input: &Input) -> Output {
    let mut out = totals(input);
    for value in out.values_mut().flatten().flatten() {
        *value = json!({"N": value["N"]});
    }
    out
}

pub fn tumbled(input: &Input) -> Output {
    const SIZE: i64 = 10_000;
    const GRACE: i64 = 5_000;
    let (mut out, mut sums, mut now) = (Output::new(), BTreeMap::<Vec<u8>, Sums>::new(), i64::MIN);
    for r in &input.events {
        now = now.max(r.time);
        let start = r.time / SIZE * SIZE;
        if start + SIZE + GRACE <= now {
            continue;
        }
        let key = [group(r), start.to_be_bytes().to_vec()].concat();
        let s = sums.entry(key.clone()).or_default();
        s.add(r.int("AMOUNT"));
        push(&mut out, key, Some(json!({"N": s.n, "TOTAL": s.total})));
    }
    out
}

struct Session {
    id: Vec<u8>,
    start: i64,
    end: i64,
    sums: Sums,
}

impl Session {
    fn key(&self) -> Vec<u8> {
        [&self.id[..], &self.end.to_be_bytes(), &self.start.to_be_bytes()].concat()
    }
}

pub fn sessions(input: &Input) -> Output {
    const GAP: i64 = 2_000;
    const GRACE: i64 = 5_000;
    let (mut out, mut all, mut now) = (Output::new(), Vec::<Session>::new(), i64::MIN);
    for r in &input.events {
        now = now.max(r.time);
        all.retain(|s| s.end + GAP + GRACE >= now);
        let touches = |s: &Session| s.id == r.key && s.start <= r.time + GAP && s.end >= r.time - GAP;
        let start = all.iter().filter(|s| touches(s)).map(|s| s.start).min().unwrap_or(r.time).min(r.time);
        let end = all.iter().filter(|s| touches(s)).map(|s| s.end).max().unwrap_or(r.time).max(r.time);
        if end + GAP + GRACE < now {
            continue;
        }
        let (touching, kept): (Vec<Session>, Vec<Session>) = all.into_iter().partition(touches);
        all = kept;
        let mut sums = Sums::default();
        for old in &touching {
            sums.n += old.sums.n;
            sums.total += old.sums.total;
            if start != end {
                push(&mut out, old.key(), None);
            }
        }
        sums.add(r.int("AMOUNT"));
        let new = Session { id: r.key.clone(), start, end, sums };
        push(&mut out, new.key(), Some(json!({"N": new.sums.n, "TOTAL": new.sums.total})));
        all.push(new);
    }
    out
}

/// Two topics as one, in order of arrival; which of them a record is from.
fn merged<'a>(left: &'a [Record], right: &'a [Record]) -> Vec<(usize, &'a Record)> {
    let both = left.iter().map(|r| (0, r)).chain(right.iter().map(|r| (1, r)));
    let mut both: Vec<_> = both.collect();
    both.sort_by_key(|(_, r)| r.arrival);
    both
}

pub fn enriched(input: &Input) -> Output {
    let (mut out, mut accounts) = (Output::new(), BTreeMap::new());
    for (side, r) in merged(&input.events, &input.accounts) {
        if side == 1 {
            accounts.insert(r.key.clone(), r.value.clone());
            continue;
        }
        let account = accounts.get(&r.key).cloned().flatten().unwrap_or_default();
        let value = json!({"N": r.field("N"), "NAME": account.get("NAME"), "VER": account.get("VER")});
        push(&mut out, r.key.clone(), Some(value));
    }
    out
}

/// A row that waits for partners.
struct Waiting<'a> {
    side: usize,
    record: &'a Record,
    alone: bool,
}

pub fn matched(input: &Input) -> Output {
    const WITHIN: i64 = 3_000;
    const GRACE: i64 = 4_000;
    const KEPT: i64 = 2 * WITHIN + GRACE;
    let value = |e: &Record, p: Option<&Record>| Some(json!({"EN": e.field("N"), "PN": p.map(|p| p.field("N"))}));
    let (mut out, mut waiting) = (Output::new(), Vec::<Waiting<'_>>::new());
    let (mut now, mut of_side) = (i64::MIN, [i64::MIN; 2]);
    for (side, r) in merged(&input.events, &input.pays) {
        now = now.max(r.time);
        of_side[side] = of_side[side].max(r.time);
        // First those that found nobody in time.
        let over = |w: &&mut Waiting<'_>| w.alone && w.record.time + WITHIN + GRACE < now;
        let mut over: Vec<_> = waiting.iter_mut().filter(over).collect();
        over.sort_by_key(|w| (w.record.time, w.record.arrival));
        for w in over {
            w.alone = false;
            push(&mut out, w.record.key.clone(), value(w.record, None));
        }
        waiting.retain(|w| w.record.time + KEPT >= of_side[w.side]);
        let meets =
            |w: &&mut Waiting<'_>| w.side != side && w.record.key == r.key && (w.record.time - r.time).abs() <= WITHIN;
        let mut partners: Vec<_> = waiting.iter_mut().filter(meets).collect();
        partners.sort_by_key(|w| (w.record.time, w.record.arrival));
        let found = !partners.is_empty();
        for w in partners {
            w.alone = false;
            let (e, p) = if side == 0 { (r, w.record) } else { (w.record, r) };
            push(&mut out, r.key.clone(), value(e, Some(p)));
        }
        let alone = side == 0 && !found;
        let may_wait = r.time + WITHIN + GRACE >= now;
        if alone && !may_wait {
            push(&mut out, r.key.clone(), value(r, None));
        }
        if r.time + KEPT >= of_side[side] {
            waiting.push(Waiting { side, record: r, alone: alone && may_wait });
        }
    }
    out
}

/// The last row of each name: how many accounts have it, and the sum of their versions.
pub fn by_name(input: &Input) -> BTreeMap<Vec<u8>, Option<Value>> {
    let (mut accounts, mut names) = (BTreeMap::new(), BTreeMap::new());
    for r in &input.accounts {
        if let Some(name) = r.field("NAME").as_str() {
            names.insert(name.to_string(), (0, 0));
        }
        accounts.insert(&r.key, r);
    }
    for r in accounts.into_values() {
        let Some(name) = r.field("NAME").as_str() else { continue };
        let (n, vers) = names.entry(name.to_string()).or_default();
        *n += 1;
        *vers += r.int("VER").unwrap_or(0);
    }
    let row = |(name, (n, vers)): (String, (i64, i64))| (name.into_bytes(), Some(json!({"N": n, "VERS": vers})));
    names.into_iter().map(row).collect()
}
