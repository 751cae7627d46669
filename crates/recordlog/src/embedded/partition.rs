//! A partition: what of it is visible, and reading it.

use std::{io, sync::Arc};

use bytes::Bytes;
use parking_lot::RwLock;

use super::{
    frame::{self, FRAME_BYTES, FRAME_HEADER_BYTES},
    producers::{Producers, is_aborted},
    segment::{Segment, SegmentError, SegmentFile, SegmentFiles, SegmentMeta, scan},
    tail::Tail,
};
use crate::{
    AbortedTransaction, Ends, Fetched, Isolation, LogError, Offset, RecordPlace, Result, StoredBatch, TopicPartition,
    batch::{Batch, BatchHeader, without_records},
};

/// Most bytes that one read takes from a segment at once, unless a single batch is larger.
const READ_BYTES_MAX: usize = 16 << 20;
/// Fewest, so that small reads do not cost one system call a batch.
const READ_BYTES_MIN: usize = 8 << 10;
/// How often a read begins again because what it read from was compacted or retired under it.
const READ_ATTEMPTS_MAX: usize = 8;

/// A partition of a topic.
#[derive(Debug)]
pub(super) struct Partition {
    /// Its name, for errors.
    pub name: TopicPartition,
    /// The topic's id.
    pub topic_id: u128,
    /// A number of its own within the process.
    pub slot: u64,
    pub state: RwLock<State>,
}

/// What readers see. Changed only by the holder of the writer's lock.
#[derive(Debug, Default)]
pub(super) struct State {
    pub start: Offset,
    pub end: Offset,
    /// Every record before this offset took part in a compaction.
    pub cleaned_to: Offset,
    /// By base offset. The last one is appended to, unless `sealed`.
    pub segments: Vec<Segment>,
    pub sealed: bool,
    pub tail: Tail,
    pub producers: Producers,
    pub deleted: bool,
}

/// Where to read.
enum Source {
    Memory(Vec<StoredBatch>),
    /// The segment, and where the next one begins.
    Segment(Segment, Option<Offset>),
}

/// What a read of a segment has so far.
struct Taken {
    batches: Vec<StoredBatch>,
    /// Where the next batch should begin, for errors.
    expect: Offset,
    /// Bytes that the next batch takes, if they are known to be many.
    need: usize,
}

impl State {
    /// Take note of acknowledged bytes in `file`, which is the last segment or a new one.
    pub fn extend(&mut self, file: &Arc<SegmentFile>, new: impl FnOnce() -> SegmentMeta, part: &Extension) {
        if self.segments.last().is_none_or(|last| !Arc::ptr_eq(&last.file, file)) {
            self.segments.push(Segment { meta: new(), file: Arc::clone(file) });
            self.sealed = false;
        }
        if let Some(last) = self.segments.last_mut() {
            last.meta.length = part.length;
            last.meta.max_time = last.meta.max_time.max(part.max_time);
            last.meta.tombstones |= part.tombstones;
        }
        self.end = part.end;
    }

    /// Forget the records before `start`; the segments that held nothing else.
    pub fn retire_before(&mut self, start: Offset) -> Vec<Segment> {
        self.start = self.start.max(start.min(self.end));
        self.cleaned_to = self.cleaned_to.max(self.start);
        self.producers.retire_before(self.start);
        self.tail.drop_before(self.start);
        let ends = self.segments.iter().skip(1).map(|next| next.meta.base_offset).chain([self.end]);
        let retired = ends.take_while(|end| *end <= self.start).count();
        self.segments.drain(..retired).collect()
    }

    /// Put `added` in the place of the segments `removed` says yes to.
    pub fn replace(&mut self, removed: impl Fn(&SegmentMeta) -> bool, added: Vec<Segment>) -> Vec<Segment> {
        let (gone, mut kept): (Vec<Segment>, Vec<Segment>) =
            std::mem::take(&mut self.segments).into_iter().partition(|segment| removed(&segment.meta));
        // When the last segment went, what comes next begins a new one.
        let last_gone = gone.last().map(|segment| segment.meta.base_offset);
        if last_gone > kept.last().map(|segment| segment.meta.base_offset) {
            self.sealed = true;
        }
        kept.extend(added);
        kept.sort_by_key(|segment| segment.meta.base_offset);
        self.segments = kept;
        gone
    }

    /// One past the last record before the first open transaction.
    pub fn stable(&self) -> Offset {
        // A transaction whose first records were deleted holds up nothing before what is left.
        self.producers.open_from().map_or(self.end, |first| first.clamp(self.start, self.end))
    }

    pub fn ends(&self) -> Ends {
        Ends { start: self.start, stable: self.stable(), end: self.end }
    }

    pub fn size_bytes(&self) -> u64 {
        self.segments.iter().map(|segment| segment.meta.length).sum()
    }
}

/// What an append adds to a segment.
#[derive(Debug, Clone, Copy)]
pub(super) struct Extension {
    /// Of the segment, after it.
    pub length: u64,
    /// Of the partition, after it.
    pub end: Offset,
    pub max_time: i64,
    pub tombstones: bool,
}

impl Partition {
    pub fn ends(&self) -> Ends {
        self.state.read().ends()
    }

    fn out_of_range(&self, offset: Offset, state: &State) -> LogError {
        LogError::OutOfRange { partition: self.name.clone(), offset, start: state.start, end: state.end }
    }

    /// See [`crate::RecordLog::read`].
    pub fn read(
        &self,
        files: &SegmentFiles,
        fence: &RwLock<()>,
        from: Offset,
        bytes_max: usize,
    ) -> Result<Vec<StoredBatch>> {
        let fetched = self.fetch(files, fence, from, bytes_max, Isolation::Committed)?;
        Ok(leave_out_aborted(fetched))
    }

    /// See [`super::EmbeddedLog::fetch`]. `fence` is held while the state is looked at, so that commits over several
    /// partitions are seen whole.
    pub fn fetch(
        &self,
        files: &SegmentFiles,
        fence: &RwLock<()>,
        from: Offset,
        bytes_max: usize,
        isolation: Isolation,
    ) -> Result<Fetched> {
        let mut wanted = from;
        let mut attempts = 0;
        loop {
            let (source, ends) = {
                let _whole = fence.read();
                let state = self.state.read();
                if from < state.start || from > state.end {
                    return Err(self.out_of_range(from, &state));
                }
                let end = if isolation == Isolation::Committed { state.stable() } else { state.end };
                (self.source(&state, wanted, end, bytes_max), state.ends())
            };
            let (segment, next) = match source {
                None => return Ok(Fetched { ends, batches: Vec::new(), aborted: Vec::new() }),
                Some(Source::Memory(batches)) => return Ok(self.fetched(ends, batches, isolation)),
                Some(Source::Segment(segment, next)) => (segment, next),
            };
            match self.read_segment(files, &segment, wanted, bytes_max) {
                Ok(batches) if !batches.is_empty() => return Ok(self.fetched(ends, batches, isolation)),
                // Compaction left nothing there; go on behind.
                Ok(_) => match next {
                    Some(next) => wanted = next.max(wanted),
                    None => return Ok(Fetched { ends, batches: Vec::new(), aborted: Vec::new() }),
                },
                Err(_) if segment.file.removed.load(std::sync::atomic::Ordering::SeqCst) => {
                    attempts += 1;
                    if attempts == READ_ATTEMPTS_MAX {
                        return Err(io_error("read", &segment.file, &io::Error::from(io::ErrorKind::NotFound)));
                    }
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// What of the batches a reader may see as of `ends`, and which transactions in them were aborted.
    fn fetched(&self, ends: Ends, mut batches: Vec<StoredBatch>, isolation: Isolation) -> Fetched {
        let end = if isolation == Isolation::Committed { ends.stable } else { ends.end };
        let seen = batches.partition_point(|batch| batch.base_offset < end);
        batches.truncate(seen);
        let mut aborted = Vec::new();
        if let (Isolation::Committed, Some(first), Some(last)) = (isolation, batches.first(), batches.last()) {
            let state = self.state.read();
            if state.producers.has_aborted() {
                aborted = state.producers.aborted_in(first.base_offset, last.next_offset);
            }
        }
        Fetched { ends, batches, aborted }
    }

    fn source(&self, state: &State, wanted: Offset, end: Offset, bytes_max: usize) -> Option<Source> {
        if wanted >= end {
            return None;
        }
        if let Some(batches) = state.tail.read(wanted, bytes_max) {
            return Some(Source::Memory(batches));
        }
        let after = state.segments.partition_point(|segment| segment.meta.base_offset <= wanted);
        let at = after.saturating_sub(1);
        let segment = state.segments.get(at)?.clone();
        Some(Source::Segment(segment, state.segments.get(at + 1).map(|next| next.meta.base_offset)))
    }

    /// The batches of a segment from the one that holds `from` on (or the first after it); none when it has none.
    pub fn read_segment(
        &self,
        files: &SegmentFiles,
        segment: &Segment,
        from: Offset,
        bytes_max: usize,
    ) -> Result<Vec<StoredBatch>> {
        let failed = |error| self.segment_error(segment, from, error);
        let mut position = files.with_index(segment, |index| index.at_offset(from)).map_err(failed)?;
        let handle = files.to_read(&segment.file).map_err(|error| failed(error.into()))?;
        let mut taken = Taken { batches: Vec::new(), expect: from, need: 0 };
        while position < segment.meta.length && taken.batches.is_empty() {
            let left = usize::try_from(segment.meta.length - position).unwrap_or(usize::MAX);
            let want = bytes_max.clamp(READ_BYTES_MIN, READ_BYTES_MAX).max(taken.need).min(left);
            let mut chunk = Vec::new();
            handle.read_into(position, want, &mut chunk).map_err(|error| failed(error.into()))?;
            position += self.take(&Bytes::from(chunk), left, from, bytes_max, &mut taken)? as u64;
        }
        Ok(taken.batches)
    }

    /// Take the wanted batches out of a chunk of a segment that has `left` bytes from the chunk's beginning on; how
    /// many bytes of the chunk are done with. Damage behind a sound batch is left to the read that begins there.
    fn take(&self, chunk: &Bytes, left: usize, from: Offset, bytes_max: usize, taken: &mut Taken) -> Result<usize> {
        let (mut at, mut bytes) = (0, 0);
        while at < chunk.len() && (bytes < bytes_max || taken.batches.is_empty()) {
            let rest = chunk.get(at..).unwrap_or_default();
            if rest.len() < FRAME_HEADER_BYTES && rest.len() < left - at {
                taken.need = FRAME_HEADER_BYTES;
                break;
            }
            let sound = frame::parse(rest).and_then(|frame| {
                let fits = frame.bytes() <= left - at;
                if fits { Ok(frame) } else { Err("it ends after its segment".into()) }
            });
            let frame = match sound {
                Ok(frame) => frame,
                Err(_) if !taken.batches.is_empty() => break,
                Err(what) => return Err(self.corrupt(taken.expect, what)),
            };
            let next_offset = frame.header.next_offset();
            if next_offset > from {
                let Some(batch) = rest.get(FRAME_BYTES..frame.bytes()) else {
                    taken.need = frame.bytes();
                    break;
                };
                match frame.header.verify(batch) {
                    Ok(()) => {}
                    Err(_) if !taken.batches.is_empty() => break,
                    Err(error) => return Err(self.corrupt(frame.header.base_offset, error.to_string())),
                }
                bytes += batch.len();
                taken.batches.push(StoredBatch {
                    base_offset: frame.header.base_offset,
                    next_offset,
                    arrival: frame.arrival,
                    bytes: chunk.slice_ref(batch),
                });
            }
            taken.expect = next_offset;
            at += frame.bytes();
        }
        Ok(at)
    }

    fn corrupt(&self, offset: Offset, what: String) -> LogError {
        LogError::Corrupt { partition: self.name.clone(), offset, what }
    }

    pub fn segment_error(&self, segment: &Segment, near: Offset, error: SegmentError) -> LogError {
        match error {
            SegmentError::Io(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                self.corrupt(near.max(segment.meta.base_offset), "its segment's file is shorter than it was".into())
            }
            SegmentError::Io(error) => io_error("read", &segment.file, &error),
            SegmentError::Damaged { at_position, what } => self.corrupt(
                near.max(segment.meta.base_offset),
                format!("{what} (byte {at_position} of {})", segment.file.path.display()),
            ),
        }
    }

    /// The record with the largest time, the first where several have it.
    pub fn latest_time(&self, files: &SegmentFiles) -> Result<Option<RecordPlace>> {
        let newest = self.state.read().segments.iter().map(|segment| segment.meta.max_time).max();
        newest.map_or(Ok(None), |newest| self.first_from(files, newest))
    }

    /// The first record at or after a time.
    pub fn first_from(&self, files: &SegmentFiles, time_ms: i64) -> Result<Option<RecordPlace>> {
        let (start, segments) = {
            let state = self.state.read();
            (state.start, state.segments.clone())
        };
        for segment in segments.iter().filter(|segment| segment.meta.max_time >= time_ms) {
            let failed = |error| self.segment_error(segment, segment.meta.base_offset, error);
            let position = files.with_index(segment, |index| index.at_time(time_ms)).map_err(failed)?;
            let handle = files.to_read(&segment.file).map_err(|error| failed(error.into()))?;
            let mut found = None;
            let scanned = scan(handle.as_ref(), position, segment.meta.length, |at, frame| {
                if frame.header.max_timestamp < time_ms || frame.header.next_offset() <= start {
                    return Ok(true);
                }
                let mut batch = vec![0; frame.header.length];
                handle.read_exact_at(at + FRAME_BYTES as u64, &mut batch)?;
                let damaged = |error: crate::batch::BatchError| SegmentError::Damaged {
                    at_position: at,
                    what: error.to_string(),
                };
                for record in Batch::parse(&batch).map_err(damaged)?.records() {
                    let record = record.map_err(damaged)?;
                    if record.timestamp_ms >= time_ms && record.offset >= start {
                        found = Some(RecordPlace { offset: record.offset, time_ms: record.timestamp_ms });
                        return Ok(false);
                    }
                }
                Ok(true)
            });
            scanned.map_err(failed)?;
            if found.is_some() {
                return Ok(found);
            }
        }
        Ok(None)
    }
}

/// Put batches without records in the place of those whose transaction was aborted.
fn leave_out_aborted(mut fetched: Fetched) -> Vec<StoredBatch> {
    let aborted: &[AbortedTransaction] = &fetched.aborted;
    if aborted.is_empty() {
        return fetched.batches;
    }
    for stored in &mut fetched.batches {
        let Ok(header) = BatchHeader::parse(&stored.bytes) else { continue };
        let is_record = header.is_transactional() && !header.is_control();
        if is_record && is_aborted(aborted, header.producer_id, header.base_offset) {
            stored.bytes = without_records(&header, &stored.bytes);
        }
    }
    fetched.batches
}

/// An error of the operating system on a segment's file.
pub(super) fn io_error(what: &str, file: &SegmentFile, error: &io::Error) -> LogError {
    LogError::Io { what: format!("{what} {}", file.path.display()), error: error.to_string() }
}
