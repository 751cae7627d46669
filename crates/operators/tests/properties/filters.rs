//! Filter, over streams and tables.

use operators::{Change, Filter};
use proptest::prelude::*;

use crate::support::{
    Cuts, In, Int, Null, Out, Subject, Unit, Value, check, cuts, events, out, predicate, schema, stream, table, upserts,
};

const COLUMNS: &str = "K BIGINT, V BIGINT";

fn passes(row: &In) -> bool {
    matches!(row.values[1], Int(v) if v > 2)
}

fn as_it_is(row: &In, op: Change) -> Out {
    out(row.seq, row.time, op, row.values.clone())
}

/// A stream's rows that pass; a record without a value does not.
fn of_stream(units: &[Unit]) -> Vec<Out> {
    units.iter().flatten().filter(|r| passes(r)).map(|r| as_it_is(r, r.op)).collect()
}

/// A table's rows that pass: what was in and is not any more is deleted.
fn of_table(units: &[Unit]) -> Vec<Out> {
    let mut want = vec![];
    for unit in units {
        match unit.as_slice() {
            [old, new] => match (passes(old), passes(new)) {
                (true, true) => want.extend([as_it_is(old, Change::UpdateBefore), as_it_is(new, Change::UpdateAfter)]),
                (true, false) => want.push(as_it_is(old, Change::Delete)),
                (false, true) => want.push(as_it_is(new, Change::Insert)),
                (false, false) => {}
            },
            [row] if row.op == Change::Tombstone || passes(row) => want.push(as_it_is(row, row.op)),
            _ => {}
        }
    }
    want
}

/// A table without old values: what does not pass may have passed before.
fn of_upserts(units: &[Unit]) -> Vec<Out> {
    let op = |row: &In| if passes(row) { Change::Upsert } else { Change::Tombstone };
    units.iter().flatten().map(|r| as_it_is(r, op(r))).collect()
}

fn run(is_table: bool, units: &[Unit], cuts: &Cuts, want: &[Out]) -> Result<(), TestCaseError> {
    let make = || Box::new(Filter::new(predicate("V > 2", COLUMNS), schema(COLUMNS), is_table)) as _;
    let place = |row: &In| row.values.first().cloned().unwrap_or(Null) as Value;
    check(
        &Subject { inputs: vec![schema(COLUMNS)], make: &make, place: &place, key: None, batched: false },
        units,
        cuts,
        want,
    )
}

proptest! {
    #[test]
    fn keeps_what_passes(events in events(1, 50), cuts in cuts()) {
        let units = stream(&events);
        run(false, &units, &cuts, &of_stream(&units))?;
        let units = table(&events);
        run(true, &units, &cuts, &of_table(&units))?;
        let units = upserts(&events);
        run(true, &units, &cuts, &of_upserts(&units))?;
    }
}
