//! Comparisons, BETWEEN, IN and LIKE.

use std::sync::Arc;

use arrow::{array::ArrayRef, compute::concat};
use datafusion::{
    common::ScalarValue,
    physical_expr::expressions::{Literal as LiteralExpr, NotExpr},
};
use functions::{
    ArgType,
    operator::{self, Comparison},
};
use syntax::ast::{BinaryOp, Expr, ExprKind, Literal};
use types::{Error, Result, Span, SqlType};

use super::{
    Bound, CallStyle, InSetExpr,
    bind::{Binder, boolean},
    coerce::cast,
    fold::{constant_or_reason, constant_value, is_constant},
    instant,
    kernel::unbindable,
    logical::LogicalExpr,
    parameter::ParameterExpr,
    text,
};
use crate::plan::BoundExpr;

/// Operators, kernels' names of them, and their symbols.
const COMPARISONS: [(BinaryOp, Comparison, &str); 8] = [
    (BinaryOp::Eq, Comparison::Equal, "="),
    (BinaryOp::NotEq, Comparison::NotEqual, "<>"),
    (BinaryOp::Lt, Comparison::Less, "<"),
    (BinaryOp::LtEq, Comparison::LessOrEqual, "<="),
    (BinaryOp::Gt, Comparison::Greater, ">"),
    (BinaryOp::GtEq, Comparison::GreaterOrEqual, ">="),
    (BinaryOp::IsDistinct, Comparison::Distinct, "IS DISTINCT FROM"),
    (BinaryOp::IsNotDistinct, Comparison::NotDistinct, "IS NOT DISTINCT FROM"),
];

impl Binder<'_> {
    pub(super) fn comparison(&mut self, op: BinaryOp, left: &Expr, right: &Expr) -> Result<Bound> {
        let (l, r) = self.sides(left, right)?;
        self.compare(op, l, r, (left.span, right.span))
    }

    /// Both sides of a comparison; a text beside a pseudo column of time is read as a time.
    fn sides(&mut self, left: &Expr, right: &Expr) -> Result<(Bound, Bound)> {
        if is_time_column(left)
            && let Some(time) = time_literal(right)?
        {
            return Ok((self.bind(left)?, time));
        }
        if is_time_column(right)
            && let Some(time) = time_literal(left)?
        {
            return Ok((time, self.bind(right)?));
        }
        Ok((self.bind(left)?, self.bind(right)?))
    }

    fn compare(&mut self, op: BinaryOp, left: Bound, right: Bound, spans: (Span, Span)) -> Result<Bound> {
        let Some((_, comparison, symbol)) = COMPARISONS.iter().find(|(o, _, _)| *o == op) else {
            return Err(Error::internal("an operator that does not compare"));
        };
        let (left, right) = self.settle_parameters(left, right)?;
        let (left, right) = (exactly(left, &right), right);
        let (left, right) = (left.clone(), exactly(right, &left));
        let (l, r) = (ArgType::Value(left.ty.clone()), ArgType::Value(right.ty.clone()));
        let bound = operator::bind_comparison(*comparison, &l, &r).map_err(|e| describe(&e, &left, symbol, &right))?;
        for (side, arg, span) in [(&left, bound.arg_types.first(), spans.0), (&right, bound.arg_types.get(1), spans.1)]
        {
            if let Some(ArgType::Value(Some(to))) = arg {
                constant_converts(side, to).map_err(|e| e.at(span))?;
            }
        }
        self.kernel(symbol, CallStyle::Infix, vec![left, right], bound)
    }

    /// A parameter of unknown type is of the type that it is compared with.
    fn settle_parameters(&self, left: Bound, right: Bound) -> Result<(Bound, Bound)> {
        let settle = |bound: Bound, other: &Option<SqlType>| match (&bound.ty, other) {
            (None, Some(ty)) if bound.expr.downcast_ref::<ParameterExpr>().is_some() => {
                let expr = cast(bound, ty, false, self.context.parameters)?;
                Ok::<_, Error>(Bound { expr, ty: Some(ty.clone()) })
            }
            (None, None) if bound.expr.downcast_ref::<ParameterExpr>().is_some() => {
                let expr = cast(bound, &SqlType::String, false, self.context.parameters)?;
                Ok(Bound { expr, ty: Some(SqlType::String) })
            }
            _ => Ok(bound),
        };
        let left = settle(left, &right.ty)?;
        let right = settle(right, &left.ty)?;
        Ok((left, right))
    }

    pub(super) fn between(&mut self, value: &Expr, low: &Expr, high: &Expr, negated: bool) -> Result<Bound> {
        let from = self.comparison(BinaryOp::GtEq, value, low)?.expr;
        let to = self.comparison(BinaryOp::LtEq, value, high)?.expr;
        let both = LogicalExpr::new(true, from, to).map_err(unbindable)?;
        Ok(negate(boolean(Arc::new(both)), negated))
    }

    pub(super) fn like(&mut self, value: &Expr, pattern: &Expr, escape: Option<char>, negated: bool) -> Result<Bound> {
        let mut sides = Vec::with_capacity(2);
        for side in [value, pattern] {
            let bound = self.bind(side)?;
            sides.push(match bound.ty {
                None => Bound {
                    expr: cast(bound, &SqlType::String, true, self.context.parameters)?,
                    ty: Some(SqlType::String),
                },
                Some(_) => bound,
            });
        }
        let types: Vec<ArgType> = sides.iter().map(|s| ArgType::Value(s.ty.clone())).collect();
        let [value_type, pattern_type] = types.as_slice() else {
            return Err(Error::internal("LIKE has two sides"));
        };
        let bound = operator::bind_like(value_type, pattern_type, escape)?;
        // The escape character is part of what the call is.
        let name = escape.map_or_else(|| "LIKE".to_owned(), |c| format!("LIKE /* ESCAPE '{c}' */"));
        Ok(negate(self.kernel(&name, CallStyle::Infix, sides, bound)?, negated))
    }

    pub(super) fn in_list(&mut self, value: &Expr, list: &[Expr], negated: bool) -> Result<Bound> {
        if is_time_column(value) && list.iter().any(|item| matches!(item.kind, ExprKind::Literal(Literal::String(_)))) {
            return self.in_times(value, list, negated);
        }
        let exprs: Vec<&Expr> = std::iter::once(value).chain(list).collect();
        let (exprs, ty) = self.unify(&exprs)?;
        let Some(ty) = ty else {
            return Err(Error::type_mismatch("IN compares NULL with NULLs only: nothing has a type"));
        };
        let mut exprs = exprs.into_iter();
        let span = value.span;
        let value = exprs.next().ok_or_else(|| Error::internal("IN lost its value"))?;
        let value = Bound { expr: value, ty: Some(ty.clone()) };
        let items: Vec<Bound> = exprs.map(|expr| Bound { expr, ty: Some(ty.clone()) }).collect();
        Ok(negate(self.any_equal(value, items, span)?, negated))
    }

    fn in_times(&mut self, value: &Expr, list: &[Expr], negated: bool) -> Result<Bound> {
        let mut items = Vec::with_capacity(list.len());
        for item in list {
            items.push(match time_literal(item)? {
                Some(time) => time,
                None => {
                    let bound = self.bind(item)?;
                    let expr = cast(bound, &SqlType::BigInt, true, self.context.parameters)?;
                    Bound { expr, ty: Some(SqlType::BigInt) }
                }
            });
        }
        let span = value.span;
        let value = self.bind(value)?;
        Ok(negate(self.any_equal(value, items, span)?, negated))
    }

    /// Whether `value` equals one of `items`, all of one type.
    fn any_equal(&mut self, value: Bound, items: Vec<Bound>, span: Span) -> Result<Bound> {
        let constants: Option<Vec<ArrayRef>> = items.iter().map(|i| constant_value(&i.expr)).collect();
        if let Some(constants) = constants
            && constants.len() > 1
            && !is_constant(&value.expr)
        {
            let arrays: Vec<&dyn arrow::array::Array> = constants.iter().map(AsRef::as_ref).collect();
            let array = concat(&arrays).map_err(|e| unbindable(e.into()))?;
            if let Some(set) = InSetExpr::new(Arc::clone(&value.expr), array).map_err(unbindable)? {
                return Ok(boolean(Arc::new(set)));
            }
        }
        // A balanced tree of ORs, so that a long list does not make a deep one.
        let mut tests = Vec::with_capacity(items.len());
        for item in items {
            tests.push(self.compare(BinaryOp::Eq, value.clone(), item, (span, span))?.expr);
        }
        while tests.len() > 1 {
            let mut halved: Vec<BoundExpr> = Vec::with_capacity(tests.len().div_ceil(2));
            for pair in tests.chunks(2) {
                halved.push(match pair {
                    [left, right] => {
                        let or = LogicalExpr::new(false, Arc::clone(left), Arc::clone(right)).map_err(unbindable)?;
                        boolean(Arc::new(or)).expr
                    }
                    rest => rest.first().map(Arc::clone).ok_or_else(|| Error::internal("an empty part of IN"))?,
                });
            }
            tests = halved;
        }
        match tests.pop() {
            Some(test) => Ok(Bound { expr: test, ty: Some(SqlType::Boolean) }),
            None => Ok(Bound {
                expr: Arc::new(LiteralExpr::new(ScalarValue::Boolean(Some(false)))),
                ty: Some(SqlType::Boolean),
            }),
        }
    }
}

fn negate(bound: Bound, negated: bool) -> Bound {
    if negated { boolean(Arc::new(NotExpr::new(bound.expr))) } else { bound }
}

/// ROWTIME, WINDOWSTART or WINDOWEND.
fn is_time_column(expr: &Expr) -> bool {
    match &expr.kind {
        ExprKind::Column { name, .. } => matches!(name.value.as_str(), "ROWTIME" | "WINDOWSTART" | "WINDOWEND"),
        _ => false,
    }
}

fn time_literal(expr: &Expr) -> Result<Option<Bound>> {
    let ExprKind::Literal(Literal::String(text)) = &expr.kind else { return Ok(None) };
    let time = instant::parse(text).map_err(|e| e.at(expr.span))?;
    let expr: BoundExpr = Arc::new(LiteralExpr::new(ScalarValue::Int64(Some(time))));
    Ok(Some(Bound { expr, ty: Some(SqlType::BigInt) }))
}

/// A constant number beside a number of another type, in that type where it is the same number there: then the column
/// need not be converted row by row, and a key stays recognizable.
fn exactly(bound: Bound, other: &Bound) -> Bound {
    let (Some(from), Some(to)) = (&bound.ty, &other.ty) else { return bound };
    if from == to || !from.is_numeric() || !to.is_numeric() || is_constant(&other.expr) {
        return bound;
    }
    if constant_value(&bound.expr).is_none() {
        return bound;
    }
    let same = || {
        let there = cast(bound.clone(), to, false, None).ok()?;
        let back = cast(Bound { expr: Arc::clone(&there), ty: Some(to.clone()) }, from, false, None).ok()?;
        let (value, back) = (constant_value(&bound.expr)?, constant_value(&back)?);
        operator::values_equal(value.as_ref(), 0, back.as_ref(), 0).then_some(there)
    };
    match same() {
        Some(expr) => Bound { expr, ty: Some(to.clone()) },
        None => bound,
    }
}

/// A constant that cannot be what it is compared as is a mistake of the statement, not of each row.
fn constant_converts(bound: &Bound, to: &SqlType) -> Result<()> {
    if bound.ty.as_ref() == Some(to) || bound.ty.is_none() || !is_constant(&bound.expr) {
        return Ok(());
    }
    let converted = cast(bound.clone(), to, false, None)?;
    constant_or_reason(&converted).map(|_| ())
}

/// The error with both sides as they were written.
fn describe(error: &Error, left: &Bound, symbol: &str, right: &Bound) -> Error {
    let shown = |side: &Bound| {
        let text = text::sql(&side.expr);
        match &side.ty {
            Some(ty) => format!("{text} ({ty})"),
            None => text,
        }
    };
    let (l, r) = (shown(left), shown(right));
    if left.ty.is_none() || right.ty.is_none() {
        return Error::type_mismatch(format!("Comparison with NULL not supported: {l} {symbol} {r}"))
            .with_hint("use IS NULL or IS NOT NULL");
    }
    let told = Error::type_mismatch(format!("Cannot compare {l} to {r} with {symbol}"));
    match error.hint() {
        Some(hint) => told.with_hint(hint),
        None => told.with_hint("CAST one side to the type of the other"),
    }
}
