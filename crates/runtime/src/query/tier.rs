//! State beyond memory: what of a query's state is on disk, and when it goes there.
//!
//! The changelog says what the state is; what is here is a copy of it that can be read key by key, so that entries may
//! leave memory, and so that a query that opens need not read the whole changelog. A query has none until the states
//! take much memory ([`StateBudget::cold_from_bytes`](crate::budget::StateBudget::cold_from_bytes)). From then on, at the
//! end of an epoch, entries that changed are taken in pieces, the longest changed first, and are written when the epoch is
//! committed: nothing is on disk that the log may not have.
//! A mark says up to which epoch everything that changed was taken: what comes behind that epoch in the changelog is all
//! that has to be replayed. Entries may be newer than the mark; the replay then says the same once more, and what came
//! after.

use std::{
    collections::{BTreeMap, VecDeque},
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::JoinHandle,
};

use coldstore::{ColdStore, Entries, Mark};
use host::{Disk, Host};
use operators::Operator;
use recordlog::{Offset, RecordLog, TopicPartition};
use statestore::{Paged, cold_error};
use types::{Error, Result};

use crate::log_error;

/// Where a query may leave state that does not fit into memory.
#[derive(Debug, Clone)]
pub struct TierOptions {
    /// The directory of all queries' state.
    pub dir: PathBuf,
    /// Whether it is written while the next epochs are computed; else a commit waits for it.
    pub background: bool,
}

impl TierOptions {
    /// The directory of the query whose changelog has that id.
    pub fn query_dir(&self, changelog: u128) -> PathBuf {
        self.dir.join(format!("{changelog:032x}"))
    }

    /// Remove the state of the query whose changelog has that id.
    ///
    /// # Errors
    /// The disk says no.
    pub fn remove(&self, disk: &dyn Disk, changelog: u128) -> Result<()> {
        let dir = self.query_dir(changelog);
        let removed = disk.exists(&dir).and_then(|is_there| if is_there { disk.remove_dir_all(&dir) } else { Ok(()) });
        removed.map_err(|e| Error::unavailable(format!("{}: {e}", dir.display())))
    }

    /// Remove what belongs to no changelog among `changelogs`: of queries that are gone.
    ///
    /// # Errors
    /// The disk says no.
    pub fn sweep(&self, disk: &dyn Disk, changelogs: &[u128]) -> Result<()> {
        let failed = |e| Error::unavailable(format!("{}: {e}", self.dir.display()));
        if !disk.exists(&self.dir).map_err(failed)? {
            return Ok(());
        }
        let kept: Vec<PathBuf> = changelogs.iter().map(|id| self.query_dir(*id)).collect();
        for entry in disk.list(&self.dir).map_err(failed)? {
            let path = self.dir.join(&entry.name);
            if entry.is_dir && !kept.contains(&path) {
                disk.remove_dir_all(&path).map_err(failed)?;
            }
        }
        Ok(())
    }
}

/// A tombstone of the changelog may go a day after it was first cleaned. What was marked that long ago may have missed
/// one.
pub(super) const MARK_AGE_MAX_MS: i64 = 23 * 3_600_000;

/// After so long a mark is renewed.
pub(super) const MARK_RENEWED_MS: i64 = 3_600_000;

/// Runs of a store from which on its writer waits until they are merged: every read asks each of them.
const RUNS_MAX: usize = 24;

/// Ends of epochs that are remembered: where there are more, every second one is forgotten, and marks lie a little
/// further back.
const ENDS_MAX: usize = 1024;

/// Operators with state, by their numbers.
pub(super) type Operators<'a> = BTreeMap<usize, &'a mut Box<dyn Operator>>;

/// Epochs' changes on their way to disk.
struct Taken {
    epoch: u64,
    /// Partition, the entries, and up to which epoch everything was taken.
    parts: Vec<(u32, Entries, u64)>,
}

/// Where a committed epoch ends in the changelog.
struct End {
    epoch: u64,
    time_ms: i64,
    /// By partition.
    offsets: BTreeMap<u32, Offset>,
}

/// A query's cold stores, one a partition of its changelog.
pub(super) struct Tier {
    parts: BTreeMap<u32, Arc<ColdStore>>,
    changelog: Arc<str>,
    background: bool,
    /// Waits for its epoch's commit.
    taken: Option<Taken>,
    /// Of the last epochs, in order; what comes after one is behind it.
    ends: VecDeque<End>,
    writer: Option<JoinHandle<Result<()>>>,
    /// Done inline, and not told to the stores in memory yet.
    is_written: bool,
    merger: Option<JoinHandle<()>>,
    cancel: Arc<AtomicBool>,
}

/// Open the cold store of a partition, with what is there if it is of use to a query that has committed `epoch`.
pub(super) fn open_part(
    host: &Host,
    dir: &Path,
    partition: &TopicPartition,
    log: &dyn RecordLog,
    epoch: u64,
) -> Result<(Arc<ColdStore>, Option<Mark>)> {
    let ends = log.offsets(partition).map_err(log_error)?;
    let now_ms = host.clock.now_ms();
    let is_sound = |mark: Mark, newest_epoch: u64| {
        let is_young = mark.offset == ends.end || now_ms.saturating_sub(mark.time_ms) < MARK_AGE_MAX_MS;
        newest_epoch <= epoch && mark.epoch <= epoch && (ends.start..=ends.end).contains(&mark.offset) && is_young
    };
    let dir = dir.join(partition.partition.to_string());
    let (store, mark) = ColdStore::open(host.disk.clone(), &dir, is_sound).map_err(cold_error)?;
    Ok((Arc::new(store), mark))
}

/// What the keys of part `part` of operator `number` begin with.
pub(super) fn prefix(number: usize, part: u8) -> Vec<u8> {
    let [high, low] = u16::try_from(number).unwrap_or(u16::MAX).to_be_bytes();
    vec![high, low, part]
}

/// Call `each` with the parts of an operator's state that may leave memory; whether all of it may.
pub(super) fn each_part(operator: &mut dyn Operator, each: &mut dyn FnMut(u8, &mut dyn Paged)) -> bool {
    let mut part = 0u8;
    operator.paged(&mut |paged| {
        each(part, paged);
        part = part.saturating_add(1);
    })
}

/// Let entries of an operator's state leave memory from now on.
pub(super) fn attach(operator: &mut dyn Operator, number: usize, store: &ColdStore) {
    each_part(operator, &mut |part, paged| paged.attach(prefix(number, part), store.version()));
}

/// Say that what operators have changed so far they did in `epoch` or before it.
pub(super) fn seal<'a>(operators: impl Iterator<Item = &'a mut Box<dyn Operator>>, epoch: u64) {
    for operator in operators {
        each_part(&mut **operator, &mut |_, paged| {
            paged.residency_mut().into_iter().for_each(|residency| residency.seal(epoch));
        });
    }
}

/// Up to which epoch operators that share a store have handed out all that they changed.
pub(super) fn taken_to<'a>(operators: impl Iterator<Item = &'a mut Box<dyn Operator>>) -> u64 {
    let mut least: Option<u64> = None;
    for operator in operators {
        each_part(&mut **operator, &mut |_, paged| {
            let own = paged.residency_mut().map(|residency| residency.taken_to());
            least = least.into_iter().chain(own).min();
        });
    }
    least.unwrap_or(0)
}

/// Memory of what operators changed that was not taken yet.
pub(super) fn changed_bytes<'a>(operators: impl Iterator<Item = &'a mut Box<dyn Operator>>) -> usize {
    let mut bytes = 0;
    for operator in operators {
        each_part(&mut **operator, &mut |_, paged| bytes += paged.changed_bytes().unwrap_or(0));
    }
    bytes
}

/// Take changed entries of operators (with their numbers) that share a store, of about so many bytes of memory, in
/// proportion to what each has; whether these were all.
pub(super) fn take(operators: &mut Operators<'_>, bytes_max: usize, entries: &mut Entries) -> bool {
    let changed = changed_bytes(operators.values_mut().map(|o| &mut **o));
    let part = |own: usize| match changed <= bytes_max {
        true => usize::MAX,
        false => (own as u128 * bytes_max as u128 / changed as u128) as usize,
    };
    let mut all = true;
    for (number, operator) in operators {
        each_part(&mut ***operator, &mut |at, paged| {
            let Some(own) = paged.changed_bytes() else { return };
            let prefix = prefix(*number, at);
            all &= paged.take_changed(part(own), &mut |key, value| entries.push(&[&prefix, key], value));
        });
    }
    all
}

impl Tier {
    pub fn new(parts: BTreeMap<u32, Arc<ColdStore>>, changelog: &str, background: bool) -> Tier {
        let (cancel, changelog) = (Arc::default(), changelog.into());
        let (taken, ends, writer, merger) = (None, VecDeque::new(), None, None);
        Tier { parts, changelog, background, taken, ends, writer, is_written: false, merger, cancel }
    }

    pub fn part(&self, partition: u32) -> Option<&Arc<ColdStore>> {
        self.parts.get(&partition)
    }

    pub fn disk_bytes(&self, number: usize) -> u64 {
        let prefix = u16::try_from(number).unwrap_or(u16::MAX).to_be_bytes();
        self.parts.values().map(|p| p.version().disk_bytes_under(&prefix)).sum()
    }

    /// Memory that it takes itself, about.
    pub fn memory_bytes(&self) -> usize {
        let taken = self.taken.iter().flat_map(|t| &t.parts).map(|(_, entries, _)| entries.size_bytes()).sum::<usize>();
        self.parts.values().map(|p| p.version().memory_bytes()).sum::<usize>() + taken
    }

    /// Whether changes can be taken now: one piece is on its way at a time.
    pub fn is_idle(&self) -> bool {
        self.taken.is_none() && self.writer.is_none() && !self.is_written
    }

    /// Whether a mark is to be renewed.
    pub fn is_old(&self, now_ms: i64) -> bool {
        let age = |part: &Arc<ColdStore>| part.mark().is_some_and(|m| now_ms - m.time_ms > MARK_RENEWED_MS);
        self.parts.values().any(age)
    }

    /// What was taken at the end of `epoch`: partition, the entries, and up to which epoch everything was taken.
    pub fn took(&mut self, epoch: u64, parts: Vec<(u32, Entries, u64)>) {
        self.taken = Some(Taken { epoch, parts });
    }

    /// The log has committed the epoch: what was taken at its end is written.
    pub fn committed(&mut self, epoch: u64, log: &dyn RecordLog, host: &Host) -> Result<()> {
        // Where the next epoch's changes begin: nothing has come after this epoch's yet.
        let end = |p: u32| -> Result<Offset> {
            log.offsets(&TopicPartition::new(self.changelog.clone(), p)).map(|o| o.end).map_err(log_error)
        };
        let offsets = self.parts.keys().map(|p| Ok((*p, end(*p)?))).collect::<Result<_>>()?;
        self.note_end(End { epoch, time_ms: host.clock.now_ms(), offsets });
        let Some(taken) = self.taken.take_if(|t| t.epoch <= epoch) else { return Ok(()) };
        let (mut work, mut needed_from) = (vec![], epoch);
        for (p, entries, taken_to) in taken.parts {
            let Some(store) = self.parts.get(&p) else { continue };
            needed_from = needed_from.min(taken_to);
            work.push((store.clone(), entries, self.mark(p, taken_to)));
        }
        self.forget_ends(needed_from);
        let write = move || -> Result<()> {
            work.into_iter()
                .try_for_each(|(store, entries, mark)| store.add(entries, taken.epoch, mark))
                .map_err(cold_error)
        };
        match self.background {
            true => self.writer = Some(spawn("state-writer", write)?),
            false => {
                write()?;
                self.is_written = true;
            }
        }
        Ok(())
    }

    fn note_end(&mut self, end: End) {
        self.ends.push_back(end);
        if self.ends.len() > ENDS_MAX {
            let mut keep = false;
            self.ends.retain(|_| {
                keep = !keep;
                keep
            });
        }
    }

    /// The mark of a partition whose changes were taken up to an epoch.
    fn mark(&self, p: u32, taken_to: u64) -> Option<Mark> {
        let end = self.ends.iter().rev().find(|end| end.epoch <= taken_to)?;
        Some(Mark { epoch: end.epoch, offset: *end.offsets.get(&p)?, time_ms: end.time_ms })
    }

    /// No mark will lie before the last end up to that epoch.
    fn forget_ends(&mut self, epoch: u64) {
        let last = self.ends.iter().rposition(|end| end.epoch <= epoch).unwrap_or(0);
        self.ends.drain(..last);
    }

    /// Whether what was taken last is on disk now, which is true once; with `wait` as soon as it is.
    pub fn is_done(&mut self, wait: bool) -> Result<bool> {
        if std::mem::take(&mut self.is_written) {
            return Ok(true);
        }
        let Some(writer) = self.writer.take_if(|w| wait || w.is_finished()) else { return Ok(false) };
        writer.join().map_err(|_| Error::internal("state could not be written"))??;
        Ok(true)
    }

    /// Make durable what was written, and merge runs where there are many.
    pub fn merge(&mut self) -> Result<()> {
        let crowded = self.parts.values().any(|p| p.version().runs() > RUNS_MAX);
        if let Some(merger) = self.merger.take_if(|m| crowded || m.is_finished()) {
            merger.join().map_err(|_| Error::internal("state could not be merged"))?;
        }
        if self.merger.is_some() {
            return Ok(());
        }
        let (parts, cancel) = (self.parts.clone(), self.cancel.clone());
        let merge = move || {
            for part in parts.into_values() {
                if let Err(error) = part.merge(&cancel)
                    && !cancel.load(Ordering::Relaxed)
                {
                    tracing::warn!(%error, "state on disk cannot be merged");
                }
            }
        };
        match self.background {
            true => self.merger = Some(spawn("state-merger", merge)?),
            false => merge(),
        }
        Ok(())
    }

    /// An error if what is on disk was found damaged.
    pub fn check(&self) -> Result<()> {
        match self.parts.values().any(|p| p.is_damaged()) {
            true => Err(Error::corrupt("the query's state on disk is damaged: it is read from the changelog again")),
            false => Ok(()),
        }
    }
}

impl Drop for Tier {
    fn drop(&mut self) {
        self.cancel.store(true, Ordering::Relaxed);
        // Whoever opens the directory next has it alone.
        if let Some(writer) = self.writer.take() {
            let _ = writer.join();
        }
        if let Some(merger) = self.merger.take() {
            let _ = merger.join();
        }
        for part in self.parts.values() {
            let (done, what) = match part.is_damaged() {
                true => (part.discard(), "damaged state on disk cannot be removed"),
                false => (part.save(), "state on disk cannot be saved: the next start reads more of the changelog"),
            };
            if let Err(error) = done {
                tracing::error!(%error, "{what}");
            }
        }
    }
}

fn spawn<T: Send + 'static>(name: &str, work: impl FnOnce() -> T + Send + 'static) -> Result<JoinHandle<T>> {
    let spawned = std::thread::Builder::new().name(name.to_string()).spawn(work);
    spawned.map_err(|e| Error::unavailable(format!("no thread for {name}: {e}")))
}
