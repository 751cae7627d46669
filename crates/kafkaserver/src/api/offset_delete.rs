//! OffsetDelete: forget a group's offsets in topics that it does not read.

use kafka_protocol::{
    error::ResponseError,
    messages::{
        OffsetDeleteRequest, OffsetDeleteResponse,
        offset_delete_response::{OffsetDeleteResponsePartition, OffsetDeleteResponseTopic},
    },
};

use super::{Api, Reply};
use crate::{
    auth::{Operation, Resource},
    call::Call,
    error::Failure,
    group::offsets::Place,
    wire::shape::{
        Field,
        Kind::{Array, Fixed, Text},
        all,
    },
};

/// See the module.
pub(crate) struct OffsetDelete;

impl Api for OffsetDelete {
    type Request = OffsetDeleteRequest;
    type Response = OffsetDeleteResponse;
    const KEY: i16 = 47;
    const VERSIONS: (i16, i16) = (0, 0);
    const FIELDS: &'static [Field] = &[all(Text), all(Array(&[all(Text), all(Array(&[all(Fixed(4))]))]))];

    async fn handle(call: &Call, request: OffsetDeleteRequest) -> Reply<OffsetDeleteResponse> {
        let response = OffsetDeleteResponse::default();
        let subscribed = match subscribed(call, &request.group_id) {
            Ok(subscribed) => subscribed,
            Err(failure) => return Reply::from(response.with_error_code(failure.code())),
        };
        let (mut places, mut topics): (Vec<Place>, _) = (Vec::new(), Vec::new());
        for topic in request.topics {
            let code = match call.authorize(Operation::Read, Resource::Topic(&topic.name)) {
                Err(failure) => failure.code(),
                Ok(()) if subscribed.iter().any(|name| name == topic.name.as_str()) => {
                    ResponseError::GroupSubscribedToTopic.code()
                }
                Ok(()) => 0,
            };
            let partition =
                |index| OffsetDeleteResponsePartition::default().with_partition_index(index).with_error_code(code);
            if code == 0 {
                places.extend(topic.partitions.iter().map(|p| (topic.name.to_string(), p.partition_index)));
            }
            let partitions = topic.partitions.iter().map(|p| partition(p.partition_index)).collect();
            topics.push(OffsetDeleteResponseTopic::default().with_name(topic.name).with_partitions(partitions));
        }
        match call.broker.groups.forget(&call.broker, &request.group_id, &places).await {
            Ok(()) => Reply::from(response.with_topics(topics)),
            Err(failure) => Reply::from(response.with_error_code(failure.code())),
        }
    }
}

/// The topics that members read.
fn subscribed(call: &Call, group: &str) -> Result<Vec<String>, Failure> {
    call.authorize(Operation::Delete, Resource::Group(group))?;
    let state = call.broker.groups.with(group, |state| {
        if !state.consumer.is_empty() {
            return Ok(state.consumer.subscribed().into_iter().collect());
        }
        match state.is_empty() || state.classic.protocol_type == "consumer" {
            true => Ok(state.classic.subscribed()),
            false => Err(ResponseError::NonEmptyGroup.into()),
        }
    });
    state.unwrap_or(Err(ResponseError::GroupIdNotFound.into()))
}
