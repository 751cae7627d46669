//! Bringing the two sides of a join together: rows of one key in one partition.
//!
//! A side that is keyed by what it is joined by stays where its producers put it, if the other side is written alike
//! and has as many partitions. A side that is not is exchanged, to where the other one is.

use std::sync::Arc;

use catalog::{Source, SourceKind};
use formats::FormatSpec;
use types::{Error, Result, Span, SqlType};

use super::{
    Env,
    input::{Input, Partitioning},
};
use crate::plan::{BoundExpr, NullKeys, Plan, PlanNode};

/// Two sides and what they are joined by.
pub(super) struct Sides {
    /// The left one.
    pub left: Input,
    /// The right one.
    pub right: Input,
    /// Keys, over the left one's columns.
    pub left_key: Vec<BoundExpr>,
    /// Keys, over the right one's columns.
    pub right_key: Vec<BoundExpr>,
    /// Whether the left one is keyed by `left_key`.
    pub left_keyed: bool,
    /// Whether the right one is keyed by `right_key`.
    pub right_keyed: bool,
}

/// The sides, met.
pub(super) struct Met {
    /// The left one.
    pub left: Input,
    /// The right one.
    pub right: Input,
    /// As in [`Sides`].
    pub left_key: Vec<BoundExpr>,
    /// As in [`Sides`].
    pub right_key: Vec<BoundExpr>,
    /// How the common key is written.
    pub key_format: FormatSpec,
    /// Where rows are.
    pub partitioning: Partitioning,
}

/// Exchange the sides as far as they need it. `span` is the join's.
pub(super) fn meet(env: &Env<'_>, sides: Sides, types: &[SqlType], span: Span) -> Result<Met> {
    let Sides { mut left, mut right, left_key, right_key, left_keyed, right_keyed } = sides;
    let (mut left_moves, mut right_moves) = (!left_keyed, !right_keyed);
    if !left_moves && !right_moves {
        (left_moves, right_moves) = differently_placed(env, &left, &right, span)?;
    }
    for (side, moves) in [(&left, left_moves), (&right, right_moves)] {
        if moves && side.plan.windowed.is_some() {
            let name = side.sources.first().map_or("", |s| s.alias.as_str());
            let message = format!("Implicit repartitioning of windowed sources is not supported: {name} is windowed");
            return Err(Error::unsupported(message).at(span));
        }
    }
    let key_format = match (left_moves, right_moves) {
        (false, _) => left.key_format.clone(),
        (true, false) => right.key_format.clone(),
        (true, true) => {
            let known = [&left.key_format, &right.key_format].into_iter().find(|f| f.name != "NONE");
            env.exchange_format_of(types, known.unwrap_or(&left.key_format))
        }
    };
    let partitioning = match (left_moves, right_moves) {
        (false, _) => left.partitioning.clone(),
        (true, false) => right.partitioning.clone(),
        (true, true) => Partitioning::Widest,
    };
    let like = match &partitioning {
        Partitioning::Like(source) => Some(Arc::clone(source)),
        Partitioning::Widest => None,
    };
    if left_moves {
        left.plan = exchange(left.plan, &left_key, &key_format, like.as_ref());
    }
    if right_moves {
        right.plan = exchange(right.plan, &right_key, &key_format, like.as_ref());
    }
    Ok(Met { left, right, left_key, right_key, key_format, partitioning })
}

/// Which of two sides that are keyed by what they are joined by must move nevertheless.
fn differently_placed(env: &Env<'_>, left: &Input, right: &Input, span: Span) -> Result<(bool, bool)> {
    // With a registry, the bytes of equal keys differ by the id of the schema of each topic.
    let by_registry = |f: &FormatSpec| formats::format(&f.name).is_ok_and(|f| f.uses_registry());
    if by_registry(&left.key_format) || by_registry(&right.key_format) {
        let same = matches!((&left.partitioning, &right.partitioning),
            (Partitioning::Like(l), Partitioning::Like(r)) if l.topic == r.topic);
        return Ok((!same, !same));
    }
    if !same_bytes(&left.key_format, &right.key_format) {
        // The right side moves: the result is keyed and written like the left one.
        return Ok((false, true));
    }
    match (&left.partitioning, &right.partitioning) {
        (Partitioning::Like(l), Partitioning::Like(r)) => {
            check_partitions(env, l, r, span)?;
            Ok((false, false))
        }
        (Partitioning::Widest, Partitioning::Widest) => Ok((false, false)),
        (Partitioning::Widest, Partitioning::Like(_)) => Ok((true, false)),
        (Partitioning::Like(_), Partitioning::Widest) => Ok((false, true)),
    }
}

fn same_bytes(a: &FormatSpec, b: &FormatSpec) -> bool {
    (&a.name, &a.delimiter, a.wrap_single) == (&b.name, &b.delimiter, b.wrap_single)
}

fn check_partitions(env: &Env<'_>, left: &Source, right: &Source, span: Span) -> Result<()> {
    let partitions = |source: &Source| Ok(env.world.topic(&source.topic)?.map(|t| t.partitions));
    match (partitions(left)?, partitions(right)?) {
        (Some(l), Some(r)) if l != r => {
            let (a, b) = (&left.name, &right.name);
            let message = format!(
                "Can't join `{a}` with `{b}` since the number of partitions don't match. `{a}` partitions = {l}; `{b}` \
                 partitions = {r}"
            );
            let detail = format!("their topics are '{}' and '{}'", left.topic, right.topic);
            let hint = "repartition either one so that the number of partitions match";
            Err(Error::invalid(message).at(span).with_detail(detail).with_hint(hint))
        }
        _ => Ok(()),
    }
}

fn exchange(plan: Plan, by: &[BoundExpr], key_format: &FormatSpec, like: Option<&Arc<Source>>) -> Plan {
    let (fields, kind, windowed) = (plan.fields.clone(), plan.kind, plan.windowed);
    let node = PlanNode::Exchange {
        input: Box::new(plan),
        by: by.to_vec(),
        key_format: key_format.clone(),
        partitions_like: like.cloned(),
        // A table has no rows without a key, and its deletions must arrive.
        nulls: if kind == SourceKind::Table { NullKeys::Keep } else { NullKeys::Drop },
    };
    Plan { node, fields, kind, windowed }
}
