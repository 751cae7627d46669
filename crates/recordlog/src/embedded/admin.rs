//! Making, changing and deleting topics, and forgetting records: each is one durable journal entry, then shown.

use std::{collections::BTreeMap, sync::Arc};

use super::{
    Shared,
    entry::{Entry, TopicEntry},
    partition::Partition,
    segment::Segment,
    topics::TopicState,
    writer::Writer,
};
use crate::{
    LogError, Offset, Result, Topic, TopicConfig,
    settings::{spec, validate_topic_name},
};

fn find(shared: &Shared, name: &str) -> Result<Arc<TopicState>> {
    shared.topics.read().get(name).cloned().ok_or_else(|| LogError::UnknownTopic(name.to_owned()))
}

pub(super) fn create_topic(shared: &Shared, writer: &mut Writer, name: &str, mut config: TopicConfig) -> Result<Topic> {
    validate_topic_name(name)?;
    config.replicas = config.replicas.max(1);
    config.validate()?;
    if shared.topics.read().contains_key(name) {
        return Err(LogError::TopicExists(name.to_owned()));
    }
    let entry = TopicEntry { id: shared.host.random.next_u128(), name: name.to_owned(), config };
    writer.record(shared, &Entry::Topic(entry.clone()))?;
    let topic = TopicState::new(&shared.topics_dir, &entry);
    shared.topics.write().insert(Arc::clone(&topic.name), Arc::clone(&topic));
    Ok(topic.public())
}

pub(super) fn delete_topic(shared: &Shared, writer: &mut Writer, name: &str) -> Result<()> {
    let topic = find(shared, name)?;
    writer.record(shared, &Entry::Deleted(topic.id))?;
    shared.topics.write().remove(name);
    for partition in topic.partitions() {
        let mut state = partition.state.write();
        state.deleted = true;
        state.tail.clear();
        let segments = std::mem::take(&mut state.segments);
        (state.start, state.end) = (0, 0);
        drop(state);
        remove_files(shared, &segments);
    }
    match shared.host.disk.remove_dir_all(&topic.dir) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            tracing::warn!(topic = name, %error, "a deleted topic's directory stays behind until the next start");
        }
        _ => {}
    }
    topic.bump();
    Ok(())
}

pub(super) fn alter_topic(
    shared: &Shared,
    writer: &mut Writer,
    name: &str,
    settings: BTreeMap<String, Option<String>>,
    partitions: Option<u32>,
) -> Result<Topic> {
    let topic = find(shared, name)?;
    let mut entry = topic.entry();
    for (setting, value) in settings {
        match value {
            Some(value) => {
                entry.config.settings.insert(setting, value);
            }
            None if spec(&setting).is_some() => {
                entry.config.settings.remove(&setting);
            }
            None => return Err(LogError::Invalid(format!("there is no topic setting {setting:?}"))),
        }
    }
    if let Some(partitions) = partitions {
        if partitions < entry.config.partitions {
            let have = entry.config.partitions;
            return Err(LogError::Invalid(format!("{name} has {have} partitions, it cannot be given {partitions}")));
        }
        entry.config.partitions = partitions;
    }
    entry.config.validate()?;
    writer.record(shared, &Entry::Topic(entry.clone()))?;
    topic.alter(&entry.config);
    Ok(topic.public())
}

pub(super) fn delete_records(
    shared: &Shared,
    writer: &mut Writer,
    partition: &Arc<Partition>,
    before: Offset,
) -> Result<()> {
    {
        let state = partition.state.read();
        if state.deleted {
            return Err(LogError::UnknownTopic(partition.name.topic.to_string()));
        }
        if before < 0 || before > state.end {
            let (start, end) = (state.start, state.end);
            return Err(LogError::OutOfRange { partition: partition.name.clone(), offset: before, start, end });
        }
        if before <= state.start {
            return Ok(());
        }
    }
    retire(shared, writer, partition, before).map(drop)
}

/// Forget the records before `start`, durably; the segments that went.
pub(super) fn retire(
    shared: &Shared,
    writer: &mut Writer,
    partition: &Arc<Partition>,
    start: Offset,
) -> Result<Vec<Segment>> {
    let entry = Entry::Start { topic_id: partition.topic_id, partition: partition.name.partition, start };
    writer.record(shared, &entry)?;
    let gone = partition.state.write().retire_before(start);
    remove_files(shared, &gone);
    Ok(gone)
}

pub(super) fn remove_files(shared: &Shared, segments: &[Segment]) {
    for segment in segments {
        shared.files.remove(&segment.file);
    }
}
