//! From a record's acceptance to the commit of what follows from it, at a steady 2,000 records a second.
//!
//! The engine runs in this process, on a log on disk with its defaults, so that nothing but the way of a record is
//! measured: append and sync, the query's epoch, its commit and sync, a reader of committed records. Each record
//! carries when it was to be sent; a late sender counts against the engine, not for it.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use recordlog::{
    Append, Commit, RecordLog, TopicPartition,
    batch::{BatchBuilder, Compression, RecordRanges, decode_ranges},
};

use crate::{Outcome, Settings, inside::Inside, report};

const RECORDS_PER_S: u64 = 2_000;
/// Records that come before those that are measured.
const WARM_UP: u64 = 500;
/// How long the last record may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// Measure and print.
///
/// # Errors
/// The engine's, or records that do not come out.
pub async fn measure(settings: &Settings) -> Outcome<()> {
    let inside = Inside::open(settings).await?;
    inside
        .run(
            "CREATE STREAM sent (k VARCHAR KEY, at BIGINT)
               WITH (kafka_topic = 'sent', value_format = 'JSON', partitions = 1);
             CREATE STREAM passed WITH (kafka_topic = 'passed') AS SELECT k, at FROM sent WHERE at >= 0 EMIT CHANGES;",
        )
        .await?;
    let total = WARM_UP + settings.latency_records;
    let log = inside.engine.log();
    let started = Instant::now();
    let sender = tokio::spawn(send(log.clone(), total, started));
    let times = tokio::time::timeout(PATIENCE + Duration::from_millis(total / 2), receive(log, total, started)).await;
    let mut times = times.map_err(|_| "records do not come out")??;
    sender.await??;
    inside.close().await;
    let (p50, p99) = report::percentiles(&mut times);
    let max = times.last().copied().unwrap_or_default();
    println!(
        "latency at {RECORDS_PER_S} records/s, {} records: p50 {p50:.2?}, p99 {p99:.2?}, most {max:.2?}",
        times.len()
    );
    Ok(())
}

/// When record `n` is to be sent.
fn due(n: u64) -> Duration {
    Duration::from_micros(n * 1_000_000 / RECORDS_PER_S)
}

async fn send(log: Arc<dyn RecordLog>, total: u64, started: Instant) -> Outcome<()> {
    let mut builder = BatchBuilder::new();
    for n in 0..total {
        // Timers tick every millisecond: what is due goes out, each record as a commit of its own.
        while started.elapsed() < due(n) {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        let value = format!("{{\"at\":{}}}", due(n).as_micros());
        builder.push(Some(n.to_string().as_bytes()), Some(value.as_bytes()), 1_700_000_000_000, &[])?;
        let batches = builder.finish(Compression::None)?.into();
        // Nobody waits for the answer: a record that is lost does not come out, which is noticed.
        drop(log.commit(Commit::of(vec![Append { partition: TopicPartition::new("sent", 0), batches }])));
    }
    Ok(())
}

async fn receive(log: Arc<dyn RecordLog>, total: u64, started: Instant) -> Outcome<Vec<Duration>> {
    #[derive(serde::Deserialize)]
    #[serde(rename_all = "UPPERCASE")]
    struct Row {
        at: u64,
    }
    let partition = TopicPartition::new("passed", 0);
    let mut appended = log.watch("passed")?;
    let (mut next, mut seen, mut times, mut ranges) = (0, 0, vec![], RecordRanges::default());
    while seen < total {
        appended.borrow_and_update();
        let batches = log.read(&partition, next, 1 << 20)?;
        let now = started.elapsed();
        for batch in &batches {
            next = batch.next_offset;
            decode_ranges(&batch.bytes, &mut ranges)?;
            for i in 0..ranges.len() {
                let row: Row = serde_json::from_slice(ranges.value(i).unwrap_or_default())?;
                seen += 1;
                if seen > WARM_UP {
                    times.push(now.saturating_sub(Duration::from_micros(row.at)));
                }
            }
        }
        if batches.is_empty() {
            appended.changed().await?;
        }
    }
    Ok(times)
}
