//! What is done to the log from time to time: segments are closed by age, retired by age and size, compacted, and
//! files that a crash left behind are removed.

use std::{collections::HashSet, path::PathBuf, sync::Arc, time::Duration};

use super::{
    Shared, admin, compaction,
    partition::{Partition, State},
    topics::TopicState,
    wait_for_close,
    writer::io,
};
use crate::{LogError, Offset, Result, settings::Effective};

/// What a round of maintenance did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Maintained {
    /// Segments retired by age or size.
    pub segments_retired: usize,
    /// Partitions compacted.
    pub partitions_compacted: usize,
    /// Records that compaction removed.
    pub records_removed: u64,
    /// Files removed that no topic had.
    pub orphans_removed: usize,
}

/// What the cleaner remembers between rounds.
#[derive(Debug, Default)]
pub(super) struct Progress {
    orphans_gone: bool,
}

/// The cleaner's thread.
pub(super) fn run_cleaner(shared: &Arc<Shared>) {
    let interval = Duration::from_millis(shared.settings.maintenance_interval_ms.max(1));
    while !wait_for_close(shared, interval) {
        if let Err(error) = maintain(shared, shared.host.clock.now_ms()) {
            tracing::warn!(%error, "maintenance failed; it is tried again");
        }
    }
}

/// One round over all partitions. A partition that fails does not keep the others from their turn; the first error
/// comes back.
pub(super) fn maintain(shared: &Shared, now_ms: i64) -> Result<Maintained> {
    let mut progress = shared.cleaner.lock();
    let mut done = Maintained::default();
    let mut first_error = None;
    if !progress.orphans_gone {
        match remove_orphans(shared) {
            Ok(removed) => {
                done.orphans_removed = removed;
                progress.orphans_gone = true;
            }
            Err(error) => first_error = Some(error),
        }
    }
    let topics: Vec<Arc<TopicState>> = shared.topics.read().values().cloned().collect();
    for topic in topics {
        let effective = Arc::clone(&topic.live.read().effective);
        for partition in topic.partitions() {
            if *shared.closing.lock() {
                return Err(LogError::Closed);
            }
            let cleaned = clean(shared, &topic, &partition, &effective, now_ms, &mut done);
            if let Err(error) = cleaned {
                first_error.get_or_insert(error);
            }
        }
    }
    first_error.map_or(Ok(done), Err)
}

fn clean(
    shared: &Shared,
    topic: &TopicState,
    partition: &Arc<Partition>,
    effective: &Effective,
    now_ms: i64,
    done: &mut Maintained,
) -> Result<()> {
    if partition.state.read().segments.is_empty() {
        return Ok(());
    }
    close_by_age(shared, partition, effective, now_ms);
    forget_producers(shared, partition, now_ms);
    if effective.delete {
        let mut writer = shared.writer.lock();
        let retire_to = retention_start(&partition.state.read(), effective, now_ms);
        if let Some(start) = retire_to {
            done.segments_retired += admin::retire(shared, &mut writer, partition, start)?.len();
        }
    }
    if effective.compact
        && let Some(removed) = compaction::compact(shared, topic, partition, effective, now_ms)?
    {
        done.partitions_compacted += 1;
        done.records_removed += removed;
    }
    Ok(())
}

/// Let the next append begin a new segment when the last one is old.
fn close_by_age(shared: &Shared, partition: &Partition, effective: &Effective, now_ms: i64) {
    // Only the holder of the writer's lock changes a partition.
    let _writer = shared.writer.lock();
    let mut state = partition.state.write();
    let limit_ms = if effective.compact {
        effective.segment_ms.min(effective.compaction_lag_max_ms)
    } else {
        effective.segment_ms
    };
    let old = state.segments.last().is_some_and(|last| now_ms.saturating_sub(last.meta.created_ms) >= limit_ms);
    state.sealed |= old;
}

fn forget_producers(shared: &Shared, partition: &Partition, now_ms: i64) {
    let _writer = shared.writer.lock();
    partition.state.write().producers.expire(now_ms);
}

/// The offset before which records are to be forgotten, if there are any.
fn retention_start(state: &State, effective: &Effective, now_ms: i64) -> Option<Offset> {
    let ends = state.segments.iter().skip(1).map(|next| next.meta.base_offset).chain([state.end]);
    let stable = state.stable();
    let mut size_bytes = state.size_bytes();
    let mut start = None;
    for (segment, end) in state.segments.iter().zip(ends) {
        let meta = &segment.meta;
        // Records without a time age from when their segment began.
        let newest_ms = if meta.max_time >= 0 { meta.max_time } else { meta.created_ms };
        let expired = effective.retention_ms.is_some_and(|limit| now_ms.saturating_sub(newest_ms) > limit);
        let surplus = effective.retention_bytes.is_some_and(|limit| size_bytes.saturating_sub(meta.length) >= limit);
        // Size never takes the segment that is written to.
        // Nor does anything take records whose transaction is open.
        let goes = (expired || (surplus && end < state.end)) && end <= stable;
        if !goes {
            break;
        }
        size_bytes -= meta.length;
        start = Some(end);
    }
    start.filter(|start| *start > state.start)
}

/// Remove what lies in the topics' directories and belongs to none.
fn remove_orphans(shared: &Shared) -> Result<usize> {
    let failed = |error: std::io::Error| io("look for files left behind", &error);
    let disk = shared.host.disk.as_ref();
    let mut removed = 0;
    for dir in disk.list(&shared.topics_dir).map_err(failed)? {
        // While the writer stands, what is in a directory and not in the state is nobody's.
        let _writer = shared.writer.lock();
        let path = shared.topics_dir.join(&dir.name);
        let topic = shared.topics.read().values().find(|topic| topic.dir == path).cloned();
        let Some(topic) = topic else {
            if dir.is_dir && disk.remove_dir_all(&path).is_ok() {
                removed += 1;
            }
            continue;
        };
        let known = known_files(&topic);
        for file in disk.list(&path).map_err(failed)? {
            let path = path.join(&file.name);
            if !known.contains(&path.with_extension("log")) && disk.remove(&path).is_ok() {
                removed += 1;
            }
        }
    }
    Ok(removed)
}

fn known_files(topic: &TopicState) -> HashSet<PathBuf> {
    let mut known = HashSet::new();
    for partition in topic.partitions() {
        known.extend(partition.state.read().segments.iter().map(|segment| segment.file.path.clone()));
    }
    known
}
