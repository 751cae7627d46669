//! A record of an epoch, found again by the order of a row that it caused: for the processing log.
//!
//! An epoch does not keep the bytes that it has read; what is asked for here is read again.

use operators::SUB_BITS;
use recordlog::{
    Offset, RecordLog, TopicPartition,
    batch::{RecordRanges, decode_ranges},
};

use crate::source::{BatchPlace, ReadRange};

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
    /// The batch found last; `ranges` are its records.
    last: Option<(&'a TopicPartition, BatchPlace)>,
    ranges: RecordRanges,
}

impl<'a> RecordFinder<'a> {
    /// Among what was read of these partitions.
    pub fn new(log: &'a dyn RecordLog, read: Vec<(&'a TopicPartition, &'a ReadRange)>) -> RecordFinder<'a> {
        RecordFinder { log, read, last: None, ranges: RecordRanges::default() }
    }

    /// The record with that `seq`; `None` also when it cannot be read any more.
    pub fn find(&mut self, seq: u64) -> Option<Found> {
        let arrival = seq >> SUB_BITS;
        let (partition, batch) = match self.last.filter(|(_, batch)| batch.holds(arrival)) {
            Some(last) => last,
            None => {
                let at = |(partition, range): &(_, &ReadRange)| Some((*partition, range.batch(arrival)?));
                let (partition, batch) = self.read.iter().find_map(at)?;
                self.last = None;
                let stored = self.log.read(partition, batch.base_offset, 1).ok()?.into_iter().next()?;
                decode_ranges(&stored.bytes, &mut self.ranges).ok()?;
                // Compaction may have written the batch anew meanwhile; records keep their numbers.
                let batch = BatchPlace { arrival: stored.arrival, ..batch };
                self.last = Some((partition, batch));
                (partition, batch)
            }
        };
        let delta = u32::try_from(arrival.checked_sub(batch.arrival)?).ok()?;
        let at = self.ranges.offset_deltas.iter().position(|d| *d == delta)?;
        Some(Found {
            partition: partition.clone(),
            offset: self.ranges.base_offset + i64::from(delta),
            timestamp_ms: self.ranges.timestamps_ms.get(at).copied().unwrap_or(0),
            key: self.ranges.key(at).map(<[u8]>::to_vec),
            value: self.ranges.value(at).map(<[u8]>::to_vec),
        })
    }
}

impl BatchPlace {
    fn holds(&self, arrival: u64) -> bool {
        (self.arrival..self.arrival_end).contains(&arrival)
    }
}

impl ReadRange {
    /// The batch that holds a record.
    fn batch(&self, arrival: u64) -> Option<BatchPlace> {
        let after = self.batches.partition_point(|batch| batch.arrival <= arrival);
        self.batches.get(after.checked_sub(1)?).copied().filter(|batch| batch.holds(arrival))
    }
}
