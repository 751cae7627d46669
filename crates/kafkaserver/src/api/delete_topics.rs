//! DeleteTopics, by name or by id.

use kafka_protocol::{
    error::ResponseError,
    messages::{DeleteTopicsRequest, DeleteTopicsResponse, TopicName, delete_topics_response::DeletableTopicResult},
};
use recordlog::RecordLog;
use uuid::Uuid;

use super::{Api, Reply};
use crate::{
    auth::Operation,
    call::{Call, text},
    error::Failure,
    wire::shape::{
        Field,
        Kind::{Array, Fixed, List, Text},
        all, between, from,
    },
};

/// See the module.
pub(crate) struct DeleteTopics;

impl Api for DeleteTopics {
    type Request = DeleteTopicsRequest;
    type Response = DeleteTopicsResponse;
    const KEY: i16 = 20;
    const VERSIONS: (i16, i16) = (1, 6);
    const FIELDS: &'static [Field] =
        &[from(6, Array(&[from(6, Text), from(6, Fixed(16))])), between(0, 5, List(&Text)), all(Fixed(4))];

    async fn handle(call: &Call, request: DeleteTopicsRequest) -> Reply<DeleteTopicsResponse> {
        let by_name = request.topic_names.into_iter().map(|name| (Some(name), Uuid::nil()));
        let wanted = request.topics.into_iter().map(|topic| (topic.name, topic.topic_id)).chain(by_name);
        let mut responses = Vec::new();
        for (name, id) in wanted {
            let name = name.or_else(|| call.broker.topic_by_id(id).map(|topic| TopicName(text(&topic.name))));
            let deleted = match &name {
                Some(name) => delete(call, name.as_str()).await,
                None => Err(ResponseError::UnknownTopicId.into()),
            };
            let failure = deleted.err();
            responses.push(
                DeletableTopicResult::default()
                    .with_name(name)
                    .with_topic_id(id)
                    .with_error_code(failure.as_ref().map_or(0, Failure::code))
                    .with_error_message(failure.map(|failure| text(&failure.message))),
            );
        }
        Reply::from(DeleteTopicsResponse::default().with_responses(responses))
    }
}

async fn delete(call: &Call, name: &str) -> Result<(), Failure> {
    call.authorize_change(Operation::Delete, name)?;
    call.broker.log.delete_topic(name).await?;
    call.broker.forget_topic(name).await
}
