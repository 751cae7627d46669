//! What was answered and stays as it is, up to a bound.

use std::{collections::HashMap, hash::Hash, time::Duration};

use parking_lot::Mutex;

/// Entries that a cache keeps.
pub(crate) const ENTRIES_MAX: usize = 10_000;

/// Answers by question. A full cache begins anew: what is in use is asked for once more.
#[derive(Debug)]
pub(crate) struct Cache<K, V>(Mutex<HashMap<K, V>>);

impl<K, V> Default for Cache<K, V> {
    fn default() -> Cache<K, V> {
        Cache(Mutex::default())
    }
}

impl<K: Eq + Hash, V: Clone> Cache<K, V> {
    pub fn get(&self, key: &K) -> Option<V> {
        self.0.lock().get(key).cloned()
    }

    pub fn put(&self, key: K, value: V) {
        let mut entries = self.0.lock();
        if entries.len() >= ENTRIES_MAX {
            entries.clear();
        }
        entries.insert(key, value);
    }

    /// Forget what `keep` does not want.
    pub fn retain(&self, keep: impl Fn(&K) -> bool) {
        self.0.lock().retain(|key, _| keep(key));
    }
}

/// When an id was found missing: it may be there a moment later, but not for each record of a batch.
pub(crate) type Missing = Cache<i32, Duration>;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_bounded() {
        let cache = Cache::default();
        for key in 0..ENTRIES_MAX {
            cache.put(key, ());
        }
        assert_eq!(cache.get(&0), Some(()));
        cache.put(ENTRIES_MAX, ());
        assert_eq!((cache.get(&0), cache.get(&ENTRIES_MAX)), (None, Some(())));
    }
}
