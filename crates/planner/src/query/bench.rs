//! An engine that only plans: what tests run statements on.

use std::{collections::BTreeMap, sync::Arc};

use catalog::{Catalog, Source};
use formats::{FormatContext, FormatSpec, MemoryRegistry, Part, SchemaRegistry};
use syntax::ast::{CreateSource, Literal, Statement, StatementKind};
use types::{Result, Schema};

use crate::{
    ddl,
    plan::{Planned, Surroundings, TopicShape},
};

/// An engine that only plans.
#[derive(Default)]
pub(super) struct Bench {
    pub catalog: Catalog,
    pub topics: BTreeMap<String, TopicShape>,
    pub properties: BTreeMap<String, String>,
    pub registry: Arc<MemoryRegistry>,
}

/// Partitions of topics that nobody described.
const PARTITIONS: u32 = 4;

impl Surroundings for Bench {
    fn topic(&self, name: &str) -> Result<Option<TopicShape>> {
        Ok(self.topics.get(name).cloned())
    }

    fn registered_columns(&self, topic: &str, part: Part, spec: &FormatSpec) -> Result<Option<Schema>> {
        let registry: Arc<dyn SchemaRegistry> = Arc::clone(&self.registry) as _;
        let context = FormatContext { registry: Some(registry), topic: topic.to_owned(), ..Default::default() };
        if spec.schema_id.is_none() && self.registry.latest(&context.subject(part))?.is_none() {
            return Ok(None);
        }
        let columns = formats::format(&spec.name)?.infer(part, spec, &context)?;
        Ok(Some(Schema::new(columns)))
    }

    fn property(&self, name: &str) -> Option<String> {
        self.properties.get(name).cloned()
    }

    fn now_ms(&self) -> i64 {
        0
    }
}

impl Bench {
    /// Plan a statement and let it take effect.
    pub fn run(&mut self, statement: &Statement) -> Result<Option<Planned>> {
        let text = &statement.text;
        let planned = match &statement.kind {
            StatementKind::CreateSource(create) => {
                self.make_topic(create);
                ddl::plan_create_source(create, &self.catalog, self, text)?
            }
            StatementKind::CreateAsSelect(create) => super::plan_create_as_select(create, text, &self.catalog, self)?,
            StatementKind::InsertSelect { target, properties, query } => {
                super::plan_insert_select(target, properties, query, text, &self.catalog, self)?
            }
            StatementKind::Query(query) if query.emit.is_some() => {
                Planned::Push(super::plan_push(query, &self.catalog, self)?)
            }
            StatementKind::CreateType { name, ty, .. } => {
                let ty = ddl::resolve_type(ty, Some(&self.catalog.types))?;
                self.catalog.types.insert(name.value.clone(), ty);
                return Ok(None);
            }
            StatementKind::CreateView { name, query, .. } => {
                let view =
                    catalog::View { name: name.value.clone(), query: query.text.clone(), statement: text.clone() };
                self.catalog.views.insert(name.value.clone(), Arc::new(view));
                return Ok(None);
            }
            StatementKind::Drop { object, if_exists, name, delete_topic } => {
                ddl::plan_drop(*object, *if_exists, name, *delete_topic, &self.catalog)?;
                self.catalog.sources.shift_remove(&name.value);
                return Ok(None);
            }
            StatementKind::AlterSource { object, name, add } => {
                ddl::plan_alter(*object, name, add, &self.catalog, text)?
            }
            StatementKind::Set { name, value } => {
                self.properties.insert(name.clone(), value.clone());
                return Ok(None);
            }
            _ => return Ok(None),
        };
        self.apply(&planned);
        Ok(Some(planned))
    }

    /// Topics that nobody described are there all the same, as wide as the statement says.
    fn make_topic(&mut self, create: &CreateSource) {
        let property = |name: &str| match create.properties.entries.get(name).map(|p| &p.value) {
            Some(Literal::String(text) | Literal::Integer(text)) => Some(text.clone()),
            _ => None,
        };
        let partitions = property("PARTITIONS").and_then(|n| n.parse().ok()).unwrap_or(PARTITIONS);
        if let Some(topic) = property("KAFKA_TOPIC") {
            self.topics.entry(topic).or_insert(TopicShape { partitions, replicas: 1 });
        }
    }

    fn apply(&mut self, planned: &Planned) {
        match planned {
            Planned::CreateSource { source, .. } => self.add(source.clone()),
            Planned::CreateAsSelect { source, query, plan, replaces } => {
                let partitions = plan.sink.as_ref().and_then(|s| s.partitions).unwrap_or(PARTITIONS);
                self.topics.entry(source.topic.clone()).or_insert(TopicShape { partitions, replicas: 1 });
                self.add(source.clone());
                if let Some(old) = replaces {
                    self.catalog.queries.shift_remove(old);
                }
                self.catalog.queries.insert(query.id.clone(), Arc::new(query.clone()));
                self.catalog.next_query += 1;
            }
            Planned::InsertSelect { query, .. } => {
                self.catalog.queries.insert(query.id.clone(), Arc::new(query.clone()));
                self.catalog.next_query += 1;
            }
            _ => {}
        }
    }

    fn add(&mut self, source: Source) {
        self.catalog.sources.insert(source.name.clone(), Arc::new(source));
    }
}
