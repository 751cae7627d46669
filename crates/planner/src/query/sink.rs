//! What a query writes: the stream or table, its topic, its formats, and which columns go where.

use std::sync::Arc;

use catalog::{Source, SourceKind};
use formats::{FormatSpec, Part};
use syntax::ast::{CreateAsSelect, ObjectKind};
use types::{Column, Error, ErrorKind, Namespace, Result, Schema, quote_ident};

use super::{Env, default_key_format, select::Selected};
use crate::{
    ddl,
    plan::SinkSpec,
    properties::{Topic, With, default_wrapping},
};

/// The stream or table that `create` makes of `selected`.
pub(super) fn source(
    env: &Env<'_>,
    create: &CreateAsSelect,
    with: &With<'_>,
    selected: &Selected,
    statement: &str,
    query_id: &str,
) -> Result<Source> {
    let schema = schema(selected)?;
    let formats = with.formats()?;
    let key_format = key_format(env, formats.key, selected, &schema)?;
    let value_format = value_format(env, formats.value, selected, &schema);
    check_format(Part::Key, &schema, &key_format, create)?;
    if selected.null_keys {
        check_null_key(&schema, &key_format, create)?;
    }
    check_format(Part::Value, &schema, &value_format, create)?;
    let prefix = env.world.property("ksql.output.topic.name.prefix").unwrap_or_default();
    let topic = with.topic()?.name.unwrap_or_else(|| format!("{prefix}{}", create.name.value));
    for (part, spec) in [(Part::Key, &key_format), (Part::Value, &value_format)] {
        check_registered(env, part, &schema, spec, &topic, with)?;
    }
    let timestamp = ddl::timestamp(with, &schema)?;
    Ok(Source {
        name: create.name.value.clone(),
        kind: kind_of(create.object),
        schema,
        topic,
        key_format,
        value_format,
        timestamp,
        windowed: selected.plan.windowed,
        read_only: false,
        created_by: Some(query_id.to_owned()),
        statement: statement.to_owned(),
    })
}

/// STREAM or TABLE.
pub(super) fn kind_of(object: ObjectKind) -> SourceKind {
    if object == ObjectKind::Table { SourceKind::Table } else { SourceKind::Stream }
}

/// The schema of the result: the key in its order, then values as they were selected.
pub(super) fn schema(selected: &Selected) -> Result<Schema> {
    let fields = &selected.plan.fields.columns;
    let mut columns = Vec::with_capacity(selected.visible);
    for at in &selected.key {
        if let Some(field) = fields.get(*at) {
            columns.push(Column::key(field.name.clone(), field.ty.clone()));
        }
    }
    let values = fields.iter().enumerate().take(selected.visible).filter(|(at, _)| !selected.key.contains(at));
    for (at, field) in values {
        if let Some(first) = columns.iter().find(|c: &&Column| c.name == field.name) {
            let what = if first.namespace == Namespace::Key { "with the name of a key column" } else { "twice" };
            let span = selected.spans.get(at).copied().unwrap_or_default();
            let message = format!(
                "Duplicate value columns found in schema: {} {} stands there {what}",
                quote_ident(&field.name),
                field.ty
            );
            return Err(Error::new(ErrorKind::User, "42701", message)
                .at(span)
                .with_hint("give it another name with AS"));
        }
        columns.push(Column::value(field.name.clone(), field.ty.clone()));
    }
    Ok(Schema::new(columns))
}

fn key_format(env: &Env<'_>, asked: FormatSpec, selected: &Selected, schema: &Schema) -> Result<FormatSpec> {
    let mut inherited = selected.first.key_format.clone();
    if asked.name.is_empty() && ddl::is_none(&inherited) && schema.key().next().is_some() {
        inherited = FormatSpec { name: default_key_format(env.world)?, ..FormatSpec::default() };
    }
    Ok(inherit(asked, &inherited))
}

fn value_format(env: &Env<'_>, asked: FormatSpec, selected: &Selected, schema: &Schema) -> FormatSpec {
    let mut spec = inherit(asked, &selected.first.value_format);
    if spec.wrap_single.is_none() {
        spec.wrap_single = default_wrapping(&spec, schema.value().count(), env.world);
    }
    spec
}

/// What WITH asks for, and for the rest what the source has. A schema is registered anew for every topic, and how a
/// single column is written is not handed on.
fn inherit(asked: FormatSpec, source: &FormatSpec) -> FormatSpec {
    if !asked.name.is_empty() {
        return asked;
    }
    let mut extra = source.extra.clone();
    extra.extend(asked.extra);
    FormatSpec {
        name: source.name.clone(),
        delimiter: asked.delimiter.or_else(|| source.delimiter.clone()),
        extra,
        ..asked
    }
}

fn check_format(part: Part, schema: &Schema, spec: &FormatSpec, create: &CreateAsSelect) -> Result<()> {
    let columns: Vec<Column> = match part {
        Part::Key => schema.key().cloned().collect(),
        Part::Value => schema.value().cloned().collect(),
    };
    let side = if part == Part::Key { "Key" } else { "Value" };
    let property = if part == Part::Key { "KEY_FORMAT" } else { "VALUE_FORMAT" };
    let typed = create.properties.entries.get(property).or_else(|| create.properties.entries.get("FORMAT"));
    let span = typed.map_or(create.query.span, |p| p.span);
    let checked = formats::format(&spec.name).and_then(|f| f.check(part, &columns, spec));
    checked.map_err(|e| {
        let error = e.context(format!("{side} format does not support schema")).at(span);
        if error.hint().is_none() { error.with_hint(format!("give another {property} in WITH")) } else { error }
    })
}

/// Whether the format has a key for the group of NULL.
fn check_null_key(schema: &Schema, spec: &FormatSpec, create: &CreateAsSelect) -> Result<()> {
    if schema.key().count() > 1 || formats::format(&spec.name)?.writes_null_key() {
        return Ok(());
    }
    let typed = create.properties.entries.get("KEY_FORMAT").or_else(|| create.properties.entries.get("FORMAT"));
    let message = format!("INCLUDE NULLS is not supported by KEY_FORMAT {}: it has no key for NULL", spec.name);
    let error = Error::unsupported(message).at(typed.map_or(create.query.span, |p| p.span));
    Err(error.with_hint("KEY_FORMAT = 'JSON' has one"))
}

/// A schema named by its id must begin with what the query selects; what it has besides is left to its defaults.
fn check_registered(
    env: &Env<'_>,
    part: Part,
    schema: &Schema,
    spec: &FormatSpec,
    topic: &str,
    with: &With<'_>,
) -> Result<()> {
    if spec.schema_id.is_none() {
        return Ok(());
    }
    let (side, namespace) = match part {
        Part::Key => ("key", Namespace::Key),
        Part::Value => ("value", Namespace::Value),
    };
    let span = with.span(&format!("{}_SCHEMA_ID", side.to_uppercase()));
    let Some(registered) = env.world.registered_columns(topic, part, spec).map_err(|e| e.at(span))? else {
        return Ok(());
    };
    let columns = || schema.columns.iter().filter(|c| c.namespace == namespace);
    let same =
        |(at, c): &(usize, &Column)| registered.columns.get(*at).is_some_and(|r| (&r.name, &r.ty) == (&c.name, &c.ty));
    let changed: Vec<String> = columns()
        .enumerate()
        .filter(|pair| !same(pair))
        .map(|(_, c)| format!("{} {}", quote_ident(&c.name), c.ty))
        .collect();
    if changed.is_empty() {
        return Ok(());
    }
    let there: Vec<String> = registered.columns.iter().map(|c| format!("{} {}", quote_ident(&c.name), c.ty)).collect();
    let message = format!(
        "The following {side} columns are changed, missing or reordered: [{}]. Schema from schema registry is [{}]",
        changed.join(", "),
        there.join(", ")
    );
    Err(Error::type_mismatch(message).at(span))
}

/// Where the columns of a plan go; `selected` has exactly the sink's key and values, in its order of each.
pub(super) fn spec(env: &Env<'_>, source: Source, topic: Topic, selected: &Selected) -> SinkSpec {
    let visible = 0..selected.visible;
    let value: Vec<usize> = visible.filter(|at| !selected.key.contains(at)).collect();
    let key = selected.key.clone();
    let timestamp = source.timestamp.as_ref().and_then(|wanted| {
        let keys = source.schema.key().zip(&key);
        let values = source.schema.value().zip(&value);
        let place = keys.chain(values).find(|(c, _)| c.name == wanted.column).map(|(_, at)| *at);
        place.map(|at| (at, wanted.format.clone()))
    });
    let window = if source.windowed.is_some() { selected.window } else { None };
    let default = |property: &str| env.world.property(property).and_then(|v| v.trim().parse::<u32>().ok());
    let replicas = default("ksql.sink.replicas").and_then(|n| u16::try_from(n).ok());
    SinkSpec {
        source: Arc::new(source),
        key,
        whole_key: selected.whole_key,
        rekeyed: selected.rekeyed,
        value,
        timestamp,
        window,
        partitions: topic.partitions.or_else(|| default("ksql.sink.partitions")),
        replicas: topic.replicas.or(replicas),
        topic_settings: topic.settings,
    }
}
