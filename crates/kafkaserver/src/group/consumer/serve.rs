//! Groups of the consumer protocol as requests have them.

use std::sync::Arc;

use kafka_protocol::error::ResponseError;
use recordlog::RecordLog;

use super::{Beat, Heard, JOINING, Shape, Topics};
use crate::{
    auth::{Operation, Resource},
    call::Call,
    error::Failure,
    group::{
        Groups, Kind, State,
        classic::{self, Classic},
    },
};

/// The topics that a caller may see.
pub(crate) struct Visible<'a>(pub &'a Call);

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

fn is_classic(state: &State) -> bool {
    state.classic.phase != classic::Phase::Empty
}

/// What a group of the classic protocol answers to members of the other.
fn refused(group: &str) -> Failure {
    let message = format!("group {group} has members of the classic protocol");
    Failure::new(ResponseError::GroupIdNotFound, message)
}

/// A member of the consumer protocol comes to a group of consumers of the classic one: the group becomes of the
/// consumer protocol, and the others stay in it.
fn upgrade(state: &mut State, beat: Beat, topics: &dyn Topics, now_ms: i64) -> Result<Option<Heard>, Failure> {
    let Some(mut consumer) = state.consumer.of_classic(&state.classic, topics, now_ms) else { return Ok(None) };
    let heard = consumer.heartbeat(beat, topics, now_ms)?;
    state.consumer = consumer;
    state.kind = Kind::Consumer;
    let waiting = state.classic.dismiss();
    state.classic = Classic::default();
    state.settle(waiting);
    Ok(Some(heard))
}

impl Groups {
    /// A member of the consumer protocol is alive, or wants to become one.
    pub fn consumer_heartbeat(&self, call: &Call, group: &str, beat: Beat) -> Result<Heard, Failure> {
        let broker = &call.broker;
        let joins = beat.epoch == JOINING;
        let hear = |state: &mut State| {
            if is_classic(state) {
                let upgraded = if joins { upgrade(state, beat, &Visible(call), broker.now_ms())? } else { None };
                return upgraded.ok_or_else(|| refused(group));
            }
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
            if is_classic(state) {
                return Err(refused(group));
            }
            let now_ms = call.broker.now_ms();
            let left = state.consumer.leave(id, instance, for_a_while, now_ms);
            state.downgrade_if_all_classic(now_ms);
            left
        });
        left.unwrap_or(Err(ResponseError::UnknownMemberId.into()))
    }
}
