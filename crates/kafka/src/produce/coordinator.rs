//! The coordinator of a producer's transactions.

use std::{
    cell::RefCell,
    collections::{BTreeMap, BTreeSet},
    ops::RangeInclusive,
    sync::Arc,
    time::{Duration, Instant},
};

use kafka_protocol::{
    ResponseError,
    messages::{
        AddPartitionsToTxnRequest, AddPartitionsToTxnResponse, EndTxnRequest, FindCoordinatorRequest,
        InitProducerIdRequest, ProducerId, TopicName, add_partitions_to_txn_request::AddPartitionsToTxnTopic,
    },
    protocol::{Request, StrBytes},
};
use recordlog::{LogError, Result, TopicPartition};

use super::{Pause, Refusal, transactional_id};
use crate::broker::{ANSWER_WAIT, Brokers, Connection, words};

/// What a coordinator is asked for: that of a transaction.
const OF_TRANSACTION: i8 = 1;
/// That a topic is missing is believed after so long: what is made is not known everywhere at once.
const MISSING_WAIT: Duration = Duration::from_secs(2);

/// Who begins and ends the transactions of a name.
pub(super) struct Coordinator {
    brokers: Arc<Brokers>,
    name: String,
    connection: Option<Connection>,
    /// Which broker is asked next where it is.
    turn: usize,
}

impl Coordinator {
    /// Not found yet.
    pub fn new(brokers: Arc<Brokers>, name: &str) -> Coordinator {
        Coordinator { brokers, name: name.to_owned(), connection: None, turn: 0 }
    }

    /// Whose transactions they are.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Become the producer of the name; gives its number and epoch.
    pub async fn init(&mut self, timeout: Duration, deadline: Instant) -> Result<(i64, i16)> {
        let request = InitProducerIdRequest::default()
            .with_transactional_id(Some(transactional_id(&self.name)))
            .with_transaction_timeout_ms(i32::try_from(timeout.as_millis()).unwrap_or(i32::MAX));
        let what = "becoming its writer";
        let answer = self.ask(&request, 0..=4, |answer| answer.error_code, what, deadline).await?;
        Ok((answer.producer_id.0, answer.producer_epoch))
    }

    /// Let partitions take part in the transaction, which begins with the first.
    pub async fn add(
        &mut self,
        id: (i64, i16),
        partitions: impl Iterator<Item = (&TopicPartition, i32)>,
        deadline: Instant,
    ) -> Result<()> {
        let mut topics: BTreeMap<&str, BTreeSet<i32>> = BTreeMap::new();
        for (partition, number) in partitions {
            topics.entry(&*partition.topic).or_default().insert(number);
        }
        let topic = |(name, partitions): (&&str, &BTreeSet<i32>)| {
            AddPartitionsToTxnTopic::default()
                .with_name(TopicName(StrBytes::from_string((*name).to_owned())))
                .with_partitions(partitions.iter().copied().collect())
        };
        let request = AddPartitionsToTxnRequest::default()
            .with_v3_and_below_transactional_id(transactional_id(&self.name))
            .with_v3_and_below_producer_id(ProducerId(id.0))
            .with_v3_and_below_producer_epoch(id.1)
            .with_v3_and_below_topics(topics.iter().map(topic).collect());
        let (missing_from, missing) = (Instant::now() + MISSING_WAIT, RefCell::new(String::new()));
        let code = |answer: &AddPartitionsToTxnResponse| {
            let (topic, code) = first_error(answer);
            topic.clone_into(&mut missing.borrow_mut());
            code
        };
        loop {
            let refusal = match self.ask(&request, 0..=3, code, "adding partitions", deadline).await {
                Ok(_) => return Ok(()),
                Err(refusal) => refusal,
            };
            let Refusal::Failed(LogError::UnknownTopic(_)) = refusal else { return Err(refusal.into()) };
            if Instant::now() >= missing_from {
                return Err(LogError::UnknownTopic(missing.into_inner()));
            }
            tokio::time::sleep(super::PAUSE.1).await;
        }
    }

    /// End the transaction.
    pub async fn end(&mut self, id: (i64, i16), is_commit: bool, deadline: Instant) -> Result<(), Refusal> {
        let request = EndTxnRequest::default()
            .with_transactional_id(transactional_id(&self.name))
            .with_producer_id(ProducerId(id.0))
            .with_producer_epoch(id.1)
            .with_committed(is_commit);
        let what = if is_commit { "committing" } else { "aborting" };
        self.ask(&request, 0..=3, |answer| answer.error_code, what, deadline).await.map(drop)
    }

    /// Ask until there is an answer that counts. All that is asked may be asked again.
    async fn ask<R: Request>(
        &mut self,
        request: &R,
        versions: RangeInclusive<i16>,
        code: impl Fn(&R::Response) -> i16,
        what: &str,
        deadline: Instant,
    ) -> Result<R::Response, Refusal> {
        let (mut pause, what) = (Pause::default(), format!("{}: {what}", self.name));
        loop {
            let answer = self.try_to_ask(request, versions.clone(), deadline).await;
            let refusal = match answer {
                Ok(answer) => match ResponseError::try_from_code(code(&answer)) {
                    None => return Ok(answer),
                    Some(error) => self.refused(error, &what),
                },
                Err(refusal) => {
                    self.connection = None;
                    match refusal {
                        Refusal::Again(LogError::Unavailable(text)) => {
                            Refusal::Again(LogError::Unavailable(format!("{what}: {text}")))
                        }
                        other => other,
                    }
                }
            };
            pause.or_give_up(deadline, refusal).await?;
        }
    }

    /// What the coordinator's error means.
    fn refused(&mut self, error: ResponseError, what: &str) -> Refusal {
        use ResponseError::*;
        let text = format!("{what}: {}", words(error));
        match error {
            // The transaction before is being ended, or another's of the name.
            ConcurrentTransactions | CoordinatorLoadInProgress => Refusal::Again(LogError::Unavailable(text)),
            NotCoordinator | CoordinatorNotAvailable => {
                self.connection = None;
                Refusal::Again(LogError::Unavailable(text))
            }
            UnknownTopicOrPartition => Refusal::Failed(LogError::UnknownTopic(String::new())),
            error => Refusal::of(error, &self.name, text),
        }
    }

    async fn try_to_ask<R: Request>(
        &mut self,
        request: &R,
        versions: RangeInclusive<i16>,
        deadline: Instant,
    ) -> Result<R::Response, Refusal> {
        let wait = deadline.saturating_duration_since(Instant::now()).min(ANSWER_WAIT);
        self.turn = self.turn.wrapping_add(1);
        let find = find(&self.brokers, &self.name, self.turn);
        let connection = Connection::ready(&mut self.connection, find).await?;
        Ok(connection.ask(request, versions, wait).await?)
    }
}

/// Find the coordinator of a name by asking some broker, another one at each turn, and reach it.
async fn find(brokers: &Brokers, name: &str, turn: usize) -> Result<Connection> {
    let key = StrBytes::from_string(name.to_owned());
    let request = FindCoordinatorRequest::default().with_key(key).with_key_type(OF_TRANSACTION);
    let answer = brokers.dial_any(turn).await?.ask(&request, 1..=3, ANSWER_WAIT).await?;
    match ResponseError::try_from_code(answer.error_code) {
        None => {
            let port = u16::try_from(answer.port).unwrap_or_default();
            brokers.dial_at(answer.host.as_str(), port).await
        }
        Some(error) => {
            let text = format!("{name}: finding its coordinator: {}", words(error));
            Err(Refusal::of(error, name, text).into())
        }
    }
}

/// The first error of an answer that says why, and about which topic; 0 if there is none.
fn first_error(answer: &AddPartitionsToTxnResponse) -> (&str, i16) {
    let results = answer.results_by_topic_v3_and_below.iter().flat_map(|topic| {
        topic.results_by_partition.iter().map(|result| (topic.name.as_str(), result.partition_error_code))
    });
    // That another partition was at fault says nothing of this one.
    let is_error = |code: i16| code != 0 && code != ResponseError::OperationNotAttempted.code();
    let mut errors = results.filter(|(_, code)| is_error(*code));
    errors.next().unwrap_or_default()
}
