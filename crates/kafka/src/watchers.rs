//! Who wants to know when something was appended to a topic.

use std::{collections::HashMap, sync::Arc};

use parking_lot::Mutex;
use tokio::sync::watch;

/// One sender a topic that somebody has watched or reads.
#[derive(Default)]
pub(crate) struct Watchers {
    topics: Mutex<HashMap<Arc<str>, Arc<watch::Sender<u64>>>>,
}

impl Watchers {
    /// Who tells that something was appended to a topic.
    pub fn sender(&self, topic: &str) -> Arc<watch::Sender<u64>> {
        let mut topics = self.topics.lock();
        match topics.get(topic) {
            Some(sender) => Arc::clone(sender),
            None => {
                let sender = Arc::new(watch::Sender::new(0));
                topics.insert(topic.into(), Arc::clone(&sender));
                sender
            }
        }
    }

    /// Something was appended to a topic, or it was deleted.
    pub fn fire(&self, topic: &str) {
        let sender = self.topics.lock().get(topic).cloned();
        if let Some(sender) = sender {
            tell(&sender);
        }
    }

    /// The topics that somebody watches now.
    pub fn watched(&self) -> Vec<Arc<str>> {
        let topics = self.topics.lock();
        topics.iter().filter(|(_, sender)| sender.receiver_count() > 0).map(|(name, _)| Arc::clone(name)).collect()
    }
}

/// Wake all who watch.
pub(crate) fn tell(sender: &watch::Sender<u64>) {
    sender.send_modify(|version| *version = version.wrapping_add(1));
}
