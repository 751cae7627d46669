//! Stream-table joins.

use std::collections::BTreeMap;

use operators::{Change, StreamTableJoin};
use proptest::prelude::*;
use syntax::ast::JoinKind;

use crate::support::{
    Event, In, Null, Out, Subject, Unit, Value, check, cuts, events, expr, is_larger, left_is_larger, out, schema,
    stream, table, upserts,
};

const COLUMNS: &str = "K BIGINT, V BIGINT";

/// Each row of the stream with the table's row of its key as it is then.
fn oracle(units: &[Unit], kind: JoinKind, residual: bool) -> Vec<Out> {
    let mut rows: BTreeMap<Value, Vec<Value>> = BTreeMap::new();
    let mut want = vec![];
    for row in units.iter().flatten() {
        let key = &row.values[0];
        match row.input {
            1 if *key == Null || row.op == Change::UpdateBefore => {}
            1 if row.op.is_present() => {
                rows.insert(key.clone(), row.values.clone());
            }
            1 => {
                rows.remove(key);
            }
            _ if row.op == Change::Tombstone => {}
            _ => {
                let is_partner = |r: &&Vec<Value>| *key != Null && (!residual || is_larger(&row.values, r));
                let found = rows.get(key).filter(is_partner).cloned();
                let right = found.or((kind == JoinKind::Left).then(|| vec![Null, Null]));
                want.extend(right.map(|r| out(row.seq, row.time, Change::Insert, [row.values.clone(), r].concat())));
            }
        }
    }
    want
}

/// The left input a stream, the right one a table, with or without old values.
fn mixed(events: &[Event], old: bool) -> Vec<Unit> {
    let (left, right) = (stream(events), if old { table(events) } else { upserts(events) });
    left.into_iter().zip(right).zip(events).map(|((l, r), e)| if e.input == 0 { l } else { r }).collect()
}

proptest! {
    #[test]
    fn finds_the_row_of_the_moment(events in events(2, 50), old in any::<bool>(), cuts in cuts()) {
        let units = mixed(&events, old);
        for (kind, residual) in [(JoinKind::Inner, false), (JoinKind::Left, false), (JoinKind::Left, true)] {
            let make = || {
                let key = || vec![expr("K", COLUMNS)];
                let schemas = [schema(COLUMNS), schema(COLUMNS)];
                let condition = residual.then(left_is_larger);
                Box::new(StreamTableJoin::new(schemas, [key(), key()], kind, condition)) as _
            };
            let place = |row: &In| row.values[0].clone();
            let subject = Subject { inputs: vec![schema(COLUMNS); 2], make: &make, place: &place, key: None, batched: false };
            check(&subject, &units, &cuts, &oracle(&units, kind, residual))?;
        }
    }
}
