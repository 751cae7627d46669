//! What expressions over the same columns have in common, so that it need be computed only once for all of them.

use std::sync::Arc;

use arrow::datatypes::Schema;
use datafusion::{
    common::tree_node::{Transformed, TreeNode, TreeNodeRecursion},
    physical_expr::expressions::{Column, Literal},
};

use super::{as_column, columns_used, is_deterministic};
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
