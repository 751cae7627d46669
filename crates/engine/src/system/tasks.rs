//! `TASKS`: the tasks of persistent queries that this process runs, and those of other processes that it follows. On a log
//! of its own each query is one.

use std::sync::atomic::{AtomicU64, Ordering};

use runtime::{QueryStats, Share};

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
        ("RESTORED", Number),
    ],
    rows,
};

fn rows(engine: &Engine) -> Vec<Vec<Cell>> {
    let queries: Vec<_> = engine.queries.lock().values().cloned().collect();
    let mut rows = vec![];
    for query in &queries {
        for (share, task) in query.each_task() {
            rows.push(row(&query.id, share, &task.state(), task.lag(), &task.stats()));
        }
    }
    let mut followed = vec![];
    engine.each_standby(|id, share, seen| {
        let (stats, position) = seen.map(|seen| (seen.stats.clone(), seen.position.clone())).unwrap_or_default();
        followed.push((id.to_string(), share, stats, position));
    });
    for (id, share, stats, position) in followed {
        let query = queries.iter().find(|query| query.opener.options.id == id);
        // Not under a lock: the cluster may be asked.
        let lag = position.and_then(|(changelog, next)| Some((engine.log.offsets(&changelog).ok()?.end - next).max(0)));
        rows.push(row(query.map_or(&id, |query| &query.id), Some(share), &QueryState::Standby, lag, &stats));
    }
    rows
}

fn row(id: &str, share: Option<Share>, state: &QueryState, lag: Option<i64>, stats: &QueryStats) -> Vec<Cell> {
    let load = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
    vec![
        id.into(),
        share.map(|share| share.stage).into(),
        share.map(|share| share.partition).into(),
        state.name().into(),
        match state {
            QueryState::Error(reason) => reason.clone().into(),
            _ => Cell::Null,
        },
        load(&stats.records_in).into(),
        load(&stats.records_out).into(),
        load(&stats.epochs).into(),
        lag.into(),
        stats.state_rows().into(),
        stats.state_bytes().into(),
        stats.disk_bytes().into(),
        load(&stats.restored).into(),
    ]
}
