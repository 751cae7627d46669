//! Lookups: rows of a kept table by key, range or scan, and rows of a stream's topic.
//!
//! A lookup is made ready once for a prepared statement: which columns of the stored rows are read, where they go, and
//! whether the key says all that WHERE says. What is left of an execution by key is to encode the key, find the row and
//! decode the columns that are shown.

use std::{
    collections::BTreeSet,
    sync::{Arc, Weak},
};

use arrow::{
    array::{Array, ArrayRef, BooleanArray, RecordBatch, RecordBatchOptions},
    compute::filter_record_batch,
    datatypes::{Field, Schema, SchemaRef},
};
use catalog::SourceKind;
use functions::RowErrors;
use futures::StreamExt;
use planner::{
    expr::{ParameterExpr, as_column, columns_used, constant_value, evaluate},
    plan::{BoundExpr, KeyRange, Plan, PlanNode, PullPlan, QueryPlan, Start},
    pull::{bind_parameters, is_exact},
};
use recordlog::{Offset, TopicPartition};
use runtime::{Cut, Query, QueryOptions, TableView};
use tokio::sync::mpsc;
use types::{Error, Result};

use crate::{
    Engine, Session,
    api::{Outcome, OutputColumn, Parameter, Rows},
    kept::{self, Shape, Wanted, encode_keys},
    member,
    running::RunningQuery,
    session::output_column,
    warnings::Warnings,
};

/// A lookup, ready to be run with different parameters.
pub(crate) struct Lookup {
    /// What is asked.
    pub plan: PullPlan,
    /// The columns of its rows.
    pub columns: Arc<[OutputColumn]>,
    schema: SchemaRef,
    /// Where the rows are kept; `None`: they are in a topic.
    kept: Option<Kept>,
}

struct Kept {
    query: Weak<RunningQuery>,
    /// Rows for WHERE and the select list.
    shape: Shape,
    /// Rows as they are shown, where the key says all that WHERE says and nothing is computed.
    direct: Option<Shape>,
}

/// The columns of a lookup's rows.
pub(crate) fn columns(plan: &PullPlan) -> Vec<OutputColumn> {
    plan.output.columns.iter().map(|c| output_column(&c.name, &c.ty, c.key)).collect()
}

impl Lookup {
    /// Make `plan` ready.
    pub fn new(engine: &Engine, plan: PullPlan) -> Lookup {
        let columns: Arc<[OutputColumn]> = columns(&plan).into();
        let fields: Vec<Field> =
            plan.output.columns.iter().map(|c| Field::new(c.name.as_str(), c.ty.to_arrow(), true)).collect();
        let schema = Arc::new(Schema::new(fields));
        let table = plan.source.kind == SourceKind::Table;
        let found = engine.kept_table(&plan.source.name).filter(|_| table);
        let kept = found.map(|(query, view)| Kept::new(&query, &view, &plan, &schema));
        Lookup { plan, columns, schema, kept }
    }

    /// Run it.
    pub async fn run(self: &Arc<Lookup>, session: &Session, parameters: &[Parameter]) -> Result<Outcome> {
        let engine = &session.engine;
        let Some(kept) = &self.kept else {
            let plan = bound(&self.plan, parameters)?;
            return match plan.source.kind {
                SourceKind::Table => {
                    let view = fold(engine, &plan.source).await?;
                    let (fields, schema) = (&plan.fields, plan.fields.to_arrow());
                    let shape = Shape::new(&view, &plan.source, fields, &all(&plan), &|_| true, schema);
                    self.scan(engine, plan, view, shape).await
                }
                SourceKind::Stream => self.stream(engine, plan).await,
            };
        };
        let query = kept.query.upgrade();
        let view = query.as_ref().and_then(|q| q.view());
        let (Some(query), Some(view)) = (query, view) else {
            let message = format!("{} is not kept any more: its query ended", self.plan.source.name);
            return Err(Error::unavailable(message));
        };
        if query.is_spread() {
            return self.everywhere(engine, kept, (&query, &*view), parameters).await;
        }
        if let Some(shape) = &kept.direct
            && let Some(key) = key_values(&self.plan, parameters)
        {
            let keys = if key.iter().any(|k| k.is_null(0)) { vec![] } else { encode_keys(&key)? };
            let rows = kept::read(&view, &Wanted::Keys(keys), shape, self.rows_max(), &engine.pool)?;
            let rows = rows.into_iter().flatten().map(Ok);
            return Ok(self.rows(futures::stream::iter(rows).boxed(), Warnings::default()));
        }
        let plan = bound(&self.plan, parameters)?;
        let wanted = kept::wanted(&view, &plan)?;
        if wanted == Wanted::All {
            return self.scan(engine, plan, view, kept.shape.clone()).await;
        }
        let rows = kept::read(&view, &wanted, &kept.shape, usize::MAX, &engine.pool)?;
        let warnings = Warnings::default();
        let shown = self.shown(&plan, rows.into_iter().flatten(), &warnings)?;
        Ok(self.rows(futures::stream::iter(shown.into_iter().map(Ok)).boxed(), warnings))
    }

    /// Rows of a table that several processes have.
    async fn everywhere(
        self: &Arc<Lookup>,
        engine: &Arc<Engine>,
        kept: &Kept,
        (query, view): (&Arc<RunningQuery>, &TableView),
        parameters: &[Parameter],
    ) -> Result<Outcome> {
        if let Some(shape) = &kept.direct
            && let Some(key) = key_values(&self.plan, parameters)
        {
            let keys = if key.iter().any(|k| k.is_null(0)) { vec![] } else { encode_keys(&key)? };
            let rows = member::read(engine, query, &Wanted::Keys(keys), shape, self.rows_max()).await?;
            let rows = rows.into_iter().flatten().map(Ok);
            return Ok(self.rows(futures::stream::iter(rows).boxed(), Warnings::default()));
        }
        let plan = bound(&self.plan, parameters)?;
        let wanted = match kept::wanted(view, &plan)? {
            // Which rows LIMIT shows is always the same.
            Wanted::All if plan.limit.is_some() => Wanted::First,
            wanted => wanted,
        };
        let rows_max = if plan.filter.is_none() { self.rows_max() } else { usize::MAX };
        let rows = member::read(engine, query, &wanted, &kept.shape, rows_max).await?;
        let warnings = Warnings::default();
        let shown = self.shown(&plan, rows.into_iter().flatten(), &warnings)?;
        Ok(self.rows(futures::stream::iter(shown.into_iter().map(Ok)).boxed(), warnings))
    }

    /// Whether it can be run still: the query that keeps the rows has not been replaced.
    pub fn is_valid(&self) -> bool {
        self.kept.as_ref().is_none_or(|kept| kept.query.strong_count() > 0)
    }

    /// All rows of a table: copied on a thread that may take its time.
    async fn scan(
        self: &Arc<Lookup>,
        engine: &Arc<Engine>,
        plan: PullPlan,
        view: Arc<TableView>,
        shape: Shape,
    ) -> Result<Outcome> {
        let (lookup, pool, warnings) = (self.clone(), engine.pool.clone(), Warnings::default());
        let told = warnings.clone();
        let shown = tokio::task::spawn_blocking(move || {
            // Which rows LIMIT shows is always the same.
            let rows_max = if plan.filter.is_none() { lookup.rows_max() } else { usize::MAX };
            let wanted = if plan.limit.is_some() { Wanted::First } else { Wanted::All };
            let rows = kept::read(&view, &wanted, &shape, rows_max, &pool)?;
            lookup.shown(&plan, rows.into_iter().flatten(), &told)
        });
        let shown = shown.await.map_err(|e| Error::internal(format!("a scan broke off: {e}")))??;
        Ok(self.rows(futures::stream::iter(shown.into_iter().map(Ok)).boxed(), warnings))
    }

    /// All records of a stream, in order of arrival, as they are read.
    async fn stream(self: &Arc<Lookup>, engine: &Arc<Engine>, plan: PullPlan) -> Result<Outcome> {
        let (mut query, ends) = open_scan(engine, &plan.source).await?;
        let (lookup, warnings) = (self.clone(), Warnings::default());
        let (sender, receiver) = mpsc::channel::<Result<RecordBatch>>(BATCHES_WAITING_MAX);
        let told = warnings.clone();
        tokio::task::spawn_blocking(move || {
            let schema = plan.fields.to_arrow();
            let mut left = plan.limit.unwrap_or(u64::MAX);
            while left > 0 && !is_at_end(&query, &ends) {
                let mut step = |left: &mut u64| -> Result<Option<RecordBatch>> {
                    let Some(epoch) = query.run_epoch(Cut::Bytes(SCAN_BYTES))? else { return Ok(None) };
                    query.committed(epoch.number);
                    let Some(rows) = epoch.rows else { return Ok(Some(RecordBatch::new_empty(lookup.schema.clone()))) };
                    let batch = lookup.select(&plan, &rows.to_record_batch(&schema)?, &told)?;
                    Ok(Some(first(&batch, left)))
                };
                match step(&mut left).transpose() {
                    None => return,
                    Some(batch) => {
                        let failed = batch.is_err();
                        if sender.blocking_send(batch).is_err() || failed {
                            return;
                        }
                    }
                }
            }
        });
        let batches = futures::stream::unfold(receiver, |mut r| async move { r.recv().await.map(|b| (b, r)) });
        Ok(self.rows(batches.boxed(), warnings))
    }

    fn rows(&self, batches: futures::stream::BoxStream<'static, Result<RecordBatch>>, warnings: Warnings) -> Outcome {
        let (columns, schema) = (self.columns.clone(), self.schema.clone());
        Outcome::Rows(Rows { columns, schema, batches, live: false, tag: "SELECT", warnings })
    }

    fn rows_max(&self) -> usize {
        self.plan.limit.map_or(usize::MAX, |n| usize::try_from(n).unwrap_or(usize::MAX))
    }

    /// WHERE, the select list and LIMIT over rows.
    fn shown(
        &self,
        plan: &PullPlan,
        rows: impl Iterator<Item = RecordBatch>,
        warnings: &Warnings,
    ) -> Result<Vec<RecordBatch>> {
        let (mut out, mut left) = (vec![], plan.limit.unwrap_or(u64::MAX));
        for batch in rows {
            if left == 0 {
                break;
            }
            let batch = self.select(plan, &batch, warnings)?;
            out.push(first(&batch, &mut left));
        }
        Ok(out)
    }

    /// WHERE and the select list over rows of the source.
    fn select(&self, plan: &PullPlan, batch: &RecordBatch, warnings: &Warnings) -> Result<RecordBatch> {
        let fail = |e: arrow::error::ArrowError| Error::internal(e.to_string());
        let mut errors = RowErrors::default();
        let passing;
        let batch = match &plan.filter {
            Some(filter) => {
                let mask = evaluate(filter, batch, &mut errors)?;
                let mask = mask.as_any().downcast_ref::<BooleanArray>().cloned();
                let mask = mask.ok_or_else(|| Error::internal("WHERE is not BOOLEAN"))?;
                passing = filter_record_batch(batch, &mask).map_err(fail)?;
                &passing
            }
            None => batch,
        };
        let columns = plan.exprs.iter().map(|e| evaluate(e, batch, &mut errors)).collect::<Result<Vec<_>>>()?;
        if let Some((_, reason)) = errors.rows.first() {
            warnings.add("an expression", errors.rows.len() as u64, reason);
        }
        let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
        RecordBatch::try_new_with_options(self.schema.clone(), columns, &options).map_err(fail)
    }
}

impl Kept {
    fn new(query: &Arc<RunningQuery>, view: &TableView, plan: &PullPlan, schema: &SchemaRef) -> Kept {
        let source = &plan.source;
        let plain: Option<Vec<usize>> = plan.exprs.iter().map(as_column).collect();
        let direct = plain.filter(|_| is_exact(plan));
        let direct = direct.map(|columns| Shape::new(view, source, &plan.fields, &columns, &|_| true, schema.clone()));
        let used = plan.exprs.iter().chain(&plan.filter).flat_map(columns_used);
        let used: BTreeSet<usize> = used.collect();
        let used = |at: usize| used.contains(&at);
        let shape = Shape::new(view, source, &plan.fields, &all(plan), &used, plan.fields.to_arrow());
        Kept { query: Arc::downgrade(query), shape, direct }
    }
}

fn all(plan: &PullPlan) -> Vec<usize> {
    (0..plan.fields.columns.len()).collect()
}

/// The first rows of a batch, as many as are `left`.
fn first(batch: &RecordBatch, left: &mut u64) -> RecordBatch {
    let take = usize::try_from(*left).unwrap_or(usize::MAX).min(batch.num_rows());
    *left -= take as u64;
    batch.slice(0, take)
}

fn bound(plan: &PullPlan, parameters: &[Parameter]) -> Result<PullPlan> {
    if parameters.is_empty() { Ok(plan.clone()) } else { bind_parameters(plan, parameters) }
}

/// The one key that is looked up, where it is nothing but constants and parameters: one array of one row a column.
fn key_values(plan: &PullPlan, parameters: &[Parameter]) -> Option<Vec<ArrayRef>> {
    let value = |expr: &BoundExpr| -> Option<ArrayRef> {
        let Some(parameter) = expr.downcast_ref::<ParameterExpr>() else { return constant_value(expr) };
        let value = parameters.get(parameter.number.checked_sub(1)?)?;
        (parameter.ty.as_ref().map(types::SqlType::to_arrow).as_ref() == Some(value.data_type())).then(|| value.clone())
    };
    match &plan.keys {
        KeyRange::Points(columns) if columns.first().is_some_and(|c| c.len() == 1) => Some(columns.clone()),
        KeyRange::PointExprs(rows) => match rows.as_slice() {
            [row] => row.iter().map(value).collect(),
            _ => None,
        },
        _ => None,
    }
}

/// Batches that wait for a slow client; then its query waits.
const BATCHES_WAITING_MAX: usize = 4;

/// Bytes of records of a partition that are read at once.
const SCAN_BYTES: usize = 1 << 20;

/// The source as a query for one reader, and where its partitions end now.
async fn open_scan(
    engine: &Arc<Engine>,
    source: &Arc<catalog::Source>,
) -> Result<(Query, Vec<(TopicPartition, Offset)>)> {
    let fields = planner::expr::source_fields(source, &source.name);
    let root = Plan {
        node: PlanNode::Source {
            source: source.clone(),
            start: Start::Earliest,
            materialize: source.kind == SourceKind::Table,
        },
        fields: fields.clone(),
        kind: source.kind,
        windowed: source.windowed,
    };
    let plan = QueryPlan {
        output: (0..fields.columns.len()).collect(),
        root,
        sink: None,
        limit: None,
        reads: vec![source.name.clone()],
        from_earliest: true,
    };
    let options = QueryOptions {
        caching: false,
        strict_timestamps: false,
        ..engine.query_options(&format!("scan of {}", source.name), &Default::default(), false)
    };
    let extent = runtime::extent(&*engine.log, source)?;
    let query = Query::open(&plan, options, engine.log.clone(), engine.host.clone(), engine.pool.clone()).await?;
    let end = |(partition, next): (TopicPartition, Offset)| {
        let at = usize::try_from(partition.partition).ok().and_then(|p| extent.get(p));
        let end = at.map_or(next, |(_, end)| *end);
        (partition, end)
    };
    let ends = query.positions().into_iter().map(end).collect();
    Ok((query, ends))
}

fn is_at_end(query: &Query, ends: &[(TopicPartition, Offset)]) -> bool {
    query.positions().iter().zip(ends).all(|((_, next), (_, end))| next >= end)
}

/// The rows that a table's topic holds now, the last of each key: for tables that nobody keeps.
pub(crate) async fn fold(engine: &Arc<Engine>, source: &Arc<catalog::Source>) -> Result<Arc<TableView>> {
    let (mut query, ends) = open_scan(engine, source).await?;
    let folded = tokio::task::spawn_blocking(move || {
        while !is_at_end(&query, &ends) {
            let Some(epoch) = query.run_epoch(Cut::Bytes(SCAN_BYTES))? else { break };
            query.committed(epoch.number);
        }
        query.view().map(Arc::new).ok_or_else(|| Error::internal("a table without rows to look at"))
    });
    folded.await.map_err(|e| Error::internal(format!("a scan broke off: {e}")))?
}
