//! Foreign-key joins: the left table's V points to the right table's K.

use std::collections::BTreeMap;

use operators::{Change, ForeignKeyJoin, ForeignKeySpec, SUB_BITS};
use proptest::prelude::*;
use syntax::ast::JoinKind;

use crate::support::{
    Event, In, Null, Out, Subject, Unit, Value, apply, check, cuts, events, expr, is_larger, left_is_larger, out,
    schema, table, upserts,
};

const COLUMNS: &str = "K BIGINT, V BIGINT";

/// Time and columns.
type Row = (i64, Vec<Value>);

/// The kind, and whether the left V has to be larger.
type Join = (JoinKind, bool);

/// A result for a left row.
fn joined(residual: bool, cause: &In, left: &Row, right: Option<&Row>, op: Change) -> Out {
    let are_partners = |r: &&Row| op != Change::Tombstone && (!residual || is_larger(&left.1, &r.1));
    let values = right.filter(are_partners).map_or(vec![Null, Null], |r| r.1.clone());
    let time = cause.time.max(left.0).max(right.map_or(i64::MIN, |r| r.0));
    out(cause.seq, time, op, [left.1.clone(), values].concat())
}

/// One result for each left row that a change concerns: the joined row, or a tombstone where an inner join has none, but
/// not for a left row that is new.
fn oracle(units: &[Unit], (kind, residual): Join) -> Vec<Out> {
    let (mut lefts, mut rights): (BTreeMap<Value, Row>, BTreeMap<Value, Row>) = Default::default();
    let mut want = vec![];
    let left_join = kind == JoinKind::Left;
    for unit in units {
        let Some(row) = unit.last() else { continue };
        let key = &row.values[0];
        if row.input == 1 {
            if *key == Null {
                continue;
            }
            let new = row.op.is_present().then(|| (row.time, row.values.clone()));
            match &new {
                Some(new) => rights.insert(key.clone(), new.clone()),
                None => rights.remove(key),
            };
            for left in lefts.values().filter(|l| l.1[1] == *key) {
                let op = if new.is_some() || left_join { Change::Upsert } else { Change::Tombstone };
                want.push(joined(residual, row, left, new.as_ref(), op));
            }
            continue;
        }
        let old = lefts.remove(key);
        let pointed = |left: &Row| rights.get(&left.1[1]).filter(|_| left.1[1] != Null);
        if row.op.is_present() {
            let new = (row.time, row.values.clone());
            let partner = pointed(&new);
            if partner.is_some() || left_join {
                want.push(joined(residual, row, &new, partner, Change::Upsert));
            } else if old.is_some_and(|old| old.1[1] != Null || new.1[1] != Null) {
                want.push(joined(residual, row, &new, None, Change::Tombstone));
            }
            lefts.insert(key.clone(), new);
        } else if let Some(old) = old.filter(|o| o.1[1] != Null || left_join) {
            let time = row.time.max(pointed(&old).map_or(i64::MIN, |r| r.0));
            want.push(out(row.seq, time, Change::Tombstone, [old.1, vec![Null, Null]].concat()));
        }
    }
    want
}

/// The left table with old values, the right one without, as the runtime has them. An exchange gives the halves of an
/// update orders of their own.
fn mixed(events: &[Event]) -> Vec<Unit> {
    let (mut left, right) = (table(events), upserts(events));
    for after in left.iter_mut().filter_map(|unit| unit.get_mut(1)) {
        after.seq += 1 << (SUB_BITS / 2);
    }
    left.into_iter().zip(right).zip(events).map(|((l, r), e)| if e.input == 0 { l } else { r }).collect()
}

fn run(units: &[Unit], (kind, residual): Join, cuts: &Vec<u8>, want: &[Out]) -> Result<(), TestCaseError> {
    let spec = ForeignKeySpec {
        left: schema(COLUMNS),
        right: schema(COLUMNS),
        left_key: vec![expr("K", COLUMNS)],
        foreign_key: vec![expr("V", COLUMNS)],
        right_key: vec![expr("K", COLUMNS)],
        kind,
        residual: residual.then(left_is_larger),
    };
    let make = || Box::new(ForeignKeyJoin::new(spec.clone())) as _;
    let place = |row: &In| row.values[if row.input == 0 { 1 } else { 0 }].clone();
    let subject = Subject { inputs: vec![schema(COLUMNS); 2], make: &make, place: &place, key: None, batched: false };
    check(&subject, units, cuts, want)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn follows_pointers(events in events(2, 50), cuts in cuts()) {
        let units = mixed(&events);
        for join in [(JoinKind::Inner, false), (JoinKind::Left, false), (JoinKind::Left, true)] {
            run(&units, join, &cuts, &oracle(&units, join))?;
        }
    }

    /// One topic as both tables: a record brings one result for the row that it changes, of the newest of both, and one
    /// for each other row that points to it.
    #[test]
    fn follows_pointers_within_one_table(events in events(1, 50), cuts in cuts()) {
        let (mut left, right) = (table(&events), upserts(&events));
        for after in left.iter_mut().filter_map(|unit| unit.get_mut(1)) {
            after.seq += 1 << (SUB_BITS / 2);
        }
        let keyed = right.into_iter().zip(&events).map(|(mut unit, e)| {
            unit[0].input = 1;
            unit[0].values[0] = Value::Int(e.key.unwrap_or(0));
            unit
        });
        let units: Vec<Unit> = left.into_iter().zip(keyed).map(|(l, r)| [l, r].concat()).collect();
        let now = |n: usize| {
            let mut rows: BTreeMap<Value, Vec<Value>> = BTreeMap::new();
            for e in &events[..n] {
                let key = Value::Int(e.key.unwrap_or(0));
                if e.dead { rows.remove(&key) } else { rows.insert(key.clone(), vec![key, e.value.into()]) };
            }
            rows
        };
        // Results as a table are the join of the table with itself.
        for kind in [JoinKind::Inner, JoinKind::Left] {
            let got = run_once(&units, (kind, false));
            let mut results = BTreeMap::new();
            apply(&mut results, &got, &[0])?;
            let rows = now(events.len());
            let want = rows.iter().filter_map(|(key, row)| {
                let partner = rows.get(&row[1]).filter(|_| row[1] != Null);
                let right = partner.cloned().or((kind == JoinKind::Left).then(|| vec![Null, Null]))?;
                Some((vec![key.clone()], [row.clone(), right].concat()))
            });
            prop_assert_eq!(&results, &want.collect::<BTreeMap<_, _>>());
            let per_record = |n: usize| got.iter().filter(move |o| o.seq >> SUB_BITS == n as u64 + 1);
            for n in 0..events.len() {
                let mut keys: Vec<&Value> = per_record(n).map(|o| &o.values[0]).collect();
                let all = keys.len();
                keys.sort();
                keys.dedup();
                prop_assert_eq!(keys.len(), all, "one result a row and record");
            }
            run(&units, (kind, false), &cuts, &got)?;
        }
    }
}

fn run_once(units: &[Unit], (kind, residual): Join) -> Vec<Out> {
    use operators::{Operator, StepContext, TimeLine};
    let spec = ForeignKeySpec {
        left: schema(COLUMNS),
        right: schema(COLUMNS),
        left_key: vec![expr("K", COLUMNS)],
        foreign_key: vec![expr("V", COLUMNS)],
        right_key: vec![expr("K", COLUMNS)],
        kind,
        residual: residual.then(left_is_larger),
    };
    let of = |input: usize| units.iter().flatten().filter(|r| r.input == input).collect::<Vec<&In>>();
    let batches = [0, 1].map(|i| crate::support::batch(&schema(COLUMNS), &of(i)));
    let time = TimeLine::default();
    let mut context = StepContext { epoch: 1, caching: false, time: &time, reports: &mut vec![] };
    let got = ForeignKeyJoin::new(spec).step(batches.to_vec(), &mut context).expect("a step");
    crate::support::rows(&got)
}
