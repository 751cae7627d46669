//! Files as the storage layers need them: positioned reads and writes that may be shared between threads, and the
//! three separate steps that make a change survive a loss of power (sync of data, rename, sync of the directory).

use std::{
    fmt::Debug,
    io,
    path::{Path, PathBuf},
    sync::Arc,
};

/// How to open a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OpenMode {
    /// For reading; the file must exist.
    Read,
    /// For reading and writing; the file must exist.
    ReadWrite,
    /// For reading and writing; made when absent, kept as it is when present.
    Create,
    /// For reading and writing; made when absent, emptied when present.
    CreateEmpty,
}

/// An entry of a directory.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct DiskEntry {
    /// Name within the directory.
    pub name: String,
    /// Whether it is a directory itself.
    pub is_dir: bool,
}

/// Held while one process owns a directory; dropping it gives the directory free.
pub trait DiskLock: Send + Sync + Debug {}

/// A file system. A change to a directory (a file made, renamed or removed) survives a loss of power only after
/// [`Disk::sync_dir`] of the directory; a file's bytes only after [`DiskFile::sync_data`].
pub trait Disk: Send + Sync + Debug + 'static {
    /// Open a file.
    fn open(&self, path: &Path, mode: OpenMode) -> io::Result<Arc<dyn DiskFile>>;
    /// Give a file another name, replacing what had it, atomically.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;
    /// Remove a file. Handles open on it keep working.
    fn remove(&self, path: &Path) -> io::Result<()>;
    /// Remove a directory and everything in it.
    fn remove_dir_all(&self, dir: &Path) -> io::Result<()>;
    /// What is in a directory, sorted by name.
    fn list(&self, dir: &Path) -> io::Result<Vec<DiskEntry>>;
    /// Make a directory and those above it.
    fn create_dir_all(&self, dir: &Path) -> io::Result<()>;
    /// Make the directory's entries durable.
    fn sync_dir(&self, dir: &Path) -> io::Result<()>;
    /// Whether there is a file or directory of that name.
    fn exists(&self, path: &Path) -> io::Result<bool>;
    /// Take the lock file `path` (made when absent) or fail with [`io::ErrorKind::WouldBlock`].
    fn lock(&self, path: &Path) -> io::Result<Box<dyn DiskLock>>;

    /// The whole of a file.
    fn read_all(&self, path: &Path) -> io::Result<Vec<u8>> {
        let file = self.open(path, OpenMode::Read)?;
        let length = usize::try_from(file.len()?).map_err(|_| io::Error::from(io::ErrorKind::FileTooLarge))?;
        let mut bytes = vec![0; length];
        let read = file.read_at(0, &mut bytes)?;
        bytes.truncate(read);
        Ok(bytes)
    }

    /// Replace the file `path` by one with these bytes, durably: after a loss of power the file is the old one or the
    /// new one, whole.
    fn replace(&self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        let mut name = path.as_os_str().to_owned();
        name.push(".new");
        let fresh = PathBuf::from(name);
        let file = self.open(&fresh, OpenMode::CreateEmpty)?;
        file.write_at(0, bytes)?;
        file.sync_data()?;
        self.rename(&fresh, path)?;
        match path.parent() {
            Some(dir) => self.sync_dir(dir),
            None => Ok(()),
        }
    }
}

/// An open file, to be used from any thread.
pub trait DiskFile: Send + Sync + Debug + 'static {
    /// Read at `position` until `buffer` is full or the file ends; how many bytes were read.
    fn read_at(&self, position: u64, buffer: &mut [u8]) -> io::Result<usize>;
    /// Append the `length` bytes at `position` to `buffer`; that there are fewer is an error, and then it is undecided
    /// what was appended.
    fn read_into(&self, position: u64, length: usize, buffer: &mut Vec<u8>) -> io::Result<()> {
        let start = buffer.len();
        buffer.resize(start + length, 0);
        self.read_exact_at(position, buffer.get_mut(start..).unwrap_or_default())
    }

    /// Write all of `bytes` at `position`, making the file longer when needed. On an error a part may be written.
    fn write_at(&self, position: u64, bytes: &[u8]) -> io::Result<()>;

    /// Write all of `pieces` at `position`, one behind the other. On an error a part may be written.
    fn write_all_at(&self, position: u64, pieces: &[&[u8]]) -> io::Result<()> {
        let mut at = position;
        for piece in pieces {
            self.write_at(at, piece)?;
            at += piece.len() as u64;
        }
        Ok(())
    }

    /// Write all of `bytes` at the end; where they begin.
    fn append(&self, bytes: &[u8]) -> io::Result<u64>;
    /// The file's length in bytes.
    fn len(&self) -> io::Result<u64>;
    /// Cut or stretch (by zeros) the file to `length` bytes.
    fn truncate(&self, length: u64) -> io::Result<()>;
    /// Make the file's bytes and length durable.
    fn sync_data(&self) -> io::Result<()>;

    /// Whether the file holds nothing.
    fn is_empty(&self) -> io::Result<bool> {
        Ok(self.len()? == 0)
    }

    /// Fill `buffer` from `position` or fail with [`io::ErrorKind::UnexpectedEof`].
    fn read_exact_at(&self, position: u64, buffer: &mut [u8]) -> io::Result<()> {
        if self.read_at(position, buffer)? == buffer.len() {
            Ok(())
        } else {
            Err(io::Error::from(io::ErrorKind::UnexpectedEof))
        }
    }
}
