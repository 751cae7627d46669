//! IncrementalAlterConfigs: single settings of a resource.

use kafka_protocol::{
    error::ResponseError,
    messages::{
        IncrementalAlterConfigsRequest, IncrementalAlterConfigsResponse,
        incremental_alter_configs_request::AlterConfigsResource,
        incremental_alter_configs_response::AlterConfigsResourceResponse,
    },
};

use super::{
    Api, Reply,
    configs::{self, Change},
};
use crate::{
    call::{Call, text},
    error::Failure,
    wire::shape::{
        Field,
        Kind::{Array, Fixed, Text},
        all,
    },
};

/// See the module.
pub(crate) struct IncrementalAlterConfigs;

impl Api for IncrementalAlterConfigs {
    type Request = IncrementalAlterConfigsRequest;
    type Response = IncrementalAlterConfigsResponse;
    const KEY: i16 = 44;
    const VERSIONS: (i16, i16) = (0, 1);
    const FIELDS: &'static [Field] =
        &[all(Array(&[all(Fixed(1)), all(Text), all(Array(&[all(Text), all(Fixed(1)), all(Text)]))])), all(Fixed(1))];

    async fn handle(call: &Call, request: IncrementalAlterConfigsRequest) -> Reply<IncrementalAlterConfigsResponse> {
        let mut responses = Vec::with_capacity(request.resources.len());
        for resource in request.resources {
            let target = (resource.resource_type, resource.resource_name.as_str());
            let altered = match changes(&resource) {
                Ok(changes) => configs::alter(call, target, changes, false, request.validate_only).await,
                Err(failure) => Err(failure),
            };
            let failure = altered.err();
            responses.push(
                AlterConfigsResourceResponse::default()
                    .with_error_code(failure.as_ref().map_or(0, |failure| failure.code()))
                    .with_error_message(failure.map(|failure| text(&failure.message)))
                    .with_resource_type(resource.resource_type)
                    .with_resource_name(resource.resource_name),
            );
        }
        Reply::from(IncrementalAlterConfigsResponse::default().with_responses(responses))
    }
}

fn changes(resource: &AlterConfigsResource) -> Result<Vec<(String, Change)>, Failure> {
    let change = |config: &kafka_protocol::messages::incremental_alter_configs_request::AlterableConfig| {
        let name = config.name.to_string();
        let value = || {
            let missing = || Failure::new(ResponseError::InvalidRequest, format!("setting {name} is given no value"));
            config.value.as_ref().map(ToString::to_string).ok_or_else(missing)
        };
        let change = match config.config_operation {
            0 => Change::Set(value()?),
            1 => Change::Unset,
            2 => Change::Append(value()?),
            3 => Change::Subtract(value()?),
            other => {
                let message = format!("there is no way {other} to change a setting");
                return Err(Failure::new(ResponseError::InvalidRequest, message));
            }
        };
        Ok((name, change))
    };
    resource.configs.iter().map(change).collect()
}
