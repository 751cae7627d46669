//! The cluster's topics as known here: asked for in the background, and at once when one is missing.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
    time::Duration,
};

use parking_lot::{Mutex, RwLock};
use rdkafka::consumer::Consumer;
use recordlog::{LogError, Result, Topic, TopicConfig, TopicPartition};

use crate::{
    admin::{Admin, Settings},
    ends::ASK_TIMEOUT,
    errors,
    look_again::look_for,
    native::{self, Client},
};

/// Longest that the cluster is waited for when it is asked what topics are; it is asked twice.
const DESCRIBE_TIMEOUT: Duration = Duration::from_secs(3);
/// Topics that one question is about.
const TOPICS_ASKED: usize = 200;
/// That a topic is not there is believed for so long.
const MISSING_AGE: Duration = Duration::from_millis(100);
/// Names of missing topics that are remembered.
const MISSING_MAX: usize = 1000;
/// A topic that was made is waited for to appear for so long, and one that was dropped to go.
const SETTLE_WAIT: Duration = Duration::from_secs(10);
/// Between two looks whether it has.
const SETTLE_PAUSE: Duration = Duration::from_millis(5);

/// What topics there are.
#[derive(Default)]
pub(crate) struct Topics {
    known: RwLock<BTreeMap<Arc<str>, Topic>>,
    missing: Mutex<HashMap<String, Duration>>,
}

impl Topics {
    /// All that are known.
    pub fn all(&self) -> Vec<Topic> {
        self.known.read().values().cloned().collect()
    }

    /// One, if it is known.
    pub fn known(&self, name: &str) -> Option<Topic> {
        self.known.read().get(name).cloned()
    }

    /// One; the cluster is asked when it is not known. `now`: monotonic time.
    pub fn find(&self, name: &str, client: &Client, admin: &Admin, now: Duration) -> Result<Option<Topic>> {
        if let Some(topic) = self.known(name) {
            return Ok(Some(topic));
        }
        if self.missing.lock().get(name).is_some_and(|at| now.saturating_sub(*at) < MISSING_AGE) {
            return Ok(None);
        }
        let topic = self.look(name, client, admin)?;
        if topic.is_none() {
            let mut missing = self.missing.lock();
            if missing.len() >= MISSING_MAX {
                missing.clear();
            }
            missing.insert(name.to_owned(), now);
        }
        Ok(topic)
    }

    /// One as the cluster knows it now.
    pub fn look(&self, name: &str, client: &Client, admin: &Admin) -> Result<Option<Topic>> {
        let topic = describe(&[name], client, admin)?.into_iter().next();
        match &topic {
            Some(topic) => {
                self.missing.lock().remove(name);
                self.known.write().insert(Arc::clone(&topic.name), topic.clone());
            }
            None => drop(self.known.write().remove(name)),
        }
        Ok(topic)
    }

    /// Ask for all of them; gives the names of those that are gone, or are others than before.
    pub fn refresh(&self, client: &Client, admin: &Admin) -> Result<Vec<Arc<str>>> {
        let metadata = client.fetch_metadata(None, ASK_TIMEOUT).map_err(|e| errors::of("asking for topics", &e))?;
        let names: Vec<&str> = metadata.topics().iter().map(|topic| topic.name()).collect();
        let mut found = BTreeMap::new();
        for names in names.chunks(TOPICS_ASKED) {
            found.extend(describe(names, client, admin)?.into_iter().map(|topic| (Arc::clone(&topic.name), topic)));
        }
        let mut known = self.known.write();
        let changed = |topic: &&Topic| found.get(&topic.name).is_none_or(|now| now.id != topic.id);
        let gone = known.values().filter(changed).map(|topic| Arc::clone(&topic.name)).collect();
        *known = found;
        Ok(gone)
    }

    /// Wait until a topic is as it should be; every broker learns of a change in its own time.
    pub fn settle(
        &self,
        name: &str,
        client: &Client,
        admin: &Admin,
        host: &host::Host,
        is_done: impl Fn(Option<&Topic>) -> bool,
    ) -> Result<Option<Topic>> {
        let begun = host.clock.monotonic();
        loop {
            let topic = self.look(name, client, admin)?;
            if is_done(topic.as_ref()) {
                return Ok(topic);
            }
            if host.clock.monotonic().saturating_sub(begun) > SETTLE_WAIT {
                let text = format!("topic {name}: the change has not reached all brokers within {SETTLE_WAIT:?}");
                return Err(LogError::Unavailable(text));
            }
            std::thread::sleep(SETTLE_PAUSE);
        }
    }

    /// Whether a partition is there.
    pub fn check(&self, partition: &TopicPartition, client: &Client, admin: &Admin, now: Duration) -> Result<()> {
        let topic = self.find(&partition.topic, client, admin, now)?;
        let topic = topic.ok_or_else(|| LogError::UnknownTopic(partition.topic.to_string()))?;
        if partition.partition < topic.config.partitions {
            return Ok(());
        }
        // It may have grown since.
        let grown = self.look(&partition.topic, client, admin)?;
        match grown.is_some_and(|topic| partition.partition < topic.config.partitions) {
            true => Ok(()),
            false => Err(LogError::UnknownPartition(partition.clone())),
        }
    }
}

/// Topics of these names, those that are there.
fn describe(names: &[&str], client: &Client, admin: &Admin) -> Result<Vec<Topic>> {
    let Some(first) = names.first() else { return Ok(vec![]) };
    let ask = || {
        let described = native::describe_topics(client, names, DESCRIBE_TIMEOUT);
        described.map_err(|(code, text)| match errors::of_code("asking for topics", code) {
            LogError::Unavailable(words) => LogError::Unavailable(format!("{words}: {text}")),
            _ => LogError::Invalid(format!("asking for topics: {text}")),
        })
    };
    let mut described = ask();
    if matches!(described, Err(LogError::Unavailable(_))) {
        look_for(client.client(), first, 0);
        described = ask();
    }
    let described = described?;
    if described.is_empty() {
        return Ok(vec![]);
    }
    let there: Vec<&str> = described.iter().map(|topic| topic.name.as_str()).collect();
    let mut settings: HashMap<String, Settings> = admin.settings(&there)?;
    let topic = |found: native::Described| {
        let settings = settings.remove(&found.name).unwrap_or_default();
        let config = TopicConfig { partitions: found.partitions, replicas: found.replicas, settings };
        Topic { name: found.name.into(), id: found.id, config }
    };
    Ok(described.into_iter().map(topic).collect())
}
