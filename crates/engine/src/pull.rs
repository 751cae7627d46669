//! Lookups: rows of a kept table by key, range or scan, and rows of a stream's topic.

use std::{collections::HashMap, ops::Bound, sync::Arc, time::Duration};

use arrow::{
    array::{Array, ArrayRef, BooleanArray, Int64Array, RecordBatch, RecordBatchOptions},
    compute::filter_record_batch,
    datatypes::{DataType, Schema, SchemaRef},
};
use catalog::{Source, SourceKind};
use formats::{EncodedRows, FormatSpec, Part};
use functions::RowErrors;
use operators::split_row;
use planner::{
    expr::evaluate,
    plan::{Bounds, KeyRange, Plan, PlanNode, PullPlan, QueryPlan, Start},
    pull::bind_parameters,
};
use recordlog::{Offset, TopicPartition};
use runtime::{Cut, Query, QueryOptions, TableView};
use statestore::{Mode, RowDecoder, RowEncoder, View};
use types::{Error, Namespace, Result};

use crate::{
    Engine, Session,
    api::{Outcome, OutputColumn, Parameter},
    rows::batches,
    session::output_column,
};

/// The columns of a lookup's rows.
pub(crate) fn columns(plan: &PullPlan) -> Vec<OutputColumn> {
    plan.output.columns.iter().map(|c| output_column(&c.name, &c.ty, c.key)).collect()
}

fn output_schema(plan: &PullPlan) -> SchemaRef {
    let field = |c: &planner::plan::FieldDef| arrow::datatypes::Field::new(c.name.as_str(), c.ty.to_arrow(), true);
    Arc::new(Schema::new(plan.output.columns.iter().map(field).collect::<Vec<_>>()))
}

/// Run a lookup.
pub(crate) async fn run(session: &Session, plan: &PullPlan, parameters: &[Parameter]) -> Result<Outcome> {
    let bound;
    let plan = if parameters.is_empty() {
        plan
    } else {
        bound = bind_parameters(plan, parameters)?;
        &bound
    };
    let rows = match (plan.source.kind, session.engine.kept_table(&plan.source.name)) {
        (SourceKind::Table, Some((_, view))) => table_rows(&view, plan)?,
        _ => source_rows(&session.engine, &plan.source).await?,
    };
    let schema = output_schema(plan);
    let (mut out, mut left) = (vec![], plan.limit.unwrap_or(u64::MAX));
    for batch in rows {
        let batch = select(plan, &batch, &schema)?;
        let take = usize::try_from(left).unwrap_or(usize::MAX).min(batch.num_rows());
        left -= take as u64;
        if take > 0 {
            out.push(batch.slice(0, take));
        }
    }
    Ok(batches("SELECT", columns(plan), schema, out))
}

/// WHERE and the select list over rows of the source.
fn select(plan: &PullPlan, batch: &RecordBatch, schema: &SchemaRef) -> Result<RecordBatch> {
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
    let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
    RecordBatch::try_new_with_options(schema.clone(), columns, &options).map_err(fail)
}

/// Rows (as the source's columns, then ROWTIME and the like) of a kept table that can match.
fn table_rows(view: &TableView, plan: &PullPlan) -> Result<Vec<RecordBatch>> {
    let mut reader = Reader::new(view, plan)?;
    let windows = view.key.len().saturating_sub(plan.source.schema.key().count());
    match &plan.keys {
        KeyRange::Points(keys) => {
            let encoder = RowEncoder::new(keys, Mode::Ordered).map_err(|e| Error::internal(e.to_string()))?;
            let points = keys.first().map_or(0, |k| k.len());
            let mut seen = std::collections::HashSet::new();
            for point in 0..points {
                let mut key = vec![];
                encoder.encode(point, &mut key);
                if !seen.insert(key.clone()) {
                    continue;
                }
                if windows == 0 {
                    for part in &view.partitions {
                        if let Some(row) = part.read().get(&key) {
                            reader.push(row)?;
                        }
                    }
                } else {
                    let (from, to) = window_bounds(&key, plan.window_start);
                    reader.range(&from, &to)?;
                }
            }
        }
        KeyRange::Range { prefix, from, to } => {
            let mut base = vec![];
            RowEncoder::new(prefix, Mode::Ordered)
                .map_err(|e| Error::internal(e.to_string()))?
                .encode_if(prefix, &mut base);
            let bound = |bound: &Option<(ArrayRef, bool)>, lower: bool| -> Result<Vec<u8>> {
                let mut key = base.clone();
                match bound {
                    Some((value, inclusive)) => {
                        let value = [value.clone()];
                        let encoder =
                            RowEncoder::new(&value, Mode::Ordered).map_err(|e| Error::internal(e.to_string()))?;
                        encoder.encode(0, &mut key);
                        // Behind every key that begins with this value, or before all of them.
                        if lower != *inclusive {
                            key.push(0xff);
                        }
                    }
                    None if !lower => key.push(0xff),
                    None => {}
                }
                Ok(key)
            };
            reader.range(&bound(from, true)?, &bound(to, false)?)?;
        }
        KeyRange::PointExprs(_) => return Err(Error::invalid("the statement's parameters are missing")),
        KeyRange::All if plan.limit.is_some() => first_by_key(view, plan, &mut reader)?,
        KeyRange::All => {
            for part in &view.partitions {
                let mut failed = None;
                part.read().scan(|_, row| {
                    if failed.is_none() {
                        failed = reader.push(row).err();
                    }
                });
                if let Some(e) = failed {
                    return Err(e);
                }
            }
        }
    }
    reader.finish()
}

/// Rows in order of their keys over all partitions, so that LIMIT always gives the same ones: as many as LIMIT asks for,
/// or all if WHERE may refuse some.
fn first_by_key(view: &TableView, plan: &PullPlan, reader: &mut Reader<'_>) -> Result<()> {
    let limit = usize::try_from(plan.limit.unwrap_or(u64::MAX)).unwrap_or(usize::MAX);
    let enough = if plan.filter.is_some() { usize::MAX } else { limit };
    let mut rows: Vec<(Vec<u8>, Vec<u8>)> = Vec::new();
    for part in &view.partitions {
        part.read().scan(|key, row| {
            rows.push((key.to_vec(), row.to_vec()));
            // Now and then what cannot be among the first is dropped, so that no more than twice as much is held.
            if rows.len() >= enough.saturating_add(BATCH_ROWS).saturating_mul(2) {
                rows.sort_unstable();
                rows.truncate(enough);
            }
        });
    }
    rows.sort_unstable();
    rows.iter().take(enough).try_for_each(|(_, row)| reader.push(row))
}

/// Keys of `key` whose window start lies within the bounds: from, to (both inclusive as prefixes).
fn window_bounds(key: &[u8], start: Bounds) -> (Vec<u8>, Vec<u8>) {
    let with = |time: Option<i64>, open: &[u8]| {
        let mut out = key.to_vec();
        match time {
            Some(time) => {
                out.push(1);
                out.extend_from_slice(&(time.cast_unsigned() ^ (1 << 63)).to_be_bytes());
                out.extend_from_slice(if open.is_empty() { &[] } else { &[0xff] });
            }
            None => out.extend_from_slice(open),
        }
        out
    };
    (with(start.from, &[]), with(start.to, &[0xff]))
}

trait EncodeIf {
    fn encode_if(&self, columns: &[ArrayRef], out: &mut Vec<u8>);
}

impl EncodeIf for RowEncoder<'_> {
    /// Encode the first row, if there are columns at all.
    fn encode_if(&self, columns: &[ArrayRef], out: &mut Vec<u8>) {
        if !columns.is_empty() {
            self.encode(0, out);
        }
    }
}

/// Collects rows of a view and shapes them as the source's columns.
struct Reader<'a> {
    view: &'a TableView,
    plan: &'a PullPlan,
    decoder: RowDecoder,
    times: Vec<i64>,
    done: Vec<RecordBatch>,
    /// For each of the plan's fields, where it stands in the view's rows; `None`: not there (ROWTIME, …).
    places: Vec<Option<usize>>,
    schema: SchemaRef,
}

/// Rows of one batch of a lookup.
const BATCH_ROWS: usize = 8192;

impl<'a> Reader<'a> {
    fn new(view: &'a TableView, plan: &'a PullPlan) -> Result<Reader<'a>> {
        let types: Vec<DataType> = view.schema.fields().iter().map(|f| f.data_type().clone()).collect();
        let decoder = RowDecoder::new(&types, Mode::Compact).map_err(|e| Error::internal(e.to_string()))?;
        let names: Vec<&str> = view.schema.fields().iter().map(|f| f.name().as_str()).collect();
        let find = |name: &str| {
            names
                .iter()
                .position(|n| *n == name)
                .or_else(|| names.iter().position(|n| n.rsplit_once('.').is_some_and(|(_, last)| last == name)))
        };
        let places = plan.fields.columns.iter().map(|f| find(&f.name)).collect();
        let schema = plan.fields.to_arrow();
        Ok(Reader { view, plan, decoder, times: vec![], done: vec![], places, schema })
    }

    fn push(&mut self, row: &[u8]) -> Result<()> {
        let (time, columns) = split_row(row);
        self.decoder.push(columns).map_err(|e| Error::corrupt(e.to_string()))?;
        self.times.push(time);
        if self.times.len() >= BATCH_ROWS {
            self.flush()?;
        }
        Ok(())
    }

    fn range(&mut self, from: &[u8], to: &[u8]) -> Result<()> {
        for part in &self.view.partitions {
            if !part.read().store().has_order() {
                part.write().store_mut().build_order();
            }
            let mut failed = None;
            let view: &View = &part.read();
            view.range(Bound::Included(from), Bound::Included(to), |_, row| {
                if failed.is_none() {
                    failed = self.push(row).err();
                }
            });
            if let Some(e) = failed {
                return Err(e);
            }
        }
        Ok(())
    }

    fn flush(&mut self) -> Result<()> {
        let rows = self.times.len();
        let stored = self.decoder.finish().map_err(|e| Error::corrupt(e.to_string()))?;
        let times: ArrayRef = Arc::new(Int64Array::from(std::mem::take(&mut self.times)));
        let columns = self.places.iter().zip(&self.plan.fields.columns).map(|(place, field)| match place {
            _ if field.hidden && field.name == "ROWTIME" => times.clone(),
            Some(at) => {
                stored.get(*at).cloned().unwrap_or_else(|| arrow::array::new_null_array(&field.ty.to_arrow(), rows))
            }
            None => arrow::array::new_null_array(&field.ty.to_arrow(), rows),
        });
        let mut columns: Vec<ArrayRef> = columns.collect();
        as_written(&self.plan.source, &mut columns, rows)?;
        let options = RecordBatchOptions::new().with_row_count(Some(rows));
        let batch = RecordBatch::try_new_with_options(self.schema.clone(), columns, &options);
        self.done.push(batch.map_err(|e| Error::internal(e.to_string()))?);
        Ok(())
    }

    fn finish(mut self) -> Result<Vec<RecordBatch>> {
        if !self.times.is_empty() {
            self.flush()?;
        }
        Ok(self.done)
    }
}

/// What readers of the table's topic find in the value columns: Protobuf has no NULLs of most types, and writes their
/// defaults. `columns` are as the source's schema has them, then others.
fn as_written(source: &Source, columns: &mut [ArrayRef], rows: usize) -> Result<()> {
    let spec = &source.value_format;
    if !spec.name.starts_with("PROTOBUF") || source.created_by.is_none() {
        return Ok(());
    }
    let values = || source.schema.columns.iter().enumerate().filter(|(_, c)| c.namespace == Namespace::Value);
    let value_columns: Vec<_> = values().map(|(_, c)| c.clone()).collect();
    let arrays: Vec<ArrayRef> = values().filter_map(|(at, _)| columns.get(at).cloned()).collect();
    let wanted: Vec<usize> = (0..value_columns.len()).collect();
    // The message without a registry: which schema it has makes no difference to what comes back.
    let format = formats::format("PROTOBUF_NOSR")?;
    let spec = FormatSpec { name: "PROTOBUF_NOSR".into(), extra: spec.extra.clone(), ..FormatSpec::default() };
    let (mut bytes, mut errors) = (EncodedRows::default(), vec![]);
    format.encoder(Part::Value, &value_columns, &spec)?.encode(&arrays, rows, None, &mut bytes, &mut errors);
    let records: Vec<Option<&[u8]>> = (0..rows).map(|row| bytes.get(row)).collect();
    let read = format.decoder(Part::Value, &value_columns, &wanted, &spec)?.decode(&records, &mut errors);
    if let Some(error) = errors.first() {
        return Err(Error::internal(format!("a row of {} cannot be written: {}", source.name, error.message)));
    }
    for ((at, _), array) in values().zip(read) {
        if let Some(column) = columns.get_mut(at) {
            *column = array;
        }
    }
    Ok(())
}

/// All rows that a source's topic holds now: of a stream every record, of a table the last of each key. Columns as in
/// [`PlanNode::Source`].
pub(crate) async fn source_rows(engine: &Arc<Engine>, source: &Arc<catalog::Source>) -> Result<Vec<RecordBatch>> {
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
    let mut query = Query::open(&plan, options, engine.log.clone(), engine.host.clone(), engine.pool.clone()).await?;
    let mut ends = HashMap::new();
    for (partition, _) in query.positions() {
        let end = engine.log.offsets(&partition).map_err(runtime::log_error)?.end;
        ends.insert(partition, end);
    }
    let schema = fields.to_arrow();
    let table = source.kind == SourceKind::Table;
    tokio::task::spawn_blocking(move || {
        const SCAN_BYTES: usize = 8 << 20;
        let mut out = vec![];
        while query.positions().iter().any(|(p, next)| ends.get(p).is_some_and(|end| next < end)) {
            let Some(epoch) = query.run_epoch(Cut::Bytes(SCAN_BYTES))? else { break };
            query.committed(epoch.number);
            if let Some(rows) = epoch.rows.filter(|_| !table) {
                out.push(rows.to_record_batch(&schema)?);
            }
        }
        match query.view().filter(|_| table) {
            Some(view) => whole_view(&view),
            None => Ok(out),
        }
    })
    .await
    .map_err(|e| Error::internal(format!("a scan broke off: {e}")))?
}

/// All rows of a view, columns as they are stored.
pub(crate) fn whole_view(view: &TableView) -> Result<Vec<RecordBatch>> {
    let types: Vec<DataType> = view.schema.fields().iter().map(|f| f.data_type().clone()).collect();
    let mut decoder = RowDecoder::new(&types, Mode::Compact).map_err(|e| Error::internal(e.to_string()))?;
    for part in &view.partitions {
        let mut failed = None;
        part.read().scan(|_, row| {
            if failed.is_none() {
                failed = decoder.push(split_row(row).1).err();
            }
        });
        if let Some(e) = failed {
            return Err(Error::corrupt(e.to_string()));
        }
    }
    let rows = decoder.len();
    let columns = decoder.finish().map_err(|e| Error::corrupt(e.to_string()))?;
    let options = RecordBatchOptions::new().with_row_count(Some(rows));
    let batch = RecordBatch::try_new_with_options(view.schema.clone(), columns, &options);
    Ok(vec![batch.map_err(|e| Error::internal(e.to_string()))?])
}

/// How long a lookup waits for its session's own writes.
const OWN_WRITES_WAIT: Duration = Duration::from_secs(2);

/// Wait until the queries that table `name` comes from have committed what was written, step by step from the topics
/// written to the table.
pub(crate) async fn wait_until_consumed(engine: &Arc<Engine>, written: &HashMap<TopicPartition, Offset>, name: &str) {
    let deadline = tokio::time::Instant::now() + OWN_WRITES_WAIT;
    let mut targets: HashMap<TopicPartition, Offset> = written.clone();
    for query in upstream(engine, name) {
        let mut commits = query.watch_commits();
        loop {
            let behind = query.positions().iter().any(|(p, next)| targets.get(p).is_some_and(|end| next < end));
            if !behind {
                break;
            }
            if tokio::time::timeout_at(deadline, commits.changed()).await.map_or(true, |r| r.is_err()) {
                return;
            }
        }
        // What it wrote meanwhile is what the next one must have read.
        if let Some(sink) = query.sink.as_ref().and_then(|s| engine.catalog().source(s).cloned()) {
            let partitions = engine.log.topic(&sink.topic).map_or(0, |t| t.config.partitions);
            for p in 0..partitions {
                let partition = TopicPartition::new(sink.topic.as_str(), p);
                if let Ok(ends) = engine.log.offsets(&partition) {
                    targets.insert(partition, ends.end);
                }
            }
        }
    }
}

/// The queries that `name` comes from, those that others read from first.
fn upstream(engine: &Arc<Engine>, name: &str) -> Vec<Arc<crate::running::RunningQuery>> {
    let queries: Vec<_> = engine.queries.lock().values().cloned().collect();
    let mut wanted = vec![name.to_string()];
    let mut out: Vec<Arc<crate::running::RunningQuery>> = vec![];
    while let Some(name) = wanted.pop() {
        for query in &queries {
            let writes = query.sink.as_deref() == Some(&name) || (query.sink.is_none() && query.id == name);
            if writes && !out.iter().any(|q| q.id == query.id) {
                wanted.extend(query.reads.iter().cloned());
                out.push(query.clone());
            }
        }
    }
    // Created earlier, and so read from, comes first.
    out.sort_by_key(|q| queries.iter().position(|other| other.id == q.id));
    out
}
