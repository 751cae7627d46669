//! Key → value, both bytes, in memory under a hash index; remembers which keys changed since they were last drained.
//!
//! Entries live in numbered slots, so that operators may keep what belongs to a key beside it, and one allocation
//! holds key and value. An ordered index is built when a range is first asked for, and kept from then on.

use std::{collections::BTreeMap, ops::Bound};

use foldhash::fast::RandomState;
use hashbrown::{HashTable, hash_table::Entry};
use std::hash::BuildHasher;

/// Keyed rows.
#[derive(Default)]
pub struct Store {
    index: HashTable<u32>,
    slots: Vec<Slot>,
    free: Vec<u32>,
    dirty: Vec<u32>,
    ordered: Option<BTreeMap<Box<[u8]>, u32>>,
    hasher: RandomState,
    bytes: usize,
}

#[derive(Default)]
struct Slot {
    /// Key, then value. Empty key and no value: free.
    entry: Box<[u8]>,
    key_len: u32,
    /// Where the [`View`](crate::View) over the store keeps what the slot held before.
    saved: Saved,
    state: SlotState,
    dirty: bool,
}

/// A place in what a view remembers of an epoch.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Saved {
    /// The epoch; 0, which is committed from the beginning: none.
    pub epoch: u64,
    pub at: u32,
}

/// What came of a [`Store::place`].
pub(crate) enum Placed {
    /// The key is new, in this slot.
    New(u32),
    /// The key is in this slot, as it was.
    There(u32),
}

#[derive(Default, Clone, Copy, PartialEq, Eq)]
enum SlotState {
    #[default]
    Free,
    Live,
    /// Removed; kept until the removal is drained.
    Removed,
}

impl Slot {
    fn key(&self) -> &[u8] {
        self.entry.get(..self.key_len as usize).unwrap_or(&[])
    }

    fn value(&self) -> &[u8] {
        self.entry.get(self.key_len as usize..).unwrap_or(&[])
    }
}

/// What one entry costs besides its bytes.
const ENTRY_OVERHEAD_BYTES: usize = 48;

impl Store {
    /// An empty store.
    pub fn new() -> Store {
        Store::default()
    }

    /// Entries.
    pub fn len(&self) -> usize {
        self.index.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.index.is_empty()
    }

    /// Memory, about.
    pub fn size_bytes(&self) -> usize {
        self.bytes + self.index.len() * ENTRY_OVERHEAD_BYTES
    }

    pub(crate) fn find(&self, key: &[u8]) -> Option<u32> {
        let hash = self.hasher.hash_one(key);
        let slots = &self.slots;
        self.index.find(hash, |i| slots.get(*i as usize).is_some_and(|s| s.key() == key)).copied()
    }

    /// The value of `key`.
    pub fn get(&self, key: &[u8]) -> Option<&[u8]> {
        self.slots.get(self.find(key)? as usize).map(Slot::value)
    }

    /// Set the value of `key`.
    pub fn put(&mut self, key: &[u8], value: &[u8]) {
        self.write(key, value, true);
    }

    /// Set the value of `key`, as read back from a changelog or checkpoint: not a change.
    pub fn restore(&mut self, key: &[u8], value: Option<&[u8]>) {
        match value {
            Some(value) => self.write(key, value, false),
            None => {
                self.erase(key, false);
            }
        }
    }

    fn write(&mut self, key: &[u8], value: &[u8], mark: bool) {
        let at = match self.place(key, value) {
            Placed::New(at) => at,
            Placed::There(at) => {
                self.overwrite(at, value);
                at
            }
        };
        if mark {
            self.mark(at);
        }
    }

    /// The slot of `key`; if there is none, one with this value.
    pub(crate) fn place(&mut self, key: &[u8], value: &[u8]) -> Placed {
        let (slots, hasher) = (&self.slots, &self.hasher);
        let entry = self.index.entry(
            hasher.hash_one(key),
            |i| slots.get(*i as usize).is_some_and(|s| s.key() == key),
            |i| hasher.hash_one(slots.get(*i as usize).map_or(&[][..], Slot::key)),
        );
        let place = match entry {
            Entry::Occupied(found) => return Placed::There(*found.get()),
            Entry::Vacant(place) => place,
        };
        let slot = Slot {
            entry: join(key, value),
            key_len: u32::try_from(key.len()).unwrap_or(u32::MAX),
            state: SlotState::Live,
            ..Slot::default()
        };
        let at = self.free.pop().unwrap_or_else(|| u32::try_from(self.slots.len()).unwrap_or(u32::MAX));
        place.insert(at);
        match self.slots.get_mut(at as usize) {
            Some(free) => *free = slot,
            None => self.slots.push(slot),
        }
        self.bytes += key.len() + value.len();
        if let Some(ordered) = &mut self.ordered {
            ordered.insert(key.into(), at);
        }
        Placed::New(at)
    }

    /// Write the value of a slot over what it holds.
    pub(crate) fn overwrite(&mut self, at: u32, value: &[u8]) {
        let Some(slot) = self.slots.get_mut(at as usize) else { return };
        if slot.value().len() == value.len() {
            if let Some(old) = slot.entry.get_mut(slot.key_len as usize..) {
                old.copy_from_slice(value);
            }
        } else {
            self.exchange(at, value);
        }
    }

    /// Give a slot another value; its entry (key and value) as it was.
    pub(crate) fn exchange(&mut self, at: u32, value: &[u8]) -> Option<Box<[u8]>> {
        let slot = self.slots.get_mut(at as usize)?;
        self.bytes = self.bytes + value.len() - slot.value().len();
        let entry = join(slot.key(), value);
        Some(std::mem::replace(&mut slot.entry, entry))
    }

    /// Where a view keeps what the slot held before.
    pub(crate) fn saved(&self, at: u32) -> Saved {
        self.slots.get(at as usize).map_or(Saved::default(), |s| s.saved)
    }

    pub(crate) fn set_saved(&mut self, at: u32, saved: Saved) {
        if let Some(slot) = self.slots.get_mut(at as usize) {
            slot.saved = saved;
        }
    }

    /// Key and value of a slot.
    pub(crate) fn entry(&self, at: u32) -> Option<(&[u8], &[u8])> {
        self.slots.get(at as usize).map(|s| (s.key(), s.value()))
    }

    pub(crate) fn mark(&mut self, at: u32) {
        if let Some(slot) = self.slots.get_mut(at as usize)
            && !slot.dirty
        {
            slot.dirty = true;
            self.dirty.push(at);
        }
    }

    /// Forget `key`; whether it was there.
    pub fn remove(&mut self, key: &[u8]) -> bool {
        self.erase(key, true)
    }

    fn erase(&mut self, key: &[u8], mark: bool) -> bool {
        let hash = self.hasher.hash_one(key);
        let slots = &self.slots;
        let found = self.index.find_entry(hash, |i| slots.get(*i as usize).is_some_and(|s| s.key() == key));
        let Ok(entry) = found else { return false };
        let (at, _) = entry.remove();
        if let Some(ordered) = &mut self.ordered {
            ordered.remove(key);
        }
        if let Some(slot) = self.slots.get_mut(at as usize) {
            self.bytes -= slot.entry.len();
            slot.state = SlotState::Removed;
            if !mark && !slot.dirty {
                *slot = Slot::default();
                self.free.push(at);
                return true;
            }
        }
        self.mark(at);
        true
    }

    /// Every key that changed since the last drain, with its value now; each once, unless it was removed and put
    /// again, where the last one counts.
    pub fn drain(&mut self, mut each: impl FnMut(&[u8], Option<&[u8]>)) {
        for at in std::mem::take(&mut self.dirty) {
            let Some(slot) = self.slots.get_mut(at as usize) else { continue };
            slot.dirty = false;
            match slot.state {
                SlotState::Live => each(slot.key(), Some(slot.value())),
                SlotState::Removed => {
                    // The key may live again in another slot, which is dirty too and drained later or earlier.
                    let key = std::mem::take(&mut slot.entry);
                    let key = key.get(..slot.key_len as usize).unwrap_or(&[]).to_vec();
                    *slot = Slot::default();
                    self.free.push(at);
                    if self.find(&key).is_none() {
                        each(&key, None);
                    }
                }
                SlotState::Free => {}
            }
        }
    }

    /// Whether anything changed since the last drain.
    pub fn is_dirty(&self) -> bool {
        !self.dirty.is_empty()
    }

    /// All entries, in no order.
    pub fn iter(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        self.slots.iter().filter(|s| s.state == SlotState::Live).map(|s| (s.key(), s.value()))
    }

    /// Entries whose keys lie within the bounds, in order of keys. The first call builds the index.
    pub fn range(&mut self, from: Bound<&[u8]>, to: Bound<&[u8]>) -> impl Iterator<Item = (&[u8], &[u8])> {
        self.build_order();
        self.ordered_range(from, to)
    }

    /// Build the ordered index, if it is not there.
    pub fn build_order(&mut self) {
        if self.ordered.is_none() {
            let live = self.slots.iter().enumerate().filter(|(_, s)| s.state == SlotState::Live);
            self.ordered = Some(live.map(|(i, s)| (s.key().into(), u32::try_from(i).unwrap_or(u32::MAX))).collect());
        }
    }

    /// Whether ranges can be read without building the index.
    pub fn has_order(&self) -> bool {
        self.ordered.is_some()
    }

    /// As [`Store::range`], where the index is there already; nothing where it is not.
    pub fn ordered_range(&self, from: Bound<&[u8]>, to: Bound<&[u8]>) -> impl Iterator<Item = (&[u8], &[u8])> {
        let empty = match (from, to) {
            (Bound::Included(a) | Bound::Excluded(a), Bound::Included(b) | Bound::Excluded(b)) => {
                a > b || (a == b && !matches!((from, to), (Bound::Included(_), Bound::Included(_))))
            }
            _ => false,
        };
        let entries = if empty { None } else { self.ordered.as_ref().map(|o| o.range::<[u8], _>((from, to))) };
        entries.into_iter().flatten().filter_map(|(key, at)| Some((&**key, self.slots.get(*at as usize)?.value())))
    }
}

fn join(key: &[u8], value: &[u8]) -> Box<[u8]> {
    let mut entry = Vec::with_capacity(key.len() + value.len());
    entry.extend_from_slice(key);
    entry.extend_from_slice(value);
    entry.into_boxed_slice()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn is_a_map_and_drains_what_changed(
            steps in prop::collection::vec((0u8..8, prop::option::of(0u8..4), any::<bool>()), 0..200)
        ) {
            let (mut store, mut model, mut copy) = (Store::new(), BTreeMap::new(), BTreeMap::new());
            for (key, value, drain) in steps {
                let key = vec![key];
                match value {
                    Some(n) => {
                        store.put(&key, &vec![n; n as usize]);
                        model.insert(key, vec![n; n as usize]);
                    }
                    None => prop_assert_eq!(store.remove(&key), model.remove(&key).is_some()),
                }
                if drain {
                    store.drain(|k, v| {
                        match v {
                            Some(v) => copy.insert(k.to_vec(), v.to_vec()),
                            None => copy.remove(k),
                        };
                    });
                    prop_assert_eq!(&copy, &model);
                }
                let all: BTreeMap<_, _> = store.iter().map(|(k, v)| (k.to_vec(), v.to_vec())).collect();
                prop_assert_eq!(&all, &model);
            }
            let ranged: Vec<_> = store.range(Bound::Included(&[2]), Bound::Excluded(&[6])).map(|(k, v)| (k.to_vec(), v.to_vec())).collect();
            let want: Vec<_> = model.range(vec![2]..vec![6]).map(|(k, v)| (k.clone(), v.clone())).collect();
            prop_assert_eq!(ranged, want);
        }
    }
}
