//! EXPLAIN and EXPLAIN ANALYZE.

use std::{
    collections::BTreeMap,
    fmt::Write,
    sync::atomic::{AtomicU64, Ordering},
};

use arrow::{
    array::{Array, ArrayRef},
    util::display::array_value_to_string,
};
use planner::{
    expr::Parameters,
    plan::{Bounds, KeyRange, Planned, PullPlan, QueryPlan},
    pull::{is_exact, plan_pull},
    query::{plan_create_as_select, plan_insert_select, plan_push, stages},
};
use runtime::{NodeStats, QueryStats, log_error};
use syntax::ast::{self, Ident, StatementKind};
use types::{Error, Result, did_you_mean};

use crate::{
    Session,
    api::Outcome,
    foreign::df_error,
    general,
    rows::text_rows,
    running::{QueryState, RunningQuery},
};

fn lines(text: &str) -> Result<Outcome> {
    text_rows("EXPLAIN", &["plan"], text.lines().map(|l| vec![Some(l.to_string())]).collect())
}

/// EXPLAIN statement.
pub(crate) async fn statement(session: &Session, statement: &ast::Statement, analyze: bool) -> Result<Outcome> {
    let catalog = session.engine.catalog();
    let text = statement.text.as_str();
    let planned = |planned: Planned| -> Result<QueryPlan> {
        match planned {
            Planned::CreateAsSelect { plan, .. } | Planned::InsertSelect { plan, .. } => Ok(plan),
            Planned::Nothing(why) => Err(Error::invalid(why)),
            _ => Err(Error::internal("not a query")),
        }
    };
    let plan = match &statement.kind {
        StatementKind::Query(query) if query.emit.is_some() => plan_push(query, &catalog, &session.world(false))?,
        StatementKind::Query(query) => {
            return match plan_pull(query, &catalog, &session.world(false), &Parameters::default())? {
                Some(plan) => lines(&pull_text(session, &plan)),
                None => {
                    let general::Planned { context, plan, .. } = general::plan(session, query).await?;
                    let frame = context.execute_logical_plan(plan).await.map_err(df_error)?;
                    let physical = frame.create_physical_plan().await.map_err(df_error)?;
                    lines(&datafusion::physical_plan::displayable(physical.as_ref()).indent(analyze).to_string())
                }
            };
        }
        StatementKind::CreateAsSelect(create) => {
            planned(plan_create_as_select(create, text, &catalog, &session.world(true))?)?
        }
        StatementKind::InsertSelect { target, properties, query } => {
            planned(plan_insert_select(target, properties, query, text, &catalog, &session.world(true))?)?
        }
        _ => {
            return Err(Error::invalid(
                "EXPLAIN takes a query, CREATE … AS SELECT, INSERT INTO … SELECT, or a query's id",
            ));
        }
    };
    let mut out = String::new();
    for (number, stage) in (1..).zip(stages(&plan)) {
        let _ = writeln!(out, "Stage {number}");
        indent(&mut out, &stage.text());
    }
    lines(&out)
}

/// How a lookup finds its rows.
fn pull_text(session: &Session, plan: &PullPlan) -> String {
    let kept = session.engine.kept_table(&plan.source.name).is_some();
    let how = match &plan.keys {
        _ if !kept => "Scan of the topic".to_string(),
        KeyRange::Points(keys) => {
            format!("Lookup of {} key(s)", keys.first().map_or(0, |c| c.len()))
        }
        KeyRange::PointExprs(keys) => format!("Lookup of {} key(s)", keys.len()),
        KeyRange::Range { prefix, .. } => format!("Range scan, {} leading key column(s) fixed", prefix.len()),
        KeyRange::All => "Scan of the table".to_string(),
    };
    let mut out = format!("{how}: {}\n", plan.source.name);
    if kept {
        out.push_str(&keys_text(&plan.keys));
    }
    let Bounds { from, to } = plan.window_start;
    if from.is_some() || to.is_some() {
        let shown = |bound: Option<i64>| bound.map_or("any".to_string(), |ms| ms.to_string());
        let _ = writeln!(out, "  window start: {} to {}", shown(from), shown(to));
    }
    if let Some(filter) = &plan.filter {
        let why = if is_exact(plan) && kept { " (fulfilled by the key)" } else { "" };
        let _ = writeln!(out, "  filter: {filter}{why}");
    }
    let shown: Vec<_> =
        plan.exprs.iter().zip(&plan.output.columns).map(|(e, c)| format!("{e} AS {}", c.name)).collect();
    let _ = writeln!(out, "  columns: {}", shown.join(", "));
    if let Some(limit) = plan.limit {
        let _ = writeln!(out, "  limit: {limit}");
    }
    out
}

/// Keys that EXPLAIN names; of more it says how many there are.
const KEYS_SHOWN: usize = 8;

/// The keys that are read, a line; nothing where all are.
fn keys_text(keys: &KeyRange) -> String {
    let value = |array: &ArrayRef, row: usize| array_value_to_string(array, row).unwrap_or_default();
    match keys {
        KeyRange::Points(columns) => {
            let all = columns.first().map_or(0, |c| c.len());
            let key = |row| columns.iter().map(|c| value(c, row)).collect::<Vec<_>>().join(", ");
            let shown: Vec<String> = (0..all.min(KEYS_SHOWN)).map(|row| format!("({})", key(row))).collect();
            let more = if all > KEYS_SHOWN { " …" } else { "" };
            format!("  keys: {}{more}\n", shown.join(" "))
        }
        KeyRange::Range { prefix, from, to } => {
            let mut parts: Vec<String> = prefix.iter().map(|c| format!("= {}", value(c, 0))).collect();
            let bound = |bound: &Option<(ArrayRef, bool)>, sign: &str| {
                let (at, inclusive) = bound.as_ref()?;
                Some(format!("{sign}{} {}", if *inclusive { "=" } else { "" }, value(at, 0)))
            };
            parts.extend(bound(from, ">"));
            parts.extend(bound(to, "<"));
            format!("  keys: {}\n", parts.join(", "))
        }
        KeyRange::PointExprs(_) | KeyRange::All => String::new(),
    }
}

/// EXPLAIN [ANALYZE] query id.
pub(crate) async fn running(session: &Session, id: &Ident, analyze: bool) -> Result<Outcome> {
    let Some(query) = session.engine.query(&id.value) else {
        let error = Error::undefined_source(format!("query {} does not exist", id.value)).at(id.span);
        let catalog = session.engine.catalog();
        return Err(match did_you_mean(&id.value, catalog.queries.keys().map(String::as_str)) {
            Some(near) => error.with_hint(format!("did you mean {near}?")),
            None => error.with_hint("SHOW QUERIES lists them"),
        });
    };
    let mut out = format!("Query {}, {}\n", query.id, query.state().name());
    if let QueryState::Error(reason) = query.state() {
        let _ = writeln!(out, "Failed: {reason}");
    }
    let changelog = session.engine.names.changelog(&query.id, None);
    if session.engine.log.topic(&changelog).map_err(log_error)?.is_some() {
        let _ = writeln!(out, "State: topic {changelog}");
    }
    for place in session.engine.places(&query).await {
        let _ = writeln!(out, "Task {place}");
    }
    let stats = query.stats();
    let counted = counted_by_stage(&stats);
    let lag = lag_by_topic(session, &query);
    for (number, stage) in (1usize..).zip(stages(&query.opener.plan)) {
        let _ = write!(out, "Stage {number}");
        if let Some(counted) = counted.get(number - 1).filter(|_| analyze) {
            let _ = write!(out, ": {counted}");
            let waiting: i64 = stage.topics.iter().filter_map(|t| lag.get(t)).sum();
            if !stage.topics.is_empty() {
                let _ = write!(out, ", lag {waiting} records");
            }
        }
        out.push('\n');
        indent(&mut out, &stage.text());
    }
    if analyze {
        analyzed(&mut out, &stats);
        for (partition, next) in query.positions() {
            let end = session.engine.log.offsets(&partition).map_or(next, |o| o.end);
            let _ = writeln!(
                out,
                "Read {} partition {} up to offset {next} of {end}",
                partition.topic, partition.partition
            );
        }
    }
    lines(&out)
}

fn indent(out: &mut String, text: &str) {
    text.lines().for_each(|line| {
        let _ = writeln!(out, "  {line}");
    });
}

/// What the operators of a stage have done so far.
#[derive(Debug, Default, Clone, Copy)]
struct Counted {
    rows_in: u64,
    rows_out: u64,
    busy_ns: u64,
    state_rows: u64,
    state_bytes: u64,
}

impl std::fmt::Display for Counted {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Counted { rows_in, rows_out, busy_ns, state_rows, state_bytes } = self;
        let busy_ms = *busy_ns as f64 / 1e6;
        write!(
            f,
            "rows in {rows_in}, out {rows_out}, busy {busy_ms:.1} ms, state {state_rows} rows, {state_bytes} bytes"
        )
    }
}

fn load(counter: &AtomicU64) -> u64 {
    counter.load(Ordering::Relaxed)
}

/// Which stage each operator belongs to: operators that read each other are in one, unless an exchange is between.
/// Stages are numbered as those of the plan: by the exchange that they feed.
fn stage_of_nodes(stats: &QueryStats) -> (Vec<usize>, usize) {
    let exchanges = stats.nodes.iter().filter(|n| n.exchange).count();
    let mut stage = vec![exchanges; stats.nodes.len()];
    for (number, node) in stats.nodes.iter().filter(|n| n.exchange).enumerate() {
        let mut below = node.inputs.clone();
        while let Some(at) = below.pop() {
            if let Some(slot) = stage.get_mut(at) {
                *slot = number;
            }
            below.extend(stats.nodes.get(at).filter(|n| !n.exchange).into_iter().flat_map(|n| n.inputs.iter()));
        }
    }
    (stage, exchanges + 1)
}

fn counted_by_stage(stats: &QueryStats) -> Vec<Counted> {
    let (stage_of, stages) = stage_of_nodes(stats);
    let mut counted = vec![Counted::default(); stages];
    for (at, node) in stats.nodes.iter().enumerate() {
        let own = stage_of.get(at).copied().unwrap_or(0);
        // What an exchange gives comes in; what nobody in the stage reads goes out.
        let enters = node.exchange || node.inputs.is_empty();
        let read_here =
            |n: &NodeStats, i: usize| n.inputs.contains(&at) && !n.exchange && stage_of.get(i) == Some(&own);
        let leaves = !stats.nodes.iter().enumerate().any(|(i, n)| read_here(n, i));
        if let Some(stage) = counted.get_mut(own) {
            stage.rows_in += if enters { load(&node.rows) } else { 0 };
            stage.rows_out += if leaves { load(&node.rows) } else { 0 };
            stage.busy_ns += load(&node.busy_ns);
            stage.state_rows += load(&node.state_rows);
            stage.state_bytes += load(&node.state_bytes);
        }
    }
    counted
}

/// Records that are in the topics and not read yet.
fn lag_by_topic(session: &Session, query: &RunningQuery) -> BTreeMap<String, i64> {
    let mut lag = BTreeMap::new();
    for (partition, next) in query.positions() {
        let end = session.engine.log.offsets(&partition).map_or(next, |o| o.end);
        *lag.entry(partition.topic.to_string()).or_default() += (end - next).max(0);
    }
    lag
}

/// The operators one by one, and what the query as a whole has done.
fn analyzed(out: &mut String, stats: &QueryStats) {
    out.push_str("Operators\n");
    for (at, node) in stats.nodes.iter().enumerate() {
        let from: Vec<_> = node.inputs.iter().map(ToString::to_string).collect();
        let from = if from.is_empty() { String::new() } else { format!(" <- {}", from.join(", ")) };
        let (rows, busy_ms) = (load(&node.rows), load(&node.busy_ns) as f64 / 1e6);
        let (state_rows, state_bytes) = (load(&node.state_rows), load(&node.state_bytes));
        let _ = writeln!(out, "  {at}{from}: {}", node.label);
        let _ = writeln!(out, "     rows {rows}, busy {busy_ms:.1} ms, state {state_rows} rows, {state_bytes} bytes");
        let (disk_bytes, hits, misses) = (load(&node.disk_bytes), load(&node.state_hits), load(&node.state_misses));
        if disk_bytes > 0 {
            let _ =
                writeln!(out, "     on disk {disk_bytes} bytes; looked for in memory {hits}, on disk {misses} times");
        }
    }
    let (records_in, records_out, epochs) = (load(&stats.records_in), load(&stats.records_out), load(&stats.epochs));
    let _ = writeln!(out, "Records in {records_in}, out {records_out}");
    let [all, last, longest] = stats.epoch_ns.each_ref().map(|ns| load(ns) as f64 / 1e6);
    let mean = all / epochs.max(1) as f64;
    let _ = writeln!(out, "Epochs {epochs}: mean {mean:.3} ms, last {last:.3} ms, longest {longest:.3} ms");
    let _ = writeln!(
        out,
        "Lost rows: undecodable {}, null key {}, failed expression {}, late {}, unwritable {}",
        load(&stats.undecodable),
        load(&stats.null_keys),
        load(&stats.failed_expressions),
        load(&stats.late),
        load(&stats.unwritable),
    );
    let time = stats.stream_time_ms.load(Ordering::Relaxed);
    if time != i64::MIN {
        let _ = writeln!(out, "Stream time {time} ms");
    }
}
