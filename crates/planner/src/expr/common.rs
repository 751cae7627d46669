//! What expressions over the same columns have in common, so that it need be computed only once for all of them.

use std::sync::Arc;

use arrow::{array::ArrayRef, datatypes::Schema};
use datafusion::{
    common::tree_node::{Transformed, TreeNode, TreeNodeRecursion},
    physical_expr::expressions::{Column, Literal},
};

use super::{CallStyle, KernelExpr, LogicalExpr, as_column, columns_used, is_deterministic};
use crate::plan::BoundExpr;

/// `expr` with its columns called as `schema` calls them: an alias makes no difference then.
pub fn canonical(expr: &BoundExpr, schema: &Schema) -> BoundExpr {
    let named = Arc::clone(expr).transform_up(|node| {
        let field = as_column(&node).and_then(|at| Some((at, schema.fields().get(at)?)));
        Ok(match field {
            Some((at, field)) => {
                let column: BoundExpr = Arc::new(Column::new(field.name(), at));
                Transformed::yes(column)
            }
            None => Transformed::no(node),
        })
    });
    // Rebuilding a node around columns cannot fail: children stay what they were.
    named.map_or_else(|_| Arc::clone(expr), |t| t.data)
}

/// The parts of `expr`, itself included, that compute something of columns, and always the same of the same; each after
/// those that it is in.
pub fn computed_parts(expr: &BoundExpr) -> Vec<BoundExpr> {
    let mut parts = vec![];
    collect(expr, &mut parts);
    parts
}

fn collect(expr: &BoundExpr, parts: &mut Vec<BoundExpr>) {
    let computes = as_column(expr).is_none() && expr.downcast_ref::<Literal>().is_none();
    if computes && is_deterministic(expr) && !columns_used(expr).is_empty() && !parts.contains(expr) {
        parts.push(Arc::clone(expr));
    }
    for child in expr.children() {
        collect(child, parts);
    }
}

/// What has to have which value where the BOOLEAN `expr` is true: where it has another one, nothing else of `expr` is looked
/// at, and nothing fails. The value is one row.
pub fn demanded(expr: &BoundExpr) -> Option<(BoundExpr, ArrayRef)> {
    let mut first = expr;
    while let Some(both) = first.downcast_ref::<LogicalExpr>().filter(|logical| logical.is_and()) {
        first = both.left();
    }
    let compared = first.downcast_ref::<KernelExpr>();
    let (left, right) = compared.filter(|call| call.style == CallStyle::Infix && call.name == "=")?.both_values()?;
    let value = |side: &BoundExpr| side.downcast_ref::<Literal>().map(|literal| literal.value().clone());
    let (part, value) = match (value(left), value(right)) {
        (None, Some(value)) => (left, value),
        (Some(value), None) => (right, value),
        _ => return None,
    };
    let value = value.to_array_of_size(1).ok()?;
    (is_deterministic(part) && !columns_used(part).is_empty()).then(|| (Arc::clone(part), value))
}

/// `expr` with its outermost parts replaced by the columns that `at` says they are in.
pub fn replace_parts(expr: &BoundExpr, at: &mut dyn FnMut(&BoundExpr) -> Option<usize>) -> BoundExpr {
    let replaced = Arc::clone(expr).transform_down(|node| {
        Ok(match at(&node) {
            Some(position) => {
                let column: BoundExpr = Arc::new(Column::new(&node.to_string(), position));
                Transformed::new(column, true, TreeNodeRecursion::Jump)
            }
            None => Transformed::no(node),
        })
    });
    replaced.map_or_else(|_| Arc::clone(expr), |t| t.data)
}
