//! What the dialect's reference implementation keeps in topics of its own, and this engine inside a query.
//!
//! There a query that moves rows writes them to a topic whose name ends in `-repartition`, and one with state keeps it
//! in topics that end in `-changelog`. Here rows move between tasks in memory, and all state of a query is in one topic.
//! So what a case says about such topics is compared with the plans of the queries: every repartition topic it names
//! needs an exchange of its own, which writes its keys in that format; every changelog needs a query that keeps rows.

use planner::plan::{Plan, PlanNode};

use crate::{
    case::{RecordsCase, TopicAfter},
    world::World,
};

/// What the names of such topics begin with.
const PREFIX: &str = "_confluent-ksql-";

/// Kinds of such topics.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Rows on their way to other partitions.
    Repartition,
    /// State.
    Changelog,
}

impl Kind {
    /// For messages.
    pub fn name(self) -> &'static str {
        match self {
            Kind::Repartition => "an exchange",
            Kind::Changelog => "state",
        }
    }

    fn ending(self) -> &'static str {
        match self {
            Kind::Repartition => "-repartition",
            Kind::Changelog => "-changelog",
        }
    }
}

/// A query's exchange or state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Internal {
    /// The query's id.
    pub query: String,
    /// Which of the two.
    pub kind: Kind,
    /// Exchanges: how keys are written.
    pub key_format: Option<String>,
}

impl Internal {
    /// A name such as the reference implementation would give a topic for it.
    pub fn name(&self) -> String {
        format!("{PREFIX}query_{}-{}", self.query, self.kind.ending().trim_start_matches('-'))
    }
}

/// Exchanges and state of the queries that run.
pub fn of_queries(world: &World) -> Vec<Internal> {
    let mut found = Vec::new();
    for (query, plan) in world.engine.plans() {
        collect(&query, &plan.root, &mut found);
    }
    found
}

fn collect(query: &str, plan: &Plan, found: &mut Vec<Internal>) {
    let mut push = |kind: Kind, key_format: Option<&str>| {
        let key_format = key_format.map(str::to_owned);
        found.push(Internal { query: query.to_owned(), kind, key_format });
    };
    match &plan.node {
        PlanNode::Exchange { key_format, .. } => push(Kind::Repartition, Some(&key_format.name)),
        PlanNode::Aggregate { .. } | PlanNode::StreamTableJoin { .. } => push(Kind::Changelog, None),
        PlanNode::StreamStreamJoin { .. } | PlanNode::TableTableJoin { .. } => {
            push(Kind::Changelog, None);
            push(Kind::Changelog, None);
        }
        PlanNode::ForeignKeyJoin { right_key_format: format, .. } => {
            push(Kind::Changelog, None);
            push(Kind::Changelog, None);
            // With a registry the side that is pointed to moves too.
            if formats::format(&format.name).is_ok_and(|f| f.uses_registry()) {
                push(Kind::Repartition, Some(&format.name));
            }
        }
        PlanNode::Source { .. }
        | PlanNode::Filter { .. }
        | PlanNode::Project { .. }
        | PlanNode::FlatMap { .. }
        | PlanNode::Distinct { .. }
        | PlanNode::UnionAll { .. } => {}
    }
    plan.inputs().into_iter().for_each(|input| collect(query, input, found));
}

/// The query and the kind that a topic's name speaks of, if it is such a topic.
pub fn parse(name: &str) -> Option<(String, Kind)> {
    let kind = [Kind::Repartition, Kind::Changelog].into_iter().find(|k| name.ends_with(k.ending()))?;
    let (_, rest) = name.strip_prefix(PREFIX)?.split_once("query_")?;
    let (query, _) = rest.split_once('-')?;
    Some((query.to_owned(), kind))
}

/// Whether the query has as many of that kind as the case names for it.
///
/// # Errors
/// What is missing.
pub fn check(
    (query, kind): &(String, Kind),
    topic: &TopicAfter,
    case: &RecordsCase,
    internal: &[Internal],
) -> Result<(), String> {
    let format = topic.key.format.as_deref().filter(|_| *kind == Kind::Repartition);
    let same = |i: &&Internal| {
        i.query == *query && i.kind == *kind && format.is_none_or(|f| i.key_format.as_deref() == Some(f))
    };
    let have = internal.iter().filter(same).count();
    let alike = |t: &&TopicAfter| {
        parse(&t.name).is_some_and(|(q, k)| q == *query && k == *kind)
            && (*kind == Kind::Changelog || t.key.format == topic.key.format)
    };
    let want = case.topics_after.iter().filter(alike).count();
    if have >= want {
        return Ok(());
    }
    let written = format.map(|f| format!(" with keys in {f}")).unwrap_or_default();
    Err(format!("query {query} has {} {have} times{written}, the case names {want}", kind.name()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_say_query_and_kind() {
        let check = |name: &str, expect: Option<(&str, Kind)>| {
            assert_eq!(parse(name), expect.map(|(query, kind)| (query.to_owned(), kind)));
        };
        let name = "_confluent-ksql-some.service.idquery_CSAS_OUT_0-Join-left-repartition";
        check(name, Some(("CSAS_OUT_0", Kind::Repartition)));
        let name = "_confluent-ksql-some.service.idquery_CTAS_T_3-Aggregate-Materialize-changelog";
        check(name, Some(("CTAS_T_3", Kind::Changelog)));
        check("OUTPUT", None);
        check("own-repartition", None);
    }
}
