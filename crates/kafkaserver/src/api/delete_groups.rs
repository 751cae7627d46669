//! DeleteGroups.

use kafka_protocol::messages::{
    DeleteGroupsRequest, DeleteGroupsResponse, delete_groups_response::DeletableGroupResult,
};

use super::{Api, Reply};
use crate::{
    auth::{Operation, Resource},
    call::Call,
    error::code_of,
    wire::shape::{
        Field,
        Kind::{List, Text},
        all,
    },
};

/// See the module.
pub(crate) struct DeleteGroups;

impl Api for DeleteGroups {
    type Request = DeleteGroupsRequest;
    type Response = DeleteGroupsResponse;
    const KEY: i16 = 42;
    const VERSIONS: (i16, i16) = (0, 2);
    const FIELDS: &'static [Field] = &[all(List(&Text))];

    async fn handle(call: &Call, request: DeleteGroupsRequest) -> Reply<DeleteGroupsResponse> {
        let mut results = Vec::with_capacity(request.groups_names.len());
        for id in request.groups_names {
            let deleted = match call.authorize(Operation::Delete, Resource::Group(&id)) {
                Ok(()) => call.broker.groups.delete(&call.broker, &id).await,
                Err(failure) => Err(failure),
            };
            results.push(DeletableGroupResult::default().with_group_id(id).with_error_code(code_of(&deleted)));
        }
        Reply::from(DeleteGroupsResponse::default().with_results(results))
    }
}
