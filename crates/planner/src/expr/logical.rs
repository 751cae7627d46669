//! AND and OR, with row errors as if the right side were looked at only where the left does not decide.
//!
//! The right side is evaluated for the whole batch, which is cheaper than picking rows; what fails in rows that the
//! left side has decided did not happen.

use std::{fmt, hash::Hash, sync::Arc};

use arrow::{
    array::{Array, AsArray, BooleanArray},
    compute::{and_kleene, or_kleene},
    datatypes::{DataType, Schema},
    record_batch::RecordBatch,
};
use datafusion::{
    common::{Result as DfResult, internal_err},
    logical_expr::ColumnarValue,
    physical_expr::PhysicalExpr,
};

use super::{
    collector,
    operand::{Operand, exprs},
    text,
};
use crate::plan::BoundExpr;

/// `left AND right`, `left OR right` in three-valued logic.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct LogicalExpr {
    and: bool,
    left: Operand,
    right: Operand,
}

impl LogicalExpr {
    /// AND (`and`) or OR of two BOOLEAN expressions.
    pub(crate) fn new(and: bool, left: BoundExpr, right: BoundExpr) -> DfResult<LogicalExpr> {
        Ok(LogicalExpr { and, left: Operand::new(left)?, right: Operand::new(right)? })
    }

    /// Whether it is AND.
    pub fn is_and(&self) -> bool {
        self.and
    }

    /// The left side.
    pub fn left(&self) -> &BoundExpr {
        &self.left.expr
    }

    /// The right side.
    pub fn right(&self) -> &BoundExpr {
        &self.right.expr
    }
}

fn booleans(operand: &Operand, batch: &RecordBatch) -> DfResult<BooleanArray> {
    let array = operand.values(batch)?.expanded(batch.num_rows())?;
    match array.as_boolean_opt() {
        Some(booleans) => Ok(booleans.clone()),
        None => internal_err!("{} is {} where BOOLEAN is wanted", text::sql(&operand.expr), array.data_type()),
    }
}

impl PhysicalExpr for LogicalExpr {
    fn data_type(&self, _input_schema: &Schema) -> DfResult<DataType> {
        Ok(DataType::Boolean)
    }

    fn nullable(&self, _input_schema: &Schema) -> DfResult<bool> {
        Ok(true)
    }

    fn evaluate(&self, batch: &RecordBatch) -> DfResult<ColumnarValue> {
        let left = booleans(&self.left, batch)?;
        let undecided = if self.and { left.has_true() } else { left.has_false() };
        if !undecided && left.null_count() == 0 {
            return Ok(ColumnarValue::Array(Arc::new(left)));
        }
        let (right, reported) = collector::capture(|| booleans(&self.right, batch));
        let right = right?;
        if !reported.is_empty() {
            let decided = |row: usize| row < left.len() && left.is_valid(row) && left.value(row) != self.and;
            collector::report_rows(reported.into_iter().filter(|(row, _)| !decided(*row)).collect());
        }
        let combined = if self.and { and_kleene(&left, &right) } else { or_kleene(&left, &right) };
        Ok(ColumnarValue::Array(Arc::new(combined?)))
    }

    fn children(&self) -> Vec<&Arc<dyn PhysicalExpr>> {
        exprs([&self.left, &self.right])
    }

    fn with_new_children(self: Arc<Self>, children: Vec<Arc<dyn PhysicalExpr>>) -> DfResult<Arc<dyn PhysicalExpr>> {
        match <[_; 2]>::try_from(children) {
            Ok([left, right]) => Ok(Arc::new(LogicalExpr::new(self.and, left, right)?)),
            Err(other) => internal_err!("AND and OR have two children, not {}", other.len()),
        }
    }

    fn fmt_sql(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for LogicalExpr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = if self.and { "AND" } else { "OR" };
        write!(f, "({} {name} {})", text::sql(&self.left.expr), text::sql(&self.right.expr))
    }
}
