//! What the planner asks of its surroundings: topics, properties, the clock.

use std::collections::BTreeMap;

use host::Host;
use planner::plan::{Surroundings, TopicShape};
use recordlog::RecordLog;
use types::{Result, Schema};

/// The world as one session sees it.
pub(crate) struct World<'a> {
    pub log: &'a dyn RecordLog,
    pub host: &'a Host,
    pub properties: &'a BTreeMap<String, String>,
    /// Where persistent queries begin when nobody says: at the first record.
    pub persistent: bool,
}

impl Surroundings for World<'_> {
    fn topic(&self, name: &str) -> Option<TopicShape> {
        let topic = self.log.topic(name)?;
        Some(TopicShape { partitions: topic.config.partitions, replicas: topic.config.replicas })
    }

    fn registered_columns(
        &self,
        _topic: &str,
        _part: formats::Part,
        _format: &formats::FormatSpec,
    ) -> Result<Option<Schema>> {
        Ok(None)
    }

    fn property(&self, name: &str) -> Option<String> {
        let set = self.properties.get(name).cloned();
        match name {
            "auto.offset.reset" if self.persistent => set.or_else(|| Some("earliest".into())),
            _ => set,
        }
    }

    fn now_ms(&self) -> i64 {
        self.host.clock.now_ms()
    }
}
