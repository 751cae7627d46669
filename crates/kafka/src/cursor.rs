//! A reader's place in a partition: record batches that were fetched, in order. Those of the last while are kept, so that
//! several readers near each other share one place.

use std::{
    collections::VecDeque,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering, fence},
    },
    time::Duration,
};

use parking_lot::{Mutex, MutexGuard};
use recordlog::{
    LogError, Offset, Result, StoredBatch, TopicPartition,
    batch::{self, Batch, BatchBuilder, BatchError, BatchHeader, Compression},
};
use tokio::sync::watch;

use crate::{fetchers::Lease, watchers::tell};

/// Batches that were read are kept up to so many bytes, for others who come by.
const KEPT_BYTES: usize = 256 << 10;
/// A reader so many offsets ahead of a place reads through to its own.
const AHEAD_MAX: Offset = 1000;

/// A place in a partition.
pub(crate) struct Cursor {
    state: Mutex<State>,
    /// First offset that is kept, for a look without waiting.
    first: AtomicI64,
    /// The next offset that will be fetched, for a look without waiting.
    next: AtomicI64,
    /// When somebody read from it last, ms of the monotonic clock.
    used_ms: AtomicU64,
    /// Who watches the topic.
    watchers: Arc<watch::Sender<u64>>,
    /// Somebody wanted to look while it was held: what the holder took in, nobody else would tell him.
    missed: AtomicBool,
}

/// What a cursor knows when it is held.
pub(crate) struct State {
    lease: Lease,
    partition: TopicPartition,
    batches: VecDeque<StoredBatch>,
    bytes: usize,
    next: Offset,
    failed: Option<LogError>,
}

impl Cursor {
    /// A place at which a lease begins to fetch, in a topic watched by `watchers`.
    pub fn new(
        partition: TopicPartition,
        from: Offset,
        lease: Lease,
        watchers: Arc<watch::Sender<u64>>,
        now: Duration,
    ) -> Cursor {
        let state = State { lease, partition, batches: VecDeque::new(), bytes: 0, next: from, failed: None };
        Cursor {
            state: Mutex::new(state),
            first: AtomicI64::new(from),
            next: AtomicI64::new(from),
            used_ms: AtomicU64::new(millis(now)),
            watchers,
            missed: AtomicBool::new(false),
        }
    }

    /// Whether a reader at that offset can read here.
    pub fn covers(&self, from: Offset) -> bool {
        let next = self.next.load(Ordering::Acquire);
        from >= self.first.load(Ordering::Acquire) && from <= next.saturating_add(AHEAD_MAX)
    }

    /// The next offset that will be fetched.
    pub fn next(&self) -> Offset {
        self.next.load(Ordering::Acquire)
    }

    /// When somebody read here last.
    pub fn used(&self) -> Duration {
        Duration::from_millis(self.used_ms.load(Ordering::Relaxed))
    }

    /// Somebody reads here now.
    pub fn use_at(&self, now: Duration) {
        self.used_ms.store(millis(now), Ordering::Relaxed);
    }

    /// Do something with it, when nobody else does.
    pub fn with<T>(&self, work: impl FnOnce(&mut State) -> T) -> T {
        self.work(self.state.lock(), work)
    }

    /// Do something with it unless somebody else does.
    pub fn try_with<T>(&self, work: impl FnOnce(&mut State) -> T) -> Option<T> {
        Some(self.work(self.state.try_lock()?, work))
    }

    /// As [`Cursor::try_with`]; where somebody else is at work, who watches the topic is told when he is done.
    pub fn look<T>(&self, work: impl FnOnce(&mut State) -> T) -> Option<T> {
        let state = self.state.try_lock().or_else(|| {
            self.missed.store(true, Ordering::Relaxed);
            // Either this is seen by the one at work, or he is gone.
            fence(Ordering::SeqCst);
            self.state.try_lock()
        });
        Some(self.work(state?, work))
    }

    fn work<T>(&self, mut state: MutexGuard<'_, State>, work: impl FnOnce(&mut State) -> T) -> T {
        let result = work(&mut state);
        self.first.store(state.first(), Ordering::Release);
        self.next.store(state.next, Ordering::Release);
        drop(state);
        fence(Ordering::SeqCst);
        if self.missed.swap(false, Ordering::Relaxed) {
            tell(&self.watchers);
        }
        result
    }
}

impl State {
    fn first(&self) -> Offset {
        self.batches.front().map_or(self.next, |batch| batch.base_offset)
    }

    /// Whether a reader at that offset can read here.
    pub fn covers(&self, from: Offset) -> bool {
        from >= self.first() && from <= self.next.saturating_add(AHEAD_MAX)
    }

    /// The next offset that will be fetched.
    pub fn next(&self) -> Offset {
        self.next
    }

    /// Whether nothing more was there when the partition was last fetched: then the next fetch is under way.
    pub fn is_at_end(&self) -> bool {
        self.lease.feed.ends().is_some_and(|ends| self.next >= ends.stable)
    }

    /// Whether more is known to be there than was fetched.
    pub fn has_more(&self) -> bool {
        self.lease.feed.ends().is_some_and(|ends| self.next < ends.stable)
    }

    /// Where the partition ends for a reader, as the last fetch said, while one is under way.
    pub fn end(&self) -> Option<Offset> {
        self.lease.feed.ends().filter(|_| self.lease.feed.has_room()).map(|ends| ends.stable)
    }

    /// First offset of the partition as the last fetch said.
    pub fn start(&self) -> Option<Offset> {
        self.lease.feed.ends().and_then(|ends| ends.low)
    }

    /// Why it cannot be fetched now, if that is known.
    pub fn trouble(&self) -> Option<String> {
        self.lease.feed.trouble()
    }

    /// Why no more can be read here, once.
    pub fn take_failure(&mut self) -> Option<LogError> {
        self.failed.take()
    }

    /// Batches from the one with `from` on, of about `bytes_max` bytes.
    pub fn kept(&self, from: Offset, bytes_max: usize) -> Vec<StoredBatch> {
        let at = self.batches.partition_point(|batch| batch.next_offset <= from);
        let mut bytes = 0;
        let fits = |batch: &&StoredBatch| {
            let room = bytes < bytes_max;
            bytes += batch.bytes.len();
            room
        };
        self.batches.range(at..).take_while(fits).cloned().collect()
    }

    /// As [`State::kept`], without the records before `from`: in another place they may be in other batches, and who
    /// goes from one to the other would see them twice.
    pub fn cut(&self, from: Offset, bytes_max: usize) -> Result<Vec<StoredBatch>> {
        let mut batches = self.kept(from, bytes_max);
        if let Some(first) = batches.first_mut().filter(|batch| batch.base_offset < from) {
            *first = first_from(first, from).map_err(|e| LogError::Corrupt {
                partition: self.partition.clone(),
                offset: first.base_offset,
                what: e.to_string(),
            })?;
        }
        Ok(batches)
    }

    /// Let go of what a reader at `from` has behind it, but for some.
    pub fn forget(&mut self, from: Offset) {
        while self.bytes > KEPT_BYTES && self.batches.front().is_some_and(|batch| batch.next_offset <= from) {
            if let Some(batch) = self.batches.pop_front() {
                self.bytes -= batch.bytes.len();
            }
        }
    }

    /// Take in what was fetched, about `bytes_max` bytes; wait at most `timeout` for something.
    pub fn pull(&mut self, timeout: Duration, bytes_max: usize) {
        let taken = self.lease.feed.take(timeout, bytes_max);
        self.bytes += taken.batches.iter().map(|batch| batch.bytes.len()).sum::<usize>();
        self.batches.extend(taken.batches);
        self.next = taken.next;
        if taken.failure.is_some() {
            self.failed = taken.failure;
        }
    }
}

/// What of a batch is at or behind an offset; that may be nothing but its end, where the rest was compacted away.
fn first_from(batch: &StoredBatch, from: Offset) -> Result<StoredBatch, BatchError> {
    let (mut builder, mut next) = (BatchBuilder::new(), None::<Offset>);
    for record in Batch::parse_verified(&batch.bytes)?.records() {
        let record = record?;
        if record.offset < from {
            continue;
        }
        match next {
            Some(next) => builder.leave_out((record.offset - next).unsigned_abs())?,
            None => builder.set_base_offset(record.offset),
        }
        next = Some(record.offset + 1);
        builder.push_record(&record)?;
    }
    if builder.is_empty() {
        let bytes = batch::without_records(&BatchHeader::parse(&batch.bytes)?, &batch.bytes);
        return Ok(StoredBatch { bytes, ..*batch });
    }
    let bytes = builder.finish(Compression::None)?;
    let header = BatchHeader::parse_fixed(&bytes)?;
    Ok(StoredBatch { base_offset: header.base_offset, next_offset: header.next_offset(), bytes, ..*batch })
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
