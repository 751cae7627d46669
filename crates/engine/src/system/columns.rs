//! `COLUMNS`: the columns of streams and tables.

use std::sync::Arc;

use catalog::Source;
use types::Namespace;

use super::{Cell, Number, Table, Text};
use crate::Engine;

pub(super) const TABLE: Table = Table {
    name: "COLUMNS",
    columns: &[("SOURCE", Text), ("POSITION", Number), ("NAME", Text), ("TYPE", Text), ("ROLE", Text)],
    rows,
};

fn rows(engine: &Engine) -> Vec<Vec<Cell>> {
    let catalog = engine.catalog();
    let of_source = |source: &Arc<Source>| -> Vec<Vec<Cell>> {
        let columns = source.schema.columns.iter().enumerate();
        let row = |(at, column): (usize, &types::Column)| {
            let role = match &column.namespace {
                Namespace::Key => "KEY",
                Namespace::Value => "VALUE",
                Namespace::Headers(_) => "HEADERS",
            };
            let ty = column.ty.to_string();
            vec![source.name.as_str().into(), (at + 1).into(), column.name.as_str().into(), ty.into(), role.into()]
        };
        columns.map(row).collect()
    };
    catalog.sources.values().flat_map(of_source).collect()
}
