//! An engine for one case: fresh, in memory, driven by hand.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use catalog::Source;
use engine::{Cut, Engine, EngineConfig, Outcome, Session};
use formats::SchemaRegistry;
use futures::StreamExt;
use host::{Clock, Host, SystemClock, VirtualClock};
use recordlog::embedded::EmbeddedLog;
use schemaregistry::Level;
use syntax::ast::{Literal, ObjectKind, Statement, StatementKind};
use types::{Error, Result};

use crate::{case::TopicSpec, record::Shape};

/// Partitions of topics that nobody describes.
pub const PARTITIONS: u32 = 4;

/// An engine, one session, and what is known of topics.
pub struct World {
    /// The engine.
    pub engine: Arc<Engine>,
    /// The session.
    pub session: Session,
    /// How epochs cut their input.
    pub cut: Cut,
    /// Sources by topic, as they were when they were last seen: what is dropped can still be read.
    sources: HashMap<String, Vec<Arc<Source>>>,
    topics: HashMap<String, TopicSpec>,
    /// The engine's clock: it stands still until the case lets time pass.
    clock: Arc<VirtualClock>,
    /// Partitions of topics that nobody describes.
    partitions: u32,
}

impl World {
    /// An engine with `properties`, whose topics have `partitions` partitions.
    ///
    /// # Errors
    /// The engine does not open.
    pub async fn open(properties: &[(String, String)], partitions: u32, cut: Cut) -> Result<World> {
        let config = EngineConfig {
            data_dir: None,
            threads: 1,
            properties: properties.iter().cloned().collect::<BTreeMap<_, _>>(),
            manual: true,
            default_partitions: partitions,
            ..EngineConfig::default()
        };
        let clock = Arc::new(VirtualClock::at(SystemClock::new().now_ms()));
        let host = Host::in_memory_at(Arc::clone(&clock));
        let log = EmbeddedLog::open_in_memory(&host).map_err(|e| Error::internal(e.to_string()))?;
        let engine = Engine::open_on(config, log.clone(), Some(log), host).await?;
        // Cases give a topic schemas that do not follow from each other.
        engine.subjects().set_level(None, Some(Level::None))?;
        let session = engine.session();
        let (sources, topics) = (HashMap::new(), HashMap::new());
        Ok(World { engine, session, cut, sources, topics, clock, partitions })
    }

    /// The schema registry of the engine.
    pub fn registry(&self) -> Option<Arc<dyn SchemaRegistry>> {
        Some(self.engine.registry())
    }

    /// Remember what a case says about a topic.
    pub fn describe(&mut self, topic: &TopicSpec) {
        self.topics.insert(topic.name.clone(), topic.clone());
    }

    /// Run the statements of a text; rows are read to the end and dropped.
    ///
    /// # Errors
    /// The first statement that fails.
    pub async fn run(&mut self, text: &str) -> Result<()> {
        for statement in self.session.parse(text)? {
            self.provide_topic(&statement).await?;
            let prepared = self.session.prepare(&statement).await?;
            match self.session.execute(&prepared, &[]).await? {
                Outcome::Done { .. } => {}
                Outcome::Rows(mut rows) => {
                    while let Some(batch) = rows.batches.next().await {
                        batch?;
                    }
                }
            }
            self.look();
        }
        Ok(())
    }

    /// Cases take for granted that the topic of a source is there, unless the statement says how to create it.
    async fn provide_topic(&self, statement: &Statement) -> Result<()> {
        let StatementKind::CreateSource(create) = &statement.kind else { return Ok(()) };
        let properties = &create.properties.entries;
        let Some(Literal::String(name)) = properties.get("KAFKA_TOPIC").map(|p| &p.value) else { return Ok(()) };
        let partitions = match properties.get("PARTITIONS").map(|p| &p.value) {
            None => self.partitions,
            // A topic of their own would be compacted and refuse the records without keys that cases write.
            Some(Literal::Integer(text)) if create.object == ObjectKind::Table => {
                text.parse().unwrap_or(self.partitions)
            }
            Some(_) => return Ok(()),
        };
        let created = crate::topics::create(&*self.engine.log(), name, partitions, 1).await;
        created.map_err(|e| Error::invalid(e.reason))
    }

    /// Run one query; its rows, and whether it shows changes.
    ///
    /// # Errors
    /// It cannot be run, or is no query.
    pub async fn query(&mut self, text: &str) -> Result<(engine::Rows, bool)> {
        let mut statements = self.session.parse(text)?;
        let (Some(statement), true) = (statements.pop(), statements.is_empty()) else {
            return Err(Error::invalid(format!("one query is expected: {text}")));
        };
        let push = matches!(&statement.kind, StatementKind::Query(query) if query.emit.is_some());
        let prepared = self.session.prepare(&statement).await?;
        match self.session.execute(&prepared, &[]).await? {
            Outcome::Rows(rows) => Ok((rows, push)),
            Outcome::Done { tag, .. } => Err(Error::invalid(format!("{tag} is no query"))),
        }
    }

    /// Let the queries read what is there.
    ///
    /// # Errors
    /// A query failed.
    pub async fn drive(&mut self) -> Result<()> {
        self.engine.drive(self.cut).await
    }

    /// Let `ms` pass.
    pub fn pass(&self, ms: u32) {
        self.clock.advance_ms(ms);
    }

    /// See the sources that there are.
    fn look(&mut self) {
        for source in self.engine.catalog().sources.values() {
            let known = self.sources.entry(source.topic.clone()).or_default();
            match known.iter_mut().find(|s| s.name == source.name) {
                Some(old) => *old = Arc::clone(source),
                None => known.push(Arc::clone(source)),
            }
        }
    }

    /// How records of a topic are written: by the first source over it.
    pub fn input_shape(&self, topic: &str) -> Shape {
        self.shape(topic, self.sources.get(topic).and_then(|sources| sources.first()))
    }

    /// How records of a topic are read: by the source that a query writes, else by the first.
    pub fn output_shape(&self, topic: &str) -> Shape {
        let sources = self.sources.get(topic).map_or(&[][..], Vec::as_slice);
        self.shape(topic, sources.iter().find(|s| s.created_by.is_some()).or(sources.first()))
    }

    fn shape(&self, topic: &str, source: Option<&Arc<Source>>) -> Shape {
        Shape::new(topic, source.cloned(), self.topics.get(topic), self.registry())
    }
}
