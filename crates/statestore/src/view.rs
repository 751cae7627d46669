//! A table's rows as of the last committed epoch, for readers, while the next epochs are being written.
//!
//! The writer changes the newest version at once and keeps, for each epoch that is not committed yet, what the keys
//! that it changed held before. A reader sees the oldest such value, else the newest version: one committed epoch,
//! never half of one. Rows that were last changed in a committed epoch may have left for the cold store; a reader is then
//! told to look there, after it has given the lock back.

use std::{
    collections::{BTreeMap, HashMap, HashSet, VecDeque},
    hash::BuildHasher,
    ops::Bound,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use coldstore::Version;
use foldhash::fast::RandomState;
use types::Result;

use crate::{
    Store,
    index::Slots,
    residency::cold_error,
    store::{Placed, Saved},
};

/// What the keys that an epoch changed held before it.
#[derive(Default)]
struct Undo {
    epoch: u64,
    /// Of keys that are in the store: a slot remembers its place here.
    changed: Vec<Change>,
    /// The values that those held, one behind the other.
    values: Vec<u8>,
    /// Of keys that were removed, by an epoch in flight (they may be in the store again, in another slot, but what is
    /// here is older): their values.
    removed: HashMap<Box<[u8]>, Removed>,
}

/// What the key of a slot held before an epoch.
#[derive(Debug, Clone, Copy)]
enum Before {
    /// It was not there.
    Absent,
    /// So many bytes from a place among the epoch's values on.
    Row { start: usize, length: u32 },
    /// What the cold store says: it was written without being looked at.
    Cold,
}

/// What a key that was removed held before an epoch.
#[derive(Debug)]
enum Removed {
    Absent,
    Row(Box<[u8]>),
    Cold,
}

/// The committed value of a key, borrowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Held<'a> {
    Absent,
    Row(&'a [u8]),
    Cold,
}

impl Undo {
    fn held(&self, before: Before) -> Held<'_> {
        match before {
            Before::Absent => Held::Absent,
            Before::Row { start, length } => {
                Held::Row(self.values.get(start..start + length as usize).unwrap_or_default())
            }
            Before::Cold => Held::Cold,
        }
    }

    /// Keep a value.
    fn keep(&mut self, value: &[u8]) -> Before {
        let start = self.values.len();
        self.values.extend_from_slice(value);
        Before::Row { start, length: u32::try_from(value.len()).unwrap_or(u32::MAX) }
    }
}

impl Removed {
    fn of(held: Held<'_>) -> Removed {
        match held {
            Held::Absent => Removed::Absent,
            Held::Row(value) => Removed::Row(value.into()),
            Held::Cold => Removed::Cold,
        }
    }

    fn held(&self) -> Held<'_> {
        match self {
            Removed::Absent => Held::Absent,
            Removed::Row(value) => Held::Row(value),
            Removed::Cold => Held::Cold,
        }
    }
}

/// What a reader finds.
pub enum Found<'a> {
    /// The row.
    Row(&'a [u8]),
    /// No row.
    Absent,
    /// The row is to be read from disk, if there is one.
    Cold(ColdKey),
}

/// A key to be looked for on disk.
pub struct ColdKey {
    version: Arc<Version>,
    key: Vec<u8>,
}

impl ColdKey {
    /// Its row.
    ///
    /// # Errors
    /// The disk cannot be read.
    pub fn get(&self) -> Result<Option<Vec<u8>>> {
        self.version.get(&self.key).map_err(cold_error)
    }
}

/// The rows of a scan that are on disk only.
pub struct ColdRest {
    version: Arc<Version>,
    prefix: Vec<u8>,
    /// Fingerprints of the keys that are not to be shown: what there is of them was in memory.
    hidden: HashSet<u128, RandomState>,
    hashers: [RandomState; 2],
}

impl ColdRest {
    fn new((version, prefix): (&Arc<Version>, &[u8])) -> ColdRest {
        let hashers = [RandomState::default(), RandomState::default()];
        ColdRest { version: version.clone(), prefix: prefix.to_vec(), hidden: HashSet::default(), hashers }
    }

    /// Two hashes of 64 bits: no two keys of a table share both.
    fn fingerprint(&self, key: &[u8]) -> u128 {
        let [high, low] = &self.hashers;
        u128::from(high.hash_one(key)) << 64 | u128::from(low.hash_one(key))
    }

    fn hide(&mut self, key: &[u8]) {
        let print = self.fingerprint(key);
        self.hidden.insert(print);
    }

    /// Call `each` with every row, in order of keys.
    ///
    /// # Errors
    /// The disk cannot be read.
    pub fn scan(&self, mut each: impl FnMut(&[u8], &[u8])) -> Result<()> {
        let scanned = self.version.scan(&self.prefix, |key, row| {
            let Some(key) = key.strip_prefix(self.prefix.as_slice()) else { return false };
            if !self.hidden.contains(&self.fingerprint(key)) {
                each(key, row);
            }
            true
        });
        scanned.map_err(cold_error)
    }
}

/// Bytes of room that is kept for the next epoch.
const SPARE_BYTES_MAX: usize = 4 << 20;

struct Change {
    /// `None`: the key was removed since, and what it held stands in `removed`.
    slot: Option<u32>,
    before: Before,
    /// What the slot held before an earlier epoch, which was in flight at the time.
    earlier: Saved,
}

/// Rows by key, versioned by epoch.
#[derive(Default)]
pub struct View {
    store: Store,
    /// Per epoch in flight, oldest first: what each changed key held before that epoch.
    undo: VecDeque<Undo>,
    /// The room of one that is over, for the next.
    spare: Undo,
    committed: AtomicU64,
}

impl View {
    /// An empty view.
    pub fn new() -> View {
        View::default()
    }

    /// The newest version: what the writer sees.
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// The newest version, for restoring and draining.
    pub fn store_mut(&mut self) -> &mut Store {
        &mut self.store
    }

    /// Set (or with `None` remove) the value of `key` in epoch `epoch`, which is not committed yet and not older than
    /// any written before. Whether it was in memory.
    pub fn write(&mut self, epoch: u64, key: &[u8], value: Option<&[u8]>) -> bool {
        self.write_hashed(epoch, self.store.hash(key), key, value)
    }

    /// As [`View::write`], of a key whose [hash](Store::hash) is known.
    pub fn write_hashed(&mut self, epoch: u64, hash: u32, key: &[u8], value: Option<&[u8]>) -> bool {
        if self.undo.back().is_none_or(|undo| undo.epoch != epoch) {
            self.undo.push_back(Undo { epoch, ..std::mem::take(&mut self.spare) });
        }
        match value {
            Some(value) => self.put(epoch, hash, key, value),
            None => self.remove(epoch, key),
        }
    }

    fn put(&mut self, epoch: u64, hash: u32, key: &[u8], value: &[u8]) -> bool {
        let earlier;
        let placed = self.store.place(hash, key, value);
        let was_there = matches!(placed, Placed::There(_));
        let (slot, before) = match placed {
            Placed::New(slot) => {
                earlier = Saved::default();
                (slot, if self.may_be_cold(key) { Before::Cold } else { Before::Absent })
            }
            Placed::There(slot) => {
                earlier = self.store.saved(slot);
                if earlier.epoch == epoch {
                    self.store.overwrite(slot, value);
                    self.store.mark(slot);
                    return was_there;
                }
                let held = self.undo.back_mut().zip(self.store.value(slot));
                let before = held.map_or(Before::Absent, |(undo, held)| undo.keep(held));
                self.store.overwrite(slot, value);
                (slot, before)
            }
        };
        self.store.mark(slot);
        let Some(undo) = self.undo.back_mut() else { return was_there };
        self.store.set_saved(slot, Saved { epoch, at: u32::try_from(undo.changed.len()).unwrap_or(u32::MAX) });
        undo.changed.push(Change { slot: Some(slot), before, earlier });
        was_there
    }

    fn remove(&mut self, epoch: u64, key: &[u8]) -> bool {
        let Some(slot) = self.store.find(key) else { return false };
        let mut saved = self.store.saved(slot);
        if saved.epoch != epoch
            && let Some(undo) = self.undo.back_mut()
        {
            let held = self.store.value(slot).map_or(Held::Absent, Held::Row);
            undo.removed.entry(key.into()).or_insert_with(|| Removed::of(held));
        }
        while let Some(undo) = self.undo.iter_mut().find(|undo| undo.epoch == saved.epoch) {
            let Some(change) = undo.changed.get_mut(saved.at as usize) else { break };
            change.slot = None;
            saved = change.earlier;
            let before = change.before;
            let held = Removed::of(undo.held(before));
            undo.removed.entry(key.into()).or_insert(held);
        }
        self.store.remove(key)
    }

    /// Epochs up to `epoch` are committed: readers see them.
    pub fn commit(&mut self, epoch: u64) {
        while self.undo.front().is_some_and(|undo| undo.epoch <= epoch) {
            if let Some(mut undo) = self.undo.pop_front()
                && undo.values.capacity() <= SPARE_BYTES_MAX
            {
                undo.changed.clear();
                undo.values.clear();
                undo.removed = HashMap::new();
                self.spare = undo;
            }
        }
        self.committed.store(epoch, Ordering::Release);
    }

    /// The newest committed epoch.
    pub fn committed_epoch(&self) -> u64 {
        self.committed.load(Ordering::Acquire)
    }

    /// Whether a key that is not in memory may be in the cold store.
    fn may_be_cold(&self, key: &[u8]) -> bool {
        self.store.residency().is_some_and(|r| !r.hides(key))
    }

    /// The committed value of `key`.
    pub fn get(&self, key: &[u8]) -> Found<'_> {
        match self.held(key) {
            Held::Row(row) => Found::Row(row),
            Held::Absent => Found::Absent,
            Held::Cold => match self.store.residency().map(|r| r.cold()) {
                Some((version, prefix)) => {
                    Found::Cold(ColdKey { version: version.clone(), key: [prefix, key].concat() })
                }
                None => Found::Absent,
            },
        }
    }

    fn held(&self, key: &[u8]) -> Held<'_> {
        for undo in self.undo.iter().filter(|undo| !undo.removed.is_empty()) {
            if let Some(before) = undo.removed.get(key) {
                return before.held();
            }
        }
        let Some(slot) = self.store.find(key) else {
            return if self.may_be_cold(key) { Held::Cold } else { Held::Absent };
        };
        self.held_in(slot)
    }

    /// The committed value of the key of a slot, if no epoch in flight has removed the key.
    fn held_in(&self, slot: u32) -> Held<'_> {
        let mut held = self.store.value(slot).map_or(Held::Absent, Held::Row);
        let mut saved = self.store.saved(slot);
        while let Some(undo) = self.undo.iter().find(|undo| undo.epoch == saved.epoch) {
            let Some(change) = undo.changed.get(saved.at as usize) else { break };
            held = undo.held(change.before);
            saved = change.earlier;
        }
        held
    }

    /// What the keys held that epochs in flight have removed, of those that are wanted.
    fn removed(&self, is_wanted: impl Fn(&[u8]) -> bool) -> BTreeMap<&[u8], Held<'_>> {
        let mut removed = BTreeMap::new();
        for (key, before) in self.undo.iter().flat_map(|undo| &undo.removed).filter(|(key, _)| is_wanted(key)) {
            removed.entry(&**key).or_insert(before.held());
        }
        removed
    }

    /// What the keys held that epochs in flight have changed.
    fn changed(&self) -> HashMap<&[u8], Held<'_>> {
        let mut changed = HashMap::new();
        for undo in &self.undo {
            for (key, before) in &undo.removed {
                changed.entry(&**key).or_insert(before.held());
            }
            for change in &undo.changed {
                let Some((key, _)) = change.slot.and_then(|slot| self.store.entry(slot)) else { continue };
                changed.entry(key).or_insert(undo.held(change.before));
            }
        }
        changed
    }

    /// What a scan finds on disk only.
    fn cold_rest(&self) -> Option<ColdRest> {
        let residency = self.store.residency()?;
        let (changed, mut rest) = (self.changed(), ColdRest::new(residency.cold()));
        let gone = residency.hidden().chain(self.store.iter().map(|(key, _)| key));
        gone.filter(|key| changed.get(key) != Some(&Held::Cold)).for_each(|key| rest.hide(key));
        changed.iter().filter(|(_, held)| **held != Held::Cold).for_each(|(key, _)| rest.hide(key));
        Some(rest)
    }

    /// All committed entries in memory, in no order; the others are in what it gives.
    pub fn scan(&self, mut each: impl FnMut(&[u8], &[u8])) -> Option<ColdRest> {
        let removed = self.removed(|_| true);
        for (key, slot) in self.store.live() {
            if removed.is_empty() || !removed.contains_key(key) {
                show(key, self.held_in(slot), &mut each);
            }
        }
        removed.into_iter().for_each(|(key, held)| show(key, held, &mut each));
        self.cold_rest()
    }

    /// Committed entries within the bounds, in order of keys. [`Store::build_order`] was called before.
    ///
    /// # Errors
    /// Some are on disk only, and it cannot be read.
    pub fn range(&self, from: Bound<&[u8]>, to: Bound<&[u8]>, mut each: impl FnMut(&[u8], &[u8])) -> Result<()> {
        let olds = self.removed(|key| within(from, to, key)).into_iter().peekable();
        let entries = self.store.ordered_slots(from, to).map(|(key, slot)| (key, self.held_in(slot))).peekable();
        let mut hot = Hot { olds, entries }.peekable();
        if let Some(residency) = self.store.residency() {
            let (version, prefix) = residency.cold();
            let first = match from {
                Bound::Included(key) | Bound::Excluded(key) => [prefix, key].concat(),
                Bound::Unbounded => prefix.to_vec(),
            };
            let scanned = version.scan(&first, |key, row| {
                let Some(key) = key.strip_prefix(prefix) else { return false };
                while let Some((own, held)) = hot.next_if(|(own, _)| *own < key) {
                    show(own, held, &mut each);
                }
                match hot.next_if(|(own, _)| *own == key) {
                    Some((own, Held::Cold)) => each(own, row),
                    Some((own, held)) => show(own, held, &mut each),
                    None if within(from, to, key) && !residency.hides(key) => each(key, row),
                    None => {}
                }
                match to {
                    Bound::Included(to) | Bound::Excluded(to) => key <= to,
                    Bound::Unbounded => true,
                }
            });
            scanned.map_err(cold_error)?;
        }
        hot.for_each(|(key, held)| show(key, held, &mut each));
        Ok(())
    }
}

fn show(key: &[u8], held: Held<'_>, each: &mut impl FnMut(&[u8], &[u8])) {
    if let Held::Row(row) = held {
        each(key, row);
    }
}

fn within(from: Bound<&[u8]>, to: Bound<&[u8]>, key: &[u8]) -> bool {
    (match from {
        Bound::Included(f) => key >= f,
        Bound::Excluded(f) => key > f,
        Bound::Unbounded => true,
    }) && (match to {
        Bound::Included(t) => key <= t,
        Bound::Excluded(t) => key < t,
        Bound::Unbounded => true,
    })
}

/// What is known in memory of the keys of a range, in order: of those that epochs in flight removed what they held
/// before, of the others what their slots say.
struct Hot<'a, O: Iterator<Item = (&'a [u8], Held<'a>)>, E: Iterator<Item = (&'a [u8], Held<'a>)>> {
    olds: std::iter::Peekable<O>,
    entries: std::iter::Peekable<E>,
}

impl<'a, O: Iterator<Item = (&'a [u8], Held<'a>)>, E: Iterator<Item = (&'a [u8], Held<'a>)>> Iterator
    for Hot<'a, O, E>
{
    type Item = (&'a [u8], Held<'a>);

    fn next(&mut self) -> Option<Self::Item> {
        match (self.olds.peek(), self.entries.peek()) {
            (Some((old, _)), Some((key, _))) if old > key => {}
            (None, _) => {}
            (Some((old, _)), other) => {
                if other.is_some_and(|(key, _)| key == old) {
                    self.entries.next();
                }
                return self.olds.next();
            }
        }
        self.entries.next()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{Keys, Paged};

    /// How rows leave for the cold store in the test below.
    struct Cold {
        store: coldstore::ColdStore,
        /// The epoch that what was taken belongs to.
        taken: Option<(u64, coldstore::Entries)>,
    }

    impl Cold {
        fn new() -> Cold {
            let disk = host::Host::simulated(1, 0).host.disk;
            let (store, _) = coldstore::ColdStore::open(disk, std::path::Path::new("/cold"), |_, _| true).unwrap();
            Cold { store, taken: None }
        }

        /// At the end of an epoch.
        fn take(&mut self, view: &mut View, epoch: u64, bytes_max: usize) {
            view.store_mut().drain(|_, _| {});
            if self.taken.is_none() {
                let mut entries = coldstore::Entries::default();
                view.store_mut().take_changed(bytes_max, &mut |k, v| entries.push(&[b"p", k], v));
                self.taken = Some((epoch, entries));
            }
        }

        fn write(&mut self, view: &mut View, committed: u64) {
            if let Some((_, entries)) = self.taken.take_if(|(epoch, _)| *epoch <= committed) {
                self.store.add(entries, committed, None).unwrap();
                self.store.merge(&std::sync::atomic::AtomicBool::new(false)).unwrap();
                view.store_mut().written(self.store.version());
            }
        }
    }

    fn get(view: &View, key: &[u8]) -> Option<Vec<u8>> {
        match view.get(key) {
            Found::Row(row) => Some(row.to_vec()),
            Found::Absent => None,
            Found::Cold(key) => key.get().unwrap(),
        }
    }

    proptest! {
        #[test]
        fn readers_see_exactly_the_committed_epoch(
            steps in prop::collection::vec((0u8..6, prop::option::of(any::<u8>()), 0u8..6), 0..120),
            cold_from in prop::option::of(0usize..60), bytes_max in 1usize..20
        ) {
            let mut view = View::new();
            view.store_mut().build_order();
            let mut cold = Cold::new();
            let (mut now, mut epoch, mut history) = (BTreeMap::new(), 1u64, BTreeMap::from([(0u64, BTreeMap::new())]));
            let mut committed = 0;
            for (at, (key, value, then)) in steps.into_iter().enumerate() {
                if Some(at) == cold_from {
                    view.store_mut().attach(b"p".to_vec(), cold.store.version());
                }
                if value.is_none() {
                    let mut keys = Keys::default();
                    keys.push(|out| out.push(key));
                    view.store_mut().page_in(&keys).unwrap();
                }
                view.write(epoch, &[key], value.as_ref().map(std::slice::from_ref));
                match value {
                    Some(v) => now.insert(vec![key], vec![v]),
                    None => now.remove(&vec![key]),
                };
                if then == 0 {
                    history.insert(epoch, now.clone());
                    cold.take(&mut view, epoch, bytes_max);
                    epoch += 1;
                }
                if then == 1 && committed + 1 < epoch {
                    committed += 1;
                    view.commit(committed);
                }
                if then == 4 {
                    cold.write(&mut view, committed);
                }
                if then == 5 {
                    view.store_mut().evict(3);
                }
                let want = &history[&committed];
                let mut all = BTreeMap::new();
                let mut add = |k: &[u8], v: &[u8]| assert!(all.insert(k.to_vec(), v.to_vec()).is_none());
                if let Some(rest) = view.scan(&mut add) {
                    rest.scan(&mut add).unwrap();
                }
                prop_assert_eq!(&all, want);
                let mut ranged = vec![];
                view.range(Bound::Excluded(&[1]), Bound::Included(&[4]), |k, v| ranged.push((k.to_vec(), v.to_vec()))).unwrap();
                let want_range: Vec<_> = want.iter().filter(|(k, _)| k[0] > 1 && k[0] <= 4).map(|(k, v)| (k.clone(), v.clone())).collect();
                prop_assert_eq!(ranged, want_range);
                for k in 0..6 {
                    prop_assert_eq!(get(&view, &[k]), want.get(&vec![k]).cloned());
                }
            }
        }
    }
}
