//! EXPLAIN and EXPLAIN ANALYZE.

use std::sync::atomic::Ordering;

use planner::{
    expr::Parameters,
    plan::{KeyRange, Planned, PullPlan, QueryPlan},
    pull::plan_pull,
    query::{plan_create_as_select, plan_insert_select, plan_push},
};
use runtime::QueryStats;
use syntax::ast::{self, Ident, StatementKind};
use types::{Error, Result, did_you_mean};

use crate::{Session, api::Outcome, general, rows::text_rows};

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
                    let (context, plan) = general::plan(session, query).await?;
                    let frame = context.execute_logical_plan(plan).await.map_err(general::df_error)?;
                    let physical = frame.create_physical_plan().await.map_err(general::df_error)?;
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
    lines(&planner::query::explain(&plan))
}

/// How a lookup finds its rows.
fn pull_text(session: &Session, plan: &PullPlan) -> String {
    let kept = session.engine.kept_table(&plan.source.name).is_some();
    let how = match &plan.keys {
        _ if !kept => "Scan of the topic".to_string(),
        KeyRange::Points(keys) => {
            format!("Lookup of {} key(s)", keys.first().map_or(0, arrow::array::Array::len))
        }
        KeyRange::PointExprs(keys) => format!("Lookup of {} key(s)", keys.len()),
        KeyRange::Range { prefix, .. } => format!("Range scan, {} leading key column(s) fixed", prefix.len()),
        KeyRange::All => "Scan of the table".to_string(),
    };
    let mut out = format!("{how}: {}\n", plan.source.name);
    let bounds =
        |b: &planner::plan::Bounds| (b.from.is_some() || b.to.is_some()).then(|| format!("{:?} to {:?}", b.from, b.to));
    if let Some(b) = bounds(&plan.window_start) {
        out.push_str(&format!("  window start: {b}\n"));
    }
    if let Some(filter) = &plan.filter {
        out.push_str(&format!("  filter: {filter}\n"));
    }
    let shown: Vec<_> =
        plan.exprs.iter().zip(&plan.output.columns).map(|(e, c)| format!("{e} AS {}", c.name)).collect();
    out.push_str(&format!("  columns: {}\n", shown.join(", ")));
    out
}

/// EXPLAIN [ANALYZE] query id.
pub(crate) fn running(session: &Session, id: &Ident, analyze: bool) -> Result<Outcome> {
    let Some(query) = session.engine.query(&id.value) else {
        let error = Error::undefined_source(format!("query {} does not exist", id.value)).at(id.span);
        let catalog = session.engine.catalog();
        return Err(match did_you_mean(&id.value, catalog.queries.keys().map(String::as_str)) {
            Some(near) => error.with_hint(format!("did you mean {near}?")),
            None => error.with_hint("SHOW QUERIES lists them"),
        });
    };
    let mut out = format!("Query {}, {}\n", query.id, query.state().name());
    out.push_str(&planner::query::explain(&query.opener.plan));
    if !out.ends_with('\n') {
        out.push('\n');
    }
    out.push_str(&stages_text(&query.stats(), analyze));
    lines(&out)
}

/// The operators that run, with their counters.
fn stages_text(stats: &QueryStats, analyze: bool) -> String {
    let mut out = "Operators\n".to_string();
    let load = |a: &std::sync::atomic::AtomicU64| a.load(Ordering::Relaxed);
    for (at, node) in stats.nodes.iter().enumerate() {
        let from: Vec<_> = node.inputs.iter().map(ToString::to_string).collect();
        let from = if from.is_empty() { String::new() } else { format!(" <- {}", from.join(", ")) };
        out.push_str(&format!("  {at}{from}: {}\n", node.label));
        if analyze {
            out.push_str(&format!(
                "     rows {}, busy {:.1} ms, state {} rows, {} bytes\n",
                load(&node.rows),
                load(&node.busy_ns) as f64 / 1e6,
                load(&node.state_rows),
                load(&node.state_bytes)
            ));
        }
    }
    if analyze {
        out.push_str(&format!(
            "Records in {}, out {}, epochs {}\nLost rows: undecodable {}, null key {}, failed expression {}, late {}, unwritable {}\n",
            load(&stats.records_in),
            load(&stats.records_out),
            load(&stats.epochs),
            load(&stats.undecodable),
            load(&stats.null_keys),
            load(&stats.failed_expressions),
            load(&stats.late),
            load(&stats.unwritable),
        ));
        let time = stats.stream_time_ms.load(Ordering::Relaxed);
        if time != i64::MIN {
            out.push_str(&format!("Stream time {time} ms\n"));
        }
    }
    out
}
