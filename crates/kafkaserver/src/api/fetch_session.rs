//! Fetch sessions: a client names its partitions once and then only what changes (KIP-227).
//!
//! A session is out of the store while a request works on it, so a client that goes away takes its session with it.

use std::sync::Arc;

use indexmap::IndexMap;
use kafka_protocol::{
    error::ResponseError,
    messages::{FetchRequest, fetch_request::FetchPartition},
};
use parking_lot::Mutex;
use recordlog::{Offset, TopicPartition};
use uuid::Uuid;

use crate::{broker::Broker, error::Failure};

/// Most sessions; the one that was idle longest goes.
const SESSIONS_MAX: usize = 1_000;
/// Most partitions in all sessions.
const SESSION_PARTITIONS_MAX: usize = 1_000_000;
/// The epoch of a request that asks for a session.
const FIRST_EPOCH: i32 = 0;
/// The epoch of a request that wants none.
const NO_SESSION_EPOCH: i32 = -1;

/// A partition as a client names it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Key {
    pub topic: Arc<str>,
    /// Nil where clients name topics.
    pub id: Uuid,
    pub partition: i32,
}

/// What a client wants of a partition.
#[derive(Debug, Clone)]
pub(super) struct Wanted {
    pub offset: Offset,
    pub bytes_max: usize,
    pub leader_epoch: i32,
    /// What it was told last: end, stable end, start.
    pub told: Option<(Offset, Offset, Offset)>,
}

/// A session, or what stands for one where there is none.
#[derive(Debug, Default)]
pub(super) struct Session {
    /// 0 for none.
    pub id: i32,
    /// Of the next request.
    epoch: i32,
    pub partitions: IndexMap<Key, Wanted>,
    /// Where the next answer begins, so that every partition has its turn.
    pub turn: usize,
    /// Whether the answer names only partitions with news.
    pub incremental: bool,
}

/// All sessions, the one that was used last at the end.
#[derive(Debug, Default)]
pub(crate) struct FetchSessions(Mutex<IndexMap<i32, Session>>);

impl FetchSessions {
    /// The session that a request is about, with what the request changes in it.
    pub(super) fn take(&self, broker: &Broker, request: &FetchRequest, by_id: bool) -> Result<Session, Failure> {
        let (id, epoch) = (request.session_id, request.session_epoch);
        let mut session = match epoch {
            NO_SESSION_EPOCH | FIRST_EPOCH => {
                self.0.lock().shift_remove(&id);
                let id = if epoch == FIRST_EPOCH { new_id(broker) } else { 0 };
                Session { id, ..Session::default() }
            }
            _ => {
                let found = self.0.lock().shift_remove(&id);
                let session = found.ok_or(ResponseError::FetchSessionIdNotFound)?;
                if session.epoch != epoch {
                    self.put(session);
                    return Err(ResponseError::InvalidFetchSessionEpoch.into());
                }
                Session { incremental: true, ..session }
            }
        };
        for topic in &request.forgotten_topics_data {
            let Some(name) = name_of(broker, topic.topic.as_str(), topic.topic_id, by_id) else { continue };
            for partition in &topic.partitions {
                let key = Key { topic: Arc::clone(&name), id: topic.topic_id, partition: *partition };
                session.partitions.shift_remove(&key);
            }
        }
        for topic in &request.topics {
            let name = name_of(broker, topic.topic.as_str(), topic.topic_id, by_id).unwrap_or_default();
            for wanted in &topic.partitions {
                let key = Key { topic: Arc::clone(&name), id: topic.topic_id, partition: wanted.partition };
                let told = session.partitions.get(&key).and_then(|before| before.told);
                session.partitions.insert(key, Wanted { told, ..Wanted::from(wanted) });
            }
        }
        Ok(session)
    }

    /// Keep a session for the next request.
    pub(super) fn keep(&self, mut session: Session) {
        if session.id != 0 {
            session.epoch = session.epoch.checked_add(1).unwrap_or(1);
            self.put(session);
        }
    }

    fn put(&self, session: Session) {
        let mut sessions = self.0.lock();
        sessions.insert(session.id, session);
        let mut partitions: usize = sessions.values().map(|session| session.partitions.len()).sum();
        while sessions.len() > SESSIONS_MAX || partitions > SESSION_PARTITIONS_MAX {
            let Some((_, gone)) = sessions.shift_remove_index(0) else { break };
            partitions -= gone.partitions.len();
        }
    }
}

fn new_id(broker: &Broker) -> i32 {
    let random = broker.log.host().random.next_u64() & u64::from(i32::MAX.unsigned_abs());
    i32::try_from(random).unwrap_or(1).max(1)
}

fn name_of(broker: &Broker, name: &str, id: Uuid, by_id: bool) -> Option<Arc<str>> {
    if by_id { broker.topic_by_id(id).map(|topic| topic.name) } else { Some(name.into()) }
}

impl From<&FetchPartition> for Wanted {
    fn from(wanted: &FetchPartition) -> Wanted {
        Wanted {
            offset: wanted.fetch_offset,
            bytes_max: usize::try_from(wanted.partition_max_bytes).unwrap_or(0),
            leader_epoch: wanted.current_leader_epoch,
            told: None,
        }
    }
}

impl Key {
    /// Its place in the log; `None` for a number that no partition has.
    pub fn place(&self) -> Option<TopicPartition> {
        Some(TopicPartition::new(Arc::clone(&self.topic), u32::try_from(self.partition).ok()?))
    }
}
