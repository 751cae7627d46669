//! A place in a partition: what was fetched there and nobody has taken yet.

use std::{
    collections::VecDeque,
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::Bytes;
use kafka_protocol::{ResponseError, messages::fetch_response::PartitionData};
use parking_lot::{Condvar, Mutex};
use recordlog::{LogError, Offset, StoredBatch, TopicPartition};

use super::{
    answer::{self, Look},
    lane::Shared,
};
use crate::broker::{Leader, words};

/// What to do when something has come. Called by who fetches: it must not wait.
pub(crate) type OnData = Box<dyn Fn() + Send + Sync>;

/// A part of an answer that is smaller than one in so many is copied, so that what waits keeps at most so many times
/// its own bytes in memory.
const PART_MIN: usize = 8;

/// Where a partition began and ended when it was fetched last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Ends {
    /// First offset; unknown to old brokers.
    pub low: Option<Offset>,
    /// One past the last record that a read-committed reader may see.
    pub stable: Offset,
}

/// A partition being fetched from some offset on.
pub(super) struct Place {
    pub partition: TopicPartition,
    /// As Kafka counts.
    pub number: i32,
    state: Mutex<State>,
    came: Condvar,
    on_data: OnData,
}

#[derive(Default)]
struct State {
    batches: VecDeque<StoredBatch>,
    bytes: usize,
    /// What is fetched next.
    next: Offset,
    /// Known while a fetch is under way.
    ends: Option<Ends>,
    leader: Option<Leader>,
    /// Since when the cluster has said that there is no such partition.
    missing: Option<Instant>,
    failure: Option<LogError>,
    /// Nothing more is fetched.
    has_failed: bool,
}

/// What was taken from a place.
#[derive(Debug, Default)]
pub(crate) struct Taken {
    pub batches: Vec<StoredBatch>,
    /// From where on nothing was taken.
    pub next: Offset,
    /// Why nothing more comes.
    pub failure: Option<LogError>,
}

impl Place {
    pub fn new(partition: TopicPartition, number: i32, from: Offset, on_data: OnData) -> Place {
        let state = State { next: from, ..State::default() };
        Place { partition, number, state: Mutex::new(state), came: Condvar::new(), on_data }
    }

    /// Whether it has to be found out who leads it.
    pub fn is_unled(&self) -> bool {
        let state = self.state.lock();
        !state.has_failed && state.leader.is_none()
    }

    /// It is led so; it may be fetched there.
    pub fn lead(&self, leader: Leader) {
        let mut state = self.state.lock();
        (state.leader, state.missing) = (Some(leader), None);
    }

    /// Who leads it has to be found out, if it is that broker that did so far.
    pub fn lose(&self, broker: i32) {
        let mut state = self.state.lock();
        if state.leader.is_some_and(|leader| leader.broker == broker) {
            (state.leader, state.ends) = (None, None);
        }
    }

    /// The cluster has no such partition: an error when it says so for a while, since what was just made is not known
    /// everywhere at once.
    pub fn miss(&self, patience: Duration, error: impl FnOnce() -> LogError) {
        let mut state = self.state.lock();
        let since = *state.missing.get_or_insert_with(Instant::now);
        if since.elapsed() >= patience {
            drop(state);
            self.fail(error());
        }
    }

    /// Nothing more can be fetched.
    pub fn fail(&self, error: LogError) {
        let mut state = self.state.lock();
        (state.failure, state.has_failed) = (Some(error), true);
        (state.leader, state.ends) = (None, None);
        drop(state);
        self.came.notify_all();
        (self.on_data)();
    }

    /// Where to go on, at that broker's, in which epoch; `None`: not there, or not now.
    pub fn wants(&self, broker: i32, place_bytes: usize) -> Option<(Offset, i32)> {
        let state = self.state.lock();
        let leader = state.leader.filter(|leader| leader.broker == broker)?;
        (state.bytes < place_bytes).then_some((state.next, leader.epoch))
    }

    /// Whether that broker leads it and its queue is full.
    pub fn is_full(&self, broker: i32, place_bytes: usize) -> bool {
        let state = self.state.lock();
        state.leader.is_some_and(|leader| leader.broker == broker) && state.bytes >= place_bytes
    }

    /// Take in what the leader answered, out of an answer of so many bytes.
    pub fn take_in(&self, broker: i32, look: Look, data: PartitionData, answer_bytes: usize) {
        match ResponseError::try_from_code(data.error_code) {
            None => {}
            Some(ResponseError::OffsetOutOfRange) => {
                // What it holds is for the reader to ask.
                let partition = self.partition.clone();
                return self.fail(LogError::OutOfRange { partition, offset: -1, start: -1, end: -1 });
            }
            Some(error) if is_stale(error) => return self.lose(broker),
            Some(error) => {
                return self.fail(LogError::Invalid(format!("reading {}: {}", self.partition, words(error))));
            }
        }
        let records = data.records.unwrap_or_default();
        let is_part = records.len().saturating_mul(PART_MIN) < answer_bytes;
        let records = if is_part { Bytes::copy_from_slice(&records) } else { records };
        let seen = answer::committed(
            &self.partition,
            look,
            &records,
            data.aborted_transactions.as_deref().unwrap_or_default(),
        );
        let stable = if data.last_stable_offset < 0 { data.high_watermark } else { data.last_stable_offset };
        let mut state = self.state.lock();
        if state.next != look.from || state.leader.is_none_or(|leader| leader.broker != broker) {
            // Another leader has answered meanwhile.
            return;
        }
        state.ends = Some(Ends { low: (data.log_start_offset >= 0).then_some(data.log_start_offset), stable });
        let has_moved = seen.next > state.next;
        state.next = seen.next;
        state.bytes += seen.batches.iter().map(|batch| batch.bytes.len()).sum::<usize>();
        state.batches.extend(seen.batches);
        if let Some(damage) = seen.damage {
            drop(state);
            return self.fail(damage);
        }
        drop(state);
        if has_moved {
            self.came.notify_all();
            (self.on_data)();
        }
    }
}

/// Whether an error says that somebody else may know better, now or soon.
fn is_stale(error: ResponseError) -> bool {
    error.is_retriable() || matches!(error, ResponseError::FencedLeaderEpoch | ResponseError::UnknownLeaderEpoch)
}

/// What reads a place; it is given up with it.
pub(crate) struct Feed {
    place: Arc<Place>,
    lane: Arc<Shared>,
    /// As far as was taken.
    next: Offset,
}

impl Feed {
    pub(super) fn new(place: Arc<Place>, lane: Arc<Shared>, from: Offset) -> Feed {
        Feed { place, lane, next: from }
    }

    /// Take what has come, about `bytes_max` bytes; wait at most `timeout` for something.
    pub fn take(&mut self, timeout: Duration, bytes_max: usize) -> Taken {
        let (mut taken, mut bytes) = (Taken::default(), 0);
        let mut state = self.place.state.lock();
        let is_idle = |state: &State| state.batches.is_empty() && state.next == self.next && state.failure.is_none();
        if !timeout.is_zero() && is_idle(&state) {
            self.place.came.wait_while_for(&mut state, |state| is_idle(state), timeout);
        }
        let place_bytes = self.lane.place_bytes();
        let was_full = state.bytes >= place_bytes;
        while bytes < bytes_max {
            let Some(batch) = state.batches.pop_front() else { break };
            bytes += batch.bytes.len();
            self.next = batch.next_offset;
            taken.batches.push(batch);
        }
        state.bytes -= bytes;
        if state.batches.is_empty() {
            // Marks, and what was aborted, are stepped over.
            self.next = state.next;
            taken.failure = state.failure.take();
        }
        let has_room = was_full && state.bytes < place_bytes;
        drop(state);
        if has_room {
            self.lane.tell();
        }
        taken.next = self.next;
        taken
    }

    /// Where the partition begins and ends, as long as it is being fetched.
    pub fn ends(&self) -> Option<Ends> {
        self.place.state.lock().ends
    }

    /// Whether more is fetched: where as much waits as may, what [`Feed::ends`] says gets old.
    pub fn has_room(&self) -> bool {
        self.place.state.lock().bytes < self.lane.place_bytes()
    }

    /// Why it cannot be fetched now, if that is known.
    pub fn trouble(&self) -> Option<String> {
        self.lane.trouble()
    }
}

impl Drop for Feed {
    fn drop(&mut self) {
        self.lane.close(&self.place);
    }
}
