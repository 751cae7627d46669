//! Segments: the files that hold a partition's batches, each from its base offset on.
//!
//! What a segment holds is what its [`SegmentMeta`] says, never the file's length: behind the last acknowledged byte a
//! file may have the rest of a write that failed, which the next write covers. Files are opened when needed and a
//! bounded number stays open; so do indexes.

use std::{
    collections::VecDeque,
    io,
    path::{Path, PathBuf},
    sync::{
        Arc, Weak,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
};

use host::{Disk, DiskFile, OpenMode};
use parking_lot::Mutex;

use super::{
    frame::{self, FRAME_HEADER_BYTES, Frame},
    index::Index,
};

/// Most index entries kept in memory, over all segments; 24 bytes each.
const INDEX_ENTRIES_MAX: usize = 1 << 20;
/// A segment with more bytes has its index kept in a file, too; a smaller one is scanned faster than that is read.
const INDEX_FILE_FROM_BYTES: u64 = 4 << 20;
/// Bytes read at once when a segment is scanned.
const SCAN_BYTES: usize = 256 << 10;

/// What is acknowledged of a segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct SegmentMeta {
    /// Offset of the first record, or before it when compaction removed some.
    pub base_offset: i64,
    /// How often what begins at this offset was rewritten.
    pub generation: u32,
    /// Acknowledged bytes.
    pub length: u64,
    /// Largest time of its batches.
    pub max_time: i64,
    /// When it was begun, ms since 1970.
    pub created_ms: i64,
    /// When it was compacted first, -1 for never.
    pub cleaned_ms: i64,
    /// Whether a record without value is in it.
    pub tombstones: bool,
}

/// A segment.
#[derive(Debug, Clone)]
pub(super) struct Segment {
    pub meta: SegmentMeta,
    pub file: Arc<SegmentFile>,
}

/// A segment's file, its handle and its index while they are in memory.
#[derive(Debug)]
pub(super) struct SegmentFile {
    pub path: PathBuf,
    handle: Mutex<Option<Arc<dyn DiskFile>>>,
    /// Used since the last look at whom to close.
    used: AtomicBool,
    index: Mutex<Option<Index>>,
    /// Written since the last sync.
    pub dirty: AtomicBool,
    /// Perhaps made by this process, its directory not synced since.
    pub fresh: AtomicBool,
    /// No longer part of its partition.
    pub removed: AtomicBool,
}

/// Why a segment cannot be read.
#[derive(Debug)]
pub(super) enum SegmentError {
    Io(io::Error),
    /// Damaged at the batch that follows this offset.
    Damaged {
        at_position: u64,
        what: String,
    },
}

impl From<io::Error> for SegmentError {
    fn from(error: io::Error) -> SegmentError {
        SegmentError::Io(error)
    }
}

/// The open files and indexes of all segments.
#[derive(Debug)]
pub(super) struct SegmentFiles {
    disk: Arc<dyn Disk>,
    open_max: usize,
    open: Mutex<VecDeque<Weak<SegmentFile>>>,
    indexed: Mutex<VecDeque<Weak<SegmentFile>>>,
    index_entries: AtomicUsize,
}

/// Name of a segment's file in its topic's directory.
pub(super) fn file_name(partition: u32, base_offset: i64, generation: u32) -> String {
    format!("{partition}-{base_offset:020}-{generation}.log")
}

fn index_path(path: &Path) -> PathBuf {
    path.with_extension("index")
}

impl SegmentFile {
    /// A segment's file, not opened. Its index is empty when it `is_new`, else not loaded.
    pub fn new(path: PathBuf, is_new: bool) -> Arc<SegmentFile> {
        Arc::new(SegmentFile {
            path,
            handle: Mutex::new(None),
            used: AtomicBool::new(false),
            index: Mutex::new(is_new.then(Index::default)),
            dirty: AtomicBool::new(false),
            // Also when the file is there already, left by an append that failed.
            fresh: AtomicBool::new(is_new),
            removed: AtomicBool::new(false),
        })
    }

    /// The directory it is in.
    pub fn dir(&self) -> &Path {
        self.path.parent().unwrap_or(Path::new("/"))
    }

    /// Take note of an appended batch, if the index is in memory and free; else it catches up when it is used.
    pub fn note(&self, position: u64, offset: i64, max_time: i64, bytes: usize) {
        if let Some(mut index) = self.index.try_lock()
            && let Some(index) = index.as_mut()
        {
            index.note(position, offset, max_time, bytes);
        }
    }
}

impl SegmentFiles {
    pub fn new(disk: Arc<dyn Disk>, open_max: usize) -> SegmentFiles {
        SegmentFiles {
            disk,
            open_max: open_max.max(1),
            open: Mutex::default(),
            indexed: Mutex::default(),
            index_entries: AtomicUsize::new(0),
        }
    }

    /// The segment's file to read from.
    pub fn to_read(&self, file: &Arc<SegmentFile>) -> io::Result<Arc<dyn DiskFile>> {
        self.handle(file, |disk, path| disk.open(path, OpenMode::ReadWrite))
    }

    /// The segment's file to write to, made when it is not there.
    pub fn to_write(&self, file: &Arc<SegmentFile>) -> io::Result<Arc<dyn DiskFile>> {
        self.handle(file, |disk, path| match disk.open(path, OpenMode::ReadWrite) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                file.fresh.store(true, Ordering::SeqCst);
                match disk.open(path, OpenMode::Create) {
                    Err(error) if error.kind() == io::ErrorKind::NotFound => {
                        disk.create_dir_all(file.dir())?;
                        disk.open(path, OpenMode::Create)
                    }
                    other => other,
                }
            }
            other => other,
        })
    }

    fn handle(
        &self,
        file: &Arc<SegmentFile>,
        open: impl FnOnce(&dyn Disk, &Path) -> io::Result<Arc<dyn DiskFile>>,
    ) -> io::Result<Arc<dyn DiskFile>> {
        file.used.store(true, Ordering::Relaxed);
        let mut slot = file.handle.lock();
        if let Some(handle) = slot.as_ref() {
            return Ok(Arc::clone(handle));
        }
        let handle = open(self.disk.as_ref(), &file.path)?;
        *slot = Some(Arc::clone(&handle));
        drop(slot);
        self.close_some(file);
        Ok(handle)
    }

    /// Count `opened` and close what was not used lately when too many are open.
    fn close_some(&self, opened: &Arc<SegmentFile>) {
        let mut open = self.open.lock();
        open.push_back(Arc::downgrade(opened));
        // Each file gets one second chance at most, so this ends.
        let mut looks = open.len() * 2;
        while open.len() > self.open_max && looks > 0 {
            looks -= 1;
            let Some(weak) = open.pop_front() else { break };
            let Some(file) = weak.upgrade() else { continue };
            if file.used.swap(false, Ordering::Relaxed) {
                open.push_back(weak);
            } else if let Some(mut slot) = file.handle.try_lock() {
                *slot = None;
            } else {
                open.push_back(weak);
            }
        }
    }

    /// Remove the segment's files. What cannot be removed is removed after the next start.
    pub fn remove(&self, file: &SegmentFile) {
        file.removed.store(true, Ordering::SeqCst);
        for path in [&file.path, &index_path(&file.path)] {
            match self.disk.remove(path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    tracing::warn!(path = %path.display(), %error, "a segment's file stays behind");
                }
                _ => {}
            }
        }
        *file.handle.lock() = None;
    }

    /// Make the segment's bytes durable, if they were written since the last time.
    pub fn sync(&self, file: &Arc<SegmentFile>) -> io::Result<()> {
        if file.removed.load(Ordering::SeqCst) || !file.dirty.swap(false, Ordering::SeqCst) {
            return Ok(());
        }
        let synced = self.to_read(file).and_then(|handle| handle.sync_data());
        match synced {
            Err(error) if error.kind() == io::ErrorKind::NotFound || file.removed.load(Ordering::SeqCst) => {
                // Compacted, retired, or its topic deleted.
                Ok(())
            }
            Err(error) => {
                file.dirty.store(true, Ordering::SeqCst);
                Err(error)
            }
            Ok(()) => Ok(()),
        }
    }

    /// Ask the segment's index, brought up to `segment.meta.length`.
    pub fn with_index<T>(&self, segment: &Segment, ask: impl FnOnce(&Index) -> T) -> Result<T, SegmentError> {
        let length = segment.meta.length;
        let mut slot = segment.file.index.lock();
        if slot.is_none() {
            *slot = Some(self.load_index(segment)?);
        }
        let Some(index) = slot.as_mut() else { return Ok(ask(&Index::default())) };
        let (covered, entries) = (index.covered(), index.len());
        if covered < length {
            let handle = self.to_read(&segment.file)?;
            let mut damage = None;
            let scanned = scan(handle.as_ref(), covered, length, |position, frame| {
                index.note(position, frame.header.base_offset, frame.header.max_timestamp, frame.bytes());
                Ok(true)
            });
            match scanned {
                Ok(()) => {}
                // What lies before the damage can be read.
                Err(error @ SegmentError::Damaged { .. }) if index.len() > 0 => damage = Some(error),
                Err(error) => return Err(error),
            }
            if damage.is_none() && index.covered() - covered >= INDEX_FILE_FROM_BYTES {
                self.save_index(&segment.file, index);
            }
        }
        let answer = ask(index);
        let grown = index.len().saturating_sub(entries);
        drop(slot);
        self.index_entries.fetch_add(grown, Ordering::Relaxed);
        if entries == 0 && grown > 0 {
            self.forget_some(&segment.file);
        }
        Ok(answer)
    }

    /// Count the index that a full segment gathered while it was written.
    pub fn count_index(&self, file: &Arc<SegmentFile>) {
        let entries = file.index.try_lock().and_then(|index| index.as_ref().map(Index::len)).unwrap_or(0);
        self.index_entries.fetch_add(entries, Ordering::Relaxed);
        if entries > 0 {
            self.forget_some(file);
        }
    }

    fn load_index(&self, segment: &Segment) -> Result<Index, SegmentError> {
        if segment.meta.length < INDEX_FILE_FROM_BYTES {
            return Ok(Index::default());
        }
        let stored = self.disk.read_all(&index_path(&segment.file.path)).ok();
        let Some(index) = stored.and_then(|bytes| Index::decode(&bytes)) else { return Ok(Index::default()) };
        // After a loss of power an index may be of a segment that was since written anew.
        let Some(last) = index.last().filter(|_| index.covered() <= segment.meta.length) else {
            return Ok(Index::default());
        };
        let mut header = [0; FRAME_HEADER_BYTES];
        self.to_read(&segment.file)?.read_at(last.position, &mut header)?;
        let fits = frame::parse(&header).is_ok_and(|frame| frame.header.base_offset == last.offset);
        Ok(if fits { index } else { Index::default() })
    }

    fn save_index(&self, file: &SegmentFile, index: &Index) {
        let path = index_path(&file.path);
        let saved = self.disk.open(&path, OpenMode::CreateEmpty).and_then(|f| f.write_at(0, &index.encode()));
        if let Err(error) = saved {
            tracing::debug!(path = %path.display(), %error, "an index was not saved; it is made again when needed");
        }
    }

    /// Keep account of the file's index, and drop the oldest ones when there are too many entries.
    fn forget_some(&self, file: &Arc<SegmentFile>) {
        let mut indexed = self.indexed.lock();
        indexed.push_back(Arc::downgrade(file));
        if self.index_entries.load(Ordering::Relaxed) <= INDEX_ENTRIES_MAX && indexed.len() <= INDEX_ENTRIES_MAX {
            return;
        }
        let mut kept = 0;
        for weak in std::mem::take(&mut *indexed).into_iter().rev() {
            let Some(other) = weak.upgrade() else { continue };
            let Some(mut slot) = other.index.try_lock() else {
                indexed.push_front(weak);
                continue;
            };
            let entries = slot.as_ref().map_or(0, Index::len);
            if kept + entries <= INDEX_ENTRIES_MAX / 2 {
                kept += entries;
                indexed.push_front(weak);
            } else {
                *slot = None;
            }
        }
        self.index_entries.store(kept, Ordering::Relaxed);
    }
}

/// Visit the frames from `position` to `end` until `visit` says `false`.
pub(super) fn scan(
    file: &dyn DiskFile,
    mut position: u64,
    end: u64,
    mut visit: impl FnMut(u64, Frame) -> Result<bool, SegmentError>,
) -> Result<(), SegmentError> {
    let mut buffer = vec![0; SCAN_BYTES];
    while position < end {
        let want = usize::try_from(end - position).unwrap_or(usize::MAX).min(SCAN_BYTES);
        let chunk = buffer.get_mut(..want).unwrap_or_default();
        let read = file.read_at(position, chunk)?;
        let chunk = chunk.get(..read).unwrap_or_default();
        let start = position;
        loop {
            let at = usize::try_from(position - start).unwrap_or(usize::MAX);
            let rest = chunk.get(at..).unwrap_or_default();
            // The next frame's header lies beyond what was read; read on from there.
            if rest.len() < FRAME_HEADER_BYTES && at > 0 {
                break;
            }
            let frame = frame::parse(rest).map_err(|what| SegmentError::Damaged { at_position: position, what })?;
            if !visit(position, frame)? {
                return Ok(());
            }
            position += frame.bytes() as u64;
            if position >= end {
                return Ok(());
            }
        }
    }
    Ok(())
}
