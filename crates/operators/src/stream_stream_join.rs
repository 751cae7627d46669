//! Rows of two streams with the same key that lie within a time of each other.
//!
//! Input: two streams partitioned by the join key. Output: a stream: left columns, right columns, then the key columns.
//! State: both sides' rows for as long as a partner may still come. Time: of the later row of a pair; of the row alone
//! where an outer join has no partner for it. Order: of the row that completed the pair, partners by their time; rows
//! without a partner come when stream time closes their window, before the row that closed it. Bound: the rows of the
//! time that the join spans. Errors: rows without a key or value join nothing; rows older than what is kept are late.

use std::{
    collections::{BTreeMap, HashMap},
    ops::Bound,
};

use arrow::datatypes::{DataType, SchemaRef};
use foldhash::fast::RandomState;
use planner::plan::BoundExpr;
use statestore::{Mode, RowDecoder};
use syntax::ast::JoinKind;
use types::Result;

use crate::{
    Change, ChangeBatch, ChangeBuilder, Operator, ReportKind, StepContext,
    aggregate::windows::{bytes_time, time_bytes},
    corrupt,
    table_rows::{Side, encoder, key_columns},
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
}

/// Without GRACE PERIOD, rows are kept that much longer than the join spans: 24 hours, as ksqlDB's default.
const DEFAULT_GRACE_MS: i64 = 24 * 60 * 60 * 1000;

/// See the module.
pub struct StreamStreamJoin {
    spec: StreamStreamSpec,
    buffers: [Buffer; 2],
    /// Rows that have no partner yet, in the order in which they are given up: time, side (right first), key, number.
    alone: BTreeMap<(i64, u8, Box<[u8]>, u64), ()>,
    changed: Vec<(Box<[u8]>, Option<Box<[u8]>>)>,
}

type ByTime = BTreeMap<(i64, u64), Kept>;

#[derive(Default)]
struct Buffer {
    by_key: HashMap<Box<[u8]>, ByTime, RandomState>,
    /// Keys with rows of a time, to forget them in bulk.
    by_time: BTreeMap<i64, Vec<(Box<[u8]>, u64)>>,
    rows: usize,
    bytes: usize,
}

struct Kept {
    row: Box<[u8]>,
    alone: bool,
}

impl StreamStreamJoin {
    /// An empty one.
    pub fn new(spec: StreamStreamSpec) -> StreamStreamJoin {
        StreamStreamJoin { spec, buffers: Default::default(), alone: BTreeMap::new(), changed: vec![] }
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

    /// The stream time after which a row of that side and time finds no partner any more.
    fn closes(&self, side: usize, time: i64) -> i64 {
        time.saturating_add(self.span(side).1).saturating_add(self.grace())
    }

    /// How long rows are kept after their time.
    fn retention(&self) -> i64 {
        self.spec.before_ms.saturating_add(self.spec.after_ms).saturating_add(self.grace())
    }
}

fn entry_key(side: usize, time: i64, number: u64, key: &[u8]) -> Box<[u8]> {
    let side = if side == 0 { 0u8 } else { 1 };
    [&[side][..], &time_bytes(time), &number.to_be_bytes(), key].concat().into()
}

fn entry_value(kept: &Kept) -> Box<[u8]> {
    [&[u8::from(kept.alone)], &*kept.row].concat().into()
}

struct Output<'a> {
    builder: ChangeBuilder,
    sides: [Side; 2],
    keys: RowDecoder,
    batches: &'a [ChangeBatch; 2],
}

#[allow(clippy::indexing_slicing)] // Two-element arrays indexed by side, 0 or 1.
impl Output<'_> {
    fn pair(&mut self, side: usize, row: usize, other: &[u8], key: &[u8], time: i64) -> Result<()> {
        let seq = self.batches[side].seq.value(row);
        self.sides[side].from_batch(row);
        self.sides[1 - side].from_state(other)?;
        self.push(seq | 1, time, key)
    }

    fn lonely_row(&mut self, side: usize, row: usize, key: &[u8]) -> Result<()> {
        let (seq, time) = (self.batches[side].seq.value(row), self.batches[side].rowtime.value(row));
        self.sides[side].from_batch(row);
        self.sides[1 - side].null();
        self.push(seq | 1, time, key)
    }

    fn lonely_kept(&mut self, side: usize, kept: &[u8], key: &[u8], time: i64, seq: u64) -> Result<()> {
        self.sides[side].from_state(kept)?;
        self.sides[1 - side].null();
        self.push(seq, time, key)
    }

    fn push(&mut self, seq: u64, time: i64, key: &[u8]) -> Result<()> {
        self.keys.push(key).map_err(|e| corrupt("a join", e))?;
        self.builder.push(seq, time, Change::Insert);
        Ok(())
    }
}

#[allow(clippy::indexing_slicing)] // Two-element arrays indexed by side, 0 or 1.
impl StreamStreamJoin {
    /// Rows without a partner whose windows closed by the time `now`, which is that of the row at `seq`.
    fn give_up(&mut self, now: i64, context: &StepContext<'_>, floor: u64, out: &mut Output<'_>) -> Result<()> {
        loop {
            let Some(((time, order, key, number), ())) = self.alone.first_key_value() else { break };
            let (time, side, number) = (*time, usize::from(*order == 0), *number);
            if self.closes(side, time) >= now {
                break;
            }
            let seq = context.time.when(self.closes(side, time).saturating_add(1)).unwrap_or(floor);
            let key = key.clone();
            self.alone.pop_first();
            if let Some(kept) = self.buffers[side].by_key.get_mut(&key).and_then(|t| t.get_mut(&(time, number))) {
                out.lonely_kept(side, &kept.row, &key, time, seq)?;
                kept.alone = false;
                self.changed.push((entry_key(side, time, number, &key), Some(entry_value(kept))));
            }
        }
        Ok(())
    }

    fn row(&mut self, side: usize, row: usize, key: &[u8], bytes: &[u8], now: i64, out: &mut Output<'_>) -> Result<()> {
        let batch = &out.batches[side];
        let (time, seq) = (batch.rowtime.value(row), batch.seq.value(row));
        let (older, younger) = self.span(side);
        let window = (
            Bound::Included((time.saturating_sub(older), 0)),
            Bound::Included((time.saturating_add(younger), u64::MAX)),
        );
        let mut matched = false;
        let other = 1 - side;
        let outer_other = self.is_outer(other);
        if let Some(partners) = self.buffers[other].by_key.get_mut(key).filter(|_| older.saturating_add(younger) >= 0) {
            for ((other_time, number), kept) in partners.range_mut(window) {
                matched = true;
                out.pair(side, row, &kept.row, key, time.max(*other_time))?;
                if kept.alone && outer_other {
                    kept.alone = false;
                    let order = u8::from(other == 0);
                    self.alone.remove(&(*other_time, order, key.into(), *number));
                    self.changed.push((entry_key(other, *other_time, *number, key), Some(entry_value(kept))));
                }
            }
        }
        let mut alone = false;
        if !matched && self.is_outer(side) {
            if self.spec.grace_ms.is_none() || self.closes(side, time) < now {
                out.lonely_row(side, row, key)?;
            } else {
                alone = true;
                self.alone.insert((time, u8::from(side == 0), key.into(), seq), ());
            }
        }
        if time.saturating_add(self.retention()) >= now {
            self.keep(side, key, time, seq, Kept { row: bytes.into(), alone }, true);
        }
        Ok(())
    }

    fn keep(&mut self, side: usize, key: &[u8], time: i64, number: u64, kept: Kept, mark: bool) {
        if mark {
            self.changed.push((entry_key(side, time, number, key), Some(entry_value(&kept))));
        }
        let buffer = &mut self.buffers[side];
        buffer.bytes += kept.row.len() + key.len();
        buffer.rows += 1;
        buffer.by_time.entry(time).or_default().push((key.into(), number));
        match buffer.by_key.get_mut(key) {
            Some(rows) => {
                rows.insert((time, number), kept);
            }
            None => {
                buffer.by_key.insert(key.into(), BTreeMap::from([((time, number), kept)]));
            }
        }
    }

    fn expire(&mut self, now: Option<i64>) {
        let Some(now) = now else { return };
        let retention = self.retention();
        for side in 0..2 {
            let buffer = &mut self.buffers[side];
            while let Some(entry) = buffer.by_time.first_entry() {
                let time = *entry.key();
                if time.saturating_add(retention) >= now {
                    break;
                }
                for (key, number) in entry.remove() {
                    if let Some(rows) = buffer.by_key.get_mut(&key) {
                        if let Some(kept) = rows.remove(&(time, number)) {
                            buffer.bytes -= kept.row.len() + key.len();
                            buffer.rows -= 1;
                        }
                        if rows.is_empty() {
                            buffer.by_key.remove(&key);
                        }
                    }
                    self.changed.push((entry_key(side, time, number, &key), None));
                }
            }
        }
    }
}

#[allow(clippy::indexing_slicing)] // Two-element arrays indexed by side, 0 or 1.
impl Operator for StreamStreamJoin {
    fn name(&self) -> &'static str {
        "StreamStreamJoin"
    }

    fn step(&mut self, inputs: Vec<ChangeBatch>, context: &mut StepContext<'_>) -> Result<ChangeBatch> {
        let mut inputs = inputs.into_iter();
        let left = inputs.next().unwrap_or_else(|| ChangeBatch::empty(&self.spec.schemas[0]));
        let right = inputs.next().unwrap_or_else(|| ChangeBatch::empty(&self.spec.schemas[1]));
        let batches = [left, right];
        let keys = [
            key_columns(&self.spec.keys[0], &batches[0], &self.spec.schemas[0], context)?,
            key_columns(&self.spec.keys[1], &batches[1], &self.spec.schemas[1], context)?,
        ];
        let key_encoders = [encoder(&keys[0], Mode::Ordered)?, encoder(&keys[1], Mode::Ordered)?];
        let row_encoders = [encoder(&batches[0].columns, Mode::Compact)?, encoder(&batches[1].columns, Mode::Compact)?];
        let mut out = Output {
            builder: ChangeBuilder::default(),
            sides: [Side::new(&self.spec.schemas[0])?, Side::new(&self.spec.schemas[1])?],
            keys: RowDecoder::new(&self.spec.key_types, Mode::Ordered).map_err(|e| corrupt("a join", e))?,
            batches: &batches,
        };
        let time_line = context.time;
        let mut clock = time_line.cursor();
        let (mut next, mut key, mut bytes, mut last_seq) = ([0, 0], Vec::new(), Vec::new(), 0);
        loop {
            let head = |side: usize| (next[side] < batches[side].len()).then(|| batches[side].seq.value(next[side]));
            let (side, seq) = match (head(0), head(1)) {
                (Some(l), Some(r)) if r < l => (1, r),
                (Some(l), _) => (0, l),
                (None, Some(r)) => (1, r),
                (None, None) => break,
            };
            let row = next[side];
            next[side] += 1;
            last_seq = seq;
            let now = clock.at(seq);
            self.give_up(now, context, seq, &mut out)?;
            if batches[side].op(row) == Change::Tombstone {
                continue;
            }
            if key_encoders[side].any_null(row) {
                if self.is_outer(side) {
                    context.report(seq, ReportKind::NullKey, "the join key is NULL");
                }
                continue;
            }
            if batches[side].rowtime.value(row).saturating_add(self.retention()) < now {
                context.report(seq, ReportKind::Late, format!("too late for the join: stream time is {now} (ms)"));
            }
            key.clear();
            key_encoders[side].encode(row, &mut key);
            bytes.clear();
            row_encoders[side].encode(row, &mut bytes);
            self.row(side, row, &key, &bytes, now, &mut out)?;
        }
        if let Some(now) = time_line.end() {
            self.give_up(now, context, last_seq, &mut out)?;
        }
        self.expire(time_line.end());
        let [left_side, right_side] = out.sides;
        let mut columns = left_side.finish(&batches[0])?;
        columns.extend(right_side.finish(&batches[1])?);
        columns.extend(out.keys.finish().map_err(|e| corrupt("a join", e))?);
        Ok(out.builder.finish(columns))
    }

    fn drain(&mut self, each: &mut dyn FnMut(&[u8], Option<&[u8]>)) {
        for (key, value) in std::mem::take(&mut self.changed) {
            each(&key, value.as_deref());
        }
    }

    fn restore(&mut self, key: &[u8], value: Option<&[u8]>) -> Result<()> {
        let bad = || corrupt("a join", "the entry's key is too short");
        let ([side], rest) = key.split_first_chunk::<1>().ok_or_else(bad)?;
        let (time, rest) = rest.split_first_chunk::<8>().ok_or_else(bad)?;
        let (number, key) = rest.split_first_chunk::<8>().ok_or_else(bad)?;
        let (side, time, number) = (usize::from(*side == 1), bytes_time(*time), u64::from_be_bytes(*number));
        let order = u8::from(side == 0);
        let buffer = &mut self.buffers[side];
        if let Some(rows) = buffer.by_key.get_mut(key)
            && let Some(old) = rows.remove(&(time, number))
        {
            buffer.bytes -= old.row.len() + key.len();
            buffer.rows -= 1;
        }
        self.alone.remove(&(time, order, key.into(), number));
        if let Some((alone, row)) = value.and_then(|v| v.split_first()) {
            let alone = *alone == 1;
            if alone {
                self.alone.insert((time, order, key.into(), number), ());
            }
            self.keep(side, key, time, number, Kept { row: row.into(), alone }, false);
        }
        Ok(())
    }

    fn entries(&self, each: &mut dyn FnMut(&[u8], &[u8])) {
        for (side, buffer) in self.buffers.iter().enumerate() {
            for (key, rows) in &buffer.by_key {
                for ((time, number), kept) in rows {
                    each(&entry_key(side, *time, *number, key), &entry_value(kept));
                }
            }
        }
    }

    fn size(&self) -> (usize, usize) {
        const ROW_OVERHEAD_BYTES: usize = 96;
        let rows: usize = self.buffers.iter().map(|b| b.rows).sum();
        (rows, self.buffers.iter().map(|b| b.bytes).sum::<usize>() + rows * ROW_OVERHEAD_BYTES)
    }
}
