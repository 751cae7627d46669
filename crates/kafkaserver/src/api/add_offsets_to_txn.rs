//! AddOffsetsToTxn: offsets of a group are to be committed with the transaction.

use kafka_protocol::messages::{AddOffsetsToTxnRequest, AddOffsetsToTxnResponse};

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
pub(crate) struct AddOffsetsToTxn;

impl Api for AddOffsetsToTxn {
    type Request = AddOffsetsToTxnRequest;
    type Response = AddOffsetsToTxnResponse;
    const KEY: i16 = 25;
    const VERSIONS: (i16, i16) = (0, 4);
    const FIELDS: &'static [Field] = &[all(Text), all(Fixed(8)), all(Fixed(2)), all(Text)];

    async fn handle(call: &Call, request: AddOffsetsToTxnRequest) -> Reply<AddOffsetsToTxnResponse> {
        let added = add(call, &request).await;
        let code = added.err().map_or(0, |failure| old_code(call.version(), FENCED_FROM_VERSION, &failure));
        Reply::from(AddOffsetsToTxnResponse::default().with_error_code(code))
    }
}

async fn add(call: &Call, request: &AddOffsetsToTxnRequest) -> Result<(), Failure> {
    let id = request.transactional_id.as_str();
    call.authorize(Operation::Write, Resource::Transaction(id))?;
    call.authorize(Operation::Read, Resource::Group(&request.group_id))?;
    let who = Producer { transactional_id: id, id: request.producer_id.0, epoch: request.producer_epoch };
    call.broker.transactions.add_group(&call.broker, who, &request.group_id).await
}
