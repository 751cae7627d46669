//! WHERE and HAVING.
//!
//! Input: rows of one stream or table. Output: those that pass; of a table, a row that passed and no longer does
//! becomes a deletion, one that never did vanishes. State: none. Order: kept. Errors: a row whose predicate fails is
//! reported and does not pass.

use arrow::{
    array::{Array, BooleanArray, UInt8Array},
    datatypes::SchemaRef,
};
use functions::RowErrors;
use planner::{expr::evaluate, plan::BoundExpr};
use types::Result;

use crate::{Change, ChangeBatch, Operator, ReportKind, StepContext, change::downcast};

/// See the module.
pub struct Filter {
    predicate: BoundExpr,
    schema: SchemaRef,
    table: bool,
}

impl Filter {
    /// `predicate` over columns of `schema`; `table`: the input is a table.
    pub fn new(predicate: BoundExpr, schema: SchemaRef, table: bool) -> Filter {
        Filter { predicate, schema, table }
    }
}

impl Operator for Filter {
    fn name(&self) -> &'static str {
        "Filter"
    }

    fn step(&mut self, mut inputs: Vec<ChangeBatch>, context: &mut StepContext<'_>) -> Result<ChangeBatch> {
        let Some(input) = inputs.pop() else { return Ok(ChangeBatch::empty(&self.schema)) };
        if input.is_empty() {
            return Ok(input);
        }
        let mut errors = RowErrors::default();
        let passes = evaluate(&self.predicate, &input.to_record_batch(&self.schema)?, &mut errors)?;
        let passes: BooleanArray = downcast(&passes)?;
        for (row, reason) in errors.rows {
            if input.op(row).is_present() {
                context.report(input.seq.value(row), ReportKind::Expression, reason);
            }
        }
        if input.ops.is_none() {
            if passes.null_count() == 0 && passes.true_count() == input.len() {
                return Ok(input);
            }
            return input.filter(&passes);
        }
        let pass = |row: usize| passes.is_valid(row) && passes.value(row);
        let rows = input.len();
        let mut keep = vec![false; rows];
        let mut ops: Vec<u8> = (0..rows).map(|r| input.op(r) as u8).collect();
        let mut set = |row: usize, op: Change| {
            if let (Some(k), Some(o)) = (keep.get_mut(row), ops.get_mut(row)) {
                *k = true;
                *o = op as u8;
            }
        };
        let mut row = 0;
        while row < rows {
            match input.op(row) {
                Change::UpdateBefore if input.is_update(row) => {
                    match (pass(row), pass(row + 1)) {
                        (true, true) => {
                            set(row, Change::UpdateBefore);
                            set(row + 1, Change::UpdateAfter);
                        }
                        (true, false) => set(row, Change::Delete),
                        (false, true) => set(row + 1, Change::Insert),
                        (false, false) => {}
                    }
                    row += 1;
                }
                Change::Upsert => set(row, if pass(row) { Change::Upsert } else { Change::Tombstone }),
                Change::Tombstone if self.table => set(row, Change::Tombstone),
                Change::Tombstone => {}
                op if pass(row) => set(row, op),
                _ => {}
            }
            row += 1;
        }
        let relabelled = ChangeBatch { ops: Some(UInt8Array::from(ops)), ..input };
        relabelled.filter(&BooleanArray::from(keep))
    }
}
