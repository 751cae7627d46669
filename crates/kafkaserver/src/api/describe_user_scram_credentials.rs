//! DescribeUserScramCredentials: which users have keys, of which mechanisms. The keys themselves are never told.

use kafka_protocol::{
    error::ResponseError,
    messages::{
        DescribeUserScramCredentialsRequest, DescribeUserScramCredentialsResponse,
        describe_user_scram_credentials_response::{CredentialInfo, DescribeUserScramCredentialsResult},
    },
};

use super::{Api, Reply, once};
use crate::{
    auth::{Operation, Resource},
    call::{Call, text},
    wire::shape::{
        Field,
        Kind::{Array, Text},
        all,
    },
};

/// See the module.
pub(crate) struct DescribeUserScramCredentials;

impl Api for DescribeUserScramCredentials {
    type Request = DescribeUserScramCredentialsRequest;
    type Response = DescribeUserScramCredentialsResponse;
    const KEY: i16 = 50;
    const VERSIONS: (i16, i16) = (0, 0);
    const FIELDS: &'static [Field] = &[all(Array(&[all(Text)]))];

    async fn handle(
        call: &Call,
        request: DescribeUserScramCredentialsRequest,
    ) -> Reply<DescribeUserScramCredentialsResponse> {
        let response = DescribeUserScramCredentialsResponse::default().with_error_message(None);
        if let Err(failure) = call.authorize(Operation::Describe, Resource::Cluster) {
            let message = Some(text(&failure.message));
            return Reply::from(response.with_error_code(failure.code()).with_error_message(message));
        }
        let asked: Vec<String> =
            request.users.unwrap_or_default().into_iter().map(|user| user.name.to_string()).collect();
        let names = if asked.is_empty() { call.broker.auth.users.names() } else { asked };
        let results = once(names, String::clone).map(|name| described(call, &name)).collect();
        Reply::from(response.with_results(results))
    }
}

fn described(call: &Call, name: &str) -> DescribeUserScramCredentialsResult {
    let result = DescribeUserScramCredentialsResult::default().with_user(text(name)).with_error_message(None);
    let found = call.broker.auth.users.described(name);
    if found.is_empty() {
        let message = format!("there is no user {name}");
        return result.with_error_code(ResponseError::ResourceNotFound.code()).with_error_message(Some(text(&message)));
    }
    let info = |(hash, iterations): (crate::auth::Hash, u32)| {
        let iterations = i32::try_from(iterations).unwrap_or(i32::MAX);
        CredentialInfo::default().with_mechanism(hash.code()).with_iterations(iterations)
    };
    result.with_credential_infos(found.into_iter().map(info).collect())
}
