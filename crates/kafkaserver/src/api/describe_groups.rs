//! DescribeGroups.

use bytes::Bytes;
use kafka_protocol::{
    error::ResponseError,
    messages::{
        DescribeGroupsRequest, DescribeGroupsResponse, GroupId,
        describe_groups_response::{DescribedGroup, DescribedGroupMember},
    },
};

use super::{Api, Reply, once};
use crate::{
    auth::{Operation, Resource},
    call::{Call, text},
    group::{
        Kind,
        classic::{Classic, Member, Phase},
    },
    wire::shape::{
        Field,
        Kind::{Fixed, List, Text},
        all, from,
    },
};

/// The first version in which a group that does not exist is an error.
const UNKNOWN_FROM_VERSION: i16 = 6;

/// See the module.
pub(crate) struct DescribeGroups;

impl Api for DescribeGroups {
    type Request = DescribeGroupsRequest;
    type Response = DescribeGroupsResponse;
    const KEY: i16 = 15;
    const VERSIONS: (i16, i16) = (0, 6);
    const FIELDS: &'static [Field] = &[all(List(&Text)), from(3, Fixed(1))];

    async fn handle(call: &Call, request: DescribeGroupsRequest) -> Reply<DescribeGroupsResponse> {
        let groups = once(request.groups, GroupId::clone).map(|id| describe(call, id)).collect();
        Reply::from(DescribeGroupsResponse::default().with_groups(groups))
    }
}

fn describe(call: &Call, id: GroupId) -> DescribedGroup {
    let group = DescribedGroup::default().with_error_message(None);
    if let Err(failure) = call.authorize(Operation::Describe, Resource::Group(&id)) {
        return group.with_group_id(id).with_error_code(failure.code());
    }
    let found = call.broker.groups.with(&id, |state| match state.kind {
        Kind::Classic => Ok(state.classic.clone()),
        Kind::Consumer => Err("is of the consumer protocol, not the classic one"),
    });
    let classic = found.unwrap_or(Err("does not exist"));
    let classic = match classic {
        Ok(classic) => classic,
        Err(words) => {
            let group = group.with_group_state(text("Dead"));
            return match call.version() >= UNKNOWN_FROM_VERSION {
                true => group
                    .with_error_code(ResponseError::GroupIdNotFound.code())
                    .with_error_message(Some(text(&format!("group {} {words}", id.as_str()))))
                    .with_group_id(id),
                false => group.with_group_id(id),
            };
        }
    };
    let members = classic.members.iter().map(|(id, one)| member(&classic, id, one)).collect();
    group
        .with_group_id(id)
        .with_group_state(text(classic.phase.name()))
        .with_protocol_type(text(&classic.protocol_type))
        .with_protocol_data(text(&classic.protocol))
        .with_members(members)
}

fn member(group: &Classic, id: &str, member: &Member) -> DescribedGroupMember {
    // What it had in another generation is no more its.
    let assignment = if group.phase == Phase::Stable { member.assignment.clone() } else { Bytes::new() };
    DescribedGroupMember::default()
        .with_member_id(text(id))
        .with_group_instance_id(member.instance.as_deref().map(text))
        .with_client_id(text(&member.client_id))
        .with_client_host(text(&member.client_host))
        .with_member_metadata(member.metadata(&group.protocol))
        .with_member_assignment(assignment)
}
