//! CreateTopics.

use std::collections::{BTreeMap, HashMap};

use kafka_protocol::{
    error::ResponseError,
    messages::{
        CreateTopicsRequest, CreateTopicsResponse,
        create_topics_request::CreatableTopic,
        create_topics_response::{CreatableTopicConfigs, CreatableTopicResult},
    },
};
use recordlog::{LogError, RecordLog, Topic, TopicConfig, settings::validate_topic_name};
use uuid::Uuid;

use super::{Api, Reply, configs, once};
use crate::{
    auth::Operation,
    broker::BROKER_ID,
    call::{Call, text},
    error::Failure,
    wire::shape::{
        Field,
        Kind::{Array, Fixed, List, Text},
        all,
    },
};

/// See the module.
pub(crate) struct CreateTopics;

impl Api for CreateTopics {
    type Request = CreateTopicsRequest;
    type Response = CreateTopicsResponse;
    const KEY: i16 = 19;
    const VERSIONS: (i16, i16) = (2, 7);
    const FIELDS: &'static [Field] = &[
        all(Array(&[
            all(Text),
            all(Fixed(4)),
            all(Fixed(2)),
            all(Array(&[all(Fixed(4)), all(List(&Fixed(4)))])),
            all(Array(&[all(Text), all(Text)])),
        ])),
        all(Fixed(4)),
        all(Fixed(1)),
    ];

    async fn handle(call: &Call, request: CreateTopicsRequest) -> Reply<CreateTopicsResponse> {
        let mut topics = Vec::with_capacity(request.topics.len());
        let mut named: HashMap<&str, usize> = HashMap::new();
        for topic in &request.topics {
            *named.entry(topic.name.as_str()).or_default() += 1;
        }
        for topic in once(&request.topics, |topic| topic.name.clone()) {
            let made = match named.get(topic.name.as_str()).is_some_and(|times| *times > 1) {
                true => Err(Failure::new(ResponseError::InvalidRequest, "the topic is named twice in one request")),
                false => create(call, topic, request.validate_only).await,
            };
            let result = CreatableTopicResult::default().with_name(topic.name.clone());
            topics.push(match made {
                Ok(made) => described(result, &made),
                Err(failure) => result
                    .with_error_code(failure.code())
                    .with_error_message(Some(text(&failure.message)))
                    .with_configs(None),
            });
        }
        Reply::from(CreateTopicsResponse::default().with_topics(topics))
    }
}

async fn create(call: &Call, wanted: &CreatableTopic, validate_only: bool) -> Result<Topic, Failure> {
    let name = wanted.name.as_str();
    call.authorize_change(Operation::Create, name)?;
    let invalid = |error: LogError| Failure::new(ResponseError::InvalidTopicException, error.to_string());
    validate_topic_name(name).map_err(invalid)?;
    let config = config_of(call, wanted)?;
    if let Err(error) = config.validate() {
        let about_partitions = !(1..=recordlog::settings::TOPIC_PARTITIONS_MAX).contains(&config.partitions);
        let kind = if about_partitions { ResponseError::InvalidPartitions } else { ResponseError::InvalidConfig };
        return Err(Failure::new(kind, error.to_string()));
    }
    let log = &call.broker.log;
    if log.topic(name).is_some() {
        return Err(LogError::TopicExists(name.to_owned()).into());
    }
    if validate_only {
        return Ok(Topic { name: name.into(), id: 0, config });
    }
    Ok(log.create_topic(name, config).await?)
}

fn config_of(call: &Call, wanted: &CreatableTopic) -> Result<TopicConfig, Failure> {
    let partitions = match (wanted.assignments.is_empty(), wanted.num_partitions) {
        (true, -1) => call.broker.settings.partitions_default,
        (true, count) => u32::try_from(count).unwrap_or(0),
        (false, -1) => assigned(wanted)?,
        (false, _) => {
            let message = "partitions are given both as a number and one by one";
            return Err(Failure::new(ResponseError::InvalidRequest, message));
        }
    };
    let replicas = wanted.replication_factor;
    if !(wanted.assignments.is_empty() && matches!(replicas, -1 | 1)) && wanted.assignments.is_empty() {
        let message = format!("replication factor {replicas}: there is one broker, so it can only be 1");
        return Err(Failure::new(ResponseError::InvalidReplicationFactor, message));
    }
    let mut settings = BTreeMap::new();
    for config in &wanted.configs {
        // Null asks for the default.
        if let Some(value) = &config.value {
            settings.insert(config.name.to_string(), value.to_string());
        }
    }
    Ok(TopicConfig { partitions, replicas: 1, settings })
}

/// How many partitions are assigned one by one, all to this broker.
fn assigned(wanted: &CreatableTopic) -> Result<u32, Failure> {
    let mut numbers: Vec<i32> = wanted.assignments.iter().map(|assignment| assignment.partition_index).collect();
    numbers.sort_unstable();
    let in_order = numbers.iter().copied().eq((0..).take(numbers.len()));
    let here = |assignment: &kafka_protocol::messages::create_topics_request::CreatableReplicaAssignment| {
        assignment.broker_ids.iter().map(|id| id.0).eq([BROKER_ID])
    };
    if !in_order || !wanted.assignments.iter().all(here) {
        let message = format!("partitions count from 0, each with broker {BROKER_ID} as its only replica");
        return Err(Failure::new(ResponseError::InvalidReplicaAssignment, message));
    }
    Ok(u32::try_from(numbers.len()).unwrap_or(0))
}

fn described(result: CreatableTopicResult, topic: &Topic) -> CreatableTopicResult {
    let config = |setting: configs::Setting| {
        CreatableTopicConfigs::default()
            .with_name(text(setting.name))
            .with_value(Some(text(&setting.value)))
            .with_config_source(setting.source)
    };
    result
        .with_topic_id(Uuid::from_u128(topic.id))
        .with_num_partitions(i32::try_from(topic.config.partitions).unwrap_or(i32::MAX))
        .with_replication_factor(1)
        .with_configs(Some(configs::of_topic(&topic.config).map(config).collect()))
}
