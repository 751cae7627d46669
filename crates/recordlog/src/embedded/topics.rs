//! The topics of a log, as they are now.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use parking_lot::RwLock;
use tokio::sync::watch;

use super::{
    entry::TopicEntry,
    partition::{Partition, State},
};
use crate::{LogError, Result, Topic, TopicConfig, TopicPartition, settings::Effective};

/// A topic and its partitions.
#[derive(Debug)]
pub(super) struct TopicState {
    pub id: u128,
    pub name: Arc<str>,
    /// Where its segments are.
    pub dir: PathBuf,
    pub live: RwLock<Live>,
    /// Counts the commits to it.
    pub changed: watch::Sender<u64>,
}

/// What of a topic can change.
#[derive(Debug, Clone)]
pub(super) struct Live {
    pub config: TopicConfig,
    pub effective: Arc<Effective>,
    pub partitions: Vec<Arc<Partition>>,
}

/// All topics, by name.
pub(super) type Topics = BTreeMap<Arc<str>, Arc<TopicState>>;

/// Numbers partitions within the process.
static SLOTS: AtomicU64 = AtomicU64::new(0);

/// The directory of a topic's segments: by id, so that a topic that is deleted and made again begins with nothing.
pub(super) fn dir_of(topics_dir: &Path, id: u128) -> PathBuf {
    topics_dir.join(format!("{id:032x}"))
}

impl TopicState {
    /// A topic without records.
    pub fn new(topics_dir: &Path, entry: &TopicEntry) -> Arc<TopicState> {
        let name: Arc<str> = entry.name.as_str().into();
        let partitions = (0..entry.config.partitions).map(|number| empty_partition(&name, entry.id, number));
        let live = Live {
            config: entry.config.clone(),
            effective: Arc::new(Effective::of(&entry.config)),
            partitions: partitions.collect(),
        };
        Arc::new(TopicState {
            id: entry.id,
            dir: dir_of(topics_dir, entry.id),
            live: RwLock::new(live),
            changed: watch::Sender::new(0),
            name,
        })
    }

    /// Give it another config, with as many partitions or more.
    pub fn alter(&self, config: &TopicConfig) {
        let mut live = self.live.write();
        let have = u32::try_from(live.partitions.len()).unwrap_or(u32::MAX);
        live.partitions.extend((have..config.partitions).map(|number| empty_partition(&self.name, self.id, number)));
        live.effective = Arc::new(Effective::of(config));
        live.config = config.clone();
    }

    pub fn partition(&self, number: u32) -> Result<Arc<Partition>> {
        let live = self.live.read();
        let found = usize::try_from(number).ok().and_then(|number| live.partitions.get(number));
        found.cloned().ok_or_else(|| LogError::UnknownPartition(TopicPartition::new(Arc::clone(&self.name), number)))
    }

    pub fn partitions(&self) -> Vec<Arc<Partition>> {
        self.live.read().partitions.clone()
    }

    pub fn entry(&self) -> TopicEntry {
        TopicEntry { id: self.id, name: self.name.to_string(), config: self.live.read().config.clone() }
    }

    pub fn public(&self) -> Topic {
        Topic { name: Arc::clone(&self.name), id: self.id, config: self.live.read().config.clone() }
    }

    /// Tell those who watch.
    pub fn bump(&self) {
        self.changed.send_modify(|count| *count = count.wrapping_add(1));
    }
}

fn empty_partition(topic: &Arc<str>, topic_id: u128, number: u32) -> Arc<Partition> {
    Arc::new(Partition {
        name: TopicPartition::new(Arc::clone(topic), number),
        topic_id,
        slot: SLOTS.fetch_add(1, Ordering::Relaxed),
        state: RwLock::new(State::default()),
    })
}
