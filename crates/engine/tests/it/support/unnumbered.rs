//! A log that gives no numbers to what arrives, as a cluster does not.

use std::{collections::BTreeMap, sync::Arc};

use recordlog::{
    Commit, CommitTicket, Offset, Offsets, RecordLog, Result, StoredBatch, Topic, TopicConfig, TopicPartition,
};
use tokio::sync::watch;

/// Another log without its numbers.
pub struct Unnumbered(pub Arc<dyn RecordLog>);

#[async_trait::async_trait]
impl RecordLog for Unnumbered {
    async fn create_topic(&self, name: &str, config: TopicConfig) -> Result<Topic> {
        self.0.create_topic(name, config).await
    }

    async fn delete_topic(&self, name: &str) -> Result<()> {
        self.0.delete_topic(name).await
    }

    async fn alter_topic(
        &self,
        name: &str,
        settings: BTreeMap<String, Option<String>>,
        partitions: Option<u32>,
    ) -> Result<Topic> {
        self.0.alter_topic(name, settings, partitions).await
    }

    fn topic(&self, name: &str) -> Result<Option<Topic>> {
        self.0.topic(name)
    }

    fn topics(&self) -> Vec<Topic> {
        self.0.topics()
    }

    async fn take_over(&self, writer: &str) -> Result<()> {
        self.0.take_over(writer).await
    }

    fn commit(&self, commit: Commit) -> CommitTicket {
        self.0.commit(commit)
    }

    fn offsets(&self, partition: &TopicPartition) -> Result<Offsets> {
        self.0.offsets(partition)
    }

    fn arrival_end(&self) -> Option<u64> {
        None
    }

    fn read(&self, partition: &TopicPartition, from: Offset, bytes_max: usize) -> Result<Vec<StoredBatch>> {
        let batches = self.0.read(partition, from, bytes_max)?;
        Ok(batches.into_iter().map(|batch| StoredBatch { arrival: 0, ..batch }).collect())
    }

    fn offset_for_time(&self, partition: &TopicPartition, time_ms: i64) -> Result<Option<Offset>> {
        self.0.offset_for_time(partition, time_ms)
    }

    async fn delete_records(&self, partition: &TopicPartition, before: Offset) -> Result<()> {
        self.0.delete_records(partition, before).await
    }

    fn watch(&self, topic: &str) -> Result<watch::Receiver<u64>> {
        self.0.watch(topic)
    }

    fn size_bytes(&self, partition: &TopicPartition) -> Result<u64> {
        self.0.size_bytes(partition)
    }
}
