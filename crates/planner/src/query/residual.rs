//! ON besides the equalities by which rows are brought together: conditions that decide whether two rows that met are
//! partners.
//!
//! An inner join may ask them afterwards. An outer join has to ask before it gives up on a row.

use catalog::SourceKind;
use syntax::ast::{Expr, Join, JoinKind};
use types::{Error, Result};

use super::{
    Env,
    input::{Input, KeyColumn},
    join::means,
    on::{Equality, On},
    resolve,
    text::{self, Style},
};
use crate::{expr::Scope, plan::BoundExpr};

/// What ON says besides the equalities that bring rows together.
pub(super) struct Residual {
    /// Of an inner join: the pairs for which it is not true are left out behind the join.
    pub inner: Option<Expr>,
    /// Of an outer join, over left and right columns: two rows for which it is not true are no partners.
    pub outer: Option<BoundExpr>,
}

impl Residual {
    /// `rest` is what [`of`] took out of ON; `kinds` are those of the two sides.
    pub fn new(
        env: &Env<'_>,
        join: &Join,
        scope: &Scope,
        rest: Vec<Expr>,
        kinds: (SourceKind, SourceKind),
    ) -> Result<Residual> {
        let Some(rest) = resolve::conjunction(rest) else { return Ok(Residual { inner: None, outer: None }) };
        if join.kind == JoinKind::Inner {
            return Ok(Residual { inner: Some(rest), outer: None });
        }
        if join.kind == JoinKind::Full && kinds == (SourceKind::Table, SourceKind::Table) {
            let text = text::write(&rest, Style::Qualified);
            let message =
                format!("a condition besides the key in ON of a FULL OUTER JOIN of tables is not supported: {text}");
            let error = Error::unsupported(message).at(rest.span);
            return Err(error.with_hint("two rows of a key that are no partners would both be the result's row of it"));
        }
        Ok(Residual { inner: None, outer: Some(env.bind_condition(&rest, scope, "JOIN ON")?) })
    }
}

/// Which of the equalities rows are brought together by: those that are the right table's key, or else the first; all,
/// where they are no join that there is.
fn key_equalities(equalities: &[Equality], left: &Input, right: &Input) -> Vec<usize> {
    let all = (0..equalities.len()).collect();
    if right.plan.kind == SourceKind::Stream {
        return if left.plan.kind == SourceKind::Stream { vec![0] } else { all };
    }
    let of = |key: &KeyColumn| equalities.iter().position(|e| means(key, &e.right));
    let keys: Option<Vec<usize>> = right.key.iter().map(of).collect();
    keys.filter(|keys| !keys.is_empty()).unwrap_or(all)
}

/// Takes all conditions out of ON but the equalities by which rows are brought together.
pub(super) fn of(on: &mut On, left: &Input, right: &Input) -> Vec<Expr> {
    let keys = key_equalities(&on.equalities, left, right);
    let mut rest = std::mem::take(&mut on.rest);
    let equalities = std::mem::take(&mut on.equalities).into_iter().enumerate();
    for (at, equality) in equalities {
        if keys.contains(&at) {
            on.equalities.push(equality);
        } else {
            rest.push(equality.whole);
        }
    }
    rest
}
