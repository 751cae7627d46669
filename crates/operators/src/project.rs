//! The select list.
//!
//! Input: rows. Output: the same rows with other columns. State: none. Order: kept. Errors: a column whose expression
//! fails is NULL in that row, and reported. Of a tombstone, which has no values, what is
//! computed of values is NULL.

use std::collections::BTreeSet;

use arrow::{
    array::{ArrayRef, BooleanArray},
    compute::nullif,
    datatypes::SchemaRef,
};
use functions::RowErrors;
use planner::{
    expr::{as_column, columns_used, evaluate},
    plan::BoundExpr,
};
use types::{Error, Result};

use crate::{Change, ChangeBatch, Operator, ReportKind, StepContext};

/// See the module.
pub struct Project {
    exprs: Vec<BoundExpr>,
    schema: SchemaRef,
    /// Which of `exprs` compute something of values.
    of_values: Vec<bool>,
}

impl Project {
    /// `exprs` over columns of `schema`, of which `values` are values, not keys.
    pub fn new(exprs: Vec<BoundExpr>, schema: SchemaRef, values: &BTreeSet<usize>) -> Project {
        let computes = |e: &BoundExpr| as_column(e).is_none() && !columns_used(e).is_disjoint(values);
        let of_values = exprs.iter().map(computes).collect();
        Project { exprs, schema, of_values }
    }
}

/// The column with NULLs where the row is a record without a value: nothing can be computed from what is not there.
fn without_tombstones(column: ArrayRef, input: &ChangeBatch) -> Result<ArrayRef> {
    let Some(ops) = input.ops.as_ref().filter(|o| o.values().contains(&(Change::Tombstone as u8))) else {
        return Ok(column);
    };
    let gone: BooleanArray = ops.values().iter().map(|o| Some(*o == Change::Tombstone as u8)).collect();
    nullif(&column, &gone).map_err(|e| Error::internal(format!("tombstones: {e}")))
}

impl Operator for Project {
    fn name(&self) -> &'static str {
        "Project"
    }

    fn step(&mut self, mut inputs: Vec<ChangeBatch>, context: &mut StepContext<'_>) -> Result<ChangeBatch> {
        let Some(input) = inputs.pop() else { return Ok(ChangeBatch::empty(&self.schema)) };
        let batch = input.to_record_batch(&self.schema)?;
        let mut columns = Vec::with_capacity(self.exprs.len());
        for (expr, of_values) in self.exprs.iter().zip(&self.of_values) {
            let mut errors = RowErrors::default();
            let column = evaluate(expr, &batch, &mut errors)?;
            columns.push(if *of_values { without_tombstones(column, &input)? } else { column });
            for (row, reason) in errors.rows {
                if input.op(row).is_present() {
                    context.report(input.seq.value(row), ReportKind::Expression, reason);
                }
            }
        }
        Ok(ChangeBatch { columns, ..input })
    }
}
