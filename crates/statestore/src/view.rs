//! A table's rows as of the last committed epoch, for readers, while the next epochs are being written.
//!
//! The writer changes the newest version at once and keeps, for each epoch that is not committed yet, what the keys
//! that it changed held before. A reader sees the oldest such value, else the newest version: one committed epoch,
//! never half of one.

use std::{
    collections::{HashMap, VecDeque},
    ops::Bound,
    sync::atomic::{AtomicU64, Ordering},
};

use crate::{
    Store,
    store::{Placed, Saved},
};

/// What the keys that an epoch changed held before it.
#[derive(Default)]
struct Undo {
    epoch: u64,
    /// Of keys that are in the store: a slot remembers its place here.
    changed: Vec<Change>,
    /// Of keys that were removed, by an epoch in flight (they may be in the store again, in another slot, but what is
    /// here is older); `None`: nothing.
    removed: HashMap<Box<[u8]>, Option<Box<[u8]>>>,
}

struct Change {
    /// `None`: the key was removed since, and what it held stands in `removed`.
    slot: Option<u32>,
    /// Key and value; `None`: the key was not there.
    before: Option<Box<[u8]>>,
    /// What the slot held before an earlier epoch, which was in flight at the time.
    earlier: Saved,
}

/// Rows by key, versioned by epoch.
#[derive(Default)]
pub struct View {
    store: Store,
    /// Per epoch in flight, oldest first: what each changed key held before that epoch.
    undo: VecDeque<Undo>,
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
    /// any written before.
    pub fn write(&mut self, epoch: u64, key: &[u8], value: Option<&[u8]>) {
        if self.undo.back().is_none_or(|undo| undo.epoch != epoch) {
            self.undo.push_back(Undo { epoch, ..Undo::default() });
        }
        match value {
            Some(value) => self.put(epoch, key, value),
            None => self.remove(epoch, key),
        }
    }

    fn put(&mut self, epoch: u64, key: &[u8], value: &[u8]) {
        let Some(undo) = self.undo.back_mut() else { return };
        let earlier;
        let (slot, before) = match self.store.place(key, value) {
            Placed::New(slot) => {
                earlier = Saved::default();
                (slot, None)
            }
            Placed::There(slot) => {
                earlier = self.store.saved(slot);
                if earlier.epoch == epoch {
                    self.store.overwrite(slot, value);
                    self.store.mark(slot);
                    return;
                }
                (slot, self.store.exchange(slot, value))
            }
        };
        self.store.mark(slot);
        self.store.set_saved(slot, Saved { epoch, at: u32::try_from(undo.changed.len()).unwrap_or(u32::MAX) });
        undo.changed.push(Change { slot: Some(slot), before, earlier });
    }

    fn remove(&mut self, epoch: u64, key: &[u8]) {
        let Some(slot) = self.store.find(key) else { return };
        let mut saved = self.store.saved(slot);
        if saved.epoch != epoch
            && let Some(undo) = self.undo.back_mut()
        {
            let held = self.store.entry(slot).map(|(_, value)| value.into());
            undo.removed.entry(key.into()).or_insert(held);
        }
        while let Some(undo) = self.undo.iter_mut().find(|undo| undo.epoch == saved.epoch) {
            let Some(change) = undo.changed.get_mut(saved.at as usize) else { break };
            change.slot = None;
            saved = change.earlier;
            let before = change.before.take();
            let held = before.and_then(|entry| entry.get(key.len()..).map(Into::into));
            undo.removed.entry(key.into()).or_insert(held);
        }
        self.store.remove(key);
    }

    /// Epochs up to `epoch` are committed: readers see them.
    pub fn commit(&mut self, epoch: u64) {
        while self.undo.front().is_some_and(|undo| undo.epoch <= epoch) {
            self.undo.pop_front();
        }
        self.committed.store(epoch, Ordering::Release);
    }

    /// The newest committed epoch.
    pub fn committed_epoch(&self) -> u64 {
        self.committed.load(Ordering::Acquire)
    }

    /// The committed value of `key`.
    pub fn get(&self, key: &[u8]) -> Option<&[u8]> {
        for undo in self.undo.iter().filter(|undo| !undo.removed.is_empty()) {
            if let Some(before) = undo.removed.get(key) {
                return before.as_deref();
            }
        }
        let slot = self.store.find(key)?;
        let (mut value, mut saved) = (self.store.entry(slot).map(|(_, value)| value), self.store.saved(slot));
        while let Some(undo) = self.undo.iter().find(|undo| undo.epoch == saved.epoch) {
            let Some(change) = undo.changed.get(saved.at as usize) else { break };
            value = change.before.as_ref().and_then(|entry| entry.get(key.len()..));
            saved = change.earlier;
        }
        value
    }

    /// What the keys held that epochs in flight have changed.
    fn changed(&self) -> HashMap<&[u8], Option<&[u8]>> {
        let mut changed = HashMap::new();
        for undo in &self.undo {
            for (key, before) in &undo.removed {
                changed.entry(&**key).or_insert(before.as_deref());
            }
            for change in &undo.changed {
                let Some((key, _)) = change.slot.and_then(|slot| self.store.entry(slot)) else { continue };
                changed.entry(key).or_insert(change.before.as_ref().and_then(|entry| entry.get(key.len()..)));
            }
        }
        changed
    }

    /// All committed entries, in no order.
    pub fn scan(&self, mut each: impl FnMut(&[u8], &[u8])) {
        let changed = self.changed();
        for (key, value) in self.store.iter() {
            if changed.is_empty() || !changed.contains_key(key) {
                each(key, value);
            }
        }
        for (key, before) in changed {
            if let Some(value) = before {
                each(key, value);
            }
        }
    }

    /// Committed entries within the bounds, in order of keys. [`Store::build_order`] was called before.
    pub fn range(&self, from: Bound<&[u8]>, to: Bound<&[u8]>, mut each: impl FnMut(&[u8], &[u8])) {
        let changed = self.changed();
        let within = |key: &[u8]| {
            (match from {
                Bound::Included(f) => key >= f,
                Bound::Excluded(f) => key > f,
                Bound::Unbounded => true,
            }) && (match to {
                Bound::Included(t) => key <= t,
                Bound::Excluded(t) => key < t,
                Bound::Unbounded => true,
            })
        };
        let mut olds: Vec<_> =
            changed.iter().filter(|(k, v)| v.is_some() && within(k)).map(|(k, v)| (*k, *v)).collect();
        olds.sort_unstable();
        let mut olds = olds.into_iter().peekable();
        for (key, value) in self.store.ordered_range(from, to) {
            while let Some((old, before)) = olds.next_if(|(old, _)| *old <= key) {
                each(old, before.unwrap_or(&[]));
            }
            if !changed.contains_key(key) {
                each(key, value);
            }
        }
        for (old, before) in olds {
            each(old, before.unwrap_or(&[]));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn readers_see_exactly_the_committed_epoch(
            steps in prop::collection::vec((0u8..6, prop::option::of(any::<u8>()), 0u8..4), 0..120)
        ) {
            let mut view = View::new();
            view.store_mut().build_order();
            let (mut now, mut epoch, mut history) = (BTreeMap::new(), 1u64, BTreeMap::from([(0u64, BTreeMap::new())]));
            let mut committed = 0;
            for (key, value, then) in steps {
                view.write(epoch, &[key], value.as_ref().map(std::slice::from_ref));
                match value {
                    Some(v) => now.insert(vec![key], vec![v]),
                    None => now.remove(&vec![key]),
                };
                if then == 0 {
                    history.insert(epoch, now.clone());
                    epoch += 1;
                }
                if then == 1 && committed + 1 < epoch {
                    committed += 1;
                    view.commit(committed);
                }
                let want = &history[&committed];
                let mut all = BTreeMap::new();
                view.scan(|k, v| assert!(all.insert(k.to_vec(), v.to_vec()).is_none()));
                prop_assert_eq!(&all, want);
                let mut ranged = vec![];
                view.range(Bound::Excluded(&[1]), Bound::Included(&[4]), |k, v| ranged.push((k.to_vec(), v.to_vec())));
                let want_range: Vec<_> = want.iter().filter(|(k, _)| k[0] > 1 && k[0] <= 4).map(|(k, v)| (k.clone(), v.clone())).collect();
                prop_assert_eq!(ranged, want_range);
                for k in 0..6 {
                    prop_assert_eq!(view.get(&[k]), want.get(&vec![k]).map(Vec::as_slice));
                }
            }
        }
    }
}
