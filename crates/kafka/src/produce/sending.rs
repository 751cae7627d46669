//! Batches to the leaders of their partitions, some on their way at a time; again, with the same numbers, where it is not
//! known whether they came.

use std::{
    collections::{HashMap, HashSet, VecDeque},
    sync::Arc,
    time::Instant,
};

use futures::future::join_all;
use kafka_protocol::{
    ResponseError,
    messages::{
        ProduceRequest, TopicName,
        produce_request::{PartitionProduceData, TopicProduceData},
        produce_response::PartitionProduceResponse,
    },
    protocol::StrBytes,
};
use recordlog::{LogError, Result, TopicPartition};

use super::{PAUSE, Pause, Refusal, outgoing::Outgoing, transactional_id};
use crate::broker::{ANSWER_WAIT, Brokers, Connection, Leadership, Led, Pending, words};

/// Requests on their way to one broker. Brokers know a producer's last five batches of a partition again; each request has
/// one of them.
const ON_THEIR_WAY_MAX: usize = 4;
/// Batches of one request, bytes, about.
const REQUEST_BYTES: usize = 4 << 20;
/// All in-sync replicas have a batch before it is acknowledged.
const ACKS_ALL: i16 = -1;
/// That a topic is missing is believed after so many tries.
const MISSING_TRIES: u32 = 20;

/// Who leads partitions, and the connections to them.
pub(super) struct Leaders {
    brokers: Arc<Brokers>,
    of: HashMap<TopicPartition, i32>,
    connections: HashMap<i32, Connection>,
    turn: usize,
}

impl Leaders {
    /// None known yet.
    pub fn new(brokers: Arc<Brokers>) -> Leaders {
        Leaders { brokers, of: HashMap::new(), connections: HashMap::new(), turn: 0 }
    }

    /// Write all of it before `deadline`, in a transaction if it has a `name`.
    pub async fn send(&mut self, outgoing: &mut [Outgoing<'_>], name: Option<&str>, deadline: Instant) -> Result<()> {
        let written = |outgoing: &[Outgoing<'_>]| outgoing.iter().map(Outgoing::written).sum::<usize>();
        let (mut pause, mut missing) = (Pause::default(), 0);
        while outgoing.iter().any(|one| !one.is_done()) {
            let before = written(outgoing);
            let refusal = self.round(outgoing, name).await.err();
            let has_moved = written(outgoing) > before;
            let refusal = match refusal {
                Some(refusal) => refusal,
                None if has_moved => continue,
                None => {
                    let text = "brokers do not tell what became of what they were sent".to_owned();
                    Refusal::Again(LogError::Unavailable(text))
                }
            };
            if has_moved {
                (pause, missing) = (Pause::default(), 0);
            }
            match refusal {
                // What was just made is not known everywhere at once.
                Refusal::Again(error @ (LogError::UnknownTopic(_) | LogError::UnknownPartition(_))) => {
                    missing += 1;
                    if missing > MISSING_TRIES {
                        return Err(error);
                    }
                    tokio::time::sleep(PAUSE.1).await;
                }
                refusal => pause.or_give_up(deadline, refusal).await?,
            }
        }
        Ok(())
    }

    /// Send what is not written to whom is believed to lead.
    async fn round(&mut self, outgoing: &mut [Outgoing<'_>], name: Option<&str>) -> Result<(), Refusal> {
        self.find(outgoing).await?;
        let mut led: HashMap<i32, Vec<&mut Outgoing<'_>>> = HashMap::new();
        for one in outgoing.iter_mut().filter(|one| !one.is_done()) {
            if let Some(leader) = self.of.get(one.place().0) {
                led.entry(*leader).or_default().push(one);
            }
        }
        let brokers = &self.brokers;
        let rounds = led.into_iter().map(|(broker, mut outgoing)| {
            let connection = self.connections.remove(&broker).filter(|connection| !connection.is_old());
            async move {
                let mut connection = match connection {
                    Some(connection) => connection,
                    None => match brokers.dial(broker).await {
                        Ok(connection) => connection,
                        Err(error) => return (broker, None, Err(error.into())),
                    },
                };
                match exchange(&mut connection, &mut outgoing, name).await {
                    // The connection is of no use any more.
                    Err(error) => (broker, None, Err(error.into())),
                    Ok(outcome) => (broker, Some(connection), outcome),
                }
            }
        });
        let rounds: Vec<_> = rounds.collect();
        let mut outcome = Ok(());
        for (broker, connection, one) in join_all(rounds).await {
            if let Some(connection) = connection {
                self.connections.insert(broker, connection);
            }
            if let Err(refusal) = one {
                // What is led there is asked for anew.
                self.of.retain(|_, leader| *leader != broker);
                outcome = match (outcome, refusal) {
                    (Err(Refusal::Failed(first)), _) => Err(Refusal::Failed(first)),
                    (_, refusal) => Err(refusal),
                };
            }
        }
        outcome
    }

    /// Ask who leads where that is not known.
    async fn find(&mut self, outgoing: &[Outgoing<'_>]) -> Result<(), Refusal> {
        let is_unled = |one: &&Outgoing<'_>| !one.is_done() && !self.of.contains_key(one.place().0);
        let unled: Vec<&Outgoing<'_>> = outgoing.iter().filter(is_unled).collect();
        if unled.is_empty() {
            return Ok(());
        }
        let topics = unled.iter().map(|one| &*one.place().0.topic).collect();
        self.turn = self.turn.wrapping_add(1);
        let mut asked = self.brokers.dial_any(self.turn).await?;
        let leadership = self.brokers.who_leads(&mut asked, topics).await?;
        for one in unled {
            let leader = leader_of(one.place(), &leadership)?;
            self.of.insert(one.place().0.clone(), leader);
        }
        Ok(())
    }
}

/// Who leads a partition; an error where that is not known.
fn leader_of((partition, number): (&TopicPartition, i32), leadership: &Leadership) -> Result<i32, Refusal> {
    match leadership.look(&partition.topic, number) {
        Led::By(leader) => Ok(leader.broker),
        Led::Nobody => Err(Refusal::Again(LogError::Unavailable(format!("{partition} has no leader")))),
        Led::NoPartition => Err(Refusal::Again(LogError::UnknownPartition(partition.clone()))),
        Led::Refused(error) => Err(refusal(partition, error, None, None)),
    }
}

/// Send what a broker leads, as far as it takes it. The inner outcome: whether it took all.
async fn exchange(
    connection: &mut Connection,
    outgoing: &mut [&mut Outgoing<'_>],
    name: Option<&str>,
) -> Result<Result<(), Refusal>> {
    let mut sent: Vec<usize> = outgoing.iter().map(|one| one.written()).collect();
    let mut on_their_way: VecDeque<Pending<ProduceRequest>> = VecDeque::new();
    let mut outcome: Result<(), Refusal> = Ok(());
    // What was on its way behind something refused is sent again behind it, whatever became of it.
    let mut refused = HashSet::new();
    loop {
        while outcome.is_ok()
            && on_their_way.len() < ON_THEIR_WAY_MAX
            && let Some(request) = next_request(outgoing, &mut sent, name)
        {
            on_their_way.push_back(connection.send(&request, 3..=9, ANSWER_WAIT).await?);
        }
        let Some(pending) = on_their_way.pop_front() else { return Ok(outcome) };
        // The broker waits for its replicas for as long itself.
        let (answer, _) = connection.receive(pending, ANSWER_WAIT * 2).await?;
        for topic in &answer.responses {
            for data in &topic.partition_responses {
                let is_it = |one: &&mut Outgoing<'_>| {
                    let (partition, number) = one.place();
                    *partition.topic == *topic.name.as_str() && number == data.index
                };
                let at = outgoing.iter().position(is_it).filter(|at| !refused.contains(at));
                let Some(at) = at else { continue };
                let Some(one) = outgoing.get_mut(at) else { continue };
                if let Err(refusal) = land(one, data, name) {
                    refused.insert(at);
                    // The first says why.
                    outcome = outcome.and(Err(refusal));
                }
            }
        }
    }
}

/// The next request: of each partition the next batch, as far as there is room.
fn next_request(outgoing: &[&mut Outgoing<'_>], sent: &mut [usize], name: Option<&str>) -> Option<ProduceRequest> {
    let mut topics: Vec<TopicProduceData> = Vec::new();
    let mut bytes = 0;
    // Who has most to send comes first: all are done at about the same time.
    let mut order: Vec<usize> = (0..outgoing.len()).collect();
    let left = |at: &usize| outgoing.get(*at).zip(sent.get(*at)).map_or(0, |(one, sent)| one.left_from(*sent));
    order.sort_by_key(|at| std::cmp::Reverse(left(at)));
    for at in order {
        let (Some(one), Some(sent)) = (outgoing.get(at), sent.get_mut(at)) else { continue };
        let Some(batch_bytes) = one.batch_bytes(*sent) else { continue };
        if bytes > 0 && bytes + batch_bytes > REQUEST_BYTES {
            continue;
        }
        let batch = one.batch(*sent);
        bytes += batch_bytes;
        *sent += 1;
        let (partition, number) = one.place();
        let data = PartitionProduceData::default().with_index(number).with_records(batch);
        match topics.iter_mut().find(|topic| topic.name.as_str() == &*partition.topic) {
            Some(topic) => topic.partition_data.push(data),
            None => {
                let name = TopicName(StrBytes::from_string(partition.topic.to_string()));
                topics.push(TopicProduceData::default().with_name(name).with_partition_data(vec![data]));
            }
        }
    }
    let request = ProduceRequest::default()
        .with_transactional_id(name.map(transactional_id))
        .with_acks(ACKS_ALL)
        .with_timeout_ms(i32::try_from(ANSWER_WAIT.as_millis()).unwrap_or(i32::MAX))
        .with_topic_data(topics);
    (bytes > 0).then_some(request)
}

/// Note what became of a partition's next batch.
fn land(one: &mut Outgoing<'_>, data: &PartitionProduceResponse, name: Option<&str>) -> Result<(), Refusal> {
    match ResponseError::try_from_code(data.error_code) {
        None => one.land(data.base_offset, data.log_append_time_ms),
        // It came before; where it landed is not known any more.
        Some(ResponseError::DuplicateSequenceNumber) => one.land(-1, -1),
        Some(error) => return Err(refusal(one.place().0, error, data.error_message.as_deref(), name)),
    }
    Ok(())
}

/// What an error about a partition means to a producer of that name, if it has one.
fn refusal(partition: &TopicPartition, error: ResponseError, message: Option<&str>, name: Option<&str>) -> Refusal {
    let said = message.map_or(String::new(), |message| format!(": {message}"));
    let text = format!("writing to {partition}: {}{said}", words(error));
    match error {
        ResponseError::UnknownTopicOrPartition => Refusal::Again(LogError::UnknownTopic(partition.topic.to_string())),
        // The transaction is lost, and may be computed again.
        ResponseError::ConcurrentTransactions => Refusal::Failed(LogError::Unavailable(text)),
        error => Refusal::of(error, name.unwrap_or(&partition.to_string()), text),
    }
}
