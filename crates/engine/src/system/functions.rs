//! `FUNCTIONS`: the functions of the dialect.

use functions::{FunctionDoc, FunctionKind};

use super::{Cell, Table, Text};
use crate::Engine;

pub(super) const TABLE: Table = Table {
    name: "FUNCTIONS",
    columns: &[("NAME", Text), ("TYPE", Text), ("CATEGORY", Text), ("DESCRIPTION", Text)],
    rows,
};

fn rows(_: &Engine) -> Vec<Vec<Cell>> {
    let row = |(doc, kind): (&FunctionDoc, FunctionKind)| {
        vec![doc.name.into(), kind.name().into(), doc.category.into(), doc.description.into()]
    };
    functions::all().map(row).collect()
}
