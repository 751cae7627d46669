//! FindCoordinator: the one broker coordinates every group and every transaction.

use kafka_protocol::{
    error::ResponseError,
    messages::{BrokerId, FindCoordinatorRequest, FindCoordinatorResponse, find_coordinator_response::Coordinator},
};

use super::{Api, Reply};
use crate::{
    auth::{Operation, Resource},
    broker::BROKER_ID,
    call::{Call, text},
    error::Failure,
    wire::shape::{
        Field,
        Kind::{Fixed, List, Text},
        between, from,
    },
};

const GROUP: i8 = 0;
const TRANSACTION: i8 = 1;
/// The first version that asks for several at once.
const SEVERAL_FROM_VERSION: i16 = 4;

/// See the module.
pub(crate) struct FindCoordinator;

impl Api for FindCoordinator {
    type Request = FindCoordinatorRequest;
    type Response = FindCoordinatorResponse;
    const KEY: i16 = 10;
    const VERSIONS: (i16, i16) = (0, 5);
    const FIELDS: &'static [Field] = &[between(0, 3, Text), from(1, Fixed(1)), from(4, List(&Text))];

    async fn handle(call: &Call, request: FindCoordinatorRequest) -> Reply<FindCoordinatorResponse> {
        let (host, port) = call.advertised();
        let find = |key: &str| check(call, request.key_type, key);
        if call.version() >= SEVERAL_FROM_VERSION {
            let coordinator = |key: &kafka_protocol::protocol::StrBytes| {
                let found = Coordinator::default().with_key(key.clone()).with_error_message(None);
                match find(key) {
                    Ok(()) => found.with_node_id(BrokerId(BROKER_ID)).with_host(host.clone()).with_port(port),
                    Err(failure) => found
                        .with_node_id(BrokerId(-1))
                        .with_port(-1)
                        .with_error_code(failure.code())
                        .with_error_message(Some(text(&failure.message))),
                }
            };
            let coordinators = request.coordinator_keys.iter().map(coordinator).collect();
            return Reply::from(FindCoordinatorResponse::default().with_coordinators(coordinators));
        }
        let response = FindCoordinatorResponse::default().with_error_message(None);
        Reply::from(match find(&request.key) {
            Ok(()) => response.with_node_id(BrokerId(BROKER_ID)).with_host(host).with_port(port),
            Err(failure) => response
                .with_node_id(BrokerId(-1))
                .with_port(-1)
                .with_error_code(failure.code())
                .with_error_message(Some(text(&failure.message))),
        })
    }
}

fn check(call: &Call, kind: i8, key: &str) -> Result<(), Failure> {
    match kind {
        GROUP => call.authorize(Operation::Describe, Resource::Group(key)),
        TRANSACTION => call.authorize(Operation::Describe, Resource::Transaction(key)),
        other => Err(Failure::new(ResponseError::InvalidRequest, format!("there is no coordinator of kind {other}"))),
    }
}
