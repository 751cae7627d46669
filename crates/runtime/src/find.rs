//! A record of an epoch, found again by the order of a row that it caused: for the processing log.
//!
//! An epoch does not keep the bytes that it has read; what is asked for here is read again.

use operators::SUB_BITS;
use recordlog::{
    Offset, RecordLog, TopicPartition,
    batch::{RecordRanges, decode_ranges},
};

use crate::source::ReadRange;

/// A record of an epoch, found again by its order.
pub(crate) struct Found {
    pub partition: TopicPartition,
    pub offset: Offset,
    pub timestamp_ms: i64,
    pub key: Option<Vec<u8>>,
    pub value: Option<Vec<u8>>,
}

/// Finds records of an epoch by their order; those asked for one after another are mostly in one batch.
pub(crate) struct RecordFinder<'a> {
    log: &'a dyn RecordLog,
    read: Vec<(&'a TopicPartition, &'a ReadRange)>,
    /// The offsets of the batch found last, whose records are `ranges`.
    last: Option<(&'a TopicPartition, std::ops::Range<Offset>)>,
    ranges: RecordRanges,
}

impl<'a> RecordFinder<'a> {
    /// Among what was read of these partitions.
    pub fn new(log: &'a dyn RecordLog, read: Vec<(&'a TopicPartition, &'a ReadRange)>) -> RecordFinder<'a> {
        RecordFinder { log, read, last: None, ranges: RecordRanges::default() }
    }

    /// The record with that `seq`; `None` also when it cannot be read any more.
    pub fn find(&mut self, seq: u64) -> Option<Found> {
        let at = |(partition, range): &(_, &ReadRange)| Some((*partition, range.offset(seq >> SUB_BITS)?));
        let (partition, offset) = self.read.iter().find_map(at)?;
        let is_at_hand = |last: &(_, std::ops::Range<Offset>)| last.0 == partition && last.1.contains(&offset);
        if !self.last.as_ref().is_some_and(is_at_hand) {
            self.last = None;
            let stored = self.log.read(partition, offset, 1).ok()?.into_iter().next()?;
            decode_ranges(&stored.bytes, &mut self.ranges).ok()?;
            self.last = Some((partition, stored.base_offset..stored.next_offset));
        }
        let delta = u32::try_from(offset.checked_sub(self.ranges.base_offset)?).ok()?;
        let at = self.ranges.offset_deltas.iter().position(|d| *d == delta)?;
        Some(Found {
            partition: partition.clone(),
            offset,
            timestamp_ms: self.ranges.timestamps_ms.get(at).copied().unwrap_or(0),
            key: self.ranges.key(at).map(<[u8]>::to_vec),
            value: self.ranges.value(at).map(<[u8]>::to_vec),
        })
    }
}

impl ReadRange {
    /// Where the record of that number is.
    fn offset(&self, number: u64) -> Option<Offset> {
        let after = self.runs.partition_point(|run| run.arrival <= number);
        let run = self.runs.get(after.checked_sub(1)?).filter(|run| number < run.arrival_end)?;
        run.base_offset.checked_add_unsigned(number - run.arrival)
    }
}
