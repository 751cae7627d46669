//! ConsumerGroupHeartbeat: all that a member of the consumer protocol (KIP-848) says, and all that it is told.

use kafka_protocol::{
    error::ResponseError,
    messages::{
        ConsumerGroupHeartbeatRequest, ConsumerGroupHeartbeatResponse,
        consumer_group_heartbeat_request::TopicPartitions as Owned,
        consumer_group_heartbeat_response::{Assignment, TopicPartitions},
    },
    protocol::StrBytes,
};
use uuid::Uuid;

use super::{Api, Reply};
use crate::{
    auth::{Operation, Resource},
    call::{Call, text},
    error::Failure,
    group::consumer::{AWAY, Assignor, Beat, JOINING, Parts},
    wire::shape::{
        Field,
        Kind::{Array, Fixed, List, Text},
        all, from,
    },
};

/// The first version in which a client makes its members' ids.
const OWN_ID_FROM_VERSION: i16 = 1;

/// See the module.
pub(crate) struct ConsumerGroupHeartbeat;

impl Api for ConsumerGroupHeartbeat {
    type Request = ConsumerGroupHeartbeatRequest;
    type Response = ConsumerGroupHeartbeatResponse;
    const KEY: i16 = 68;
    const VERSIONS: (i16, i16) = (0, 1);
    const FIELDS: &'static [Field] = &[
        all(Text),
        all(Text),
        all(Fixed(4)),
        all(Text),
        all(Text),
        all(Fixed(4)),
        all(List(&Text)),
        from(1, Text),
        all(Text),
        all(Array(&[all(Fixed(16)), all(List(&Fixed(4)))])),
    ];

    async fn handle(call: &Call, request: ConsumerGroupHeartbeatRequest) -> Reply<ConsumerGroupHeartbeatResponse> {
        Reply::from(match hear(call, request) {
            Ok(response) => response,
            Err(failure) => ConsumerGroupHeartbeatResponse::default()
                .with_error_code(failure.code())
                .with_error_message(Some(text(&failure.message))),
        })
    }
}

fn hear(call: &Call, request: ConsumerGroupHeartbeatRequest) -> Result<ConsumerGroupHeartbeatResponse, Failure> {
    let group = request.group_id.to_string();
    call.authorize(Operation::Read, Resource::Group(&group))?;
    check(call, &request)?;
    let groups = &call.broker.groups;
    let epoch = request.member_epoch;
    let response = ConsumerGroupHeartbeatResponse::default().with_error_message(None).with_assignment(None);
    // Below it there are those who leave for a while and those who leave for good.
    if epoch < JOINING {
        let who = (request.member_id.as_str(), request.instance_id.as_deref());
        groups.consumer_leave(call, &group, who, epoch == AWAY)?;
        return Ok(response.with_member_id(Some(request.member_id)).with_member_epoch(epoch));
    }
    for name in request.subscribed_topic_names.iter().flatten() {
        call.authorize(Operation::Describe, Resource::Topic(name))?;
    }
    let beat = beat_of(call, request)?;
    let member_id = text(&beat.member_id);
    let heard = groups.consumer_heartbeat(call, &group, beat)?;
    let interval = call.broker.settings.group_heartbeat_interval();
    Ok(response
        .with_member_id(Some(member_id))
        .with_member_epoch(heard.epoch)
        .with_heartbeat_interval_ms(i32::try_from(interval.as_millis()).unwrap_or(i32::MAX))
        .with_assignment(heard.assignment.map(|parts| assignment(&parts))))
}

/// Whether the request says what its epoch demands.
fn check(call: &Call, request: &ConsumerGroupHeartbeatRequest) -> Result<(), Failure> {
    let epoch = request.member_epoch;
    let empty = |text: &Option<StrBytes>| text.as_ref().is_some_and(|text| text.is_empty());
    let has_topics = request.subscribed_topic_names.is_some() || request.subscribed_topic_regex.is_some();
    let makes_id = call.version() < OWN_ID_FROM_VERSION && epoch == JOINING;
    let joins = epoch == JOINING;
    let faults = [
        (request.group_id.is_empty(), "the group's id is empty"),
        (request.member_id.is_empty() && !makes_id, "the member's id is empty"),
        (empty(&request.instance_id), "the instance's id is empty"),
        (empty(&request.rack_id), "the rack's id is empty"),
        (epoch < AWAY, "there is no such member epoch"),
        (epoch == AWAY && request.instance_id.is_none(), "only a member with an instance's id leaves for a while"),
        (joins && request.rebalance_timeout_ms < 0, "who joins has to say how long a rebalance may take"),
        (joins && !has_topics, "who joins has to say what topics it wants"),
        (joins && request.topic_partitions.as_ref().is_none_or(|owned| !owned.is_empty()), "who joins has nothing yet"),
    ];
    match faults.into_iter().find(|(is_so, _)| *is_so) {
        Some((_, words)) => Err(Failure::new(ResponseError::InvalidRequest, words)),
        None => Ok(()),
    }
}

fn beat_of(call: &Call, request: ConsumerGroupHeartbeatRequest) -> Result<Beat, Failure> {
    let string = |text: Option<StrBytes>| text.map(|text| text.to_string());
    let assignor = request.server_assignor.map(|name| {
        let unknown = || format!("there is no assignor {name:?}; there are \"range\" and \"uniform\"");
        Assignor::named(&name).ok_or_else(|| Failure::new(ResponseError::UnsupportedAssignor, unknown()))
    });
    let member_id = match request.member_id.is_empty() {
        true => Uuid::from_u128(call.broker.log.host().random.next_u128()).to_string(),
        false => request.member_id.to_string(),
    };
    let rebalance_ms = Some(i64::from(request.rebalance_timeout_ms)).filter(|ms| *ms >= 0);
    Ok(Beat {
        member_id,
        epoch: request.member_epoch,
        instance: string(request.instance_id),
        rack: string(request.rack_id),
        rebalance_ms,
        names: request.subscribed_topic_names.map(|names| names.iter().map(|name| name.to_string()).collect()),
        pattern: string(request.subscribed_topic_regex),
        assignor: assignor.transpose()?,
        owned: request.topic_partitions.map(|owned| parts_of(&owned)),
        client_id: call.head.client_id.clone().unwrap_or_default(),
        client_host: call.client_host(),
        classic: None,
    })
}

fn parts_of(owned: &[Owned]) -> Parts {
    let parts = |topic: &Owned| {
        let id = topic.topic_id.as_u128();
        topic.partitions.iter().map(move |partition| (id, *partition)).collect::<Vec<_>>()
    };
    owned.iter().flat_map(parts).collect()
}

fn assignment(parts: &Parts) -> Assignment {
    let mut topics: Vec<TopicPartitions> = Vec::new();
    for (id, partition) in parts {
        let id = Uuid::from_u128(*id);
        match topics.last_mut().filter(|topic| topic.topic_id == id) {
            Some(topic) => topic.partitions.push(*partition),
            None => topics.push(TopicPartitions::default().with_topic_id(id).with_partitions(vec![*partition])),
        }
    }
    Assignment::default().with_topic_partitions(topics)
}
