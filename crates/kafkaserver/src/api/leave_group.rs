//! LeaveGroup.

use kafka_protocol::messages::{LeaveGroupRequest, LeaveGroupResponse, leave_group_response::MemberResponse};

use super::{Api, Reply};
use crate::{
    auth::{Operation, Resource},
    call::Call,
    wire::shape::{
        Field,
        Kind::{Array, Text},
        all, between, from,
    },
};

/// The first version in which several members leave at once.
const SEVERAL_FROM_VERSION: i16 = 3;

/// See the module.
pub(crate) struct LeaveGroup;

impl Api for LeaveGroup {
    type Request = LeaveGroupRequest;
    type Response = LeaveGroupResponse;
    const KEY: i16 = 13;
    const VERSIONS: (i16, i16) = (0, 5);
    const FIELDS: &'static [Field] =
        &[all(Text), between(0, 2, Text), from(3, Array(&[from(3, Text), from(3, Text), from(5, Text)]))];

    async fn handle(call: &Call, request: LeaveGroupRequest) -> Reply<LeaveGroupResponse> {
        let group = request.group_id.as_str();
        let response = LeaveGroupResponse::default();
        if let Err(failure) = call.authorize(Operation::Read, Resource::Group(group)) {
            return Reply::from(response.with_error_code(failure.code()));
        }
        let leave = |id: &str, instance: Option<&str>| {
            let left = call.broker.groups.leave(&call.broker, group, id, instance);
            left.err().map_or(0, |error| error.code())
        };
        if call.version() < SEVERAL_FROM_VERSION {
            return Reply::from(response.with_error_code(leave(&request.member_id, None)));
        }
        let mut members = Vec::with_capacity(request.members.len());
        for member in request.members {
            let code = leave(&member.member_id, member.group_instance_id.as_deref());
            members.push(
                MemberResponse::default()
                    .with_member_id(member.member_id)
                    .with_group_instance_id(member.group_instance_id)
                    .with_error_code(code),
            );
        }
        Reply::from(response.with_members(members))
    }
}
