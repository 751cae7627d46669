//! PARTITION BY: a stream under a new key.

use std::sync::Arc;

use catalog::SourceKind;
use syntax::ast::{Expr, Select};
use types::{Error, Result};

use super::{
    Env, Mode,
    input::{Input, KeyColumn, KeyName, KeyOrigin, Partitioning},
    resolve::resolve,
    select,
    select_list::is_null,
    text::{self, Style},
};
use crate::plan::{NullKeys, Plan, PlanNode};

/// The expressions of PARTITION BY, resolved.
pub(super) fn resolve_key(select: &Select, input: &Input) -> Result<Vec<Expr>> {
    let mut key = Vec::with_capacity(select.partition_by.len());
    for expr in &select.partition_by {
        select::check_no_aggregates(expr, "PARTITION BY")?;
        let resolved = resolve(expr, &input.scope, "PARTITION BY", &[]).map_err(|error| {
            if error.sqlstate() == "42703" && error.hint().is_none() {
                error
                    .with_hint("PARTITION BY is applied to the source, so it knows the source's columns and no aliases")
            } else {
                error
            }
        })?;
        key.push(resolved);
    }
    Ok(key)
}

/// `input` under the new key, if there is one.
pub(super) fn apply(env: &Env<'_>, input: Input, new_key: Vec<Expr>, select: &Select, mode: &Mode) -> Result<Input> {
    let Some(first) = new_key.first() else { return Ok(input) };
    if input.plan.kind == SourceKind::Table {
        let error = Error::unsupported("PARTITION BY cannot be applied to a table: its rows are what they are by key");
        return Err(error.at(first.span).with_hint("GROUP BY gives a table another key"));
    }
    if input.plan.windowed.is_some() {
        return Err(Error::unsupported("Implicit repartitioning of windowed sources is not supported").at(first.span));
    }
    if let [only] = new_key.as_slice()
        && is_null(only)
    {
        return Ok(Input { key: Vec::new(), key_origin: KeyOrigin::Partition, ..input });
    }
    let mut key = Vec::with_capacity(new_key.len());
    for expr in new_key {
        let bound = env.bind(&expr, &input.scope, "PARTITION BY")?;
        let Some(ty) = bound.ty else {
            return Err(Error::type_mismatch("a key of several columns cannot have NULL among them").at(expr.span));
        };
        let style = if select.from.is_some() { Style::Qualified } else { Style::Short };
        let text = text::write(&expr, style);
        key.push(KeyColumn { names: vec![KeyName { expr, text }], value: bound.expr, ty, synthetic: false });
    }
    if same_key(&input.key, &key) {
        return Ok(Input { key, key_origin: KeyOrigin::Partition, ..input });
    }
    let key_format = env.exchange_format(&key, &input.key_format);
    if !matches!(mode, Mode::Derived) {
        // Nothing comes after it but the sink, which writes every record to the partition of its key.
        let partitioning = Partitioning::Widest;
        return Ok(Input { key, key_format, partitioning, key_origin: KeyOrigin::Partition, ..input });
    }
    let node = PlanNode::Exchange {
        by: key.iter().map(|k| Arc::clone(&k.value)).collect(),
        key_format: key_format.clone(),
        partitions_like: None,
        nulls: NullKeys::Keep,
        input: Box::new(input.plan.clone()),
    };
    let plan = Plan { node, ..input.plan };
    let partitioning = Partitioning::Widest;
    Ok(Input { plan, key, key_format, partitioning, key_origin: KeyOrigin::Partition, ..input })
}

/// Whether rows are partitioned by `new` already.
pub(super) fn same_key(old: &[KeyColumn], new: &[KeyColumn]) -> bool {
    let same = |old: &KeyColumn, new: &KeyColumn| {
        new.names.first().is_some_and(|n| {
            let wanted = text::identity(&n.expr);
            old.names.iter().any(|o| text::identity(&o.expr) == wanted)
        })
    };
    old.len() == new.len() && !old.is_empty() && old.iter().zip(new).all(|(o, n)| same(o, n))
}
