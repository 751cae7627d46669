//! Materialize: old values, and the rows for readers.

use std::collections::BTreeMap;

use operators::{Change, Expiry, Materialize, Operator, StepContext, TimeLine};
use proptest::prelude::*;

use crate::support::{
    Cuts, Event, In, Int, Out, Subject, Unit, Value, batch, check, cuts, events, out, schema, table, upserts,
};

const COLUMNS: &str = "K BIGINT, V BIGINT";

/// The changes of a table, with what they replace; NULL is a key like others.
fn with_old_values(units: &[Unit]) -> Vec<Out> {
    let mut now: BTreeMap<Value, Vec<Value>> = BTreeMap::new();
    let mut want = vec![];
    for row in units.iter().flatten() {
        let key = row.values[0].clone();
        if row.op == Change::UpdateBefore {
            continue;
        }
        let old = if row.op.is_present() { now.insert(key, row.values.clone()) } else { now.remove(&key) };
        let change = |op, values: &Vec<Value>| out(row.seq, row.time, op, values.clone());
        match (old, row.op.is_present()) {
            (Some(old), true) => {
                want.push(change(Change::UpdateBefore, &old));
                want.push(change(Change::UpdateAfter, &row.values));
            }
            (None, true) => want.push(change(Change::Insert, &row.values)),
            (Some(old), false) => want.push(change(Change::Delete, &old)),
            (None, false) => want.push(change(Change::Tombstone, &row.values)),
        }
    }
    want
}

fn run(old: bool, units: &[Unit], cuts: &Cuts, want: &[Out]) -> Result<(), TestCaseError> {
    let make = || Box::new(Materialize::new(schema(COLUMNS), vec![0], old, None)) as _;
    let place = |row: &In| row.values[0].clone();
    check(
        &Subject { inputs: vec![schema(COLUMNS)], make: &make, place: &place, key: None, batched: false },
        units,
        cuts,
        want,
    )
}

/// Readers see committed epochs; windows older than retention are gone, also those that were restored.
fn readers_see(events: &[Event]) -> Result<(), TestCaseError> {
    const RETENTION_MS: i64 = 20;
    let expiry = Expiry { column: 1, retention_ms: RETENTION_MS };
    let make = || Materialize::new(schema(COLUMNS), vec![0, 1], false, Some(expiry));
    let mut table = make();
    let (mut view, mut changelog) = (table.view(), vec![]);
    let (mut rows, mut seen, mut stream_time) = (BTreeMap::new(), vec![], None);
    for (epoch, unit) in (1u64..).zip(upserts(events)) {
        let row = &unit[0];
        let batch = batch(&schema(COLUMNS), &[row]);
        let time = TimeLine::new(stream_time, &[(&batch.seq, &batch.rowtime)]);
        let mut context = StepContext { epoch, caching: false, time: &time, reports: &mut vec![] };
        table.step(vec![batch], &mut context).expect("a step");
        view.read().scan(|key, _| seen.push(key.to_vec()));
        prop_assert_eq!(std::mem::take(&mut seen).len(), rows.len(), "before the commit");
        view.write().commit(epoch);
        stream_time = time.end();
        let key = row.values.clone();
        if row.op.is_present() {
            rows.insert(key, ())
        } else {
            rows.remove(&key)
        };
        let now = stream_time.unwrap_or(0);
        rows.retain(|key, ()| !matches!(key[1], Int(start) if start + RETENTION_MS < now));
        view.read().scan(|key, _| seen.push(key.to_vec()));
        prop_assert_eq!(std::mem::take(&mut seen).len(), rows.len(), "after the commit");
        table.drain(&mut |key, value| changelog.push((key.to_vec(), value.map(<[u8]>::to_vec))));
        if epoch % 5 == 0 {
            table = make();
            changelog.iter().try_for_each(|(key, value)| table.restore(key, value.as_deref())).expect("is restored");
            table.drain(&mut |_, _| {});
            view = table.view();
            view.write().commit(epoch);
        }
    }
    Ok(())
}

proptest! {
    #[test]
    fn gives_old_values(events in events(1, 50), cuts in cuts()) {
        for units in [upserts(&events), table(&events)] {
            run(true, &units, &cuts, &with_old_values(&units))?;
            let same: Vec<Out> = units.iter().flatten().map(|r| out(r.seq, r.time, r.op, r.values.clone())).collect();
            run(false, &units, &cuts, &same)?;
        }
    }

    #[test]
    fn shows_readers_what_is_committed(events in events(1, 60)) {
        readers_see(&events)?;
    }
}
