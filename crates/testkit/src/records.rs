//! Running a case of records: statements, records in, queries, records out, catalog.

use engine::Cut;
use formats::{Part, SchemaReference, SchemaRegistry, SchemaText, SchemaType};
use recordlog::partitioner::RoundRobin;
use serde_json::Value;
use syntax::ast::{Literal, StatementKind};
use types::Error;

use crate::{
    after,
    answers::Running,
    case::{RecordSpec, RecordsCase, SideSpec, TopicSpec},
    culprit,
    failure::Failure,
    outputs::check_topic,
    topics,
    world::{PARTITIONS, World},
};

/// What stopped a case: the engine said no (which may be expected), or what it gave is wrong.
#[derive(Debug)]
enum Stop {
    Engine(Error),
    Wrong(Failure),
}

impl From<Error> for Stop {
    fn from(error: Error) -> Stop {
        Stop::Engine(error)
    }
}

impl From<Failure> for Stop {
    fn from(failure: Failure) -> Stop {
        Stop::Wrong(failure)
    }
}

/// Run the case on an engine of its own.
///
/// # Errors
/// It gives something else than the case expects.
pub async fn run(case: &RecordsCase, cut: Cut) -> Result<(), Failure> {
    let world = World::open(&properties(case), partitions(case), cut).await;
    let mut world = world.map_err(|e| Failure::new(format!("the engine does not open: {e}")))?;
    let ended = steps(case, &mut world).await;
    world.engine.shutdown().await;
    match (ended, &case.expected_error) {
        (Ok(()), None) => Ok(()),
        (Ok(()), Some(expected)) => {
            let message = expected.message.as_deref().unwrap_or("an error");
            Err(Failure::new("it succeeded where an error is expected").with(format!("expected: {message}\n")))
        }
        (Err(Stop::Wrong(failure)), _) => Err(failure),
        (Err(Stop::Engine(error)), None) => {
            Err(Failure::new(format!("error: {error}")).with(error_lines(&error, &case.statements)))
        }
        (Err(Stop::Engine(error)), Some(expected)) => culprit::check(expected, &error).map_err(|why| {
            let message = expected.message.as_deref().unwrap_or("an error");
            let lines = format!("expected: {message}\n{}", error_lines(&error, &case.statements));
            Failure::new(format!("another error is expected: {why}: {error}")).with(lines)
        }),
    }
}

/// Queries of a case see what was written before them, unless it says otherwise.
fn properties(case: &RecordsCase) -> Vec<(String, String)> {
    let mut properties = vec![("auto.offset.reset".to_owned(), "earliest".to_owned())];
    properties.extend(case.properties.iter().cloned());
    properties
}

/// Cases that look at the partitions and offsets of records that they find in topics count on a single partition.
fn partitions(case: &RecordsCase) -> u32 {
    let looks = |text: &String| {
        let text = text.to_uppercase();
        text.contains("ROWPARTITION") || text.contains("ROWOFFSET")
    };
    if case.answers.is_empty() && case.statements.iter().any(looks) { 1 } else { PARTITIONS }
}

async fn steps(case: &RecordsCase, world: &mut World) -> Result<(), Stop> {
    for topic in &case.topics {
        prepare(topic, case, world).await?;
    }
    let queries = case.statements.iter().position(|s| is_query(s)).unwrap_or(case.statements.len());
    let (statements, queries) = case.statements.split_at(queries);
    let mut waiting: Vec<&TopicSpec> = case.topics.iter().collect();
    for statement in statements {
        // Schemas are registered when a statement first speaks of their topic: so their ids count as the case does.
        let (named, others) = waiting.into_iter().partition(|t| mentions(statement, &t.name));
        waiting = others;
        register_all(&named, case, world)?;
        world.run(statement).await?;
    }
    register_all(&waiting, case, world)?;
    if case.queries_first {
        world.drive().await?;
        let mut running = Vec::with_capacity(queries.len());
        for query in queries {
            running.push(Running::begin(world, query).await?);
        }
        write_inputs(case, world).await?;
        world.drive().await?;
        for (running, answer) in running.into_iter().zip(&case.answers) {
            finish(running.finish(world, answer).await)?;
        }
    } else {
        write_inputs(case, world).await?;
        world.drive().await?;
        let mut answers = case.answers.iter();
        for query in queries {
            let running = Running::begin(world, query).await?;
            let answer = answers.next().cloned().unwrap_or_default();
            finish(running.finish(world, &answer).await)?;
        }
    }
    check_outputs(case, world)?;
    after::check(case, world)?;
    Ok(())
}

fn finish(ended: Result<(), Result<Failure, Error>>) -> Result<(), Stop> {
    ended.map_err(|e| match e {
        Ok(failure) => Stop::Wrong(failure),
        Err(error) => Stop::Engine(error),
    })
}

fn is_query(statement: &str) -> bool {
    let first = statement.trim_start().split(|c: char| !c.is_alphanumeric()).next().unwrap_or_default();
    first.eq_ignore_ascii_case("select") || first.eq_ignore_ascii_case("print")
}

async fn write_inputs(case: &RecordsCase, world: &mut World) -> Result<(), Failure> {
    let turns = RoundRobin::default();
    let log = world.engine.log();
    for record in &case.inputs {
        let shape = world.input_shape(&record.topic);
        if shape.source.is_none() {
            topics::create(&*log, &record.topic, PARTITIONS, 1).await?;
        }
        topics::write(&*log, &shape, record, &turns).await?;
    }
    Ok(())
}

/// Create a topic.
async fn prepare(topic: &TopicSpec, case: &RecordsCase, world: &mut World) -> Result<(), Failure> {
    let partitions = topic.partitions.or_else(|| partitions_of(&topic.name, case, world)).unwrap_or(PARTITIONS);
    topics::create(&*world.engine.log(), &topic.name, partitions, topic.replicas.unwrap_or(1)).await?;
    world.describe(topic);
    Ok(())
}

/// The partitions that a statement asks for where the case's own words about the topic have none.
fn partitions_of(topic: &str, case: &RecordsCase, world: &World) -> Option<u32> {
    let statements = case.statements.iter().filter_map(|text| world.session.parse(text).ok()).flatten();
    statements.into_iter().find_map(|statement| {
        let StatementKind::CreateSource(create) = statement.kind else { return None };
        let property = |name: &str| create.properties.entries.get(name).map(|p| p.value.clone());
        match (property("KAFKA_TOPIC"), property("PARTITIONS")) {
            (Some(Literal::String(name)), Some(Literal::Integer(n))) if name == topic => n.parse().ok(),
            _ => None,
        }
    })
}

/// Whether `name` is a word of the statement, in any case.
fn mentions(statement: &str, name: &str) -> bool {
    let part_of_name = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-' | '.');
    statement.split(|c| !part_of_name(c)).any(|word| word.eq_ignore_ascii_case(name))
}

/// Register the schemas of topics.
fn register_all(topics: &[&TopicSpec], case: &RecordsCase, world: &World) -> Result<(), Failure> {
    topics.iter().try_for_each(|topic| register_schemas(topic, case, world))
}

fn register_schemas(topic: &TopicSpec, case: &RecordsCase, world: &World) -> Result<(), Failure> {
    for (part, side) in [(Part::Key, &topic.key), (Part::Value, &topic.value)] {
        if let Some(schema) = &side.schema {
            let registry = world.registry().ok_or_else(|| Failure::new("the engine has no schema registry"))?;
            register(&*registry, &topic.name, part, side, schema, case)
                .map_err(|e| Failure::new(format!("a schema of {} cannot be registered: {e}", topic.name)))?;
        }
    }
    Ok(())
}

fn register(
    registry: &dyn SchemaRegistry,
    topic: &str,
    part: Part,
    side: &SideSpec,
    schema: &Value,
    case: &RecordsCase,
) -> types::Result<()> {
    let ty = schema_type(side, schema, case);
    let text = |schema: &Value| match schema {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    let mut references = Vec::with_capacity(side.references.len());
    for (name, imported) in &side.references {
        registry.register(name, &SchemaText { ty, text: text(imported), references: Vec::new() })?;
        references.push(SchemaReference { name: name.clone(), subject: name.clone(), version: 1 });
    }
    let subject =
        formats::FormatContext { registry: None, topic: topic.to_owned(), ..Default::default() }.subject(part);
    let schema = SchemaText { ty, text: text(schema), references };
    match side.schema_id {
        Some(id) => registry.import(&subject, id, &schema),
        None => registry.register(&subject, &schema).map(drop),
    }
}

/// The language of a schema: as the topic's format says, else as the statements' formats say.
fn schema_type(side: &SideSpec, schema: &Value, case: &RecordsCase) -> SchemaType {
    let named = |name: &str| {
        side.format.as_deref().map_or_else(
            || case.statements.iter().any(|s| s.to_uppercase().contains(&format!("'{name}"))),
            |format| format.starts_with(name),
        )
    };
    let proto = schema.as_str().is_some_and(|text| text.contains("message ") || text.contains("syntax"));
    if proto || named("PROTOBUF") {
        SchemaType::Protobuf
    } else if named("JSON") {
        SchemaType::Json
    } else {
        SchemaType::Avro
    }
}

fn check_outputs(case: &RecordsCase, world: &World) -> Result<(), Failure> {
    let mut checked: Vec<&str> = Vec::new();
    let log = world.engine.log();
    for output in &case.outputs {
        let topic = output.topic.as_str();
        if checked.contains(&topic) {
            continue;
        }
        checked.push(topic);
        let expected: Vec<&RecordSpec> = case.outputs.iter().filter(|o| o.topic == topic).collect();
        let shape = world.output_shape(topic);
        let found: Vec<_> = topics::read(&*log, topic, &shape)?.into_iter().map(|r| r.found).collect();
        check_topic(topic, &expected, &found, &shape)?;
    }
    Ok(())
}

/// The error as a terminal shows it, under the last statement, to which it most likely belongs.
fn error_lines(error: &Error, statements: &[String]) -> String {
    let (kind, state) = (error.kind(), error.sqlstate());
    let last = statements.last().map_or("", String::as_str);
    format!("{} [{state}, {kind:?}]\n", error.render(last))
}
