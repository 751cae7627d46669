//! The bound plan: what the runtime lowers into stages and tasks.
//!
//! Columns are known by position: every node says what its output columns are ([`Fields`]), and the expressions of
//! the node above are DataFusion physical expressions over exactly those positions.

use std::{collections::BTreeMap, sync::Arc};

use arrow::{array::ArrayRef, datatypes::SchemaRef};
use catalog::{KeyWindow, PersistentQuery, Source, SourceKind};
use datafusion::physical_expr::PhysicalExpr;
use formats::FormatSpec;
use functions::{BoundAggregate, BoundTable};
use types::{Schema, SqlType};

/// A bound expression.
pub type BoundExpr = Arc<dyn PhysicalExpr>;

/// One output column of a node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FieldDef {
    /// The alias (or name) of the source that it comes from; none for computed columns.
    pub qualifier: Option<String>,
    /// Its name.
    pub name: String,
    /// Its type.
    pub ty: SqlType,
    /// Whether it is part of the row's key.
    pub key: bool,
    /// ROWTIME and its like, headers that were not declared …: not selected by `*`.
    pub hidden: bool,
}

/// The output columns of a node.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Fields {
    /// In order.
    pub columns: Vec<FieldDef>,
}

impl Fields {
    /// As an Arrow schema: one nullable field a column, named by position-unique names.
    pub fn to_arrow(&self) -> SchemaRef {
        let fields = self.columns.iter().map(|c| {
            let name = match &c.qualifier {
                Some(q) => format!("{q}.{}", c.name),
                None => c.name.clone(),
            };
            arrow::datatypes::Field::new(name, c.ty.to_arrow(), true)
        });
        Arc::new(arrow::datatypes::Schema::new(fields.collect::<Vec<_>>()))
    }
}

/// A node of a continuous query, with its inputs below it.
#[derive(Clone)]
pub struct Plan {
    /// What it does.
    pub node: PlanNode,
    /// Its output columns.
    pub fields: Fields,
    /// Whether its output is a stream or a table.
    pub kind: SourceKind,
    /// Whether its rows are keyed by window too.
    pub windowed: Option<KeyWindow>,
}

impl Plan {
    /// The nodes right below, in order.
    pub fn inputs(&self) -> Vec<&Plan> {
        match &self.node {
            PlanNode::Source { .. } => vec![],
            PlanNode::Filter { input, .. }
            | PlanNode::Project { input, .. }
            | PlanNode::FlatMap { input, .. }
            | PlanNode::Exchange { input, .. }
            | PlanNode::Distinct { input }
            | PlanNode::Aggregate { input, .. } => vec![input],
            PlanNode::StreamTableJoin { left, right, .. }
            | PlanNode::StreamStreamJoin { left, right, .. }
            | PlanNode::TableTableJoin { left, right, .. }
            | PlanNode::ForeignKeyJoin { left, right, .. } => vec![left, right],
            PlanNode::UnionAll { inputs } => inputs.iter().collect(),
        }
    }
}

/// The kinds of nodes.
#[derive(Clone)]
pub enum PlanNode {
    /// Reads a topic. Out: the source's columns in order of its schema, then the hidden columns ROWTIME BIGINT,
    /// ROWPARTITION INT, ROWOFFSET BIGINT, then, if the source is windowed, WINDOWSTART BIGINT, WINDOWEND BIGINT.
    /// Columns that nobody above uses are not decoded and come as NULLs. Undecodable records, and records of tables
    /// without a key, are dropped and reported. A table's rows are upserts and tombstones.
    Source {
        /// What is read.
        source: Arc<Source>,
        /// Where to begin.
        start: Start,
        /// Tables: keep the rows, so that changes carry old values and the table can be looked up. The runtime also
        /// sets this by itself where a node above needs it.
        materialize: bool,
    },
    /// Keeps the rows for which `predicate` is true. On tables, a row that no longer passes becomes a tombstone.
    Filter {
        /// Input.
        input: Box<Plan>,
        /// BOOLEAN.
        predicate: BoundExpr,
    },
    /// Out: one column an expression.
    Project {
        /// Input.
        input: Box<Plan>,
        /// In order of `fields`.
        exprs: Vec<BoundExpr>,
    },
    /// Table functions: a row becomes as many rows as the longest of the calls gives (shorter ones padded with NULL;
    /// none: the row vanishes). Out: the input's columns, then one column a call.
    FlatMap {
        /// Input, a stream.
        input: Box<Plan>,
        /// The calls.
        calls: Vec<TableCall>,
    },
    /// Sends each row to the partition that its new key hashes to (as a Kafka producer would with that key in that
    /// format). Columns stay as they are. Rows whose key is NULL: see `nulls`.
    Exchange {
        /// Input.
        input: Box<Plan>,
        /// The new key's columns.
        by: Vec<BoundExpr>,
        /// How the key would be written.
        key_format: FormatSpec,
        /// As many partitions as which source has (co-partitioning); `None`: as many as the widest source of the query.
        partitions_like: Option<Arc<Source>>,
        /// What to do with rows where a key column is NULL.
        nulls: NullKeys,
    },
    /// Groups and aggregates. Out: the group columns, the aggregates, and, if windowed, WINDOWSTART, WINDOWEND BIGINT.
    /// The input has been exchanged by the group columns, unless they are its key already.
    Aggregate {
        /// Input: a stream, or a table (whose old values are retracted).
        input: Box<Plan>,
        /// Group columns; rows where one is NULL are dropped unless `keep_null_keys`.
        group_by: Vec<BoundExpr>,
        /// Aggregate calls.
        aggregates: Vec<AggregateCall>,
        /// WINDOW.
        window: Option<WindowSpec>,
        /// EMIT FINAL: one row a group and window, when the window closes.
        emit_final: bool,
        /// EMIT FINAL: windows close, too, when no record has come for that long, ms.
        idle_ms: Option<i64>,
        /// Groups by NULL too.
        keep_null_keys: bool,
    },
    /// A table all of whose columns are its key (SELECT DISTINCT): updates, which change nothing, are not passed on.
    Distinct {
        /// Input, a table.
        input: Box<Plan>,
    },
    /// A stream's rows, each with the table's row of the same key. Out: left columns, right columns. Left is the
    /// stream; rows whose key is NULL match nothing.
    StreamTableJoin {
        /// The stream.
        left: Box<Plan>,
        /// The table, materialized.
        right: Box<Plan>,
        /// Inner or Left.
        kind: JoinKind,
        /// The stream's key columns, by value equal to …
        left_key: Vec<BoundExpr>,
        /// … the table's.
        right_key: Vec<BoundExpr>,
        /// What else has to hold for two rows to be partners, over left and right columns. Inner joins have a Filter
        /// above instead.
        residual: Option<BoundExpr>,
    },
    /// Rows of two streams of one key within a time of each other. Out: left columns, right columns, then one key
    /// column for each of `left_key` (whichever side is there).
    StreamStreamJoin {
        /// One side.
        left: Box<Plan>,
        /// The other.
        right: Box<Plan>,
        /// Inner, Left, Right or Full.
        kind: JoinKind,
        /// Key columns of the left rows.
        left_key: Vec<BoundExpr>,
        /// Key columns of the right rows.
        right_key: Vec<BoundExpr>,
        /// The right record may be so much older than the left, ms.
        before_ms: i64,
        /// The right record may be so much younger than the left, ms.
        after_ms: i64,
        /// GRACE PERIOD; `None`: the old semantics (outer results are emitted at once, rows kept for 24 hours).
        grace_ms: Option<i64>,
        /// As of the join of a stream with a table.
        residual: Option<BoundExpr>,
    },
    /// Rows of two tables with the same primary key. Out: left columns, right columns, then one key column for each
    /// of `left_key` (whichever side is there).
    TableTableJoin {
        /// One side, materialized.
        left: Box<Plan>,
        /// The other, materialized.
        right: Box<Plan>,
        /// Inner, Left, Right or Full.
        kind: JoinKind,
        /// Key columns of the left rows.
        left_key: Vec<BoundExpr>,
        /// Key columns of the right rows.
        right_key: Vec<BoundExpr>,
        /// As of the join of a stream with a table; never with Full, where a key could have two rows.
        residual: Option<BoundExpr>,
    },
    /// A table's rows, each with the row of another table to whose primary key expressions of it point. Out: left
    /// columns, right columns. Keyed like the left.
    ForeignKeyJoin {
        /// The pointing side, keyed by its own key.
        left: Box<Plan>,
        /// The side pointed to, keyed by its primary key.
        right: Box<Plan>,
        /// Inner or Left.
        kind: JoinKind,
        /// The left's own primary key.
        left_key: Vec<BoundExpr>,
        /// How the left's key is written where its rows are.
        left_key_format: FormatSpec,
        /// The source whose partitioning the left side has.
        left_source: Option<Arc<Source>>,
        /// The pointer, over left columns: one expression a column of the right's primary key.
        foreign_key: Vec<BoundExpr>,
        /// The right's primary key.
        right_key: Vec<BoundExpr>,
        /// How the pointer would be written as a key of the right side.
        right_key_format: FormatSpec,
        /// The source whose partitioning the right side has.
        right_source: Option<Arc<Source>>,
        /// As of the join of a stream with a table.
        residual: Option<BoundExpr>,
    },
    /// The inputs' rows in order of arrival; same columns.
    UnionAll {
        /// Inputs.
        inputs: Vec<Plan>,
    },
}

/// Where a query begins to read a topic.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Start {
    /// As `auto.offset.reset` of the query says.
    #[default]
    Default,
    /// The first record held.
    Earliest,
    /// What arrives from now on.
    Latest,
    /// The first record at or after that time, ms since 1970.
    Time(i64),
    /// That offset, by partition.
    Offsets(BTreeMap<u32, i64>),
    /// Tables: the first record held; and all that the topic holds when the query begins is read before any record of
    /// sources that do not begin so.
    Snapshot,
}

/// Rows without a key, at an exchange.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NullKeys {
    /// They go on, without a key (PARTITION BY).
    Keep,
    /// They are dropped and reported (GROUP BY).
    Drop,
    /// They go on, to match nothing (the preserved side of an outer join).
    KeepUnmatched,
    /// NULL is a value like others: equal keys go to one partition (GROUP BY … INCLUDE NULLS).
    Group,
}

/// Kinds of joins.
pub use syntax::ast::JoinKind;

/// A table function's call.
#[derive(Clone)]
pub struct TableCall {
    /// As EXPLAIN shows it.
    pub text: String,
    /// The code.
    pub bound: BoundTable,
    /// Arguments, cast to `bound.arg_types`.
    pub args: Vec<BoundExpr>,
}

/// An aggregate function's call.
#[derive(Clone)]
pub struct AggregateCall {
    /// As EXPLAIN shows it.
    pub text: String,
    /// The code.
    pub bound: BoundAggregate,
    /// Arguments, cast to `bound.arg_types`.
    pub args: Vec<BoundExpr>,
    /// FILTER (WHERE …).
    pub filter: Option<BoundExpr>,
}

/// WINDOW, resolved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WindowSpec {
    /// Kind and sizes.
    pub kind: syntax::ast::WindowKind,
    /// How long after its end a window takes late rows, ms (default: 24 hours less the size, at least 0).
    pub grace_ms: i64,
    /// How long state is kept for lookups, ms.
    pub retention_ms: i64,
}

/// A continuous query: persistent (with a sink) or a push query.
#[derive(Clone)]
pub struct QueryPlan {
    /// The top node: its columns are what is selected, in order.
    pub root: Plan,
    /// Where rows go; `None`: to the client.
    pub sink: Option<SinkSpec>,
    /// LIMIT.
    pub limit: Option<u64>,
    /// Names of the sources that are read.
    pub reads: Vec<String>,
    /// `auto.offset.reset`: true when queries begin at the first record.
    pub from_earliest: bool,
    /// For push queries: the columns to show, as positions in `root.fields` with their names.
    pub output: Vec<usize>,
}

/// Where a persistent query writes.
#[derive(Debug, Clone)]
pub struct SinkSpec {
    /// The stream or table.
    pub source: Arc<Source>,
    /// Positions in the root's fields of the key columns, in order of the sink's key.
    pub key: Vec<usize>,
    /// Whether a key of several columns that are all NULL is written as such (PARTITION BY); else it is no key.
    pub whole_key: bool,
    /// Whether the key is another than the rows are partitioned by, so that rows of one key come from several partitions:
    /// they are read and written in order of arrival.
    pub rekeyed: bool,
    /// Positions in the root's fields of the value columns, in order of the sink's value.
    pub value: Vec<usize>,
    /// Position of the column that gives the record's timestamp, and its pattern.
    pub timestamp: Option<(usize, Option<String>)>,
    /// Positions of WINDOWSTART and WINDOWEND in the root's fields, if the sink's key is windowed.
    pub window: Option<(usize, usize)>,
    /// Partitions and replicas asked for by WITH; `None`: as the (left-most) source has.
    pub partitions: Option<u32>,
    /// Replicas asked for.
    pub replicas: Option<u16>,
    /// RETENTION_MS and other topic settings asked for, by Kafka's names.
    pub topic_settings: BTreeMap<String, String>,
}

/// A query that ends, over one source, without aggregation: what lookups by key are. Everything else that ends goes
/// to DataFusion as a whole.
#[derive(Clone)]
pub struct PullPlan {
    /// What is read.
    pub source: Arc<Source>,
    /// The source's columns as in [`PlanNode::Source`].
    pub fields: Fields,
    /// The rows that can match at all.
    pub keys: KeyRange,
    /// Bounds of WINDOWSTART and WINDOWEND that follow from WHERE, ms inclusive; for session and time windows.
    pub window_start: Bounds,
    /// See `window_start`.
    pub window_end: Bounds,
    /// The whole of WHERE.
    pub filter: Option<BoundExpr>,
    /// The select list.
    pub exprs: Vec<BoundExpr>,
    /// Its names and types; key columns marked.
    pub output: Fields,
    /// LIMIT.
    pub limit: Option<u64>,
}

/// Inclusive bounds of a time, ms.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Bounds {
    /// At least.
    pub from: Option<i64>,
    /// At most.
    pub to: Option<i64>,
}

/// Which keys a lookup reads.
#[derive(Debug, Clone)]
pub enum KeyRange {
    /// These: one row a key, one array a key column (of its type).
    Points(Vec<ArrayRef>),
    /// Like `Points`, but known only when parameters are: expressions without columns, one list a key.
    PointExprs(Vec<Vec<BoundExpr>>),
    /// Keys whose first columns equal these values, and the next lies within the bounds.
    Range {
        /// Values of the first key columns (arrays of one row).
        prefix: Vec<ArrayRef>,
        /// Lower bound of the next key column (one row) and whether it is inclusive.
        from: Option<(ArrayRef, bool)>,
        /// Upper bound.
        to: Option<(ArrayRef, bool)>,
    },
    /// All.
    All,
}

/// What a statement would do, bound and checked.
#[derive(Clone)]
#[allow(clippy::large_enum_variant)]
pub enum Planned {
    /// CREATE STREAM|TABLE over a topic.
    CreateSource {
        /// What is to be.
        source: Source,
        /// Whether it takes an existing one's place (already checked to be allowed).
        replaces: bool,
        /// The topic to create if it is not there: partitions, replicas, settings.
        topic: Option<(u32, u16, BTreeMap<String, String>)>,
        /// CREATE SOURCE TABLE: the query that materializes it.
        materialize: Option<QueryPlan>,
    },
    /// CREATE … AS SELECT.
    CreateAsSelect {
        /// The sink.
        source: Source,
        /// The query's entry in the catalog.
        query: PersistentQuery,
        /// Its plan.
        plan: QueryPlan,
        /// The id of the query whose place it takes (CREATE OR REPLACE; already checked to be allowed).
        replaces: Option<String>,
    },
    /// INSERT INTO … SELECT.
    InsertSelect {
        /// The query's entry in the catalog.
        query: PersistentQuery,
        /// Its plan.
        plan: QueryPlan,
    },
    /// INSERT INTO … VALUES.
    InsertValues(InsertRows),
    /// IF NOT EXISTS, IF EXISTS: nothing to do, and why.
    Nothing(String),
    /// A continuous query for the client.
    Push(QueryPlan),
    /// A lookup.
    Pull(PullPlan),
}

/// Rows to write to a topic.
#[derive(Clone)]
pub struct InsertRows {
    /// The stream or table.
    pub source: Arc<Source>,
    /// One array a column of the source's schema, all of the same length; columns not named are NULL.
    pub columns: Vec<ArrayRef>,
    /// ROWTIME where given (ms), by row.
    pub rowtime: Vec<Option<i64>>,
    /// Rows that are tombstones (INSERT of a NULL value as a whole; DELETE).
    pub tombstones: Vec<bool>,
    /// Rows.
    pub rows: usize,
}

/// What a topic looks like, for checks of partition counts and for inference.
#[derive(Debug, Clone)]
pub struct TopicShape {
    /// Its partitions.
    pub partitions: u32,
    /// Its replicas.
    pub replicas: u16,
}

/// What the planner asks of its surroundings besides the catalog.
pub trait Surroundings {
    /// The topic, if it exists.
    ///
    /// # Errors
    /// Whether it does could not be asked.
    fn topic(&self, name: &str) -> types::Result<Option<TopicShape>>;
    /// Columns of a registered schema for a topic's key or value: by subject, or by id.
    fn registered_columns(
        &self,
        topic: &str,
        part: formats::Part,
        format: &FormatSpec,
    ) -> types::Result<Option<Schema>>;
    /// A session's (or the server's) property, by ksqlDB's name.
    fn property(&self, name: &str) -> Option<String>;
    /// Now, ms since 1970.
    fn now_ms(&self) -> i64;
}
