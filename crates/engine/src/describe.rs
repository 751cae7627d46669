//! DESCRIBE.

use std::sync::atomic::Ordering;

use catalog::{Source, SourceKind};
use recordlog::TopicPartition;
use syntax::ast::{Ident, ObjectKind};
use types::{Error, Namespace, Result, did_you_mean};

use crate::{Session, api::Outcome, rows::text_rows};

/// DESCRIBE name [EXTENDED].
pub(crate) fn source(session: &Session, name: &Ident, extended: bool) -> Result<Outcome> {
    let catalog = session.engine.catalog();
    let Some(source) = catalog.source(&name.value) else {
        return Err(planner::ddl::unknown(format!("{} does not exist", name.value), name, &catalog));
    };
    if !extended {
        let rows = columns(source).into_iter().map(|(c, t, k)| vec![Some(c), Some(t), Some(k)]).collect();
        return text_rows("DESCRIBE", &["column", "type", "key"], rows);
    }
    text_rows("DESCRIBE", &["property", "value"], extended_rows(session, source))
}

fn columns(source: &Source) -> Vec<(String, String, String)> {
    let mark = |n: &Namespace| match n {
        Namespace::Key if source.kind == SourceKind::Table => "PRIMARY KEY".to_string(),
        Namespace::Key => "KEY".to_string(),
        Namespace::Value => String::new(),
        Namespace::Headers(None) => "HEADERS".to_string(),
        Namespace::Headers(Some(h)) => format!("HEADER('{h}')"),
    };
    source.schema.columns.iter().map(|c| (c.name.clone(), c.ty.to_string(), mark(&c.namespace))).collect()
}

fn extended_rows(session: &Session, source: &Source) -> Vec<Vec<Option<String>>> {
    let catalog = session.engine.catalog();
    let mut rows: Vec<(String, String)> = vec![
        ("name".into(), source.name.clone()),
        ("type".into(), if source.kind == SourceKind::Table { "TABLE".into() } else { "STREAM".into() }),
    ];
    for (name, ty, key) in columns(source) {
        rows.push((format!("column {name}"), format!("{ty} {key}").trim_end().to_string()));
    }
    rows.push(("topic".into(), source.topic.clone()));
    rows.push(("key format".into(), source.key_format.name.clone()));
    rows.push(("value format".into(), source.value_format.name.clone()));
    if let Some(timestamp) = &source.timestamp {
        rows.push(("timestamp column".into(), timestamp.column.clone()));
    }
    if let Some(window) = &source.windowed {
        rows.push(("windowed".into(), format!("{window:?}")));
    }
    rows.push(("statement".into(), source.statement.clone()));
    rows.push(("read by".into(), catalog.readers(&source.name).join(", ")));
    rows.push(("written by".into(), catalog.writers(&source.name).join(", ")));
    match session.engine.log.topic(&source.topic) {
        Ok(Some(topic)) => {
            rows.push(("partitions".into(), topic.config.partitions.to_string()));
            for p in 0..topic.config.partitions {
                if let Ok(ends) = session.engine.log.offsets(&TopicPartition::new(topic.name.clone(), p)) {
                    rows.push((format!("partition {p} offsets"), format!("{} to {}", ends.start, ends.end)));
                }
            }
        }
        Ok(None) => {}
        // The rest is known all the same.
        Err(error) => rows.push(("partitions".into(), error.to_string())),
    }
    for id in catalog.writers(&source.name) {
        if let Some(query) = session.engine.query(&id) {
            let stats = query.stats();
            rows.push((format!("{id} state"), query.state().name().into()));
            rows.push((format!("{id} records in"), stats.records_in.load(Ordering::Relaxed).to_string()));
            rows.push((format!("{id} records out"), stats.records_out.load(Ordering::Relaxed).to_string()));
            rows.push((format!("{id} state rows"), stats.state_rows().to_string()));
            rows.push((format!("{id} state bytes"), stats.state_bytes().to_string()));
            rows.push((format!("{id} state bytes on disk"), stats.disk_bytes().to_string()));
        }
    }
    rows.into_iter().map(|(k, v)| vec![Some(k), Some(v)]).collect()
}

/// DESCRIBE STREAMS, DESCRIBE TABLES.
pub(crate) fn all(session: &Session, object: ObjectKind, extended: bool) -> Result<Outcome> {
    let kind = if object == ObjectKind::Table { SourceKind::Table } else { SourceKind::Stream };
    let catalog = session.engine.catalog();
    let sources = catalog.sources.values().filter(|s| s.kind == kind);
    if extended {
        let rows = sources.flat_map(|s| extended_rows(session, s)).collect();
        return text_rows("DESCRIBE", &["property", "value"], rows);
    }
    let rows = sources
        .flat_map(|s| columns(s).into_iter().map(|(c, t, k)| vec![Some(s.name.clone()), Some(c), Some(t), Some(k)]));
    text_rows("DESCRIBE", &["name", "column", "type", "key"], rows.collect())
}

/// DESCRIBE FUNCTION.
pub(crate) fn function(name: &Ident) -> Result<Outcome> {
    let all: Vec<_> = functions::all().collect();
    let named = |doc: &functions::FunctionDoc| {
        doc.name.eq_ignore_ascii_case(&name.value) || doc.aliases.iter().any(|a| a.eq_ignore_ascii_case(&name.value))
    };
    let Some((doc, kind)) = all.iter().find(|(doc, _)| named(doc)) else {
        let error = Error::undefined_function(format!("function {} does not exist", name.value)).at(name.span);
        return Err(match did_you_mean(&name.value, all.iter().map(|(d, _)| d.name)) {
            Some(near) => error.with_hint(format!("did you mean {near}? SHOW FUNCTIONS lists them")),
            None => error.with_hint("SHOW FUNCTIONS lists them"),
        });
    };
    let mut rows =
        vec![("name", doc.name.to_string()), ("type", kind.name().to_string()), ("category", doc.category.to_string())];
    rows.extend(doc.signatures.iter().map(|s| ("signature", (*s).to_string())));
    rows.push(("description", doc.description.to_string()));
    rows.extend(doc.examples.iter().map(|(e, r)| ("example", format!("{e} = {r}"))));
    text_rows(
        "DESCRIBE",
        &["property", "value"],
        rows.into_iter().map(|(k, v)| vec![Some(k.into()), Some(v)]).collect(),
    )
}
