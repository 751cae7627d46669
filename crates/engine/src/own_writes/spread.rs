//! How far a query is whose tasks are with several processes: their progress tells.

use std::{collections::HashMap, sync::Arc, time::Duration};

use recordlog::{Offset, RecordLog, TopicPartition, batch::BatchHeader};
use runtime::{Share, TaskProgress, log_error};
use tokio::time::Instant;
use types::Result;

use crate::{Engine, running::RunningQuery, service::apart};

/// Between two looks.
const PAUSE: Duration = Duration::from_millis(10);

/// Bytes that are looked at for whether there is a record.
const PEEK_BYTES: usize = 1;

/// Wait until all stages of a query have consumed what is aimed at, one after the other; whether they have.
pub(super) async fn wait(
    engine: &Arc<Engine>,
    query: &Arc<RunningQuery>,
    targets: &mut HashMap<TopicPartition, Offset>,
    deadline: Instant,
) -> bool {
    let mut stages: Vec<u32> = query.shares().iter().map(|share| share.stage).collect();
    stages.dedup();
    let last = stages.last().copied();
    for stage in stages {
        let mut is_aimed = false;
        loop {
            match step(engine, query, stage, targets, &mut is_aimed).await {
                Ok(Some(tasks)) => {
                    // What the log has as committed, who has the rows may show a moment later.
                    for task in tasks.iter().filter(|_| Some(stage) == last) {
                        task.share.into_iter().for_each(|share| query.saw(share.partition, task.epoch));
                    }
                    break;
                }
                Ok(None) => {}
                // A broker that is just being replaced is no reason to show old rows.
                Err(error) => tracing::debug!(query = %query.id, %error, "how far a query is could not be read"),
            }
            if Instant::now() > deadline {
                return false;
            }
            tokio::time::sleep(PAUSE).await;
        }
    }
    true
}

/// One look at a stage; its tasks when they have consumed what is aimed at.
async fn step(
    engine: &Arc<Engine>,
    query: &Arc<RunningQuery>,
    stage: u32,
    targets: &mut HashMap<TopicPartition, Offset>,
    is_aimed: &mut bool,
) -> Result<Option<Vec<TaskProgress>>> {
    let looked = |aims: HashMap<_, _>| {
        let (engine, query) = (engine.clone(), query.clone());
        apart(move || look(&engine, &query, stage, &aims))
    };
    let (mut tasks, mut is_done) = looked(targets.clone()).await?;
    if !*is_aimed && let Some(known) = &tasks {
        // What the stages before have written for it, which have written all by now.
        aim_at_exchanges(engine, query, known, targets).await?;
        *is_aimed = true;
        (tasks, is_done) = looked(targets.clone()).await?;
    }
    Ok(tasks.filter(|_| is_done))
}

/// How far the tasks of a stage are, and whether they have consumed what is aimed at; `None`: not all of them are known
/// yet.
fn look(
    engine: &Engine,
    query: &RunningQuery,
    stage: u32,
    aims: &HashMap<TopicPartition, Offset>,
) -> Result<(Option<Vec<TaskProgress>>, bool)> {
    let mut tasks = engine.progress.tasks(&*engine.log, &query.opener.options.id)?;
    let is_own = |share: &Share| share.stage == stage;
    tasks.retain(|task| task.share.as_ref().is_some_and(is_own));
    let is_known = |share: &Share| tasks.iter().any(|task| task.share == Some(*share));
    if !query.shares().iter().filter(|share| is_own(share)).all(is_known) {
        return Ok((None, false));
    }
    let behind = tasks
        .iter()
        .flat_map(|task| &task.positions)
        .filter(|(partition, next)| aims.get(partition).is_some_and(|end| next < end))
        .map(|(partition, next)| has_records(&*engine.log, partition, *next))
        .find(|has_records| !matches!(has_records, Ok(false)));
    let is_done = !behind.unwrap_or(Ok(false))?;
    Ok((Some(tasks), is_done))
}

/// Whether there is a record from an offset on: at the end of a partition there may be marks alone.
fn has_records(log: &dyn RecordLog, partition: &TopicPartition, from: Offset) -> Result<bool> {
    let batches = log.read(partition, from, PEEK_BYTES).map_err(log_error)?;
    let count = |bytes: &[u8]| BatchHeader::parse_fixed(bytes).map_or(0, |header| header.record_count);
    Ok(batches.iter().any(|batch| count(&batch.bytes) > 0))
}

/// Tasks must have read what there is for them in the query's own topics.
async fn aim_at_exchanges(
    engine: &Engine,
    query: &RunningQuery,
    tasks: &[TaskProgress],
    targets: &mut HashMap<TopicPartition, Offset>,
) -> Result<()> {
    let id = query.opener.options.id.as_str();
    for (partition, _) in tasks.iter().flat_map(|task| &task.positions) {
        if engine.names.query_of_topic(&partition.topic) == Some(id) {
            engine.log.settle(partition).await.map_err(log_error)?;
            let ends = engine.log.offsets(partition).map_err(log_error)?;
            targets.insert(partition.clone(), ends.end);
        }
    }
    Ok(())
}
