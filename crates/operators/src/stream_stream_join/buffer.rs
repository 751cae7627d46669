//! What a stream-stream join keeps: the rows of both sides, and which of them are still alone.
//!
//! The changelog has the rows as they came, many in one entry, so that an epoch costs it a few entries and what is over
//! goes with one deletion. A row that an entry says is alone, and is no longer, has an entry of its own that says so,
//! which goes with the other.

use std::{
    collections::{BTreeSet, VecDeque},
    hash::BuildHasher,
};

use foldhash::fast::RandomState;
use types::Result;

use super::rows::{Coming, Kept, Number, RowId, Rows};
use crate::{aggregate::windows::time_bytes, corrupt};

/// The first byte of an entry of rows: then come their side, and the id of the first. Lower ones are an earlier form's.
const ROWS: u8 = 3;
/// The first byte of an entry that says of a row that it is not alone: then come its side and id.
const TOGETHER: u8 = 4;

/// Bytes of rows after which an entry ends.
const ENTRY_BYTES: usize = 64 << 10;

/// See the module.
#[derive(Default)]
pub(super) struct Buffer {
    sides: [Rows; 2],
    told: [Told; 2],
    /// Rows that have no partner, by the time at which they are given up; with side and id.
    alone: BTreeSet<(i64, usize, RowId)>,
    hasher: RandomState,
}

/// What the changelog has of a side.
#[derive(Default)]
struct Told {
    entries: VecDeque<Entry>,
    /// It has no row from this one on.
    end: RowId,
    /// Entries that are to be deleted.
    over: Vec<Entry>,
    /// Rows of its entries that are not alone any more, which it is to be told.
    together: Vec<RowId>,
}

/// An entry of rows.
struct Entry {
    first: RowId,
    end: RowId,
    time_max: i64,
    /// Rows of it that have an entry of their own.
    together: Vec<RowId>,
}

#[allow(clippy::indexing_slicing)] // Two-element arrays indexed by side, 0 or 1.
impl Buffer {
    /// The hash of a key.
    pub fn hash(&self, key: &[u8]) -> u64 {
        self.hasher.hash_one(key)
    }

    /// A row that is here.
    pub fn get(&self, side: usize, id: RowId) -> Option<Kept<'_>> {
        self.sides[side].get(id)
    }

    /// See [`Rows::find`].
    pub fn find(&self, side: usize, hash: u64, key: &[u8], (low, high): (i64, i64), found: &mut Vec<(i64, RowId)>) {
        self.sides[side].find(hash, key, low, high, found);
    }

    /// See [`Rows::decoded`].
    pub fn decoded(&mut self, side: usize, id: RowId, step: u32, place: u32) -> Option<u32> {
        self.sides[side].decoded(id, step, place)
    }

    /// A new row, whose key's hash is given and whose columns `write` appends; `close`: it is alone, and given up then.
    pub fn insert(
        &mut self,
        side: usize,
        hash: u64,
        row: (i64, Number, &[u8]),
        close: Option<i64>,
        write: impl FnOnce(&mut Vec<u8>),
    ) {
        let (time, number, key) = row;
        let coming = Coming { time, number, key, is_alone: close.is_some() };
        let hasher = &self.hasher;
        let id = self.sides[side].push(hash, |key| hasher.hash_one(key), coming, write);
        self.alone.extend(close.map(|close| (close, side, id)));
    }

    /// When the first row that is alone is given up.
    pub fn first_alone(&self) -> Option<i64> {
        self.alone.first().map(|(close, _, _)| *close)
    }

    /// The next row that is alone and given up by `now`, which it then is not any more: when, its side and id.
    pub fn pop_alone(&mut self, now: i64) -> Option<(i64, usize, RowId)> {
        let first = self.alone.first().copied().filter(|(close, _, _)| *close <= now)?;
        self.alone.remove(&first);
        self.note_together(first.1, first.2);
        Some(first)
    }

    /// A row that is given up at `close` if it is alone has a partner.
    pub fn set_together(&mut self, side: usize, id: RowId, close: i64) {
        if self.alone.remove(&(close, side, id)) {
            self.note_together(side, id);
        }
    }

    fn note_together(&mut self, side: usize, id: RowId) {
        if self.sides[side].set_together(id) && id < self.told[side].end {
            self.told[side].together.push(id);
        }
    }

    /// Rows of a side that are older than `from` are not looked for any more.
    pub fn expire(&mut self, side: usize, from: i64) {
        let told = &mut self.told[side];
        while let Some(entry) = told.entries.pop_front_if(|entry| entry.time_max < from) {
            told.over.push(entry);
        }
        self.sides[side].drop_older(from);
    }

    /// What changed since the last drain.
    pub fn drain(&mut self, each: &mut dyn FnMut(&[u8], Option<&[u8]>)) {
        for side in [0, 1] {
            self.drain_over(side, each);
            self.drain_new(side, each);
        }
    }

    fn drain_over(&mut self, side: usize, each: &mut dyn FnMut(&[u8], Option<&[u8]>)) {
        let told = &mut self.told[side];
        for entry in told.over.drain(..) {
            entry.together.iter().for_each(|id| each(&key_of(TOGETHER, side, *id), None));
            each(&key_of(ROWS, side, entry.first), None);
        }
        for id in std::mem::take(&mut told.together) {
            if let Some(entry) = told.entry_of(id) {
                entry.together.push(id);
                each(&key_of(TOGETHER, side, id), Some(&[1]));
            }
        }
    }

    fn drain_new(&mut self, side: usize, each: &mut dyn FnMut(&[u8], Option<&[u8]>)) {
        let (rows, told) = (&self.sides[side], &mut self.told[side]);
        let (mut id, mut value) = (told.end.max(rows.first()), vec![]);
        while id < rows.end() {
            value.clear();
            let mut entry = Entry { first: id, end: id, time_max: i64::MIN, together: vec![] };
            while let Some(row) = rows.get(id).filter(|_| value.len() < ENTRY_BYTES) {
                write_row(&row, &mut value);
                entry.time_max = entry.time_max.max(row.time);
                id += 1;
            }
            if id == entry.first {
                break;
            }
            entry.end = id;
            each(&key_of(ROWS, side, entry.first), Some(&value));
            told.entries.push_back(entry);
        }
        told.end = rows.end();
    }

    /// Take back an entry. `close` says when a row of a side and time is given up.
    pub fn restore(&mut self, key: &[u8], value: Option<&[u8]>, close: impl Fn(usize, i64) -> i64) -> Result<()> {
        let bad = || corrupt("a join", "the entry's key is not known");
        let ([kind, side], id) = key.split_first_chunk::<2>().ok_or_else(bad)?;
        let (side, id) = (usize::from(*side != 0), RowId::from_be_bytes(id.try_into().map_err(|_| bad())?));
        match (*kind, value) {
            (ROWS, Some(value)) => self.restore_rows(side, id, value, close),
            (ROWS, None) => {
                // Entries go in the order in which they came.
                let told = &mut self.told[side];
                if let Some(entry) = told.entries.pop_front_if(|entry| entry.first == id) {
                    self.alone.retain(|(_, s, id)| *s != side || *id >= entry.end);
                    self.sides[side].drop_before(entry.end);
                }
                Ok(())
            }
            (TOGETHER, Some(_)) => {
                let time = self.sides[side].get(id).map(|row| row.time);
                if let Some(time) = time
                    && self.sides[side].set_together(id)
                {
                    self.alone.remove(&(close(side, time), side, id));
                }
                if let Some(entry) = self.told[side].entry_of(id) {
                    entry.together.push(id);
                }
                Ok(())
            }
            (TOGETHER, None) => Ok(()),
            _ => Err(bad()),
        }
    }

    fn restore_rows(
        &mut self,
        side: usize,
        first: RowId,
        value: &[u8],
        close: impl Fn(usize, i64) -> i64,
    ) -> Result<()> {
        let (rows, told) = (&mut self.sides[side], &mut self.told[side]);
        if told.entries.is_empty() {
            rows.drop_before(RowId::MAX);
            rows.begin_at(first);
        }
        if rows.end() != first {
            return Err(corrupt("a join", format!("row {first} of side {side} comes behind row {}", rows.end())));
        }
        let mut entry = Entry { first, end: first, time_max: i64::MIN, together: vec![] };
        let mut rest = value;
        while !rest.is_empty() {
            let (row, columns, behind) = read_row(rest)?;
            rest = behind;
            entry.time_max = entry.time_max.max(row.time);
            let hasher = &self.hasher;
            let id = rows.push(
                hasher.hash_one(row.key),
                |key| hasher.hash_one(key),
                row,
                |out| {
                    out.extend_from_slice(columns);
                },
            );
            if row.is_alone {
                self.alone.insert((close(side, row.time), side, id));
            }
        }
        entry.end = rows.end();
        told.end = rows.end();
        told.entries.push_back(entry);
        Ok(())
    }

    /// All rows that are not older than their side's `from`: one entry a row, whatever the changelog's are.
    pub fn entries(&self, from: [i64; 2], each: &mut dyn FnMut(&[u8], &[u8])) {
        let (mut key, mut value) = (vec![], vec![]);
        for (side, rows) in self.sides.iter().enumerate() {
            for row in (rows.first()..rows.end()).filter_map(|id| rows.get(id)).filter(|row| row.time >= from[side]) {
                key.clear();
                key.push(u8::from(side != 0));
                key.extend_from_slice(&time_bytes(row.time));
                key.extend_from_slice(&row.number.0.to_be_bytes());
                key.extend_from_slice(&row.number.1.to_be_bytes());
                key.extend_from_slice(row.key);
                value.clear();
                value.push(u8::from(row.is_alone));
                value.extend_from_slice(row.columns);
                each(&key, &value);
            }
        }
    }

    /// Rows and bytes.
    pub fn size(&self) -> (usize, usize) {
        let [left, right] = self.sides.each_ref().map(Rows::size);
        (left.0 + right.0, left.1 + right.1)
    }
}

impl Told {
    /// The entry that a row is in.
    fn entry_of(&mut self, id: RowId) -> Option<&mut Entry> {
        let at = self.entries.partition_point(|entry| entry.end <= id);
        self.entries.get_mut(at).filter(|entry| entry.first <= id)
    }
}

fn key_of(kind: u8, side: usize, id: RowId) -> [u8; 10] {
    let mut key = [kind, u8::from(side != 0), 0, 0, 0, 0, 0, 0, 0, 0];
    if let Some(place) = key.last_chunk_mut::<8>() {
        *place = id.to_be_bytes();
    }
    key
}

/// Append a row: time, number, whether it is alone, lengths of key and columns, both.
fn write_row(row: &Kept<'_>, out: &mut Vec<u8>) {
    out.extend_from_slice(&row.time.to_le_bytes());
    out.extend_from_slice(&row.number.0.to_le_bytes());
    out.extend_from_slice(&row.number.1.to_le_bytes());
    out.push(u8::from(row.is_alone));
    for part in [row.key, row.columns] {
        out.extend_from_slice(&u32::try_from(part.len()).unwrap_or(u32::MAX).to_le_bytes());
    }
    out.extend_from_slice(row.key);
    out.extend_from_slice(row.columns);
}

/// Back from [`write_row`]: the row, its columns, and what follows it.
fn read_row(bytes: &[u8]) -> Result<(Coming<'_>, &[u8], &[u8])> {
    let read = || {
        let (time, rest) = bytes.split_first_chunk::<8>()?;
        let (seq, rest) = rest.split_first_chunk::<8>()?;
        let (tie, rest) = rest.split_first_chunk::<4>()?;
        let ([alone], rest) = rest.split_first_chunk::<1>()?;
        let (key_len, rest) = rest.split_first_chunk::<4>()?;
        let (columns_len, rest) = rest.split_first_chunk::<4>()?;
        let (key, rest) = rest.split_at_checked(u32::from_le_bytes(*key_len) as usize)?;
        let (columns, rest) = rest.split_at_checked(u32::from_le_bytes(*columns_len) as usize)?;
        let number = (u64::from_le_bytes(*seq), u32::from_le_bytes(*tie));
        let row = Coming { time: i64::from_le_bytes(*time), number, key, is_alone: *alone != 0 };
        Some((row, columns, rest))
    };
    read().ok_or_else(|| corrupt("a join", "an entry of rows is too short"))
}
