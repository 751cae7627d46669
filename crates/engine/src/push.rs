//! Push queries: rows as they happen, to one client.

use std::sync::Arc;

use arrow::{
    array::{BooleanArray, RecordBatch, RecordBatchOptions},
    datatypes::{Field, Schema, SchemaRef},
};
use catalog::SourceKind;
use futures::{StreamExt, future::select_all};
use operators::{Change, ChangeBatch};
use planner::plan::QueryPlan;
use runtime::{Cut, Query, log_error};
use syntax::ast;
use tokio::sync::mpsc;
use types::{Error, Result};

use crate::{
    Session,
    api::{Outcome, OutputColumn, Rows, Warnings},
    running::{next_epoch, pass},
    session::output_column,
};

/// Batches that wait for a slow client; then its query waits.
const BATCHES_WAITING_MAX: usize = 8;

/// The columns of a push query's rows.
pub(crate) fn columns(plan: &QueryPlan) -> Vec<OutputColumn> {
    let column = |at: &usize| plan.root.fields.columns.get(*at).map(|c| output_column(&c.name, &c.ty, c.key));
    plan.output.iter().filter_map(column).collect()
}

/// Run a push query.
pub(crate) async fn run(session: &Session, query: &ast::Query) -> Result<Outcome> {
    let engine = session.engine.clone();
    let plan = planner::query::plan_push(query, &engine.catalog(), &session.world(false))?;
    let columns = columns(&plan);
    let fields: Vec<Field> = columns.iter().map(|c| Field::new(c.name.as_str(), c.data_type.clone(), true)).collect();
    let schema = Arc::new(Schema::new(fields));
    let options = engine.query_options("push query", &session.properties, false);
    let query = Query::open(&plan, options, engine.log.clone(), engine.host.clone(), engine.pool.clone()).await?;
    let mut watches =
        query.topics().iter().map(|t| engine.log.watch(t).map_err(log_error)).collect::<Result<Vec<_>>>()?;
    let (sender, receiver) = mpsc::channel::<Result<RecordBatch>>(BATCHES_WAITING_MAX);
    let live = plan.limit.is_none();
    // In an engine driven by hand nothing arrives later: the query ends with what is there.
    let ends = engine.config.manual;
    let stream = plan.root.kind == SourceKind::Stream;
    let (mut left, output, out_schema) = (plan.limit.unwrap_or(u64::MAX), plan.output.clone(), schema.clone());
    tokio::spawn(async move {
        let mut query = query;
        while left > 0 {
            watches.iter_mut().for_each(|w| {
                w.borrow_and_update();
            });
            const PUSH_BYTES: usize = 1 << 20;
            let run = tokio::task::spawn_blocking(move || {
                let epoch = next_epoch(&mut query, Cut::Bytes(PUSH_BYTES));
                (query, epoch)
            });
            let Ok((back, epoch)) = run.await else { return };
            query = back;
            match epoch {
                Ok(Some(epoch)) => {
                    query.committed(epoch.number);
                    let Some(rows) = epoch.rows.filter(|r| !r.is_empty()) else { continue };
                    let batch = shown(&rows, stream, &output, &out_schema);
                    let batch =
                        batch.map(|b| b.slice(0, usize::try_from(left).unwrap_or(usize::MAX).min(b.num_rows())));
                    left -= batch.as_ref().map_or(0, |b| b.num_rows() as u64).min(left);
                    let failed = batch.is_err();
                    if sender.send(batch).await.is_err() || failed {
                        return;
                    }
                }
                Ok(None) if ends => return,
                Ok(None) => {
                    let changes = watches.iter_mut().map(|w| Box::pin(w.changed()));
                    tokio::select! {
                        (changed, _, _) = select_all(changes) => {
                            if changed.is_err() {
                                let error = Error::undefined_source("a topic that the query reads was deleted");
                                let _ = sender.send(Err(error)).await;
                                return;
                            }
                        }
                        () = pass(query.idle_in()) => {}
                        () = sender.closed() => return,
                    }
                }
                Err(e) => {
                    let _ = sender.send(Err(e)).await;
                    return;
                }
            }
        }
    });
    let batches = futures::stream::unfold(receiver, |mut r| async move { r.recv().await.map(|b| (b, r)) }).boxed();
    let (columns, warnings) = (columns.into(), Warnings::default());
    Ok(Outcome::Rows(Rows { columns, schema, batches, live, tag: "SELECT", warnings }))
}

/// The rows that a client sees: not what a change replaces; of a deletion the key alone; of a stream no record without
/// a value.
fn shown(rows: &ChangeBatch, stream: bool, output: &[usize], schema: &SchemaRef) -> Result<RecordBatch> {
    let fail = |e: arrow::error::ArrowError| Error::internal(e.to_string());
    let visible;
    let rows = if rows.ops.is_some() {
        let hidden = |op: Change| op == Change::UpdateBefore || stream && op == Change::Tombstone;
        let keep: BooleanArray = (0..rows.len()).map(|r| Some(!hidden(rows.op(r)))).collect();
        visible = rows.filter(&keep)?;
        &visible
    } else {
        rows
    };
    let columns = output.iter().filter_map(|at| rows.columns.get(*at).cloned()).collect();
    let options = RecordBatchOptions::new().with_row_count(Some(rows.len()));
    RecordBatch::try_new_with_options(schema.clone(), columns, &options).map_err(fail)
}
