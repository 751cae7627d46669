//! What a commit remembers besides outputs: how far the query has read, stream time, and what changed in its state.
//!
//! All three are records of internal topics, written in the same commit of the log as the outputs. So on one machine
//! and on a cluster it is the log alone that decides what happened.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use bytes::Bytes;
use parking_lot::{Mutex, MutexGuard};
use recordlog::{
    Append, Offset, RecordLog, TopicPartition,
    batch::{BatchBuilder, Compression},
    replay,
};
use serde::{Deserialize, Serialize};
use types::{Error, Result};

use crate::{
    log_error,
    names::{TopicNames, task_key, task_of_key},
    share::Share,
    sink::append,
};

/// How far a query has come.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Progress {
    /// Its last epoch.
    pub epoch: u64,
    /// Next offset to read, by reader (source node in the plan's order, then partition).
    pub offsets: BTreeMap<String, Offset>,
    /// Stream time by operator, ms.
    pub times: BTreeMap<usize, i64>,
    /// Ids of the topics read, as text: offsets mean nothing in another topic of the same name.
    #[serde(default)]
    pub topics: BTreeMap<String, String>,
    /// Where partitions of tables that are read first ended when the query began, by reader, until they are read so far.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub snapshots: BTreeMap<String, Offset>,
    /// The next number that a record gets, where the log gives none.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub numbers: u64,
    /// The latest time read, by reader, where records are put in order by time.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub reached: BTreeMap<String, i64>,
}

fn is_zero(number: &u64) -> bool {
    *number == 0
}

/// A record as a batch of its own.
///
/// # Errors
/// It is too long for one.
pub fn record(key: &[u8], value: Option<&[u8]>, time_ms: i64) -> Result<Bytes> {
    let mut builder = BatchBuilder::with_capacity(key.len() + value.map_or(0, <[u8]>::len) + 64);
    let fail = |e| Error::internal(format!("record batch: {e}"));
    builder.push(Some(key), value, time_ms, &[]).map_err(fail)?;
    builder.finish(Compression::None).map_err(fail)
}

/// How far a query, or one of its tasks, has come, for those who do not run it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TaskProgress {
    /// Which task; `None`: the query is run whole.
    pub share: Option<Share>,
    /// Its last epoch.
    pub epoch: u64,
    /// Where its reading of each partition stands: (topic partition, next offset). What is before that is done.
    pub positions: Vec<(TopicPartition, Offset)>,
}

/// How far the queries of a log have come: read once, and from then on only what was added. Opening many queries costs
/// one reading of the topic.
pub struct ProgressIndex {
    /// Its topic: key the query's id, and that of a task behind it, value a [`Progress`] as JSON.
    topic: String,
    read: Mutex<ReadProgress>,
}

#[derive(Default)]
struct ReadProgress {
    next: Offset,
    /// The last value by query.
    last: HashMap<Vec<u8>, Bytes>,
}

impl ProgressIndex {
    /// As the topic of these names says.
    pub fn new(names: &TopicNames) -> ProgressIndex {
        ProgressIndex { topic: names.offsets(), read: Mutex::default() }
    }

    /// The append that records progress.
    pub(crate) fn append(
        &self,
        (query, share): (&str, Option<Share>),
        progress: &Progress,
        time_ms: i64,
    ) -> Result<Append> {
        let value = serde_json::to_vec(progress).map_err(|e| Error::internal(e.to_string()))?;
        Ok(append(&self.topic, 0, record(task_key(query, share).as_bytes(), Some(&value), time_ms)?))
    }

    /// The append that says that a query, with all of its tasks, has come nowhere.
    ///
    /// # Errors
    /// The log cannot be read; the query's id is too long for a record.
    pub fn forgotten(&self, log: &dyn RecordLog, query: &str, time_ms: i64) -> Result<Append> {
        let mut keys: Vec<Vec<u8>> = self.caught_up(log)?.last.keys().cloned().collect();
        keys.retain(|key| matches!(task_of_key(&String::from_utf8_lossy(key)), (of, Some(_)) if of == query));
        keys.push(query.as_bytes().to_vec());
        keys.sort_unstable();
        let mut builder = BatchBuilder::new();
        let fail = |e| Error::internal(format!("record batch: {e}"));
        keys.iter().try_for_each(|key| builder.push(Some(key), None, time_ms, &[])).map_err(fail)?;
        Ok(append(&self.topic, 0, builder.finish(Compression::None).map_err(fail)?))
    }

    /// Wait until what was committed before can be read.
    pub(crate) async fn settle(&self, log: &dyn RecordLog) -> Result<()> {
        match log.topic(&self.topic).map_err(log_error)? {
            Some(_) => log.settle(&TopicPartition::new(self.topic.as_str(), 0)).await.map_err(log_error),
            None => Ok(()),
        }
    }

    /// The last progress of a query, or of a task.
    pub(crate) fn of(&self, log: &dyn RecordLog, query: &str, share: Option<Share>) -> Result<Option<Progress>> {
        let bytes = self.caught_up(log)?.last.get(task_key(query, share).as_bytes()).cloned();
        bytes.map(|bytes| parsed(query, &bytes)).transpose()
    }

    /// The queries that there is progress of.
    ///
    /// # Errors
    /// The log cannot be read.
    pub fn queries(&self, log: &dyn RecordLog) -> Result<Vec<String>> {
        let read = self.caught_up(log)?;
        let names = read.last.keys().map(|key| task_of_key(&String::from_utf8_lossy(key)).0.to_owned());
        Ok(names.collect::<BTreeSet<_>>().into_iter().collect())
    }

    /// How far a query has come, task by task.
    ///
    /// # Errors
    /// The log cannot be read.
    pub fn tasks(&self, log: &dyn RecordLog, query: &str) -> Result<Vec<TaskProgress>> {
        let read = self.caught_up(log)?;
        let mut tasks = vec![];
        for (key, value) in &read.last {
            let key = String::from_utf8_lossy(key);
            let (of, share) = task_of_key(&key);
            if of == query {
                let Progress { epoch, offsets, .. } = parsed(query, value)?;
                let positions = offsets.iter().filter_map(|(reader, next)| Some((partition_of(reader)?, *next)));
                tasks.push(TaskProgress { share, epoch, positions: positions.collect() });
            }
        }
        tasks.sort_by_key(|task| task.share);
        Ok(tasks)
    }

    /// Read what was added since.
    fn caught_up(&self, log: &dyn RecordLog) -> Result<MutexGuard<'_, ReadProgress>> {
        let mut read = self.read.lock();
        if log.topic(&self.topic).map_err(log_error)?.is_some() {
            let ReadProgress { next, last } = &mut *read;
            *next = replay(log, &TopicPartition::new(self.topic.as_str(), 0), *next, log_error, |record| {
                let key = record.key.unwrap_or_default();
                match record.value {
                    Some(value) => last.insert(key.to_vec(), Bytes::copy_from_slice(value)),
                    None => last.remove(key),
                };
                Ok(())
            })?;
        }
        Ok(read)
    }
}

fn parsed(query: &str, bytes: &[u8]) -> Result<Progress> {
    serde_json::from_slice(bytes).map_err(|e| Error::corrupt(format!("progress of {query} cannot be read: {e}")))
}

/// What a reader is called in progress: by the number of what reads, and by what it reads.
pub(crate) fn reader_name(number: &str, partition: &TopicPartition) -> String {
    format!("{number}:{partition}")
}

/// The partition that a reader of that name reads.
fn partition_of(reader: &str) -> Option<TopicPartition> {
    let (topic, partition) = reader.split_once(':')?.1.rsplit_once('-')?;
    Some(TopicPartition::new(topic, partition.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use recordlog::{Commit, TopicConfig, embedded::EmbeddedLog};

    use super::*;

    async fn commit(log: &Arc<EmbeddedLog>, appends: Vec<Append>) {
        log.commit(Commit::of(appends)).await.expect("is answered").expect("is kept");
    }

    #[test]
    fn a_query_has_the_progress_of_its_tasks() {
        futures::executor::block_on(async {
            let log = EmbeddedLog::open_in_memory(&host::Host::in_memory()).expect("a log");
            let names = TopicNames::of_service("a").expect("an id");
            log.create_topic(&names.offsets(), TopicConfig::with_partitions(1)).await.expect("a new topic");
            let index = ProgressIndex::new(&names);
            let share = |stage, partition| Some(Share { stage, partition });
            let read = TopicPartition::new("a-b", 2);
            let progress = |epoch, next| Progress {
                epoch,
                offsets: [(reader_name("0", &read), next)].into(),
                ..Progress::default()
            };
            for (query, share, epoch) in
                [("Q", share(0, 2), 4_u64), ("Q", share(1, 0), 5), ("Q", share(0, 2), 7), ("R", None, 9)]
            {
                let next = epoch.cast_signed() * 10;
                commit(&log, vec![index.append((query, share), &progress(epoch, next), 1).expect("fits")]).await;
            }
            let tasks = index.tasks(&*log, "Q").expect("reads");
            let expect = |share, epoch, next| TaskProgress { share, epoch, positions: vec![(read.clone(), next)] };
            assert_eq!(tasks, [expect(share(0, 2), 7, 70), expect(share(1, 0), 5, 50)]);
            assert_eq!(index.tasks(&*log, "R").expect("reads"), [expect(None, 9, 90)]);
            assert_eq!(index.of(&*log, "Q", share(0, 2)).expect("reads"), Some(progress(7, 70)));
            assert_eq!(index.of(&*log, "Q", None).expect("reads"), None);
            assert_eq!(index.queries(&*log).expect("reads"), ["Q", "R"]);
            commit(&log, vec![index.forgotten(&*log, "Q", 2).expect("fits")]).await;
            assert_eq!(index.queries(&*log).expect("reads"), ["R"]);
            commit(&log, vec![index.forgotten(&*log, "R", 2).expect("fits")]).await;
            assert!(index.queries(&*log).expect("reads").is_empty());
        });
    }
}
