//! Rows → records of the sink's partitions.

use std::sync::Arc;

use arrow::{
    array::{Array, ArrayRef, BooleanArray, Int64Array},
    buffer::BooleanBuffer,
};
use bytes::Bytes;
use catalog::KeyWindow;
use formats::{EncodedRows, Encoder, Part, RowError};
use operators::{Change, ChangeBatch, Report, ReportKind};
use planner::plan::SinkSpec;
use recordlog::{
    Append, TopicPartition,
    batch::{BatchBuilder, Compression, HEADER_BYTES, RECORD_OVERHEAD_BYTES_MAX},
    partitioner::partition_for_key,
};
use types::{Column, Error, Result};

use crate::{headers::HeaderBook, source::timestamp_values};

/// Epochs of no more rows than this are written in order over all partitions, however many batches that takes: an
/// epoch of a few records costs little, and readers of several partitions see the order of the causes.
const ORDERED_ROWS_MAX: usize = 256;

/// Bytes after which a batch is closed and another begun.
const BATCH_BYTES: usize = 512 << 10;

/// Writes one partition's rows.
pub(crate) struct SinkWriter {
    spec: SinkSpec,
    key: Option<Box<dyn Encoder>>,
    value: Option<Box<dyn Encoder>>,
    keys: EncodedRows,
    values: EncodedRows,
    /// The longest batch that the topic takes.
    message_bytes_max: usize,
}

/// Rows as records, not yet in batches.
#[derive(Default)]
pub(crate) struct Encoded {
    rows: Vec<EncodedRecord>,
    bytes: Vec<u8>,
    message_bytes_max: usize,
    /// Headers of the records that the rows come from.
    headers: Arc<HeaderBook>,
}

struct EncodedRecord {
    seq: u64,
    target: u32,
    time: i64,
    /// Ends of key and value in `bytes`, where they are there.
    key: Option<(usize, usize)>,
    value: Option<(usize, usize)>,
}

impl SinkWriter {
    pub fn new(spec: &SinkSpec, registry: Option<&std::sync::Arc<dyn formats::SchemaRegistry>>) -> Result<SinkWriter> {
        let source = &spec.source;
        let context = formats::FormatContext {
            registry: registry.cloned(),
            topic: source.topic.clone(),
            whole_keys: spec.whole_key,
        };
        let encoder = |part, columns: Vec<Column>, spec: &formats::FormatSpec| -> Result<Option<Box<dyn Encoder>>> {
            if columns.is_empty() {
                return Ok(None);
            }
            formats::format(&spec.name)?.encoder_in(part, &columns, spec, &context).map(Some)
        };
        Ok(SinkWriter {
            key: encoder(Part::Key, source.schema.key().cloned().collect(), &source.key_format)?,
            value: encoder(Part::Value, source.schema.value().cloned().collect(), &source.value_format)?,
            spec: spec.clone(),
            keys: EncodedRows::default(),
            values: EncodedRows::default(),
            message_bytes_max: usize::MAX,
        })
    }

    /// What the topic takes from here on: a longer record costs itself, not the query.
    pub fn limit(&mut self, message_bytes_max: usize) {
        self.message_bytes_max = message_bytes_max;
    }

    /// The records of `batch`, whose rows are in partition `from` of the query.
    pub fn encode(
        &mut self,
        batch: &ChangeBatch,
        from: u32,
        partitions: u32,
        reports: &mut Vec<Report>,
    ) -> Result<Encoded> {
        let shown;
        let batch = match &batch.ops {
            Some(ops) if ops.values().contains(&(Change::UpdateBefore as u8)) => {
                let keep: BooleanArray = ops.values().iter().map(|o| Some(*o != Change::UpdateBefore as u8)).collect();
                shown = batch.filter(&keep)?;
                &shown
            }
            _ => batch,
        };
        let rows = batch.len();
        let column = |at: &usize| batch.columns.get(*at).cloned();
        let keys: Vec<ArrayRef> = self.spec.key.iter().filter_map(column).collect();
        let values: Vec<ArrayRef> = self.spec.value.iter().filter_map(column).collect();
        let tombstones = batch.ops.as_ref().map(|_| BooleanBuffer::collect_bool(rows, |r| !batch.op(r).is_present()));
        let mut errors: Vec<RowError> = vec![];
        self.keys.clear();
        self.values.clear();
        if let Some(encoder) = &mut self.key {
            encoder.encode(&keys, rows, None, &mut self.keys, &mut errors);
        }
        match &mut self.value {
            Some(encoder) => encoder.encode(&values, rows, tombstones.as_ref(), &mut self.values, &mut errors),
            // No value columns: an empty value, or null for a deletion.
            None => (0..rows).for_each(|_| self.values.finish_null()),
        }
        let mut lost = vec![false; if errors.is_empty() { 0 } else { rows }];
        for e in errors {
            if let Some(l) = lost.get_mut(e.row)
                && !std::mem::replace(l, true)
            {
                reports.push(Report { seq: batch.seq.value(e.row), kind: ReportKind::Unwritable, message: e.message });
            }
        }
        let times = self.times(batch)?;
        let windows = self.windows(batch)?;
        let mut out = Encoded {
            rows: Vec::with_capacity(rows),
            bytes: Vec::with_capacity(self.keys.data.len() + self.values.data.len()),
            message_bytes_max: self.message_bytes_max,
            headers: Arc::default(),
        };
        let record_bytes_max = self.message_bytes_max.saturating_sub(HEADER_BYTES + RECORD_OVERHEAD_BYTES_MAX);
        for row in 0..rows {
            if lost.get(row).copied().unwrap_or(false) {
                continue;
            }
            let mut time = batch.rowtime.value(row);
            if let Some(times) = times.as_ref().filter(|_| batch.op(row).is_present()) {
                if times.is_null(row) || times.value(row) < 0 {
                    let message = "the TIMESTAMP column holds no timestamp".to_string();
                    reports.push(Report { seq: batch.seq.value(row), kind: ReportKind::Unwritable, message });
                    continue;
                }
                time = times.value(row);
            }
            let key = self.key.is_some().then(|| self.keys.get(row)).flatten();
            let target = match key {
                Some(key) => partition_for_key(key, partitions),
                None => from % partitions.max(1),
            };
            let mut put = |parts: &[&[u8]]| {
                let start = out.bytes.len();
                parts.iter().for_each(|p| out.bytes.extend_from_slice(p));
                (start, out.bytes.len())
            };
            let key = key.map(|key| match &windows {
                Some((KeyWindow::Time { .. }, start, _)) => put(&[key, &start.value(row).to_be_bytes()]),
                Some((KeyWindow::Session, start, end)) => {
                    put(&[key, &end.value(row).to_be_bytes(), &start.value(row).to_be_bytes()])
                }
                None => put(&[key]),
            });
            let value = self.values.get(row).map(|v| put(&[v]));
            let bytes = [key, value].into_iter().flatten().map(|(start, end)| end - start).sum::<usize>();
            if bytes > record_bytes_max {
                let (topic, max) = (&self.spec.source.topic, self.message_bytes_max);
                let message =
                    format!("the record takes {bytes} bytes, and a batch of {topic} {max} (max.message.bytes)");
                reports.push(Report { seq: batch.seq.value(row), kind: ReportKind::Unwritable, message });
                out.bytes.truncate(key.or(value).map_or(out.bytes.len(), |(start, _)| start));
                continue;
            }
            out.rows.push(EncodedRecord { seq: batch.seq.value(row), target, time, key, value });
        }
        Ok(out)
    }

    fn times(&self, batch: &ChangeBatch) -> Result<Option<Int64Array>> {
        let Some((at, format)) = &self.spec.timestamp else { return Ok(None) };
        let Some(array) = batch.columns.get(*at) else { return Ok(None) };
        let ty = types::SqlType::from_arrow(array.data_type())
            .ok_or_else(|| Error::internal("a TIMESTAMP column without SQL type"))?;
        timestamp_values(array, &ty, format.as_deref()).map(Some)
    }

    fn windows(&self, batch: &ChangeBatch) -> Result<Option<(KeyWindow, Int64Array, Int64Array)>> {
        let Some(((start, end), window)) = self.spec.window.zip(self.spec.source.windowed) else { return Ok(None) };
        let column = |at: usize| {
            let column = batch.columns.get(at).and_then(|c| c.as_any().downcast_ref::<Int64Array>().cloned());
            column.ok_or_else(|| Error::internal("a window column that is no BIGINT"))
        };
        Ok(Some((window, column(start)?, column(end)?)))
    }
}

impl Encoded {
    /// The same rows with the headers of the records that they come from.
    pub fn with_headers(mut self, headers: &Arc<HeaderBook>) -> Encoded {
        self.headers = Arc::clone(headers);
        self
    }

    fn part(&self, range: Option<(usize, usize)>) -> Option<&[u8]> {
        range.and_then(|(start, end)| self.bytes.get(start..end))
    }

    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether the batch at hand is to be closed before `row`.
    fn is_full(&self, builder: &BatchBuilder, row: &EncodedRecord) -> bool {
        let bytes = |part: Option<(usize, usize)>| part.map_or(0, |(start, end)| end - start);
        let after = builder.bytes() + bytes(row.key) + bytes(row.value) + RECORD_OVERHEAD_BYTES_MAX;
        !builder.is_empty() && (builder.bytes() > BATCH_BYTES || after > self.message_bytes_max)
    }

    /// The records as batches, one sequence a target.
    pub fn batches(&self, partitions: u32) -> Result<Vec<(u32, Bytes)>> {
        let mut out = vec![];
        let mut builders: Vec<BatchBuilder> = (0..partitions).map(|_| BatchBuilder::with_capacity(0)).collect();
        for row in &self.rows {
            let Some(builder) = builders.get_mut(row.target as usize) else { continue };
            if self.is_full(builder, row) {
                out.push((row.target, finish(builder)?));
            }
            push(builder, self, row)?;
        }
        for (target, builder) in (0..partitions).zip(&mut builders) {
            if !builder.is_empty() {
                out.push((target, finish(builder)?));
            }
        }
        Ok(out)
    }
}

fn push(builder: &mut BatchBuilder, encoded: &Encoded, row: &EncodedRecord) -> Result<()> {
    let headers = encoded.headers.of(row.seq).iter();
    let headers: Vec<(&str, Option<&[u8]>)> = headers.map(|(name, v)| (name.as_str(), v.as_deref())).collect();
    builder
        .push(encoded.part(row.key), encoded.part(row.value), row.time, &headers)
        .map_err(|e| Error::invalid(format!("a record cannot be written: {e}")))
}

fn finish(builder: &mut BatchBuilder) -> Result<Bytes> {
    builder.finish(Compression::None).map_err(|e| Error::internal(format!("record batch: {e}")))
}

/// Whether so many rows are written in order over all partitions.
pub(crate) fn keeps_order(rows: usize) -> bool {
    rows <= ORDERED_ROWS_MAX
}

/// All partitions' records in order of their causes: a batch for each run of records to one target.
pub(crate) fn ordered_appends(all: &[Encoded], topic: &str) -> Result<Vec<Append>> {
    let mut order: Vec<(u64, &Encoded, &EncodedRecord)> =
        all.iter().flat_map(|e| e.rows.iter().map(move |r| (r.seq, e, r))).collect();
    order.sort_by_key(|(seq, _, _)| *seq);
    let mut appends = vec![];
    let (mut builder, mut target) = (BatchBuilder::with_capacity(0), 0);
    for (_, encoded, row) in order {
        if !builder.is_empty() && (row.target != target || encoded.is_full(&builder, row)) {
            appends.push(append(topic, target, finish(&mut builder)?));
        }
        target = row.target;
        push(&mut builder, encoded, row)?;
    }
    if !builder.is_empty() {
        appends.push(append(topic, target, finish(&mut builder)?));
    }
    Ok(appends)
}

pub(crate) fn append(topic: &str, partition: u32, batches: Bytes) -> Append {
    Append { partition: TopicPartition::new(topic, partition), batches }
}

/// Rows written by hand (INSERT … VALUES, COPY): appends for the source's topic. `columns`: one array a
/// column of the source's schema; `rowtime` and `tombstones`: one entry a row. The error names the row.
pub fn rows_to_appends(
    source: &std::sync::Arc<catalog::Source>,
    columns: Vec<ArrayRef>,
    rowtime: Vec<i64>,
    tombstones: &[bool],
    topic: &recordlog::TopicConfig,
    registry: Option<&std::sync::Arc<dyn formats::SchemaRegistry>>,
) -> Result<Vec<Append>> {
    let places = |namespace: types::Namespace| {
        let all = source.schema.columns.iter().enumerate();
        all.filter(|(_, c)| c.namespace == namespace).map(|(i, _)| i).collect::<Vec<_>>()
    };
    let spec = SinkSpec {
        source: source.clone(),
        key: places(types::Namespace::Key),
        whole_key: false,
        value: places(types::Namespace::Value),
        timestamp: None,
        window: None,
        partitions: None,
        replicas: None,
        topic_settings: Default::default(),
    };
    let rows = rowtime.len();
    let op = |dead: &bool| if *dead { Change::Tombstone } else { Change::Insert } as u8;
    let batch = ChangeBatch {
        columns,
        rowtime: Int64Array::from(rowtime),
        seq: (0..rows as u64).collect::<Vec<_>>().into(),
        ops: Some(tombstones.iter().map(op).collect::<Vec<_>>().into()),
    };
    let mut reports = vec![];
    let mut writer = SinkWriter::new(&spec, registry)?;
    writer.limit(topic.message_bytes_max());
    let encoded = writer.encode(&batch, 0, topic.partitions, &mut reports)?;
    if let Some(report) = reports.iter().min_by_key(|r| r.seq) {
        return Err(Error::bad_value(format!("row {}: {}", report.seq + 1, report.message)));
    }
    ordered_appends(&[encoded], &source.topic)
}
