//! Running a case of a script: the engine runs the statements, this module runs the assertions.
//!
//! Records that INSERT writes wait until something looks at what became of them, so that an epoch holds all of them
//! where the cut allows it. An assertion about values takes the next record of its topic that none before took.

use std::{collections::HashMap, fs, path::Path, sync::Arc};

use arrow::array::{Array, ArrayRef};
use catalog::{KeyWindow, Source, SourceKind};
use engine::Cut;
use formats::Part;
use serde_json::Value;
use syntax::ast::{CreateSource, Expr, Ident, Literal, ObjectKind, Properties, Statement, StatementKind};
use types::{Column, Error, Namespace, Result, Schema, SqlType};

use crate::{
    after::schema_of,
    case::ScriptCase,
    compare::{Rules, compare},
    culprit,
    failure::Failure,
    record::{Found, Shape},
    topics,
    value::to_json,
    world::{PARTITIONS, World},
};

/// The directive that lets time pass: `--@pass.ms: 30000`, before the statement that is to find it passed.
const PASS: &str = "--@pass.ms:";
/// How deep scripts may run scripts.
const SCRIPT_DEPTH_MAX: usize = 8;
/// SQLSTATE of an assertion that does not hold (PostgreSQL's `assert_failure`).
const ASSERTION: &str = "P0004";

/// A failed statement: its line in the file and its text.
struct Stop {
    error: Error,
    line: usize,
    text: String,
}

struct Script {
    world: World,
    /// Records taken, by topic.
    taken: HashMap<String, usize>,
}

/// Run the case on an engine of its own.
///
/// # Errors
/// A statement or an assertion fails where none should, or none where one should.
pub async fn run(case: &ScriptCase, cut: Cut) -> Result<(), Failure> {
    // A query sees what is written after it was made.
    let properties = [("auto.offset.reset".to_owned(), "latest".to_owned())];
    let world = World::open(&properties, PARTITIONS, cut).await;
    let world = world.map_err(|e| Failure::new(format!("the engine does not open: {e}")))?;
    let mut script = Script { world, taken: HashMap::new() };
    let ended = script.run_text(&case.text, case.first_line, &case.directory, 0).await;
    script.world.engine.shutdown().await;
    match (ended, &case.expected_error) {
        (Ok(()), None) => Ok(()),
        (Ok(()), Some(expected)) => {
            let message = expected.message.as_deref().unwrap_or("an error");
            Err(Failure::new("it succeeded where an error is expected").with(format!("expected: {message}\n")))
        }
        (Err(stop), None) => Err(Failure::new(format!("line {}: {}", stop.line, stop.error)).with(stop.lines())),
        (Err(stop), Some(expected)) => culprit::check(expected, &stop.error).map_err(|why| {
            let message = expected.message.as_deref().unwrap_or("an error");
            let reason = format!("line {}: another error is expected: {why}: {}", stop.line, stop.error);
            Failure::new(reason).with(format!("expected: {message}\n{}", stop.lines()))
        }),
    }
}

impl Stop {
    fn lines(&self) -> String {
        let error = &self.error;
        format!("{} [{}, {:?}]\n", error.render(&self.text), error.sqlstate(), error.kind())
    }
}

impl Script {
    async fn run_text(&mut self, text: &str, first_line: usize, directory: &Path, depth: usize) -> Result<(), Stop> {
        let (mut ranges, rest) = syntax::split_statements(text);
        ranges.extend(Some(rest).filter(|rest| !rest.is_empty()));
        let mut before = 0;
        for range in ranges {
            let passes = passing(text.get(before..range.end).unwrap_or_default());
            before = range.end;
            let line = first_line + text.get(..range.start).unwrap_or_default().matches('\n').count();
            let piece = text.get(range).unwrap_or_default();
            let stop = |error: Error| Stop { error, line, text: piece.to_owned() };
            if let Some(ms) = passes.map_err(stop)? {
                self.world.drive().await.map_err(stop)?;
                self.world.pass(ms);
            }
            for statement in self.world.session.parse(piece).map_err(stop)? {
                match &statement.kind {
                    StatementKind::RunScript { path } => {
                        let script = read_script(directory, path, depth).map_err(stop)?;
                        Box::pin(self.run_text(&script, 1, directory, depth + 1))
                            .await
                            .map_err(|s| Stop { line, ..s })?;
                    }
                    _ => self.run_statement(&statement).await.map_err(stop)?,
                }
            }
        }
        self.world.drive().await.map_err(|error| Stop { error, line: first_line, text: String::new() })
    }

    async fn run_statement(&mut self, statement: &Statement) -> Result<()> {
        if let StatementKind::InsertValues { .. } = &statement.kind {
            return self.world.run(&statement.text).await;
        }
        self.world.drive().await?;
        match &statement.kind {
            StatementKind::AssertValues { source, columns, values } => self.assert_row(source, columns, values, false),
            StatementKind::AssertTombstone { source, columns, values } => {
                self.assert_row(source, columns, values, true)
            }
            StatementKind::AssertSource(expected) => self.assert_source(expected),
            _ => self.world.run(&statement.text).await,
        }
    }

    fn source(&self, name: &Ident) -> Result<Arc<Source>> {
        let catalog = self.world.engine.catalog();
        let unknown = || Error::undefined_source(format!("source {} does not exist", name.value)).at(name.span);
        catalog.source(&name.value).cloned().ok_or_else(unknown)
    }

    fn assert_row(&mut self, name: &Ident, columns: &[Ident], values: &[Expr], tombstone: bool) -> Result<()> {
        let source = self.source(name)?;
        let mut shape = self.world.output_shape(&source.topic);
        shape.source = Some(Arc::clone(&source));
        let records = topics::read(&*self.world.engine.log(), &source.topic, &shape);
        let records = records.map_err(|f| Error::invalid(f.reason))?;
        let at = self.taken.entry(source.topic.clone()).or_insert(0);
        let number = *at;
        let Some(record) = records.get(number) else {
            return Err(failed(format!("{} has {number} records, one more is expected", source.name)));
        };
        *at += 1;
        let expected = expected_row(&source, name, columns, values)?;
        let actual = row_of(&shape, &record.found)?;
        let shown = || {
            let cells = actual.iter().map(|(n, _, v)| format!("{n}={v}")).collect::<Vec<_>>().join(", ");
            format!("record {number} of {} is {cells}", source.name)
        };
        if tombstone != record.found.value.is_none() {
            let (want, have) = if tombstone { ("a tombstone", "a row") } else { ("a row", "a tombstone") };
            return Err(failed(format!("record {number} of {}: expected {want}, found {have}", source.name))
                .with_detail(shown()));
        }
        for (name, ty, want) in expected {
            let have = actual.iter().find(|(n, _, _)| *n == name).map_or(&Value::Null, |(_, _, v)| v);
            compare(&want, have, Some(&ty), Rules { missing_is_null: true, ..Rules::STRICT })
                .map_err(|e| failed(format!("record {number} of {}: {name}{e}", source.name)).with_detail(shown()))?;
        }
        Ok(())
    }

    fn assert_source(&self, expected: &CreateSource) -> Result<()> {
        let source = self.source(&expected.name)?;
        let name = &source.name;
        let is_table = expected.object == ObjectKind::Table;
        if is_table != (source.kind == SourceKind::Table) {
            return Err(failed(format!("Expected type does not match actual for source {name}: {:?}", source.kind)));
        }
        let schema = schema_of(&expected.elements).map_err(Error::invalid)?;
        if schema != source.schema {
            let message = format!("Expected schema does not match actual for source {name}: {schema}");
            return Err(failed(message).with_detail(format!("it is {}", source.schema)));
        }
        check_properties(expected, &source)
    }
}

/// The time that directives in `text` let pass before the statement that they stand before, ms.
fn passing(text: &str) -> Result<Option<u32>> {
    let mut passing = None;
    for written in text.lines().filter_map(|line| line.trim().strip_prefix(PASS)) {
        let ms: u32 = written.trim().parse().map_err(|_| Error::invalid(format!("{PASS} takes milliseconds")))?;
        passing = Some(passing.map_or(ms, |sum: u32| sum.saturating_add(ms)));
    }
    Ok(passing)
}

fn failed(message: String) -> Error {
    Error::new(types::ErrorKind::User, ASSERTION, message)
}

fn text_property(properties: &Properties, name: &str) -> Option<String> {
    match &properties.entries.get(name)?.value {
        Literal::String(text) | Literal::Integer(text) => Some(text.clone()),
        _ => None,
    }
}

fn check_properties(expected: &CreateSource, source: &Source) -> Result<()> {
    let property = |name: &str| text_property(&expected.properties, name);
    let upper = |text: Option<String>| text.map(|t| t.to_uppercase());
    let both = upper(property("FORMAT"));
    let timestamp = source.timestamp.as_ref();
    let window = match source.windowed {
        None => None,
        Some(KeyWindow::Session) => Some("SESSION"),
        Some(KeyWindow::Time { hopping: true, .. }) => Some("HOPPING"),
        Some(KeyWindow::Time { hopping: false, .. }) => Some("TUMBLING"),
    };
    let checks = [
        ("kafka topic", property("KAFKA_TOPIC"), Some(source.topic.clone())),
        ("key format", upper(property("KEY_FORMAT")).or(both.clone()), Some(source.key_format.name.clone())),
        ("value format", upper(property("VALUE_FORMAT")).or(both), Some(source.value_format.name.clone())),
        ("timestamp column", upper(property("TIMESTAMP")), timestamp.map(|t| t.column.to_uppercase())),
        ("timestamp format", property("TIMESTAMP_FORMAT"), timestamp.and_then(|t| t.format.clone())),
        ("window type", upper(property("WINDOW_TYPE")), window.map(str::to_owned)),
    ];
    for (what, want, have) in checks {
        if want.is_some() && want != have {
            let message = format!("Expected {what} does not match actual for source {}", source.name);
            return Err(failed(message).with_detail(format!("expected {want:?}, found {have:?}")));
        }
    }
    Ok(())
}

fn read_script(directory: &Path, path: &str, depth: usize) -> Result<String> {
    if depth >= SCRIPT_DEPTH_MAX {
        return Err(Error::invalid(format!("scripts run scripts more than {SCRIPT_DEPTH_MAX} deep: {path}")));
    }
    fs::read_to_string(directory.join(path)).map_err(|e| Error::invalid(format!("script {path}: {e}")))
}

/// The named columns of an assertion with their values, evaluated as INSERT would.
fn expected_row(
    source: &Source,
    name: &Ident,
    columns: &[Ident],
    values: &[Expr],
) -> Result<Vec<(String, SqlType, Value)>> {
    let mut assertable = source.clone();
    assertable.kind = SourceKind::Stream;
    assertable.windowed = None;
    assertable.read_only = false;
    let mut schema: Vec<Column> = source.schema.columns.clone();
    for column in &mut schema {
        if let Namespace::Headers(_) = column.namespace {
            column.namespace = Namespace::Value;
        }
    }
    for bound in ["WINDOWSTART", "WINDOWEND"] {
        if columns.iter().any(|c| c.value == bound) && source.schema.find(bound).is_none() {
            schema.push(Column::value(bound, SqlType::BigInt));
        }
    }
    assertable.schema = Schema::new(schema);
    let mut catalog = catalog::Catalog::default();
    catalog.sources.insert(source.name.clone(), Arc::new(assertable));
    let rows = planner::insert::plan_insert_values(name, columns, &[values.to_vec()], false, &catalog)?;
    let mut expected = Vec::new();
    if let Some(time) = rows.rowtime.first().copied().flatten() {
        expected.push(("ROWTIME".to_owned(), SqlType::BigInt, Value::from(time)));
    }
    for (column, array) in rows.source.schema.columns.iter().zip(&rows.columns) {
        if columns.is_empty() || columns.iter().any(|c| c.value == column.name) {
            expected.push((column.name.clone(), column.ty.clone(), to_json(array.as_ref(), 0)));
        }
    }
    Ok(expected)
}

/// A record as its source's columns, with its time and window.
fn row_of(shape: &Shape, record: &Found) -> Result<Vec<(String, SqlType, Value)>> {
    let bad = |e: String| Error::bad_value(format!("a record cannot be read: {e}"));
    let mut columns: Vec<(Column, ArrayRef)> = shape.arrays(Part::Key, record.key.as_deref()).map_err(bad)?;
    columns.extend(shape.arrays(Part::Value, record.value.as_deref()).map_err(bad)?);
    let cell = |(column, array): (Column, ArrayRef)| {
        let value = if array.is_empty() { Value::Null } else { to_json(array.as_ref(), 0) };
        (column.name, column.ty, value)
    };
    let mut row: Vec<(String, SqlType, Value)> = columns.into_iter().map(cell).collect();
    let mut add = |name: &str, value: i64| {
        if row.iter().all(|(n, _, _)| n != name) {
            row.push((name.to_owned(), SqlType::BigInt, Value::from(value)));
        }
    };
    add("ROWTIME", record.timestamp);
    if let Some(window) = record.window {
        add("WINDOWSTART", window.start);
        if let Some(end) = window.end {
            add("WINDOWEND", end);
        }
    }
    Ok(row)
}
