//! A producer: what one writer hands to the cluster, in transactions or, record by record, outside of them.
//!
//! Batches go out as they were built, with the producer's numbers on them ([`outgoing`]). A transaction is begun, and
//! ended, with its coordinator ([`coordinator`]); between the two the leaders of its partitions get their batches, some
//! on their way at a time ([`sending`]).
//!
//! What is sent again after a lost connection or a change of leaders has the numbers that it had, so brokers know what
//! they have already. A producer that has failed is not used again: who goes on takes its name over, and begins its
//! numbers anew.

mod coordinator;
mod outgoing;
mod sending;

use std::{
    collections::HashMap,
    sync::Arc,
    time::{Duration, Instant},
};

use kafka_protocol::{
    ResponseError,
    messages::{InitProducerIdRequest, TransactionalId},
    protocol::StrBytes,
};
use recordlog::{Append, Appended, LogError, Result, TopicPartition};

use self::{coordinator::Coordinator, outgoing::Outgoing, sending::Leaders};
use crate::{
    broker::{ANSWER_WAIT, Brokers, words},
    config::ProduceSettings,
};

/// First and longest pause before something is tried again.
const PAUSE: (Duration, Duration) = (Duration::from_millis(1), Duration::from_millis(100));

/// A producer of one thread.
pub(crate) struct Producer {
    settings: ProduceSettings,
    /// Who begins and ends its transactions; `None`: it has none.
    coordinator: Option<Coordinator>,
    leaders: Leaders,
    /// The number and the epoch by which brokers know it.
    id: (i64, i16),
    /// The next record's number in each partition.
    sequences: HashMap<TopicPartition, i32>,
}

impl Producer {
    /// Become the producer of a name, before `deadline`: what another one of that name has open is aborted, and it can
    /// write no more.
    pub async fn of_name(
        brokers: &Arc<Brokers>,
        settings: ProduceSettings,
        name: &str,
        deadline: Instant,
    ) -> Result<Producer> {
        let mut coordinator = Coordinator::new(Arc::clone(brokers), name);
        let id = coordinator.init(settings.transaction_timeout, deadline).await?;
        Ok(Producer::with(brokers, settings, Some(coordinator), id))
    }

    /// One that has no transactions.
    pub async fn nameless(brokers: &Arc<Brokers>, settings: ProduceSettings, deadline: Instant) -> Result<Producer> {
        let (mut pause, mut turn) = (Pause::default(), 0);
        loop {
            let refusal = match ask_id(brokers, turn).await {
                Ok(id) => return Ok(Producer::with(brokers, settings, None, id)),
                Err(refusal) => refusal,
            };
            turn += 1;
            pause.or_give_up(deadline, refusal).await?;
        }
    }

    fn with(
        brokers: &Arc<Brokers>,
        settings: ProduceSettings,
        coordinator: Option<Coordinator>,
        id: (i64, i16),
    ) -> Producer {
        let leaders = Leaders::new(Arc::clone(brokers));
        Producer { settings, coordinator, leaders, id, sequences: HashMap::new() }
    }

    /// Write the batches of some appends, in order: in a transaction, which stays open, if it has a name. Gives where they
    /// landed.
    pub async fn write(&mut self, appends: &[&Append], deadline: Instant) -> Result<Vec<Appended>> {
        let is_transactional = self.coordinator.is_some();
        let stamp = outgoing::Stamp { id: self.id, is_transactional, compression: self.settings.compression };
        let mut outgoing = outgoing::of(appends, stamp, &mut self.sequences)?;
        if let Some(coordinator) = &mut self.coordinator {
            coordinator.add(self.id, outgoing.iter().map(Outgoing::place), deadline).await?;
        }
        let name = self.coordinator.as_ref().map(Coordinator::name);
        self.leaders.send(&mut outgoing, name, deadline).await?;
        Ok(outgoing::landed(appends, &outgoing))
    }

    /// End the transaction: all of it counts, or nothing. Where that [failed](Refusal::Failed) it was not ended so; else it
    /// may have been.
    pub async fn end(&mut self, is_commit: bool, deadline: Instant) -> Result<(), Refusal> {
        match &mut self.coordinator {
            Some(coordinator) => coordinator.end(self.id, is_commit, deadline).await,
            None => Ok(()),
        }
    }
}

/// Why something was not done.
#[derive(Debug)]
pub(crate) enum Refusal {
    /// Ask somebody else, or later.
    Again(LogError),
    /// There is no use in asking again.
    Failed(LogError),
}

impl Refusal {
    /// What a broker's error means to a producer of that name; `text` says what it was about, and the error.
    fn of(error: ResponseError, name: &str, text: String) -> Refusal {
        use ResponseError::*;
        match error {
            InvalidProducerEpoch | ProducerFenced => Refusal::Failed(LogError::Fenced(name.to_owned())),
            // The transaction is lost, and may be computed again.
            InvalidProducerIdMapping
            | InvalidTxnState
            | OutOfOrderSequenceNumber
            | TransactionAbortable
            | UnknownProducerId => Refusal::Failed(LogError::Unavailable(text)),
            error if error.is_retriable() => Refusal::Again(LogError::Unavailable(text)),
            _ => Refusal::Failed(LogError::Invalid(text)),
        }
    }
}

impl From<LogError> for Refusal {
    fn from(error: LogError) -> Refusal {
        match error {
            LogError::Unavailable(_) => Refusal::Again(error),
            other => Refusal::Failed(other),
        }
    }
}

impl From<Refusal> for LogError {
    fn from(refusal: Refusal) -> LogError {
        match refusal {
            Refusal::Again(error) | Refusal::Failed(error) => error,
        }
    }
}

/// Ask some broker for a number that no other producer has.
async fn ask_id(brokers: &Brokers, turn: usize) -> Result<(i64, i16), Refusal> {
    let request = InitProducerIdRequest::default().with_transactional_id(None).with_transaction_timeout_ms(i32::MAX);
    let answer = brokers.dial_any(turn).await?.ask(&request, 0..=4, ANSWER_WAIT).await?;
    match ResponseError::try_from_code(answer.error_code) {
        None => Ok((answer.producer_id.0, answer.producer_epoch)),
        Some(error) => Err(Refusal::of(error, "", format!("asking for a producer's number: {}", words(error)))),
    }
}

fn transactional_id(name: &str) -> TransactionalId {
    TransactionalId(StrBytes::from_string(name.to_owned()))
}

/// Pauses between tries.
#[derive(Debug)]
struct Pause(Duration);

impl Default for Pause {
    fn default() -> Pause {
        Pause(PAUSE.0)
    }
}

impl Pause {
    /// Wait a little longer each time; the refusal where that is no use, or when it would take too long.
    async fn or_give_up(&mut self, deadline: Instant, refusal: Refusal) -> Result<(), Refusal> {
        if matches!(refusal, Refusal::Failed(_)) || Instant::now() + self.0 >= deadline {
            return Err(refusal);
        }
        tokio::time::sleep(self.0).await;
        self.0 = (self.0 * 2).min(PAUSE.1);
        Ok(())
    }
}
