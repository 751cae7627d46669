//! COPY TOPIC: rows into record batches, each where its key belongs.

use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{SystemTime, UNIX_EPOCH},
};

use recordlog::{
    Append, Commit, LogError, RecordLog, TopicPartition,
    batch::{BatchBuilder, BatchError, Compression},
    partitioner::{Sticky, partition_for_key},
};
use types::{Error, Result};

use super::{TopicColumn, existing, log_error};
use crate::backend::CopyRows;

/// Bytes of a record batch: well below what a topic accepts by default.
const BATCH_BYTES: usize = 256 << 10;

/// Records on their way into a topic.
pub(crate) struct TopicWriter {
    log: Arc<dyn RecordLog>,
    topic: Arc<str>,
    partitions: u32,
    columns: Vec<TopicColumn>,
    /// Spreads records without a key.
    sticky: Sticky,
}

/// A row's fields by what they are.
#[derive(Default)]
struct Fields<'a> {
    key: Option<&'a str>,
    value: Option<&'a str>,
    partition: Option<u32>,
    timestamp_ms: Option<i64>,
    headers: Vec<(String, Option<String>)>,
}

impl TopicWriter {
    /// Into that topic.
    pub(super) fn new(log: Arc<dyn RecordLog>, topic: &str, columns: Vec<TopicColumn>) -> Result<TopicWriter> {
        let topic = existing(&*log, topic)?;
        Ok(TopicWriter {
            log,
            topic: topic.name,
            partitions: topic.config.partitions,
            columns,
            sticky: Sticky::default(),
        })
    }

    fn fields<'a>(&self, row: &'a [Option<String>]) -> Result<Fields<'a>> {
        let mut fields = Fields::default();
        for (column, field) in self.columns.iter().zip(row) {
            let text = field.as_deref();
            let misfit = |what: &str| Error::bad_value(format!("{what}: \"{}\"", text.unwrap_or_default()));
            match column {
                TopicColumn::Key => fields.key = text,
                TopicColumn::Value => fields.value = text,
                TopicColumn::Partition => {
                    let parse = |t: &str| t.parse().ok().filter(|p| *p < self.partitions);
                    fields.partition = text.map(|t| parse(t).ok_or_else(|| misfit("no such partition"))).transpose()?;
                }
                TopicColumn::Timestamp => {
                    let parse = |t: &str| t.parse().map_err(|_| misfit("no timestamp in milliseconds"));
                    fields.timestamp_ms = text.map(parse).transpose()?;
                }
                TopicColumn::Headers => {
                    let parse = |t: &str| serde_json::from_str::<BTreeMap<String, Option<String>>>(t);
                    let headers = text.map(parse).transpose();
                    let headers = headers.map_err(|_| misfit("headers are no JSON object of texts"))?;
                    fields.headers = headers.unwrap_or_default().into_iter().collect();
                }
            }
        }
        Ok(fields)
    }

    fn partition_of(&self, fields: &Fields<'_>) -> u32 {
        match (fields.partition, fields.key) {
            (Some(partition), _) => partition,
            (None, Some(key)) => partition_for_key(key.as_bytes(), self.partitions),
            (None, None) => self.sticky.next(self.partitions, fields.value.map_or(0, str::len)),
        }
    }

    fn appends(&self, rows: &[Vec<Option<String>>]) -> Result<Vec<Append>> {
        let now_ms = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_millis());
        let now_ms = i64::try_from(now_ms).unwrap_or(i64::MAX);
        let mut builders: BTreeMap<u32, BatchBuilder> = BTreeMap::new();
        let mut appends = Vec::new();
        let mut finish = |partition: u32, builder: &mut BatchBuilder| -> Result<()> {
            let batches = builder.finish(Compression::None).map_err(|e| refused(&e))?;
            appends.push(Append {
                partition: TopicPartition::new(Arc::clone(&self.topic), partition),
                batches: batches.into(),
            });
            Ok(())
        };
        for (at, row) in (1_usize..).zip(rows) {
            let fields = self.fields(row).map_err(|e| e.context(format!("row {at}")))?;
            let partition = self.partition_of(&fields);
            let builder = builders.entry(partition).or_default();
            let headers: Vec<(&str, Option<&[u8]>)> =
                fields.headers.iter().map(|(k, v)| (k.as_str(), v.as_deref().map(str::as_bytes))).collect();
            let (key, value) = (fields.key.map(str::as_bytes), fields.value.map(str::as_bytes));
            let pushed = builder.push(key, value, fields.timestamp_ms.unwrap_or(now_ms), &headers);
            pushed.map_err(|e| refused(&e).context(format!("row {at}")))?;
            if builder.bytes() >= BATCH_BYTES {
                finish(partition, builder)?;
            }
        }
        for (partition, builder) in &mut builders {
            if !builder.is_empty() {
                finish(*partition, builder)?;
            }
        }
        Ok(appends)
    }
}

fn refused(error: &BatchError) -> Error {
    Error::new(types::ErrorKind::User, "54000", error.to_string())
}

impl CopyRows for TopicWriter {
    fn width(&self) -> usize {
        self.columns.len()
    }

    async fn write(&mut self, rows: Vec<Vec<Option<String>>>) -> Result<u64> {
        let appends = self.appends(&rows)?;
        let ticket = self.log.commit(Commit::of(appends));
        match ticket.await {
            Ok(Ok(_)) => Ok(u64::try_from(rows.len()).unwrap_or(u64::MAX)),
            Ok(Err(e)) => Err(log_error(e)),
            Err(_) => Err(log_error(LogError::Closed)),
        }
    }
}
