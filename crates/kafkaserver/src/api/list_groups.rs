//! ListGroups.

use kafka_protocol::messages::{GroupId, ListGroupsRequest, ListGroupsResponse, list_groups_response::ListedGroup};

use super::{Api, Reply};
use crate::{
    auth::{Operation, Resource},
    call::{Call, text},
    group::Kind,
    wire::shape::{
        Field,
        Kind::{List, Text},
        from,
    },
};

/// See the module.
pub(crate) struct ListGroups;

impl Api for ListGroups {
    type Request = ListGroupsRequest;
    type Response = ListGroupsResponse;
    const KEY: i16 = 16;
    const VERSIONS: (i16, i16) = (0, 5);
    const FIELDS: &'static [Field] = &[from(4, List(&Text)), from(5, List(&Text))];

    async fn handle(call: &Call, request: ListGroupsRequest) -> Reply<ListGroupsResponse> {
        let in_filter = |filter: &[kafka_protocol::protocol::StrBytes], word: &str| {
            filter.is_empty() || filter.iter().any(|wanted| wanted.eq_ignore_ascii_case(word))
        };
        let mut groups = Vec::new();
        for id in call.broker.groups.ids() {
            if !call.may(Operation::Describe, Resource::Group(&id)) {
                continue;
            }
            let about = call.broker.groups.with(&id, |state| match state.kind {
                Kind::Classic => (state.kind.name(), state.classic.phase.name(), state.classic.protocol_type.clone()),
                Kind::Consumer => (state.kind.name(), state.consumer.phase().name(), "consumer".to_owned()),
            });
            let Some((kind, phase, protocol_type)) = about else { continue };
            if in_filter(&request.states_filter, phase) && in_filter(&request.types_filter, kind) {
                groups.push(
                    ListedGroup::default()
                        .with_group_id(GroupId(text(&id)))
                        .with_protocol_type(text(&protocol_type))
                        .with_group_state(text(phase))
                        .with_group_type(text(kind)),
                );
            }
        }
        Reply::from(ListGroupsResponse::default().with_groups(groups))
    }
}
