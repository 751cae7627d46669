//! Which rows count, and for which groups.

use arrow::array::ArrayRef;
use statestore::{BLOCK_KEYS, Keys, Mode, RowEncoder, Slots};
use types::Result;

use super::{
    Aggregate,
    windows::{TimeWindows, time_bytes},
};
use crate::{Change, ChangeBatch, ReportKind, StepContext, TimeCursor, table_rows::encoder};

/// Rows and groups: one entry for each pair, in order of rows, then of windows.
#[derive(Default)]
pub(super) struct Assigned {
    /// Rows of the batch.
    pub rows: Vec<u32>,
    /// Their groups' slots.
    pub slots: Vec<u32>,
    /// Their groups' places in `touched`.
    pub marks: Vec<u32>,
    /// Their groups' times after them.
    pub times: Vec<i64>,
    /// Their windows, if there are any.
    pub starts: Vec<i64>,
    /// Groups, in order of their first rows.
    pub touched: Vec<Touched>,
}

/// A group that the step changes.
pub(super) struct Touched {
    pub slot: u32,
    /// Whether it was there before.
    pub existed: bool,
    /// Its last entry.
    pub last: usize,
}

impl Assigned {
    fn with_capacity(rows: usize, windowed: bool) -> Assigned {
        Assigned {
            rows: Vec::with_capacity(rows),
            slots: Vec::with_capacity(rows),
            marks: Vec::with_capacity(rows),
            times: Vec::with_capacity(rows),
            starts: Vec::with_capacity(if windowed { rows } else { 0 }),
            touched: vec![],
        }
    }

    /// Which entries are taken back; `None` when none is.
    pub fn retractions(&self, input: &ChangeBatch) -> Option<Vec<bool>> {
        input.ops.as_ref()?;
        let retract: Vec<bool> = self.rows.iter().map(|r| input.op(*r as usize).is_retraction()).collect();
        retract.contains(&true).then_some(retract)
    }
}

/// Rows of a batch (and windows) with the keys of their groups, which are looked for together.
#[derive(Default)]
struct Block {
    /// Rows and starts of windows.
    entries: Vec<(u32, i64)>,
    keys: Keys,
    hashes: Vec<u32>,
    /// The start of the last window.
    near: Option<i64>,
}

impl Block {
    fn clear(&mut self) {
        self.entries.clear();
        self.keys.clear();
        self.hashes.clear();
    }
}

impl Aggregate {
    pub(super) fn assign(
        &mut self,
        input: &ChangeBatch,
        keys: &[ArrayRef],
        context: &mut StepContext<'_>,
    ) -> Result<Assigned> {
        let encoder = encoder(keys, Mode::Ordered)?;
        let mut clock = context.time.cursor();
        let mut out = Assigned::with_capacity(input.len(), self.windows.is_some());
        let mut block = Block::default();
        for first in (0..input.len()).step_by(BLOCK_KEYS) {
            block.clear();
            for row in first..input.len().min(first + BLOCK_KEYS) {
                self.find_windows(input, row, &encoder, &mut clock, &mut block, context);
            }
            block.hashes.extend(block.keys.iter().map(|key| self.groups.hash(key)));
            self.groups.look_ahead(&block.hashes);
            let found = block.entries.iter().zip(block.keys.iter().zip(&block.hashes));
            for ((row, start), (key, hash)) in found {
                if self.windows.is_some() {
                    out.starts.push(*start);
                }
                self.enter((key, *hash), *start, *row, input.rowtime.value(*row as usize), &mut out);
            }
        }
        Ok(out)
    }

    /// Add the row's groups to the block; rows that have none are reported.
    fn find_windows(
        &self,
        input: &ChangeBatch,
        row: usize,
        encoder: &RowEncoder<'_>,
        clock: &mut TimeCursor<'_>,
        block: &mut Block,
        context: &mut StepContext<'_>,
    ) {
        let (op, seq, at) = (input.op(row), input.seq.value(row), u32::try_from(row).unwrap_or(u32::MAX));
        if op == Change::Tombstone {
            return;
        }
        if !self.spec.keep_null_keys && encoder.any_null(row) {
            if !op.is_retraction() {
                context.report(seq, ReportKind::NullKey, "a GROUP BY column is NULL");
            }
            return;
        }
        let Some(windows) = self.windows else {
            block.entries.push((at, 0));
            block.keys.push(|out| encoder.encode(row, out));
            return;
        };
        let stream_time = clock.at(seq);
        for start in windows.starts(input.rowtime.value(row), block.near) {
            block.near = Some(start);
            if windows.is_closed(start, stream_time) {
                context.report(seq, ReportKind::Late, late(&windows, start, stream_time));
                continue;
            }
            block.entries.push((at, start));
            block.keys.push(|out| {
                encoder.encode(row, out);
                out.extend_from_slice(&time_bytes(start));
            });
        }
    }

    fn enter(&mut self, key: (&[u8], u32), start: i64, row: u32, rowtime: i64, out: &mut Assigned) {
        let (slot, new) = self.slot(key, start);
        let Some(group) = self.groups.touch(slot) else { return };
        group.rowtime = group.rowtime.max(rowtime);
        group.pending = self.spec.emit_final;
        let last = out.rows.len();
        let mark = match group.mark.checked_sub(1) {
            Some(mark) => {
                if let Some(touched) = out.touched.get_mut(mark as usize) {
                    touched.last = last;
                }
                mark
            }
            None => {
                out.touched.push(Touched { slot, existed: !new, last });
                group.mark = u32::try_from(out.touched.len()).unwrap_or(u32::MAX);
                group.mark - 1
            }
        };
        out.rows.push(row);
        out.slots.push(slot);
        out.marks.push(mark);
        out.times.push(group.rowtime);
    }
}

fn late(windows: &TimeWindows, start: i64, stream_time: i64) -> String {
    let (end, grace) = (start.saturating_add(windows.size_ms), windows.grace_ms);
    format!("too late for the window from {start} to {end} (ms): stream time is {stream_time}, grace {grace} ms")
}
