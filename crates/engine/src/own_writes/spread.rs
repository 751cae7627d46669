//! How far a query is whose tasks are with several processes: their progress tells.

use std::{collections::HashMap, sync::Arc, time::Duration};

use recordlog::{Offset, RecordLog, TopicPartition, batch::BatchHeader};
use runtime::{TaskProgress, log_error};
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
) -> Result<bool> {
    let mut stages: Vec<u32> = query.shares().iter().map(|share| share.stage).collect();
    stages.dedup();
    let last = stages.last().copied();
    for stage in stages {
        let tasks = loop {
            let (engine, id, aims) = (engine.clone(), query.opener.options.id.clone(), targets.clone());
            let look = move || {
                let tasks = engine.progress.tasks(&*engine.log, &id)?;
                let own = tasks.iter().filter(|task| task.share.is_some_and(|share| share.stage == stage));
                let behind = own
                    .flat_map(|task| &task.positions)
                    .filter(|(partition, next)| aims.get(partition).is_some_and(|end| next < end))
                    .map(|(partition, next)| has_records(&*engine.log, partition, *next))
                    .find(|has_records| !matches!(has_records, Ok(false)));
                let is_done = !behind.unwrap_or(Ok(false))?;
                Ok((is_done, tasks))
            };
            let (is_done, tasks) = apart(look).await?;
            if is_done {
                break tasks;
            }
            if Instant::now() > deadline {
                return Ok(false);
            }
            tokio::time::sleep(PAUSE).await;
        };
        // What the log has as committed, who has the rows may show a moment later.
        for task in tasks.iter().filter(|_| Some(stage) == last) {
            if let Some(share) = task.share.filter(|share| share.stage == stage) {
                query.saw(share.partition, task.epoch);
            }
        }
        aim_between(engine, query, &tasks, targets).await?;
    }
    Ok(true)
}

/// Whether there is a record from an offset on: at the end of a partition there may be marks alone.
fn has_records(log: &dyn RecordLog, partition: &TopicPartition, from: Offset) -> Result<bool> {
    let batches = log.read(partition, from, PEEK_BYTES).map_err(log_error)?;
    let count = |bytes: &[u8]| BatchHeader::parse_fixed(bytes).map_or(0, |header| header.record_count);
    Ok(batches.iter().any(|batch| count(&batch.bytes) > 0))
}

/// What a stage has written for the next ones is what they must have read.
async fn aim_between(
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
