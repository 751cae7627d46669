//! Appends → batches as they go out: with their producer's numbers, compressed if that is wanted, none larger than topics
//! take by default if it has several records.
//!
//! A batch is copied, and gets its numbers, when it goes; until then it is where it was built.

use std::{borrow::Cow, collections::HashMap};

use bytes::Bytes;
use recordlog::{
    Append, Appended, LogError, Offset, Result, TopicPartition,
    batch::{self, Batch, BatchBuilder, BatchError, BatchHeader, Compression, stamp_producer},
};

use crate::{commits, ends};

/// A batch with several records is made into smaller ones from so many bytes on: topics take 1 MiB by default.
const BATCH_BYTES_MAX: usize = 1_000_000;

/// What a producer writes on its batches.
#[derive(Debug, Clone, Copy)]
pub(super) struct Stamp {
    /// Its number and epoch.
    pub id: (i64, i16),
    /// Whether they belong to a transaction.
    pub is_transactional: bool,
    /// How they are compressed; `None`: as they are.
    pub compression: Option<Compression>,
}

/// A batch, and the number of its first record in its partition.
#[derive(Debug)]
struct Numbered<'a> {
    bytes: Cow<'a, [u8]>,
    sequence: i32,
}

/// What goes to one partition, in order.
#[derive(Debug)]
pub(super) struct Outgoing<'a> {
    partition: TopicPartition,
    /// As Kafka counts.
    number: i32,
    stamp: Stamp,
    batches: Vec<Numbered<'a>>,
    /// Where each of those landed that are written: its first offset, and the broker's time if it counts.
    landed: Vec<(Offset, i64)>,
    /// Of each append to this partition: its place among all, and its first batch.
    appends: Vec<(usize, usize)>,
}

impl Outgoing<'_> {
    /// Which partition, and its number as Kafka counts.
    pub fn place(&self) -> (&TopicPartition, i32) {
        (&self.partition, self.number)
    }

    /// How many of its batches are written.
    pub fn written(&self) -> usize {
        self.landed.len()
    }

    /// The length of the batch of that place, in bytes.
    pub fn batch_bytes(&self, at: usize) -> Option<usize> {
        self.batches.get(at).map(|batch| batch.bytes.len())
    }

    /// The batch of that place, as it goes; the same each time.
    pub fn batch(&self, at: usize) -> Option<Bytes> {
        let Numbered { bytes, sequence } = self.batches.get(at)?;
        let mut stamped = bytes.to_vec();
        batch::set_log_fields(&mut stamped, 0, -1);
        stamp_producer(&mut stamped, self.stamp.id, *sequence, self.stamp.is_transactional);
        Some(stamped.into())
    }

    /// How many batches there are from that place on.
    pub fn left_from(&self, at: usize) -> usize {
        self.batches.len().saturating_sub(at)
    }

    /// Whether all is written.
    pub fn is_done(&self) -> bool {
        self.landed.len() >= self.batches.len()
    }

    /// The next batch is written.
    pub fn land(&mut self, offset: Offset, append_time_ms: i64) {
        self.landed.push((offset, append_time_ms));
    }
}

/// Make appends ready to go. `sequences`: the next record's number in each partition.
pub(super) fn of<'a>(
    appends: &[&'a Append],
    stamp: Stamp,
    sequences: &mut HashMap<TopicPartition, i32>,
) -> Result<Vec<Outgoing<'a>>> {
    let mut all: Vec<Outgoing<'a>> = Vec::new();
    let mut at: HashMap<&TopicPartition, usize> = HashMap::new();
    for (place, append) in appends.iter().enumerate() {
        let partition = &append.partition;
        if commits::record_count(append) == 0 {
            continue;
        }
        let number = ends::number(partition)?;
        let index = *at.entry(partition).or_insert_with(|| {
            let partition = partition.clone();
            all.push(Outgoing { partition, number, stamp, batches: vec![], landed: vec![], appends: vec![] });
            all.len() - 1
        });
        let Some(outgoing) = all.get_mut(index) else { continue };
        outgoing.appends.push((place, outgoing.batches.len()));
        let sequence = sequences.entry(partition.clone()).or_default();
        for bytes in commits::batches(append)? {
            for bytes in pieces(bytes, stamp.compression).map_err(|e| LogError::BadBatch(e.to_string()))? {
                let count = BatchHeader::parse_fixed(&bytes).map_or(0, |header| header.record_count);
                outgoing.batches.push(Numbered { bytes, sequence: *sequence });
                *sequence = behind(*sequence, count);
            }
        }
    }
    Ok(all)
}

/// Where the appends landed, once all is written.
pub(super) fn landed(appends: &[&Append], outgoing: &[Outgoing<'_>]) -> Vec<Appended> {
    let nowhere = |append: &&Append| Appended {
        base_offset: -1,
        record_count: commits::record_count(append),
        arrival: 0,
        append_time_ms: -1,
    };
    let mut all: Vec<Appended> = appends.iter().map(nowhere).collect();
    for outgoing in outgoing {
        for (place, first) in &outgoing.appends {
            if let (Some(appended), Some((offset, time))) = (all.get_mut(*place), outgoing.landed.get(*first)) {
                (appended.base_offset, appended.append_time_ms) = (*offset, *time);
            }
        }
    }
    all
}

/// A batch as one that may go, or as several.
fn pieces(bytes: &[u8], compression: Option<Compression>) -> Result<Vec<Cow<'_, [u8]>>, BatchError> {
    let header = BatchHeader::parse(bytes)?;
    let is_whole = header.offset_count() == header.record_count;
    if is_whole && (bytes.len() <= BATCH_BYTES_MAX || header.record_count == 1) {
        let as_it_is = compression.is_none_or(|wanted| header.compression().is_ok_and(|is| is == wanted));
        let one = match compression.filter(|_| !as_it_is) {
            Some(codec) => Cow::Owned(batch::compressed(bytes, codec)?.into()),
            None => Cow::Borrowed(bytes),
        };
        return Ok(vec![one]);
    }
    let codec = compression.unwrap_or(Compression::None);
    let (mut builder, mut pieces) = (BatchBuilder::new(), Vec::new());
    for record in Batch::parse_verified(bytes)?.records() {
        let record = record?;
        let size = record.key.map_or(0, <[u8]>::len) + record.value.map_or(0, <[u8]>::len);
        if !builder.is_empty() && builder.bytes() + size > BATCH_BYTES_MAX - BATCH_BYTES_MAX / 16 {
            pieces.push(Cow::Owned(builder.finish(codec)?.into()));
        }
        builder.push_record(&record)?;
    }
    if !builder.is_empty() {
        pieces.push(Cow::Owned(builder.finish(codec)?.into()));
    }
    Ok(pieces)
}

/// The number of the record `count` behind one: after the largest comes 0.
fn behind(sequence: i32, count: u32) -> i32 {
    let sum = (i64::from(sequence) + i64::from(count)) % (i64::from(i32::MAX) + 1);
    i32::try_from(sum).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn append(partition: u32, values: &[Vec<u8>]) -> Append {
        let mut builder = BatchBuilder::new();
        for value in values {
            builder.push(Some(b"k"), Some(value), 7, &[("h", None)]).unwrap();
        }
        let batches = builder.finish(Compression::None).unwrap().into();
        Append { partition: TopicPartition::new("t", partition), batches }
    }

    fn ready(outgoing: &Outgoing<'_>) -> Vec<Bytes> {
        let all: Vec<Bytes> = (0..).map_while(|at| outgoing.batch(at)).collect();
        let lengths: Vec<usize> = (0..).map_while(|at| outgoing.batch_bytes(at)).collect();
        assert_eq!(all.iter().map(Bytes::len).collect::<Vec<_>>(), lengths);
        all
    }

    fn values(outgoing: &Outgoing<'_>) -> Vec<Vec<u8>> {
        let mut all = vec![];
        for bytes in &ready(outgoing) {
            let batch = Batch::parse_verified(bytes).expect("a sound batch");
            all.extend(batch.records().map(|record| record.unwrap().value.unwrap().to_vec()));
        }
        all
    }

    #[test]
    fn numbers_go_on_from_batch_to_batch() {
        let (first, second, other) =
            (append(0, &[vec![1], vec![2]]), append(0, &[vec![3]]), append(1, &[vec![4], vec![5], vec![6]]));
        let nothing = Append { batches: Bytes::new().into(), ..first.clone() };
        let stamp = Stamp { id: (40, 2), is_transactional: true, compression: None };
        let mut sequences = HashMap::from([(TopicPartition::new("t", 1), i32::MAX)]);
        let mut all = of(&[&first, &other, &nothing, &second], stamp, &mut sequences).unwrap();
        assert_eq!(all.iter().map(|o| o.place().1).collect::<Vec<_>>(), [0, 1]);
        assert_eq!(
            all.iter().map(values).collect::<Vec<_>>(),
            [vec![vec![1], vec![2], vec![3]], vec![vec![4], vec![5], vec![6]]]
        );
        let headers: Vec<BatchHeader> = all.iter().flat_map(ready).map(|b| BatchHeader::parse(&b).unwrap()).collect();
        assert!(headers.iter().all(|h| (h.producer_id, h.producer_epoch) == (40, 2) && h.is_transactional()));
        assert_eq!(headers.iter().map(|h| h.base_sequence).collect::<Vec<_>>(), [0, 2, i32::MAX]);
        assert_eq!(sequences[&TopicPartition::new("t", 0)], 3);
        assert_eq!(sequences[&TopicPartition::new("t", 1)], 2);

        all[0].land(10, -1);
        all[0].land(12, -1);
        all[1].land(5, 99);
        let landed = landed(&[&first, &other, &nothing, &second], &all);
        let places: Vec<_> = landed.iter().map(|l| (l.base_offset, l.record_count, l.append_time_ms)).collect();
        assert_eq!(places, [(10, 2, -1), (5, 3, 99), (-1, 0, -1), (12, 1, -1)]);
    }

    #[test]
    fn large_batches_become_several_and_any_may_be_compressed() {
        let large: Vec<Vec<u8>> = (0..30_u8).map(|i| vec![i; 100_000]).collect();
        let append = append(0, &large);
        for codec in [Compression::None, Compression::Lz4] {
            let stamp = Stamp { id: (1, 0), is_transactional: false, compression: Some(codec) };
            let all = of(&[&append], stamp, &mut HashMap::new()).unwrap();
            assert_eq!(values(&all[0]), large);
            let batches = ready(&all[0]);
            assert!(batches.len() >= 3 && batches.iter().all(|b| b.len() <= BATCH_BYTES_MAX));
            for bytes in &batches {
                let header = BatchHeader::parse(bytes).unwrap();
                assert_eq!(header.compression().unwrap(), codec);
                assert!(!header.is_transactional());
            }
        }
    }
}
