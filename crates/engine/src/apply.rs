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
use recordlog::{Append, TopicConfig};
use runtime::log_error;
use syntax::ast::{self, ObjectKind, QueryTarget, StatementKind};
use types::{Error, Result};

use crate::{
    Session,
    api::Outcome,
    member,
    rows::{done, done_with},
    running::{Opener, RunningQuery},
    schemas,
    session::{PlannedQuery, Plans},
    surroundings::Recorder,
};

/// Whether a statement is carried out, or was before.
pub(crate) enum Applied<'a> {
    /// It happens now.
    Now,
    /// It is made ready for: topics are created, and what comes of it is seen in the session's draft of the catalog.
    /// Queries are started and ended by every process of the service when the statement stands in the statement log.
    Ahead,
    /// It has happened; queries are to be started later.
    Again(&'a mut Plans),
}

impl Applied<'_> {
    fn now(&self) -> bool {
        matches!(self, Applied::Now | Applied::Ahead)
    }
}

/// What is left to do when the statement stands in the statement log. Were it done before, a crash in between would
/// leave outputs of a query, or the loss of a state, that no statement accounts for.
pub(crate) enum After {
    /// Let a query run that was opened.
    Run(Arc<RunningQuery>),
    /// End a query; its state and progress go.
    End(String),
    /// A query that was stopped before is not to come back: its state and progress go.
    Forget(String),
    DeleteTopic(String),
    Pause {
        id: String,
        paused: bool,
    },
}

/// What a statement did to the engine before it was written down, and what comes after.
#[derive(Default)]
pub(crate) struct Work {
    pub after: Vec<After>,
    /// Queries that were stopped for others to take their place; they go on when the statement fails.
    pub replaced: Vec<Arc<RunningQuery>>,
    /// Queries that were opened, or made ready for.
    pub opened: Vec<String>,
    /// What is to be written together with the statement.
    pub appends: Vec<Append>,
}

impl Session {
    /// Carry out a statement, all but what [`After`] says. When it fails the catalog is as it was.
    pub(crate) async fn apply(
        &mut self,
        statement: &ast::Statement,
        mut how: Applied<'_>,
        recorder: &Recorder,
        work: &mut Work,
    ) -> Result<Outcome> {
        // Who holds a catalog has it copied with the next change, which at a start would be once for each statement of
        // the log. There a failure ends the engine, and nobody sees its catalog.
        let before = how.now().then(|| self.catalog());
        let outcome = self.carry_out(statement, &mut how, recorder, work).await;
        if let Some(before) = before.filter(|_| outcome.is_err()) {
            self.change_catalog(|c| *c = (*before).clone());
        }
        outcome
    }

    async fn carry_out(
        &mut self,
        statement: &ast::Statement,
        how: &mut Applied<'_>,
        recorder: &Recorder,
        work: &mut Work,
    ) -> Result<Outcome> {
        let catalog = self.catalog();
        let text = statement.text.as_str();
        let outcome = match &statement.kind {
            StatementKind::CreateSource(create) => {
                let planned = ddl::plan_create_source(create, &catalog, &recorder.over(self.world(true)), text)?;
                drop(catalog);
                let tag = format!("CREATE {}", object_name(create.object));
                self.create_source(planned, tag, how, work).await?
            }
            StatementKind::CreateAsSelect(create) => {
                let planned = plan_create_as_select(create, text, &catalog, &recorder.over(self.world(true)))?;
                drop(catalog);
                let tag = format!("CREATE {}", object_name(create.object));
                self.create_query(planned, tag, how, work).await?
            }
            StatementKind::InsertSelect { target, properties, query } => {
                let planned =
                    plan_insert_select(target, properties, query, text, &catalog, &recorder.over(self.world(true)))?;
                drop(catalog);
                self.create_query(planned, "INSERT QUERY".into(), how, work).await?
            }
            StatementKind::AlterSource { object, name, add } => {
                let planned = ddl::plan_alter(*object, name, add, &catalog, text)?;
                drop(catalog);
                self.create_source(planned, format!("ALTER {}", object_name(*object)), how, work).await?
            }
            StatementKind::Drop { object, if_exists, name, delete_topic } => {
                let what = ddl::plan_drop(*object, *if_exists, name, *delete_topic, &catalog)?;
                drop(catalog);
                self.drop(what, format!("DROP {}", object_name(*object)), how, work)
            }
            StatementKind::CreateType { if_not_exists, name, ty } => {
                match ddl::plan_create_type(name, ty, *if_not_exists, &catalog.types)? {
                    Some((name, ty)) => {
                        self.change_catalog(|c| {
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
                        self.change_catalog(|c| {
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
                    ddl::check_free(&name.value, kind, false, false, &catalog, &recorder.over(self.world(true)))
                        .map_err(|e| e.at(name.span))?;
                }
                let view = View { name: name.value.clone(), query: query.text.clone(), statement: text.into() };
                self.change_catalog(|c| {
                    c.views.insert(view.name.clone(), Arc::new(view));
                });
                done("CREATE VIEW")
            }
            StatementKind::AlterSystem { name, value } => {
                self.change_catalog(|c| {
                    Arc::make_mut(&mut c.properties).insert(name.clone(), value.clone());
                });
                done_with("ALTER SYSTEM", "queries that run already keep what they began with")
            }
            StatementKind::Terminate(target) => self.terminate(target, how, work)?,
            StatementKind::Pause(target) => self.pause(target, true, work)?,
            StatementKind::Resume(target) => self.pause(target, false, work)?,
            StatementKind::CreateConnector { name, if_not_exists, .. } => {
                if catalog.connectors.contains_key(&name.value) {
                    if *if_not_exists {
                        return Ok(done_with("CREATE CONNECTOR", format!("connector {} exists already", name.value)));
                    }
                    return Err(Error::exists(format!("connector {} exists already", name.value)).at(name.span));
                }
                self.change_catalog(|c| {
                    c.connectors.insert(name.value.clone(), text.to_string());
                });
                done_with("CREATE CONNECTOR", "the connector is stored; connectors do not run")
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
                self.change_catalog(|c| {
                    c.connectors.shift_remove(&name.value);
                });
                done("DROP CONNECTOR")
            }
            other => return Err(refused(other)),
        };
        Ok(outcome)
    }

    async fn create_source(
        &mut self,
        planned: Planned,
        tag: String,
        how: &mut Applied<'_>,
        work: &mut Work,
    ) -> Result<Outcome> {
        let Planned::CreateSource { source, replaces: _, topic, materialize } = planned else {
            return nothing(planned, tag);
        };
        if how.now()
            && let Some((partitions, replicas, settings)) = topic
            && self.engine.log.topic(&source.topic).map_err(log_error)?.is_none()
        {
            let config = TopicConfig { partitions, replicas, settings };
            self.engine.log.create_topic(&source.topic, config).await.map_err(log_error)?;
        }
        if how.now() {
            schemas::register(&self.engine.registry(), &source, true)?;
        }
        let name = source.name.clone();
        self.change_catalog(|c| {
            c.sources.insert(source.name.clone(), Arc::new(source));
        });
        if let Some(plan) = materialize {
            // A source table that is made anew is kept anew, perhaps with other columns.
            self.stop(&name, how, work).await;
            self.open(&name, plan, None, Leaves::Nothing, how, work).await?;
        }
        Ok(done(tag))
    }

    async fn create_query(
        &mut self,
        planned: Planned,
        tag: String,
        how: &mut Applied<'_>,
        work: &mut Work,
    ) -> Result<Outcome> {
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
        let mut leaves = Leaves::Nothing;
        if let Some(old) = &replaces {
            self.stop(old, how, work).await;
            match query.id == *old {
                true => leaves = Leaves::State,
                false => work.after.push(After::Forget(old.clone())),
            }
        }
        let (id, sink) = (query.id.clone(), query.writes.clone());
        self.change_catalog(|c| {
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
        self.open(&id, plan, Some(sink), leaves, how, work).await?;
        Ok(done_with(tag, format!("query {id} is running")))
    }

    /// Open a query; it runs when the statement is written down.
    async fn open(
        &mut self,
        id: &str,
        plan: QueryPlan,
        sink: Option<String>,
        leaves: Leaves,
        how: &mut Applied<'_>,
        work: &mut Work,
    ) -> Result<()> {
        match how {
            Applied::Ahead => {
                let id = member::runtime_id(id, sink.as_ref(), self.number);
                if leaves == Leaves::Nothing {
                    // Nothing runs under this id: what is there is left of a statement that failed.
                    self.engine.forget(&id).await?;
                    work.opened.push(id.clone());
                }
                let opener = self.engine.opener(&id, plan.into(), sink, &self.properties);
                let Opener { plan, options, log, .. } = &opener;
                runtime::create_topics(plan, options, log).await?;
                let now_ms = self.engine.host.clock.now_ms();
                work.appends.extend(runtime::beginnings(plan, options, log, now_ms)?);
                Ok(())
            }
            Applied::Now => {
                if leaves == Leaves::Nothing {
                    self.engine.forget(id).await?;
                }
                let opener = self.engine.opener(id, plan.into(), sink, &self.properties);
                let query = RunningQuery::open(opener, false).await?;
                self.engine.queries.lock().insert(id.to_string(), query.clone());
                work.opened.push(id.to_string());
                work.after.push(After::Run(query));
                Ok(())
            }
            Applied::Again(plans) => {
                let (properties, number) = (self.properties.clone(), self.number);
                plans.insert(id.to_string(), PlannedQuery { plan: plan.into(), sink, properties, number });
                Ok(())
            }
        }
    }

    async fn create_sink_topic(&self, plan: &QueryPlan) -> Result<()> {
        let Some(sink) = &plan.sink else { return Ok(()) };
        let log = &self.engine.log;
        if log.topic(&sink.source.topic).map_err(log_error)?.is_some() {
            return Ok(());
        }
        let catalog = self.catalog();
        let first = plan.reads.first().and_then(|name| catalog.source(name));
        let first = first.map(|source| log.topic(&source.topic)).transpose().map_err(log_error)?.flatten();
        let partitions = first.as_ref().map_or(self.engine.config.default_partitions, |t| t.config.partitions);
        let replicas = first.as_ref().map_or(0, |t| t.config.replicas);
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

    /// Stop a query for another to take its place.
    async fn stop(&mut self, id: &str, how: &mut Applied<'_>, work: &mut Work) {
        match how {
            Applied::Again(plans) => {
                plans.shift_remove(id);
            }
            Applied::Ahead => {}
            Applied::Now => {
                let query = self.engine.queries.lock().shift_remove(id);
                if let Some(query) = query {
                    query.stop().await;
                    work.replaced.push(query);
                }
            }
        }
    }

    /// End a query once that is written down.
    fn end(&mut self, id: &str, how: &mut Applied<'_>, work: &mut Work) {
        match how {
            Applied::Again(plans) => {
                plans.shift_remove(id);
            }
            Applied::Now | Applied::Ahead => work.after.push(After::End(id.to_string())),
        }
    }

    fn drop(&mut self, drop: Drop, tag: String, how: &mut Applied<'_>, work: &mut Work) -> Outcome {
        match drop {
            Drop::Nothing(why) => return done_with(tag, why),
            Drop::View(name) => {
                self.change_catalog(|c| {
                    c.views.shift_remove(&name);
                });
            }
            Drop::Source { name, terminates, delete_topic } => {
                if let Some(id) = &terminates {
                    self.end(id, how, work);
                }
                // A table that is only kept runs under its own name.
                if self.engine.query(&name).is_some() || !how.now() {
                    self.end(&name, how, work);
                }
                self.change_catalog(|c| {
                    c.sources.shift_remove(&name);
                    if let Some(id) = &terminates {
                        c.queries.shift_remove(id);
                    }
                });
                work.after.extend(delete_topic.map(After::DeleteTopic));
            }
        }
        done(tag)
    }

    fn targets(&self, target: &QueryTarget) -> Result<Vec<String>> {
        let catalog = self.catalog();
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

    fn terminate(&mut self, target: &QueryTarget, how: &mut Applied<'_>, work: &mut Work) -> Result<Outcome> {
        for id in self.targets(target)? {
            self.end(&id, how, work);
            self.change_catalog(|c| {
                c.queries.shift_remove(&id);
            });
        }
        Ok(done("TERMINATE"))
    }

    fn pause(&mut self, target: &QueryTarget, paused: bool, work: &mut Work) -> Result<Outcome> {
        for id in self.targets(target)? {
            self.change_catalog(|c| {
                if let Some(query) = c.queries.get_mut(&id) {
                    Arc::make_mut(query).paused = paused;
                }
            });
            work.after.push(After::Pause { id, paused });
        }
        Ok(done(if paused { "PAUSE" } else { "RESUME" }))
    }
}

/// What of a query of the same name stays for the one that takes its place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Leaves {
    State,
    Nothing,
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
        _ => Error::unsupported("this statement means something only over the Postgres wire"),
    }
}
