//! What is asked of the cluster about topics as a whole: to make, change, empty and drop them. Everything here waits;
//! [`apart`] runs it where nobody else is kept waiting.

use std::{
    collections::{BTreeMap, HashMap},
    future::Future,
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll, Wake, Waker},
    thread::{self, Thread},
};

use rdkafka::{
    Offset as At, TopicPartitionList,
    admin::{
        AdminClient, AdminOptions, AlterConfig, ConfigResource, ConfigSource, NewPartitions, NewTopic,
        OwnedResourceSpecifier, ResourceSpecifier, TopicReplication, TopicResult,
    },
    error::{KafkaError, RDKafkaErrorCode},
};
use recordlog::{LogError, Offset, Result, TopicConfig, TopicPartition};
use tokio::sync::oneshot;

use crate::{client::Reporting, ends, errors, look_again::look_for};

/// A topic's settings by their names.
pub(crate) type Settings = BTreeMap<String, String>;

/// Asks for changes.
pub(crate) struct Admin {
    client: AdminClient<Reporting>,
    /// Something was not answered: which brokers there are is to be asked for anew before the next question.
    doubt: AtomicBool,
}

impl Admin {
    /// Over a client of its own.
    pub fn new(client: AdminClient<Reporting>) -> Admin {
        Admin { client, doubt: AtomicBool::new(false) }
    }

    /// Ask something about a topic.
    fn asked<T>(&self, name: &str, ask: impl FnOnce(&AdminClient<Reporting>) -> Result<T>) -> Result<T> {
        if self.doubt.swap(false, Ordering::Relaxed) {
            look_for(self.client.inner(), name, 0);
        }
        let answer = ask(&self.client);
        if matches!(answer, Err(LogError::Unavailable(_))) {
            self.doubt.store(true, Ordering::Relaxed);
        }
        answer
    }

    fn options() -> AdminOptions {
        AdminOptions::new().request_timeout(Some(ends::ASK_TIMEOUT)).operation_timeout(Some(ends::ASK_TIMEOUT))
    }

    /// Make a topic.
    pub fn create(&self, name: &str, config: &TopicConfig) -> Result<()> {
        let partitions = i32::try_from(config.partitions)
            .map_err(|_| LogError::Invalid(format!("topic {name}: {} partitions are too many", config.partitions)))?;
        // None given: as many as the brokers are set to make.
        let replicas = if config.replicas == 0 { -1 } else { i32::from(config.replicas) };
        let mut topic = NewTopic::new(name, partitions, TopicReplication::Fixed(replicas));
        for (setting, value) in &config.settings {
            topic = topic.set(setting, value);
        }
        self.asked(name, |client| {
            of_topic(name, "creating it", wait(client.create_topics([&topic], &Admin::options())))
        })
    }

    /// Drop a topic.
    pub fn delete(&self, name: &str) -> Result<()> {
        self.asked(name, |client| of_topic(name, "deleting it", wait(client.delete_topics(&[name], &Admin::options()))))
    }

    /// Raise a topic's number of partitions.
    pub fn grow(&self, name: &str, partitions: u32) -> Result<()> {
        let count = usize::try_from(partitions).unwrap_or(usize::MAX);
        let grown = NewPartitions::new(name, count);
        let grow = |client: &AdminClient<_>| wait(client.create_partitions([&grown], &Admin::options()));
        self.asked(name, |client| of_topic(name, "adding partitions", grow(client)))
    }

    /// Settings of topics that were set for them.
    pub fn settings(&self, names: &[&str]) -> Result<HashMap<String, Settings>> {
        let Some(first) = names.first() else { return Ok(HashMap::new()) };
        let asked: Vec<ResourceSpecifier<'_>> = names.iter().map(|name| ResourceSpecifier::Topic(name)).collect();
        let ask = |client: &AdminClient<_>| {
            let answers = wait(client.describe_configs(&asked, &Admin::options()));
            answers.map_err(|e| errors::of("asking for the settings of topics", &e))
        };
        let answers = match self.asked(first, ask) {
            Err(LogError::Unavailable(_)) => self.asked(first, ask)?,
            answers => answers?,
        };
        Ok(answers.into_iter().filter_map(|answer| own_settings(answer.ok()?)).collect())
    }

    /// Give a topic these settings and no others.
    pub fn set(&self, name: &str, settings: &Settings) -> Result<()> {
        let mut change = AlterConfig::new(ResourceSpecifier::Topic(name));
        for (setting, value) in settings {
            change = change.set(setting, value);
        }
        let what = "changing its settings";
        let answers = self.asked(name, |client| {
            let answers = wait(client.alter_configs([&change], &Admin::options()));
            answers.map_err(|e| errors::of(&format!("topic {name}: {what}"), &e))
        })?;
        match answers.into_iter().next() {
            Some(Err((_, code))) => Err(errors::of_topic(name, what, code)),
            _ => Ok(()),
        }
    }

    /// Forget a partition's records before an offset.
    pub fn delete_records(&self, partition: &TopicPartition, before: Offset) -> Result<()> {
        let what = format!("deleting records of {partition} before {before}");
        let mut list = TopicPartitionList::new();
        list.add_partition_offset(&partition.topic, ends::number(partition)?, At::Offset(before))
            .map_err(|e| errors::of(&what, &e))?;
        let failed = |error: KafkaError| match error.rdkafka_error_code() {
            Some(RDKafkaErrorCode::UnknownTopicOrPartition | RDKafkaErrorCode::UnknownPartition) => {
                LogError::UnknownPartition(partition.clone())
            }
            _ => errors::of(&what, &error),
        };
        let delete = |client: &AdminClient<_>| wait(client.delete_records(&list, &Admin::options())).map_err(failed);
        let answer = self.asked(&partition.topic, delete)?;
        answer.elements().iter().try_for_each(|element| element.error()).map_err(failed)
    }
}

fn own_settings(resource: ConfigResource) -> Option<(String, Settings)> {
    let OwnedResourceSpecifier::Topic(name) = resource.specifier else { return None };
    let own = resource.entries.into_iter().filter(|entry| matches!(entry.source, ConfigSource::DynamicTopic));
    Some((name, own.filter_map(|entry| Some((entry.name, entry.value?))).collect()))
}

fn of_topic(name: &str, what: &str, answer: Result<Vec<TopicResult>, KafkaError>) -> Result<()> {
    let answer = answer.map_err(|error| match error.rdkafka_error_code() {
        Some(code) => errors::of_topic(name, what, code),
        None => errors::of(&format!("topic {name}: {what}"), &error),
    })?;
    match answer.into_iter().next() {
        Some(Err((_, code))) => Err(errors::of_topic(name, what, code)),
        _ => Ok(()),
    }
}

/// Wakes the thread that waits.
struct Waiting(Thread);

impl Wake for Waiting {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// Wait for what a thread of librdkafka's completes, in whatever thread this is.
fn wait<T>(future: impl Future<Output = T>) -> T {
    let waker = Waker::from(Arc::new(Waiting(thread::current())));
    let mut future = pin!(future);
    loop {
        match future.as_mut().poll(&mut Context::from_waker(&waker)) {
            Poll::Ready(value) => return value,
            Poll::Pending => thread::park(),
        }
    }
}

/// Run what waits in a thread of its own.
pub(crate) async fn apart<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    let (reply, answer) = oneshot::channel();
    let started = thread::Builder::new().name("kafka-admin".to_owned()).spawn(move || reply.send(work()).is_ok());
    started.map_err(|e| LogError::Io { what: "starting a thread".to_owned(), error: e.to_string() })?;
    answer.await.unwrap_or(Err(LogError::Closed))
}
