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
        match read_some(log, partition, (next, from), &fail, &mut ranges, &mut each)? {
            Some(end) => next = end,
            None => break,
        }
    }
    Ok(next)
}

/// As [`replay`], but no more than one piece of it; and whether there is more.
///
/// # Errors
/// As [`replay`].
pub fn replay_piece<E>(
    log: &dyn RecordLog,
    partition: &TopicPartition,
    from: Offset,
    fail: impl Fn(LogError) -> E,
    mut each: impl FnMut(Replayed<'_>) -> Result<(), E>,
) -> Result<(Offset, bool), E> {
    let ends = log.offsets(partition).map_err(&fail)?;
    let next = ends.start.max(from);
    if next >= ends.end {
        return Ok((next, false));
    }
    let read = read_some(log, partition, (next, from), &fail, &mut RecordRanges::default(), &mut each)?;
    // Behind the last record there may be marks alone.
    Ok(read.map_or((ends.end, false), |end| (end, end < ends.end)))
}

/// Read a piece from `at` on, records from `from` on; one past its last offset, `None` at the end.
fn read_some<E>(
    log: &dyn RecordLog,
    partition: &TopicPartition,
    (at, from): (Offset, Offset),
    fail: &impl Fn(LogError) -> E,
    ranges: &mut RecordRanges,
    each: &mut impl FnMut(Replayed<'_>) -> Result<(), E>,
) -> Result<Option<Offset>, E> {
    let batches = log.read(partition, at, READ_BYTES).map_err(fail)?;
    let Some(last) = batches.last() else { return Ok(None) };
    for batch in &batches {
        decode_ranges(&batch.bytes, ranges).map_err(|e| {
            fail(LogError::Corrupt { partition: partition.clone(), offset: batch.base_offset, what: e.to_string() })
        })?;
        for i in 0..ranges.len() {
            let delta = ranges.offset_deltas.get(i).copied().unwrap_or(0);
            let offset = ranges.base_offset + i64::from(delta);
            // The first batch may begin before.
            if offset >= from {
                each(Replayed { offset, key: ranges.key(i), value: ranges.value(i) })?;
            }
        }
    }
    Ok(Some(last.next_offset))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        Append, Commit, TopicConfig,
        batch::{BatchBuilder, Compression},
        embedded::EmbeddedLog,
    };

    #[test]
    fn pieces_are_the_whole() {
        let log = EmbeddedLog::open_in_memory(&host::Host::in_memory()).expect("a log");
        let partition = TopicPartition::new("t", 0);
        let config = TopicConfig::with_partitions(1).with("max.message.bytes", "100000000");
        futures::executor::block_on(log.create_topic("t", config)).expect("a new topic");
        let long = vec![7; READ_BYTES / 2];
        for batch in 0..5_u8 {
            let mut builder = BatchBuilder::new();
            for record in 0..2_u8 {
                let value = if record == 0 { Some(&*long) } else { None };
                builder.push(Some(&[batch, record]), value, 1, &[]).expect("fits");
            }
            let batches = builder.finish(Compression::None).expect("builds").into();
            let ticket = log.commit(Commit::of(vec![Append { partition: partition.clone(), batches }]));
            futures::executor::block_on(ticket).expect("is answered").expect("is kept");
        }
        for from in 0..=10 {
            let (mut whole, mut pieces) = (vec![], vec![]);
            let note = |record: Replayed<'_>| (record.offset, record.key.map(<[u8]>::to_vec), record.value.is_some());
            let end = replay(
                &*log,
                &partition,
                from,
                |e| e,
                |record| {
                    whole.push(note(record));
                    Ok(())
                },
            );
            let (mut next, mut more, mut count) = (from, true, 0);
            while more {
                let read = replay_piece(
                    &*log,
                    &partition,
                    next,
                    |e| e,
                    |record| {
                        pieces.push(note(record));
                        Ok(())
                    },
                );
                (next, more) = read.expect("reads");
                count += 1;
            }
            assert_eq!((next, &pieces), (end.expect("reads"), &whole));
            assert_eq!(whole.len(), usize::try_from(10 - from).expect("few"));
            assert!(from > 0 || count > 1, "{count} pieces");
        }
    }
}
