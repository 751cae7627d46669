//! `FUNCTIONS`: the functions of the dialect.

use functions::{FunctionDoc, aggregate::AGGREGATES, scalar::SCALARS, table::TABLES};

use super::{Cell, Table, Text};
use crate::Engine;

pub(super) const TABLE: Table = Table {
    name: "FUNCTIONS",
    columns: &[("NAME", Text), ("TYPE", Text), ("CATEGORY", Text), ("DESCRIPTION", Text)],
    rows,
};

fn rows(_: &Engine) -> Vec<Vec<Cell>> {
    let scalar = SCALARS.iter().map(|f| (f.doc(), "SCALAR"));
    let aggregate = AGGREGATES.iter().map(|f| (f.doc(), "AGGREGATE"));
    let table = TABLES.iter().map(|f| (f.doc(), "TABLE"));
    let row =
        |(doc, ty): (&FunctionDoc, &str)| vec![doc.name.into(), ty.into(), doc.category.into(), doc.description.into()];
    scalar.chain(aggregate).chain(table).map(row).collect()
}
