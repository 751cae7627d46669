//! Walking and rewriting expressions of the tree.

use syntax::ast::{Expr, ExprKind};
use types::Result;

/// What a rewriter says of an expression: its replacement, or `None` to look at its parts.
/// The second argument names the lambda parameters in whose reach the expression stands.
pub(super) type Rewriter<'a> = &'a mut dyn FnMut(&Expr, &[String]) -> Result<Option<Expr>>;

/// `expr` with every part replaced for which `rewriter` has a replacement, from the outside in.
pub(super) fn rewrite(expr: &Expr, rewriter: Rewriter<'_>) -> Result<Expr> {
    Walk { params: Vec::new(), rewriter }.expr(expr)
}

/// Call `visit` for `expr` and all its parts, outer ones first, until it says `false` (its parts are left out then).
pub(super) fn visit(expr: &Expr, visit: &mut dyn FnMut(&Expr) -> bool) {
    let done: Result<Expr> = rewrite(expr, &mut |e, _| Ok(if visit(e) { None } else { Some(e.clone()) }));
    debug_assert!(done.is_ok(), "a visitor does not fail");
}

/// Whether `expr` or a part of it satisfies `test`.
pub(super) fn any(expr: &Expr, test: &mut dyn FnMut(&Expr) -> bool) -> bool {
    let mut found = false;
    visit(expr, &mut |e| {
        found = found || test(e);
        !found
    });
    found
}

struct Walk<'a> {
    params: Vec<String>,
    rewriter: Rewriter<'a>,
}

impl Walk<'_> {
    fn expr(&mut self, expr: &Expr) -> Result<Expr> {
        if let Some(replaced) = (self.rewriter)(expr, &self.params)? {
            return Ok(replaced);
        }
        Ok(Expr { kind: self.parts(&expr.kind)?, span: expr.span })
    }

    fn boxed(&mut self, expr: &Expr) -> Result<Box<Expr>> {
        Ok(Box::new(self.expr(expr)?))
    }

    fn maybe(&mut self, expr: Option<&Expr>) -> Result<Option<Box<Expr>>> {
        expr.map(|e| self.boxed(e)).transpose()
    }

    fn list(&mut self, list: &[Expr]) -> Result<Vec<Expr>> {
        list.iter().map(|e| self.expr(e)).collect()
    }

    fn pairs(&mut self, list: &[(Expr, Expr)]) -> Result<Vec<(Expr, Expr)>> {
        list.iter().map(|(a, b)| Ok((self.expr(a)?, self.expr(b)?))).collect()
    }

    fn parts(&mut self, kind: &ExprKind) -> Result<ExprKind> {
        Ok(match kind {
            ExprKind::Literal(_) | ExprKind::Parameter(_) | ExprKind::Column { .. } | ExprKind::TimeUnit(_) => {
                kind.clone()
            }
            ExprKind::Unary { op, expr } => ExprKind::Unary { op: *op, expr: self.boxed(expr)? },
            ExprKind::Binary { op, left, right } => {
                ExprKind::Binary { op: *op, left: self.boxed(left)?, right: self.boxed(right)? }
            }
            ExprKind::IsNull { expr, negated } => ExprKind::IsNull { expr: self.boxed(expr)?, negated: *negated },
            ExprKind::Between { expr, low, high, negated } => ExprKind::Between {
                expr: self.boxed(expr)?,
                low: self.boxed(low)?,
                high: self.boxed(high)?,
                negated: *negated,
            },
            ExprKind::InList { expr, list, negated } => {
                ExprKind::InList { expr: self.boxed(expr)?, list: self.list(list)?, negated: *negated }
            }
            ExprKind::Like { expr, pattern, escape, negated } => ExprKind::Like {
                expr: self.boxed(expr)?,
                pattern: self.boxed(pattern)?,
                escape: *escape,
                negated: *negated,
            },
            ExprKind::Case { operand, branches, otherwise } => ExprKind::Case {
                operand: self.maybe(operand.as_deref())?,
                branches: self.pairs(branches)?,
                otherwise: self.maybe(otherwise.as_deref())?,
            },
            ExprKind::Cast { expr, ty } => ExprKind::Cast { expr: self.boxed(expr)?, ty: ty.clone() },
            ExprKind::Call { name, distinct, star, args, filter } => ExprKind::Call {
                name: name.clone(),
                distinct: *distinct,
                star: *star,
                args: self.list(args)?,
                filter: self.maybe(filter.as_deref())?,
            },
            ExprKind::Lambda { params, body } => {
                let depth = self.params.len();
                self.params.extend(params.iter().map(|p| p.value.clone()));
                let body = self.boxed(body);
                self.params.truncate(depth);
                ExprKind::Lambda { params: params.clone(), body: body? }
            }
            ExprKind::Subscript { base, index } => {
                ExprKind::Subscript { base: self.boxed(base)?, index: self.boxed(index)? }
            }
            ExprKind::Deref { base, field } => ExprKind::Deref { base: self.boxed(base)?, field: field.clone() },
            ExprKind::Struct(fields) => {
                ExprKind::Struct(fields.iter().map(|(f, e)| Ok((f.clone(), self.expr(e)?))).collect::<Result<_>>()?)
            }
            ExprKind::Array(items) => ExprKind::Array(self.list(items)?),
            ExprKind::Map(entries) => ExprKind::Map(self.pairs(entries)?),
        })
    }
}
