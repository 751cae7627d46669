//! Aggregate without windows, over streams and tables.

use operators::{Aggregate, AggregateSpec, Change};
use planner::plan::AggregateCall;
use proptest::prelude::*;

use crate::support::{
    Cuts, In, Int, Null, Out, Subject, Unit, Value, call, check, cuts, double, events, expr, out, schema, stream, table,
};

pub const COLUMNS: &str = "K BIGINT, V BIGINT";

/// The calls of all tests of aggregates.
pub fn calls() -> Vec<AggregateCall> {
    vec![
        call("COUNT", None, None, COLUMNS),
        call("COUNT", Some("V"), None, COLUMNS),
        call("SUM", Some("V"), None, COLUMNS),
        call("MIN", Some("V"), None, COLUMNS),
        call("MAX", Some("V"), Some("V < 5"), COLUMNS),
        call("AVG", Some("V"), None, COLUMNS),
    ]
}

/// What they are of a group's rows.
pub fn values_of(rows: &[Value]) -> Vec<Value> {
    let there: Vec<i64> = rows.iter().filter_map(|v| if let Int(v) = v { Some(*v) } else { None }).collect();
    let sum: i64 = there.iter().sum();
    let mean = if there.is_empty() { 0.0 } else { sum as f64 / there.len() as f64 };
    vec![
        Int(rows.len() as i64),
        Int(there.len() as i64),
        Int(sum),
        there.iter().min().copied().into(),
        there.iter().filter(|v| **v < 5).max().copied().into(),
        double(mean),
    ]
}

pub fn spec(group: &str, from_table: bool, emit_old: bool) -> AggregateSpec {
    AggregateSpec {
        input: schema(COLUMNS),
        group_by: vec![expr(group, COLUMNS)],
        key_types: vec![arrow::datatypes::DataType::Int64],
        calls: calls(),
        window: None,
        emit_final: false,
        keep_null_keys: false,
        from_table,
        emit_old,
    }
}

/// A group: rows and the latest time that touched it.
#[derive(Debug, Clone, Default)]
struct Group {
    rows: Vec<Value>,
    time: Option<i64>,
}

/// All groups, with what comes out when they change.
struct Table {
    groups: std::collections::BTreeMap<Value, Group>,
    old: bool,
    want: Vec<Out>,
}

impl Table {
    /// Take back and add, which is one change of the group.
    fn change(&mut self, cause: &In, key: &Value, minus: Option<&Value>, plus: Option<&Value>) {
        if *key == Null {
            return;
        }
        let group = self.groups.entry(key.clone()).or_default();
        let row = |group: &Group| [vec![key.clone()], values_of(&group.rows)].concat();
        let before = group.time.map(|_| row(group));
        if let Some(minus) = minus {
            let at = group.rows.iter().position(|r| r == minus).expect("a row to take back");
            group.rows.remove(at);
        }
        group.rows.extend(plus.cloned());
        let time = group.time.unwrap_or(cause.time).max(cause.time);
        group.time = Some(time);
        let after = row(group);
        match before.filter(|_| self.old) {
            Some(before) => {
                self.want.push(out(cause.seq, time, Change::UpdateBefore, before));
                self.want.push(out(cause.seq, time, Change::UpdateAfter, after));
            }
            None => self.want.push(out(cause.seq, time, Change::Insert, after)),
        }
    }
}

/// Grouped by column `at`; the rest of it is folded.
fn oracle(units: &[Unit], at: usize, old: bool) -> Vec<Out> {
    let mut table = Table { groups: Default::default(), old, want: vec![] };
    for unit in units {
        match unit.as_slice() {
            [before, after] if before.values[at] == after.values[at] => {
                table.change(after, &after.values[at], Some(&before.values[1]), Some(&after.values[1]));
            }
            rows => {
                for row in rows.iter().filter(|r| r.op != Change::Tombstone) {
                    let value = Some(&row.values[1]);
                    let (minus, plus) = if row.op.is_retraction() { (value, None) } else { (None, value) };
                    table.change(row, &row.values[at], minus, plus);
                }
            }
        }
    }
    table.want
}

fn run(group: &str, from_table: bool, units: &[Unit], cuts: &Cuts) -> Result<(), TestCaseError> {
    let at = if group == "K" { 0 } else { 1 };
    for old in [false, true] {
        let make = || Box::new(Aggregate::new(spec(group, from_table, old))) as _;
        let place = |row: &In| row.values[at].clone();
        let subject =
            Subject { inputs: vec![schema(COLUMNS)], make: &make, place: &place, key: Some(&[0]), batched: false };
        check(&subject, units, cuts, &oracle(units, at, old))?;
    }
    Ok(())
}

proptest! {
    #[test]
    fn of_a_stream(events in events(1, 50), cuts in cuts()) {
        run("K", false, &stream(&events), &cuts)?;
    }

    /// Grouped by a column that changes, and by the key, which does not.
    #[test]
    fn of_a_table(events in events(1, 50), cuts in cuts()) {
        run("V", true, &table(&events), &cuts)?;
        run("K", true, &table(&events), &cuts)?;
    }
}
