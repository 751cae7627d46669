//! A small world for tests: a catalog that statements change, topics, properties.

use std::{collections::BTreeMap, sync::Arc};

use catalog::Catalog;
use formats::{FormatSpec, Part};
use syntax::ast::{Statement, StatementKind};
use types::{Column, Result, Schema};

use crate::{
    ddl,
    insert::{plan_delete, plan_insert_values},
    plan::{InsertRows, Planned, Surroundings, TopicShape},
};

/// A catalog and what is around it.
#[derive(Default)]
pub(crate) struct World {
    pub catalog: Catalog,
    pub topics: BTreeMap<String, u32>,
    pub properties: BTreeMap<String, String>,
    /// Columns in the registry by topic and side.
    pub registered: BTreeMap<(String, &'static str), Vec<Column>>,
}

impl Surroundings for World {
    fn topic(&self, name: &str) -> Result<Option<TopicShape>> {
        Ok(self.topics.get(name).map(|partitions| TopicShape { partitions: *partitions, replicas: 1 }))
    }

    fn registered_columns(&self, topic: &str, part: Part, _: &FormatSpec) -> Result<Option<Schema>> {
        let side = if part == Part::Key { "key" } else { "value" };
        Ok(self.registered.get(&(topic.to_owned(), side)).map(|columns| Schema::new(columns.clone())))
    }

    fn property(&self, name: &str) -> Option<String> {
        self.properties.get(name).cloned()
    }

    fn now_ms(&self) -> i64 {
        0
    }
}

impl World {
    /// A world with topic `t` of four partitions, after `statements`.
    pub fn after(statements: &str) -> World {
        let mut world = World { topics: BTreeMap::from([("t".to_owned(), 4)]), ..World::default() };
        for statement in syntax::parse(statements, None).expect("statements") {
            world.run(&statement).unwrap_or_else(|e| panic!("{}", e.render(&statement.text)));
        }
        world
    }

    /// Plan a statement and let it take effect.
    pub fn run(&mut self, statement: &Statement) -> Result<Planned> {
        let text = &statement.text;
        let planned = match &statement.kind {
            StatementKind::CreateSource(create) => ddl::plan_create_source(create, &self.catalog, self, text)?,
            StatementKind::AlterSource { object, name, add } => {
                ddl::plan_alter(*object, name, add, &self.catalog, text)?
            }
            StatementKind::InsertValues { .. } | StatementKind::Delete { .. } => {
                Planned::InsertValues(self.rows(statement)?)
            }
            StatementKind::Drop { object, if_exists, name, delete_topic } => {
                let planned = ddl::plan_drop(*object, *if_exists, name, *delete_topic, &self.catalog)?;
                if let ddl::Drop::Source { name, .. } = &planned {
                    self.catalog.sources.shift_remove(name);
                }
                return Ok(Planned::Nothing(format!("{planned:?}")));
            }
            StatementKind::CreateType { if_not_exists, name, ty } => {
                if let Some((name, ty)) = ddl::plan_create_type(name, ty, *if_not_exists, &self.catalog.types)? {
                    self.catalog.types.insert(name, ty);
                }
                return Ok(Planned::Nothing("type".into()));
            }
            StatementKind::DropType { if_exists, name } => {
                if let Some(name) = ddl::plan_drop_type(name, *if_exists, &self.catalog.types)? {
                    self.catalog.types.shift_remove(&name);
                }
                return Ok(Planned::Nothing("type".into()));
            }
            other => panic!("{other:?} is not for this world"),
        };
        if let Planned::CreateSource { source, topic, .. } = &planned {
            if let Some((partitions, ..)) = topic {
                self.topics.insert(source.topic.clone(), *partitions);
            }
            self.catalog.sources.insert(source.name.clone(), Arc::new(source.clone()));
        }
        Ok(planned)
    }

    fn rows(&self, statement: &Statement) -> Result<InsertRows> {
        match &statement.kind {
            StatementKind::InsertValues { target, columns, rows, tombstones } => {
                plan_insert_values(target, columns, rows, *tombstones, &self.catalog)
            }
            StatementKind::Delete { target, condition } => plan_delete(target, condition.as_ref(), &self.catalog),
            other => panic!("{other:?} writes no rows"),
        }
    }

    /// Plan the last of `statements`, after the others; its error as rendered.
    pub fn try_run(&mut self, sql: &str) -> Result<Planned, String> {
        let mut last = Err("no statement".to_owned());
        for statement in syntax::parse(sql, None).map_err(|e| e.render(sql))? {
            last = self.run(&statement).map_err(|e| e.render(sql));
        }
        last
    }

    /// As if the table `name` were the result of a query.
    pub fn materialize(&mut self, name: &str) {
        let source = self.catalog.sources.get_mut(name).expect("a source");
        Arc::make_mut(source).created_by = Some(format!("CTAS_{name}_1"));
    }
}
