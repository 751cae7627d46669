//! Topics that hold what a component remembers, read from the beginning: one loop for all who keep something in the log.

use crate::{
    LogError, Offset, RecordLog, TopicPartition,
    batch::{RecordRanges, decode_ranges},
};

/// Bytes that are read at a time.
const READ_BYTES: usize = 4 << 20;

/// A record of a replay.
#[derive(Debug, Clone, Copy)]
pub struct Replayed<'a> {
    /// Its place.
    pub offset: Offset,
    /// `None`: it has no key.
    pub key: Option<&'a [u8]>,
    /// `None`: a tombstone.
    pub value: Option<&'a [u8]>,
}

/// Call `each` with every record of a partition from offset `from` on, in order; gives one past the last offset.
///
/// # Errors
/// What `each` gives, and through `fail` that the partition cannot be read or that a batch is damaged.
pub fn replay<E>(
    log: &dyn RecordLog,
    partition: &TopicPartition,
    from: Offset,
    fail: impl Fn(LogError) -> E,
    mut each: impl FnMut(Replayed<'_>) -> Result<(), E>,
) -> Result<Offset, E> {
    let ends = log.offsets(partition).map_err(&fail)?;
    let (mut next, mut ranges) = (ends.start.max(from), RecordRanges::default());
    while next < ends.end {
        let batches = log.read(partition, next, READ_BYTES).map_err(&fail)?;
        let Some(last) = batches.last() else { break };
        next = last.next_offset;
        for batch in &batches {
            decode_ranges(&batch.bytes, &mut ranges).map_err(|e| {
                fail(LogError::Corrupt { partition: partition.clone(), offset: batch.base_offset, what: e.to_string() })
            })?;
            for i in 0..ranges.len() {
                let delta = ranges.offset_deltas.get(i).copied().unwrap_or(0);
                let offset = ranges.base_offset + i64::from(delta);
                if offset >= from {
                    each(Replayed { offset, key: ranges.key(i), value: ranges.value(i) })?;
                }
            }
        }
    }
    Ok(next)
}
