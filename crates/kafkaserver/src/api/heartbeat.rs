//! Heartbeat.

use kafka_protocol::messages::{HeartbeatRequest, HeartbeatResponse};

use super::{Api, Reply};
use crate::{
    auth::{Operation, Resource},
    call::Call,
    wire::shape::{
        Field,
        Kind::{Fixed, Text},
        all, from,
    },
};

/// See the module.
pub(crate) struct Heartbeat;

impl Api for Heartbeat {
    type Request = HeartbeatRequest;
    type Response = HeartbeatResponse;
    const KEY: i16 = 12;
    const VERSIONS: (i16, i16) = (0, 4);
    const FIELDS: &'static [Field] = &[all(Text), all(Fixed(4)), all(Text), from(3, Text)];

    async fn handle(call: &Call, request: HeartbeatRequest) -> Reply<HeartbeatResponse> {
        let group = request.group_id.as_str();
        if let Err(failure) = call.authorize(Operation::Read, Resource::Group(group)) {
            return Reply::from(HeartbeatResponse::default().with_error_code(failure.code()));
        }
        let member = (request.member_id.as_str(), request.group_instance_id.as_deref());
        let heard = call.broker.groups.heartbeat(&call.broker, group, member, request.generation_id);
        Reply::from(HeartbeatResponse::default().with_error_code(heard.err().map_or(0, |error| error.code())))
    }
}
