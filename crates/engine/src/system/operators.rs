//! `OPERATORS`: what each operator of each running query has done.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use super::{Cell, Number, Table, Text};
use crate::{Engine, running::RunningQuery};

pub(super) const TABLE: Table = Table {
    name: "OPERATORS",
    columns: &[
        ("QUERY_ID", Text),
        ("OPERATOR", Number),
        ("INPUTS", Text),
        ("LABEL", Text),
        ("ROWS_OUT", Number),
        ("BUSY_NS", Number),
        ("STATE_ROWS", Number),
        ("STATE_BYTES", Number),
        ("DISK_BYTES", Number),
        ("STATE_HITS", Number),
        ("STATE_MISSES", Number),
    ],
    rows,
};

fn rows(engine: &Engine) -> Vec<Vec<Cell>> {
    let queries: Vec<Arc<RunningQuery>> = engine.queries.lock().values().cloned().collect();
    let load = |counter: &AtomicU64| Cell::from(counter.load(Ordering::Relaxed));
    let of_query = |query: Arc<RunningQuery>| {
        let stats = query.stats();
        let row = |(at, node): (usize, &runtime::NodeStats)| {
            let inputs: Vec<String> = node.inputs.iter().map(ToString::to_string).collect();
            vec![
                query.id.as_str().into(),
                at.into(),
                inputs.join(", ").into(),
                node.label.as_str().into(),
                load(&node.rows),
                load(&node.busy_ns),
                load(&node.state_rows),
                load(&node.state_bytes),
                load(&node.disk_bytes),
                load(&node.state_hits),
                load(&node.state_misses),
            ]
        };
        stats.nodes.iter().enumerate().map(row).collect::<Vec<_>>()
    };
    queries.into_iter().flat_map(of_query).collect()
}
