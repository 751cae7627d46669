//! A session sees what it has written: its lookups wait for it, for a while.

mod spread;

use std::{collections::HashMap, sync::Arc, time::Duration};

use recordlog::{Offset, TopicPartition};

use crate::{
    Engine,
    running::{QueryState, RunningQuery},
};

/// How long a lookup waits for its session's own writes.
const OWN_WRITES_WAIT: Duration = Duration::from_secs(2);

/// The same where several processes run the queries, whose tasks may be on their way from one to another.
const SPREAD_WAIT: Duration = Duration::from_secs(10);

/// Wait until the queries that table `name` comes from have committed what was written, step by step from the topics
/// written to the table. What the session is to be told where they have not.
pub(crate) async fn wait_until_consumed(
    engine: &Arc<Engine>,
    written: &HashMap<TopicPartition, Offset>,
    name: &str,
) -> Option<String> {
    let wait = if engine.member.is_some() { SPREAD_WAIT } else { OWN_WRITES_WAIT };
    let deadline = tokio::time::Instant::now() + wait;
    let mut targets: HashMap<TopicPartition, Offset> = written.clone();
    for query in upstream(engine, name) {
        let missed = |why: &str| Some(format!("rows may lack what this session has written: query {} {why}", query.id));
        if query.state() == QueryState::Paused && (query.is_spread() || is_behind(&query, &targets)) {
            return missed("is paused");
        }
        let is_done = match query.is_spread() {
            true => spread::wait(engine, &query, &mut targets, deadline).await,
            false => wait_here(&query, &targets, deadline).await,
        };
        if !is_done {
            return missed(&format!("has not taken it in within {} s", wait.as_secs()));
        }
        if let Err(error) = aim_at_sink(engine, &query, &mut targets) {
            return missed(&format!("may have written more: {error}"));
        }
    }
    None
}

/// Wait for a query that runs here alone; whether it has consumed what is aimed at.
async fn wait_here(
    query: &RunningQuery,
    targets: &HashMap<TopicPartition, Offset>,
    deadline: tokio::time::Instant,
) -> bool {
    let mut commits = query.watch_commits();
    while is_behind(query, targets) {
        if tokio::time::timeout_at(deadline, commits.changed()).await.map_or(true, |r| r.is_err()) {
            return false;
        }
    }
    true
}

fn is_behind(query: &RunningQuery, targets: &HashMap<TopicPartition, Offset>) -> bool {
    query.positions().iter().any(|(partition, next)| targets.get(partition).is_some_and(|end| next < end))
}

/// What a query wrote meanwhile is what the next one must have read.
fn aim_at_sink(
    engine: &Engine,
    query: &RunningQuery,
    targets: &mut HashMap<TopicPartition, Offset>,
) -> recordlog::Result<()> {
    if let Some(sink) = query.sink.as_ref().and_then(|s| engine.catalog().source(s).cloned()) {
        let partitions = engine.log.topic(&sink.topic)?.map_or(0, |t| t.config.partitions);
        for p in 0..partitions {
            let partition = TopicPartition::new(sink.topic.as_str(), p);
            let ends = engine.log.offsets(&partition)?;
            targets.insert(partition, ends.end);
        }
    }
    Ok(())
}

/// The queries that `name` comes from, those that others read from first.
fn upstream(engine: &Arc<Engine>, name: &str) -> Vec<Arc<RunningQuery>> {
    let queries: Vec<_> = engine.queries.lock().values().cloned().collect();
    let mut wanted = vec![name.to_string()];
    let mut out: Vec<Arc<RunningQuery>> = vec![];
    while let Some(name) = wanted.pop() {
        for query in &queries {
            let writes = query.sink.as_deref() == Some(&name) || (query.sink.is_none() && query.id == name);
            if writes && !out.iter().any(|q| q.id == query.id) {
                wanted.extend(query.reads.iter().cloned());
                out.push(query.clone());
            }
        }
    }
    // Created earlier, and so read from, comes first.
    out.sort_by_key(|q| queries.iter().position(|other| other.id == q.id));
    out
}
