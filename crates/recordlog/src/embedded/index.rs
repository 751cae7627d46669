//! A segment's sparse index: for one batch in every few kilobytes, where it lies, its offset, and the largest time
//! before it. It is a cache: lost, torn or old, it is made again from the segment.

use super::wire::{Reading, Writing};

/// About every how many bytes of a segment a batch is indexed.
pub(super) const INDEX_INTERVAL_BYTES: u64 = 16 << 10;
const MAGIC: u32 = 0x4d53_4958;
const ENTRY_BYTES: usize = 24;

/// A batch that is indexed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct IndexEntry {
    /// Offset of the batch's first record.
    pub offset: i64,
    /// Where its frame begins.
    pub position: u64,
    /// Largest time of all batches before it in the segment.
    pub max_time_before: i64,
}

/// The index of the segment's first `covered` bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Index {
    entries: Vec<IndexEntry>,
    covered: u64,
    max_time: i64,
}

impl Default for Index {
    fn default() -> Index {
        Index { entries: Vec::new(), covered: 0, max_time: i64::MIN }
    }
}

impl Index {
    /// How much of the segment is indexed, bytes.
    pub fn covered(&self) -> u64 {
        self.covered
    }

    /// How many batches are indexed.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// The last batch indexed.
    pub fn last(&self) -> Option<IndexEntry> {
        self.entries.last().copied()
    }

    /// Take note of the batch at `position`, if it follows what is covered.
    pub fn note(&mut self, position: u64, offset: i64, max_time: i64, bytes: usize) {
        if position != self.covered {
            return;
        }
        let next = self.entries.last().map_or(0, |last| last.position + INDEX_INTERVAL_BYTES);
        if position >= next {
            self.entries.push(IndexEntry { offset, position, max_time_before: self.max_time });
        }
        self.max_time = self.max_time.max(max_time);
        self.covered = position + bytes as u64;
    }

    /// Where to begin to look for `offset`.
    pub fn at_offset(&self, offset: i64) -> u64 {
        let after = self.entries.partition_point(|entry| entry.offset <= offset);
        after.checked_sub(1).and_then(|at| self.entries.get(at)).map_or(0, |entry| entry.position)
    }

    /// Where to begin to look for the first record at or after `time_ms`.
    pub fn at_time(&self, time_ms: i64) -> u64 {
        let after = self.entries.partition_point(|entry| entry.max_time_before < time_ms);
        after.checked_sub(1).and_then(|at| self.entries.get(at)).map_or(0, |entry| entry.position)
    }

    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(32 + self.entries.len() * ENTRY_BYTES);
        let mut to = Writing(&mut bytes);
        to.u32(MAGIC);
        to.u64(self.covered);
        to.i64(self.max_time);
        to.count(self.entries.len());
        for entry in &self.entries {
            to.i64(entry.offset);
            to.u64(entry.position);
            to.i64(entry.max_time_before);
        }
        let crc = crc32c::crc32c(&bytes);
        Writing(&mut bytes).u32(crc);
        bytes
    }

    pub fn decode(bytes: &[u8]) -> Option<Index> {
        let (content, crc) = bytes.split_last_chunk::<4>()?;
        if crc32c::crc32c(content) != u32::from_le_bytes(*crc) {
            return None;
        }
        let mut from = Reading(content);
        if from.u32()? != MAGIC {
            return None;
        }
        let (covered, max_time) = (from.u64()?, from.i64()?);
        let count = from.count(ENTRY_BYTES)?;
        let entries = (0..count)
            .map(|_| Some(IndexEntry { offset: from.i64()?, position: from.u64()?, max_time_before: from.i64()? }));
        Some(Index { entries: entries.collect::<Option<_>>()?, covered, max_time })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_index_finds_where_to_begin() {
        let mut index = Index::default();
        for i in 0..100_u32 {
            index.note(u64::from(i) * 5_000, i64::from(i) * 10, i64::from(i) * 7, 5_000);
        }
        index.note(1, 1, 1, 1);
        assert_eq!((index.covered(), index.len()), (500_000, 25));
        assert_eq!(index.at_offset(0), 0);
        assert_eq!(index.at_offset(39), 0);
        assert_eq!(index.at_offset(40), 20_000);
        assert_eq!(index.at_offset(i64::MAX), 480_000);
        // Batch 3 has time 21 and stands before the second entry.
        assert_eq!(index.at_time(21), 0);
        assert_eq!(index.at_time(22), 20_000);
        assert_eq!(index.at_time(i64::MIN), 0);
        let bytes = index.encode();
        assert_eq!(Index::decode(&bytes), Some(index));
        for cut in 0..bytes.len() {
            assert_eq!(Index::decode(&bytes[..cut]), None);
        }
    }
}
