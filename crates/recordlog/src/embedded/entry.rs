//! What the journal's entries say.

use std::collections::BTreeMap;

use super::{
    producers::{Note, read_notes, write_notes},
    segment::SegmentMeta,
    wire::{Reading, Writing},
};
use crate::{Offset, TopicConfig};

/// A change to the log.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Entry<'a> {
    /// Appends that became visible together.
    Appends(Vec<Part<'a>>),
    /// A topic was made or changed.
    Topic(TopicEntry),
    /// A topic was deleted.
    Deleted(u128),
    /// Records before an offset were forgotten.
    Start { topic_id: u128, partition: u32, start: Offset },
    /// Compaction put segments in the place of others (named by base offset and generation).
    Replaced {
        topic_id: u128,
        partition: u32,
        removed: Vec<(Offset, u32)>,
        added: Vec<SegmentMeta>,
        cleaned_to: Offset,
    },
}

/// A topic as it is stored.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct TopicEntry {
    pub id: u128,
    pub name: String,
    pub config: TopicConfig,
}

/// An append to one segment.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Part<'a> {
    pub topic_id: u128,
    pub partition: u32,
    /// The segment's base offset, generation and birth, so that replay can make it.
    pub segment_base: Offset,
    pub segment_generation: u32,
    pub segment_created_ms: i64,
    /// Where in the segment the bytes begin.
    pub position: u64,
    pub base_offset: Offset,
    pub next_offset: Offset,
    /// Arrival number of the first record.
    pub arrival: u64,
    pub max_time: i64,
    pub tombstones: bool,
    /// Of the batches that have a producer.
    pub notes: Vec<Note>,
    pub bytes: PartBytes<'a>,
}

/// Where a part's bytes are.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum PartBytes<'a> {
    /// In the entry, and to be written to the segment again by a recovery.
    Inline(&'a [u8]),
    /// In the segment, `length` bytes with this CRC-32C; `synced` before the entry was written.
    InSegment { length: u64, crc: u32, synced: bool },
}

impl PartBytes<'_> {
    pub fn len(&self) -> u64 {
        match self {
            PartBytes::Inline(bytes) => bytes.len() as u64,
            PartBytes::InSegment { length, .. } => *length,
        }
    }
}

const APPENDS: u8 = 1;
const TOPIC: u8 = 2;
const DELETED: u8 = 3;
const START: u8 = 4;
const REPLACED: u8 = 5;
/// Appends, each with its notes.
const NOTED_APPENDS: u8 = 6;
const INLINE: u8 = 0;
const IN_SEGMENT: u8 = 1;
const IN_SEGMENT_SYNCED: u8 = 2;
/// A part takes this many bytes at least.
const PART_BYTES_MIN: usize = 16 + 4 + 8 + 4 + 8 + 8 + 8 + 8 + 8 + 8 + 1 + 1;
/// What [`write_meta`] writes.
pub(super) const META_BYTES: usize = 8 + 4 + 8 + 8 + 8 + 8 + 1;

impl<'a> Entry<'a> {
    /// Append the entry's bytes but for those of records, which stay where they are; gives these, each with how many
    /// of all the others come before it.
    pub fn encode(&self, bytes: &mut Vec<u8>) -> Vec<(usize, &'a [u8])> {
        let mut to = Writing(bytes);
        let mut records = vec![];
        match self {
            Entry::Appends(parts) => {
                let noted = parts.iter().any(|part| !part.notes.is_empty());
                to.u8(if noted { NOTED_APPENDS } else { APPENDS });
                to.count(parts.len());
                for part in parts {
                    write_part(&mut to, part);
                    if let PartBytes::Inline(bytes) = part.bytes {
                        records.push((to.0.len(), bytes));
                    }
                    if noted {
                        write_notes(&mut to, &part.notes);
                    }
                }
            }
            Entry::Topic(topic) => {
                to.u8(TOPIC);
                write_topic(&mut to, topic);
            }
            Entry::Deleted(id) => {
                to.u8(DELETED);
                to.u128(*id);
            }
            Entry::Start { topic_id, partition, start } => {
                to.u8(START);
                to.u128(*topic_id);
                to.u32(*partition);
                to.i64(*start);
            }
            Entry::Replaced { topic_id, partition, removed, added, cleaned_to } => {
                to.u8(REPLACED);
                to.u128(*topic_id);
                to.u32(*partition);
                to.count(removed.len());
                for (base_offset, generation) in removed {
                    to.i64(*base_offset);
                    to.u32(*generation);
                }
                to.count(added.len());
                added.iter().for_each(|meta| write_meta(&mut to, meta));
                to.i64(*cleaned_to);
            }
        }
        records
    }

    pub fn decode(bytes: &'a [u8]) -> Option<Entry<'a>> {
        let mut from = Reading(bytes);
        let entry = match from.u8()? {
            kind @ (APPENDS | NOTED_APPENDS) => {
                let count = from.count(PART_BYTES_MIN)?;
                let part = |_| {
                    let mut part = read_part(&mut from)?;
                    if kind == NOTED_APPENDS {
                        part.notes = read_notes(&mut from)?;
                    }
                    Some(part)
                };
                Entry::Appends((0..count).map(part).collect::<Option<_>>()?)
            }
            TOPIC => Entry::Topic(read_topic(&mut from)?),
            DELETED => Entry::Deleted(from.u128()?),
            START => Entry::Start { topic_id: from.u128()?, partition: from.u32()?, start: from.i64()? },
            REPLACED => {
                let (topic_id, partition) = (from.u128()?, from.u32()?);
                let count = from.count(12)?;
                let removed = (0..count).map(|_| Some((from.i64()?, from.u32()?))).collect::<Option<_>>()?;
                let count = from.count(META_BYTES)?;
                let added = (0..count).map(|_| read_meta(&mut from)).collect::<Option<_>>()?;
                Entry::Replaced { topic_id, partition, removed, added, cleaned_to: from.i64()? }
            }
            _ => return None,
        };
        from.is_done().then_some(entry)
    }
}

/// All of a part but its records' bytes, which come behind it.
fn write_part(to: &mut Writing<'_>, part: &Part<'_>) {
    to.u128(part.topic_id);
    to.u32(part.partition);
    to.i64(part.segment_base);
    to.u32(part.segment_generation);
    to.i64(part.segment_created_ms);
    to.u64(part.position);
    to.i64(part.base_offset);
    to.i64(part.next_offset);
    to.u64(part.arrival);
    to.i64(part.max_time);
    to.u8(u8::from(part.tombstones));
    match part.bytes {
        PartBytes::Inline(bytes) => {
            to.u8(INLINE);
            to.count(bytes.len());
        }
        PartBytes::InSegment { length, crc, synced } => {
            to.u8(if synced { IN_SEGMENT_SYNCED } else { IN_SEGMENT });
            to.u64(length);
            to.u32(crc);
        }
    }
}

fn read_part<'a>(from: &mut Reading<'a>) -> Option<Part<'a>> {
    Some(Part {
        topic_id: from.u128()?,
        partition: from.u32()?,
        segment_base: from.i64()?,
        segment_generation: from.u32()?,
        segment_created_ms: from.i64()?,
        position: from.u64()?,
        base_offset: from.i64()?,
        next_offset: from.i64()?,
        arrival: from.u64()?,
        max_time: from.i64()?,
        tombstones: from.bool()?,
        notes: Vec::new(),
        bytes: match from.u8()? {
            INLINE => PartBytes::Inline(from.bytes()?),
            kind @ (IN_SEGMENT | IN_SEGMENT_SYNCED) => {
                PartBytes::InSegment { length: from.u64()?, crc: from.u32()?, synced: kind == IN_SEGMENT_SYNCED }
            }
            _ => return None,
        },
    })
}

pub(super) fn write_meta(to: &mut Writing<'_>, meta: &SegmentMeta) {
    to.i64(meta.base_offset);
    to.u32(meta.generation);
    to.u64(meta.length);
    to.i64(meta.max_time);
    to.i64(meta.created_ms);
    to.i64(meta.cleaned_ms);
    to.u8(u8::from(meta.tombstones));
}

pub(super) fn read_meta(from: &mut Reading<'_>) -> Option<SegmentMeta> {
    Some(SegmentMeta {
        base_offset: from.i64()?,
        generation: from.u32()?,
        length: from.u64()?,
        max_time: from.i64()?,
        created_ms: from.i64()?,
        cleaned_ms: from.i64()?,
        tombstones: from.bool()?,
    })
}

pub(super) fn write_topic(to: &mut Writing<'_>, topic: &TopicEntry) {
    to.u128(topic.id);
    to.bytes(topic.name.as_bytes());
    to.u32(topic.config.partitions);
    to.u32(u32::from(topic.config.replicas));
    to.count(topic.config.settings.len());
    for (name, value) in &topic.config.settings {
        to.bytes(name.as_bytes());
        to.bytes(value.as_bytes());
    }
}

pub(super) fn read_topic(from: &mut Reading<'_>) -> Option<TopicEntry> {
    let id = from.u128()?;
    let name = text(from)?;
    let partitions = from.u32()?;
    let replicas = u16::try_from(from.u32()?).ok()?;
    let count = from.count(8)?;
    let settings: BTreeMap<String, String> =
        (0..count).map(|_| Some((text(from)?, text(from)?))).collect::<Option<_>>()?;
    Some(TopicEntry { id, name, config: TopicConfig { partitions, replicas, settings } })
}

fn text(from: &mut Reading<'_>) -> Option<String> {
    String::from_utf8(from.bytes()?.to_vec()).ok()
}

#[cfg(test)]
mod tests {
    use super::{super::producers::Meaning, *};

    fn check(entry: &Entry<'_>) {
        let mut own = Vec::new();
        let (mut bytes, mut at) = (Vec::new(), 0);
        for (end, records) in entry.encode(&mut own) {
            bytes.extend_from_slice(&own[at..end]);
            bytes.extend_from_slice(records);
            at = end;
        }
        bytes.extend_from_slice(&own[at..]);
        assert_eq!(Entry::decode(&bytes).as_ref(), Some(entry));
        for cut in 0..bytes.len() {
            assert_eq!(Entry::decode(&bytes[..cut]), None);
        }
        bytes.push(0);
        assert_eq!(Entry::decode(&bytes), None);
    }

    #[test]
    fn entries_are_read_as_written() {
        let part = Part {
            topic_id: 1 << 100,
            partition: 3,
            segment_base: 10,
            segment_generation: 1,
            segment_created_ms: 99,
            position: 1 << 40,
            base_offset: 12,
            next_offset: 15,
            arrival: 77,
            max_time: -1,
            tombstones: true,
            notes: Vec::new(),
            bytes: PartBytes::Inline(b"bytes"),
        };
        let by_reference = PartBytes::InSegment { length: 5, crc: 6, synced: true };
        let other = Part { bytes: by_reference, tombstones: false, ..part.clone() };
        check(&Entry::Appends(vec![part.clone(), other.clone()]));
        let note = |meaning| Note { producer_id: 9, epoch: 3, meaning, base_offset: 12, next_offset: 15, time_ms: 4 };
        let notes = [
            Meaning::Plain { first: 1, last: 2 },
            Meaning::Transactional { first: i32::MAX, last: 0 },
            Meaning::Commit,
            Meaning::Abort,
        ];
        check(&Entry::Appends(vec![part, Part { notes: notes.map(note).to_vec(), ..other }]));
        let config = TopicConfig::with_partitions(4).with("retention.ms", "5");
        check(&Entry::Topic(TopicEntry { id: 255, name: "orders".into(), config }));
        check(&Entry::Deleted(5));
        check(&Entry::Start { topic_id: 5, partition: 6, start: 7 });
        let meta = SegmentMeta {
            base_offset: 1,
            generation: 2,
            length: 3,
            max_time: 4,
            created_ms: 5,
            cleaned_ms: 6,
            tombstones: true,
        };
        check(&Entry::Replaced { topic_id: 5, partition: 6, removed: vec![(1, 1)], added: vec![meta], cleaned_to: 9 });
    }
}
