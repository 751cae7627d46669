//! Statements that change the catalog.
//!
//! The same code runs a statement the first time, when topics are created and queries started, and again when the
//! statement log is read at start, when only the catalog comes of it.

use std::sync::Arc;

use catalog::View;
use planner::{
    ddl::{self, Drop},
    plan::{Planned, QueryPlan},
    query::{plan_create_as_select, plan_insert_select},
};
use recordlog::TopicConfig;
use runtime::{changelog_topic, log_error};
use syntax::ast::{self, ObjectKind, QueryTarget, StatementKind};
use types::{Error, Result};

use crate::{
    Session,
    api::Outcome,
    rows::{done, done_with},
    schemas,
    session::Plans,
    statements::{LoggedStatement, append},
};

/// Whether a statement is carried out, or was before.
pub(crate) enum Applied<'a> {
    /// It happens now.
    Now,
    /// It has happened; queries are to be started later.
    Again(&'a mut Plans),
}

impl Applied<'_> {
    fn now(&self) -> bool {
        matches!(self, Applied::Now)
    }
}

impl Session {
    pub(crate) async fn apply(&mut self, statement: &ast::Statement, mut how: Applied<'_>) -> Result<Outcome> {
        let catalog = self.engine.catalog();
        let text = statement.text.as_str();
        let outcome = match &statement.kind {
            StatementKind::CreateSource(create) => {
                let planned = ddl::plan_create_source(create, &catalog, &self.world(true), text)?;
                let tag = format!("CREATE {}", object_name(create.object));
                self.create_source(planned, tag, &mut how).await?
            }
            StatementKind::CreateAsSelect(create) => {
                let planned = plan_create_as_select(create, text, &catalog, &self.world(true))?;
                let tag = format!("CREATE {}", object_name(create.object));
                self.create_query(planned, tag, &mut how).await?
            }
            StatementKind::InsertSelect { target, properties, query } => {
                let planned = plan_insert_select(target, properties, query, text, &catalog, &self.world(true))?;
                self.create_query(planned, "INSERT QUERY".into(), &mut how).await?
            }
            StatementKind::AlterSource { object, name, add } => {
                let planned = ddl::plan_alter(*object, name, add, &catalog, text)?;
                self.create_source(planned, format!("ALTER {}", object_name(*object)), &mut how).await?
            }
            StatementKind::Drop { object, if_exists, name, delete_topic } => {
                let drop = ddl::plan_drop(*object, *if_exists, name, *delete_topic, &catalog)?;
                self.drop(drop, format!("DROP {}", object_name(*object)), &mut how).await?
            }
            StatementKind::CreateType { if_not_exists, name, ty } => {
                match ddl::plan_create_type(name, ty, *if_not_exists, &catalog.types)? {
                    Some((name, ty)) => {
                        self.engine.change_catalog(|c| {
                            c.types.insert(name, ty);
                        });
                        done("CREATE TYPE")
                    }
                    None => return Ok(done_with("CREATE TYPE", format!("type {} exists already", name.value))),
                }
            }
            StatementKind::DropType { if_exists, name } => {
                match ddl::plan_drop_type(name, *if_exists, &catalog.types)? {
                    Some(name) => {
                        self.engine.change_catalog(|c| {
                            c.types.shift_remove(&name);
                        });
                        done("DROP TYPE")
                    }
                    None => return Ok(done_with("DROP TYPE", format!("type {} does not exist", name.value))),
                }
            }
            StatementKind::CreateView { or_replace, if_not_exists, name, query } => {
                let kind = catalog::SourceKind::Stream;
                let taken = catalog.views.contains_key(&name.value);
                if taken && *if_not_exists {
                    return Ok(done_with("CREATE VIEW", format!("view {} exists already", name.value)));
                }
                if !(taken && *or_replace) {
                    ddl::check_free(&name.value, kind, false, false, &catalog, &self.world(true))
                        .map_err(|e| e.at(name.span))?;
                }
                let view = View { name: name.value.clone(), query: query.text.clone(), statement: text.into() };
                self.engine.change_catalog(|c| {
                    c.views.insert(view.name.clone(), Arc::new(view));
                });
                done("CREATE VIEW")
            }
            StatementKind::Terminate(target) => self.terminate(target, &mut how).await?,
            StatementKind::Pause(target) => self.pause(target, true, &mut how)?,
            StatementKind::Resume(target) => self.pause(target, false, &mut how)?,
            StatementKind::CreateConnector { name, if_not_exists, .. } => {
                if catalog.connectors.contains_key(&name.value) {
                    if *if_not_exists {
                        return Ok(done_with("CREATE CONNECTOR", format!("connector {} exists already", name.value)));
                    }
                    return Err(Error::exists(format!("connector {} exists already", name.value)).at(name.span));
                }
                self.engine.change_catalog(|c| {
                    c.connectors.insert(name.value.clone(), text.to_string());
                });
                done_with("CREATE CONNECTOR", "the connector is defined; connectors do not run in this version")
            }
            StatementKind::DropConnector { if_exists, name } => {
                if !catalog.connectors.contains_key(&name.value) {
                    if *if_exists {
                        return Ok(done_with("DROP CONNECTOR", format!("connector {} does not exist", name.value)));
                    }
                    return Err(
                        Error::undefined_source(format!("connector {} does not exist", name.value)).at(name.span)
                    );
                }
                self.engine.change_catalog(|c| {
                    c.connectors.shift_remove(&name.value);
                });
                done("DROP CONNECTOR")
            }
            other => return Err(refused(other)),
        };
        if let (Applied::Now, Outcome::Done { .. }) = (&how, &outcome)
            && !Arc::ptr_eq(&catalog, &self.engine.catalog())
        {
            let logged = LoggedStatement { text: text.to_string(), properties: self.own_properties() };
            append(&*self.engine.log, &logged, self.engine.host.clock.now_ms()).await?;
        }
        Ok(outcome)
    }

    async fn create_source(&mut self, planned: Planned, tag: String, how: &mut Applied<'_>) -> Result<Outcome> {
        let Planned::CreateSource { source, replaces: _, topic, materialize } = planned else {
            return nothing(planned, tag);
        };
        if how.now()
            && let Some((partitions, replicas, settings)) = topic
            && self.engine.log.topic(&source.topic).is_none()
        {
            let config = TopicConfig { partitions, replicas, settings };
            self.engine.log.create_topic(&source.topic, config).await.map_err(log_error)?;
        }
        if how.now() {
            schemas::register(&self.engine.registry(), &source, true)?;
        }
        let name = source.name.clone();
        self.engine.change_catalog(|c| {
            c.sources.insert(source.name.clone(), Arc::new(source));
        });
        if let Some(plan) = materialize
            && let Err(e) = self.run(&name, plan, None, how).await
        {
            self.engine.change_catalog(|c| {
                c.sources.shift_remove(&name);
            });
            return Err(e);
        }
        Ok(done(tag))
    }

    async fn create_query(&mut self, planned: Planned, tag: String, how: &mut Applied<'_>) -> Result<Outcome> {
        let (source, query, plan, replaces) = match planned {
            Planned::CreateAsSelect { source, query, plan, replaces } => (Some(source), query, plan, replaces),
            Planned::InsertSelect { query, plan } => (None, query, plan, None),
            other => return nothing(other, tag),
        };
        if how.now() {
            if let Some(source) = &source {
                schemas::register(&self.engine.registry(), source, false)?;
            }
            self.create_sink_topic(&plan).await?;
        }
        if let Some(old) = &replaces {
            self.stop(old, how, query.id != *old).await;
        }
        let before = self.engine.catalog();
        let (id, sink) = (query.id.clone(), query.writes.clone());
        self.engine.change_catalog(|c| {
            if let Some(old) = &replaces {
                c.queries.shift_remove(old);
            } else {
                c.next_query += 1;
            }
            c.queries.insert(query.id.clone(), Arc::new(query));
            if let Some(source) = source {
                c.sources.insert(source.name.clone(), Arc::new(source));
            }
        });
        if let Err(e) = self.run(&id, plan, Some(sink), how).await {
            self.engine.change_catalog(|c| *c = (*before).clone());
            return Err(e);
        }
        Ok(done_with(tag, format!("query {id} is running")))
    }

    async fn run(&mut self, id: &str, plan: QueryPlan, sink: Option<String>, how: &mut Applied<'_>) -> Result<()> {
        match how {
            Applied::Now => {
                let properties = self.properties.clone();
                self.engine.start(id, plan, sink, false, &properties).await
            }
            Applied::Again(plans) => {
                plans.insert(id.to_string(), (plan, sink, self.properties.clone()));
                Ok(())
            }
        }
    }

    async fn create_sink_topic(&self, plan: &QueryPlan) -> Result<()> {
        let Some(sink) = &plan.sink else { return Ok(()) };
        let log = &self.engine.log;
        if log.topic(&sink.source.topic).is_some() {
            return Ok(());
        }
        let catalog = self.engine.catalog();
        let first = plan.reads.first().and_then(|name| catalog.source(name)).and_then(|s| log.topic(&s.topic));
        let partitions = first.as_ref().map_or(self.engine.config.default_partitions, |t| t.config.partitions);
        let replicas = first.as_ref().map_or(1, |t| t.config.replicas);
        let mut settings = sink.topic_settings.clone();
        if sink.source.kind == catalog::SourceKind::Table && sink.source.windowed.is_none() {
            settings.entry("cleanup.policy".into()).or_insert_with(|| "compact".into());
        }
        let config = TopicConfig {
            partitions: sink.partitions.unwrap_or(partitions),
            replicas: sink.replicas.unwrap_or(replicas),
            settings,
        };
        log.create_topic(&sink.source.topic, config).await.map_err(log_error)?;
        Ok(())
    }

    /// Stop a query; `forget`: its state and progress too.
    async fn stop(&mut self, id: &str, how: &mut Applied<'_>, forget: bool) {
        match how {
            Applied::Again(plans) => {
                plans.shift_remove(id);
            }
            Applied::Now => {
                let query = self.engine.queries.lock().shift_remove(id);
                if let Some(query) = query {
                    query.stop().await;
                }
                if forget {
                    let log = &self.engine.log;
                    if let Err(error) = log.delete_topic(&changelog_topic(id)).await
                        && !matches!(error, recordlog::LogError::UnknownTopic(_))
                    {
                        tracing::warn!(query = id, %error, "its changelog could not be deleted");
                    }
                    if let Err(error) = runtime::forget_progress(&**log, id, self.engine.host.clock.now_ms()).await {
                        tracing::warn!(query = id, %error, "its progress could not be deleted");
                    }
                }
            }
        }
    }

    async fn drop(&mut self, drop: Drop, tag: String, how: &mut Applied<'_>) -> Result<Outcome> {
        match drop {
            Drop::Nothing(why) => Ok(done_with(tag, why)),
            Drop::View(name) => {
                self.engine.change_catalog(|c| {
                    c.views.shift_remove(&name);
                });
                Ok(done(tag))
            }
            Drop::Source { name, terminates, delete_topic } => {
                if let Some(id) = &terminates {
                    self.stop(id, how, true).await;
                }
                // A table that is only kept runs under its own name.
                self.stop(&name, how, true).await;
                self.engine.change_catalog(|c| {
                    c.sources.shift_remove(&name);
                    if let Some(id) = &terminates {
                        c.queries.shift_remove(id);
                    }
                });
                if how.now()
                    && let Some(topic) = delete_topic
                    && let Err(e) = self.engine.log.delete_topic(&topic).await
                    && !matches!(e, recordlog::LogError::UnknownTopic(_))
                {
                    return Err(log_error(e));
                }
                Ok(done(tag))
            }
        }
    }

    fn targets(&self, target: &QueryTarget) -> Result<Vec<String>> {
        let catalog = self.engine.catalog();
        match target {
            QueryTarget::All => Ok(catalog.queries.keys().cloned().collect()),
            QueryTarget::Id(id) => {
                if catalog.queries.contains_key(&id.value) {
                    return Ok(vec![id.value.clone()]);
                }
                let message = format!("query {} does not exist", id.value);
                let error = Error::undefined_source(message).at(id.span);
                Err(match types::did_you_mean(&id.value, catalog.queries.keys().map(String::as_str)) {
                    Some(name) => error.with_hint(format!("did you mean {name}? SHOW QUERIES lists them")),
                    None => error.with_hint("SHOW QUERIES lists them"),
                })
            }
        }
    }

    async fn terminate(&mut self, target: &QueryTarget, how: &mut Applied<'_>) -> Result<Outcome> {
        for id in self.targets(target)? {
            self.stop(&id, how, true).await;
            self.engine.change_catalog(|c| {
                c.queries.shift_remove(&id);
            });
        }
        Ok(done("TERMINATE"))
    }

    fn pause(&mut self, target: &QueryTarget, paused: bool, how: &mut Applied<'_>) -> Result<Outcome> {
        for id in self.targets(target)? {
            if let (true, Some(query)) = (how.now(), self.engine.query(&id)) {
                query.pause(paused);
            }
            self.engine.change_catalog(|c| {
                if let Some(query) = c.queries.get_mut(&id) {
                    Arc::make_mut(query).paused = paused;
                }
            });
        }
        Ok(done(if paused { "PAUSE" } else { "RESUME" }))
    }
}

fn nothing(planned: Planned, tag: String) -> Result<Outcome> {
    match planned {
        Planned::Nothing(why) => Ok(done_with(tag, why)),
        _ => Err(Error::internal("a statement was planned as another")),
    }
}

fn object_name(object: ObjectKind) -> &'static str {
    match object {
        ObjectKind::Stream => "STREAM",
        ObjectKind::Table => "TABLE",
        ObjectKind::View => "VIEW",
    }
}

/// Statements that mean something only elsewhere.
fn refused(kind: &StatementKind) -> Error {
    match kind {
        StatementKind::RunScript { .. } => {
            Error::unsupported("RUN SCRIPT is a command of the shell: millstream sql -f FILE")
        }
        StatementKind::AssertValues { .. } | StatementKind::AssertTombstone { .. } | StatementKind::AssertSource(_) => {
            Error::unsupported(
                "ASSERT VALUES, NULL VALUES, STREAM and TABLE are statements of tests: millstream test FILE",
            )
        }
        StatementKind::AssertSchema { .. } => Error::unsupported("there is no schema registry in this version"),
        StatementKind::DescribeConnector { .. } => Error::unsupported("connectors do not run in this version"),
        _ => Error::unsupported("this statement means something only over the Postgres wire"),
    }
}
