//! A disk in memory that can fail as disks do.
//!
//! Each file keeps, beside its bytes, how to undo every write since its last sync; each directory keeps the changes
//! since its own. A loss of power undoes all of that and redoes a random part: a write survives whole, not at all, as
//! a prefix, or sector by sector; the changes of a directory survive up to some point. So code that forgets a sync
//! is found out. A fuse blows after a given number of operations, in the middle of one, and from then on everything
//! fails, which is how a test crashes code at any point without its cooperation.

mod content;
mod fault;
mod names;

use std::{
    fmt, io,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use parking_lot::Mutex;
use rand::{Rng, SeedableRng, rngs::StdRng};

use self::{
    content::Content,
    fault::{Faults, Verdict},
    names::{Change, Names, Node},
};
use crate::disk::{Disk, DiskEntry, DiskFile, DiskLock, OpenMode};

pub use self::fault::FaultOp;

/// A simulated disk. Clones share the same state.
#[derive(Clone)]
pub struct SimDisk {
    shared: Arc<Shared>,
}

struct Shared {
    /// Whether what is unsynced is kept apart.
    tracked: bool,
    names: Mutex<Names>,
    faults: Faults,
    used_bytes: AtomicU64,
    capacity_bytes: AtomicU64,
    rng: Mutex<StdRng>,
}

struct SimFile {
    path: PathBuf,
    content: Arc<Mutex<Content>>,
    shared: Arc<Shared>,
}

struct SimLock {
    path: PathBuf,
    shared: Arc<Shared>,
}

impl SimDisk {
    /// An empty disk whose crashes follow `seed`.
    pub fn new(seed: u64) -> SimDisk {
        SimDisk::with(seed, true, Names::default())
    }

    /// An empty disk that never loses power and so remembers nothing about what is synced: the cheap one.
    pub fn untracked() -> SimDisk {
        SimDisk::with(0, false, Names::default())
    }

    fn with(seed: u64, tracked: bool, names: Names) -> SimDisk {
        let used: u64 = names.contents().map(|content| content.lock().len()).sum();
        SimDisk {
            shared: Arc::new(Shared {
                tracked,
                names: Mutex::new(names),
                faults: Faults::default(),
                used_bytes: AtomicU64::new(used),
                capacity_bytes: AtomicU64::new(u64::MAX),
                rng: Mutex::new(StdRng::seed_from_u64(seed)),
            }),
        }
    }

    /// The disk after a loss of power: of what was not synced, a random part is left.
    pub fn power_loss(&self) -> SimDisk {
        let mut rng = self.shared.rng.lock();
        let names = self.shared.names.lock().after_power_loss(&mut rng);
        SimDisk::with(rng.random(), self.shared.tracked, names)
    }

    /// The disk after the process was killed: everything written is there, and what was not synced still is not.
    pub fn kill(&self) -> SimDisk {
        let mut rng = self.shared.rng.lock();
        let names = self.shared.names.lock().after_kill();
        SimDisk::with(rng.random(), self.shared.tracked, names)
    }

    /// Let the machine die in the middle of the `operations`-th change from now.
    pub fn crash_after(&self, operations: u64) {
        self.shared.faults.set_fuse(operations);
    }

    /// Whether the fuse has blown.
    pub fn is_dead(&self) -> bool {
        self.shared.faults.is_dead()
    }

    /// How many changes (writes, syncs, renames, …) there were.
    pub fn operations(&self) -> u64 {
        self.shared.faults.operations()
    }

    /// How many of the changes were syncs of a file.
    pub fn syncs(&self) -> u64 {
        self.shared.faults.syncs()
    }

    /// Let the disk hold no more than `bytes` (`None`: anything).
    pub fn set_capacity(&self, bytes: Option<u64>) {
        self.shared.capacity_bytes.store(bytes.unwrap_or(u64::MAX), Ordering::SeqCst);
    }

    /// Bytes in files.
    pub fn used_bytes(&self) -> u64 {
        self.shared.used_bytes.load(Ordering::SeqCst)
    }

    /// Let the next `times` operations of this kind on files whose path contains `path_part` fail.
    pub fn inject(&self, op: FaultOp, path_part: &str, times: u32) {
        self.shared.faults.inject(op, path_part, times);
    }

    /// Take back all injected faults.
    pub fn heal(&self) {
        self.shared.faults.heal();
    }

    /// Every file's path, sorted.
    pub fn files(&self) -> Vec<PathBuf> {
        self.shared.names.lock().files()
    }

    /// Damage a file: exclusive-or its byte at `position` with `mask`, durably.
    pub fn flip(&self, path: &Path, position: u64, mask: u8) -> io::Result<()> {
        let content = self.shared.names.lock().file(path)?;
        content.lock().flip(position, mask)
    }
}

impl Shared {
    /// Ask the fuse and the injected faults about a change.
    fn change(&self, op: FaultOp, path: &Path) -> io::Result<Verdict> {
        self.faults.change(op, path)
    }

    /// A change that happens or does not: when the fuse blows in it, either may be.
    fn change_whole(&self, op: FaultOp, path: &Path) -> io::Result<Verdict> {
        match self.change(op, path)? {
            Verdict::DieInside if self.rng.lock().random() => Err(fault::dead()),
            verdict => Ok(verdict),
        }
    }

    fn done(verdict: Verdict) -> io::Result<()> {
        match verdict {
            Verdict::Go => Ok(()),
            Verdict::DieInside => Err(fault::dead()),
        }
    }

    /// Bytes that a file may grow by, of `wanted`.
    fn reserve(&self, wanted: u64) -> u64 {
        let capacity = self.capacity_bytes.load(Ordering::SeqCst);
        let mut granted = 0;
        let _ = self.used_bytes.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |used| {
            granted = wanted.min(capacity.saturating_sub(used));
            Some(used + granted)
        });
        granted
    }

    fn release(&self, bytes: u64) {
        self.used_bytes.fetch_sub(bytes, Ordering::SeqCst);
    }
}

impl Disk for SimDisk {
    fn open(&self, path: &Path, mode: OpenMode) -> io::Result<Arc<dyn DiskFile>> {
        self.shared.faults.alive()?;
        let mut names = self.shared.names.lock();
        let content = match names.file(path) {
            Ok(content) => {
                if mode == OpenMode::CreateEmpty {
                    let verdict = self.shared.change_whole(FaultOp::Write, path)?;
                    let (_, freed) = content.lock().truncate(0, self.shared.tracked);
                    self.shared.release(freed);
                    Shared::done(verdict)?;
                }
                content
            }
            Err(error)
                if error.kind() == io::ErrorKind::NotFound
                    && matches!(mode, OpenMode::Create | OpenMode::CreateEmpty) =>
            {
                let verdict = self.shared.change_whole(FaultOp::Create, path)?;
                let content = Arc::new(Mutex::new(Content::default()));
                names.apply(Change::Set(path.to_path_buf(), Node::File(Arc::clone(&content))), self.shared.tracked)?;
                Shared::done(verdict)?;
                content
            }
            Err(error) => return Err(error),
        };
        Ok(Arc::new(SimFile { path: path.to_path_buf(), content, shared: Arc::clone(&self.shared) }))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let verdict = self.shared.change_whole(FaultOp::Rename, from)?;
        let mut names = self.shared.names.lock();
        if let Ok(replaced) = names.file(to) {
            self.shared.release(replaced.lock().len());
        }
        names.apply(Change::Rename(from.to_path_buf(), to.to_path_buf()), self.shared.tracked)?;
        Shared::done(verdict)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        let verdict = self.shared.change_whole(FaultOp::Remove, path)?;
        let mut names = self.shared.names.lock();
        let content = names.file(path)?;
        names.apply(Change::Remove(path.to_path_buf()), self.shared.tracked)?;
        self.shared.release(content.lock().len());
        Shared::done(verdict)
    }

    fn remove_dir_all(&self, dir: &Path) -> io::Result<()> {
        let verdict = self.shared.change_whole(FaultOp::Remove, dir)?;
        let mut names = self.shared.names.lock();
        for path in names.below(dir)? {
            if let Ok(content) = names.file(&path) {
                self.shared.release(content.lock().len());
            }
            names.apply(Change::Remove(path), self.shared.tracked)?;
        }
        Shared::done(verdict)
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<DiskEntry>> {
        self.shared.faults.alive()?;
        self.shared.names.lock().list(dir)
    }

    fn create_dir_all(&self, dir: &Path) -> io::Result<()> {
        let mut names = self.shared.names.lock();
        let mut missing: Vec<&Path> = dir.ancestors().take_while(|above| !names.is_dir(above)).collect();
        while let Some(above) = missing.pop() {
            let verdict = self.shared.change_whole(FaultOp::Create, above)?;
            names.apply(Change::Set(above.to_path_buf(), Node::Dir), self.shared.tracked)?;
            Shared::done(verdict)?;
        }
        self.shared.faults.alive()
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        let verdict = self.shared.change_whole(FaultOp::Sync, dir)?;
        self.shared.names.lock().sync(dir)?;
        Shared::done(verdict)
    }

    fn exists(&self, path: &Path) -> io::Result<bool> {
        self.shared.faults.alive()?;
        let names = self.shared.names.lock();
        Ok(names.is_dir(path) || names.file(path).is_ok())
    }

    fn lock(&self, path: &Path) -> io::Result<Box<dyn DiskLock>> {
        self.shared.faults.alive()?;
        if self.shared.names.lock().take_lock(path) {
            Ok(Box::new(SimLock { path: path.to_path_buf(), shared: Arc::clone(&self.shared) }))
        } else {
            Err(io::Error::from(io::ErrorKind::WouldBlock))
        }
    }
}

impl DiskFile for SimFile {
    fn read_at(&self, position: u64, buffer: &mut [u8]) -> io::Result<usize> {
        self.shared.faults.read(&self.path)?;
        Ok(self.content.lock().read(position, buffer))
    }

    fn write_at(&self, position: u64, bytes: &[u8]) -> io::Result<()> {
        let mut content = self.content.lock();
        self.write_locked(&mut content, position, bytes)
    }

    fn append(&self, bytes: &[u8]) -> io::Result<u64> {
        let mut content = self.content.lock();
        let position = content.len();
        self.write_locked(&mut content, position, bytes)?;
        Ok(position)
    }

    fn len(&self) -> io::Result<u64> {
        self.shared.faults.alive()?;
        Ok(self.content.lock().len())
    }

    fn truncate(&self, length: u64) -> io::Result<()> {
        let verdict = self.shared.change_whole(FaultOp::Write, &self.path)?;
        let mut content = self.content.lock();
        let wanted = length.saturating_sub(content.len());
        let granted = self.shared.reserve(wanted);
        if granted < wanted {
            self.shared.release(granted);
            return Err(io::Error::from(io::ErrorKind::StorageFull));
        }
        let (_, freed) = content.truncate(length, self.shared.tracked);
        self.shared.release(freed);
        Shared::done(verdict)
    }

    fn sync_data(&self) -> io::Result<()> {
        let verdict = self.shared.change_whole(FaultOp::Sync, &self.path)?;
        self.content.lock().sync();
        Shared::done(verdict)
    }
}

impl SimFile {
    /// Write what there is room for; a full disk takes a part, as real ones do.
    fn write_locked(&self, content: &mut Content, position: u64, bytes: &[u8]) -> io::Result<()> {
        let verdict = self.shared.change(FaultOp::Write, &self.path)?;
        let take = match verdict {
            Verdict::Go => bytes.len(),
            Verdict::DieInside => self.shared.rng.lock().random_range(0..=bytes.len()),
        };
        let bytes = bytes.get(..take).unwrap_or(bytes);
        let end = position + bytes.len() as u64;
        let wanted = end.saturating_sub(content.len());
        let granted = self.shared.reserve(wanted);
        let fits = usize::try_from((bytes.len() as u64).saturating_sub(wanted - granted)).unwrap_or(0);
        content.write(position, bytes.get(..fits).unwrap_or(bytes), self.shared.tracked);
        if granted < wanted {
            return Err(io::Error::from(io::ErrorKind::StorageFull));
        }
        Shared::done(verdict)
    }
}

impl DiskLock for SimLock {}

impl Drop for SimLock {
    fn drop(&mut self) {
        self.shared.names.lock().release_lock(&self.path);
    }
}

impl fmt::Debug for SimDisk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SimDisk")
            .field("tracked", &self.shared.tracked)
            .field("used_bytes", &self.used_bytes())
            .finish()
    }
}

impl fmt::Debug for SimFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SimFile").field("path", &self.path).finish()
    }
}

impl fmt::Debug for SimLock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SimLock").field("path", &self.path).finish()
    }
}
