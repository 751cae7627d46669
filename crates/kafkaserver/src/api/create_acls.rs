//! CreateAcls: new access rules.

use std::collections::BTreeSet;

use kafka_protocol::{
    error::ResponseError,
    messages::{
        CreateAclsRequest, CreateAclsResponse, create_acls_request::AclCreation,
        create_acls_response::AclCreationResult,
    },
};

use super::{Api, Reply};
use crate::{
    auth::{
        Operation, Resource,
        acl::{Acl, Written},
        rules::RULES_MAX,
    },
    call::{Call, text},
    error::Failure,
    store::Key,
    wire::shape::{
        Field,
        Kind::{Array, Fixed, Text},
        all,
    },
};

/// See the module.
pub(crate) struct CreateAcls;

impl Api for CreateAcls {
    type Request = CreateAclsRequest;
    type Response = CreateAclsResponse;
    const KEY: i16 = 30;
    const VERSIONS: (i16, i16) = (1, 3);
    const FIELDS: &'static [Field] =
        &[all(Array(&[all(Fixed(1)), all(Text), all(Fixed(1)), all(Text), all(Text), all(Fixed(1)), all(Fixed(1))]))];

    async fn handle(call: &Call, request: CreateAclsRequest) -> Reply<CreateAclsResponse> {
        let made = create(call, &request.creations).await;
        let result = |made: Result<(), Failure>| {
            let failure = made.err();
            AclCreationResult::default()
                .with_error_code(failure.as_ref().map_or(0, Failure::code))
                .with_error_message(failure.map(|failure| text(&failure.message)))
        };
        Reply::from(CreateAclsResponse::default().with_results(made.into_iter().map(result).collect()))
    }
}

/// Make those that can be made, all in one commit; what became of each.
async fn create(call: &Call, wanted: &[AclCreation]) -> Vec<Result<(), Failure>> {
    let rules = &call.broker.auth.rules;
    if let Err(failure) = call.authorize(Operation::Alter, Resource::Cluster).and_then(|()| rules.check_enforced()) {
        return wanted.iter().map(|_| Err(failure.clone())).collect();
    }
    let acls: Vec<Result<Acl, Failure>> = wanted.iter().map(|wanted| Acl::from_client(written(wanted))).collect();
    let _one = call.broker.auth.changing().await;
    let new: BTreeSet<&Acl> = acls.iter().flatten().filter(|acl| !rules.is_kept(acl)).collect();
    let recorded = if !new.is_empty() && rules.kept_count() + new.len() > RULES_MAX {
        Err(Failure::new(ResponseError::PolicyViolation, format!("there are at most {RULES_MAX} rules")))
    } else {
        let record = |acl: &&Acl| (Key::Acl((*acl).clone()), Some(serde_json::Value::Bool(true)));
        call.broker.store.record(&new.iter().map(record).collect::<Vec<_>>()).await
    };
    let settle = |acl: Result<Acl, Failure>| {
        let acl = acl?;
        recorded.clone()?;
        tracing::info!(principal = %call.connection.principal(), ?acl, "a rule was made");
        rules.add(acl);
        Ok(())
    };
    acls.into_iter().map(settle).collect()
}

fn written(wanted: &AclCreation) -> Written<'_> {
    Written {
        kind: wanted.resource_type,
        name: &wanted.resource_name,
        pattern: wanted.resource_pattern_type,
        principal: &wanted.principal,
        host: &wanted.host,
        operation: wanted.operation,
        permission: wanted.permission_type,
    }
}
