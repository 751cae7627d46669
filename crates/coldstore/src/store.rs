//! The runs of a directory: new ones come in front, neighbours of like size become one.
//!
//! What was added is read at once, and is durable after the next [`ColdStore::save`] or [`ColdStore::merge`]: who adds need
//! not wait for the disk. After a crash the store is as it was saved last.

use std::{
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

use host::Disk;
use parking_lot::Mutex;

use crate::{
    ColdError, Mark, Result, Version, io_error,
    manifest::Manifest,
    merge::Merged,
    run::{Run, RunWriter, run_number, run_path},
};

/// The file that says which runs count.
const MANIFEST: &str = "manifest";

/// As many runs of like size are merged: more make fewer, larger merges and slower reads.
const MERGE_RUNS_MIN: usize = 4;

/// Entries between two looks whether a merge is to be broken off.
const CANCEL_ENTRIES: u64 = 4096;

/// Entries to be written, in any order; of a key that is there twice the later one counts.
#[derive(Debug, Default)]
pub struct Entries {
    bytes: Vec<u8>,
    /// Where key and value end; `u32::MAX` bytes of value: the key is gone.
    places: Vec<(usize, u32, u32)>,
}

impl Entries {
    /// Add one; `None`: the key is gone.
    pub fn push(&mut self, key: &[&[u8]], value: Option<&[u8]>) {
        let start = self.bytes.len();
        key.iter().for_each(|part| self.bytes.extend_from_slice(part));
        let key_bytes = u32::try_from(self.bytes.len() - start).unwrap_or(u32::MAX);
        self.bytes.extend_from_slice(value.unwrap_or(&[]));
        let value_bytes = value.map_or(u32::MAX, |v| u32::try_from(v.len()).unwrap_or(u32::MAX - 1));
        self.places.push((start, key_bytes, value_bytes));
    }

    /// Whether there is nothing.
    pub fn is_empty(&self) -> bool {
        self.places.is_empty()
    }

    /// Bytes of memory.
    pub fn size_bytes(&self) -> usize {
        self.bytes.len() + self.places.len() * size_of::<(usize, u32, u32)>()
    }

    fn key(&self, (start, key, _): (usize, u32, u32)) -> &[u8] {
        self.bytes.get(start..start + key as usize).unwrap_or(&[])
    }

    fn value(&self, (start, key, value): (usize, u32, u32)) -> Option<&[u8]> {
        let at = start + key as usize;
        (value != u32::MAX).then(|| self.bytes.get(at..at + value as usize).unwrap_or(&[]))
    }

    /// Sorted by key, each once.
    fn sort(&mut self) {
        let mut places = std::mem::take(&mut self.places);
        places.sort_unstable_by(|a, b| self.key(*a).cmp(self.key(*b)).then(b.0.cmp(&a.0)));
        places.dedup_by(|later, first| self.key(*later) == self.key(*first));
        self.places = places;
    }
}

/// A store of keyed bytes in a directory of its own; one owner adds, and one saves and merges at a time.
#[derive(Debug)]
pub struct ColdStore {
    disk: Arc<dyn Disk>,
    dir: PathBuf,
    next_number: AtomicU64,
    state: Mutex<State>,
    /// What the manifest on disk says. Who saves has it; who adds does not wait for it.
    saved: Mutex<Manifest>,
    damaged: Arc<AtomicBool>,
}

#[derive(Debug, Default)]
struct State {
    version: Arc<Version>,
    /// How far the version goes; see [`Manifest`].
    mark: Option<Mark>,
    newest_epoch: u64,
}

impl State {
    /// What a manifest says when all of it is on disk.
    fn manifest(&self) -> Manifest {
        let runs = self.version.runs.iter().map(|run| run.number).collect();
        Manifest { mark: self.mark, newest_epoch: self.newest_epoch, runs }
    }
}

impl ColdStore {
    /// Open the store in `dir`, or make an empty one. `is_sound` decides about what is there: its mark, and the newest
    /// epoch of which it holds anything; a store that it refuses, or that is damaged, is emptied.
    ///
    /// # Errors
    /// The directory cannot be emptied or made.
    pub fn open(
        disk: Arc<dyn Disk>,
        dir: &Path,
        is_sound: impl FnOnce(Mark, u64) -> bool,
    ) -> Result<(ColdStore, Option<Mark>)> {
        if let Some((state, next)) = read(&*disk, dir)
            && let Some(mark) = state.mark
            && is_sound(mark, state.newest_epoch)
        {
            let manifest = state.manifest();
            remove_strangers(&*disk, dir, &manifest)?;
            let damaged = state.version.damaged.clone();
            let (dir, next_number) = (dir.to_path_buf(), AtomicU64::new(next));
            let (state, saved) = (Mutex::new(state), Mutex::new(manifest));
            return Ok((ColdStore { disk, dir, next_number, state, saved, damaged }, Some(mark)));
        }
        if disk.exists(dir).map_err(io_error(dir))? {
            disk.remove_dir_all(dir).map_err(io_error(dir))?;
        }
        disk.create_dir_all(dir).map_err(io_error(dir))?;
        if let Some(parent) = dir.parent() {
            disk.sync_dir(parent).map_err(io_error(parent))?;
        }
        let (dir, next_number) = (dir.to_path_buf(), AtomicU64::new(1));
        let (state, saved) = (Mutex::default(), Mutex::default());
        Ok((ColdStore { disk, dir, next_number, state, saved, damaged: Arc::default() }, None))
    }

    /// Whether a read failed, of any version: what is there cannot be relied on.
    pub fn is_damaged(&self) -> bool {
        self.damaged.load(Ordering::Relaxed)
    }

    /// Whoever opens it next finds nothing.
    ///
    /// # Errors
    /// The disk says no.
    pub fn discard(&self) -> Result<()> {
        let path = self.dir.join(MANIFEST);
        match self.disk.remove(&path) {
            Err(e) if e.kind() != std::io::ErrorKind::NotFound => Err(io_error(&path)(e)),
            _ => Ok(()),
        }
    }

    /// What it holds now.
    pub fn version(&self) -> Arc<Version> {
        self.state.lock().version.clone()
    }

    /// How far it goes; `None`: it holds only a part so far.
    pub fn mark(&self) -> Option<Mark> {
        self.state.lock().mark
    }

    /// Write entries, none of an epoch after `newest_epoch`, in front of what is there. With `mark` everything up to
    /// there is in the store now.
    ///
    /// # Errors
    /// They cannot be written; nothing has changed.
    pub fn add(&self, mut entries: Entries, newest_epoch: u64, mark: Option<Mark>) -> Result<()> {
        entries.sort();
        let mut run = None;
        if !entries.is_empty() {
            let mut writer = self.create(entries.places.len() as u64)?;
            entries.places.iter().try_for_each(|at| writer.push((entries.key(*at), entries.value(*at))))?;
            run = Some(Arc::new(writer.finish()?));
        }
        let mut state = self.state.lock();
        state.newest_epoch = state.newest_epoch.max(newest_epoch);
        state.mark = mark.or(state.mark);
        if let Some(run) = run {
            let runs = std::iter::once(run).chain(state.version.runs.iter().cloned()).collect();
            state.version = self.version_of(runs);
        }
        Ok(())
    }

    fn version_of(&self, runs: Vec<Arc<Run>>) -> Arc<Version> {
        Arc::new(Version { runs, damaged: self.damaged.clone() })
    }

    fn create(&self, entries_max: u64) -> Result<RunWriter> {
        let number = self.next_number.fetch_add(1, Ordering::Relaxed);
        RunWriter::create(&*self.disk, &self.dir, number, entries_max)
    }

    /// Make durable what was added so far.
    ///
    /// # Errors
    /// The disk says no; it is as it was saved last.
    pub fn save(&self) -> Result<()> {
        self.save_to(&mut self.saved.lock()).map(|_| ())
    }

    /// As [`ColdStore::save`]; gives what was saved.
    fn save_to(&self, saved: &mut Manifest) -> Result<Arc<Version>> {
        let (version, manifest) = {
            let state = self.state.lock();
            (state.version.clone(), state.manifest())
        };
        if manifest != *saved {
            let new = version.runs.iter().filter(|run| !saved.runs.contains(&run.number));
            new.into_iter().try_for_each(|run| run.sync())?;
            self.write_manifest(saved, manifest)?;
        }
        Ok(version)
    }

    /// The runs that `manifest` names are durable; their names become so with its own.
    fn write_manifest(&self, saved: &mut Manifest, manifest: Manifest) -> Result<()> {
        let path = self.dir.join(MANIFEST);
        self.disk.replace(&path, manifest.to_text().as_bytes()).map_err(io_error(&path))?;
        *saved = manifest;
        Ok(())
    }

    /// Save, and merge runs as long as there are many of like size; breaks off soon after `cancel` becomes true.
    ///
    /// # Errors
    /// They cannot be read or written, or it was broken off; the store goes on as it was.
    pub fn merge(&self, cancel: &AtomicBool) -> Result<()> {
        let mut saved = self.saved.lock();
        loop {
            let version = self.save_to(&mut saved)?;
            let count = due(&version);
            if count == 0 {
                return Ok(());
            }
            let (old, rest) = version.runs.split_at_checked(count).unwrap_or_default();
            let merged = Arc::new(self.merged(old, rest.is_empty(), cancel)?);
            merged.sync()?;
            let with = |newer: &[Arc<Run>]| newer.iter().chain([&merged]).chain(rest).cloned().collect::<Vec<_>>();
            {
                let mut state = self.state.lock();
                // Newer runs may have come meanwhile, in front.
                let newer = state.version.runs.len().saturating_sub(version.runs.len());
                let newer = with(state.version.runs.get(..newer).unwrap_or_default());
                state.version = self.version_of(newer);
            }
            let runs = with(&[]).iter().map(|run| run.number).collect();
            let manifest = Manifest { runs, ..saved.clone() };
            self.write_manifest(&mut saved, manifest)?;
            // Versions that still have them read on: their files are open.
            for run in old {
                let path = run_path(&self.dir, run.number);
                self.disk.remove(&path).map_err(io_error(&path))?;
            }
        }
    }

    /// One run of several. Where nothing older is left, keys that are gone leave no trace.
    fn merged(&self, runs: &[Arc<Run>], is_oldest: bool, cancel: &AtomicBool) -> Result<Run> {
        let mut writer = self.create(runs.iter().map(|r| r.entries).sum())?;
        let mut merged = Merged::from(runs, &[])?;
        let mut entries = 0u64;
        while let Some((key, value)) = merged.head() {
            if value.is_some() || !is_oldest {
                writer.push((key, value))?;
            }
            merged.advance()?;
            entries += 1;
            if entries.is_multiple_of(CANCEL_ENTRIES) && cancel.load(Ordering::Relaxed) {
                return Err(ColdError::Cancelled);
            }
        }
        writer.finish()
    }
}

/// How many of the newest runs are to become one; 0: none. An older run is taken along when those before it are as large
/// together, so that an entry is written again only when what it is in doubles.
fn due(version: &Version) -> usize {
    let (mut count, mut bytes) = (0, 0);
    for run in &version.runs {
        if count > 0 && run.bytes > bytes {
            break;
        }
        bytes += run.bytes;
        count += 1;
    }
    if count >= MERGE_RUNS_MIN { count } else { 0 }
}

/// What is in a directory; `None` where it is not sound. With the number for the next run.
fn read(disk: &dyn Disk, dir: &Path) -> Option<(State, u64)> {
    let text = String::from_utf8(disk.read_all(&dir.join(MANIFEST)).ok()?).ok()?;
    let manifest = Manifest::from_text(&text)?;
    let runs = manifest.runs.iter().map(|n| Run::open(disk, dir, *n).ok().map(Arc::new)).collect::<Option<Vec<_>>>()?;
    let numbers = disk.list(dir).ok()?;
    let next = numbers.iter().filter_map(|e| run_number(&e.name)).chain(manifest.runs.iter().copied()).max();
    let version = Arc::new(Version { runs, damaged: Arc::default() });
    let Manifest { mark, newest_epoch, .. } = manifest;
    Some((State { version, mark, newest_epoch }, next.unwrap_or(0) + 1))
}

/// Remove runs that do not count: a crash left them behind.
fn remove_strangers(disk: &dyn Disk, dir: &Path, manifest: &Manifest) -> Result<()> {
    for entry in disk.list(dir).map_err(io_error(dir))? {
        if run_number(&entry.name).is_some_and(|n| !manifest.runs.contains(&n)) {
            let path = dir.join(&entry.name);
            disk.remove(&path).map_err(io_error(&path))?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use host::{Host, OpenMode, Simulation};
    use proptest::prelude::*;

    use super::*;

    type Model = BTreeMap<Vec<u8>, Vec<u8>>;

    const DIR: &str = "/cold";

    fn open(sim: &Simulation) -> (ColdStore, Option<Mark>) {
        ColdStore::open(sim.host.disk.clone(), Path::new(DIR), |_, _| true).unwrap()
    }

    fn mark(epoch: u64) -> Mark {
        Mark { epoch, offset: 10 * epoch as i64, time_ms: 0 }
    }

    /// Everything that can be asked gives what the model has.
    fn check(version: &Version, model: &Model) {
        let mut all = vec![];
        version
            .scan(&[], |k, v| {
                all.push((k.to_vec(), v.to_vec()));
                true
            })
            .unwrap();
        assert!(all.iter().map(|(k, v)| (k, v)).eq(model), "{all:?} {model:?}");
        let keys: Vec<Vec<u8>> = (0..=255u8).flat_map(|k| [vec![k], vec![k, k]]).collect();
        let keys: Vec<&[u8]> = keys.iter().map(Vec::as_slice).collect();
        let mut found = Model::new();
        version.get_sorted(&keys, |at, v| assert!(found.insert(keys[at].to_vec(), v.to_vec()).is_none())).unwrap();
        assert_eq!(&found, model);
        for from in [0, 7, 200] {
            let mut rest = vec![];
            version
                .scan(&[from], |k, _| {
                    rest.push(k.to_vec());
                    rest.len() < 5
                })
                .unwrap();
            assert!(rest.iter().eq(model.range(vec![from]..).map(|(k, _)| k).take(5)));
        }
    }

    fn batch() -> impl Strategy<Value = Vec<(u8, Option<usize>)>> {
        // Some values fill blocks of their own.
        prop::collection::vec((any::<u8>(), prop::option::of(prop_oneof![0usize..40, 3000usize..6000])), 0..60)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn is_a_map_that_survives_or_is_empty(
            batches in prop::collection::vec((batch(), 0u8..3, 0u8..4), 1..14), seed in any::<u64>()
        ) {
            let mut sim = Host::simulated(seed, 0);
            let (mut store, none) = open(&sim);
            prop_assert_eq!(none, None);
            let mut model = Model::new();
            let mut kept: Vec<(Arc<Version>, Model)> = vec![];
            // As it was saved last.
            let (mut saved, mut saved_mark) = (Model::new(), None);
            for (epoch, (batch, ends, end)) in (1u64..).zip(batches) {
                let mut entries = Entries::default();
                for (key, value) in batch {
                    let value = value.map(|n| vec![epoch as u8; n]);
                    entries.push(&[&[key], &vec![key; usize::from(key % 2)]], value.as_deref());
                    let key = vec![key; 1 + usize::from(key % 2)];
                    match value {
                        Some(value) => model.insert(key, value),
                        None => model.remove(&key),
                    };
                }
                store.add(entries, epoch, Some(mark(epoch))).unwrap();
                kept.push((store.version(), model.clone()));
                match ends {
                    0 => store.save().unwrap(),
                    1 => {
                        store.merge(&AtomicBool::new(false)).unwrap();
                        prop_assert!(due(&store.version()) == 0);
                    }
                    _ => {}
                }
                if ends < 2 {
                    (saved, saved_mark) = (model.clone(), Some(mark(epoch)));
                }
                check(&store.version(), &model);
                if end < 2 {
                    sim = if end == 0 { sim.kill() } else { sim.power_loss() };
                    kept.clear();
                    let (opened, found) = open(&sim);
                    prop_assert_eq!(found, saved_mark);
                    (store, model) = (opened, saved.clone());
                    check(&store.version(), &model);
                }
            }
            kept.iter().for_each(|(version, model)| check(version, model));
        }
    }

    #[test]
    fn a_damaged_store_gives_no_wrong_answer() {
        let sim = Host::simulated(3, 0);
        let (store, _) = open(&sim);
        let mut model = Model::new();
        for epoch in 1..3u64 {
            let mut entries = Entries::default();
            for key in 0..=255u8 {
                entries.push(&[&[key]], Some(&[epoch as u8; 90]));
                model.insert(vec![key], vec![epoch as u8; 90]);
            }
            store.add(entries, epoch, Some(mark(epoch))).unwrap();
        }
        store.save().unwrap();
        drop(store);
        for file in sim.host.disk.list(Path::new(DIR)).unwrap() {
            let path = Path::new(DIR).join(&file.name);
            let bytes = sim.host.disk.read_all(&path).unwrap();
            for at in (0..bytes.len()).step_by(997).chain(bytes.len() - 20..bytes.len()) {
                for cut in [false, true] {
                    let handle = sim.host.disk.open(&path, OpenMode::ReadWrite).unwrap();
                    match cut {
                        true => handle.truncate(at as u64).unwrap(),
                        false => handle.write_at(at as u64, &[bytes[at] ^ 4]).unwrap(),
                    }
                    // What is refused is emptied: look at a copy.
                    let copy = sim.kill();
                    let (store, found) = open(&copy);
                    let mut all = Model::new();
                    let read = store.version().scan(&[], |k, v| all.insert(k.to_vec(), v.to_vec()).is_none());
                    assert_eq!(read.is_err(), store.is_damaged());
                    assert!(found.is_none() && all.is_empty() || read.is_err() || all == model, "{} {at}", file.name);
                    drop((handle, copy));
                    let whole = sim.host.disk.open(&path, OpenMode::CreateEmpty).unwrap();
                    whole.write_at(0, &bytes).unwrap();
                }
            }
        }
        let refused =
            ColdStore::open(sim.host.disk.clone(), Path::new(DIR), |m, newest| m.epoch == newest && newest > 2);
        assert!(refused.unwrap().1.is_none());
        assert!(open(&sim).1.is_none());
    }

    #[test]
    fn merges_little_and_keeps_few_runs() {
        let sim = Host::simulated(4, 0);
        let (store, _) = open(&sim);
        let (mut written, mut number) = (0u64, 0u32);
        for epoch in 1..200 {
            let mut entries = Entries::default();
            for _ in 0..50 {
                number += 1;
                entries.push(&[&number.to_be_bytes()], Some(&[0; 40]));
            }
            store.add(entries, epoch, None).unwrap();
            let before = store.version();
            store.merge(&AtomicBool::new(false)).unwrap();
            let after = store.version();
            let fresh = |run: &&Arc<Run>| !before.runs.iter().any(|b| b.number == run.number);
            written += after.runs.iter().filter(fresh).map(|r| r.entries).sum::<u64>();
            assert!(after.runs() < 16, "{}", after.runs());
        }
        assert!(written < 6 * u64::from(number), "{written}");
        let cancelled = AtomicBool::new(true);
        assert!(store.merge(&cancelled).is_ok(), "nothing is due");
    }
}
