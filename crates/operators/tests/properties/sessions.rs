//! Session windows.

use operators::{AggregateSpec, Change, SessionAggregate};
use planner::plan::WindowSpec;
use proptest::prelude::*;
use syntax::ast::WindowKind;

use crate::{
    aggregates::{COLUMNS, spec, values_of},
    support::{Event, In, Int, Null, Out, Subject, Unit, Value, check, cuts, events, out, schema, stream},
};

#[derive(Debug, Clone, Copy)]
struct Windows {
    gap: i64,
    grace: i64,
    retention: i64,
}

fn windows() -> impl Strategy<Value = Windows> {
    (0..8i64, 0..12i64, 0..20i64).prop_map(|(gap, grace, retention)| Windows { gap, grace, retention })
}

/// A session: its rows, in the order in which they are folded.
#[derive(Debug, Clone)]
struct Session {
    key: Value,
    start: i64,
    end: i64,
    rows: Vec<Value>,
    emitted: bool,
}

impl Session {
    fn result(&self) -> Vec<Value> {
        [vec![self.key.clone()], values_of(&self.rows), vec![Int(self.start), Int(self.end)]].concat()
    }

    /// Of which nothing but the key is told.
    fn gone(&self) -> Vec<Value> {
        let mut row = self.result();
        row[1..7].fill(Null);
        row
    }
}

/// A row joins all sessions of its key no further away than the gap, and they become one.
fn oracle(units: &[Unit], w: Windows, emit_final: bool, old: bool) -> Vec<Out> {
    let mut sessions: Vec<Session> = vec![];
    let (mut now, mut want) = (i64::MIN, vec![]);
    for row in units.iter().flatten() {
        now = now.max(row.time);
        sessions.sort_by_key(|s| (s.end, s.start, s.key.clone()));
        if emit_final {
            for s in sessions.iter_mut().filter(|s| !s.emitted && s.end + w.gap + w.grace < now) {
                s.emitted = true;
                want.push(out(row.seq, s.end, Change::Insert, s.result()));
            }
        }
        sessions.retain(|s| s.end + w.retention.max(w.gap + w.grace) >= now);
        if row.op == Change::Tombstone || row.values[0] == Null {
            continue;
        }
        let touches = |s: &&Session| s.key == row.values[0] && s.start <= row.time + w.gap && s.end >= row.time - w.gap;
        let touching: Vec<Session> = sessions.iter().filter(touches).cloned().collect();
        let start = touching.iter().map(|s| s.start).min().unwrap_or(row.time).min(row.time);
        let end = touching.iter().map(|s| s.end).max().unwrap_or(row.time).max(row.time);
        if end + w.gap + w.grace < now {
            continue;
        }
        sessions.retain(|s| !touches(&s));
        let mut rows: Vec<Value> = touching.iter().flat_map(|s| s.rows.clone()).collect();
        rows.push(row.values[1].clone());
        let new = Session { key: row.values[0].clone(), start, end, rows, emitted: false };
        if !emit_final {
            let moment = start == end;
            for s in &touching {
                match (old, moment) {
                    (true, true) => want.push(out(row.seq, end, Change::UpdateBefore, s.result())),
                    (true, false) => want.push(out(row.seq, s.end, Change::Delete, s.result())),
                    (false, true) => {}
                    (false, false) => want.push(out(row.seq, s.end, Change::Tombstone, s.gone())),
                }
            }
            let op = if old && moment && !touching.is_empty() { Change::UpdateAfter } else { Change::Insert };
            want.push(out(row.seq, end, op, new.result()));
        }
        sessions.push(new);
    }
    want
}

fn run(events: &[Event], w: Windows, emit_final: bool, old: bool, cuts: &Vec<u8>) -> Result<(), TestCaseError> {
    let window =
        WindowSpec { kind: WindowKind::Session { gap_ms: w.gap }, grace_ms: w.grace, retention_ms: w.retention };
    let spec = AggregateSpec { window: Some(window), emit_final, ..spec("K", false, old) };
    let make = || Box::new(SessionAggregate::new(spec.clone(), w.gap)) as _;
    let place = |row: &In| row.values[0].clone();
    let key: &[usize] = &[0, 7, 8];
    let key = (!emit_final).then_some(key);
    let subject = Subject { inputs: vec![schema(COLUMNS)], make: &make, place: &place, key, batched: false };
    let units = stream(events);
    check(&subject, &units, cuts, &oracle(&units, w, emit_final, old))
}

proptest! {
    #[test]
    fn with_every_change(events in events(1, 60), w in windows(), old in any::<bool>(), cuts in cuts()) {
        run(&events, w, false, old, &cuts)?;
    }

    #[test]
    fn with_final_results(events in events(1, 60), w in windows(), cuts in cuts()) {
        run(&events, w, true, false, &cuts)?;
    }
}
