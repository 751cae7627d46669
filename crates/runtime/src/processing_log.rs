//! The processing log: what happened to rows that are not where one would look for them, as records of a topic.
//!
//! It must never be what stops a query: entries, and the bytes of records in them, are bounded, so that every batch is
//! one that the topic takes.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use bytes::Bytes;
use operators::{Report, ReportKind};
use recordlog::batch::{BatchBuilder, Compression};
use serde::Serialize;
use types::{Column, Error, Result, SqlType};

use crate::find::Found;

/// Entries of one epoch that are written in full; of more, only the number is.
const ENTRIES_MAX: usize = 10_000;
/// Bytes of entries of one epoch; of those beyond, only the number is written.
const EPOCH_BYTES_MAX: usize = 16 << 20;
/// Bytes of a record's key, and of its value, that an entry shows.
const SHOWN_BYTES_MAX: usize = 64 << 10;
/// Bytes of an error that an entry shows.
const ERROR_BYTES_MAX: usize = 16 << 10;
/// Bytes after which a batch is closed: with one more entry it is still below what topics take by default.
const BATCH_BYTES: usize = 512 << 10;

/// The columns of the stream over it: key QUERY, then the value's.
pub fn processing_log_columns() -> Vec<Column> {
    vec![
        Column::key("QUERY", SqlType::String),
        Column::value("KIND", SqlType::String),
        Column::value("ERROR", SqlType::String),
        Column::value("SOURCE_TOPIC", SqlType::String),
        Column::value("SOURCE_PARTITION", SqlType::Int),
        Column::value("SOURCE_OFFSET", SqlType::BigInt),
        Column::value("SOURCE_TIMESTAMP", SqlType::BigInt),
        Column::value("SOURCE_KEY", SqlType::Bytes),
        Column::value("SOURCE_VALUE", SqlType::Bytes),
    ]
}

#[derive(Serialize, Default)]
#[serde(rename_all = "UPPERCASE")]
struct Entry<'a> {
    kind: &'a str,
    error: &'a str,
    source_topic: Option<&'a str>,
    source_partition: Option<u32>,
    source_offset: Option<i64>,
    source_timestamp: Option<i64>,
    source_key: Option<String>,
    source_value: Option<String>,
}

fn kind_name(kind: ReportKind) -> &'static str {
    match kind {
        ReportKind::Undecodable => "UNDECODABLE",
        ReportKind::NullKey => "NULL_KEY",
        ReportKind::Expression => "EXPRESSION",
        ReportKind::Late => "LATE",
        ReportKind::Unwritable => "UNWRITABLE",
    }
}

/// Entries on their way into batches.
struct Batches<'a> {
    query: &'a str,
    now_ms: i64,
    builder: BatchBuilder,
    done: Vec<Bytes>,
    bytes: usize,
}

impl Batches<'_> {
    fn push(&mut self, entry: &Entry<'_>) -> Result<()> {
        let json = serde_json::to_vec(entry).map_err(|e| Error::internal(e.to_string()))?;
        self.bytes += json.len();
        let pushed = self.builder.push(Some(self.query.as_bytes()), Some(&json), self.now_ms, &[]);
        pushed.map_err(|e| Error::internal(format!("processing log: {e}")))?;
        if self.builder.bytes() > BATCH_BYTES {
            self.close()?;
        }
        Ok(())
    }

    fn close(&mut self) -> Result<()> {
        if !self.builder.is_empty() {
            let batch = self.builder.finish(Compression::None);
            self.done.push(batch.map_err(|e| Error::internal(format!("processing log: {e}")))?);
        }
        Ok(())
    }
}

/// The epoch's reports as batches, their records found again by `find`.
pub(crate) fn batches(
    query: &str,
    reports: &[Report],
    now_ms: i64,
    find: &mut dyn FnMut(u64) -> Option<Found>,
) -> Result<Vec<Bytes>> {
    let builder = BatchBuilder::with_capacity(4096);
    let mut out = Batches { query, now_ms, builder, done: vec![], bytes: 0 };
    let mut written = 0;
    for report in reports.iter().take(ENTRIES_MAX) {
        if out.bytes > EPOCH_BYTES_MAX {
            break;
        }
        let found = find(report.seq);
        let record = found.as_ref();
        out.push(&Entry {
            kind: kind_name(report.kind),
            error: shown_text(&report.message),
            source_topic: record.map(|r| &*r.partition.topic),
            source_partition: record.map(|r| r.partition.partition),
            source_offset: record.map(|r| r.offset),
            source_timestamp: record.map(|r| r.timestamp_ms),
            source_key: record.and_then(|r| r.key.as_deref()).map(shown),
            source_value: record.and_then(|r| r.value.as_deref()).map(shown),
        })?;
        written += 1;
    }
    let more = reports.len() - written;
    if more > 0 {
        let error = format!("{more} more entries of this epoch are not shown");
        out.push(&Entry { kind: "OMITTED", error: &error, ..Entry::default() })?;
    }
    out.close()?;
    Ok(out.done)
}

/// The beginning of a record's bytes; where it is, and so the rest, the entry says.
fn shown(bytes: &[u8]) -> String {
    STANDARD.encode(bytes.get(..SHOWN_BYTES_MAX).unwrap_or(bytes))
}

fn shown_text(text: &str) -> &str {
    text.get(..text.floor_char_boundary(ERROR_BYTES_MAX)).unwrap_or(text)
}

#[cfg(test)]
mod tests {
    use recordlog::batch::{RecordRanges, decode_ranges};

    use super::*;

    /// Sizes of the batches' records, and the last record's text.
    fn check(reports: usize, value_bytes: usize, entries: usize, omitted: Option<&str>) {
        let report = |seq| Report { seq, kind: ReportKind::Undecodable, message: "é".repeat(ERROR_BYTES_MAX) };
        let reports: Vec<Report> = (0..reports as u64).map(report).collect();
        let mut find = |seq: u64| {
            let value = Some(vec![7; value_bytes]);
            let partition = recordlog::TopicPartition::new("t", 0);
            Some(Found { partition, offset: seq.cast_signed(), timestamp_ms: 5, key: None, value })
        };
        let batches = batches("Q", &reports, 9, &mut find).expect("batches");
        let (mut count, mut last) = (0, String::new());
        for batch in &batches {
            assert!(batch.len() < 1_048_588, "{} bytes", batch.len());
            let mut ranges = RecordRanges::default();
            decode_ranges(batch, &mut ranges).expect("sound");
            count += ranges.len();
            last = String::from_utf8_lossy(ranges.value(ranges.len() - 1).expect("a value")).into_owned();
        }
        assert_eq!(count, entries + usize::from(omitted.is_some()));
        assert_eq!(last.contains("OMITTED"), omitted.is_some());
        assert!(omitted.is_none_or(|text| last.contains(text)), "{last}");
    }

    #[test]
    fn entries_are_bounded() {
        check(0, 0, 0, None);
        check(3, 10, 3, None);
        check(5, 5 << 20, 5, None);
        check(5_000, 5 << 20, 162, Some("4838 more"));
    }
}
