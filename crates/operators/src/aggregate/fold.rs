//! Rows into aggregates' states.

use arrow::{
    array::{Array, ArrayRef, BooleanArray, UInt32Array},
    compute::concat,
    datatypes::SchemaRef,
};
use functions::{GroupStates, RowErrors};
use planner::{expr::evaluate, plan::AggregateCall};
use types::{Error, Result};

use crate::{
    ChangeBatch, ReportKind, StepContext,
    change::{downcast, is_identity, take_rows},
};

/// What one call sees of a batch.
pub(crate) struct CallInput {
    args: Vec<ArrayRef>,
    /// FILTER.
    passes: Option<BooleanArray>,
}

impl CallInput {
    /// Of each call; failures are reported.
    pub fn evaluate(
        calls: &[AggregateCall],
        input: &ChangeBatch,
        schema: &SchemaRef,
        context: &mut StepContext<'_>,
    ) -> Result<Vec<CallInput>> {
        let batch = input.to_record_batch(schema)?;
        let mut errors = RowErrors::default();
        let mut inputs = Vec::with_capacity(calls.len());
        for call in calls {
            let args = call.args.iter().map(|a| evaluate(a, &batch, &mut errors)).collect::<Result<Vec<_>>>()?;
            let passes = call.filter.as_ref().map(|f| evaluate(f, &batch, &mut errors).and_then(|p| downcast(&p)));
            inputs.push(CallInput { args, passes: passes.transpose()? });
        }
        for (row, reason) in errors.rows {
            context.report(input.seq.value(row), ReportKind::Expression, reason);
        }
        Ok(inputs)
    }
}

/// Rows of a batch and the groups that they go to, in order.
pub(crate) struct Rows<'a> {
    pub rows: &'a [u32],
    pub slots: &'a [u32],
    /// Which of them are taken back; `None`: none.
    pub retract: Option<&'a [bool]>,
}

/// Fold rows in. With `each`, gives for each call the values after each row; else nothing. Errors are by place among
/// the rows.
pub(crate) fn fold(
    states: &mut [Box<dyn GroupStates>],
    calls: &[CallInput],
    rows: &Rows<'_>,
    each: bool,
    errors: &mut RowErrors,
) -> Result<Vec<ArrayRef>> {
    let length = calls.iter().flat_map(|c| c.args.first()).map(|a| a.len()).next();
    let whole = length.is_some_and(|n| is_identity(rows.rows, n));
    let picks = UInt32Array::from(if whole { vec![] } else { rows.rows.to_vec() });
    let mut after = vec![];
    for (call, states) in calls.iter().zip(states) {
        if let Some(passes) = &call.passes {
            after.extend(fold_some(&mut **states, call, passes, rows, each, errors)?);
            continue;
        }
        let taken: Vec<ArrayRef>;
        let args = if whole {
            &call.args
        } else {
            taken = call.args.iter().map(|a| take_rows(a, &picks)).collect::<Result<_>>()?;
            &taken
        };
        if each {
            after.push(states.update_each(rows.slots, args, rows.retract, errors));
        } else {
            states.update(rows.slots, args, rows.retract, errors);
        }
    }
    Ok(after)
}

/// Only the rows that pass FILTER; with `each`, the values after every row, passed or not.
fn fold_some(
    states: &mut dyn GroupStates,
    call: &CallInput,
    passes: &BooleanArray,
    rows: &Rows<'_>,
    each: bool,
    errors: &mut RowErrors,
) -> Result<Option<ArrayRef>> {
    let pass = |row: &u32| passes.is_valid(*row as usize) && passes.value(*row as usize);
    let passing: Vec<usize> = rows.rows.iter().enumerate().filter(|(_, row)| pass(row)).map(|(at, _)| at).collect();
    let before = each.then(|| states.values(rows.slots));
    let own: Vec<u32> = passing.iter().filter_map(|at| rows.slots.get(*at).copied()).collect();
    let picks: UInt32Array = passing.iter().filter_map(|at| rows.rows.get(*at).copied()).collect();
    let args = call.args.iter().map(|a| take_rows(a, &picks)).collect::<Result<Vec<_>>>()?;
    let retract: Option<Vec<bool>> =
        rows.retract.map(|r| passing.iter().map(|at| r.get(*at).copied().unwrap_or(false)).collect());
    let mut own_errors = RowErrors::default();
    let after = if each {
        Some(states.update_each(&own, &args, retract.as_deref(), &mut own_errors))
    } else {
        states.update(&own, &args, retract.as_deref(), &mut own_errors);
        None
    };
    errors.rows.extend(own_errors.rows.into_iter().filter_map(|(at, e)| Some((*passing.get(at)?, e))));
    let Some((before, after)) = before.zip(after) else { return Ok(None) };
    // The value after a row is that after the last row of its group that passed, else what it was before.
    let mut latest: std::collections::HashMap<u32, u32, foldhash::fast::RandomState> = Default::default();
    let mut passed = passing.iter().zip(0u32..).peekable();
    let shift = u32::try_from(rows.slots.len()).unwrap_or(u32::MAX);
    let picks = rows.slots.iter().enumerate().zip(0u32..).map(|((at, slot), number)| {
        if let Some((_, place)) = passed.next_if(|(p, _)| **p == at) {
            latest.insert(*slot, shift + place);
        }
        latest.get(slot).copied().unwrap_or(number)
    });
    let picks = UInt32Array::from_iter_values(picks);
    let all = concat(&[&*before, &*after]).map_err(|e| Error::internal(e.to_string()))?;
    take_rows(&all, &picks).map(Some)
}
