//! The catalog and the topics after a case has run.

use catalog::{KeyWindow, Source, SourceKind};
use formats::{FormatContext, Part};
use regex::Regex;
use serde_json::Value;
use syntax::ast::ColumnConstraint;
use types::{Column, Namespace, Schema};

use crate::{
    case::{FormatSpec, RecordsCase, SourceSpec, TopicAfter},
    failure::Failure,
    internal,
    world::World,
};

/// Compare what is there with what the case expects.
///
/// # Errors
/// The first difference.
pub fn check(case: &RecordsCase, world: &World) -> Result<(), Failure> {
    let catalog = world.engine.catalog();
    for spec in &case.sources {
        let source = catalog.source(&spec.name);
        let source = source.ok_or_else(|| Failure::new(format!("source {} does not exist", spec.name)))?;
        check_source(spec, source).map_err(|e| Failure::new(format!("source {}: {e}", spec.name)))?;
    }
    let internal = internal::of_queries(world);
    for topic in &case.topics_after {
        let checked = match internal::parse(&topic.name) {
            Some(wanted) => internal::check(&wanted, topic, case, &internal),
            None => check_topic(topic, world),
        };
        checked.map_err(|e| Failure::new(format!("topic {}: {e}", topic.name)))?;
    }
    check_forbidden(case, world, &internal)
}

fn check_forbidden(case: &RecordsCase, world: &World, internal: &[internal::Internal]) -> Result<(), Failure> {
    let Some(pattern) = &case.forbidden_topics else { return Ok(()) };
    let pattern =
        Regex::new(&format!("^(?:{pattern})$")).map_err(|e| Failure::new(format!("the pattern of topics: {e}")))?;
    if let Some(topic) = world.engine.log().topics().iter().find(|t| pattern.is_match(&t.name)) {
        return Err(Failure::new(format!("topic {} should not exist", topic.name)));
    }
    match internal.iter().find(|i| pattern.is_match(&i.name())) {
        Some(found) => {
            Err(Failure::new(format!("query {} has {} that it should not need", found.query, found.kind.name())))
        }
        None => Ok(()),
    }
}

fn check_source(spec: &SourceSpec, source: &Source) -> Result<(), String> {
    differs("is a table", spec.is_table, source.kind == SourceKind::Table)?;
    differs("is read only", spec.read_only, source.read_only)?;
    if let Some(text) = &spec.schema {
        let want = parse_schema(text)?;
        if want != source.schema {
            return Err(format!("schema: expected {want}, found {}", source.schema));
        }
    }
    check_format("key", Part::Key, &spec.key, source)?;
    check_format("value", Part::Value, &spec.value, source)
}

fn differs<T: PartialEq + std::fmt::Debug>(what: &str, want: Option<T>, have: T) -> Result<(), String> {
    match want {
        Some(want) if want != have => Err(format!("{what}: expected {want:?}, found {have:?}")),
        _ => Ok(()),
    }
}

/// A schema's text as columns; KEY and PRIMARY KEY are the same.
///
/// # Errors
/// The text is no schema.
pub fn parse_schema(text: &str) -> Result<Schema, String> {
    let columns = syntax::parse_schema(text).map_err(|e| format!("the case's schema {text:?} cannot be read: {e}"))?;
    schema_of(&columns)
}

/// Columns as CREATE lists them, as a schema.
///
/// # Errors
/// A type that does not exist.
pub fn schema_of(columns: &[syntax::ast::ColumnDef]) -> Result<Schema, String> {
    let column = |def: &syntax::ast::ColumnDef| {
        let ty = planner::ddl::resolve_type(&def.ty, None).map_err(|e| e.to_string())?;
        let namespace = match &def.constraint {
            None => Namespace::Value,
            Some(ColumnConstraint::Key | ColumnConstraint::PrimaryKey) => Namespace::Key,
            Some(ColumnConstraint::Headers) => Namespace::Headers(None),
            Some(ColumnConstraint::Header(name)) => Namespace::Headers(Some(name.clone())),
        };
        Ok(Column { name: def.name.value.clone(), ty, namespace })
    };
    columns.iter().map(column).collect::<Result<_, String>>().map(Schema::new)
}

fn check_format(side: &str, part: Part, spec: &FormatSpec, source: &Source) -> Result<(), String> {
    let format = match part {
        Part::Key => &source.key_format,
        Part::Value => &source.value_format,
    };
    differs(&format!("{side} format"), spec.format.as_deref(), format.name.as_str())?;
    if let Some(features) = &spec.features {
        let has = |name: &str| features.iter().any(|f| f == name);
        // A single key column is never wrapped unless that was asked for.
        let bare = match part {
            Part::Key => format.wrap_single != Some(true) && source.schema.key().count() == 1,
            Part::Value => format.wrap_single == Some(false),
        };
        if has("UNWRAP_SINGLES") != bare {
            return Err(format!(
                "{side} features: expected {features:?}, single columns are {}wrapped",
                if bare { "not " } else { "" }
            ));
        }
    }
    check_window(spec, source.windowed)
}

fn check_window(spec: &FormatSpec, windowed: Option<KeyWindow>) -> Result<(), String> {
    let Some(want) = &spec.window_type else { return Ok(()) };
    let (have, size_ms) = match windowed {
        None => ("none", None),
        Some(KeyWindow::Session) => ("SESSION", None),
        Some(KeyWindow::Time { hopping: true, size_ms }) => ("HOPPING", size_ms),
        Some(KeyWindow::Time { hopping: false, size_ms }) => ("TUMBLING", size_ms),
    };
    differs("window type", Some(want.as_str()), have)?;
    differs("window size", spec.window_size_ms.map(Some), size_ms)
}

fn check_topic(spec: &TopicAfter, world: &World) -> Result<(), String> {
    let topic = world.engine.log().topic(&spec.name).map_err(|e| e.to_string())?.ok_or("it does not exist")?;
    differs("partitions", spec.partitions, topic.config.partitions)?;
    differs("replicas", spec.replicas, topic.config.replicas)?;
    let shape = world.output_shape(&spec.name);
    let source = shape.source.as_ref().ok_or("no source is over it")?;
    for (side, part, spec) in [("key", Part::Key, &spec.key), ("value", Part::Value, &spec.value)] {
        check_format(side, part, spec, source)?;
        if let Some(schema) = &spec.schema {
            check_registered(side, part, schema, &shape.context)?;
        }
    }
    Ok(())
}

fn check_registered(side: &str, part: Part, want: &Value, context: &FormatContext) -> Result<(), String> {
    let registry = context.registry.as_ref().ok_or("the engine has no schema registry")?;
    let found = registry.latest(&context.subject(part)).map_err(|e| e.to_string())?;
    let found = found.ok_or_else(|| format!("{side} schema: expected {want}, none is registered"))?;
    let text = &found.schema.text;
    let equal = match want {
        Value::String(want) => without_blanks(want) == without_blanks(text),
        want => serde_json::from_str::<Value>(text).is_ok_and(|have| have == *want),
    };
    if equal { Ok(()) } else { Err(format!("{side} schema: expected {want}, found {text}")) }
}

fn without_blanks(text: &str) -> String {
    text.chars().filter(|c| !c.is_whitespace()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn schemas_are_compared_as_columns() {
        let schema = |text: &str| parse_schema(text).expect("a schema");
        assert_eq!(schema("ID INT KEY, v VARCHAR"), schema("`ID` INTEGER PRIMARY KEY, `V` STRING"));
        assert_ne!(schema("ID INT KEY"), schema("ID INT"));
        assert!(parse_schema("ID NOTHING").is_err());
    }
}
