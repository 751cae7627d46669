//! Records of topic partitions → rows.
//!
//! Where the order between partitions matters, an epoch takes records strictly in order of arrival: it stops at the
//! first record, over all partitions, that it has not fetched.

use std::{collections::VecDeque, sync::Arc};

use arrow::{
    array::{
        Array, ArrayRef, BinaryBuilder, BooleanArray, Int32Array, Int64Array, ListBuilder, StringBuilder,
        StructBuilder, TimestampMillisecondArray, UInt8Array, UInt64Array, new_null_array,
    },
    datatypes::SchemaRef,
};
use catalog::{KeyWindow, Source, SourceKind};
use formats::{Decoder, Part, RowError};
use functions::{Arg, ArgType, RowErrors};
use operators::{Change, ChangeBatch, Report, ReportKind, SUB_BITS};
use recordlog::{Offset, RecordLog, StoredBatch, TopicPartition, batch::RecordRanges, batch::decode_ranges};
use types::{Column, Error, Namespace, Result, SqlType};

use crate::{
    graph::{SourceNode, window_suffix_bytes},
    headers::HeaderBook,
    log_error,
};

/// How much an epoch takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cut {
    /// At most so many records over all partitions.
    Records(usize),
    /// About so many bytes a partition.
    Bytes(usize),
}

/// Bytes that one look at a partition fetches at most when all is to be read.
const FETCH_BYTES_MAX: usize = 8 << 20;

/// Where a partition's reading stands.
pub(crate) struct Reader {
    pub partition: TopicPartition,
    /// The topic's id, as progress has it.
    pub topic_id: Option<String>,
    /// The next offset to take.
    pub next: Offset,
    /// Fetched and not taken wholly.
    buffered: VecDeque<StoredBatch>,
    buffered_bytes: usize,
}

/// Batches taken for an epoch, with the range of offsets that counts.
pub(crate) struct Taken {
    pub batches: Vec<StoredBatch>,
    pub from: Offset,
    pub to: Offset,
    /// Records whose arrival number is not below this wait.
    pub arrival_end: u64,
}

impl Reader {
    pub fn new(partition: TopicPartition, next: Offset, topic_id: Option<String>) -> Reader {
        Reader { partition, topic_id, next, buffered: VecDeque::new(), buffered_bytes: 0 }
    }

    /// Fetch up to about `bytes`; whether there is more behind.
    fn fill(&mut self, log: &dyn RecordLog, bytes: usize) -> Result<bool> {
        let mut ends = log.offsets(&self.partition).map_err(log_error)?;
        loop {
            let fetched = self.buffered.back().map_or(self.next, |b| b.next_offset);
            if fetched >= ends.end {
                return Ok(false);
            }
            if self.buffered_bytes >= bytes {
                return Ok(true);
            }
            if fetched < ends.start {
                tracing::warn!(partition = %self.partition, from = fetched, to = ends.start, "records were deleted unread");
                self.next = self.next.max(ends.start);
                self.buffered.clear();
                self.buffered_bytes = 0;
                continue;
            }
            let batches = log
                .read(&self.partition, fetched, (bytes - self.buffered_bytes).min(FETCH_BYTES_MAX))
                .map_err(log_error)?;
            if batches.is_empty() {
                ends.end = fetched;
            }
            for batch in batches {
                self.buffered_bytes += batch.bytes.len();
                self.buffered.push_back(batch);
            }
        }
    }

    /// Arrival numbers of records not taken yet, at most `n`.
    fn arrivals(&self, n: usize) -> impl Iterator<Item = u64> {
        let next = self.next;
        self.buffered
            .iter()
            .flat_map(move |b| {
                let count = b.next_offset - b.base_offset;
                let skip = (next - b.base_offset).clamp(0, count);
                (skip..count).map(move |i| b.arrival + i.unsigned_abs())
            })
            .take(n)
    }

    /// One past the arrival number of the last record fetched.
    fn arrival_end(&self) -> u64 {
        self.buffered.back().map_or(0, |b| b.arrival + (b.next_offset - b.base_offset).unsigned_abs())
    }

    /// What is there, of about `bytes` bytes.
    pub fn take_all(&mut self, log: &dyn RecordLog, bytes: usize) -> Result<Taken> {
        self.fill(log, bytes)?;
        Ok(self.take(u64::MAX))
    }

    fn take(&mut self, arrival_end: u64) -> Taken {
        let from = self.next;
        let mut batches = vec![];
        while let Some(batch) = self.buffered.front() {
            let count = (batch.next_offset - batch.base_offset).unsigned_abs();
            let within = arrival_end.saturating_sub(batch.arrival).min(count);
            if within == 0 {
                break;
            }
            self.next = self.next.max(batch.base_offset + within.cast_signed());
            if within < count {
                batches.push(batch.clone());
                break;
            }
            if let Some(batch) = self.buffered.pop_front() {
                self.buffered_bytes -= batch.bytes.len();
                batches.push(batch);
            }
        }
        Taken { batches, from, to: self.next, arrival_end }
    }
}

/// Take an epoch's records from all readers; `ordered`: strictly in order of arrival. Gives one entry a reader, and
/// whether anything was taken.
pub(crate) fn take_epoch(
    readers: &mut [Reader],
    log: &dyn RecordLog,
    cut: Cut,
    ordered: bool,
) -> Result<(Vec<Taken>, bool)> {
    // Between the looks at two partitions both may grow: a record in the later one must not overtake an older one in
    // the earlier.
    let mut end = if ordered { log.arrival_end() } else { u64::MAX };
    let bytes = match cut {
        Cut::Bytes(bytes) => bytes.max(1),
        // Enough for records of any usual size; a batch is fetched whole anyway.
        Cut::Records(n) => n.saturating_mul(64).clamp(1, FETCH_BYTES_MAX),
    };
    for reader in readers.iter_mut() {
        if reader.fill(log, bytes)? && (ordered || matches!(cut, Cut::Records(_))) {
            end = end.min(reader.arrival_end());
        }
    }
    if let Cut::Records(n) = cut {
        let mut arrivals: Vec<u64> = readers.iter().flat_map(|r| r.arrivals(n.saturating_add(1))).collect();
        arrivals.sort_unstable();
        arrivals.dedup();
        end = end.min(arrivals.get(n).copied().unwrap_or(u64::MAX));
    }
    let taken: Vec<Taken> = readers.iter_mut().map(|r| r.take(end)).collect();
    let any = taken.iter().any(|t| t.to > t.from);
    Ok((taken, any))
}

/// Turns one partition's records into rows.
pub(crate) struct RowReader {
    source: Arc<Source>,
    schema: SchemaRef,
    key: Option<(Box<dyn Decoder>, Vec<usize>)>,
    value: Option<(Box<dyn Decoder>, Vec<usize>)>,
    headers: Vec<usize>,
    hidden: std::collections::BTreeSet<usize>,
    suffix: usize,
    ranges: Vec<RecordRanges>,
    /// Headers of the records read last.
    carried: HeaderBook,
    /// Whether a TIMESTAMP column without a timestamp stops the query (`ksql.timestamp.throw.on.invalid`).
    strict_timestamps: bool,
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
        let headers = node.wanted.iter().copied().filter(is_header).collect();
        Ok(RowReader {
            suffix: window_suffix_bytes(source.windowed),
            schema,
            key,
            value,
            headers,
            hidden: node.wanted_hidden.clone(),
            source,
            ranges: vec![],
            carried: HeaderBook::default(),
            strict_timestamps,
        })
    }

    /// The rows of what was taken.
    pub fn read(
        &mut self,
        partition: &TopicPartition,
        taken: &Taken,
        reports: &mut Vec<Report>,
    ) -> Result<ChangeBatch> {
        let mut ranges = std::mem::take(&mut self.ranges);
        if ranges.len() < taken.batches.len() {
            ranges.resize_with(taken.batches.len(), RecordRanges::default);
        }
        let result = self.read_ranges(partition, taken, &mut ranges, reports);
        ranges.truncate(16);
        ranges.iter_mut().for_each(RecordRanges::clear);
        self.ranges = ranges;
        result
    }

    fn read_ranges(
        &mut self,
        partition: &TopicPartition,
        taken: &Taken,
        ranges: &mut [RecordRanges],
        reports: &mut Vec<Report>,
    ) -> Result<ChangeBatch> {
        for (stored, ranges) in taken.batches.iter().zip(ranges.iter_mut()) {
            decode_ranges(&stored.bytes, ranges)
                .map_err(|e| Error::corrupt(format!("{partition} is damaged at offset {}: {e}", stored.base_offset)))?;
        }
        let mut rows = RawRows::default();
        for (stored, ranges) in taken.batches.iter().zip(ranges.iter()) {
            rows.collect(stored, ranges, taken);
            if ranges.has_headers() {
                self.note_headers(stored, ranges, taken);
            }
        }
        let n = rows.offsets.len();
        let mut columns: Vec<Option<ArrayRef>> = vec![None; self.schema.fields().len()];
        let mut keep = vec![true; n];
        let mut drop_row = |row: usize, kind: ReportKind, message: String, keep: &mut Vec<bool>| {
            if let Some(k) = keep.get_mut(row)
                && std::mem::take(k)
            {
                reports.push(Report { seq: rows.seqs.get(row).copied().unwrap_or(0), kind, message });
            }
        };
        let (mut starts, mut ends) = (vec![], vec![]);
        if self.suffix > 0 {
            for (row, key) in rows.keys.iter_mut().enumerate() {
                match split_window(self.source.windowed, *key) {
                    Some((plain, start, end)) => {
                        *key = plain;
                        starts.push(start);
                        ends.push(end);
                    }
                    None => {
                        drop_row(
                            row,
                            ReportKind::Undecodable,
                            "the key is too short to hold a window".into(),
                            &mut keep,
                        );
                        *key = None;
                        starts.push(0);
                        ends.push(0);
                    }
                }
            }
        }
        for (part, records, name) in [(&mut self.key, &rows.keys, "key"), (&mut self.value, &rows.values, "value")] {
            let Some((decoder, places)) = part else { continue };
            let mut errors: Vec<RowError> = vec![];
            for (array, place) in decoder.decode(records, &mut errors).into_iter().zip(places) {
                if let Some(column) = columns.get_mut(*place) {
                    *column = Some(array);
                }
            }
            for e in errors {
                drop_row(e.row, ReportKind::Undecodable, format!("{name}: {}", e.message), &mut keep);
            }
        }
        if self.source.kind == SourceKind::Table {
            for (row, key) in rows.keys.iter().enumerate() {
                if key.is_none() {
                    drop_row(row, ReportKind::NullKey, "a table's record has no key".into(), &mut keep);
                }
            }
        }
        self.header_columns(taken, ranges, n, &mut columns);
        let mut times = std::mem::take(&mut rows.times);
        self.column_times(&columns, &rows, &mut times, &mut |row, message| {
            drop_row(row, ReportKind::Undecodable, message, &mut keep);
        })?;
        let rowtime = Int64Array::from(times);
        self.hidden_columns(partition, &rows, &rowtime, (starts, ends), &mut columns);
        let columns = columns
            .into_iter()
            .zip(self.schema.fields())
            .map(|(c, f)| c.unwrap_or_else(|| new_null_array(f.data_type(), n)))
            .collect();
        let batch = ChangeBatch { columns, rowtime, ops: self.ops(&rows), seq: UInt64Array::from(rows.seqs) };
        if keep.iter().all(|k| *k) { Ok(batch) } else { batch.filter(&BooleanArray::from(keep)) }
    }

    /// The headers of the records that were read since this was asked last.
    pub fn take_headers(&mut self) -> HeaderBook {
        std::mem::take(&mut self.carried)
    }

    fn note_headers(&mut self, stored: &StoredBatch, ranges: &RecordRanges, taken: &Taken) {
        for index in 0..ranges.len() {
            if is_taken(stored, ranges, index, taken) {
                let delta = ranges.offset_deltas.get(index).copied().unwrap_or(0);
                self.carried.note(stored.arrival + u64::from(delta), ranges, index);
            }
        }
    }

    fn ops(&self, rows: &RawRows<'_>) -> Option<UInt8Array> {
        let has_value_columns = self.source.schema.value().next().is_some();
        let present = if self.source.kind == SourceKind::Table { Change::Upsert } else { Change::Insert };
        let op = |v: &Option<&[u8]>| match v {
            // A stream without value columns has nothing but keys: no value is no tombstone.
            None if self.source.kind == SourceKind::Table || has_value_columns => Change::Tombstone as u8,
            _ => present as u8,
        };
        let plain = present == Change::Insert && rows.values.iter().all(|v| op(v) == Change::Insert as u8);
        (!plain).then(|| UInt8Array::from_iter_values(rows.values.iter().map(op)))
    }

    fn header_columns(&self, taken: &Taken, ranges: &[RecordRanges], n: usize, columns: &mut [Option<ArrayRef>]) {
        for at in &self.headers {
            let Some(column) = self.source.schema.columns.get(*at) else { continue };
            let mut one = BinaryBuilder::new();
            let fields = vec![
                arrow::datatypes::Field::new("KEY", arrow::datatypes::DataType::Utf8, true),
                arrow::datatypes::Field::new("VALUE", arrow::datatypes::DataType::Binary, true),
            ];
            let mut all = ListBuilder::new(StructBuilder::new(
                fields,
                vec![Box::new(StringBuilder::new()), Box::new(BinaryBuilder::new())],
            ));
            for (stored, ranges) in taken.batches.iter().zip(ranges) {
                for i in 0..ranges.len() {
                    if !is_taken(stored, ranges, i, taken) {
                        continue;
                    }
                    match &column.namespace {
                        Namespace::Headers(Some(name)) => {
                            one.append_option(ranges.headers_of(i).last(name).and_then(|h| h.value));
                        }
                        _ => {
                            for header in ranges.headers_of(i).flatten() {
                                if let Some(key) = all.values().field_builder::<StringBuilder>(0) {
                                    key.append_value(String::from_utf8_lossy(header.name));
                                }
                                if let Some(value) = all.values().field_builder::<BinaryBuilder>(1) {
                                    value.append_option(header.value);
                                }
                                all.values().append(true);
                            }
                            all.append(true);
                        }
                    }
                }
            }
            let array: ArrayRef = match column.namespace {
                Namespace::Headers(Some(_)) => Arc::new(one.finish()),
                _ => Arc::new(all.finish()),
            };
            if let Some(place) = columns.get_mut(*at).filter(|_| array.len() == n) {
                *place = Some(array);
            }
        }
    }

    /// Times from the TIMESTAMP column, in place of the records' own.
    fn column_times(
        &self,
        columns: &[Option<ArrayRef>],
        rows: &RawRows<'_>,
        times: &mut [i64],
        fail: &mut dyn FnMut(usize, String),
    ) -> Result<()> {
        let Some(timestamp) = &self.source.timestamp else { return Ok(()) };
        let Some((at, column)) = self.source.schema.find(&timestamp.column) else { return Ok(()) };
        let Some(array) = columns.get(at).and_then(Option::as_ref) else { return Ok(()) };
        let values = timestamp_values(array, &column.ty, timestamp.format.as_deref())?;
        for (row, time) in times.iter_mut().enumerate() {
            if rows.values.get(row).is_some_and(Option::is_none) && !matches!(column.namespace, Namespace::Key) {
                continue;
            }
            match values.is_valid(row).then(|| values.value(row)) {
                Some(t) if t >= 0 => *time = t,
                _ if self.strict_timestamps => {
                    let text = rows.values.get(row).copied().flatten().map(String::from_utf8_lossy).unwrap_or_default();
                    let message =
                        format!("no timestamp can be extracted from column {} of the record {text}", column.name);
                    return Err(Error::bad_value(message));
                }
                Some(t) => fail(row, format!("{}: {t} is before 1970, which is no timestamp", column.name)),
                None => fail(row, format!("{}: no timestamp can be read from it", column.name)),
            }
        }
        Ok(())
    }

    fn hidden_columns(
        &self,
        partition: &TopicPartition,
        rows: &RawRows<'_>,
        rowtime: &Int64Array,
        (starts, ends): (Vec<i64>, Vec<i64>),
        columns: &mut [Option<ArrayRef>],
    ) {
        let base = self.source.schema.columns.len();
        let n = rows.offsets.len();
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
        set(2, &mut || Arc::new(Int64Array::from(rows.offsets.clone())));
        set(3, &mut || Arc::new(Int64Array::from(starts.clone())));
        set(4, &mut || Arc::new(Int64Array::from(ends.clone())));
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

fn is_taken(stored: &StoredBatch, ranges: &RecordRanges, at: usize, taken: &Taken) -> bool {
    let delta = ranges.offset_deltas.get(at).copied().unwrap_or(0);
    let offset = ranges.base_offset + i64::from(delta);
    offset >= taken.from && offset < taken.to && stored.arrival + u64::from(delta) < taken.arrival_end
}

#[derive(Default)]
struct RawRows<'a> {
    keys: Vec<Option<&'a [u8]>>,
    values: Vec<Option<&'a [u8]>>,
    times: Vec<i64>,
    offsets: Vec<i64>,
    seqs: Vec<u64>,
}

impl<'a> RawRows<'a> {
    fn collect(&mut self, stored: &StoredBatch, ranges: &'a RecordRanges, taken: &Taken) {
        for i in 0..ranges.len() {
            if !is_taken(stored, ranges, i, taken) {
                continue;
            }
            let delta = ranges.offset_deltas.get(i).copied().unwrap_or(0);
            self.keys.push(ranges.key(i));
            self.values.push(ranges.value(i));
            self.times.push(ranges.timestamps_ms.get(i).copied().unwrap_or(0));
            self.offsets.push(ranges.base_offset + i64::from(delta));
            self.seqs.push((stored.arrival + u64::from(delta)) << SUB_BITS);
        }
    }
}

/// A windowed key as (key, start, end).
fn split_window(window: Option<KeyWindow>, key: Option<&[u8]>) -> Option<(Option<&[u8]>, i64, i64)> {
    let key = key?;
    match window? {
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

/// A record of an epoch, found again by its order.
pub(crate) struct Found {
    pub offset: Offset,
    pub timestamp_ms: i64,
    pub key: Option<Vec<u8>>,
    pub value: Option<Vec<u8>>,
}

/// Finds records of an epoch by their order; those asked for one after another are mostly in one batch.
pub(crate) struct RecordFinder<'a> {
    taken: &'a [Taken],
    /// The batch found last, with its reader; `ranges` are its records.
    last: Option<(usize, &'a StoredBatch)>,
    ranges: RecordRanges,
}

impl<'a> RecordFinder<'a> {
    pub fn new(taken: &'a [Taken]) -> RecordFinder<'a> {
        RecordFinder { taken, last: None, ranges: RecordRanges::default() }
    }

    /// The record with that `seq`, and the reader that took it.
    pub fn find(&mut self, seq: u64) -> Option<(usize, Found)> {
        let arrival = seq >> SUB_BITS;
        let (reader, stored) = match self.last.filter(|(_, batch)| holds(batch, arrival)) {
            Some(last) => last,
            None => {
                let all = self.taken.iter().enumerate().flat_map(|(r, t)| t.batches.iter().map(move |b| (r, b)));
                let found = all.into_iter().find(|(_, b)| holds(b, arrival))?;
                self.last = None;
                decode_ranges(&found.1.bytes, &mut self.ranges).ok()?;
                self.last = Some(found);
                found
            }
        };
        let delta = u32::try_from(arrival - stored.arrival).ok()?;
        let at = self.ranges.offset_deltas.iter().position(|d| *d == delta)?;
        let found = Found {
            offset: self.ranges.base_offset + i64::from(delta),
            timestamp_ms: self.ranges.timestamps_ms.get(at).copied().unwrap_or(0),
            key: self.ranges.key(at).map(<[u8]>::to_vec),
            value: self.ranges.value(at).map(<[u8]>::to_vec),
        };
        Some((reader, found))
    }
}

fn holds(batch: &StoredBatch, arrival: u64) -> bool {
    (batch.arrival..batch.arrival + (batch.next_offset - batch.base_offset).unsigned_abs()).contains(&arrival)
}
