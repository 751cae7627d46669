//! Which group has which slot.

use std::hint::black_box;

use statestore::{Blocks, Index, Residency, Slots};

use crate::key_bytes::KeyBytes;

/// Groups by key bytes, in numbered slots.
#[derive(Default)]
pub(crate) struct Groups {
    index: Index,
    slots: Blocks<Group>,
    free: Vec<u32>,
    dirty: Vec<u32>,
    removed: Vec<KeyBytes>,
    key_bytes: usize,
    /// Where groups may be on disk only: which ones.
    pub residency: Option<Box<Residency>>,
}

/// One group.
#[derive(Clone, Default)]
pub(crate) struct Group {
    /// Group columns in ordered encoding, then the window.
    pub key: KeyBytes,
    /// The latest event time folded in, ms.
    pub rowtime: i64,
    /// Place among the groups that the step touched, plus one; 0: not touched.
    pub mark: u32,
    /// EMIT FINAL: the window was not emitted yet.
    pub pending: bool,
    dirty: bool,
    live: bool,
    /// Whether the changelog knows the key.
    stored: bool,
}

impl Groups {
    /// Groups that are there.
    pub fn len(&self) -> usize {
        self.index.len()
    }

    /// Slots that were ever handed out.
    pub fn slots(&self) -> usize {
        self.slots.len()
    }

    /// Memory, about.
    pub fn size_bytes(&self) -> usize {
        self.key_bytes + self.slots.len() * size_of::<Group>() + self.index.size_bytes()
    }

    /// The slot of `key`, and whether it is new.
    pub fn intern(&mut self, key: &[u8]) -> (u32, bool) {
        self.intern_hashed(self.hash(key), key)
    }

    /// As [`Groups::intern`], of a key whose [hash](Slots::hash) is known.
    pub fn intern_hashed(&mut self, hash: u32, key: &[u8]) -> (u32, bool) {
        if let Some(slot) = self.find_hashed(hash, key) {
            return (slot, false);
        }
        let mut group = Group { key: key.into(), rowtime: i64::MIN, live: true, ..Group::default() };
        self.key_bytes += group.key.heap_bytes();
        let slot = self.free.pop().unwrap_or_else(|| u32::try_from(self.slots.len()).unwrap_or(u32::MAX));
        self.index.insert(hash, slot);
        match self.slots.get_mut(slot) {
            Some(old) => {
                // A slot is in the list of changed ones at most once.
                group.dirty = old.dirty;
                *old = group;
            }
            None => self.slots.push(group),
        }
        (slot, true)
    }

    /// The group in a slot.
    pub fn get(&self, slot: u32) -> Option<&Group> {
        self.slots.get(slot).filter(|g| g.live)
    }

    /// The group in a slot, to be changed.
    pub fn touch(&mut self, slot: u32) -> Option<&mut Group> {
        let group = self.slots.get_mut(slot).filter(|g| g.live)?;
        if !group.dirty {
            group.dirty = true;
            self.dirty.push(slot);
        }
        Some(group)
    }

    /// The group in a slot as a changelog has it.
    pub fn restored(&mut self, slot: u32) -> Option<&mut Group> {
        let group = self.slots.get_mut(slot).filter(|g| g.live)?;
        group.stored = true;
        Some(group)
    }

    /// The slot is not among those that the step touched any more.
    pub fn unmark(&mut self, slot: u32) {
        if let Some(group) = self.slots.get_mut(slot) {
            group.mark = 0;
        }
    }

    /// The slot of `key`, if it is there.
    pub fn find(&self, key: &[u8]) -> Option<u32> {
        self.find_hashed(self.hash(key), key)
    }

    fn unlink(&mut self, slot: u32) -> Option<KeyBytes> {
        let group = self.slots.get_mut(slot).filter(|g| g.live)?;
        let key = std::mem::take(&mut group.key);
        self.index.remove(self.index.hash(&key), slot);
        self.key_bytes -= key.heap_bytes();
        Some(key)
    }

    /// Forget the group in a slot. The slot may be handed out again at once.
    pub fn remove(&mut self, slot: u32) {
        let Some(key) = self.unlink(slot) else { return };
        let Some(group) = self.slots.get_mut(slot) else { return };
        if group.stored {
            self.removed.push(key);
        }
        *group = Group { dirty: group.dirty, ..Group::default() };
        self.free.push(slot);
    }

    /// Forget the group in a slot: it is on disk.
    pub fn evict(&mut self, slot: u32) {
        self.unlink(slot);
        if let Some(group) = self.slots.get_mut(slot) {
            *group = Group { dirty: group.dirty, ..Group::default() };
            self.free.push(slot);
        }
    }

    /// Forget the group of `key`, as a changelog says; gives the slot that it had.
    pub fn remove_restored(&mut self, key: &[u8]) -> Option<u32> {
        let slot = self.find(key)?;
        if let Some(group) = self.slots.get_mut(slot) {
            group.stored = false;
        }
        self.remove(slot);
        Some(slot)
    }

    /// Give the group in a slot another key, which no group has.
    pub fn rename(&mut self, slot: u32, key: &[u8]) {
        let Some(old) = self.unlink(slot) else { return };
        let Some(group) = self.slots.get_mut(slot) else { return };
        if std::mem::take(&mut group.stored) {
            self.removed.push(old);
        }
        group.key = key.into();
        self.key_bytes += group.key.heap_bytes();
        self.index.insert(self.index.hash(key), slot);
        self.touch(slot);
    }

    /// Slots changed, and keys removed, since the last drain. A key that was removed and came again is only in the
    /// first list.
    pub fn drain(&mut self) -> (Vec<u32>, Vec<KeyBytes>) {
        let mut dirty = std::mem::take(&mut self.dirty);
        dirty.retain(|slot| match self.slots.get_mut(*slot) {
            Some(group) => {
                let changed = std::mem::take(&mut group.dirty) && group.live;
                group.stored |= changed;
                changed
            }
            None => false,
        });
        let mut removed = std::mem::take(&mut self.removed);
        removed.retain(|key| self.find(key).is_none());
        (dirty, removed)
    }

    /// All groups with their slots.
    pub fn iter(&self) -> impl Iterator<Item = (u32, &Group)> {
        (0..).zip(self.slots.iter()).filter(|(_, g)| g.live)
    }
}

impl Slots for Groups {
    #[inline]
    fn hash(&self, key: &[u8]) -> u32 {
        self.index.hash(key)
    }

    fn look_ahead(&self, hashes: &[u32]) {
        self.index.look_ahead(hashes, |slots| {
            let groups = slots.iter().filter_map(|slot| self.slots.get(*slot));
            black_box(groups.fold(0, |all, group| all ^ group.mark));
        });
    }

    #[inline]
    fn find_hashed(&self, hash: u32, key: &[u8]) -> Option<u32> {
        self.index.find(hash, |slot| self.slots.get(slot).is_some_and(|g| *g.key == *key))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn drains_what_a_reader_needs(
            steps in prop::collection::vec((0u8..6, 0u8..6, 0u8..4, any::<bool>()), 0..120)
        ) {
            let (mut groups, mut copy) = (Groups::default(), BTreeSet::new());
            let mut model: BTreeMap<Vec<u8>, u32> = BTreeMap::new();
            for (key, other, what, drain) in steps {
                // Short keys and long ones.
                let [key, other] = [key, other].map(|k| vec![k; if k % 2 == 0 { 3 } else { 40 }]);
                match what {
                    0 => if let Some(slot) = model.remove(&key) {
                        groups.remove(slot);
                    },
                    1 => if key != other && !model.contains_key(&other) && let Some(slot) = model.remove(&key) {
                        groups.rename(slot, &other);
                        model.insert(other, slot);
                    },
                    _ => {
                        let (slot, new) = groups.intern(&key);
                        prop_assert_eq!(new, !model.contains_key(&key));
                        prop_assert!(!new || !model.values().any(|s| *s == slot));
                        model.insert(key, slot);
                        groups.touch(slot);
                    }
                }
                if drain {
                    let (dirty, removed) = groups.drain();
                    for key in removed {
                        prop_assert!(copy.remove(&*key), "a key that was never told of is told to be gone");
                    }
                    for slot in dirty {
                        copy.insert(groups.get(slot).unwrap().key.to_vec());
                    }
                    prop_assert!(copy.iter().eq(model.keys()));
                }
                prop_assert_eq!(groups.len(), model.len());
                for (key, slot) in &model {
                    prop_assert_eq!(groups.find(key), Some(*slot));
                }
            }
        }
    }
}
