//! A stream's rows, each with the table's row of its key at that moment.
//!
//! Input: a stream (left) and a table (right), both partitioned by the join key. Output: a stream: left columns, right
//! columns. State: the table's rows by key. Time: of the stream's row. Order: of the stream's rows; a table's change
//! counts for the stream's rows that arrived after it. Bound: the table's size.

use std::collections::HashMap;

use arrow::datatypes::SchemaRef;
use foldhash::fast::RandomState;
use planner::plan::BoundExpr;
use statestore::{BLOCK_KEYS, Keys, Mode, Paged, Slots, Store};
use syntax::ast::JoinKind;
use types::Result;

use crate::{
    Change, ChangeBatch, ChangeBuilder, Operator, StepContext,
    residual::Residual,
    table_rows::{Side, encoder, key_columns, page_in, split_row, write_row},
};

/// See the module.
pub struct StreamTableJoin {
    left: SchemaRef,
    right: SchemaRef,
    left_key: Vec<BoundExpr>,
    right_key: Vec<BoundExpr>,
    kind: JoinKind,
    residual: Option<Residual>,
    /// Of each side's columns whether somebody reads it.
    wanted: [Vec<bool>; 2],
    table: Store,
}

impl StreamTableJoin {
    /// Left and right columns, their key expressions, Inner or Left, and what else has to hold for a pair of a left
    /// join, over left and right columns.
    pub fn new(
        [left, right]: [SchemaRef; 2],
        [left_key, right_key]: [Vec<BoundExpr>; 2],
        kind: JoinKind,
        residual: Option<BoundExpr>,
    ) -> StreamTableJoin {
        let residual = residual.map(|condition| Residual::new(condition, &left, &right));
        let wanted = [vec![true; left.fields().len()], vec![true; right.fields().len()]];
        StreamTableJoin { left, right, left_key, right_key, kind, residual, wanted, table: Store::new() }
    }

    /// The same; only some of the columns are read, left and right ones, and the others are NULL.
    pub fn wanting(mut self, wanted: Vec<bool>) -> StreamTableJoin {
        let [left, right] = &mut self.wanted;
        let own = left.iter_mut().chain(right);
        own.zip(wanted).for_each(|(own, wanted)| *own = wanted);
        self
    }
}

impl Operator for StreamTableJoin {
    fn name(&self) -> &'static str {
        "StreamTableJoin"
    }

    fn step(&mut self, inputs: Vec<ChangeBatch>, context: &mut StepContext<'_>) -> Result<ChangeBatch> {
        let mut inputs = inputs.into_iter();
        let left = inputs.next().unwrap_or_else(|| ChangeBatch::empty(&self.left));
        let right = inputs.next().unwrap_or_else(|| ChangeBatch::empty(&self.right));
        let left_keys = key_columns(&self.left_key, &left, &self.left, context)?;
        let right_keys = key_columns(&self.right_key, &right, &self.right, context)?;
        let (left_encoder, right_encoder) = (encoder(&left_keys, Mode::Ordered)?, encoder(&right_keys, Mode::Ordered)?);
        for (keys, rows) in [(&left_encoder, left.len()), (&right_encoder, right.len())] {
            page_in(std::slice::from_mut(&mut self.table), keys, rows)?;
        }
        let row_encoder = encoder(&right.columns, Mode::Compact)?;
        let mut builder = ChangeBuilder::default();
        let [left_wanted, right_wanted] = self.wanted.clone();
        let (mut left_side, mut right_side) =
            (Side::of(&self.left, left_wanted)?, Side::of(&self.right, right_wanted)?);
        let (mut key, mut value) = (Vec::new(), Vec::new());
        let mut next = 0;
        // Many rows of the stream meet few of the table's: each is decoded once, while it stays what it is.
        let mut decoded: HashMap<u32, usize, RandomState> = HashMap::default();
        let mut apply = |until: Option<u64>, table: &mut Store, decoded: &mut HashMap<_, _, _>, next: &mut usize| {
            while *next < right.len() && until.is_none_or(|seq| right.seq.value(*next) <= seq) {
                let row = *next;
                *next += 1;
                if right.op(row) == Change::UpdateBefore || right_encoder.any_null(row) {
                    continue;
                }
                key.clear();
                right_encoder.encode(row, &mut key);
                if let Some(slot) = table.slot(&key) {
                    decoded.remove(&slot);
                }
                if right.op(row).is_present() {
                    value.clear();
                    write_row(&row_encoder, row, right.rowtime.value(row), &mut value);
                    table.put(&key, &value);
                } else {
                    table.remove(&key);
                }
            }
        };
        let (mut probes, mut hashes) = (Keys::default(), vec![]);
        for row in 0..left.len() {
            let at = row % BLOCK_KEYS;
            if at == 0 {
                probes.clear();
                let block = row..left.len().min(row + BLOCK_KEYS);
                block.for_each(|row| probes.push(|out| left_encoder.encode(row, out)));
                hashes.clear();
                hashes.extend(probes.iter().map(|key| self.table.hash(key)));
                self.table.look_ahead(&hashes);
            }
            let seq = left.seq.value(row);
            apply(Some(seq), &mut self.table, &mut decoded, &mut next);
            if left.op(row) == Change::Tombstone {
                continue;
            }
            let found = match hashes.get(at) {
                Some(hash) if !left_encoder.any_null(row) => self.table.find_hashed(*hash, probes.get(at)),
                _ => None,
            };
            match found.map(|slot| (slot, decoded.get(&slot))) {
                Some((_, Some(at))) => right_side.push_again(*at),
                Some((slot, None)) => {
                    decoded.insert(slot, right_side.next_stored());
                    right_side.push_stored(split_row(self.table.value(slot).unwrap_or_default()).1)?;
                }
                None if self.kind == JoinKind::Left => right_side.null(),
                None => continue,
            }
            left_side.push_own(row);
            builder.push(seq, left.rowtime.value(row), Change::Insert);
        }
        apply(None, &mut self.table, &mut decoded, &mut next);
        let mut columns = left_side.finish(&left)?;
        columns.extend(right_side.finish(&right)?);
        if let Some(residual) = &self.residual {
            residual.part(&mut columns, residual.right(), &builder, context)?;
        }
        Ok(builder.finish(columns))
    }

    fn drain(&mut self, each: &mut dyn FnMut(&[u8], Option<&[u8]>)) {
        self.table.drain(each);
    }

    fn restore(&mut self, key: &[u8], value: Option<&[u8]>) -> Result<()> {
        self.table.restore(key, value);
        Ok(())
    }

    fn entries(&self, each: &mut dyn FnMut(&[u8], &[u8])) {
        self.table.iter().for_each(|(k, v)| each(k, v));
    }

    fn paged(&mut self, each: &mut dyn FnMut(&mut dyn Paged)) -> bool {
        each(&mut self.table);
        true
    }

    fn size(&self) -> (usize, usize) {
        (self.table.len(), self.table.size_bytes())
    }
}
