//! What fetches partitions, each at one place.

use std::{collections::BTreeMap, sync::Arc};

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

/// Fetches partitions, each at one place.
pub(crate) struct Lane {
    shared: Arc<Shared>,
}

impl Lane {
    /// One whose places each hold about `queue_bytes` that nobody has taken.
    pub fn new(wire: &Wire, settings: FetchSettings, queue_bytes: usize) -> Lane {
        let shared = Arc::new(Shared {
            brokers: Arc::clone(wire.brokers()),
            settings,
            queue_bytes,
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
        self.shared.places.lock().insert(partition.clone(), Arc::clone(&place));
        self.shared.tell();
        Feed::new(place, Arc::clone(&self.shared), from)
    }
}

/// What the tasks of a lane and its readers share.
pub(super) struct Shared {
    pub brokers: Arc<Brokers>,
    pub settings: FetchSettings,
    /// Bytes that wait in a place before no more is fetched.
    pub queue_bytes: usize,
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
        }
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
