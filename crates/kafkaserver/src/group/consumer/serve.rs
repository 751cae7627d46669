//! Groups of the consumer protocol as requests have them.

use std::sync::Arc;

use kafka_protocol::error::ResponseError;
use recordlog::RecordLog;

use super::{Beat, Heard, JOINING, Shape, Topics};
use crate::{
    auth::{Operation, Resource},
    call::Call,
    error::Failure,
    group::{Groups, Kind, State, classic},
};

/// The topics that a caller may see.
struct Visible<'a>(&'a Call);

impl Topics for Visible<'_> {
    fn shape(&self, name: &str) -> Option<Shape> {
        let topic = self.0.broker.log.topic(name)?;
        // A partition's number has 31 bits on the wire.
        Some(Shape { id: topic.id, partitions: i32::try_from(topic.config.partitions).unwrap_or(i32::MAX) })
    }

    fn matching(&self, pattern: &str) -> Result<Arc<[String]>, Failure> {
        let broker = &self.0.broker;
        let names = || broker.log.topics().into_iter().map(|topic| topic.name).collect();
        let matched = broker.groups.patterns.matching(pattern, broker.now_ms(), names)?;
        let may = |name: &&String| self.0.may(Operation::Describe, Resource::Topic(name));
        Ok(match matched.iter().all(|name| may(&name)) {
            true => matched,
            false => matched.iter().filter(may).cloned().collect(),
        })
    }
}

/// What a group of the classic protocol answers to members of the other.
fn check_kind(state: &State, group: &str) -> Result<(), Failure> {
    if state.classic.phase == classic::Phase::Empty {
        return Ok(());
    }
    let message = format!("group {group} has members of the classic protocol");
    Err(Failure::new(ResponseError::GroupIdNotFound, message))
}

impl Groups {
    /// A member of the consumer protocol is alive, or wants to become one.
    pub fn consumer_heartbeat(&self, call: &Call, group: &str, beat: Beat) -> Result<Heard, Failure> {
        let broker = &call.broker;
        let joins = beat.epoch == JOINING;
        let hear = |state: &mut State| {
            check_kind(state, group)?;
            let heard = state.consumer.heartbeat(beat, &Visible(call), broker.now_ms())?;
            state.kind = Kind::Consumer;
            Ok(heard)
        };
        if joins {
            return self.with_new(broker, group, hear)?;
        }
        // Memberships end with the server. Kafka's do not, and it says then that there is no such group, which clients
        // take for the end; to one who is not known they answer by joining again.
        self.with(group, hear).unwrap_or(Err(ResponseError::UnknownMemberId.into()))
    }

    /// A member of the consumer protocol leaves, perhaps only for a while.
    pub fn consumer_leave(
        &self,
        call: &Call,
        group: &str,
        (id, instance): (&str, Option<&str>),
        for_a_while: bool,
    ) -> Result<(), Failure> {
        let left = self.with(group, |state| {
            check_kind(state, group)?;
            state.consumer.leave(id, instance, for_a_while, call.broker.now_ms())
        });
        left.unwrap_or(Err(ResponseError::UnknownMemberId.into()))
    }
}
