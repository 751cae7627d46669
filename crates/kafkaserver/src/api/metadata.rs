//! Metadata: brokers, topics and partitions.

use kafka_protocol::{
    error::ResponseError,
    messages::{
        BrokerId, MetadataRequest, MetadataResponse, TopicName,
        metadata_response::{MetadataResponseBroker, MetadataResponsePartition, MetadataResponseTopic},
    },
};
use recordlog::{LogError, RecordLog, Topic, TopicConfig, settings::validate_topic_name};
use uuid::Uuid;

use super::{Api, Reply, once};
use crate::{
    auth::{Operation, Resource},
    broker::{BROKER_ID, LEADER_EPOCH, is_internal_topic},
    call::{Call, text},
    wire::shape::{
        Field,
        Kind::{Array, Fixed, Text},
        all, between, from,
    },
};

/// See the module.
pub(crate) struct Metadata;

impl Api for Metadata {
    type Request = MetadataRequest;
    type Response = MetadataResponse;
    const KEY: i16 = 3;
    const VERSIONS: (i16, i16) = (0, 13);
    const FIELDS: &'static [Field] = &[
        all(Array(&[from(10, Fixed(16)), all(Text)])),
        from(4, Fixed(1)),
        between(8, 10, Fixed(1)),
        from(8, Fixed(1)),
    ];

    async fn handle(call: &Call, request: MetadataRequest) -> Reply<MetadataResponse> {
        let (host, port) = call.advertised();
        let broker =
            MetadataResponseBroker::default().with_node_id(BrokerId(BROKER_ID)).with_host(host).with_port(port);
        let mut topics = Vec::new();
        match request.topics {
            // Before version 1 an empty list asks for all.
            Some(wanted) if !(wanted.is_empty() && call.version() == 0) => {
                let creates = call.broker.settings.auto_create_topics
                    && (call.version() < 4 || request.allow_auto_topic_creation);
                for topic in once(wanted, |topic| (topic.name.clone(), topic.topic_id)) {
                    topics.push(match topic.name {
                        Some(name) => by_name(call, name.as_str(), creates).await,
                        None => by_id(call, topic.topic_id),
                    });
                }
            }
            _ => {
                let all = call.broker.log.topics();
                let seen = all.iter().filter(|topic| call.may(Operation::Describe, Resource::Topic(&topic.name)));
                topics.extend(seen.map(described));
            }
        }
        Reply::from(
            MetadataResponse::default()
                .with_brokers(vec![broker])
                .with_cluster_id(Some(text(&call.broker.cluster_id)))
                .with_controller_id(BrokerId(BROKER_ID))
                .with_topics(topics),
        )
    }
}

async fn by_name(call: &Call, name: &str, creates: bool) -> MetadataResponseTopic {
    let failed = |error: ResponseError| {
        MetadataResponseTopic::default().with_error_code(error.code()).with_name(Some(TopicName(text(name))))
    };
    if !call.may(Operation::Describe, Resource::Topic(name)) {
        return failed(ResponseError::TopicAuthorizationFailed);
    }
    let log = &call.broker.log;
    if let Some(topic) = log.topic(name) {
        return described(&topic);
    }
    if validate_topic_name(name).is_err() {
        return failed(ResponseError::InvalidTopicException);
    }
    if !creates || call.authorize_change(Operation::Create, name).is_err() {
        return failed(ResponseError::UnknownTopicOrPartition);
    }
    match log.create_topic(name, TopicConfig::with_partitions(call.broker.settings.partitions_default)).await {
        Ok(topic) => described(&topic),
        Err(LogError::TopicExists(_)) => {
            log.topic(name).map_or_else(|| failed(ResponseError::LeaderNotAvailable), |topic| described(&topic))
        }
        Err(_) => failed(ResponseError::UnknownTopicOrPartition),
    }
}

fn by_id(call: &Call, id: Uuid) -> MetadataResponseTopic {
    let topic = call.broker.topic_by_id(id);
    match topic.filter(|topic| call.may(Operation::Describe, Resource::Topic(&topic.name))) {
        Some(topic) => described(&topic),
        None => MetadataResponseTopic::default()
            .with_error_code(ResponseError::UnknownTopicId.code())
            .with_name(None)
            .with_topic_id(id),
    }
}

fn described(topic: &Topic) -> MetadataResponseTopic {
    let partitions = (0..topic.config.partitions).filter_map(|number| i32::try_from(number).ok());
    let partition = |number| {
        MetadataResponsePartition::default()
            .with_partition_index(number)
            .with_leader_id(BrokerId(BROKER_ID))
            .with_leader_epoch(LEADER_EPOCH)
            .with_replica_nodes(vec![BrokerId(BROKER_ID)])
            .with_isr_nodes(vec![BrokerId(BROKER_ID)])
    };
    MetadataResponseTopic::default()
        .with_name(Some(TopicName(text(&topic.name))))
        .with_topic_id(Uuid::from_u128(topic.id))
        .with_is_internal(is_internal_topic(&topic.name))
        .with_partitions(partitions.map(partition).collect())
}
