//! PRINT: a topic's records as they are, text where they are text.

use std::sync::Arc;

use arrow::{
    array::{Int32Array, Int64Array, RecordBatch, StringArray, TimestampMillisecondArray},
    datatypes::{DataType, Field, Schema, TimeUnit},
};
use futures::{StreamExt, future::select_all};
use recordlog::{
    Offset, RecordLog, TopicPartition,
    batch::{RecordRanges, decode_ranges},
};
use runtime::log_error;
use syntax::ast::Ident;
use tokio::sync::mpsc;
use types::{Error, Result, did_you_mean};

use crate::{
    Session,
    api::{Outcome, OutputColumn, Rows, Warnings},
};

fn fields() -> Vec<Field> {
    vec![
        Field::new("partition", DataType::Int32, false),
        Field::new("offset", DataType::Int64, false),
        Field::new("rowtime", DataType::Timestamp(TimeUnit::Millisecond, None), false),
        Field::new("key", DataType::Utf8, true),
        Field::new("value", DataType::Utf8, true),
    ]
}

/// The columns of PRINT's rows.
pub(crate) fn columns() -> Vec<OutputColumn> {
    let column = |f: Field| OutputColumn { name: f.name().clone(), data_type: f.data_type().clone(), key: false };
    fields().into_iter().map(column).collect()
}

/// The topic, or an error that names it and its likeliest correction.
pub(crate) fn check_topic(log: &dyn RecordLog, topic: &Ident) -> Result<recordlog::Topic> {
    let mut found = log.topic(&topic.value).map_err(log_error)?;
    if found.is_none() && !topic.quoted {
        found = log.topic(&topic.value.to_lowercase()).map_err(log_error)?;
    }
    found.ok_or_else(|| {
        let error = Error::undefined_source(format!("topic {} does not exist", topic.value)).at(topic.span);
        let topics = log.topics();
        match did_you_mean(&topic.value, topics.iter().map(|t| &*t.name)) {
            Some(name) => error.with_hint(format!("did you mean {name}? SHOW TOPICS lists them")),
            None => error.with_hint("SHOW TOPICS lists them"),
        }
    })
}

/// PRINT topic [FROM BEGINNING] [INTERVAL n] [LIMIT n].
pub(crate) fn run(
    session: &Session,
    topic: &Ident,
    from_beginning: bool,
    interval: Option<u64>,
    limit: Option<u64>,
) -> Result<Outcome> {
    const BATCHES_WAITING_MAX: usize = 8;
    const READ_BYTES: usize = 1 << 20;
    let log = session.engine.log();
    let found = check_topic(&*log, topic)?;
    let mut places: Vec<(TopicPartition, Offset)> = vec![];
    for p in 0..found.config.partitions {
        let partition = TopicPartition::new(found.name.clone(), p);
        let ends = log.offsets(&partition).map_err(log_error)?;
        places.push((partition, if from_beginning { ends.start } else { ends.end }));
    }
    let mut watch = log.watch(&found.name).map_err(log_error)?;
    let (sender, receiver) = mpsc::channel::<Result<RecordBatch>>(BATCHES_WAITING_MAX);
    let ends = session.engine.config.manual;
    let schema = Arc::new(Schema::new(fields()));
    let every = interval.unwrap_or(1).max(1);
    let own_schema = schema.clone();
    tokio::spawn(async move {
        let (mut left, mut seen) = (limit.unwrap_or(u64::MAX), 0u64);
        let mut ranges = RecordRanges::default();
        while left > 0 {
            watch.borrow_and_update();
            let mut found_any = false;
            for (partition, next) in &mut places {
                let batches = match log.read(partition, *next, READ_BYTES) {
                    Ok(batches) => batches,
                    Err(e) => {
                        let _ = sender.send(Err(log_error(e))).await;
                        return;
                    }
                };
                let mut rows = Printed::default();
                for batch in &batches {
                    if decode_ranges(&batch.bytes, &mut ranges).is_err() {
                        continue;
                    }
                    for i in 0..ranges.len() {
                        let offset = ranges.base_offset + i64::from(ranges.offset_deltas.get(i).copied().unwrap_or(0));
                        if offset < *next || left == 0 {
                            continue;
                        }
                        seen += 1;
                        if !(seen - 1).is_multiple_of(every) {
                            continue;
                        }
                        left -= 1;
                        rows.push(partition.partition, offset, &ranges, i);
                    }
                }
                if let Some(last) = batches.last() {
                    *next = last.next_offset;
                    found_any = true;
                }
                if !rows.offsets.is_empty() && sender.send(rows.finish(own_schema.clone())).await.is_err() {
                    return;
                }
            }
            if !found_any {
                if ends {
                    return;
                }
                let changed = Box::pin(watch.changed());
                tokio::select! {
                    (changed, _, _) = select_all([changed]) => {
                        if changed.is_err() {
                            return;
                        }
                    }
                    () = sender.closed() => return,
                }
            }
        }
    });
    let batches = futures::stream::unfold(receiver, |mut r| async move { r.recv().await.map(|b| (b, r)) }).boxed();
    let (columns, warnings) = (columns().into(), Warnings::default());
    Ok(Outcome::Rows(Rows { columns, schema, batches, live: limit.is_none(), tag: "PRINT", warnings }))
}

#[derive(Default)]
struct Printed {
    partitions: Vec<i32>,
    offsets: Vec<i64>,
    times: Vec<i64>,
    keys: Vec<Option<String>>,
    values: Vec<Option<String>>,
}

/// Bytes as text, or in hexadecimal where they are none.
fn text(bytes: &[u8]) -> String {
    match std::str::from_utf8(bytes) {
        Ok(text) if !text.contains('\0') => text.to_string(),
        _ => bytes.iter().fold("0x".to_string(), |mut out, b| {
            use std::fmt::Write;
            let _ = write!(out, "{b:02x}");
            out
        }),
    }
}

impl Printed {
    fn push(&mut self, partition: u32, offset: i64, ranges: &RecordRanges, at: usize) {
        self.partitions.push(i32::try_from(partition).unwrap_or(i32::MAX));
        self.offsets.push(offset);
        self.times.push(ranges.timestamps_ms.get(at).copied().unwrap_or(0));
        self.keys.push(ranges.key(at).map(text));
        self.values.push(ranges.value(at).map(text));
    }

    fn finish(self, schema: Arc<Schema>) -> Result<RecordBatch> {
        let batch = RecordBatch::try_new(
            schema,
            vec![
                Arc::new(Int32Array::from(self.partitions)),
                Arc::new(Int64Array::from(self.offsets)),
                Arc::new(TimestampMillisecondArray::from(self.times)),
                Arc::new(StringArray::from(self.keys)),
                Arc::new(StringArray::from(self.values)),
            ],
        );
        batch.map_err(|e| Error::internal(e.to_string()))
    }
}
