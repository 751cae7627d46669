//! A simulated file's bytes, and how to take back what was written since the last sync.

use std::io;

use rand::{Rng, rngs::StdRng};

/// Within a torn write, units of this many bytes survive or are lost.
const SECTOR_BYTES: usize = 512;

/// The bytes of a file.
#[derive(Clone, Default)]
pub(super) struct Content {
    bytes: Vec<u8>,
    /// Oldest first.
    unsynced: Vec<Undo>,
}

/// How to take back one change.
#[derive(Clone)]
enum Undo {
    /// A write over `old` (shorter than `length` where the file grew).
    Write { position: usize, length: usize, old: Vec<u8>, file_length: usize },
    /// The file was cut (losing `lost`) or stretched from `file_length`.
    Truncate { file_length: usize, lost: Vec<u8> },
}

/// One change, to be made again.
enum Redo {
    Write { position: usize, bytes: Vec<u8> },
    Truncate { length: usize },
}

impl Content {
    pub(super) fn len(&self) -> u64 {
        self.bytes.len() as u64
    }

    pub(super) fn read(&self, position: u64, buffer: &mut [u8]) -> usize {
        let start = usize::try_from(position).unwrap_or(usize::MAX);
        let available = self.bytes.get(start..).unwrap_or_default();
        let count = available.len().min(buffer.len());
        if let (Some(to), Some(from)) = (buffer.get_mut(..count), available.get(..count)) {
            to.copy_from_slice(from);
        }
        count
    }

    pub(super) fn write(&mut self, position: u64, bytes: &[u8], tracked: bool) {
        let Ok(position) = usize::try_from(position) else { return };
        if tracked {
            let old = self.bytes.get(position..).unwrap_or_default();
            let old = old.get(..bytes.len().min(old.len())).unwrap_or_default().to_vec();
            let file_length = self.bytes.len();
            self.unsynced.push(Undo::Write { position, length: bytes.len(), old, file_length });
        }
        put(&mut self.bytes, position, bytes);
    }

    /// The new length and how many bytes were freed.
    pub(super) fn truncate(&mut self, length: u64, tracked: bool) -> (u64, u64) {
        let length = usize::try_from(length).unwrap_or(usize::MAX);
        let file_length = self.bytes.len();
        if tracked {
            let lost = self.bytes.get(length..).unwrap_or_default().to_vec();
            self.unsynced.push(Undo::Truncate { file_length, lost });
        }
        self.bytes.resize(length, 0);
        (length as u64, file_length.saturating_sub(length) as u64)
    }

    pub(super) fn sync(&mut self) {
        self.unsynced.clear();
    }

    pub(super) fn flip(&mut self, position: u64, mask: u8) -> io::Result<()> {
        let byte = usize::try_from(position).ok().and_then(|at| self.bytes.get_mut(at));
        let byte = byte.ok_or_else(|| io::Error::from(io::ErrorKind::UnexpectedEof))?;
        *byte ^= mask;
        Ok(())
    }

    /// What a loss of power leaves.
    pub(super) fn after_power_loss(&self, rng: &mut StdRng) -> Content {
        let mut bytes = self.bytes.clone();
        let mut redos: Vec<Redo> = self.unsynced.iter().rev().map(|undo| take_back(&mut bytes, undo)).collect();
        redos.reverse();
        // Mostly all of a file's writes share a fate, but not always.
        let fate = rng.random_range(0..4);
        for redo in redos {
            let own = if fate == 3 { rng.random_range(0..4) } else { fate };
            make_again(&mut bytes, redo, own, rng);
        }
        Content { bytes, unsynced: Vec::new() }
    }
}

fn put(bytes: &mut Vec<u8>, position: usize, new: &[u8]) {
    if new.is_empty() {
        return;
    }
    if position > bytes.len() {
        bytes.resize(position, 0);
    }
    let overlap = new.len().min(bytes.len() - position);
    let (over, beyond) = new.split_at(overlap);
    if let Some(place) = bytes.get_mut(position..position + overlap) {
        place.copy_from_slice(over);
    }
    bytes.extend_from_slice(beyond);
}

fn take_back(bytes: &mut Vec<u8>, undo: &Undo) -> Redo {
    match undo {
        Undo::Write { position, length, old, file_length } => {
            let new = bytes.get(*position..position + length).unwrap_or_default().to_vec();
            put(bytes, *position, old);
            bytes.truncate(*file_length);
            Redo::Write { position: *position, bytes: new }
        }
        Undo::Truncate { file_length, lost } => {
            let length = bytes.len();
            bytes.extend_from_slice(lost);
            bytes.truncate(*file_length);
            Redo::Truncate { length }
        }
    }
}

fn make_again(bytes: &mut Vec<u8>, redo: Redo, fate: u32, rng: &mut StdRng) {
    match (redo, fate) {
        (_, 1) => {}
        (Redo::Truncate { length }, _) => bytes.resize(length, 0),
        (Redo::Write { position, bytes: new }, 0) => put(bytes, position, &new),
        (Redo::Write { position, bytes: new }, 2) => {
            let keep = rng.random_range(0..=new.len());
            put(bytes, position, new.get(..keep).unwrap_or_default());
        }
        (Redo::Write { position, bytes: new }, _) => {
            for (index, sector) in new.chunks(SECTOR_BYTES).enumerate() {
                if rng.random() {
                    put(bytes, position + index * SECTOR_BYTES, sector);
                }
            }
        }
    }
}
