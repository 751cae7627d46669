//! GROUP BY in session windows: rows of a key that are no further apart than the gap.
//!
//! Input: a stream exchanged by the group columns. Output: a table: group columns, aggregates, WINDOWSTART, WINDOWEND. A
//! row that makes a session longer, or one of several, deletes them and begins one that holds them all; as in ksqlDB, so
//! does a row within a session, unless the session is that one moment. State: per session its aggregates' states. Time:
//! the end of the session. Order: of rows; within one, deletions by start, then the session; with EMIT FINAL, of the rows
//! that closed the sessions, then of end, start and key. Bound: sessions are forgotten when their retention is over.
//! Errors: as for other windows.

mod output;
mod sessions;

use arrow::array::ArrayRef;
use functions::{GroupStates, RowErrors};
use planner::expr::evaluate;
use statestore::Mode;
use types::Result;

use self::{
    output::{Output, Pick},
    sessions::{Session, Sessions},
};
use crate::{
    AggregateSpec, Change, ChangeBatch, Operator, ReportKind, StepContext,
    aggregate::{
        fold::CallInput,
        state::{load, store},
    },
    corrupt,
    latest::last_changes,
    table_rows::encoder,
};

/// See the module.
pub struct SessionAggregate {
    spec: AggregateSpec,
    gap_ms: i64,
    grace_ms: i64,
    /// How long after its end a session is kept, ms.
    kept_ms: i64,
    sessions: Sessions,
    states: Vec<Box<dyn GroupStates>>,
    /// EMIT FINAL: sessions that end before that are closed.
    open_from: i64,
}

/// A row that is to be folded in.
struct Incoming<'a> {
    key: &'a [u8],
    row: u32,
    seq: u64,
    time: i64,
    /// Stream time.
    now: i64,
}

impl SessionAggregate {
    /// `gap_ms`: the longest time between neighbours.
    pub fn new(spec: AggregateSpec, gap_ms: i64) -> SessionAggregate {
        let states = spec.calls.iter().map(|c| (c.bound.make)()).collect();
        let (grace_ms, retention_ms) = spec.window.map_or((0, 0), |w| (w.grace_ms, w.retention_ms));
        let kept_ms = retention_ms.max(gap_ms.saturating_add(grace_ms));
        let sessions = Sessions::default();
        SessionAggregate { spec, gap_ms, grace_ms, kept_ms, sessions, states, open_from: i64::MIN }
    }

    /// The first stream time at which a session that ends at `end` takes no rows any more.
    fn close_ms(&self, end: i64) -> i64 {
        end.saturating_add(self.gap_ms).saturating_add(self.grace_ms).saturating_add(1)
    }

    /// Whether a session that ends at `end` is forgotten at that stream time.
    fn is_expired(&self, end: i64, now: i64) -> bool {
        end.saturating_add(self.kept_ms) < now
    }

    fn make_room(&mut self) {
        let slots = self.sessions.groups.slots();
        self.states.iter_mut().for_each(|s| s.resize(slots));
    }

    fn forget(&mut self, session: Session) {
        self.sessions.remove(session);
        self.states.iter_mut().for_each(|s| s.reset(session.slot as usize));
    }

    fn fold(&mut self, incoming: &Incoming<'_>, out: &mut Output<'_>, context: &mut StepContext<'_>) -> Result<()> {
        let Incoming { key, row, seq, time, now } = *incoming;
        let (low, high) = (time.saturating_sub(self.gap_ms), time.saturating_add(self.gap_ms));
        let mut touching = self.sessions.touching(key, low, high);
        touching.retain(|s| !self.is_expired(s.end, now));
        let start = touching.first().map_or(time, |s| s.start.min(time));
        let end = touching.last().map_or(time, |s| s.end.max(time));
        if self.close_ms(end) <= now {
            let grace = self.grace_ms;
            let message = format!("too late for a session at {time} (ms): stream time is {now}, grace {grace} ms");
            context.report(seq, ReportKind::Late, message);
            return Ok(());
        }
        let (emit, old) = (!self.spec.emit_final, self.spec.emit_old);
        let is_moment = (start, end) == (time, time);
        let before = match touching.first() {
            Some(session) if emit && old && is_moment => Some(out.before(session.slot)),
            _ => None,
        };
        if emit && !is_moment {
            for session in &touching {
                let (op, pick) = match old {
                    true => (Change::Delete, out.before(session.slot)),
                    false => (Change::Tombstone, Pick::Null),
                };
                out.push(row, seq, session.end, op, pick, (session.start, session.end));
            }
        }
        let slot = self.unite(key, &touching, start, end, out)?;
        let after = out.fold(row, slot);
        if emit {
            if let Some(before) = before {
                out.push(row, seq, end, Change::UpdateBefore, before, (start, end));
            }
            let op = if before.is_some() { Change::UpdateAfter } else { Change::Insert };
            out.push(row, seq, end, op, after, (start, end));
        }
        Ok(())
    }

    /// The slot of the session from `start` to `end`, which takes in those that the row touches.
    fn unite(&mut self, key: &[u8], touching: &[Session], start: i64, end: i64, out: &mut Output<'_>) -> Result<u32> {
        let Some((first, others)) = touching.split_first() else {
            let slot = self.sessions.insert(key, start, end);
            self.make_room();
            self.sessions.touch(slot, end, self.spec.emit_final);
            return Ok(slot);
        };
        if !others.is_empty() {
            // Rows on their way to those sessions have to be in before the sessions are taken together.
            out.flush(&mut self.states)?;
        }
        for other in others {
            for state in &mut self.states {
                state.merge(first.slot as usize, other.slot as usize, true);
            }
            self.forget(*other);
        }
        self.sessions.stretch(*first, start, end);
        self.sessions.touch(first.slot, end, self.spec.emit_final);
        Ok(first.slot)
    }

    /// EMIT FINAL: results of the sessions that are closed at stream time `now`, as they are: a row that is not late may
    /// still reach one of them and make it another session.
    fn close(&mut self, now: i64, context: &StepContext<'_>, out: &mut Output<'_>) -> Result<()> {
        let mut closed = vec![];
        for session in self.sessions.ending_from(self.open_from) {
            let close = self.close_ms(session.end);
            if close > now {
                break;
            }
            self.open_from = session.end.saturating_add(1);
            if session.pending {
                closed.push((context.time.when(close).map_or(0, |w| w.0), session));
            }
        }
        let key = |session: &Session| self.sessions.groups.get(session.slot).map(|g| &*g.key);
        let order = |(seq, s): &(u64, Session)| (*seq, s.end, s.start);
        closed.sort_unstable_by(|a, b| order(a).cmp(&order(b)).then_with(|| key(&a.1).cmp(&key(&b.1))));
        for (seq, session) in closed {
            let Some(group) = self.sessions.groups.touch(session.slot) else { continue };
            group.pending = false;
            out.push_final(&group.key, seq, session)?;
        }
        Ok(())
    }

    fn expire(&mut self, now: Option<i64>) {
        let Some(now) = now else { return };
        while let Some(session) = self.sessions.first_ending().filter(|s| self.is_expired(s.end, now)) {
            self.forget(session);
        }
    }

    fn rows(
        &mut self,
        input: &ChangeBatch,
        keys: &[ArrayRef],
        out: &mut Output<'_>,
        context: &mut StepContext<'_>,
    ) -> Result<()> {
        let encoder = encoder(keys, Mode::Ordered)?;
        let time = context.time;
        let mut clock = time.cursor();
        let mut key = Vec::new();
        for (at, row) in (0..input.len()).zip(0u32..) {
            if input.op(at) == Change::Tombstone {
                continue;
            }
            let seq = input.seq.value(at);
            if !self.spec.keep_null_keys && encoder.any_null(at) {
                context.report(seq, ReportKind::NullKey, "a GROUP BY column is NULL");
                continue;
            }
            key.clear();
            encoder.encode(at, &mut key);
            let (time, now) = (input.rowtime.value(at), clock.at(seq));
            if self.spec.emit_final {
                self.close(now, context, out)?;
            }
            self.fold(&Incoming { key: &key, row, seq, time, now }, out, context)?;
        }
        match time.end().filter(|_| self.spec.emit_final) {
            Some(now) => self.close(now, context, out),
            None => Ok(()),
        }
    }
}

impl Operator for SessionAggregate {
    fn name(&self) -> &'static str {
        "SessionAggregate"
    }

    fn step(&mut self, mut inputs: Vec<ChangeBatch>, context: &mut StepContext<'_>) -> Result<ChangeBatch> {
        let input = inputs.pop().unwrap_or_else(|| ChangeBatch::empty(&self.spec.input));
        self.states.iter_mut().for_each(|s| s.number_from(context.epoch << 32));
        let batch = input.to_record_batch(&self.spec.input)?;
        let mut errors = RowErrors::default();
        let keys = self.spec.group_by.iter().map(|g| evaluate(g, &batch, &mut errors)).collect::<Result<Vec<_>>>()?;
        for (row, reason) in errors.rows {
            context.report(input.seq.value(row), ReportKind::Expression, reason);
        }
        let calls = CallInput::evaluate(&self.spec.calls, &input, &self.spec.input, context)?;
        let mut out = Output::new(&calls, &self.spec.key_types, self.spec.emit_final)?;
        self.rows(&input, &keys, &mut out, context)?;
        out.flush(&mut self.states)?;
        for (row, reason) in out.take_errors() {
            context.report(input.seq.value(row), ReportKind::Expression, reason);
        }
        let mut changes = out.finish(&keys, &self.states)?;
        if context.caching && !self.spec.emit_final {
            let (keys, width) = (keys.len(), changes.columns.len());
            let key: Vec<usize> = (0..keys).chain([width - 2, width - 1]).collect();
            changes = last_changes(changes, &key, self.spec.emit_old)?;
        }
        self.expire(context.time.end());
        Ok(changes)
    }

    fn closings(&self, each: &mut dyn FnMut(i64)) {
        if self.spec.emit_final {
            let pending = self.sessions.ending_from(self.open_from).filter(|s| s.pending);
            pending.for_each(|session| each(self.close_ms(session.end)));
        }
    }

    fn drain(&mut self, each: &mut dyn FnMut(&[u8], Option<&[u8]>)) {
        let (dirty, removed) = self.sessions.groups.drain();
        for key in removed {
            each(&key, None);
        }
        let mut value = Vec::new();
        for slot in dirty {
            if let Some(group) = self.sessions.groups.get(slot) {
                store(group, &self.states, slot, &mut value);
                each(&group.key, Some(&value));
            }
        }
    }

    fn restore(&mut self, key: &[u8], value: Option<&[u8]>) -> Result<()> {
        let (plain, start, end) =
            sessions::split_key(key).ok_or_else(|| corrupt("an aggregate", "the entry's key is too short"))?;
        match (value, self.sessions.find(key, start, end)) {
            (None, Some(session)) => {
                self.sessions.remove_restored(session);
                self.states.iter_mut().for_each(|s| s.reset(session.slot as usize));
                Ok(())
            }
            (None, None) => Ok(()),
            (Some(value), found) => {
                let slot = found.map_or_else(|| self.sessions.insert(plain, start, end), |s| s.slot);
                self.make_room();
                load(value, &mut self.sessions.groups, &mut self.states, slot)
            }
        }
    }

    fn entries(&self, each: &mut dyn FnMut(&[u8], &[u8])) {
        let mut value = Vec::new();
        for (slot, group) in self.sessions.groups.iter() {
            store(group, &self.states, slot, &mut value);
            each(&group.key, &value);
        }
    }

    fn size(&self) -> (usize, usize) {
        let groups = &self.sessions.groups;
        (groups.len(), groups.size_bytes() + self.states.iter().map(|s| s.size_bytes()).sum::<usize>())
    }
}
