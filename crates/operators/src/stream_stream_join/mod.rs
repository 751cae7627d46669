//! Rows of two streams with the same key that lie within a time of each other.
//!
//! Input: two streams partitioned by the join key. Output: a stream: left columns, right columns, then the key columns.
//! State: both sides' rows for as long as a partner may still come, and how far each side's time has come. Time: of the
//! later row of a pair; of the row alone where an outer join has no partner for it. Order: of the row that completed the
//! pair, partners by their time; rows without a partner come when stream time closes their window, before the row that
//! closed it. A condition besides the key makes two rows no partners: a row whose candidates all fail it is alone.
//! Bound: the rows of the time that the join spans, grace included, measured by the time of their own side, as ksqlDB
//! does. Errors: rows without a key or value join nothing; a row older than what is kept meets partners that are there,
//! but is not kept for those to come, and is reported.

mod buffer;
mod rows;

use std::cmp::Reverse;

use arrow::{
    array::{Array, ArrayRef, BooleanArray, UInt32Array},
    compute::interleave,
    datatypes::{DataType, SchemaRef},
};
use functions::RowErrors;
use planner::plan::BoundExpr;
use statestore::{Mode, RowDecoder, RowEncoder};
use syntax::ast::JoinKind;
use types::{Error, Result};

use self::{
    buffer::Buffer,
    rows::{Kept, Number, RowId},
};
use crate::{
    Change, ChangeBatch, ChangeBuilder, Operator, ReportKind, StepContext, TimeCursor,
    aggregate::windows::{bytes_time, time_bytes},
    change::take_rows,
    corrupt, null_column,
    residual::Residual,
    table_rows::{Side, column_types, encoder, key_columns},
};

/// What a stream-stream join does.
#[derive(Clone)]
pub struct StreamStreamSpec {
    /// Left and right columns.
    pub schemas: [SchemaRef; 2],
    /// Key expressions over them.
    pub keys: [Vec<BoundExpr>; 2],
    /// Types of the key columns.
    pub key_types: Vec<DataType>,
    /// The kind.
    pub kind: JoinKind,
    /// The right row may be so much older than the left, ms.
    pub before_ms: i64,
    /// The right row may be so much younger than the left, ms.
    pub after_ms: i64,
    /// How long after a window's end rows are taken; `None`: rows without a partner are emitted at once.
    pub grace_ms: Option<i64>,
    /// Of an outer join: what else has to hold for two rows to be partners, over left and right columns.
    pub residual: Option<BoundExpr>,
    /// Of each column of the output whether somebody reads it; the others are NULL.
    pub wanted: Vec<bool>,
}

/// Without GRACE PERIOD, rows are kept that much longer than the join spans: 24 hours, as ksqlDB's default.
const DEFAULT_GRACE_MS: i64 = 24 * 60 * 60 * 1000;

/// The first byte of the state's entry that holds the sides' times; rows begin with their side, 0 or 1.
const TIMES: u8 = 2;

/// See the module.
pub struct StreamStreamJoin {
    spec: StreamStreamSpec,
    residual: Option<Residual>,
    buffer: Buffer,
    /// The latest event time of each side, over all partitions.
    times: [i64; 2],
    times_changed: bool,
    /// Rows of the other side that are partners of the row at hand, by time.
    found: Vec<(i64, RowId)>,
    /// Counts steps.
    step: u32,
}

/// The batch at hand and what comes of it.
struct Work<'a> {
    batches: &'a [ChangeBatch; 2],
    keys: [RowEncoder<'a>; 2],
    rows: [RowEncoder<'a>; 2],
    key: Vec<u8>,
    builder: ChangeBuilder,
    sides: [Side; 2],
    out_keys: OutKeys,
    step: u32,
    clock: TimeCursor<'a>,
    clocks: [TimeCursor<'a>; 2],
    /// Of each side: how many rows before this one have its order.
    tie: [(u64, u32); 2],
}

/// A row of the batch.
#[derive(Clone, Copy)]
struct Incoming {
    side: usize,
    row: usize,
    time: i64,
    number: Number,
    /// Stream time.
    now: i64,
}

#[allow(clippy::indexing_slicing)] // Two-element arrays indexed by side, 0 or 1.
impl<'a> Work<'a> {
    fn new(
        spec: &StreamStreamSpec,
        batches: &'a [ChangeBatch; 2],
        keys: &'a [Vec<ArrayRef>; 2],
        times: [i64; 2],
        time: &'a crate::TimeLine,
        step: u32,
    ) -> Result<Work<'a>> {
        let (left, right) = (spec.schemas[0].fields().len(), spec.schemas[1].fields().len());
        let wanted = |from: usize, n: usize| (from..from + n).map(|c| spec.wanted.get(c) != Some(&false)).collect();
        Ok(Work {
            keys: [encoder(&keys[0], Mode::Ordered)?, encoder(&keys[1], Mode::Ordered)?],
            rows: [encoder(&batches[0].columns, Mode::Compact)?, encoder(&batches[1].columns, Mode::Compact)?],
            batches,
            key: vec![],
            builder: ChangeBuilder::default(),
            sides: [Side::of(&spec.schemas[0], wanted(0, left))?, Side::of(&spec.schemas[1], wanted(left, right))?],
            out_keys: OutKeys::new(&spec.key_types, wanted(left + right, spec.key_types.len()))?,
            step,
            clock: time.cursor(),
            clocks: [time.input(0).cursor_from(times[0]), time.input(1).cursor_from(times[1])],
            tie: [(u64::MAX, 0); 2],
        })
    }

    fn incoming(&mut self, side: usize, row: usize) -> Incoming {
        let (seq, time) = (self.batches[side].seq.value(row), self.batches[side].rowtime.value(row));
        let (last, tie) = self.tie[side];
        let tie = if last == seq { tie.saturating_add(1) } else { 0 };
        self.tie[side] = (seq, tie);
        Incoming { side, row, time, number: (seq, tie), now: self.clock.at(seq) }
    }

    /// The row and a partner, which is in the buffer of the other side.
    fn pair(&mut self, incoming: Incoming, buffer: &mut Buffer, (time, id): (i64, RowId)) -> Result<()> {
        let other = 1 - incoming.side;
        let theirs = &mut self.sides[other];
        let next = theirs.next_stored();
        // Many rows of one side meet few of the other: each is decoded once.
        match buffer.decoded(other, id, self.step, u32::try_from(next).unwrap_or(u32::MAX)) {
            Some(place) => theirs.push_again(place as usize),
            None => theirs.push_stored(buffer.get(other, id).map_or(&[][..], |kept| kept.columns))?,
        }
        self.push_own(incoming, incoming.time.max(time));
        Ok(())
    }

    fn lonely(&mut self, incoming: Incoming) {
        self.sides[1 - incoming.side].null();
        self.push_own(incoming, incoming.time);
    }

    fn push_own(&mut self, incoming: Incoming, time: i64) {
        self.sides[incoming.side].push_own(incoming.row);
        self.out_keys.push_own(incoming.side, incoming.row);
        // Rows that the same record gave up come before.
        self.builder.push(incoming.number.0 | 1, time, Change::Insert);
    }

    fn given_up(&mut self, side: usize, kept: &Kept<'_>, seq: u64) -> Result<()> {
        self.sides[side].push_stored(kept.columns)?;
        self.sides[1 - side].null();
        self.out_keys.push_stored(kept.key)?;
        self.builder.push(seq, kept.time, Change::Insert);
        Ok(())
    }
}

/// The key columns of what comes out: of rows of the batch, and of rows that were kept.
struct OutKeys {
    decoder: RowDecoder,
    types: Vec<DataType>,
    wanted: Vec<bool>,
    /// (side, row of its batch) or (2, row of the decoder).
    picks: Vec<(usize, usize)>,
}

impl OutKeys {
    fn new(types: &[DataType], wanted: Vec<bool>) -> Result<OutKeys> {
        let decoder = RowDecoder::new(types, Mode::Ordered).map_err(|e| corrupt("a join", e))?;
        Ok(OutKeys { decoder, types: types.to_vec(), wanted, picks: vec![] })
    }

    fn push_own(&mut self, side: usize, row: usize) {
        self.picks.push((side, row));
    }

    fn push_stored(&mut self, key: &[u8]) -> Result<()> {
        self.picks.push((2, self.decoder.len()));
        self.decoder.push(key).map_err(|e| corrupt("a join", e))
    }

    fn finish(mut self, [left, right]: &[Vec<ArrayRef>; 2]) -> Result<Vec<ArrayRef>> {
        let stored = self.decoder.finish().map_err(|e| corrupt("a join", e))?;
        let columns = self.types.iter().zip(&self.wanted).enumerate().map(|(at, (ty, wanted))| {
            let sources: Vec<&dyn Array> =
                [left, right, &stored].iter().filter_map(|columns| columns.get(at)).map(AsRef::as_ref).collect();
            if !wanted || self.picks.is_empty() || sources.len() < 3 {
                return Ok(null_column(ty, self.picks.len()));
            }
            interleave(&sources, &self.picks).map_err(|e| Error::internal(format!("join: {e}")))
        });
        columns.collect()
    }
}

#[allow(clippy::indexing_slicing)] // Two-element arrays indexed by side, 0 or 1.
impl StreamStreamJoin {
    /// An empty one.
    pub fn new(spec: StreamStreamSpec) -> StreamStreamJoin {
        let times = [i64::MIN; 2];
        let [left, right] = &spec.schemas;
        let residual = spec.residual.clone().map(|condition| Residual::new(condition, left, right));
        let buffer = Buffer::default();
        StreamStreamJoin { spec, residual, buffer, times, times_changed: false, found: vec![], step: 0 }
    }

    fn is_outer(&self, side: usize) -> bool {
        matches!((self.spec.kind, side), (JoinKind::Full, _) | (JoinKind::Left, 0) | (JoinKind::Right, 1))
    }

    /// How much (older, younger) a partner on the other side may be.
    fn span(&self, side: usize) -> (i64, i64) {
        match side {
            0 => (self.spec.before_ms, self.spec.after_ms),
            _ => (self.spec.after_ms, self.spec.before_ms),
        }
    }

    fn grace(&self) -> i64 {
        self.spec.grace_ms.unwrap_or(DEFAULT_GRACE_MS)
    }

    /// The first stream time at which a row of that side and time is given up.
    fn close_ms(&self, side: usize, time: i64) -> i64 {
        time.saturating_add(self.span(side).1).saturating_add(self.grace()).saturating_add(1)
    }

    /// How long rows are kept after their time.
    fn retention(&self) -> i64 {
        self.spec.before_ms.saturating_add(self.spec.after_ms).saturating_add(self.grace())
    }

    /// Rows without a partner whose windows are closed at stream time `now`.
    fn give_up(&mut self, now: i64, time: &crate::TimeLine, seq: u64, work: &mut Work<'_>) -> Result<()> {
        if self.buffer.first_alone().is_none_or(|close| close > now) {
            return Ok(());
        }
        let mut closed = vec![];
        while let Some((close, side, id)) = self.buffer.pop_alone(now) {
            closed.push((time.when(close).map_or(seq, |w| w.0), close, side, id));
        }
        // By the row that closed them, then by their end; of the same end right rows first, then by key and arrival.
        let buffer = &self.buffer;
        let order = |side, id| (Reverse(side), buffer.get(side, id).map(|kept| (kept.key, kept.number)));
        closed.sort_unstable_by(|a, b| (a.0, a.1).cmp(&(b.0, b.1)).then_with(|| order(a.2, a.3).cmp(&order(b.2, b.3))));
        for (seq, _, side, id) in closed {
            if let Some(kept) = buffer.get(side, id) {
                work.given_up(side, &kept, seq)?;
            }
        }
        Ok(())
    }

    fn row(&mut self, incoming: Incoming, work: &mut Work<'_>, context: &mut StepContext<'_>) -> Result<()> {
        let Incoming { side, row, time, number, now } = incoming;
        let other = 1 - side;
        let (own_time, other_time) = (work.clocks[side].at(number.0), work.clocks[other].at(number.0));
        let mut key = std::mem::take(&mut work.key);
        key.clear();
        work.keys[side].encode(row, &mut key);
        let (older, younger) = self.span(side);
        let kept_from = other_time.saturating_sub(self.retention());
        let low = time.saturating_sub(older).max(kept_from);
        let high = time.saturating_add(younger);
        let hash = self.buffer.hash(&key);
        let mut found = std::mem::take(&mut self.found);
        found.clear();
        self.buffer.find(other, hash, &key, (low, high), &mut found);
        if let Some(residual) = &self.residual {
            let partners = self.partners(residual, incoming, &found, work, context)?;
            let mut partners = partners.values().iter();
            found.retain(|_| partners.next().unwrap_or(false));
        }
        let matched = !found.is_empty();
        for partner in &found {
            work.pair(incoming, &mut self.buffer, *partner)?;
            if self.is_outer(other) {
                let close = self.close_ms(other, partner.0);
                self.buffer.set_together(other, partner.1, close);
            }
        }
        self.found = found;
        let keeps = time.saturating_add(self.retention()) >= own_time;
        let alone = !matched && self.is_outer(side);
        let close = self.close_ms(side, time);
        let waits = alone && keeps && self.spec.grace_ms.is_some() && close > now;
        if alone && !waits {
            work.lonely(incoming);
        }
        if keeps {
            let write = |out: &mut Vec<u8>| work.rows[side].encode(row, out);
            self.buffer.insert(side, hash, (time, number, &key), waits.then_some(close), write);
        } else {
            let message = format!("too late to wait for partners in the join: stream time is {own_time} (ms)");
            context.report(number.0, ReportKind::Late, message);
        }
        work.key = key;
        Ok(())
    }

    /// Which of the other side's rows, of the same key and near enough in time, are partners of the incoming one.
    fn partners(
        &self,
        residual: &Residual,
        incoming: Incoming,
        found: &[(i64, RowId)],
        work: &Work<'_>,
        context: &mut StepContext<'_>,
    ) -> Result<BooleanArray> {
        let other = 1 - incoming.side;
        let broken = |e| corrupt("a join", e);
        let types = column_types(&self.spec.schemas[other]);
        let mut candidates = RowDecoder::new(&types, Mode::Compact).map_err(broken)?;
        for kept in found.iter().filter_map(|(_, id)| self.buffer.get(other, *id)) {
            candidates.push(kept.columns).map_err(broken)?;
        }
        let count = candidates.len();
        if count == 0 {
            return Ok(BooleanArray::from(Vec::<bool>::new()));
        }
        let theirs = candidates.finish().map_err(broken)?;
        let copies = UInt32Array::from_value(u32::try_from(incoming.row).unwrap_or(u32::MAX), count);
        let own =
            work.batches[incoming.side].columns.iter().map(|c| take_rows(c, &copies)).collect::<Result<Vec<_>>>()?;
        let columns = if incoming.side == 0 { [own, theirs] } else { [theirs, own] }.concat();
        let mut errors = RowErrors::default();
        let partners = residual.partners(&columns, count, &mut errors)?;
        for (_, reason) in errors.rows {
            context.report(incoming.number.0, ReportKind::Expression, reason);
        }
        Ok(partners)
    }

    fn rows(&mut self, work: &mut Work<'_>, context: &mut StepContext<'_>) -> Result<()> {
        let (batches, time) = (work.batches, context.time);
        let mut next = [0, 0];
        loop {
            let head = |side: usize| (next[side] < batches[side].len()).then(|| batches[side].seq.value(next[side]));
            let side = match (head(0), head(1)) {
                (Some(l), Some(r)) => usize::from(r < l),
                (Some(_), None) => 0,
                (None, Some(_)) => 1,
                (None, None) => break,
            };
            let incoming = work.incoming(side, next[side]);
            next[side] += 1;
            let seq = incoming.number.0;
            self.give_up(incoming.now, time, seq, work)?;
            if batches[side].op(incoming.row) == Change::Tombstone {
                continue;
            }
            if work.keys[side].any_null(incoming.row) {
                if self.is_outer(side) {
                    context.report(seq, ReportKind::NullKey, "the join key is NULL");
                }
                continue;
            }
            self.row(incoming, work, context)?;
        }
        match time.end() {
            Some(now) => self.give_up(now, time, u64::MAX, work),
            None => Ok(()),
        }
    }

    /// The epoch is over.
    fn advance(&mut self, context: &StepContext<'_>) {
        for (side, own) in self.times.iter_mut().enumerate() {
            let now = context.time.input(side).end().unwrap_or(i64::MIN);
            self.times_changed |= now > *own;
            *own = now.max(*own);
        }
        let retention = self.retention();
        for (side, now) in self.times.iter().enumerate() {
            self.buffer.expire(side, now.saturating_sub(retention));
        }
    }
}

impl Operator for StreamStreamJoin {
    fn name(&self) -> &'static str {
        "StreamStreamJoin"
    }

    fn step(&mut self, inputs: Vec<ChangeBatch>, context: &mut StepContext<'_>) -> Result<ChangeBatch> {
        let [left_schema, right_schema] = &self.spec.schemas;
        let mut inputs = inputs.into_iter();
        let left = inputs.next().unwrap_or_else(|| ChangeBatch::empty(left_schema));
        let right = inputs.next().unwrap_or_else(|| ChangeBatch::empty(right_schema));
        let [left_key, right_key] = &self.spec.keys;
        let keys = [
            key_columns(left_key, &left, left_schema, context)?,
            key_columns(right_key, &right, right_schema, context)?,
        ];
        let batches = [left, right];
        // 0 is the step of rows that were in none.
        self.step = self.step.checked_add(1).unwrap_or(1);
        let mut work = Work::new(&self.spec, &batches, &keys, self.times, context.time, self.step)?;
        self.rows(&mut work, context)?;
        let Work { sides: [left_side, right_side], out_keys, builder, .. } = work;
        self.advance(context);
        let [left, right] = &batches;
        let mut columns = left_side.finish(left)?;
        columns.extend(right_side.finish(right)?);
        columns.extend(out_keys.finish(&keys)?);
        Ok(builder.finish(columns))
    }

    fn drain(&mut self, each: &mut dyn FnMut(&[u8], Option<&[u8]>)) {
        self.buffer.drain(each);
        if std::mem::take(&mut self.times_changed) {
            let [left, right] = self.times.map(time_bytes);
            each(&[TIMES], Some(&[left, right].concat()));
        }
    }

    fn restore(&mut self, key: &[u8], value: Option<&[u8]>) -> Result<()> {
        if key == [TIMES] {
            let times = value.and_then(|v| v.split_first_chunk::<8>());
            let Some((left, right)) = times.and_then(|(l, r)| Some((l, r.first_chunk::<8>()?))) else {
                return Err(corrupt("a join", "the entry of times is too short"));
            };
            self.times = [bytes_time(*left), bytes_time(*right)];
            return Ok(());
        }
        let spec = &self.spec;
        let grace = spec.grace_ms.unwrap_or(DEFAULT_GRACE_MS);
        let younger = [spec.after_ms, spec.before_ms];
        let close = |side: usize, time: i64| {
            let younger = younger.get(side).copied().unwrap_or(0);
            time.saturating_add(younger).saturating_add(grace).saturating_add(1)
        };
        self.buffer.restore(key, value, close)
    }

    fn entries(&self, each: &mut dyn FnMut(&[u8], &[u8])) {
        let retention = self.retention();
        self.buffer.entries(self.times.map(|time| time.saturating_sub(retention)), each);
        if self.times.iter().any(|t| *t > i64::MIN) {
            let [left, right] = self.times.map(time_bytes);
            each(&[TIMES], &[left, right].concat());
        }
    }

    fn size(&self) -> (usize, usize) {
        self.buffer.size()
    }
}
