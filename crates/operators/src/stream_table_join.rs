//! A stream's rows, each with the table's row of its key at that moment.
//!
//! Input: a stream (left) and a table (right), both partitioned by the join key. Output: a stream: left columns, right
//! columns. State: the table's rows by key. Time: of the stream's row. Order: of the stream's rows; a table's change
//! counts for the stream's rows that arrived after it. Bound: the table's size.

use arrow::datatypes::SchemaRef;
use planner::plan::BoundExpr;
use statestore::{Mode, Store};
use syntax::ast::JoinKind;
use types::Result;

use crate::{
    Change, ChangeBatch, ChangeBuilder, Operator, StepContext,
    residual::Residual,
    table_rows::{Side, encoder, key_columns, split_row, write_row},
};

/// See the module.
pub struct StreamTableJoin {
    left: SchemaRef,
    right: SchemaRef,
    left_key: Vec<BoundExpr>,
    right_key: Vec<BoundExpr>,
    kind: JoinKind,
    residual: Option<Residual>,
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
        StreamTableJoin { left, right, left_key, right_key, kind, residual, table: Store::new() }
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
        let row_encoder = encoder(&right.columns, Mode::Compact)?;
        let mut builder = ChangeBuilder::default();
        let (mut left_side, mut right_side) = (Side::new(&self.left)?, Side::new(&self.right)?);
        let (mut key, mut value) = (Vec::new(), Vec::new());
        let mut next = 0;
        let mut apply = |until: Option<u64>, table: &mut Store, next: &mut usize| {
            while *next < right.len() && until.is_none_or(|seq| right.seq.value(*next) <= seq) {
                let row = *next;
                *next += 1;
                if right.op(row) == Change::UpdateBefore || right_encoder.any_null(row) {
                    continue;
                }
                key.clear();
                right_encoder.encode(row, &mut key);
                if right.op(row).is_present() {
                    value.clear();
                    write_row(&row_encoder, row, right.rowtime.value(row), &mut value);
                    table.put(&key, &value);
                } else {
                    table.remove(&key);
                }
            }
        };
        let mut probe = Vec::new();
        for row in 0..left.len() {
            let seq = left.seq.value(row);
            apply(Some(seq), &mut self.table, &mut next);
            if left.op(row) == Change::Tombstone {
                continue;
            }
            let found = if left_encoder.any_null(row) {
                None
            } else {
                probe.clear();
                left_encoder.encode(row, &mut probe);
                self.table.get(&probe)
            };
            match found {
                Some(stored) => {
                    right_side.push_stored(split_row(stored).1)?;
                }
                None if self.kind == JoinKind::Left => right_side.null(),
                None => continue,
            }
            left_side.push_own(row);
            builder.push(seq, left.rowtime.value(row), Change::Insert);
        }
        apply(None, &mut self.table, &mut next);
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

    fn size(&self) -> (usize, usize) {
        (self.table.len(), self.table.size_bytes())
    }
}
