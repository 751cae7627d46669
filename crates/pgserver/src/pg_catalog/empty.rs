//! Queries that can give no rows, because a table that they need is always empty here.
//!
//! Half of what tools ask about (policies, triggers, inheritance, publications, …) does not exist in this system, and
//! they ask in subqueries that look outside of themselves, which DataFusion cannot all plan. A subquery that can
//! give no rows is NULL, false or an empty list, whatever it looks at.

use std::ops::ControlFlow;

use sqlparser::ast::{
    Expr, FunctionArg, FunctionArgExpr, FunctionArguments, GroupByExpr, Ident, JoinOperator, Query, Select, SelectItem,
    SetExpr, SetOperator, TableFactor, TableWithJoins, Visit, VisitMut, Visitor, VisitorMut,
};

use super::{
    recognize::{parts, system_table},
    rewrite::{NUMBER_MARK, boolean, call, no_texts, null_text},
    tables::find,
};

/// Aggregate functions that tools call.
const AGGREGATES: [&str; 14] = [
    "array_agg",
    "avg",
    "bool_and",
    "bool_or",
    "count",
    "every",
    "first_value",
    "json_agg",
    "json_object_agg",
    "max",
    "min",
    "string_agg",
    "sum",
    "xmlagg",
];

/// Replaces what can give no rows, from the inside out.
pub(super) fn simplify(query: &mut Query) {
    _ = query.visit(&mut Simplifier);
}

struct Simplifier;

impl VisitorMut for Simplifier {
    type Break = ();

    /// Before its parts are looked at: what a query without rows computes is never computed.
    fn pre_visit_query(&mut self, query: &mut Query) -> ControlFlow<()> {
        if is_empty(&query.body) && hollow_out(&mut query.body) {
            query.order_by = None;
            query.limit_clause = None;
        } else {
            hollow_out_branches(&mut query.body);
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        match expr {
            // A subquery that only wraps its value in an aggregate of ours is as empty as its rows.
            Expr::Subquery(query) if rows_are_empty(&query.body) && !counts(&query.body) => *expr = null_text(),
            Expr::Exists { subquery, negated } if is_empty(&subquery.body) => *expr = boolean(*negated),
            Expr::InSubquery { subquery, negated, .. } if is_empty(&subquery.body) => *expr = boolean(*negated),
            Expr::Function(f) if parts(&f.name).last().is_some_and(|n| n == "array") => {
                if let FunctionArguments::Subquery(query) = &mut f.args {
                    *expr = if is_empty(&query.body) { no_texts() } else { gathered(query) };
                }
            }
            _ => {}
        }
        ControlFlow::Continue(())
    }
}

/// Whether the select list has an aggregate, which gives a row also of none.
pub(super) fn aggregates(select: &Select) -> bool {
    let mut finder = AggregateFinder::default();
    _ = select.projection.visit(&mut finder);
    finder.found
}

/// `ARRAY(SELECT x …)` as a subquery of one value.
fn gathered(query: &mut Query) -> Expr {
    if let SetExpr::Select(select) = query.body.as_mut()
        && let [SelectItem::UnnamedExpr(item) | SelectItem::ExprWithAlias { expr: item, .. }] =
            select.projection.as_mut_slice()
    {
        // The order of rows is not the order of an aggregate's input, and would be asked of columns that are gone.
        query.order_by = None;
        let inner = std::mem::replace(item, null_text());
        *item = call("array_agg", inner);
    }
    Expr::Subquery(Box::new(query.clone()))
}

/// Looks for calls of aggregates outside of subqueries.
#[derive(Default)]
struct AggregateFinder {
    subqueries: usize,
    found: bool,
}

impl Visitor for AggregateFinder {
    type Break = ();

    fn pre_visit_query(&mut self, _: &Query) -> ControlFlow<()> {
        self.subqueries += 1;
        ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, _: &Query) -> ControlFlow<()> {
        self.subqueries = self.subqueries.saturating_sub(1);
        ControlFlow::Continue(())
    }

    fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<()> {
        if let Expr::Function(f) = expr
            && self.subqueries == 0
            && f.over.is_none()
        {
            let name = parts(&f.name).pop().unwrap_or_default();
            self.found |= AGGREGATES.contains(&name.as_str());
        }
        ControlFlow::Continue(())
    }
}

fn is_empty(body: &SetExpr) -> bool {
    match body {
        SetExpr::Select(select) => {
            let grouped = !matches!(&select.group_by, GroupByExpr::Expressions(exprs, _) if exprs.is_empty());
            reads_nothing(select) && (grouped || !aggregates(select))
        }
        SetExpr::Query(query) => is_empty(&query.body),
        SetExpr::SetOperation { op, left, right, .. } => match op {
            SetOperator::Union => is_empty(left) && is_empty(right),
            SetOperator::Intersect => is_empty(left) || is_empty(right),
            _ => is_empty(left),
        },
        _ => false,
    }
}

fn rows_are_empty(body: &SetExpr) -> bool {
    match body {
        SetExpr::Select(select) => reads_nothing(select),
        other => is_empty(other),
    }
}

/// Whether its value is a count, which is 0 of no rows and not NULL.
fn counts(body: &SetExpr) -> bool {
    let SetExpr::Select(select) = body else { return false };
    select.projection.iter().any(|item| match item {
        SelectItem::UnnamedExpr(Expr::Function(f)) | SelectItem::ExprWithAlias { expr: Expr::Function(f), .. } => {
            parts(&f.name).last().is_some_and(|name| name == "count")
        }
        _ => false,
    })
}

/// Whether FROM can give no rows.
fn reads_nothing(select: &Select) -> bool {
    select.from.iter().any(joined_is_empty)
}

fn joined_is_empty(tables: &TableWithJoins) -> bool {
    let mut empty = factor_is_empty(&tables.relation);
    for join in &tables.joins {
        let right = factor_is_empty(&join.relation);
        empty = match &join.join_operator {
            JoinOperator::Join(_) | JoinOperator::Inner(_) | JoinOperator::CrossJoin(_) => empty || right,
            JoinOperator::Left(_) | JoinOperator::LeftOuter(_) => empty,
            JoinOperator::Right(_) | JoinOperator::RightOuter(_) => right,
            _ => empty && right,
        };
    }
    empty
}

fn factor_is_empty(factor: &TableFactor) -> bool {
    match factor {
        TableFactor::Table { name, args: None, .. } => {
            system_table(name).and_then(|(schema, table)| find(Some(schema), table)).is_some_and(|t| t.rows.is_none())
        }
        TableFactor::Table { name, args: Some(arguments), .. } => {
            let unnested = parts(name).last().is_some_and(|name| name == "unnest");
            let never_set = |argument: &FunctionArg| match argument {
                FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) => is_never_set(expr),
                _ => false,
            };
            unnested && matches!(arguments.args.as_slice(), [argument] if never_set(argument))
        }
        TableFactor::UNNEST { array_exprs, .. } => array_exprs.iter().all(is_never_set),
        TableFactor::Derived { subquery, .. } => is_empty(&subquery.body),
        TableFactor::NestedJoin { table_with_joins, .. } => joined_is_empty(table_with_joins),
        _ => false,
    }
}

/// Whether it is a column that is NULL in every row: nothing here has options, privileges or settings of its own.
fn is_never_set(expr: &Expr) -> bool {
    let ident = match expr {
        Expr::Identifier(ident) => Some(ident),
        Expr::CompoundIdentifier(idents) => idents.last(),
        _ => None,
    };
    let endings = ["options", "acl", "config"];
    ident.is_some_and(|ident| endings.iter().any(|ending| ident.value.to_ascii_lowercase().ends_with(ending)))
}

/// Leaves a query without rows nothing but the names of its columns; false if they cannot be told.
fn hollow_out(body: &mut SetExpr) -> bool {
    match body {
        SetExpr::Select(select) => {
            let Some(projection) = select.projection.iter().enumerate().map(nothing).collect() else { return false };
            select.projection = projection;
            select.from.clear();
            select.selection = Some(boolean(false));
            select.group_by = GroupByExpr::Expressions(Vec::new(), Vec::new());
            select.having = None;
            select.distinct = None;
            true
        }
        SetExpr::Query(query) => hollow_out(&mut query.body),
        SetExpr::SetOperation { left, right, .. } => hollow_out(left) & hollow_out(right),
        _ => false,
    }
}

/// Hollows out those parts of a UNION that give no rows.
fn hollow_out_branches(body: &mut SetExpr) {
    if let SetExpr::SetOperation { left, right, .. } = body {
        for side in [left, right] {
            if is_empty(side) {
                hollow_out(side);
            } else {
                hollow_out_branches(side);
            }
        }
    }
}

/// The item with its name and no value.
fn nothing((at, item): (usize, &SelectItem)) -> Option<SelectItem> {
    let alias = match item {
        SelectItem::ExprWithAlias { alias, .. } => alias.clone(),
        SelectItem::UnnamedExpr(Expr::Identifier(ident)) => lower(ident),
        SelectItem::UnnamedExpr(Expr::CompoundIdentifier(idents)) => lower(idents.last()?),
        SelectItem::UnnamedExpr(_) => Ident::with_quote('"', format!("?column?{NUMBER_MARK}{at}")),
        _ => return None,
    };
    Some(SelectItem::ExprWithAlias { expr: null_text(), alias })
}

fn lower(ident: &Ident) -> Ident {
    match ident.quote_style {
        Some(_) => ident.clone(),
        None => Ident::with_quote('"', ident.value.to_ascii_lowercase()),
    }
}
