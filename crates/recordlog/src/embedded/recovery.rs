//! Opening a log: the last checkpoint, then every journal since, in order.
//!
//! What the journal carries is written to the segments again, whether it is there or not; what it refers to was
//! durable before the entry was, or is verified. Files behind the acknowledged end are of no account. The result is
//! the state that was acknowledged last, no matter where a crash came between.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    io,
    path::Path,
    sync::{Arc, atomic::Ordering},
};

use host::{Disk, Host};

use super::{
    Shared,
    checkpoint::Image,
    entry::{Entry, Part, PartBytes},
    journal::{self, Found},
    partition::{Extension, Partition},
    segment::{Segment, SegmentFile, SegmentFiles, file_name},
    topics::{TopicState, Topics, dir_of},
    writer::{io as io_error, new_segment, segment_of},
};
use crate::{LogError, Offset, Result};

/// A log as it was acknowledged last.
pub(super) struct Recovered {
    pub topics: Topics,
    pub next_arrival: u64,
    /// The checkpoint's first journal; 0 when there is no checkpoint.
    pub checkpoint_sequence: u64,
    /// For the journal file that comes next.
    pub next_sequence: u64,
    pub next_number: u64,
    /// Segments written by the recovery, and so not durable yet.
    pub dirty: Vec<Arc<SegmentFile>>,
    /// What was replayed, and is again until there is a checkpoint.
    pub journal_bytes: u64,
}

/// A journal's file in memory.
struct File {
    sequence: u64,
    bytes: Vec<u8>,
}

struct Recovery<'a> {
    files: &'a SegmentFiles,
    topics_dir: &'a Path,
    by_id: HashMap<u128, Arc<TopicState>>,
    next_arrival: u64,
    dirty: Vec<Arc<SegmentFile>>,
    /// Segments that entries refer to though they were not synced.
    unsynced: Vec<Arc<SegmentFile>>,
    /// Segments that entries took away; removed when those entries are durable for certain.
    removed: Vec<Segment>,
    /// Of all entries.
    journal_bytes: u64,
}

/// What later entries took away, so that it is not missed.
#[derive(Default)]
struct Later {
    deleted: HashSet<u128>,
    replaced: HashSet<(u128, u32, Offset, u32)>,
    starts: HashMap<(u128, u32), Offset>,
}

fn damaged(path: &Path, what: &str) -> LogError {
    LogError::Io { what: format!("{} is damaged", path.display()), error: what.to_owned() }
}

/// Bring a log's files to the state that was acknowledged last.
pub(super) fn recover(host: &Host, root: &Path, topics_dir: &Path, files: &SegmentFiles) -> Result<Recovered> {
    let image = Image::load(host.disk.as_ref(), root).map_err(|error| io_error("read the checkpoint", &error))?;
    let checkpoint_sequence = image.as_ref().map_or(0, |image| image.journal_sequence);
    let journals = load(host.disk.as_ref(), root, image.is_some(), checkpoint_sequence)?;
    let next_sequence = journals.last().map_or(1, |file| file.sequence + 1);
    let mut recovery = Recovery {
        files,
        topics_dir,
        by_id: HashMap::new(),
        next_arrival: 0,
        dirty: Vec::new(),
        unsynced: Vec::new(),
        removed: Vec::new(),
        journal_bytes: 0,
    };
    recovery.start_from(image.unwrap_or_default());
    let next_number = recovery.replay_all(root, &journals)?;
    make_replayed_durable(host, root, &journals, &recovery.unsynced)?;
    recovery.removed.iter().for_each(|segment| files.remove(&segment.file));
    let topics = recovery.by_id.into_values().map(|topic| (Arc::clone(&topic.name), topic)).collect();
    Ok(Recovered {
        topics,
        next_arrival: recovery.next_arrival,
        checkpoint_sequence,
        next_sequence,
        next_number,
        dirty: recovery.dirty,
        journal_bytes: recovery.journal_bytes,
    })
}

/// Read the journals that the checkpoint does not cover, and remove those that it does.
fn load(disk: &dyn Disk, root: &Path, has_checkpoint: bool, from: u64) -> Result<Vec<File>> {
    let failed = |error: io::Error| io_error("read the journal", &error);
    let entries = disk.list(root).map_err(failed)?;
    let mut sequences: Vec<u64> = entries.iter().filter_map(|entry| journal::sequence_of(&entry.name)).collect();
    sequences.sort_unstable();
    for old in sequences.extract_if(.., |sequence| *sequence < from) {
        // Left by a crash; when it cannot be removed now it can the next time.
        let _ = disk.remove(&journal::path_of(root, old));
    }
    let first = if has_checkpoint { from } else { 1 };
    if has_checkpoint || !sequences.is_empty() {
        let complete = !sequences.is_empty() && sequences.iter().copied().eq((first..).take(sequences.len()));
        if !complete {
            return Err(damaged(&journal::path_of(root, first), "a file of the journal is missing"));
        }
    }
    let read = |sequence: u64| {
        let bytes = disk.read_all(&journal::path_of(root, sequence)).map_err(failed)?;
        Ok(File { sequence, bytes })
    };
    sequences.into_iter().map(read).collect()
}

/// The next journal file may begin only when those before it are durable throughout, with all they refer to.
fn make_replayed_durable(host: &Host, root: &Path, journals: &[File], unsynced: &[Arc<SegmentFile>]) -> Result<()> {
    let failed = |error: io::Error| io_error("sync the journal", &error);
    for file in unsynced {
        let synced = host.disk.open(&file.path, host::OpenMode::ReadWrite).and_then(|handle| {
            handle.sync_data()?;
            host.disk.sync_dir(file.dir())?;
            file.dir().parent().map_or(Ok(()), |topics_dir| host.disk.sync_dir(topics_dir))
        });
        match synced {
            // Taken away by a later entry.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            other => other.map_err(failed)?,
        }
    }
    for file in journals {
        let path = journal::path_of(root, file.sequence);
        let handle = host.disk.open(&path, host::OpenMode::ReadWrite).map_err(failed)?;
        handle.sync_data().map_err(failed)?;
    }
    Ok(())
}

impl Recovery<'_> {
    fn start_from(&mut self, image: Image) {
        self.next_arrival = image.next_arrival;
        for topic in image.topics {
            let state = TopicState::new(self.topics_dir, &topic.entry);
            for (partition, image) in state.partitions().iter().zip(topic.partitions) {
                let number = partition.name.partition;
                let mut live = partition.state.write();
                (live.start, live.end, live.cleaned_to) = (image.start, image.end, image.cleaned_to);
                live.producers = image.producers;
                let segments = image.segments.into_iter().map(|meta| segment_of(&state.dir, number, meta));
                live.segments = segments.collect();
            }
            self.by_id.insert(state.id, state);
        }
    }

    /// Replay the journals; the number for the next entry.
    fn replay_all(&mut self, root: &Path, journals: &[File]) -> Result<u64> {
        let mut found: Vec<(u64, Found<'_>)> = Vec::new();
        for file in journals {
            let path = journal::path_of(root, file.sequence);
            // Without even a header it is what a crash left at its creation; the numbers of the entries in the others
            // tell whether one is missing.
            if let Some(entries) = journal::read(&file.bytes, file.sequence).map_err(|what| damaged(&path, &what))? {
                self.journal_bytes += entries.end as u64;
                found.push((file.sequence, entries));
            }
        }
        let durable_through = found.iter().map(|(_, found)| found.durable_through).max().unwrap_or(0);
        let mut entries: Vec<(u64, &[u8])> = Vec::new();
        let mut next_number = found.first().map_or(1, |(_, first)| first.first_number);
        for (sequence, file) in &found {
            let path = journal::path_of(root, *sequence);
            // A file begun after a failure of the one before has no entries until a checkpoint makes up for that, so
            // only one with entries says where the one before it ends.
            if !file.entries.is_empty() {
                entries.retain(|(number, _)| *number < file.first_number);
                if file.first_number > next_number {
                    return Err(damaged(&path, "entries before it are missing"));
                }
                let numbered = (file.first_number..).zip(file.entries.iter().copied());
                entries.extend(numbered);
                next_number = file.next_number();
            }
            if let Some(what) = file.damage
                && file.durable_through >= file.next_number()
            {
                return Err(damaged(&path, &format!("{what} at byte {}, and it was acknowledged", file.end)));
            }
        }
        if durable_through >= next_number && found.iter().any(|(_, file)| !file.entries.is_empty()) {
            let path = journals.last().map(|file| journal::path_of(root, file.sequence)).unwrap_or_default();
            return Err(damaged(&path, "acknowledged entries are missing"));
        }
        self.replay(root, &entries, durable_through, next_number)
    }

    fn replay(&mut self, root: &Path, entries: &[(u64, &[u8])], durable_through: u64, end: u64) -> Result<u64> {
        let decoded = entries.iter().map(|(number, bytes)| Some((*number, Entry::decode(bytes)?)));
        let decoded: Option<Vec<(u64, Entry<'_>)>> = decoded.collect();
        let decoded = decoded.ok_or_else(|| damaged(root, "an entry of the journal is of an unknown kind"))?;
        let mut whole: &[(u64, Entry<'_>)] = &decoded;
        let mut next_number = end;
        // A loss of power may have taken bytes that nobody was promised; then nothing from there on counts, and what
        // later entries took away has to be there after all.
        loop {
            let mut later = Later::default();
            whole.iter().for_each(|(_, entry)| later.note(entry));
            let mut cut = None;
            for (index, (number, entry)) in whole.iter().enumerate() {
                if let Entry::Appends(parts) = entry
                    && *number > durable_through
                    && !self.all_there(parts, &later)?
                {
                    cut = Some((index, *number));
                    break;
                }
            }
            let Some((index, number)) = cut else { break };
            whole = whole.get(..index).unwrap_or_default();
            next_number = number;
        }
        whole.iter().try_for_each(|(_, entry)| self.apply(root, entry))?;
        Ok(next_number)
    }

    /// Whether the segments hold what the parts refer to.
    fn all_there(&self, parts: &[Part<'_>], later: &Later) -> Result<bool> {
        for part in parts {
            let PartBytes::InSegment { length, crc, synced: false } = part.bytes else { continue };
            if later.took(part) {
                continue;
            }
            let name = file_name(part.partition, part.segment_base, part.segment_generation);
            let file = SegmentFile::new(dir_of(self.topics_dir, part.topic_id).join(name), false);
            let length = usize::try_from(length).unwrap_or(usize::MAX);
            let read = self.files.to_read(&file).and_then(|handle| {
                if handle.len()?.saturating_sub(part.position) < length as u64 {
                    return Ok(false);
                }
                let mut bytes = vec![0; length];
                handle.read_exact_at(part.position, &mut bytes)?;
                Ok(crc32c::crc32c(&bytes) == crc)
            });
            match read {
                Ok(true) => {}
                Ok(false) => return Ok(false),
                Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
                Err(error) => return Err(io_error(&format!("read {}", file.path.display()), &error)),
            }
        }
        Ok(true)
    }

    fn apply(&mut self, root: &Path, entry: &Entry<'_>) -> Result<()> {
        match entry {
            Entry::Appends(parts) => parts.iter().try_for_each(|part| self.apply_part(root, part))?,
            Entry::Topic(topic) => match self.by_id.get(&topic.id) {
                Some(known) => known.alter(&topic.config),
                None => {
                    self.by_id.insert(topic.id, TopicState::new(self.topics_dir, topic));
                }
            },
            Entry::Deleted(id) => {
                self.by_id.remove(id);
            }
            Entry::Start { topic_id, partition, start } => {
                let (_, partition) = self.partition(root, *topic_id, *partition)?;
                self.removed.extend(partition.state.write().retire_before(*start));
            }
            Entry::Replaced { topic_id, partition, removed, added, cleaned_to } => {
                let (topic, partition) = self.partition(root, *topic_id, *partition)?;
                let number = partition.name.partition;
                let added = added.iter().map(|meta| segment_of(&topic.dir, number, *meta)).collect();
                let mut state = partition.state.write();
                let gone = state.replace(|meta| removed.contains(&(meta.base_offset, meta.generation)), added);
                state.cleaned_to = *cleaned_to;
                drop(state);
                self.removed.extend(gone);
            }
        }
        Ok(())
    }

    fn partition(&self, root: &Path, topic_id: u128, number: u32) -> Result<(Arc<TopicState>, Arc<Partition>)> {
        let topic = self.by_id.get(&topic_id);
        let topic = topic.ok_or_else(|| damaged(root, "the journal speaks of a topic that does not exist"))?;
        Ok((Arc::clone(topic), topic.partition(number)?))
    }

    fn apply_part(&mut self, root: &Path, part: &Part<'_>) -> Result<()> {
        let (topic, partition) = self.partition(root, part.topic_id, part.partition)?;
        let mut state = partition.state.write();
        if state.end != part.base_offset || part.next_offset <= part.base_offset {
            let what = format!("the journal appends to {} at {}, not {}", partition.name, part.base_offset, state.end);
            return Err(damaged(root, &what));
        }
        let named = |segment: &Segment| {
            segment.meta.base_offset == part.segment_base && segment.meta.generation == part.segment_generation
        };
        let file = match state.segments.last().filter(|last| named(last)) {
            Some(last) => Arc::clone(&last.file),
            None => {
                let name = file_name(part.partition, part.segment_base, part.segment_generation);
                SegmentFile::new(topic.dir.join(name), false)
            }
        };
        self.repair(&file, part)?;
        let mut meta = new_segment(part.segment_base, part.segment_generation, part.segment_created_ms);
        meta.length = part.position;
        let extension = Extension {
            length: part.position + part.bytes.len(),
            end: part.next_offset,
            max_time: part.max_time,
            tombstones: part.tombstones,
        };
        state.extend(&file, || meta, &extension);
        part.notes.iter().for_each(|note| state.producers.apply(note));
        let records = part.next_offset.abs_diff(part.base_offset);
        self.next_arrival = self.next_arrival.max(part.arrival.saturating_add(records));
        Ok(())
    }

    /// See to it that the segment holds the part.
    fn repair(&mut self, file: &Arc<SegmentFile>, part: &Part<'_>) -> Result<()> {
        match part.bytes {
            PartBytes::Inline(bytes) => {
                let written = self.files.to_write(file).and_then(|handle| handle.write_at(part.position, bytes));
                // Inline bytes stay in the journal until a checkpoint syncs them, so nothing waits for this name.
                written.map_err(|error| io_error(&format!("write {}", file.path.display()), &error))?;
            }
            PartBytes::InSegment { synced: false, .. } => {
                if !self.unsynced.iter().rev().take(1).any(|last| Arc::ptr_eq(last, file)) {
                    self.unsynced.push(Arc::clone(file));
                }
            }
            PartBytes::InSegment { .. } => {}
        }
        // Whether the process before this one synced the name is not known.
        file.fresh.store(true, Ordering::SeqCst);
        if !file.dirty.swap(true, Ordering::SeqCst) {
            self.dirty.push(Arc::clone(file));
        }
        Ok(())
    }
}

impl Later {
    fn note(&mut self, entry: &Entry<'_>) {
        match entry {
            Entry::Appends(_) | Entry::Topic(_) => {}
            Entry::Deleted(id) => {
                self.deleted.insert(*id);
            }
            Entry::Start { topic_id, partition, start } => {
                let latest = self.starts.entry((*topic_id, *partition)).or_insert(*start);
                *latest = (*latest).max(*start);
            }
            Entry::Replaced { topic_id, partition, removed, .. } => {
                let removed = removed.iter().map(|(base, generation)| (*topic_id, *partition, *base, *generation));
                self.replaced.extend(removed);
            }
        }
    }

    fn took(&self, part: &Part<'_>) -> bool {
        let place = (part.topic_id, part.partition);
        self.deleted.contains(&part.topic_id)
            || self.replaced.contains(&(place.0, place.1, part.segment_base, part.segment_generation))
            || self.starts.get(&place).is_some_and(|start| part.next_offset <= *start)
    }
}

/// Write what the journals `from..to` carry to the segments again, after the system may have dropped it.
pub(super) fn rewrite_segments(shared: &Shared, from: u64, to: u64) -> io::Result<()> {
    let topics: BTreeMap<u128, Arc<TopicState>> =
        shared.topics.read().values().map(|topic| (topic.id, Arc::clone(topic))).collect();
    for sequence in from.max(1)..to {
        let bytes = shared.host.disk.read_all(&journal::path_of(&shared.root, sequence))?;
        let found = journal::read(&bytes, sequence).map_err(io::Error::other)?;
        let parts = found.into_iter().flat_map(|found| found.entries).filter_map(|bytes| match Entry::decode(bytes) {
            Some(Entry::Appends(parts)) => Some(parts),
            _ => None,
        });
        for part in parts.flatten() {
            let PartBytes::Inline(bytes) = part.bytes else { continue };
            let partition = topics.get(&part.topic_id).and_then(|topic| topic.partition(part.partition).ok());
            let Some(partition) = partition else { continue };
            let file = {
                let state = partition.state.read();
                let holds = |segment: &&Segment| {
                    segment.meta.base_offset == part.segment_base
                        && segment.meta.generation == part.segment_generation
                        && part.position + part.bytes.len() <= segment.meta.length
                };
                state.segments.iter().find(holds).map(|segment| Arc::clone(&segment.file))
            };
            if let Some(file) = file {
                shared.files.to_write(&file)?.write_at(part.position, bytes)?;
                file.dirty.store(true, Ordering::SeqCst);
            }
        }
    }
    Ok(())
}
