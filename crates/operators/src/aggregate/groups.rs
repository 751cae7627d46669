//! Which group has which slot.

use std::hash::BuildHasher;

use foldhash::fast::RandomState;
use hashbrown::{HashTable, hash_table::Entry};

/// Groups by key bytes, in numbered slots.
#[derive(Default)]
pub(crate) struct Groups {
    index: HashTable<u32>,
    slots: Vec<Group>,
    free: Vec<u32>,
    dirty: Vec<u32>,
    removed: Vec<Box<[u8]>>,
    hasher: RandomState,
    key_bytes: usize,
}

/// One group.
#[derive(Default, Clone)]
pub(crate) struct Group {
    /// Group columns in ordered encoding, then the window.
    pub key: Box<[u8]>,
    /// The latest event time folded in, ms.
    pub rowtime: i64,
    /// Whether a row was ever folded in.
    pub seen: bool,
    dirty: bool,
    live: bool,
}

impl Groups {
    /// Groups that are there.
    pub fn len(&self) -> usize {
        self.index.len()
    }

    /// Memory, about.
    pub fn size_bytes(&self) -> usize {
        self.key_bytes + self.slots.len() * (size_of::<Group>() + 8)
    }

    /// The slot of `key`, and whether it is new.
    pub fn intern(&mut self, key: &[u8]) -> (u32, bool) {
        let hash = self.hasher.hash_one(key);
        let (slots, hasher) = (&self.slots, &self.hasher);
        let entry = self.index.entry(
            hash,
            |i| slots.get(*i as usize).is_some_and(|g| *g.key == *key),
            |i| hasher.hash_one(slots.get(*i as usize).map_or(&[][..], |g| &g.key)),
        );
        match entry {
            Entry::Occupied(found) => (*found.get(), false),
            Entry::Vacant(place) => {
                let group = Group { key: key.into(), rowtime: i64::MIN, seen: false, dirty: false, live: true };
                self.key_bytes += key.len();
                let slot = match self.free.pop() {
                    Some(slot) => slot,
                    None => u32::try_from(self.slots.len()).unwrap_or(u32::MAX),
                };
                place.insert(slot);
                match self.slots.get_mut(slot as usize) {
                    Some(old) => *old = group,
                    None => self.slots.push(group),
                }
                (slot, true)
            }
        }
    }

    /// The group in a slot.
    pub fn get(&self, slot: u32) -> Option<&Group> {
        self.slots.get(slot as usize).filter(|g| g.live)
    }

    /// The group in a slot, to be changed.
    pub fn touch(&mut self, slot: u32) -> Option<&mut Group> {
        let group = self.slots.get_mut(slot as usize).filter(|g| g.live)?;
        if !group.dirty {
            group.dirty = true;
            self.dirty.push(slot);
        }
        Some(group)
    }

    /// The group in a slot, changed without being marked (restoring).
    pub fn get_mut(&mut self, slot: u32) -> Option<&mut Group> {
        self.slots.get_mut(slot as usize).filter(|g| g.live)
    }

    /// The slot of `key`, if it is there.
    pub fn find(&self, key: &[u8]) -> Option<u32> {
        let hash = self.hasher.hash_one(key);
        self.index.find(hash, |i| self.slots.get(*i as usize).is_some_and(|g| *g.key == *key)).copied()
    }

    /// Forget the group in a slot; `mark`: tell the changelog. The slot may be handed out again at once.
    pub fn remove(&mut self, slot: u32, mark: bool) {
        let Some(group) = self.slots.get_mut(slot as usize).filter(|g| g.live) else { return };
        let group = std::mem::take(group);
        let hash = self.hasher.hash_one(&*group.key);
        if let Ok(entry) = self.index.find_entry(hash, |i| *i == slot) {
            entry.remove();
        }
        self.key_bytes -= group.key.len();
        self.free.push(slot);
        if mark {
            self.removed.push(group.key);
        }
    }

    /// Slots changed, and keys removed, since the last drain. A key that was removed and came again is only in the
    /// first list.
    pub fn drain(&mut self) -> (Vec<u32>, Vec<Box<[u8]>>) {
        let mut dirty = std::mem::take(&mut self.dirty);
        dirty.retain(|slot| match self.slots.get_mut(*slot as usize) {
            Some(group) if group.live && group.dirty => {
                group.dirty = false;
                true
            }
            _ => false,
        });
        let mut removed = std::mem::take(&mut self.removed);
        removed.retain(|key| self.find(key).is_none());
        (dirty, removed)
    }

    /// All groups with their slots.
    pub fn iter(&self) -> impl Iterator<Item = (u32, &Group)> {
        (0..).zip(&self.slots).filter(|(_, g)| g.live)
    }
}
