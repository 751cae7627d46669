//! What ON says besides equalities: which rows that a join brings together are no partners.
//!
//! The condition is asked of whole batches. Where a row has one candidate at most, the join is made without it, and its
//! result is looked over ([`Residual::part`]): of rows that are no partners only the side that is kept anyway stays.

use std::ops::Range;

use arrow::{
    array::{Array, ArrayRef, BooleanArray, RecordBatch, RecordBatchOptions},
    compute::{not, nullif},
    datatypes::{Schema, SchemaRef},
};
use functions::RowErrors;
use planner::{expr::evaluate, plan::BoundExpr};
use types::{Error, Result};

use crate::{ChangeBuilder, ReportKind, StepContext, change::downcast};

/// See the module.
#[derive(Clone)]
pub(crate) struct Residual {
    condition: BoundExpr,
    /// Left columns, right columns.
    schema: SchemaRef,
    left: usize,
}

impl Residual {
    /// `condition` over the columns of `left` and then those of `right`.
    pub fn new(condition: BoundExpr, left: &SchemaRef, right: &SchemaRef) -> Residual {
        let fields = left.fields().iter().chain(right.fields().iter()).cloned().collect::<Vec<_>>();
        Residual { condition, schema: SchemaRef::new(Schema::new(fields)), left: left.fields().len() }
    }

    /// Left columns.
    pub fn left(&self) -> Range<usize> {
        0..self.left
    }

    /// Right columns.
    pub fn right(&self) -> Range<usize> {
        self.left..self.schema.fields().len()
    }

    /// Of each of `rows` pairs whether they are partners; `columns`: left, then right, perhaps more behind.
    pub fn partners(&self, columns: &[ArrayRef], rows: usize, errors: &mut RowErrors) -> Result<BooleanArray> {
        let columns = columns.iter().take(self.schema.fields().len()).cloned().collect();
        let options = RecordBatchOptions::new().with_row_count(Some(rows));
        let batch = RecordBatch::try_new_with_options(self.schema.clone(), columns, &options)
            .map_err(|e| Error::internal(format!("the pairs of a join: {e}")))?;
        let partners: BooleanArray = downcast(&evaluate(&self.condition, &batch, errors)?)?;
        // What is not known to be true is not.
        let (values, valid) = (partners.values().clone(), partners.nulls().map(|n| n.inner().clone()));
        Ok(BooleanArray::new(valid.map_or(values.clone(), |valid| &values & &valid), None))
    }

    /// Make the columns `optional` of a join's result NULL where the two rows of a pair are no partners.
    pub fn part(
        &self,
        columns: &mut [ArrayRef],
        optional: Range<usize>,
        builder: &ChangeBuilder,
        context: &mut StepContext<'_>,
    ) -> Result<()> {
        if builder.is_empty() {
            return Ok(());
        }
        let mut errors = RowErrors::default();
        let partners = self.partners(columns, builder.len(), &mut errors)?;
        for (row, reason) in errors.rows {
            if builder.is_present(row) {
                context.report(builder.seq.get(row).copied().unwrap_or(0), ReportKind::Expression, reason);
            }
        }
        if partners.true_count() == partners.len() {
            return Ok(());
        }
        let fail = |e: arrow::error::ArrowError| Error::internal(format!("the pairs of a join: {e}"));
        let apart = not(&partners).map_err(fail)?;
        for column in columns.get_mut(optional).unwrap_or_default() {
            *column = nullif(column, &apart).map_err(fail)?;
        }
        Ok(())
    }
}
