//! Order over partitions where the log numbers what arrives: an epoch's records are all those with smaller numbers than
//! some number.
//!
//! They are read and decoded piece by piece, while a piece is in the processor's cache and so that few bytes of an epoch
//! are in memory at a time. A partition with more behind its piece holds the others back: what came after the piece's
//! last record waits for the next round. A batch's records have arrived together, so no round splits a batch.

use rayon::prelude::*;
use recordlog::RecordLog;
use types::{Error, Result};

use crate::source::{ReadRange, Reader, Rows, Taken};

/// A partition that is read, and what makes rows of it.
pub(crate) struct Partition<'a, R> {
    pub reader: &'a mut Reader,
    pub rows: R,
}

/// A partition as far as it was read.
struct Part<'a, R> {
    partition: Partition<'a, R>,
    range: ReadRange,
    /// Bytes of the log that were decoded.
    read: usize,
    taken: Option<Taken>,
    has_more: bool,
}

/// Read and decode what has arrived, of about `bytes` bytes a partition, in pieces of about `piece_bytes`. None of the
/// partitions may be read with others now.
///
/// # Errors
/// The log's; a batch is damaged.
pub(crate) fn read_in_order<R: Rows + Send>(
    partitions: Vec<Partition<'_, R>>,
    log: &dyn RecordLog,
    (bytes, piece_bytes): (usize, usize),
    pool: Option<&rayon::ThreadPool>,
) -> Result<Vec<ReadRange>> {
    // Between the looks at two partitions both may grow: a record in the later one must not overtake an older one in
    // the earlier.
    let arrived = log.arrival_end().ok_or_else(|| Error::internal("a log without numbers"))?;
    let mut parts: Vec<Part<'_, R>> = partitions.into_iter().map(Part::new).collect();
    let piece_bytes = piece_bytes.min(bytes).max(1);
    each(&mut parts, pool, |part| part.fill(log, piece_bytes))?;
    loop {
        let held_back = parts.iter().filter(|part| part.has_more);
        let end = held_back.map(|part| part.partition.reader.arrival_end()).fold(arrived, u64::min);
        let taken: Vec<bool> = parts.iter_mut().map(|part| part.take(end)).collect();
        let is_last = !taken.contains(&true)
            || parts.iter().all(|part| !part.has_more)
            || parts.iter().any(|part| part.read >= bytes);
        each(&mut parts, pool, |part| {
            part.decode()?;
            if is_last { Ok(()) } else { part.fill(log, piece_bytes) }
        })?;
        if is_last {
            return Ok(parts.into_iter().map(|part| part.range).collect());
        }
    }
}

fn each<T: Send>(
    parts: &mut [T],
    pool: Option<&rayon::ThreadPool>,
    work: impl Fn(&mut T) -> Result<()> + Send + Sync,
) -> Result<()> {
    match pool {
        Some(pool) => pool.install(|| parts.par_iter_mut().try_for_each(work)),
        None => parts.iter_mut().try_for_each(work),
    }
}

impl<'a, R: Rows> Part<'a, R> {
    fn new(partition: Partition<'a, R>) -> Part<'a, R> {
        let next = partition.reader.next;
        let range = ReadRange { from: next, to: next, runs: vec![] };
        Part { partition, range, read: 0, taken: None, has_more: false }
    }

    fn fill(&mut self, log: &dyn RecordLog, piece_bytes: usize) -> Result<()> {
        self.has_more = self.partition.reader.fill(log, piece_bytes)?;
        Ok(())
    }

    /// Take what was fetched and has arrived before `end`; whether there was something.
    fn take(&mut self, end: u64) -> bool {
        let taken = self.partition.reader.take(end);
        let has_some = taken.to > taken.from;
        self.read += taken.batches.iter().map(|batch| batch.bytes.len()).sum::<usize>();
        self.range.extend(&taken);
        self.taken = Some(taken);
        has_some
    }

    fn decode(&mut self) -> Result<()> {
        let Some(taken) = self.taken.take() else { return Ok(()) };
        let Partition { reader, rows } = &mut self.partition;
        taken.batches.iter().try_for_each(|batch| rows.push(&reader.partition, batch, &taken))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use proptest::prelude::*;
    use recordlog::{
        Commit, StoredBatch, TopicConfig, TopicPartition,
        batch::{BatchBuilder, Compression},
        embedded::EmbeddedLog,
    };

    use super::*;
    use crate::sink::append;

    const PARTITIONS: u32 = 3;

    /// A topic to which batches of so many records came, in that order.
    fn filled(batches: &[(u32, usize)]) -> Arc<EmbeddedLog> {
        let log = EmbeddedLog::open_in_memory(&host::Host::in_memory()).expect("a log");
        futures::executor::block_on(log.create_topic("s", TopicConfig::with_partitions(PARTITIONS))).expect("is made");
        for (partition, records) in batches {
            let mut builder = BatchBuilder::new();
            (0..*records).for_each(|_| builder.push(None, Some(b"v"), 7, &[]).expect("fits"));
            let batch = builder.build(Compression::None).expect("builds").expect("has records");
            let ticket = log.commit(Commit::of(vec![append("s", partition % PARTITIONS, batch)]));
            futures::executor::block_on(ticket).expect("is answered").expect("is kept");
        }
        log
    }

    /// Notes the numbers of the records that are pushed.
    #[derive(Default)]
    struct Arrivals(Vec<u64>);

    impl Rows for &mut Arrivals {
        fn push(&mut self, _: &TopicPartition, stored: &StoredBatch, taken: &Taken) -> Result<()> {
            let arrivals =
                (stored.base_offset..stored.next_offset).map(|offset| (offset, taken.numbers(stored).at(offset)));
            self.0
                .extend(arrivals.filter(|(offset, arrival)| taken.has(*offset, *arrival)).map(|(_, arrival)| arrival));
            Ok(())
        }
    }

    proptest! {
        /// Each epoch is what comes next, without a gap, whatever an epoch and a piece hold.
        #[test]
        fn epochs_follow_each_other_in_order_of_arrival(
            batches in prop::collection::vec((0..PARTITIONS, 1..6_usize), 0..40),
            epochs in prop::collection::vec((1..600_usize, 1..300_usize, any::<bool>()), 1..20),
        ) {
            let log = filled(&batches);
            let pool = rayon::ThreadPoolBuilder::new().num_threads(2).build().expect("a pool");
            let reader = |p| Reader::new(TopicPartition::new("s", p), 0, None);
            let mut readers: Vec<Reader> = (0..PARTITIONS).map(reader).collect();
            let (mut next, mut begun) = (0, false);
            for (bytes, piece_bytes, parallel) in epochs.iter().cycle() {
                let mut rows: Vec<Arrivals> = readers.iter().map(|_| Arrivals::default()).collect();
                let before: Vec<_> = readers.iter().map(|reader| reader.next).collect();
                let partitions = readers.iter_mut().zip(&mut rows).map(|(reader, rows)| Partition { reader, rows });
                let pool = Some(&pool).filter(|_| *parallel);
                let ranges = read_in_order(partitions.collect(), &*log, (*bytes, *piece_bytes), pool).expect("reads");
                for ((range, reader), before) in ranges.iter().zip(&readers).zip(before) {
                    prop_assert_eq!((range.from, range.to), (before, reader.next));
                }
                let mut all: Vec<u64> = rows.into_iter().flat_map(|rows| rows.0).collect();
                all.sort_unstable();
                if all.is_empty() {
                    break;
                }
                let first = if begun { next } else { all[0] };
                prop_assert!(all.iter().copied().eq(first..first + all.len() as u64));
                (next, begun) = (first + all.len() as u64, true);
            }
            let records: usize = batches.iter().map(|(_, records)| records).sum();
            prop_assert_eq!(readers.iter().map(|reader| reader.next).sum::<i64>(), records as i64);
        }
    }
}
