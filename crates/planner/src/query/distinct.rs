//! SELECT DISTINCT: a table of the rows that there are, keyed by all that is selected.
//!
//! It is GROUP BY everything that is selected, and means the same: a combination of values is a row once it has come,
//! and of a table until its last one is gone; rows in which one of them is NULL are left out, as GROUP BY does. What
//! comes again changes nothing, and says nothing.

use catalog::SourceKind;
use syntax::ast::{BinaryOp, Emit, Expr, ExprKind, Ident, Literal, Select};
use types::{Error, Result, Span};

use super::{
    Env, Mode,
    aggregate::{self, OverGroups},
    filter,
    input::Input,
    resolve, select,
    select::Selected,
    select_list::Item,
    text::{self, Style},
};
use crate::plan::{Plan, PlanNode};

/// Plan SELECT DISTINCT of `items` over `input`.
pub(super) fn plan(
    env: &Env<'_>,
    select: &Select,
    emit: Option<Emit>,
    input: Input,
    items: Vec<Item>,
    mode: &Mode,
) -> Result<Selected> {
    check_clauses(select, emit, &items)?;
    let (span, table) = (select.span, input.plan.kind == SourceKind::Table);
    let groups = groups(&items, select.window.is_some());
    if groups.is_empty() {
        return Err(Error::invalid("SELECT DISTINCT of nothing but window bounds").at(span));
    }
    let style = if input.is_single() { Style::Short } else { Style::Qualified };
    let mut over = OverGroups::new(&groups, select.window.is_some(), style);
    let rewritten = items.into_iter().map(|item| Ok(Item { expr: over.rewrite(&item.expr)?.0, ..item }));
    let items = rewritten.collect::<Result<Vec<_>>>()?;
    let count = count(span);
    let (is_there, _) = over.rewrite(&more_than_none(&count, span))?;
    let mut grouped = aggregate::grouped(env, select, emit, input, &groups, &[count])?;
    if table {
        // The last row of a group may go.
        let predicate = env.bind_condition(&is_there, &grouped.scope, "DISTINCT")?;
        grouped.plan = filter::over(grouped.plan, predicate);
    }
    let selected = select::project(env, grouped, items, mode, span)?;
    let (fields, kind, windowed) = (selected.plan.fields.clone(), selected.plan.kind, selected.plan.windowed);
    let node = PlanNode::Distinct { input: Box::new(selected.plan) };
    Ok(Selected { plan: Plan { node, fields, kind, windowed }, distinct: true, ..selected })
}

fn check_clauses(select: &Select, emit: Option<Emit>, items: &[Item]) -> Result<()> {
    select::check_emit_final(select, emit)?;
    let grouped = select::uses_aggregates(select, items);
    let stray = select.group_by.first().or(select.having.as_ref()).or(select.partition_by.first());
    if !grouped && stray.is_none() {
        return Ok(());
    }
    let message = "DISTINCT together with GROUP BY, HAVING, PARTITION BY or aggregate functions is not supported in a \
                   continuous query";
    let error = Error::unsupported(message).at(stray.map_or(select.span, |e| e.span));
    Err(error.with_hint("SELECT DISTINCT … FROM (SELECT … GROUP BY …) x"))
}

/// What is selected, each once. Window bounds are part of the key as they are.
fn groups(items: &[Item], windowed: bool) -> Vec<Expr> {
    let is_bound =
        |e: &Expr| windowed && matches!(resolve::as_column(e), Some((None, name)) if resolve::is_window_bound(name));
    let mut groups: Vec<Expr> = Vec::with_capacity(items.len());
    for item in items.iter().filter(|i| !is_bound(&i.expr)) {
        let identity = text::identity(&item.expr);
        if !groups.iter().any(|g| text::identity(g) == identity) {
            groups.push(item.expr.clone());
        }
    }
    groups
}

/// `COUNT(*)`.
fn count(span: Span) -> Expr {
    let name = Ident { value: "COUNT".to_owned(), quoted: false, span };
    Expr { kind: ExprKind::Call { name, distinct: false, star: true, args: Vec::new(), filter: None }, span }
}

/// `count > 0`.
fn more_than_none(count: &Expr, span: Span) -> Expr {
    let none = Expr { kind: ExprKind::Literal(Literal::Integer("0".to_owned())), span };
    let kind = ExprKind::Binary { op: BinaryOp::Gt, left: Box::new(count.clone()), right: Box::new(none) };
    Expr { kind, span }
}
