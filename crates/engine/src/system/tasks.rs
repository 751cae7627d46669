//! `TASKS`: the tasks of persistent queries that this process runs. On a log of its own each query is one.

use super::{Cell, Number, Table, Text};
use crate::{Engine, running::QueryState};

pub(super) const TABLE: Table = Table {
    name: "TASKS",
    columns: &[
        ("QUERY_ID", Text),
        ("STAGE", Number),
        ("PARTITION", Number),
        ("STATE", Text),
        ("ERROR", Text),
        ("RECORDS_IN", Number),
        ("RECORDS_OUT", Number),
        ("EPOCHS", Number),
        ("LAG", Number),
        ("STATE_ROWS", Number),
        ("STATE_BYTES", Number),
        ("DISK_BYTES", Number),
    ],
    rows,
};

fn rows(engine: &Engine) -> Vec<Vec<Cell>> {
    let load = |counter: &std::sync::atomic::AtomicU64| counter.load(std::sync::atomic::Ordering::Relaxed);
    let queries: Vec<_> = engine.queries.lock().values().cloned().collect();
    let mut rows = vec![];
    for query in queries {
        for (share, task) in query.each_task() {
            let (state, stats) = (task.state(), task.stats());
            rows.push(vec![
                query.id.as_str().into(),
                share.map(|share| share.stage).into(),
                share.map(|share| share.partition).into(),
                state.name().into(),
                match state {
                    QueryState::Error(reason) => reason.into(),
                    _ => Cell::Null,
                },
                load(&stats.records_in).into(),
                load(&stats.records_out).into(),
                load(&stats.epochs).into(),
                task.lag().into(),
                stats.state_rows().into(),
                stats.state_bytes().into(),
                stats.disk_bytes().into(),
            ]);
        }
    }
    rows
}
