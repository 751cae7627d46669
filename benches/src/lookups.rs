//! Lookups by key while W2 reads 200,000 bids a second: how long each takes.
//!
//! The engine runs in this process, as in [`crate::latency`]: bids are committed every few milliseconds as they are due,
//! and a session asks for one auction's windows after the other, at a steady pace. A late lookup counts from when it was
//! due.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use engine::{Engine, EngineConfig, Outcome as Done, Session};
use futures::StreamExt;
use recordlog::{RecordLog, TopicPartition};

use crate::{
    Outcome, Settings,
    generator::{FIRST_AUCTION, Site, mix},
    load::{BIDS, Batches, PARTITIONS},
    report,
    workloads::{BIDS_STREAM, WORKLOADS},
};

const BIDS_PER_S: u64 = 200_000;
const LOOKUPS_PER_S: u64 = 200;
/// Between two commits of bids.
const COMMIT_MS: u64 = 10;
/// What comes before lookups are measured.
const WARM_UP: Duration = Duration::from_secs(2);

/// Measure and print.
///
/// # Errors
/// The engine's, or it does not keep up.
pub async fn measure(settings: &Settings) -> Outcome<()> {
    let dir = tempfile::tempdir_in(&settings.dir)?;
    let properties = [("auto.offset.reset".to_string(), "earliest".to_string())].into();
    let config = EngineConfig { data_dir: Some(dir.path().to_path_buf()), properties, ..EngineConfig::default() };
    let engine = Engine::open(config).await?;
    let mut session = engine.session();
    let stream =
        BIDS_STREAM.replace("kafka_topic", &format!("partitions = {PARTITIONS}, retention_ms = -1, kafka_topic"));
    let w2 = WORKLOADS.iter().find(|w| w.name == "W2").ok_or("there is no W2")?;
    run(&mut session, &format!("{stream}\n{}", w2.create("w2", "w2", ", retention_ms = -1"))).await?;
    let seconds = settings.lookups.div_ceil(LOOKUPS_PER_S) + WARM_UP.as_secs() + 1;
    let site = Site { bids: BIDS_PER_S * seconds };
    let started = Instant::now();
    let sender = tokio::spawn(send(engine.log(), site, started));
    tokio::time::sleep(WARM_UP).await;
    let (mut times, mut rows) = (Vec::new(), 0);
    for n in 0..settings.lookups {
        let due = WARM_UP + Duration::from_micros(n * 1_000_000 / LOOKUPS_PER_S);
        tokio::time::sleep(due.saturating_sub(started.elapsed())).await;
        // One of the auctions that there are bids for by now.
        let sent = started.elapsed().as_secs() * BIDS_PER_S / 20;
        let auction = FIRST_AUCTION + mix(n) % sent.max(1);
        rows += run(&mut session, &format!("SELECT * FROM w2 WHERE auction_key = '{auction}';")).await?;
        times.push(started.elapsed().saturating_sub(due));
    }
    let behind = behind(&*engine.log(), &engine)?;
    sender.await??;
    drop(session);
    engine.shutdown().await;
    let (p50, p99) = report::percentiles(&mut times);
    let max = times.last().copied().unwrap_or_default();
    println!(
        "lookups at {LOOKUPS_PER_S}/s while W2 reads {BIDS_PER_S} bids/s, {} of them with {rows} rows: p50 {p50:.2?}, \
         p99 {p99:.2?}, most {max:.2?}; W2 is {behind} bids behind at the end",
        times.len()
    );
    Ok(())
}

/// Run statements to their end; the rows that came.
async fn run(session: &mut Session, text: &str) -> Outcome<usize> {
    let mut rows = 0;
    for statement in session.parse(text)? {
        let prepared = session.prepare(&statement).await?;
        if let Done::Rows(mut result) = session.execute(&prepared, &[]).await? {
            while let Some(batch) = result.batches.next().await {
                rows += batch?.num_rows();
            }
        }
    }
    Ok(rows)
}

/// Bids that were accepted and that W2 has not read.
fn behind(log: &dyn RecordLog, engine: &Engine) -> Outcome<u64> {
    let mut ends = 0;
    for p in 0..PARTITIONS {
        ends += log.offsets(&TopicPartition::new(BIDS, p))?.end.unsigned_abs();
    }
    Ok(ends.saturating_sub(engine.reports().iter().map(|r| r.records_in).sum()))
}

async fn send(log: Arc<dyn RecordLog>, site: Site, started: Instant) -> Outcome<()> {
    let (mut batches, mut sent) = (Batches::new(BIDS), 0);
    while sent < site.bids {
        let due = u64::try_from(started.elapsed().as_millis())? * BIDS_PER_S / 1000;
        for n in sent..due.min(site.bids) {
            let bid = site.bid(n);
            batches.push(bid.time_ms, |key, value| {
                bid.write_key(key);
                bid.write_value(value);
            })?;
        }
        sent = due.min(site.bids).max(sent);
        // Nobody waits for the answer: what is lost is behind at the end.
        drop(log.commit(recordlog::Commit::of(batches.appends()?)));
        tokio::time::sleep(Duration::from_millis(COMMIT_MS)).await;
    }
    Ok(())
}
