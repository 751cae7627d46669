//! A table's rows, kept: for lookups, and so that changes carry what they replace.
//!
//! Input: a table. Output: the same changes; where old values are wanted, upserts and tombstones become inserts,
//! updates with the row as it was before them, and deletions; tombstones of rows that are not there stay tombstones.
//! State: a [`View`] of the rows by key, shared with readers. Time: of the change. Order: kept. Bound: the table's size;
//! rows of windows are forgotten when their retention is over. NULL is a key like others: records without a key have
//! been dropped by the source.

use std::{collections::BTreeMap, ops::Range, sync::Arc};

use arrow::{
    array::{Array, Int64Array},
    datatypes::SchemaRef,
};
use parking_lot::{RwLock, RwLockWriteGuard};
use statestore::{BLOCK_KEYS, Keys, Mode, Paged, RowDecoder, RowEncoder, Slots, View};
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
    /// By the time that says when they are forgotten: the rows' keys.
    by_time: BTreeMap<i64, Due>,
    /// Rows whose times are to be read yet.
    restored: Option<Restored>,
    view: Arc<RwLock<View>>,
}

/// Keys of rows that are forgotten together, in the order in which the rows came. A row that was deleted and came again
/// has its key here twice.
#[derive(Default)]
struct Due {
    keys: Vec<KeyBytes>,
    /// How many of them were deleted since they were looked through.
    gone: usize,
}

/// Rows that a changelog gave back: their keys, and the column that says when they are forgotten.
struct Restored {
    keys: Vec<KeyBytes>,
    times: RowDecoder,
}

/// Rows that are restored between two looks at their times.
const RESTORED_MAX: usize = 4096;

/// Rows that are written under one lock, so that readers wait no longer than for these. Readers who wait then come first.
const ROWS_PER_LOCK: usize = 1024;

/// The batch at hand and what comes of it.
struct Work<'a> {
    input: &'a ChangeBatch,
    keys: RowEncoder<'a>,
    rows: RowEncoder<'a>,
    /// Of the rows at hand, which are looked for together.
    block: Keys,
    hashes: Vec<u32>,
    value: Vec<u8>,
    /// Rows that go out, where old values are wanted.
    builder: ChangeBuilder,
    out: Side,
}

impl Materialize {
    /// Rows of `schema`, by the key columns at `key`.
    pub fn new(schema: SchemaRef, key: Vec<usize>, old_values: bool, expiry: Option<Expiry>) -> Materialize {
        let (by_time, view) = (BTreeMap::new(), Arc::default());
        Materialize { schema, key, old_values, expiry, by_time, restored: None, view }
    }

    /// The same, of rows that follow from another operator's state: there is no changelog to tell what changed.
    pub fn following(self) -> Materialize {
        self.view.write().store_mut().untrack();
        self
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
        while let Some(first) = self.by_time.first_entry() {
            if first.key().saturating_add(expiry.retention_ms) >= now {
                break;
            }
            for keys in first.remove().keys.chunks(ROWS_PER_LOCK) {
                for key in keys {
                    let hash = view.store().hash(key);
                    write(&mut view, version, (key, hash), None);
                }
                RwLockWriteGuard::bump(&mut view);
            }
        }
    }

    /// A row was deleted that was to be forgotten at `time`. Its key is left where it is until half of those are.
    fn deleted(&mut self, time: i64, view: &View) {
        let Some(due) = self.by_time.get_mut(&time) else { return };
        due.gone += 1;
        if due.gone * 2 > due.keys.len() {
            due.gone = 0;
            due.keys.sort_unstable();
            due.keys.dedup();
            due.keys.retain(|key| view.store().get(key).is_some());
        }
        if due.keys.is_empty() {
            self.by_time.remove(&time);
        }
    }

    /// Read the times of what was restored.
    fn settle(&mut self) -> Result<()> {
        let Some(Restored { keys, mut times }) = self.restored.take() else { return Ok(()) };
        let columns = times.finish().map_err(|e| corrupt("a table", e))?;
        let Some(times) = columns.first().and_then(|c| c.as_any().downcast_ref::<Int64Array>()) else { return Ok(()) };
        for (key, time) in keys.into_iter().zip(times) {
            time.into_iter().for_each(|time| self.by_time.entry(time).or_default().keys.push(key.clone()));
        }
        Ok(())
    }

    /// Have in memory the rows that are looked at: where old values are wanted all, else those that are deleted. It is
    /// read without the lock, since nobody else writes.
    fn page_in(&self, work: &Work<'_>) -> Result<()> {
        if self.view.read().store().residency().is_none() {
            return Ok(());
        }
        let mut keys = Keys::default();
        for row in 0..work.input.len() {
            let op = work.input.op(row);
            if op != Change::UpdateBefore && (self.old_values || !op.is_present()) {
                keys.push(|out| work.keys.encode(row, out));
            }
        }
        let page_in = self.view.write().store_mut().look_for(&keys);
        let (mut found, mut values) = (Keys::default(), Keys::default());
        if let Some(page_in) = page_in.filter(|p| !p.is_empty()) {
            page_in.read(|key, value| {
                found.push(|out| out.extend_from_slice(key));
                values.push(|out| out.extend_from_slice(value));
            })?;
        }
        let mut view = self.view.write();
        found.iter().zip(values.iter()).for_each(|(key, value)| view.store_mut().admit(key, value));
        Ok(())
    }

    fn expiry_time(&self, input: &ChangeBatch, row: usize) -> Option<i64> {
        let column = input.columns.get(self.expiry?.column)?.as_any().downcast_ref::<Int64Array>()?;
        column.is_valid(row).then(|| column.value(row))
    }

    /// Rows that are written under one lock.
    fn change_all(&mut self, rows: Range<usize>, version: Option<u64>, work: &mut Work<'_>) -> Result<()> {
        let shared = self.view.clone();
        let mut view = shared.write();
        for first in rows.clone().step_by(BLOCK_KEYS) {
            let block = first..rows.end.min(first + BLOCK_KEYS);
            work.block.clear();
            block.clone().for_each(|row| work.block.push(|out| work.keys.encode(row, out)));
            work.hashes.clear();
            work.hashes.extend(work.block.iter().map(|key| view.store().hash(key)));
            view.store().look_ahead(&work.hashes);
            let (keys, hashes) = (std::mem::take(&mut work.block), std::mem::take(&mut work.hashes));
            for (row, (key, hash)) in block.zip(keys.iter().zip(&hashes)) {
                if work.input.op(row) != Change::UpdateBefore {
                    self.change(row, (key, *hash), &mut view, version, work)?;
                }
            }
            (work.block, work.hashes) = (keys, hashes);
        }
        RwLockWriteGuard::unlock_fair(view);
        Ok(())
    }

    fn change(
        &mut self,
        row: usize,
        (key, hash): (&[u8], u32),
        view: &mut View,
        version: Option<u64>,
        work: &mut Work<'_>,
    ) -> Result<()> {
        let input = work.input;
        let (op, rowtime) = (input.op(row), input.rowtime.value(row));
        if self.old_values {
            self.pass_on(row, view.store().find_hashed(hash, key).and_then(|slot| view.store().value(slot)), work)?;
        }
        let present = op.is_present();
        work.value.clear();
        if present {
            write_row(&work.rows, row, rowtime, &mut work.value);
        }
        let was_there = write(view, version, (key, hash), present.then_some(&work.value));
        if was_there != present
            && let Some(time) = self.expiry_time(input, row)
        {
            match present {
                true => self.by_time.entry(time).or_default().keys.push(key.into()),
                false => self.deleted(time, view),
            }
        }
        Ok(())
    }

    /// The change with the row as it was: `old`.
    fn pass_on(&self, row: usize, old: Option<&[u8]>, work: &mut Work<'_>) -> Result<()> {
        let input = work.input;
        let (present, seq, time) = (input.op(row).is_present(), input.seq.value(row), input.rowtime.value(row));
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

/// Write a row, or with `None` delete it; whether it was there.
fn write(view: &mut View, version: Option<u64>, (key, hash): (&[u8], u32), value: Option<&Vec<u8>>) -> bool {
    match (version, value) {
        (Some(epoch), value) => view.write_hashed(epoch, hash, key, value.map(Vec::as_slice)),
        (None, Some(value)) => view.store_mut().put_hashed(hash, key, value),
        (None, None) => view.store_mut().remove(key),
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
            block: Keys::default(),
            hashes: vec![],
            value: vec![],
            builder: ChangeBuilder::default(),
            out: Side::new(&self.schema)?,
        };
        self.page_in(&work)?;
        self.settle()?;
        let version = self.version(context.epoch);
        for first in (0..input.len()).step_by(ROWS_PER_LOCK) {
            self.change_all(first..input.len().min(first + ROWS_PER_LOCK), version, &mut work)?;
        }
        let Work { builder, out, .. } = work;
        let changes = match self.old_values {
            true => Some(builder.finish(out.finish(&input)?)),
            false => None,
        };
        self.expire(context);
        Ok(changes.unwrap_or(input))
    }

    fn drain(&mut self, each: &mut dyn FnMut(&[u8], Option<&[u8]>)) {
        let mut view = self.view.write();
        while !view.store_mut().drain_some(ROWS_PER_LOCK, &mut *each) {
            RwLockWriteGuard::bump(&mut view);
        }
    }

    fn restore(&mut self, key: &[u8], value: Option<&[u8]>) -> Result<()> {
        let mut view = self.view.write();
        if let (Some(expiry), Some(value)) = (self.expiry, value)
            && view.store().get(key).is_none()
        {
            let broken = |e| corrupt("a table", e);
            let restored = match &mut self.restored {
                Some(restored) => restored,
                None => {
                    let times = RowDecoder::projected(&column_types(&self.schema), Mode::Compact, &[expiry.column]);
                    self.restored.insert(Restored { keys: vec![], times: times.map_err(broken)? })
                }
            };
            restored.times.push(split_row(value).1).map_err(broken)?;
            restored.keys.push(key.into());
        }
        view.store_mut().restore(key, value);
        drop(view);
        match self.restored.as_ref().is_some_and(|restored| restored.keys.len() >= RESTORED_MAX) {
            true => self.settle(),
            false => Ok(()),
        }
    }

    /// Only what does not expire follows from other rows.
    fn restore_rows(&mut self, rows: &ChangeBatch) -> Result<()> {
        let keys: Vec<_> = self.key.iter().filter_map(|k| rows.columns.get(*k).cloned()).collect();
        let (keys, columns) = (encoder(&keys, Mode::Ordered)?, encoder(&rows.columns, Mode::Compact)?);
        let (mut key, mut value, mut view) = (vec![], vec![], self.view.write());
        for row in 0..rows.len() {
            key.clear();
            value.clear();
            keys.encode(row, &mut key);
            write_row(&columns, row, rows.rowtime.value(row), &mut value);
            view.store_mut().restore(&key, rows.op(row).is_present().then_some(&value));
        }
        Ok(())
    }

    fn entries(&self, each: &mut dyn FnMut(&[u8], &[u8])) {
        self.view.read().store().iter().for_each(|(k, v)| each(k, v));
    }

    /// Rows of windows are forgotten by time, which takes all of their keys.
    fn paged(&mut self, each: &mut dyn FnMut(&mut dyn Paged)) -> bool {
        if self.expiry.is_none() {
            each(self.view.write().store_mut());
        }
        self.expiry.is_none()
    }

    fn size(&self) -> (usize, usize) {
        let view = self.view.read();
        (view.store().len(), view.store().size_bytes())
    }
}
