//! A group whose members move from the classic protocol to the consumer protocol one by one, and back.

use bytes::{BufMut, Bytes, BytesMut};
use kafka_protocol::messages::{
    ConsumerGroupDescribeRequest, ConsumerGroupHeartbeatRequest, HeartbeatRequest, JoinGroupRequest, LeaveGroupRequest,
    ListGroupsRequest, SyncGroupRequest, consumer_group_heartbeat_request::TopicPartitions,
    join_group_request::JoinGroupRequestProtocol, leave_group_request::MemberIdentity,
    sync_group_request::SyncGroupRequestAssignment,
};
use uuid::Uuid;

use crate::support::*;

const ILLEGAL_GENERATION: i16 = 22;
const INCONSISTENT_GROUP_PROTOCOL: i16 = 23;
const UNKNOWN_MEMBER_ID: i16 = 25;
const REBALANCE_IN_PROGRESS: i16 = 27;
const FENCED_INSTANCE_ID: i16 = 82;

/// Partitions of topic t, as consumers write them to each other.
fn places(bytes: &mut BytesMut, partitions: &[i32]) {
    bytes.put_i32(1);
    bytes.put_slice(&[0, 1, b't']);
    bytes.put_i32(i32::try_from(partitions.len()).unwrap());
    partitions.iter().for_each(|partition| bytes.put_i32(*partition));
}

/// What a consumer of topic t says when it joins.
fn subscription(owned: &[i32]) -> Bytes {
    let mut bytes = BytesMut::from(&[0, 1, 0, 0, 0, 1, 0, 1, b't', 0xff, 0xff, 0xff, 0xff][..]);
    places(&mut bytes, owned);
    bytes.freeze()
}

fn assignment(partitions: &[i32]) -> Bytes {
    let mut bytes = BytesMut::from(&[0, 1][..]);
    places(&mut bytes, partitions);
    bytes.put_i32(-1);
    bytes.freeze()
}

/// The partitions of one topic or none in an assignment.
fn partitions(assignment: &[u8]) -> Vec<i32> {
    assert!(assignment.len() >= 10, "it is an assignment");
    let numbers = assignment.get(13..assignment.len() - 4).unwrap_or_default();
    numbers.chunks_exact(4).map(|four| i32::from_be_bytes(four.try_into().unwrap())).collect()
}

/// A client of the classic protocol.
struct Classic {
    client: Client,
    id: String,
    instance: Option<&'static str>,
    generation: i32,
}

impl Classic {
    async fn new(server: &Server) -> Classic {
        Classic { client: server.client().await, id: String::new(), instance: None, generation: -1 }
    }

    /// Join with what it has; the error.
    async fn join(&mut self, owned: &[i32]) -> i16 {
        let protocol =
            |name: &str| JoinGroupRequestProtocol::default().with_name(text(name)).with_metadata(subscription(owned));
        let request = JoinGroupRequest::default()
            .with_group_id(group())
            .with_session_timeout_ms(10_000)
            .with_rebalance_timeout_ms(30_000)
            .with_member_id(text(&self.id))
            .with_group_instance_id(self.instance.map(text))
            .with_protocol_type(text("consumer"))
            .with_protocols(vec![protocol("cooperative-sticky"), protocol("range")]);
        let mut joined = self.client.ask(5, &request).await;
        if joined.error_code == 79 {
            joined = self.client.ask(5, &request.with_member_id(joined.member_id)).await;
        }
        if joined.error_code == 0 {
            (self.id, self.generation) = (joined.member_id.to_string(), joined.generation_id);
        }
        joined.error_code
    }

    /// Sync, as the leader with assignments; what it is to have.
    async fn sync(&mut self, assignments: &[(&str, &[i32])]) -> Result<Vec<i32>, i16> {
        let assigned = |(id, partitions): &(&str, &[i32])| {
            SyncGroupRequestAssignment::default().with_member_id(text(id)).with_assignment(assignment(partitions))
        };
        let request = SyncGroupRequest::default()
            .with_group_id(group())
            .with_generation_id(self.generation)
            .with_member_id(text(&self.id))
            .with_group_instance_id(self.instance.map(text))
            .with_assignments(assignments.iter().map(assigned).collect());
        let synced = self.client.ask(3, &request).await;
        if synced.error_code == 0 { Ok(partitions(&synced.assignment)) } else { Err(synced.error_code) }
    }

    async fn heartbeat(&mut self) -> i16 {
        let request = HeartbeatRequest::default()
            .with_group_id(group())
            .with_member_id(text(&self.id))
            .with_group_instance_id(self.instance.map(text))
            .with_generation_id(self.generation);
        self.client.ask(4, &request).await.error_code
    }

    async fn commit(&mut self, generation: i32) -> i16 {
        try_commit(&mut self.client, 7, commit((&self.id, generation), 0, 7)).await
    }

    async fn leave(&mut self) -> i16 {
        let who = MemberIdentity::default().with_member_id(text(&self.id));
        let request = LeaveGroupRequest::default().with_group_id(group()).with_members(vec![who]);
        self.client.ask(5, &request).await.members[0].error_code
    }
}

/// A client of the consumer protocol.
struct Modern {
    client: Client,
    id: &'static str,
    instance: Option<&'static str>,
    epoch: i32,
    topic: Uuid,
}

impl Modern {
    async fn new(server: &Server, id: &'static str) -> Modern {
        let topic = Uuid::from_u128(server.log.topic("t").unwrap().id);
        Modern { client: server.client().await, id, instance: None, epoch: 0, topic }
    }

    /// Heartbeat with what it has; what it is told to have, or the error.
    async fn beat(&mut self, owned: &[i32]) -> Result<Option<Vec<i32>>, i16> {
        let mine = TopicPartitions::default().with_topic_id(self.topic).with_partitions(owned.to_vec());
        let joins = self.epoch == 0;
        let request = ConsumerGroupHeartbeatRequest::default()
            .with_group_id(group())
            .with_member_id(text(self.id))
            .with_instance_id(self.instance.map(text))
            .with_member_epoch(self.epoch)
            .with_rebalance_timeout_ms(if joins { 30_000 } else { -1 })
            .with_subscribed_topic_names(joins.then(|| vec![name("t")]))
            .with_topic_partitions(Some(if joins || owned.is_empty() { vec![] } else { vec![mine] }));
        let heard = self.client.ask(1, &request).await;
        if heard.error_code != 0 {
            return Err(heard.error_code);
        }
        self.epoch = heard.member_epoch;
        let all = |topics: Vec<_>| {
            let each =
                |topic: kafka_protocol::messages::consumer_group_heartbeat_response::TopicPartitions| topic.partitions;
            topics.into_iter().flat_map(each).collect()
        };
        Ok(heard.assignment.map(|assignment| all(assignment.topic_partitions)))
    }

    async fn leave(&mut self) {
        self.epoch = -1;
        assert_eq!(self.beat(&[]).await, Ok(None));
    }
}

/// The group's type and state.
async fn kind(client: &mut Client) -> (String, String) {
    let listed = client.ask(5, &ListGroupsRequest::default()).await.groups.remove(0);
    (listed.group_type.to_string(), listed.group_state.to_string())
}

fn is(kind: &str, state: &str) -> (String, String) {
    (kind.to_owned(), state.to_owned())
}

async fn started() -> Server {
    let server = Server::start().await;
    server.client().await.create("t", 4, &[]).await;
    server
}

/// A classic group of one, that has everything.
async fn alone(server: &Server, instance: Option<&'static str>) -> Classic {
    let mut member = Classic::new(server).await;
    member.instance = instance;
    assert_eq!(member.join(&[]).await, 0);
    let id = member.id.clone();
    assert_eq!(member.sync(&[(&id, &[0, 1, 2, 3])]).await, Ok(vec![0, 1, 2, 3]));
    member
}

#[tokio::test]
async fn to_the_consumer_protocol_and_back() {
    let server = started().await;
    let mut old = alone(&server, None).await;
    let mut new = Modern::new(&server, "new").await;
    assert_eq!(new.beat(&[]).await, Ok(Some(vec![])), "what the other has is not free yet");
    assert_eq!(kind(&mut new.client).await, is("consumer", "Reconciling"));
    let described = ConsumerGroupDescribeRequest::default().with_group_ids(vec![group()]);
    let described = new.client.ask(1, &described).await.groups.remove(0);
    let types: Vec<(bool, i8)> =
        described.members.iter().map(|m| (m.member_id == text("new"), m.member_type)).collect();
    assert!(types.contains(&(true, 1)) && types.contains(&(false, 0)), "{types:?}");

    // The one that was there commits as before, learns that it has to join, gives up a half, and joins again.
    assert_eq!(old.commit(1).await, 0);
    assert_eq!(old.heartbeat().await, REBALANCE_IN_PROGRESS);
    assert_eq!(old.sync(&[]).await, Err(REBALANCE_IN_PROGRESS));
    assert_eq!((old.join(&[0, 1, 2, 3]).await, old.generation), (0, 1));
    let kept = old.sync(&[]).await.unwrap();
    assert_eq!(kept.len(), 2);
    assert_eq!(new.beat(&[]).await, Ok(None), "it has not said that it gave it up");
    assert_eq!(old.heartbeat().await, REBALANCE_IN_PROGRESS);
    assert_eq!((old.join(&kept).await, old.generation), (0, 2));
    assert_eq!(old.sync(&[]).await.as_ref(), Ok(&kept));
    assert_eq!(old.heartbeat().await, 0);
    assert_eq!((old.commit(1).await, old.commit(2).await), (ILLEGAL_GENERATION, 0));
    let rest: Vec<i32> = (0..4).filter(|partition| !kept.contains(partition)).collect();
    assert_eq!(new.beat(&[]).await, Ok(Some(rest)));
    assert_eq!(kind(&mut new.client).await, is("consumer", "Stable"));

    // When the last member of the consumer protocol leaves, the others are among themselves again.
    new.leave().await;
    assert_eq!(kind(&mut new.client).await, is("classic", "PreparingRebalance"));
    assert_eq!(old.heartbeat().await, REBALANCE_IN_PROGRESS, "it keeps its generation until it joins");
    assert_eq!((old.join(&kept).await, old.generation), (0, 3));
    let id = old.id.clone();
    assert_eq!(old.sync(&[(&id, &[0, 1, 2, 3])]).await, Ok(vec![0, 1, 2, 3]));
    assert_eq!(kind(&mut new.client).await, is("classic", "Stable"));

    // And when the last of the classic protocol leaves, there is nobody to wait for.
    new.epoch = 0;
    assert_eq!(new.beat(&[]).await, Ok(Some(vec![])));
    assert_eq!(old.leave().await, 0);
    assert_eq!(new.beat(&[]).await, Ok(Some(vec![0, 1, 2, 3])));
    assert_eq!(old.heartbeat().await, UNKNOWN_MEMBER_ID);
    server.stop().await;
}

#[tokio::test]
async fn a_classic_member_comes_to_a_group_of_the_consumer_protocol() {
    let server = started().await;
    let mut new = Modern::new(&server, "new").await;
    assert_eq!(new.beat(&[]).await, Ok(Some(vec![0, 1, 2, 3])));
    let mut old = Classic::new(&server).await;
    assert_eq!(old.join(&[]).await, 0);
    assert_eq!(old.sync(&[]).await, Ok(vec![]));
    assert_eq!(old.heartbeat().await, 0, "there is nothing to be had");
    let kept = new.beat(&[0, 1, 2, 3]).await.unwrap().unwrap();
    assert_eq!(new.beat(&kept).await, Ok(None));
    assert_eq!(old.heartbeat().await, REBALANCE_IN_PROGRESS, "the other has given it up");
    assert_eq!(old.join(&[]).await, 0);
    assert_eq!(old.sync(&[]).await.unwrap().len(), 2);
    assert_eq!(old.heartbeat().await, 0);

    // One that was taken out has to give up what it thinks it has before it is a member again.
    old.id = "somebody".into();
    assert_eq!(old.join(&[0]).await, UNKNOWN_MEMBER_ID);
    let mut other = JoinGroupRequest::default()
        .with_group_id(group())
        .with_session_timeout_ms(10_000)
        .with_protocol_type(text("connect"))
        .with_protocols(vec![JoinGroupRequestProtocol::default().with_metadata(subscription(&[]))]);
    assert_eq!(old.client.ask(3, &other).await.error_code, INCONSISTENT_GROUP_PROTOCOL);
    other.protocol_type = text("consumer");
    assert_eq!(old.client.ask(3, &other).await.error_code, INCONSISTENT_GROUP_PROTOCOL, "they share no protocol");
}

/// Who does not join again in the time that it asked for is taken out, however alive it is.
#[tokio::test]
async fn one_who_does_not_join_again_is_taken_out() {
    let server = started().await;
    let mut old = alone(&server, None).await;
    let mut new = Modern::new(&server, "new").await;
    assert_eq!(new.beat(&[]).await, Ok(Some(vec![])));
    for _ in 0..3 {
        assert_eq!(old.heartbeat().await, REBALANCE_IN_PROGRESS);
        server.sim.clock.advance_ms(9_000);
        assert_eq!(new.beat(&[]).await, Ok(None));
    }
    assert_eq!(old.heartbeat().await, REBALANCE_IN_PROGRESS);
    server.sim.clock.advance_ms(4_000);
    let mut has = None;
    while has.is_none() {
        has = new.beat(&[]).await.unwrap();
    }
    assert_eq!(has, Some(vec![0, 1, 2, 3]));
    assert_eq!(old.heartbeat().await, UNKNOWN_MEMBER_ID);
}

#[tokio::test]
async fn static_members_take_their_own_place() {
    let server = started().await;
    let mut old = alone(&server, Some("i")).await;
    let mut new = Modern::new(&server, "new").await;
    new.instance = Some("i");
    assert_eq!(new.beat(&[]).await, Ok(Some(vec![0, 1, 2, 3])));
    assert_eq!(old.heartbeat().await, FENCED_INSTANCE_ID);
    old.id.clear();
    assert_eq!(old.join(&[]).await, 0);
    let id = old.id.clone();
    assert_eq!(old.sync(&[(&id, &[0, 1, 2, 3])]).await, Ok(vec![0, 1, 2, 3]), "it leads a classic group again");
    assert_eq!(kind(&mut new.client).await, is("classic", "Stable"));
    new.epoch = 0;
    assert_eq!(new.beat(&[]).await, Ok(Some(vec![0, 1, 2, 3])));
    let mut other = Classic::new(&server).await;
    (other.id, other.instance) = ("other".into(), Some("i"));
    assert_eq!(other.join(&[]).await, FENCED_INSTANCE_ID);
}
