//! What goes from stage to stage where a query runs in tasks: rows ⇄ records of a repartition topic.
//!
//! A record's value has all that its rows are: a byte for the version of this format, a number for the columns (4 bytes,
//! little-endian), then the rows one after the other: of each a byte for what it means ([`Change`]), its event time (8
//! bytes, little-endian), its columns in compact encoding. Where the two halves of an update go to one place they are in
//! one record, so that nobody sees the one without the other; the first half's first byte says so.
//!
//! A record has one row, or one update, where those who read it put records in order with those of other topics, or
//! where rows carry headers: then its key is the row's new key as the sink of that key would write it, its timestamp the
//! row's event time, its headers those of the record that caused the row. Elsewhere it has as many as there are, up to a
//! bound: a cluster's client takes and gives records one by one, and that is most of what an exchange costs. Such a
//! record has no key, and the time of its latest row.
//!
//! The number of the columns follows from their names and types. Rows that a replaced query wrote with other columns, and
//! that nobody has read yet, are reported, not guessed at.

use std::sync::Arc;

use arrow::{
    array::{Int64Array, UInt8Array, UInt64Array},
    datatypes::{DataType, SchemaRef},
};
use operators::{Change, ChangeBatch, Report, ReportKind, SUB_BITS};
use recordlog::{
    Append, StoredBatch, TopicPartition,
    batch::{BatchBuilder, RecordRanges, decode_ranges},
};
use statestore::{CodecError, Mode, RowDecoder, RowEncoder};
use types::{Error, Result};

use crate::{
    headers::HeaderBook,
    route::Routed,
    sink::{Framing, Record, append, finish},
    source::{Rows, Taken, damaged},
};

/// The version of the format of values. A value of the first version has one row, or one update.
const VERSION: u8 = 2;

/// Rows and updates that one record has at most: each has two of the numbers below the record's.
pub(crate) const PACKED_MAX: usize = 256;

/// A record with more bytes of rows takes no further ones.
const PACKED_BYTES: usize = 16 << 10;

/// In the byte that says what a row means: another row follows.
const MORE: u8 = 0x80;

/// The number of a schema's columns: FNV-1a over their names and types.
fn number_of(schema: &SchemaRef) -> u32 {
    let names = schema.fields().iter().map(|f| format!("{} {};", f.name(), f.data_type()));
    let hash = |hash: u32, byte: u8| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193);
    names.flat_map(String::into_bytes).fold(0x811c_9dc5, hash)
}

/// Writes one task's rows to a repartition topic.
pub(crate) struct RepartitionWriter<'a> {
    pub topic: &'a str,
    /// Of the rows.
    pub schema: &'a SchemaRef,
    /// Headers of the records that the rows come from.
    pub headers: Arc<HeaderBook>,
    /// The longest batch that the topic takes.
    pub message_bytes_max: usize,
    /// Rows and updates that a record has at most, [`PACKED_MAX`] or fewer; with headers it has one.
    pub packed_max: usize,
}

/// A record that is being made.
#[derive(Default)]
struct Packed<'a> {
    value: Vec<u8>,
    /// Rows and updates in it.
    count: usize,
    /// Of the first.
    seq: u64,
    key: Option<&'a [u8]>,
    /// Of the latest.
    time: i64,
}

impl RepartitionWriter<'_> {
    /// The records of what was routed; rows too long for the topic are reported.
    ///
    /// # Errors
    /// A column of a type that cannot be stored.
    pub fn write(&self, routed: &Routed, reports: &mut Vec<Report>) -> Result<Vec<Append>> {
        let unsupported = |e: CodecError| Error::unsupported(e.to_string());
        let rows = RowEncoder::new(&routed.batch.columns, Mode::Compact).map_err(unsupported)?;
        let framing = Framing::new(self.message_bytes_max, self.headers.clone());
        let packed_max = if self.headers.is_empty() { self.packed_max.clamp(1, PACKED_MAX) } else { 1 };
        let mut head = vec![VERSION];
        head.extend_from_slice(&number_of(self.schema).to_le_bytes());
        let (mut appends, mut builder, mut piece) = (vec![], BatchBuilder::with_capacity(0), vec![]);
        let mut packed = Packed::default();
        for (target, own) in (0u32..).zip(&routed.targets) {
            let mut left = own.iter().map(|row| *row as usize).peekable();
            while let Some(first) = left.next() {
                piece.clear();
                let second = left.next_if(|next| *next == first + 1 && routed.batch.is_update(first));
                write_row(&routed.batch, &rows, first, second.is_some(), &mut piece);
                second.iter().for_each(|second| write_row(&routed.batch, &rows, *second, false, &mut piece));
                let row = second.unwrap_or(first);
                let bytes = framing.bytes(packed.seq, packed.key, Some(&packed.value)) + piece.len();
                if packed.count >= packed_max || packed.value.len() > PACKED_BYTES || !framing.takes(bytes) {
                    self.close(&mut packed, (target, &framing), (&mut builder, &mut appends), reports)?;
                }
                let time = routed.batch.rowtime.value(row);
                if packed.count == 0 {
                    packed.value.extend_from_slice(&head);
                    (packed.seq, packed.key, packed.time) = (routed.batch.seq.value(row), routed.keys.get(row), time);
                }
                packed.value.extend_from_slice(&piece);
                (packed.count, packed.time) = (packed.count + 1, packed.time.max(time));
            }
            self.close(&mut packed, (target, &framing), (&mut builder, &mut appends), reports)?;
            if !builder.is_empty() {
                appends.push(append(self.topic, target, finish(&mut builder)?));
            }
        }
        Ok(appends)
    }

    /// Write the record that was being made, if it has rows.
    fn close(
        &self,
        packed: &mut Packed<'_>,
        (target, framing): (u32, &Framing),
        (builder, appends): (&mut BatchBuilder, &mut Vec<Append>),
        reports: &mut Vec<Report>,
    ) -> Result<()> {
        let Packed { seq, time, count, .. } = *packed;
        if count == 0 {
            return Ok(());
        }
        let (key, value) = (packed.key.filter(|_| count == 1), Some(packed.value.as_slice()));
        let bytes = framing.bytes(seq, key, value);
        if !framing.takes(bytes) {
            let message = format!("the row takes {bytes} bytes, more than a batch of {} may", self.topic);
            reports.push(Report { seq, kind: ReportKind::Unwritable, message });
        } else {
            if framing.is_full(builder, bytes) {
                appends.push(append(self.topic, target, finish(builder)?));
            }
            // What has no time is as old as can be; the value knows better.
            framing.push(builder, &Record { seq, target, time: time.max(0), key, value })?;
        }
        packed.value.clear();
        (packed.count, packed.key) = (0, None);
        Ok(())
    }
}

fn write_row(batch: &ChangeBatch, rows: &RowEncoder<'_>, row: usize, more: bool, out: &mut Vec<u8>) {
    out.push(batch.op(row) as u8 | if more { MORE } else { 0 });
    out.extend_from_slice(&batch.rowtime.value(row).to_le_bytes());
    rows.encode(row, out);
}

/// Turns records of one partition of a repartition topic into rows.
pub(crate) struct RepartitionReader {
    schema: SchemaRef,
    types: Vec<DataType>,
    number: u32,
    rows: RowDecoder,
    times: Vec<i64>,
    seqs: Vec<u64>,
    ops: Vec<u8>,
    /// Records that hold no rows of these columns.
    failed: Vec<Report>,
    ranges: RecordRanges,
    /// Headers of the records read last.
    carried: HeaderBook,
}

impl RepartitionReader {
    /// Of rows of `schema`.
    ///
    /// # Errors
    /// A column of a type that cannot be stored.
    pub fn new(schema: SchemaRef) -> Result<RepartitionReader> {
        let types: Vec<DataType> = schema.fields().iter().map(|f| f.data_type().clone()).collect();
        Ok(RepartitionReader {
            number: number_of(&schema),
            rows: decoder(&types)?,
            schema,
            types,
            times: vec![],
            seqs: vec![],
            ops: vec![],
            failed: vec![],
            ranges: RecordRanges::default(),
            carried: HeaderBook::default(),
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
        self.finish(reports)
    }

    /// The rows pushed.
    ///
    /// # Errors
    /// A row cannot be read.
    pub fn finish(&mut self, reports: &mut Vec<Report>) -> Result<ChangeBatch> {
        reports.append(&mut self.failed);
        let rows = std::mem::replace(&mut self.rows, decoder(&self.types)?);
        let has_rows = !self.seqs.is_empty();
        let ops = std::mem::take(&mut self.ops);
        let is_plain = ops.iter().all(|op| *op == Change::Insert as u8);
        let (times, seqs) = (std::mem::take(&mut self.times), std::mem::take(&mut self.seqs));
        if !has_rows {
            return Ok(ChangeBatch::empty(&self.schema));
        }
        Ok(ChangeBatch {
            columns: { rows }.finish().map_err(|e| Error::corrupt(format!("rows of a repartition topic: {e}")))?,
            rowtime: Int64Array::from(times),
            seq: UInt64Array::from(seqs),
            ops: (!is_plain).then(|| UInt8Array::from(ops)),
        })
    }

    /// The headers of the records that were read since this was asked last.
    pub fn take_headers(&mut self) -> HeaderBook {
        std::mem::take(&mut self.carried)
    }

    /// Add the rows of a value; `None`: it has none that can be read.
    fn push_value(&mut self, value: &[u8], arrival: u64) -> Result<Option<()>, CodecError> {
        let Some((1..=VERSION, rest)) = value.split_first().map(|(version, rest)| (*version, rest)) else {
            return Ok(None);
        };
        let Some((number, mut rest)) = rest.split_first_chunk::<4>() else { return Ok(None) };
        if u32::from_le_bytes(*number) != self.number {
            return Ok(None);
        }
        // The two halves of an update have numbers one after the other, and nothing else has.
        for seq in (0..PACKED_MAX as u64).map(|at| (arrival << SUB_BITS) + 2 * at) {
            let (mut is_open, mut after) = self.push_row(rest, seq)?;
            if is_open {
                (is_open, after) = self.push_row(after, seq + 1)?;
            }
            match (is_open, after.is_empty()) {
                (true, _) => break,
                (false, true) => return Ok(Some(())),
                (false, false) => rest = after,
            }
        }
        Err(CodecError::Malformed(value.len()))
    }

    /// Add a row; whether it is the first half of an update, and what is behind it.
    fn push_row<'a>(&mut self, bytes: &'a [u8], seq: u64) -> Result<(bool, &'a [u8]), CodecError> {
        let malformed = || CodecError::Malformed(bytes.len());
        let (op, row) = bytes.split_first().ok_or_else(malformed)?;
        let (time, row) = row.split_first_chunk::<8>().ok_or_else(malformed)?;
        let rest = self.rows.push_prefix(row)?;
        self.ops.push(op & !MORE);
        self.times.push(i64::from_le_bytes(*time));
        self.seqs.push(seq);
        Ok((op & MORE != 0, rest))
    }
}

impl Rows for RepartitionReader {
    fn push(&mut self, partition: &TopicPartition, stored: &StoredBatch, taken: &Taken) -> Result<()> {
        let mut ranges = std::mem::take(&mut self.ranges);
        decode_ranges(&stored.bytes, &mut ranges).map_err(|e| damaged(partition, stored, &e))?;
        let has_headers = ranges.has_headers();
        let mut numbers = taken.numbers(stored);
        for (at, delta) in ranges.offset_deltas.iter().enumerate() {
            let offset = ranges.base_offset + i64::from(*delta);
            let arrival = numbers.at(offset);
            if !taken.has(offset, arrival) {
                continue;
            }
            let value = ranges.value(at).unwrap_or_default();
            let pushed = self.push_value(value, arrival).map_err(|e| damaged(partition, stored, &e))?;
            if pushed.is_none() {
                let message = "the row was written by an earlier version of the query, with other columns".to_string();
                self.failed.push(Report { seq: arrival << SUB_BITS, kind: ReportKind::Undecodable, message });
            } else if has_headers {
                self.carried.note(arrival, &ranges, at);
            }
        }
        self.ranges = ranges;
        Ok(())
    }
}

fn decoder(types: &[DataType]) -> Result<RowDecoder> {
    RowDecoder::new(types, Mode::Compact).map_err(|e| Error::unsupported(e.to_string()))
}

#[cfg(test)]
mod tests {
    use arrow::{
        array::{Array, ArrayRef, StringArray},
        datatypes::{Field, Schema},
    };
    use bytes::Bytes;
    use formats::EncodedRows;
    use proptest::prelude::*;
    use recordlog::{Batches, batch::Compression};

    use super::*;

    fn schema() -> SchemaRef {
        let fields = vec![Field::new("A", DataType::Int64, true), Field::new("B", DataType::Utf8, true)];
        Arc::new(Schema::new(fields))
    }

    /// Rows (A, B, time, meaning, target), each cause with one row but for updates, whose halves have one.
    type Row = (Option<i64>, Option<String>, i64, u8, usize);

    fn routed(rows: &[Row], targets: usize) -> Routed {
        let columns: Vec<ArrayRef> = vec![
            Arc::new(rows.iter().map(|r| r.0).collect::<Int64Array>()),
            Arc::new(rows.iter().map(|r| r.1.as_deref()).collect::<StringArray>()),
        ];
        let mut seq = 0;
        let seqs: Vec<u64> = rows
            .iter()
            .map(|row| {
                seq += if row.3 == Change::UpdateAfter as u8 { 0 } else { 1 << SUB_BITS };
                seq
            })
            .collect();
        let mut keys = EncodedRows::default();
        for row in rows {
            match &row.1 {
                Some(text) => {
                    keys.data.extend_from_slice(text.as_bytes());
                    keys.finish();
                }
                None => keys.finish_null(),
            }
        }
        let mut own = vec![vec![]; targets];
        rows.iter().enumerate().for_each(|(at, row)| own[row.4 % targets].push(u32::try_from(at).expect("few")));
        let ops: Vec<u8> = rows.iter().map(|row| row.3).collect();
        let times: Vec<i64> = rows.iter().map(|row| row.2).collect();
        let batch = ChangeBatch { columns, rowtime: times.into(), seq: seqs.into(), ops: Some(ops.into()) };
        Routed { batch, targets: own, keys }
    }

    /// What was appended, as it is read: a batch with its place.
    fn stored(appends: &[Append], target: u32) -> Vec<StoredBatch> {
        let own = appends.iter().filter(|a| a.partition.partition == target);
        let mut next = 0;
        own.map(|append| {
            let Batches::Built(built) = &append.batches else { panic!("not built here") };
            let mut ranges = RecordRanges::default();
            decode_ranges(&Bytes::copy_from_slice(built.bytes()), &mut ranges).expect("sound");
            let mut builder = BatchBuilder::new();
            builder.set_base_offset(next);
            for at in 0..ranges.len() {
                builder.push(ranges.key(at), ranges.value(at), ranges.timestamps_ms[at], &[]).expect("fits");
            }
            let base_offset = next;
            next += i64::try_from(ranges.len()).expect("few");
            let bytes = builder.finish(Compression::None).expect("builds");
            StoredBatch { base_offset, next_offset: next, arrival: base_offset.unsigned_abs(), bytes }
        })
        .collect()
    }

    fn read(reader: &mut RepartitionReader, batches: Vec<StoredBatch>) -> Result<(ChangeBatch, Vec<Report>)> {
        let to = batches.last().map_or(0, |b| b.next_offset);
        let taken = Taken { batches, from: 0, to, arrival_end: u64::MAX, runs: vec![] };
        let mut reports = vec![];
        let rows = reader.read(&TopicPartition::new("t", 0), &taken, &mut reports)?;
        Ok((rows, reports))
    }

    fn shown(batch: &ChangeBatch, rows: impl Iterator<Item = usize>) -> Vec<Row> {
        let a: &Int64Array = batch.columns[0].as_any().downcast_ref().expect("numbers");
        let b: &StringArray = batch.columns[1].as_any().downcast_ref().expect("texts");
        let text = |row| b.is_valid(row).then(|| b.value(row).to_owned());
        let number = |row| a.is_valid(row).then(|| a.value(row));
        rows.map(|row| (number(row), text(row), batch.rowtime.value(row), batch.op(row) as u8, 0)).collect()
    }

    proptest! {
        /// What one stage routes the stage behind reads, in order, the halves of an update together.
        #[test]
        fn rows_come_as_they_went(
            pieces in prop::collection::vec((any::<Option<i64>>(), any::<Option<String>>(), any::<i64>(), 0..6_u8, 0..3_usize, 0..3_usize), 0..40),
            bytes_max in 80..400_usize,
            packed_max in 1..6_usize,
        ) {
            let mut rows: Vec<Row> = vec![];
            for (a, b, time, op, target, other) in pieces {
                let b = b.map(|text| text.chars().take(3).collect());
                match Change::from_u8(op) {
                    Change::UpdateBefore | Change::UpdateAfter => {
                        rows.push((a, b.clone(), time, Change::UpdateBefore as u8, target));
                        rows.push((a.map(|a| a / 2), b, time, Change::UpdateAfter as u8, other));
                    }
                    _ => rows.push((a, b, time, op, target)),
                }
            }
            let (schema, routed) = (schema(), routed(&rows, 3));
            let writer = RepartitionWriter {
                topic: "t",
                schema: &schema,
                headers: Arc::default(),
                message_bytes_max: bytes_max + recordlog::batch::HEADER_BYTES,
                packed_max,
            };
            let mut reports = vec![];
            let appends = writer.write(&routed, &mut reports).expect("writes");
            prop_assert!(reports.is_empty() || bytes_max < 200);
            if !reports.is_empty() {
                return Ok(());
            }
            let mut reader = RepartitionReader::new(schema).expect("a reader");
            for target in 0..3 {
                let (got, reports) = read(&mut reader, stored(&appends, target)).expect("reads");
                prop_assert!(reports.is_empty());
                let own = &routed.targets[target as usize];
                let want = shown(&routed.batch, own.iter().map(|row| *row as usize));
                prop_assert_eq!(shown(&got, 0..got.len()), want);
                // Halves that went together come together, and nothing else looks like it.
                for at in 0..got.len() {
                    let (first, second) = (own[at] as usize, own.get(at + 1).map(|row| *row as usize));
                    prop_assert_eq!(got.is_update(at), second == Some(first + 1) && routed.batch.is_update(first));
                }
                prop_assert!(got.seq.values().windows(2).all(|w| w[0] < w[1]));
            }
        }

        /// Bytes that are no rows are refused, or reported.
        #[test]
        fn other_bytes_are_no_rows(bytes in prop::collection::vec(any::<u8>(), 0..40), head in any::<bool>()) {
            let schema = schema();
            let mut value = vec![];
            if head {
                value.push(VERSION);
                value.extend_from_slice(&number_of(&schema).to_le_bytes());
            }
            value.extend_from_slice(&bytes);
            let mut builder = BatchBuilder::new();
            builder.push(None, Some(&value), 0, &[]).expect("fits");
            let bytes = builder.finish(Compression::None).expect("builds");
            let batch = StoredBatch { base_offset: 0, next_offset: 1, arrival: 0, bytes };
            let _ = read(&mut RepartitionReader::new(schema).expect("a reader"), vec![batch]);
        }
    }

    #[test]
    fn a_record_has_as_many_rows_as_there_are_up_to_a_bound() {
        let rows = vec![(Some(1), Some("x".to_owned()), 5, Change::Insert as u8, 0); 2 * PACKED_MAX + 1];
        let (schema, routed) = (schema(), routed(&rows, 1));
        let mut writer = RepartitionWriter {
            topic: "t",
            schema: &schema,
            headers: Arc::default(),
            message_bytes_max: 1 << 20,
            packed_max: usize::MAX,
        };
        let count = |writer: &RepartitionWriter<'_>| {
            let batches = stored(&writer.write(&routed, &mut vec![]).expect("writes"), 0);
            let records = batches.last().map_or(0, |batch| batch.next_offset);
            let (got, _) =
                read(&mut RepartitionReader::new(schema.clone()).expect("a reader"), batches).expect("reads");
            (records, got.len())
        };
        assert_eq!(count(&writer), (3, rows.len()));
        // Headers belong to one row.
        let mut ranges = RecordRanges::default();
        let mut builder = BatchBuilder::new();
        builder.push(None, None, 0, &[("name", None)]).expect("fits");
        decode_ranges(&builder.finish(Compression::None).expect("builds"), &mut ranges).expect("sound");
        let mut headers = HeaderBook::default();
        headers.note(1, &ranges, 0);
        writer.headers = Arc::new(headers);
        assert_eq!(count(&writer), (2 * PACKED_MAX as i64 + 1, rows.len()));
    }

    #[test]
    fn rows_of_other_columns_are_reported() {
        let rows = [(Some(1), Some("x".to_owned()), 5, Change::Insert as u8, 0)];
        let (schema, routed) = (schema(), routed(&rows, 1));
        let writer = RepartitionWriter {
            topic: "t",
            schema: &schema,
            headers: Arc::default(),
            message_bytes_max: 1 << 20,
            packed_max: 1,
        };
        let appends = writer.write(&routed, &mut vec![]).expect("writes");
        let other = Arc::new(Schema::new(vec![Field::new("A", DataType::Int64, true)]));
        let mut reader = RepartitionReader::new(other).expect("a reader");
        let (got, reports) = read(&mut reader, stored(&appends, 0)).expect("reads");
        assert_eq!((got.len(), reports.len()), (0, 1));
        let (got, reports) =
            read(&mut RepartitionReader::new(schema).expect("a reader"), stored(&appends, 0)).expect("reads");
        assert_eq!((got.len(), reports.len()), (1, 0));
    }
}
