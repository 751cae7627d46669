//! The log's interface over all of it.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use async_trait::async_trait;
use parking_lot::Mutex;
use recordlog::{
    Commit, CommitTicket, LogError, Offset, Offsets, RecordLog, Result, StoredBatch, Topic, TopicConfig, TopicPartition,
};
use tokio::sync::{oneshot, watch};

use crate::{
    admin::{Admin, apart},
    broker::Wire,
    caretaker::Caretaker,
    client::{Health, Reporting},
    commits::{Handle, Queue, Waiting},
    config::ClusterConfig,
    errors,
    fetchers::Fetchers,
    native::Client,
    places::{Askers, Places},
    topics::Topics,
    watchers::Watchers,
    writer::{self, Identity, Surroundings},
};

/// The log on a Kafka cluster.
///
/// Methods that are not `async` may wait for the cluster, for some seconds at most: call them where that keeps nobody
/// else waiting.
pub struct ClusterLog {
    // Stops before what it looks after.
    _caretaker: Caretaker,
    writers: Mutex<HashMap<Option<Arc<str>>, Handle>>,
    /// Name of this process's own transactions.
    own_name: String,
    surroundings: Arc<Surroundings>,
}

impl ClusterLog {
    /// Connect to a cluster. Waits for it to answer.
    ///
    /// # Errors
    /// [`LogError::Invalid`] where a setting is not possible, [`LogError::Unavailable`] where no broker answers.
    pub async fn open(config: ClusterConfig, host: host::Host) -> Result<Arc<ClusterLog>> {
        config.check()?;
        let surroundings = apart(move || ClusterLog::connect(config, host)).await?;
        let own_name = format!("process-{:016x}", surroundings.host.random.next_u64());
        let caretaker = Caretaker::start(Arc::clone(&surroundings))?;
        Ok(Arc::new(ClusterLog { _caretaker: caretaker, writers: Mutex::default(), own_name, surroundings }))
    }

    fn connect(config: ClusterConfig, host: host::Host) -> Result<Arc<Surroundings>> {
        // Its errors name the setting that is not possible.
        let wire = Wire::new(&config)?;
        let fetchers = Fetchers::new(&config, Arc::clone(&wire))?;
        let producing = config.producing()?;
        let health = Arc::new(Health::default());
        let reporting = Reporting { health: Arc::clone(&health) };
        let failed = |e| errors::of(&format!("connecting to {}", config.bootstrap), &e);
        let admin = config.admin().create_with_context(reporting.clone()).map_err(failed)?;
        let asker: Client = config.asker().create_with_context(reporting.clone()).map_err(failed)?;
        let watchers = Arc::new(Watchers::default());
        let asker_of_all: Client = config.asker_of_all().create_with_context(reporting).map_err(failed)?;
        let askers = Askers { asker, asker_of_all };
        let places = Places::new(askers, health, host.clone(), fetchers, Arc::clone(&watchers));
        let (admin, topics) = (Admin::new(admin), Topics::default());
        if let Err(error) = topics.refresh(places.asker(), &admin) {
            // librdkafka tries again and again without a word of why; a connection of our own tells.
            return Err(match (error, wire.probe()) {
                (LogError::Unavailable(_), Err(LogError::Invalid(why))) => LogError::Invalid(why),
                (LogError::Unavailable(text), Err(why)) => {
                    LogError::Unavailable(format!("the cluster at {} does not answer: {text}: {why}", config.bootstrap))
                }
                (other, _) => other,
            });
        }
        Ok(Arc::new(Surroundings { config, producing, wire, host, topics, places, admin, watchers }))
    }

    fn check(&self, partition: &TopicPartition) -> Result<()> {
        let Surroundings { topics, places, admin, host, .. } = &*self.surroundings;
        topics.check(partition, places.asker(), admin, host.clock.monotonic())
    }

    /// The queue of a writer, which is started if it was not.
    fn queue(&self, name: Option<&Arc<str>>) -> Result<Arc<Queue>> {
        let mut writers = self.writers.lock();
        if let Some(handle) = writers.get(&name.cloned()) {
            return Ok(Arc::clone(&handle.0));
        }
        let identity = match name {
            Some(name) => Identity::Named(Arc::clone(name)),
            None => Identity::Nobody(self.own_name.clone()),
        };
        let queue = Arc::new(Queue::default());
        writer::start(identity, Arc::clone(&queue), Arc::clone(&self.surroundings))?;
        writers.insert(name.cloned(), Handle(Arc::clone(&queue)));
        Ok(queue)
    }
}

#[async_trait]
impl RecordLog for ClusterLog {
    async fn create_topic(&self, name: &str, config: TopicConfig) -> Result<Topic> {
        let (all, name) = (Arc::clone(&self.surroundings), name.to_owned());
        apart(move || {
            let Surroundings { topics, places, admin, host, .. } = &*all;
            admin.create(&name, &config)?;
            places.forget(&name);
            let is_there = |topic: Option<&Topic>| topic.is_some_and(|t| t.config.partitions == config.partitions);
            let topic = topics.settle(&name, places.asker(), admin, host, is_there)?;
            topic.ok_or(LogError::UnknownTopic(name))
        })
        .await
    }

    async fn delete_topic(&self, name: &str) -> Result<()> {
        let (all, name) = (Arc::clone(&self.surroundings), name.to_owned());
        apart(move || {
            let Surroundings { topics, places, admin, host, watchers, .. } = &*all;
            admin.delete(&name)?;
            places.forget(&name);
            topics.settle(&name, places.asker(), admin, host, |topic| topic.is_none())?;
            watchers.fire(&name);
            Ok(())
        })
        .await
    }

    async fn alter_topic(
        &self,
        name: &str,
        settings: BTreeMap<String, Option<String>>,
        partitions: Option<u32>,
    ) -> Result<Topic> {
        let (all, name) = (Arc::clone(&self.surroundings), name.to_owned());
        apart(move || {
            let Surroundings { topics, places, admin, host, .. } = &*all;
            let unknown = || LogError::UnknownTopic(name.clone());
            let topic = topics.look(&name, places.asker(), admin)?.ok_or_else(unknown)?;
            let mut wanted = topic.config.settings.clone();
            for (setting, value) in settings {
                match value {
                    Some(value) => drop(wanted.insert(setting, value)),
                    None => drop(wanted.remove(&setting)),
                }
            }
            let grown = partitions.unwrap_or(topic.config.partitions);
            if grown < topic.config.partitions {
                let has = topic.config.partitions;
                return Err(LogError::Invalid(format!("topic {name} has {has} partitions, which cannot become fewer")));
            }
            if wanted != topic.config.settings {
                admin.set(&name, &wanted)?;
            }
            if grown > topic.config.partitions {
                admin.grow(&name, grown)?;
            }
            let is_done =
                |t: Option<&Topic>| t.is_none_or(|t| t.config.partitions >= grown && t.config.settings == wanted);
            topics.settle(&name, places.asker(), admin, host, is_done)?.ok_or_else(unknown)
        })
        .await
    }

    fn topic(&self, name: &str) -> Result<Option<Topic>> {
        let Surroundings { topics, places, admin, host, .. } = &*self.surroundings;
        topics.find(name, places.asker(), admin, host.clock.monotonic())
    }

    fn topics(&self) -> Vec<Topic> {
        self.surroundings.topics.all()
    }

    async fn take_over(&self, writer: &str) -> Result<()> {
        let answer = self.queue(Some(&writer.into()))?.take_over();
        answer.await.unwrap_or(Err(LogError::Closed))
    }

    fn release(&self, writer: &str) {
        let handle = self.writers.lock().remove(&Some(writer.into()));
        // Not under the lock: it closes a queue.
        drop(handle);
    }

    async fn settle(&self, partition: &TopicPartition) -> Result<()> {
        self.check(partition)?;
        let (all, partition) = (Arc::clone(&self.surroundings), partition.clone());
        apart(move || all.places.settle(&partition)).await
    }

    fn commit(&self, commit: Commit) -> CommitTicket {
        let (reply, ticket) = oneshot::channel();
        match self.queue(commit.writer.as_ref()) {
            Ok(queue) => queue.commit(Waiting { commit, reply }),
            Err(error) => drop(reply.send(Err(error))),
        }
        ticket
    }

    fn offsets(&self, partition: &TopicPartition) -> Result<Offsets> {
        self.check(partition)?;
        self.surroundings.places.offsets(partition)
    }

    fn arrival_end(&self) -> Option<u64> {
        None
    }

    fn read(&self, partition: &TopicPartition, from: Offset, bytes_max: usize) -> Result<Vec<StoredBatch>> {
        self.check(partition)?;
        self.surroundings.places.read(partition, from, bytes_max)
    }

    fn offset_for_time(&self, partition: &TopicPartition, time_ms: i64) -> Result<Option<Offset>> {
        self.check(partition)?;
        self.surroundings.places.offset_for_time(partition, time_ms)
    }

    async fn delete_records(&self, partition: &TopicPartition, before: Offset) -> Result<()> {
        self.check(partition)?;
        let (all, partition) = (Arc::clone(&self.surroundings), partition.clone());
        apart(move || {
            let Offsets { start, end } = all.places.offsets(&partition)?;
            if before > end {
                return Err(LogError::OutOfRange { partition, offset: before, start, end });
            }
            all.admin.delete_records(&partition, before)?;
            all.places.deleted(&partition, start.max(before));
            Ok(())
        })
        .await
    }

    fn watch(&self, topic: &str) -> Result<watch::Receiver<u64>> {
        let Surroundings { topics, places, admin, host, watchers, .. } = &*self.surroundings;
        let found = topics.find(topic, places.asker(), admin, host.clock.monotonic())?;
        found.ok_or_else(|| LogError::UnknownTopic(topic.to_owned()))?;
        Ok(watchers.sender(topic).subscribe())
    }

    fn size_bytes(&self, partition: &TopicPartition) -> Result<u64> {
        self.check(partition)?;
        Err(LogError::Invalid(format!("{partition}: brokers do not tell how much of their disks it takes")))
    }
}
