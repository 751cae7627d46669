//! A case as a value: what to do and what must come of it, whichever file format it was written in.
//!
//! Expected values stay JSON: what a field means is decided by the type of the column it is compared with, and that is
//! known only when the statements have run.

use serde_json::Value;

/// One test.
#[derive(Debug, Clone)]
pub struct Case {
    /// Folder and file name, as in `queries/sum.json`.
    pub file: String,
    /// Its name; unique in the file.
    pub name: String,
    /// What it is.
    pub body: Body,
}

/// The kinds of cases.
#[derive(Debug, Clone)]
pub enum Body {
    /// Statements, then records in, then records out.
    Records(Box<RecordsCase>),
    /// Statements of a script with assertions between them.
    Script(ScriptCase),
}

/// Statements, then records in, then records out; perhaps answers to queries, and the catalog afterwards.
#[derive(Debug, Clone, Default)]
pub struct RecordsCase {
    /// Run in this order; each text may hold several statements.
    pub statements: Vec<String>,
    /// Set before the statements: name, value.
    pub properties: Vec<(String, String)>,
    /// Topics that exist before the statements.
    pub topics: Vec<TopicSpec>,
    /// Records to write, in this order.
    pub inputs: Vec<RecordSpec>,
    /// Records to find: for each topic named here all of its records, in order.
    pub outputs: Vec<RecordSpec>,
    /// What must fail.
    pub expected_error: Option<ExpectedError>,
    /// Sources that the catalog must hold afterwards.
    pub sources: Vec<SourceSpec>,
    /// Topics that must exist afterwards.
    pub topics_after: Vec<TopicAfter>,
    /// A pattern that no topic's whole name may match.
    pub forbidden_topics: Option<String>,
    /// Answers to the queries among the statements, in order.
    pub answers: Vec<Answer>,
    /// Records are written after the queries have begun, not before.
    pub queries_first: bool,
}

/// A topic that exists before the statements.
#[derive(Debug, Clone, Default)]
pub struct TopicSpec {
    /// Its name.
    pub name: String,
    /// Its partitions; `None`: the default.
    pub partitions: Option<u32>,
    /// Its replicas.
    pub replicas: Option<u16>,
    /// Format and registered schema of its keys.
    pub key: SideSpec,
    /// Format and registered schema of its values.
    pub value: SideSpec,
}

/// What is known of one side of a topic's records.
#[derive(Debug, Clone, Default)]
pub struct SideSpec {
    /// The format's name, upper case.
    pub format: Option<String>,
    /// The schema registered for it.
    pub schema: Option<Value>,
    /// The id that the schema has.
    pub schema_id: Option<i32>,
    /// Schemas that it imports: name, text.
    pub references: Vec<(String, Value)>,
}

/// A record to write or to find.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct RecordSpec {
    /// Its topic.
    pub topic: String,
    /// Its key; null: none.
    pub key: Value,
    /// Its value; null: a tombstone.
    pub value: Value,
    /// Its time, ms; `None`: 0 when written, anything when found.
    pub timestamp: Option<i64>,
    /// The window of its key.
    pub window: Option<WindowSpec>,
    /// Its headers; `None`: none when written, anything when found.
    pub headers: Option<Vec<HeaderSpec>>,
}

/// A key's window.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WindowSpec {
    /// First ms.
    pub start: i64,
    /// End, ms: exclusive, but inclusive for sessions.
    pub end: Option<i64>,
    /// Whether it is a session.
    pub session: bool,
}

/// A header.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeaderSpec {
    /// Its name.
    pub name: String,
    /// Its value.
    pub value: Option<Vec<u8>>,
}

/// What must fail.
#[derive(Debug, Clone, Default)]
pub struct ExpectedError {
    /// What the dialect's reference implementation says.
    pub message: Option<String>,
    /// The reference implementation's kind of error; only whether it is one of parsing means something here.
    pub kind: String,
}

/// A source as the catalog must hold it. What is `None` is not looked at.
#[derive(Debug, Clone, Default)]
pub struct SourceSpec {
    /// Its name.
    pub name: String,
    /// Whether it is a table.
    pub is_table: Option<bool>,
    /// Its columns, as CREATE would list them.
    pub schema: Option<String>,
    /// Its keys.
    pub key: FormatSpec,
    /// Its values.
    pub value: FormatSpec,
    /// Whether it is read only.
    pub read_only: Option<bool>,
}

/// A format as the catalog must hold it. What is `None` is not looked at.
#[derive(Debug, Clone, Default)]
pub struct FormatSpec {
    /// Its name, upper case.
    pub format: Option<String>,
    /// `TUMBLING`, `HOPPING`, `SESSION`.
    pub window_type: Option<String>,
    /// Ms.
    pub window_size_ms: Option<i64>,
    /// `WRAP_SINGLES`, `UNWRAP_SINGLES`.
    pub features: Option<Vec<String>>,
    /// The registered schema.
    pub schema: Option<Value>,
}

/// A topic as it must be afterwards.
#[derive(Debug, Clone, Default)]
pub struct TopicAfter {
    /// Its name.
    pub name: String,
    /// Its partitions.
    pub partitions: Option<u32>,
    /// Its replicas.
    pub replicas: Option<u16>,
    /// Its keys.
    pub key: FormatSpec,
    /// Its values.
    pub value: FormatSpec,
}

/// What a query must answer.
#[derive(Debug, Clone, Default)]
pub struct Answer {
    /// The columns, as CREATE would list them.
    pub schema: Option<String>,
    /// The rows.
    pub rows: Vec<AnswerRow>,
    /// Whether it must end by itself.
    pub ends: bool,
}

/// A row of an answer.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct AnswerRow {
    /// Its cells.
    pub cells: Vec<Value>,
    /// Whether it deletes the row of its key.
    pub tombstone: bool,
}

/// Statements of a script with assertions between them.
#[derive(Debug, Clone)]
pub struct ScriptCase {
    /// The script's part from this case's name to the next one's.
    pub text: String,
    /// The line of the file at which the text begins, from 1.
    pub first_line: usize,
    /// Where files that RUN SCRIPT names are looked for.
    pub directory: std::path::PathBuf,
    /// The case must fail so.
    pub expected_error: Option<ExpectedError>,
}

impl Case {
    /// How the case is named in lists: `queries/sum.json: sum int`.
    pub fn title(&self) -> String {
        format!("{}: {}", self.file, self.name)
    }

    /// The folder of its file; empty when it has none.
    pub fn folder(&self) -> &str {
        self.file.rsplit_once('/').map_or("", |(folder, _)| folder)
    }
}
