//! Statements as text, without the semicolon.

use std::fmt::{self, Display, Formatter};

use super::{Commas, OptionalProperties, Quoted, when};
use crate::{
    ast::{
        CopyOptions, CreateAsSelect, CreateSource, Ident, ObjectKind, QueryTarget, Show, ShowWhat, Statement,
        StatementKind, TransactionKind,
    },
    units::written,
};

impl Display for Statement {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        self.kind.fmt(f)
    }
}

impl Display for StatementKind {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            StatementKind::CreateSource(create) => {
                let source = when(create.is_source, "SOURCE ");
                write!(f, "CREATE {}{source}", when(create.or_replace, "OR REPLACE "))?;
                source_body(f, create)
            }
            StatementKind::CreateAsSelect(create) => create_as(f, create),
            StatementKind::CreateView { or_replace, if_not_exists, name, query } => {
                let (replace, absent) = (when(*or_replace, "OR REPLACE "), if_not(*if_not_exists));
                write!(f, "CREATE {replace}VIEW {absent}{name} AS {query}")
            }
            StatementKind::InsertSelect { target, properties, query } => {
                write!(f, "INSERT INTO {target}{} {query}", OptionalProperties(properties))
            }
            StatementKind::InsertValues { target, columns, rows, tombstones } => {
                write!(f, "INSERT INTO {target}{}{} VALUES ", Columns(columns), when(*tombstones, " NULL"))?;
                for (i, row) in rows.iter().enumerate() {
                    write!(f, "{}({})", if i == 0 { "" } else { ", " }, Commas(row))?;
                }
                Ok(())
            }
            StatementKind::Delete { target, condition: None } => write!(f, "DELETE FROM {target}"),
            StatementKind::Delete { target, condition: Some(condition) } => {
                write!(f, "DELETE FROM {target} WHERE {condition}")
            }
            StatementKind::Drop { object, if_exists, name, delete_topic } => {
                let topic = when(*delete_topic, " DELETE TOPIC");
                write!(f, "DROP {object} {}{name}{topic}", when(*if_exists, "IF EXISTS "))
            }
            StatementKind::AlterSource { object, name, add } => {
                write!(f, "ALTER {object} {name}")?;
                for (i, column) in add.iter().enumerate() {
                    write!(f, "{} ADD COLUMN {column}", when(i > 0, ","))?;
                }
                Ok(())
            }
            StatementKind::CreateType { if_not_exists, name, ty } => {
                write!(f, "CREATE TYPE {}{name} AS {ty}", if_not(*if_not_exists))
            }
            StatementKind::DropType { if_exists, name } => {
                write!(f, "DROP TYPE {}{name}", when(*if_exists, "IF EXISTS "))
            }
            StatementKind::CreateConnector { source, if_not_exists, name, properties } => {
                let side = if *source { "SOURCE" } else { "SINK" };
                write!(f, "CREATE {side} CONNECTOR {}{name} {properties}", if_not(*if_not_exists))
            }
            StatementKind::DropConnector { if_exists, name } => {
                write!(f, "DROP CONNECTOR {}{name}", when(*if_exists, "IF EXISTS "))
            }
            StatementKind::Query(query) => query.fmt(f),
            other => administration(f, other),
        }
    }
}

/// Statements that look and ask rather than define.
fn administration(f: &mut Formatter<'_>, kind: &StatementKind) -> fmt::Result {
    match kind {
        StatementKind::Show(show) => show.fmt(f),
        StatementKind::Describe { name, extended } => write!(f, "DESCRIBE {name}{}", when(*extended, " EXTENDED")),
        StatementKind::DescribeFunction { name } => write!(f, "DESCRIBE FUNCTION {name}"),
        StatementKind::DescribeConnector { name } => write!(f, "DESCRIBE CONNECTOR {name}"),
        StatementKind::DescribeAll { object, extended } => {
            write!(f, "DESCRIBE {object}S{}", when(*extended, " EXTENDED"))
        }
        StatementKind::Explain { analyze, statement } => write!(f, "EXPLAIN {}{statement}", when(*analyze, "ANALYZE ")),
        StatementKind::ExplainQuery { analyze, id } => write!(f, "EXPLAIN {}{id}", when(*analyze, "ANALYZE ")),
        StatementKind::Terminate(target) => write!(f, "TERMINATE {target}"),
        StatementKind::Pause(target) => write!(f, "PAUSE {target}"),
        StatementKind::Resume(target) => write!(f, "RESUME {target}"),
        StatementKind::Print { topic, from_beginning, interval, limit } => {
            write!(f, "PRINT {topic}{}", when(*from_beginning, " FROM BEGINNING"))?;
            optional(f, " INTERVAL ", interval)?;
            optional(f, " LIMIT ", limit)
        }
        StatementKind::Set { name, value } => write!(f, "SET {} = {}", Quoted(name), Quoted(value)),
        StatementKind::Unset { name } => write!(f, "UNSET {}", Quoted(name)),
        StatementKind::AlterSystem { name, value } => {
            write!(f, "ALTER SYSTEM {} = {}", Quoted(name), Quoted(value))
        }
        StatementKind::Define { name, value } => write!(f, "DEFINE {name} = {}", Quoted(value)),
        StatementKind::Undefine { name } => write!(f, "UNDEFINE {name}"),
        StatementKind::RunScript { path } => write!(f, "RUN SCRIPT {}", Quoted(path)),
        other => assertion(f, other),
    }
}

fn assertion(f: &mut Formatter<'_>, kind: &StatementKind) -> fmt::Result {
    let negation = |exists: bool| when(!exists, "NOT EXISTS ");
    match kind {
        StatementKind::AssertTopic { exists, topic, properties, timeout_ms } => {
            write!(f, "ASSERT {}TOPIC {topic}{}", negation(*exists), OptionalProperties(properties))?;
            timeout(f, *timeout_ms)
        }
        StatementKind::AssertSchema { exists, subject, id, timeout_ms } => {
            write!(f, "ASSERT {}SCHEMA", negation(*exists))?;
            optional(f, " SUBJECT ", &subject.as_deref().map(Quoted))?;
            optional(f, " ID ", id)?;
            timeout(f, *timeout_ms)
        }
        StatementKind::AssertValues { source, columns, values } => {
            write!(f, "ASSERT VALUES {source}{} VALUES ({})", Columns(columns), Commas(values))
        }
        StatementKind::AssertTombstone { source, columns, values } => {
            write!(f, "ASSERT NULL VALUES {source}{} KEY ({})", Columns(columns), Commas(values))
        }
        StatementKind::AssertSource(create) => {
            f.write_str("ASSERT ")?;
            source_body(f, create)
        }
        other => postgres(f, other),
    }
}

fn postgres(f: &mut Formatter<'_>, kind: &StatementKind) -> fmt::Result {
    match kind {
        StatementKind::Transaction(TransactionKind::Begin) => f.write_str("BEGIN"),
        StatementKind::Transaction(TransactionKind::Commit) => f.write_str("COMMIT"),
        StatementKind::Transaction(TransactionKind::Rollback) => f.write_str("ROLLBACK"),
        StatementKind::DeclareCursor { name, query } => write!(f, "DECLARE {name} CURSOR FOR {query}"),
        StatementKind::Fetch { name, count: Some(count) } => write!(f, "FETCH {count} FROM {name}"),
        StatementKind::Fetch { name, count: None } => write!(f, "FETCH ALL FROM {name}"),
        StatementKind::Close { name: Some(name) } => write!(f, "CLOSE {name}"),
        StatementKind::Close { name: None } => f.write_str("CLOSE ALL"),
        StatementKind::CopyFrom { target, columns, options } => {
            write!(f, "COPY {target}{} FROM STDIN{options}", Columns(columns))
        }
        StatementKind::CopyTo { query, options } => write!(f, "COPY ({query}) TO STDOUT{options}"),
        StatementKind::Discard => f.write_str("DISCARD ALL"),
        StatementKind::ShowVariable { name } if name == "ALL" => f.write_str("SHOW ALL"),
        StatementKind::ShowVariable { name } => write!(f, "SHOW {}", types::quote_ident(name)),
        // All others have been printed before.
        _ => Err(fmt::Error),
    }
}

/// ` (a, b)`, or nothing.
struct Columns<'a>(&'a [Ident]);

impl Display for Columns<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() { Ok(()) } else { write!(f, " ({})", Commas(self.0)) }
    }
}

fn if_not(if_not_exists: bool) -> &'static str {
    when(if_not_exists, "IF NOT EXISTS ")
}

fn optional<T: Display>(f: &mut Formatter<'_>, before: &str, value: &Option<T>) -> fmt::Result {
    match value {
        Some(value) => write!(f, "{before}{value}"),
        None => Ok(()),
    }
}

fn timeout(f: &mut Formatter<'_>, timeout_ms: Option<u64>) -> fmt::Result {
    match timeout_ms.map(i64::try_from) {
        Some(Ok(ms)) => write!(f, " TIMEOUT {}", written(ms)),
        Some(Err(_)) => Err(fmt::Error),
        None => Ok(()),
    }
}

/// From STREAM or TABLE on.
fn source_body(f: &mut Formatter<'_>, create: &CreateSource) -> fmt::Result {
    write!(f, "{} {}{}", create.object, if_not(create.if_not_exists), create.name)?;
    if !create.elements.is_empty() {
        write!(f, " ({})", Commas(&create.elements))?;
    }
    OptionalProperties(&create.properties).fmt(f)
}

fn create_as(f: &mut Formatter<'_>, create: &CreateAsSelect) -> fmt::Result {
    let (replace, absent) = (when(create.or_replace, "OR REPLACE "), if_not(create.if_not_exists));
    let properties = OptionalProperties(&create.properties);
    write!(f, "CREATE {replace}{} {absent}{}{properties} AS {}", create.object, create.name, create.query)
}

impl Display for ObjectKind {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            ObjectKind::Stream => "STREAM",
            ObjectKind::Table => "TABLE",
            ObjectKind::View => "VIEW",
        })
    }
}

impl Display for QueryTarget {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            QueryTarget::Id(id) => id.fmt(f),
            QueryTarget::All => f.write_str("ALL"),
        }
    }
}

impl Display for Show {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let what = match self.what {
            ShowWhat::Streams => "STREAMS",
            ShowWhat::Tables => "TABLES",
            ShowWhat::Views => "VIEWS",
            ShowWhat::Topics { all: false } => "TOPICS",
            ShowWhat::Topics { all: true } => "ALL TOPICS",
            ShowWhat::Queries => "QUERIES",
            ShowWhat::Functions => "FUNCTIONS",
            ShowWhat::Types => "TYPES",
            ShowWhat::Properties => "PROPERTIES",
            ShowWhat::Variables => "VARIABLES",
            ShowWhat::Connectors => "CONNECTORS",
            ShowWhat::ConnectorPlugins => "CONNECTOR PLUGINS",
        };
        write!(f, "SHOW {what}{}", when(self.extended, " EXTENDED"))
    }
}

impl Display for CopyOptions {
    /// ` WITH (…)`, or nothing when all is as usual.
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let character = |c: Option<char>| c.map(String::from);
        let mut options = Vec::new();
        options.extend(self.csv.then(|| "FORMAT CSV".to_owned()));
        options.extend(self.header.then(|| "HEADER".to_owned()));
        options.extend(character(self.delimiter).map(|c| format!("DELIMITER {}", Quoted(&c))));
        options.extend(self.null.as_deref().map(|text| format!("NULL {}", Quoted(text))));
        options.extend(character(self.quote).map(|c| format!("QUOTE {}", Quoted(&c))));
        if options.is_empty() { Ok(()) } else { write!(f, " WITH ({})", Commas(&options)) }
    }
}
