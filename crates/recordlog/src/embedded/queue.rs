//! What waits for the writer, and the thread that lets it work: group commit comes from taking all that waits at once.

use std::{collections::VecDeque, fmt, sync::Arc};

use parking_lot::{Condvar, Mutex};

use super::{Shared, checkpoint::Checkpoint, prepare::Prepared, topics::TopicState, writer::Writer};
use crate::{Appended, LogError, Result};

/// Most bytes of commits in one group (unless one alone is larger).
const GROUP_BYTES_MAX: usize = 32 << 20;
/// Most commits in one group.
const GROUP_COMMITS_MAX: usize = 16_384;
/// Most things other than commits that wait.
const ACTS_MAX: usize = 65_536;

/// Something that the writer does between two groups.
pub(super) type Act = Box<dyn FnOnce(&Shared, &mut Writer) + Send>;

/// What waits.
pub(super) enum Job {
    Commit(Prepared),
    Act(Act),
}

impl fmt::Debug for Job {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Job::Commit(commit) => write!(f, "Commit({} bytes)", commit.bytes),
            Job::Act(_) => write!(f, "Act"),
        }
    }
}

impl Job {
    fn bytes(&self) -> usize {
        match self {
            Job::Commit(commit) => commit.bytes,
            Job::Act(_) => 0,
        }
    }
}

/// First in, first out, bounded by bytes.
#[derive(Debug)]
pub(super) struct Queue {
    bytes_max: usize,
    waiting: Mutex<Waiting>,
    filled: Condvar,
    drained: Condvar,
}

#[derive(Debug, Default)]
struct Waiting {
    jobs: VecDeque<Job>,
    bytes: usize,
    closed: bool,
}

impl Queue {
    pub fn new(bytes_max: usize) -> Queue {
        Queue { bytes_max, waiting: Mutex::default(), filled: Condvar::new(), drained: Condvar::new() }
    }

    pub fn check_open(&self) -> Result<()> {
        if self.waiting.lock().closed { Err(LogError::Closed) } else { Ok(()) }
    }

    pub fn push(&self, job: Job) -> Result<()> {
        self.push_or_return(job).map_err(|(error, _)| error)
    }

    /// Add a job, waiting while the queue is over its bound; the job comes back when the queue is closed.
    pub fn push_or_return(&self, job: Job) -> Result<(), (LogError, Job)> {
        let mut waiting = self.waiting.lock();
        while !waiting.closed && (waiting.bytes > self.bytes_max || waiting.jobs.len() > GROUP_COMMITS_MAX + ACTS_MAX) {
            self.drained.wait(&mut waiting);
        }
        if waiting.closed {
            return Err((LogError::Closed, job));
        }
        waiting.bytes += job.bytes();
        waiting.jobs.push_back(job);
        drop(waiting);
        self.filled.notify_one();
        Ok(())
    }

    /// Take no more; what waits is still done.
    pub fn close(&self) {
        self.waiting.lock().closed = true;
        self.filled.notify_all();
        self.drained.notify_all();
    }

    /// The next group: commits up to the first other thing, or that thing. `None` when closed and empty.
    fn take(&self, shared: &Shared) -> Option<Vec<Job>> {
        let mut waiting = self.waiting.lock();
        while waiting.jobs.is_empty() {
            if waiting.closed {
                return None;
            }
            drop(waiting);
            let due = shared.writer.lock().sync_due(shared);
            waiting = self.waiting.lock();
            if !waiting.jobs.is_empty() || waiting.closed {
                continue;
            }
            match due {
                None => self.filled.wait(&mut waiting),
                Some(due) => {
                    if self.filled.wait_for(&mut waiting, due).timed_out() {
                        return Some(Vec::new());
                    }
                }
            }
        }
        let mut group = Vec::new();
        let mut bytes = 0;
        while let Some(job) = waiting.jobs.front() {
            let is_commit = matches!(job, Job::Commit(_));
            let full = bytes + job.bytes() > GROUP_BYTES_MAX || group.len() >= GROUP_COMMITS_MAX;
            if !group.is_empty() && (full || !is_commit) {
                break;
            }
            let Some(job) = waiting.jobs.pop_front() else { break };
            bytes += job.bytes();
            group.push(job);
            if !is_commit {
                break;
            }
        }
        waiting.bytes -= bytes;
        drop(waiting);
        self.drained.notify_all();
        Some(group)
    }
}

/// The writer's thread.
pub(super) fn run_writer(shared: &Arc<Shared>) {
    while let Some(group) = shared.queue.take(shared) {
        let mut commits = Vec::with_capacity(group.len());
        for job in group {
            match job {
                Job::Commit(commit) => commits.push(commit),
                Job::Act(act) => act(shared, &mut shared.writer.lock()),
            }
        }
        if commits.is_empty() {
            let mut writer = shared.writer.lock();
            if writer.sync_due(shared).is_some_and(|due| due.is_zero()) && writer.sync(shared).is_err() {
                tracing::warn!("the journal could not be synced; it is tried again with the next commit");
                writer.synced_at = shared.host.clock.monotonic();
            }
        } else {
            commit_group(shared, commits);
            checkpoint_if_due(shared);
        }
    }
}

/// Commit in the caller's thread.
pub(super) fn commit_now(shared: &Arc<Shared>, commit: Prepared) {
    commit_group(shared, vec![commit]);
    let mut writer = shared.writer.lock();
    if writer.checkpoint_due(shared).0
        && let Ok(checkpoint) = writer.begin_checkpoint(shared)
    {
        report(checkpoint.run(shared));
        writer.dirty.retain(|file| file.dirty.load(std::sync::atomic::Ordering::SeqCst));
    }
}

/// Commit the group as one, or, when that fails, each on its own, since one alone may be what fails.
fn commit_group(shared: &Shared, group: Vec<Prepared>) {
    let mut writer = shared.writer.lock();
    let sizes: Vec<usize> = group.iter().map(|commit| commit.appends.len()).collect();
    let mut replies = Vec::with_capacity(group.len());
    let mut appends = Vec::with_capacity(sizes.iter().sum());
    for commit in group {
        replies.push(commit.reply);
        appends.extend(commit.appends);
    }
    let topics = distinct_topics(appends.iter().map(|append| &append.topic));
    let mut results: Vec<Result<Vec<Appended>>> = Vec::with_capacity(sizes.len());
    match writer.append(shared, &mut appends) {
        Ok(all) => {
            let mut rest: &[Appended] = &all;
            for size in sizes {
                let (own, behind) = rest.split_at_checked(size).unwrap_or((rest, &[]));
                results.push(Ok(own.to_vec()));
                rest = behind;
            }
        }
        Err(error) if sizes.len() == 1 => results.push(Err(error)),
        Err(_) => {
            let mut rest: &mut [_] = &mut appends;
            for size in sizes {
                let (own, behind) = std::mem::take(&mut rest).split_at_mut(size);
                results.push(writer.append(shared, own));
                rest = behind;
            }
        }
    }
    drop(writer);
    let shown = results.iter().any(|result| result.is_ok());
    for (reply, result) in replies.into_iter().zip(results) {
        // Who does not wait does not mind.
        let _ = reply.send(result);
    }
    if shown {
        topics.iter().for_each(|topic| topic.bump());
    }
}

fn distinct_topics<'a>(topics: impl Iterator<Item = &'a Arc<TopicState>>) -> Vec<Arc<TopicState>> {
    let mut distinct: Vec<Arc<TopicState>> = Vec::new();
    for topic in topics {
        if distinct.last().is_none_or(|last| !Arc::ptr_eq(last, topic)) {
            distinct.push(Arc::clone(topic));
        }
    }
    distinct.sort_by_key(|topic| topic.id);
    distinct.dedup_by_key(|topic| topic.id);
    distinct
}

/// Take a checkpoint in a thread of its own when the journal is long, or here when it cannot wait.
fn checkpoint_if_due(shared: &Arc<Shared>) {
    let mut writer = shared.writer.lock();
    let (due, overdue) = writer.checkpoint_due(shared);
    if !due && !overdue {
        return;
    }
    let checkpoint = match writer.begin_checkpoint(shared) {
        Ok(checkpoint) => checkpoint,
        Err(error) => {
            tracing::warn!(%error, "a checkpoint could not begin; it is tried again");
            return;
        }
    };
    if overdue {
        report(checkpoint.run(shared));
        writer.dirty.retain(|file| file.dirty.load(std::sync::atomic::Ordering::SeqCst));
        return;
    }
    writer.checkpoint_running = true;
    drop(writer);
    let background = Arc::clone(shared);
    let spawned = std::thread::Builder::new()
        .name("recordlog-checkpoint".into())
        .spawn(move || finish_checkpoint(&background, &checkpoint));
    match spawned {
        // The one before it has ended, or it would still count as running.
        Ok(thread) => *shared.checkpointing.lock() = Some(thread),
        Err(error) => {
            tracing::warn!(%error, "no thread for a checkpoint; it is tried again");
            shared.writer.lock().checkpoint_running = false;
        }
    }
}

fn finish_checkpoint(shared: &Shared, checkpoint: &Checkpoint) {
    report(checkpoint.run(shared));
    let mut writer = shared.writer.lock();
    writer.checkpoint_running = false;
    writer.dirty.retain(|file| file.dirty.load(std::sync::atomic::Ordering::SeqCst));
}

fn report(result: std::io::Result<()>) {
    if let Err(error) = result {
        tracing::warn!(%error, "a checkpoint failed; the journal is kept until one succeeds");
    }
}
