//! GROUP BY in session windows: rows of a key that are no further apart than the gap.
//!
//! Input: a stream exchanged by the group columns. Output: a table: group columns, aggregates, WINDOWSTART, WINDOWEND. A
//! row that bridges sessions deletes them and begins one that holds them all. State: per key its sessions and their
//! aggregates' states. Time: the end of the session. Order: of rows; within one, deletions by start, then the session.
//! Bound: sessions are forgotten when their retention is over. Errors: as for other windows.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use arrow::{
    array::{ArrayRef, Int64Array, UInt32Array},
    compute::concat,
};
use foldhash::fast::RandomState;
use functions::{GroupStates, RowErrors};
use planner::expr::evaluate;
use statestore::{Mode, RowDecoder, RowEncoder};
use types::{Error, Result};

use crate::{
    AggregateSpec, Change, ChangeBatch, ChangeBuilder, Operator, ReportKind, StepContext,
    aggregate::{
        groups::Groups,
        load, store,
        windows::{bytes_time, time_bytes},
    },
    change::{downcast, take_rows},
    corrupt,
};

/// See the module.
pub struct SessionAggregate {
    spec: AggregateSpec,
    gap_ms: i64,
    grace_ms: i64,
    retention_ms: i64,
    /// Sessions by key: start → (end, slot).
    sessions: HashMap<Box<[u8]>, BTreeMap<i64, (i64, u32)>, RandomState>,
    groups: Groups,
    states: Vec<Box<dyn GroupStates>>,
    /// Sessions by end, to close and forget them.
    by_end: BTreeMap<(i64, i64, Box<[u8]>), bool>,
}

impl SessionAggregate {
    /// `gap_ms`: the longest time between neighbours.
    pub fn new(spec: AggregateSpec, gap_ms: i64) -> SessionAggregate {
        let states = spec.calls.iter().map(|c| (c.bound.make)()).collect();
        let (grace_ms, retention_ms) = spec.window.map_or((0, 0), |w| (w.grace_ms, w.retention_ms));
        SessionAggregate {
            spec,
            gap_ms,
            grace_ms,
            retention_ms,
            sessions: HashMap::default(),
            groups: Groups::default(),
            states,
            by_end: BTreeMap::new(),
        }
    }

    fn is_closed(&self, end: i64, now: i64) -> bool {
        end.saturating_add(self.gap_ms).saturating_add(self.grace_ms) < now
    }

    fn new_slot(&mut self, key: &[u8]) -> u32 {
        let (slot, new) = self.groups.intern(key);
        if new {
            for s in &mut self.states {
                s.resize(slot as usize + 1);
                s.reset(slot as usize);
            }
        }
        slot
    }

    fn forget(&mut self, key: &[u8], start: i64, end: i64, slot: u32, mark: bool) {
        if let Some(sessions) = self.sessions.get_mut(key) {
            sessions.remove(&start);
            if sessions.is_empty() {
                self.sessions.remove(key);
            }
        }
        self.by_end.remove(&(end, start, key.into()));
        self.groups.remove(slot, mark);
        self.states.iter_mut().for_each(|s| s.reset(slot as usize));
    }

    fn insert(&mut self, key: &[u8], start: i64, end: i64, slot: u32, pending: bool) {
        self.sessions.entry(key.into()).or_default().insert(start, (end, slot));
        self.by_end.insert((end, start, key.into()), pending);
    }

    fn close(&mut self, context: &StepContext<'_>, out: &mut Output) -> Result<()> {
        let Some(now) = context.time.end() else { return Ok(()) };
        let mut closed = vec![];
        for ((end, start, key), pending) in &mut self.by_end {
            if end.saturating_add(self.gap_ms).saturating_add(self.grace_ms) >= now {
                break;
            }
            if std::mem::take(pending) {
                closed.push((*end, *start, key.clone()));
            }
        }
        for (end, start, key) in closed {
            let closes = end.saturating_add(self.gap_ms).saturating_add(self.grace_ms).saturating_add(1);
            let Some((_, slot)) = self.sessions.get(&key).and_then(|s| s.get(&start)).copied() else { continue };
            out.push(context.time.when(closes).unwrap_or(0), end, Change::Insert, &key, start, end)?;
            out.values(&self.states, slot);
            self.groups.touch(slot);
        }
        Ok(())
    }

    fn expire(&mut self, now: Option<i64>) {
        let Some(now) = now else { return };
        loop {
            let Some((end, start, key)) = self.by_end.first_key_value().map(|(k, _)| k.clone()) else { break };
            let keep_until = end.saturating_add(self.retention_ms.max(self.gap_ms.saturating_add(self.grace_ms)));
            if keep_until >= now {
                break;
            }
            match self.sessions.get(&key).and_then(|s| s.get(&start)).copied() {
                Some((_, slot)) => self.forget(&key, start, end, slot, true),
                None => {
                    self.by_end.remove(&(end, start, key));
                }
            }
        }
    }
}

/// Rows on their way out; values are taken from the states at once, since the next row may change them.
struct Output {
    builder: ChangeBuilder,
    keys: RowDecoder,
    values: Vec<Vec<ArrayRef>>,
    starts: Vec<i64>,
    ends: Vec<i64>,
}

impl Output {
    fn push(&mut self, seq: u64, time: i64, op: Change, key: &[u8], start: i64, end: i64) -> Result<()> {
        self.keys.push(key).map_err(|e| corrupt("an aggregate", e))?;
        self.builder.push(seq, time, op);
        self.starts.push(start);
        self.ends.push(end);
        Ok(())
    }

    fn values(&mut self, states: &[Box<dyn GroupStates>], slot: u32) {
        for (column, state) in self.values.iter_mut().zip(states) {
            column.push(state.values(&[slot]));
        }
    }

    fn finish(mut self, states: &[Box<dyn GroupStates>]) -> Result<ChangeBatch> {
        let mut columns = self.keys.finish().map_err(|e| corrupt("an aggregate", e))?;
        for (parts, state) in self.values.iter().zip(states) {
            let parts: Vec<&dyn arrow::array::Array> = parts.iter().map(AsRef::as_ref).collect();
            columns.push(match parts.as_slice() {
                [] => state.values(&[]),
                parts => concat(parts).map_err(|e| Error::internal(e.to_string()))?,
            });
        }
        columns.push(Arc::new(Int64Array::from(self.starts)));
        columns.push(Arc::new(Int64Array::from(self.ends)));
        Ok(self.builder.finish(columns))
    }
}

/// A row that is to be folded in.
struct Incoming<'a> {
    key: &'a [u8],
    seq: u64,
    time: i64,
    row: u32,
    now: i64,
}

impl SessionAggregate {
    fn fold(
        &mut self,
        incoming: &Incoming<'_>,
        args: &[Vec<ArrayRef>],
        passes: &[Option<arrow::array::BooleanArray>],
        out: &mut Output,
        context: &mut StepContext<'_>,
    ) -> Result<()> {
        let Incoming { key, seq, time, row, now } = *incoming;
        let (low, high) = (time.saturating_sub(self.gap_ms), time.saturating_add(self.gap_ms));
        let touching: Vec<(i64, i64, u32)> = self
            .sessions
            .get(key)
            .map(|s| s.iter().filter(|(start, (end, _))| **start <= high && *end >= low).map(|(s, (e, g))| (*s, *e, *g)).collect())
            .unwrap_or_default();
        let start = touching.iter().map(|t| t.0).min().unwrap_or(time).min(time);
        let end = touching.iter().map(|t| t.1).max().unwrap_or(time).max(time);
        if self.is_closed(end, now) {
            let message = format!("too late for a session at {time} (ms): stream time is {now}, grace {} ms", self.grace_ms);
            context.report(seq, ReportKind::Late, message);
            return Ok(());
        }
        // A state under a key of its own while the sessions that it takes in are still there.
        let fresh = self.new_slot(&[key, &time_bytes(i64::MAX), &time_bytes(i64::MIN)].concat());
        let same = touching.len() == 1 && touching.iter().all(|t| (t.0, t.1) == (start, end));
        for (old_start, old_end, slot) in &touching {
            for state in &mut self.states {
                state.merge(fresh as usize, *slot as usize, true);
            }
            if !self.spec.emit_final {
                if self.spec.emit_old || !same {
                    let op = match (self.spec.emit_old, same) {
                        (true, true) => Change::UpdateBefore,
                        (true, false) => Change::Delete,
                        (false, _) => Change::Tombstone,
                    };
                    out.push(seq, *old_end, op, key, *old_start, *old_end)?;
                    out.values(&self.states, *slot);
                }
            }
            self.forget(key, *old_start, *old_end, *slot, true);
        }
        let one = UInt32Array::from(vec![row]);
        for (((state, call), args), passes) in self.states.iter_mut().zip(&self.spec.calls).zip(args).zip(passes) {
            if passes.as_ref().is_some_and(|p| !arrow::array::Array::is_valid(p, row as usize) || !p.value(row as usize)) {
                continue;
            }
            let args = args.iter().map(|a| take_rows(a, &one)).collect::<Result<Vec<_>>>()?;
            let mut errors = RowErrors::default();
            state.update(&[fresh], &args, None, &mut errors);
            for (_, reason) in errors.rows {
                context.report(seq, ReportKind::Expression, format!("{}: {reason}", call.text));
            }
        }
        // Now under its own key.
        let mut bytes = Vec::new();
        let slot = self.new_slot(&[key, &time_bytes(end), &time_bytes(start)].concat());
        for state in &mut self.states {
            bytes.clear();
            state.store(fresh as usize, &mut bytes);
            state.load(slot as usize, &bytes)?;
            state.reset(fresh as usize);
        }
        self.groups.remove(fresh, false);
        if let Some(group) = self.groups.touch(slot) {
            group.seen = true;
            group.rowtime = end;
        }
        self.insert(key, start, end, slot, self.spec.emit_final);
        if !self.spec.emit_final {
            let op = match (self.spec.emit_old, same) {
                (true, true) => Change::UpdateAfter,
                _ => Change::Insert,
            };
            out.push(seq, end, op, key, start, end)?;
            out.values(&self.states, slot);
        }
        Ok(())
    }
}

impl Operator for SessionAggregate {
    fn name(&self) -> &'static str {
        "SessionAggregate"
    }

    fn step(&mut self, mut inputs: Vec<ChangeBatch>, context: &mut StepContext<'_>) -> Result<ChangeBatch> {
        let input = inputs.pop().unwrap_or_else(|| ChangeBatch::empty(&self.spec.input));
        self.states.iter_mut().for_each(|s| s.number_from(context.epoch << 32));
        let mut out = Output {
            builder: ChangeBuilder::default(),
            keys: RowDecoder::new(&self.spec.key_types, Mode::Ordered).map_err(|e| corrupt("an aggregate", e))?,
            values: vec![vec![]; self.states.len()],
            starts: vec![],
            ends: vec![],
        };
        let batch = input.to_record_batch(&self.spec.input)?;
        let mut errors = RowErrors::default();
        let keys = self.spec.group_by.iter().map(|g| evaluate(g, &batch, &mut errors)).collect::<Result<Vec<_>>>()?;
        let (mut args, mut passes) = (vec![], vec![]);
        for call in &self.spec.calls {
            args.push(call.args.iter().map(|a| evaluate(a, &batch, &mut errors)).collect::<Result<Vec<_>>>()?);
            let filter = call.filter.as_ref().map(|f| evaluate(f, &batch, &mut errors).and_then(|p| downcast(&p)));
            passes.push(filter.transpose()?);
        }
        for (row, reason) in errors.rows {
            context.report(input.seq.value(row), ReportKind::Expression, reason);
        }
        let encoder = RowEncoder::new(&keys, Mode::Ordered).map_err(|e| Error::unsupported(e.to_string()))?;
        let time = context.time;
        let mut clock = time.cursor();
        let mut key = Vec::new();
        for row in 0..input.len() {
            if input.op(row) == Change::Tombstone {
                continue;
            }
            let seq = input.seq.value(row);
            if !self.spec.keep_null_keys && encoder.any_null(row) {
                context.report(seq, ReportKind::NullKey, "a GROUP BY column is NULL");
                continue;
            }
            key.clear();
            encoder.encode(row, &mut key);
            let row_number = u32::try_from(row).unwrap_or(u32::MAX);
            let (time, now) = (input.rowtime.value(row), clock.at(seq));
            self.fold(&Incoming { key: &key, seq, time, row: row_number, now }, &args, &passes, &mut out, context)?;
        }
        if self.spec.emit_final {
            self.close(context, &mut out)?;
        }
        self.expire(context.time.end());
        out.finish(&self.states)
    }

    fn drain(&mut self, each: &mut dyn FnMut(&[u8], Option<&[u8]>)) {
        let (dirty, removed) = self.groups.drain();
        for key in removed {
            each(&key, None);
        }
        let mut value = Vec::new();
        for slot in dirty {
            if let Some(group) = self.groups.get(slot) {
                store(group, &self.states, slot, self.is_pending(&group.key), &mut value);
                each(&group.key, Some(&value));
            }
        }
    }

    fn restore(&mut self, key: &[u8], value: Option<&[u8]>) -> Result<()> {
        let bad = || corrupt("an aggregate", "the entry's key is too short");
        let (rest, start) = key.split_last_chunk::<8>().ok_or_else(bad)?;
        let (plain, end) = rest.split_last_chunk::<8>().ok_or_else(bad)?;
        let (start, end) = (bytes_time(*start), bytes_time(*end));
        match value {
            None => {
                if let Some(slot) = self.groups.find(key) {
                    self.forget(plain, start, end, slot, false);
                }
            }
            Some(value) => {
                let slot = self.new_slot(key);
                let pending = load(value, &mut self.groups, &mut self.states, slot)?;
                self.insert(plain, start, end, slot, pending);
            }
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

impl SessionAggregate {
    fn is_pending(&self, key: &[u8]) -> bool {
        let Some((rest, start)) = key.split_last_chunk::<8>() else { return false };
        let Some((plain, end)) = rest.split_last_chunk::<8>() else { return false };
        self.by_end.get(&(bytes_time(*end), bytes_time(*start), plain.into())).copied().unwrap_or(false)
    }
}
