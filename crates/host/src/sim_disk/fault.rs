//! What goes wrong on a simulated disk, and when.

use std::{
    io,
    path::Path,
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
};

use parking_lot::Mutex;

/// A kind of operation that can be made to fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FaultOp {
    /// Reading a file.
    Read,
    /// Writing, cutting or stretching a file.
    Write,
    /// Making a file or directory.
    Create,
    /// Renaming a file.
    Rename,
    /// Removing a file or directory.
    Remove,
    /// Syncing a file or directory.
    Sync,
}

/// What becomes of a change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    Go,
    /// The machine dies while it is made.
    DieInside,
}

#[derive(Debug)]
struct Injected {
    op: FaultOp,
    path_part: String,
    times: u32,
}

#[derive(Debug, Default)]
pub(super) struct Faults {
    dead: AtomicBool,
    operations: AtomicU64,
    syncs: AtomicU64,
    /// The operation to die in; 0 for none.
    fuse: AtomicU64,
    any_injected: AtomicBool,
    injected: Mutex<Vec<Injected>>,
}

pub(super) fn dead() -> io::Error {
    io::Error::other("the simulated machine has crashed")
}

impl Faults {
    pub(super) fn set_fuse(&self, operations: u64) {
        self.fuse.store(self.operations() + operations.max(1), Ordering::SeqCst);
    }

    pub(super) fn operations(&self) -> u64 {
        self.operations.load(Ordering::SeqCst)
    }

    pub(super) fn syncs(&self) -> u64 {
        self.syncs.load(Ordering::SeqCst)
    }

    pub(super) fn is_dead(&self) -> bool {
        self.dead.load(Ordering::SeqCst)
    }

    pub(super) fn alive(&self) -> io::Result<()> {
        if self.is_dead() { Err(dead()) } else { Ok(()) }
    }

    pub(super) fn inject(&self, op: FaultOp, path_part: &str, times: u32) {
        self.injected.lock().push(Injected { op, path_part: path_part.to_owned(), times });
        self.any_injected.store(true, Ordering::SeqCst);
    }

    pub(super) fn heal(&self) {
        self.injected.lock().clear();
        self.any_injected.store(false, Ordering::SeqCst);
    }

    pub(super) fn read(&self, path: &Path) -> io::Result<()> {
        self.alive()?;
        self.injected_fault(FaultOp::Read, path)
    }

    pub(super) fn change(&self, op: FaultOp, path: &Path) -> io::Result<Verdict> {
        self.alive()?;
        self.injected_fault(op, path)?;
        let number = self.operations.fetch_add(1, Ordering::SeqCst) + 1;
        if op == FaultOp::Sync {
            self.syncs.fetch_add(1, Ordering::SeqCst);
        }
        if number == self.fuse.load(Ordering::SeqCst) {
            self.dead.store(true, Ordering::SeqCst);
            return Ok(Verdict::DieInside);
        }
        Ok(Verdict::Go)
    }

    fn injected_fault(&self, op: FaultOp, path: &Path) -> io::Result<()> {
        if !self.any_injected.load(Ordering::SeqCst) {
            return Ok(());
        }
        let text = path.to_string_lossy();
        let mut injected = self.injected.lock();
        let found = injected.iter_mut().find(|i| i.op == op && i.times > 0 && text.contains(&i.path_part));
        match found {
            Some(fault) => {
                fault.times -= 1;
                Err(io::Error::other(format!("injected {op:?} fault")))
            }
            None => Ok(()),
        }
    }
}
