//! DescribeClientQuotas: there are none. Kafka's tools ask for them along with a user's credentials.

use kafka_protocol::messages::{DescribeClientQuotasRequest, DescribeClientQuotasResponse};

use super::{Api, Reply};
use crate::{
    auth::{Operation, Resource},
    call::{Call, text},
    wire::shape::{
        Field,
        Kind::{Array, Fixed, Text},
        all,
    },
};

/// See the module.
pub(crate) struct DescribeClientQuotas;

impl Api for DescribeClientQuotas {
    type Request = DescribeClientQuotasRequest;
    type Response = DescribeClientQuotasResponse;
    const KEY: i16 = 48;
    const VERSIONS: (i16, i16) = (0, 1);
    const FIELDS: &'static [Field] = &[all(Array(&[all(Text), all(Fixed(1)), all(Text)])), all(Fixed(1))];

    async fn handle(call: &Call, _: DescribeClientQuotasRequest) -> Reply<DescribeClientQuotasResponse> {
        let response = DescribeClientQuotasResponse::default().with_error_message(None);
        Reply::from(match call.authorize(Operation::DescribeConfigs, Resource::Cluster) {
            Ok(()) => response.with_entries(Some(Vec::new())),
            Err(failure) => response
                .with_error_code(failure.code())
                .with_error_message(Some(text(&failure.message)))
                .with_entries(None),
        })
    }
}
