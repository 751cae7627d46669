//! Checkpoints: the whole log's acknowledged state in one file, so that the journal before it can go.
//!
//! The file is complete at the moment when a new journal file begins; it is put in place after everything that it
//! speaks of is durable. Until then the checkpoint before it and the journals since stand.

use std::{
    io,
    path::Path,
    sync::{Arc, atomic::Ordering},
};

use host::Disk;

use super::{
    Shared,
    entry::{META_BYTES, TopicEntry, read_meta, read_topic, write_meta, write_topic},
    journal,
    producers::{Producers, read_producers, write_producers},
    segment::{SegmentFile, SegmentMeta},
    syncs::{sync_all, sync_dirs},
    topics::Topics,
    wire::{Reading, Writing},
};
use crate::Offset;

const MAGIC: u32 = 0x4d53_434b;
const FORMAT_VERSION: u32 = 2;
/// The version before partitions knew producers; it is still read.
const FORMAT_VERSION_WITHOUT_PRODUCERS: u32 = 1;
const FILE_NAME: &str = "checkpoint";
/// A partition takes this many bytes at least.
const PARTITION_BYTES_MIN: usize = 8 + 8 + 8 + 4;

/// The state of a log at the beginning of a journal file.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Image {
    /// The first journal file that is not part of it.
    pub journal_sequence: u64,
    /// Number of the next record to arrive.
    pub next_arrival: u64,
    pub topics: Vec<TopicImage>,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) struct TopicImage {
    pub entry: TopicEntry,
    pub partitions: Vec<PartitionImage>,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) struct PartitionImage {
    pub start: Offset,
    pub end: Offset,
    pub cleaned_to: Offset,
    pub segments: Vec<SegmentMeta>,
    pub producers: Producers,
}

impl Image {
    pub fn of(topics: &Topics, journal_sequence: u64, next_arrival: u64) -> Image {
        let topic = |topic: &Arc<super::topics::TopicState>| {
            let partitions = topic.partitions().into_iter().map(|partition| {
                let state = partition.state.read();
                PartitionImage {
                    start: state.start,
                    end: state.end,
                    cleaned_to: state.cleaned_to,
                    segments: state.segments.iter().map(|segment| segment.meta).collect(),
                    producers: state.producers.clone(),
                }
            });
            TopicImage { entry: topic.entry(), partitions: partitions.collect() }
        };
        Image { journal_sequence, next_arrival, topics: topics.values().map(topic).collect() }
    }

    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        let mut to = Writing(&mut bytes);
        to.u32(MAGIC);
        to.u32(FORMAT_VERSION);
        to.u64(self.journal_sequence);
        to.u64(self.next_arrival);
        to.count(self.topics.len());
        for topic in &self.topics {
            write_topic(&mut to, &topic.entry);
            to.count(topic.partitions.len());
            for partition in &topic.partitions {
                to.i64(partition.start);
                to.i64(partition.end);
                to.i64(partition.cleaned_to);
                to.count(partition.segments.len());
                partition.segments.iter().for_each(|meta| write_meta(&mut to, meta));
                write_producers(&mut to, &partition.producers);
            }
        }
        let crc = crc32c::crc32c(&bytes);
        Writing(&mut bytes).u32(crc);
        bytes
    }

    pub fn decode(bytes: &[u8]) -> Option<Image> {
        let (content, crc) = bytes.split_last_chunk::<4>()?;
        if crc32c::crc32c(content) != u32::from_le_bytes(*crc) {
            return None;
        }
        let mut from = Reading(content);
        if from.u32()? != MAGIC {
            return None;
        }
        let version = from.u32()?;
        if version != FORMAT_VERSION && version != FORMAT_VERSION_WITHOUT_PRODUCERS {
            return None;
        }
        let (journal_sequence, next_arrival) = (from.u64()?, from.u64()?);
        let count = from.count(1)?;
        let topics = (0..count).map(|_| {
            let entry = read_topic(&mut from)?;
            let count = from.count(PARTITION_BYTES_MIN)?;
            let partitions = (0..count).map(|_| {
                let (start, end, cleaned_to) = (from.i64()?, from.i64()?, from.i64()?);
                let count = from.count(META_BYTES)?;
                let segments = (0..count).map(|_| read_meta(&mut from)).collect::<Option<_>>()?;
                let producers =
                    if version == FORMAT_VERSION { read_producers(&mut from)? } else { Producers::default() };
                Some(PartitionImage { start, end, cleaned_to, segments, producers })
            });
            Some(TopicImage { entry, partitions: partitions.collect::<Option<_>>()? })
        });
        let image = Image { journal_sequence, next_arrival, topics: topics.collect::<Option<_>>()? };
        from.is_done().then_some(image)
    }

    /// The log's last checkpoint; `None` if it has none yet.
    pub fn load(disk: &dyn Disk, root: &Path) -> io::Result<Option<Image>> {
        match disk.read_all(&root.join(FILE_NAME)) {
            Ok(bytes) => {
                let damaged = || io::Error::new(io::ErrorKind::InvalidData, "the checkpoint is damaged");
                Image::decode(&bytes).ok_or_else(damaged).map(Some)
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }
}

/// A checkpoint that is to be put in place.
#[derive(Debug)]
pub(super) struct Checkpoint {
    pub journal_sequence: u64,
    pub image: Vec<u8>,
    /// Files to make durable before.
    pub dirty: Vec<Arc<SegmentFile>>,
}

impl Checkpoint {
    /// Put it in place, and remove the journals before it. Checkpoints take turns; one that comes after a later one
    /// is left out.
    pub fn run(&self, shared: &Shared) -> io::Result<()> {
        let mut placed = shared.checkpoint_placed.lock();
        if *placed >= self.journal_sequence {
            return Ok(());
        }
        if shared.rewrite_segments.load(Ordering::SeqCst) {
            super::recovery::rewrite_segments(shared, *placed, self.journal_sequence)?;
            shared.rewrite_segments.store(false, Ordering::SeqCst);
        }
        // The system may drop what it could not write, so after a failure the bytes come from the journal again.
        sync_all(shared, &self.dirty).inspect_err(|_| shared.rewrite_segments.store(true, Ordering::SeqCst))?;
        sync_dirs(shared, &self.dirty)?;
        let disk = shared.host.disk.as_ref();
        disk.replace(&shared.root.join(FILE_NAME), &self.image)?;
        let before = std::mem::replace(&mut *placed, self.journal_sequence);
        for sequence in before..self.journal_sequence {
            if let Err(error) = shared.spare.take(disk, &shared.root, sequence, shared.settings.spare_bytes_max())
                && error.kind() != io::ErrorKind::NotFound
            {
                let path = journal::path_of(&shared.root, sequence);
                tracing::warn!(path = %path.display(), %error, "an old journal stays behind until the next start");
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::TopicConfig;

    #[test]
    fn an_image_is_read_as_written_or_not_at_all() {
        let meta = SegmentMeta {
            base_offset: 5,
            generation: 0,
            length: 100,
            max_time: 9,
            created_ms: 8,
            cleaned_ms: -1,
            tombstones: false,
        };
        let partition =
            PartitionImage { start: 5, end: 9, cleaned_to: 5, segments: vec![meta], producers: Producers::default() };
        let entry = TopicEntry { id: 7, name: "t".into(), config: TopicConfig::with_partitions(1) };
        let image = Image {
            journal_sequence: 3,
            next_arrival: 99,
            topics: vec![TopicImage { entry, partitions: vec![partition] }],
        };
        let mut bytes = image.encode();
        assert_eq!(Image::decode(&bytes), Some(image));
        for at in 0..bytes.len() {
            assert_eq!(Image::decode(&bytes[..at]), None);
            bytes[at] ^= 0x10;
            assert_eq!(Image::decode(&bytes), None);
            bytes[at] ^= 0x10;
        }
    }
}
