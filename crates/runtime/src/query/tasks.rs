//! The tasks of a query: which there are, what topics they need, and where they begin.
//!
//! Topics that all tasks need are made once, before any of them is opened, and it is written down then where each of
//! them begins: a task that is opened late must not begin late.

use std::sync::Arc;

use planner::plan::{QueryPlan, Start};
use recordlog::{Append, RecordLog, TopicPartition};
use types::Result;

use super::{
    QueryOptions, TableView,
    fetch::first_offset,
    state::{InternalTopic, create_internal_topics},
};
use crate::{
    graph::{Graph, Node, NodeKind, lower_tasks},
    journal::Progress,
    log_error,
    share::Share,
    source::topic_of,
};

/// The graph of a query that runs in tasks, over topics as they are now.
pub(super) fn graph_of(plan: &QueryPlan, log: &dyn RecordLog) -> Result<Graph> {
    lower_tasks(plan, &|source| partitions_of(source, log))
}

/// How many partitions a source's topic has.
pub(super) fn partitions_of(source: &catalog::Source, log: &dyn RecordLog) -> Result<u32> {
    Ok(topic_of(source, log)?.config.partitions)
}

/// All tasks of a query over topics as they are now; stages come before those that read them.
///
/// # Errors
/// A topic that it reads is not there.
pub fn shares(plan: &QueryPlan, log: &dyn RecordLog) -> Result<Vec<Share>> {
    Ok(shares_of(&graph_of(plan, log)?))
}

fn shares_of(graph: &Graph) -> Vec<Share> {
    let of_stage = |stage| (0..graph.stage_partitions(stage)).map(move |partition| Share { stage, partition });
    (0..graph.stages()).flat_map(of_stage).collect()
}

/// What the table of a query that runs in tasks looks like, without any of its rows, where the query makes one.
///
/// # Errors
/// A topic that it reads is not there.
pub fn table_of(plan: &QueryPlan, log: &dyn RecordLog) -> Result<Option<TableView>> {
    let graph = graph_of(plan, log)?;
    let Some(root) = graph.nodes.get(graph.root) else { return Ok(None) };
    let NodeKind::Keep { key, .. } = &root.kind else { return Ok(None) };
    Ok(Some(TableView {
        partitions: vec![],
        numbers: vec![],
        of: root.partitions,
        together: false,
        schema: root.schema.clone(),
        key: key.clone(),
    }))
}

/// Make the topics that the tasks of a query need: for offsets, state, and what goes from stage to stage. To be done before
/// [`beginnings`] is asked.
///
/// # Errors
/// A topic that it reads is not there; one that it needs is there with other partitions; the log says no.
pub async fn create_topics(plan: &QueryPlan, options: &QueryOptions, log: &Arc<dyn RecordLog>) -> Result<()> {
    let wanted = topics_of_tasks(&graph_of(plan, &**log)?, options);
    create_internal_topics(log.clone(), wanted).await?;
    // Tasks that have begun before are known from now on.
    options.progress.settle(&**log).await
}

/// What says where those tasks of a query begin that have not begun yet: to be committed before any task is opened.
///
/// # Errors
/// The log cannot be read.
pub fn beginnings(
    plan: &QueryPlan,
    options: &QueryOptions,
    log: &Arc<dyn RecordLog>,
    now_ms: i64,
) -> Result<Vec<Append>> {
    let graph = graph_of(plan, &**log)?;
    let begun = options.progress.tasks(&**log, &options.id)?;
    let missing = shares_of(&graph).into_iter().filter(|share| !begun.iter().any(|t| t.share == Some(*share)));
    let is_new = begun.is_empty();
    missing.map(|share| begin_task(plan, &graph, (share, is_new), options, &**log, now_ms)).collect()
}

/// Topics that all tasks of a query need.
pub(super) fn topics_of_tasks(graph: &Graph, options: &QueryOptions) -> Vec<InternalTopic> {
    let (id, names) = (&options.id, &options.names);
    let mut topics = vec![InternalTopic::compacted(names.offsets(), 1)];
    for stage in 0..graph.stages() {
        if graph.nodes.iter().any(|n| n.stage == stage && n.is_stateful()) {
            let partitions = graph.stage_partitions(stage);
            topics.push(InternalTopic::compacted(names.changelog(id, Some(stage)), partitions));
        }
    }
    for (_, node, _) in graph.exchanges() {
        topics.push(InternalTopic::repartition(names.repartition(id, node.number), node.partitions));
    }
    topics
}

/// The record that says where a task begins: where the query does, if that `is_new`; else the task is one of a partition
/// that came later, which is read from its first record.
fn begin_task(
    plan: &QueryPlan,
    graph: &Graph,
    (share, is_new): (Share, bool),
    options: &QueryOptions,
    log: &dyn RecordLog,
    now_ms: i64,
) -> Result<Append> {
    let mut progress = Progress::default();
    let has_own = |node: &&Node| node.stage == share.stage && share.partition < node.partitions;
    for node in graph.nodes.iter().filter(has_own) {
        let source = match &node.kind {
            NodeKind::Source(source) => source,
            NodeKind::Exchange(_) => {
                // Who waits for what goes through it must not take a task that has read nothing for done.
                let topic = options.names.repartition(&options.id, node.number);
                let partition = TopicPartition::new(topic, share.partition);
                let start = log.offsets(&partition).map_err(log_error)?.start;
                progress.offsets.insert(node.reader_name(&partition), start);
                continue;
            }
            _ => continue,
        };
        let partition = TopicPartition::new(source.source.topic.as_str(), share.partition);
        let name = node.reader_name(&partition);
        let ends = log.offsets(&partition).map_err(log_error)?;
        let next = if is_new { first_offset(log, source, &partition, plan.from_earliest)? } else { ends.start };
        if is_new && source.start == Start::Snapshot && next < ends.end {
            progress.snapshots.insert(name.clone(), ends.end);
        }
        progress.offsets.insert(name, next);
        let id = log.topic(&source.source.topic).map_err(log_error)?.map(|topic| topic.id.to_string());
        progress.topics.extend(id.map(|id| (source.source.topic.clone(), id)));
    }
    options.progress.append((&options.id, Some(share)), &progress, now_ms)
}
