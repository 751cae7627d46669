//! An operand of our expressions: a child expression, with its value at hand when it is a constant.

use std::{
    hash::{Hash, Hasher},
    sync::Arc,
};

use arrow::{array::ArrayRef, record_batch::RecordBatch};
use datafusion::{
    common::{DataFusionError, Result as DfResult, ScalarValue},
    logical_expr::ColumnarValue,
    physical_expr::{PhysicalExpr, expressions::Literal},
};
use functions::Arg;

use crate::plan::BoundExpr;

/// A child, evaluated once if it is a literal.
#[derive(Debug, Clone)]
pub(crate) struct Operand {
    /// The child.
    pub expr: BoundExpr,
    /// One row, if the child is a literal.
    constant: Option<ArrayRef>,
}

/// The values of an operand for a batch.
pub(crate) struct Values {
    /// As many rows as the batch, or one.
    pub array: ArrayRef,
    /// Whether `array` has one row that stands for all.
    pub constant: bool,
}

impl Values {
    /// As a kernel takes it.
    pub fn into_arg(self) -> Arg {
        if self.constant { Arg::Constant(self.array) } else { Arg::Column(self.array) }
    }

    /// As many rows as the batch.
    pub fn expanded(self, rows: usize) -> DfResult<ArrayRef> {
        if !self.constant {
            return Ok(self.array);
        }
        ScalarValue::try_from_array(&self.array, 0)?.to_array_of_size(rows)
    }
}

impl Operand {
    /// An operand of a child; fails only if a literal has no Arrow form.
    pub fn new(expr: BoundExpr) -> DfResult<Operand> {
        let constant = match expr.downcast_ref::<Literal>() {
            Some(literal) => Some(literal.value().to_array_of_size(1)?),
            None => None,
        };
        Ok(Operand { expr, constant })
    }

    /// The operand's only value, if it is a literal.
    pub fn constant(&self) -> Option<&ArrayRef> {
        self.constant.as_ref()
    }

    /// Evaluate.
    pub fn values(&self, batch: &RecordBatch) -> DfResult<Values> {
        if let Some(array) = &self.constant {
            return Ok(Values { array: Arc::clone(array), constant: true });
        }
        match self.expr.evaluate(batch)? {
            ColumnarValue::Array(array) => Ok(Values { array, constant: false }),
            ColumnarValue::Scalar(value) => Ok(Values { array: value.to_array_of_size(1)?, constant: true }),
        }
    }
}

impl PartialEq for Operand {
    fn eq(&self, other: &Operand) -> bool {
        self.expr.as_ref() == other.expr.as_ref()
    }
}

impl Eq for Operand {}

impl Hash for Operand {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.expr.as_ref().dyn_hash(state);
    }
}

/// An error of ours on its way through DataFusion.
pub(crate) fn external(error: types::Error) -> DataFusionError {
    DataFusionError::External(Box::new(error))
}

/// … and back.
pub(crate) fn from_datafusion(error: DataFusionError) -> types::Error {
    match error.find_root() {
        DataFusionError::External(inner) => match inner.downcast_ref::<types::Error>() {
            Some(ours) => ours.clone(),
            None => types::Error::internal(format!("while evaluating an expression: {inner}")),
        },
        DataFusionError::ArrowError(inner, _) => {
            types::Error::internal(format!("while evaluating an expression: {inner}"))
        }
        other => types::Error::internal(format!("while evaluating an expression: {other}")),
    }
}

/// The children of operands.
pub(crate) fn exprs<'a>(operands: impl IntoIterator<Item = &'a Operand>) -> Vec<&'a Arc<dyn PhysicalExpr>> {
    operands.into_iter().map(|o| &o.expr).collect()
}
