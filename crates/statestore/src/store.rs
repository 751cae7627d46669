//! Key → value, both bytes, in memory under a hash index; remembers which keys changed since they were last drained.
//!
//! Entries live in numbered slots, so that operators may keep what belongs to a key beside it, and one allocation
//! holds key and value. An ordered index is built when a range is first asked for, and kept from then on.

use std::{collections::BTreeMap, hint::black_box, ops::Bound, sync::Arc};

use coldstore::Version;
use types::Result;

use crate::{
    blocks::Blocks,
    index::{Index, Slots},
    residency::{Keys, PageIn, Paged, Residency},
};

/// Keyed rows.
#[derive(Default)]
pub struct Store {
    index: Index,
    slots: Blocks<Slot>,
    free: Vec<u32>,
    dirty: Vec<u32>,
    /// How many of them have been drained, where that is done in pieces.
    drained: usize,
    /// Nobody drains it.
    untracked: bool,
    ordered: Option<BTreeMap<Box<[u8]>, u32>>,
    bytes: usize,
    /// Where entries may be on disk only: which ones.
    residency: Option<Box<Residency>>,
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

/// Slots whose entries are touched together.
const TOUCHED_SLOTS: usize = 64;

/// What one entry costs besides its bytes.
const ENTRY_OVERHEAD_BYTES: usize = 40;

impl Store {
    /// An empty store.
    pub fn new() -> Store {
        Store::default()
    }

    /// From now on it does not remember what changed: nobody drains it.
    pub fn untrack(&mut self) {
        self.untracked = true;
    }

    /// Entries in memory.
    pub fn len(&self) -> usize {
        self.index.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.index.is_empty()
    }

    /// Memory, about.
    pub fn size_bytes(&self) -> usize {
        let residency = self.residency.as_ref().map_or(0, |r| r.size_bytes());
        self.bytes + self.index.len() * ENTRY_OVERHEAD_BYTES + self.index.size_bytes() + residency
    }

    /// Memory that an entry takes, on average.
    fn entry_bytes(&self) -> usize {
        ENTRY_OVERHEAD_BYTES + (self.bytes + self.index.size_bytes()) / self.len().max(1)
    }

    /// Which entries are on disk only, if there may be any.
    pub fn residency(&self) -> Option<&Residency> {
        self.residency.as_deref()
    }

    /// Which of `keys` are to be read from disk before they are looked at; `None`: nothing ever is.
    pub fn look_for(&mut self, keys: &Keys) -> Option<PageIn> {
        let mut residency = self.residency.take()?;
        let page_in = residency.look_for(keys, self);
        self.residency = Some(residency);
        Some(page_in)
    }

    /// Take in an entry that was read from disk.
    pub fn admit(&mut self, key: &[u8], value: &[u8]) {
        if let Placed::New(slot) = self.place(self.hash(key), key, value)
            && let Some(residency) = &mut self.residency
        {
            residency.admitted(slot);
        }
    }

    /// Have `keys` in memory, those that are there at all.
    ///
    /// # Errors
    /// The disk cannot be read.
    pub fn page_in(&mut self, keys: &Keys) -> Result<()> {
        match self.look_for(keys) {
            Some(page_in) => page_in.read(|key, value| self.admit(key, value)),
            None => Ok(()),
        }
    }

    /// The slot of `key`, which keeps its number for as long as the key is there and until the next drain.
    pub fn slot(&self, key: &[u8]) -> Option<u32> {
        self.find(key)
    }

    /// The value in a slot.
    pub fn value(&self, slot: u32) -> Option<&[u8]> {
        self.slots.get(slot).map(Slot::value)
    }

    pub(crate) fn find(&self, key: &[u8]) -> Option<u32> {
        self.find_hashed(self.hash(key), key)
    }

    /// The value of `key`.
    pub fn get(&self, key: &[u8]) -> Option<&[u8]> {
        self.slots.get(self.find(key)?).map(Slot::value)
    }

    /// Set the value of `key`; whether it was in memory.
    pub fn put(&mut self, key: &[u8], value: &[u8]) -> bool {
        self.write(self.hash(key), key, value, true)
    }

    /// As [`Store::put`], of a key whose [hash](Slots::hash) is known.
    pub fn put_hashed(&mut self, hash: u32, key: &[u8], value: &[u8]) -> bool {
        self.write(hash, key, value, true)
    }

    /// Set the value of `key`, as read back from a changelog or checkpoint: not a change.
    pub fn restore(&mut self, key: &[u8], value: Option<&[u8]>) {
        match value {
            Some(value) => self.write(self.hash(key), key, value, false),
            None => self.erase(key, false),
        };
    }

    fn write(&mut self, hash: u32, key: &[u8], value: &[u8], mark: bool) -> bool {
        let (at, was_there) = match self.place(hash, key, value) {
            Placed::New(at) => (at, false),
            Placed::There(at) => {
                self.overwrite(at, value);
                (at, true)
            }
        };
        if mark {
            self.mark(at);
        } else if let Some(residency) = &mut self.residency {
            residency.changed(at);
        }
        was_there
    }

    /// The slot of `key`; if there is none, one with this value.
    pub(crate) fn place(&mut self, hash: u32, key: &[u8], value: &[u8]) -> Placed {
        if let Some(slot) = self.find_hashed(hash, key) {
            return Placed::There(slot);
        }
        let slot = Slot {
            entry: join(key, value),
            key_len: u32::try_from(key.len()).unwrap_or(u32::MAX),
            state: SlotState::Live,
            ..Slot::default()
        };
        let at = self.free.pop().unwrap_or_else(|| u32::try_from(self.slots.len()).unwrap_or(u32::MAX));
        self.index.insert(hash, at);
        match self.slots.get_mut(at) {
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
        let Some(slot) = self.slots.get_mut(at) else { return };
        if slot.value().len() == value.len() {
            if let Some(old) = slot.entry.get_mut(slot.key_len as usize..) {
                old.copy_from_slice(value);
            }
            return;
        }
        self.bytes = self.bytes + value.len() - slot.value().len();
        slot.entry = join(slot.key(), value);
    }

    /// Where a view keeps what the slot held before.
    pub(crate) fn saved(&self, at: u32) -> Saved {
        self.slots.get(at).map_or(Saved::default(), |s| s.saved)
    }

    pub(crate) fn set_saved(&mut self, at: u32, saved: Saved) {
        if let Some(slot) = self.slots.get_mut(at) {
            slot.saved = saved;
        }
    }

    /// Key and value of a slot.
    pub(crate) fn entry(&self, at: u32) -> Option<(&[u8], &[u8])> {
        self.slots.get(at).map(|s| (s.key(), s.value()))
    }

    pub(crate) fn mark(&mut self, at: u32) {
        if let Some(slot) = self.slots.get_mut(at)
            && !slot.dirty
        {
            if !self.untracked {
                slot.dirty = true;
                self.dirty.push(at);
            }
            // From now on, not from the drain on: the slot must not be given up in between.
            if let Some(residency) = &mut self.residency
                && slot.state == SlotState::Live
            {
                residency.changed(at);
            }
        }
    }

    /// Forget `key`; whether it was there. Where entries may be on disk only, it was [looked for](Store::look_for).
    pub fn remove(&mut self, key: &[u8]) -> bool {
        self.erase(key, true)
    }

    fn erase(&mut self, key: &[u8], mark: bool) -> bool {
        if !mark && let Some(residency) = &mut self.residency {
            residency.removed(key);
        }
        let Some(at) = self.unlink(key) else { return false };
        let mut is_known = false;
        if let Some(slot) = self.slots.get_mut(at) {
            slot.state = SlotState::Removed;
            is_known = (!mark || self.untracked) && !slot.dirty;
        }
        if (mark || !is_known)
            && let Some(residency) = &mut self.residency
        {
            // At once, not from the drain on: nobody may read it back in between.
            residency.freed(at);
            residency.removed(key);
        }
        match is_known {
            true => self.release(at),
            false => self.mark(at),
        }
        true
    }

    /// Take `key` out of the indexes; the slot that it had.
    fn unlink(&mut self, key: &[u8]) -> Option<u32> {
        let hash = self.hash(key);
        let at = self.find_hashed(hash, key)?;
        self.index.remove(hash, at);
        if let Some(ordered) = &mut self.ordered {
            ordered.remove(key);
        }
        self.bytes -= self.slots.get(at).map_or(0, |s| s.entry.len());
        Some(at)
    }

    /// Make an unlinked slot free.
    fn release(&mut self, at: u32) {
        if let Some(slot) = self.slots.get_mut(at) {
            *slot = Slot::default();
            self.free.push(at);
        }
        if let Some(residency) = &mut self.residency {
            residency.freed(at);
        }
    }

    /// Every key that changed since the last drain, with its value now; each once, unless it was removed and put
    /// again, where the last one counts.
    pub fn drain(&mut self, each: impl FnMut(&[u8], Option<&[u8]>)) {
        self.drain_some(usize::MAX, each);
    }

    /// As [`Store::drain`], so many at most; whether those were all. Nothing changes before all are drained.
    pub fn drain_some(&mut self, keys_max: usize, mut each: impl FnMut(&[u8], Option<&[u8]>)) -> bool {
        let dirty = std::mem::take(&mut self.dirty);
        let end = dirty.len().min(self.drained.saturating_add(keys_max));
        for at in dirty.get(self.drained..end).unwrap_or_default().iter().copied() {
            let Some(slot) = self.slots.get_mut(at) else { continue };
            slot.dirty = false;
            match slot.state {
                SlotState::Live => each(slot.key(), Some(slot.value())),
                SlotState::Removed => {
                    // The key may live again in another slot, which is dirty too and drained later or earlier.
                    let key = std::mem::take(&mut slot.entry);
                    let key = key.get(..slot.key_len as usize).unwrap_or(&[]);
                    self.release(at);
                    if self.find(key).is_none() {
                        each(key, None);
                    }
                }
                SlotState::Free => {}
            }
        }
        let is_all = end == dirty.len();
        (self.dirty, self.drained) = if is_all { (vec![], 0) } else { (dirty, end) };
        is_all
    }

    /// Whether anything changed since the last drain.
    pub fn is_dirty(&self) -> bool {
        !self.dirty.is_empty()
    }

    /// All entries in memory, in no order.
    pub fn iter(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        self.slots.iter().filter(|s| s.state == SlotState::Live).map(|s| (s.key(), s.value()))
    }

    /// The same with slots for values. Entries lie anywhere in memory: some at a time are touched before they are looked
    /// at, so that they are waited for together.
    pub(crate) fn live(&self) -> impl Iterator<Item = (&[u8], u32)> {
        let all = self.slots.chunks(TOUCHED_SLOTS).flat_map(|chunk| {
            touch(chunk.iter());
            chunk
        });
        (0..).zip(all).filter(|(_, s)| s.state == SlotState::Live).map(|(at, s)| (s.key(), at))
    }

    /// Entries in memory whose keys lie within the bounds, in order of keys. The first call builds the index.
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
        self.ordered_slots(from, to).filter_map(|(key, at)| Some((key, self.value(at)?)))
    }

    /// The same with slots for values.
    pub(crate) fn ordered_slots(&self, from: Bound<&[u8]>, to: Bound<&[u8]>) -> impl Iterator<Item = (&[u8], u32)> {
        let empty = match (from, to) {
            (Bound::Included(a) | Bound::Excluded(a), Bound::Included(b) | Bound::Excluded(b)) => {
                a > b || (a == b && !matches!((from, to), (Bound::Included(_), Bound::Included(_))))
            }
            _ => false,
        };
        let entries = if empty { None } else { self.ordered.as_ref().map(|o| o.range::<[u8], _>((from, to))) };
        entries.into_iter().flatten().map(|(key, at)| (&**key, *at))
    }
}

impl Slots for Store {
    #[inline]
    fn hash(&self, key: &[u8]) -> u32 {
        self.index.hash(key)
    }

    fn look_ahead(&self, hashes: &[u32]) {
        self.index.look_ahead(hashes, |slots| {
            let slot = |slot: &u32| self.slots.get(*slot);
            black_box(slots.iter().filter_map(slot).fold(0, |all, slot| all ^ slot.key_len));
            touch(slots.iter().filter_map(slot));
        });
    }

    #[inline]
    fn find_hashed(&self, hash: u32, key: &[u8]) -> Option<u32> {
        self.index.find(hash, |slot| self.slots.get(slot).is_some_and(|s| s.key() == key))
    }
}

impl Paged for Store {
    fn attach(&mut self, prefix: Vec<u8>, version: Arc<Version>) {
        let mut residency = Box::new(Residency::new(prefix, version));
        for (at, _) in (0..).zip(self.slots.iter()).filter(|(_, slot)| slot.state == SlotState::Live) {
            residency.changed(at);
        }
        self.residency = Some(residency);
    }

    fn changed_bytes(&self) -> Option<usize> {
        self.residency.as_ref().map(|r| r.changed_bytes(self.entry_bytes()))
    }

    fn take_changed(&mut self, bytes_max: usize, each: &mut dyn FnMut(&[u8], Option<&[u8]>)) -> bool {
        let entry_bytes = self.entry_bytes();
        let Some(mut residency) = self.residency.take() else { return true };
        let each = std::cell::RefCell::new(each);
        let entry = |slot: u32| {
            if let Some((key, value)) = self.entry(slot) {
                each.borrow_mut()(key, Some(value));
            }
        };
        let gone = |key: &[u8]| {
            if self.find(key).is_none() {
                each.borrow_mut()(key, None);
            }
        };
        let all = residency.take(bytes_max / entry_bytes, entry, gone);
        self.residency = Some(residency);
        all
    }

    fn written(&mut self, version: Arc<Version>) {
        if let Some(residency) = &mut self.residency {
            residency.written(version);
        }
    }

    fn evict(&mut self, bytes: usize) {
        let Some(mut residency) = self.residency.take() else { return };
        let mut left = bytes;
        residency.evict(|at| {
            let Some(key) = self.entry(at).map(|(key, _)| key.to_vec()) else { return true };
            left = left.saturating_sub(self.slots.get(at).map_or(0, |s| s.entry.len()) + ENTRY_OVERHEAD_BYTES);
            self.unlink(&key);
            self.release(at);
            left > 0
        });
        self.residency = Some(residency);
    }

    fn lookups(&self) -> (u64, u64) {
        self.residency.as_ref().map_or((0, 0), |r| r.lookups())
    }

    fn residency_mut(&mut self) -> Option<&mut Residency> {
        self.residency.as_deref_mut()
    }
}

/// Have the entries of some slots on their way from memory.
#[inline]
fn touch<'a>(slots: impl Iterator<Item = &'a Slot>) {
    let ends = slots.map(|slot| slot.entry.first().unwrap_or(&0) ^ slot.entry.last().unwrap_or(&0));
    black_box(ends.fold(0, |all, ends| all ^ ends));
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
            steps in prop::collection::vec((0u8..8, prop::option::of(0u8..4), any::<bool>()), 0..200),
            piece in 1usize..9
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
                    let mut put = |k: &[u8], v: Option<&[u8]>| {
                        match v {
                            Some(v) => copy.insert(k.to_vec(), v.to_vec()),
                            None => copy.remove(k),
                        };
                    };
                    while !store.drain_some(piece, &mut put) {}
                    prop_assert!(!store.is_dirty());
                    prop_assert_eq!(&copy, &model);
                }
                let all: BTreeMap<_, _> = store.iter().map(|(k, v)| (k.to_vec(), v.to_vec())).collect();
                prop_assert_eq!(&all, &model);
            }
            let ranged: Vec<_> = store.range(Bound::Included(&[2]), Bound::Excluded(&[6])).map(|(k, v)| (k.to_vec(), v.to_vec())).collect();
            let want: Vec<_> = model.range(vec![2]..vec![6]).map(|(k, v)| (k.clone(), v.clone())).collect();
            prop_assert_eq!(ranged, want);
        }

        #[test]
        fn live_slots_are_those_of_the_entries(removed in prop::collection::btree_set(0u8..200, 0..200)) {
            let mut store = Store::new();
            (0u8..200).for_each(|key| assert!(!store.put(&[key], &[key, 1])));
            removed.iter().for_each(|key| assert!(store.remove(&[*key])));
            let live: Vec<_> = store.live().map(|(key, slot)| (key, store.value(slot).unwrap())).collect();
            prop_assert_eq!(live, store.iter().collect::<Vec<_>>());
        }
    }
}
