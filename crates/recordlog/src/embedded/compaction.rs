//! Compaction: of the records with one key, the last one stays.
//!
//! A round maps the keys of the records that no round has seen (up to a bounded size) to their last offsets, and
//! rewrites every closed segment up to there without what the map supersedes. Offsets, times and arrival numbers stay.
//! A tombstone stays until `delete.retention.ms` after the round that saw it first, so that who reads the whole topic
//! within that time learns of the deletion. The partition's very last record always stays: a reader reaches the end.
//! Each rewritten segment is durable before one journal entry puts it in the place of those that it was made from.

use std::{collections::HashMap, io, sync::Arc};

use bytes::Bytes;
use host::OpenMode;

use super::{
    Shared, admin,
    entry::Entry,
    frame::{self, FRAME_BYTES},
    partition::{Partition, State, io_error},
    producers::is_aborted,
    segment::{Segment, SegmentFile, SegmentMeta, file_name},
    topics::TopicState,
    writer::new_segment,
};
use crate::{
    AbortedTransaction, LogError, Offset, Result, StoredBatch,
    batch::{Batch, BatchError, BatchHeader, Record, Retained, retain},
    settings::Effective,
};

/// Most memory for the keys of a round, bytes.
const KEY_BYTES_MAX: usize = 256 << 20;
/// What a key takes beside its bytes.
const KEY_OVERHEAD_BYTES: usize = 48;
/// Bytes read at once.
const READ_BYTES: usize = 1 << 20;
/// Bytes written at once.
const WRITE_BYTES: usize = 1 << 20;

fn corrupt(partition: &Partition, offset: Offset, error: &BatchError) -> LogError {
    LogError::Corrupt { partition: partition.name.clone(), offset, what: error.to_string() }
}

/// A round over one partition.
struct Round<'a> {
    shared: &'a Shared,
    topic: &'a TopicState,
    partition: &'a Arc<Partition>,
    effective: &'a Effective,
    now_ms: i64,
    /// The partition's end when the round began.
    end: Offset,
    /// Their records count for nothing. The marks of all transactions stay.
    aborted: Vec<AbortedTransaction>,
    /// Last offset of every key in what no round has seen.
    last: HashMap<Box<[u8]>, Offset>,
    key_bytes: usize,
    /// What lies before this offset is seen after the round.
    cleaned_to: Offset,
    records_removed: u64,
}

/// A segment that takes no more appends, and where it ends.
#[derive(Clone)]
struct Closed {
    segment: Segment,
    end: Offset,
}

/// Compact the partition if it is time; how many records went.
pub(super) fn compact(
    shared: &Shared,
    topic: &TopicState,
    partition: &Arc<Partition>,
    effective: &Effective,
    now_ms: i64,
) -> Result<Option<u64>> {
    let (closed, end, cleaned_to, aborted) = {
        let state = partition.state.read();
        let aborted = state.producers.aborted_in(state.start, state.end);
        (closed_segments(&state, effective, now_ms), state.end, state.cleaned_to, aborted)
    };
    if !is_due(&closed, cleaned_to, effective, now_ms) {
        return Ok(None);
    }
    let mut round = Round {
        shared,
        topic,
        partition,
        effective,
        now_ms,
        end,
        aborted,
        last: HashMap::new(),
        key_bytes: 0,
        cleaned_to,
        records_removed: 0,
    };
    round.map_keys(&closed)?;
    for group in round.groups(&closed) {
        if !round.rewrite(&group)? {
            return Ok(Some(round.records_removed));
        }
    }
    round.replace(&[], Vec::new(), round.cleaned_to)?;
    Ok(Some(round.records_removed))
}

/// The segments that take no more appends, up to the first that is too young to be compacted.
fn closed_segments(state: &State, effective: &Effective, now_ms: i64) -> Vec<Closed> {
    let open = usize::from(!state.sealed);
    let count = state.segments.len().saturating_sub(open);
    let ends = state.segments.iter().skip(1).map(|next| next.meta.base_offset).chain([state.end]);
    let closed = state.segments.iter().zip(ends).take(count);
    let latest_ms = now_ms.saturating_sub(effective.compaction_lag_min_ms);
    let is_old = |meta: &SegmentMeta| effective.compaction_lag_min_ms == 0 || newest_ms(meta) <= latest_ms;
    let stable = state.stable();
    let old = closed.take_while(|(segment, end)| *end <= stable && is_old(&segment.meta));
    old.map(|(segment, end)| Closed { segment: segment.clone(), end }).collect()
}

fn newest_ms(meta: &SegmentMeta) -> i64 {
    if meta.max_time >= 0 { meta.max_time } else { meta.created_ms }
}

fn is_due(closed: &[Closed], cleaned_to: Offset, effective: &Effective, now_ms: i64) -> bool {
    let bytes = |closed: &Closed| closed.segment.meta.length;
    let total: u64 = closed.iter().map(bytes).sum();
    let dirty: Vec<&Closed> = closed.iter().filter(|closed| closed.end > cleaned_to).collect();
    let dirty_bytes: u64 = dirty.iter().map(|closed| bytes(closed)).sum();
    // A ratio of byte counts needs no more than a float's precision.
    let is_dirty_enough = dirty_bytes > 0 && dirty_bytes as f64 >= total as f64 * effective.dirty_ratio_min;
    let limit_ms = effective.compaction_lag_max_ms;
    let is_overdue = |closed: &&Closed| now_ms.saturating_sub(newest_ms(&closed.segment.meta)) >= limit_ms;
    is_dirty_enough
        || dirty.iter().any(is_overdue)
        || closed.iter().any(|closed| has_expired_tombstones(&closed.segment.meta, effective, now_ms))
}

fn has_expired_tombstones(meta: &SegmentMeta, effective: &Effective, now_ms: i64) -> bool {
    meta.tombstones && meta.cleaned_ms >= 0 && now_ms.saturating_sub(meta.cleaned_ms) >= effective.delete_retention_ms
}

impl Round<'_> {
    /// Map the keys from where the last round ended, as many as fit.
    fn map_keys(&mut self, closed: &[Closed]) -> Result<()> {
        for Closed { segment, end } in closed {
            if *end <= self.cleaned_to {
                continue;
            }
            let mut from = self.cleaned_to.max(segment.meta.base_offset);
            loop {
                let batches = self.batches(segment, from)?;
                let Some(last) = batches.last() else { break };
                from = last.next_offset;
                for stored in &batches {
                    if self.key_bytes > KEY_BYTES_MAX {
                        return Ok(());
                    }
                    self.map_batch(stored).map_err(|error| self.damaged(stored.base_offset, &error))?;
                    self.cleaned_to = self.cleaned_to.max(stored.next_offset);
                }
            }
            self.cleaned_to = *end;
        }
        Ok(())
    }

    fn map_batch(&mut self, stored: &StoredBatch) -> Result<(), BatchError> {
        let batch = Batch::parse_verified(&stored.bytes)?;
        if batch.header().is_control() || self.is_aborted(batch.header()) {
            return Ok(());
        }
        for record in batch.records() {
            let record = record?;
            let Some(key) = record.key else { continue };
            if let Some(last) = self.last.get_mut(key) {
                *last = (*last).max(record.offset);
            } else {
                self.key_bytes += key.len() + KEY_OVERHEAD_BYTES;
                self.last.insert(key.into(), record.offset);
            }
        }
        Ok(())
    }

    fn is_aborted(&self, header: &BatchHeader) -> bool {
        header.is_transactional() && is_aborted(&self.aborted, header.producer_id, header.base_offset)
    }

    fn batches(&self, segment: &Segment, from: Offset) -> Result<Vec<StoredBatch>> {
        self.partition.read_segment(&self.shared.files, segment, from, READ_BYTES)
    }

    fn damaged(&self, offset: Offset, error: &BatchError) -> LogError {
        corrupt(self.partition, offset, error)
    }

    /// When the segment's records will all have been seen first; -1 when some are not yet.
    fn cleaned_ms(&self, closed: &Closed) -> i64 {
        let before_ms = closed.segment.meta.cleaned_ms;
        if closed.end > self.cleaned_to {
            -1
        } else if before_ms >= 0 {
            before_ms
        } else {
            self.now_ms
        }
    }

    /// Runs of neighbours that become one segment: small ones, if their tombstones may go at the same time.
    fn groups(&self, closed: &[Closed]) -> Vec<Vec<Closed>> {
        let mut groups: Vec<Vec<Closed>> = Vec::new();
        for next in closed {
            let joins = |group: &&mut Vec<Closed>| {
                let bytes: u64 = group.iter().map(|closed| closed.segment.meta.length).sum();
                let fits = bytes + next.segment.meta.length <= self.effective.segment_bytes;
                let next_ms = self.cleaned_ms(next);
                fits && group.iter().all(|other| {
                    let other_ms = self.cleaned_ms(other);
                    let any_tombstones = other.segment.meta.tombstones || next.segment.meta.tombstones;
                    other_ms == next_ms || (!any_tombstones && (other_ms < 0) == (next_ms < 0))
                })
            };
            match groups.last_mut().filter(joins) {
                Some(group) => group.push(next.clone()),
                None => groups.push(vec![next.clone()]),
            }
        }
        groups
    }

    fn keeps(&self, record: &Record<'_>, tombstones_go: bool) -> bool {
        if record.offset + 1 == self.end {
            return true;
        }
        let Some(key) = record.key else { return true };
        let superseded = self.last.get(key).is_some_and(|last| record.offset < *last);
        let goes = superseded || (tombstones_go && record.value.is_none());
        !goes
    }

    /// Make one segment of the group; `false` when the partition changed so that the round cannot go on.
    fn rewrite(&mut self, group: &[Closed]) -> Result<bool> {
        let Some(first) = group.first().map(|closed| closed.segment.meta) else { return Ok(true) };
        let mut meta = new_segment(first.base_offset, first.generation.wrapping_add(1), first.created_ms);
        meta.cleaned_ms = group.iter().map(|closed| self.cleaned_ms(closed)).max().unwrap_or(-1);
        let name = file_name(self.partition.name.partition, meta.base_offset, meta.generation);
        let file = SegmentFile::new(self.topic.dir.join(name), true);
        let removed_before = self.records_removed;
        let written = self.write(group, &file, &mut meta);
        let removed_none = self.records_removed == removed_before;
        let is_as_before = group.len() == 1 && removed_none && meta.cleaned_ms == first.cleaned_ms;
        if written.is_err() || is_as_before {
            self.shared.files.remove(&file);
            return written.map(|()| true);
        }
        let added = if meta.length == 0 { Vec::new() } else { vec![meta] };
        let replaced = self.replace(group, added, -1)?;
        if !replaced || meta.length == 0 {
            self.shared.files.remove(&file);
        }
        Ok(replaced)
    }

    /// Write what stays of the group's segments, durably.
    fn write(&mut self, group: &[Closed], file: &Arc<SegmentFile>, meta: &mut SegmentMeta) -> Result<()> {
        let disk = self.shared.host.disk.as_ref();
        let failed = |error: io::Error| io_error("write", file, &error);
        let handle = disk.open(&file.path, OpenMode::CreateEmpty).map_err(failed)?;
        let mut buffer = Vec::with_capacity(WRITE_BYTES);
        let mut written = 0;
        for Closed { segment, .. } in group {
            let tombstones_go = has_expired_tombstones(&segment.meta, self.effective, self.now_ms);
            let mut from = segment.meta.base_offset;
            loop {
                let batches = self.batches(segment, from)?;
                let Some(last) = batches.last() else { break };
                from = last.next_offset;
                for stored in &batches {
                    if let Some(left) = self.filter(stored, tombstones_go, meta)? {
                        let start = buffer.len();
                        buffer.extend_from_slice(&[0; FRAME_BYTES]);
                        buffer.extend_from_slice(&left);
                        frame::seal(buffer.get_mut(start..).unwrap_or_default(), stored.arrival);
                    }
                    if buffer.len() >= WRITE_BYTES {
                        handle.write_at(written, &buffer).map_err(failed)?;
                        written += buffer.len() as u64;
                        buffer.clear();
                    }
                }
            }
        }
        handle.write_at(written, &buffer).map_err(failed)?;
        meta.length = written + buffer.len() as u64;
        handle.sync_data().map_err(failed)?;
        disk.sync_dir(file.dir()).map_err(failed)?;
        disk.sync_dir(&self.shared.topics_dir).map_err(failed)
    }

    /// What stays of a batch, noting it in `meta`.
    fn filter(&mut self, stored: &StoredBatch, tombstones_go: bool, meta: &mut SegmentMeta) -> Result<Option<Bytes>> {
        let (partition, offset) = (Arc::clone(self.partition), stored.base_offset);
        let damaged = |error: BatchError| corrupt(&partition, offset, &error);
        let header = BatchHeader::parse(&stored.bytes).map_err(damaged)?;
        let mut tombstones = false;
        let retained = if header.is_control() {
            Retained::All
        } else if self.is_aborted(&header) {
            Retained::Nothing
        } else {
            let keep = |record: &Record<'_>| {
                let keeps = self.keeps(record, tombstones_go);
                tombstones |= keeps && record.value.is_none();
                keeps
            };
            retain(&stored.bytes, keep).map_err(damaged)?
        };
        let (left, removed) = match retained {
            Retained::All => (Some(stored.bytes.clone()), 0),
            Retained::Nothing => (None, header.record_count),
            Retained::Some(bytes, removed) => (Some(bytes), removed),
        };
        self.records_removed += u64::from(removed);
        meta.tombstones |= tombstones;
        if let Some(bytes) = &left {
            let left = BatchHeader::parse(bytes).map_err(damaged)?;
            meta.max_time = meta.max_time.max(left.max_timestamp);
        }
        Ok(left)
    }

    /// Put segments in the place of a group's, durably, and note that everything before `cleaned_to` is seen (unless
    /// negative). `false` when the group is no longer what the partition has.
    fn replace(&self, group: &[Closed], added: Vec<SegmentMeta>, cleaned_to: Offset) -> Result<bool> {
        let mut writer = self.shared.writer.lock();
        let cleaned_to = {
            let state = self.partition.state.read();
            let has = |closed: &Closed| state.segments.iter().any(|own| Arc::ptr_eq(&own.file, &closed.segment.file));
            if state.deleted || !group.iter().all(has) {
                return Ok(false);
            }
            state.cleaned_to.max(cleaned_to)
        };
        let removed: Vec<(Offset, u32)> =
            group.iter().map(|c| (c.segment.meta.base_offset, c.segment.meta.generation)).collect();
        let number = self.partition.name.partition;
        let entry = Entry::Replaced {
            topic_id: self.partition.topic_id,
            partition: number,
            removed: removed.clone(),
            added: added.clone(),
            cleaned_to,
        };
        writer.record(self.shared, &entry)?;
        let segments = added.iter().map(|meta| super::writer::segment_of(&self.topic.dir, number, *meta)).collect();
        let gone = {
            let _whole = self.shared.fence.write();
            let mut state = self.partition.state.write();
            let gone = state.replace(|meta| removed.contains(&(meta.base_offset, meta.generation)), segments);
            state.cleaned_to = cleaned_to;
            if let Some(last) = gone.last() {
                // The latest batches in memory are as they were before.
                let next = state.segments.iter().find(|s| s.meta.base_offset > last.meta.base_offset);
                let end = next.map_or(state.end, |next| next.meta.base_offset);
                state.tail.drop_before(end);
            }
            gone
        };
        drop(writer);
        admin::remove_files(self.shared, &gone);
        Ok(true)
    }
}
