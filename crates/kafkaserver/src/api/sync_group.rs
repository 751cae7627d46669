//! SyncGroup.

use bytes::Bytes;
use kafka_protocol::messages::{SyncGroupRequest, SyncGroupResponse};

use super::{Api, Reply};
use crate::{
    auth::{Operation, Resource},
    call::{Call, text},
    group::Sync,
    wire::shape::{
        Field,
        Kind::{Array, Blob, Fixed, Text},
        all, from,
    },
};

/// See the module.
pub(crate) struct SyncGroup;

impl Api for SyncGroup {
    type Request = SyncGroupRequest;
    type Response = SyncGroupResponse;
    const KEY: i16 = 14;
    const VERSIONS: (i16, i16) = (0, 5);
    const FIELDS: &'static [Field] = &[
        all(Text),
        all(Fixed(4)),
        all(Text),
        from(3, Text),
        from(5, Text),
        from(5, Text),
        all(Array(&[all(Text), all(Blob)])),
    ];

    async fn handle(call: &Call, request: SyncGroupRequest) -> Reply<SyncGroupResponse> {
        let group = request.group_id.to_string();
        let response = SyncGroupResponse::default();
        if let Err(failure) = call.authorize(Operation::Read, Resource::Group(&group)) {
            return Reply::from(response.with_error_code(failure.code()));
        }
        // Copied, since what is kept of a request would keep all of it.
        let assignments = request.assignments.iter();
        let assignments = assignments.map(|a| (a.member_id.to_string(), Bytes::copy_from_slice(&a.assignment)));
        let sync = Sync {
            member_id: request.member_id.to_string(),
            instance: request.group_instance_id.map(|id| id.to_string()),
            generation: request.generation_id,
            protocol_type: request.protocol_type.map(|name| name.to_string()),
            protocol: request.protocol_name.map(|name| name.to_string()),
            assignments: assignments.collect(),
        };
        let synced = tokio::select! {
            synced = call.broker.groups.sync(&call.broker, &group, sync) => synced,
            () = call.broker.stop.cancelled() => return Reply::Nothing,
        };
        Reply::from(match synced {
            Ok(synced) => response
                .with_protocol_type(Some(text(&synced.protocol_type)))
                .with_protocol_name(Some(text(&synced.protocol)))
                .with_assignment(synced.assignment),
            Err(error) => response.with_error_code(error.code()),
        })
    }
}
