//! Aggregate in tumbling and hopping windows, with EMIT CHANGES and EMIT FINAL.

use std::collections::{BTreeMap, BTreeSet};

use operators::{Aggregate, AggregateSpec, Change, ChangeBatch, Operator, StepContext, TimeLine};
use planner::plan::WindowSpec;
use proptest::prelude::*;
use syntax::ast::WindowKind;

use crate::{
    aggregates::{COLUMNS, spec, values_of},
    support::{Event, In, Int, Null, Out, Subject, Unit, Value, batch, check, cuts, events, out, schema, stream},
};

/// Windows as the tests have them.
#[derive(Debug, Clone, Copy)]
struct Windows {
    size: i64,
    advance: i64,
    grace: i64,
    retention: i64,
}

fn windows() -> impl Strategy<Value = Windows> {
    let sizes = (1..12i64, 1..12i64, 0..12i64, 0..20i64, any::<bool>());
    sizes.prop_map(|(size, advance, grace, more, tumbling)| {
        let advance = if tumbling { size } else { advance.min(size) };
        Windows { size, advance, grace, retention: size + grace + more }
    })
}

/// Key and window → rows and latest time.
type State = BTreeMap<(Value, i64), (Vec<Value>, i64)>;

/// Each row goes into every window that holds it and is not closed when it comes. With EMIT FINAL a window gives its
/// result when it closes, unless time jumps beyond its retention at that moment.
fn oracle(units: &[Unit], w: Windows, emit_final: bool, old: bool) -> Vec<Out> {
    let mut state = State::new();
    let mut waiting: BTreeSet<(i64, Value)> = BTreeSet::new();
    let (mut now, mut want) = (i64::MIN, vec![]);
    for row in units.iter().flatten() {
        now = now.max(row.time);
        if emit_final {
            while let Some((start, key)) = waiting.first().cloned().filter(|(s, _)| s + w.size + w.grace <= now) {
                waiting.pop_first();
                if start + w.retention >= now / w.advance * w.advance {
                    let (rows, time) = &state[&(key.clone(), start)];
                    want.push(out(row.seq, *time, Change::Insert, result(&key, rows, start, w)));
                }
            }
        }
        if row.op == Change::Tombstone || row.values[0] == Null {
            continue;
        }
        let is_in = |start: &i64| *start <= row.time && row.time < start + w.size && start % w.advance == 0;
        for start in (0..=row.time).filter(is_in).filter(|start| start + w.size + w.grace > now) {
            let key = &row.values[0];
            let before = state.get(&(key.clone(), start)).map(|(rows, _)| result(key, rows, start, w));
            let (rows, time) = state.entry((key.clone(), start)).or_insert((vec![], row.time));
            rows.push(row.values[1].clone());
            *time = row.time.max(*time);
            let after = result(key, rows, start, w);
            if emit_final {
                waiting.insert((start, key.clone()));
            } else if let Some(before) = before.filter(|_| old) {
                want.push(out(row.seq, *time, Change::UpdateBefore, before));
                want.push(out(row.seq, *time, Change::UpdateAfter, after));
            } else {
                want.push(out(row.seq, *time, Change::Insert, after));
            }
        }
    }
    want
}

/// The windows, and their keys, that are not closed when all rows have come.
fn what_waits(units: &[Unit], w: Windows) -> BTreeSet<(i64, Value)> {
    let (mut now, mut waits) = (i64::MIN, BTreeSet::new());
    for row in units.iter().flatten() {
        now = now.max(row.time);
        if row.op == Change::Tombstone || row.values[0] == Null {
            continue;
        }
        let is_in = |start: &i64| *start <= row.time && row.time < start + w.size && start % w.advance == 0;
        let open = (0..=row.time).filter(is_in).filter(|start| start + w.size + w.grace > now);
        waits.extend(open.map(|start| (start, row.values[0].clone())));
    }
    waits.retain(|(start, _)| start + w.size + w.grace > now);
    waits
}

fn result(key: &Value, rows: &[Value], start: i64, w: Windows) -> Vec<Value> {
    [vec![key.clone()], values_of(rows), vec![Int(start), Int(start + w.size)]].concat()
}

fn windowed(w: Windows, emit_final: bool, old: bool) -> AggregateSpec {
    let kind = match w.size == w.advance {
        true => WindowKind::Tumbling { size_ms: w.size },
        false => WindowKind::Hopping { size_ms: w.size, advance_ms: w.advance },
    };
    let window = Some(WindowSpec { kind, grace_ms: w.grace, retention_ms: w.retention });
    AggregateSpec { window, emit_final, ..spec("K", false, old) }
}

fn run(events: &[Event], w: Windows, emit_final: bool, old: bool, cuts: &Vec<u8>) -> Result<(), TestCaseError> {
    let make = || Box::new(Aggregate::new(windowed(w, emit_final, old))) as _;
    let place = |row: &In| row.values[0].clone();
    let key: &[usize] = &[0, 7];
    let key = (!emit_final).then_some(key);
    let subject = Subject { inputs: vec![schema(COLUMNS)], make: &make, place: &place, key, batched: false };
    let units = stream(events);
    check(&subject, &units, cuts, &oracle(&units, w, emit_final, old))
}

proptest! {
    #[test]
    fn with_every_change(events in events(1, 50), w in windows(), old in any::<bool>(), cuts in cuts()) {
        run(&events, w, false, old, &cuts)?;
    }

    /// Had stream time gone on to the end of the last window that waits, there would be no result left to give.
    #[test]
    fn knows_what_waits(events in events(1, 50), w in windows()) {
        let units = stream(&events);
        let waits = what_waits(&units, w);
        let mut operator = Aggregate::new(windowed(w, true, false));
        let rows: Vec<&In> = units.iter().flatten().collect();
        let batch = batch(&schema(COLUMNS), &rows);
        let mut time = TimeLine::new(None, &[(&batch.seq, &batch.rowtime)]);
        let step = |operator: &mut Aggregate, batch: ChangeBatch, time: &TimeLine| {
            let mut context = StepContext { epoch: 1, caching: false, time, reports: &mut vec![] };
            operator.step(vec![batch], &mut context).expect("a step")
        };
        step(&mut operator, batch.clone(), &time);
        let closings = |operator: &Aggregate| {
            let mut times = BTreeSet::new();
            operator.closings(&mut |time| { times.insert(time); });
            times
        };
        let mut found = closings(&operator);
        prop_assert_eq!(&found, &waits.iter().map(|(start, _)| start + w.size + w.grace).collect());
        time = TimeLine::new(time.end(), &[]);
        for (seq, at) in (1 << 60..).zip(std::mem::take(&mut found)) {
            time.advance(seq, at);
        }
        let last = step(&mut operator, batch.slice(0, 0), &time);
        prop_assert_eq!(last.len(), waits.len());
        prop_assert!(closings(&operator).is_empty());
    }

    #[test]
    fn with_final_results(events in events(1, 50), w in windows(), cuts in cuts()) {
        run(&events, w, true, false, &cuts)?;
    }
}
