//! The tree: what was typed, with the place of everything that an error could point at.
//!
//! Identifiers are already folded: unquoted to upper case, quoted (back quotes or double quotes) as written.

#![allow(missing_docs, reason = "a variant's documentation is its syntax, which names its fields")]

use indexmap::IndexMap;
use types::Span;

/// A name as meant.
#[derive(Debug, Clone)]
pub struct Ident {
    /// Folded to upper case unless it was quoted.
    pub value: String,
    /// Whether it was quoted.
    pub quoted: bool,
    /// Where it stands.
    pub span: Span,
}

/// One statement of a script.
#[derive(Debug, Clone)]
pub struct Statement {
    /// What it is.
    pub kind: StatementKind,
    /// Where it stands in the text, without the semicolon.
    pub span: Span,
    /// Its own text, after variables were substituted.
    pub text: String,
}

/// Every statement of the dialect.
#[derive(Debug, Clone)]
#[allow(clippy::large_enum_variant)]
pub enum StatementKind {
    /// CREATE [OR REPLACE] [SOURCE] STREAM|TABLE name (elements) WITH (…).
    CreateSource(CreateSource),
    /// CREATE [OR REPLACE] STREAM|TABLE name WITH (…) AS query.
    CreateAsSelect(CreateAsSelect),
    /// CREATE [OR REPLACE] VIEW name AS query (an ending or continuous query by name; ours).
    CreateView { or_replace: bool, if_not_exists: bool, name: Ident, query: Query },
    /// INSERT INTO target [WITH (…)] query.
    InsertSelect { target: Ident, properties: Properties, query: Query },
    /// INSERT INTO target [(columns)] [NULL] VALUES (…), …. `tombstones`: NULL VALUES (ours): the rows are keys, and
    /// their values are NULL.
    InsertValues { target: Ident, columns: Vec<Ident>, rows: Vec<Vec<Expr>>, tombstones: bool },
    /// DELETE FROM table WHERE … (ours).
    Delete { target: Ident, condition: Option<Expr> },
    /// DROP STREAM|TABLE|VIEW [IF EXISTS] name [DELETE TOPIC].
    Drop { object: ObjectKind, if_exists: bool, name: Ident, delete_topic: bool },
    /// ALTER STREAM|TABLE name ADD [COLUMN] c type, ….
    AlterSource { object: ObjectKind, name: Ident, add: Vec<ColumnDef> },
    /// CREATE TYPE [IF NOT EXISTS] name AS type.
    CreateType { if_not_exists: bool, name: Ident, ty: TypeName },
    /// DROP TYPE [IF EXISTS] name.
    DropType { if_exists: bool, name: Ident },
    /// CREATE SOURCE|SINK CONNECTOR [IF NOT EXISTS] name WITH (…).
    CreateConnector { source: bool, if_not_exists: bool, name: Ident, properties: Properties },
    /// DROP CONNECTOR [IF EXISTS] name.
    DropConnector { if_exists: bool, name: Ident },
    /// A query: continuous (with EMIT) or ending.
    Query(Query),
    /// SHOW|LIST ….
    Show(Show),
    /// DESCRIBE name [EXTENDED].
    Describe { name: Ident, extended: bool },
    /// DESCRIBE FUNCTION name.
    DescribeFunction { name: Ident },
    /// DESCRIBE CONNECTOR name.
    DescribeConnector { name: Ident },
    /// DESCRIBE STREAMS|TABLES [EXTENDED].
    DescribeAll { object: ObjectKind, extended: bool },
    /// EXPLAIN [ANALYZE] statement.
    Explain { analyze: bool, statement: Box<Statement> },
    /// EXPLAIN [ANALYZE] query_id.
    ExplainQuery { analyze: bool, id: Ident },
    /// TERMINATE id | ALL.
    Terminate(QueryTarget),
    /// PAUSE id | ALL.
    Pause(QueryTarget),
    /// RESUME id | ALL.
    Resume(QueryTarget),
    /// PRINT topic [FROM BEGINNING] [INTERVAL|SAMPLE n] [LIMIT n].
    Print { topic: Ident, from_beginning: bool, interval: Option<u64>, limit: Option<u64> },
    /// SET 'name' = 'value' (and PostgreSQL's SET name = value, SET name TO value).
    Set { name: String, value: String },
    /// UNSET 'name'.
    Unset { name: String },
    /// ALTER SYSTEM 'name' = 'value'.
    AlterSystem { name: String, value: String },
    /// DEFINE name = 'value'.
    Define { name: Ident, value: String },
    /// UNDEFINE name.
    Undefine { name: Ident },
    /// RUN SCRIPT 'path'.
    RunScript { path: String },
    /// ASSERT [NOT EXISTS] TOPIC name [WITH (…)] [TIMEOUT n unit].
    AssertTopic { exists: bool, topic: Ident, properties: Properties, timeout_ms: Option<u64> },
    /// ASSERT [NOT EXISTS] SCHEMA [SUBJECT s] [ID n] [TIMEOUT n unit].
    AssertSchema { exists: bool, subject: Option<String>, id: Option<u64>, timeout_ms: Option<u64> },
    /// ASSERT VALUES source (columns) VALUES (…): a test statement.
    AssertValues { source: Ident, columns: Vec<Ident>, values: Vec<Expr> },
    /// ASSERT NULL VALUES source (key columns) KEY (…): a test statement.
    AssertTombstone { source: Ident, columns: Vec<Ident>, values: Vec<Expr> },
    /// ASSERT STREAM|TABLE name (elements) WITH (…): a test statement.
    AssertSource(CreateSource),
    /// PostgreSQL: BEGIN, COMMIT, ROLLBACK, START TRANSACTION …, accepted and empty.
    Transaction(TransactionKind),
    /// PostgreSQL: DECLARE name [BINARY] [NO SCROLL] CURSOR [WITH HOLD] FOR query.
    DeclareCursor { name: Ident, query: Query },
    /// PostgreSQL: FETCH [FORWARD] [n|ALL|NEXT] [FROM|IN] name.
    Fetch { name: Ident, count: Option<u64> },
    /// PostgreSQL: CLOSE name | ALL (`None`).
    Close { name: Option<Ident> },
    /// PostgreSQL: COPY source [(columns)] FROM STDIN [WITH] (options).
    CopyFrom { target: Ident, columns: Vec<Ident>, options: CopyOptions },
    /// PostgreSQL: COPY (query) | source TO STDOUT [WITH] (options).
    CopyTo { query: Query, options: CopyOptions },
    /// PostgreSQL: DISCARD ALL, DEALLOCATE …, RESET …: accepted without effect.
    Discard,
    /// PostgreSQL: SHOW name (a session variable such as server_version); `ALL` for all.
    ShowVariable { name: String },
}

/// BEGIN, COMMIT, ROLLBACK.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TransactionKind {
    /// BEGIN, START TRANSACTION.
    Begin,
    /// COMMIT, END.
    Commit,
    /// ROLLBACK, ABORT.
    Rollback,
}

/// STREAM, TABLE or VIEW.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ObjectKind {
    /// STREAM.
    Stream,
    /// TABLE.
    Table,
    /// VIEW.
    View,
}

/// Which queries.
#[derive(Debug, Clone)]
pub enum QueryTarget {
    /// One.
    Id(Ident),
    /// All.
    All,
}

/// What SHOW shows.
#[derive(Debug, Clone)]
pub struct Show {
    /// The kind of thing.
    pub what: ShowWhat,
    /// EXTENDED.
    pub extended: bool,
}

/// The things that SHOW can list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ShowWhat {
    /// STREAMS.
    Streams,
    /// TABLES.
    Tables,
    /// VIEWS.
    Views,
    /// [ALL] TOPICS.
    Topics { all: bool },
    /// QUERIES.
    Queries,
    /// FUNCTIONS.
    Functions,
    /// TYPES.
    Types,
    /// PROPERTIES.
    Properties,
    /// VARIABLES.
    Variables,
    /// [SOURCE|SINK] CONNECTORS.
    Connectors,
    /// CONNECTOR PLUGINS.
    ConnectorPlugins,
}

/// Options of COPY.
#[derive(Debug, Clone, Default)]
pub struct CopyOptions {
    /// FORMAT csv rather than text.
    pub csv: bool,
    /// DELIMITER.
    pub delimiter: Option<char>,
    /// NULL.
    pub null: Option<String>,
    /// HEADER.
    pub header: bool,
    /// QUOTE.
    pub quote: Option<char>,
}

/// CREATE STREAM or TABLE over a topic.
#[derive(Debug, Clone)]
pub struct CreateSource {
    /// STREAM or TABLE.
    pub object: ObjectKind,
    /// OR REPLACE.
    pub or_replace: bool,
    /// IF NOT EXISTS.
    pub if_not_exists: bool,
    /// SOURCE: read only, a table is materialized.
    pub is_source: bool,
    /// Its name.
    pub name: Ident,
    /// Its columns; empty when they are to be inferred.
    pub elements: Vec<ColumnDef>,
    /// WITH.
    pub properties: Properties,
}

/// CREATE STREAM or TABLE … AS SELECT.
#[derive(Debug, Clone)]
pub struct CreateAsSelect {
    /// STREAM or TABLE.
    pub object: ObjectKind,
    /// OR REPLACE.
    pub or_replace: bool,
    /// IF NOT EXISTS.
    pub if_not_exists: bool,
    /// Its name.
    pub name: Ident,
    /// WITH.
    pub properties: Properties,
    /// AS.
    pub query: Query,
}

/// A column of CREATE STREAM or TABLE.
#[derive(Debug, Clone)]
pub struct ColumnDef {
    /// Its name.
    pub name: Ident,
    /// Its type.
    pub ty: TypeName,
    /// KEY, PRIMARY KEY, HEADERS, HEADER('k').
    pub constraint: Option<ColumnConstraint>,
    /// The whole element.
    pub span: Span,
}

/// What follows a column's type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ColumnConstraint {
    /// KEY.
    Key,
    /// PRIMARY KEY.
    PrimaryKey,
    /// HEADERS.
    Headers,
    /// HEADER('name').
    Header(String),
}

/// A type as typed.
#[derive(Debug, Clone)]
pub struct TypeName {
    /// What it is.
    pub kind: TypeKind,
    /// Where it stands.
    pub span: Span,
}

/// The shapes of types.
#[derive(Debug, Clone)]
pub enum TypeKind {
    /// A name: INT, VARCHAR, a user's own type …; VARCHAR(n) loses its n.
    Named(Ident),
    /// DECIMAL(p, s); both absent for a bare DECIMAL.
    Decimal(Option<(u32, u32)>),
    /// ARRAY<t>.
    Array(Box<TypeName>),
    /// MAP<k, v>.
    Map(Box<TypeName>, Box<TypeName>),
    /// STRUCT<f t, …>.
    Struct(Vec<(Ident, TypeName)>),
}

/// WITH (name = literal, …): names upper case, in order. Values are constant expressions.
#[derive(Debug, Clone, Default)]
pub struct Properties {
    /// By upper-case name.
    pub entries: IndexMap<String, Property>,
    /// The whole clause.
    pub span: Span,
}

/// One property.
#[derive(Debug, Clone)]
pub struct Property {
    /// Where its name stands.
    pub name_span: Span,
    /// Its value.
    pub value: Literal,
    /// Where its value stands.
    pub span: Span,
}

/// A query in the streaming grammar, or any other SQL.
#[derive(Debug, Clone)]
pub struct Query {
    /// WITH name AS (query), ….
    pub ctes: Vec<(Ident, Query)>,
    /// The body.
    pub body: QueryBody,
    /// EMIT CHANGES or FINAL; absent: the query ends (or, in CREATE AS, EMIT CHANGES is meant).
    pub emit: Option<Emit>,
    /// LIMIT.
    pub limit: Option<u64>,
    /// The whole query.
    pub span: Span,
    /// The query's own text.
    pub text: String,
}

/// The body of a query.
#[derive(Debug, Clone)]
#[allow(clippy::large_enum_variant)]
pub enum QueryBody {
    /// One SELECT.
    Select(Select),
    /// SELECT … UNION ALL SELECT … .
    UnionAll(Vec<Select>),
    /// Not in the streaming grammar, so only for queries that end: sqlparser's own tree (identifiers not folded).
    General(Box<sqlparser::ast::Query>),
}

/// EMIT ….
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Emit {
    /// Every change as it happens.
    Changes,
    /// One result a window, when it closes. `idle_ms`: windows close, too, when no record has come for that long
    /// (ours).
    Final { idle_ms: Option<i64> },
}

/// One SELECT of the streaming grammar.
#[derive(Debug, Clone)]
pub struct Select {
    /// DISTINCT.
    pub distinct: bool,
    /// What is selected.
    pub projection: Vec<SelectItem>,
    /// FROM; absent in `SELECT 1`.
    pub from: Option<Relation>,
    /// WINDOW ….
    pub window: Option<Window>,
    /// WHERE.
    pub filter: Option<Expr>,
    /// GROUP BY.
    pub group_by: Vec<Expr>,
    /// INCLUDE NULLS behind GROUP BY (ours): NULL is a group, too.
    pub null_groups: bool,
    /// PARTITION BY.
    pub partition_by: Vec<Expr>,
    /// HAVING.
    pub having: Option<Expr>,
    /// The whole clause list.
    pub span: Span,
}

/// An item of the select list.
#[derive(Debug, Clone)]
#[allow(clippy::large_enum_variant)]
pub enum SelectItem {
    /// `*` or `a.*`.
    All { qualifier: Option<Ident>, span: Span },
    /// `s->*`.
    StructAll { base: Expr, span: Span },
    /// `expr [AS alias]`.
    Expr { expr: Expr, alias: Option<Ident> },
}

/// What is read from.
#[derive(Debug, Clone)]
#[allow(clippy::large_enum_variant)]
pub enum Relation {
    /// A stream, table or view by name.
    Named { name: Ident, alias: Option<Ident>, options: Properties },
    /// A subquery.
    Subquery { query: Box<Query>, alias: Option<Ident>, span: Span },
    /// A join.
    Join(Box<Join>),
}

/// left JOIN right.
#[derive(Debug, Clone)]
pub struct Join {
    /// The left side.
    pub left: Relation,
    /// The right side.
    pub right: Relation,
    /// INNER, LEFT, RIGHT, FULL.
    pub kind: JoinKind,
    /// WITHIN ….
    pub within: Option<Within>,
    /// ON.
    pub on: Expr,
    /// From JOIN to the end of ON.
    pub span: Span,
}

/// Kinds of joins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum JoinKind {
    /// [INNER] JOIN.
    Inner,
    /// LEFT [OUTER] JOIN.
    Left,
    /// RIGHT [OUTER] JOIN.
    Right,
    /// FULL [OUTER] JOIN, OUTER JOIN.
    Full,
}

/// WITHIN d | (before, after) [GRACE PERIOD g].
#[derive(Debug, Clone, Copy)]
pub struct Within {
    /// How much older the right record may be, ms.
    pub before_ms: i64,
    /// How much younger the right record may be, ms.
    pub after_ms: i64,
    /// GRACE PERIOD, ms.
    pub grace_ms: Option<i64>,
    /// The whole clause.
    pub span: Span,
}

/// WINDOW [name] ….
#[derive(Debug, Clone, Copy)]
pub struct Window {
    /// Which kind.
    pub kind: WindowKind,
    /// RETENTION, ms.
    pub retention_ms: Option<i64>,
    /// GRACE PERIOD, ms.
    pub grace_ms: Option<i64>,
    /// The whole clause.
    pub span: Span,
}

/// Kinds of windows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WindowKind {
    /// TUMBLING (SIZE …).
    Tumbling { size_ms: i64 },
    /// HOPPING (SIZE …, ADVANCE BY …).
    Hopping { size_ms: i64, advance_ms: i64 },
    /// SESSION (gap).
    Session { gap_ms: i64 },
}

/// An expression.
#[derive(Debug, Clone)]
pub struct Expr {
    /// What it is.
    pub kind: ExprKind,
    /// Where it stands.
    pub span: Span,
}

/// A constant as typed.
#[derive(Debug, Clone, PartialEq)]
pub enum Literal {
    /// NULL.
    Null,
    /// TRUE, FALSE.
    Boolean(bool),
    /// Digits only, optionally signed: INT if it fits, else BIGINT, else DECIMAL.
    Integer(String),
    /// With a point and without an exponent: DECIMAL.
    Decimal(String),
    /// With an exponent: DOUBLE.
    Double(String),
    /// 'text'.
    String(String),
}

/// Kinds of expressions.
#[derive(Debug, Clone)]
#[allow(clippy::large_enum_variant)]
pub enum ExprKind {
    /// A constant.
    Literal(Literal),
    /// `$1`, `$2`, …: a parameter of the extended protocol, from 1.
    Parameter(usize),
    /// `name` or `qualifier.name`.
    Column { qualifier: Option<Ident>, name: Ident },
    /// `-e`, `+e`, `NOT e`.
    Unary { op: UnaryOp, expr: Box<Expr> },
    /// `l op r`.
    Binary { op: BinaryOp, left: Box<Expr>, right: Box<Expr> },
    /// `e IS [NOT] NULL`.
    IsNull { expr: Box<Expr>, negated: bool },
    /// `e [NOT] BETWEEN low AND high`.
    Between { expr: Box<Expr>, low: Box<Expr>, high: Box<Expr>, negated: bool },
    /// `e [NOT] IN (…)`.
    InList { expr: Box<Expr>, list: Vec<Expr>, negated: bool },
    /// `e [NOT] LIKE pattern [ESCAPE c]`.
    Like { expr: Box<Expr>, pattern: Box<Expr>, escape: Option<char>, negated: bool },
    /// `CASE [operand] WHEN … THEN … ELSE … END`.
    Case { operand: Option<Box<Expr>>, branches: Vec<(Expr, Expr)>, otherwise: Option<Box<Expr>> },
    /// `CAST(e AS t)`, `e::t`.
    Cast { expr: Box<Expr>, ty: TypeName },
    /// `f([DISTINCT] args) [FILTER (WHERE …)]`; `COUNT(*)` has `star`.
    Call { name: Ident, distinct: bool, star: bool, args: Vec<Expr>, filter: Option<Box<Expr>> },
    /// `x => …`, `(x, y) => …`.
    Lambda { params: Vec<Ident>, body: Box<Expr> },
    /// `a[i]`, `m['k']`.
    Subscript { base: Box<Expr>, index: Box<Expr> },
    /// `s->f`.
    Deref { base: Box<Expr>, field: Ident },
    /// `STRUCT(a := 1, …)`.
    Struct(Vec<(Ident, Expr)>),
    /// `ARRAY[…]`.
    Array(Vec<Expr>),
    /// `MAP(k := v, …)`.
    Map(Vec<(Expr, Expr)>),
    /// A bare unit of time as an argument, as in `TIMESTAMPADD(SECONDS, 1, t)`; upper case, plural (`SECONDS`).
    TimeUnit(String),
}

/// Operators before an expression.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UnaryOp {
    /// `-`.
    Minus,
    /// `+`.
    Plus,
    /// NOT.
    Not,
}

/// Operators between two expressions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum BinaryOp {
    /// `+`.
    Add,
    /// `-`.
    Subtract,
    /// `*`.
    Multiply,
    /// `/`.
    Divide,
    /// `%`.
    Modulo,
    /// `||`.
    Concat,
    /// `=`.
    Eq,
    /// `<>`, `!=`.
    NotEq,
    /// `<`.
    Lt,
    /// `<=`.
    LtEq,
    /// `>`.
    Gt,
    /// `>=`.
    GtEq,
    /// `IS DISTINCT FROM`.
    IsDistinct,
    /// `IS NOT DISTINCT FROM`.
    IsNotDistinct,
    /// AND.
    And,
    /// OR.
    Or,
}
