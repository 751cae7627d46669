//! A seat that one process of a service has at a time: the one partition of a topic, given away by a consumer group.
//!
//! Who has it is decided by the cluster, which notices within the session timeout that a process is gone, and gives the
//! seat to another. It is nothing but a hint of when to take over: what a process that believes to have it may write is
//! decided by transactions.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use rdkafka::{
    ClientContext,
    config::RDKafkaLogLevel,
    consumer::{BaseConsumer, Consumer, ConsumerContext, Rebalance},
    error::KafkaError,
};
use recordlog::{LogError, Result};
use tokio::sync::watch;

use crate::{
    client::{Health, Reporting},
    config::ClusterConfig,
    errors,
};

/// How long the thread waits for something to happen before it looks whether it is to end.
const POLL: Duration = Duration::from_millis(100);

/// Hears what the group decides.
struct Listener {
    reporting: Reporting,
    held: watch::Sender<bool>,
}

impl ClientContext for Listener {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        self.reporting.log(level, facility, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        self.reporting.error(error, reason);
    }
}

impl ConsumerContext for Listener {
    fn pre_rebalance(&self, _: &BaseConsumer<Self>, rebalance: &Rebalance<'_>) {
        if let Rebalance::Revoke(partitions) = rebalance
            && partitions.count() > 0
        {
            self.held.send_replace(false);
        }
    }

    fn post_rebalance(&self, _: &BaseConsumer<Self>, rebalance: &Rebalance<'_>) {
        if let Rebalance::Assign(partitions) = rebalance
            && partitions.count() > 0
        {
            self.held.send_replace(true);
        }
    }
}

/// A place in the row of those who want the seat. Given up when dropped.
pub struct Seat {
    held: watch::Receiver<bool>,
    stopped: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Seat {
    /// Get into the row for `topic`, which has one partition. `instance`: this process's name among the others; one of
    /// the same name that was there before is the same to the cluster.
    ///
    /// # Errors
    /// A setting is not possible.
    pub fn apply(config: &ClusterConfig, topic: &str, instance: Option<&str>) -> Result<Seat> {
        config.check()?;
        let (sender, held) = watch::channel(false);
        let listener = Listener { reporting: Reporting { health: Arc::new(Health::default()) }, held: sender };
        let failed = |e| errors::of(&format!("joining the group of {topic}"), &e);
        let consumer: BaseConsumer<Listener> =
            config.member(topic, instance).create_with_context(listener).map_err(failed)?;
        consumer.subscribe(&[topic]).map_err(failed)?;
        let stopped = Arc::new(AtomicBool::new(false));
        let stop = stopped.clone();
        let poll = move || {
            while !stop.load(Ordering::Relaxed) {
                // What the topic holds is of no interest here.
                if let Some(Err(error)) = consumer.poll(POLL) {
                    tracing::debug!(%error, "waiting for the service");
                }
            }
            consumer.unsubscribe();
        };
        let thread = thread::Builder::new().name("seat".to_owned()).spawn(poll);
        let thread = thread.map_err(|e| LogError::Io { what: "starting a thread".to_owned(), error: e.to_string() })?;
        Ok(Seat { held, stopped, thread: Some(thread) })
    }

    /// Wait until it is held, or is not.
    pub async fn wait(&mut self, held: bool) {
        if self.held.wait_for(|now| *now == held).await.is_err() {
            // Nobody gives it any more.
            if held {
                std::future::pending::<()>().await;
            }
        }
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.stopped.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
