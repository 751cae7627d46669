//! Records of topic partitions → rows.
//!
//! Where the order between partitions matters, an epoch takes records strictly in order of arrival: it stops at the
//! first record, over all partitions, that it has not fetched. Tables that are read as they stood when the query began
//! come first (START = 'snapshot'): until they are read that far, an epoch takes records of theirs alone.

use std::collections::VecDeque;

use rayon::prelude::*;
use recordlog::{Offset, RecordLog, StoredBatch, TopicPartition};
use types::Result;

use crate::{log_error, rows::RowReader, shared::Membership};

/// How much an epoch takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cut {
    /// At most so many records over all partitions.
    Records(usize),
    /// About so many bytes a partition.
    Bytes(usize),
}

/// Bytes that one look at a partition fetches at most when all is to be read.
const FETCH_BYTES_MAX: usize = 8 << 20;

/// Bytes that are fetched and decoded at a time: they and their columns fit a core's cache.
const PIECE_BYTES: usize = 256 << 10;

/// Where a partition's reading stands.
pub(crate) struct Reader {
    pub partition: TopicPartition,
    /// The topic's id, as progress has it.
    pub topic_id: Option<String>,
    /// The next offset to take.
    pub next: Offset,
    /// START = 'snapshot': where the partition ended when the query began, until it is read that far.
    pub snapshot_end: Option<Offset>,
    /// Fetched and not taken wholly, with their bytes in the log.
    buffered: VecDeque<(StoredBatch, usize)>,
    buffered_bytes: usize,
    /// With whom it is read.
    pub shared: Option<Membership>,
    /// Bytes of the longest batch fetched so far.
    longest: usize,
}

/// Batches taken for an epoch, with the range of offsets that counts.
pub(crate) struct Taken {
    pub batches: Vec<StoredBatch>,
    pub from: Offset,
    pub to: Offset,
    /// Records whose arrival number is not below this wait.
    pub arrival_end: u64,
}

/// What was read of a partition in an epoch, without its bytes.
pub(crate) struct ReadRange {
    pub from: Offset,
    pub to: Offset,
    /// In order.
    pub batches: Vec<BatchPlace>,
}

/// Which records a batch holds.
#[derive(Debug, Clone, Copy)]
pub(crate) struct BatchPlace {
    pub base_offset: Offset,
    /// The first record's; the others' follow.
    pub arrival: u64,
    pub arrival_end: u64,
}

impl BatchPlace {
    fn of(batch: &StoredBatch) -> BatchPlace {
        let records = (batch.next_offset - batch.base_offset).unsigned_abs();
        BatchPlace { base_offset: batch.base_offset, arrival: batch.arrival, arrival_end: batch.arrival + records }
    }
}

impl Taken {
    /// Where it was read, when its bytes are not needed any more.
    pub fn range(&self) -> ReadRange {
        ReadRange { from: self.from, to: self.to, batches: self.batches.iter().map(BatchPlace::of).collect() }
    }

    /// Whether bytes of it were left in the log.
    pub fn is_hollow(&self) -> bool {
        self.batches.iter().any(is_hollow)
    }

    /// What of it lies from one offset to before another.
    pub fn part(&self, from: Offset, to: Offset) -> Taken {
        let within = |b: &&StoredBatch| b.base_offset < to && b.next_offset > from;
        let batches = self.batches.iter().filter(within).cloned().collect();
        Taken { batches, from, to, arrival_end: self.arrival_end }
    }

    /// Whether a record counts, by its offset and arrival number.
    pub fn has(&self, offset: Offset, arrival: u64) -> bool {
        offset >= self.from && offset < self.to && arrival < self.arrival_end
    }

    /// Whether all records of a batch count.
    pub fn has_all_of(&self, batch: &StoredBatch) -> bool {
        let arrival_end = batch.arrival + (batch.next_offset - batch.base_offset).unsigned_abs();
        self.from <= batch.base_offset && batch.next_offset <= self.to && arrival_end <= self.arrival_end
    }
}

impl Reader {
    pub fn new(partition: TopicPartition, next: Offset, topic_id: Option<String>) -> Reader {
        let (snapshot_end, buffered) = (None, VecDeque::new());
        let shared = None;
        Reader { partition, topic_id, next, snapshot_end, buffered, buffered_bytes: 0, longest: 0, shared }
    }

    /// Fetch up to about `bytes`; whether there is more behind.
    fn fill(&mut self, log: &dyn RecordLog, bytes: usize) -> Result<bool> {
        let mut ends = log.offsets(&self.partition).map_err(log_error)?;
        loop {
            let fetched = self.buffered.back().map_or(self.next, |(b, _)| b.next_offset);
            if fetched >= ends.end {
                return Ok(false);
            }
            if self.buffered_bytes >= bytes {
                return Ok(true);
            }
            if fetched < ends.start {
                tracing::warn!(partition = %self.partition, from = fetched, to = ends.start, "records were deleted unread");
                self.next = self.next.max(ends.start);
                self.buffered.clear();
                self.buffered_bytes = 0;
                continue;
            }
            // A whole batch, or else the beginning of one is fetched in vain.
            let wanted = (bytes - self.buffered_bytes).max(self.longest + self.longest / 8).min(FETCH_BYTES_MAX);
            let batches = match self.shared.as_ref().filter(|shared| shared.has_company()) {
                Some(shared) => shared.fetch(log, &self.partition, fetched, wanted)?,
                None => sized(log.read(&self.partition, fetched, wanted).map_err(log_error)?),
            };
            if batches.is_empty() {
                ends.end = fetched;
            }
            for (batch, bytes) in batches {
                self.longest = self.longest.max(bytes);
                self.buffered_bytes += bytes;
                self.buffered.push_back((batch, bytes));
            }
        }
    }

    /// Records that wait, fetched or not, about.
    pub fn waiting(&self, log: &dyn RecordLog) -> Result<u64> {
        let ends = log.offsets(&self.partition).map_err(log_error)?;
        Ok((ends.end - self.next.max(ends.start)).max(0).unsigned_abs())
    }

    /// Arrival numbers of records not taken yet, at most `n`.
    fn arrivals(&self, n: usize) -> impl Iterator<Item = u64> {
        let next = self.next;
        self.buffered
            .iter()
            .flat_map(move |(b, _)| {
                let count = b.next_offset - b.base_offset;
                let skip = (next - b.base_offset).clamp(0, count);
                (skip..count).map(move |i| b.arrival + i.unsigned_abs())
            })
            .take(n)
    }

    /// One past the arrival number of the last record fetched.
    fn arrival_end(&self) -> u64 {
        self.buffered.back().map_or(0, |(b, _)| b.arrival + (b.next_offset - b.base_offset).unsigned_abs())
    }

    /// What is there, of about `bytes` bytes, decoded piece by piece while it is in the processor's cache; records at
    /// or behind `end` are left.
    pub fn read_all(
        &mut self,
        rows: &mut RowReader,
        log: &dyn RecordLog,
        bytes: usize,
        end: Offset,
    ) -> Result<ReadRange> {
        self.drop_hollow();
        let shared = self.shared.take();
        let all = self.read_raw(rows, log, bytes, end);
        self.shared = shared;
        all
    }

    /// Let go of batches whose bytes were left in the log: they are fetched again.
    fn drop_hollow(&mut self) {
        if let Some(first) = self.buffered.iter().position(|(batch, _)| is_hollow(batch)) {
            self.buffered.truncate(first);
            self.buffered_bytes = self.buffered.iter().map(|(_, bytes)| bytes).sum();
        }
    }

    fn read_raw(&mut self, rows: &mut RowReader, log: &dyn RecordLog, bytes: usize, end: Offset) -> Result<ReadRange> {
        let mut all = ReadRange { from: self.next, to: self.next, batches: vec![] };
        let mut read = 0;
        loop {
            let more = self.fill(log, PIECE_BYTES.min(bytes - read))?;
            let mut taken = self.take(u64::MAX);
            if all.batches.is_empty() {
                // Where records were deleted unread, reading begins behind them.
                all.from = taken.from;
            }
            taken.to = taken.to.min(end);
            for batch in &taken.batches {
                read += batch.bytes.len();
                rows.push(&self.partition, batch, &taken)?;
            }
            all.to = taken.to;
            all.batches.extend(taken.batches.iter().map(BatchPlace::of));
            if !more || read >= bytes || all.to >= end {
                return Ok(all);
            }
        }
    }

    /// What is there, of about `bytes` bytes.
    pub fn take_all(&mut self, log: &dyn RecordLog, bytes: usize) -> Result<Taken> {
        self.fill(log, bytes)?;
        Ok(self.take(u64::MAX))
    }

    /// Nothing.
    pub fn take_none(&mut self) -> Taken {
        self.take(0)
    }

    fn take(&mut self, arrival_end: u64) -> Taken {
        let until = self.snapshot_end.unwrap_or(Offset::MAX);
        let from = self.next;
        let mut batches = vec![];
        while let Some((batch, _)) = self.buffered.front() {
            let count = (batch.next_offset - batch.base_offset).unsigned_abs();
            let before_end = (until - batch.base_offset).max(0).unsigned_abs();
            let within = arrival_end.saturating_sub(batch.arrival).min(count).min(before_end);
            if within == 0 {
                break;
            }
            self.next = self.next.max(batch.base_offset + within.cast_signed());
            if within < count {
                batches.push(batch.clone());
                break;
            }
            if let Some((batch, bytes)) = self.buffered.pop_front() {
                self.buffered_bytes -= bytes;
                batches.push(batch);
            }
        }
        self.snapshot_end = self.snapshot_end.filter(|end| self.next < *end);
        Taken { batches, from, to: self.next, arrival_end }
    }
}

/// Batches with the bytes that they have in the log.
pub(crate) fn sized(batches: Vec<StoredBatch>) -> Vec<(StoredBatch, usize)> {
    batches.into_iter().map(|batch| (batch.bytes.len(), batch)).map(|(bytes, batch)| (batch, bytes)).collect()
}

/// Whether a batch stands for one whose bytes were left in the log, since its rows are known.
pub(crate) fn is_hollow(batch: &StoredBatch) -> bool {
    batch.bytes.is_empty()
}

/// Take an epoch's records from all readers; `ordered`: strictly in order of arrival. Gives one entry a reader.
pub(crate) fn take_epoch(
    readers: &mut [&mut Reader],
    log: &dyn RecordLog,
    cut: Cut,
    ordered: bool,
    pool: Option<&rayon::ThreadPool>,
) -> Result<Vec<Taken>> {
    if readers.iter().any(|r| r.snapshot_end.is_some()) {
        let taken = take_snapshots(readers, log, cut, pool)?;
        if taken.iter().any(|t| t.to > t.from) {
            return Ok(taken);
        }
        // The rest of what was there has been deleted since.
        readers.iter_mut().for_each(|r| r.snapshot_end = None);
    }
    take_arrived(readers, log, cut, ordered, pool)
}

/// Records of the tables that come first, in order of arrival.
fn take_snapshots(
    readers: &mut [&mut Reader],
    log: &dyn RecordLog,
    cut: Cut,
    pool: Option<&rayon::ThreadPool>,
) -> Result<Vec<Taken>> {
    let (mut first, mut others): (Vec<_>, Vec<_>) =
        readers.iter_mut().enumerate().partition(|(_, r)| r.snapshot_end.is_some());
    let mut of_tables: Vec<&mut Reader> = first.iter_mut().map(|(_, r)| &mut ***r).collect();
    let taken = take_arrived(&mut of_tables, log, cut, true, pool)?;
    let mut all: Vec<(usize, Taken)> = first.iter().map(|(at, _)| *at).zip(taken).collect();
    all.extend(others.iter_mut().map(|(at, r)| (*at, r.take_none())));
    all.sort_by_key(|(at, _)| *at);
    Ok(all.into_iter().map(|(_, taken)| taken).collect())
}

fn take_arrived(
    readers: &mut [&mut Reader],
    log: &dyn RecordLog,
    cut: Cut,
    ordered: bool,
    pool: Option<&rayon::ThreadPool>,
) -> Result<Vec<Taken>> {
    // Between the looks at two partitions both may grow: a record in the later one must not overtake an older one in
    // the earlier.
    let mut end = if ordered { log.arrival_end() } else { u64::MAX };
    let bytes = match cut {
        Cut::Bytes(bytes) => bytes.max(1),
        // Enough for records of any usual size; a batch is fetched whole anyway.
        Cut::Records(n) => n.saturating_mul(64).clamp(1, FETCH_BYTES_MAX),
    };
    let fill = |reader: &mut &mut Reader| reader.fill(log, bytes);
    let more: Vec<bool> = match pool {
        Some(pool) => pool.install(|| readers.par_iter_mut().map(fill).collect::<Result<_>>())?,
        None => readers.iter_mut().map(fill).collect::<Result<_>>()?,
    };
    if ordered || matches!(cut, Cut::Records(_)) {
        let cut_off = readers.iter().zip(&more).filter(|(_, more)| **more);
        end = cut_off.map(|(reader, _)| reader.arrival_end()).fold(end, u64::min);
    }
    if let Cut::Records(n) = cut {
        let mut arrivals: Vec<u64> = readers.iter().flat_map(|r| r.arrivals(n.saturating_add(1))).collect();
        arrivals.sort_unstable();
        arrivals.dedup();
        end = end.min(arrivals.get(n).copied().unwrap_or(u64::MAX));
    }
    Ok(readers.iter_mut().map(|r| r.take(end)).collect())
}
