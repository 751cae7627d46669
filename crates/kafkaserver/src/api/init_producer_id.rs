//! InitProducerId: an id for an idempotent producer, or the one of a transactional id with a new epoch.

use kafka_protocol::{
    error::ResponseError,
    messages::{InitProducerIdRequest, InitProducerIdResponse, ProducerId},
};

use super::{Api, Reply};
use crate::{
    auth::{Operation, Resource},
    call::Call,
    error::Failure,
    wire::shape::{
        Field,
        Kind::{Fixed, Text},
        all, from,
    },
};

/// The first version that tells a fenced producer from a wrong epoch.
const FENCED_FROM_VERSION: i16 = 4;

/// See the module.
pub(crate) struct InitProducerId;

impl Api for InitProducerId {
    type Request = InitProducerIdRequest;
    type Response = InitProducerIdResponse;
    const KEY: i16 = 22;
    const VERSIONS: (i16, i16) = (0, 5);
    const FIELDS: &'static [Field] = &[all(Text), all(Fixed(4)), from(3, Fixed(8)), from(3, Fixed(2))];

    async fn handle(call: &Call, request: InitProducerIdRequest) -> Reply<InitProducerIdResponse> {
        let response = InitProducerIdResponse::default();
        Reply::from(match begin(call, &request).await {
            Ok((id, epoch)) => response.with_producer_id(ProducerId(id)).with_producer_epoch(epoch),
            Err(failure) => response
                .with_error_code(old_code(call.version(), FENCED_FROM_VERSION, &failure))
                .with_producer_id(ProducerId(-1))
                .with_producer_epoch(-1),
        })
    }
}

async fn begin(call: &Call, request: &InitProducerIdRequest) -> Result<(i64, i16), Failure> {
    let Some(id) = request.transactional_id.as_ref() else {
        return Ok((call.broker.store.new_producer_id().await?, 0));
    };
    if id.is_empty() {
        return Err(ResponseError::InvalidRequest.into());
    }
    call.authorize(Operation::Write, Resource::Transaction(id))?;
    let before = (request.producer_id.0 >= 0).then_some((request.producer_id.0, request.producer_epoch));
    let transactions = &call.broker.transactions;
    transactions.begin_producer(&call.broker, id, request.transaction_timeout_ms, before).await
}

/// A fenced producer, as versions before `first` know it.
pub(super) fn old_code(version: i16, first: i16, failure: &Failure) -> i16 {
    match failure.error {
        ResponseError::ProducerFenced if version < first => ResponseError::InvalidProducerEpoch.code(),
        _ => failure.code(),
    }
}
