//! What all clients of the cluster share: where their words go, and what they tell about whether it can be reached.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use parking_lot::Mutex;
use rdkafka::{
    ClientContext,
    config::RDKafkaLogLevel,
    consumer::ConsumerContext,
    error::{KafkaError, RDKafkaErrorCode},
};

use crate::native::Client;

/// Whether the cluster can be reached, as librdkafka sees it.
#[derive(Debug, Default)]
pub(crate) struct Health {
    down: AtomicBool,
    /// What was said last.
    words: Mutex<String>,
}

impl Health {
    /// No broker answers.
    pub fn is_down(&self) -> bool {
        self.down.load(Ordering::Relaxed)
    }

    /// An answer came.
    pub fn answered(&self) {
        if self.down.swap(false, Ordering::Relaxed) {
            tracing::info!("the cluster can be reached again");
        }
    }

    /// What librdkafka said last about why.
    pub fn words(&self) -> String {
        self.words.lock().clone()
    }

    fn failed(&self, error: &KafkaError, reason: &str) {
        *self.words.lock() = reason.to_owned();
        if error.rdkafka_error_code() == Some(RDKafkaErrorCode::AllBrokersDown)
            && !self.down.swap(true, Ordering::Relaxed)
        {
            tracing::warn!(reason, "the cluster cannot be reached");
        }
    }
}

/// Takes what a client has to say.
#[derive(Clone)]
pub(crate) struct Reporting {
    pub health: Arc<Health>,
}

impl ClientContext for Reporting {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        // One set of properties goes to readers and writers, so each is told about some that it has no use for.
        let unused = facility == "CONFWARN";
        match level {
            RDKafkaLogLevel::Emerg | RDKafkaLogLevel::Alert | RDKafkaLogLevel::Critical | RDKafkaLogLevel::Error => {
                tracing::warn!(target: "librdkafka", facility, "{message}");
            }
            RDKafkaLogLevel::Warning if !unused => tracing::info!(target: "librdkafka", facility, "{message}"),
            _ => tracing::debug!(target: "librdkafka", facility, "{message}"),
        }
    }

    fn error(&self, error: KafkaError, reason: &str) {
        self.health.failed(&error, reason);
    }
}

impl ConsumerContext for Reporting {}

/// Let a client say what it has to say.
pub(crate) fn serve(client: &Client) {
    // It fetches nothing; what is here are errors, which the client's context has seen already.
    while client.poll(Duration::ZERO).is_some() {}
}
