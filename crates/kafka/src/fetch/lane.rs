//! What fetches partitions, each at one place.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use parking_lot::Mutex;
use recordlog::{LogError, Offset, Result, TopicPartition};
use tokio::{runtime, sync::watch};

use super::{
    leaders,
    place::{Feed, OnData, Place},
    rounds,
};
use crate::{
    broker::Dialer,
    config::{ClusterConfig, FetchSettings},
};

/// The thread that fetches, for all lanes.
pub(crate) struct Fetching {
    /// `None` only while it is dropped.
    runtime: Option<runtime::Runtime>,
    dialer: Arc<Dialer>,
    bootstrap: Arc<[(String, u16)]>,
    settings: FetchSettings,
}

impl Fetching {
    /// By the settings of a cluster.
    ///
    /// # Errors
    /// [`LogError::Invalid`] where one is not possible, [`LogError::Io`] where no thread can be started.
    pub fn new(config: &ClusterConfig) -> Result<Fetching> {
        let (dialer, bootstrap) = (Dialer::new(config)?, config.bootstrap_addresses()?);
        let settings = config.fetching()?;
        let failed = |e: std::io::Error| LogError::Io { what: "starting a thread".to_owned(), error: e.to_string() };
        let mut runtime = runtime::Builder::new_multi_thread();
        runtime.worker_threads(1).thread_name("kafka-fetch").enable_all();
        let runtime = runtime.build().map_err(failed)?;
        Ok(Fetching { runtime: Some(runtime), dialer: Arc::new(dialer), bootstrap: bootstrap.into(), settings })
    }

    /// Why no broker can be reached, as the last one that was tried says; `Ok` where one can. Waits for them.
    pub fn probe(&self) -> Result<()> {
        let Some(runtime) = &self.runtime else { return Ok(()) };
        let dial = |(host, port): &(String, u16)| runtime.block_on(self.dialer.dial(host, *port)).map(drop);
        self.bootstrap.iter().map(dial).reduce(|first, next| first.or(next)).unwrap_or(Ok(()))
    }

    /// A lane whose places each hold about `queue_bytes` that nobody has taken.
    pub fn lane(&self, queue_bytes: usize) -> Lane {
        let shared = Arc::new(Shared {
            dialer: Arc::clone(&self.dialer),
            bootstrap: Arc::clone(&self.bootstrap),
            settings: self.settings.clone(),
            queue_bytes,
            places: Mutex::default(),
            addresses: Mutex::default(),
            trouble: Mutex::default(),
            changed: watch::Sender::new(0),
        });
        if let Some(runtime) = &self.runtime {
            runtime.spawn(leaders::find(Arc::clone(&shared)));
        }
        Lane { shared }
    }
}

impl Drop for Fetching {
    fn drop(&mut self) {
        // It may be dropped where one must not wait.
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

/// Fetches partitions, each at one place.
pub(crate) struct Lane {
    shared: Arc<Shared>,
}

impl Lane {
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
    pub dialer: Arc<Dialer>,
    /// Brokers to ask where no other is known.
    pub bootstrap: Arc<[(String, u16)]>,
    pub settings: FetchSettings,
    /// Bytes that wait in a place before no more is fetched.
    pub queue_bytes: usize,
    places: Mutex<BTreeMap<TopicPartition, Arc<Place>>>,
    /// Of brokers, as far as known.
    pub addresses: Mutex<HashMap<i32, (String, u16)>>,
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

    /// Begin the rounds of a broker.
    pub fn serve(self: &Arc<Self>, broker: i32) {
        tokio::spawn(rounds::run(Arc::clone(self), broker));
    }
}
