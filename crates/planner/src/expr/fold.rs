//! Constant folding: what depends on nothing is computed when it is bound.

use std::sync::Arc;

use arrow::{
    array::ArrayRef,
    datatypes::Schema,
    record_batch::{RecordBatch, RecordBatchOptions},
};
use datafusion::{
    common::ScalarValue,
    physical_expr::expressions::{Column, Literal},
};

use super::{KernelExpr, collector, parameter::ParameterExpr};
use crate::plan::BoundExpr;

/// A batch of one row without columns.
pub(crate) fn one_row() -> Option<RecordBatch> {
    let options = RecordBatchOptions::new().with_row_count(Some(1));
    RecordBatch::try_new_with_options(Arc::new(Schema::empty()), Vec::new(), &options).ok()
}

/// Whether the value is the same for all rows and at all times.
pub fn is_constant(expr: &BoundExpr) -> bool {
    let fixed = expr.downcast_ref::<Column>().is_none() && expr.downcast_ref::<ParameterExpr>().is_none();
    fixed && !expr.is_volatile_node() && expr.children().into_iter().all(is_constant)
}

/// Whether the value follows from the row alone.
pub fn is_deterministic(expr: &BoundExpr) -> bool {
    !expr.is_volatile_node() && expr.children().into_iter().all(is_deterministic)
}

/// The literal that `expr` is, if all that it needs is there: its children are literals, it is deterministic and does
/// not fail.
pub(crate) fn folded(expr: &BoundExpr) -> Option<BoundExpr> {
    if expr.downcast_ref::<Literal>().is_some() || expr.downcast_ref::<Column>().is_some() {
        return None;
    }
    let children_known = match expr.downcast_ref::<KernelExpr>() {
        Some(call) => call.is_foldable(),
        None => !expr.children().is_empty() && expr.children().iter().all(|c| c.downcast_ref::<Literal>().is_some()),
    };
    if !children_known {
        return None;
    }
    let value = ScalarValue::try_from_array(&constant_value(expr)?, 0).ok()?;
    Some(Arc::new(Literal::new(value)))
}

/// `expr`, folded if it can be.
pub(crate) fn fold(expr: BoundExpr) -> BoundExpr {
    folded(&expr).unwrap_or(expr)
}

/// The value (one row) of an expression that is constant and does not fail.
pub fn constant_value(expr: &BoundExpr) -> Option<ArrayRef> {
    if !is_constant(expr) {
        return None;
    }
    let batch = one_row()?;
    let (value, reported) = collector::capture(|| expr.evaluate(&batch));
    match value {
        Ok(value) if reported.is_empty() => value.into_array(1).ok(),
        _ => None,
    }
}

/// As [`constant_value`]; the error says why it fails. `None`: it is no constant.
pub fn constant_or_reason(expr: &BoundExpr) -> types::Result<Option<ArrayRef>> {
    if !is_constant(expr) {
        return Ok(None);
    }
    let batch = one_row().ok_or_else(|| types::Error::internal("a batch of one row without columns cannot be made"))?;
    let (value, mut reported) = collector::capture(|| expr.evaluate(&batch));
    let value = value.map_err(super::operand::from_datafusion)?;
    if let Some((_, reason)) = reported.pop() {
        return Err(types::Error::bad_value(reason));
    }
    value.into_array(1).map(Some).map_err(super::operand::from_datafusion)
}
