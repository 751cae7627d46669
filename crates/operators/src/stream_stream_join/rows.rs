//! The rows of one side of a join that may still find partners, in the order in which they came.
//!
//! Rows are counted, and lie in chunks, one behind the other: to keep a row is to append its bytes, and what is old
//! goes with its chunk. Rows of one key are chained from the newest to the oldest. A row that is too old is not taken
//! out: who looks says from which time on rows count.

use std::collections::VecDeque;

use hashbrown::{HashTable, hash_table::Entry};

use crate::key_bytes::KeyBytes;

/// Order of arrival of a row on its side: its record's, then among the rows of one record.
pub(super) type Number = (u64, u32);

/// A row's number among those that were kept on its side.
pub(super) type RowId = u64;

/// Bits of a row's id that say where it is in its chunk.
const CHUNK_BITS: u32 = 10;

/// No row.
const NONE: RowId = RowId::MAX;

/// What a row costs besides its bytes, about.
pub(super) const ROW_OVERHEAD_BYTES: usize = size_of::<Row>();

/// See the module.
#[derive(Default)]
pub(super) struct Rows {
    chunks: VecDeque<Chunk>,
    end: RowId,
    by_key: HashTable<OfKey>,
    bytes: usize,
    /// Rows that went since keys were looked over that have none left.
    gone: usize,
}

/// Rows whose ids begin alike.
struct Chunk {
    first: RowId,
    rows: Vec<Row>,
    /// Of each row its key, then its columns in compact encoding.
    bytes: Vec<u8>,
    time_max: i64,
}

struct Row {
    time: i64,
    seq: u64,
    tie: u32,
    /// The row before it of the same key, and the latest time of that and those before it.
    older: RowId,
    older_max: i64,
    start: usize,
    key_len: u32,
    /// Where its columns were decoded to, and in which step.
    place: u32,
    step: u32,
    alone: bool,
}

/// Rows of one key. The key stands here once more, so that a look for it needs no row.
struct OfKey {
    key: KeyBytes,
    newest: RowId,
    time_max: i64,
}

/// A row, borrowed.
#[derive(Clone, Copy)]
pub(super) struct Kept<'a> {
    pub time: i64,
    pub number: Number,
    pub key: &'a [u8],
    /// In compact encoding.
    pub columns: &'a [u8],
    pub is_alone: bool,
}

/// What is known of a row that comes, besides its columns.
#[derive(Clone, Copy)]
pub(super) struct Coming<'a> {
    pub time: i64,
    pub number: Number,
    pub key: &'a [u8],
    pub is_alone: bool,
}

impl Chunk {
    fn get(&self, id: RowId) -> Option<Kept<'_>> {
        let at = usize::try_from(id.checked_sub(self.first)?).ok()?;
        let row = self.rows.get(at)?;
        let end = self.rows.get(at + 1).map_or(self.bytes.len(), |next| next.start);
        let (key, columns) = self.bytes.get(row.start..end)?.split_at_checked(row.key_len as usize)?;
        Some(Kept { time: row.time, number: (row.seq, row.tie), key, columns, is_alone: row.alone })
    }
}

impl Rows {
    /// The id of the first row that is here; without rows that of the next.
    pub fn first(&self) -> RowId {
        self.chunks.front().map_or(self.end, |chunk| chunk.first)
    }

    /// The id that the next row gets.
    pub fn end(&self) -> RowId {
        self.end
    }

    /// Count on from `id`, where no row is here.
    pub fn begin_at(&mut self, id: RowId) {
        if self.chunks.is_empty() {
            self.end = id;
        }
    }

    /// Rows, and bytes of memory, about.
    pub fn size(&self) -> (usize, usize) {
        let rows = usize::try_from(self.end - self.first()).unwrap_or(usize::MAX);
        (rows, self.bytes + rows * ROW_OVERHEAD_BYTES + self.by_key.len() * size_of::<OfKey>())
    }

    fn chunk_at(&self, id: RowId) -> Option<usize> {
        let first = self.chunks.front()?.first >> CHUNK_BITS;
        usize::try_from((id >> CHUNK_BITS).checked_sub(first)?).ok()
    }

    /// A row that is here.
    pub fn get(&self, id: RowId) -> Option<Kept<'_>> {
        self.chunks.get(self.chunk_at(id)?)?.get(id)
    }

    fn row(&self, id: RowId) -> Option<&Row> {
        let chunk = self.chunks.get(self.chunk_at(id)?)?;
        chunk.rows.get(usize::try_from(id.checked_sub(chunk.first)?).ok()?)
    }

    fn row_mut(&mut self, id: RowId) -> Option<&mut Row> {
        let at = self.chunk_at(id)?;
        let chunk = self.chunks.get_mut(at)?;
        chunk.rows.get_mut(usize::try_from(id.checked_sub(chunk.first)?).ok()?)
    }

    /// Whether the row was alone, which it is not any more.
    pub fn set_together(&mut self, id: RowId) -> bool {
        self.row_mut(id).is_some_and(|row| std::mem::take(&mut row.alone))
    }

    /// Where a row's columns were decoded to in this step; if they were not, they are at `place` from now on.
    pub fn decoded(&mut self, id: RowId, step: u32, place: u32) -> Option<u32> {
        let row = self.row_mut(id)?;
        if row.step == step {
            return Some(row.place);
        }
        (row.step, row.place) = (step, place);
        None
    }

    /// Append to `found` the rows of a key, whose hash is given, from time `low` to time `high`: by time, then by
    /// arrival.
    pub fn find(&self, hash: u64, key: &[u8], low: i64, high: i64, found: &mut Vec<(i64, RowId)>) {
        let Some(of) = self.by_key.find(hash, |of| *of.key == *key) else { return };
        let begin = found.len();
        let (mut id, mut time_max) = (of.newest, of.time_max);
        // No row from here on is later than `time_max`.
        while time_max >= low {
            let Some(row) = self.row(id) else { break };
            if (low..=high).contains(&row.time) {
                found.push((row.time, id));
            }
            (id, time_max) = (row.older, row.older_max);
        }
        let new = found.get_mut(begin..).unwrap_or_default();
        new.reverse();
        if !new.is_sorted() {
            new.sort_unstable();
        }
    }

    /// Keep a row, whose key's hash is given; `write` appends its columns.
    pub fn push(
        &mut self,
        hash: u64,
        hash_of: impl Fn(&[u8]) -> u64,
        row: Coming<'_>,
        write: impl FnOnce(&mut Vec<u8>),
    ) -> RowId {
        let id = self.end;
        self.end += 1;
        let (mut older, mut older_max) = (NONE, i64::MIN);
        match self.by_key.entry(hash, |of| *of.key == *row.key, |of| hash_of(&of.key)) {
            Entry::Occupied(mut found) => {
                let of = found.get_mut();
                (older, older_max) = (of.newest, of.time_max);
                (of.newest, of.time_max) = (id, older_max.max(row.time));
            }
            Entry::Vacant(place) => {
                place.insert(OfKey { key: row.key.into(), newest: id, time_max: row.time });
            }
        }
        let begins = self.chunks.back().is_none_or(|last| last.first >> CHUNK_BITS != id >> CHUNK_BITS);
        if begins {
            self.chunks.push_back(Chunk { first: id, rows: vec![], bytes: vec![], time_max: i64::MIN });
        }
        if let Some(chunk) = self.chunks.back_mut() {
            let start = chunk.bytes.len();
            chunk.bytes.extend_from_slice(row.key);
            write(&mut chunk.bytes);
            self.bytes += chunk.bytes.len() - start;
            chunk.time_max = chunk.time_max.max(row.time);
            chunk.rows.push(Row {
                time: row.time,
                seq: row.number.0,
                tie: row.number.1,
                older,
                older_max,
                start,
                key_len: u32::try_from(row.key.len()).unwrap_or(u32::MAX),
                place: 0,
                step: 0,
                alone: row.is_alone,
            });
        }
        id
    }

    /// Let go of the first chunks whose rows are all older than `from`.
    pub fn drop_older(&mut self, from: i64) {
        self.drop_while(|chunk| chunk.time_max < from);
    }

    /// Let go of the first chunks, as far as all of their rows come before `id`.
    pub fn drop_before(&mut self, id: RowId) {
        self.drop_while(|chunk| chunk.first + chunk.rows.len() as u64 <= id);
    }

    fn drop_while(&mut self, mut is_over: impl FnMut(&Chunk) -> bool) {
        while let Some(chunk) = self.chunks.pop_front_if(|chunk| is_over(chunk)) {
            self.bytes -= chunk.bytes.len();
            self.gone += chunk.rows.len();
        }
        // A look at all keys for as many rows that went: a row costs its share of one. Without rows ids may begin anew: no
        // key must remember one.
        if self.gone > self.by_key.len() || self.chunks.is_empty() {
            self.gone = 0;
            let first = self.first();
            self.by_key.retain(|of| of.newest >= first);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::hash::BuildHasher;

    use foldhash::fast::RandomState;
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]

        /// More than fit a chunk, times mostly rising; looked for while the oldest go.
        #[test]
        fn finds_what_is_not_too_old(
            begin in prop_oneof![Just(0u64), 0..5000u64],
            steps in prop::collection::vec((0u8..5, -300..300i64, 0..400i64), 1..3000),
        ) {
            let (mut rows, hasher) = (Rows::default(), RandomState::default());
            rows.begin_at(begin);
            let (mut model, mut found, mut expired): (Vec<(u8, i64)>, Vec<_>, i64) = (vec![], vec![], i64::MIN);
            for (at, (key, jitter, span)) in steps.into_iter().enumerate() {
                let now = i64::try_from(at).unwrap();
                if at % 7 == 3 {
                    let (low, high) = ((now + jitter - span).max(expired), now + jitter);
                    found.clear();
                    rows.find(hasher.hash_one(&[key][..]), &[key], low, high, &mut found);
                    let mut want: Vec<_> = model.iter().zip(begin..).filter(|((k, time), _)| *k == key && (low..=high).contains(time))
                        .map(|((_, time), id)| (*time, id)).collect();
                    want.sort_unstable();
                    prop_assert_eq!(&found, &want);
                }
                if at % 50 == 49 {
                    expired = now - 600;
                    rows.drop_older(expired);
                    prop_assert!(rows.size().0 < 3000);
                }
                let number = (now.unsigned_abs(), 7);
                let coming = Coming { time: now + jitter, number, key: &[key], is_alone: key == 1 };
                let id = rows.push(hasher.hash_one(&[key][..]), |key| hasher.hash_one(key), coming, |out| out.push(key + 1));
                model.push((key, now + jitter));
                prop_assert_eq!(id, begin + at as u64);
                let kept = rows.get(id).unwrap();
                prop_assert_eq!((kept.time, kept.number, kept.key, kept.columns), (now + jitter, number, &[key][..], &[key + 1][..]));
                prop_assert_eq!(rows.set_together(id), key == 1);
                prop_assert!(!rows.set_together(id));
            }
            let end = rows.end();
            rows.drop_before(end);
            prop_assert_eq!((rows.first(), rows.size()), (end, (0, 0)));
            rows.begin_at(3);
            let coming = Coming { time: 1, number: (1, 0), key: &[1], is_alone: false };
            rows.push(hasher.hash_one(&[1u8][..]), |key| hasher.hash_one(key), coming, |_| {});
            found.clear();
            rows.find(hasher.hash_one(&[1u8][..]), &[1], 0, 9, &mut found);
            prop_assert_eq!(&found, &[(1, 3)]);
        }
    }
}
