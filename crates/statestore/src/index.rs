//! Key → slot, by half of the key's hash: an index that grows, or passes another key, need not ask the slot.
//!
//! Slots lie with their hashes in one array, each at the place that its hash says or soon behind it. A look costs one
//! line of memory, and where the processor is told of many keys at once ([`Index::look_ahead`]), it waits for them
//! together and not for one after the other.

use std::{hash::BuildHasher, hint::black_box};

use foldhash::fast::RandomState;

/// Keys that are looked for together.
pub const BLOCK_KEYS: usize = 128;

/// Places of a small index.
const PLACES_MIN: usize = 8;
/// Of so many places …
const LOAD_OF: usize = 8;
/// … so many may be taken.
const LOAD_MAX: usize = 5;
/// Places that a guess looks at: most keys stand in one of them.
const GUESS_PLACES: usize = 4;

/// See the module.
#[derive(Default)]
pub struct Index {
    /// A hash above, one more than a slot below; 0: nothing. A power of two of them, or none.
    places: Vec<u64>,
    len: usize,
    hasher: RandomState,
}

fn pack(hash: u32, slot: u32) -> u64 {
    u64::from(hash) << 32 | u64::from(slot.wrapping_add(1))
}

fn hash_in(place: u64) -> u32 {
    (place >> 32) as u32
}

fn slot_in(place: u64) -> u32 {
    (place as u32).wrapping_sub(1)
}

impl Index {
    /// Half of a key's hash.
    #[inline]
    pub fn hash(&self, key: &[u8]) -> u32 {
        (self.hasher.hash_one(key) >> 32) as u32
    }

    /// Keys in it.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Memory, about.
    pub fn size_bytes(&self) -> usize {
        self.places.len() * size_of::<u64>()
    }

    #[inline]
    fn mask(&self) -> usize {
        self.places.len().wrapping_sub(1)
    }

    #[inline]
    fn place(&self, at: usize) -> u64 {
        self.places.get(at & self.mask()).copied().unwrap_or(0)
    }

    /// The slot of a key of that hash to which `is_it` says yes.
    #[inline]
    pub fn find(&self, hash: u32, mut is_it: impl FnMut(u32) -> bool) -> Option<u32> {
        let mut at = hash as usize;
        loop {
            let place = self.place(at);
            if place == 0 {
                return None;
            }
            if hash_in(place) == hash && is_it(slot_in(place)) {
                return Some(slot_in(place));
            }
            at = at.wrapping_add(1);
        }
    }

    /// Add the slot of a key of that hash that is not here.
    pub fn insert(&mut self, hash: u32, slot: u32) {
        if (self.len + 1) * LOAD_OF > self.places.len() * LOAD_MAX {
            self.grow();
        }
        self.len += 1;
        self.settle(pack(hash, slot));
    }

    fn settle(&mut self, new: u64) {
        let mask = self.mask();
        let mut at = hash_in(new) as usize & mask;
        while let Some(place) = self.places.get_mut(at) {
            if *place == 0 {
                *place = new;
                return;
            }
            at = (at + 1) & mask;
        }
    }

    fn grow(&mut self) {
        let places = vec![0; (self.places.len() * 2).max(PLACES_MIN)];
        let old = std::mem::replace(&mut self.places, places);
        old.into_iter().filter(|place| *place != 0).for_each(|place| self.settle(place));
    }

    /// Take a slot of that hash out; whether it was here.
    pub fn remove(&mut self, hash: u32, slot: u32) -> bool {
        let mask = self.mask();
        let mut hole = hash as usize & mask;
        loop {
            match self.place(hole) {
                0 => return false,
                place if place == pack(hash, slot) => break,
                _ => hole = (hole + 1) & mask,
            }
        }
        self.len -= 1;
        // What stands behind, and may stand here, moves up.
        let mut at = hole;
        loop {
            at = (at + 1) & mask;
            let place = self.place(at);
            let wanted = hash_in(place) as usize & mask;
            if place != 0 && at.wrapping_sub(wanted) & mask < at.wrapping_sub(hole) & mask {
                continue;
            }
            if let Some(there) = self.places.get_mut(hole) {
                *there = place;
            }
            if place == 0 {
                return true;
            }
            hole = at;
        }
    }

    /// Have the processor fetch what looks for keys of these hashes will look at; `each` is given the slots that some of
    /// them will most likely find, to do the same.
    pub fn look_ahead(&self, hashes: &[u32], mut each: impl FnMut(&[u32])) {
        let mut slots = [0; BLOCK_KEYS];
        for hashes in hashes.chunks(BLOCK_KEYS) {
            let fetched = hashes.iter().fold(0, |all, hash| all ^ self.place(*hash as usize));
            black_box(fetched);
            let mut found = 0;
            for hash in hashes {
                let near = (0..GUESS_PLACES).map(|step| self.place((*hash as usize).wrapping_add(step)));
                for place in near.filter(|place| *place != 0 && hash_in(*place) == *hash) {
                    if let Some(slot) = slots.get_mut(found) {
                        *slot = slot_in(place);
                        found += 1;
                    }
                }
            }
            each(slots.get(..found).unwrap_or_default());
        }
    }
}

/// What finds the slots of keys by an [`Index`].
pub trait Slots {
    /// What the index knows of a key.
    fn hash(&self, key: &[u8]) -> u32;

    /// Have the processor fetch the entries of keys of these hashes, which are looked for next.
    fn look_ahead(&self, hashes: &[u32]);

    /// The slot of a key of that hash, if it is there.
    fn find_hashed(&self, hash: u32, key: &[u8]) -> Option<u32>;
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// Few hashes, so that many keys want one place, also at the array's end.
        #[test]
        fn is_a_map(steps in prop::collection::vec((0u32..40, any::<bool>()), 0..400), spread in 1u32..5) {
            let (mut index, mut model) = (Index::default(), BTreeMap::new());
            let hash = |slot: u32| (slot / spread).wrapping_sub(7);
            for (slot, remove) in steps {
                if remove {
                    prop_assert_eq!(index.remove(hash(slot), slot), model.remove(&slot).is_some());
                } else if model.insert(slot, ()).is_none() {
                    index.insert(hash(slot), slot);
                }
                prop_assert_eq!(index.len(), model.len());
                for slot in 0..40 {
                    let found = index.find(hash(slot), |s| s == slot);
                    prop_assert_eq!(found, model.contains_key(&slot).then_some(slot));
                }
            }
            let mut guessed = vec![];
            let hashes: Vec<u32> = model.keys().map(|slot| hash(*slot)).collect();
            index.look_ahead(&hashes, |slots| guessed.extend_from_slice(slots));
            prop_assert!(guessed.iter().all(|slot| model.contains_key(slot)));
        }
    }

    #[test]
    fn nothing_is_found_in_nothing() {
        let mut index = Index::default();
        assert_eq!((index.find(3, |_| true), index.remove(3, 0), index.len()), (None, false, 0));
        index.look_ahead(&[1, 2], |slots| assert!(slots.is_empty()));
    }
}
