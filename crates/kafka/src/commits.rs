//! Commits as they wait for a writer, and the records in them.

use std::{collections::VecDeque, sync::Arc};

use parking_lot::{Condvar, Mutex};
use recordlog::{
    Append, Appended, Batches, Commit, LogError, Result,
    batch::{BatchHeader, batch_length, check},
};
use tokio::sync::oneshot;

/// Bytes of commits that wait for one writer at most.
const WAITING_BYTES_MAX: usize = 64 << 20;
/// Bytes of commits that become one transaction, about.
const GROUP_BYTES: usize = 8 << 20;

/// Who waits for a commit.
pub(crate) type Reply = oneshot::Sender<Result<Vec<Appended>>>;

/// A commit and who waits for it.
pub(crate) struct Waiting {
    pub commit: Commit,
    pub reply: Reply,
}

/// What a writer does next.
pub(crate) enum Work {
    /// Commits that go together.
    Commits(Vec<Waiting>),
    /// Become the writer of its name.
    TakeOver(oneshot::Sender<Result<()>>),
}

enum Job {
    Commit(Waiting, usize),
    TakeOver(oneshot::Sender<Result<()>>),
}

#[derive(Default)]
struct Jobs {
    all: VecDeque<Job>,
    bytes: usize,
    is_closed: bool,
}

/// What waits for a writer.
#[derive(Default)]
pub(crate) struct Queue {
    jobs: Mutex<Jobs>,
    filled: Condvar,
}

impl Queue {
    /// Add a commit; it fails at once when too much waits already.
    pub fn commit(&self, waiting: Waiting) {
        let bytes = waiting.commit.appends.iter().map(|append| bytes(append).len()).sum();
        let mut jobs = self.jobs.lock();
        let refused = if jobs.is_closed {
            Some(LogError::Closed)
        } else if jobs.bytes > 0 && jobs.bytes.saturating_add(bytes) > WAITING_BYTES_MAX {
            let held = jobs.bytes;
            Some(LogError::Unavailable(format!("{held} bytes wait to be written already, {bytes} more are too many")))
        } else {
            None
        };
        if let Some(error) = refused {
            drop(jobs);
            let _ = waiting.reply.send(Err(error));
            return;
        }
        jobs.bytes += bytes;
        jobs.all.push_back(Job::Commit(waiting, bytes));
        self.filled.notify_one();
    }

    /// Ask the writer to become the writer of its name.
    pub fn take_over(&self) -> oneshot::Receiver<Result<()>> {
        let (reply, answer) = oneshot::channel();
        let mut jobs = self.jobs.lock();
        if jobs.is_closed {
            let _ = reply.send(Err(LogError::Closed));
        } else {
            jobs.all.push_back(Job::TakeOver(reply));
            self.filled.notify_one();
        }
        answer
    }

    /// No more comes; what waits fails.
    pub fn close(&self) {
        let mut jobs = self.jobs.lock();
        jobs.is_closed = true;
        for job in std::mem::take(&mut jobs.all) {
            match job {
                Job::Commit(waiting, _) => drop(waiting.reply.send(Err(LogError::Closed))),
                Job::TakeOver(reply) => drop(reply.send(Err(LogError::Closed))),
            }
        }
        self.filled.notify_one();
    }

    /// Wait for work; `None` when the queue is closed.
    pub fn next(&self) -> Option<Work> {
        let mut jobs = self.jobs.lock();
        loop {
            match jobs.all.pop_front() {
                Some(Job::TakeOver(reply)) => return Some(Work::TakeOver(reply)),
                Some(Job::Commit(first, bytes)) => {
                    jobs.bytes -= bytes;
                    let (mut group, mut sum) = (vec![first], bytes);
                    while let Some(Job::Commit(_, bytes)) = jobs.all.front()
                        && sum.saturating_add(*bytes) <= GROUP_BYTES
                        && let Some(Job::Commit(waiting, bytes)) = jobs.all.pop_front()
                    {
                        jobs.bytes -= bytes;
                        sum += bytes;
                        group.push(waiting);
                    }
                    return Some(Work::Commits(group));
                }
                None if jobs.is_closed => return None,
                None => self.filled.wait(&mut jobs),
            }
        }
    }
}

/// Everything that was queued by whom it belongs to fails with the log.
impl Drop for Queue {
    fn drop(&mut self) {
        self.close();
    }
}

/// A queue that is closed when its last user but the writer is gone.
pub(crate) struct Handle(pub Arc<Queue>);

impl Drop for Handle {
    fn drop(&mut self) {
        self.0.close();
    }
}

fn bytes(append: &Append) -> &[u8] {
    match &append.batches {
        Batches::Received(bytes) => bytes,
        Batches::Built(built) => built.bytes(),
    }
}

/// An append's batches, each as long as it says.
fn split(append: &Append) -> impl Iterator<Item = &[u8]> {
    let mut rest = bytes(append);
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let length = batch_length(rest).unwrap_or(rest.len()).clamp(1, rest.len());
        let (batch, behind) = rest.split_at_checked(length)?;
        rest = behind;
        Some(batch)
    })
}

/// How many records an append has, as its batches say.
pub(crate) fn record_count(append: &Append) -> u32 {
    let count = |batch: &[u8]| BatchHeader::parse_fixed(batch).map_or(0, |header| header.record_count);
    split(append).map(count).fold(0, u32::saturating_add)
}

/// An append's batches. Those that came from outside are checked.
pub(crate) fn batches(append: &Append) -> Result<Vec<&[u8]>> {
    let is_ours = matches!(append.batches, Batches::Built(_));
    let checked = |bytes| match if is_ours { Ok(()) } else { check(bytes).map(drop) } {
        Ok(()) => Ok(bytes),
        Err(error) => Err(LogError::BadBatch(error.to_string())),
    };
    split(append).map(checked).collect()
}
