//! ApiVersions: what a client asks first, to learn what it can ask.

use kafka_protocol::{
    error::ResponseError,
    messages::{ApiVersionsRequest, ApiVersionsResponse, api_versions_response::ApiVersion},
};

use super::{APIS, Api, Reply, produce::Produce};
use crate::{
    call::Call,
    wire::shape::{Field, Kind::Text, from},
};

/// See the module.
pub(crate) struct ApiVersions;

impl Api for ApiVersions {
    type Request = ApiVersionsRequest;
    type Response = ApiVersionsResponse;
    const KEY: i16 = 18;
    const VERSIONS: (i16, i16) = (0, 4);
    const FIELDS: &'static [Field] = &[from(3, Text), from(3, Text)];

    async fn handle(_: &Call, _: ApiVersionsRequest) -> Reply<ApiVersionsResponse> {
        Reply::from(ApiVersionsResponse::default().with_api_keys(versions()))
    }
}

/// The answer to a version that is not served, itself of version 0.
pub(super) fn unsupported() -> ApiVersionsResponse {
    let code = ResponseError::UnsupportedVersion.code();
    ApiVersionsResponse::default().with_error_code(code).with_api_keys(versions())
}

fn versions() -> Vec<ApiVersion> {
    let version = |api: &super::Entry| {
        // As Kafka does: older librdkafka takes a broker for too old to compress when the first versions are missing,
        // and never uses them.
        let first = if api.key == Produce::KEY { 0 } else { api.versions.0 };
        ApiVersion::default().with_api_key(api.key).with_min_version(first).with_max_version(api.versions.1)
    };
    APIS.iter().map(version).collect()
}
