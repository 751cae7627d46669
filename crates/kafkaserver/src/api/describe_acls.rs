//! DescribeAcls: the access rules that a filter finds.

use std::collections::BTreeMap;

use kafka_protocol::messages::{
    DescribeAclsRequest, DescribeAclsResponse,
    describe_acls_response::{AclDescription, DescribeAclsResource},
};

use super::{Api, Reply};
use crate::{
    auth::{
        Operation, Resource,
        acl::{Acl, Filter},
    },
    call::{Call, text},
    error::Failure,
    wire::shape::{
        Field,
        Kind::{Fixed, Text},
        all,
    },
};

/// See the module.
pub(crate) struct DescribeAcls;

/// The fields of a filter.
pub(super) const FILTER: &[Field] =
    &[all(Fixed(1)), all(Text), all(Fixed(1)), all(Text), all(Text), all(Fixed(1)), all(Fixed(1))];

impl Api for DescribeAcls {
    type Request = DescribeAclsRequest;
    type Response = DescribeAclsResponse;
    const KEY: i16 = 29;
    const VERSIONS: (i16, i16) = (1, 3);
    const FIELDS: &'static [Field] = FILTER;

    async fn handle(call: &Call, request: DescribeAclsRequest) -> Reply<DescribeAclsResponse> {
        let response = DescribeAclsResponse::default().with_error_message(None);
        Reply::from(match found(call, &request) {
            Ok(resources) => response.with_resources(resources),
            Err(failure) => response.with_error_code(failure.code()).with_error_message(Some(text(&failure.message))),
        })
    }
}

fn found(call: &Call, request: &DescribeAclsRequest) -> Result<Vec<DescribeAclsResource>, Failure> {
    call.authorize(Operation::Describe, Resource::Cluster)?;
    let rules = &call.broker.auth.rules;
    rules.check_enforced()?;
    let filter = Filter {
        kind: request.resource_type_filter,
        name: request.resource_name_filter.as_deref(),
        pattern: request.pattern_type_filter,
        principal: request.principal_filter.as_deref(),
        host: request.host_filter.as_deref(),
        operation: request.operation,
        permission: request.permission_type,
    };
    let acls = rules.find(|acl| filter.finds(acl));
    let mut by_resource: BTreeMap<(i8, &str, i8), Vec<AclDescription>> = BTreeMap::new();
    for written in acls.iter().map(Acl::written) {
        let described = AclDescription::default()
            .with_principal(text(written.principal))
            .with_host(text(written.host))
            .with_operation(written.operation)
            .with_permission_type(written.permission);
        by_resource.entry((written.kind, written.name, written.pattern)).or_default().push(described);
    }
    let resource = |((kind, name, pattern), acls): ((i8, &str, i8), Vec<AclDescription>)| {
        DescribeAclsResource::default()
            .with_resource_type(kind)
            .with_resource_name(text(name))
            .with_pattern_type(pattern)
            .with_acls(acls)
    };
    Ok(by_resource.into_iter().map(resource).collect())
}
