//! CREATE STREAM and CREATE TABLE over a topic.

use std::{collections::BTreeMap, sync::Arc};

use catalog::{Catalog, KeyWindow, Source, SourceKind, TimestampColumn};
use formats::{FormatSpec, Part};
use syntax::ast::{ColumnConstraint, ColumnDef, CreateSource, ObjectKind};
use types::{Column, Error, Namespace, Result, Schema, SqlType, StructField, quote_ident};

use super::{replace, resolve_type};
use crate::{
    expr::{is_reserved, source_fields},
    plan::{Plan, PlanNode, Planned, QueryPlan, Start, Surroundings},
    properties::{COMMON, Formats, OVER_TOPICS, Topic, With, default_format, default_wrapping, duration_ms},
};

/// Replicas of a topic for which nothing was asked.
const REPLICAS_DEFAULT: u16 = 0;

/// Partitions, replicas and settings of a topic to create.
type NewTopic = (u32, u16, BTreeMap<String, String>);

/// What CREATE STREAM|TABLE … would do.
pub fn plan_create_source(
    create: &CreateSource,
    catalog: &Catalog,
    surroundings: &dyn Surroundings,
    statement: &str,
) -> Result<Planned> {
    let kind = source_kind(create)?;
    let with = With::new(&create.properties, &[COMMON, OVER_TOPICS])?;
    if let Some(nothing) = replace::check_name(create, kind, catalog, surroundings)? {
        return Ok(nothing);
    }
    let topic = with.topic()?;
    let Some(topic_name) = topic.name.clone() else {
        let message = "Missing required property \"KAFKA_TOPIC\" which has no default value";
        return Err(Error::invalid(message).at(create.name.span).with_hint("WITH (KAFKA_TOPIC = 'name', …)"));
    };
    let mut formats = source_formats(&with, surroundings, create)?;
    let declared = declared_columns(create, kind, catalog)?;
    let schema = with_inferred(&with, declared, &formats, &topic_name, kind, create, surroundings)?;
    check_schema(&schema, kind, create)?;
    if formats.value.wrap_single.is_none() {
        formats.value.wrap_single = default_wrapping(&formats.value, schema.value().count(), surroundings);
    }
    check_formats(&schema, &formats, create, &with)?;
    let windowed = key_window(&with, &schema, create)?;
    let source = Source {
        name: create.name.value.clone(),
        kind,
        timestamp: timestamp(&with, &schema)?,
        topic: topic_name,
        key_format: formats.key,
        value_format: formats.value,
        windowed,
        schema,
        read_only: create.is_source,
        created_by: None,
        statement: statement.to_owned(),
    };
    let replaces = replace::check_replaces(create, &source, catalog)?;
    let topic = topic_to_create(&with, &source, topic, surroundings)?;
    let materialize = (create.is_source && kind == SourceKind::Table).then(|| materialized(&source));
    Ok(Planned::CreateSource { source, replaces, topic, materialize })
}

fn source_kind(create: &CreateSource) -> Result<SourceKind> {
    match create.object {
        ObjectKind::Stream => Ok(SourceKind::Stream),
        ObjectKind::Table => Ok(SourceKind::Table),
        ObjectKind::View => Err(Error::invalid("A view is made AS a query").at(create.name.span)),
    }
}

/// Formats with the server's defaults. A stream without key columns keeps its key format, for queries that inherit it.
fn source_formats(with: &With<'_>, surroundings: &dyn Surroundings, create: &CreateSource) -> Result<Formats> {
    let mut formats = with.formats()?;
    for (side, property, spec) in
        [("key", "KEY_FORMAT", &mut formats.key), ("value", "VALUE_FORMAT", &mut formats.value)]
    {
        if !spec.name.is_empty() {
            continue;
        }
        spec.name = default_format(side, surroundings)?.ok_or_else(|| {
            Error::invalid(format!("Statement is missing the '{property}' property from the WITH clause"))
                .at(if create.properties.entries.is_empty() { create.name.span } else { create.properties.span })
                .with_hint(format!(
                    "write {property} = 'JSON', or set a default: ksql.persistence.default.format.{side}"
                ))
        })?;
    }
    Ok(formats)
}

fn declared_columns(create: &CreateSource, kind: SourceKind, catalog: &Catalog) -> Result<Vec<Column>> {
    create.elements.iter().map(|element| declared_column(element, kind, catalog)).collect()
}

fn declared_column(element: &ColumnDef, kind: SourceKind, catalog: &Catalog) -> Result<Column> {
    let name = &element.name;
    if is_reserved(&name.value) {
        let message = format!("'{}' is a reserved column name. You cannot use it as a name for a column", name.value);
        return Err(Error::invalid(message).at(name.span).with_hint("every row has a pseudo column of that name"));
    }
    let ty = resolve_type(&element.ty, Some(&catalog.types))?;
    let wrong_key = |is: &str, other: &str, of: &str| {
        let message = format!("Column {} is a '{is}' column: please use '{other}' for {of}", quote_ident(&name.value));
        Err(Error::invalid(message).at(element.span))
    };
    let namespace = match (&element.constraint, kind) {
        (None, _) => Namespace::Value,
        (Some(ColumnConstraint::Key), SourceKind::Stream) | (Some(ColumnConstraint::PrimaryKey), SourceKind::Table) => {
            Namespace::Key
        }
        (Some(ColumnConstraint::Key), SourceKind::Table) => return wrong_key("KEY", "PRIMARY KEY", "tables"),
        (Some(ColumnConstraint::PrimaryKey), SourceKind::Stream) => return wrong_key("PRIMARY KEY", "KEY", "streams"),
        (Some(ColumnConstraint::Headers), _) => {
            header_type(element, &ty, &all_headers_type(), "HEADERS")?;
            Namespace::Headers(None)
        }
        (Some(ColumnConstraint::Header(key)), _) => {
            header_type(element, &ty, &SqlType::Bytes, &format!("HEADER('{key}')"))?;
            Namespace::Headers(Some(key.clone()))
        }
    };
    Ok(Column { name: name.value.clone(), ty, namespace })
}

/// ARRAY<STRUCT<KEY STRING, VALUE BYTES>>.
fn all_headers_type() -> SqlType {
    let field = |name: &str, ty| StructField { name: name.to_owned(), ty };
    SqlType::Array(Box::new(SqlType::Struct(vec![field("KEY", SqlType::String), field("VALUE", SqlType::Bytes)])))
}

fn header_type(element: &ColumnDef, ty: &SqlType, expected: &SqlType, what: &str) -> Result<()> {
    if ty == expected {
        return Ok(());
    }
    Err(Error::type_mismatch(format!("Invalid type for {what} column: expected {expected}, got {ty}"))
        .at(element.ty.span))
}

/// The declared columns, and those of sides of which none were declared, from the schema registry.
fn with_inferred(
    with: &With<'_>,
    declared: Vec<Column>,
    formats: &Formats,
    topic: &str,
    kind: SourceKind,
    create: &CreateSource,
    surroundings: &dyn Surroundings,
) -> Result<Schema> {
    let mut columns = declared;
    for (part, namespace, spec) in
        [(Part::Key, Namespace::Key, &formats.key), (Part::Value, Namespace::Value, &formats.value)]
    {
        let side = if part == Part::Key { "KEY" } else { "VALUE" };
        let property = format!("{side}_SCHEMA_ID");
        let format = formats::format(&spec.name)?;
        if spec.schema_id.is_some() && !format.infers() {
            let message = format!(
                "{side}_FORMAT should support schema inference when {property} is provided. Current format is {}",
                spec.name
            );
            return Err(Error::invalid(message).at(with.span(&property)));
        }
        if let Some(element) = first_of(create, &columns, &namespace) {
            if spec.schema_id.is_some() {
                let message = format!("Table elements and {property} cannot both exist for create statement");
                let hint = format!("leave out the {} columns: they come from the schema", side.to_lowercase());
                return Err(Error::invalid(message).at(element).with_hint(hint));
            }
            continue;
        }
        if !format.infers() {
            continue;
        }
        let inferred = surroundings.registered_columns(topic, part, spec).map_err(|e| e.at(create.name.span))?;
        let Some(inferred) = inferred else {
            if part == Part::Value || spec.schema_id.is_some() {
                return Err(no_registered_schema(side, topic).at(create.name.span));
            }
            continue;
        };
        let inferred = inferred.columns.into_iter().map(|c| Column { namespace: namespace.clone(), ..c });
        if part == Part::Key {
            columns.splice(0..0, inferred);
        } else {
            columns.extend(inferred);
        }
    }
    if columns.is_empty() {
        return Err(Error::invalid("No columns supplied").at(create.name.span).with_hint(format!(
            "declare them: CREATE {} {} (name type, …)",
            if kind == SourceKind::Table { "TABLE" } else { "STREAM" },
            create.name.value
        )));
    }
    Ok(Schema::new(columns))
}

fn first_of(create: &CreateSource, columns: &[Column], namespace: &Namespace) -> Option<types::Span> {
    let at = columns.iter().position(|c| c.namespace == *namespace)?;
    let name = columns.get(at).map(|c| c.name.as_str())?;
    create.elements.iter().find(|e| e.name.value == name).map(|e| e.span)
}

fn no_registered_schema(side: &str, topic: &str) -> Error {
    let side = side.to_lowercase();
    Error::invalid(format!("Schema for message {side}s on topic '{topic}' does not exist in the Schema Registry"))
        .with_hint("register a schema first, or declare the columns")
}

fn check_schema(schema: &Schema, kind: SourceKind, create: &CreateSource) -> Result<()> {
    let span_of =
        |name: &str| create.elements.iter().rfind(|e| e.name.value == name).map_or(create.name.span, |e| e.span);
    for (at, column) in schema.columns.iter().enumerate() {
        let before = || schema.columns.iter().take(at);
        if before().any(|c| c.name == column.name) {
            let message = format!("Column {} is declared twice", quote_ident(&column.name));
            return Err(Error::invalid(message).at(span_of(&column.name)));
        }
        if let Namespace::Headers(key) = &column.namespace
            && before().any(|c| c.namespace == column.namespace)
        {
            let what = key.as_ref().map_or_else(|| "HEADERS".to_owned(), |key| format!("HEADER('{key}')"));
            return Err(Error::invalid(format!("Schema already contains a {what} column")).at(span_of(&column.name)));
        }
        if is_reserved(&column.name) {
            let message =
                format!("'{}' is a reserved column name. You cannot use it as a name for a column", column.name);
            return Err(Error::invalid(message).at(span_of(&column.name)));
        }
    }
    if kind == SourceKind::Table && schema.key().next().is_none() {
        let hint = match schema.value().next() {
            Some(first) => format!("{} {} PRIMARY KEY, for example", crate::expr::name_text(&first.name), first.ty),
            None => "a PRIMARY KEY column says which rows replace which".to_owned(),
        };
        return Err(Error::invalid("Tables require a PRIMARY KEY. Please define the PRIMARY KEY")
            .at(create.name.span)
            .with_hint(hint));
    }
    Ok(())
}

/// Whether the formats can carry the columns. Errors point at the column that they name, or else at the property.
fn check_formats(schema: &Schema, formats: &Formats, create: &CreateSource, with: &With<'_>) -> Result<()> {
    for (part, namespace, spec) in
        [(Part::Key, Namespace::Key, &formats.key), (Part::Value, Namespace::Value, &formats.value)]
    {
        let columns: Vec<Column> = schema.columns.iter().filter(|c| c.namespace == namespace).cloned().collect();
        let side = if part == Part::Key { "KEY" } else { "VALUE" };
        formats::format(&spec.name)?.check(part, &columns, spec).map_err(|error| {
            let named = |e: &&ColumnDef| error.message().contains(&quote_ident(&e.name.value));
            let culprits: Vec<&ColumnDef> = create.elements.iter().filter(named).collect();
            let of_side = |suffix: &str| format!("{side}_{suffix}");
            let options = [of_side("DELIMITER"), of_side("SCHEMA_ID"), "WRAP_SINGLE_VALUE".to_owned()];
            let option = options.iter().find(|o| error.message().contains(o.as_str()) && with.get(o).is_some());
            match (culprits.as_slice(), option) {
                ([only], _) => error.at(only.span),
                (_, Some(option)) => error.at(with.span(option)),
                _ if with.get(&of_side("FORMAT")).is_some() => error.at(with.span(&of_side("FORMAT"))),
                _ if with.get("FORMAT").is_some() => error.at(with.span("FORMAT")),
                _ => error.at(create.name.span),
            }
        })?;
    }
    Ok(())
}

fn key_window(with: &With<'_>, schema: &Schema, create: &CreateSource) -> Result<Option<KeyWindow>> {
    let size = with.text("WINDOW_SIZE")?;
    let invalid_size = |e: Error| e.context("Configuration WINDOW_SIZE is invalid").at(with.span("WINDOW_SIZE"));
    let size_ms = size.as_deref().map(duration_ms).transpose().map_err(invalid_size)?;
    let Some(kind) = with.text("WINDOW_TYPE")? else {
        return match size_ms {
            None => Ok(None),
            Some(_) => Err(Error::invalid("'WINDOW_SIZE' is only for windowed sources: 'WINDOW_TYPE' is missing")
                .at(with.span("WINDOW_SIZE"))),
        };
    };
    let upper = kind.to_uppercase();
    let window = match (upper.as_str(), size_ms) {
        ("SESSION", None) => KeyWindow::Session,
        ("SESSION", Some(_)) => {
            return Err(Error::invalid("'WINDOW_SIZE' should not be set for SESSION windows")
                .at(with.span("WINDOW_SIZE"))
                .with_hint("each session has a size of its own, which is in the key"));
        }
        ("HOPPING" | "TUMBLING", Some(_)) => KeyWindow::Time { hopping: upper == "HOPPING", size_ms },
        ("HOPPING" | "TUMBLING", None) => {
            let message = format!("'WINDOW_SIZE' must be provided for {upper} windows");
            return Err(Error::invalid(message).at(with.span("WINDOW_TYPE")).with_hint("WINDOW_SIZE = '10 SECONDS'"));
        }
        _ => {
            return Err(Error::invalid(format!("Configuration WINDOW_TYPE is invalid: '{kind}'"))
                .at(with.span("WINDOW_TYPE"))
                .with_hint("it is SESSION, HOPPING or TUMBLING"));
        }
    };
    if schema.key().next().is_none() {
        return Err(Error::invalid("Windowed sources require a key column").at(create.name.span));
    }
    Ok(Some(window))
}

/// TIMESTAMP and TIMESTAMP_FORMAT over the columns of `schema`.
pub fn timestamp(with: &With<'_>, schema: &Schema) -> Result<Option<TimestampColumn>> {
    let format = with.text("TIMESTAMP_FORMAT")?;
    let Some(name) = with.column("TIMESTAMP")? else {
        return match format {
            None => Ok(None),
            Some(_) => {
                Err(Error::invalid("'TIMESTAMP_FORMAT' says how a column is written, but 'TIMESTAMP' names none")
                    .at(with.span("TIMESTAMP_FORMAT")))
            }
        };
    };
    let span = with.span("TIMESTAMP");
    let Some((_, column)) = schema.find(&name) else {
        let message = format!("The TIMESTAMP column set in the WITH clause does not exist in the schema: '{name}'");
        let error = Error::undefined_column(message).at(span);
        return Err(match types::did_you_mean(&name, schema.columns.iter().map(|c| c.name.as_str())) {
            Some(near) => error.with_hint(format!("did you mean {}?", crate::expr::name_text(near))),
            None => error,
        });
    };
    let shown = quote_ident(&name);
    match (&column.ty, &format) {
        (SqlType::BigInt | SqlType::Timestamp, None) | (SqlType::String, Some(_)) => {}
        (ty, Some(_)) => {
            let message = format!("'TIMESTAMP_FORMAT' is only for columns of type STRING, but {shown} is {ty}");
            return Err(Error::type_mismatch(message).at(with.span("TIMESTAMP_FORMAT")));
        }
        (SqlType::String, None) => {
            let message =
                format!("The TIMESTAMP column {shown} is a STRING: 'TIMESTAMP_FORMAT' must say how it is written");
            return Err(Error::type_mismatch(message)
                .at(span)
                .with_hint("TIMESTAMP_FORMAT = 'yyyy-MM-dd''T''HH:mm:ssX'"));
        }
        (ty, None) => {
            let message =
                format!("The TIMESTAMP column {shown} is {ty}: it has to be BIGINT, TIMESTAMP or a formatted STRING");
            return Err(Error::type_mismatch(message).at(span));
        }
    }
    Ok(Some(TimestampColumn { column: name, format }))
}

/// The topic to make, if it is not there; the error says that it is there otherwise, or not at all.
fn topic_to_create(
    with: &With<'_>,
    source: &Source,
    topic: Topic,
    surroundings: &dyn Surroundings,
) -> Result<Option<NewTopic>> {
    if let Some(existing) = surroundings.topic(&source.topic)? {
        return match topic.partitions {
            Some(asked) if asked != existing.partitions => Err(Error::exists(format!(
                "A Kafka topic with the name '{}' already exists, with different partition/replica configuration than \
                 required: it has {} partitions, PARTITIONS is {asked}",
                source.topic, existing.partitions
            ))
            .at(with.span("PARTITIONS"))),
            _ => Ok(None),
        };
    }
    let Some(partitions) = topic.partitions else {
        let message = format!("Topic '{}' does not exist", source.topic);
        return Err(Error::new(types::ErrorKind::User, "42704", message)
            .at(with.span("KAFKA_TOPIC"))
            .with_hint("to have it created, say how many partitions it shall have: WITH (…, PARTITIONS = 1)"));
    };
    let mut settings = topic.settings;
    if source.kind == SourceKind::Table {
        if source.windowed.is_none() && settings.contains_key("retention.ms") {
            return Err(Error::invalid(
                "Invalid config variable in the WITH clause: RETENTION_MS. Non-windowed tables do not support retention",
            )
            .at(with.span("RETENTION_MS")));
        }
        let policy = if source.windowed.is_some() { "compact,delete" } else { "compact" };
        settings.entry("cleanup.policy".to_owned()).or_insert_with(|| policy.to_owned());
    }
    Ok(Some((partitions, topic.replicas.unwrap_or(REPLICAS_DEFAULT), settings)))
}

/// The query that keeps a source table's rows for lookups.
fn materialized(source: &Source) -> QueryPlan {
    let fields = source_fields(source, &source.name);
    let output = fields.columns.iter().enumerate().filter(|(_, f)| !f.hidden).map(|(at, _)| at).collect();
    let node = PlanNode::Source { source: Arc::new(source.clone()), start: Start::Earliest, materialize: true };
    QueryPlan {
        root: Plan { node, fields, kind: source.kind, windowed: source.windowed },
        sink: None,
        limit: None,
        reads: vec![source.name.clone()],
        from_earliest: true,
        output,
    }
}

/// Whether `spec` is a format in which a stream without key columns has no key at all.
pub fn is_none(spec: &FormatSpec) -> bool {
    spec.name == "NONE"
}
