//! Table-table joins by primary key.

use std::collections::BTreeMap;

use operators::{Change, TableTableJoin};
use proptest::prelude::*;
use syntax::ast::JoinKind;

use crate::support::{
    In, Null, Out, Subject, Unit, Value, apply, check, cuts, events, expr, is_larger, left_is_larger, out, schema,
    table, upserts,
};

const COLUMNS: &str = "K BIGINT, V BIGINT";

/// Time and columns.
type Row = (i64, Vec<Value>);

/// The kind, and whether the left V has to be larger.
type Join = (JoinKind, bool);

/// Left and right columns; where they are no partners, only of the side that is kept anyway.
fn parted((kind, residual): Join, mut left: Vec<Value>, mut right: Vec<Value>) -> Vec<Value> {
    if residual && !is_larger(&left, &right) {
        if kind == JoinKind::Right { &mut left } else { &mut right }.fill(Null);
    }
    [left, right].concat()
}

/// The result for a key, given its rows.
fn result(join: Join, key: &Value, left: Option<&Row>, right: Option<&Row>) -> Option<Vec<Value>> {
    let there = match join.0 {
        JoinKind::Inner => left.is_some() && right.is_some(),
        JoinKind::Left => left.is_some(),
        JoinKind::Right => right.is_some(),
        JoinKind::Full => left.is_some() || right.is_some(),
    };
    let values = |row: Option<&Row>| row.map_or(vec![Null, Null], |r| r.1.clone());
    there.then(|| [parted(join, values(left), values(right)), vec![key.clone()]].concat())
}

/// Whether a deletion is told of although there is no result before or after it: where Kafka Streams, which looks at the
/// change and at the other side only, does so.
fn is_told(kind: JoinKind, side: usize, old: bool, other: bool) -> bool {
    let needs_other = match kind {
        JoinKind::Inner => true,
        JoinKind::Left => side == 1,
        JoinKind::Right => side == 0,
        JoinKind::Full => false,
    };
    other || (old && !needs_other)
}

fn oracle(units: &[Unit], join: Join, old_values: bool) -> Vec<Out> {
    let mut tables: [BTreeMap<Value, Row>; 2] = Default::default();
    let mut want = vec![];
    for row in units.iter().flatten() {
        let (side, key) = (row.input, &row.values[0]);
        if row.op == Change::UpdateBefore || *key == Null {
            continue;
        }
        let before = result(join, key, tables[0].get(key), tables[1].get(key));
        let old = tables[side].remove(key);
        let other = tables[1 - side].get(key).cloned();
        if row.op.is_present() {
            tables[side].insert(key.clone(), (row.time, row.values.clone()));
        }
        let after = result(join, key, tables[0].get(key), tables[1].get(key));
        let time = other.as_ref().map_or(row.time, |o| o.0.max(row.time));
        // What a deletion shows: the row that was, or what came with its tombstone.
        let shown = old.clone().map_or(row.values.clone(), |o| o.1);
        let other_shown = other.clone().map_or(vec![Null, Null], |o| o.1);
        let [left, right] = if side == 0 { [shown, other_shown] } else { [other_shown, shown] };
        let gone = [parted(join, left, right), vec![key.clone()]].concat();
        let mut push = |op, values| want.push(out(row.seq, time, op, values));
        match (before, after) {
            (Some(before), Some(after)) if old_values => {
                push(Change::UpdateBefore, before);
                push(Change::UpdateAfter, after);
            }
            (None, Some(after)) if old_values => push(Change::Insert, after),
            (_, Some(after)) => push(Change::Upsert, after),
            (Some(before), None) if old_values => push(Change::Delete, before),
            (Some(_), None) => push(Change::Tombstone, gone),
            (None, None) if is_told(join.0, side, old.is_some(), other.is_some()) => push(Change::Tombstone, gone),
            (None, None) => {}
        }
    }
    want
}

proptest! {
    #[test]
    fn joins_what_there_is(events in events(2, 50), with_old in any::<bool>(), cuts in cuts()) {
        let units = if with_old { table(&events) } else { upserts(&events) };
        let plain = [JoinKind::Inner, JoinKind::Left, JoinKind::Right, JoinKind::Full].map(|kind| (kind, false));
        let joins = plain.into_iter().chain([(JoinKind::Left, true), (JoinKind::Right, true)]);
        for (kind, residual) in joins {
            for old in [false, true] {
                let make = || {
                    let keys = [vec![expr("K", COLUMNS)], vec![expr("K", COLUMNS)]];
                    let types = vec![arrow::datatypes::DataType::Int64];
                    let schemas = [schema(COLUMNS), schema(COLUMNS)];
                    let join = TableTableJoin::new(schemas, keys, types, kind, old);
                    Box::new(join.with_residual(residual.then(left_is_larger))) as _
                };
                let place = |row: &In| row.values[0].clone();
                let subject = Subject { inputs: vec![schema(COLUMNS); 2], make: &make, place: &place, key: None, batched: false };
                let want = oracle(&units, (kind, residual), old);
                check(&subject, &units, &cuts, &want)?;
                if old {
                    apply(&mut BTreeMap::new(), &want, &[4])?;
                }
            }
        }
    }
}
