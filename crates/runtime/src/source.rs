//! Records of topic partitions → rows.
//!
//! Where the order between partitions matters, an epoch takes records strictly in order of arrival: it stops at the
//! first record, over all partitions, that it has not fetched. Where the log does not number what arrives, order is by
//! time ([`crate::order`]). Tables that are read as they stood when the query began
//! come first (START = 'snapshot'): until they are read that far, an epoch takes records of theirs alone.

use std::{collections::VecDeque, sync::Arc};

use catalog::Source;
use rayon::prelude::*;
use recordlog::{Offset, RecordLog, StoredBatch, Topic, TopicPartition};
use types::{Error, Result};

use crate::{
    log_error,
    order::{Numbers, Times, take_by_time},
    shared::Membership,
};

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

/// The same where they are decoded for others, too: what an epoch of most of them reads.
const SHARED_BYTES_MAX: usize = 4 << 20;

/// Bytes that are fetched and decoded at a time: they and their columns fit a core's cache.
pub(crate) const PIECE_BYTES: usize = 256 << 10;

/// The topic that holds a source's records.
///
/// # Errors
/// There is none; the log's.
pub fn topic_of(source: &Source, log: &dyn RecordLog) -> Result<Topic> {
    let unknown = || Error::undefined_source(format!("topic {} of {} does not exist", source.topic, source.name));
    log.topic(&source.topic).map_err(log_error)?.ok_or_else(unknown)
}

/// What makes rows of records.
pub(crate) trait Rows {
    /// Add the records of a batch that count in `taken`.
    ///
    /// # Errors
    /// The batch is damaged.
    fn push(&mut self, partition: &TopicPartition, stored: &StoredBatch, taken: &Taken) -> Result<()>;
}

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
    /// Where the log gives records no numbers: those that its query gives.
    pub numbers: Option<Arc<Numbers>>,
    /// Where records are put in order by time.
    pub times: Option<Times>,
    /// Bytes of the longest batch fetched so far.
    longest: usize,
    /// Up to here there is nothing behind what was fetched.
    bare_to: Offset,
}

/// Batches taken for an epoch, with the range of offsets that counts.
pub(crate) struct Taken {
    pub batches: Vec<StoredBatch>,
    pub from: Offset,
    pub to: Offset,
    /// Records whose arrival number is not below this wait.
    pub arrival_end: u64,
    /// The numbers of the records, in order, where the log gives none; else nothing.
    pub runs: Vec<Run>,
}

/// What was read of a partition in an epoch, without its bytes.
pub(crate) struct ReadRange {
    pub from: Offset,
    pub to: Offset,
    /// In order.
    pub runs: Vec<Run>,
}

impl ReadRange {
    /// What comes next was read as well.
    pub fn extend(&mut self, taken: &Taken) {
        if self.runs.is_empty() {
            // Where records were deleted unread, reading begins behind them.
            self.from = taken.from;
        }
        self.to = taken.to;
        self.runs.extend(taken.numbered());
    }
}

/// Records whose numbers follow each other as their offsets do: a batch's, where the log numbers.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Run {
    pub base_offset: Offset,
    /// The first record's; the others' follow.
    pub arrival: u64,
    pub arrival_end: u64,
}

impl Run {
    fn of(batch: &StoredBatch) -> Run {
        let records = (batch.next_offset - batch.base_offset).unsigned_abs();
        Run { base_offset: batch.base_offset, arrival: batch.arrival, arrival_end: batch.arrival + records }
    }

    /// One past its last offset.
    pub fn next_offset(&self) -> Offset {
        self.base_offset + (self.arrival_end - self.arrival).cast_signed()
    }
}

/// The numbers of a batch's records, asked for in order of offset.
pub(crate) struct RecordNumbers<'a> {
    batch: &'a StoredBatch,
    runs: &'a [Run],
}

impl RecordNumbers<'_> {
    /// That of the record at `offset`.
    pub fn at(&mut self, offset: Offset) -> u64 {
        while let Some((run, others)) = self.runs.split_first() {
            if offset < run.next_offset() {
                return run.arrival + (offset - run.base_offset).max(0).unsigned_abs();
            }
            self.runs = others;
        }
        self.batch.arrival + (offset - self.batch.base_offset).unsigned_abs()
    }
}

impl Taken {
    /// Where it was read, when its bytes are not needed any more.
    pub fn range(&self) -> ReadRange {
        ReadRange { from: self.from, to: self.to, runs: self.numbered().collect() }
    }

    fn numbered(&self) -> impl Iterator<Item = Run> {
        let by_log = if self.runs.is_empty() { self.batches.as_slice() } else { &[] };
        by_log.iter().map(Run::of).chain(self.runs.iter().copied())
    }

    /// The numbers of the records of one of its batches.
    pub fn numbers<'a>(&'a self, batch: &'a StoredBatch) -> RecordNumbers<'a> {
        let before = self.runs.partition_point(|run| run.next_offset() <= batch.base_offset);
        RecordNumbers { batch, runs: self.runs.get(before..).unwrap_or_default() }
    }

    /// Whether bytes of it were left in the log.
    pub fn is_hollow(&self) -> bool {
        self.batches.iter().any(is_hollow)
    }

    /// What of it lies from one offset to before another.
    pub fn part(&self, from: Offset, to: Offset) -> Taken {
        let within = |b: &&StoredBatch| b.base_offset < to && b.next_offset > from;
        let batches = self.batches.iter().filter(within).cloned().collect();
        Taken { batches, from, to, arrival_end: self.arrival_end, runs: self.runs.clone() }
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
        Reader {
            partition,
            topic_id,
            next,
            snapshot_end: None,
            buffered: VecDeque::new(),
            buffered_bytes: 0,
            shared: None,
            numbers: None,
            times: None,
            longest: 0,
            bare_to: 0,
        }
    }

    /// Whether nobody else reads with it now, and nothing of it comes before everything else.
    pub fn is_alone(&self) -> bool {
        self.snapshot_end.is_none() && !self.shared.as_ref().is_some_and(Membership::has_company)
    }

    /// Read for itself from here on; with whom it was read, to be given back.
    pub fn leave_company(&mut self) -> Option<Membership> {
        self.drop_hollow();
        self.shared.take()
    }

    /// One past what was fetched.
    pub fn fetched(&self) -> Offset {
        self.buffered.back().map_or(self.next, |(batch, _)| batch.next_offset)
    }

    /// Whether something was fetched that is not taken.
    pub fn has_fetched(&self) -> bool {
        !self.buffered.is_empty()
    }

    /// Up to where what was fetched may be taken.
    pub fn limit(&self) -> Offset {
        self.fetched().min(self.snapshot_end.unwrap_or(Offset::MAX))
    }

    /// Whether there may be more than was fetched.
    pub fn is_behind(&self, log: &dyn RecordLog) -> Result<bool> {
        let ends = log.offsets(&self.partition).map_err(log_error)?;
        Ok(ends.end > self.fetched().max(self.bare_to))
    }

    /// Fetch up to about `bytes`; whether there is more behind.
    pub fn fill(&mut self, log: &dyn RecordLog, bytes: usize) -> Result<bool> {
        let ends = log.offsets(&self.partition).map_err(log_error)?;
        loop {
            if self.buffered.is_empty() {
                self.next = self.next.max(self.bare_to);
            }
            let fetched = self.fetched().max(self.bare_to);
            if fetched >= ends.end {
                return Ok(false);
            }
            // What others have decoded comes in pieces: a whole one is not to be put together with a bit of the next.
            let company = self.shared.as_ref().filter(|shared| shared.has_company());
            let enough = if company.is_some() { bytes - bytes / 4 } else { bytes };
            if self.buffered_bytes >= enough {
                return Ok(true);
            }
            if fetched < ends.start {
                tracing::warn!(partition = %self.partition, from = fetched, to = ends.start, "records were deleted unread");
                self.next = self.next.max(ends.start);
                self.buffered.clear();
                self.buffered_bytes = 0;
                self.times.iter_mut().for_each(Times::forget);
                continue;
            }
            // Whole batches, and little of one more, which is fetched in vain.
            let left = bytes - self.buffered_bytes;
            let wanted = match left.checked_div(self.longest) {
                Some(whole) => self.longest.saturating_mul(whole.max(1)).saturating_add(self.longest / 32),
                None => left,
            };
            let wanted = wanted.min(if company.is_some() { SHARED_BYTES_MAX } else { FETCH_BYTES_MAX });
            let batches = match company {
                Some(shared) => shared.fetch(log, &self.partition, fetched, wanted)?,
                None => sized(log.read(&self.partition, fetched, wanted).map_err(log_error)?),
            };
            if batches.is_empty() {
                if self.numbers.is_none() {
                    return Ok(false);
                }
                // Nothing but marks of transactions and records of aborted ones, which nobody reads.
                self.bare_to = ends.end;
            }
            for (batch, bytes) in batches {
                if let Some(times) = &mut self.times {
                    times.note(&batch, self.next).map_err(|e| damaged(&self.partition, &batch, &e))?;
                }
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
    pub fn arrival_end(&self) -> u64 {
        self.buffered.back().map_or(0, |(b, _)| b.arrival + (b.next_offset - b.base_offset).unsigned_abs())
    }

    /// What is there, of about `bytes` bytes, decoded piece by piece while it is in the processor's cache; records at
    /// or behind `end` are left.
    pub fn read_all(
        &mut self,
        rows: &mut dyn Rows,
        log: &dyn RecordLog,
        bytes: usize,
        end: Offset,
    ) -> Result<ReadRange> {
        let shared = self.leave_company();
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

    fn read_raw(&mut self, rows: &mut dyn Rows, log: &dyn RecordLog, bytes: usize, end: Offset) -> Result<ReadRange> {
        let mut all = ReadRange { from: self.next, to: self.next, runs: vec![] };
        let mut read = 0;
        loop {
            let more = self.fill(log, PIECE_BYTES.min(bytes - read))?;
            let mut taken = self.take(u64::MAX);
            taken.to = taken.to.min(end);
            for batch in &taken.batches {
                read += batch.bytes.len();
                rows.push(&self.partition, batch, &taken)?;
            }
            all.extend(&taken);
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

    /// What was fetched and is before `to`.
    pub fn take_to(&mut self, to: Offset) -> Taken {
        let mut taken = self.cut(u64::MAX, to);
        if let Some(numbers) = &self.numbers {
            let run = |batch: &StoredBatch| {
                let first = batch.base_offset.max(taken.from);
                let count = (batch.next_offset.min(taken.to) - first).max(0).unsigned_abs();
                let arrival = numbers.reserve(count);
                Run { base_offset: first, arrival, arrival_end: arrival + count }
            };
            taken.runs = taken.batches.iter().map(run).collect();
        }
        taken
    }

    /// What was fetched and is in these runs, which are all that comes next.
    pub fn take_runs(&mut self, runs: Vec<Run>) -> Taken {
        let to = runs.last().map_or(self.next, Run::next_offset);
        Taken { runs, ..self.cut(u64::MAX, to) }
    }

    /// What was fetched and came before a number, where the log gives numbers.
    pub fn take(&mut self, arrival_end: u64) -> Taken {
        match self.numbers {
            Some(_) if arrival_end > 0 => self.take_to(Offset::MAX),
            _ => self.cut(arrival_end, Offset::MAX),
        }
    }

    /// What was fetched and came before a number, where the log gives numbers, and is before an offset.
    fn cut(&mut self, arrival_end: u64, to: Offset) -> Taken {
        let until = self.snapshot_end.unwrap_or(Offset::MAX).min(to);
        let from = self.next;
        let mut batches = vec![];
        while let Some((batch, _)) = self.buffered.front() {
            let count = (batch.next_offset - batch.base_offset).unsigned_abs();
            let before_end = (until - batch.base_offset).max(0).unsigned_abs();
            let within = arrival_end.saturating_sub(batch.arrival).min(count).min(before_end);
            let end = batch.base_offset + within.cast_signed();
            if within == 0 || within < count && end <= self.next {
                break;
            }
            self.next = self.next.max(end);
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
        self.times.iter_mut().for_each(|times| times.take(self.next));
        Taken { batches, from, to: self.next, arrival_end, runs: vec![] }
    }
}

/// The error for bytes that are no sound batch.
pub(crate) fn damaged(partition: &TopicPartition, batch: &StoredBatch, why: &dyn std::fmt::Display) -> Error {
    Error::corrupt(format!("{partition} is damaged at offset {}: {why}", batch.base_offset))
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
    let bytes = match cut {
        Cut::Bytes(bytes) => bytes.max(1),
        // Enough for records of any usual size; a batch is fetched whole anyway.
        Cut::Records(n) => n.saturating_mul(64).clamp(1, FETCH_BYTES_MAX),
    };
    // Between the looks at two partitions both may grow: a record in the later one must not overtake an older one in
    // the earlier.
    let Some(arrived) = log.arrival_end() else {
        let records_max = if let Cut::Records(n) = cut { n as u64 } else { u64::MAX };
        return take_by_time(readers, log, (bytes, records_max), ordered, pool);
    };
    let mut end = if ordered { arrived } else { u64::MAX };
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
