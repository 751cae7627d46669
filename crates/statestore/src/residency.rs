//! Which of the entries in memory a cold store has as well, so that they may leave, and what it must not show.
//!
//! An entry is *changed* until it is handed to a writer, *being written* until that is done, and *clean* from then on,
//! unless it changes meanwhile. Only clean ones leave, those first that were not used since the hand of the clock last
//! passed them. A key that is not in memory is as the cold store says, unless it was removed since: such keys are
//! remembered until their removal is written, too.

use std::{
    collections::{HashSet, VecDeque},
    sync::Arc,
};

use coldstore::{ColdError, Version};
use foldhash::fast::RandomState;
use types::Error;

use crate::index::{BLOCK_KEYS, Slots};

/// How much of the memory that belongs to an entry in a slot is not counted elsewhere.
const KEY_OVERHEAD_BYTES: usize = 48;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    Free,
    /// In the cold store, and not used of late.
    Clean,
    /// In the cold store, and used.
    Used,
    Changed,
    Writing,
}

/// How a keyed state whose entries may leave memory is worked on, by who decides when.
pub trait Paged {
    /// From now on entries may leave: those at hand are all to be written. `version` holds what is not at hand, under
    /// keys that begin with `prefix`.
    fn attach(&mut self, prefix: Vec<u8>, version: Arc<Version>);

    /// Memory of what was changed and not handed to a writer yet, about; `None` where nothing is attached.
    fn changed_bytes(&self) -> Option<usize>;

    /// Hand the longest changed entries to a writer, those of about so many bytes of memory; whether these were all.
    /// `None`: the key is gone. Called after a drain, and not again before [`Paged::written`].
    fn take_changed(&mut self, bytes_max: usize, each: &mut dyn FnMut(&[u8], Option<&[u8]>)) -> bool;

    /// What was handed out is in `version`.
    fn written(&mut self, version: Arc<Version>);

    /// Give up about so many bytes of memory, as far as clean entries allow. Called after a drain.
    fn evict(&mut self, bytes: usize);

    /// Keys that were looked for: how often they were in memory, and how often not.
    fn lookups(&self) -> (u64, u64);

    /// Which entries have left or may; `None` where nothing is attached.
    fn residency_mut(&mut self) -> Option<&mut Residency>;
}

/// See the module.
#[derive(Debug)]
pub struct Residency {
    prefix: Vec<u8>,
    version: Arc<Version>,
    /// By slot.
    stages: Vec<Stage>,
    /// Slots to be handed to a writer, the longest changed first; also some that are not to be any more.
    changed: VecDeque<u32>,
    /// How many slots were ever put there, and taken from there.
    put: u64,
    taken: u64,
    /// How many had been put there by the end of an epoch, of those epochs of which not all are taken.
    sealed: VecDeque<(u64, u64)>,
    /// Everything that this epoch and those before it changed was taken.
    taken_to: u64,
    /// Slots that are changed.
    changed_slots: usize,
    /// Bytes of the keys of removals.
    removed_bytes: usize,
    writing: Vec<u32>,
    removed: HashSet<Box<[u8]>, RandomState>,
    /// Keys whose removal is being written.
    leaving: HashSet<Box<[u8]>, RandomState>,
    hand: usize,
    hits: u64,
    misses: u64,
}

impl Residency {
    /// Over what is in `version` under keys that begin with `prefix`.
    pub fn new(prefix: Vec<u8>, version: Arc<Version>) -> Residency {
        Residency {
            prefix,
            version,
            stages: vec![],
            changed: VecDeque::new(),
            put: 0,
            taken: 0,
            sealed: VecDeque::new(),
            taken_to: 0,
            changed_slots: 0,
            removed_bytes: 0,
            writing: vec![],
            removed: HashSet::default(),
            leaving: HashSet::default(),
            hand: 0,
            hits: 0,
            misses: 0,
        }
    }

    fn stage(&mut self, slot: u32) -> &mut Stage {
        let at = slot as usize;
        if at >= self.stages.len() {
            self.stages.resize(at + 1, Stage::Free);
        }
        // It was made longer just now.
        self.stages.get_mut(at).unwrap_or_else(|| unreachable!("a stage for every slot"))
    }

    fn set(&mut self, slot: u32, to: Stage) -> Stage {
        let was = std::mem::replace(self.stage(slot), to);
        self.changed_slots += usize::from(to == Stage::Changed);
        self.changed_slots -= usize::from(was == Stage::Changed);
        was
    }

    /// The entry in a slot is other than the cold store has it.
    pub fn changed(&mut self, slot: u32) {
        if self.set(slot, Stage::Changed) != Stage::Changed {
            self.changed.push_back(slot);
            self.put += 1;
        }
    }

    /// A key is gone.
    pub fn removed(&mut self, key: &[u8]) {
        if self.removed.insert(key.into()) {
            self.removed_bytes += key.len() + KEY_OVERHEAD_BYTES;
        }
    }

    /// A slot is empty.
    pub fn freed(&mut self, slot: u32) {
        self.set(slot, Stage::Free);
    }

    /// The entry in a slot was read from the cold store.
    pub fn admitted(&mut self, slot: u32) {
        self.set(slot, Stage::Used);
    }

    /// Whether the cold store must not be asked for `key`, which is not in memory: it is gone.
    pub fn hides(&self, key: &[u8]) -> bool {
        !self.removed.is_empty() && self.removed.contains(key) || !self.leaving.is_empty() && self.leaving.contains(key)
    }

    /// Keys that are gone though the cold store may have them.
    pub(crate) fn hidden(&self) -> impl Iterator<Item = &[u8]> {
        self.removed.iter().chain(&self.leaving).map(|k| &**k)
    }

    /// What holds the entries that are not in memory, and what their keys begin with there.
    pub fn cold(&self) -> (&Arc<Version>, &[u8]) {
        (&self.version, &self.prefix)
    }

    /// Memory of what was changed and not handed to a writer yet, where an entry takes so many bytes.
    pub fn changed_bytes(&self, entry_bytes: usize) -> usize {
        self.changed_slots * entry_bytes + self.removed_bytes
    }

    /// Memory, about, besides that of the entries.
    pub fn size_bytes(&self) -> usize {
        let leaving = self.leaving.iter().map(|k| k.len() + KEY_OVERHEAD_BYTES).sum::<usize>();
        let slots = self.stages.len() + (self.changed.len() + self.writing.len()) * 4;
        slots + self.sealed.len() * 16 + self.removed_bytes + leaving
    }

    /// Keys that were looked for: how often they were in memory, and how often not.
    pub fn lookups(&self) -> (u64, u64) {
        (self.hits, self.misses)
    }

    /// Which of `keys` are to be read from the cold store: those that are not in `memory`.
    pub fn look_for(&mut self, keys: &Keys, memory: &impl Slots) -> PageIn {
        let (mut wanted, mut hashes) = (Keys::default(), Vec::with_capacity(BLOCK_KEYS));
        for first in (0..keys.len()).step_by(BLOCK_KEYS) {
            let block = || (first..keys.len().min(first + BLOCK_KEYS)).map(|at| keys.get(at));
            hashes.clear();
            hashes.extend(block().map(|key| memory.hash(key)));
            memory.look_ahead(&hashes);
            for (key, hash) in block().zip(&hashes) {
                match memory.find_hashed(*hash, key) {
                    Some(slot) => {
                        self.hits += 1;
                        let stage = self.stage(slot);
                        if *stage == Stage::Clean {
                            *stage = Stage::Used;
                        }
                    }
                    None if self.hides(key) => self.hits += 1,
                    None => {
                        self.misses += 1;
                        let prefix = &self.prefix;
                        wanted.push(|out| {
                            out.extend_from_slice(prefix);
                            out.extend_from_slice(key);
                        });
                    }
                }
            }
        }
        PageIn { version: self.version.clone(), prefix_bytes: self.prefix.len(), wanted }
    }

    /// As [`Paged::take_changed`], of so many entries: `entry` hands on the one in a slot, `gone` that a key is gone (and
    /// looks whether it came again).
    pub fn take(&mut self, entries_max: usize, mut entry: impl FnMut(u32), mut gone: impl FnMut(&[u8])) -> bool {
        self.leaving = std::mem::take(&mut self.removed);
        self.removed_bytes = 0;
        self.leaving.iter().for_each(|key| gone(key));
        let mut entries = 0;
        while entries < entries_max {
            let Some(slot) = self.changed.pop_front() else { break };
            self.taken += 1;
            if *self.stage(slot) == Stage::Changed {
                self.set(slot, Stage::Writing);
                self.writing.push(slot);
                entries += 1;
                entry(slot);
            }
        }
        self.changed.is_empty()
    }

    /// What changed so far did so in `epoch` or before it.
    pub fn seal(&mut self, epoch: u64) {
        match self.sealed.back_mut().filter(|(_, put)| *put == self.put) {
            // Nothing has come since: what holds of the earlier epoch holds of this one.
            Some((sealed, _)) => *sealed = epoch,
            None => self.sealed.push_back((epoch, self.put)),
        }
    }

    /// The last epoch of which it is known that all that it and those before it changed was handed to a writer: the
    /// longest changed entries go first, and removals all at once.
    pub fn taken_to(&mut self) -> u64 {
        while let Some((epoch, _)) = self.sealed.front().filter(|(_, put)| *put <= self.taken) {
            self.taken_to = *epoch;
            self.sealed.pop_front();
        }
        self.taken_to
    }

    /// What was taken is in `version`.
    pub fn written(&mut self, version: Arc<Version>) {
        self.version = version;
        self.leaving = HashSet::default();
        for slot in std::mem::take(&mut self.writing) {
            // It changed long ago: what it was used since is known when it is used again.
            let stage = self.stage(slot);
            if *stage == Stage::Writing {
                *stage = Stage::Clean;
            }
        }
    }

    /// Give `leave` slots of clean entries, the ones not used of late first, until it says that it is enough.
    pub fn evict(&mut self, mut leave: impl FnMut(u32) -> bool) {
        // In the second round all that were used are so no more.
        for _ in 0..self.stages.len() * 2 {
            self.hand = if self.hand + 1 < self.stages.len() { self.hand + 1 } else { 0 };
            let Some(stage) = self.stages.get_mut(self.hand) else { return };
            match *stage {
                Stage::Used => *stage = Stage::Clean,
                Stage::Clean => {
                    *stage = Stage::Free;
                    if !leave(u32::try_from(self.hand).unwrap_or(u32::MAX)) {
                        return;
                    }
                }
                Stage::Free | Stage::Changed | Stage::Writing => {}
            }
        }
    }
}

/// Keys one after the other.
#[derive(Debug, Default)]
pub struct Keys {
    bytes: Vec<u8>,
    ends: Vec<usize>,
}

impl Keys {
    /// Add the key that `write` appends.
    pub fn push(&mut self, write: impl FnOnce(&mut Vec<u8>)) {
        write(&mut self.bytes);
        self.ends.push(self.bytes.len());
    }

    /// The key at a place; of none it is empty.
    pub fn get(&self, at: usize) -> &[u8] {
        let start = at.checked_sub(1).and_then(|before| self.ends.get(before)).copied().unwrap_or(0);
        self.ends.get(at).and_then(|end| self.bytes.get(start..*end)).unwrap_or(&[])
    }

    /// In the order in which they were added.
    pub fn iter(&self) -> impl Iterator<Item = &[u8]> {
        (0..self.ends.len()).map(|at| self.get(at))
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// Forget them, keep the memory.
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.ends.clear();
    }
}

/// Keys that are to be read from the cold store.
pub struct PageIn {
    version: Arc<Version>,
    prefix_bytes: usize,
    wanted: Keys,
}

impl PageIn {
    /// Whether there is nothing to do.
    pub fn is_empty(&self) -> bool {
        self.wanted.is_empty()
    }

    /// Call `each` with key and value of those that are there.
    ///
    /// # Errors
    /// The cold store cannot be read.
    pub fn read(&self, mut each: impl FnMut(&[u8], &[u8])) -> types::Result<()> {
        let mut keys: Vec<&[u8]> = self.wanted.iter().collect();
        keys.sort_unstable();
        keys.dedup();
        let own = |at: usize| keys.get(at).and_then(|k| k.get(self.prefix_bytes..)).unwrap_or(&[]);
        self.version.get_sorted(&keys, |at, value| each(own(at), value)).map_err(cold_error)
    }
}

/// A cold store's error, as users see it.
pub fn cold_error(error: ColdError) -> Error {
    let text = format!("state on disk: {error}");
    match error {
        ColdError::Damaged { .. } => Error::corrupt(text),
        ColdError::Io { .. } | ColdError::Cancelled => Error::unavailable(text),
    }
}
