//! The journal: every change to the log, in order, in a sequence of files. One sync of it makes a group of commits
//! over any number of partitions durable, whole or not at all.
//!
//! Entries are numbered over all files. Each file begins with a header that was durable before the first entry was
//! written, and all files but the last are durable throughout. An entry also says through which entry the journal was
//! known to be durable when it was written; so a recovery can tell the torn end of a crash (nobody was promised those
//! bytes) from damage to something that was acknowledged. Checksums are seeded with the file's own random number, so
//! that no record's content passes for an entry.
//!
//! A file that is no longer needed is kept as a [`Spare`], and a later one is written over it: its blocks and the
//! system's pages for them are there already, so that a sync has the entry alone to write and nothing about the file.
//! What is left of the file before lies behind the last entry, where it passes for none: it has another random number.

use std::{
    io,
    path::{Path, PathBuf},
    sync::Arc,
};

use host::{Disk, DiskFile, Host, OpenMode};
use memchr::memmem;
use parking_lot::Mutex;

use super::{
    entry::Entry,
    wire::{Reading, Writing},
};

const FILE_MAGIC: u32 = 0x4d53_4a4c;
const FORMAT_VERSION: u32 = 2;
/// The version in which every file's entries began alike; it is still read.
const FORMAT_VERSION_OF_ONE_MAGIC: u32 = 1;
/// Magic, version, sequence number, nonce, first entry's number, checksum.
const HEADER_BYTES: usize = 4 + 4 + 8 + 8 + 8 + 4;
/// What the entries of the first version began with.
const ENTRY_MAGIC_OF_ALL: u32 = 0x4d53_4a45;
/// Magic, length, number, durable through, checksum.
const ENTRY_HEADER_BYTES: usize = 4 + 4 + 8 + 8 + 4;
const FILE_PREFIX: &str = "journal-";
const SPARE_NAME: &str = "journal.spare";

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

/// What tells the entries of a file from everything else in it, whoever wrote that: where it stands, no checksum needs to
/// be computed to find out.
fn magic_of(nonce: u64) -> u32 {
    nonce as u32
}

/// The file that the next one is written over.
#[derive(Debug, Default)]
pub(super) struct Spare(Mutex<()>);

impl Spare {
    /// Begin a file of the journal, durably. The files before it must be durable throughout.
    pub fn begin(&self, host: &Host, root: &Path, sequence: u64, next_number: u64) -> io::Result<Journal> {
        let _in_turn = self.0.lock();
        Journal::create(host, root, sequence, next_number)
    }

    /// Let go of a file of the journal, of which nothing is needed any more: it becomes the spare one if it is longer
    /// than that is and no longer than `bytes_max`.
    pub fn take(&self, disk: &dyn Disk, root: &Path, sequence: u64, bytes_max: u64) -> io::Result<()> {
        let _in_turn = self.0.lock();
        let length = |path: &Path| match disk.open(path, OpenMode::Read) {
            Ok(file) => file.len(),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(0),
            Err(error) => Err(error),
        };
        let (path, spare) = (path_of(root, sequence), root.join(SPARE_NAME));
        let own = length(&path)?;
        match own > length(&spare)? && own <= bytes_max {
            true => disk.rename(&path, &spare),
            false => disk.remove(&path),
        }
    }
}

/// Of a header's and a payload's bytes, one after the other.
fn checksum<'a>(nonce: u64, bytes: impl IntoIterator<Item = &'a [u8]>) -> u32 {
    let crc = crc32c::crc32c(&nonce.to_le_bytes());
    bytes.into_iter().fold(crc, crc32c::crc32c_append)
}

impl Journal {
    fn create(host: &Host, root: &Path, sequence: u64, next_number: u64) -> io::Result<Journal> {
        // It gets its name when its header is durable: under that name there is never anything else.
        let (path, spare) = (path_of(root, sequence), root.join(SPARE_NAME));
        let file = host.disk.open(&spare, OpenMode::Create)?;
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
        host.disk.rename(&spare, &path)?;
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

    /// Bytes of its entries and before them.
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
        let records = entry.encode(&mut self.buffer);
        let bytes = self.buffer.len() + records.iter().map(|(_, bytes)| bytes.len()).sum::<usize>();
        let length = u32::try_from(bytes).map_err(io::Error::other)?;
        let mut header = Vec::with_capacity(ENTRY_HEADER_BYTES);
        let mut to = Writing(&mut header);
        to.u32(magic_of(self.nonce));
        to.u32(length);
        to.u64(self.next_number);
        to.u64(self.durable_through);
        // Records are written from where they are.
        let (mut payload, mut at) = (Vec::with_capacity(2 * records.len() + 1), 0);
        for (end, bytes) in records {
            payload.extend([self.buffer.get(at..end).unwrap_or_default(), bytes]);
            at = end;
        }
        payload.push(self.buffer.get(at..).unwrap_or_default());
        let crc = checksum(self.nonce, std::iter::once(header.as_slice()).chain(payload.iter().copied()));
        Writing(&mut header).u32(crc);
        let pieces: Vec<&[u8]> = std::iter::once(header.as_slice()).chain(payload).collect();
        if let Err(error) = self.file.write_all_at(self.position, &pieces) {
            // A part may be there; without it the next entry takes the place.
            self.broken = self.file.truncate(self.position).is_err();
            return Err(error);
        }
        self.position += (ENTRY_HEADER_BYTES + bytes) as u64;
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
    /// Where they end.
    pub end: usize,
    /// Some entry says that everything up to this number was durable.
    pub durable_through: u64,
    /// Why they end before the file does: what is there is the torn end of a crash, what an older file left, or damage.
    pub damage: Option<&'static str>,
}

impl Found<'_> {
    /// Number after the last sound entry's.
    pub fn next_number(&self) -> u64 {
        self.first_number + self.entries.len() as u64
    }
}

/// Read a journal's file. `None` when not even the header was written, which a crash at its creation leaves.
pub(super) fn read(bytes: &[u8], sequence: u64) -> Result<Option<Found<'_>>, String> {
    let Some((marks, first_number)) = read_header(bytes, sequence) else {
        return if bytes.len() <= HEADER_BYTES { Ok(None) } else { Err("its header is damaged".into()) };
    };
    let mut found = Found { first_number, entries: Vec::new(), end: HEADER_BYTES, durable_through: 0, damage: None };
    while found.end < bytes.len() {
        let rest = bytes.get(found.end..).unwrap_or_default();
        match read_entry(rest, marks) {
            Some((number, durable_through, payload)) if number == found.next_number() => {
                found.durable_through = found.durable_through.max(durable_through);
                found.entries.push(payload);
                found.end += ENTRY_HEADER_BYTES + payload.len();
            }
            Some(_) => {
                found.damage = Some("an entry is out of order");
                break;
            }
            None => {
                found.damage = Some("an entry is damaged or cut off");
                break;
            }
        }
    }
    if found.damage.is_some() {
        let behind = durable_behind(bytes.get(found.end..).unwrap_or_default(), marks, found.next_number());
        found.durable_through = found.durable_through.max(behind);
    }
    Ok(Some(found))
}

/// What tells a file's entries from everything else.
#[derive(Debug, Clone, Copy)]
struct Marks {
    magic: u32,
    nonce: u64,
}

fn read_header(bytes: &[u8], sequence: u64) -> Option<(Marks, u64)> {
    let header = bytes.get(..HEADER_BYTES)?;
    let (content, crc) = header.split_last_chunk::<4>()?;
    if crc32c::crc32c(content) != u32::from_le_bytes(*crc) {
        return None;
    }
    let mut from = Reading(content);
    let (file_magic, version) = (from.u32()?, from.u32()?);
    let fits = file_magic == FILE_MAGIC && from.u64()? == sequence;
    let (nonce, first_number) = (from.u64()?, from.u64()?);
    let magic = match version {
        FORMAT_VERSION => magic_of(nonce),
        FORMAT_VERSION_OF_ONE_MAGIC => ENTRY_MAGIC_OF_ALL,
        _ => return None,
    };
    fits.then_some((Marks { magic, nonce }, first_number))
}

fn read_entry(bytes: &[u8], Marks { magic, nonce }: Marks) -> Option<(u64, u64, &[u8])> {
    let mut from = Reading(bytes);
    if from.u32()? != magic {
        return None;
    }
    let length = usize::try_from(from.u32()?).ok()?;
    let (number, durable_through, crc) = (from.u64()?, from.u64()?, from.u32()?);
    let payload = from.take(length)?;
    let header = bytes.get(..ENTRY_HEADER_BYTES - 4)?;
    (checksum(nonce, [header, payload]) == crc).then_some((number, durable_through, payload))
}

/// The largest "durable through" of sound entries behind a damaged one.
fn durable_behind(bytes: &[u8], marks: Marks, after_number: u64) -> u64 {
    let magic = marks.magic.to_le_bytes();
    let places = memmem::find_iter(bytes, &magic);
    let entries = places.filter_map(|at| read_entry(bytes.get(at..)?, marks));
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

    #[test]
    fn a_file_written_over_another_holds_its_own_entries_alone() {
        let (sim, root, spare) = (Host::simulated(1, 0), Path::new("/"), Spare::default());
        let mut old = spare.begin(&sim.host, root, 1, 1).unwrap();
        (0..5).for_each(|id| old.append(&Entry::Deleted(id)).unwrap());
        old.sync().unwrap();
        let old_bytes = sim.disk_bytes(&old.path);
        // One that is too long is not kept.
        let disk = sim.host.disk.as_ref();
        let next = spare.begin(&sim.host, root, 2, 6).unwrap();
        assert_eq!(sim.disk_bytes(&next.path).len(), HEADER_BYTES);
        spare.take(disk, root, 2, 3).unwrap();
        assert!(!disk.exists(&root.join(SPARE_NAME)).unwrap());
        spare.take(disk, root, 1, 1 << 20).unwrap();
        let mut new = spare.begin(&sim.host, root, 3, 6).unwrap();
        for count in 0..7 {
            let bytes = sim.disk_bytes(&new.path);
            assert!(bytes.len() >= old_bytes.len());
            let found = read(&bytes, 3).unwrap().unwrap();
            assert_eq!((found.next_number(), found.end as u64), (6 + count, new.bytes()));
            assert!(found.durable_through < 6 + count);
            new.append(&Entry::Deleted(u128::from(count))).unwrap();
            new.sync().unwrap();
        }
        // A shorter one does not take its place.
        spare.take(disk, root, 3, 1 << 20).unwrap();
        spare.begin(&sim.host, root, 4, 13).unwrap();
        let short = Journal::create(&sim.host, root, 5, 13).unwrap();
        spare.take(disk, root, 4, 1 << 20).unwrap();
        spare.take(disk, root, 5, 1 << 20).unwrap();
        assert!(!disk.exists(&short.path).unwrap());
        assert!(sim.disk_bytes(&root.join(SPARE_NAME)).len() >= old_bytes.len());
    }

    #[test]
    fn files_of_the_first_version_are_read() {
        let (nonce, number, payload) = (77_u64, 9_u64, b"payload");
        let mut bytes = Vec::new();
        let mut to = Writing(&mut bytes);
        to.u32(FILE_MAGIC);
        to.u32(1);
        to.u64(3);
        to.u64(nonce);
        to.u64(number);
        let crc = crc32c::crc32c(&bytes);
        Writing(&mut bytes).u32(crc);
        let mut header = Vec::new();
        let mut to = Writing(&mut header);
        to.u32(0x4d53_4a45);
        to.u32(7);
        to.u64(number);
        to.u64(number - 1);
        let crc = checksum(nonce, [header.as_slice(), payload]);
        Writing(&mut header).u32(crc);
        bytes.extend(header.into_iter().chain(*payload));
        let found = read(&bytes, 3).unwrap().unwrap();
        assert_eq!((found.entries.as_slice(), found.end), ([payload.as_slice()].as_slice(), bytes.len()));
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
