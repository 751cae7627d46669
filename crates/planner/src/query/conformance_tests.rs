//! Plans the statements of the conformance cases, where those are at hand: statements that must run are planned, those
//! that must fail are refused, and the streams and tables that come out have the columns and formats that they should.
//!
//! The folder is `CONFORMANCE_DIR`, or `shared/conformance` beside the repository. `CONFORMANCE_VERBOSE` lists what is
//! missed, `CONFORMANCE_FILE` looks at one file only.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
    sync::Arc,
};

use catalog::{Catalog, Source};
use formats::{FormatSpec, Part};
use serde_json::Value;
use syntax::ast::{CreateSource, Literal, Statement, StatementKind};
use types::{Error, Namespace, Result, Schema};

use crate::{
    ddl,
    plan::{Planned, Surroundings, TopicShape},
};

/// Cases that came out as they should when this was last raised; fewer is a step back.
const CASES_MIN: usize = 998;

/// What ksqlDB says of failures that come with the data, not with the statement.
const AT_RUN_TIME: [&str; 2] = ["Exception caught in process", "Fatal user code error in TimestampExtractor"];

/// An engine that only plans.
#[derive(Default)]
pub(super) struct Bench {
    pub catalog: Catalog,
    pub topics: BTreeMap<String, TopicShape>,
    pub properties: BTreeMap<String, String>,
}

/// Partitions of topics that nobody described.
const PARTITIONS: u32 = 4;

impl Surroundings for Bench {
    fn topic(&self, name: &str) -> Option<TopicShape> {
        self.topics.get(name).cloned()
    }

    fn registered_columns(&self, _: &str, _: Part, _: &FormatSpec) -> Result<Option<Schema>> {
        Ok(None)
    }

    fn property(&self, name: &str) -> Option<String> {
        self.properties.get(name).cloned()
    }

    fn now_ms(&self) -> i64 {
        0
    }
}

impl Bench {
    /// Plan a statement and let it take effect.
    pub fn run(&mut self, statement: &Statement) -> Result<Option<Planned>> {
        let text = &statement.text;
        let planned = match &statement.kind {
            StatementKind::CreateSource(create) => {
                self.make_topic(create);
                ddl::plan_create_source(create, &self.catalog, self, text)?
            }
            StatementKind::CreateAsSelect(create) => super::plan_create_as_select(create, text, &self.catalog, self)?,
            StatementKind::InsertSelect { target, properties, query } => {
                super::plan_insert_select(target, properties, query, text, &self.catalog, self)?
            }
            StatementKind::Query(query) if query.emit.is_some() => {
                Planned::Push(super::plan_push(query, &self.catalog, self)?)
            }
            StatementKind::CreateType { name, ty, .. } => {
                let ty = ddl::resolve_type(ty, Some(&self.catalog.types))?;
                self.catalog.types.insert(name.value.clone(), ty);
                return Ok(None);
            }
            StatementKind::CreateView { name, query, .. } => {
                let view =
                    catalog::View { name: name.value.clone(), query: query.text.clone(), statement: text.clone() };
                self.catalog.views.insert(name.value.clone(), Arc::new(view));
                return Ok(None);
            }
            StatementKind::Drop { object, if_exists, name, delete_topic } => {
                ddl::plan_drop(*object, *if_exists, name, *delete_topic, &self.catalog)?;
                self.catalog.sources.shift_remove(&name.value);
                return Ok(None);
            }
            StatementKind::AlterSource { object, name, add } => {
                ddl::plan_alter(*object, name, add, &self.catalog, text)?
            }
            StatementKind::Set { name, value } => {
                self.properties.insert(name.clone(), value.clone());
                return Ok(None);
            }
            _ => return Ok(None),
        };
        self.apply(&planned);
        Ok(Some(planned))
    }

    /// Topics that nobody described are there all the same, as wide as the statement says.
    fn make_topic(&mut self, create: &CreateSource) {
        let property = |name: &str| match create.properties.entries.get(name).map(|p| &p.value) {
            Some(Literal::String(text) | Literal::Integer(text)) => Some(text.clone()),
            _ => None,
        };
        let partitions = property("PARTITIONS").and_then(|n| n.parse().ok()).unwrap_or(PARTITIONS);
        if let Some(topic) = property("KAFKA_TOPIC") {
            self.topics.entry(topic).or_insert(TopicShape { partitions, replicas: 1 });
        }
    }

    fn apply(&mut self, planned: &Planned) {
        match planned {
            Planned::CreateSource { source, .. } => self.add(source.clone()),
            Planned::CreateAsSelect { source, query, plan, replaces } => {
                let partitions = plan.sink.as_ref().and_then(|s| s.partitions).unwrap_or(PARTITIONS);
                self.topics.entry(source.topic.clone()).or_insert(TopicShape { partitions, replicas: 1 });
                self.add(source.clone());
                if let Some(old) = replaces {
                    self.catalog.queries.shift_remove(old);
                }
                self.catalog.queries.insert(query.id.clone(), Arc::new(query.clone()));
                self.catalog.next_query += 1;
            }
            Planned::InsertSelect { query, .. } => {
                self.catalog.queries.insert(query.id.clone(), Arc::new(query.clone()));
                self.catalog.next_query += 1;
            }
            _ => {}
        }
    }

    fn add(&mut self, source: Source) {
        self.catalog.sources.insert(source.name.clone(), Arc::new(source));
    }
}

fn folder() -> PathBuf {
    match std::env::var_os("CONFORMANCE_DIR") {
        Some(dir) => PathBuf::from(dir),
        None => Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/conformance"),
    }
}

/// What became of a case.
enum Outcome {
    AsExpected,
    Missed(String),
}

fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value.get(key).and_then(Value::as_str).unwrap_or_default()
}

fn list<'a>(value: &'a Value, key: &str) -> &'a [Value] {
    value.get(key).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

fn bench_of(case: &Value) -> Bench {
    let mut bench = Bench::default();
    for topic in list(case, "topics") {
        let partitions = topic.get("partitions").and_then(Value::as_u64).and_then(|n| u32::try_from(n).ok());
        let shape = TopicShape { partitions: partitions.unwrap_or(PARTITIONS), replicas: 1 };
        bench.topics.insert(text(topic, "name").to_owned(), shape);
    }
    if let Some(Value::Object(properties)) = case.get("properties") {
        for (name, value) in properties {
            let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            bench.properties.insert(name.clone(), value);
        }
    }
    bench
}

fn run_statements(bench: &mut Bench, case: &Value) -> Result<(), (Error, String)> {
    for statement in list(case, "statements").iter().filter_map(Value::as_str) {
        let parsed = syntax::parse(statement, None).map_err(|e| (e, statement.to_owned()))?;
        for one in &parsed {
            bench.run(one).map_err(|e| (e, statement.to_owned()))?;
        }
    }
    Ok(())
}

fn judge(case: &Value) -> Outcome {
    let mut bench = bench_of(case);
    let ran = run_statements(&mut bench, case);
    let expected = case.get("expectedException").map(|e| text(e, "message"));
    match (ran, expected) {
        (Ok(()), None) => match check_post(&bench, case) {
            Ok(()) => Outcome::AsExpected,
            Err(why) => Outcome::Missed(format!("result: {why}")),
        },
        (Err((error, statement)), None) => Outcome::Missed(format!("refused: {}", error.render(&statement))),
        (Ok(()), Some(message)) if only_at_run_time(case, message) => Outcome::AsExpected,
        (Ok(()), Some(message)) => Outcome::Missed(format!("planned, but: {message}")),
        (Err((error, statement)), Some(message)) => {
            if std::env::var_os("CONFORMANCE_ERRORS").is_some() {
                eprintln!("expected: {message}\n{}\n", error.render(&statement));
            }
            Outcome::AsExpected
        }
    }
}

/// Whether a failure comes from the data, or from statements that are not planned here.
fn only_at_run_time(case: &Value, message: &str) -> bool {
    let last = list(case, "statements").last().and_then(Value::as_str).unwrap_or_default();
    let inserts = syntax::parse(last, None).is_ok_and(|s| {
        s.last().is_some_and(|s| {
            matches!(
                s.kind,
                StatementKind::InsertValues { .. }
                    | StatementKind::RunScript { .. }
                    | StatementKind::AssertValues { .. }
            )
        })
    });
    inserts || AT_RUN_TIME.iter().any(|m| message.contains(m))
}

fn check_post(bench: &Bench, case: &Value) -> Result<(), String> {
    let post = case.get("post").unwrap_or(&Value::Null);
    for wanted in list(post, "sources") {
        let name = text(wanted, "name");
        let Some(source) = bench.catalog.sources.get(name).or_else(|| bench.catalog.sources.get(&name.to_uppercase()))
        else {
            return Err(format!("there is no {name}"));
        };
        check_schema(source, wanted)?;
        check_key_format(source, wanted)?;
        let value = text(wanted, "valueFormat");
        if !value.is_empty() && !value.eq_ignore_ascii_case(&source.value_format.name) {
            return Err(format!("{name} is in {}, should be in {value}", source.value_format.name));
        }
    }
    Ok(())
}

fn check_schema(source: &Source, wanted: &Value) -> Result<(), String> {
    let schema = text(wanted, "schema");
    if schema.is_empty() {
        return Ok(());
    }
    let columns = syntax::parse_schema(schema).map_err(|e| e.render(schema))?;
    let mut expected = Vec::new();
    for column in &columns {
        let ty = ddl::resolve_type(&column.ty, None).map_err(|e| e.render(schema))?;
        expected.push((column.name.value.clone(), ty.to_string(), column.constraint.is_some()));
    }
    let got = source.schema.columns.iter();
    let got: Vec<_> = got.map(|c| (c.name.clone(), c.ty.to_string(), c.namespace != Namespace::Value)).collect();
    if got == expected {
        Ok(())
    } else {
        Err(format!("{} has {}\n    and should have {schema}", source.name, source.schema))
    }
}

fn check_key_format(source: &Source, wanted: &Value) -> Result<(), String> {
    let Some(key) = wanted.get("keyFormat") else { return Ok(()) };
    let format = text(key, "format");
    if !format.is_empty() && !format.eq_ignore_ascii_case(&source.key_format.name) {
        return Err(format!("key of {} is in {}, should be in {format}", source.name, source.key_format.name));
    }
    let window = super::select::window_name(source.windowed);
    let expected = text(key, "windowType");
    if !expected.is_empty() && expected != window {
        return Err(format!("{} is {window} windowed, should be {expected}", source.name));
    }
    Ok(())
}

#[test]
fn plans_the_conformance_cases() {
    let folder = folder().join("queries");
    let Ok(entries) = std::fs::read_dir(&folder) else {
        eprintln!("SKIPPED: no conformance cases at {}", folder.display());
        return;
    };
    let only = std::env::var("CONFORMANCE_FILE").ok();
    let files: BTreeSet<PathBuf> = entries.filter_map(|e| e.ok().map(|e| e.path())).collect();
    let (mut right, mut all) = (0_usize, 0_usize);
    for file in files {
        let stem = file.file_stem().map(|s| s.to_string_lossy().into_owned()).unwrap_or_default();
        if only.as_ref().is_some_and(|only| *only != stem) {
            continue;
        }
        let content = std::fs::read_to_string(&file).expect("a case file can be read");
        let cases: Value = serde_json::from_str(&content).expect("a case file is JSON");
        let mut missed = Vec::new();
        let count = list(&cases, "tests").len();
        for case in list(&cases, "tests") {
            if let Outcome::Missed(why) = judge(case) {
                missed.push(format!("  {}: {why}", text(case, "name")));
            }
        }
        all += count;
        right += count - missed.len();
        if !missed.is_empty() {
            eprintln!("{stem}: {} of {count} missed", missed.len());
            if std::env::var_os("CONFORMANCE_VERBOSE").is_some() {
                eprintln!("{}", missed.join("\n"));
            }
        }
    }
    eprintln!("{right} of {all} cases as expected");
    assert!(only.is_some() || right >= CASES_MIN, "{right} of {all} cases as expected, {CASES_MIN} were before");
}
