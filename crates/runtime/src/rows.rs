//! Records of one partition → rows.
//!
//! A batch at a time is taken apart and decoded into columns that grow, so that its bytes are gone over while they are
//! in the processor's cache; what an epoch takes of a partition becomes one batch of rows.

use std::{collections::BTreeSet, sync::Arc};

use arrow::{
    array::{
        Array, ArrayRef, BinaryBuilder, BooleanArray, Int32Array, Int64Array, ListBuilder, StringBuilder,
        StructBuilder, TimestampMillisecondArray, UInt8Array, UInt64Array,
    },
    datatypes::{DataType, Field, SchemaRef},
    util::display::array_value_to_string,
};
use catalog::{KeyWindow, Source, SourceKind};
use formats::{Decoder, Part, RowError};
use functions::{Arg, ArgType, RowErrors};
use operators::{Change, ChangeBatch, Report, ReportKind, SUB_BITS, null_column};
use recordlog::{
    StoredBatch, TopicPartition,
    batch::{RecordRanges, decode_ranges},
};
use types::{Column, Error, Namespace, Result, SqlType};

use crate::{
    graph::{SourceNode, window_suffix_bytes},
    headers::HeaderBook,
    source::{Rows, Taken, damaged},
};

/// Decodes a side's wanted columns, and their places in the schema.
type Side = (Box<dyn Decoder>, Vec<usize>);

/// Turns one partition's records into rows.
pub(crate) struct RowReader {
    source: Arc<Source>,
    schema: SchemaRef,
    key: Option<Side>,
    value: Option<Side>,
    headers: Vec<(usize, HeaderColumn)>,
    hidden: BTreeSet<usize>,
    suffix: usize,
    /// Of the batch at hand.
    ranges: RecordRanges,
    pushed: Pushed,
    /// Rows that were finished last.
    rows_before: usize,
    /// Headers of the records read last.
    carried: HeaderBook,
    /// Whether a TIMESTAMP column without a timestamp stops the query (`ksql.timestamp.throw.on.invalid`).
    strict_timestamps: bool,
}

/// What is known of the rows pushed besides their columns.
#[derive(Default)]
struct Pushed {
    times: Vec<i64>,
    offsets: Vec<i64>,
    seqs: Vec<u64>,
    /// Rows whose record has no value.
    no_value: Vec<usize>,
    /// Of windowed keys.
    starts: Vec<i64>,
    ends: Vec<i64>,
    /// Rows that cannot be read, and why; the first reason counts.
    failed: Vec<(usize, ReportKind, String)>,
}

impl Pushed {
    /// Make room for as many rows as there were before, and some more.
    fn reserve_like(&mut self, before: usize) {
        let rows = before + before / 16;
        self.times.reserve(rows);
        self.offsets.reserve(rows);
        self.seqs.reserve(rows);
    }
}

/// A column of headers that grows.
enum HeaderColumn {
    /// The last header of that name.
    One(String, BinaryBuilder),
    All(ListBuilder<StructBuilder>),
}

impl HeaderColumn {
    fn new(column: &Column) -> HeaderColumn {
        match &column.namespace {
            Namespace::Headers(Some(name)) => HeaderColumn::One(name.clone(), BinaryBuilder::new()),
            _ => {
                let fields = vec![Field::new("KEY", DataType::Utf8, true), Field::new("VALUE", DataType::Binary, true)];
                let builders: Vec<Box<dyn arrow::array::ArrayBuilder>> =
                    vec![Box::new(StringBuilder::new()), Box::new(BinaryBuilder::new())];
                HeaderColumn::All(ListBuilder::new(StructBuilder::new(fields, builders)))
            }
        }
    }

    fn push(&mut self, ranges: &RecordRanges, index: usize) {
        match self {
            HeaderColumn::One(name, column) => {
                column.append_option(ranges.headers_of(index).last(name).and_then(|h| h.value));
            }
            HeaderColumn::All(column) => {
                for header in ranges.headers_of(index).flatten() {
                    if let Some(key) = column.values().field_builder::<StringBuilder>(0) {
                        key.append_value(String::from_utf8_lossy(header.name));
                    }
                    if let Some(value) = column.values().field_builder::<BinaryBuilder>(1) {
                        value.append_option(header.value);
                    }
                    column.values().append(true);
                }
                column.append(true);
            }
        }
    }

    fn finish(&mut self) -> ArrayRef {
        match self {
            HeaderColumn::One(_, column) => Arc::new(column.finish()),
            HeaderColumn::All(column) => Arc::new(column.finish()),
        }
    }
}

impl RowReader {
    pub fn new(
        node: &SourceNode,
        schema: SchemaRef,
        registry: Option<&Arc<dyn formats::SchemaRegistry>>,
        strict_timestamps: bool,
    ) -> Result<RowReader> {
        let context = formats::FormatContext {
            registry: registry.cloned(),
            topic: node.source.topic.clone(),
            ..Default::default()
        };
        let source = node.source.clone();
        let part = |part: Part,
                    namespace: Namespace,
                    spec: &formats::FormatSpec|
         -> Result<Option<(Box<dyn Decoder>, Vec<usize>)>> {
            let all: Vec<(usize, &Column)> =
                source.schema.columns.iter().enumerate().filter(|(_, c)| c.namespace == namespace).collect();
            let columns: Vec<Column> = all.iter().map(|(_, c)| (*c).clone()).collect();
            let wanted: Vec<usize> =
                all.iter().enumerate().filter(|(_, (i, _))| node.wanted.contains(i)).map(|(at, _)| at).collect();
            let places: Vec<usize> = wanted.iter().filter_map(|w| all.get(*w)).map(|(i, _)| *i).collect();
            if columns.is_empty() {
                return Ok(None);
            }
            Ok(Some((formats::format(&spec.name)?.decoder_in(part, &columns, &wanted, spec, &context)?, places)))
        };
        let key = part(Part::Key, Namespace::Key, &source.key_format)?;
        let value = part(Part::Value, Namespace::Value, &source.value_format)?;
        let is_header =
            |i: &usize| source.schema.columns.get(*i).is_some_and(|c| matches!(c.namespace, Namespace::Headers(_)));
        let headers = node.wanted.iter().copied().filter(is_header);
        let headers = headers.filter_map(|at| Some((at, HeaderColumn::new(source.schema.columns.get(at)?)))).collect();
        Ok(RowReader {
            suffix: window_suffix_bytes(source.windowed),
            schema,
            key,
            value,
            headers,
            hidden: node.wanted_hidden.clone(),
            source,
            ranges: RecordRanges::default(),
            pushed: Pushed::default(),
            rows_before: 0,
            carried: HeaderBook::default(),
            strict_timestamps,
        })
    }

    /// The rows of what was taken.
    ///
    /// # Errors
    /// A batch is damaged. The reader is of no more use then.
    pub fn read(
        &mut self,
        partition: &TopicPartition,
        taken: &Taken,
        reports: &mut Vec<Report>,
    ) -> Result<ChangeBatch> {
        taken.batches.iter().try_for_each(|batch| self.push(partition, batch, taken))?;
        self.finish(partition, reports)
    }

    /// Add the records of a batch that count in `taken`.
    ///
    /// # Errors
    /// See [`RowReader::read`]; the schema registry cannot be asked.
    pub fn push(&mut self, partition: &TopicPartition, stored: &StoredBatch, taken: &Taken) -> Result<()> {
        decode_ranges(&stored.bytes, &mut self.ranges).map_err(|e| damaged(partition, stored, &e))?;
        let (ranges, pushed) = (&self.ranges, &mut self.pushed);
        let first = pushed.offsets.len();
        if first == 0 {
            pushed.reserve_like(self.rows_before);
        }
        let mut keys: Vec<Option<&[u8]>> = Vec::with_capacity(ranges.len());
        let mut values: Vec<Option<&[u8]>> = Vec::with_capacity(ranges.len());
        let whole = taken.has_all_of(stored);
        let mut numbers = taken.numbers(stored);
        let (has_headers, window) = (ranges.has_headers(), self.source.windowed.filter(|_| self.suffix > 0));
        for (at, delta) in ranges.offset_deltas.iter().enumerate() {
            let offset = ranges.base_offset + i64::from(*delta);
            let arrival = numbers.at(offset);
            if !whole && !taken.has(offset, arrival) {
                continue;
            }
            let row = pushed.offsets.len();
            pushed.offsets.push(offset);
            pushed.seqs.push(arrival << SUB_BITS);
            pushed.times.push(ranges.timestamps_ms.get(at).copied().unwrap_or(0));
            let (mut key, value) = (ranges.key(at), ranges.value(at));
            if let Some(window) = window {
                let (plain, start, end) = split_window(window, key).unwrap_or_else(|| {
                    let message = "the key is too short to hold a window".to_string();
                    pushed.failed.push((row, ReportKind::Undecodable, message));
                    (None, 0, 0)
                });
                key = plain;
                pushed.starts.push(start);
                pushed.ends.push(end);
            }
            if value.is_none() {
                pushed.no_value.push(row);
            }
            keys.push(key);
            values.push(value);
            self.headers.iter_mut().for_each(|(_, column)| column.push(ranges, at));
            if has_headers {
                self.carried.note(arrival, ranges, at);
            }
        }
        for (side, records, name) in [(&mut self.key, &keys, "key"), (&mut self.value, &values, "value")] {
            let Some((decoder, _)) = side else { continue };
            let mut errors: Vec<RowError> = vec![];
            decoder.push(records, &mut errors);
            if let Some(outage) = decoder.outage() {
                return Err(outage.context(format!("{partition} cannot be read")));
            }
            let failed = |e: RowError| (e.row, ReportKind::Undecodable, format!("{name}: {}", e.message));
            pushed.failed.extend(errors.into_iter().map(failed));
        }
        if self.source.kind == SourceKind::Table {
            let without = keys.iter().enumerate().filter(|(_, key)| key.is_none());
            let failed = |(at, _)| (first + at, ReportKind::NullKey, "a table's record has no key".to_string());
            pushed.failed.extend(without.map(failed));
        }
        Ok(())
    }

    /// The rows pushed.
    ///
    /// # Errors
    /// See [`RowReader::read`]; a TIMESTAMP column without a timestamp, where that stops the query.
    pub fn finish(&mut self, partition: &TopicPartition, reports: &mut Vec<Report>) -> Result<ChangeBatch> {
        let mut pushed = std::mem::take(&mut self.pushed);
        let n = pushed.offsets.len();
        self.rows_before = n;
        let mut columns: Vec<Option<ArrayRef>> = vec![None; self.schema.fields().len()];
        let mut set = |at: usize, array: ArrayRef| {
            if let Some(column) = columns.get_mut(at) {
                *column = Some(array);
            }
        };
        for (decoder, places) in [&mut self.key, &mut self.value].into_iter().flatten() {
            decoder.finish().into_iter().zip(places).for_each(|(array, place)| set(*place, array));
        }
        self.headers.iter_mut().for_each(|(at, column)| set(*at, column.finish()));
        let mut times = std::mem::take(&mut pushed.times);
        self.column_times(partition, &columns, &mut pushed, &mut times)?;
        let rowtime = Int64Array::from(times);
        self.hidden_columns(partition, &pushed, &rowtime, &mut columns);
        let columns = columns
            .into_iter()
            .zip(self.schema.fields())
            .map(|(c, f)| c.unwrap_or_else(|| null_column(f.data_type(), n)))
            .collect();
        let ops = self.ops(&pushed);
        let failed = std::mem::take(&mut pushed.failed);
        let batch = ChangeBatch { columns, rowtime, ops, seq: UInt64Array::from(pushed.seqs) };
        if failed.is_empty() {
            return Ok(batch);
        }
        let mut keep = vec![true; n];
        for (row, kind, message) in failed {
            if let Some(k) = keep.get_mut(row)
                && std::mem::take(k)
            {
                reports.push(Report { seq: batch.seq.value(row), kind, message });
            }
        }
        batch.filter(&BooleanArray::from(keep))
    }

    /// The headers of the records that were read since this was asked last.
    pub fn take_headers(&mut self) -> HeaderBook {
        std::mem::take(&mut self.carried)
    }

    fn ops(&self, pushed: &Pushed) -> Option<UInt8Array> {
        let is_table = self.source.kind == SourceKind::Table;
        // A stream without value columns has nothing but keys: no value is no tombstone.
        let dead = is_table || self.source.schema.value().next().is_some();
        if !is_table && (!dead || pushed.no_value.is_empty()) {
            return None;
        }
        let present = if is_table { Change::Upsert } else { Change::Insert };
        let mut ops = vec![present as u8; pushed.offsets.len()];
        for row in &pushed.no_value {
            if let Some(op) = ops.get_mut(*row) {
                *op = Change::Tombstone as u8;
            }
        }
        Some(ops.into())
    }

    /// Times from the TIMESTAMP column, in place of the records' own.
    fn column_times(
        &self,
        partition: &TopicPartition,
        columns: &[Option<ArrayRef>],
        pushed: &mut Pushed,
        times: &mut [i64],
    ) -> Result<()> {
        let Some(timestamp) = &self.source.timestamp else { return Ok(()) };
        let Some((at, column)) = self.source.schema.find(&timestamp.column) else { return Ok(()) };
        let Some(array) = columns.get(at).and_then(Option::as_ref) else { return Ok(()) };
        let values = timestamp_values(array, &column.ty, timestamp.format.as_deref())?;
        let of_key = matches!(column.namespace, Namespace::Key);
        let mut no_value = pushed.no_value.iter().copied().peekable();
        for (row, time) in times.iter_mut().enumerate() {
            if no_value.next_if_eq(&row).is_some() && !of_key {
                continue;
            }
            let found = values.is_valid(row).then(|| values.value(row));
            let message = match found {
                Some(t) if t >= 0 => {
                    *time = t;
                    continue;
                }
                _ if self.strict_timestamps => {
                    let offset = pushed.offsets.get(row).copied().unwrap_or(0);
                    let text = array_value_to_string(array, row).unwrap_or_default();
                    let text = if array.is_null(row) { "NULL" } else { &text };
                    return Err(Error::bad_value(format!(
                        "no timestamp can be extracted from column {}, which holds {text}, of the record at offset \
                         {offset} of {partition}",
                        column.name
                    )));
                }
                Some(t) => format!("{}: {t} is before 1970, which is no timestamp", column.name),
                None => format!("{}: no timestamp can be read from it", column.name),
            };
            pushed.failed.push((row, ReportKind::Undecodable, message));
        }
        Ok(())
    }

    fn hidden_columns(
        &self,
        partition: &TopicPartition,
        pushed: &Pushed,
        rowtime: &Int64Array,
        columns: &mut [Option<ArrayRef>],
    ) {
        let base = self.source.schema.columns.len();
        let n = pushed.offsets.len();
        let mut set = |at: usize, make: &mut dyn FnMut() -> ArrayRef| {
            if self.hidden.contains(&(base + at))
                && let Some(place) = columns.get_mut(base + at)
            {
                *place = Some(make());
            }
        };
        set(0, &mut || Arc::new(rowtime.clone()));
        let number = i32::try_from(partition.partition).unwrap_or(i32::MAX);
        set(1, &mut || Arc::new(Int32Array::from_value(number, n)));
        set(2, &mut || Arc::new(Int64Array::from(pushed.offsets.clone())));
        set(3, &mut || Arc::new(Int64Array::from(pushed.starts.clone())));
        set(4, &mut || Arc::new(Int64Array::from(pushed.ends.clone())));
    }
}

impl Rows for RowReader {
    fn push(&mut self, partition: &TopicPartition, stored: &StoredBatch, taken: &Taken) -> Result<()> {
        RowReader::push(self, partition, stored, taken)
    }
}

/// The column's values as times, ms since 1970; NULL where there is none.
pub(crate) fn timestamp_values(array: &ArrayRef, ty: &SqlType, format: Option<&str>) -> Result<Int64Array> {
    let mut errors = RowErrors::default();
    let text = |args: &[Arg], types: &[ArgType], name: &str, errors: &mut RowErrors| -> Result<ArrayRef> {
        let function = functions::scalar::lookup(name).ok_or_else(|| Error::internal(format!("no function {name}")))?;
        function.bind(types)?.kernel.evaluate(args, array.len(), errors)
    };
    let values = match (ty, format) {
        (SqlType::String, Some(format)) => {
            let pattern: ArrayRef = Arc::new(arrow::array::StringArray::from(vec![format]));
            let types = [ArgType::Value(Some(SqlType::String)), ArgType::Value(Some(SqlType::String))];
            text(&[Arg::Column(array.clone()), Arg::Constant(pattern)], &types, "STRINGTOTIMESTAMP", &mut errors)?
        }
        (SqlType::String, None) => {
            let cast = functions::bind_cast(Some(&SqlType::String), &SqlType::Timestamp, false)?;
            cast.kernel.evaluate(&[Arg::Column(array.clone())], array.len(), &mut errors)?
        }
        _ => array.clone(),
    };
    if let Some(times) = values.as_any().downcast_ref::<TimestampMillisecondArray>() {
        return Ok(Int64Array::new(times.values().clone(), times.nulls().cloned()));
    }
    let typed = values.as_any().downcast_ref::<Int64Array>().cloned();
    typed.ok_or_else(|| Error::internal(format!("a TIMESTAMP column of type {}", array.data_type())))
}

/// A windowed key as (key, start, end).
fn split_window(window: KeyWindow, key: Option<&[u8]>) -> Option<(Option<&[u8]>, i64, i64)> {
    let key = key?;
    match window {
        KeyWindow::Time { size_ms, .. } => {
            let (plain, start) = key.split_last_chunk::<8>()?;
            let start = i64::from_be_bytes(*start);
            Some((Some(plain), start, size_ms.map_or(i64::MAX, |s| start.saturating_add(s))))
        }
        KeyWindow::Session => {
            let (rest, start) = key.split_last_chunk::<8>()?;
            let (plain, end) = rest.split_last_chunk::<8>()?;
            Some((Some(plain), i64::from_be_bytes(*start), i64::from_be_bytes(*end)))
        }
    }
}
