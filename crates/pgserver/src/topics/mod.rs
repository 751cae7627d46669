//! Statements about topics as such, below streams and tables: what the `topics`, `produce` and `consume` commands
//! of the binary say, and anyone may say from psql.
//!
//! ```sql
//! CREATE TOPIC [IF NOT EXISTS] name [PARTITIONS n] [WITH ('retention.ms' = '…', …)]
//! DROP TOPIC [IF EXISTS] name
//! DESCRIBE TOPIC name
//! COPY TOPIC name [(KEY, VALUE, PARTITION, TIMESTAMP, HEADERS)] FROM STDIN [WITH (FORMAT csv, …)]
//! READ TOPIC name [PARTITION p] [FROM BEGINNING | FROM OFFSET o] [LIMIT n] [EMIT CHANGES]
//! ```
//!
//! Names of topics keep their case; quotes of any kind are for those that are no words.

mod parse;
mod read;
mod write;

use std::{collections::BTreeMap, sync::Arc};

use arrow::{
    array::{ArrayRef, Int32Array, Int64Array, RecordBatch, StringArray},
    datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit},
};
use futures::stream;
use recordlog::{LogError, RecordLog, Topic, TopicConfig, TopicPartition};
use syntax::ast::CopyOptions;
use types::{Error, ErrorKind, Result};

use crate::{
    connection::RowStream,
    copy::CopyFormat,
    values::{PgType, ResultColumn},
};

pub(crate) use parse::parse_topic_statement;
pub(crate) use write::TopicWriter;

/// A statement about a topic.
#[derive(Debug, Clone)]
pub(crate) enum TopicStatement {
    /// CREATE TOPIC.
    Create { name: String, if_not_exists: bool, partitions: u32, settings: BTreeMap<String, String> },
    /// DROP TOPIC.
    Drop { name: String, if_exists: bool },
    /// DESCRIBE TOPIC.
    Describe { name: String },
    /// COPY TOPIC … FROM STDIN.
    CopyIn { name: String, columns: Vec<TopicColumn>, options: CopyOptions },
    /// READ TOPIC.
    Read(Read),
}

/// What of a record a field of COPY TOPIC is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TopicColumn {
    /// The key, as UTF-8.
    Key,
    /// The value, as UTF-8; NULL is a tombstone.
    Value,
    /// The partition; absent: by the key.
    Partition,
    /// Milliseconds since 1970; absent: now.
    Timestamp,
    /// A JSON object of names and texts.
    Headers,
}

/// READ TOPIC.
#[derive(Debug, Clone)]
pub(crate) struct Read {
    /// Which topic.
    pub(crate) name: String,
    /// One partition; `None`: all.
    pub(crate) partition: Option<u32>,
    /// Where to begin.
    pub(crate) from: From,
    /// At most so many records.
    pub(crate) limit: Option<u64>,
    /// Go on for ever.
    pub(crate) live: bool,
}

/// Where to begin to read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum From {
    /// At the first record held.
    Beginning,
    /// Behind the last.
    End,
    /// At this offset of every partition that is read.
    Offset(i64),
}

/// What a statement about a topic gave.
pub(crate) enum TopicOutcome {
    /// Its tag.
    Done(&'static str),
    /// Rows.
    Rows(RowStream),
    /// Rows are to come.
    CopyIn(TopicWriter, CopyFormat),
}

impl TopicStatement {
    /// The columns of its rows; `None`: it gives none.
    pub(crate) fn columns(&self) -> Option<Arc<[ResultColumn]>> {
        match self {
            TopicStatement::Describe { .. } => Some(result_columns(&description_schema())),
            TopicStatement::Read(_) => Some(result_columns(&record_schema())),
            _ => None,
        }
    }
}

/// Columns of READ TOPIC.
pub(crate) fn record_schema() -> SchemaRef {
    Arc::new(Schema::new(vec![
        Field::new("partition", DataType::Int32, false),
        Field::new("offset", DataType::Int64, false),
        Field::new("timestamp", DataType::Timestamp(TimeUnit::Millisecond, None), false),
        Field::new("key", DataType::Binary, true),
        Field::new("value", DataType::Binary, true),
        Field::new("headers", DataType::Utf8, true),
    ]))
}

fn description_schema() -> SchemaRef {
    Arc::new(Schema::new(vec![
        Field::new("partition", DataType::Int32, false),
        Field::new("start_offset", DataType::Int64, false),
        Field::new("end_offset", DataType::Int64, false),
        Field::new("bytes", DataType::Int64, false),
        Field::new("settings", DataType::Utf8, false),
    ]))
}

fn result_columns(schema: &SchemaRef) -> Arc<[ResultColumn]> {
    let column = |field: &Arc<Field>| ResultColumn {
        name: field.name().clone(),
        pg_type: PgType::of_field(field),
        data_type: field.data_type().clone(),
    };
    schema.fields().iter().map(column).collect()
}

/// Carries a statement out.
pub(crate) async fn execute(log: Arc<dyn RecordLog>, statement: &TopicStatement) -> Result<TopicOutcome> {
    match statement {
        TopicStatement::Create { name, if_not_exists, partitions, settings } => {
            let config = TopicConfig { partitions: *partitions, replicas: 0, settings: settings.clone() };
            match log.create_topic(name, config).await {
                Err(LogError::TopicExists(_)) if *if_not_exists => {}
                created => _ = created.map_err(log_error)?,
            }
            Ok(TopicOutcome::Done("CREATE TOPIC"))
        }
        TopicStatement::Drop { name, if_exists } => {
            match log.delete_topic(name).await {
                Err(LogError::UnknownTopic(_)) if *if_exists => {}
                deleted => deleted.map_err(log_error)?,
            }
            Ok(TopicOutcome::Done("DROP TOPIC"))
        }
        TopicStatement::Describe { name } => Ok(TopicOutcome::Rows(describe(log.as_ref(), name)?)),
        TopicStatement::CopyIn { name, columns, options } => {
            let format = CopyFormat::new(options)?;
            Ok(TopicOutcome::CopyIn(TopicWriter::new(log, name, columns.clone())?, format))
        }
        TopicStatement::Read(read) => {
            let batches = read::records(log, read)?;
            let columns = result_columns(&record_schema());
            Ok(TopicOutcome::Rows(RowStream::with_columns(columns, batches, read.live, "SELECT")))
        }
    }
}

/// The topic of that name, or an error that names it.
fn existing(log: &dyn RecordLog, name: &str) -> Result<Topic> {
    let found = log.topic(name).map_err(log_error)?;
    found.ok_or_else(|| log_error(LogError::UnknownTopic(name.to_owned())))
}

fn describe(log: &dyn RecordLog, name: &str) -> Result<RowStream> {
    let topic = existing(log, name)?;
    let partitions = (0..topic.config.partitions).map(|p| TopicPartition::new(Arc::clone(&topic.name), p));
    let (mut numbers, mut starts, mut ends, mut bytes) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for partition in partitions {
        let offsets = log.offsets(&partition).map_err(log_error)?;
        numbers.push(i32::try_from(partition.partition).unwrap_or(i32::MAX));
        starts.push(offsets.start);
        ends.push(offsets.end);
        bytes.push(i64::try_from(log.size_bytes(&partition).map_err(log_error)?).unwrap_or(i64::MAX));
    }
    let settings = topic.config.settings.iter().map(|(name, value)| format!("{name}={value}"));
    let settings = settings.collect::<Vec<_>>().join(", ");
    let schema = description_schema();
    let arrays: Vec<ArrayRef> = vec![
        Arc::new(Int32Array::from(numbers.clone())),
        Arc::new(Int64Array::from(starts)),
        Arc::new(Int64Array::from(ends)),
        Arc::new(Int64Array::from(bytes)),
        Arc::new(StringArray::from_iter_values(numbers.iter().map(|_| settings.as_str()))),
    ];
    let batch = RecordBatch::try_new(Arc::clone(&schema), arrays);
    let batch = batch.map_err(|e| Error::internal(format!("DESCRIBE TOPIC: {e}")));
    Ok(RowStream::with_columns(result_columns(&schema), Box::pin(stream::iter([batch])), false, "DESCRIBE"))
}

/// The log's error as a statement's.
fn log_error(error: LogError) -> Error {
    let message = error.to_string();
    match error {
        LogError::UnknownTopic(_) | LogError::UnknownPartition(_) => Error::undefined_source(message),
        LogError::TopicExists(_) => Error::exists(message),
        LogError::Invalid(_)
        | LogError::BadBatch(_)
        | LogError::BatchTooLarge { .. }
        | LogError::KeyMissing(_)
        | LogError::Producer { .. } => Error::new(ErrorKind::User, "22023", message),
        LogError::OutOfRange { .. } => Error::new(ErrorKind::User, "22003", message),
        LogError::Corrupt { .. } => Error::corrupt(message),
        LogError::Io { .. } => Error::new(ErrorKind::Unavailable, "58030", message),
        LogError::Closed | LogError::Fenced(_) | LogError::Unavailable(_) => Error::unavailable(message),
    }
}
