//! The journal: every change to the log, in order, in a sequence of files. One sync of it makes a group of commits
//! over any number of partitions durable, whole or not at all.
//!
//! Entries are numbered over all files. Each file begins with a header that was durable before the first entry was
//! written, and all files but the last are durable throughout. An entry also says through which entry the journal was
//! known to be durable when it was written; so a recovery can tell the torn end of a crash (nobody was promised those
//! bytes) from damage to something that was acknowledged. Checksums are seeded with the file's own random number, so
//! that no record's content passes for an entry.

use std::{
    io,
    path::{Path, PathBuf},
    sync::Arc,
};

use host::{DiskFile, Host, OpenMode};

use super::{
    entry::Entry,
    wire::{Reading, Writing},
};

const FILE_MAGIC: u32 = 0x4d53_4a4c;
const FORMAT_VERSION: u32 = 1;
/// Magic, version, sequence number, nonce, first entry's number, checksum.
const HEADER_BYTES: usize = 4 + 4 + 8 + 8 + 8 + 4;
const ENTRY_MAGIC: u32 = 0x4d53_4a45;
/// Magic, length, number, durable through, checksum.
const ENTRY_HEADER_BYTES: usize = 4 + 4 + 8 + 8 + 4;
const FILE_PREFIX: &str = "journal-";

/// The file of the journal that is written to.
#[derive(Debug)]
pub(super) struct Journal {
    file: Arc<dyn DiskFile>,
    pub path: PathBuf,
    /// Of this file.
    pub sequence: u64,
    nonce: u64,
    position: u64,
    /// Of the next entry.
    pub next_number: u64,
    /// Every entry up to this number is durable.
    pub durable_through: u64,
    /// What the file holds behind `position`, or whether it will keep what it holds, is not known. Nothing more is
    /// written to it.
    pub broken: bool,
    buffer: Vec<u8>,
}

pub(super) fn path_of(root: &Path, sequence: u64) -> PathBuf {
    root.join(format!("{FILE_PREFIX}{sequence:020}"))
}

/// The sequence number in a journal file's name.
pub(super) fn sequence_of(name: &str) -> Option<u64> {
    name.strip_prefix(FILE_PREFIX)?.parse().ok()
}

fn checksum(nonce: u64, header: &[u8], payload: &[u8]) -> u32 {
    let crc = crc32c::crc32c(&nonce.to_le_bytes());
    crc32c::crc32c_append(crc32c::crc32c_append(crc, header), payload)
}

impl Journal {
    /// Begin a file of the journal, durably. The files before it must be durable throughout.
    pub fn create(host: &Host, root: &Path, sequence: u64, next_number: u64) -> io::Result<Journal> {
        let path = path_of(root, sequence);
        let file = host.disk.open(&path, OpenMode::CreateEmpty)?;
        let nonce = host.random.next_u64();
        let mut header = Vec::with_capacity(HEADER_BYTES);
        let mut to = Writing(&mut header);
        to.u32(FILE_MAGIC);
        to.u32(FORMAT_VERSION);
        to.u64(sequence);
        to.u64(nonce);
        to.u64(next_number);
        let crc = crc32c::crc32c(&header);
        Writing(&mut header).u32(crc);
        file.write_at(0, &header)?;
        file.sync_data()?;
        host.disk.sync_dir(root)?;
        Ok(Journal {
            file,
            path,
            sequence,
            nonce,
            position: HEADER_BYTES as u64,
            next_number,
            durable_through: next_number.saturating_sub(1),
            broken: false,
            buffer: Vec::new(),
        })
    }

    /// Bytes in the file.
    pub fn bytes(&self) -> u64 {
        self.position
    }

    /// Whether entries wait for [`Journal::sync`].
    pub fn has_unsynced(&self) -> bool {
        self.durable_through + 1 < self.next_number
    }

    /// Write an entry, not yet durably. After an error it is not in the journal.
    pub fn append(&mut self, entry: &Entry<'_>) -> io::Result<()> {
        if self.broken {
            return Err(io::Error::other("the journal's file failed before"));
        }
        self.buffer.clear();
        self.buffer.resize(ENTRY_HEADER_BYTES, 0);
        entry.encode(&mut self.buffer);
        let length = u32::try_from(self.buffer.len() - ENTRY_HEADER_BYTES).map_err(io::Error::other)?;
        let mut header = Vec::with_capacity(ENTRY_HEADER_BYTES);
        let mut to = Writing(&mut header);
        to.u32(ENTRY_MAGIC);
        to.u32(length);
        to.u64(self.next_number);
        to.u64(self.durable_through);
        let crc = checksum(self.nonce, &header, self.buffer.get(ENTRY_HEADER_BYTES..).unwrap_or_default());
        Writing(&mut header).u32(crc);
        if let Some(place) = self.buffer.get_mut(..ENTRY_HEADER_BYTES) {
            place.copy_from_slice(&header);
        }
        if let Err(error) = self.file.write_at(self.position, &self.buffer) {
            // A part may be there; without it the next entry takes the place.
            self.broken = self.file.truncate(self.position).is_err();
            return Err(error);
        }
        self.position += self.buffer.len() as u64;
        self.next_number += 1;
        Ok(())
    }

    /// Make all entries durable. After an error nobody knows which are, and the file is broken.
    pub fn sync(&mut self) -> io::Result<()> {
        if self.broken {
            return Err(io::Error::other("the journal's file failed before"));
        }
        self.file.sync_data().inspect_err(|_| self.broken = true)?;
        self.durable_through = self.next_number - 1;
        Ok(())
    }
}

/// What was found in a journal's file.
#[derive(Debug)]
pub(super) struct Found<'a> {
    /// Number of the first entry, also when there is none.
    pub first_number: u64,
    /// The sound entries from the first on: their numbers are consecutive.
    pub entries: Vec<&'a [u8]>,
    /// Some entry says that everything up to this number was durable.
    pub durable_through: u64,
    /// Where the sound entries end before the file does, and why.
    pub damage: Option<(usize, &'static str)>,
}

impl Found<'_> {
    /// Number after the last sound entry's.
    pub fn next_number(&self) -> u64 {
        self.first_number + self.entries.len() as u64
    }
}

/// Read a journal's file. `None` when not even the header was written, which a crash at its creation leaves.
pub(super) fn read(bytes: &[u8], sequence: u64) -> Result<Option<Found<'_>>, String> {
    let Some((nonce, first_number)) = read_header(bytes, sequence) else {
        return if bytes.len() <= HEADER_BYTES { Ok(None) } else { Err("its header is damaged".into()) };
    };
    let mut found = Found { first_number, entries: Vec::new(), durable_through: 0, damage: None };
    let mut at = HEADER_BYTES;
    while at < bytes.len() {
        let rest = bytes.get(at..).unwrap_or_default();
        match read_entry(rest, nonce) {
            Some((number, durable_through, payload)) if number == found.next_number() => {
                found.durable_through = found.durable_through.max(durable_through);
                found.entries.push(payload);
                at += ENTRY_HEADER_BYTES + payload.len();
            }
            Some(_) => {
                found.damage = Some((at, "an entry is out of order"));
                break;
            }
            None => {
                found.damage = Some((at, "an entry is damaged or cut off"));
                break;
            }
        }
    }
    if found.damage.is_some() {
        let behind = durable_behind(bytes.get(at..).unwrap_or_default(), nonce, found.next_number());
        found.durable_through = found.durable_through.max(behind);
    }
    Ok(Some(found))
}

fn read_header(bytes: &[u8], sequence: u64) -> Option<(u64, u64)> {
    let header = bytes.get(..HEADER_BYTES)?;
    let (content, crc) = header.split_last_chunk::<4>()?;
    if crc32c::crc32c(content) != u32::from_le_bytes(*crc) {
        return None;
    }
    let mut from = Reading(content);
    let fits = from.u32()? == FILE_MAGIC && from.u32()? == FORMAT_VERSION && from.u64()? == sequence;
    let (nonce, first_number) = (from.u64()?, from.u64()?);
    fits.then_some((nonce, first_number))
}

fn read_entry(bytes: &[u8], nonce: u64) -> Option<(u64, u64, &[u8])> {
    let mut from = Reading(bytes);
    if from.u32()? != ENTRY_MAGIC {
        return None;
    }
    let length = usize::try_from(from.u32()?).ok()?;
    let (number, durable_through, crc) = (from.u64()?, from.u64()?, from.u32()?);
    let payload = from.take(length)?;
    let header = bytes.get(..ENTRY_HEADER_BYTES - 4)?;
    (checksum(nonce, header, payload) == crc).then_some((number, durable_through, payload))
}

/// The largest "durable through" of sound entries behind a damaged one.
fn durable_behind(bytes: &[u8], nonce: u64, after_number: u64) -> u64 {
    let magic = ENTRY_MAGIC.to_le_bytes();
    let places = bytes.windows(magic.len()).enumerate().filter(|(_, window)| *window == magic);
    let entries = places.filter_map(|(at, _)| read_entry(bytes.get(at..)?, nonce));
    entries.filter(|(number, ..)| *number >= after_number).map(|(_, durable, _)| durable).max().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn journal() -> (host::Simulation, Journal) {
        let sim = Host::simulated(1, 0);
        let journal = Journal::create(&sim.host, Path::new("/"), 3, 10).unwrap();
        (sim, journal)
    }

    #[test]
    fn what_is_appended_is_found() {
        let (sim, mut journal) = journal();
        assert!(!journal.has_unsynced());
        journal.append(&Entry::Deleted(1)).unwrap();
        journal.append(&Entry::Deleted(2)).unwrap();
        assert!(journal.has_unsynced());
        journal.sync().unwrap();
        journal.append(&Entry::Deleted(3)).unwrap();
        let bytes = sim.disk_bytes(&journal.path);
        let found = read(&bytes, 3).unwrap().unwrap();
        assert_eq!((found.first_number, found.next_number(), found.durable_through), (10, 13, 11));
        assert_eq!(Entry::decode(found.entries[2]), Some(Entry::Deleted(3)));
        assert!(found.damage.is_none());
        assert!(read(&bytes, 4).is_err());
        assert!(read(&bytes[..20], 3).unwrap().is_none());
    }

    #[test]
    fn a_torn_end_is_told_from_damage() {
        let (sim, mut journal) = journal();
        for i in 0..3 {
            journal.append(&Entry::Deleted(i)).unwrap();
            journal.sync().unwrap();
        }
        let whole = sim.disk_bytes(&journal.path);
        let entry_bytes = (whole.len() - HEADER_BYTES) / 3;
        let torn = read(&whole[..whole.len() - 1], 3).unwrap().unwrap();
        assert_eq!((torn.next_number(), torn.durable_through), (12, 10));
        let mut damaged = whole.clone();
        damaged[HEADER_BYTES + entry_bytes + 30] ^= 1;
        let damaged = read(&damaged, 3).unwrap().unwrap();
        // Entry 12 says that entry 11 was durable, and it is not there.
        assert_eq!((damaged.next_number(), damaged.durable_through), (11, 11));
        assert!(damaged.damage.is_some());
    }

    #[test]
    fn a_failed_write_leaves_no_trace_and_a_failed_sync_breaks_the_file() {
        let (sim, mut journal) = journal();
        sim.disk.set_capacity(Some(sim.disk.used_bytes() + 10));
        assert!(journal.append(&Entry::Deleted(1)).is_err());
        assert!(!journal.broken);
        sim.disk.set_capacity(None);
        journal.append(&Entry::Deleted(2)).unwrap();
        let bytes = sim.disk_bytes(&journal.path);
        assert_eq!(read(&bytes, 3).unwrap().unwrap().entries.len(), 1);
        sim.disk.inject(host::FaultOp::Sync, "journal", 1);
        assert!(journal.sync().is_err());
        assert!(journal.broken && journal.append(&Entry::Deleted(3)).is_err());
    }

    trait DiskBytes {
        fn disk_bytes(&self, path: &Path) -> Vec<u8>;
    }

    impl DiskBytes for host::Simulation {
        fn disk_bytes(&self, path: &Path) -> Vec<u8> {
            self.host.disk.read_all(path).unwrap()
        }
    }
}
