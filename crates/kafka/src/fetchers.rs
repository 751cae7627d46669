//! The lanes that fetch, and which of them fetches which partition.
//!
//! A lane fetches a partition once, so readers at several places of one partition sit in several lanes. The first one has
//! few seats, each further one twice as many; how much waits in a lane for each of the places it fetches follows from how
//! many they are ([`crate::fetch::Lane`]). So a few partitions are read as fast as can be, and thousands fit.

use std::{collections::HashSet, sync::Arc};

use parking_lot::Mutex;
use recordlog::{LogError, Offset, Result, TopicPartition};

use crate::{
    broker::Wire,
    config::{ClusterConfig, FetchSettings},
    ends,
    fetch::{Feed, Lane, OnData},
};

/// Partitions that the first lane fetches at most.
const FIRST_SEATS: usize = 16;
/// Most lanes, and so most places at which one partition is read at a time.
pub(crate) const LANES_MAX: usize = 8;

/// A lane and what it fetches.
struct Fetcher {
    lane: Lane,
    taken: HashSet<TopicPartition>,
}

/// All lanes.
pub(crate) struct Fetchers {
    wire: Arc<Wire>,
    settings: FetchSettings,
    lanes: Mutex<Vec<Fetcher>>,
}

/// A partition fetched in one of the lanes.
pub(crate) struct Lease {
    // Given back before the seat is.
    pub feed: Feed,
    _seat: Seat,
}

/// A partition's place in a lane; given back when dropped.
struct Seat {
    fetchers: Arc<Fetchers>,
    lane: usize,
    partition: TopicPartition,
}

impl Drop for Seat {
    fn drop(&mut self) {
        if let Some(fetcher) = self.fetchers.lanes.lock().get_mut(self.lane) {
            fetcher.taken.remove(&self.partition);
        }
    }
}

/// Partitions that the lane of that number fetches at most.
fn seats(lane: usize) -> usize {
    FIRST_SEATS << lane
}

impl Fetchers {
    /// No lane yet.
    ///
    /// # Errors
    /// [`LogError::Invalid`] where a setting is not possible.
    pub fn new(config: &ClusterConfig, wire: Arc<Wire>) -> Result<Fetchers> {
        Ok(Fetchers { wire, settings: config.fetching()?, lanes: Mutex::new(Vec::new()) })
    }

    /// Begin to fetch a partition from an offset on. `None`: all seats are taken.
    pub fn open(self: &Arc<Self>, partition: &TopicPartition, from: Offset, on_data: OnData) -> Result<Option<Lease>> {
        let number = ends::number(partition)?;
        let mut lanes = self.lanes.lock();
        let free = |(at, f): &(usize, &Fetcher)| f.taken.len() < seats(*at) && !f.taken.contains(partition);
        let at = match lanes.iter().enumerate().find(free) {
            Some((at, _)) => at,
            None if lanes.len() >= LANES_MAX => return Ok(None),
            None => {
                let lane = Lane::new(&self.wire, self.settings.clone());
                lanes.push(Fetcher { lane, taken: HashSet::new() });
                lanes.len() - 1
            }
        };
        let Some(fetcher) = lanes.get_mut(at) else { return Ok(None) };
        fetcher.taken.insert(partition.clone());
        let feed = fetcher.lane.open(partition, number, from, on_data);
        drop(lanes);
        let seat = Seat { fetchers: Arc::clone(self), lane: at, partition: partition.clone() };
        Ok(Some(Lease { feed, _seat: seat }))
    }
}

/// That a partition cannot be read now for want of a seat.
pub(crate) fn full(partition: &TopicPartition) -> LogError {
    LogError::Unavailable(format!("{partition}: too many partitions are read at a time"))
}
