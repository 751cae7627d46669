//! GROUP BY, with or without tumbling and hopping windows.
//!
//! Input: a stream, or a table whose changes carry old values, exchanged by the group columns. Output: a table: group
//! columns, aggregates, and with windows WINDOWSTART, WINDOWEND. State: per group (and window) its aggregates' states
//! and the latest event time. Time: of the latest row of the group. Order: of the rows that caused the changes; with
//! EMIT FINAL, of the rows that closed the windows, then of window and key. Bound: windows are forgotten when their
//! retention is over; groups without windows are not. Errors: rows with a NULL in a group column, and rows too late
//! for a window, are dropped and reported.

pub(crate) mod groups;
pub(crate) mod windows;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use arrow::{
    array::{Array, ArrayRef, BooleanArray, Int64Array, UInt32Array},
    compute::concat,
    datatypes::{DataType, SchemaRef},
};
use functions::{GroupStates, RowErrors};
use planner::{
    expr::evaluate,
    plan::{AggregateCall, BoundExpr, WindowSpec},
};
use statestore::{Mode, RowDecoder, RowEncoder};
use types::{Error, Result};

use self::{
    groups::Groups,
    windows::{TimeWindows, bytes_time, time_bytes},
};
use crate::{
    Change, ChangeBatch, ChangeBuilder, Operator, ReportKind, StepContext,
    change::{downcast, take_rows},
    corrupt,
};

/// What an aggregation computes.
#[derive(Clone)]
pub struct AggregateSpec {
    /// Columns of the input.
    pub input: SchemaRef,
    /// Group columns.
    pub group_by: Vec<BoundExpr>,
    /// Their types.
    pub key_types: Vec<DataType>,
    /// Aggregates.
    pub calls: Vec<AggregateCall>,
    /// Windows.
    pub window: Option<WindowSpec>,
    /// EMIT FINAL.
    pub emit_final: bool,
    /// NULL is a group too.
    pub keep_null_keys: bool,
    /// The input is a table.
    pub from_table: bool,
    /// Whether changes must carry old values.
    pub emit_old: bool,
}

/// See the module.
pub struct Aggregate {
    spec: AggregateSpec,
    windows: Option<TimeWindows>,
    groups: Groups,
    states: Vec<Box<dyn GroupStates>>,
    /// Slots by window start, to forget windows in bulk.
    by_start: BTreeMap<i64, Vec<u32>>,
    /// EMIT FINAL: windows that were not emitted yet.
    pending: BTreeSet<(i64, Box<[u8]>)>,
}

/// The rows of a batch that count, each with its group.
#[derive(Default)]
struct Assigned {
    rows: Vec<u32>,
    groups: Vec<u32>,
    starts: Vec<i64>,
}

impl Aggregate {
    /// An empty one.
    pub fn new(spec: AggregateSpec) -> Aggregate {
        let make = |c: &AggregateCall| if spec.from_table { (c.bound.make_retractable)() } else { (c.bound.make)() };
        let states = spec.calls.iter().map(make).collect();
        let windows = spec.window.as_ref().and_then(TimeWindows::new);
        Aggregate { spec, windows, groups: Groups::default(), states, by_start: BTreeMap::new(), pending: BTreeSet::new() }
    }

    fn slot(&mut self, key: &[u8], start: i64) -> u32 {
        let (slot, new) = self.groups.intern(key);
        if new {
            self.states.iter_mut().for_each(|s| {
                s.resize(slot as usize + 1);
                s.reset(slot as usize);
            });
            if self.windows.is_some() {
                self.by_start.entry(start).or_default().push(slot);
            }
        }
        slot
    }

    fn assign(&mut self, input: &ChangeBatch, keys: &[ArrayRef], context: &mut StepContext<'_>) -> Result<Assigned> {
        let encoder = RowEncoder::new(keys, Mode::Ordered).map_err(|e| Error::unsupported(e.to_string()))?;
        let time = context.time;
        let mut clock = time.cursor();
        let mut out = Assigned::default();
        let mut key = Vec::new();
        for row in 0..input.len() {
            if input.op(row) == Change::Tombstone {
                continue;
            }
            let seq = input.seq.value(row);
            if !self.spec.keep_null_keys && encoder.any_null(row) {
                if !input.op(row).is_retraction() {
                    context.report(seq, ReportKind::NullKey, "a GROUP BY column is NULL");
                }
                continue;
            }
            key.clear();
            encoder.encode(row, &mut key);
            let at = u32::try_from(row).unwrap_or(u32::MAX);
            let Some(windows) = self.windows else {
                out.rows.push(at);
                out.groups.push(self.slot(&key, 0));
                continue;
            };
            let (stream_time, rowtime, plain) = (clock.at(seq), input.rowtime.value(row), key.len());
            for start in windows.starts(rowtime) {
                if windows.is_closed(start, stream_time) {
                    let message = format!(
                        "too late for the window from {start} to {} (ms): stream time is {stream_time}, grace {} ms",
                        start.saturating_add(windows.size_ms), windows.grace_ms
                    );
                    context.report(seq, ReportKind::Late, message);
                    continue;
                }
                key.truncate(plain);
                key.extend_from_slice(&time_bytes(start));
                out.rows.push(at);
                out.groups.push(self.slot(&key, start));
                out.starts.push(start);
            }
        }
        Ok(out)
    }

    /// Fold the rows in. Gives, for each call, the values after each row (`each`), or nothing.
    fn fold(
        &mut self,
        input: &ChangeBatch,
        assigned: &Assigned,
        each: bool,
        context: &mut StepContext<'_>,
    ) -> Result<Vec<ArrayRef>> {
        let batch = input.to_record_batch(&self.spec.input)?;
        let whole = assigned.rows.len() == input.len() && assigned.rows.iter().zip(0u32..).all(|(r, i)| *r == i);
        let rows = UInt32Array::from(assigned.rows.clone());
        let retract: Option<Vec<bool>> = input
            .ops
            .is_some()
            .then(|| assigned.rows.iter().map(|r| input.op(*r as usize).is_retraction()).collect::<Vec<_>>())
            .filter(|r| r.contains(&true));
        let mut after = vec![];
        for (call, states) in self.spec.calls.iter().zip(&mut self.states) {
            let mut errors = RowErrors::default();
            let mut args = Vec::with_capacity(call.args.len());
            for arg in &call.args {
                let values = evaluate(arg, &batch, &mut errors)?;
                args.push(if whole { values } else { take_rows(&values, &rows)? });
            }
            for (row, reason) in errors.rows.drain(..) {
                context.report(input.seq.value(row), ReportKind::Expression, reason);
            }
            let passes: Option<BooleanArray> = match &call.filter {
                Some(filter) => {
                    let passes = evaluate(filter, &batch, &mut errors)?;
                    Some(downcast(&take_rows(&passes, &rows)?)?)
                }
                None => None,
            };
            let values = match passes {
                None if each => Some(states.update_each(&assigned.groups, &args, retract.as_deref(), &mut errors)),
                None => {
                    states.update(&assigned.groups, &args, retract.as_deref(), &mut errors);
                    None
                }
                Some(passes) => fold_some(&mut **states, &assigned.groups, &args, retract.as_deref(), &passes, each, &mut errors)?,
            };
            after.extend(values);
            for (at, reason) in errors.rows {
                let row = assigned.rows.get(at).map_or(0, |r| *r as usize);
                context.report(input.seq.value(row), ReportKind::Expression, reason);
            }
        }
        Ok(after)
    }

    /// The window columns for rows of these starts.
    fn window_columns(&self, starts: Vec<i64>, columns: &mut Vec<ArrayRef>) {
        if let Some(windows) = self.windows {
            let ends = starts.iter().map(|s| s.saturating_add(windows.size_ms)).collect::<Int64Array>();
            columns.push(Arc::new(Int64Array::from(starts)));
            columns.push(Arc::new(ends));
        }
    }

    /// One output row for each of `emit`: an assigned row, and where in `values` what was before and after it stands.
    fn emit(
        &self,
        input: &ChangeBatch,
        keys: &[ArrayRef],
        assigned: &Assigned,
        emit: &[Emitted],
        values: &[ArrayRef],
    ) -> Result<ChangeBatch> {
        let mut builder = ChangeBuilder::default();
        let (mut rows, mut picks, mut starts) = (vec![], vec![], vec![]);
        for e in emit {
            let source = assigned.rows.get(e.at).copied().unwrap_or(0);
            let seq = input.seq.value(source as usize);
            let mut push = |op, pick: u32, time| {
                builder.push(seq, time, op);
                rows.push(source);
                picks.push(pick);
                starts.extend(assigned.starts.get(e.at));
            };
            match (self.spec.emit_old, e.before) {
                (true, Some((before, time))) => {
                    push(Change::UpdateBefore, before, time);
                    push(Change::UpdateAfter, e.after, e.rowtime);
                }
                _ => push(Change::Insert, e.after, e.rowtime),
            }
        }
        let (rows, picks) = (UInt32Array::from(rows), UInt32Array::from(picks));
        let mut columns = keys.iter().map(|k| take_rows(k, &rows)).collect::<Result<Vec<_>>>()?;
        for v in values {
            columns.push(take_rows(v, &picks)?);
        }
        self.window_columns(starts, &mut columns);
        Ok(builder.finish(columns))
    }

    /// EMIT FINAL: windows that the epoch closed.
    fn close_windows(&mut self, context: &StepContext<'_>) -> Result<ChangeBatch> {
        let Some((windows, now)) = self.windows.zip(context.time.end()) else { return self.nothing() };
        let mut closed: Vec<(u64, i64, Box<[u8]>)> = vec![];
        while self.pending.first().is_some_and(|(start, _)| windows.is_closed(*start, now)) {
            let Some((start, key)) = self.pending.pop_first() else { break };
            closed.push((context.time.when(windows.close_ms(start)).unwrap_or(0), start, key));
        }
        closed.sort();
        let mut decoder = RowDecoder::new(&self.spec.key_types, Mode::Ordered).map_err(|e| corrupt("an aggregate", e))?;
        let (mut builder, mut slots, mut starts) = (ChangeBuilder::default(), vec![], vec![]);
        for (seq, start, key) in closed {
            let Some(slot) = self.groups.find(&key) else { continue };
            decoder.push_prefix(&key).map_err(|e| corrupt("an aggregate", e))?;
            builder.push(seq, self.groups.get(slot).map_or(start, |g| g.rowtime), Change::Insert);
            slots.push(slot);
            starts.push(start);
            self.groups.touch(slot);
        }
        let mut columns = decoder.finish().map_err(|e| corrupt("an aggregate", e))?;
        columns.extend(self.states.iter().map(|s| s.values(&slots)));
        self.window_columns(starts, &mut columns);
        Ok(builder.finish(columns))
    }

    fn nothing(&self) -> Result<ChangeBatch> {
        let mut decoder = RowDecoder::new(&self.spec.key_types, Mode::Ordered).map_err(|e| corrupt("an aggregate", e))?;
        let mut columns = decoder.finish().map_err(|e| corrupt("an aggregate", e))?;
        columns.extend(self.states.iter().map(|s| s.values(&[])));
        self.window_columns(vec![], &mut columns);
        Ok(ChangeBuilder::default().finish(columns))
    }

    fn expire(&mut self, now: Option<i64>) {
        let Some((windows, now)) = self.windows.zip(now) else { return };
        while let Some(entry) = self.by_start.first_entry() {
            if !windows.is_expired(*entry.key(), now) {
                break;
            }
            for slot in entry.remove() {
                self.groups.remove(slot, true);
                self.states.iter_mut().for_each(|s| s.reset(slot as usize));
            }
        }
    }
}

/// An output row.
struct Emitted {
    /// Place among the assigned rows.
    at: usize,
    /// Place of the values before it, and the time they had; `None`: the group was new.
    before: Option<(u32, i64)>,
    /// Place of the values after it.
    after: u32,
    /// The group's time after it.
    rowtime: i64,
}

/// Update with only the rows that pass FILTER; with `each`, the values after every row, passed or not.
fn fold_some(
    states: &mut dyn GroupStates,
    groups: &[u32],
    args: &[ArrayRef],
    retract: Option<&[bool]>,
    passes: &BooleanArray,
    each: bool,
    errors: &mut RowErrors,
) -> Result<Option<ArrayRef>> {
    let passing: Vec<u32> =
        (0u32..).zip(0..groups.len()).filter(|(_, i)| passes.is_valid(*i) && passes.value(*i)).map(|(n, _)| n).collect();
    let before = each.then(|| states.values(groups));
    let own: Vec<u32> = passing.iter().filter_map(|i| groups.get(*i as usize).copied()).collect();
    let rows = UInt32Array::from(passing.clone());
    let args = args.iter().map(|a| take_rows(a, &rows)).collect::<Result<Vec<_>>>()?;
    let retract: Option<Vec<bool>> =
        retract.map(|r| passing.iter().map(|i| r.get(*i as usize).copied().unwrap_or(false)).collect());
    let mut row_errors = RowErrors::default();
    let after = states.update_each(&own, &args, retract.as_deref(), &mut row_errors);
    errors.rows.extend(row_errors.rows.into_iter().filter_map(|(at, e)| Some((*passing.get(at)? as usize, e))));
    let Some(before) = before else { return Ok(None) };
    // The value after a row is that after the last row of its group that passed, else what it was before.
    let mut latest: std::collections::HashMap<u32, u32> = std::collections::HashMap::new();
    let mut passed = passing.iter().zip(0u32..).peekable();
    let shift = u32::try_from(groups.len()).unwrap_or(u32::MAX);
    let picks = groups.iter().zip(0u32..).map(|(group, i)| {
        if let Some((_, at)) = passed.next_if(|(p, _)| **p == i) {
            latest.insert(*group, shift + at);
        }
        latest.get(group).copied().unwrap_or(i)
    });
    let picks = UInt32Array::from_iter_values(picks);
    let all = concat(&[&*before, &*after]).map_err(|e| Error::internal(e.to_string()))?;
    take_rows(&all, &picks).map(Some)
}

impl Operator for Aggregate {
    fn name(&self) -> &'static str {
        "Aggregate"
    }

    fn step(&mut self, mut inputs: Vec<ChangeBatch>, context: &mut StepContext<'_>) -> Result<ChangeBatch> {
        let input = inputs.pop().unwrap_or_else(|| ChangeBatch::empty(&self.spec.input));
        self.states.iter_mut().for_each(|s| s.number_from(context.epoch << 32));
        let out = if input.is_empty() { self.nothing()? } else { self.step_rows(&input, context)? };
        let out = if self.spec.emit_final { self.close_windows(context)? } else { out };
        self.expire(context.time.end());
        Ok(out)
    }

    fn drain(&mut self, each: &mut dyn FnMut(&[u8], Option<&[u8]>)) {
        let (dirty, removed) = self.groups.drain();
        let mut value = Vec::new();
        for key in removed {
            each(&key, None);
        }
        for slot in dirty {
            if let Some(group) = self.groups.get(slot) {
                store(group, &self.states, slot, self.is_pending(&group.key), &mut value);
                each(&group.key, Some(&value));
            }
        }
    }

    fn restore(&mut self, key: &[u8], value: Option<&[u8]>) -> Result<()> {
        let start = match self.windows {
            Some(_) => key.last_chunk::<8>().map_or(0, |b| bytes_time(*b)),
            None => 0,
        };
        let Some(value) = value else {
            if let Some(slot) = self.groups.find(key) {
                self.groups.remove(slot, false);
                if let Some(slots) = self.by_start.get_mut(&start) {
                    slots.retain(|s| *s != slot);
                }
            }
            self.pending.remove(&(start, key.into()));
            return Ok(());
        };
        let slot = self.slot(key, start);
        let pending = load(value, &mut self.groups, &mut self.states, slot)?;
        if pending {
            self.pending.insert((start, key.into()));
        } else {
            self.pending.remove(&(start, key.into()));
        }
        Ok(())
    }

    fn entries(&self, each: &mut dyn FnMut(&[u8], &[u8])) {
        let mut value = Vec::new();
        for (slot, group) in self.groups.iter() {
            store(group, &self.states, slot, self.is_pending(&group.key), &mut value);
            each(&group.key, &value);
        }
    }

    fn size(&self) -> (usize, usize) {
        (self.groups.len(), self.groups.size_bytes() + self.states.iter().map(|s| s.size_bytes()).sum::<usize>())
    }
}

impl Aggregate {
    fn is_pending(&self, key: &[u8]) -> bool {
        self.spec.emit_final
            && key.last_chunk::<8>().is_some_and(|b| self.pending.contains(&(bytes_time(*b), key.into())))
    }

    fn step_rows(&mut self, input: &ChangeBatch, context: &mut StepContext<'_>) -> Result<ChangeBatch> {
        let batch = input.to_record_batch(&self.spec.input)?;
        let mut errors = RowErrors::default();
        let keys = self.spec.group_by.iter().map(|g| evaluate(g, &batch, &mut errors)).collect::<Result<Vec<_>>>()?;
        for (row, reason) in errors.rows {
            context.report(input.seq.value(row), ReportKind::Expression, reason);
        }
        let assigned = self.assign(input, &keys, context)?;
        if assigned.rows.is_empty() {
            return self.nothing();
        }
        let each = !context.caching && !self.spec.emit_final;
        let n = u32::try_from(assigned.rows.len()).unwrap_or(u32::MAX);
        // What the touched groups held before: needed for old values only.
        let before: Option<Vec<ArrayRef>> =
            self.spec.emit_old.then(|| self.states.iter().map(|s| s.values(&assigned.groups)).collect());
        let after = self.fold(input, &assigned, each, context)?;
        let mut emitted: Vec<Emitted> = Vec::with_capacity(assigned.rows.len());
        let mut latest: std::collections::HashMap<u32, (u32, i64), foldhash::fast::RandomState> = Default::default();
        let mut last_of: std::collections::HashMap<u32, usize, foldhash::fast::RandomState> = Default::default();
        for (at, (row, slot)) in assigned.rows.iter().zip(&assigned.groups).enumerate() {
            let Some(group) = self.groups.touch(*slot) else { continue };
            let place = u32::try_from(at).unwrap_or(u32::MAX);
            let was = group.seen.then_some((place, group.rowtime));
            group.seen = true;
            group.rowtime = group.rowtime.max(input.rowtime.value(*row as usize));
            if self.spec.emit_final {
                self.pending.insert((assigned.starts.get(at).copied().unwrap_or(0), group.key.clone()));
                continue;
            }
            if !each {
                match last_of.insert(*slot, emitted.len()) {
                    Some(earlier) => {
                        let before = emitted.get(earlier).and_then(|e| e.before);
                        if let Some(e) = emitted.get_mut(earlier) {
                            e.at = usize::MAX;
                        }
                        emitted.push(Emitted { at, before, after: place, rowtime: group.rowtime });
                    }
                    None => emitted.push(Emitted { at, before: was, after: place, rowtime: group.rowtime }),
                }
                continue;
            }
            let mut old = was;
            if self.spec.emit_old {
                // Values after row i stand at n + i, behind those before the batch.
                old = latest.get(slot).copied().or(was);
                latest.insert(*slot, (n + place, group.rowtime));
            }
            let after = if self.spec.emit_old { n + place } else { place };
            // An update within one group is one change, not a step down and a step up.
            let joined = self.spec.from_table
                && input.op(*row as usize) == Change::UpdateAfter
                && at > 0
                && assigned.groups.get(at - 1) == Some(slot)
                && assigned.rows.get(at - 1).is_some_and(|r| r + 1 == *row && input.op(*r as usize) == Change::UpdateBefore);
            if joined && let Some(last) = emitted.pop() {
                old = last.before;
            }
            emitted.push(Emitted { at, before: old, after, rowtime: group.rowtime });
        }
        if self.spec.emit_final {
            return self.nothing();
        }
        let values: Vec<ArrayRef> = if each {
            match before {
                Some(before) => before
                    .iter()
                    .zip(&after)
                    .map(|(b, a)| concat(&[&**b, &**a]).map_err(|e| Error::internal(e.to_string())))
                    .collect::<Result<_>>()?,
                None => after,
            }
        } else {
            emitted.retain(|e| e.at != usize::MAX);
            let slots: Vec<u32> = emitted.iter().filter_map(|e| assigned.groups.get(e.at).copied()).collect();
            let now: Vec<ArrayRef> = self.states.iter().map(|s| s.values(&slots)).collect();
            match before {
                Some(before) => {
                    emitted.iter_mut().zip(0u32..).for_each(|(e, i)| e.after = n + i);
                    before
                        .iter()
                        .zip(&now)
                        .map(|(b, a)| concat(&[&**b, &**a]).map_err(|e| Error::internal(e.to_string())))
                        .collect::<Result<_>>()?
                }
                None => {
                    emitted.iter_mut().zip(0u32..).for_each(|(e, i)| e.after = i);
                    now
                }
            }
        };
        self.emit(input, &keys, &assigned, &emitted, &values)
    }
}

/// Version of the encoding of a group's state.
const STATE_VERSION: u8 = 1;

/// A group's state: version, flags (1: pending), time, then each aggregate's bytes after their length.
pub(crate) fn store(
    group: &groups::Group,
    states: &[Box<dyn GroupStates>],
    slot: u32,
    pending: bool,
    out: &mut Vec<u8>,
) {
    out.clear();
    out.extend_from_slice(&[STATE_VERSION, u8::from(pending)]);
    out.extend_from_slice(&group.rowtime.to_le_bytes());
    for state in states {
        let at = out.len();
        out.extend_from_slice(&[0; 4]);
        state.store(slot as usize, out);
        let length = u32::try_from(out.len() - at - 4).unwrap_or(u32::MAX);
        if let Some(place) = out.get_mut(at..at + 4) {
            place.copy_from_slice(&length.to_le_bytes());
        }
    }
}

/// Back from [`store`]; gives whether the group is pending.
pub(crate) fn load(value: &[u8], groups: &mut Groups, states: &mut [Box<dyn GroupStates>], slot: u32) -> Result<bool> {
    let short = || corrupt("an aggregate", "the entry is too short");
    let (head, mut rest) = value.split_first_chunk::<10>().ok_or_else(short)?;
    let [version, flags, time @ ..] = *head;
    if version != STATE_VERSION {
        return Err(corrupt("an aggregate", format!("version {version} is not known")));
    }
    for state in states {
        let (length, bytes) = rest.split_first_chunk::<4>().ok_or_else(short)?;
        let (own, next) = bytes.split_at_checked(u32::from_le_bytes(*length) as usize).ok_or_else(short)?;
        state.load(slot as usize, own)?;
        rest = next;
    }
    if let Some(group) = groups.get_mut(slot) {
        group.rowtime = i64::from_le_bytes(time);
        group.seen = true;
    }
    Ok(flags & 1 == 1)
}
