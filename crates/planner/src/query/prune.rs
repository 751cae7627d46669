//! Columns that nobody above reads are taken out before rows are kept or sent: below exchanges and joins.
//!
//! Sources stay as they are, since the columns of theirs that nobody reads are never decoded.

use std::collections::BTreeSet;

use catalog::SourceKind;

use super::input::column;
use crate::{
    expr::{columns_used, remap},
    plan::{AggregateCall, BoundExpr, Fields, Plan, PlanNode, TableCall},
};

/// `plan` with all of its columns, and below it only what they need.
pub(super) fn prune(plan: Plan) -> Plan {
    let all = (0..plan.fields.columns.len()).collect();
    narrow(plan, &all, false).plan
}

/// A plan with some of its former columns.
struct Pruned {
    plan: Plan,
    /// Former positions of its columns, in order; `None`: all, as they were.
    kept: Option<Vec<usize>>,
}

impl Pruned {
    fn whole(plan: Plan) -> Pruned {
        Pruned { plan, kept: None }
    }

    /// Where the column is that was at `at`. Columns that were asked for are there.
    fn at(&self, at: usize) -> usize {
        match &self.kept {
            None => at,
            Some(kept) => kept.binary_search(&at).unwrap_or(at),
        }
    }

    fn expr(&self, expr: &BoundExpr) -> BoundExpr {
        if self.kept.is_none() { expr.clone() } else { remap(expr, &|at| self.at(at)) }
    }

    fn exprs(&self, exprs: &[BoundExpr]) -> Vec<BoundExpr> {
        exprs.iter().map(|e| self.expr(e)).collect()
    }
}

fn used(exprs: &[BoundExpr]) -> BTreeSet<usize> {
    exprs.iter().flat_map(columns_used).collect()
}

/// Batches without columns could not say how many rows they have.
fn at_least_one(kept: Vec<usize>) -> Vec<usize> {
    if kept.is_empty() { vec![0] } else { kept }
}

fn subset(fields: &Fields, kept: &[usize]) -> Fields {
    Fields { columns: kept.iter().filter_map(|at| fields.columns.get(*at).cloned()).collect() }
}

/// `plan` with at least the columns `need`; `exactly`: and with no others, if a projection is worth it.
fn narrow(plan: Plan, need: &BTreeSet<usize>, exactly: bool) -> Pruned {
    let mut need = need.clone();
    if plan.kind == SourceKind::Table {
        need.extend(plan.fields.columns.iter().enumerate().filter(|(_, c)| c.key).map(|(at, _)| at));
    }
    let pruned = node(plan, &need);
    if !exactly {
        return pruned;
    }
    let wanted: Vec<usize> = need.into_iter().collect();
    let table_source = matches!(pruned.plan.node, PlanNode::Source { .. }) && pruned.plan.kind == SourceKind::Table;
    if table_source || wanted.is_empty() || wanted.len() >= pruned.plan.fields.columns.len() {
        return pruned;
    }
    let places: Vec<usize> = wanted.iter().map(|at| pruned.at(*at)).collect();
    Pruned { plan: projected(pruned.plan, &places), kept: Some(wanted) }
}

/// The columns of `plan` at `places`, in that order.
fn projected(plan: Plan, places: &[usize]) -> Plan {
    let exprs = places.iter().map(|at| column(&plan.fields, *at)).collect();
    let (fields, kind, windowed) = (subset(&plan.fields, places), plan.kind, plan.windowed);
    Plan { node: PlanNode::Project { input: Box::new(plan), exprs }, fields, kind, windowed }
}

fn node(plan: Plan, need: &BTreeSet<usize>) -> Pruned {
    let Plan { node, fields, kind, windowed } = plan;
    let same = |node: PlanNode, fields: Fields| Plan { node, fields, kind, windowed };
    match node {
        node @ PlanNode::Source { .. } => Pruned::whole(same(node, fields)),
        PlanNode::Filter { input, predicate } => {
            let mut need = need.clone();
            need.extend(columns_used(&predicate));
            let below = narrow(*input, &need, false);
            let predicate = below.expr(&predicate);
            let fields = below.plan.fields.clone();
            Pruned { plan: same(PlanNode::Filter { input: Box::new(below.plan), predicate }, fields), kept: below.kept }
        }
        PlanNode::Project { input, exprs } => {
            let kept = at_least_one((0..exprs.len()).filter(|at| need.contains(at)).collect());
            let exprs: Vec<BoundExpr> = kept.iter().filter_map(|at| exprs.get(*at).cloned()).collect();
            let below = narrow(*input, &used(&exprs), false);
            let exprs = below.exprs(&exprs);
            let fields = subset(&fields, &kept);
            Pruned { plan: same(PlanNode::Project { input: Box::new(below.plan), exprs }, fields), kept: Some(kept) }
        }
        PlanNode::FlatMap { input, calls } => flat_map(*input, calls, need, &same, &fields),
        PlanNode::Exchange { input, by, key_format, partitions_like, nulls } => {
            let mut need = need.clone();
            need.extend(used(&by));
            let below = narrow(*input, &need, true);
            let by = below.exprs(&by);
            let fields = below.plan.fields.clone();
            let node = PlanNode::Exchange { input: Box::new(below.plan), by, key_format, partitions_like, nulls };
            Pruned { plan: same(node, fields), kept: below.kept }
        }
        PlanNode::Distinct { input } => {
            // Which updates change nothing is seen by all columns.
            let all: Vec<usize> = (0..fields.columns.len()).collect();
            let below = Box::new(exact(*input, &all));
            Pruned::whole(same(PlanNode::Distinct { input: below }, fields))
        }
        PlanNode::Aggregate { input, group_by, aggregates, window, emit_final, idle_ms, keep_null_keys } => {
            let mut below_need = used(&group_by);
            for call in &aggregates {
                below_need.extend(used(&call.args));
                below_need.extend(call.filter.iter().flat_map(columns_used));
            }
            let below = narrow(*input, &below_need, false);
            let group_by = below.exprs(&group_by);
            let moved = |call: AggregateCall| AggregateCall {
                args: below.exprs(&call.args),
                filter: call.filter.as_ref().map(|f| below.expr(f)),
                ..call
            };
            let aggregates = aggregates.into_iter().map(moved).collect();
            let input = Box::new(below.plan);
            let node = PlanNode::Aggregate { input, group_by, aggregates, window, emit_final, idle_ms, keep_null_keys };
            Pruned::whole(same(node, fields))
        }
        PlanNode::UnionAll { inputs } => {
            let kept = at_least_one(need.iter().copied().collect());
            let inputs: Vec<Plan> = inputs.into_iter().map(|i| exact(i, &kept)).collect();
            let fields = subset(&fields, &kept);
            Pruned { plan: same(PlanNode::UnionAll { inputs }, fields), kept: Some(kept) }
        }
        join => joins(join, need, &same, &fields),
    }
}

/// `plan` with exactly those columns.
fn exact(plan: Plan, kept: &[usize]) -> Plan {
    let pruned = narrow(plan, &kept.iter().copied().collect(), true);
    let places: Vec<usize> = kept.iter().map(|at| pruned.at(*at)).collect();
    if places.len() == pruned.plan.fields.columns.len() && places.iter().enumerate().all(|(i, at)| i == *at) {
        return pruned.plan;
    }
    projected(pruned.plan, &places)
}

fn flat_map(
    input: Plan,
    calls: Vec<TableCall>,
    need: &BTreeSet<usize>,
    same: &dyn Fn(PlanNode, Fields) -> Plan,
    fields: &Fields,
) -> Pruned {
    let width = input.fields.columns.len();
    let mut below_need: BTreeSet<usize> = need.iter().copied().filter(|at| *at < width).collect();
    for call in &calls {
        below_need.extend(used(&call.args));
    }
    let below = narrow(input, &below_need, false);
    let moved = calls.into_iter().map(|call| TableCall { args: below.exprs(&call.args), ..call });
    let calls: Vec<TableCall> = moved.collect();
    let mut kept = below.kept.clone().unwrap_or_else(|| (0..width).collect());
    kept.extend(width..fields.columns.len());
    let fields = subset(fields, &kept);
    Pruned { plan: same(PlanNode::FlatMap { input: Box::new(below.plan), calls }, fields), kept: Some(kept) }
}

/// The two sides of a join, each with what is read of it.
struct Sides {
    left: Box<Plan>,
    right: Box<Plan>,
    left_key: Vec<BoundExpr>,
    right_key: Vec<BoundExpr>,
    residual: Option<BoundExpr>,
    /// Former positions of the result's columns: of the left side, of the right one, and what the join itself adds.
    kept: Vec<usize>,
}

/// What a join matches rows by, over the columns of each side and over those of both.
struct Condition<'a> {
    left_key: &'a [BoundExpr],
    right_key: &'a [BoundExpr],
    residual: Option<BoundExpr>,
}

/// `all`: columns of the join's result.
fn sides(left: Plan, right: Plan, on: Condition<'_>, need: &BTreeSet<usize>, all: usize) -> Sides {
    let (width, both) = (left.fields.columns.len(), left.fields.columns.len() + right.fields.columns.len());
    let mut need = need.clone();
    need.extend(on.residual.iter().flat_map(columns_used));
    let mut left_need = used(on.left_key);
    left_need.extend(need.iter().copied().filter(|at| *at < width));
    let mut right_need = used(on.right_key);
    right_need.extend(need.iter().copied().filter(|at| *at >= width && *at < both).map(|at| at - width));
    let left = narrow(left, &left_need, true);
    let right = narrow(right, &right_need, true);
    let mut kept = left.kept.clone().unwrap_or_else(|| (0..width).collect());
    let right_kept = right.kept.clone().unwrap_or_else(|| (0..both - width).collect());
    kept.extend(right_kept.into_iter().map(|at| at + width));
    let residual = on.residual.map(|condition| remap(&condition, &|at| kept.binary_search(&at).unwrap_or(at)));
    kept.extend(both..all);
    let (left_key, right_key) = (left.exprs(on.left_key), right.exprs(on.right_key));
    Sides { left: Box::new(left.plan), right: Box::new(right.plan), left_key, right_key, residual, kept }
}

fn joins(node: PlanNode, need: &BTreeSet<usize>, same: &dyn Fn(PlanNode, Fields) -> Plan, fields: &Fields) -> Pruned {
    let all = fields.columns.len();
    let done = |node: PlanNode, kept: Vec<usize>| Pruned { plan: same(node, subset(fields, &kept)), kept: Some(kept) };
    match node {
        PlanNode::StreamTableJoin { left, right, kind, left_key, right_key, residual } => {
            let on = Condition { left_key: &left_key, right_key: &right_key, residual };
            let Sides { left, right, left_key, right_key, residual, kept } = sides(*left, *right, on, need, all);
            done(PlanNode::StreamTableJoin { left, right, kind, left_key, right_key, residual }, kept)
        }
        PlanNode::StreamStreamJoin {
            left,
            right,
            kind,
            left_key,
            right_key,
            before_ms,
            after_ms,
            grace_ms,
            residual,
        } => {
            let on = Condition { left_key: &left_key, right_key: &right_key, residual };
            let Sides { left, right, left_key, right_key, residual, kept } = sides(*left, *right, on, need, all);
            let node = PlanNode::StreamStreamJoin {
                left,
                right,
                kind,
                left_key,
                right_key,
                before_ms,
                after_ms,
                grace_ms,
                residual,
            };
            done(node, kept)
        }
        PlanNode::TableTableJoin { left, right, kind, left_key, right_key, residual } => {
            let on = Condition { left_key: &left_key, right_key: &right_key, residual };
            let Sides { left, right, left_key, right_key, residual, kept } = sides(*left, *right, on, need, all);
            done(PlanNode::TableTableJoin { left, right, kind, left_key, right_key, residual }, kept)
        }
        PlanNode::ForeignKeyJoin {
            left,
            right,
            kind,
            left_key,
            left_key_format,
            left_source,
            foreign_key,
            right_key,
            right_key_format,
            right_source,
            residual,
        } => {
            // The left side keeps its own key and the foreign one.
            let keys = left_key.len();
            let left_uses: Vec<BoundExpr> = left_key.into_iter().chain(foreign_key).collect();
            let on = Condition { left_key: &left_uses, right_key: &right_key, residual };
            let Sides { left, right, left_key: mut left_uses, right_key, residual, kept } =
                sides(*left, *right, on, need, all);
            let foreign_key = left_uses.split_off(keys);
            let node = PlanNode::ForeignKeyJoin {
                left,
                right,
                kind,
                left_key: left_uses,
                left_key_format,
                left_source,
                foreign_key,
                right_key,
                right_key_format,
                right_source,
                residual,
            };
            done(node, kept)
        }
        // Every other node has been taken care of; left as it is, it is right.
        node => Pruned::whole(same(node, fields.clone())),
    }
}
