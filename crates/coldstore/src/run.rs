//! A run: a file of entries sorted by key, each key once.
//!
//! Blocks of about 4 KB of entries; then the index (of each block: first key, place, length, checksum); then the filter;
//! then the tail, of fixed length, which says where these are. An entry is the key's length, one plus the value's
//! length (0: the key is gone), both as varints, then key and value. Index, filter and tail are read when a run is
//! opened and stay in memory: two bytes an entry, about.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use host::{Disk, DiskFile, OpenMode};

use crate::{
    ColdError, Result,
    bloom::{Bloom, hash},
    io_error,
};

/// Bytes of entries after which a block ends.
const BLOCK_BYTES: usize = 4096;

/// Bytes that are gathered before they are written, and read at once where all blocks are wanted.
const IO_BYTES: usize = 256 << 10;

/// Last bytes of a run.
const MAGIC: u64 = 0x6d73_636f_6c64_0001;

/// Bytes of the tail: six numbers and the magic, then a checksum of these and of index and filter.
const TAIL_BYTES: usize = 6 * 8 + 8;

/// An entry: key, and value unless the key is gone.
pub(crate) type Entry<'a> = (&'a [u8], Option<&'a [u8]>);

#[derive(Debug, Clone, Copy)]
struct Block {
    /// Where its first key ends among the index' keys.
    key_end: u32,
    length: u32,
    crc: u32,
    offset: u64,
}

/// A run, open for reading.
#[derive(Debug)]
pub(crate) struct Run {
    pub number: u64,
    path: PathBuf,
    file: Arc<dyn DiskFile>,
    blocks: Vec<Block>,
    keys: Vec<u8>,
    bloom: Bloom,
    /// Entries, those that say that a key is gone among them.
    pub entries: u64,
    /// Bytes of the file.
    pub bytes: u64,
}

/// The path of run `number`.
pub(crate) fn run_path(dir: &Path, number: u64) -> PathBuf {
    dir.join(format!("{number:020}.run"))
}

/// The number in a file's name, if it is a run's.
pub(crate) fn run_number(name: &str) -> Option<u64> {
    name.strip_suffix(".run")?.parse().ok()
}

/// A run that is being written.
pub(crate) struct RunWriter {
    number: u64,
    path: PathBuf,
    file: Arc<dyn DiskFile>,
    /// Blocks that are not in the file yet; the last one, from `block_at`, is not full.
    buffer: Vec<u8>,
    block_at: usize,
    written: u64,
    blocks: Vec<Block>,
    keys: Vec<u8>,
    bloom: Bloom,
    entries: u64,
}

fn put_varint(mut n: usize, out: &mut Vec<u8>) {
    while n >= 0x80 {
        out.push((n & 0x7f) as u8 | 0x80);
        n >>= 7;
    }
    out.push(n as u8);
}

fn take_varint(bytes: &mut &[u8]) -> Option<usize> {
    let mut n = 0usize;
    for shift in (0..63).step_by(7) {
        let (byte, rest) = bytes.split_first()?;
        *bytes = rest;
        n |= usize::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(n);
        }
    }
    None
}

/// The first of a block's entries, taken from the front; `None` where the bytes are no entry.
fn take_entry<'a>(bytes: &mut &'a [u8]) -> Option<Entry<'a>> {
    let (key, value) = (take_varint(bytes)?, take_varint(bytes)?);
    let (key, rest) = bytes.split_at_checked(key)?;
    let (value, rest) = match value.checked_sub(1) {
        Some(length) => rest.split_at_checked(length).map(|(value, rest)| (Some(value), rest))?,
        None => (None, rest),
    };
    *bytes = rest;
    Some((key, value))
}

impl RunWriter {
    /// A new file for at most `entries_max` entries.
    pub fn create(disk: &dyn Disk, dir: &Path, number: u64, entries_max: u64) -> Result<RunWriter> {
        let path = run_path(dir, number);
        let file = disk.open(&path, OpenMode::CreateEmpty).map_err(io_error(&path))?;
        Ok(RunWriter {
            number,
            path,
            file,
            buffer: Vec::with_capacity(IO_BYTES + 2 * BLOCK_BYTES),
            block_at: 0,
            written: 0,
            blocks: vec![],
            keys: vec![],
            bloom: Bloom::for_keys(entries_max),
            entries: 0,
        })
    }

    /// The next entry; keys ascend.
    pub fn push(&mut self, (key, value): Entry<'_>) -> Result<()> {
        if self.buffer.len() == self.block_at {
            self.keys.extend_from_slice(key);
        }
        self.bloom.insert(hash(key));
        put_varint(key.len(), &mut self.buffer);
        put_varint(value.map_or(0, |v| v.len() + 1), &mut self.buffer);
        self.buffer.extend_from_slice(key);
        self.buffer.extend_from_slice(value.unwrap_or(&[]));
        self.entries += 1;
        if self.buffer.len() - self.block_at >= BLOCK_BYTES {
            self.end_block()?;
        }
        Ok(())
    }

    fn end_block(&mut self) -> Result<()> {
        let block = self.buffer.get(self.block_at..).unwrap_or(&[]);
        let too_long = |what| ColdError::Damaged { path: self.path.clone(), what };
        self.blocks.push(Block {
            key_end: u32::try_from(self.keys.len()).map_err(|_| too_long("the keys of its index are too long"))?,
            length: u32::try_from(block.len()).map_err(|_| too_long("an entry is too long"))?,
            crc: crc32c::crc32c(block),
            offset: self.written + self.block_at as u64,
        });
        self.block_at = self.buffer.len();
        if self.buffer.len() >= IO_BYTES { self.flush() } else { Ok(()) }
    }

    fn flush(&mut self) -> Result<()> {
        self.file.write_at(self.written, &self.buffer).map_err(io_error(&self.path))?;
        self.written += self.buffer.len() as u64;
        self.buffer.clear();
        self.block_at = 0;
        Ok(())
    }

    /// End the file. It is durable after [`Run::sync`], its name with the directory.
    pub fn finish(mut self) -> Result<Run> {
        if self.buffer.len() > self.block_at {
            self.end_block()?;
        }
        self.flush()?;
        let index_at = self.written;
        let mut meta = Vec::with_capacity(self.keys.len() + self.blocks.len() * 20 + self.bloom.size_bytes());
        for block in &self.blocks {
            meta.extend_from_slice(&block.key_end.to_le_bytes());
            meta.extend_from_slice(&block.length.to_le_bytes());
            meta.extend_from_slice(&block.crc.to_le_bytes());
            meta.extend_from_slice(&block.offset.to_le_bytes());
        }
        meta.extend_from_slice(&self.keys);
        let bloom = self.bloom.to_bytes();
        meta.extend_from_slice(&bloom);
        let numbers =
            [index_at, self.blocks.len() as u64, self.keys.len() as u64, bloom.len() as u64, self.entries, MAGIC];
        meta.extend(numbers.iter().flat_map(|n| n.to_le_bytes()));
        let crc = u64::from(crc32c::crc32c(&meta));
        meta.extend_from_slice(&crc.to_le_bytes());
        let failed = io_error(&self.path);
        self.file.write_at(index_at, &meta).map_err(failed)?;
        Ok(Run {
            number: self.number,
            path: self.path,
            file: self.file,
            blocks: self.blocks,
            keys: self.keys,
            bloom: self.bloom,
            entries: self.entries,
            bytes: index_at + meta.len() as u64,
        })
    }
}

impl Run {
    /// Make the file durable.
    pub fn sync(&self) -> Result<()> {
        self.file.sync_data().map_err(io_error(&self.path))
    }

    /// Open run `number`; checks everything but the blocks, which are checked when they are read.
    pub fn open(disk: &dyn Disk, dir: &Path, number: u64) -> Result<Run> {
        let path = run_path(dir, number);
        let file = disk.open(&path, OpenMode::Read).map_err(io_error(&path))?;
        let bytes = file.len().map_err(io_error(&path))?;
        let damaged = |what| ColdError::Damaged { path: path.clone(), what };
        let mut tail = [0; TAIL_BYTES];
        let tail_at = bytes.checked_sub(TAIL_BYTES as u64).ok_or_else(|| damaged("it is too short"))?;
        file.read_exact_at(tail_at, &mut tail).map_err(io_error(&path))?;
        let (numbers, _) = tail.as_chunks::<8>();
        let mut numbers = numbers.iter().map(|n| u64::from_le_bytes(*n));
        let mut number_at = || numbers.next().unwrap_or(0);
        let [index_at, blocks, keys, bloom, entries, magic] = std::array::from_fn(|_| number_at());
        if magic != MAGIC {
            return Err(damaged("its end is no run's"));
        }
        let meta_bytes = tail_at.checked_sub(index_at).and_then(|n| usize::try_from(n).ok());
        let parts = blocks.checked_mul(20).and_then(|n| n.checked_add(keys)?.checked_add(bloom));
        let meta_bytes = meta_bytes.filter(|n| Some(*n as u64) == parts).ok_or_else(|| damaged("its parts overlap"))?;
        let mut meta = vec![0; meta_bytes + TAIL_BYTES];
        file.read_exact_at(index_at, &mut meta).map_err(io_error(&path))?;
        let (signed, crc) = meta.split_at(meta_bytes + TAIL_BYTES - 8);
        if crc != u64::from(crc32c::crc32c(signed)).to_le_bytes() {
            return Err(damaged("its index has another checksum"));
        }
        let sizes = (usize::try_from(blocks * 20), usize::try_from(keys), usize::try_from(bloom));
        let (Ok(blocks), Ok(keys), Ok(bloom)) = sizes else { return Err(damaged("its index is too large")) };
        let (index, rest) = signed.split_at_checked(blocks).ok_or_else(|| damaged("its index is cut"))?;
        let (keys, rest) = rest.split_at_checked(keys).ok_or_else(|| damaged("its keys are cut"))?;
        let bloom = rest.get(..bloom).and_then(Bloom::from_bytes).ok_or_else(|| damaged("its filter is cut"))?;
        let (index, _) = index.as_chunks::<20>();
        let blocks = index.iter().filter_map(read_block).collect();
        Ok(Run { number, path, file, blocks, keys: keys.to_vec(), bloom, entries, bytes })
    }

    pub fn memory_bytes(&self) -> usize {
        self.blocks.len() * size_of::<Block>() + self.keys.len() + self.bloom.size_bytes()
    }

    pub fn may_hold(&self, hash: u64) -> bool {
        self.bloom.may_hold(hash)
    }

    fn first_key(&self, block: usize) -> &[u8] {
        let end = |at: usize| self.blocks.get(at).map_or(0, |b| b.key_end as usize);
        let start = block.checked_sub(1).map_or(0, end);
        self.keys.get(start..end(block)).unwrap_or(&[])
    }

    /// How many of the first blocks have first keys for which `is_before` holds, which it does up to one of them.
    fn blocks_before(&self, is_before: impl Fn(&[u8]) -> bool) -> usize {
        let (mut low, mut high) = (0, self.blocks.len());
        while low < high {
            let middle = low.midpoint(high);
            if is_before(self.first_key(middle)) { low = middle + 1 } else { high = middle }
        }
        low
    }

    /// The block that holds `key`, if the run does.
    pub fn block_of(&self, key: &[u8]) -> Option<usize> {
        self.blocks_before(|first| first <= key).checked_sub(1)
    }

    /// Bytes of blocks whose first keys begin with `prefix`.
    pub fn bytes_under(&self, prefix: &[u8]) -> u64 {
        let first = self.blocks_before(|key| key < prefix);
        let end = self.blocks_before(|key| key < prefix || key.starts_with(prefix));
        let last = end.checked_sub(1).and_then(|last| self.blocks.get(last));
        match (self.blocks.get(first), last) {
            (Some(first), Some(last)) => (last.offset + u64::from(last.length)).saturating_sub(first.offset),
            _ => 0,
        }
    }

    fn damaged(&self, what: &'static str) -> ColdError {
        ColdError::Damaged { path: self.path.clone(), what }
    }

    fn checked<'a>(&self, block: &Block, bytes: &'a [u8]) -> Result<&'a [u8]> {
        match crc32c::crc32c(bytes) == block.crc {
            true => Ok(bytes),
            false => Err(self.damaged("a block has another checksum")),
        }
    }

    /// Read a block into `out`, over what is there.
    pub fn read_block(&self, at: usize, out: &mut Vec<u8>) -> Result<()> {
        let block = self.blocks.get(at).ok_or_else(|| self.damaged("there is no such block"))?;
        out.resize(block.length as usize, 0);
        self.file.read_exact_at(block.offset, out).map_err(io_error(&self.path))?;
        self.checked(block, out).map(|_| ())
    }

    /// Look for `key` among a block's entries.
    pub fn find<'a>(&self, block: &'a [u8], key: &[u8]) -> Result<Option<Option<&'a [u8]>>> {
        let mut rest = block;
        while !rest.is_empty() {
            let (own, value) = take_entry(&mut rest).ok_or_else(|| self.damaged("a block is no list of entries"))?;
            match own.cmp(key) {
                std::cmp::Ordering::Less => {}
                std::cmp::Ordering::Equal => return Ok(Some(value)),
                std::cmp::Ordering::Greater => return Ok(None),
            }
        }
        Ok(None)
    }
}

fn read_block(bytes: &[u8; 20]) -> Option<Block> {
    let (key_end, rest) = bytes.split_first_chunk::<4>()?;
    let (length, rest) = rest.split_first_chunk::<4>()?;
    let (crc, offset) = rest.split_first_chunk::<4>()?;
    Some(Block {
        key_end: u32::from_le_bytes(*key_end),
        length: u32::from_le_bytes(*length),
        crc: u32::from_le_bytes(*crc),
        offset: u64::from_le_bytes(*offset.first_chunk::<8>()?),
    })
}

/// A run's entries from a key on, in order.
pub(crate) struct RunEntries {
    run: Arc<Run>,
    next_block: usize,
    /// Blocks that were read, and how far their entries were taken.
    buffer: Vec<u8>,
    at: usize,
    /// The entry at hand, as places in the buffer; `None`: at the end.
    head: Option<(std::ops::Range<usize>, Option<std::ops::Range<usize>>)>,
}

impl RunEntries {
    /// Those from `from` on.
    pub fn from(run: Arc<Run>, from: &[u8]) -> Result<RunEntries> {
        let next_block = run.block_of(from).unwrap_or(0);
        let mut entries = RunEntries { run, next_block, buffer: vec![], at: 0, head: None };
        entries.advance()?;
        while entries.head().is_some_and(|(key, _)| key < from) {
            entries.advance()?;
        }
        Ok(entries)
    }

    /// The entry at hand.
    pub fn head(&self) -> Option<Entry<'_>> {
        let (key, value) = self.head.clone()?;
        Some((self.buffer.get(key)?, value.and_then(|v| self.buffer.get(v))))
    }

    /// Go to the next one.
    pub fn advance(&mut self) -> Result<()> {
        if self.at >= self.buffer.len() && !self.fill()? {
            self.head = None;
            return Ok(());
        }
        let whole = self.buffer.len();
        let mut rest = self.buffer.get(self.at..).unwrap_or(&[]);
        let entry = take_entry(&mut rest).ok_or_else(|| self.run.damaged("a block is no list of entries"))?;
        let end = whole - rest.len();
        let value_at = end - entry.1.map_or(0, <[u8]>::len);
        self.head = Some((value_at - entry.0.len()..value_at, entry.1.map(|_| value_at..end)));
        self.at = end;
        Ok(())
    }

    /// Read the next blocks; whether there are any.
    fn fill(&mut self) -> Result<bool> {
        let Some(first) = self.run.blocks.get(self.next_block).copied() else { return Ok(false) };
        let mut bytes = 0;
        let mut upto = self.next_block;
        while let Some(block) = self.run.blocks.get(upto).filter(|_| bytes == 0 || bytes < IO_BYTES) {
            bytes += block.length as usize;
            upto += 1;
        }
        self.buffer.resize(bytes, 0);
        self.run.file.read_exact_at(first.offset, &mut self.buffer).map_err(io_error(&self.run.path))?;
        let mut rest = self.buffer.as_slice();
        for block in self.run.blocks.get(self.next_block..upto).unwrap_or(&[]) {
            let cut = rest.split_at_checked(block.length as usize);
            let (own, behind) = cut.ok_or_else(|| self.run.damaged("a block is cut"))?;
            self.run.checked(block, own)?;
            rest = behind;
        }
        self.next_block = upto;
        self.at = 0;
        Ok(true)
    }
}
