//! The processing log: what happened to rows that are not where one would look for them, as records of a topic.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use bytes::Bytes;
use operators::{Report, ReportKind};
use recordlog::batch::{BatchBuilder, Compression};
use serde::Serialize;
use types::{Column, Error, Result, SqlType};

use crate::source::Found;

/// Its topic.
pub const PROCESSING_LOG_TOPIC: &str = "_millstream-processing-log";

/// Entries of one epoch that are written in full; of more, only the number is.
const ENTRIES_MAX: usize = 10_000;

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

#[derive(Serialize)]
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

/// The epoch's reports as one batch, found again by `find`: (topic, partition, record).
pub(crate) fn batch(
    query: &str,
    reports: &[Report],
    now_ms: i64,
    find: &dyn Fn(u64) -> Option<(String, u32, Found)>,
) -> Result<Bytes> {
    let mut builder = BatchBuilder::with_capacity(4096);
    let fail = |e| Error::internal(format!("processing log: {e}"));
    for report in reports.iter().take(ENTRIES_MAX) {
        let found = find(report.seq);
        let record = found.as_ref().map(|(_, _, r)| r);
        let entry = Entry {
            kind: kind_name(report.kind),
            error: &report.message,
            source_topic: found.as_ref().map(|f| f.0.as_str()),
            source_partition: found.as_ref().map(|f| f.1),
            source_offset: record.map(|r| r.offset),
            source_timestamp: record.map(|r| r.timestamp_ms),
            source_key: record.and_then(|r| r.key.as_ref()).map(|b| STANDARD.encode(b)),
            source_value: record.and_then(|r| r.value.as_ref()).map(|b| STANDARD.encode(b)),
        };
        let json = serde_json::to_vec(&entry).map_err(|e| Error::internal(e.to_string()))?;
        builder.push(Some(query.as_bytes()), Some(&json), now_ms, &[]).map_err(fail)?;
    }
    if let Some(more) = reports.len().checked_sub(ENTRIES_MAX).filter(|n| *n > 0) {
        let entry = Entry {
            kind: "OMITTED",
            error: &format!("{more} more entries of this epoch are not shown"),
            source_topic: None,
            source_partition: None,
            source_offset: None,
            source_timestamp: None,
            source_key: None,
            source_value: None,
        };
        let json = serde_json::to_vec(&entry).map_err(|e| Error::internal(e.to_string()))?;
        builder.push(Some(query.as_bytes()), Some(&json), now_ms, &[]).map_err(fail)?;
    }
    builder.finish(Compression::None).map_err(fail)
}
