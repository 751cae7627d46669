//! Who leads partitions, as a broker says.

use std::collections::HashMap;

use kafka_protocol::{
    ResponseError,
    messages::{
        MetadataResponse,
        metadata_response::{MetadataResponsePartition, MetadataResponseTopic},
    },
};

/// Who leads a partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Leader {
    pub broker: i32,
    /// -1 where brokers do not tell.
    pub epoch: i32,
}

/// What is said of a partition's leader.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Led {
    By(Leader),
    /// By nobody now, or nothing is said of its topic: there will be a leader.
    Nobody,
    /// The topic has no such partition.
    NoPartition,
    /// The topic cannot be told of.
    Refused(ResponseError),
}

/// An answer about the partitions of some topics.
#[derive(Debug, Default)]
pub(crate) struct Leadership(HashMap<String, MetadataResponseTopic>);

impl Leadership {
    /// What a broker answered.
    pub fn of(answer: MetadataResponse) -> Leadership {
        let named = answer.topics.into_iter().filter_map(|topic| Some((topic.name.as_ref()?.to_string(), topic)));
        Leadership(named.collect())
    }

    /// Who leads a partition, by its number as Kafka counts.
    pub fn look(&self, topic: &str, number: i32) -> Led {
        let Some(topic) = self.0.get(topic) else { return Led::Nobody };
        if let Some(error) = ResponseError::try_from_code(topic.error_code) {
            return Led::Refused(error);
        }
        let is_it = |partition: &&MetadataResponsePartition| partition.partition_index == number;
        match topic.partitions.iter().find(is_it) {
            None => Led::NoPartition,
            Some(found) if found.leader_id.0 < 0 => Led::Nobody,
            Some(found) => Led::By(Leader { broker: found.leader_id.0, epoch: found.leader_epoch }),
        }
    }
}

#[cfg(test)]
mod tests {
    use kafka_protocol::{
        messages::{BrokerId, TopicName},
        protocol::StrBytes,
    };

    use super::*;

    #[test]
    fn a_partition_is_led_or_it_is_said_why_not() {
        let partition = |number, leader| {
            let partition = MetadataResponsePartition::default().with_partition_index(number).with_leader_epoch(7);
            partition.with_leader_id(BrokerId(leader))
        };
        let name = |name: &'static str| Some(TopicName(StrBytes::from_static_str(name)));
        let refused = ResponseError::TopicAuthorizationFailed;
        let answer = MetadataResponse::default().with_topics(vec![
            MetadataResponseTopic::default()
                .with_name(name("a"))
                .with_partitions(vec![partition(1, -1), partition(0, 3)]),
            MetadataResponseTopic::default().with_name(name("b")).with_error_code(refused.code()),
            MetadataResponseTopic::default(),
        ]);
        let leadership = Leadership::of(answer);
        assert_eq!(leadership.look("a", 0), Led::By(Leader { broker: 3, epoch: 7 }));
        assert_eq!(leadership.look("a", 1), Led::Nobody);
        assert_eq!(leadership.look("a", 2), Led::NoPartition);
        assert_eq!(leadership.look("b", 0), Led::Refused(refused));
        assert_eq!(leadership.look("c", 0), Led::Nobody);
    }
}
