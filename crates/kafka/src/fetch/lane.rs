//! What fetches partitions, each at one place.
//!
//! What waits in a lane that nobody has taken is bounded, over all its places: by [`WAITING_BYTES`], or
//! [`PLACE_BYTES_MIN`] for each where they are many. What one fetch brings on top of that comes to half of it.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use parking_lot::Mutex;
use recordlog::{Offset, Result, TopicPartition};
use tokio::sync::watch;

use super::{
    leaders,
    place::{Feed, OnData, Place},
};
use crate::{
    broker::{Brokers, Wire},
    config::FetchSettings,
};

/// Bytes that wait in a lane, shared out evenly among its places.
const WAITING_BYTES: usize = 4 << 20;
/// … but at least so many in each: batches are fetched whole.
const PLACE_BYTES_MIN: usize = 16 << 10;
/// … and at most so many.
const PLACE_BYTES_MAX: usize = 2 << 20;

/// Bytes that wait in each of so many places before no more is fetched.
fn place_bytes(places: usize) -> usize {
    (WAITING_BYTES / places.max(1)).clamp(PLACE_BYTES_MIN, PLACE_BYTES_MAX)
}

/// Fetches partitions, each at one place.
pub(crate) struct Lane {
    shared: Arc<Shared>,
}

impl Lane {
    /// One that fetches nothing yet.
    pub fn new(wire: &Wire, settings: FetchSettings) -> Lane {
        let shared = Arc::new(Shared {
            brokers: Arc::clone(wire.brokers()),
            settings,
            place_bytes: AtomicUsize::new(place_bytes(0)),
            places: Mutex::default(),
            trouble: Mutex::default(),
            changed: watch::Sender::new(0),
        });
        wire.spawn(leaders::find(Arc::clone(&shared)));
        Lane { shared }
    }

    /// Begin to fetch a partition from an offset on. It must not be fetched in this lane already.
    pub fn open(&self, partition: &TopicPartition, number: i32, from: Offset, on_data: OnData) -> Feed {
        let place = Arc::new(Place::new(partition.clone(), number, from, on_data));
        let mut places = self.shared.places.lock();
        places.insert(partition.clone(), Arc::clone(&place));
        self.shared.share_out(places.len());
        drop(places);
        self.shared.tell();
        Feed::new(place, Arc::clone(&self.shared), from)
    }
}

/// What the tasks of a lane and its readers share.
pub(super) struct Shared {
    pub brokers: Arc<Brokers>,
    pub settings: FetchSettings,
    /// See [`Shared::place_bytes`].
    place_bytes: AtomicUsize,
    places: Mutex<BTreeMap<TopicPartition, Arc<Place>>>,
    /// What went wrong last, until something goes right.
    trouble: Mutex<Option<String>>,
    /// Somebody may have something to do.
    pub changed: watch::Sender<u64>,
}

impl Shared {
    /// All that is being fetched.
    pub fn places(&self) -> Vec<Arc<Place>> {
        self.places.lock().values().cloned().collect()
    }

    /// Fetch a place no more.
    pub fn close(&self, place: &Arc<Place>) {
        let mut places = self.places.lock();
        if places.get(&place.partition).is_some_and(|there| Arc::ptr_eq(there, place)) {
            places.remove(&place.partition);
            self.share_out(places.len());
            drop(places);
            // What was full may have room.
            self.tell();
        }
    }

    /// Bytes that wait in a place before no more is fetched.
    pub fn place_bytes(&self) -> usize {
        self.place_bytes.load(Ordering::Relaxed)
    }

    fn share_out(&self, places: usize) {
        self.place_bytes.store(place_bytes(places), Ordering::Relaxed);
    }

    /// Have all tasks look what there is to do.
    pub fn tell(&self) {
        self.changed.send_modify(|version| *version = version.wrapping_add(1));
    }

    /// What went wrong, where nothing has gone right since.
    pub fn trouble(&self) -> Option<String> {
        self.trouble.lock().clone()
    }

    /// A request was answered, or not.
    pub fn note<T>(&self, outcome: Result<T>) -> Option<T> {
        match outcome {
            Ok(answer) => {
                *self.trouble.lock() = None;
                Some(answer)
            }
            Err(error) => {
                let words = error.to_string();
                let mut trouble = self.trouble.lock();
                if trouble.as_ref() != Some(&words) {
                    tracing::info!(error = %words, "fetching");
                    *trouble = Some(words);
                }
                None
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_waits_is_shared_out() {
        for (places, each) in [
            (0, PLACE_BYTES_MAX),
            (1, PLACE_BYTES_MAX),
            (2, PLACE_BYTES_MAX),
            (4, 1 << 20),
            (16, 256 << 10),
            (256, PLACE_BYTES_MIN),
            (2048, PLACE_BYTES_MIN),
        ] {
            assert_eq!(place_bytes(places), each, "{places}");
        }
    }
}
