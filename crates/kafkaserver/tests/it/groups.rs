//! Consumer groups: members, assignments, committed offsets.

use bytes::{BufMut, Bytes, BytesMut};
use kafka_protocol::messages::{
    DeleteGroupsRequest, DeleteTopicsRequest, DescribeGroupsRequest, GroupId, HeartbeatRequest, JoinGroupRequest,
    JoinGroupResponse, LeaveGroupRequest, ListGroupsRequest, OffsetFetchRequest, SyncGroupRequest, SyncGroupResponse,
    delete_topics_request::DeleteTopicState, join_group_request::JoinGroupRequestProtocol,
    leave_group_request::MemberIdentity, offset_fetch_request::OffsetFetchRequestGroup,
    sync_group_request::SyncGroupRequestAssignment,
};

use crate::support::*;

const UNKNOWN_TOPIC_OR_PARTITION: i16 = 3;
const ILLEGAL_GENERATION: i16 = 22;
const INVALID_GROUP_ID: i16 = 24;
const UNKNOWN_MEMBER_ID: i16 = 25;
const REBALANCE_IN_PROGRESS: i16 = 27;
const NON_EMPTY_GROUP: i16 = 68;
const GROUP_ID_NOT_FOUND: i16 = 69;
const MEMBER_ID_REQUIRED: i16 = 79;
const GROUP_SUBSCRIBED_TO_TOPIC: i16 = 86;

fn join(member: &str) -> JoinGroupRequest {
    let mut subscription = BytesMut::new();
    subscription.put_i16(1);
    subscription.put_i32(1);
    subscription.put_i16(1);
    subscription.put_slice(b"t");
    subscription.put_i32(-1);
    let protocol = JoinGroupRequestProtocol::default().with_name(text("range")).with_metadata(subscription.freeze());
    JoinGroupRequest::default()
        .with_group_id(group())
        .with_session_timeout_ms(10_000)
        .with_rebalance_timeout_ms(60_000)
        .with_member_id(text(member))
        .with_protocol_type(text("consumer"))
        .with_protocols(vec![protocol])
}

/// Join as a new member: learn the id, then ask with it. The answer is still to come.
async fn begin_join(client: &mut Client) -> (String, i32) {
    let first = client.ask(9, &join("")).await;
    assert_eq!(first.error_code, MEMBER_ID_REQUIRED);
    let member = first.member_id.to_string();
    let id = client.send(9, &join(&member)).await;
    (member, id)
}

fn sync(joined: &JoinGroupResponse, assignments: &[(&str, &str)]) -> SyncGroupRequest {
    let assignment = |(member, assignment): &(&str, &str)| {
        SyncGroupRequestAssignment::default()
            .with_member_id(text(member))
            .with_assignment(Bytes::from(assignment.to_string()))
    };
    SyncGroupRequest::default()
        .with_group_id(group())
        .with_generation_id(joined.generation_id)
        .with_member_id(joined.member_id.clone())
        .with_protocol_type(Some(text("consumer")))
        .with_protocol_name(Some(text("range")))
        .with_assignments(assignments.iter().map(assignment).collect())
}

fn heartbeat(joined: &JoinGroupResponse) -> HeartbeatRequest {
    HeartbeatRequest::default()
        .with_group_id(group())
        .with_generation_id(joined.generation_id)
        .with_member_id(joined.member_id.clone())
}

#[tokio::test]
async fn two_members_share_and_one_takes_over() {
    let server = Server::start().await;
    let (mut a, mut b) = (server.client().await, server.client().await);
    a.create("t", 2, &[]).await;
    let (id_a, answer) = begin_join(&mut a).await;
    let joined = a.receive::<JoinGroupRequest>(9, answer).await;
    assert_eq!((joined.error_code, joined.generation_id, &*joined.leader), (0, 1, &*id_a));
    let synced = a.ask(5, &sync(&joined, &[(&id_a, "all")])).await;
    assert_eq!((synced.error_code, &*synced.assignment), (0, &b"all"[..]));

    // Another member: the first learns of it from its heartbeat, and both join.
    let (id_b, answer_b) = begin_join(&mut b).await;
    assert_eq!(a.ask(4, &heartbeat(&joined)).await.error_code, REBALANCE_IN_PROGRESS);
    let joined_a = a.ask(9, &join(&id_a)).await;
    let joined_b = b.receive::<JoinGroupRequest>(9, answer_b).await;
    assert_eq!((joined_a.generation_id, joined_b.generation_id), (2, 2));
    assert_eq!((joined_a.members.len(), joined_b.members.len()), (2, 0), "the leader assigns");
    let waiting = b.send(5, &sync(&joined_b, &[])).await;
    a.ask(5, &sync(&joined_a, &[(&id_a, "0"), (&id_b, "1")])).await;
    let synced: SyncGroupResponse = b.receive::<SyncGroupRequest>(5, waiting).await;
    assert_eq!(&*synced.assignment, b"1");
    let described = a.ask(5, &DescribeGroupsRequest::default().with_groups(vec![group(), group()])).await;
    assert_eq!((described.groups.len(), &*described.groups[0].group_state), (1, "Stable"));
    assert_eq!(described.groups[0].members.len(), 2);

    // The second is not heard of any more.
    server.sim.clock.advance_ms(9_000);
    assert_eq!(a.ask(4, &heartbeat(&joined_a)).await.error_code, 0);
    server.sim.clock.advance_ms(2_000);
    while a.ask(4, &heartbeat(&joined_a)).await.error_code == 0 {}
    let joined = a.ask(9, &join(&id_a)).await;
    assert_eq!((joined.generation_id, joined.members.len()), (3, 1));
    assert_eq!(b.ask(4, &heartbeat(&joined_b)).await.error_code, UNKNOWN_MEMBER_ID);

    let who = MemberIdentity::default().with_member_id(text(&id_a));
    let leave = LeaveGroupRequest::default().with_group_id(group()).with_members(vec![who]);
    assert_eq!(a.ask(5, &leave).await.members[0].error_code, 0);
    assert_eq!(a.ask(5, &leave).await.members[0].error_code, UNKNOWN_MEMBER_ID);
    let described = a.ask(5, &DescribeGroupsRequest::default().with_groups(vec![group()])).await;
    assert_eq!(&*described.groups[0].group_state, "Empty");
}

#[tokio::test]
async fn offsets_are_kept_over_restarts_and_only_members_commit() {
    let server = Server::start().await;
    let mut client = server.client().await;
    client.create("t", 3, &[]).await;
    assert_eq!(committed(&mut client, 0).await, -1);
    assert_eq!(try_commit(&mut client, 8, commit(("", -1), 0, 5)).await, 0, "without members anybody commits");
    assert_eq!(try_commit(&mut client, 8, commit(("", -1), 9, 5)).await, UNKNOWN_TOPIC_OR_PARTITION);
    assert_eq!(
        try_commit(&mut client, 8, commit(("", -1), 0, 5).with_group_id(GroupId::default())).await,
        INVALID_GROUP_ID
    );
    let (id, answer) = begin_join(&mut client).await;
    let joined = client.receive::<JoinGroupRequest>(9, answer).await;
    client.ask(5, &sync(&joined, &[(&id, "x")])).await;
    assert_eq!(try_commit(&mut client, 8, commit(("", -1), 0, 6)).await, UNKNOWN_MEMBER_ID);
    assert_eq!(try_commit(&mut client, 8, commit((&id, 7), 0, 6)).await, ILLEGAL_GENERATION);
    assert_eq!(try_commit(&mut client, 8, commit((&id, 1), 1, 7)).await, 0);
    assert_eq!(committed(&mut client, 1).await, 7);

    let server = server.power_loss().await;
    let mut client = server.client().await;
    assert_eq!((committed(&mut client, 0).await, committed(&mut client, 1).await), (5, 7));
    let listed = client.ask(4, &ListGroupsRequest::default()).await;
    assert_eq!(listed.groups.iter().map(|g| &*g.group_state).collect::<Vec<_>>(), ["Empty"]);
    let all = OffsetFetchRequestGroup::default().with_group_id(group()).with_topics(None);
    let found = client.ask(9, &OffsetFetchRequest::default().with_groups(vec![all])).await;
    assert_eq!(found.groups[0].topics[0].partitions.len(), 2);
    // A member of before the restart is not known, and joins again.
    assert_eq!(client.ask(4, &heartbeat(&joined)).await.error_code, UNKNOWN_MEMBER_ID);
    assert_eq!(client.ask(9, &join(&id)).await.error_code, UNKNOWN_MEMBER_ID);
}

#[tokio::test]
async fn a_topic_that_is_made_again_begins_at_its_beginning() {
    let server = Server::start().await;
    let mut client = server.client().await;
    client.create("t", 1, &[]).await;
    client.ask(8, &commit(("", -1), 0, 5)).await;
    assert_eq!(committed(&mut client, 0).await, 5);
    // By SQL, say, which knows nothing of groups.
    recordlog::RecordLog::delete_topic(&*server.log, "t").await.unwrap();
    client.create("t", 1, &[]).await;
    assert_eq!(committed(&mut client, 0).await, -1);
    client.ask(8, &commit(("", -1), 0, 3)).await;
    let topic = DeleteTopicState::default().with_name(Some(name("t")));
    client.ask(6, &DeleteTopicsRequest::default().with_topics(vec![topic])).await;
    client.create("t", 1, &[]).await;
    assert_eq!(committed(&mut client, 0).await, -1);
}

#[tokio::test]
async fn groups_and_offsets_are_deleted() {
    let server = Server::start().await;
    let mut client = server.client().await;
    client.create("t", 2, &[]).await;
    client.ask(8, &commit(("", -1), 0, 5)).await;
    client.ask(8, &commit(("", -1), 1, 6)).await;
    let (id, answer) = begin_join(&mut client).await;
    client.receive::<JoinGroupRequest>(9, answer).await;
    assert_eq!(forget(&mut client, 0).await, GROUP_SUBSCRIBED_TO_TOPIC);
    let delete = DeleteGroupsRequest::default().with_groups_names(vec![group()]);
    assert_eq!(client.ask(2, &delete).await.results[0].error_code, NON_EMPTY_GROUP);
    client.ask(2, &LeaveGroupRequest::default().with_group_id(group()).with_member_id(text(&id))).await;
    assert_eq!(forget(&mut client, 0).await, 0);
    assert_eq!((committed(&mut client, 0).await, committed(&mut client, 1).await), (-1, 6));
    assert_eq!(client.ask(2, &delete).await.results[0].error_code, 0);
    assert_eq!(client.ask(2, &delete).await.results[0].error_code, GROUP_ID_NOT_FOUND);
    let server = server.power_loss().await;
    assert_eq!(committed(&mut server.client().await, 1).await, -1);
}
