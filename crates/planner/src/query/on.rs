//! ON: which expressions of the two sides must be equal, and what else must hold.

use syntax::ast::{BinaryOp, Expr, ExprKind};
use types::{Error, Result, Span, SqlType};

use super::{
    Env,
    input::{FromSource, Input},
    resolve,
    text::{self, Style},
};
use crate::expr::Bound;

/// One equality of ON.
pub(super) struct Equality {
    /// The left side's expression, resolved.
    pub left: Expr,
    /// The right side's.
    pub right: Expr,
    /// The left side's expression over the left input.
    pub left_bound: Bound,
    /// The right side's over the right input.
    pub right_bound: Bound,
    /// The whole, resolved.
    pub whole: Expr,
    /// As typed, for messages: `L.A = R.B`.
    pub text: String,
    /// Where it stands.
    pub span: Span,
}

/// What ON says.
pub(super) struct On {
    /// Never empty.
    pub equalities: Vec<Equality>,
    /// Everything else.
    pub rest: Vec<Expr>,
    /// The whole condition, for messages.
    pub text: String,
}

/// Take a resolved condition apart.
pub(super) fn analyze(env: &Env<'_>, on: &Expr, left: &Input, right: &Input) -> Result<On> {
    let mut equalities = Vec::new();
    let mut rest = Vec::new();
    for part in resolve::conjuncts(on) {
        match sides(&part, left, right) {
            Some((l, r)) => equalities.push(equality(env, &part, l, r, left, right)?),
            None => rest.push(part),
        }
    }
    if equalities.is_empty() {
        return Err(rest.first().map_or_else(|| Error::internal("ON is empty"), explain));
    }
    Ok(On { equalities, rest, text: text::write(on, Style::Qualified) })
}

/// The left and right expression, if `part` is an equality between one source of each side.
fn sides(part: &Expr, left: &Input, right: &Input) -> Option<(Expr, Expr)> {
    let ExprKind::Binary { op: BinaryOp::Eq, left: a, right: b } = &part.kind else { return None };
    let belongs = |expr: &Expr, side: &Input| {
        let sources = resolve::sources_of(expr);
        match sources.as_slice() {
            [one] => {
                side.sources.iter().any(|s| s.alias == *one) || (one.is_empty() && side.key.iter().any(|k| k.synthetic))
            }
            _ => false,
        }
    };
    if belongs(a, left) && belongs(b, right) {
        Some((a.as_ref().clone(), b.as_ref().clone()))
    } else if belongs(b, left) && belongs(a, right) {
        Some((b.as_ref().clone(), a.as_ref().clone()))
    } else {
        None
    }
}

fn equality(env: &Env<'_>, part: &Expr, l: Expr, r: Expr, left: &Input, right: &Input) -> Result<Equality> {
    let left_bound = env.bind(&l, &left.scope, "JOIN ON")?;
    let right_bound = env.bind(&r, &right.scope, "JOIN ON")?;
    let ExprKind::Binary { left: a, right: b, .. } = &part.kind else {
        return Err(Error::internal("an equality is none").at(part.span));
    };
    let (first, second) = (text::write(a, Style::Qualified), text::write(b, Style::Qualified));
    if left_bound.ty != right_bound.ty {
        let swapped = text::identity(a) != text::identity(&l);
        let (x, y) = if swapped { (&right_bound, &left_bound) } else { (&left_bound, &right_bound) };
        let (x, y) = (type_text(x.ty.as_ref()), type_text(y.ty.as_ref()));
        let message = format!("Invalid join condition: types don't match. Got {first}{{{x}}} = {second}{{{y}}}");
        return Err(Error::type_mismatch(message).at(part.span).with_hint("CAST one side to the type of the other"));
    }
    let text = format!("{first} = {second}");
    Ok(Equality { left: l, right: r, left_bound, right_bound, whole: part.clone(), text, span: part.span })
}

fn type_text(ty: Option<&SqlType>) -> String {
    ty.map_or_else(|| "NULL".to_owned(), ToString::to_string)
}

/// Why a condition joins nothing.
fn explain(part: &Expr) -> Error {
    let whole = text::write(part, Style::Qualified);
    let ExprKind::Binary { op: BinaryOp::Eq, left, right } = &part.kind else {
        let message = format!("Unsupported join expression: {whole}. A join needs an equality between its two sides");
        return Error::invalid(message).at(part.span);
    };
    for side in [left, right] {
        if resolve::sources_of(side).len() != 1 {
            let side_text = text::write(side, Style::Qualified);
            let message = format!(
                "Invalid comparison expression '{side_text}' in join '{whole}'. Each side of the join comparison must \
                 contain references from exactly one source"
            );
            return Error::invalid(message).at(side.span);
        }
    }
    let name = |e: &Expr| resolve::sources_of(e).into_iter().next().unwrap_or_default();
    let message = format!(
        "Each side of the join must reference exactly one source and not the same source. Left side references `{}` \
         and right references `{}`",
        name(left),
        name(right)
    );
    Error::invalid(message).at(part.span)
}

/// The source that an expression of ON reads, for messages.
pub(super) fn source_name(expr: &Expr, side: &[FromSource]) -> String {
    let found = resolve::sources_of(expr).into_iter().next().filter(|name| !name.is_empty());
    found.or_else(|| side.first().map(|s| s.alias.clone())).unwrap_or_default()
}
