//! `$1`, `$2`, …: values that come after the statement was prepared.
//!
//! Binding infers what a parameter must be from where it stands (`id = $1`); whoever executes puts the values in with
//! [`bind_values`] before anything is evaluated.

use std::{cell::RefCell, collections::BTreeMap, fmt, sync::Arc};

use arrow::{
    array::ArrayRef,
    datatypes::{DataType, Schema},
    record_batch::RecordBatch,
};
use datafusion::{
    common::{
        Result as DfResult, ScalarValue, exec_err,
        tree_node::{Transformed, TreeNode},
    },
    logical_expr::ColumnarValue,
    physical_expr::{PhysicalExpr, expressions::Literal},
};
use types::{Error, Result, SqlType};

use super::{collector, fold, operand::from_datafusion};
use crate::plan::BoundExpr;

/// The highest number that a parameter can have, as in PostgreSQL's protocol.
pub const PARAMETERS_MAX: usize = 65_535;

/// What is known of a statement's parameters.
#[derive(Debug, Default)]
pub struct Parameters {
    types: RefCell<BTreeMap<usize, Option<SqlType>>>,
}

impl Parameters {
    /// Parameters whose types the client told, from `$1` on (`None`: not told).
    pub fn declared(types: impl IntoIterator<Item = Option<SqlType>>) -> Parameters {
        let types = types.into_iter().enumerate().filter_map(|(i, ty)| Some((i + 1, Some(ty?))));
        Parameters { types: RefCell::new(types.collect()) }
    }

    /// The types from `$1` to the highest number used or told; STRING where nothing tells.
    pub fn types(&self) -> Vec<SqlType> {
        let types = self.types.borrow();
        let last = types.keys().next_back().copied().unwrap_or(0).min(PARAMETERS_MAX);
        (1..=last).map(|n| types.get(&n).cloned().flatten().unwrap_or(SqlType::String)).collect()
    }

    /// The type of `$number` if it is known; from now on it counts as used.
    pub(crate) fn used(&self, number: usize) -> Option<SqlType> {
        self.types.borrow_mut().entry(number).or_default().clone()
    }

    /// `$number` stands where a `ty` is wanted; the first such place decides. The type it has.
    pub(crate) fn settle(&self, number: usize, ty: &SqlType) -> SqlType {
        self.types.borrow_mut().entry(number).or_default().get_or_insert_with(|| ty.clone()).clone()
    }
}

/// A parameter in an expression.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ParameterExpr {
    /// From 1.
    pub number: usize,
    /// What it must be; `None` while nothing tells.
    pub ty: Option<SqlType>,
}

impl PhysicalExpr for ParameterExpr {
    fn data_type(&self, _input_schema: &Schema) -> DfResult<DataType> {
        Ok(self.ty.as_ref().map_or(DataType::Null, SqlType::to_arrow))
    }

    fn nullable(&self, _input_schema: &Schema) -> DfResult<bool> {
        Ok(true)
    }

    fn evaluate(&self, _batch: &RecordBatch) -> DfResult<ColumnarValue> {
        exec_err!("parameter ${} has no value yet", self.number)
    }

    fn children(&self) -> Vec<&Arc<dyn PhysicalExpr>> {
        Vec::new()
    }

    fn with_new_children(self: Arc<Self>, _children: Vec<Arc<dyn PhysicalExpr>>) -> DfResult<Arc<dyn PhysicalExpr>> {
        Ok(self)
    }

    fn fmt_sql(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for ParameterExpr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "${}", self.number)
    }
}

/// Whether parameters are left in `expr`.
pub fn has_parameters(expr: &BoundExpr) -> bool {
    expr.downcast_ref::<ParameterExpr>().is_some() || expr.children().into_iter().any(has_parameters)
}

/// `expr` with values (arrays of one row, of the types that [`Parameters::types`] told) in place of its parameters;
/// what becomes constant by that is computed.
pub fn bind_values(expr: &BoundExpr, values: &[ArrayRef]) -> Result<BoundExpr> {
    if !has_parameters(expr) {
        return Ok(Arc::clone(expr));
    }
    let replaced = Arc::clone(expr).transform_up(|node| {
        let Some(parameter) = node.downcast_ref::<ParameterExpr>() else {
            return Ok(match fold::folded(&node) {
                Some(literal) => Transformed::yes(literal),
                None => Transformed::no(node),
            });
        };
        let value = parameter.number.checked_sub(1).and_then(|i| values.get(i)).ok_or_else(|| {
            let message = format!("parameter ${} has no value: {} were given", parameter.number, values.len());
            super::operand::external(Error::new(types::ErrorKind::User, "08P01", message))
        })?;
        let value = ScalarValue::try_from_array(value, 0)?;
        let wanted = parameter.ty.as_ref().map_or(DataType::Utf8, SqlType::to_arrow);
        let value = if value.data_type() == wanted { value } else { value.cast_to(&wanted)? };
        let literal: BoundExpr = Arc::new(Literal::new(value));
        Ok(Transformed::yes(literal))
    });
    Ok(collector::capture(|| replaced).0.map_err(from_datafusion)?.data)
}
