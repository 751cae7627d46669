//! Groups of the consumer protocol (KIP-848): the server assigns, and members heartbeat.

use kafka_protocol::messages::{
    ConsumerGroupDescribeRequest, ConsumerGroupHeartbeatRequest, ConsumerGroupHeartbeatResponse, DeleteGroupsRequest,
    DescribeGroupsRequest, GroupId, HeartbeatRequest, JoinGroupRequest, LeaveGroupRequest, ListGroupsRequest,
    TxnOffsetCommitRequest,
    consumer_group_describe_response::DescribedGroup,
    consumer_group_heartbeat_request::TopicPartitions,
    join_group_request::JoinGroupRequestProtocol,
    leave_group_request::MemberIdentity,
    txn_offset_commit_request::{TxnOffsetCommitRequestPartition, TxnOffsetCommitRequestTopic},
};
use kafkaserver::{Names, Operation, ResourceKind, Rule};
use recordlog::{RecordLog, TopicConfig};
use uuid::Uuid;

use crate::support::*;

const ILLEGAL_GENERATION: i16 = 22;
const INCONSISTENT_GROUP_PROTOCOL: i16 = 23;
const UNKNOWN_MEMBER_ID: i16 = 25;
const TOPIC_AUTHORIZATION_FAILED: i16 = 29;
const GROUP_AUTHORIZATION_FAILED: i16 = 30;
const UNSUPPORTED_VERSION: i16 = 35;
const INVALID_REQUEST: i16 = 42;
const NON_EMPTY_GROUP: i16 = 68;
const GROUP_ID_NOT_FOUND: i16 = 69;
const MEMBER_ID_REQUIRED: i16 = 79;
const GROUP_SUBSCRIBED_TO_TOPIC: i16 = 86;
const UNRELEASED_INSTANCE_ID: i16 = 111;
const UNSUPPORTED_ASSIGNOR: i16 = 112;
const STALE_MEMBER_EPOCH: i16 = 113;
const FENCED_MEMBER_EPOCH: i16 = 110;
const INVALID_REGULAR_EXPRESSION: i16 = 128;

fn beat(member: &str, epoch: i32) -> ConsumerGroupHeartbeatRequest {
    ConsumerGroupHeartbeatRequest::default()
        .with_group_id(group())
        .with_member_id(text(member))
        .with_member_epoch(epoch)
        .with_rebalance_timeout_ms(-1)
        .with_subscribed_topic_names(None)
        .with_topic_partitions(None)
}

fn join(member: &str) -> ConsumerGroupHeartbeatRequest {
    beat(member, 0)
        .with_rebalance_timeout_ms(60_000)
        .with_subscribed_topic_names(Some(vec![name("t")]))
        .with_topic_partitions(Some(Vec::new()))
}

fn owning(
    server: &Server,
    request: ConsumerGroupHeartbeatRequest,
    partitions: &[i32],
) -> ConsumerGroupHeartbeatRequest {
    let id = Uuid::from_u128(server.log.topic("t").unwrap().id);
    let owned = TopicPartitions::default().with_topic_id(id).with_partitions(partitions.to_vec());
    request.with_topic_partitions(Some(vec![owned]))
}

/// The partitions that the answer tells to have.
fn told(response: &ConsumerGroupHeartbeatResponse) -> Option<Vec<i32>> {
    assert_eq!(response.error_code, 0, "{:?}", response.error_message);
    let assignment = response.assignment.as_ref()?;
    let mut told: Vec<i32> = assignment.topic_partitions.iter().flat_map(|topic| topic.partitions.clone()).collect();
    // Of several topics, in the order of their ids, which are random.
    told.sort_unstable();
    Some(told)
}

/// Heartbeat; the member's epoch and what it is told.
async fn hear(client: &mut Client, request: ConsumerGroupHeartbeatRequest) -> (i32, Option<Vec<i32>>) {
    let response = client.ask(1, &request).await;
    (response.member_epoch, told(&response))
}

async fn refused(client: &mut Client, request: ConsumerGroupHeartbeatRequest) -> i16 {
    let response = client.ask(1, &request).await;
    assert!(response.error_code == 0 || response.error_message.is_some());
    response.error_code
}

async fn described(client: &mut Client) -> DescribedGroup {
    client.ask(1, &ConsumerGroupDescribeRequest::default().with_group_ids(vec![group()])).await.groups.remove(0)
}

#[tokio::test]
async fn two_members_share_and_one_takes_over() {
    let server = Server::start().await;
    let mut client = server.client().await;
    client.create("t", 4, &[]).await;
    let first = client.ask(1, &join("a")).await;
    assert_eq!((first.member_epoch, told(&first)), (1, Some(vec![0, 1, 2, 3])));
    assert_eq!((first.member_id.as_deref(), first.heartbeat_interval_ms), (Some("a"), 5_000));
    assert_eq!(hear(&mut client, join("b")).await, (2, Some(vec![])));
    assert_eq!(hear(&mut client, beat("a", 1)).await, (1, Some(vec![0, 1])));
    let group = described(&mut client).await;
    assert_eq!((&*group.group_state, group.group_epoch, &*group.assignor_name), ("Reconciling", 2, "uniform"));
    assert_eq!(hear(&mut client, beat("b", 2)).await, (2, None), "they are not free yet");
    assert_eq!(hear(&mut client, owning(&server, beat("a", 1), &[0, 1])).await, (2, None));
    assert_eq!(hear(&mut client, beat("b", 2)).await, (2, Some(vec![2, 3])));
    let group = described(&mut client).await;
    assert_eq!((group.error_code, &*group.group_state, group.members.len()), (0, "Stable", 2));
    let second = &group.members[1];
    assert_eq!((&*second.member_id, second.member_epoch, second.member_type), ("b", 2, 1));
    assert_eq!((&*second.client_id, &*second.client_host), ("tests", "/127.0.0.1"));
    assert_eq!(second.assignment, second.target_assignment);
    assert_eq!(second.assignment.topic_partitions[0].topic_name.as_str(), "t");
    assert_eq!(second.assignment.topic_partitions[0].partitions, [2, 3]);

    // The second is not heard of any more.
    server.sim.clock.advance_ms(44_000);
    assert_eq!(hear(&mut client, beat("a", 2)).await, (2, None));
    server.sim.clock.advance_ms(2_000);
    let mut epoch = 2;
    while epoch == 2 {
        epoch = hear(&mut client, beat("a", 2)).await.0;
    }
    assert_eq!(hear(&mut client, owning(&server, beat("a", 3), &[0, 1])).await, (3, None));
    assert_eq!(refused(&mut client, beat("b", 2)).await, UNKNOWN_MEMBER_ID);
    assert_eq!(hear(&mut client, beat("a", -1)).await, (-1, None));
    assert_eq!(&*described(&mut client).await.group_state, "Empty");
    server.stop().await;
}

#[tokio::test]
async fn offsets_are_committed_by_epoch_and_outlive_the_server() {
    let server = Server::start().await;
    let mut client = server.client().await;
    client.create("t", 1, &[]).await;
    hear(&mut client, join("a")).await;
    assert_eq!(try_commit(&mut client, 9, commit(("a", 1), 0, 7)).await, 0);
    assert_eq!(try_commit(&mut client, 9, commit(("a", 2), 0, 8)).await, STALE_MEMBER_EPOCH);
    assert_eq!(try_commit(&mut client, 9, commit(("b", 1), 0, 8)).await, UNKNOWN_MEMBER_ID);
    assert_eq!(try_commit(&mut client, 9, commit(("", -1), 0, 8)).await, UNKNOWN_MEMBER_ID, "it has members");
    assert_eq!(try_commit(&mut client, 8, commit(("a", 1), 0, 8)).await, UNSUPPORTED_VERSION);
    assert_eq!(fetched(&mut client, (Some("a"), 1), 0).await, (0, Some(7)));
    assert_eq!(fetched(&mut client, (None, -1), 0).await, (0, Some(7)));
    assert_eq!(fetched(&mut client, (Some("a"), 2), 0).await, (STALE_MEMBER_EPOCH, None));
    assert_eq!(fetched(&mut client, (Some("b"), 1), 0).await, (UNKNOWN_MEMBER_ID, None));
    let partition = TxnOffsetCommitRequestPartition::default().with_committed_offset(8);
    let topic = TxnOffsetCommitRequestTopic::default().with_name(name("t")).with_partitions(vec![partition]);
    let in_transaction = TxnOffsetCommitRequest::default()
        .with_transactional_id(text("x").into())
        .with_group_id(group())
        .with_generation_id(2)
        .with_member_id(text("a"))
        .with_topics(vec![topic]);
    let answer = client.ask(3, &in_transaction).await;
    assert_eq!(answer.topics[0].partitions[0].error_code, ILLEGAL_GENERATION);

    // Who was a member before the server went joins again, and goes on where it was.
    let server = server.power_loss().await;
    let mut client = server.client().await;
    assert_eq!(refused(&mut client, beat("a", 1)).await, UNKNOWN_MEMBER_ID);
    assert_eq!(try_commit(&mut client, 9, commit(("a", 1), 0, 9)).await, UNKNOWN_MEMBER_ID);
    let elsewhere = beat("a", 1).with_group_id(GroupId(text("nobody's")));
    assert_eq!(refused(&mut client, elsewhere).await, UNKNOWN_MEMBER_ID);
    assert_eq!(hear(&mut client, join("a")).await, (1, Some(vec![0])));
    assert_eq!(fetched(&mut client, (Some("a"), 1), 0).await, (0, Some(7)));
}

#[tokio::test]
async fn requests_are_checked() {
    let server = Server::start().await;
    let mut client = server.client().await;
    client.create("t", 1, &[]).await;
    for (request, expect) in [
        (join("a").with_group_id(GroupId::default()), INVALID_REQUEST),
        (join(""), INVALID_REQUEST),
        (beat("a", -3), INVALID_REQUEST),
        (beat("a", -2), INVALID_REQUEST),
        (join("a").with_instance_id(Some(text(""))), INVALID_REQUEST),
        (join("a").with_rack_id(Some(text(""))), INVALID_REQUEST),
        (join("a").with_rebalance_timeout_ms(-1), INVALID_REQUEST),
        (join("a").with_subscribed_topic_names(None), INVALID_REQUEST),
        (join("a").with_topic_partitions(None), INVALID_REQUEST),
        (owning(&server, join("a"), &[0]), INVALID_REQUEST),
        (join("a").with_server_assignor(Some(text("best"))), UNSUPPORTED_ASSIGNOR),
        (join("a").with_subscribed_topic_regex(Some(text("("))), INVALID_REGULAR_EXPRESSION),
        (join("a").with_rack_id(Some(text("r"))).with_server_assignor(Some(text("range"))), 0),
        (beat("a", 7), FENCED_MEMBER_EPOCH),
        (join("b").with_instance_id(Some(text("i"))), 0),
        (join("c").with_instance_id(Some(text("i"))), UNRELEASED_INSTANCE_ID),
        (beat("b", -2).with_instance_id(Some(text("i"))), 0),
        (join("c").with_instance_id(Some(text("i"))), 0),
    ] {
        assert_eq!(refused(&mut client, request.clone()).await, expect, "{request:?}");
    }
    let group = described(&mut client).await;
    assert_eq!((&*group.assignor_name, group.members[0].rack_id.as_deref()), ("range", Some("r")));
    // In the first version the server makes the member's id.
    let made = client.ask(0, &join("")).await;
    assert_eq!((made.error_code, made.member_id.map(|id| id.len())), (0, Some(36)));
}

#[tokio::test]
async fn topics_come_and_grow_and_match_patterns() {
    let server = Server::start().await;
    let mut client = server.client().await;
    let by_pattern = join("a").with_subscribed_topic_names(None).with_subscribed_topic_regex(Some(text("t|t-.*")));
    assert_eq!(hear(&mut client, by_pattern).await, (1, Some(vec![])));
    client.create("t", 1, &[]).await;
    client.create("other", 1, &[]).await;
    server.sim.clock.advance_ms(1_000);
    assert_eq!(hear(&mut client, beat("a", 1)).await, (2, Some(vec![0])));
    client.create("t-2", 2, &[]).await;
    server.sim.clock.advance_ms(1_000);
    assert_eq!(hear(&mut client, beat("a", 2)).await, (3, Some(vec![0, 0, 1])));
    RecordLog::alter_topic(&*server.log, "t-2", Default::default(), Some(4)).await.unwrap();
    server.sim.clock.advance_ms(1_000);
    assert_eq!(hear(&mut client, beat("a", 3)).await, (4, Some(vec![0, 0, 1, 2, 3])));
    let group = described(&mut client).await;
    assert_eq!(group.members[0].subscribed_topic_regex.as_deref(), Some("t|t-.*"));
    assert!(group.members[0].subscribed_topic_names.is_empty());
}

#[tokio::test]
async fn members_get_what_they_may_see() {
    let rule = |kind, names, operation| Rule {
        principal: "User:ANONYMOUS".into(),
        kind,
        names,
        operations: Some(vec![operation]),
    };
    let server = Server::start_with(|settings| {
        settings.rules = vec![
            rule(ResourceKind::Group, Names::Is("g".into()), Operation::Read),
            rule(ResourceKind::Topic, Names::Is("t".into()), Operation::Read),
        ];
    })
    .await;
    for topic in ["t", "t-secret"] {
        RecordLog::create_topic(&*server.log, topic, TopicConfig::with_partitions(2)).await.unwrap();
    }
    let mut client = server.client().await;
    let names = Some(vec![name("t"), name("t-secret")]);
    let request = join("a").with_subscribed_topic_names(names);
    assert_eq!(refused(&mut client, request).await, TOPIC_AUTHORIZATION_FAILED);
    let request = join("a").with_group_id(GroupId(text("h")));
    assert_eq!(refused(&mut client, request).await, GROUP_AUTHORIZATION_FAILED);
    let by_pattern = join("a").with_subscribed_topic_names(None).with_subscribed_topic_regex(Some(text(".*")));
    assert_eq!(hear(&mut client, by_pattern).await, (1, Some(vec![0, 1])));
    assert_eq!(described(&mut client).await.error_code, 0);
    let other = ConsumerGroupDescribeRequest::default().with_group_ids(vec![GroupId(text("h"))]);
    assert_eq!(client.ask(1, &other).await.groups[0].error_code, GROUP_AUTHORIZATION_FAILED);
}

#[tokio::test]
async fn a_group_is_of_the_protocol_of_its_members() {
    let server = Server::start().await;
    let mut client = server.client().await;
    client.create("t", 1, &[]).await;
    let kinds = async |client: &mut Client, filter: &str| {
        let types = if filter.is_empty() { Vec::new() } else { vec![text(filter)] };
        let listed = client.ask(5, &ListGroupsRequest::default().with_types_filter(types)).await;
        let one = |group: &kafka_protocol::messages::list_groups_response::ListedGroup| {
            (group.group_type.to_string(), group.group_state.to_string())
        };
        listed.groups.iter().map(one).collect::<Vec<_>>()
    };
    let is = |kind: &str, state: &str| vec![(kind.to_owned(), state.to_owned())];
    let protocol = JoinGroupRequestProtocol::default().with_name(text("range"));
    let classic_join = |member: &str| {
        JoinGroupRequest::default()
            .with_group_id(group())
            .with_session_timeout_ms(10_000)
            .with_rebalance_timeout_ms(60_000)
            .with_member_id(text(member))
            .with_protocol_type(text("consumer"))
            .with_protocols(vec![protocol.clone()])
    };
    let in_classic = DescribeGroupsRequest::default().with_groups(vec![group()]);
    let delete = DeleteGroupsRequest::default().with_groups_names(vec![group()]);

    // While it has members of the one protocol, those of the other are refused, unless they are consumers: what these
    // say of themselves cannot be read.
    assert_eq!(described(&mut client).await.error_code, GROUP_ID_NOT_FOUND);
    assert_eq!(refused(&mut client, join("a")).await, 0);
    assert_eq!(kinds(&mut client, "").await, is("consumer", "Stable"));
    assert_eq!(kinds(&mut client, "Consumer").await, is("consumer", "Stable"));
    assert_eq!(kinds(&mut client, "classic").await, []);
    assert_eq!(client.ask(9, &classic_join("")).await.error_code, INCONSISTENT_GROUP_PROTOCOL);
    let heartbeat = HeartbeatRequest::default().with_group_id(group()).with_member_id(text("a")).with_generation_id(1);
    assert_eq!(client.ask(4, &heartbeat).await.error_code, UNKNOWN_MEMBER_ID);
    let found = client.ask(6, &in_classic).await.groups.remove(0);
    assert_eq!((found.error_code, &*found.group_state), (GROUP_ID_NOT_FOUND, "Dead"));
    let found = client.ask(5, &in_classic).await.groups.remove(0);
    assert_eq!((found.error_code, &*found.group_state), (0, "Dead"));
    assert_eq!(client.ask(2, &delete).await.results[0].error_code, NON_EMPTY_GROUP);
    assert_eq!(forget(&mut client, 0).await, GROUP_SUBSCRIBED_TO_TOPIC);
    assert_eq!(try_commit(&mut client, 9, commit(("a", 1), 0, 7)).await, 0);

    // An empty one becomes what the next is, and keeps its offsets.
    hear(&mut client, beat("a", -1)).await;
    assert_eq!(kinds(&mut client, "").await, is("consumer", "Empty"));
    let member = client.ask(9, &classic_join("")).await;
    assert_eq!(member.error_code, MEMBER_ID_REQUIRED);
    assert_eq!(client.ask(9, &classic_join(&member.member_id)).await.error_code, 0);
    assert_eq!(kinds(&mut client, "consumer").await, []);
    assert_eq!(kinds(&mut client, "").await, is("classic", "CompletingRebalance"));
    assert_eq!(refused(&mut client, join("a")).await, GROUP_ID_NOT_FOUND);
    assert_eq!(described(&mut client).await.error_code, GROUP_ID_NOT_FOUND);
    assert_eq!(fetched(&mut client, (None, -1), 0).await, (0, Some(7)));
    let who = MemberIdentity::default().with_member_id(member.member_id);
    client.ask(5, &LeaveGroupRequest::default().with_group_id(group()).with_members(vec![who])).await;
    assert_eq!(refused(&mut client, join("a")).await, 0);
    assert_eq!(kinds(&mut client, "").await, is("consumer", "Stable"));
    hear(&mut client, beat("a", -1)).await;
    assert_eq!(client.ask(2, &delete).await.results[0].error_code, 0);
    assert_eq!(kinds(&mut client, "").await, []);
}
