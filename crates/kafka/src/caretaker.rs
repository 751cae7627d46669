//! What has to be done without anybody asking: topics are asked for again, watched partitions are looked after, clients
//! are heard.

use std::{
    sync::{Arc, mpsc},
    thread::{self, JoinHandle},
    time::Duration,
};

use recordlog::{LogError, Result, TopicPartition};

use crate::writer::Surroundings;

/// Between two looks.
const TICK: Duration = Duration::from_millis(100);
/// All topics are asked for again after so long.
const REFRESH: Duration = Duration::from_secs(30);

/// The thread; it ends when this is dropped.
pub(crate) struct Caretaker {
    stop: Option<mpsc::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Caretaker {
    /// Start it.
    pub fn start(surroundings: Arc<Surroundings>) -> Result<Caretaker> {
        let (stop, stopped) = mpsc::channel();
        let run = move || {
            let mut refreshed = surroundings.host.clock.monotonic();
            while let Err(mpsc::RecvTimeoutError::Timeout) = stopped.recv_timeout(TICK) {
                let now = surroundings.host.clock.monotonic();
                if now.saturating_sub(refreshed) >= REFRESH {
                    refreshed = now;
                    refresh(&surroundings);
                }
                surroundings.places.tend(&watched(&surroundings));
            }
        };
        let thread = thread::Builder::new().name("kafka-care".to_owned()).spawn(run);
        let thread = thread.map_err(|e| LogError::Io { what: "starting a thread".to_owned(), error: e.to_string() })?;
        Ok(Caretaker { stop: Some(stop), thread: Some(thread) })
    }
}

impl Drop for Caretaker {
    fn drop(&mut self) {
        self.stop = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn refresh(surroundings: &Surroundings) {
    match surroundings.topics.refresh(surroundings.places.asker(), &surroundings.admin) {
        Ok(gone) => {
            for topic in gone {
                surroundings.places.forget(&topic);
                surroundings.watchers.fire(&topic);
            }
        }
        Err(error) => tracing::debug!(%error, "topics were not asked for again"),
    }
}

fn watched(surroundings: &Surroundings) -> Vec<TopicPartition> {
    let names = surroundings.watchers.watched();
    let topics = names.iter().filter_map(|name| surroundings.topics.known(name));
    topics.flat_map(|topic| (0..topic.config.partitions).map(move |p| TopicPartition::new(&*topic.name, p))).collect()
}
