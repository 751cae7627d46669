//! DescribeConfigs.

use kafka_protocol::{
    error::ResponseError,
    messages::{
        DescribeConfigsRequest, DescribeConfigsResponse,
        describe_configs_request::DescribeConfigsResource,
        describe_configs_response::{DescribeConfigsResourceResult, DescribeConfigsResult, DescribeConfigsSynonym},
    },
};

use super::{
    Api, Reply,
    configs::{self, BROKER_RESOURCE, Setting, TOPIC_RESOURCE},
    once,
};
use crate::{
    auth::{Operation, Resource},
    broker::BROKER_ID,
    call::{Call, text},
    error::Failure,
    wire::shape::{
        Field,
        Kind::{Array, Fixed, List, Text},
        all, from,
    },
};

/// See the module.
pub(crate) struct DescribeConfigs;

impl Api for DescribeConfigs {
    type Request = DescribeConfigsRequest;
    type Response = DescribeConfigsResponse;
    const KEY: i16 = 32;
    const VERSIONS: (i16, i16) = (1, 4);
    const FIELDS: &'static [Field] =
        &[all(Array(&[all(Fixed(1)), all(Text), all(List(&Text))])), all(Fixed(1)), from(3, Fixed(1))];

    async fn handle(call: &Call, request: DescribeConfigsRequest) -> Reply<DescribeConfigsResponse> {
        let described = |resource: &DescribeConfigsResource| {
            let result = DescribeConfigsResult::default()
                .with_resource_type(resource.resource_type)
                .with_resource_name(resource.resource_name.clone());
            match settings(call, resource) {
                Ok(settings) => {
                    let wanted = |setting: &Setting| {
                        let keys = resource.configuration_keys.as_ref();
                        keys.is_none_or(|keys| keys.iter().any(|key| key.as_str() == setting.name))
                    };
                    let shown = settings.into_iter().filter(wanted).map(|s| show(s, request.include_synonyms));
                    result.with_error_message(None).with_configs(shown.collect())
                }
                Err(failure) => result.with_error_code(failure.code()).with_error_message(Some(text(&failure.message))),
            }
        };
        let resources = once(&request.resources, |resource| (resource.resource_type, resource.resource_name.clone()));
        let results = resources.map(described).collect();
        Reply::from(DescribeConfigsResponse::default().with_results(results))
    }
}

fn settings(call: &Call, resource: &DescribeConfigsResource) -> Result<Vec<Setting>, Failure> {
    let name = resource.resource_name.as_str();
    match resource.resource_type {
        TOPIC_RESOURCE => {
            call.authorize(Operation::DescribeConfigs, Resource::Topic(name))?;
            let topic = call.broker.log.topic(name);
            let topic = topic.ok_or_else(|| recordlog::LogError::UnknownTopic(name.to_owned()))?;
            Ok(configs::of_topic(&topic.config).collect())
        }
        BROKER_RESOURCE => {
            call.authorize(Operation::DescribeConfigs, Resource::Cluster)?;
            if name.is_empty() || name == BROKER_ID.to_string() {
                return Ok(configs::of_broker(call));
            }
            Err(Failure::new(ResponseError::InvalidRequest, format!("there is no broker {name}, only {BROKER_ID}")))
        }
        other => {
            Err(Failure::new(ResponseError::InvalidRequest, format!("resources of kind {other} have no settings")))
        }
    }
}

fn show(setting: Setting, synonyms: bool) -> DescribeConfigsResourceResult {
    let synonym = |value: &str, source| {
        DescribeConfigsSynonym::default()
            .with_name(text(setting.name))
            .with_value(Some(text(value)))
            .with_source(source)
    };
    let mut known = Vec::new();
    if synonyms {
        known.push(synonym(&setting.value, setting.source));
        if let Some(default) = setting.default.filter(|default| *default != setting.value) {
            known.push(synonym(default, 5));
        }
    }
    DescribeConfigsResourceResult::default()
        .with_name(text(setting.name))
        .with_value(Some(text(&setting.value)))
        .with_read_only(setting.read_only)
        .with_config_source(setting.source)
        .with_config_type(setting.kind)
        .with_synonyms(known)
        .with_documentation(None)
}
