//! librdkafka is told to look anew who leads partitions.
//!
//! librdkafka goes by what it was told last until a broker says that it is otherwise. A broker that is gone says nothing:
//! what it led is asked for there again and again, or is taken for missing once the broker is forgotten. So whoever fails
//! to get an answer has the client look again before he asks once more. That also tells which brokers there are.

use std::{collections::BTreeSet, time::Duration};

use rdkafka::{ClientContext, client::Client, error::RDKafkaErrorCode};
use recordlog::TopicPartition;

/// Longest that one look takes.
const LOOK_WAIT: Duration = Duration::from_secs(1);

/// Topics that are asked for one by one; where there are more, all of the cluster's are.
const TOPICS_MAX: usize = 16;

/// Ask anew about the topics of these partitions; whether all of the partitions may be there.
pub(crate) fn look_again<C: ClientContext>(client: &Client<C>, partitions: &[TopicPartition]) -> bool {
    let topics: BTreeSet<&str> = partitions.iter().map(|partition| &*partition.topic).collect();
    if topics.len() > TOPICS_MAX {
        let _ = client.fetch_metadata(None, LOOK_WAIT);
        return true;
    }
    topics.into_iter().all(|name| {
        let highest = partitions.iter().filter(|p| &*p.topic == name).map(|p| p.partition).max();
        look_for(client, name, highest.unwrap_or(0))
    })
}

/// Ask anew about a topic; whether it may be there, with that partition.
pub(crate) fn look_for<C: ClientContext>(client: &Client<C>, name: &str, partition: u32) -> bool {
    // Without an answer nothing is known.
    let Ok(found) = client.fetch_metadata(Some(name), LOOK_WAIT) else { return true };
    let Some(topic) = found.topics().iter().find(|topic| topic.name() == name) else { return false };
    match topic.error().map(RDKafkaErrorCode::from) {
        Some(RDKafkaErrorCode::UnknownTopicOrPartition | RDKafkaErrorCode::UnknownTopic) => false,
        Some(_) => true,
        None => topic.partitions().iter().any(|there| u32::try_from(there.id()).is_ok_and(|id| id >= partition)),
    }
}
