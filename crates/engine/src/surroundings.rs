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
    pub registry: std::sync::Arc<dyn formats::SchemaRegistry>,
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
        topic: &str,
        part: formats::Part,
        format: &formats::FormatSpec,
    ) -> Result<Option<Schema>> {
        let context = formats::FormatContext { registry: Some(self.registry.clone()), topic: topic.to_string() };
        let registered = match format.schema_id {
            Some(id) => self.registry.by_id(id)?,
            None => self.registry.latest(&context.subject(part))?,
        };
        if registered.is_none() {
            return Ok(None);
        }
        formats::format(&format.name)?.infer(part, format, &context).map(|columns| Some(Schema::new(columns)))
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
