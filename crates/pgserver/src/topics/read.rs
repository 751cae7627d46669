//! READ TOPIC: records as rows, those that are there and, if asked, those that come.

use std::{collections::BTreeMap, sync::Arc};

use arrow::array::{
    BinaryBuilder, Int32Builder, Int64Builder, RecordBatch, StringBuilder, TimestampMillisecondBuilder,
};
use futures::stream::{self, BoxStream};
use recordlog::{
    LogError, Offset, RecordLog, StoredBatch, TopicPartition,
    batch::{Batch, Headers},
};
use tokio::sync::watch;
use types::{Error, Result};

use super::{From, Read, existing, log_error, record_schema};

/// Bytes that are read of a partition at once.
const READ_BYTES: usize = 256 << 10;

/// A reader of some partitions.
struct Reader {
    log: Arc<dyn RecordLog>,
    /// Partitions and the offsets to read next, in turn.
    positions: Vec<(TopicPartition, Offset)>,
    turn: usize,
    /// Records still wanted.
    left: u64,
    /// Appends to the topic, if they are waited for.
    appended: Option<watch::Receiver<u64>>,
}

/// The records that `read` asks for, in batches of one partition each.
pub(super) fn records(log: Arc<dyn RecordLog>, read: &Read) -> Result<BoxStream<'static, Result<RecordBatch>>> {
    let topic = existing(&*log, &read.name)?;
    let mut positions = Vec::new();
    let partitions = match read.partition {
        Some(partition) => partition..partition.saturating_add(1),
        None => 0..topic.config.partitions,
    };
    for partition in partitions {
        let partition = TopicPartition::new(Arc::clone(&topic.name), partition);
        let offsets = log.offsets(&partition).map_err(log_error)?;
        let from = match read.from {
            From::Beginning => offsets.start,
            From::End => offsets.end,
            From::Offset(offset) if (offsets.start..=offsets.end).contains(&offset) => offset,
            From::Offset(offset) => {
                let (start, end) = (offsets.start, offsets.end);
                return Err(log_error(LogError::OutOfRange { partition, offset, start, end }));
            }
        };
        positions.push((partition, from));
    }
    let appended = if read.live { Some(log.watch(&read.name).map_err(log_error)?) } else { None };
    let reader = Reader { log, positions, turn: 0, left: read.limit.unwrap_or(u64::MAX), appended };
    Ok(Box::pin(stream::try_unfold(reader, |mut reader| async move {
        let batch = reader.next().await?;
        Ok(batch.map(|batch| (batch, reader)))
    })))
}

impl Reader {
    async fn next(&mut self) -> Result<Option<RecordBatch>> {
        while self.left > 0 {
            if let Some(appended) = &mut self.appended {
                appended.borrow_and_update();
            }
            for _ in 0..self.positions.len() {
                self.turn = (self.turn + 1) % self.positions.len();
                if let Some(batch) = self.read(self.turn).await? {
                    return Ok(Some(batch));
                }
            }
            match &mut self.appended {
                // An error says that the topic is gone.
                Some(appended) => {
                    if appended.changed().await.is_err() {
                        return Ok(None);
                    }
                }
                None => return Ok(None),
            }
        }
        Ok(None)
    }

    async fn read(&mut self, turn: usize) -> Result<Option<RecordBatch>> {
        let Some((partition, from)) = self.positions.get(turn).cloned() else { return Ok(None) };
        let log = Arc::clone(&self.log);
        let asked = partition.clone();
        // Reading may touch the disk.
        let read = tokio::task::spawn_blocking(move || log.read(&asked, from, READ_BYTES)).await;
        let batches = match read {
            Ok(Err(LogError::OutOfRange { start, .. })) if start > from => {
                // Retention took what was to be read next.
                self.positions.iter_mut().skip(turn).take(1).for_each(|p| p.1 = start);
                return Ok(None);
            }
            Ok(batches) => batches.map_err(log_error)?,
            Err(e) => return Err(Error::internal(format!("reading {partition}: {e}"))),
        };
        let Some(next) = batches.last().map(|b| b.next_offset) else { return Ok(None) };
        self.positions.iter_mut().skip(turn).take(1).for_each(|p| p.1 = next);
        let batch = decode(&partition, &batches, from, self.left)?;
        self.left = self.left.saturating_sub(u64::try_from(batch.num_rows()).unwrap_or(u64::MAX));
        Ok((batch.num_rows() > 0).then_some(batch))
    }
}

fn decode(partition: &TopicPartition, batches: &[StoredBatch], from: Offset, records_max: u64) -> Result<RecordBatch> {
    let mut partitions = Int32Builder::new();
    let (mut offsets, mut timestamps) = (Int64Builder::new(), TimestampMillisecondBuilder::new());
    let (mut keys, mut values, mut headers) = (BinaryBuilder::new(), BinaryBuilder::new(), StringBuilder::new());
    let number = i32::try_from(partition.partition).unwrap_or(i32::MAX);
    let damaged = |what: &dyn std::fmt::Display| Error::corrupt(format!("{partition}: {what}"));
    let mut left = records_max;
    for stored in batches {
        let batch = Batch::parse_verified(&stored.bytes).map_err(|e| damaged(&e))?;
        if batch.header().is_control() {
            continue;
        }
        for record in batch.records() {
            let record = record.map_err(|e| damaged(&e))?;
            if record.offset < from || left == 0 {
                continue;
            }
            left -= 1;
            partitions.append_value(number);
            offsets.append_value(record.offset);
            timestamps.append_value(record.timestamp_ms);
            keys.append_option(record.key);
            values.append_option(record.value);
            headers.append_option(headers_json(record.headers));
        }
    }
    let columns: Vec<arrow::array::ArrayRef> = vec![
        Arc::new(partitions.finish()),
        Arc::new(offsets.finish()),
        Arc::new(timestamps.finish()),
        Arc::new(keys.finish()),
        Arc::new(values.finish()),
        Arc::new(headers.finish()),
    ];
    RecordBatch::try_new(record_schema(), columns).map_err(|e| Error::internal(format!("READ TOPIC: {e}")))
}

/// Headers as a JSON object; `None` without any. Of two with one name the last stays.
fn headers_json(headers: Headers<'_>) -> Option<String> {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let all: BTreeMap<String, Option<String>> =
        headers.filter_map(Result::ok).map(|h| (text(h.name), h.value.map(text))).collect();
    if all.is_empty() { None } else { serde_json::to_string(&all).ok() }
}
