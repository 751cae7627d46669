//! Names → streams, tables, types, views and queries.
//!
//! A catalog is a value: a statement is planned against one, and executing the statement makes the next. The durable
//! form is the log of the statements that made it.
//!
//! Invariant: knows no execution.

use std::{collections::BTreeMap, sync::Arc};

use formats::FormatSpec;
use indexmap::IndexMap;
use serde::{Deserialize, Serialize};
use types::{Schema, SqlType};

/// A stream or a table over a topic.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Source {
    /// Its name, as meant.
    pub name: String,
    /// Stream or table.
    pub kind: SourceKind,
    /// Its columns, in the order declared (keys included).
    pub schema: Schema,
    /// The topic it reads or writes.
    pub topic: String,
    /// How keys are written.
    pub key_format: FormatSpec,
    /// How values are written.
    pub value_format: FormatSpec,
    /// TIMESTAMP and TIMESTAMP_FORMAT: the column that holds a record's time instead of the record's own timestamp.
    pub timestamp: Option<TimestampColumn>,
    /// Windowed keys: the record's key ends with the window.
    pub windowed: Option<KeyWindow>,
    /// CREATE SOURCE …: read only (and a table is materialized).
    pub read_only: bool,
    /// The query that writes it, when it was made by … AS SELECT.
    pub created_by: Option<String>,
    /// The statement that made it.
    pub statement: String,
}

/// Stream or table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum SourceKind {
    /// Facts: every record is a row of its own.
    Stream,
    /// The latest record of a key is its row; null deletes it.
    Table,
}

/// Where a record's time is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TimestampColumn {
    /// The column's name.
    pub column: String,
    /// A pattern, when the column is text.
    pub format: Option<String>,
}

/// How windows are written into keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum KeyWindow {
    /// Start, 8 bytes big-endian ms, after the key; the end is `size_ms` later.
    Time {
        /// Tumbling (advance = size) or hopping.
        hopping: bool,
        /// Size in ms; `None` when a source declares windows without a size.
        size_ms: Option<i64>,
    },
    /// End then start, 8 bytes each, after the key.
    Session,
}

/// A continuous query that writes a stream or table.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PersistentQuery {
    /// `CTAS_PAGES_1`, `CSAS_…`, `INSERTQUERY_…`, or the QUERY_ID that was asked for.
    pub id: String,
    /// The statement that made it.
    pub statement: String,
    /// Names of the sources that it reads.
    pub reads: Vec<String>,
    /// Name of the source that it writes.
    pub writes: String,
    /// Whether it was paused.
    pub paused: bool,
}

/// A named query.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct View {
    /// Its name.
    pub name: String,
    /// The query's text.
    pub query: String,
    /// The statement that made it.
    pub statement: String,
}

/// Everything that has a name.
#[derive(Debug, Clone, Default)]
pub struct Catalog {
    /// Streams and tables by name, in order of creation.
    pub sources: IndexMap<String, Arc<Source>>,
    /// User types by name.
    pub types: IndexMap<String, SqlType>,
    /// Views by name.
    pub views: IndexMap<String, Arc<View>>,
    /// Persistent queries by id, in order of creation.
    pub queries: IndexMap<String, Arc<PersistentQuery>>,
    /// Connectors: name → statement (they are kept, not run).
    pub connectors: IndexMap<String, String>,
    /// What ALTER SYSTEM has set: properties of every session that does not set them itself.
    pub properties: Arc<BTreeMap<String, String>>,
    /// Number for the next query id; never used again.
    pub next_query: u64,
}

impl Catalog {
    /// The stream or table of that exact name.
    pub fn source(&self, name: &str) -> Option<&Arc<Source>> {
        self.sources.get(name)
    }

    /// Ids of the queries that read `name`.
    pub fn readers(&self, name: &str) -> Vec<String> {
        self.queries.values().filter(|q| q.reads.iter().any(|r| r == name)).map(|q| q.id.clone()).collect()
    }

    /// Ids of the queries that write `name`.
    pub fn writers(&self, name: &str) -> Vec<String> {
        self.queries.values().filter(|q| q.writes == name).map(|q| q.id.clone()).collect()
    }
}
