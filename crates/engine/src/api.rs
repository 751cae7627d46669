//! What a session takes and gives back.

use std::{collections::BTreeMap, path::PathBuf, sync::Arc};

use arrow::{
    array::{ArrayRef, RecordBatch},
    datatypes::{DataType, SchemaRef},
};
use futures::stream::BoxStream;
use types::{Result, SqlType};

pub use crate::warnings::Warnings;

/// How to open an engine.
#[derive(Clone)]
pub struct EngineConfig {
    /// Where the log, checkpoints and the catalog live; `None`: in memory, gone when dropped.
    pub data_dir: Option<PathBuf>,
    /// Threads that compute; default: one a core.
    pub threads: usize,
    /// Server-wide properties, by ksqlDB's names; sessions start with these.
    pub properties: BTreeMap<String, String>,
    /// Queries do not run by themselves but when [`Engine::drive`](crate::Engine::drive) is called: for tests.
    pub manual: bool,
    /// Partitions of topics that a statement creates without saying how many.
    pub default_partitions: u32,
    /// How the log in the data directory works: durability, sizes.
    pub log: recordlog::embedded::Settings,
    /// Bytes of memory that the states of all queries may take together; `None`: any.
    pub state_bytes_max: Option<u64>,
    /// Bytes of state from which on what may leave memory does; `None`: three quarters of `state_bytes_max`.
    pub state_hot_bytes: Option<u64>,
    /// The schema registry that is used instead of the one that is built in.
    pub registry: Option<Arc<dyn formats::SchemaRegistry>>,
    /// On a log that several services use: which one this is.
    pub service: Option<ServiceConfig>,
}

/// A service on a cluster.
#[derive(Clone)]
pub struct ServiceConfig {
    /// Its id: names of its topics and writers begin with it.
    pub id: String,
    /// Where this process's Postgres clients connect, for other processes of the service: `host:port`.
    pub advertise: Option<String>,
    /// Into how many shares its work is cut: the same number for all its processes.
    pub slots: u32,
    /// How many other processes keep the state of a task warm, to go on with it at once.
    pub standby_replicas: usize,
    /// Its other processes.
    pub peers: Arc<dyn crate::Peers>,
}

/// What a statement will take and give, before it runs.
#[derive(Debug, Clone)]
pub struct Description {
    /// Types of `$1`, `$2`, …; `None` where nothing says (text then).
    pub parameters: Vec<Option<SqlType>>,
    /// Columns of its rows; `None`: it gives none.
    pub columns: Option<Vec<OutputColumn>>,
}

/// A column of a result.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutputColumn {
    /// Its name.
    pub name: String,
    /// Its Arrow type.
    pub data_type: DataType,
    /// Whether it is a key column of the source that was asked (headers of pull queries show it).
    pub key: bool,
}

/// What a statement gave.
pub enum Outcome {
    /// It was carried out.
    Done {
        /// PostgreSQL's command tag: `CREATE STREAM`, `INSERT 0 3`, ….
        tag: String,
        /// What the user should know besides.
        notices: Vec<String>,
    },
    /// Rows.
    Rows(Rows),
}

/// Rows as they come.
pub struct Rows {
    /// Names and types.
    pub columns: Arc<[OutputColumn]>,
    /// The same as an Arrow schema.
    pub schema: SchemaRef,
    /// Batches, as soon as they are there. Dropping the stream ends the query.
    pub batches: BoxStream<'static, Result<RecordBatch>>,
    /// Whether it goes on for ever (EMIT CHANGES without LIMIT): flush every batch.
    pub live: bool,
    /// PostgreSQL's command tag without the count: `SELECT`, `SHOW`, `EXPLAIN`, `FETCH` ….
    pub tag: &'static str,
    /// What went wrong in single rows; complete when the batches have ended.
    pub warnings: Warnings,
}

/// The value of a parameter: an array of one row, of the type that [`Description`] named (text where it named none).
pub type Parameter = ArrayRef;

/// How an epoch cuts its input, when driven by hand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cut {
    /// At most so many records an epoch, over all the partitions of a query.
    Records(usize),
    /// All there is.
    All,
}

impl Default for EngineConfig {
    /// In memory, one thread a core, queries run by themselves, topics of four partitions.
    fn default() -> EngineConfig {
        EngineConfig {
            data_dir: None,
            threads: std::thread::available_parallelism().map_or(2, std::num::NonZero::get),
            properties: BTreeMap::new(),
            manual: false,
            default_partitions: 4,
            log: recordlog::embedded::Settings::default(),
            state_bytes_max: None,
            state_hot_bytes: None,
            registry: None,
            service: None,
        }
    }
}

/// How a running query does.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct QueryReport {
    /// Its id.
    pub id: String,
    /// RUNNING, PAUSED, ERROR.
    pub state: &'static str,
    /// Why it does not run.
    pub error: Option<String>,
    /// Records read.
    pub records_in: u64,
    /// Records written.
    pub records_out: u64,
    /// Epochs committed.
    pub epochs: u64,
    /// Records that cannot be decoded.
    pub undecodable: u64,
    /// Rows without a key where one is needed.
    pub null_keys: u64,
    /// Expressions that failed.
    pub failed_expressions: u64,
    /// Rows too late for their window.
    pub late: u64,
    /// Rows that the sink's format cannot write.
    pub unwritable: u64,
    /// Entries of state in memory.
    pub state_rows: u64,
    /// Bytes of state in memory, about.
    pub state_bytes: u64,
    /// Bytes of state on disk, about.
    pub disk_bytes: u64,
    /// How often entries of state were looked for since some are on disk: and found in memory, and not.
    pub state_lookups: (u64, u64),
}
