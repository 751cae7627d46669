//! A table's rows, each with the row of another table to whose primary key expressions of it, the pointer, point.
//!
//! Input: the left table with old values, exchanged by the pointer; the right table, partitioned by its primary key.
//! Output: a table keyed like the left: left columns, right columns, without old values; to be exchanged back by the left
//! key. State: left rows by pointer and left key; right rows by key. Time: of the later of the two rows. Order: of the
//! changes; of one on the right, by left key. Bound: the tables' sizes. Errors: right rows without a key are dropped and
//! reported; a pointer that fails is NULL, and points to nothing.
//!
//! An update of a left row arrives as two rows, which go to different places when the pointer has changed. So each half
//! does its own part: what was before is taken out in silence, and what is now speaks for both: where it finds no
//! partner, an inner join says that there is no result (any more). A deletion always says so, an insert never, as in
//! Kafka Streams. Where one record changes both tables, what it takes from the left counts before its change of the
//! right, and what it brings to the left after it: one result for it, with the newest of both.

use std::ops::Bound;

use arrow::{array::ArrayRef, datatypes::SchemaRef};
use planner::plan::BoundExpr;
use statestore::{Mode, RowEncoder, Store};
use syntax::ast::JoinKind;
use types::Result;

use crate::{
    Change, ChangeBatch, ChangeBuilder, Operator, ReportKind, StepContext, corrupt,
    residual::Residual,
    table_rows::{Side, encoder, key_columns, split_row, write_row},
};

/// What a foreign-key join does.
#[derive(Clone)]
pub struct ForeignKeySpec {
    /// Left columns.
    pub left: SchemaRef,
    /// Right columns.
    pub right: SchemaRef,
    /// The left's primary key.
    pub left_key: Vec<BoundExpr>,
    /// The pointer, over left columns: one expression a column of the right's primary key.
    pub foreign_key: Vec<BoundExpr>,
    /// The right's primary key.
    pub right_key: Vec<BoundExpr>,
    /// Inner or Left.
    pub kind: JoinKind,
    /// Of a left join: what else has to hold for two rows to be partners, over left and right columns.
    pub residual: Option<BoundExpr>,
}

/// See the module.
pub struct ForeignKeyJoin {
    spec: ForeignKeySpec,
    /// Left rows: pointer and left key, both in ordered encoding → time and columns.
    pointing: Store,
    /// Right rows: key in ordered encoding → time and columns.
    pointed: Store,
    residual: Option<Residual>,
}

/// First byte of an entry of `pointing`.
const POINTING: u8 = 0;
/// First byte of an entry of `pointed`.
const POINTED: u8 = 1;

/// The batches at hand and what comes of them.
struct Work<'a> {
    left: &'a ChangeBatch,
    right: &'a ChangeBatch,
    left_keys: RowEncoder<'a>,
    pointers: RowEncoder<'a>,
    right_keys: RowEncoder<'a>,
    left_rows: RowEncoder<'a>,
    right_rows: RowEncoder<'a>,
    builder: ChangeBuilder,
    sides: [Side; 2],
    /// Pointer and left key; the pointer alone is so many bytes of it.
    key: Vec<u8>,
    pointer_bytes: usize,
    right_key: Vec<u8>,
    value: Vec<u8>,
}

impl<'a> Work<'a> {
    fn new(
        spec: &ForeignKeySpec,
        [left, right]: [&'a ChangeBatch; 2],
        [left_keys, pointers, right_keys]: [&'a [ArrayRef]; 3],
    ) -> Result<Work<'a>> {
        Ok(Work {
            left,
            right,
            left_keys: encoder(left_keys, Mode::Ordered)?,
            pointers: encoder(pointers, Mode::Ordered)?,
            right_keys: encoder(right_keys, Mode::Ordered)?,
            left_rows: encoder(&left.columns, Mode::Compact)?,
            right_rows: encoder(&right.columns, Mode::Compact)?,
            builder: ChangeBuilder::default(),
            sides: [Side::new(&spec.left)?, Side::new(&spec.right)?],
            key: vec![],
            pointer_bytes: 0,
            right_key: vec![],
            value: vec![],
        })
    }

    fn encode_left(&mut self, row: usize) {
        self.key.clear();
        self.pointers.encode(row, &mut self.key);
        self.pointer_bytes = self.key.len();
        self.left_keys.encode(row, &mut self.key);
    }

    fn pointer(&self) -> &[u8] {
        self.key.get(..self.pointer_bytes).unwrap_or(&[])
    }

    /// A result for left row `row`, with the right row `partner`, if there is one.
    fn left_result(&mut self, row: usize, partner: Option<&[u8]>, op: Change) -> Result<()> {
        let [left, right] = &mut self.sides;
        left.push_own(row);
        let mut time = self.left.rowtime.value(row);
        match partner.map(split_row) {
            Some((partner_time, columns)) => {
                time = time.max(partner_time);
                // Only the key of a row that is gone counts.
                if op == Change::Tombstone { right.null() } else { right.push_stored(columns)? }
            }
            None => right.null(),
        }
        self.builder.push(self.left.seq.value(row), time, op);
        Ok(())
    }

    /// A result for a stored left row, caused by right row `row`.
    fn right_result(&mut self, row: usize, stored: &[u8], has_right: bool, op: Change) -> Result<()> {
        let [left, right] = &mut self.sides;
        let (left_time, columns) = split_row(stored);
        left.push_stored(columns)?;
        if has_right {
            right.push_own(row)
        } else {
            right.null()
        }
        self.builder.push(self.right.seq.value(row), self.right.rowtime.value(row).max(left_time), op);
        Ok(())
    }

    /// Whether left row `row` is the first half of an update whose second half is at the same place of `pointing`, where
    /// nothing on the right comes between.
    fn is_overwritten(&mut self, row: usize, right_row: usize) -> bool {
        let next = row + 1;
        if !self.left.is_update(row) {
            return false;
        }
        if right_row < self.right.len() && self.right.seq.value(right_row) <= self.left.seq.value(next) {
            return false;
        }
        self.value.clear();
        self.pointers.encode(next, &mut self.value);
        self.left_keys.encode(next, &mut self.value);
        self.value == self.key
    }
}

impl ForeignKeyJoin {
    /// An empty one.
    pub fn new(spec: ForeignKeySpec) -> ForeignKeyJoin {
        let mut pointing = Store::new();
        pointing.build_order();
        let residual = spec.residual.clone().map(|condition| Residual::new(condition, &spec.left, &spec.right));
        ForeignKeyJoin { spec, pointing, pointed: Store::new(), residual }
    }

    fn is_left(&self) -> bool {
        self.spec.kind == JoinKind::Left
    }

    fn left_row(&mut self, row: usize, right_row: usize, work: &mut Work<'_>) -> Result<()> {
        let op = work.left.op(row);
        let points = !work.pointers.any_null(row);
        let before = std::mem::take(&mut work.key);
        work.encode_left(row);
        match op {
            Change::Tombstone => Ok(()),
            Change::UpdateBefore => {
                if points && !work.is_overwritten(row, right_row) {
                    self.pointing.remove(&work.key);
                }
                Ok(())
            }
            Change::Delete => {
                self.pointing.remove(&work.key);
                let partner = self.pointed.get(work.pointer()).filter(|_| points);
                if points || self.is_left() { work.left_result(row, partner, Change::Tombstone) } else { Ok(()) }
            }
            Change::Insert | Change::UpdateAfter | Change::Upsert => {
                if !points {
                    // Nor did the row point to anything before: it is the other half at this very place.
                    let never = op == Change::Insert || (row > 0 && work.left.is_update(row - 1) && before == work.key);
                    return match self.is_left() {
                        true => work.left_result(row, None, Change::Upsert),
                        false if never => Ok(()),
                        false => work.left_result(row, None, Change::Tombstone),
                    };
                }
                work.value.clear();
                write_row(&work.left_rows, row, work.left.rowtime.value(row), &mut work.value);
                self.pointing.put(&work.key, &work.value);
                match self.pointed.get(work.pointer()) {
                    Some(partner) => work.left_result(row, Some(partner), Change::Upsert),
                    None if self.is_left() => work.left_result(row, None, Change::Upsert),
                    None if op == Change::Insert => Ok(()),
                    None => work.left_result(row, None, Change::Tombstone),
                }
            }
        }
    }

    fn right_row(&mut self, row: usize, work: &mut Work<'_>, context: &mut StepContext<'_>) -> Result<()> {
        let op = work.right.op(row);
        if op == Change::UpdateBefore {
            return Ok(());
        }
        if work.right_keys.any_null(row) {
            context.report(work.right.seq.value(row), ReportKind::NullKey, "a PRIMARY KEY column is NULL");
            return Ok(());
        }
        let mut key = std::mem::take(&mut work.right_key);
        key.clear();
        work.right_keys.encode(row, &mut key);
        if op.is_present() {
            work.value.clear();
            write_row(&work.right_rows, row, work.right.rowtime.value(row), &mut work.value);
            self.pointed.put(&key, &work.value);
        } else {
            self.pointed.remove(&key);
        }
        let result = if op.is_present() || self.is_left() { Change::Upsert } else { Change::Tombstone };
        for (entry, stored) in self.pointing.ordered_range(Bound::Included(&key), Bound::Unbounded) {
            if !entry.starts_with(&key) {
                break;
            }
            work.right_result(row, stored, op.is_present(), result)?;
        }
        work.right_key = key;
        Ok(())
    }
}

impl Operator for ForeignKeyJoin {
    fn name(&self) -> &'static str {
        "ForeignKeyJoin"
    }

    fn step(&mut self, inputs: Vec<ChangeBatch>, context: &mut StepContext<'_>) -> Result<ChangeBatch> {
        let spec = self.spec.clone();
        let mut inputs = inputs.into_iter();
        let left = inputs.next().unwrap_or_else(|| ChangeBatch::empty(&spec.left));
        let right = inputs.next().unwrap_or_else(|| ChangeBatch::empty(&spec.right));
        let left_keys = key_columns(&spec.left_key, &left, &spec.left, context)?;
        let pointers = key_columns(&spec.foreign_key, &left, &spec.left, context)?;
        let right_keys = key_columns(&spec.right_key, &right, &spec.right, context)?;
        let mut work = Work::new(&spec, [&left, &right], [&left_keys, &pointers, &right_keys])?;
        let (mut l, mut r) = (0, 0);
        loop {
            let left_seq = (l < left.len()).then(|| left.seq.value(l));
            let right_seq = (r < right.len()).then(|| right.seq.value(r));
            let left_first = match (left_seq, right_seq) {
                (Some(a), Some(b)) => a < b || (a == b && left.op(l).is_retraction()),
                (a, None) => a.is_some(),
                (None, Some(_)) => false,
            };
            if left_first {
                self.left_row(l, r, &mut work)?;
                l += 1;
            } else if r < right.len() {
                self.right_row(r, &mut work, context)?;
                r += 1;
            } else {
                break;
            }
        }
        let Work { sides: [left_side, right_side], builder, .. } = work;
        let mut columns = left_side.finish(&left)?;
        columns.extend(right_side.finish(&right)?);
        if let Some(residual) = &self.residual {
            residual.part(&mut columns, residual.right(), &builder, context)?;
        }
        Ok(builder.finish(columns))
    }

    fn drain(&mut self, each: &mut dyn FnMut(&[u8], Option<&[u8]>)) {
        let mut entry = vec![];
        for (side, table) in [(POINTING, &mut self.pointing), (POINTED, &mut self.pointed)] {
            table.drain(|key, value| {
                entry.clear();
                entry.push(side);
                entry.extend_from_slice(key);
                each(&entry, value);
            });
        }
    }

    fn restore(&mut self, key: &[u8], value: Option<&[u8]>) -> Result<()> {
        match key.split_first() {
            Some((&POINTING, key)) => self.pointing.restore(key, value),
            Some((&POINTED, key)) => self.pointed.restore(key, value),
            _ => return Err(corrupt("a join", "no such side")),
        }
        Ok(())
    }

    fn entries(&self, each: &mut dyn FnMut(&[u8], &[u8])) {
        for (side, table) in [(POINTING, &self.pointing), (POINTED, &self.pointed)] {
            table.iter().for_each(|(key, value)| each(&[&[side], key].concat(), value));
        }
    }

    fn size(&self) -> (usize, usize) {
        (self.pointing.len() + self.pointed.len(), self.pointing.size_bytes() + self.pointed.size_bytes())
    }
}
