//! A reader's place in a partition: messages that were fetched become record batches, in order. The batches of the
//! last while are kept, so that several readers near each other share one place.

use std::{
    collections::VecDeque,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering, fence},
    },
    time::Duration,
};

use bytes::Bytes;
use parking_lot::{Mutex, MutexGuard};
use rdkafka::error::RDKafkaErrorCode;
use recordlog::{
    LogError, Offset, Result, StoredBatch, TopicPartition,
    batch::{Batch, BatchBuilder, BatchError, BatchHeader, Compression},
};

use tokio::sync::watch;

use crate::{
    errors,
    fetchers::Lease,
    native::{Item, Message},
    watchers::tell,
};

/// Messages make one batch up to so many bytes.
const BATCH_BYTES: usize = 256 << 10;
/// Batches that were read are kept up to so many bytes, for others who come by.
const KEPT_BYTES: usize = 1 << 20;
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
    /// The partition ended at `next` when it was last fetched.
    at_end: bool,
    /// Where it ended last.
    last_end: Offset,
    building: Building,
    failed: Option<LogError>,
}

/// The batch that is being made.
#[derive(Default)]
struct Building {
    builder: BatchBuilder,
    /// Offset of its first record and one past its last.
    range: Option<(Offset, Offset)>,
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
        let state = State {
            lease,
            partition,
            batches: VecDeque::new(),
            bytes: 0,
            next: from,
            at_end: false,
            last_end: -1,
            building: Building::default(),
            failed: None,
        };
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
        self.at_end || self.lease.feed.watermarks().is_some_and(|(_, high)| self.next >= high)
    }

    /// Whether more is known to be there than was fetched.
    pub fn has_more(&self) -> bool {
        self.lease.feed.watermarks().is_some_and(|(_, high)| self.next < high)
    }

    /// First offset of the partition as the last fetch said.
    pub fn start(&self) -> Option<Offset> {
        self.lease.feed.watermarks().map(|(low, _)| low)
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

    /// Make batches of what was fetched, about `bytes_max` bytes; wait at most `timeout` for the first message.
    pub fn pull(&mut self, timeout: Duration, bytes_max: usize) {
        let State { lease, partition, batches, bytes, next, at_end, last_end, building, failed } = self;
        let mut pulled = 0;
        let mut done = |batch: StoredBatch, batches: &mut VecDeque<StoredBatch>| {
            *bytes += batch.bytes.len();
            batches.push_back(batch);
        };
        let count = lease.feed.take(timeout, |item| {
            match item {
                // Again from before a place that was sought.
                Item::Message(message) if message.offset < *next => {}
                Item::Message(message) => {
                    *at_end = false;
                    *next = message.offset.saturating_add(1);
                    pulled += message.key.map_or(0, <[u8]>::len) + message.value.map_or(0, <[u8]>::len);
                    match building.push(partition, &message) {
                        Ok(Some(batch)) => done(batch, batches),
                        Ok(None) => {}
                        Err(error) => *failed = Some(error),
                    }
                }
                Item::End(offset) => {
                    *next = offset.max(*next);
                    (*at_end, *last_end) = (true, offset);
                }
                Item::Failed(code, text) => *failed = Some(failure(partition, code, &text)),
            }
            pulled < bytes_max && failed.is_none()
        });
        match building.finish(partition) {
            Ok(Some(batch)) => done(batch, batches),
            Ok(None) => {}
            Err(error) => *failed = Some(error),
        }
        // Marks of transactions are stepped over without a word; librdkafka's position tells of them. It counts the end
        // of a partition as if a record were there, so that it says nothing right behind one.
        if count == 0
            && let Some(position) = lease.feed.position().filter(|position| *position > last_end.saturating_add(1))
        {
            *next = position.max(*next);
        }
    }
}

impl Building {
    /// Add a message; gives the batch before it when that is full.
    fn push(&mut self, partition: &TopicPartition, message: &Message<'_>) -> Result<Option<StoredBatch>> {
        let mut done = None;
        if let Some((_, next)) = self.range {
            let gap = (message.offset - next).unsigned_abs();
            let full = self.builder.bytes() >= BATCH_BYTES;
            if full || (gap > 0 && self.builder.leave_out(gap).is_err()) {
                done = self.finish(partition)?;
            }
        }
        if !self.append(message) {
            // The format cannot say a batch that large.
            done = self.finish(partition)?;
            if !self.append(message) {
                let what = "the record is too large".to_owned();
                return Err(LogError::Corrupt { partition: partition.clone(), offset: message.offset, what });
            }
        }
        let base = self.range.map_or(message.offset, |(base, _)| base);
        self.range = Some((base, message.offset.saturating_add(1)));
        Ok(done)
    }

    fn append(&mut self, message: &Message<'_>) -> bool {
        let headers = message.headers();
        let headers: Vec<(&str, Option<&[u8]>)> = headers.iter().map(|(name, value)| (&**name, *value)).collect();
        self.builder.push(message.key, message.value, message.time_ms, &headers).is_ok()
    }

    /// The batch as far as it is made.
    fn finish(&mut self, partition: &TopicPartition) -> Result<Option<StoredBatch>> {
        let Some((base_offset, next_offset)) = self.range.take() else { return Ok(None) };
        self.builder.set_base_offset(base_offset);
        let bytes: Bytes = self.builder.finish(Compression::None).map_err(|e| LogError::Corrupt {
            partition: partition.clone(),
            offset: base_offset,
            what: e.to_string(),
        })?;
        Ok(Some(StoredBatch { base_offset, next_offset, arrival: 0, bytes }))
    }
}

/// What of a batch is at or behind an offset.
fn first_from(batch: &StoredBatch, from: Offset) -> Result<StoredBatch, BatchError> {
    let (mut builder, mut next) = (BatchBuilder::new(), None::<Offset>);
    for record in Batch::parse(&batch.bytes)?.records() {
        let record = record?;
        if record.offset < from {
            continue;
        }
        match next {
            Some(next) => builder.leave_out((record.offset - next).unsigned_abs())?,
            None => builder.set_base_offset(record.offset),
        }
        next = Some(record.offset + 1);
        let headers = record.headers.map(|header| header.map(|h| (String::from_utf8_lossy(h.name), h.value)));
        let headers = headers.collect::<Result<Vec<_>, _>>()?;
        let headers: Vec<(&str, Option<&[u8]>)> = headers.iter().map(|(name, value)| (&**name, *value)).collect();
        builder.push(record.key, record.value, record.timestamp_ms, &headers)?;
    }
    let bytes = builder.finish(Compression::None)?;
    let base_offset = BatchHeader::parse_fixed(&bytes)?.base_offset;
    Ok(StoredBatch { base_offset, bytes, ..*batch })
}

/// What a failed fetch means.
fn failure(partition: &TopicPartition, code: RDKafkaErrorCode, text: &str) -> LogError {
    match code {
        RDKafkaErrorCode::UnknownTopicOrPartition | RDKafkaErrorCode::UnknownTopic => {
            LogError::UnknownTopic(partition.topic.to_string())
        }
        RDKafkaErrorCode::UnknownPartition => LogError::UnknownPartition(partition.clone()),
        // What it holds is for the reader to ask.
        RDKafkaErrorCode::AutoOffsetReset | RDKafkaErrorCode::OffsetOutOfRange => {
            LogError::OutOfRange { partition: partition.clone(), offset: -1, start: -1, end: -1 }
        }
        code => match errors::of_code(&format!("reading {partition}"), code) {
            LogError::Unavailable(words) => LogError::Unavailable(format!("{words}: {text}")),
            LogError::Invalid(words) => LogError::Invalid(format!("{words}: {text}")),
            other => other,
        },
    }
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
