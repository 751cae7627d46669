//! CreatePartitions: more partitions for a topic.

use std::collections::BTreeMap;

use kafka_protocol::{
    error::ResponseError,
    messages::{
        CreatePartitionsRequest, CreatePartitionsResponse, create_partitions_request::CreatePartitionsTopic,
        create_partitions_response::CreatePartitionsTopicResult,
    },
};
use recordlog::{LogError, RecordLog, settings::TOPIC_PARTITIONS_MAX};

use super::{Api, Reply};
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
pub(crate) struct CreatePartitions;

impl Api for CreatePartitions {
    type Request = CreatePartitionsRequest;
    type Response = CreatePartitionsResponse;
    const KEY: i16 = 37;
    const VERSIONS: (i16, i16) = (0, 3);
    const FIELDS: &'static [Field] =
        &[all(Array(&[all(Text), all(Fixed(4)), all(Array(&[all(List(&Fixed(4)))]))])), all(Fixed(4)), all(Fixed(1))];

    async fn handle(call: &Call, request: CreatePartitionsRequest) -> Reply<CreatePartitionsResponse> {
        let mut results = Vec::with_capacity(request.topics.len());
        for topic in request.topics {
            let failure = create(call, &topic, request.validate_only).await.err();
            results.push(
                CreatePartitionsTopicResult::default()
                    .with_name(topic.name)
                    .with_error_code(failure.as_ref().map_or(0, Failure::code))
                    .with_error_message(failure.map(|failure| text(&failure.message))),
            );
        }
        Reply::from(CreatePartitionsResponse::default().with_results(results))
    }
}

async fn create(call: &Call, wanted: &CreatePartitionsTopic, validate_only: bool) -> Result<(), Failure> {
    let name = wanted.name.as_str();
    call.authorize_change(Operation::Alter, name)?;
    let log = &call.broker.log;
    let topic = log.topic(name).ok_or_else(|| LogError::UnknownTopic(name.to_owned()))?;
    let (have, count) = (topic.config.partitions, u32::try_from(wanted.count).unwrap_or(0));
    if count <= have || count > TOPIC_PARTITIONS_MAX {
        let message = format!("topic {name} has {have} partitions, it cannot be given {}", wanted.count);
        return Err(Failure::new(ResponseError::InvalidPartitions, message));
    }
    if let Some(assignments) = &wanted.assignments {
        let here = assignments.iter().all(|replicas| replicas.broker_ids.iter().map(|id| id.0).eq([BROKER_ID]));
        if !here || u32::try_from(assignments.len()) != Ok(count - have) {
            let message = format!("each new partition has broker {BROKER_ID} as its only replica");
            return Err(Failure::new(ResponseError::InvalidReplicaAssignment, message));
        }
    }
    if !validate_only {
        log.alter_topic(name, BTreeMap::new(), Some(count)).await?;
    }
    Ok(())
}
