//! AlterConfigs: a resource's settings, all of them at once.

use kafka_protocol::messages::{
    AlterConfigsRequest, AlterConfigsResponse, alter_configs_response::AlterConfigsResourceResponse,
};

use super::{
    Api, Reply,
    configs::{self, Change},
};
use crate::{
    call::{Call, text},
    wire::shape::{
        Field,
        Kind::{Array, Fixed, Text},
        all,
    },
};

/// See the module.
pub(crate) struct AlterConfigs;

impl Api for AlterConfigs {
    type Request = AlterConfigsRequest;
    type Response = AlterConfigsResponse;
    const KEY: i16 = 33;
    const VERSIONS: (i16, i16) = (0, 2);
    const FIELDS: &'static [Field] =
        &[all(Array(&[all(Fixed(1)), all(Text), all(Array(&[all(Text), all(Text)]))])), all(Fixed(1))];

    async fn handle(call: &Call, request: AlterConfigsRequest) -> Reply<AlterConfigsResponse> {
        let mut responses = Vec::with_capacity(request.resources.len());
        for resource in request.resources {
            let changes = resource.configs.into_iter().map(|config| {
                (config.name.to_string(), config.value.map_or(Change::Unset, |value| Change::Set(value.to_string())))
            });
            let target = (resource.resource_type, resource.resource_name.as_str());
            let altered = configs::alter(call, target, changes.collect(), true, request.validate_only).await;
            let failure = altered.err();
            responses.push(
                AlterConfigsResourceResponse::default()
                    .with_error_code(failure.as_ref().map_or(0, |failure| failure.code()))
                    .with_error_message(failure.map(|failure| text(&failure.message)))
                    .with_resource_type(resource.resource_type)
                    .with_resource_name(resource.resource_name),
            );
        }
        Reply::from(AlterConfigsResponse::default().with_responses(responses))
    }
}
