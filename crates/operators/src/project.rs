//! The select list.
//!
//! Input: rows. Output: the same rows with other columns. State: none. Order: kept. Errors: a column whose expression
//! fails is NULL in that row, and reported.

use arrow::datatypes::SchemaRef;
use functions::RowErrors;
use planner::{expr::evaluate, plan::BoundExpr};
use types::Result;

use crate::{ChangeBatch, Operator, ReportKind, StepContext};

/// See the module.
pub struct Project {
    exprs: Vec<BoundExpr>,
    schema: SchemaRef,
}

impl Project {
    /// `exprs` over columns of `schema`.
    pub fn new(exprs: Vec<BoundExpr>, schema: SchemaRef) -> Project {
        Project { exprs, schema }
    }
}

impl Operator for Project {
    fn name(&self) -> &'static str {
        "Project"
    }

    fn step(&mut self, mut inputs: Vec<ChangeBatch>, context: &mut StepContext<'_>) -> Result<ChangeBatch> {
        let Some(input) = inputs.pop() else { return Ok(ChangeBatch::empty(&self.schema)) };
        let batch = input.to_record_batch(&self.schema)?;
        let mut columns = Vec::with_capacity(self.exprs.len());
        for expr in &self.exprs {
            let mut errors = RowErrors::default();
            columns.push(evaluate(expr, &batch, &mut errors)?);
            for (row, reason) in errors.rows {
                if input.op(row).is_present() {
                    context.report(input.seq.value(row), ReportKind::Expression, reason);
                }
            }
        }
        Ok(ChangeBatch { columns, ..input })
    }
}
