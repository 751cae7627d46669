//! `SOURCES`: streams and tables.

use std::sync::Arc;

use catalog::{Source, SourceKind};

use super::{Cell, Flag, Table, Text};
use crate::Engine;

pub(super) const TABLE: Table = Table {
    name: "SOURCES",
    columns: &[
        ("NAME", Text),
        ("TYPE", Text),
        ("TOPIC", Text),
        ("KEY_FORMAT", Text),
        ("VALUE_FORMAT", Text),
        ("WINDOWED", Flag),
        ("KEPT", Flag),
        ("QUERY_ID", Text),
        ("STATEMENT", Text),
    ],
    rows,
};

fn rows(engine: &Engine) -> Vec<Vec<Cell>> {
    let row = |source: &Arc<Source>| {
        let ty = if source.kind == SourceKind::Table { "TABLE" } else { "STREAM" };
        vec![
            source.name.as_str().into(),
            ty.into(),
            source.topic.as_str().into(),
            source.key_format.name.to_string().into(),
            source.value_format.name.to_string().into(),
            source.windowed.is_some().into(),
            engine.kept_table(&source.name).is_some().into(),
            source.created_by.clone().into(),
            source.statement.as_str().into(),
        ]
    };
    engine.catalog().sources.values().map(row).collect()
}
