//! WHERE: a condition over what FROM gives, as near to the sources as it may stand.
//!
//! Conditions on the stream of stream-table joins are asked before the join and its exchange: such joins keep nothing
//! of the stream, so nobody can tell. Stream-stream joins keep time by the rows that reach them, and tables answer a
//! row that no longer passes with a tombstone, so there a condition stays where it was written.

use catalog::SourceKind;
use syntax::ast::Expr;
use types::Result;

use super::{Env, input::Input, resolve};
use crate::{
    expr,
    plan::{BoundExpr, Plan, PlanNode},
};

/// `input` without the rows for which `condition` (resolved) is not true.
pub(super) fn apply(env: &Env<'_>, mut input: Input, condition: &Expr, clause: &str) -> Result<Input> {
    let mut stay: Vec<Expr> = Vec::new();
    for part in resolve::conjuncts(condition) {
        let predicate = env.bind_condition(&part, &input.scope, clause)?;
        match sink(input.plan, predicate) {
            (plan, None) => input.plan = plan,
            (plan, Some(_)) => {
                input.plan = plan;
                stay.push(part);
            }
        }
    }
    if let Some(rest) = resolve::conjunction(stay) {
        let predicate = env.bind_condition(&rest, &input.scope, clause)?;
        input.plan = over(input.plan, predicate);
    }
    Ok(input)
}

/// A filter over `plan`.
pub(super) fn over(plan: Plan, predicate: BoundExpr) -> Plan {
    let (fields, kind, windowed) = (plan.fields.clone(), plan.kind, plan.windowed);
    Plan { node: PlanNode::Filter { input: Box::new(plan), predicate }, fields, kind, windowed }
}

/// Put `predicate` below the stream-table joins of `plan` as far as only the stream's columns are asked; gives it back
/// if that is nowhere.
fn sink(plan: Plan, predicate: BoundExpr) -> (Plan, Option<BoundExpr>) {
    let Plan { node, fields, kind, windowed } = plan;
    match node {
        PlanNode::StreamTableJoin { left, right, kind: join, left_key, right_key, residual } => {
            let width = left.fields.columns.len();
            let whole = |left: Plan| Plan {
                node: PlanNode::StreamTableJoin {
                    left: Box::new(left),
                    right,
                    kind: join,
                    left_key,
                    right_key,
                    residual,
                },
                fields,
                kind,
                windowed,
            };
            if expr::columns_used(&predicate).iter().all(|at| *at < width) {
                (whole(below_exchange(*left, predicate)), None)
            } else {
                (whole(*left), Some(predicate))
            }
        }
        node => (Plan { node, fields, kind, windowed }, Some(predicate)),
    }
}

fn below_exchange(plan: Plan, predicate: BoundExpr) -> Plan {
    if plan.kind != SourceKind::Stream {
        return over(plan, predicate);
    }
    let Plan { node, fields, kind, windowed } = plan;
    match node {
        PlanNode::Exchange { input, by, key_format, partitions_like, nulls } => {
            let input = Box::new(below_exchange(*input, predicate));
            let node = PlanNode::Exchange { input, by, key_format, partitions_like, nulls };
            Plan { node, fields, kind, windowed }
        }
        node @ PlanNode::StreamTableJoin { .. } => match sink(Plan { node, fields, kind, windowed }, predicate) {
            (plan, None) => plan,
            (plan, Some(predicate)) => over(plan, predicate),
        },
        PlanNode::Filter { input, predicate: first } => {
            // Each condition is asked of the rows that the one before let through, as AND has it.
            over(Plan { node: PlanNode::Filter { input, predicate: first }, fields, kind, windowed }, predicate)
        }
        node => over(Plan { node, fields, kind, windowed }, predicate),
    }
}
