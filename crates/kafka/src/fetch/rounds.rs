//! The rounds of one broker: all that it leads and there is room for is asked for in one fetch, and the next one is sent
//! when the answer is taken in.

use std::{collections::HashMap, sync::Arc, time::Duration};

use kafka_protocol::{
    ResponseError,
    messages::{
        BrokerId, FetchRequest, FetchResponse, TopicName,
        fetch_request::{FetchPartition, FetchTopic},
    },
    protocol::StrBytes,
};
use recordlog::{LogError, Offset, Result};

use super::{answer::Look, lane::Shared, place::Place};
use crate::broker::{ANSWER_WAIT, Connection, words};

/// How long a broker holds a fetch back while a place is left out whose queue is full: it may have room at any time.
const WAIT_BESIDE_FULL: Duration = Duration::from_millis(2);
/// Read what is committed.
const READ_COMMITTED: i8 = 1;

/// A place, from where on it is asked for, and in which epoch of its leader.
type Wanted = (Arc<Place>, Offset, i32);

/// Fetch what a broker leads, for ever.
pub(super) async fn run(shared: Arc<Shared>, broker: i32) {
    let mut changed = shared.changed.subscribe();
    let (mut connection, mut turn) = (None, 0_usize);
    loop {
        changed.borrow_and_update();
        let places = shared.places();
        let mut wanted: Vec<Wanted> = places
            .iter()
            .filter_map(|place| {
                let (from, epoch) = place.wants(broker, shared.place_bytes())?;
                Some((Arc::clone(place), from, epoch))
            })
            .collect();
        if wanted.is_empty() {
            drop(places);
            if changed.changed().await.is_err() {
                return;
            }
            continue;
        }
        // An answer that is full has nothing of the last ones.
        let first = turn.checked_rem(wanted.len()).unwrap_or_default();
        wanted.rotate_left(first);
        turn = turn.wrapping_add(1);
        let is_beside_full = places.iter().any(|place| place.is_full(broker, shared.place_bytes()));
        drop(places);
        let wait = if is_beside_full { shared.settings.wait.min(WAIT_BESIDE_FULL) } else { shared.settings.wait };
        let round = round(&shared, broker, &mut connection, wanted, wait).await;
        if shared.note(round).is_none() {
            connection = None;
            shared.places().iter().for_each(|place| place.lose(broker));
            shared.tell();
            tokio::time::sleep(shared.settings.backoff).await;
        }
    }
}

async fn round(
    shared: &Shared,
    broker: i32,
    connection: &mut Option<Connection>,
    wanted: Vec<Wanted>,
    wait: Duration,
) -> Result<()> {
    let connection = Connection::ready(connection, shared.brokers.dial(broker)).await?;
    let request = request(shared, &wanted, wait);
    let (answer, bytes) = connection.ask_sized(&request, 4..=12, wait + ANSWER_WAIT).await?;
    take_in(shared, broker, wanted, answer, bytes)
}

fn request(shared: &Shared, wanted: &[Wanted], wait: Duration) -> FetchRequest {
    let settings = &shared.settings;
    let by_queue = i32::try_from(shared.place_bytes() / 2).unwrap_or(i32::MAX);
    let partition_bytes = settings.partition_bytes.unwrap_or(by_queue);
    let mut topics: Vec<FetchTopic> = Vec::new();
    let mut at: HashMap<&str, usize> = HashMap::new();
    for (place, from, epoch) in wanted {
        let name = &*place.partition.topic;
        let index = *at.entry(name).or_insert_with(|| {
            let name = TopicName(StrBytes::from_string(name.to_owned()));
            topics.push(FetchTopic::default().with_topic(name));
            topics.len() - 1
        });
        if let Some(topic) = topics.get_mut(index) {
            let partition = FetchPartition::default().with_partition(place.number).with_fetch_offset(*from);
            let partition = partition.with_current_leader_epoch(*epoch).with_partition_max_bytes(partition_bytes);
            topic.partitions.push(partition);
        }
    }
    FetchRequest::default()
        .with_replica_id(BrokerId(-1))
        .with_max_wait_ms(i32::try_from(wait.as_millis()).unwrap_or(i32::MAX))
        .with_min_bytes(1)
        .with_max_bytes(settings.answer_bytes)
        .with_isolation_level(READ_COMMITTED)
        // No session: each fetch says all.
        .with_session_epoch(-1)
        .with_topics(topics)
}

fn take_in(shared: &Shared, broker: i32, wanted: Vec<Wanted>, answer: FetchResponse, bytes: usize) -> Result<()> {
    if let Some(error) = ResponseError::try_from_code(answer.error_code) {
        return Err(LogError::Unavailable(format!("broker {broker} refuses a fetch: {}", words(error))));
    }
    let places: HashMap<(&str, i32), (&Place, Offset)> =
        wanted.iter().map(|(place, from, _)| ((&*place.partition.topic, place.number), (&**place, *from))).collect();
    let mut is_lost = false;
    for topic in answer.responses {
        for data in topic.partitions {
            let Some((place, from)) = places.get(&(topic.topic.as_str(), data.partition_index)) else { continue };
            is_lost |= data.error_code != 0;
            place.take_in(broker, Look { from: *from, verify: shared.settings.verify }, data, bytes);
        }
    }
    if is_lost {
        shared.tell();
    }
    Ok(())
}
