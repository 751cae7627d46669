//! The writer: gives a group of commits their offsets and arrival numbers, makes them durable, and shows them.
//!
//! First the bytes go to the segments, without a sync; then one entry that says so goes to the journal, and one sync
//! of that makes the group durable. What is small stands in the entry itself, since a sync of many segments would
//! cost more than to write it twice; what is large is synced where it is, and the entry refers to it. Only after that
//! do offsets move. A failure on the way leaves bytes behind the acknowledged end of some segments and nothing else.

use std::{
    collections::HashMap,
    io,
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use bytes::BytesMut;

use super::{
    Durability, Shared,
    checkpoint::{Checkpoint, Image},
    entry::{Entry, Part, PartBytes},
    frame::FRAME_BYTES,
    journal::Journal,
    partition::{Extension, Partition, io_error},
    prepare::PreparedAppend,
    producers::{Note, Producer, Verdict},
    segment::{Segment, SegmentFile, SegmentMeta, file_name},
    syncs::{sync_dirs, sync_referred},
};
use crate::{Appended, LogError, Offset, Result, StoredBatch};

/// Most bytes of records within one journal entry; what is over goes by reference.
const INLINE_GROUP_BYTES_MAX: u64 = 16 << 20;
/// A journal file this many times over the size for a checkpoint waits for one.
const CHECKPOINT_OVERDUE_FACTOR: u64 = 4;

/// What only the one that writes knows.
#[derive(Debug)]
pub(super) struct Writer {
    pub journal: Journal,
    pub next_arrival: u64,
    /// Segments written since they were synced; some may be synced or gone meanwhile.
    pub dirty: Vec<Arc<SegmentFile>>,
    /// Segments that entries refer to though they were not synced.
    pub unsynced: Vec<Arc<SegmentFile>>,
    /// Bytes referred to since the journal file began: a recovery may have to read them.
    pub referred_bytes: u64,
    /// Bytes of the journals before this one that no checkpoint covers: those of lives that ended in a crash.
    pub carried_bytes: u64,
    pub checkpoint_running: bool,
    /// When the journal was synced last, monotonic.
    pub synced_at: Duration,
}

/// Where an append of the group goes.
struct Planned {
    /// Into [`Plan::segments`]; `None` when it was there before and goes nowhere.
    segment: Option<usize>,
    note: Option<Note>,
    position: u64,
    base_offset: Offset,
    next_offset: Offset,
    arrival: u64,
    append_time_ms: i64,
}

/// A segment that the group writes to.
struct PlannedSegment {
    file: Arc<SegmentFile>,
    /// As it is now, or as it begins.
    meta: SegmentMeta,
    /// What the group writes to it.
    bytes: u64,
    by_reference: bool,
}

/// A partition that the group writes to.
struct Cursor {
    end: Offset,
    /// The segment that is appended to, and where.
    segment: Option<(usize, u64)>,
}

/// A group's places.
#[derive(Default)]
struct Plan {
    appends: Vec<Planned>,
    segments: Vec<PlannedSegment>,
    cursors: HashMap<u64, Cursor>,
    /// Producers as they are after what is planned so far, by partition and id.
    producers: HashMap<(u64, i64), Producer>,
    next_arrival: u64,
}

impl Plan {
    /// The segment that an append goes to.
    fn segment(&self, placed: &Planned) -> Option<&PlannedSegment> {
        self.segments.get(placed.segment?)
    }

    /// Place an append behind what its partition holds.
    fn place(&mut self, append: &PreparedAppend, shared: &Shared, now_ms: i64) -> Result<()> {
        if let Some(again) = self.find_again(append)? {
            self.appends.push(again);
            return Ok(());
        }
        let effective = Arc::clone(&append.topic.live.read().effective);
        let length = append.frames.len() as u64;
        let cursor = match self.cursors.get(&append.partition.slot) {
            Some(cursor) => Cursor { end: cursor.end, segment: cursor.segment },
            None => self.cursor(append, shared)?,
        };
        let fits = |&(at, position): &(usize, u64)| {
            self.segments.get(at).is_some_and(|segment| {
                let age_ms = now_ms.saturating_sub(segment.meta.created_ms);
                position == 0 || (position + length <= effective.segment_bytes && age_ms < effective.segment_ms)
            })
        };
        let (segment, position) = match cursor.segment.filter(fits) {
            Some(place) => place,
            None => (self.begin_segment(append, &cursor, shared, now_ms), 0),
        };
        let count = i64::from(append.record_count);
        let no_more = || LogError::Invalid(format!("{} has no more offsets", append.partition.name));
        let next_offset = cursor.end.checked_add(count).ok_or_else(no_more)?;
        if let Some(segment) = self.segments.get_mut(segment) {
            segment.bytes += length;
        }
        let arrival = self.next_arrival;
        self.next_arrival += u64::from(append.record_count);
        let base_offset = cursor.end;
        let note = append.producer.map(|(producer_id, epoch, meaning)| {
            let note = Note { producer_id, epoch, meaning, base_offset, next_offset, time_ms: now_ms };
            if let Some(producer) = self.producers.get_mut(&(append.partition.slot, producer_id)) {
                producer.apply(&note);
            }
            note
        });
        let append_time_ms = append.append_time_ms;
        let segment_at = Some(segment);
        let planned =
            Planned { segment: segment_at, note, position, base_offset, next_offset, arrival, append_time_ms };
        self.appends.push(planned);
        let cursor = Cursor { end: next_offset, segment: Some((segment, position + length)) };
        self.cursors.insert(append.partition.slot, cursor);
        Ok(())
    }

    /// Check the append against its producer's state; where it is if it was accepted before.
    fn find_again(&mut self, append: &PreparedAppend) -> Result<Option<Planned>> {
        let Some((producer_id, epoch, meaning)) = append.producer else { return Ok(None) };
        let key = (append.partition.slot, producer_id);
        let producer = self
            .producers
            .entry(key)
            .or_insert_with(|| append.partition.state.read().producers.copy_of(producer_id, epoch));
        let refused = |error| LogError::Producer { partition: append.partition.name.clone(), producer_id, error };
        match producer.check(epoch, meaning).map_err(refused)? {
            Verdict::New => Ok(None),
            Verdict::Again(sent) => Ok(Some(Planned {
                segment: None,
                note: None,
                position: 0,
                base_offset: sent.base_offset,
                next_offset: sent.next_offset,
                arrival: 0,
                append_time_ms: if append.append_time_ms >= 0 { sent.time_ms } else { -1 },
            })),
        }
    }

    fn cursor(&mut self, append: &PreparedAppend, shared: &Shared) -> Result<Cursor> {
        let state = append.partition.state.read();
        if state.deleted {
            return Err(LogError::UnknownTopic(append.topic.name.to_string()));
        }
        // What compaction wrote stays as it is.
        let last = state.segments.last().filter(|last| !state.sealed && last.meta.cleaned_ms < 0);
        let segment = last.map(|last| {
            let planned =
                PlannedSegment { file: Arc::clone(&last.file), meta: last.meta, bytes: 0, by_reference: false };
            self.segments.push(planned);
            (self.segments.len() - 1, last.meta.length)
        });
        if segment.is_none() {
            // A segment that is full has its index counted.
            state.segments.last().into_iter().for_each(|full| shared.files.count_index(&full.file));
        }
        Ok(Cursor { end: state.end, segment })
    }

    fn begin_segment(&mut self, append: &PreparedAppend, cursor: &Cursor, shared: &Shared, now_ms: i64) -> usize {
        if let Some(full) = cursor.segment.and_then(|(at, _)| self.segments.get(at)) {
            shared.files.count_index(&full.file);
        }
        let meta = new_segment(cursor.end, 0, now_ms);
        let path = append.topic.dir.join(file_name(append.partition.name.partition, cursor.end, 0));
        self.segments.push(PlannedSegment { file: SegmentFile::new(path, true), meta, bytes: 0, by_reference: false });
        self.segments.len() - 1
    }
}

/// A segment that begins.
pub(super) fn new_segment(base_offset: Offset, generation: u32, created_ms: i64) -> SegmentMeta {
    SegmentMeta {
        base_offset,
        generation,
        length: 0,
        max_time: i64::MIN,
        created_ms,
        cleaned_ms: -1,
        tombstones: false,
    }
}

impl Writer {
    /// Make the appends of a group of commits durable and visible, together. What comes back is in their order.
    pub fn append(&mut self, shared: &Shared, appends: &mut [PreparedAppend]) -> Result<Vec<Appended>> {
        self.mend(shared)?;
        let now_ms = shared.host.clock.now_ms();
        let mut plan = Plan { next_arrival: self.next_arrival, ..Plan::default() };
        for append in appends.iter_mut() {
            plan.place(append, shared, now_ms)?;
            if let Some(placed) = plan.appends.last() {
                append.number(placed.base_offset, placed.arrival);
            }
        }
        self.write_segments(shared, appends, &mut plan)?;
        self.write_journal(shared, appends, &plan)?;
        self.next_arrival = plan.next_arrival;
        show(shared, appends, &plan);
        let appended = appends.iter().zip(&plan.appends).map(|(append, placed)| Appended {
            base_offset: placed.base_offset,
            record_count: append.record_count,
            arrival: placed.arrival,
            append_time_ms: placed.append_time_ms,
        });
        Ok(appended.collect())
    }

    fn write_segments(&mut self, shared: &Shared, appends: &[PreparedAppend], plan: &mut Plan) -> Result<()> {
        for (append, placed) in appends.iter().zip(&plan.appends) {
            let Some(segment) = plan.segment(placed) else { continue };
            let written = shared
                .files
                .to_write(&segment.file)
                .and_then(|handle| handle.write_at(placed.position, &append.frames));
            if !segment.file.dirty.swap(true, Ordering::SeqCst) {
                self.dirty.push(Arc::clone(&segment.file));
            }
            written.map_err(|error| io_error("write", &segment.file, &error))?;
        }
        let durability = shared.settings.durability;
        let (mut inline, mut referred) = (0, Vec::new());
        for segment in plan.segments.iter_mut().filter(|segment| segment.bytes > 0) {
            let small = segment.bytes < shared.settings.inline_bytes_max as u64;
            segment.by_reference =
                durability == Durability::None || !small || inline + segment.bytes > INLINE_GROUP_BYTES_MAX;
            if !segment.by_reference {
                inline += segment.bytes;
                continue;
            }
            self.referred_bytes += segment.bytes;
            match durability {
                Durability::Fsync => referred.push(Arc::clone(&segment.file)),
                Durability::Interval(_) | Durability::None => self.unsynced.push(Arc::clone(&segment.file)),
            }
        }
        sync_referred(shared, &referred)
    }

    fn write_journal(&mut self, shared: &Shared, appends: &[PreparedAppend], plan: &Plan) -> Result<()> {
        let synced = shared.settings.durability == Durability::Fsync;
        let parts = appends.iter().zip(&plan.appends).filter_map(|(append, placed)| {
            let segment = plan.segment(placed)?;
            let bytes = if segment.by_reference {
                // A checksum is looked at only where a loss of power may have taken the bytes.
                let crc = if synced { 0 } else { crc32c::crc32c(&append.frames) };
                PartBytes::InSegment { length: append.frames.len() as u64, crc, synced }
            } else {
                PartBytes::Inline(&append.frames)
            };
            Some(Part {
                topic_id: append.topic.id,
                partition: append.partition.name.partition,
                segment_base: segment.meta.base_offset,
                segment_generation: segment.meta.generation,
                segment_created_ms: segment.meta.created_ms,
                position: placed.position,
                base_offset: placed.base_offset,
                next_offset: placed.next_offset,
                arrival: placed.arrival,
                max_time: append.max_time,
                tombstones: append.tombstones,
                notes: placed.note.into_iter().collect(),
                bytes,
            })
        });
        let entry = Entry::Appends(parts.collect());
        let Entry::Appends(parts) = &entry else { return Ok(()) };
        if parts.is_empty() {
            return Ok(());
        }
        self.journal.append(&entry).map_err(|error| journal_error(&self.journal, &error))?;
        match shared.settings.durability {
            Durability::Fsync => self.journal.sync().map_err(|error| journal_error(&self.journal, &error)),
            // The entry stands, so the commit does; a failure to sync breaks the journal and shows with the next.
            Durability::Interval(_) if self.sync_due(shared).is_some_and(|due| due.is_zero()) => {
                let _ = self.sync(shared);
                Ok(())
            }
            Durability::Interval(_) | Durability::None => Ok(()),
        }
    }

    /// In how long the journal is to be synced; `None` when nothing waits for it.
    pub fn sync_due(&self, shared: &Shared) -> Option<Duration> {
        let Durability::Interval(ms) = shared.settings.durability else { return None };
        let passed = shared.host.clock.monotonic().saturating_sub(self.synced_at);
        self.journal.has_unsynced().then(|| Duration::from_millis(ms).saturating_sub(passed))
    }

    /// Make everything durable that was acknowledged before it was.
    pub fn sync(&mut self, shared: &Shared) -> Result<()> {
        let unsynced = std::mem::take(&mut self.unsynced);
        let synced = unsynced.iter().try_for_each(|file| {
            match shared.files.to_read(file).and_then(|handle| handle.sync_data()) {
                // Compacted, retired, or its topic deleted.
                Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
                other => other,
            }
        });
        if let Err(error) = synced.and_then(|()| sync_dirs(shared, &unsynced)) {
            self.unsynced = unsynced;
            return Err(io("sync the segments", &error));
        }
        if self.journal.has_unsynced() {
            self.journal.sync().map_err(|error| journal_error(&self.journal, &error))?;
        }
        self.synced_at = shared.host.clock.monotonic();
        Ok(())
    }

    /// Write an entry about something other than appends, durably.
    pub fn record(&mut self, shared: &Shared, entry: &Entry<'_>) -> Result<()> {
        self.mend(shared)?;
        self.journal.append(entry).map_err(|error| journal_error(&self.journal, &error))?;
        self.sync(shared)
    }

    /// Go on after the journal's file failed: with a checkpoint, so that nothing depends on that file any more.
    fn mend(&mut self, shared: &Shared) -> Result<()> {
        if !self.journal.broken {
            return Ok(());
        }
        let checkpoint = self.begin_checkpoint(shared)?;
        // Until it is in place the new file must not be written to, either.
        self.journal.broken = true;
        checkpoint.run(shared).map_err(|error| io("write a checkpoint", &error))?;
        self.journal.broken = false;
        self.dirty.retain(|file| file.dirty.load(Ordering::SeqCst));
        Ok(())
    }

    /// Begin a new journal file, and say what has to be made durable for the files before it to go.
    pub fn begin_checkpoint(&mut self, shared: &Shared) -> Result<Checkpoint> {
        if !self.journal.broken {
            self.sync(shared)?;
        }
        let sequence = self.journal.sequence + 1;
        let journal = shared.spare.begin(&shared.host, &shared.root, sequence, self.journal.next_number);
        self.journal = journal.map_err(|error| io("begin a journal file", &error))?;
        self.referred_bytes = 0;
        self.carried_bytes = 0;
        let image = Image::of(&shared.topics.read(), sequence, self.next_arrival);
        // Every file is synced, also those that were not dirty when they were gathered: the flags tell.
        let mut dirty = self.dirty.clone();
        dirty.extend(std::mem::take(&mut self.unsynced));
        Ok(Checkpoint { journal_sequence: sequence, image: image.encode(), dirty })
    }

    /// Whether the journal is so long that it is time for a checkpoint, and whether that cannot wait.
    pub fn checkpoint_due(&self, shared: &Shared) -> (bool, bool) {
        let limit = shared.settings.checkpoint_bytes;
        let overdue = limit.saturating_mul(CHECKPOINT_OVERDUE_FACTOR);
        let bytes = self.journal.bytes().saturating_add(self.carried_bytes);
        let due = bytes > limit || self.referred_bytes > overdue;
        (due && !self.checkpoint_running, bytes > overdue)
    }
}

/// Make the group visible: whoever sees one of its partitions changed sees all of them changed.
fn show(shared: &Shared, appends: &mut [PreparedAppend], plan: &Plan) {
    let whole = shared.fence.write();
    for (append, placed) in appends.iter_mut().zip(&plan.appends) {
        let Some(segment) = plan.segment(placed) else { continue };
        let frames = std::mem::replace(&mut append.frames, BytesMut::new()).freeze();
        let extension = Extension {
            length: placed.position + frames.len() as u64,
            end: placed.next_offset,
            max_time: append.max_time,
            tombstones: append.tombstones,
        };
        let mut records_before = 0;
        let batches = append.spans.iter().map(|span| {
            let base_offset = placed.base_offset + i64::from(records_before);
            let arrival = placed.arrival + u64::from(records_before);
            segment.file.note(placed.position + span.start as u64, base_offset, span.max_time, span.end - span.start);
            records_before += span.record_count;
            StoredBatch {
                base_offset,
                next_offset: base_offset + i64::from(span.record_count),
                arrival,
                bytes: frames.slice(span.start + FRAME_BYTES..span.end),
            }
        });
        let partition: &Arc<Partition> = &append.partition;
        let mut state = partition.state.write();
        state.extend(&segment.file, || segment.meta, &extension);
        let added = state.tail.push(batches, shared.settings.tail_partition_bytes_max);
        placed.note.iter().for_each(|note| state.producers.apply(note));
        drop(state);
        shared.tails.add(partition, placed.next_offset, added);
    }
    shared.shown_arrival.store(plan.next_arrival, Ordering::SeqCst);
    drop(whole);
    shared.tails.trim();
}

pub(super) fn io(what: &str, error: &io::Error) -> LogError {
    LogError::Io { what: what.to_owned(), error: error.to_string() }
}

fn journal_error(journal: &Journal, error: &io::Error) -> LogError {
    io(&format!("write {}", journal.path.display()), error)
}

/// A segment as a partition's list has it.
pub(super) fn segment_of(topic_dir: &std::path::Path, partition: u32, meta: SegmentMeta) -> Segment {
    let path = topic_dir.join(file_name(partition, meta.base_offset, meta.generation));
    Segment { meta, file: SegmentFile::new(path, false) }
}
