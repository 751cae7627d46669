//! Looking into trees of expressions.

use syntax::ast::{Expr, ExprKind};

/// The parts of `expr` one level below it.
pub(crate) fn children(expr: &Expr) -> Vec<&Expr> {
    match &expr.kind {
        ExprKind::Literal(_) | ExprKind::Parameter(_) | ExprKind::Column { .. } | ExprKind::TimeUnit(_) => Vec::new(),
        ExprKind::Unary { expr, .. }
        | ExprKind::IsNull { expr, .. }
        | ExprKind::Cast { expr, .. }
        | ExprKind::Lambda { body: expr, .. }
        | ExprKind::Deref { base: expr, .. } => vec![expr],
        ExprKind::Binary { left, right, .. } => vec![left, right],
        ExprKind::Between { expr, low, high, .. } => vec![expr, low, high],
        ExprKind::InList { expr, list, .. } => std::iter::once(expr.as_ref()).chain(list).collect(),
        ExprKind::Like { expr, pattern, .. } => vec![expr, pattern],
        ExprKind::Case { operand, branches, otherwise } => {
            let branches = branches.iter().flat_map(|(when, then)| [when, then]);
            operand.as_deref().into_iter().chain(branches).chain(otherwise.as_deref()).collect()
        }
        ExprKind::Call { args, filter, .. } => args.iter().chain(filter.as_deref()).collect(),
        ExprKind::Subscript { base, index } => vec![base, index],
        ExprKind::Struct(fields) => fields.iter().map(|(_, value)| value).collect(),
        ExprKind::Array(items) => items.iter().collect(),
        ExprKind::Map(entries) => entries.iter().flat_map(|(key, value)| [key, value]).collect(),
    }
}

/// The first part of `expr` (itself included, from the top and the left) that `wanted` says yes to.
pub(crate) fn find<'e>(expr: &'e Expr, wanted: &dyn Fn(&Expr) -> bool) -> Option<&'e Expr> {
    if wanted(expr) {
        return Some(expr);
    }
    children(expr).into_iter().find_map(|child| find(child, wanted))
}

/// Whether `wanted` says yes to a part of `expr`.
pub(crate) fn any(expr: &Expr, wanted: &dyn Fn(&Expr) -> bool) -> bool {
    find(expr, wanted).is_some()
}
