//! A table's rows, kept: for lookups, and so that changes carry what they replace.
//!
//! Input: a table. Output: the same changes; where old values are wanted, upserts and tombstones become inserts,
//! updates with the row as it was before them, and deletions. State: a [`View`] of the rows by key, shared with
//! readers. Order: kept. Bound: the table's size; rows of windows are forgotten when their retention is over.

use std::{collections::BTreeMap, sync::Arc};

use arrow::{
    array::{Array, Int64Array},
    datatypes::SchemaRef,
};
use parking_lot::RwLock;
use statestore::{Mode, RowDecoder, View};
use types::Result;

use crate::{
    Change, ChangeBatch, ChangeBuilder, Operator, ReportKind, StepContext, corrupt,
    merge::pick,
    table_rows::{column_types, encoder, split_row, write_row},
};

/// When rows of windows are forgotten.
#[derive(Debug, Clone, Copy)]
pub struct Expiry {
    /// Column (BIGINT, ms) that says which window.
    pub column: usize,
    /// Rows whose column is that much older than stream time are forgotten.
    pub retention_ms: i64,
}

/// See the module.
pub struct Materialize {
    schema: SchemaRef,
    key: Vec<usize>,
    old_values: bool,
    expiry: Option<Expiry>,
    by_time: BTreeMap<i64, Vec<Box<[u8]>>>,
    view: Arc<RwLock<View>>,
}

/// Rows that are written under one lock, so that readers wait no longer than for these.
const ROWS_PER_LOCK: usize = 1024;

impl Materialize {
    /// Rows of `schema`, by the key columns at `key`.
    pub fn new(schema: SchemaRef, key: Vec<usize>, old_values: bool, expiry: Option<Expiry>) -> Materialize {
        Materialize { schema, key, old_values, expiry, by_time: BTreeMap::new(), view: Arc::default() }
    }

    /// The rows, for readers: key columns in ordered encoding → event time and all columns (see [`crate::split_row`]).
    pub fn view(&self) -> Arc<RwLock<View>> {
        self.view.clone()
    }

    fn expire(&mut self, context: &StepContext<'_>) {
        let Some((expiry, now)) = self.expiry.zip(context.time.end()) else { return };
        let mut view = self.view.write();
        while let Some(entry) = self.by_time.first_entry() {
            if entry.key().saturating_add(expiry.retention_ms) >= now {
                break;
            }
            for key in entry.remove() {
                view.write(context.epoch, &key, None);
            }
        }
    }

    fn expiry_time(&self, input: &ChangeBatch, row: usize) -> Option<i64> {
        let column = input.columns.get(self.expiry?.column)?.as_any().downcast_ref::<Int64Array>()?;
        column.is_valid(row).then(|| column.value(row))
    }
}

impl Operator for Materialize {
    fn name(&self) -> &'static str {
        "Materialize"
    }

    fn step(&mut self, mut inputs: Vec<ChangeBatch>, context: &mut StepContext<'_>) -> Result<ChangeBatch> {
        let Some(input) = inputs.pop() else { return Ok(ChangeBatch::empty(&self.schema)) };
        if input.is_empty() {
            self.expire(context);
            return Ok(input);
        }
        let keys: Vec<_> = self.key.iter().filter_map(|k| input.columns.get(*k).cloned()).collect();
        let (key_encoder, row_encoder) = (encoder(&keys, Mode::Ordered)?, encoder(&input.columns, Mode::Compact)?);
        let mut before = RowDecoder::new(&column_types(&self.schema), Mode::Compact).map_err(|e| corrupt("a table", e))?;
        let (mut builder, mut order) = (ChangeBuilder::default(), vec![]);
        let (mut key, mut value) = (Vec::new(), Vec::new());
        let shared = self.view.clone();
        let mut row = 0;
        while row < input.len() {
            let mut view = shared.write();
            let end = input.len().min(row + ROWS_PER_LOCK);
            for row in row..end {
                let (op, seq, rowtime) = (input.op(row), input.seq.value(row), input.rowtime.value(row));
                if op == Change::UpdateBefore {
                    continue;
                }
                if self.old_values && key_encoder.any_null(row) {
                    context.report(seq, ReportKind::NullKey, "a PRIMARY KEY column is NULL");
                    continue;
                }
                key.clear();
                key_encoder.encode(row, &mut key);
                let mut had = false;
                if self.old_values
                    && let Some(stored) = view.store().get(&key)
                {
                    let (old_time, columns) = split_row(stored);
                    let at = before.len();
                    before.push(columns).map_err(|e| corrupt("a table", e))?;
                    had = true;
                    builder.push(seq, old_time, if op.is_present() { Change::UpdateBefore } else { Change::Delete });
                    order.push((1, at));
                    if !op.is_present()
                        && let Some(time) = builder.rowtime.last_mut()
                    {
                        *time = rowtime;
                    }
                }
                if op.is_present() {
                    value.clear();
                    write_row(&row_encoder, row, rowtime, &mut value);
                    if let Some(time) = self.expiry_time(&input, row)
                        && view.store().get(&key).is_none()
                    {
                        self.by_time.entry(time).or_default().push(key.as_slice().into());
                    }
                    view.write(context.epoch, &key, Some(&value));
                    builder.push(seq, rowtime, if had { Change::UpdateAfter } else { Change::Insert });
                    order.push((0, row));
                } else {
                    view.write(context.epoch, &key, None);
                    if !had {
                        builder.push(seq, rowtime, Change::Tombstone);
                        order.push((0, row));
                    }
                }
            }
            row = end;
        }
        self.expire(context);
        if !self.old_values {
            return Ok(input);
        }
        let stored = ChangeBatch {
            columns: before.finish().map_err(|e| corrupt("a table", e))?,
            rowtime: Int64Array::from(Vec::<i64>::new()),
            seq: Vec::<u64>::new().into(),
            ops: None,
        };
        let columns = pick_columns(&[&input, &stored], &order)?;
        Ok(builder.finish(columns))
    }

    fn drain(&mut self, each: &mut dyn FnMut(&[u8], Option<&[u8]>)) {
        self.view.write().store_mut().drain(each);
    }

    fn restore(&mut self, key: &[u8], value: Option<&[u8]>) -> Result<()> {
        self.view.write().store_mut().restore(key, value);
        if let (Some(expiry), Some(value)) = (self.expiry, value) {
            let mut decoder = RowDecoder::new(&column_types(&self.schema), Mode::Compact).map_err(|e| corrupt("a table", e))?;
            decoder.push(split_row(value).1).map_err(|e| corrupt("a table", e))?;
            let columns = decoder.finish().map_err(|e| corrupt("a table", e))?;
            let time = columns.get(expiry.column).and_then(|c| c.as_any().downcast_ref::<Int64Array>().cloned());
            if let Some(time) = time.filter(|t| t.is_valid(0)) {
                self.by_time.entry(time.value(0)).or_default().push(key.into());
            }
        }
        Ok(())
    }

    fn entries(&self, each: &mut dyn FnMut(&[u8], &[u8])) {
        self.view.read().store().iter().for_each(|(k, v)| each(k, v));
    }

    fn size(&self) -> (usize, usize) {
        let view = self.view.read();
        (view.store().len(), view.store().size_bytes())
    }
}

/// Only the columns of [`pick`]: the batches' rowtimes and seqs need not be there.
fn pick_columns(batches: &[&ChangeBatch], order: &[(usize, usize)]) -> Result<Vec<arrow::array::ArrayRef>> {
    let padded: Vec<ChangeBatch> = batches
        .iter()
        .map(|b| {
            let n = b.columns.first().map_or(0, |c| c.len());
            ChangeBatch {
                columns: b.columns.clone(),
                rowtime: Int64Array::from(vec![0; n]),
                seq: vec![0; n].into(),
                ops: None,
            }
        })
        .collect();
    let padded: Vec<&ChangeBatch> = padded.iter().collect();
    Ok(pick(&padded, order)?.columns)
}
