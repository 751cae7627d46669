//! CREATE OR REPLACE … AS SELECT: which queries can go on from where others stopped.
//!
//! Readers of the sink must still be able to read it, so its columns stay and new ones come behind. What the old query
//! has kept must mean the same to the new one, so only filters and projections may change, and over an aggregate only
//! in the columns that it reads already.

use std::{cell::RefCell, collections::BTreeSet, sync::Arc};

use catalog::{Source, SourceKind};
use syntax::ast::{CreateAsSelect, StatementKind};
use types::{Error, ErrorKind, Result, quote_ident};

use super::{Env, create, sink};
use crate::{
    ddl,
    expr::{columns_used, expr_text},
    plan::{AggregateCall, BoundExpr, Plan, PlanNode, QueryPlan},
};

/// Whether what is there may be replaced at all.
pub(super) fn check_replaceable(create: &CreateAsSelect, existing: &Source) -> Result<()> {
    let (new, old) = (ddl::kind_name(sink::kind_of(create.object)), ddl::kind_name(existing.kind));
    let refuse = |why: String| {
        let message = format!("Cannot add {new} '{}': {why}", create.name.value);
        Err(Error::new(ErrorKind::Conflict, "42710", message).at(create.name.span))
    };
    if existing.read_only {
        return refuse(format!("CREATE OR REPLACE is not supported on source {old}s"));
    }
    if old != new {
        return refuse(format!("A {old} with the same name already exists"));
    }
    Ok(())
}

/// Whether `new` may take the place of `old`; the id of the query that ends by it.
pub(super) fn check(
    env: &Env<'_>,
    create: &CreateAsSelect,
    old: &Arc<Source>,
    new: &Source,
    plan: &QueryPlan,
) -> Result<Option<String>> {
    ddl::check_upgrade(old, new).map_err(|e| e.at(create.name.span))?;
    let Some(query) = old.created_by.as_ref().and_then(|id| env.catalog.queries.get(id)) else { return Ok(None) };
    let reads = RefCell::default();
    let old_env = Env::new(env.catalog, env.world, &reads);
    if let Some(old_plan) = old_plan(&old_env, &query.statement) {
        check_plans(&old_plan.root, &plan.root).map_err(|why| {
            let message = format!("Cannot replace query {}: {why}", query.id);
            let error = Error::new(ErrorKind::Conflict, "42P16", message).at(create.name.span);
            error.with_hint("what it has kept would mean something else; DROP it and create it anew")
        })?;
    }
    Ok(Some(query.id.clone()))
}

fn old_plan(env: &Env<'_>, statement: &str) -> Option<QueryPlan> {
    let statement = syntax::parse(statement, None).ok()?.pop()?;
    match statement.kind {
        StatementKind::CreateAsSelect(create) => {
            create::make(env, &create, &statement.text, Some(String::new())).ok().map(|made| made.plan)
        }
        _ => None,
    }
}

/// The nodes that keep or move rows, from the top.
fn skip_stateless(plan: &Plan) -> &Plan {
    match &plan.node {
        PlanNode::Filter { input, .. } | PlanNode::Project { input, .. } | PlanNode::Distinct { input } => {
            skip_stateless(input)
        }
        _ => plan,
    }
}

fn check_plans(old: &Plan, new: &Plan) -> Result<(), String> {
    let (old, new) = (skip_stateless(old), skip_stateless(new));
    match (&old.node, &new.node) {
        (PlanNode::Source { source: a, .. }, PlanNode::Source { source: b, .. }) => {
            if a.name == b.name {
                Ok(())
            } else {
                Err(format!("it would read {} instead of {}", b.name, a.name))
            }
        }
        (
            PlanNode::Aggregate { input: a, group_by: ga, aggregates: ca, window: wa, .. },
            PlanNode::Aggregate { input: b, group_by: gb, aggregates: cb, window: wb, .. },
        ) => {
            if wa.is_some() || wb.is_some() {
                return Err("Upgrades not yet supported for windowed aggregations".to_owned());
            }
            if a.kind == SourceKind::Table || b.kind == SourceKind::Table {
                return Err("Upgrades not yet supported for aggregations of tables".to_owned());
            }
            check_aggregates((a, ga, ca), (b, gb, cb))?;
            check_plans(a, b)
        }
        (PlanNode::Exchange { input: a, by: x, .. }, PlanNode::Exchange { input: b, by: y, .. }) => {
            if texts(x) == texts(y) {
                check_plans(a, b)
            } else {
                Err("its rows would be partitioned otherwise".to_owned())
            }
        }
        (PlanNode::FlatMap { input: a, .. }, PlanNode::FlatMap { input: b, .. }) => check_plans(a, b),
        (PlanNode::UnionAll { inputs: a }, PlanNode::UnionAll { inputs: b }) if a.len() == b.len() => {
            a.iter().zip(b).try_for_each(|(a, b)| check_plans(a, b))
        }
        (
            PlanNode::StreamStreamJoin { .. }
            | PlanNode::StreamTableJoin { .. }
            | PlanNode::TableTableJoin { .. }
            | PlanNode::ForeignKeyJoin { .. },
            _,
        ) => Err("Upgrades not yet supported for joins".to_owned()),
        _ => Err("the new query is of another shape than the old one".to_owned()),
    }
}

type Aggregate<'a> = (&'a Plan, &'a [BoundExpr], &'a [AggregateCall]);

fn check_aggregates(old: Aggregate<'_>, new: Aggregate<'_>) -> Result<(), String> {
    if texts(old.1) != texts(new.1) {
        return Err("its groups would change".to_owned());
    }
    let (before, after) = (names_read(old), names_read(new));
    if before != after {
        let list = |names: &BTreeSet<String>| names.iter().map(|n| quote_ident(n)).collect::<Vec<_>>().join(", ");
        return Err(format!(
            "an aggregation must go on to read the same columns. Values differ: [{}] vs. [{}]",
            list(&before),
            list(&after)
        ));
    }
    let calls = |calls: &[AggregateCall]| calls.iter().map(|c| c.text.clone()).collect::<Vec<_>>();
    let (before, after) = (calls(old.2), calls(new.2));
    if before != after {
        return Err(format!("its aggregates would change from {} to {}", before.join(", "), after.join(", ")));
    }
    Ok(())
}

/// Names of the columns that an aggregate and the filters below it read.
fn names_read((input, groups, calls): Aggregate<'_>) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    let filters = calls.iter().filter_map(|c| c.filter.as_ref());
    let exprs = groups.iter().chain(calls.iter().flat_map(|c| &c.args)).chain(filters);
    note(input, exprs, &mut names);
    let mut below = input;
    loop {
        below = match &below.node {
            PlanNode::Filter { input, predicate } => {
                note(input, std::iter::once(predicate), &mut names);
                input
            }
            PlanNode::Exchange { input, .. } | PlanNode::Project { input, .. } => input,
            _ => return names,
        };
    }
}

fn note<'a>(plan: &Plan, exprs: impl Iterator<Item = &'a BoundExpr>, names: &mut BTreeSet<String>) {
    let places = exprs.flat_map(columns_used);
    names.extend(places.filter_map(|at| plan.fields.columns.get(at)).map(|c| c.name.clone()));
}

fn texts(exprs: &[BoundExpr]) -> Vec<String> {
    exprs.iter().map(expr_text).collect()
}
