//! Table functions in the select list.
//!
//! Input: a stream. Output: each row as many times as the longest of its calls gives values, with one more column a
//! call (NULL where a call gave fewer). State: none. Order: of rows, then of values. Errors: a call that fails gives
//! no values for that row, and is reported.

use arrow::{
    array::{ArrayRef, UInt32Array},
    compute::take,
    datatypes::SchemaRef,
};
use functions::{Arg, RowErrors};
use planner::{expr::evaluate, plan::TableCall};
use types::{Error, Result};

use crate::{Change, ChangeBatch, Operator, ReportKind, StepContext};

/// See the module.
pub struct FlatMap {
    calls: Vec<TableCall>,
    schema: SchemaRef,
}

impl FlatMap {
    /// `calls` over columns of `schema`.
    pub fn new(calls: Vec<TableCall>, schema: SchemaRef) -> FlatMap {
        FlatMap { calls, schema }
    }
}

impl Operator for FlatMap {
    fn name(&self) -> &'static str {
        "FlatMap"
    }

    fn step(&mut self, mut inputs: Vec<ChangeBatch>, context: &mut StepContext<'_>) -> Result<ChangeBatch> {
        let Some(input) = inputs.pop() else { return Ok(ChangeBatch::empty(&self.schema)) };
        let batch = input.to_record_batch(&self.schema)?;
        let rows = input.len();
        let mut results: Vec<(ArrayRef, Vec<u32>)> = Vec::with_capacity(self.calls.len());
        for call in &self.calls {
            let mut errors = RowErrors::default();
            let args = call.args.iter().map(|a| evaluate(a, &batch, &mut errors).map(Arg::Column));
            let args = args.collect::<Result<Vec<_>>>()?;
            results.push(call.bound.kernel.evaluate(&args, rows, &mut errors)?);
            for (row, reason) in errors.rows {
                context.report(input.seq.value(row), ReportKind::Expression, reason);
            }
        }
        let mut from_row: Vec<u32> = vec![];
        let mut picks: Vec<Vec<Option<u32>>> = vec![vec![]; results.len()];
        let mut starts = vec![0u32; results.len()];
        for row in 0..rows {
            let count = |result: &(ArrayRef, Vec<u32>)| result.1.get(row).copied().unwrap_or(0);
            let longest = match input.op(row) {
                Change::Tombstone => 0,
                _ => results.iter().map(count).max().unwrap_or(0),
            };
            from_row.extend(std::iter::repeat_n(u32::try_from(row).unwrap_or(u32::MAX), longest as usize));
            for ((result, pick), start) in results.iter().zip(&mut picks).zip(&mut starts) {
                let own = count(result);
                pick.extend((0..longest).map(|i| (i < own).then_some(*start + i)));
                *start += own;
            }
        }
        let mut out = input.take(&UInt32Array::from(from_row))?;
        for ((values, _), pick) in results.iter().zip(picks) {
            let picked = take(values, &UInt32Array::from(pick), None);
            out.columns.push(picked.map_err(|e| Error::internal(format!("table function: {e}")))?);
        }
        Ok(out)
    }
}
