//! One user's connection: properties, variables, what it has written; from text to outcomes.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use catalog::Catalog;
use indexmap::IndexMap;
use parking_lot::RwLock;
use planner::{expr::Parameters, plan::QueryPlan, pull::plan_pull};
use recordlog::{Offset, TopicPartition};
use runtime::log_error;
use syntax::ast::{self, StatementKind};
use types::{Error, Result, SqlType};

use crate::{
    Engine,
    api::{Description, Outcome, OutputColumn, Parameter},
    apply::{After, Applied, Work},
    assert, connectors,
    deep::deep,
    describe, explain, general, insert, member, own_writes, print,
    pull::{self, Lookup},
    push,
    rows::{done, text_rows, warned},
    show,
    statements::{self, LoggedStatement},
    surroundings::{Recorder, World},
};

/// One user's connection: properties, variables, and what it has written.
pub struct Session {
    pub(crate) engine: Arc<Engine>,
    /// The server's properties, and over them those that it has set itself.
    pub(crate) properties: BTreeMap<String, String>,
    /// Set by itself.
    own: BTreeMap<String, String>,
    /// What ALTER SYSTEM has set, as far as it is in `properties`.
    system: Arc<BTreeMap<String, String>>,
    variables: RwLock<HashMap<String, String>>,
    /// One past the last offset that it wrote, by partition: its lookups wait for these.
    pub(crate) written: HashMap<TopicPartition, Offset>,
    /// The catalog that its statements change, where that is not the engine's yet.
    pub(crate) draft: Option<Arc<Catalog>>,
    /// The statement that is applied, counted from 1, where the engine is one of several processes.
    pub(crate) number: u64,
}

/// A statement planned as far as can be without its parameters.
pub struct Prepared {
    /// The statement.
    pub statement: ast::Statement,
    planned: RwLock<Option<PreparedPull>>,
    declared: Vec<Option<SqlType>>,
}

struct PreparedPull {
    /// What it was planned against; another one means planning again.
    catalog: Arc<Catalog>,
    lookup: Arc<Lookup>,
}

/// A query that a replay of statements leaves.
#[derive(Clone)]
pub(crate) struct PlannedQuery {
    pub plan: Arc<QueryPlan>,
    /// The source that it writes; none for a table that is only kept.
    pub sink: Option<String>,
    /// Of the session that made it.
    pub properties: BTreeMap<String, String>,
    /// See [`Session::number`].
    pub number: u64,
}

/// Queries that a replay of statements leaves, by id.
pub(crate) type Plans = IndexMap<String, PlannedQuery>;

impl Session {
    pub(crate) fn new(engine: Arc<Engine>) -> Session {
        let catalog = engine.catalog();
        let (system, own) = (catalog.properties.clone(), BTreeMap::new());
        let properties = engine.system_properties(&catalog);
        let (variables, written) = (RwLock::default(), HashMap::new());
        Session { engine, properties, own, system, variables, written, draft: None, number: 0 }
    }

    /// The catalog that its statements are about.
    pub(crate) fn catalog(&self) -> Arc<Catalog> {
        self.draft.clone().unwrap_or_else(|| self.engine.catalog())
    }

    pub(crate) fn change_catalog(&mut self, change: impl FnOnce(&mut Catalog)) {
        match &mut self.draft {
            Some(draft) => change(Arc::make_mut(draft)),
            None => self.engine.change_catalog(change),
        }
    }

    /// The engine.
    pub fn engine(&self) -> &Arc<Engine> {
        &self.engine
    }

    /// Properties set besides the server's.
    pub(crate) fn set_properties(&mut self, properties: BTreeMap<String, String>) {
        self.own.extend(properties);
        self.settle_properties();
    }

    fn settle_properties(&mut self) {
        self.properties = self.engine.system_properties(&self.catalog());
        self.properties.extend(self.own.clone());
    }

    /// Take over what another session's ALTER SYSTEM has changed.
    fn follow_system(&mut self) {
        let system = self.engine.catalog().properties.clone();
        if !Arc::ptr_eq(&system, &self.system) {
            self.system = system;
            self.settle_properties();
        }
    }

    pub(crate) fn own_properties(&self) -> BTreeMap<String, String> {
        let servers = self.engine.system_properties(&self.catalog());
        self.properties
            .iter()
            .filter(|(k, v)| servers.get(*k) != Some(v))
            .map(|(k, v)| (k.clone(), v.clone()))
            .collect()
    }

    pub(crate) fn world(&self, persistent: bool) -> World<'_> {
        let registry = self.engine.registry();
        World { log: &*self.engine.log, host: &self.engine.host, properties: &self.properties, registry, persistent }
    }

    /// Text → statements; `${variables}` are substituted, also those that a DEFINE earlier in the text sets.
    ///
    /// # Errors
    /// The first thing that cannot be read, with its place.
    pub fn parse(&self, text: &str) -> Result<Vec<ast::Statement>> {
        let variables = self.variables.read();
        syntax::parse(text, Some(&|name: &str| variables.get(&name.to_uppercase()).cloned()))
    }

    /// What the statement will take and give.
    ///
    /// # Errors
    /// What is wrong with the statement.
    pub async fn describe(&self, statement: &ast::Statement) -> Result<Description> {
        self.describe_typed(statement, &[]).await
    }

    async fn describe_typed(&self, statement: &ast::Statement, declared: &[Option<SqlType>]) -> Result<Description> {
        let none = |columns| Description { parameters: vec![], columns };
        match &statement.kind {
            StatementKind::Query(query) if query.emit.is_some() => {
                let plan = planner::query::plan_push(query, &self.engine.catalog(), &self.world(false))?;
                Ok(none(Some(push::columns(&plan))))
            }
            StatementKind::Query(query) => {
                let parameters = Parameters::declared(declared.to_vec());
                match plan_pull(query, &self.engine.catalog(), &self.world(false), &parameters)? {
                    Some(plan) => {
                        let parameters = parameters.types().into_iter().map(Some).collect();
                        Ok(Description { parameters, columns: Some(pull::columns(&plan)) })
                    }
                    None => deep(general::describe(self, query)).await,
                }
            }
            StatementKind::InsertValues { target, columns, rows, tombstones } => {
                let parameters = Parameters::declared(declared.to_vec());
                let catalog = self.engine.catalog();
                planner::insert::bind_insert(target, columns, rows, *tombstones, &catalog, Some(&parameters))?;
                Ok(Description { parameters: parameters.types().into_iter().map(Some).collect(), columns: None })
            }
            StatementKind::AssertTopic { .. } => Ok(none(Some(assert::columns("topic")))),
            StatementKind::AssertSchema { .. } => Ok(none(Some(assert::columns("schema")))),
            kind if shows(kind) => match self.show(statement).await? {
                Outcome::Rows(rows) => Ok(none(Some(rows.columns.to_vec()))),
                Outcome::Done { .. } => Ok(none(None)),
            },
            StatementKind::Print { .. } => Ok(none(Some(print::columns()))),
            _ => Ok(none(None)),
        }
    }

    /// Plan a query that takes parameters once, to be run many times with [`Session::execute`]: the same statement
    /// executed again uses the plan (as long as the catalog has not changed).
    ///
    /// # Errors
    /// What is wrong with the statement.
    pub async fn prepare(&self, statement: &ast::Statement) -> Result<Prepared> {
        self.prepare_typed(statement, vec![]).await
    }

    /// As [`Session::prepare`], with the types of parameters that the client told.
    ///
    /// # Errors
    /// What is wrong with the statement.
    pub async fn prepare_typed(&self, statement: &ast::Statement, declared: Vec<Option<SqlType>>) -> Result<Prepared> {
        Ok(Prepared { statement: statement.clone(), planned: RwLock::default(), declared })
    }

    fn lookup(&self, prepared: &Prepared, query: &ast::Query) -> Result<Option<Arc<Lookup>>> {
        let catalog = self.engine.catalog();
        if let Some(known) = prepared.planned.read().as_ref()
            && Arc::ptr_eq(&known.catalog, &catalog)
            && known.lookup.is_valid()
        {
            return Ok(Some(known.lookup.clone()));
        }
        let parameters = Parameters::declared(prepared.declared.clone());
        let Some(plan) = plan_pull(query, &catalog, &self.world(false), &parameters)? else { return Ok(None) };
        let lookup = Arc::new(Lookup::new(&self.engine, plan));
        *prepared.planned.write() = Some(PreparedPull { catalog, lookup: lookup.clone() });
        Ok(Some(lookup))
    }

    /// Carry out a statement with parameters bound. Cursor, transaction, COPY statements are the wire's own business
    /// and refused here.
    ///
    /// # Errors
    /// What is wrong with the statement or could not be done; nothing of it was done then.
    pub async fn execute(&mut self, prepared: &Prepared, parameters: &[Parameter]) -> Result<Outcome> {
        let statement = &prepared.statement;
        self.follow_system();
        match &statement.kind {
            StatementKind::Query(query) if query.emit.is_some() => push::run(self, query).await,
            StatementKind::Query(query) => match self.lookup(prepared, query)? {
                Some(lookup) => {
                    let missed = self.wait_for_own_writes(&lookup.plan.source.name).await;
                    Ok(warned(lookup.run(self, parameters).await?, missed))
                }
                None => deep(general::run(self, query, parameters)).await,
            },
            StatementKind::InsertValues { target, columns, rows, tombstones } => {
                insert::values(self, target, columns, rows, *tombstones, parameters).await
            }
            StatementKind::Delete { target, condition } => insert::delete(self, target, condition.as_ref()).await,
            StatementKind::Set { name, value } => {
                self.own.insert(name.clone(), value.clone());
                self.settle_properties();
                Ok(done("SET"))
            }
            StatementKind::Unset { name } => {
                self.own.remove(name);
                self.settle_properties();
                Ok(done("UNSET"))
            }
            StatementKind::Define { name, value } => {
                self.variables.write().insert(name.value.to_uppercase(), value.clone());
                Ok(done("DEFINE"))
            }
            StatementKind::Undefine { name } => {
                self.variables.write().remove(&name.value.to_uppercase());
                Ok(done("UNDEFINE"))
            }
            StatementKind::Print { topic, from_beginning, interval, limit } => {
                print::run(self, topic, *from_beginning, *interval, *limit)
            }
            kind if shows(kind) => self.show(statement).await,
            _ => self.change(statement).await,
        }
    }

    /// Statements that only look.
    async fn show(&self, statement: &ast::Statement) -> Result<Outcome> {
        match &statement.kind {
            StatementKind::Show(what) => show::show(self, what).await,
            StatementKind::Describe { name, extended } => describe::source(self, name, *extended),
            StatementKind::DescribeFunction { name } => describe::function(name),
            StatementKind::DescribeConnector { name } => connectors::describe(self, name),
            StatementKind::DescribeAll { object, extended } => describe::all(self, *object, *extended),
            StatementKind::Explain { analyze, statement } => deep(explain::statement(self, statement, *analyze)).await,
            StatementKind::ExplainQuery { analyze, id } => explain::running(self, id, *analyze).await,
            StatementKind::AssertTopic { exists, topic, properties, timeout_ms } => {
                assert::topic(self, *exists, topic, properties, *timeout_ms).await
            }
            StatementKind::AssertSchema { exists, subject, id, timeout_ms } => {
                assert::schema(self, *exists, subject.as_deref(), *id, *timeout_ms, statement.span).await
            }
            StatementKind::ShowVariable { name } => {
                let value = self.properties.get(name).cloned();
                text_rows("SHOW", &[name.as_str()], vec![vec![value]])
            }
            _ => Err(Error::internal("not a statement that shows")),
        }
    }

    pub(crate) fn variables(&self) -> Vec<(String, String)> {
        let mut all: Vec<_> = self.variables.read().iter().map(|(k, v)| (k.clone(), v.clone())).collect();
        all.sort();
        all
    }

    /// Statements that change the catalog: planned, carried out, written down.
    async fn change(&mut self, statement: &ast::Statement) -> Result<Outcome> {
        let engine = self.engine.clone();
        if engine.member.is_some() {
            return member::change(self, statement).await;
        }
        let _one_at_a_time = engine.changing.lock().await;
        let (before, recorder, mut work) = (engine.catalog(), Recorder::default(), Work::default());
        let mut outcome = self.apply(statement, Applied::Now, &recorder, &mut work).await;
        let changed = !Arc::ptr_eq(&before, &engine.catalog());
        if let (Ok(Outcome::Done { .. }), true) = (&outcome, changed) {
            let logged = self.logged(statement, &recorder, &work);
            let (topic, now_ms) = (engine.names.statements(), engine.host.clock.now_ms());
            let entry = logged.and_then(|logged| statements::entry(&topic, &logged, now_ms));
            let written = async { engine.service.commit(vec![entry?]).await };
            if let Err(e) = written.await {
                engine.change_catalog(|c| *c = (*before).clone());
                outcome = Err(e);
            }
        }
        match outcome {
            Ok(outcome) => {
                engine.follow_up(work).await?;
                Ok(outcome)
            }
            Err(e) => {
                engine.take_back(work).await;
                Err(e)
            }
        }
    }

    /// The entry of the statement log of a statement that was applied.
    pub(crate) fn logged(
        &self,
        statement: &ast::Statement,
        recorder: &Recorder,
        work: &Work,
    ) -> Result<LoggedStatement> {
        let mut deletes = vec![];
        for after in &work.after {
            if let After::DeleteTopic(name) = after
                && let Some(topic) = self.engine.log.topic(name).map_err(log_error)?
            {
                deletes.push((name.clone(), topic.id.to_string()));
            }
        }
        Ok(LoggedStatement {
            text: statement.text.clone(),
            properties: self.own_properties(),
            answers: recorder.answers(),
            deletes,
        })
    }

    /// Run a statement of the statement log again: the catalog changes, nothing else does.
    pub(crate) async fn replay(&mut self, entry: LoggedStatement, plans: &mut Plans) -> Result<()> {
        self.set_properties(entry.properties);
        let recorder = Recorder::new(entry.answers);
        for statement in syntax::parse(&entry.text, None)? {
            self.apply(&statement, Applied::Again(plans), &recorder, &mut Work::default()).await?;
        }
        Ok(())
    }

    /// Wait (a while) until the table has consumed what this session wrote; what it is to be told otherwise.
    pub(crate) async fn wait_for_own_writes(&mut self, source: &str) -> Option<String> {
        if self.written.is_empty() || self.engine.config.manual {
            return None;
        }
        own_writes::wait_until_consumed(&self.engine, &self.written, source).await
    }

    /// Begin to write rows to a stream or table: COPY … FROM STDIN.
    ///
    /// # Errors
    /// There is no such stream or table or column, or it takes no rows.
    pub async fn copy_into(&mut self, target: &ast::Ident, columns: &[ast::Ident]) -> Result<insert::CopyInto> {
        insert::CopyInto::new(&self.engine, target, columns)
    }
}

/// Whether the statement only looks and gives rows.
fn shows(kind: &StatementKind) -> bool {
    matches!(
        kind,
        StatementKind::Show(_)
            | StatementKind::Describe { .. }
            | StatementKind::DescribeFunction { .. }
            | StatementKind::DescribeConnector { .. }
            | StatementKind::DescribeAll { .. }
            | StatementKind::Explain { .. }
            | StatementKind::ExplainQuery { .. }
            | StatementKind::AssertTopic { .. }
            | StatementKind::AssertSchema { .. }
            | StatementKind::ShowVariable { .. }
    )
}

/// A column of a result.
pub(crate) fn output_column(name: &str, ty: &SqlType, key: bool) -> OutputColumn {
    OutputColumn { name: name.to_string(), data_type: ty.to_arrow(), key }
}

#[cfg(test)]
mod tests {
    use futures::StreamExt;

    use super::*;
    use crate::{Cut, EngineConfig};

    /// The lookup that a prepared statement holds.
    fn held(prepared: &Prepared) -> Arc<Lookup> {
        prepared.planned.read().as_ref().map(|p| p.lookup.clone()).expect("it is planned")
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_prepared_lookup_is_planned_once_until_the_catalog_changes() {
        let engine = Engine::open(EngineConfig { manual: true, ..EngineConfig::default() }).await.expect("opens");
        let mut session = engine.session();
        let run = async |session: &mut Session, text: &str| {
            for statement in session.parse(text).expect("parses") {
                let prepared = session.prepare(&statement).await.expect("prepares");
                session.execute(&prepared, &[]).await.expect("runs");
                engine.drive(Cut::All).await.expect("drives");
            }
        };
        let setup =
            "CREATE STREAM s (id INT KEY, n INT) WITH (kafka_topic = 's', value_format = 'JSON', partitions = 2);
            CREATE TABLE t AS SELECT id, COUNT(*) AS c FROM s GROUP BY id EMIT CHANGES;
            INSERT INTO s (id, n) VALUES (1, 1), (2, 1), (2, 2);";
        run(&mut session, setup).await;
        let statement = session.parse("SELECT c FROM t WHERE id = $1;").expect("parses").remove(0);
        let prepared = session.prepare(&statement).await.expect("prepares");
        let mut planned: Vec<Arc<Lookup>> = vec![];
        for (id, want) in [(1, Some(1)), (2, Some(2)), (3, None)] {
            let key: Parameter = Arc::new(arrow::array::Int32Array::from(vec![id]));
            let Outcome::Rows(rows) = session.execute(&prepared, &[key]).await.expect("runs") else {
                panic!("no rows")
            };
            let batches: Vec<_> = rows.batches.map(|b| b.expect("a batch")).collect().await;
            let counts = batches.iter().flat_map(|b| {
                let counts = b.column(0).as_any().downcast_ref::<arrow::array::Int64Array>().expect("numbers");
                counts.values().to_vec()
            });
            assert_eq!(counts.collect::<Vec<i64>>(), want.into_iter().collect::<Vec<i64>>(), "key {id}");
            planned.push(held(&prepared));
        }
        assert!(planned.windows(2).all(|two| Arc::ptr_eq(&two[0], &two[1])), "planned again");
        run(&mut session, "CREATE STREAM u AS SELECT * FROM s EMIT CHANGES;").await;
        let key: Parameter = Arc::new(arrow::array::Int32Array::from(vec![1]));
        session.execute(&prepared, &[key]).await.expect("runs");
        assert!(!Arc::ptr_eq(&planned[0], &held(&prepared)), "not planned again for another catalog");
    }
}
