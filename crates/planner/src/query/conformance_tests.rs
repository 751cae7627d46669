//! Plans the statements of the conformance cases, where those are at hand: statements that must run are planned, those
//! that must fail are refused, and the streams and tables that come out have the columns and formats that they should.
//!
//! The folder is `CONFORMANCE_DIR`, or `shared/conformance` beside the repository. `CONFORMANCE_VERBOSE` lists what is
//! missed, `CONFORMANCE_FILE` looks at one file only.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
};

use catalog::Source;
use formats::{FormatContext, Part, SchemaReference, SchemaRegistry, SchemaText, SchemaType};
use serde_json::Value;
use syntax::ast::{Literal, StatementKind};
use types::{Error, Namespace};

use super::bench::Bench;
use crate::{
    ddl,
    plan::{Planned, TopicShape},
};

/// Cases of each folder that came out as they should when this was last raised; fewer is a step back, but where the
/// dialect takes what a case wants to be refused.
const QUERIES_MIN: usize = 1389;
const REQUESTS_MIN: usize = 251;
const SCRIPTS_MIN: usize = 45;

/// What ksqlDB says of failures that come with the data, not with the statement.
const AT_RUN_TIME: [&str; 2] = ["Exception caught in process", "Fatal user code error in TimestampExtractor"];

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
        // Topics without a number of partitions get theirs from the statement that names them.
        let partitions = topic.get("partitions").and_then(Value::as_u64).and_then(|n| u32::try_from(n).ok());
        if let Some(partitions) = partitions {
            bench.topics.insert(text(topic, "name").to_owned(), TopicShape { partitions, replicas: 1 });
        }
    }
    register_schemas(&bench, case);
    if let Some(Value::Object(properties)) = case.get("properties") {
        for (name, value) in properties {
            let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            bench.properties.insert(name.clone(), value);
        }
    }
    bench
}

/// Schemas of the topics that a case describes. Ids that it does not give follow those that the declared sources take.
fn register_schemas(bench: &Bench, case: &Value) {
    let mut next = 1 + list(case, "statements").iter().filter_map(Value::as_str).map(schemas_declared).sum::<i32>();
    for topic in list(case, "topics") {
        for (part, side) in [(Part::Key, "key"), (Part::Value, "value")] {
            let Some(schema) = topic.get(format!("{side}Schema")) else { continue };
            let mut references = Vec::new();
            for reference in list(topic, &format!("{side}SchemaReferences")) {
                let name = text(reference, "name").to_owned();
                let imported = reference.get("schema").unwrap_or(&Value::Null);
                let ty = schema_type(case, topic, side, imported);
                let imported = SchemaText { ty, text: schema_text(imported), references: Vec::new() };
                bench.registry.register(&name, &imported).expect("a referenced schema can be registered");
                references.push(SchemaReference { name: name.clone(), subject: name, version: 1 });
            }
            let given =
                topic.get(format!("{side}SchemaId")).and_then(Value::as_i64).and_then(|n| i32::try_from(n).ok());
            let id = given.unwrap_or(next);
            next = next.max(id) + 1;
            let ty = schema_type(case, topic, side, schema);
            let schema = SchemaText { ty, text: schema_text(schema), references };
            let subject = FormatContext { registry: None, topic: text(topic, "name").to_owned(), ..Default::default() }
                .subject(part);
            bench.registry.insert(&subject, id, &schema).expect("a schema can be registered");
        }
    }
}

/// How many schemas a CREATE statement with declared columns registers.
fn schemas_declared(statement: &str) -> i32 {
    let Ok(parsed) = syntax::parse(statement, None) else { return 0 };
    let sides = parsed.iter().filter_map(|s| match &s.kind {
        StatementKind::CreateSource(create) if !create.elements.is_empty() => Some(create),
        _ => None,
    });
    let sides = sides.flat_map(|create| {
        let key = create.elements.iter().any(|e| e.constraint.is_some());
        let value = create.elements.iter().any(|e| e.constraint.is_none());
        [("KEY_FORMAT", key), ("VALUE_FORMAT", value)].into_iter().filter(|(_, there)| *there).filter_map(
            |(name, _)| {
                let property =
                    create.properties.entries.get(name).or_else(|| create.properties.entries.get("FORMAT"))?;
                let Literal::String(format) = &property.value else { return None };
                formats::format(format).ok().filter(|f| f.uses_registry())
            },
        )
    });
    i32::try_from(sides.count()).unwrap_or(0)
}

fn schema_text(schema: &Value) -> String {
    schema.as_str().map_or_else(|| schema.to_string(), str::to_owned)
}

fn schema_type(case: &Value, topic: &Value, side: &str, schema: &Value) -> SchemaType {
    let named = [format!("{side}Format"), "format".to_owned()];
    let named = named.iter().map(|key| text(topic, key).to_uppercase()).find(|name| !name.is_empty());
    let statements =
        || list(case, "statements").iter().filter_map(Value::as_str).any(|s| s.to_uppercase().contains("JSON_SR"));
    match named {
        _ if schema.as_str().is_some_and(|s| s.contains("message ")) => SchemaType::Protobuf,
        Some(name) if name.starts_with("PROTOBUF") => SchemaType::Protobuf,
        Some(name) if name.starts_with("JSON") => SchemaType::Json,
        None if statements() => SchemaType::Json,
        _ => SchemaType::Avro,
    }
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

/// Files of a kind in a folder of cases, in order; none, loudly, if the folder is not there.
fn files(folder: &str, extension: &str) -> Vec<PathBuf> {
    let folder = self::folder().join(folder);
    let Ok(entries) = std::fs::read_dir(&folder) else {
        eprintln!("SKIPPED: no conformance cases at {}", folder.display());
        return Vec::new();
    };
    let only = std::env::var("CONFORMANCE_FILE").ok();
    let all: BTreeSet<PathBuf> = entries.filter_map(|e| e.ok().map(|e| e.path())).collect();
    let wanted = |file: &PathBuf| {
        let stem = file.file_stem().map(|s| s.to_string_lossy().into_owned());
        file.extension().is_some_and(|e| e == extension) && (only.is_none() || only == stem)
    };
    all.into_iter().filter(wanted).collect()
}

/// How cases came out.
#[derive(Default)]
struct Tally {
    right: usize,
    all: usize,
}

impl Tally {
    fn file(&mut self, file: &Path, outcomes: Vec<(String, Outcome)>) {
        let missed = outcomes.iter().filter_map(|(name, outcome)| match outcome {
            Outcome::Missed(why) => Some(format!("  {name}: {why}")),
            Outcome::AsExpected => None,
        });
        let missed: Vec<String> = missed.collect();
        self.all += outcomes.len();
        self.right += outcomes.len() - missed.len();
        if !missed.is_empty() {
            let stem = file.file_stem().map(|s| s.to_string_lossy().into_owned()).unwrap_or_default();
            eprintln!("{stem}: {} of {} missed", missed.len(), outcomes.len());
            if std::env::var_os("CONFORMANCE_VERBOSE").is_some() {
                eprintln!("{}", missed.join("\n"));
            }
        }
    }

    fn finish(self, min: usize) {
        let Tally { right, all } = self;
        eprintln!("{right} of {all} cases as expected");
        let partial = all == 0 || std::env::var_os("CONFORMANCE_FILE").is_some();
        assert!(partial || right >= min, "{right} of {all} cases as expected, {min} were before");
    }
}

fn cases_of(file: &Path) -> Vec<Value> {
    let content = std::fs::read_to_string(file).expect("a case file can be read");
    let cases: Value = serde_json::from_str(&content).expect("a case file is JSON");
    list(&cases, "tests").to_vec()
}

#[test]
fn plans_the_queries() {
    let mut tally = Tally::default();
    for file in files("queries", "json") {
        let judged = cases_of(&file).iter().map(|case| (text(case, "name").to_owned(), judge(case))).collect();
        tally.file(&file, judged);
    }
    tally.finish(QUERIES_MIN);
}

/// The names and types that push queries show, against the headers of their responses.
fn judge_request(case: &Value) -> Outcome {
    let mut bench = bench_of(case);
    let fails = case.get("expectedError").is_some();
    let responses = list(case, "responses");
    for (at, statement) in list(case, "statements").iter().filter_map(Value::as_str).enumerate() {
        let parsed = match syntax::parse(statement, None) {
            Ok(parsed) => parsed,
            Err(_) if fails => return Outcome::AsExpected,
            Err(error) => return Outcome::Missed(format!("refused: {}", error.render(statement))),
        };
        for one in &parsed {
            match bench.run(one) {
                Ok(Some(Planned::Push(plan))) => {
                    let shown = plan.output.iter().filter_map(|at| plan.root.fields.columns.get(*at));
                    let shown: Vec<String> = shown.map(|c| format!("`{}` {}", c.name, c.ty)).collect();
                    let header = responses.get(at).and_then(|r| r.pointer("/query/0/header/schema"));
                    if let Some(header) = header.and_then(Value::as_str).filter(|h| *h != shown.join(", ")) {
                        return Outcome::Missed(format!("header: {}\n    should be {header}", shown.join(", ")));
                    }
                }
                Ok(_) => {}
                Err(_) if fails => return Outcome::AsExpected,
                Err(error) => return Outcome::Missed(format!("refused: {}", error.render(statement))),
            }
        }
    }
    let last = list(case, "statements").last().and_then(Value::as_str).unwrap_or_default();
    if fails && last.contains("EMIT CHANGES") {
        return Outcome::Missed(format!("planned, but: {:?}", case.get("expectedError")));
    }
    Outcome::AsExpected
}

#[test]
fn plans_the_requests() {
    let mut tally = Tally::default();
    for file in files("requests", "json") {
        let cases = cases_of(&file);
        tally.file(&file, cases.iter().map(|case| (text(case, "name").to_owned(), judge_request(case))).collect());
    }
    tally.finish(REQUESTS_MIN);
}

/// Runs the statements between one `--@test` and the next.
fn judge_script(script: &str) -> Outcome {
    let fails = script.contains("--@expected.error");
    let mut bench = Bench::default();
    let parsed = match syntax::parse(script, None) {
        Ok(parsed) => parsed,
        Err(_) if fails => return Outcome::AsExpected,
        Err(error) => return Outcome::Missed(format!("refused: {}", error.render(script))),
    };
    let mut at_run_time = false;
    for one in &parsed {
        at_run_time |= matches!(
            one.kind,
            StatementKind::AssertValues { .. } | StatementKind::AssertTombstone { .. } | StatementKind::AssertSource(_)
        );
        match bench.run(one) {
            Ok(_) => {}
            Err(_) if fails => return Outcome::AsExpected,
            Err(error) => return Outcome::Missed(format!("refused: {}", error.render(script))),
        }
    }
    if fails && !at_run_time { Outcome::Missed("planned, but should fail".to_owned()) } else { Outcome::AsExpected }
}

#[test]
fn plans_the_scripts() {
    let mut tally = Tally::default();
    for file in files("scripts", "sql") {
        let content = std::fs::read_to_string(&file).expect("a script can be read");
        let cases = content.split("--@test:").skip(1).map(|script| {
            let (name, script) = script.split_once('\n').unwrap_or((script, ""));
            // Directives of the case are comments; the next one's rule stands at the end.
            (name.trim().to_owned(), judge_script(script))
        });
        tally.file(&file, cases.collect());
    }
    tally.finish(SCRIPTS_MIN);
}
