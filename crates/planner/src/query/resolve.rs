//! Names → columns: expressions with every column qualified, so that two of them can be compared.

use syntax::ast::{Expr, ExprKind, Ident};
use types::{Error, Result, Span};

use super::walk;
use crate::{
    expr::{Scope, ScopeColumn},
    plan::FieldDef,
};

/// `expr` with every column qualified by the source that it comes from. `clause` names the place for errors:
/// `SELECT`, `WHERE`, `GROUP BY`, …. Names in `free` stay as they are, unless a column has them too and is visible.
pub(super) fn resolve(expr: &Expr, scope: &Scope, clause: &str, free: &[&str]) -> Result<Expr> {
    walk::rewrite(expr, &mut |e, params| {
        let ExprKind::Column { qualifier, name } = &e.kind else { return Ok(None) };
        if qualifier.is_none() && params.contains(&name.value) {
            return Ok(Some(e.clone()));
        }
        if qualifier.is_none() && free.contains(&name.value.as_str()) {
            return Ok(Some(e.clone()));
        }
        match scope.resolve(qualifier.as_ref(), name, clause) {
            Ok(column) => Ok(Some(reference(column, e.span))),
            Err(_) if qualifier.is_none() && is_window_bound(&name.value) => {
                Err(window_bound_error(&name.value).at(e.span))
            }
            Err(error) => Err(error),
        }
    })
}

/// An expression that names `column`.
pub(super) fn reference(column: &ScopeColumn, span: Span) -> Expr {
    named(column.qualifier.as_deref(), &column.name, span)
}

/// An expression that names a column of a node.
pub(super) fn field(field: &FieldDef, span: Span) -> Expr {
    named(field.qualifier.as_deref(), &field.name, span)
}

/// A column by its name.
pub(super) fn named(qualifier: Option<&str>, name: &str, span: Span) -> Expr {
    let ident = |value: &str| Ident { value: value.to_owned(), quoted: true, span };
    Expr { kind: ExprKind::Column { qualifier: qualifier.map(ident), name: ident(name) }, span }
}

/// WINDOWSTART, WINDOWEND.
pub(super) fn is_window_bound(name: &str) -> bool {
    matches!(name, "WINDOWSTART" | "WINDOWEND")
}

/// The error that a window bound stands where there is no window yet.
pub(super) fn window_bound_error(name: &str) -> Error {
    let message = format!(
        "Window bounds column {name} can only be used in the SELECT clause of windowed aggregations and of queries \
         over windowed sources"
    );
    Error::undefined_column(message)
}

/// The name of a (resolved) column, if `expr` is nothing but one: (source, column).
pub(super) fn as_column(expr: &Expr) -> Option<(Option<&str>, &str)> {
    match &expr.kind {
        ExprKind::Column { qualifier, name } => Some((qualifier.as_ref().map(|q| q.value.as_str()), &name.value)),
        _ => None,
    }
}

/// The sources that a resolved expression reads, each once, in order of appearance. Columns that belong to no source
/// (synthetic keys) count as the empty name.
pub(super) fn sources_of(expr: &Expr) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    let _ = walk::rewrite(expr, &mut |e, params| {
        if let ExprKind::Column { qualifier, name } = &e.kind {
            if qualifier.is_none() && params.contains(&name.value) {
                return Ok(None);
            }
            let source = qualifier.as_ref().map(|q| q.value.clone()).unwrap_or_default();
            if !found.contains(&source) {
                found.push(source);
            }
        }
        Ok(None)
    });
    found
}

/// The conditions that `expr` is an AND of.
pub(super) fn conjuncts(expr: &Expr) -> Vec<Expr> {
    match &expr.kind {
        ExprKind::Binary { op: syntax::ast::BinaryOp::And, left, right } => {
            let mut all = conjuncts(left);
            all.extend(conjuncts(right));
            all
        }
        _ => vec![expr.clone()],
    }
}

/// All of `conditions`, joined by AND; `None` if there are none.
pub(super) fn conjunction(conditions: Vec<Expr>) -> Option<Expr> {
    conditions.into_iter().reduce(|left, right| {
        let span = left.span.to(right.span);
        let op = syntax::ast::BinaryOp::And;
        Expr { kind: ExprKind::Binary { op, left: Box::new(left), right: Box::new(right) }, span }
    })
}
