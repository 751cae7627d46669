//! What happens to a commit in its caller's thread, so that the one writer has little to do: its batches are checked,
//! and laid out as they will stand in the segment, all but offsets and arrival numbers.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use tokio::sync::oneshot;

use super::{
    frame::{self, FRAME_BYTES},
    partition::Partition,
    producers::Meaning,
    topics::{TopicState, Topics},
};
use crate::{
    Append, Appended, Batches, Commit, LogError, Offset, Result, TopicPartition,
    batch::{self, Checked, set_log_fields, stamp_append_time},
    settings::Effective,
};

/// A commit that waits for the writer.
#[derive(Debug)]
pub(super) struct Prepared {
    pub appends: Vec<PreparedAppend>,
    pub bytes: usize,
    pub reply: oneshot::Sender<Result<Vec<Appended>>>,
}

/// An append, ready but for its numbers.
#[derive(Debug)]
pub(super) struct PreparedAppend {
    pub topic: Arc<TopicState>,
    pub partition: Arc<Partition>,
    /// The frames with their batches.
    pub frames: BytesMut,
    pub spans: Vec<Span>,
    pub record_count: u32,
    pub max_time: i64,
    pub tombstones: bool,
    /// -1 when the topic keeps the producer's time.
    pub append_time_ms: i64,
    /// Id, epoch and what the batch means to it, where it has a producer; it is then the append's only one.
    pub producer: Option<(i64, i16, Meaning)>,
}

/// A frame within the append's bytes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Span {
    pub start: usize,
    pub end: usize,
    pub record_count: u32,
    pub max_time: i64,
}

/// Check and lay out a commit's appends.
pub(super) fn prepare(topics: &Topics, commit: Commit, now_ms: i64) -> Result<Vec<PreparedAppend>> {
    commit.appends.into_iter().map(|append| prepare_append(topics, append, now_ms)).collect()
}

fn prepare_append(topics: &Topics, append: Append, now_ms: i64) -> Result<PreparedAppend> {
    let Append { partition: name, batches } = append;
    let topic = topics.get(&name.topic).ok_or_else(|| LogError::UnknownTopic(name.topic.to_string()))?;
    let partition = topic.partition(name.partition)?;
    let effective = Arc::clone(&topic.live.read().effective);
    let append_time_ms = if effective.log_append_time { now_ms } else { -1 };
    let mut prepared = PreparedAppend {
        topic: Arc::clone(topic),
        partition,
        frames: BytesMut::new(),
        spans: Vec::new(),
        record_count: 0,
        max_time: i64::MIN,
        tombstones: false,
        append_time_ms,
        producer: None,
    };
    match batches {
        Batches::Received(bytes) => prepared.receive(&bytes, &effective, &name)?,
        Batches::Built(batch) => {
            check_for_topic(&batch.checked, &effective, &name)?;
            prepared.note_producer(&batch.checked, batch.bytes())?;
            let buffer = Bytes::from(batch.buffer).try_into_mut();
            prepared.frames = buffer.unwrap_or_else(|shared| BytesMut::from(&*shared));
            prepared.add(0, &batch.checked)?;
        }
    }
    if prepared.producer.is_some() && prepared.spans.len() != 1 {
        return Err(LogError::BadBatch("a producer with an id appends one batch at a time".into()));
    }
    Ok(prepared)
}

fn check_for_topic(checked: &Checked, effective: &Effective, name: &TopicPartition) -> Result<()> {
    let (length, max) = (checked.header.length, effective.message_bytes_max);
    // Marks are the log's own, whatever the topic takes from others.
    if length > max && !checked.header.is_control() {
        return Err(LogError::BatchTooLarge { topic: name.topic.to_string(), bytes: length, bytes_max: max });
    }
    if effective.compact && checked.has_null_key && !checked.header.is_control() {
        return Err(LogError::KeyMissing(name.topic.to_string()));
    }
    Ok(())
}

impl PreparedAppend {
    /// Check batches from outside, and lay them out.
    fn receive(&mut self, batches: &[u8], effective: &Effective, name: &TopicPartition) -> Result<()> {
        let mut rest = batches;
        if rest.is_empty() {
            return Err(LogError::BadBatch(format!("there is no batch for {name}")));
        }
        self.frames.reserve(batches.len() + FRAME_BYTES);
        while !rest.is_empty() {
            let checked = batch::check(rest).map_err(|error| LogError::BadBatch(error.to_string()))?;
            check_for_topic(&checked, effective, name)?;
            let (bytes, behind) = rest.split_at_checked(checked.header.length).unwrap_or((rest, &[]));
            let start = self.frames.len();
            self.frames.extend_from_slice(&[0; FRAME_BYTES]);
            self.frames.extend_from_slice(bytes);
            self.add(start, &checked)?;
            self.note_producer(&checked, bytes)?;
            rest = behind;
        }
        Ok(())
    }

    fn note_producer(&mut self, checked: &Checked, batch: &[u8]) -> Result<()> {
        if checked.header.producer_id >= 0 {
            self.producer = Meaning::of(batch).map_err(LogError::BadBatch)?;
        }
        Ok(())
    }

    /// Take note of the last batch, whose frame begins at `start`.
    fn add(&mut self, start: usize, checked: &Checked) -> Result<()> {
        let record_count = checked.header.record_count;
        let total = self.record_count.checked_add(record_count);
        self.record_count = total.ok_or_else(|| LogError::BadBatch("more than 2^32 records in an append".into()))?;
        let mut max_time = checked.header.max_timestamp;
        if self.append_time_ms >= 0 {
            max_time = self.append_time_ms;
            stamp_append_time(self.frames.get_mut(start + FRAME_BYTES..).unwrap_or_default(), max_time);
        }
        self.max_time = self.max_time.max(max_time);
        self.tombstones |= checked.has_tombstone;
        self.spans.push(Span { start, end: self.frames.len(), record_count, max_time });
        Ok(())
    }

    /// Give the records their offsets and arrival numbers.
    pub fn number(&mut self, base_offset: Offset, arrival: u64) {
        let mut before = 0_u32;
        for span in &self.spans {
            let Some(bytes) = self.frames.get_mut(span.start..span.end) else { continue };
            if let Some(batch) = bytes.get_mut(FRAME_BYTES..) {
                set_log_fields(batch, base_offset + i64::from(before), 0);
            }
            frame::seal(bytes, arrival + u64::from(before));
            before += span.record_count;
        }
    }
}
