//! Expressions: tree + names → DataFusion physical expressions over positions, and how to evaluate them.
//!
//! One compiler for continuous and ending queries, so that they cannot disagree. Functions, casts and operators are
//! kernels of the functions crate inside of one PhysicalExpr ([`KernelExpr`]); AND, OR and CASE are ours because a row
//! that a condition keeps away from an expression must not be reported as failing in it; columns, literals, NOT and IS
//! NULL are DataFusion's. What is constant is computed while binding.
//!
//! Truth: a comparison with a NULL operand is false (`<>` included, as ksqlDB has it), unless the operand failed; then
//! it is NULL. AND, OR and NOT know three values.
//!
//! A row that fails has NULL where it failed, and a reason in the [`RowErrors`] given to [`evaluate`]. No row ever
//! fails its batch.

mod bind;
mod call;
mod case;
mod coerce;
mod collector;
mod common;
mod compare;
mod construct;
mod fold;
mod in_list;
pub mod instant;
mod kernel;
mod lambda;
mod literal;
mod logical;
mod operand;
mod parameter;
mod scope;
pub(crate) mod text;
pub mod udaf;
pub mod udf;

use std::{collections::BTreeSet, sync::Arc};

use arrow::{array::ArrayRef, record_batch::RecordBatch};
use datafusion::{
    common::tree_node::{Transformed, TreeNode},
    logical_expr::ColumnarValue,
    physical_expr::expressions::{Column, Literal},
};
use functions::RowErrors;
use indexmap::IndexMap;
use syntax::ast::Expr;
use types::{Result, SqlType};

pub use common::{canonical, computed_parts, demanded, replace_parts};
pub use fold::{constant_or_reason, constant_value, is_constant, is_deterministic};
pub use in_list::InSetExpr;
pub use kernel::{CallStyle, KernelExpr};
pub use logical::LogicalExpr;
pub use parameter::{PARAMETERS_MAX, ParameterExpr, Parameters, bind_values, has_parameters};
pub use scope::{PSEUDO_COLUMNS, Scope, ScopeColumn, WINDOW_COLUMNS, is_reserved, source_fields};
pub use text::{name as name_text, qualified as qualified_text, sql as expr_text};

use crate::plan::BoundExpr;

/// A bound expression and its type.
#[derive(Debug, Clone)]
pub struct Bound {
    /// The expression.
    pub expr: BoundExpr,
    /// Its type; `None`: the literal NULL, or a parameter of which nothing is known yet.
    pub ty: Option<SqlType>,
}

impl Bound {
    /// A column of the batch. `shown` is how text shows it ([`qualified_text`]).
    pub fn column(shown: &str, position: usize, ty: SqlType) -> Bound {
        Bound { expr: Arc::new(Column::new(shown, position)), ty: Some(ty) }
    }

    /// Whether it is the literal NULL.
    pub fn is_null_literal(&self) -> bool {
        self.ty.is_none() && self.expr.downcast_ref::<Literal>().is_some()
    }
}

/// Puts something else in the place of a part of an expression (an aggregate call's column, say); `None`: bind it as
/// usual.
pub type Intercept<'a> = dyn Fn(&Expr) -> Result<Option<Bound>> + 'a;

/// What binding needs besides the columns.
#[derive(Clone, Copy, Default)]
pub struct Context<'a> {
    /// User types, for CAST.
    pub types: Option<&'a IndexMap<String, SqlType>>,
    /// Where the expression stands, for errors: `SELECT`, `WHERE`, `JOIN ON` …; empty: just an expression.
    pub clause: &'a str,
    /// Parameters; `None`: none are allowed.
    pub parameters: Option<&'a Parameters>,
    /// Asked for every part of the expression, from the top.
    pub intercept: Option<&'a Intercept<'a>>,
    /// Fields of a STRUCT(…) that the wanted type does not have are left out, rather than refused.
    pub lenient_structs: bool,
}

impl<'a> Context<'a> {
    /// Types of `catalog`, nothing else.
    pub fn new(catalog: &'a catalog::Catalog, clause: &'a str) -> Context<'a> {
        Context { types: Some(&catalog.types), clause, ..Context::default() }
    }

    /// With parameters.
    #[must_use]
    pub fn with_parameters(self, parameters: &'a Parameters) -> Context<'a> {
        Context { parameters: Some(parameters), ..self }
    }

    /// In another clause.
    #[must_use]
    pub fn in_clause(self, clause: &'a str) -> Context<'a> {
        Context { clause, ..self }
    }

    /// With an interceptor.
    #[must_use]
    pub fn with_intercept(self, intercept: &'a Intercept<'a>) -> Context<'a> {
        Context { intercept: Some(intercept), ..self }
    }
}

/// Bind `expr` over the columns of `scope`.
pub fn bind(expr: &Expr, scope: &Scope, context: &Context<'_>) -> Result<Bound> {
    bind::Binder::new(scope, context).bind(expr)
}

/// Bind `expr` as a value of type `target`. `implicit`: with conversions that need no CAST only (wider numbers,
/// literals, constructors element by element); else with any CAST.
pub fn bind_as(
    expr: &Expr,
    scope: &Scope,
    context: &Context<'_>,
    target: &SqlType,
    implicit: bool,
) -> Result<BoundExpr> {
    bind::Binder::new(scope, context).coerce(expr, target, implicit)
}

/// Bind a condition; the error says that it is none.
pub fn bind_predicate(expr: &Expr, scope: &Scope, context: &Context<'_>) -> Result<BoundExpr> {
    bind::Binder::new(scope, context).predicate(expr)
}

/// `bound` as a value of type `to`, by a CAST (`implicit`: only by one that needs not be written).
pub fn cast(bound: Bound, to: &SqlType, implicit: bool) -> Result<BoundExpr> {
    coerce::cast(bound, to, implicit, None)
}

/// Evaluate `expr` over `batch`: as many values as the batch has rows. Rows that fail are NULL where they fail, and
/// appended to `errors`. An `Err` is our mistake, never the data's.
pub fn evaluate(expr: &BoundExpr, batch: &RecordBatch, errors: &mut RowErrors) -> Result<ArrayRef> {
    if let Some(position) = as_column(expr)
        && let Some(column) = batch.columns().get(position)
    {
        return Ok(Arc::clone(column));
    }
    let rows = batch.num_rows();
    let (value, reported) = collector::capture(|| match expr.evaluate(batch)? {
        ColumnarValue::Array(array) => Ok(array),
        ColumnarValue::Scalar(value) => value.to_array_of_size(rows),
    });
    if !reported.is_empty() {
        errors.rows.extend(reported.into_iter().filter(|(row, _)| *row < rows));
    }
    value.map_err(operand::from_datafusion)
}

/// The positions of the columns that `expr` reads.
pub fn columns_used(expr: &BoundExpr) -> BTreeSet<usize> {
    let mut used = BTreeSet::new();
    collect_columns(expr, &mut used);
    used
}

fn collect_columns(expr: &BoundExpr, used: &mut BTreeSet<usize>) {
    used.extend(as_column(expr));
    for child in expr.children() {
        collect_columns(child, used);
    }
}

/// `expr` with every column at position `p` read from position `to(p)`.
pub fn remap(expr: &BoundExpr, to: &dyn Fn(usize) -> usize) -> BoundExpr {
    let moved = Arc::clone(expr).transform_up(|node| {
        Ok(match node.downcast_ref::<Column>() {
            Some(column) if to(column.index()) != column.index() => {
                let column: BoundExpr = Arc::new(Column::new(column.name(), to(column.index())));
                Transformed::yes(column)
            }
            _ => Transformed::no(node),
        })
    });
    // Rebuilding a node around columns cannot fail: children stay what they were.
    moved.map_or_else(|_| Arc::clone(expr), |t| t.data)
}

/// The position of the column that `expr` is, if it is no more than that.
pub fn as_column(expr: &BoundExpr) -> Option<usize> {
    expr.downcast_ref::<Column>().map(Column::index)
}

/// `left AND right`, with row errors attributed as AND does.
pub fn and(left: BoundExpr, right: BoundExpr) -> Result<BoundExpr> {
    Ok(Arc::new(LogicalExpr::new(true, left, right).map_err(kernel::unbindable)?))
}

/// The parts of which all must be true for `expr` to be.
pub fn conjuncts(expr: &BoundExpr) -> Vec<BoundExpr> {
    match expr.downcast_ref::<LogicalExpr>() {
        Some(and) if and.is_and() => {
            let mut parts = conjuncts(and.left());
            parts.extend(conjuncts(and.right()));
            parts
        }
        _ => vec![Arc::clone(expr)],
    }
}

#[cfg(test)]
mod tests;
