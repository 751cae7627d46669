//! Slots that the processes of a service share out among them: the partitions of a topic, given away by a consumer
//! group, one process each.
//!
//! Assignment is cooperative and sticky: a slot stays where it is unless the shares would become uneven, and only slots
//! that move stop. Whoever loses one is waited for, a while, until it has finished what it did there. As with the
//! [seat](crate::Seat), who has a slot is a hint; what may be written is decided by transactions.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use parking_lot::{Condvar, Mutex};
use rdkafka::{
    ClientContext, TopicPartitionList,
    config::RDKafkaLogLevel,
    consumer::{BaseConsumer, Consumer, ConsumerContext, Rebalance},
    error::KafkaError,
};
use recordlog::{LogError, Result};
use tokio::sync::watch;

use crate::{
    admin::apart,
    client::{Health, Reporting},
    config::ClusterConfig,
    errors,
    look_again::look_for,
};

/// How long the thread waits for something to happen before it looks whether it is to end.
const POLL: Duration = Duration::from_millis(100);

/// A slot that is taken away is waited for so long. Its next holder shuts out whoever is not done by then.
const HANDOVER_WAIT: Duration = Duration::from_secs(5);

/// Longest that brokers are waited for when they are asked who has which slot; they are asked twice.
const LIST_TIMEOUT: Duration = Duration::from_secs(2);

/// Slots by number.
pub type SlotSet = BTreeSet<u32>;

/// Slots in which this process still works.
#[derive(Default)]
struct Busy {
    slots: Mutex<SlotSet>,
    fewer: Condvar,
}

impl Busy {
    fn wait_without(&self, gone: &SlotSet) {
        let mut slots = self.slots.lock();
        while !slots.is_disjoint(gone) {
            if self.fewer.wait_for(&mut slots, HANDOVER_WAIT).timed_out() {
                return;
            }
        }
    }
}

/// Hears what the group decides.
struct Listener {
    reporting: Reporting,
    held: watch::Sender<SlotSet>,
    busy: Arc<Busy>,
}

impl ClientContext for Listener {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        self.reporting.log(level, facility, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        self.reporting.error(error, reason);
    }
}

fn numbers(partitions: &TopicPartitionList) -> SlotSet {
    partitions.elements().iter().filter_map(|place| u32::try_from(place.partition()).ok()).collect()
}

impl ConsumerContext for Listener {
    fn pre_rebalance(&self, _: &BaseConsumer<Self>, rebalance: &Rebalance<'_>) {
        if let Rebalance::Revoke(partitions) = rebalance {
            let gone = numbers(partitions);
            self.held.send_modify(|held| held.retain(|slot| !gone.contains(slot)));
            self.busy.wait_without(&gone);
        }
    }

    fn post_rebalance(&self, _: &BaseConsumer<Self>, rebalance: &Rebalance<'_>) {
        if let Rebalance::Assign(partitions) = rebalance {
            let new = numbers(partitions);
            self.held.send_modify(|held| held.extend(new));
        }
    }
}

/// A share of the slots. Given up when dropped.
pub struct Slots {
    held: watch::Receiver<SlotSet>,
    busy: Arc<Busy>,
    stopped: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Slots {
    /// Take part in sharing out the partitions of `topic`. `instance`: this process's name among the others; one of the
    /// same name that was there before is the same to the cluster. `address`: where the others reach this process.
    ///
    /// # Errors
    /// A setting is not possible.
    pub fn join(config: &ClusterConfig, topic: &str, instance: Option<&str>, address: &str) -> Result<Slots> {
        config.check()?;
        let (sender, held) = watch::channel(SlotSet::new());
        let busy = Arc::<Busy>::default();
        let reporting = Reporting { health: Arc::new(Health::default()) };
        let listener = Listener { reporting, held: sender, busy: Arc::clone(&busy) };
        let failed = |e| errors::of(&format!("joining the group of {topic}"), &e);
        let mut client = config.member(topic, instance);
        client.set("client.id", client_id(config, address));
        let consumer: BaseConsumer<Listener> = client.create_with_context(listener).map_err(failed)?;
        consumer.subscribe(&[topic]).map_err(failed)?;
        let stopped = Arc::new(AtomicBool::new(false));
        let stop = Arc::clone(&stopped);
        let poll = move || {
            while !stop.load(Ordering::Relaxed) {
                // The topic holds nothing.
                match consumer.poll(POLL) {
                    Some(Err(error @ KafkaError::MessageConsumptionFatal(_))) => {
                        tracing::error!(%error, "this process is shut out of its group: is another one of the same name?");
                        consumer.context().held.send_replace(SlotSet::new());
                        break;
                    }
                    Some(Err(error)) => tracing::debug!(%error, "waiting for slots"),
                    _ => {}
                }
            }
            consumer.unsubscribe();
        };
        let thread = thread::Builder::new().name("slots".to_owned()).spawn(poll);
        let thread = thread.map_err(|e| LogError::Io { what: "starting a thread".to_owned(), error: e.to_string() })?;
        Ok(Slots { held, busy, stopped, thread: Some(thread) })
    }

    /// The slots held now.
    pub fn held(&mut self) -> SlotSet {
        self.held.borrow_and_update().clone()
    }

    /// Wait until others are held than [`Slots::held`] said last.
    pub async fn changed(&mut self) {
        if self.held.changed().await.is_err() {
            // Nobody gives or takes any more.
            std::future::pending::<()>().await;
        }
    }

    /// This process works in these slots, and in no others any more.
    pub fn works_in(&self, slots: SlotSet) {
        *self.busy.slots.lock() = slots;
        self.busy.fewer.notify_all();
    }
}

impl Drop for Slots {
    fn drop(&mut self) {
        self.works_in(SlotSet::new());
        self.stopped.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// A member's name for itself, by which others find where it is reached.
fn client_id(config: &ClusterConfig, address: &str) -> String {
    format!("millstream-{}@{address}", config.service)
}

/// Who has which slot, as the cluster knows it.
pub struct Holders {
    client: Arc<crate::native::Client>,
    topic: String,
}

impl Holders {
    /// Those of the slots of `topic`.
    ///
    /// # Errors
    /// A setting is not possible.
    pub fn of(config: &ClusterConfig, topic: &str) -> Result<Holders> {
        config.check()?;
        let reporting = Reporting { health: Arc::new(Health::default()) };
        let failed = |e| errors::of(&format!("asking for the group of {topic}"), &e);
        let client = config.asker_of_all().create_with_context(reporting).map_err(failed)?;
        Ok(Holders { client: Arc::new(client), topic: topic.to_owned() })
    }

    /// By slot, where the process is reached that has it. While slots are shared out anew some or all of them are missing.
    ///
    /// # Errors
    /// The cluster does not answer.
    pub async fn addresses(&self) -> Result<BTreeMap<u32, String>> {
        let (client, topic) = (Arc::clone(&self.client), self.topic.clone());
        apart(move || {
            let failed = |e| errors::of(&format!("asking for the group of {topic}"), &e);
            // All brokers are asked: one that is gone is still among them until the client looks again.
            let groups = match client.fetch_group_list(Some(topic.as_str()), LIST_TIMEOUT) {
                Ok(groups) => groups,
                Err(_) => {
                    look_for(client.client(), &topic, 0);
                    client.fetch_group_list(Some(topic.as_str()), LIST_TIMEOUT).map_err(failed)?
                }
            };
            let mut found = BTreeMap::new();
            for member in groups.groups().iter().filter(|group| group.name() == topic).flat_map(|g| g.members()) {
                let Some((_, address)) = member.client_id().split_once('@') else { continue };
                let slots = assigned(member.assignment().unwrap_or_default(), &topic).unwrap_or_default();
                found.extend(slots.into_iter().map(|slot| (slot, address.to_owned())));
            }
            Ok(found)
        })
        .await
    }
}

/// The partitions of `topic` in a member's assignment: version, topics with partitions, all big-endian. `None`: it is cut
/// off.
fn assigned(bytes: &[u8], topic: &str) -> Option<Vec<u32>> {
    fn take<const N: usize>(bytes: &mut &[u8]) -> Option<[u8; N]> {
        let (head, rest) = bytes.split_first_chunk::<N>()?;
        *bytes = rest;
        Some(*head)
    }
    let (mut rest, mut found) = (bytes, vec![]);
    let _version: [u8; 2] = take(&mut rest)?;
    let topics = i32::from_be_bytes(take(&mut rest)?);
    for _ in 0..topics {
        let length = usize::try_from(i16::from_be_bytes(take(&mut rest)?)).ok()?;
        let (name, behind) = rest.split_at_checked(length)?;
        rest = behind;
        let partitions = i32::from_be_bytes(take(&mut rest)?);
        for _ in 0..partitions {
            let partition = i32::from_be_bytes(take(&mut rest)?);
            if name == topic.as_bytes() {
                found.push(u32::try_from(partition).ok()?);
            }
        }
    }
    Some(found)
}

#[cfg(test)]
mod tests {
    use super::assigned;

    #[test]
    fn an_assignment_names_partitions_by_topic() {
        let check = |bytes: &[u8], expect: Option<&[u32]>| {
            assert_eq!(assigned(bytes, "t").as_deref(), expect, "{bytes:?}");
        };
        let one = |name: &[u8], partitions: &[i32]| {
            let mut bytes = i16::try_from(name.len()).expect("short").to_be_bytes().to_vec();
            bytes.extend(name);
            bytes.extend(i32::try_from(partitions.len()).expect("few").to_be_bytes());
            partitions.iter().for_each(|p| bytes.extend(p.to_be_bytes()));
            bytes
        };
        let all = |topics: &[Vec<u8>]| {
            let count = i32::try_from(topics.len()).expect("few").to_be_bytes();
            [&[0, 1][..], &count, &topics.concat(), &[255, 255, 255, 255]].concat()
        };
        check(&all(&[one(b"t", &[0, 7])]), Some(&[0, 7]));
        check(&all(&[one(b"u", &[1]), one(b"t", &[2])]), Some(&[2]));
        check(&all(&[]), Some(&[]));
        check(&[0, 1, 0, 0, 0, 1, 0, 1], None);
        check(&[], None);
    }
}
