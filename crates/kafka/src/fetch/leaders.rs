//! Who leads the partitions of a lane: asked for where it is not known, or is no longer so.

use std::{
    collections::{BTreeSet, HashSet},
    sync::Arc,
    time::Duration,
};

use kafka_protocol::ResponseError;
use recordlog::{LogError, Result};

use super::{lane::Shared, place::Place, rounds};
use crate::broker::{Connection, Leadership, Led, words};

/// That a partition is missing is believed after so long: longer than what is made needs to be known everywhere.
const MISSING_WAIT: Duration = Duration::from_secs(5);

/// Find out who leads places, for ever.
pub(super) async fn find(shared: Arc<Shared>) {
    let mut changed = shared.changed.subscribe();
    let (mut connection, mut served, mut turn) = (None, HashSet::new(), 0);
    loop {
        changed.borrow_and_update();
        let unled: Vec<_> = shared.places().into_iter().filter(|place| place.is_unled()).collect();
        if unled.is_empty() {
            if changed.changed().await.is_err() {
                return;
            }
            continue;
        }
        let answer = ask(&shared, &mut connection, &unled, turn).await;
        turn += 1;
        let Some(answer) = shared.note(answer) else {
            connection = None;
            tokio::time::sleep(shared.settings.backoff).await;
            continue;
        };
        let led = settle(&unled, &answer);
        for broker in &led {
            if served.insert(*broker) {
                tokio::spawn(rounds::run(Arc::clone(&shared), *broker));
            }
        }
        shared.tell();
        if unled.iter().any(|place| place.is_unled()) {
            tokio::time::sleep(shared.settings.backoff).await;
        }
    }
}

/// Give places their leaders; gives the brokers that lead some.
fn settle(unled: &[Arc<Place>], leadership: &Leadership) -> BTreeSet<i32> {
    let mut led = BTreeSet::new();
    for place in unled {
        let partition = &place.partition;
        match leadership.look(&partition.topic, place.number) {
            Led::By(leader) => {
                led.insert(leader.broker);
                place.lead(leader);
            }
            Led::Nobody => {}
            Led::NoPartition => place.miss(MISSING_WAIT, || LogError::UnknownPartition(partition.clone())),
            Led::Refused(ResponseError::UnknownTopicOrPartition) => {
                place.miss(MISSING_WAIT, || LogError::UnknownTopic(partition.topic.to_string()));
            }
            Led::Refused(error) if error.is_retriable() => {}
            Led::Refused(error) => {
                place.fail(LogError::Invalid(format!("topic {}: {}", partition.topic, words(error))));
            }
        }
    }
    led
}

/// Ask about the topics of some places, over the connection that there is or a new one.
async fn ask(
    shared: &Shared,
    connection: &mut Option<Connection>,
    places: &[Arc<Place>],
    turn: usize,
) -> Result<Leadership> {
    let connection = Connection::ready(connection, shared.brokers.dial_any(turn)).await?;
    let topics = places.iter().map(|place| &*place.partition.topic).collect();
    shared.brokers.who_leads(connection, topics).await
}
