//! Names that are taken, and what CREATE OR REPLACE may change.

use std::sync::Arc;

use catalog::{Catalog, Source, SourceKind};
use syntax::ast::CreateSource;
use types::{Column, Error, ErrorKind, Namespace, Result, quote_ident};

use crate::{
    plan::{Planned, Surroundings},
    properties::is_on,
};

/// `stream` or `table`.
pub fn kind_name(kind: SourceKind) -> &'static str {
    match kind {
        SourceKind::Stream => "stream",
        SourceKind::Table => "table",
    }
}

/// Whether the name is free, or may be used again; something: there is nothing to do.
pub(super) fn check_name(
    create: &CreateSource,
    kind: SourceKind,
    catalog: &Catalog,
    surroundings: &dyn Surroundings,
) -> Result<Option<Planned>> {
    let name = &create.name;
    let existing = catalog.source(&name.value);
    let on_source = create.is_source || existing.is_some_and(|s| s.read_only);
    if create.or_replace && on_source {
        let what = kind_name(kind);
        let message =
            format!("Cannot add {what} '{}': CREATE OR REPLACE is not supported on source {what}s", name.value);
        return Err(Error::unsupported(message).at(name.span).with_hint("DROP it first"));
    }
    check_free(&name.value, kind, create.or_replace, create.if_not_exists, catalog, surroundings)
        .map(|why| why.map(Planned::Nothing))
        .map_err(|e| e.at(name.span))
}

/// Whether a stream or table called `name` may be made. `Some`: there is nothing to do (IF NOT EXISTS), and why.
pub fn check_free(
    name: &str,
    kind: SourceKind,
    or_replace: bool,
    if_not_exists: bool,
    catalog: &Catalog,
    surroundings: &dyn Surroundings,
) -> Result<Option<String>> {
    let what = kind_name(kind);
    if catalog.views.contains_key(name) {
        return Err(Error::exists(format!("Cannot add {what} '{name}': a view with the same name already exists")));
    }
    if or_replace && !is_on(surroundings, "ksql.create.or.replace.enabled", true) {
        return Err(Error::unsupported(format!("Cannot add {what} '{name}': CREATE OR REPLACE is disabled"))
            .with_hint("SET 'ksql.create.or.replace.enabled' = 'true';"));
    }
    let Some(existing) = catalog.source(name) else { return Ok(None) };
    if if_not_exists {
        let existing = kind_name(existing.kind);
        return Ok(Some(format!(
            "Cannot add {what} {}: A {existing} with the same name already exists.",
            quote_ident(name)
        )));
    }
    if or_replace {
        return Ok(None);
    }
    let existing = kind_name(existing.kind);
    Err(Error::exists(format!("Cannot add {what} '{name}': A {existing} with the same name already exists"))
        .with_hint(format!("DROP {0} {name}; CREATE OR REPLACE {0}; or CREATE {0} IF NOT EXISTS", what.to_uppercase())))
}

/// Whether `new` takes the place of a source that exists, which has been checked to be allowed.
pub(super) fn check_replaces(create: &CreateSource, new: &Source, catalog: &Catalog) -> Result<bool> {
    let Some(old) = catalog.source(&new.name).filter(|_| create.or_replace) else { return Ok(false) };
    if let Some(query) = &old.created_by {
        let message =
            format!("Cannot replace {} '{}': it is written by the query {query}", kind_name(old.kind), old.name);
        return Err(Error::depended_on(message)
            .at(create.name.span)
            .with_hint("replace it by another CREATE … AS SELECT, or DROP it first"));
    }
    check_upgrade(old, new).map_err(|e| e.at(create.name.span))?;
    Ok(true)
}

/// Whether `new` may take the place of `old`: everything as it was, except for additional value columns at the end.
pub fn check_upgrade(old: &Arc<Source>, new: &Source) -> Result<()> {
    let differs = |what: &str, from: String, to: String| {
        Err(upgrade_error(format!(
            "Cannot upgrade data source: DataSource '{}' has {what} = {from} which is not upgradeable to {to}",
            quote_ident(&new.name)
        )))
    };
    if old.kind != new.kind {
        return differs("type", kind_name(old.kind).to_uppercase(), kind_name(new.kind).to_uppercase());
    }
    if old.topic != new.topic {
        return differs("topic", old.topic.clone(), new.topic.clone());
    }
    for (what, from, to) in
        [("key format", &old.key_format, &new.key_format), ("value format", &old.value_format, &new.value_format)]
    {
        if from.name != to.name {
            return differs(what, from.name.clone(), to.name.clone());
        }
    }
    if old.windowed != new.windowed {
        return differs("windowing", format!("{:?}", old.windowed), format!("{:?}", new.windowed));
    }
    if old.timestamp != new.timestamp {
        let shown = |s: &Source| s.timestamp.as_ref().map_or_else(|| "none".to_owned(), |t| t.column.clone());
        return differs("timestamp column", shown(old), shown(new));
    }
    check_columns(old, new)
}

fn check_columns(old: &Source, new: &Source) -> Result<()> {
    let of = |source: &Source, namespace: &Namespace| -> Vec<Column> {
        source.schema.columns.iter().filter(|c| c.namespace == *namespace).cloned().collect()
    };
    let (old_key, new_key) = (of(old, &Namespace::Key), of(new, &Namespace::Key));
    if old_key != new_key {
        let changed = if old_key.is_empty() { new_key } else { missing(&old_key, &new_key) };
        return Err(upgrade_error(format!(
            "Cannot upgrade data source {}: Key columns must be identical. The following key columns are changed, \
             missing or reordered: {}",
            quote_ident(&new.name),
            list(&changed, " KEY")
        )));
    }
    let (old_value, new_value) = (of(old, &Namespace::Value), of(new, &Namespace::Value));
    if !new_value.starts_with(&old_value) {
        let changed: Vec<Column> = old_value
            .iter()
            .enumerate()
            .filter(|(at, c)| new_value.get(*at) != Some(c))
            .map(|(_, c)| c.clone())
            .collect();
        return Err(upgrade_error(format!(
            "Cannot upgrade data source {}: The following columns are changed, missing or reordered: {}",
            quote_ident(&new.name),
            list(&changed, "")
        )));
    }
    Ok(())
}

/// Those of `old` that `new` does not have at the same place.
fn missing(old: &[Column], new: &[Column]) -> Vec<Column> {
    let changed: Vec<Column> =
        old.iter().enumerate().filter(|(at, c)| new.get(*at) != Some(c)).map(|(_, c)| c.clone()).collect();
    if changed.is_empty() { new.iter().skip(old.len()).cloned().collect() } else { changed }
}

fn list(columns: &[Column], suffix: &str) -> String {
    let columns: Vec<String> = columns.iter().map(|c| format!("{} {}{suffix}", quote_ident(&c.name), c.ty)).collect();
    format!("[{}]", columns.join(", "))
}

fn upgrade_error(message: String) -> Error {
    Error::new(ErrorKind::Conflict, "42P16", message)
        .with_hint("columns can only be added at the end; for other changes DROP it and create it anew")
}
