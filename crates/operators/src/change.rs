//! Rows as changes: columns, event time, order of arrival, and what each row means.

use arrow::{
    array::{
        Array, ArrayRef, BooleanArray, Int64Array, RecordBatch, RecordBatchOptions, UInt8Array, UInt32Array,
        UInt64Array, new_empty_array,
    },
    compute::{FilterBuilder, take},
    datatypes::SchemaRef,
};
use types::{Error, Result};

use crate::nulls::{is_null_column, null_column};

/// What a row means.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Change {
    /// A stream's fact, or a table's row whose key had none before.
    Insert = 0,
    /// A table's row as it was; the row after it is its `UpdateAfter`. Its event time is that of the change.
    UpdateBefore = 1,
    /// A table's row as it is now.
    UpdateAfter = 2,
    /// A table's row that is gone; its columns hold what it was, its event time is that of the deletion.
    Delete = 3,
    /// A record without a value: a table's row that is gone, of which nothing but the key is known; in a stream, a
    /// row of which nothing but the key is there.
    Tombstone = 4,
    /// A table's row as it is now; what it was is not known.
    Upsert = 5,
}

impl Change {
    /// From its number.
    pub fn from_u8(n: u8) -> Change {
        match n {
            1 => Change::UpdateBefore,
            2 => Change::UpdateAfter,
            3 => Change::Delete,
            4 => Change::Tombstone,
            5 => Change::Upsert,
            _ => Change::Insert,
        }
    }

    /// Whether the row is there after the change.
    pub fn is_present(self) -> bool {
        matches!(self, Change::Insert | Change::UpdateAfter | Change::Upsert)
    }

    /// Whether the row's columns hold values that were there before the change.
    pub fn is_retraction(self) -> bool {
        matches!(self, Change::UpdateBefore | Change::Delete)
    }
}

/// Rows of one partition, in order of arrival.
#[derive(Debug, Clone)]
pub struct ChangeBatch {
    /// One array a column of the node that the rows come from.
    pub columns: Vec<ArrayRef>,
    /// Event time, ms since 1970.
    pub rowtime: Int64Array,
    /// Order: arrival number of the record that caused the row, shifted left by [`SUB_BITS`], and below it a number
    /// that keeps rows of one cause in order across partitions. Not descending.
    pub seq: UInt64Array,
    /// What each row means, as [`Change`]; `None`: all are inserts.
    pub ops: Option<UInt8Array>,
}

/// Bits of `seq` below the arrival number.
pub const SUB_BITS: u32 = 20;

/// How far apart an exchange with another one behind it numbers rows of one cause; the last one counts by 1.
const OUTER_STEP: u64 = 1 << (SUB_BITS / 2);

impl ChangeBatch {
    /// No rows of these columns.
    pub fn empty(schema: &SchemaRef) -> ChangeBatch {
        ChangeBatch {
            columns: schema.fields().iter().map(|f| new_empty_array(f.data_type())).collect(),
            rowtime: Int64Array::from(Vec::<i64>::new()),
            seq: UInt64Array::from(Vec::<u64>::new()),
            ops: None,
        }
    }

    /// Rows.
    pub fn len(&self) -> usize {
        self.seq.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.seq.is_empty()
    }

    /// What row `row` means.
    pub fn op(&self, row: usize) -> Change {
        match &self.ops {
            Some(ops) => ops.values().get(row).map_or(Change::Insert, |n| Change::from_u8(*n)),
            None => Change::Insert,
        }
    }

    /// Whether the row and the one after it are the two halves of one update. An exchange may have sent either half
    /// elsewhere; it numbers rows of one cause, and the halves one after the other.
    pub fn is_update(&self, row: usize) -> bool {
        let (Some(old), Some(new)) = (self.seq.values().get(row), self.seq.values().get(row + 1)) else { return false };
        self.op(row) == Change::UpdateBefore
            && self.op(row + 1) == Change::UpdateAfter
            && matches!(new.checked_sub(*old), Some(0 | 1 | OUTER_STEP))
    }

    /// The columns as a record batch of `schema`.
    pub fn to_record_batch(&self, schema: &SchemaRef) -> Result<RecordBatch> {
        let options = RecordBatchOptions::new().with_row_count(Some(self.len()));
        RecordBatch::try_new_with_options(schema.clone(), self.columns.clone(), &options)
            .map_err(|e| Error::internal(format!("a batch does not fit its schema: {e}")))
    }

    /// The rows where `mask` is true.
    pub fn filter(&self, mask: &BooleanArray) -> Result<ChangeBatch> {
        let fail = |e: arrow::error::ArrowError| Error::internal(format!("filter: {e}"));
        let predicate = FilterBuilder::new(mask).optimize().build();
        let column = |column: &ArrayRef| match is_null_column(column) {
            true => Ok(null_column(column.data_type(), predicate.count())),
            false => predicate.filter(column).map_err(fail),
        };
        let typed = |column: &dyn Array| predicate.filter(column).map_err(fail);
        Ok(ChangeBatch {
            columns: self.columns.iter().map(column).collect::<Result<_>>()?,
            rowtime: downcast(&typed(&self.rowtime)?)?,
            seq: downcast(&typed(&self.seq)?)?,
            ops: self.ops.as_ref().map(|ops| typed(ops).and_then(|ops| downcast(&ops))).transpose()?,
        })
    }

    /// The rows at `rows`, in that order.
    pub fn take(&self, rows: &UInt32Array) -> Result<ChangeBatch> {
        Ok(ChangeBatch {
            columns: self.columns.iter().map(|c| take_rows(c, rows)).collect::<Result<_>>()?,
            rowtime: take_i64(&self.rowtime, rows),
            seq: UInt64Array::from_iter_values(
                rows.values().iter().map(|r| self.seq.values().get(*r as usize).copied().unwrap_or(0)),
            ),
            ops: self.ops.as_ref().map(|o| {
                UInt8Array::from_iter_values(
                    rows.values().iter().map(|r| o.values().get(*r as usize).copied().unwrap_or(0)),
                )
            }),
        })
    }

    /// Rows `from..from + n`, sharing memory.
    pub fn slice(&self, from: usize, n: usize) -> ChangeBatch {
        ChangeBatch {
            columns: self.columns.iter().map(|c| c.slice(from, n)).collect(),
            rowtime: self.rowtime.slice(from, n),
            seq: self.seq.slice(from, n),
            ops: self.ops.as_ref().map(|o| o.slice(from, n)),
        }
    }
}

/// The elements of `values` at `rows`.
pub fn take_rows(values: &ArrayRef, rows: &UInt32Array) -> Result<ArrayRef> {
    if is_null_column(values) {
        return Ok(null_column(values.data_type(), rows.len()));
    }
    take(values, rows, None).map_err(|e| Error::internal(format!("take: {e}")))
}

/// Whether `rows` are all of `length` rows in order.
pub(crate) fn is_identity(rows: &[u32], length: usize) -> bool {
    rows.len() == length && rows.iter().copied().eq(0..u32::try_from(length).unwrap_or(u32::MAX))
}

/// The elements of `values` at `rows`; `values` has no NULLs.
pub fn take_i64(values: &Int64Array, rows: &UInt32Array) -> Int64Array {
    Int64Array::from_iter_values(rows.values().iter().map(|r| values.values().get(*r as usize).copied().unwrap_or(0)))
}

/// The array as the type it is known to have.
pub fn downcast<T: Array + Clone + 'static>(array: &ArrayRef) -> Result<T> {
    let typed = array.as_any().downcast_ref::<T>().cloned();
    typed.ok_or_else(|| Error::internal(format!("unexpected column type {}", array.data_type())))
}

/// What rows mean, put together row by row.
#[derive(Debug, Default)]
pub struct ChangeBuilder {
    /// Event times.
    pub rowtime: Vec<i64>,
    /// Orders.
    pub seq: Vec<u64>,
    /// Meanings.
    pub ops: Vec<u8>,
}

impl ChangeBuilder {
    /// Room for so many rows.
    pub fn with_capacity(rows: usize) -> ChangeBuilder {
        ChangeBuilder {
            rowtime: Vec::with_capacity(rows),
            seq: Vec::with_capacity(rows),
            ops: Vec::with_capacity(rows),
        }
    }

    /// One more row.
    pub fn push(&mut self, seq: u64, rowtime: i64, op: Change) {
        self.seq.push(seq);
        self.rowtime.push(rowtime);
        self.ops.push(op as u8);
    }

    /// Rows so far.
    pub fn len(&self) -> usize {
        self.seq.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.seq.is_empty()
    }

    /// Whether row `row` is there after its change.
    pub fn is_present(&self, row: usize) -> bool {
        self.ops.get(row).is_some_and(|op| Change::from_u8(*op).is_present())
    }

    /// With these columns.
    pub fn finish(self, columns: Vec<ArrayRef>) -> ChangeBatch {
        let all_inserts = self.ops.iter().all(|o| *o == Change::Insert as u8);
        ChangeBatch {
            columns,
            rowtime: Int64Array::from(self.rowtime),
            seq: UInt64Array::from(self.seq),
            ops: (!all_inserts).then(|| UInt8Array::from(self.ops)),
        }
    }
}
