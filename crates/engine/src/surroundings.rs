//! What the planner asks of its surroundings: topics, registered schemas, properties, the clock.
//!
//! The catalog is what comes of running the statements of the log again, so what they asked when they ran first is kept
//! with them: topics, schemas and properties change, and a statement must mean tomorrow what it meant today.

use std::{collections::BTreeMap, sync::Arc};

use host::Host;
use parking_lot::Mutex;
use planner::plan::{Surroundings, TopicShape};
use recordlog::RecordLog;
use runtime::log_error;
use serde::{Deserialize, Serialize};
use types::{Result, Schema};

/// The world as one session sees it.
pub(crate) struct World<'a> {
    pub log: &'a dyn RecordLog,
    pub host: &'a Host,
    pub properties: &'a BTreeMap<String, String>,
    pub registry: Arc<dyn formats::SchemaRegistry>,
    /// Where persistent queries begin when nobody says: at the first record.
    pub persistent: bool,
}

impl Surroundings for World<'_> {
    fn topic(&self, name: &str) -> Result<Option<TopicShape>> {
        let topic = self.log.topic(name).map_err(log_error)?;
        Ok(topic.map(|topic| TopicShape { partitions: topic.config.partitions, replicas: topic.config.replicas }))
    }

    fn registered_columns(
        &self,
        topic: &str,
        part: formats::Part,
        format: &formats::FormatSpec,
    ) -> Result<Option<Schema>> {
        let context = formats::FormatContext {
            registry: Some(self.registry.clone()),
            topic: topic.to_string(),
            ..Default::default()
        };
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

/// What a statement was told when it was planned.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct Answers {
    /// Partitions and replicas by topic; `None`: there was no such topic.
    #[serde(default)]
    topics: BTreeMap<String, Option<(u32, u16)>>,
    /// Registered columns by topic, part and format.
    #[serde(default)]
    schemas: BTreeMap<String, Option<Schema>>,
    #[serde(default)]
    properties: BTreeMap<String, Option<String>>,
    #[serde(default)]
    now_ms: Option<i64>,
}

/// Surroundings that give the answers they gave before, and note those that they give the first time.
#[derive(Clone, Default)]
pub(crate) struct Recorder(Arc<Mutex<Answers>>);

impl Recorder {
    /// With what is known from the first time.
    pub fn new(known: Answers) -> Recorder {
        Recorder(Arc::new(Mutex::new(known)))
    }

    /// Over the world as it is.
    pub fn over<'a>(&self, world: World<'a>) -> Recorded<'a> {
        Recorded { world, answers: self.0.clone() }
    }

    /// All answers given.
    pub fn answers(&self) -> Answers {
        self.0.lock().clone()
    }
}

/// See [`Recorder`].
pub(crate) struct Recorded<'a> {
    world: World<'a>,
    answers: Arc<Mutex<Answers>>,
}

impl Surroundings for Recorded<'_> {
    fn topic(&self, name: &str) -> Result<Option<TopicShape>> {
        let known = self.answers.lock().topics.get(name).copied();
        let answer = match known {
            Some(answer) => answer,
            None => {
                let answer = self.world.topic(name)?.map(|t| (t.partitions, t.replicas));
                *self.answers.lock().topics.entry(name.to_string()).or_insert(answer)
            }
        };
        Ok(answer.map(|(partitions, replicas)| TopicShape { partitions, replicas }))
    }

    fn registered_columns(
        &self,
        topic: &str,
        part: formats::Part,
        format: &formats::FormatSpec,
    ) -> Result<Option<Schema>> {
        let format_text = serde_json::to_string(format).unwrap_or_default();
        let question = format!("{topic} {part:?} {format_text}");
        if let Some(answer) = self.answers.lock().schemas.get(&question) {
            return Ok(answer.clone());
        }
        let answer = self.world.registered_columns(topic, part, format)?;
        self.answers.lock().schemas.insert(question, answer.clone());
        Ok(answer)
    }

    fn property(&self, name: &str) -> Option<String> {
        let ask = || self.world.property(name);
        self.answers.lock().properties.entry(name.to_string()).or_insert_with(ask).clone()
    }

    fn now_ms(&self) -> i64 {
        *self.answers.lock().now_ms.get_or_insert_with(|| self.world.now_ms())
    }
}
