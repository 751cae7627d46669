//! EndTxn: commit or abort.

use kafka_protocol::messages::{EndTxnRequest, EndTxnResponse};

use super::{Api, Reply, init_producer_id::old_code};
use crate::{
    auth::{Operation, Resource},
    call::Call,
    error::Failure,
    txn::Producer,
    wire::shape::{
        Field,
        Kind::{Fixed, Text},
        all,
    },
};

/// The first version that tells a fenced producer from a wrong epoch.
const FENCED_FROM_VERSION: i16 = 2;

/// See the module.
pub(crate) struct EndTxn;

impl Api for EndTxn {
    type Request = EndTxnRequest;
    type Response = EndTxnResponse;
    const KEY: i16 = 26;
    const VERSIONS: (i16, i16) = (0, 4);
    const FIELDS: &'static [Field] = &[all(Text), all(Fixed(8)), all(Fixed(2)), all(Fixed(1))];

    async fn handle(call: &Call, request: EndTxnRequest) -> Reply<EndTxnResponse> {
        let ended = end(call, &request).await;
        let code = ended.err().map_or(0, |failure| old_code(call.version(), FENCED_FROM_VERSION, &failure));
        Reply::from(EndTxnResponse::default().with_error_code(code))
    }
}

async fn end(call: &Call, request: &EndTxnRequest) -> Result<(), Failure> {
    let id = request.transactional_id.as_str();
    call.authorize(Operation::Write, Resource::Transaction(id))?;
    let who = Producer { transactional_id: id, id: request.producer_id.0, epoch: request.producer_epoch };
    call.broker.transactions.end(&call.broker, who, request.committed).await
}
