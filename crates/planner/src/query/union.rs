//! UNION ALL: streams of the same columns, one after the other as their records arrive.

use catalog::SourceKind;
use syntax::ast::{Emit, Select};
use types::{Error, Result};

use super::{
    Env, Mode,
    input::{Partitioning, column},
    select::{self, Selected},
};
use crate::{
    expr::is_reserved,
    plan::{BoundExpr, FieldDef, Fields, Plan, PlanNode},
};

/// Plan the SELECTs of a UNION ALL.
pub(super) fn plan(env: &Env<'_>, selects: &[Select], emit: Option<Emit>, mode: &Mode) -> Result<Selected> {
    let mut parts = Vec::with_capacity(selects.len());
    for one in selects {
        let part = select::plan(env, one, emit, &inner(mode))?;
        if part.plan.kind == SourceKind::Table {
            let error = Error::unsupported("UNION ALL of tables").at(one.span);
            return Err(error.with_hint("a key could be in both of them; UNION ALL takes streams"));
        }
        if part.window.is_some() {
            return Err(Error::unsupported("UNION ALL of windowed streams").at(one.span));
        }
        parts.push(part);
    }
    let Some(first) = parts.first().cloned() else { return Err(Error::internal("UNION ALL of nothing")) };
    for (part, one) in parts.iter().zip(selects).skip(1) {
        check_columns(&first, part, one)?;
    }
    if matches!(mode, Mode::Persistent { .. }) {
        check_names(&first)?;
    }
    let key = if parts.iter().all(|p| p.key == first.key && p.key.iter().all(|at| *at < p.visible)) {
        first.key.clone()
    } else {
        Vec::new()
    };
    let columns = first.plan.fields.columns.iter().take(first.visible).enumerate();
    let columns = columns.map(|(at, c)| FieldDef { key: key.contains(&at), hidden: false, ..c.clone() }).collect();
    let fields = Fields { columns };
    let visible = first.visible;
    let inputs = parts.into_iter().map(|p| only_visible(p, &fields)).collect();
    let plan = Plan { node: PlanNode::UnionAll { inputs }, fields, kind: SourceKind::Stream, windowed: None };
    let partitioning = Partitioning::Widest;
    Ok(Selected { plan, visible, key, window: None, partitioning, ..first })
}

/// The parts of a stored union are checked for their keys as a whole.
fn inner(mode: &Mode) -> Mode {
    match mode {
        Mode::Push => Mode::Push,
        Mode::Derived | Mode::Persistent { .. } => Mode::Derived,
    }
}

/// The parts of a stored union are planned as if they were not stored.
fn check_names(first: &Selected) -> Result<()> {
    let columns = first.plan.fields.columns.iter().take(first.visible);
    match columns.zip(&first.spans).find(|(c, _)| is_reserved(&c.name)) {
        Some((column, span)) => {
            let message =
                format!("Reserved column name in select: `{}`. Please remove or alias the column", column.name);
            Err(Error::invalid(message).at(*span))
        }
        None => Ok(()),
    }
}

fn check_columns(first: &Selected, part: &Selected, select: &Select) -> Result<()> {
    if first.visible != part.visible {
        let message = format!(
            "each SELECT of a UNION ALL must have the same number of columns: {} and {}",
            first.visible, part.visible
        );
        return Err(Error::invalid(message).at(select.span));
    }
    let pairs = first.plan.fields.columns.iter().zip(&part.plan.fields.columns).take(first.visible);
    for (at, (a, b)) in pairs.enumerate() {
        if a.ty != b.ty {
            let message = format!(
                "UNION ALL types do not match: column {} is {} in the first SELECT and {} here",
                a.name, a.ty, b.ty
            );
            let span = part.spans.get(at).copied().unwrap_or(select.span);
            return Err(Error::type_mismatch(message).at(span).with_hint("use CAST"));
        }
    }
    Ok(())
}

/// A part without its hidden columns, under the names of the first part.
fn only_visible(part: Selected, fields: &Fields) -> Plan {
    if part.visible == part.plan.fields.columns.len() {
        return Plan { fields: fields.clone(), ..part.plan };
    }
    let exprs: Vec<BoundExpr> = (0..part.visible).map(|at| column(&part.plan.fields, at)).collect();
    let node = PlanNode::Project { input: Box::new(part.plan), exprs };
    Plan { node, fields: fields.clone(), kind: SourceKind::Stream, windowed: None }
}
