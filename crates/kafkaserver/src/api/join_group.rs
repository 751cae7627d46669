//! JoinGroup.

use bytes::Bytes;
use kafka_protocol::{
    messages::{JoinGroupRequest, JoinGroupResponse, join_group_response::JoinGroupResponseMember},
    protocol::StrBytes,
};
use uuid::Uuid;

use super::{Api, Reply};
use crate::{
    auth::{Operation, Resource},
    call::{Call, text},
    group::classic::{Join, JoinRefused, Joined},
    wire::shape::{
        Field,
        Kind::{Array, Blob, Fixed, Text},
        all, from,
    },
};

/// The first version in which a new member learns its id before it joins.
const ID_REQUIRED_FROM_VERSION: i16 = 4;
/// The first version whose leaders know to leave the assignment as it is.
const SKIP_FROM_VERSION: i16 = 9;
/// Longest part of a client's id that goes into its members' ids, bytes.
const CLIENT_ID_BYTES_MAX: usize = 100;

/// See the module.
pub(crate) struct JoinGroup;

impl Api for JoinGroup {
    type Request = JoinGroupRequest;
    type Response = JoinGroupResponse;
    const KEY: i16 = 11;
    const VERSIONS: (i16, i16) = (0, 9);
    const FIELDS: &'static [Field] = &[
        all(Text),
        all(Fixed(4)),
        from(1, Fixed(4)),
        all(Text),
        from(5, Text),
        all(Text),
        all(Array(&[all(Text), all(Blob)])),
        from(8, Text),
    ];

    async fn handle(call: &Call, request: JoinGroupRequest) -> Reply<JoinGroupResponse> {
        let group = request.group_id.to_string();
        if let Err(failure) = call.authorize(Operation::Read, Resource::Group(&group)) {
            let response = JoinGroupResponse::default().with_error_code(failure.code()).with_generation_id(-1);
            return Reply::from(response.with_protocol_name(no_name(call)).with_member_id(request.member_id));
        }
        let joined = tokio::select! {
            joined = call.broker.groups.join(call, &group, join_of(call, &request)) => joined,
            () = call.broker.stop.cancelled() => return Reply::Nothing,
        };
        Reply::from(match joined {
            Ok(joined) => accepted(joined),
            Err(JoinRefused { error, member_id }) => JoinGroupResponse::default()
                .with_error_code(error.code())
                .with_generation_id(-1)
                .with_protocol_name(no_name(call))
                .with_member_id(text(&member_id)),
        })
    }
}

/// Before version 7 a protocol's name cannot be null.
fn no_name(call: &Call) -> Option<StrBytes> {
    (call.version() < 7).then(StrBytes::default)
}

fn join_of(call: &Call, request: &JoinGroupRequest) -> Join {
    let client_id = call.head.client_id.clone().unwrap_or_default();
    let random = Uuid::from_u128(call.broker.log.host().random.next_u128());
    let named = request.group_instance_id.as_ref().map_or(client_id.as_str(), StrBytes::as_str);
    let mut end = named.len().min(CLIENT_ID_BYTES_MAX);
    while !named.is_char_boundary(end) {
        end -= 1;
    }
    let new_member_id = format!("{}-{random}", named.get(..end).unwrap_or_default());
    let session_ms = i64::from(request.session_timeout_ms);
    // Copied, since what is kept of a request would keep all of it.
    let protocols = request.protocols.iter();
    let protocols = protocols.map(|p| (p.name.to_string(), Bytes::copy_from_slice(&p.metadata)));
    Join {
        member_id: request.member_id.to_string(),
        new_member_id,
        instance: request.group_instance_id.as_ref().map(ToString::to_string),
        client_id,
        client_host: call.client_host(),
        session_ms,
        // Version 0 has one time for both.
        rebalance_ms: if call.version() == 0 { session_ms } else { i64::from(request.rebalance_timeout_ms).max(0) },
        protocol_type: request.protocol_type.to_string(),
        protocols: protocols.collect(),
        id_required: call.version() >= ID_REQUIRED_FROM_VERSION,
        can_skip: call.version() >= SKIP_FROM_VERSION,
        ticket: 0,
    }
}

fn accepted(joined: Joined) -> JoinGroupResponse {
    let member = |(id, instance, metadata): (String, Option<String>, Bytes)| {
        JoinGroupResponseMember::default()
            .with_member_id(text(&id))
            .with_group_instance_id(instance.as_deref().map(text))
            .with_metadata(metadata)
    };
    JoinGroupResponse::default()
        .with_generation_id(joined.generation)
        .with_protocol_type(Some(text(&joined.protocol_type)))
        .with_protocol_name(Some(text(&joined.protocol)))
        .with_leader(text(&joined.leader))
        .with_skip_assignment(joined.skip_assignment)
        .with_member_id(text(&joined.member_id))
        .with_members(joined.members.into_iter().map(member).collect())
}
