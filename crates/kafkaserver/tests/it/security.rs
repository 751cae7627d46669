//! Users and access rules that are made over the wire.

use std::num::NonZeroU32;

use bytes::Bytes;
use kafka_protocol::messages::{
    AlterUserScramCredentialsRequest, CreateAclsRequest, DeleteAclsRequest, DescribeAclsRequest,
    DescribeClientQuotasRequest, DescribeUserScramCredentialsRequest,
    alter_user_scram_credentials_request::{ScramCredentialDeletion, ScramCredentialUpsertion},
    create_acls_request::AclCreation,
    delete_acls_request::DeleteAclsFilter,
    describe_user_scram_credentials_request::UserName,
};
use kafkaserver::{Names, Operation, ResourceKind, Rule, Settings, User};

use crate::{login::*, support::*};

const TOPIC_AUTHORIZATION_FAILED: i16 = 29;
const CLUSTER_AUTHORIZATION_FAILED: i16 = 31;
const INVALID_REQUEST: i16 = 42;
const INVALID_PRINCIPAL_TYPE: i16 = 67;
const SECURITY_DISABLED: i16 = 54;
const RESOURCE_NOT_FOUND: i16 = 91;
const DUPLICATE_RESOURCE: i16 = 92;
const UNACCEPTABLE_CREDENTIAL: i16 = 93;
const UNSUPPORTED_SASL_MECHANISM: i16 = 33;

const ROUNDS: NonZeroU32 = NonZeroU32::new(4096).unwrap();

/// One super user, whom the settings have, and a rule of theirs.
fn settings(settings: &mut Settings) {
    settings.users = vec![User { name: "root".into(), password: "root's secret".into() }];
    settings.super_users = vec!["User:root".into()];
    settings.rules = vec![Rule {
        principal: "User:ann".into(),
        kind: ResourceKind::Topic,
        names: Names::Is("hers".into()),
        operations: Some(vec![Operation::Read]),
    }];
}

async fn root(server: &Server) -> Client {
    let mut client = server.client().await;
    assert!(scram(&mut client, "root", "root's secret").await);
    client
}

fn upsertion(user: &str, password: &str) -> ScramCredentialUpsertion {
    ScramCredentialUpsertion::default()
        .with_name(text(user))
        .with_mechanism(1)
        .with_iterations(4096)
        .with_salt(Bytes::from_static(b"salt"))
        .with_salted_password(salted(password, b"salt", ROUNDS))
}

fn deletion(user: &str) -> ScramCredentialDeletion {
    ScramCredentialDeletion::default().with_name(text(user)).with_mechanism(1)
}

async fn alter(
    client: &mut Client,
    set: Vec<ScramCredentialUpsertion>,
    deleted: Vec<ScramCredentialDeletion>,
) -> Vec<(String, i16)> {
    let request = AlterUserScramCredentialsRequest::default().with_upsertions(set).with_deletions(deleted);
    let response = client.ask(0, &request).await;
    response.results.into_iter().map(|result| (result.user.to_string(), result.error_code)).collect()
}

/// Users with the error and the mechanisms of each.
async fn users(client: &mut Client, names: &[&str]) -> Vec<(String, i16, Vec<(i8, i32)>)> {
    let names = names.iter().map(|name| UserName::default().with_name(text(name))).collect();
    let request = DescribeUserScramCredentialsRequest::default().with_users(Some(names));
    let response = client.ask(0, &request).await;
    assert_eq!(response.error_code, 0);
    let of = |user: kafka_protocol::messages::describe_user_scram_credentials_response::DescribeUserScramCredentialsResult| {
        let infos = user.credential_infos.iter().map(|info| (info.mechanism, info.iterations)).collect();
        (user.user.to_string(), user.error_code, infos)
    };
    response.results.into_iter().map(of).collect()
}

#[tokio::test]
async fn users_are_made_over_the_wire() {
    let server = Server::start_with(settings).await;
    let mut admin = root(&server).await;
    assert_eq!(alter(&mut admin, vec![upsertion("ann", "first")], vec![]).await, [("ann".to_owned(), 0)]);
    assert_eq!(alter(&mut admin, vec![upsertion("ann", "second"), upsertion("bob", "bob's")], vec![]).await.len(), 2);
    let expected = |name: &str| (name.to_owned(), 0, vec![(1, 4096)]);
    let roots = ("root".to_owned(), 0, vec![(1, 4096), (2, 4096)]);
    assert_eq!(users(&mut admin, &[]).await, [expected("ann"), expected("bob"), roots]);
    assert_eq!(users(&mut admin, &["carl", "carl"]).await, [("carl".to_owned(), RESOURCE_NOT_FOUND, vec![])]);

    let server = server.power_loss_with(settings).await;
    assert!(!scram(&mut server.client().await, "ann", "first").await);
    let mut ann = server.client().await;
    assert!(scram(&mut ann, "ann", "second").await);
    assert_eq!(plain(&mut server.client().await, "bob", "bob's").await.error_code, 0, "keys serve for PLAIN, too");
    // Who may not change users is told so, for each of them.
    let refused = alter(&mut ann, vec![upsertion("bob", "x")], vec![deletion("ann")]).await;
    assert_eq!(refused, ["ann", "bob"].map(|name| (name.to_owned(), CLUSTER_AUTHORIZATION_FAILED)));

    let mut admin = root(&server).await;
    assert_eq!(alter(&mut admin, vec![], vec![deletion("ann")]).await, [("ann".to_owned(), 0)]);
    assert!(!scram(&mut server.client().await, "ann", "second").await);
    let server = server.power_loss_with(settings).await;
    assert!(!scram(&mut server.client().await, "ann", "second").await);
    assert!(scram(&mut server.client().await, "bob", "bob's").await);
}

#[tokio::test]
async fn credentials_that_cannot_be() {
    let server = Server::start_with(settings).await;
    let mut admin = root(&server).await;
    let mut check = async |set: Vec<ScramCredentialUpsertion>, deleted: Vec<ScramCredentialDeletion>, expect: i16| {
        let outcome = alter(&mut admin, set, deleted).await;
        assert_eq!(outcome.iter().map(|(_, error)| *error).collect::<Vec<_>>(), [expect]);
    };
    let good = || upsertion("ann", "secret");
    check(vec![good().with_iterations(4095)], vec![], UNACCEPTABLE_CREDENTIAL).await;
    check(vec![good().with_iterations(20_000)], vec![], UNACCEPTABLE_CREDENTIAL).await;
    check(vec![good().with_iterations(-1)], vec![], UNACCEPTABLE_CREDENTIAL).await;
    check(vec![good().with_salt(Bytes::new())], vec![], UNACCEPTABLE_CREDENTIAL).await;
    check(vec![good().with_salted_password(Bytes::from_static(b"short"))], vec![], UNACCEPTABLE_CREDENTIAL).await;
    check(vec![good().with_name(text(""))], vec![], UNACCEPTABLE_CREDENTIAL).await;
    check(vec![good().with_name(text("root"))], vec![], UNACCEPTABLE_CREDENTIAL).await;
    check(vec![good().with_mechanism(3)], vec![], UNSUPPORTED_SASL_MECHANISM).await;
    check(vec![good(), good()], vec![], DUPLICATE_RESOURCE).await;
    check(vec![], vec![deletion("ann")], RESOURCE_NOT_FOUND).await;
    check(vec![], vec![deletion("root")], UNACCEPTABLE_CREDENTIAL).await;
    check(vec![good()], vec![], 0).await;
    check(vec![good()], vec![deletion("ann")], DUPLICATE_RESOURCE).await;
    assert!(scram(&mut server.client().await, "ann", "secret").await, "what was refused changed nothing");
}

/// A rule about topics: principal, pattern, name, operation, permission.
fn rule(principal: &str, pattern: i8, name: &str, operation: i8, permission: i8) -> AclCreation {
    AclCreation::default()
        .with_resource_type(2)
        .with_resource_name(text(name))
        .with_resource_pattern_type(pattern)
        .with_principal(text(principal))
        .with_host(text("*"))
        .with_operation(operation)
        .with_permission_type(permission)
}

async fn make(client: &mut Client, rules: Vec<AclCreation>) -> Vec<i16> {
    let response = client.ask(3, &CreateAclsRequest::default().with_creations(rules)).await;
    response.results.iter().map(|result| result.error_code).collect()
}

/// How rules read: principal, name, operation.
async fn listed(client: &mut Client) -> Result<Vec<(String, String, i8)>, i16> {
    let request = DescribeAclsRequest::default()
        .with_resource_type_filter(1)
        .with_pattern_type_filter(1)
        .with_resource_name_filter(None)
        .with_principal_filter(None)
        .with_host_filter(None)
        .with_operation(1)
        .with_permission_type(1);
    let response = client.ask(3, &request).await;
    if response.error_code != 0 {
        return Err(response.error_code);
    }
    let each = response.resources.iter().flat_map(|resource| {
        let of = |acl: &kafka_protocol::messages::describe_acls_response::AclDescription| {
            (acl.principal.to_string(), resource.resource_name.to_string(), acl.operation)
        };
        resource.acls.iter().map(of)
    });
    Ok(each.collect())
}

/// Delete rules of a principal: for each, its topic and the error.
async fn unmake(client: &mut Client, principal: &str) -> Vec<(String, i16)> {
    let filter = DeleteAclsFilter::default()
        .with_resource_type_filter(2)
        .with_pattern_type_filter(1)
        .with_resource_name_filter(None)
        .with_principal_filter(Some(text(principal)))
        .with_host_filter(None)
        .with_operation(1)
        .with_permission_type(1);
    let mut response = client.ask(3, &DeleteAclsRequest::default().with_filters(vec![filter])).await;
    let result = response.filter_results.remove(0);
    assert_eq!(result.error_code, 0);
    result.matching_acls.into_iter().map(|acl| (acl.resource_name.to_string(), acl.error_code)).collect()
}

#[tokio::test]
async fn rules_are_made_over_the_wire() {
    let server = Server::start_with(settings).await;
    let mut admin = root(&server).await;
    alter(&mut admin, vec![upsertion("ann", "secret"), upsertion("bob", "secret")], vec![]).await;
    for topic in ["hers", "open-1", "open-secret"] {
        assert_eq!(admin.create(topic, 1, &[]).await, 0);
        assert_eq!(admin.produce(topic, 0, batch(&["a"])).await.error_code, 0);
    }
    let outcome = make(
        &mut admin,
        vec![
            rule("User:ann", 4, "open-", 3, 3),
            rule("User:*", 3, "open-secret", 2, 2),
            rule("User:bob", 3, "*", 4, 3),
            rule("ann", 3, "t", 3, 3),
            rule("User:ann", 4, "open-", 3, 3),
        ],
    )
    .await;
    assert_eq!(outcome, [0, 0, 0, INVALID_PRINCIPAL_TYPE, 0]);
    let expected =
        [("User:bob", "*", 4), ("User:ann", "hers", 3), ("User:ann", "open-", 3), ("User:*", "open-secret", 2)]
            .map(|(principal, name, operation)| (principal.to_owned(), name.to_owned(), operation));
    assert_eq!(listed(&mut admin).await.unwrap(), expected);

    let server = server.power_loss_with(settings).await;
    let mut admin = root(&server).await;
    assert_eq!(listed(&mut admin).await.unwrap(), expected);
    let (mut ann, mut bob) = (server.client().await, server.client().await);
    assert!(scram(&mut ann, "ann", "secret").await && scram(&mut bob, "bob", "secret").await);
    let error = async |client: &mut Client, topic: &str| {
        client.fetch(topic, 0, 0).await.responses.remove(0).partitions.remove(0).error_code
    };
    assert_eq!(error(&mut ann, "open-1").await, 0);
    assert_eq!(error(&mut ann, "hers").await, 0);
    assert_eq!(error(&mut ann, "open-secret").await, TOPIC_AUTHORIZATION_FAILED);
    assert_eq!(error(&mut bob, "open-1").await, TOPIC_AUTHORIZATION_FAILED);
    assert_eq!(bob.produce("open-1", 0, batch(&["b"])).await.error_code, 0);
    assert_eq!(bob.produce("open-secret", 0, batch(&["b"])).await.error_code, TOPIC_AUTHORIZATION_FAILED);
    assert_eq!(make(&mut bob, vec![rule("User:bob", 3, "*", 2, 3)]).await, [CLUSTER_AUTHORIZATION_FAILED]);
    assert_eq!(listed(&mut bob).await, Err(CLUSTER_AUTHORIZATION_FAILED));

    // What is in the configuration file stays, and is said to.
    let gone = unmake(&mut admin, "User:ann").await;
    assert_eq!(gone, [("hers".to_owned(), INVALID_REQUEST), ("open-".to_owned(), 0)]);
    assert_eq!(error(&mut ann, "open-1").await, TOPIC_AUTHORIZATION_FAILED);
    assert_eq!(error(&mut ann, "hers").await, 0);
    let server = server.power_loss_with(settings).await;
    let rules = listed(&mut root(&server).await).await.unwrap();
    assert_eq!(rules.len(), 3);
}

#[tokio::test]
async fn what_the_listener_remembers_is_nobodys() {
    let server = Server::start_with(settings).await;
    let mut admin = root(&server).await;
    let response = admin.fetch("_millstream-kafka", 0, 0).await.responses.remove(0).partitions.remove(0);
    assert_eq!(response.error_code, TOPIC_AUTHORIZATION_FAILED);
    assert!(response.records.is_none_or(|records| records.is_empty()));
}

/// Where nothing is forbidden, rules would say something that is not so.
#[tokio::test]
async fn rules_need_somebody_who_may_change_them() {
    let server = Server::start().await;
    let mut client = server.client().await;
    assert_eq!(make(&mut client, vec![rule("User:ann", 3, "t", 3, 3)]).await, [SECURITY_DISABLED]);
    assert_eq!(listed(&mut client).await, Err(SECURITY_DISABLED));
    let quotas = client.ask(1, &DescribeClientQuotasRequest::default()).await;
    assert_eq!((quotas.error_code, quotas.entries), (0, Some(vec![])));
}
