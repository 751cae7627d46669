//! Rows of two tables with the same primary key.
//!
//! Input: two tables partitioned by the key. Output: a table: left columns, right columns, then the key columns. State:
//! both tables' rows by key. Time: of the later of the two rows. Order: of the changes, left before right where one
//! record caused both. Bound: the tables' sizes. A condition besides the key makes two rows no partners: of a left join
//! the left row stays alone then, of a right join the right one.

use std::sync::Arc;

use arrow::datatypes::{DataType, SchemaRef};
use planner::plan::BoundExpr;
use statestore::{Mode, Paged, RowDecoder, Store};
use syntax::ast::JoinKind;
use types::Result;

use crate::{
    Change, ChangeBatch, ChangeBuilder, Operator, ReportKind, StepContext, corrupt,
    residual::Residual,
    table_rows::{Side, encoder, key_columns, page_in, split_row, write_row},
};

/// See the module.
pub struct TableTableJoin {
    schemas: [SchemaRef; 2],
    keys: [Vec<BoundExpr>; 2],
    key_types: Vec<DataType>,
    kind: JoinKind,
    emit_old: bool,
    residual: Option<Residual>,
    tables: [Store; 2],
}

/// A row of one side.
#[derive(Clone)]
enum Row {
    /// In the batch.
    Own(usize),
    /// From state: its time and columns.
    Stored(i64, Arc<[u8]>),
    /// None.
    Absent,
}

impl Row {
    fn is_there(&self) -> bool {
        !matches!(self, Row::Absent)
    }

    fn stored(bytes: Option<&[u8]>) -> Row {
        bytes.map_or(Row::Absent, |b| {
            let (time, columns) = split_row(b);
            Row::Stored(time, columns.into())
        })
    }
}

impl TableTableJoin {
    /// Left and right columns, their key expressions and types, the kind, and whether changes must carry old values.
    pub fn new(
        schemas: [SchemaRef; 2],
        keys: [Vec<BoundExpr>; 2],
        key_types: Vec<DataType>,
        kind: JoinKind,
        emit_old: bool,
    ) -> TableTableJoin {
        let tables = [Store::new(), Store::new()];
        TableTableJoin { schemas, keys, key_types, kind, emit_old, residual: None, tables }
    }

    /// The same, of a left or right join where two rows are partners only if `condition`, over left and right columns,
    /// is true as well.
    pub fn with_residual(mut self, condition: Option<BoundExpr>) -> TableTableJoin {
        let [left, right] = &self.schemas;
        self.residual = condition.map(|condition| Residual::new(condition, left, right));
        self
    }

    /// Whether a result exists, given which sides are there.
    fn joins(&self, left: bool, right: bool) -> bool {
        match self.kind {
            JoinKind::Inner => left && right,
            JoinKind::Left => left,
            JoinKind::Right => right,
            JoinKind::Full => left || right,
        }
    }

    /// Whether a change on `side` without effect on the result is passed on all the same, as a deletion: the other
    /// side's row makes it one that downstream tables may have to hear of.
    fn forwards_nothing(&self, side: usize, other: bool, old: bool) -> bool {
        match (self.kind, side) {
            (JoinKind::Inner, _) | (JoinKind::Left, 1) | (JoinKind::Right, 0) => other,
            _ => other || old,
        }
    }
}

struct Output {
    builder: ChangeBuilder,
    sides: [Side; 2],
    keys: RowDecoder,
}

impl Output {
    fn push(&mut self, seq: u64, time: i64, op: Change, rows: [&Row; 2], key: &[u8]) -> Result<()> {
        for (side, row) in self.sides.iter_mut().zip(rows) {
            match row {
                Row::Own(row) => side.push_own(*row),
                Row::Stored(_, columns) => {
                    side.push_stored(columns)?;
                }
                Row::Absent => side.null(),
            }
        }
        self.keys.push(key).map_err(|e| corrupt("a join", e))?;
        self.builder.push(seq, time, op);
        Ok(())
    }
}

#[allow(clippy::indexing_slicing)] // Two-element arrays indexed by side, 0 or 1.
impl TableTableJoin {
    fn change(
        &mut self,
        side: usize,
        input: &ChangeBatch,
        row: usize,
        key: &[u8],
        stored: &[u8],
        out: &mut Output,
    ) -> Result<()> {
        let present = input.op(row).is_present();
        let old = Row::stored(self.tables[side].get(key));
        let other = Row::stored(self.tables[1 - side].get(key));
        if present {
            self.tables[side].put(key, stored);
        } else {
            self.tables[side].remove(key);
        }
        let other_time = if let Row::Stored(t, _) = &other { *t } else { i64::MIN };
        let (seq, time) = (input.seq.value(row), input.rowtime.value(row).max(other_time));
        let pair = |own: bool| if side == 0 { (own, other.is_there()) } else { (other.is_there(), own) };
        let joined = |own: bool| self.joins(pair(own).0, pair(own).1);
        let (before, after) = (old.is_there() && joined(true) || !old.is_there() && joined(false), joined(present));
        let own = if present { Row::Own(row) } else { Row::Absent };
        // A deletion shows the row that was deleted, or at least the key that came with the tombstone.
        let gone = if old.is_there() { old.clone() } else { Row::Own(row) };
        fn rows<'a>(side: usize, own: &'a Row, other: &'a Row) -> [&'a Row; 2] {
            if side == 0 { [own, other] } else { [other, own] }
        }
        match (before, after) {
            (_, true) => {
                if before && self.emit_old {
                    out.push(seq, time, Change::UpdateBefore, rows(side, &old, &other), key)?;
                }
                let op = match (self.emit_old, before) {
                    (false, _) => Change::Upsert,
                    (true, true) => Change::UpdateAfter,
                    (true, false) => Change::Insert,
                };
                out.push(seq, time, op, rows(side, &own, &other), key)
            }
            (true, false) => {
                let op = if self.emit_old { Change::Delete } else { Change::Tombstone };
                out.push(seq, time, op, rows(side, &gone, &other), key)
            }
            (false, false) if self.forwards_nothing(side, other.is_there(), old.is_there()) => {
                out.push(seq, time, Change::Tombstone, rows(side, &gone, &other), key)
            }
            (false, false) => Ok(()),
        }
    }
}

#[allow(clippy::indexing_slicing)] // Two-element arrays indexed by side, 0 or 1.
impl Operator for TableTableJoin {
    fn name(&self) -> &'static str {
        "TableTableJoin"
    }

    fn step(&mut self, inputs: Vec<ChangeBatch>, context: &mut StepContext<'_>) -> Result<ChangeBatch> {
        let mut inputs = inputs.into_iter();
        let left = inputs.next().unwrap_or_else(|| ChangeBatch::empty(&self.schemas[0]));
        let right = inputs.next().unwrap_or_else(|| ChangeBatch::empty(&self.schemas[1]));
        let batches = [left, right];
        let keys = [
            key_columns(&self.keys[0], &batches[0], &self.schemas[0], context)?,
            key_columns(&self.keys[1], &batches[1], &self.schemas[1], context)?,
        ];
        let key_encoders = [encoder(&keys[0], Mode::Ordered)?, encoder(&keys[1], Mode::Ordered)?];
        for (keys, batch) in key_encoders.iter().zip(&batches) {
            page_in(&mut self.tables, keys, batch.len())?;
        }
        let row_encoders = [encoder(&batches[0].columns, Mode::Compact)?, encoder(&batches[1].columns, Mode::Compact)?];
        let mut out = Output {
            builder: ChangeBuilder::default(),
            sides: [Side::new(&self.schemas[0])?, Side::new(&self.schemas[1])?],
            keys: RowDecoder::new(&self.key_types, Mode::Ordered).map_err(|e| corrupt("a join", e))?,
        };
        let (mut next, mut key, mut value) = ([0, 0], Vec::new(), Vec::new());
        loop {
            let head = |side: usize| (next[side] < batches[side].len()).then(|| batches[side].seq.value(next[side]));
            let side = match (head(0), head(1)) {
                (Some(l), Some(r)) => usize::from(r < l),
                (Some(_), None) => 0,
                (None, Some(_)) => 1,
                (None, None) => break,
            };
            let row = next[side];
            next[side] += 1;
            if batches[side].op(row) == Change::UpdateBefore {
                continue;
            }
            if key_encoders[side].any_null(row) {
                context.report(batches[side].seq.value(row), ReportKind::NullKey, "the join key is NULL");
                continue;
            }
            key.clear();
            key_encoders[side].encode(row, &mut key);
            value.clear();
            write_row(&row_encoders[side], row, batches[side].rowtime.value(row), &mut value);
            self.change(side, &batches[side], row, &key, &value, &mut out)?;
        }
        let [left_side, right_side] = out.sides;
        let mut columns = left_side.finish(&batches[0])?;
        columns.extend(right_side.finish(&batches[1])?);
        if let Some(residual) = &self.residual {
            let optional = if self.kind == JoinKind::Right { residual.left() } else { residual.right() };
            residual.part(&mut columns, optional, &out.builder, context)?;
        }
        columns.extend(out.keys.finish().map_err(|e| corrupt("a join", e))?);
        Ok(out.builder.finish(columns))
    }

    fn drain(&mut self, each: &mut dyn FnMut(&[u8], Option<&[u8]>)) {
        for (side, table) in (0u8..).zip(&mut self.tables) {
            table.drain(|k, v| each(&[&[side], k].concat(), v));
        }
    }

    fn restore(&mut self, key: &[u8], value: Option<&[u8]>) -> Result<()> {
        match key.split_first() {
            Some((side @ (0 | 1), key)) => self.tables[usize::from(*side)].restore(key, value),
            _ => return Err(corrupt("a join", "no such side")),
        }
        Ok(())
    }

    fn entries(&self, each: &mut dyn FnMut(&[u8], &[u8])) {
        for (side, table) in (0u8..).zip(&self.tables) {
            table.iter().for_each(|(k, v)| each(&[&[side], k].concat(), v));
        }
    }

    fn paged(&mut self, each: &mut dyn FnMut(&mut dyn Paged)) -> bool {
        self.tables.iter_mut().for_each(|table| each(table));
        true
    }

    fn size(&self) -> (usize, usize) {
        (self.tables.iter().map(Store::len).sum(), self.tables.iter().map(Store::size_bytes).sum())
    }
}
