//! Order over partitions where the log gives none: by time.
//!
//! A log on one machine numbers what it accepts; a cluster does not. There a query that needs its records in order takes
//! them by their time, as Kafka Streams does, and numbers them itself; the number, shifted, is a row's `seq` as ever. A
//! partition's time never goes back: a record counts as old as the latest before it. Of two records of one time that of
//! the partition which is listed first comes first.
//!
//! A partition with more behind what was fetched holds the others back: they are taken up to its last record, to the
//! record. One that is at its end holds nobody back, since nothing says when it will go on; what comes to it later is
//! later, whatever time it bears.
//!
//! Numbers and times go on over restarts: both are part of a query's progress.

use std::{
    cmp::Reverse,
    collections::{BinaryHeap, HashMap, VecDeque},
    sync::atomic::{AtomicU64, Ordering},
};

use rayon::prelude::*;
use recordlog::{
    Offset, RecordLog, StoredBatch,
    batch::{BatchError, BatchHeader, RecordRanges, decode_ranges},
};
use types::Result;

use crate::source::{Reader, Run, Taken};

/// How often partitions that were at their ends are looked at again because one of them had grown.
const LOOKS_MAX: usize = 4;

/// The numbers that a query gives to the records that it reads.
#[derive(Debug, Default)]
pub(crate) struct Numbers(AtomicU64);

impl Numbers {
    /// From `next` on.
    pub fn starting_at(next: u64) -> Numbers {
        Numbers(AtomicU64::new(next))
    }

    /// The one that is given next.
    pub fn next(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }

    /// The first of `count` that follow each other.
    pub fn reserve(&self, count: u64) -> u64 {
        self.0.fetch_add(count, Ordering::Relaxed)
    }
}

/// The times of what a reader has fetched: a line that only rises.
#[derive(Debug)]
pub(crate) struct Times {
    /// At the end of what was fetched.
    fetched: i64,
    /// At the end of what was taken.
    taken: i64,
    /// From which offset on which time holds, until the next one's.
    rises: VecDeque<(Offset, i64)>,
    ranges: RecordRanges,
}

impl Times {
    /// Where the records taken before ended at `taken`; `None`: there were none.
    pub fn after(taken: Option<i64>) -> Times {
        let taken = taken.unwrap_or(i64::MIN);
        Times { fetched: taken, taken, rises: VecDeque::new(), ranges: RecordRanges::default() }
    }

    /// The time that the records taken so far have come to; `None`: there were none.
    pub fn taken(&self) -> Option<i64> {
        (self.taken > i64::MIN).then_some(self.taken)
    }

    /// A batch was fetched; its records before `from` do not count.
    pub fn note(&mut self, batch: &StoredBatch, from: Offset) -> Result<(), BatchError> {
        if self.rises.is_empty() {
            self.rises.push_back((batch.base_offset, self.fetched));
        }
        let header = BatchHeader::parse_fixed(&batch.bytes)?;
        if header.max_timestamp <= self.fetched {
            return Ok(());
        }
        if header.base_timestamp == header.max_timestamp && batch.base_offset >= from {
            self.rise(batch.base_offset, header.max_timestamp);
            return Ok(());
        }
        let mut ranges = std::mem::take(&mut self.ranges);
        decode_ranges(&batch.bytes, &mut ranges)?;
        for (delta, time) in ranges.offset_deltas.iter().zip(&ranges.timestamps_ms) {
            let offset = ranges.base_offset + i64::from(*delta);
            if *time > self.fetched && offset >= from {
                self.rise(offset, *time);
            }
        }
        self.ranges = ranges;
        Ok(())
    }

    fn rise(&mut self, offset: Offset, time: i64) {
        self.fetched = time;
        match self.rises.back_mut() {
            Some((last, reached)) if *last == offset => *reached = time,
            _ => self.rises.push_back((offset, time)),
        }
    }

    /// What is before `to` was taken.
    pub fn take(&mut self, to: Offset) {
        while let Some((offset, time)) = self.rises.front().copied() {
            if offset >= to {
                break;
            }
            self.taken = time;
            if self.rises.get(1).is_none_or(|(next, _)| *next > to) {
                break;
            }
            self.rises.pop_front();
        }
    }

    /// What was fetched and not taken is let go.
    pub fn forget(&mut self) {
        self.rises.clear();
        self.fetched = self.taken;
    }

    /// The records from `at` on that have one time: that time, and where they end; `place` is a hint that goes on.
    fn run_from(&self, at: Offset, place: &mut usize, limit: Offset) -> Option<(i64, Offset)> {
        if at >= limit {
            return None;
        }
        while self.rises.get(*place + 1).is_some_and(|(next, _)| *next <= at) {
            *place += 1;
        }
        let time = self.rises.get(*place).map_or(self.fetched, |(_, time)| *time);
        let end = self.rises.get(*place + 1).map_or(limit, |(next, _)| (*next).min(limit));
        Some((time, end))
    }
}

/// Take an epoch's records, at most `records_max`, of about `bytes` bytes a partition; `ordered`: by time. One entry a
/// reader.
pub(crate) fn take_by_time(
    readers: &mut [&mut Reader],
    log: &dyn RecordLog,
    (bytes, records_max): (usize, u64),
    ordered: bool,
    pool: Option<&rayon::ThreadPool>,
) -> Result<Vec<Taken>> {
    let more = fill_all(readers, log, bytes, pool)?;
    if !ordered || readers.len() == 1 {
        let mut left = records_max;
        let one_after_the_other = readers.iter_mut().map(|reader| {
            let taken = reader.take_to(reader.next.saturating_add_unsigned(left));
            left -= (taken.to - taken.from).unsigned_abs().min(left);
            taken
        });
        return Ok(one_after_the_other.collect());
    }
    let mut runs: Vec<Vec<Run>> = readers.iter().map(|_| vec![]).collect();
    merge(readers, &more, records_max, &mut runs);
    Ok(readers.iter_mut().zip(runs).map(|(reader, runs)| reader.take_runs(runs)).collect())
}

/// Fetch; which partitions have more behind what was fetched.
fn fill_all(
    readers: &mut [&mut Reader],
    log: &dyn RecordLog,
    bytes: usize,
    pool: Option<&rayon::ThreadPool>,
) -> Result<Vec<bool>> {
    let fill = |reader: &mut &mut Reader| reader.fill(log, bytes);
    let mut more: Vec<bool> = match pool {
        Some(pool) => pool.install(|| readers.par_iter_mut().map(fill).collect::<Result<_>>())?,
        None => readers.iter_mut().map(fill).collect::<Result<_>>()?,
    };
    // Between the looks at two partitions both may grow: a record in the later one must not overtake an older one in
    // the earlier.
    for _ in 0..LOOKS_MAX {
        let mut grown = false;
        for (reader, more) in readers.iter_mut().zip(&mut more) {
            if !*more && reader.is_behind(log)? {
                *more = reader.fill(log, bytes)?;
                grown = true;
            }
        }
        if !grown {
            return Ok(more);
        }
    }
    for (reader, more) in readers.iter().zip(&mut more) {
        *more |= reader.has_fetched() && reader.is_behind(log)?;
    }
    Ok(more)
}

/// Records of a reader that have one time: their place in the order, then what they are. Ordered as they come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Next {
    time: i64,
    /// The first reader of the same partition: what several read is one record.
    first_reader: usize,
    from: Offset,
    reader: usize,
    to: Offset,
    /// In the reader's times.
    place: usize,
}

impl Next {
    /// What comes in `readers[reader]` at `from`.
    fn of(readers: &[&mut Reader], (first_reader, reader): (usize, usize), from: Offset, place: usize) -> Option<Next> {
        let (of, mut place) = (readers.get(reader)?, place);
        let (time, to) = of.times.as_ref()?.run_from(from, &mut place, of.limit())?;
        Some(Next { time, first_reader, from, reader, to, place })
    }

    fn position(&self) -> (i64, usize, Offset) {
        (self.time, self.first_reader, self.from)
    }
}

/// Which records come next, by reader, with the numbers that they get.
fn merge(readers: &[&mut Reader], more: &[bool], records_max: u64, runs: &mut [Vec<Run>]) {
    let Some(numbers) = readers.first().and_then(|reader| reader.numbers.clone()) else { return };
    let (mut heap, mut bound, mut partitions) = (BinaryHeap::new(), None, HashMap::new());
    for (at, (reader, more)) in readers.iter().zip(more).enumerate() {
        let Some(times) = &reader.times else { continue };
        let first_reader = *partitions.entry(&reader.partition).or_insert(at);
        if *more && reader.limit() == reader.fetched() {
            let end = (times.fetched, first_reader, reader.fetched());
            bound = Some(bound.map_or(end, |bound| end.min(bound)));
        }
        heap.extend(Next::of(readers, (first_reader, at), reader.next, 0).map(Reverse));
    }
    let first = numbers.next();
    let (mut number, mut left) = (first, records_max);
    let mut together = vec![];
    while let Some(Reverse(head)) = heap.pop() {
        if left == 0 || bound.is_some_and(|bound| head.position() >= bound) {
            break;
        }
        // What several readers have of one partition gets the same numbers.
        together.push(head);
        while let Some(Reverse(peer)) = heap.peek().copied().filter(|Reverse(n)| n.position() == head.position()) {
            together.push(peer);
            heap.pop();
        }
        let beside = heap.peek().filter(|Reverse(n)| (n.time, n.first_reader) == (head.time, head.first_reader));
        let end = together.iter().map(|n| n.to).min().unwrap_or(head.to);
        let end = end.min(beside.map_or(Offset::MAX, |Reverse(n)| n.from)).min(head.from.saturating_add_unsigned(left));
        let count = (end - head.from).unsigned_abs();
        for one in together.drain(..) {
            if let Some(own) = runs.get_mut(one.reader) {
                match own.last_mut().filter(|run| run.arrival_end == number && run.next_offset() == head.from) {
                    Some(run) => run.arrival_end += count,
                    None => own.push(Run { base_offset: head.from, arrival: number, arrival_end: number + count }),
                }
            }
            heap.extend(Next::of(readers, (one.first_reader, one.reader), end, one.place).map(Reverse));
        }
        (number, left) = (number + count, left - count);
    }
    numbers.reserve(number - first);
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use proptest::prelude::*;
    use recordlog::{
        Commit, TopicConfig, TopicPartition,
        batch::{BatchBuilder, Compression},
        embedded::EmbeddedLog,
    };

    use super::*;
    use crate::sink::append;

    /// A topic of partitions of batches of records with these times.
    fn filled(partitions: &[Vec<Vec<i64>>]) -> Arc<EmbeddedLog> {
        let log = EmbeddedLog::open_in_memory(&host::Host::in_memory()).expect("a log");
        let count = u32::try_from(partitions.len()).expect("few");
        let config = TopicConfig { partitions: count, replicas: 1, settings: Default::default() };
        futures::executor::block_on(log.create_topic("s", config)).expect("a new topic");
        for (p, batches) in (0..).zip(partitions) {
            for times in batches {
                let mut builder = BatchBuilder::new();
                times.iter().for_each(|time| builder.push(None, Some(b"v"), *time, &[]).expect("fits"));
                let batch = builder.build(Compression::None).expect("builds").expect("has records");
                let ticket = log.commit(Commit::of(vec![append("s", p, batch)]));
                futures::executor::block_on(ticket).expect("is answered").expect("is kept");
            }
        }
        log
    }

    /// Where records are, in the order in which they are to be taken.
    fn in_order(partitions: &[Vec<Vec<i64>>]) -> Vec<(usize, Offset)> {
        let mut all = vec![];
        for (p, batches) in partitions.iter().enumerate() {
            let mut reached = i64::MIN;
            for (offset, time) in (0..).zip(batches.iter().flatten()) {
                reached = reached.max(*time);
                all.push((reached, p, offset));
            }
        }
        all.sort_unstable();
        all.into_iter().map(|(_, p, offset)| (p, offset)).collect()
    }

    fn readers(count: usize, from: &[(Offset, Option<i64>)], next: u64) -> Vec<Reader> {
        let numbers = Arc::new(Numbers::starting_at(next));
        let reader = |p: u32| {
            let (next, taken) = from.get(p as usize).copied().unwrap_or((0, None));
            let mut reader = Reader::new(TopicPartition::new("s", p), next, None);
            reader.numbers = Some(numbers.clone());
            reader.times = Some(Times::after(taken));
            reader
        };
        (0..).take(count).map(reader).collect()
    }

    proptest! {
        /// A backlog is taken in order of time, whatever an epoch and a fetch hold, and over restarts.
        #[test]
        fn a_backlog_comes_in_order_of_time(
            partitions in prop::collection::vec(prop::collection::vec(prop::collection::vec(0..20_i64, 1..5), 0..6), 1..4),
            epochs in prop::collection::vec((1..400_usize, 1..12_u64, any::<bool>()), 1..20),
        ) {
            let log = filled(&partitions);
            let mut all = readers(partitions.len(), &[], 0);
            let (mut found, mut numbered): (Vec<(usize, Offset)>, _) = (vec![], 0);
            for (bytes, records, restart) in epochs.iter().cycle() {
                let taken = take_by_time(&mut all.iter_mut().collect::<Vec<_>>(), &*log, (*bytes, *records), true, None);
                let mut epoch = vec![];
                for (p, taken) in taken.expect("takes").iter().enumerate() {
                    for offset in taken.from..taken.to {
                        let batch = taken.batches.iter().find(|b| b.next_offset > offset).expect("has its batch");
                        epoch.push((taken.numbers(batch).at(offset), p, offset));
                    }
                }
                epoch.sort_unstable();
                if epoch.is_empty() {
                    break;
                }
                for (number, p, offset) in epoch {
                    prop_assert!(number >= numbered);
                    numbered = number + 1;
                    found.push((p, offset));
                }
                if *restart {
                    let at = |r: &Reader| (r.next, r.times.as_ref().and_then(Times::taken));
                    let from: Vec<_> = all.iter().map(at).collect();
                    let next = all.first().and_then(|r| r.numbers.as_ref()).map_or(0, |n| n.next());
                    all = readers(partitions.len(), &from, next);
                }
            }
            prop_assert_eq!(found, in_order(&partitions));
        }
    }
}
