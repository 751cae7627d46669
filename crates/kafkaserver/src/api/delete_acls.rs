//! DeleteAcls: the access rules that filters find go. Those of the configuration file stay, and are said to.

use std::collections::BTreeSet;

use kafka_protocol::{
    error::ResponseError,
    messages::{
        DeleteAclsRequest, DeleteAclsResponse,
        delete_acls_request::DeleteAclsFilter,
        delete_acls_response::{DeleteAclsFilterResult, DeleteAclsMatchingAcl},
    },
};

use super::{Api, Reply, describe_acls::FILTER};
use crate::{
    auth::{
        Operation, Resource,
        acl::{Acl, Filter},
    },
    call::{Call, text},
    error::Failure,
    store::Key,
    wire::shape::{Field, Kind::Array, all},
};

/// See the module.
pub(crate) struct DeleteAcls;

impl Api for DeleteAcls {
    type Request = DeleteAclsRequest;
    type Response = DeleteAclsResponse;
    const KEY: i16 = 31;
    const VERSIONS: (i16, i16) = (1, 3);
    const FIELDS: &'static [Field] = &[all(Array(FILTER))];

    async fn handle(call: &Call, request: DeleteAclsRequest) -> Reply<DeleteAclsResponse> {
        let result = DeleteAclsFilterResult::default().with_error_message(None);
        let results = match delete(call, &request.filters).await {
            Ok(found) => found
                .into_iter()
                .map(|acls| result.clone().with_matching_acls(acls.iter().map(|acl| described(call, acl)).collect()))
                .collect(),
            Err(failure) => {
                let failed = result.with_error_code(failure.code()).with_error_message(Some(text(&failure.message)));
                request.filters.iter().map(|_| failed.clone()).collect()
            }
        };
        Reply::from(DeleteAclsResponse::default().with_filter_results(results))
    }
}

/// What each filter found. A rule is told of once, with the first one that found it: a short request with many filters
/// would have a very long answer else.
async fn delete(call: &Call, filters: &[DeleteAclsFilter]) -> Result<Vec<Vec<Acl>>, Failure> {
    call.authorize(Operation::Alter, Resource::Cluster)?;
    let rules = &call.broker.auth.rules;
    rules.check_enforced()?;
    let _one = call.broker.auth.changing().await;
    let mut left = rules.find(|_| true);
    let mut found = Vec::with_capacity(filters.len());
    for filter in filters.iter().map(filter) {
        found.push(left.extract_if(.., |acl| filter.finds(acl)).collect::<Vec<Acl>>());
    }
    let gone: BTreeSet<&Acl> = found.iter().flatten().filter(|acl| !rules.is_fixed(acl)).collect();
    let record = |acl: &&Acl| (Key::Acl((*acl).clone()), None);
    call.broker.store.record(&gone.iter().map(record).collect::<Vec<_>>()).await?;
    for acl in gone {
        tracing::info!(principal = %call.connection.principal(), ?acl, "a rule was deleted");
        rules.remove(acl);
    }
    Ok(found)
}

fn filter(wanted: &DeleteAclsFilter) -> Filter<'_> {
    Filter {
        kind: wanted.resource_type_filter,
        name: wanted.resource_name_filter.as_deref(),
        pattern: wanted.pattern_type_filter,
        principal: wanted.principal_filter.as_deref(),
        host: wanted.host_filter.as_deref(),
        operation: wanted.operation,
        permission: wanted.permission_type,
    }
}

fn described(call: &Call, acl: &Acl) -> DeleteAclsMatchingAcl {
    let written = acl.written();
    let described = DeleteAclsMatchingAcl::default()
        .with_error_message(None)
        .with_resource_type(written.kind)
        .with_resource_name(text(written.name))
        .with_pattern_type(written.pattern)
        .with_principal(text(written.principal))
        .with_host(text(written.host))
        .with_operation(written.operation)
        .with_permission_type(written.permission);
    if call.broker.auth.rules.is_fixed(acl) {
        let message = "this rule is in the server's configuration file, and is changed there";
        return described.with_error_code(ResponseError::InvalidRequest.code()).with_error_message(Some(text(message)));
    }
    described
}
