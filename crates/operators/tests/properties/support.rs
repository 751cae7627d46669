//! Rows as plain values; an operator driven over them in every way that must make no difference.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use arrow::{
    array::{Array, ArrayRef, AsArray, Float64Array, Int64Array, StringArray, UInt8Array, UInt64Array},
    datatypes::{DataType, Float64Type, Int64Type, SchemaRef},
};
use functions::ArgType;
use operators::{Change, ChangeBatch, Operator, Report, SUB_BITS, StepContext, TimeLine};
use planner::{
    expr::{Context, Scope, bind, bind_predicate},
    plan::{AggregateCall, BoundExpr, FieldDef, Fields},
};
use proptest::prelude::*;
use types::SqlType;

/// A cell.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Value {
    Null,
    Int(i64),
    Text(String),
    /// By its bits.
    Double(u64),
}

pub use Value::{Int, Null};

pub fn text(text: &str) -> Value {
    Value::Text(text.into())
}

pub fn double(value: f64) -> Value {
    Value::Double(value.to_bits())
}

impl From<Option<i64>> for Value {
    fn from(value: Option<i64>) -> Value {
        value.map_or(Null, Int)
    }
}

/// A row on its way in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct In {
    pub input: usize,
    pub seq: u64,
    pub time: i64,
    pub op: Change,
    pub values: Vec<Value>,
}

/// A row that came out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Out {
    pub seq: u64,
    pub time: i64,
    pub op: Change,
    pub values: Vec<Value>,
}

/// Rows that one record caused: never cut apart.
pub type Unit = Vec<In>;

/// The order of the `n`th record.
pub fn seq(n: usize) -> u64 {
    (n as u64 + 1) << SUB_BITS
}

/// Columns from text: `"K BIGINT, S STRING"`.
pub fn fields(columns: &str) -> Fields {
    let column = |c: &str| {
        let (name, ty) = c.trim().split_once(' ').expect("name and type");
        let ty = match ty {
            "BIGINT" => SqlType::BigInt,
            "DOUBLE" => SqlType::Double,
            _ => SqlType::String,
        };
        FieldDef { qualifier: None, name: name.into(), ty, key: false, hidden: false }
    };
    Fields { columns: columns.split(',').map(column).collect() }
}

pub fn schema(columns: &str) -> SchemaRef {
    fields(columns).to_arrow()
}

/// An expression over those columns.
pub fn expr(sql: &str, columns: &str) -> BoundExpr {
    let tree = syntax::parse_expression(sql).expect("an expression");
    bind(&tree, &Scope::of_fields(&fields(columns)), &Context::default()).expect(sql).expr
}

pub fn predicate(sql: &str, columns: &str) -> BoundExpr {
    let tree = syntax::parse_expression(sql).expect("an expression");
    bind_predicate(&tree, &Scope::of_fields(&fields(columns)), &Context::default()).expect(sql)
}

/// What a join of two inputs with columns `K BIGINT, V BIGINT` asks of a pair besides the key: the left V is larger.
pub fn left_is_larger() -> BoundExpr {
    predicate("V > W", "K BIGINT, V BIGINT, L BIGINT, W BIGINT")
}

/// The same of two rows.
pub fn is_larger(left: &[Value], right: &[Value]) -> bool {
    matches!((left.get(1), right.get(1)), (Some(Int(left)), Some(Int(right))) if left > right)
}

/// An aggregate of one column, or of none.
pub fn call(name: &str, arg: Option<&str>, filter: Option<&str>, columns: &str) -> AggregateCall {
    let arg = arg.map(|arg| {
        let field = fields(columns).columns.into_iter().find(|f| f.name == arg).expect("a column");
        (ArgType::Value(Some(field.ty)), expr(arg, columns))
    });
    let (types, args): (Vec<_>, Vec<_>) = arg.into_iter().unzip();
    let literals = vec![None; types.len()];
    let bound = functions::aggregate::lookup(name).expect(name).bind(&types, &literals).expect(name);
    AggregateCall { text: name.into(), bound, args, filter: filter.map(|f| predicate(f, columns)) }
}

fn column(ty: &DataType, cells: &[&Value]) -> ArrayRef {
    match ty {
        DataType::Int64 => {
            Arc::new(cells.iter().map(|c| if let Int(i) = c { Some(*i) } else { None }).collect::<Int64Array>())
        }
        DataType::Float64 => {
            let cell = |c: &&Value| if let Value::Double(bits) = c { Some(f64::from_bits(*bits)) } else { None };
            Arc::new(cells.iter().map(cell).collect::<Float64Array>())
        }
        _ => {
            let cell = |c: &&Value| if let Value::Text(t) = c { Some(t.clone()) } else { None };
            Arc::new(cells.iter().map(cell).collect::<StringArray>())
        }
    }
}

fn cell(array: &ArrayRef, row: usize) -> Value {
    if array.is_null(row) {
        return Null;
    }
    match array.data_type() {
        DataType::Int64 => Int(array.as_primitive::<Int64Type>().value(row)),
        DataType::Float64 => double(array.as_primitive::<Float64Type>().value(row)),
        _ => text(array.as_string::<i32>().value(row)),
    }
}

pub fn batch(schema: &SchemaRef, rows: &[&In]) -> ChangeBatch {
    let columns = schema.fields().iter().enumerate().map(|(at, field)| {
        let cells: Vec<&Value> = rows.iter().map(|r| &r.values[at]).collect();
        column(field.data_type(), &cells)
    });
    let ops: Vec<u8> = rows.iter().map(|r| r.op as u8).collect();
    ChangeBatch {
        columns: columns.collect(),
        rowtime: rows.iter().map(|r| r.time).collect::<Vec<_>>().into(),
        seq: UInt64Array::from(rows.iter().map(|r| r.seq).collect::<Vec<_>>()),
        ops: ops.iter().any(|o| *o != 0).then(|| UInt8Array::from(ops)),
    }
}

pub fn rows(batch: &ChangeBatch) -> Vec<Out> {
    let row = |row: usize| Out {
        seq: batch.seq.value(row),
        time: batch.rowtime.value(row),
        op: batch.op(row),
        values: batch.columns.iter().map(|c| cell(c, row)).collect(),
    };
    let rows: Vec<Out> = (0..batch.len()).map(row).collect();
    assert!(rows.windows(2).all(|w| w[0].seq <= w[1].seq), "rows are not in order: {rows:#?}");
    rows
}

/// What is tested.
pub struct Subject<'a> {
    /// Columns of each input.
    pub inputs: Vec<SchemaRef>,
    pub make: &'a dyn Fn() -> Box<dyn Operator>,
    /// The partition key of a row.
    pub place: &'a dyn Fn(&In) -> Value,
    /// Positions of the key in the output, where it is a table that drops superseded changes.
    pub key: Option<&'a [usize]>,
    /// The changelog takes many rows in one entry, as they come: its entries depend on the cuts, the state does not.
    pub batched: bool,
}

/// The instances of an operator over its partitions, with what the runtime keeps for them.
struct Run<'a> {
    subject: &'a Subject<'a>,
    operators: Vec<Box<dyn Operator>>,
    stored: Vec<BTreeMap<Vec<u8>, Vec<u8>>>,
    time: Option<i64>,
    epoch: u64,
    reports: Vec<Report>,
}

impl<'a> Run<'a> {
    fn new(subject: &'a Subject<'a>, partitions: usize) -> Run<'a> {
        let operators = (0..partitions).map(|_| (subject.make)()).collect();
        Run { subject, operators, stored: vec![BTreeMap::new(); partitions], time: None, epoch: 0, reports: vec![] }
    }

    fn partition(&self, row: &In) -> usize {
        let hash = match (self.subject.place)(row) {
            Null => 0,
            Int(i) => i.unsigned_abs() as usize,
            Value::Text(t) => t.len(),
            Value::Double(_) => 1,
        };
        hash % self.operators.len()
    }

    fn step(&mut self, units: &[Unit], caching: bool) -> Vec<Out> {
        self.epoch += 1;
        let inputs = self.subject.inputs.len();
        let mut parts: Vec<Vec<ChangeBatch>> = vec![];
        for partition in 0..self.operators.len() {
            let own = |input: usize| -> Vec<&In> {
                let rows = units.iter().flatten();
                rows.filter(|r| r.input == input && self.partition(r) == partition).collect()
            };
            parts.push((0..inputs).map(|i| batch(&self.subject.inputs[i], &own(i))).collect());
        }
        let of_input = |i: usize| parts.iter().map(|p| (&p[i].seq, &p[i].rowtime)).collect();
        let time = TimeLine::of_inputs(self.time, &(0..inputs).map(of_input).collect::<Vec<_>>());
        self.time = time.end();
        let mut out = vec![];
        for (operator, batches) in self.operators.iter_mut().zip(parts.clone()) {
            let mut context = StepContext { epoch: self.epoch, caching, time: &time, reports: &mut self.reports };
            out.extend(rows(&operator.step(batches, &mut context).expect("a step")));
        }
        out
    }

    /// The changelog takes what changed, and then has what a checkpoint would have.
    fn drain(&mut self) {
        for (operator, stored) in self.operators.iter_mut().zip(&mut self.stored) {
            operator.drain(&mut |key, value| {
                match value {
                    Some(value) => stored.insert(key.to_vec(), value.to_vec()),
                    None => stored.remove(key),
                };
            });
            let entries = entries(&**operator);
            if self.subject.batched {
                let mut again = (self.subject.make)();
                for (key, value) in stored.iter() {
                    again.restore(key, Some(value)).expect("a stored entry");
                }
                assert_eq!(self::entries(&*again), entries, "what was drained is not the state");
                continue;
            }
            assert_eq!(&entries, stored, "what was drained is not the state");
            assert!(operator.size().0 <= entries.len());
        }
    }

    /// The state of each partition.
    fn states(&self) -> Vec<BTreeMap<Vec<u8>, Vec<u8>>> {
        self.operators.iter().map(|operator| entries(&**operator)).collect()
    }

    fn crash(&mut self) {
        for (operator, stored) in self.operators.iter_mut().zip(&self.stored) {
            *operator = (self.subject.make)();
            for (key, value) in stored {
                operator.restore(key, Some(value)).expect("a stored entry");
            }
            operator.drain(&mut |_, _| {});
        }
    }

    fn reports(&self) -> BTreeSet<(u64, String)> {
        self.reports.iter().map(|r| (r.seq, format!("{:?} {}", r.kind, r.message))).collect()
    }
}

fn entries(operator: &dyn Operator) -> BTreeMap<Vec<u8>, Vec<u8>> {
    let mut entries = BTreeMap::new();
    operator.entries(&mut |key, value| {
        assert!(entries.insert(key.to_vec(), value.to_vec()).is_none(), "an entry stands there twice");
    });
    entries
}

/// What follows a unit: bit 0: the step ends; bit 1: the changelog is written; bit 2: and there is a crash.
pub type Cuts = Vec<u8>;

pub fn cuts() -> impl Strategy<Value = Cuts> {
    prop::collection::vec(any::<u8>(), 0..16)
}

fn steps<'a>(units: &'a [Unit], cuts: &'a [u8]) -> Vec<(&'a [Unit], u8)> {
    let (mut steps, mut from) = (vec![], 0);
    for at in 0..units.len() {
        let cut = cuts.get(at % cuts.len().max(1)).copied().unwrap_or(0);
        if cut & 1 == 1 || at + 1 == units.len() {
            steps.push((&units[from..=at], cut));
            from = at + 1;
        }
    }
    steps
}

/// The operator gives `want`: for any cut into batches, over crashes, and spread over partitions (there in any order);
/// and with caching the last change of each key of each step.
pub fn check(subject: &Subject<'_>, units: &[Unit], cuts: &Cuts, want: &[Out]) -> Result<(), TestCaseError> {
    let mut single = Run::new(subject, 1);
    let mut got = vec![];
    for unit in units {
        got.extend(single.step(std::slice::from_ref(unit), false));
        single.drain();
    }
    prop_assert_eq!(&got, want, "row by row, against the oracle");
    let mut whole = Run::new(subject, 1);
    prop_assert_eq!(&whole.step(units, false), want, "all at once");
    prop_assert_eq!(whole.reports(), single.reports(), "reports, all at once");
    whole.drain();
    prop_assert_eq!(whole.states(), single.states(), "state, all at once");
    prop_assert!(subject.batched || whole.stored == single.stored, "entries of the changelog, all at once");
    let mut cut = Run::new(subject, 1);
    let mut got = vec![];
    for (units, what) in steps(units, cuts) {
        got.extend(cut.step(units, false));
        if what & 6 != 0 {
            cut.drain();
        }
        if what & 4 != 0 {
            cut.crash();
        }
    }
    prop_assert_eq!(&got, want, "cut, with crashes");
    prop_assert_eq!(cut.reports(), single.reports(), "reports, cut");
    for partitions in [2, 4] {
        let mut spread = Run::new(subject, partitions);
        let mut got = vec![];
        for (units, what) in steps(units, cuts) {
            got.extend(spread.step(units, false));
            if what & 4 != 0 {
                spread.drain();
                spread.crash();
            }
        }
        prop_assert_eq!(sorted(got), sorted(want.to_vec()), "over {} partitions", partitions);
        prop_assert_eq!(spread.reports(), single.reports(), "reports, over {} partitions", partitions);
    }
    if let Some(key) = subject.key {
        check_caching(subject, units, cuts, key)?;
    }
    Ok(())
}

fn sorted(mut rows: Vec<Out>) -> Vec<Out> {
    rows.sort_by(|a, b| (a.seq, a.time, a.op as u8, &a.values).cmp(&(b.seq, b.time, b.op as u8, &b.values)));
    rows
}

fn key_of(row: &Out, key: &[usize]) -> Vec<Value> {
    key.iter().map(|k| row.values[*k].clone()).collect()
}

fn check_caching(subject: &Subject<'_>, units: &[Unit], cuts: &Cuts, key: &[usize]) -> Result<(), TestCaseError> {
    let (mut plain, mut cached) = (Run::new(subject, 1), Run::new(subject, 1));
    let (mut plain_table, mut table) = (BTreeMap::new(), BTreeMap::new());
    for (units, _) in steps(units, cuts) {
        let all = plain.step(units, false);
        let got = cached.step(units, true);
        apply(&mut plain_table, &all, key)?;
        apply(&mut table, &got, key)?;
        prop_assert_eq!(&table, &plain_table);
        let new = |rows: &[Out]| rows.iter().filter(|r| r.op != Change::UpdateBefore).cloned().collect::<Vec<_>>();
        let (all, got) = (new(&all), new(&got));
        let is_last = |at: usize| all[at + 1..].iter().all(|r| key_of(r, key) != key_of(&all[at], key));
        let last: Vec<&Out> = (0..all.len()).filter(|at| is_last(*at)).map(|at| &all[at]).collect();
        // A key that came and went leaves nothing; an update may stand for an insert and a deletion.
        let brief = |r: &Out| (r.seq, r.time, r.op.is_present(), r.values.clone());
        let is_net = |r: &&&Out| r.op.is_present() || r.op == Change::Tombstone;
        let last: Vec<_> = last.iter().filter(is_net).map(|r| brief(r)).collect();
        let got: Vec<_> = got.iter().filter(|r| r.op != Change::Delete).map(brief).collect();
        prop_assert_eq!(got, last, "the last change of each key");
    }
    Ok(())
}

/// The rows of a table after changes; old values must be what was there.
pub fn apply(
    table: &mut BTreeMap<Vec<Value>, Vec<Value>>,
    changes: &[Out],
    key: &[usize],
) -> Result<(), TestCaseError> {
    for row in changes {
        let key = key_of(row, key);
        match row.op {
            Change::UpdateBefore => prop_assert_eq!(table.get(&key), Some(&row.values), "an old value"),
            Change::Delete => {
                let old = table.remove(&key);
                prop_assert_eq!(old.as_ref(), Some(&row.values), "a deleted value");
            }
            Change::Tombstone => {
                table.remove(&key);
            }
            _ => {
                table.insert(key, row.values.clone());
            }
        }
    }
    Ok(())
}

/// Random rows of a stream: key, value, time.
#[derive(Debug, Clone)]
pub struct Event {
    pub key: Option<i64>,
    pub value: Option<i64>,
    pub time: i64,
    /// A record without a value.
    pub dead: bool,
    /// Which input, where there are several.
    pub input: usize,
}

/// Few keys, few values, times out of order.
pub fn events(inputs: usize, time_max: i64) -> impl Strategy<Value = Vec<Event>> {
    let key = prop_oneof![1 => Just(None), 9 => (0..4i64).prop_map(Some)];
    let value = prop_oneof![1 => Just(None), 5 => (-3..9i64).prop_map(Some)];
    let time = prop_oneof![3 => 0..time_max, 1 => 0..time_max / 4 + 1];
    let event = (key, value, time, prop::bool::weighted(0.1), 0..inputs);
    let event = event.prop_map(|(key, value, time, dead, input)| Event { key, value, time, dead, input });
    prop::collection::vec(event, 0..40)
}

/// Events as rows of streams of columns `K BIGINT, V BIGINT`.
pub fn stream(events: &[Event]) -> Vec<Unit> {
    let unit = |(n, e): (usize, &Event)| {
        let (op, value) = if e.dead { (Change::Tombstone, Null) } else { (Change::Insert, e.value.into()) };
        vec![In { input: e.input, seq: seq(n), time: e.time, op, values: vec![e.key.into(), value] }]
    };
    events.iter().enumerate().map(unit).collect()
}

/// Events as rows of a table of columns `K BIGINT, V BIGINT`, which does not know old values.
pub fn upserts(events: &[Event]) -> Vec<Unit> {
    let mut units = stream(events);
    for row in units.iter_mut().flatten().filter(|r| r.op == Change::Insert) {
        row.op = Change::Upsert;
    }
    units
}

/// The rows of tables of columns `K BIGINT, V BIGINT` with old values, as a materialized table gives them; no NULL keys.
pub fn table(events: &[Event]) -> Vec<Unit> {
    let mut now: BTreeMap<(usize, i64), Vec<Value>> = BTreeMap::new();
    let mut units = vec![];
    for (n, e) in events.iter().enumerate() {
        let key = e.key.unwrap_or(0);
        let row = |op, values| In { input: e.input, seq: seq(n), time: e.time, op, values };
        let new = vec![Int(key), e.value.into()];
        let old = if e.dead { now.remove(&(e.input, key)) } else { now.insert((e.input, key), new.clone()) };
        units.push(match (old, e.dead) {
            (None, false) => vec![row(Change::Insert, new)],
            (Some(old), false) => vec![row(Change::UpdateBefore, old), row(Change::UpdateAfter, new)],
            (Some(old), true) => vec![row(Change::Delete, old)],
            (None, true) => vec![row(Change::Tombstone, vec![Int(key), Null])],
        });
    }
    units
}

/// A row that comes out of a record.
pub fn out(seq: u64, time: i64, op: Change, values: Vec<Value>) -> Out {
    Out { seq, time, op, values }
}
