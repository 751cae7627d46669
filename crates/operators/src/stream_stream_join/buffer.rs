//! The rows of both sides of a join that may still find partners.
//!
//! A row is one allocation, in a numbered slot; lists of slots by key, by time and of rows that are still alone stand
//! beside. The changelog has a row under side, time, number and key.

use std::{
    collections::{BTreeSet, VecDeque},
    hash::BuildHasher,
};

use foldhash::fast::RandomState;
use hashbrown::{HashTable, hash_table::Entry};
use types::Result;

use crate::{
    aggregate::windows::{bytes_time, time_bytes},
    corrupt,
};

/// Order of arrival of a row on its side: its record's, then among the rows of one record.
pub(super) type Number = (u64, u32);

/// See the module.
#[derive(Default)]
pub(super) struct Buffer {
    slots: Vec<Kept>,
    free: Vec<u32>,
    dirty: Vec<u32>,
    sides: [Lists; 2],
    /// Rows that have no partner, by the time at which they are given up.
    alone: BTreeSet<(i64, u32)>,
    hasher: RandomState,
    rows: usize,
    bytes: usize,
}

#[derive(Default)]
struct Lists {
    /// Rows of one key, by time, then by number.
    by_key: HashTable<VecDeque<(i64, u32)>>,
    by_time: BTreeSet<(i64, u32)>,
}

/// A row.
#[derive(Default)]
pub(super) struct Kept {
    pub side: usize,
    pub time: i64,
    pub number: Number,
    /// When it is given up, if it is alone.
    close: Option<i64>,
    /// Key, then columns in compact encoding.
    entry: Box<[u8]>,
    key_len: usize,
    live: bool,
    dirty: bool,
    /// Whether the changelog has it.
    stored: bool,
}

/// What one row costs besides its bytes.
const ROW_OVERHEAD_BYTES: usize = size_of::<Kept>() + 48;

impl Kept {
    pub fn key(&self) -> &[u8] {
        self.entry.get(..self.key_len).unwrap_or(&[])
    }

    pub fn columns(&self) -> &[u8] {
        self.entry.get(self.key_len..).unwrap_or(&[])
    }

    pub fn is_alone(&self) -> bool {
        self.close.is_some()
    }

    fn write_key(&self, out: &mut Vec<u8>) {
        out.clear();
        out.push(u8::from(self.side != 0));
        out.extend_from_slice(&time_bytes(self.time));
        out.extend_from_slice(&self.number.0.to_be_bytes());
        out.extend_from_slice(&self.number.1.to_be_bytes());
        out.extend_from_slice(self.key());
    }

    fn write_value(&self, out: &mut Vec<u8>) {
        out.clear();
        out.push(u8::from(self.is_alone()));
        out.extend_from_slice(self.columns());
    }
}

fn key_of<'a>(slots: &'a [Kept], rows: &VecDeque<(i64, u32)>) -> &'a [u8] {
    rows.front().and_then(|(_, slot)| slots.get(*slot as usize)).map_or(&[][..], Kept::key)
}

#[allow(clippy::indexing_slicing)] // Two-element arrays indexed by side, 0 or 1.
impl Buffer {
    /// The row in a slot.
    pub fn get(&self, slot: u32) -> Option<&Kept> {
        self.slots.get(slot as usize).filter(|k| k.live)
    }

    fn list(&self, side: usize, key: &[u8]) -> Option<&VecDeque<(i64, u32)>> {
        let hash = self.hasher.hash_one(key);
        self.sides[side].by_key.find(hash, |rows| key_of(&self.slots, rows) == key)
    }

    /// Rows of a side and key from time `low` to time `high`, by time.
    pub fn between(&self, side: usize, key: &[u8], low: i64, high: i64) -> impl Iterator<Item = (u32, &Kept)> {
        let list = self.list(side, key);
        let from = list.map_or(0, |l| l.partition_point(|(time, _)| *time < low));
        let rows = list.into_iter().flat_map(move |l| l.range(from..)).take_while(move |(time, _)| *time <= high);
        rows.filter_map(|(_, slot)| Some((*slot, self.get(*slot)?)))
    }

    /// A new row; `close`: it is alone, and given up then.
    pub fn insert(&mut self, side: usize, time: i64, number: Number, key: &[u8], columns: &[u8], close: Option<i64>) {
        let slot = self.add(side, time, number, key, columns, close);
        self.mark(slot);
    }

    fn add(&mut self, side: usize, time: i64, number: Number, key: &[u8], columns: &[u8], close: Option<i64>) -> u32 {
        let mut entry = Vec::with_capacity(key.len() + columns.len());
        entry.extend_from_slice(key);
        entry.extend_from_slice(columns);
        let entry = entry.into_boxed_slice();
        self.rows += 1;
        self.bytes += entry.len();
        let slot = self.free.pop().unwrap_or_else(|| u32::try_from(self.slots.len()).unwrap_or(u32::MAX));
        let mut kept =
            Kept { side, time, number, close, entry, key_len: key.len(), live: true, dirty: false, stored: false };
        match self.slots.get_mut(slot as usize) {
            Some(place) => {
                kept.dirty = place.dirty;
                *place = kept;
            }
            None => self.slots.push(kept),
        }
        self.link(side, key, time, number, slot);
        if let Some(close) = close {
            self.alone.insert((close, slot));
        }
        slot
    }

    fn link(&mut self, side: usize, key: &[u8], time: i64, number: Number, slot: u32) {
        let (slots, hasher, lists) = (&self.slots, &self.hasher, &mut self.sides[side]);
        let place = lists.by_key.entry(
            hasher.hash_one(key),
            |rows| key_of(slots, rows) == key,
            |rows| hasher.hash_one(key_of(slots, rows)),
        );
        match place {
            Entry::Occupied(mut rows) => {
                let before = |other: &(i64, u32)| {
                    (other.0, slots.get(other.1 as usize).map_or((0, 0), |k| k.number)) < (time, number)
                };
                let rows = rows.get_mut();
                let at = if rows.back().is_none_or(before) { rows.len() } else { rows.partition_point(before) };
                rows.insert(at, (time, slot));
            }
            Entry::Vacant(place) => {
                place.insert(VecDeque::from([(time, slot)]));
            }
        }
        lists.by_time.insert((time, slot));
    }

    fn mark(&mut self, slot: u32) {
        if let Some(kept) = self.slots.get_mut(slot as usize)
            && !kept.dirty
        {
            kept.dirty = true;
            self.dirty.push(slot);
        }
    }

    /// When the first row that is alone is given up.
    pub fn first_alone(&self) -> Option<i64> {
        self.alone.first().map(|(close, _)| *close)
    }

    /// The next row that is alone and given up by `now`, which it then is not any more.
    pub fn pop_alone(&mut self, now: i64) -> Option<(i64, u32)> {
        let first = self.alone.first().copied().filter(|(close, _)| *close <= now)?;
        self.set_together(first.1);
        Some(first)
    }

    /// The row is not alone.
    pub fn set_together(&mut self, slot: u32) {
        let close = self.slots.get_mut(slot as usize).filter(|k| k.live).and_then(|k| k.close.take());
        if let Some(close) = close {
            self.alone.remove(&(close, slot));
            self.mark(slot);
        }
    }

    /// Forget a side's rows that are older than `from`.
    pub fn expire(&mut self, side: usize, from: i64) {
        while let Some((_, slot)) = self.sides[side].by_time.first().copied().filter(|(time, _)| *time < from) {
            self.remove(slot);
        }
    }

    fn remove(&mut self, slot: u32) {
        let Some(kept) = self.slots.get(slot as usize).filter(|k| k.live) else { return };
        let (side, time, hash) = (kept.side, kept.time, self.hasher.hash_one(kept.key()));
        let (slots, lists) = (&self.slots, &mut self.sides[side]);
        if let Ok(mut found) = lists.by_key.find_entry(hash, |rows| *key_of(slots, rows) == *kept.key()) {
            let rows = found.get_mut();
            let at = match rows.front() {
                Some((_, first)) if *first == slot => Some(0),
                _ => rows.iter().position(|(_, s)| *s == slot),
            };
            if rows.len() == 1 {
                found.remove();
            } else if let Some(at) = at {
                rows.remove(at);
            }
        }
        lists.by_time.remove(&(time, slot));
        if let Some(close) = kept.close {
            self.alone.remove(&(close, slot));
        }
        self.rows -= 1;
        self.bytes -= kept.entry.len();
        let stored = kept.stored;
        if let Some(kept) = self.slots.get_mut(slot as usize) {
            kept.live = false;
            if !stored {
                // Nobody has heard of it: the slot is free at once.
                *kept = Kept { dirty: kept.dirty, ..Kept::default() };
                self.free.push(slot);
                return;
            }
        }
        self.mark(slot);
    }

    /// Rows that changed since the last drain.
    pub fn drain(&mut self, each: &mut dyn FnMut(&[u8], Option<&[u8]>)) {
        let (mut key, mut value) = (vec![], vec![]);
        for slot in std::mem::take(&mut self.dirty) {
            let Some(kept) = self.slots.get_mut(slot as usize) else { continue };
            kept.dirty = false;
            kept.write_key(&mut key);
            if kept.live {
                kept.write_value(&mut value);
                kept.stored = true;
                each(&key, Some(&value));
            } else if kept.stored {
                each(&key, None);
                *kept = Kept::default();
                self.free.push(slot);
            }
        }
    }

    /// Take back an entry. `close` says when a row of a side and time is given up.
    pub fn restore(&mut self, key: &[u8], value: Option<&[u8]>, close: impl Fn(usize, i64) -> i64) -> Result<()> {
        let bad = || corrupt("a join", "the entry's key is too short");
        let ([side], rest) = key.split_first_chunk::<1>().ok_or_else(bad)?;
        let (time, rest) = rest.split_first_chunk::<8>().ok_or_else(bad)?;
        let (number, rest) = rest.split_first_chunk::<8>().ok_or_else(bad)?;
        let (tie, key) = rest.split_first_chunk::<4>().ok_or_else(bad)?;
        let (side, time) = (usize::from(*side != 0), bytes_time(*time));
        let number = (u64::from_be_bytes(*number), u32::from_be_bytes(*tie));
        let old = self.between(side, key, time, time).find(|(_, k)| k.number == number).map(|(slot, _)| slot);
        if let Some(slot) = old {
            if let Some(kept) = self.slots.get_mut(slot as usize) {
                kept.stored = false;
            }
            self.remove(slot);
        }
        if let Some((alone, columns)) = value.and_then(|v| v.split_first()) {
            let close = (*alone == 1).then(|| close(side, time));
            let slot = self.add(side, time, number, key, columns, close);
            if let Some(kept) = self.slots.get_mut(slot as usize) {
                kept.stored = true;
            }
        }
        Ok(())
    }

    /// All rows.
    pub fn entries(&self, each: &mut dyn FnMut(&[u8], &[u8])) {
        let (mut key, mut value) = (vec![], vec![]);
        for kept in self.slots.iter().filter(|k| k.live) {
            kept.write_key(&mut key);
            kept.write_value(&mut value);
            each(&key, &value);
        }
    }

    /// Rows and bytes.
    pub fn size(&self) -> (usize, usize) {
        (self.rows, self.bytes + self.rows * ROW_OVERHEAD_BYTES)
    }
}
