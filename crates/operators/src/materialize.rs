//! A table's rows, kept: for lookups, and so that changes carry what they replace.
//!
//! Input: a table. Output: the same changes; where old values are wanted, upserts and tombstones become inserts,
//! updates with the row as it was before them, and deletions; tombstones of rows that are not there stay tombstones.
//! State: a [`View`] of the rows by key, shared with readers. Time: of the change. Order: kept. Bound: the table's size;
//! rows of windows are forgotten when their retention is over. NULL is a key like others: records without a key have
//! been dropped by the source.

use std::{collections::BTreeSet, sync::Arc};

use arrow::{
    array::{Array, Int64Array},
    datatypes::SchemaRef,
};
use parking_lot::RwLock;
use statestore::{Mode, RowDecoder, RowEncoder, View};
use types::Result;

use crate::{
    Change, ChangeBatch, ChangeBuilder, Operator, StepContext, corrupt,
    key_bytes::KeyBytes,
    table_rows::{Side, column_types, encoder, split_row, write_row},
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
    by_time: BTreeSet<(i64, KeyBytes)>,
    view: Arc<RwLock<View>>,
}

/// Rows that are written under one lock, so that readers wait no longer than for these.
const ROWS_PER_LOCK: usize = 1024;

/// The batch at hand and what comes of it.
struct Work<'a> {
    input: &'a ChangeBatch,
    keys: RowEncoder<'a>,
    rows: RowEncoder<'a>,
    key: Vec<u8>,
    value: Vec<u8>,
    /// Rows that go out, where old values are wanted.
    builder: ChangeBuilder,
    out: Side,
}

impl Materialize {
    /// Rows of `schema`, by the key columns at `key`.
    pub fn new(schema: SchemaRef, key: Vec<usize>, old_values: bool, expiry: Option<Expiry>) -> Materialize {
        Materialize { schema, key, old_values, expiry, by_time: BTreeSet::new(), view: Arc::default() }
    }

    /// The rows, for readers: key columns in ordered encoding → event time and all columns (see [`crate::split_row`]).
    pub fn view(&self) -> Arc<RwLock<View>> {
        self.view.clone()
    }

    /// The epoch as of which rows are written, if there are readers who must not see it yet. Without readers nobody
    /// says when an epoch is committed, and no older version is kept.
    fn version(&self, epoch: u64) -> Option<u64> {
        (Arc::strong_count(&self.view) > 1).then_some(epoch)
    }

    fn expire(&mut self, context: &StepContext<'_>) {
        let Some((expiry, now)) = self.expiry.zip(context.time.end()) else { return };
        let version = self.version(context.epoch);
        let mut view = self.view.write();
        while let Some((time, key)) = self.by_time.pop_first() {
            if time.saturating_add(expiry.retention_ms) >= now {
                self.by_time.insert((time, key));
                break;
            }
            write(&mut view, version, &key, None);
        }
    }

    fn expiry_time(&self, input: &ChangeBatch, row: usize) -> Option<i64> {
        let column = input.columns.get(self.expiry?.column)?.as_any().downcast_ref::<Int64Array>()?;
        column.is_valid(row).then(|| column.value(row))
    }

    fn change(&mut self, row: usize, view: &mut View, version: Option<u64>, work: &mut Work<'_>) -> Result<()> {
        let input = work.input;
        let (op, rowtime) = (input.op(row), input.rowtime.value(row));
        work.key.clear();
        work.keys.encode(row, &mut work.key);
        if self.old_values {
            self.pass_on(row, view, work)?;
        }
        if !op.is_present() {
            write(view, version, &work.key, None);
            return Ok(());
        }
        if let Some(time) = self.expiry_time(input, row)
            && view.store().get(&work.key).is_none()
        {
            self.by_time.insert((time, work.key.as_slice().into()));
        }
        work.value.clear();
        write_row(&work.rows, row, rowtime, &mut work.value);
        write(view, version, &work.key, Some(&work.value));
        Ok(())
    }

    /// The change with the row as it was.
    fn pass_on(&self, row: usize, view: &View, work: &mut Work<'_>) -> Result<()> {
        let input = work.input;
        let (present, seq, time) = (input.op(row).is_present(), input.seq.value(row), input.rowtime.value(row));
        let old = view.store().get(&work.key);
        if let Some(stored) = old {
            work.out.push_stored(split_row(stored).1)?;
            work.builder.push(seq, time, if present { Change::UpdateBefore } else { Change::Delete });
        }
        let op = match (old.is_some(), present) {
            (true, true) => Change::UpdateAfter,
            (false, true) => Change::Insert,
            (false, false) => Change::Tombstone,
            (true, false) => return Ok(()),
        };
        work.out.push_own(row);
        work.builder.push(seq, time, op);
        Ok(())
    }
}

fn write(view: &mut View, version: Option<u64>, key: &[u8], value: Option<&[u8]>) {
    match (version, value) {
        (Some(epoch), value) => view.write(epoch, key, value),
        (None, Some(value)) => view.store_mut().put(key, value),
        (None, None) => {
            view.store_mut().remove(key);
        }
    }
}

impl Operator for Materialize {
    fn name(&self) -> &'static str {
        "Materialize"
    }

    fn step(&mut self, mut inputs: Vec<ChangeBatch>, context: &mut StepContext<'_>) -> Result<ChangeBatch> {
        let Some(input) = inputs.pop() else { return Ok(ChangeBatch::empty(&self.schema)) };
        let keys: Vec<_> = self.key.iter().filter_map(|k| input.columns.get(*k).cloned()).collect();
        let mut work = Work {
            input: &input,
            keys: encoder(&keys, Mode::Ordered)?,
            rows: encoder(&input.columns, Mode::Compact)?,
            key: vec![],
            value: vec![],
            builder: ChangeBuilder::default(),
            out: Side::new(&self.schema)?,
        };
        let version = self.version(context.epoch);
        let shared = self.view.clone();
        let mut row = 0;
        while row < input.len() {
            let mut view = shared.write();
            let end = input.len().min(row + ROWS_PER_LOCK);
            for row in row..end {
                if input.op(row) == Change::UpdateBefore {
                    continue;
                }
                self.change(row, &mut view, version, &mut work)?;
            }
            row = end;
        }
        let Work { builder, out, .. } = work;
        let changes = match self.old_values {
            true => Some(builder.finish(out.finish(&input)?)),
            false => None,
        };
        drop(shared);
        self.expire(context);
        Ok(changes.unwrap_or(input))
    }

    fn drain(&mut self, each: &mut dyn FnMut(&[u8], Option<&[u8]>)) {
        self.view.write().store_mut().drain(each);
    }

    fn restore(&mut self, key: &[u8], value: Option<&[u8]>) -> Result<()> {
        self.view.write().store_mut().restore(key, value);
        if let (Some(expiry), Some(value)) = (self.expiry, value) {
            let decoder = RowDecoder::new(&column_types(&self.schema), Mode::Compact);
            let columns = decoder.and_then(|mut d| d.push(split_row(value).1).and_then(|()| d.finish()));
            let columns = columns.map_err(|e| corrupt("a table", e))?;
            let time = columns.get(expiry.column).and_then(|c| c.as_any().downcast_ref::<Int64Array>());
            if let Some(time) = time.filter(|t| t.is_valid(0)) {
                self.by_time.insert((time.value(0), key.into()));
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
