//! A running engine: the log, the catalog, and the queries.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{
        Arc, Weak,
        atomic::{AtomicBool, Ordering},
    },
};

use catalog::{Catalog, Source, SourceKind};
use datafusion::{
    catalog::SchemaProvider,
    execution::{
        memory_pool::FairSpillPool,
        runtime_env::{RuntimeEnv, RuntimeEnvBuilder},
    },
    logical_expr::{AggregateUDF, ScalarUDF},
};
use formats::{FormatSpec, SchemaRegistry};
use futures::StreamExt;
use host::Host;
use indexmap::IndexMap;
use parking_lot::{Mutex, RwLock};
use recordlog::{RecordLog, embedded::EmbeddedLog};
use runtime::{
    ProgressIndex, SharedSources, StateBudget, TableView, TierOptions, TopicNames, log_error, processing_log_columns,
};
use schemaregistry::Registry;
use tokio::sync::Semaphore;
use types::{Error, Result, Schema};

use crate::{
    api::{Cut, EngineConfig, QueryReport},
    member::{Member, SchemaLeader},
    running::{Opener, QueryState, RunningQuery},
    service::Service,
    session::Session,
    statements,
};

/// The stream over the processing log.
pub(crate) const PROCESSING_LOG: &str = "PROCESSING_LOG";

/// Bytes that an epoch takes from each partition at most.
const EPOCH_BYTES_MAX: usize = 4 << 20;

/// … and at least, however little memory there is.
const EPOCH_BYTES_MIN: usize = 256 << 10;

/// What an epoch changes cannot leave memory before it is committed: so an epoch takes that part of what states may have
/// there at most.
const EPOCH_PART: u64 = 96;

/// Large epochs that are computed at once, by thread: one may wait for another's rows, or for the disk.
const EPOCHS_PER_THREAD: usize = 2;

/// A running engine.
pub struct Engine {
    pub(crate) config: EngineConfig,
    pub(crate) log: Arc<dyn RecordLog>,
    embedded: Option<Arc<EmbeddedLog>>,
    /// What its own topics are called.
    pub(crate) names: Arc<TopicNames>,
    pub(crate) host: Host,
    pub(crate) pool: Arc<rayon::ThreadPool>,
    registry: Arc<dyn SchemaRegistry>,
    subjects: Arc<Registry>,
    /// The service that it is of, and whether this process leads it.
    pub(crate) service: Arc<Service>,
    /// This process among those of its service; `None`: it is the only one.
    pub(crate) member: Option<Arc<Member>>,
    /// Itself.
    own: Weak<Engine>,
    /// Its queries were stopped for good.
    closed: AtomicBool,
    opening: Arc<Semaphore>,
    pub(crate) progress: Arc<ProgressIndex>,
    budget: Arc<StateBudget>,
    shared: Arc<SharedSources>,
    /// Whose turn it is to compute a large epoch.
    turns: Arc<tokio::sync::Semaphore>,
    catalog: RwLock<Arc<Catalog>>,
    /// Running queries by id, in order of creation. Tables that are only kept run under their source's name.
    pub(crate) queries: Mutex<IndexMap<String, Arc<RunningQuery>>>,
    /// One statement changes the catalog at a time.
    pub(crate) changing: tokio::sync::Mutex<()>,
    pub(crate) schemas: RwLock<HashMap<String, Arc<dyn SchemaProvider>>>,
    pub(crate) functions: RwLock<(Vec<Arc<ScalarUDF>>, Vec<Arc<AggregateUDF>>)>,
    /// Memory and spill files of queries that end.
    pub(crate) ending: Arc<RuntimeEnv>,
}

/// What states may take.
fn budget(config: &EngineConfig) -> Arc<StateBudget> {
    let bytes_max = config.state_bytes_max.unwrap_or(u64::MAX);
    match config.state_hot_bytes {
        Some(hot_bytes) => StateBudget::with_hot_bytes(bytes_max, hot_bytes),
        None => StateBudget::new(bytes_max),
    }
}

fn epoch_bytes_max(budget: &StateBudget) -> usize {
    let part = usize::try_from(budget.hot_bytes() / EPOCH_PART).unwrap_or(usize::MAX);
    part.clamp(EPOCH_BYTES_MIN, EPOCH_BYTES_MAX)
}

impl Engine {
    /// Open the data directory (or memory), recover, and start the queries that were running.
    ///
    /// # Errors
    /// The log or the statements in it cannot be read; the error says which.
    pub async fn open(config: EngineConfig) -> Result<Arc<Engine>> {
        let (host, embedded) = match &config.data_dir {
            Some(dir) => {
                let host = Host::real();
                let log = EmbeddedLog::open(host.clone(), dir.join("log"), config.log.clone()).map_err(log_error)?;
                (host, log)
            }
            None => {
                let host = Host::in_memory();
                let log = EmbeddedLog::open_in_memory(&host).map_err(log_error)?;
                (host, log)
            }
        };
        let log: Arc<dyn RecordLog> = embedded.clone();
        Engine::open_on(config, log, Some(embedded), host).await
    }

    /// Open on a log that is there already.
    ///
    /// # Errors
    /// As [`Engine::open`].
    pub async fn open_on(
        config: EngineConfig,
        log: Arc<dyn RecordLog>,
        embedded: Option<Arc<EmbeddedLog>>,
        host: Host,
    ) -> Result<Arc<Engine>> {
        let pool = match config.manual {
            true => shared_pool()?,
            false => pool(config.threads.max(1))?,
        };
        let (names, advertise) = match &config.service {
            Some(service) => (TopicNames::of_service(&service.id)?, service.advertise.clone()),
            None => (TopicNames::default(), None),
        };
        let member = config.service.as_ref().map(|service| Arc::new(Member::new(service)));
        statements::create_topics(&*log, &names, member.as_ref().map_or(0, |member| member.slots())).await?;
        let service = Arc::new(Service::new(log.clone(), names.clone(), advertise, &host));
        let subjects = Registry::open(log.clone(), &names.schemas())?;
        let (ending, runtime) = (ending()?, tokio::runtime::Handle::current());
        let engine = Arc::new_cyclic(|own: &Weak<Engine>| {
            let leader = SchemaLeader { service: service.clone(), engine: own.clone(), runtime };
            let subjects = Arc::new(if member.is_some() { subjects.shared(leader) } else { subjects });
            let registry: Arc<dyn SchemaRegistry> = config.registry.clone().unwrap_or_else(|| subjects.clone());
            Engine {
                service,
                opening: member
                    .as_ref()
                    .map_or_else(|| Arc::new(Semaphore::new(config.threads.max(1))), |m| m.opening()),
                member,
                own: own.clone(),
                closed: AtomicBool::new(false),
                progress: Arc::new(ProgressIndex::new(&names)),
                budget: budget(&config),
                shared: Arc::default(),
                turns: Arc::new(tokio::sync::Semaphore::new(config.threads.max(1) * EPOCHS_PER_THREAD)),
                config,
                log,
                registry,
                subjects,
                embedded,
                host,
                pool,
                catalog: RwLock::new(Arc::new(first_catalog(&names))),
                names: Arc::new(names),
                queries: Mutex::default(),
                changing: tokio::sync::Mutex::default(),
                schemas: RwLock::default(),
                functions: RwLock::default(),
                ending,
            }
        });
        match engine.member {
            None => engine.recover().await?,
            Some(_) => {
                engine.sweep_tier();
                engine.catch_up().await?;
                engine.keep_following()?;
            }
        }
        Ok(engine)
    }

    /// As one that is shared.
    pub(crate) fn own(&self) -> Result<Arc<Engine>> {
        self.own.upgrade().ok_or_else(|| Error::unavailable("the engine is closed"))
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Relaxed)
    }

    async fn recover(self: &Arc<Engine>) -> Result<()> {
        let entries = statements::read(&*self.log, &self.names.statements())?;
        let (mut plans, mut deleted) = (IndexMap::new(), vec![]);
        for mut entry in entries {
            let text = entry.text.clone();
            deleted.append(&mut entry.deletes);
            let replayed = self.session().replay(entry, &mut plans).await;
            replayed.map_err(|e| e.context(format!("while reading the statement log, at {text:?}")))?;
        }
        // All at once, and first: what one of them has left open hides what others have committed.
        let writers: Vec<_> = plans.keys().map(|id| self.names.task_writer(id, None)).collect();
        futures::future::try_join_all(writers.iter().map(|writer| self.log.take_over(writer)))
            .await
            .map_err(log_error)?;
        self.tidy_up(&plans.keys().cloned().collect(), &deleted).await;
        let openers = plans.into_iter().map(|(id, planned)| {
            let paused = self.catalog().queries.get(&id).is_some_and(|q| q.paused);
            let opener = self.opener(&id, planned.plan, planned.sink, &planned.properties);
            // Reading a state back is work for a core.
            let open = move || tokio::runtime::Handle::current().block_on(RunningQuery::open_or_fail(opener, paused));
            tokio::task::spawn_blocking(open)
        });
        let opened: Vec<_> = futures::stream::iter(openers).buffered(self.config.threads.max(1)).collect().await;
        for query in opened {
            let query = query.map_err(|e| Error::internal(format!("a query could not be opened: {e}")))?;
            self.queries.lock().insert(query.id.clone(), query.clone());
            self.run(&query);
        }
        Ok(())
    }

    /// What it takes to open a query.
    pub(crate) fn opener(
        &self,
        id: &str,
        plan: Arc<planner::plan::QueryPlan>,
        sink: Option<String>,
        properties: &BTreeMap<String, String>,
    ) -> Opener {
        Opener {
            sink,
            plan,
            options: self.query_options(id, properties, true),
            log: self.log.clone(),
            host: self.host.clone(),
            pool: self.pool.clone(),
            epoch_bytes_max: epoch_bytes_max(&self.budget),
            turns: self.turns.clone(),
            member: self.member.as_ref().map_or_else(Weak::new, |_| self.own.clone()),
            opening: self.opening.clone(),
        }
    }

    /// The configuration's properties, and over them those of ALTER SYSTEM.
    pub(crate) fn system_properties(&self, catalog: &Catalog) -> BTreeMap<String, String> {
        let mut properties = self.config.properties.clone();
        properties.extend(catalog.properties.iter().map(|(name, value)| (name.clone(), value.clone())));
        properties
    }

    /// How a query of a session with these properties runs.
    pub(crate) fn query_options(
        &self,
        id: &str,
        properties: &BTreeMap<String, String>,
        durable: bool,
    ) -> runtime::QueryOptions {
        runtime::QueryOptions {
            id: id.to_string(),
            caching: self.caching(properties),
            durable,
            strict_timestamps: self.strict_timestamps(properties),
            registry: Some(self.registry()),
            progress: self.progress.clone(),
            budget: self.budget.clone(),
            tier: self.tier(),
            shared: self.shared.clone(),
            names: self.names.clone(),
            share: None,
        }
    }

    /// Where state goes that does not fit into memory: beside the log.
    pub(crate) fn tier(&self) -> Option<TierOptions> {
        let dir = self.config.data_dir.as_ref()?.join("state");
        Some(TierOptions { dir, background: !self.config.manual })
    }

    pub(crate) fn run(&self, query: &Arc<RunningQuery>) {
        if !self.config.manual {
            query.spawn();
        }
    }

    /// Whether superseded changes within an epoch are dropped: unless the cache is set to no bytes.
    pub(crate) fn caching(&self, properties: &BTreeMap<String, String>) -> bool {
        let names = ["ksql.streams.cache.max.bytes.buffering", "cache.max.bytes.buffering"];
        let set = names.iter().find_map(|n| properties.get(*n));
        !self.config.manual && set.is_none_or(|v| v.trim() != "0")
    }

    /// Whether a record without a timestamp in its TIMESTAMP column stops a query.
    pub(crate) fn strict_timestamps(&self, properties: &BTreeMap<String, String>) -> bool {
        properties.get("ksql.timestamp.throw.on.invalid").is_some_and(|v| v.trim().eq_ignore_ascii_case("true"))
    }

    /// A new session with the server's properties.
    pub fn session(self: &Arc<Engine>) -> Session {
        Session::new(self.clone())
    }

    /// The catalog as it is now.
    pub fn catalog(&self) -> Arc<Catalog> {
        self.catalog.read().clone()
    }

    pub(crate) fn change_catalog(&self, change: impl FnOnce(&mut Catalog)) {
        let mut catalog = self.catalog.write();
        change(Arc::make_mut(&mut catalog));
    }

    /// The log under it.
    pub fn log(&self) -> Arc<dyn RecordLog> {
        self.log.clone()
    }

    /// The embedded log under it, for listeners that speak the log's own protocol; `None` on another kind of log.
    pub fn embedded_log(&self) -> Option<Arc<EmbeddedLog>> {
        self.embedded.clone()
    }

    /// The schema registry that is used: the one that is built in, unless the configuration has another.
    pub fn registry(&self) -> Arc<dyn SchemaRegistry> {
        self.registry.clone()
    }

    /// Whether the registry that is used is one elsewhere.
    pub fn has_other_registry(&self) -> bool {
        self.config.registry.is_some()
    }

    /// The registry that is built in, with all that it has beside ids and subjects.
    pub fn subjects(&self) -> Arc<Registry> {
        self.subjects.clone()
    }

    /// The door to clock, randomness and files that it goes through.
    pub fn host(&self) -> &Host {
        &self.host
    }

    /// Make the tables of `provider` visible to queries that end as `schema.table` (pg_catalog, …).
    pub fn register_schema(&self, schema: &str, provider: Arc<dyn SchemaProvider>) {
        self.schemas.write().insert(schema.to_string(), provider);
    }

    /// Make functions visible to queries that end.
    pub fn register_functions(&self, scalar: Vec<Arc<ScalarUDF>>, aggregate: Vec<Arc<AggregateUDF>>) {
        let mut functions = self.functions.write();
        functions.0.extend(scalar);
        functions.1.extend(aggregate);
    }

    /// Bytes of decoded rows that are kept for queries that read the same sources.
    pub fn shared_bytes(&self) -> u64 {
        self.shared.bytes()
    }

    /// The query that keeps the rows of table `name`, and those rows.
    pub(crate) fn kept_table(&self, name: &str) -> Option<(Arc<RunningQuery>, Arc<TableView>)> {
        let queries = self.queries.lock();
        let writes = |q: &&Arc<RunningQuery>| q.sink.as_deref() == Some(name) || (q.sink.is_none() && q.id == name);
        let query = queries.values().find(|q| writes(q) && q.view().is_some())?;
        Some((query.clone(), query.view()?))
    }

    pub(crate) fn query(&self, id: &str) -> Option<Arc<RunningQuery>> {
        self.queries.lock().get(id).cloned()
    }

    /// The plan of every persistent query, by the query's id, in order of creation.
    pub fn plans(&self) -> Vec<(String, Arc<planner::plan::QueryPlan>)> {
        self.queries.lock().values().map(|q| (q.id.clone(), q.opener.plan.clone())).collect()
    }

    /// How every query does, in order of creation.
    pub fn reports(&self) -> Vec<QueryReport> {
        let load = |a: &std::sync::atomic::AtomicU64| a.load(std::sync::atomic::Ordering::Relaxed);
        let queries: Vec<_> = self.queries.lock().values().cloned().collect();
        let report = |q: Arc<RunningQuery>| {
            let (state, stats) = (q.state(), q.stats());
            QueryReport {
                id: q.id.clone(),
                state: state.name(),
                error: match state {
                    QueryState::Error(e) => Some(e),
                    _ => None,
                },
                records_in: load(&stats.records_in),
                records_out: load(&stats.records_out),
                epochs: load(&stats.epochs),
                undecodable: load(&stats.undecodable),
                null_keys: load(&stats.null_keys),
                failed_expressions: load(&stats.failed_expressions),
                late: load(&stats.late),
                unwritable: load(&stats.unwritable),
                state_rows: stats.state_rows(),
                state_bytes: stats.state_bytes(),
                disk_bytes: stats.disk_bytes(),
                state_lookups: stats.state_lookups(),
            }
        };
        queries.into_iter().map(report).collect()
    }

    /// Run the persistent queries in order of creation, each until it has read all that is there (manual engines).
    ///
    /// # Errors
    /// The first query that fails.
    pub async fn drive(&self, cut: Cut) -> Result<()> {
        let queries: Vec<_> = self.queries.lock().values().cloned().collect();
        let cut = match cut {
            Cut::Records(n) => runtime::Cut::Records(n.max(1)),
            Cut::All => runtime::Cut::Bytes(usize::MAX),
        };
        for query in queries {
            query.drive(cut).await?;
        }
        Ok(())
    }

    /// Wait until this process does not lead its service: another one does, or it has stepped down.
    pub async fn replaced(&self) {
        self.service.replaced().await;
    }

    /// Finish the running epochs, write what is to be written, stop.
    pub async fn shutdown(&self) {
        self.closed.store(true, Ordering::Relaxed);
        self.step_down();
        let queries: Vec<_> = self.queries.lock().drain(..).map(|(_, q)| q).collect();
        futures::future::join_all(queries.iter().map(|query| query.stop())).await;
        self.stop_standbys().await;
        if let Some(log) = self.embedded.clone() {
            let closed = tokio::task::spawn_blocking(move || log.close()).await;
            if let Ok(Err(error)) = closed {
                tracing::error!(%error, "the log could not be closed cleanly");
            }
        }
    }
}

/// Bytes that groups, joins and sorts of queries that end may hold together; beyond, they spill or are refused.
const ENDING_BYTES_MAX: usize = 1 << 30;

fn ending() -> Result<Arc<RuntimeEnv>> {
    let memory = Arc::new(FairSpillPool::new(ENDING_BYTES_MAX));
    let made = RuntimeEnvBuilder::new().with_memory_pool(memory).build_arc();
    made.map_err(|e| Error::unavailable(format!("memory for queries cannot be set up: {e}")))
}

fn pool(threads: usize) -> Result<Arc<rayon::ThreadPool>> {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).thread_name(|i| format!("compute-{i}")).build();
    pool.map(Arc::new).map_err(|e| Error::unavailable(format!("threads cannot be started: {e}")))
}

/// Engines in memory are many and small: they share their threads.
fn shared_pool() -> Result<Arc<rayon::ThreadPool>> {
    static POOL: std::sync::OnceLock<Arc<rayon::ThreadPool>> = std::sync::OnceLock::new();
    if let Some(pool) = POOL.get() {
        return Ok(pool.clone());
    }
    let made = pool(2)?;
    Ok(POOL.get_or_init(|| made).clone())
}

/// A catalog with nothing but the engine's own streams.
fn first_catalog(names: &TopicNames) -> Catalog {
    let spec = |name: &str| FormatSpec { name: name.into(), ..FormatSpec::default() };
    let log = Source {
        name: PROCESSING_LOG.into(),
        kind: SourceKind::Stream,
        schema: Schema::new(processing_log_columns()),
        topic: names.processing_log(),
        key_format: spec("KAFKA"),
        value_format: spec("JSON"),
        timestamp: None,
        windowed: None,
        read_only: true,
        created_by: None,
        statement: String::new(),
    };
    let mut catalog = Catalog::default();
    catalog.sources.insert(log.name.clone(), Arc::new(log));
    catalog
}
