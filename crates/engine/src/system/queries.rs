//! `QUERIES`: the persistent queries and how they do.

use super::{Cell, Number, Table, Text};
use crate::Engine;

pub(super) const TABLE: Table = Table {
    name: "QUERIES",
    columns: &[
        ("ID", Text),
        ("STATE", Text),
        ("ERROR", Text),
        ("SINK", Text),
        ("STATEMENT", Text),
        ("RECORDS_IN", Number),
        ("RECORDS_OUT", Number),
        ("EPOCHS", Number),
        ("LAG", Number),
        ("UNDECODABLE", Number),
        ("NULL_KEYS", Number),
        ("FAILED_EXPRESSIONS", Number),
        ("LATE", Number),
        ("UNWRITABLE", Number),
        ("STATE_ROWS", Number),
        ("STATE_BYTES", Number),
        ("DISK_BYTES", Number),
    ],
    rows,
};

fn rows(engine: &Engine) -> Vec<Vec<Cell>> {
    let catalog = engine.catalog();
    let row = |report: crate::QueryReport| {
        let known = catalog.queries.get(&report.id);
        let lag = engine.query(&report.id).and_then(|query| query.lag());
        vec![
            report.id.into(),
            report.state.into(),
            report.error.into(),
            known.map(|q| q.writes.as_str()).into(),
            known.map(|q| q.statement.as_str()).into(),
            report.records_in.into(),
            report.records_out.into(),
            report.epochs.into(),
            lag.into(),
            report.undecodable.into(),
            report.null_keys.into(),
            report.failed_expressions.into(),
            report.late.into(),
            report.unwritable.into(),
            report.state_rows.into(),
            report.state_bytes.into(),
            report.disk_bytes.into(),
        ]
    };
    engine.reports().into_iter().map(row).collect()
}
