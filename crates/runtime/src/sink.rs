//! Rows → records of the sink's partitions.

use std::sync::Arc;

use arrow::{
    array::{Array, ArrayRef, BooleanArray, Int64Array},
    buffer::BooleanBuffer,
};
use catalog::{KeyWindow, SourceKind};
use formats::{EncodedRows, Encoder, Part, RowError};
use operators::{Change, ChangeBatch, Report, ReportKind};
use planner::plan::SinkSpec;
use recordlog::{
    Append, Batches, TopicPartition,
    batch::{BatchBuilder, BuiltBatch, Compression, HEADER_BYTES, RECORD_OVERHEAD_BYTES_MAX},
    partitioner::partition_for_key,
};
use types::{Column, Error, Result};

use crate::{
    headers::{Header, HeaderBook},
    rows::timestamp_values,
};

/// Epochs of no more rows than this are written in order over all partitions, however many batches that takes: an
/// epoch of a few records costs little, and readers of several partitions see the order of the causes.
const ORDERED_ROWS_MAX: usize = 256;

/// Bytes after which a batch is closed and another begun.
pub(crate) const BATCH_BYTES: usize = 512 << 10;

/// Rows that are encoded at a time.
const PIECE_ROWS: usize = 512;

/// What a header takes besides its name and value, at most: two lengths.
const HEADER_OVERHEAD_BYTES: usize = 10;

/// Writes one partition's rows.
pub(crate) struct SinkWriter {
    spec: SinkSpec,
    key: Option<Box<dyn Encoder>>,
    value: Option<Box<dyn Encoder>>,
    /// What stands for the value of a row that is there, where there are no value columns; `None`: nothing.
    no_value: Option<&'static [u8]>,
    keys: EncodedRows,
    values: EncodedRows,
    framing: Framing,
    /// The longest batch of the last rows, by target: the next ones are about as long.
    lengths: Vec<usize>,
}

/// How an epoch's records become batches.
#[derive(Debug, Clone)]
pub(crate) struct Framing {
    /// The longest batch that the topic takes.
    message_bytes_max: usize,
    /// Headers of the records that the rows come from.
    headers: Arc<HeaderBook>,
}

/// Rows as records, not yet in batches.
pub(crate) struct Encoded {
    rows: Vec<EncodedRecord>,
    bytes: Vec<u8>,
    framing: Framing,
}

/// A record as it is written.
pub(crate) struct Record<'a> {
    pub seq: u64,
    pub target: u32,
    pub time: i64,
    pub key: Option<&'a [u8]>,
    pub value: Option<&'a [u8]>,
}

struct EncodedRecord {
    seq: u64,
    target: u32,
    time: i64,
    /// Where key and value are in `bytes`, where they are there.
    key: Option<(usize, usize)>,
    value: Option<(usize, usize)>,
}

impl Framing {
    /// Of a topic that takes batches of up to so many bytes; rows come from records with these headers.
    pub fn new(message_bytes_max: usize, headers: Arc<HeaderBook>) -> Framing {
        Framing { message_bytes_max, headers }
    }

    /// Bytes that a record takes in a batch, at most.
    pub fn bytes(&self, seq: u64, key: Option<&[u8]>, value: Option<&[u8]>) -> usize {
        let header = |(name, value): &Header| name.len() + value.as_ref().map_or(0, Vec::len) + HEADER_OVERHEAD_BYTES;
        let headers: usize = self.headers.of(seq).iter().map(header).sum();
        key.map_or(0, <[u8]>::len) + value.map_or(0, <[u8]>::len) + headers + RECORD_OVERHEAD_BYTES_MAX
    }

    /// Whether the topic takes a batch of nothing but a record of `bytes`.
    pub fn takes(&self, bytes: usize) -> bool {
        HEADER_BYTES + bytes <= self.message_bytes_max
    }

    /// Whether the batch at hand is to be closed before a record of `bytes`.
    pub fn is_full(&self, builder: &BatchBuilder, bytes: usize) -> bool {
        !builder.is_empty() && (builder.bytes() > BATCH_BYTES || builder.bytes() + bytes > self.message_bytes_max)
    }

    pub fn push(&self, builder: &mut BatchBuilder, record: &Record<'_>) -> Result<()> {
        let Record { seq, time, key, value, .. } = *record;
        let headers = self.headers.of(seq);
        let pushed = if headers.is_empty() {
            builder.push(key, value, time, &[])
        } else {
            let headers: Vec<_> = headers.iter().map(|(name, v)| (name.as_str(), v.as_deref())).collect();
            builder.push(key, value, time, &headers)
        };
        pushed.map_err(|e| Error::invalid(format!("a record cannot be written: {e}")))
    }
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
        // A table's record without a value would delete the row.
        let no_value: Option<&[u8]> = match (source.kind, source.value_format.name.as_str()) {
            (SourceKind::Table, "JSON") => Some(b"{}"),
            (SourceKind::Table, _) => Some(b""),
            (SourceKind::Stream, _) => None,
        };
        Ok(SinkWriter {
            no_value,
            key: encoder(Part::Key, source.schema.key().cloned().collect(), &source.key_format)?,
            value: encoder(Part::Value, source.schema.value().cloned().collect(), &source.value_format)?,
            spec: spec.clone(),
            keys: EncodedRows::default(),
            values: EncodedRows::default(),
            framing: Framing { message_bytes_max: usize::MAX, headers: Arc::default() },
            lengths: vec![],
        })
    }

    /// What the topic takes from here on: a longer record costs itself, not the query.
    pub fn limit(&mut self, message_bytes_max: usize) {
        self.framing.message_bytes_max = message_bytes_max;
    }

    /// The headers of the records that the next rows come from.
    pub fn set_headers(&mut self, headers: Arc<HeaderBook>) {
        self.framing.headers = headers;
    }

    /// The records of `batch`, whose rows are in partition `from` of the query, to be put in order with those of other
    /// partitions.
    pub fn encode(
        &mut self,
        batch: &ChangeBatch,
        from: u32,
        partitions: u32,
        reports: &mut Vec<Report>,
    ) -> Result<Encoded> {
        let mut out = Encoded { rows: Vec::with_capacity(batch.len()), bytes: vec![], framing: self.framing.clone() };
        self.records(batch, from, partitions, reports, |record, _| {
            let mut put = |part: Option<&[u8]>| {
                let start = out.bytes.len();
                part.map(|part| {
                    out.bytes.extend_from_slice(part);
                    (start, out.bytes.len())
                })
            };
            let (key, value) = (put(record.key), put(record.value));
            out.rows.push(EncodedRecord { seq: record.seq, target: record.target, time: record.time, key, value });
            Ok(())
        })?;
        Ok(out)
    }

    /// The records of `batch` as batches of their partitions, each partition's in order, and how many they are.
    pub fn batches(
        &mut self,
        batch: &ChangeBatch,
        from: u32,
        partitions: u32,
        reports: &mut Vec<Report>,
    ) -> Result<(Vec<(u32, BuiltBatch)>, usize)> {
        let (mut out, mut count) = (vec![], 0);
        let mut lengths = std::mem::take(&mut self.lengths);
        lengths.resize(partitions as usize, 0);
        let mut builders: Vec<_> = lengths.iter().map(|length| BatchBuilder::with_capacity(*length)).collect();
        let framing = self.framing.clone();
        self.records(batch, from, partitions, reports, |record, bytes| {
            let Some(builder) = builders.get_mut(record.target as usize) else { return Ok(()) };
            if framing.is_full(builder, bytes) {
                out.push((record.target, finish(builder)?));
            }
            count += 1;
            framing.push(builder, &record)
        })?;
        for (target, builder) in (0..partitions).zip(&mut builders) {
            if !builder.is_empty() {
                out.push((target, finish(builder)?));
            }
        }
        lengths.fill(0);
        for (target, batch) in &out {
            if let Some(length) = lengths.get_mut(*target as usize) {
                *length = batch.bytes().len().max(*length);
            }
        }
        self.lengths = lengths;
        Ok((out, count))
    }

    /// Call `each` with every record of `batch` and the bytes that it takes in a batch; rows that cannot be written are
    /// reported.
    fn records(
        &mut self,
        batch: &ChangeBatch,
        from: u32,
        partitions: u32,
        reports: &mut Vec<Report>,
        mut each: impl FnMut(Record<'_>, usize) -> Result<()>,
    ) -> Result<()> {
        let shown;
        let batch = match &batch.ops {
            Some(ops) if ops.values().contains(&(Change::UpdateBefore as u8)) => {
                let keep: BooleanArray = ops.values().iter().map(|o| Some(*o != Change::UpdateBefore as u8)).collect();
                shown = batch.filter(&keep)?;
                &shown
            }
            _ => batch,
        };
        // What is encoded goes into a batch while it is in the processor's cache.
        (0..batch.len()).step_by(PIECE_ROWS).try_for_each(|start| {
            let piece = batch.slice(start, PIECE_ROWS.min(batch.len() - start));
            self.piece(&piece, from, partitions, reports, &mut each)
        })
    }

    fn piece(
        &mut self,
        batch: &ChangeBatch,
        from: u32,
        partitions: u32,
        reports: &mut Vec<Report>,
        each: &mut impl FnMut(Record<'_>, usize) -> Result<()>,
    ) -> Result<()> {
        let lost = self.encode_parts(batch, reports);
        let times = self.times(batch)?;
        let windows = self.windows(batch)?;
        let mut windowed = Vec::new();
        for row in 0..batch.len() {
            if lost.get(row).copied().unwrap_or(false) {
                continue;
            }
            let (seq, mut time) = (batch.seq.value(row), batch.rowtime.value(row));
            if let Some(times) = times.as_ref().filter(|_| batch.op(row).is_present()) {
                if times.is_null(row) || times.value(row) < 0 {
                    let message = "the TIMESTAMP column holds no timestamp".to_string();
                    reports.push(Report { seq, kind: ReportKind::Unwritable, message });
                    continue;
                }
                time = times.value(row);
            }
            let mut key = self.key.is_some().then(|| self.keys.get(row)).flatten();
            let target = match key {
                Some(key) => partition_for_key(key, partitions),
                None => from % partitions.max(1),
            };
            if let (Some((window, start, end)), Some(plain)) = (&windows, key) {
                windowed.clear();
                windowed.extend_from_slice(plain);
                if *window == KeyWindow::Session {
                    windowed.extend_from_slice(&end.value(row).to_be_bytes());
                }
                windowed.extend_from_slice(&start.value(row).to_be_bytes());
                key = Some(&windowed);
            }
            let value = self.values.get(row);
            let bytes = self.framing.bytes(seq, key, value);
            if !self.framing.takes(bytes) {
                let (topic, max) = (&self.spec.source.topic, self.framing.message_bytes_max);
                let message =
                    format!("the record takes {bytes} bytes, and a batch of {topic} {max} (max.message.bytes)");
                reports.push(Report { seq, kind: ReportKind::Unwritable, message });
                continue;
            }
            each(Record { seq, target, time, key, value }, bytes)?;
        }
        Ok(())
    }

    /// Keys and values of a batch, into `keys` and `values`; which rows have none.
    fn encode_parts(&mut self, batch: &ChangeBatch, reports: &mut Vec<Report>) -> Vec<bool> {
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
            None => (0..rows).for_each(|row| match self.no_value.filter(|_| batch.op(row).is_present()) {
                Some(value) => {
                    self.values.data.extend_from_slice(value);
                    self.values.finish();
                }
                None => self.values.finish_null(),
            }),
        }
        let mut lost = vec![false; if errors.is_empty() { 0 } else { rows }];
        for e in errors {
            if let Some(l) = lost.get_mut(e.row)
                && !std::mem::replace(l, true)
            {
                reports.push(Report { seq: batch.seq.value(e.row), kind: ReportKind::Unwritable, message: e.message });
            }
        }
        lost
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
    fn record(&self, row: &EncodedRecord) -> Record<'_> {
        let part = |range: Option<(usize, usize)>| range.and_then(|(start, end)| self.bytes.get(start..end));
        Record { seq: row.seq, target: row.target, time: row.time, key: part(row.key), value: part(row.value) }
    }

    pub fn len(&self) -> usize {
        self.rows.len()
    }
}

/// The builder's records, of which there is one at least.
pub(crate) fn finish(builder: &mut BatchBuilder) -> Result<BuiltBatch> {
    let built = builder.build(Compression::None).map_err(|e| Error::internal(format!("record batch: {e}")))?;
    built.ok_or_else(|| Error::internal("a record batch without records"))
}

/// Whether so many rows are written in order over all partitions.
pub(crate) fn keeps_order(rows: usize) -> bool {
    rows <= ORDERED_ROWS_MAX
}

/// All partitions' records in order of their causes: a batch for each run of records to one target.
pub(crate) fn ordered_appends(all: &[Encoded], topic: &str) -> Result<Vec<Append>> {
    in_order(all, topic, |_| true)
}

/// As [`ordered_appends`], of the records for one target partition.
pub(crate) fn target_appends(all: &[Encoded], topic: &str, target: u32) -> Result<Vec<Append>> {
    in_order(all, topic, |record| record.target == target)
}

fn in_order(all: &[Encoded], topic: &str, wanted: impl Fn(&EncodedRecord) -> bool) -> Result<Vec<Append>> {
    let mut order: Vec<(u64, &Encoded, &EncodedRecord)> = vec![];
    for encoded in all {
        order.extend(encoded.rows.iter().filter(|r| wanted(r)).map(|r| (r.seq, encoded, r)));
    }
    order.sort_by_key(|(seq, _, _)| *seq);
    let mut appends = vec![];
    let (mut builder, mut target) = (BatchBuilder::with_capacity(0), 0);
    for (_, encoded, row) in order {
        let (record, framing) = (encoded.record(row), &encoded.framing);
        let bytes = framing.bytes(record.seq, record.key, record.value);
        if !builder.is_empty() && (record.target != target || framing.is_full(&builder, bytes)) {
            appends.push(append(topic, target, finish(&mut builder)?));
        }
        target = record.target;
        framing.push(&mut builder, &record)?;
    }
    if !builder.is_empty() {
        appends.push(append(topic, target, finish(&mut builder)?));
    }
    Ok(appends)
}

pub(crate) fn append(topic: &str, partition: u32, batches: impl Into<Batches>) -> Append {
    Append { partition: TopicPartition::new(topic, partition), batches: batches.into() }
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
        rekeyed: false,
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
