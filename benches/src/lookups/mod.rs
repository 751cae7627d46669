//! Lookups over the Postgres wire while W2 reads 200,000 bids a second: how many, and how long each takes.
//!
//! The engine and its listener run in this process, where bids cost least to make: they are committed every few
//! milliseconds as they are due. Eight clients ask as fast as they are answered, for a row of a table of accounts by its
//! key, as `pgbench -S` does, and then for all windows of an auction, which W2 changes all the time. Clients are
//! connections of this process, or pgbench's; pgbench can then ask a PostgreSQL server for accounts too, beside the bids
//! and after them.
//!
//! Before the bids come, all accounts are grouped a few times by one client.

mod clients;
mod pgbench;

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread::JoinHandle,
    time::{Duration, Instant},
};

use engine::Engine;
use recordlog::{Commit, RecordLog, TopicPartition};
use tokio_util::sync::CancellationToken;

use crate::{
    Outcome, Settings,
    generator::{FIRST_AUCTION, Site},
    inside::Inside,
    load::{BIDS, Batches, PARTITIONS},
    report,
    workloads::{BIDS_STREAM, WORKLOADS},
};

const BIDS_PER_S: u64 = 200_000;
/// Between two commits of bids.
const COMMIT: Duration = Duration::from_millis(10);
/// Accounts that are committed at once.
const ACCOUNTS_A_COMMIT: u64 = 10_000;
/// What comes before lookups are measured.
const WARM_UP: Duration = Duration::from_secs(2);
/// Connections that ask.
const CLIENTS: u64 = 8;
/// How often all accounts are grouped.
const SCANS: usize = 20;
const SCAN: &str = "SELECT abalance, COUNT(*) AS n, SUM(aid) AS total FROM accounts GROUP BY abalance";

const ACCOUNTS_TABLE: &str = "
    CREATE STREAM changes (aid INT KEY, delta INT)
      WITH (kafka_topic = 'changes', key_format = 'KAFKA', value_format = 'JSON', partitions = 4,
      retention_ms = -1);
    CREATE TABLE accounts WITH (kafka_topic = 'accounts') AS
      SELECT aid, SUM(delta) AS abalance FROM changes GROUP BY aid EMIT CHANGES;";

/// What is asked for, by a number between two.
struct Kind {
    title: &'static str,
    /// With `$1`.
    sql: &'static str,
    from: u64,
    to: u64,
}

/// Measure and print.
///
/// # Errors
/// The engine's; a client that fails.
pub async fn measure(settings: &Settings) -> Outcome<()> {
    let inside = Inside::open(settings).await?;
    fill_accounts(&inside, settings.accounts).await?;
    let stream =
        BIDS_STREAM.replace("kafka_topic", &format!("partitions = {PARTITIONS}, retention_ms = -1, kafka_topic"));
    let w2 = WORKLOADS.iter().find(|w| w.name == "W2").ok_or("there is no W2")?;
    inside.run(&format!("{stream}\n{}", w2.create("w2", "w2", ", retention_ms = -1"))).await?;
    let stop = CancellationToken::new();
    let listener = pgserver::listen(([127, 0, 0, 1], 0).into(), &pgserver::Settings::default()).await?;
    let port = listener.local_addr()?.port();
    let serving =
        tokio::spawn(pgserver::serve(inside.engine.clone(), listener, pgserver::Settings::default(), stop.clone()));
    println!("\n{} accounts: {SCAN}", settings.accounts);
    println!("{}", clients::scan(port, SCAN, SCANS)?.line("all grouped"));
    let by_key =
        Kind { title: "a key", sql: "SELECT abalance FROM accounts WHERE aid = $1", from: 1, to: settings.accounts };
    let ask = |kind: &Kind| match &settings.pgbench {
        Some(pgbench) => pgbench::measure(pgbench, &settings.dir, port, kind, settings.lookups),
        None => clients::measure(port, kind, settings.lookups),
    };
    println!("\nlookups by {CLIENTS} clients");
    println!("{}", ask(&by_key)?.line("a key, nothing else at work"));
    let feed = Feed::start(inside.engine.log(), settings.accounts);
    tokio::time::sleep(WARM_UP).await;
    // Auctions that there are bids for by now.
    let auctions = Site { bids: feed.bids.load(Ordering::Relaxed) }.auctions().max(1);
    let windows = Kind {
        title: "an auction's windows",
        sql: "SELECT * FROM w2 WHERE auction_key = $1",
        from: FIRST_AUCTION,
        to: FIRST_AUCTION + auctions - 1,
    };
    println!("while W2 reads {BIDS_PER_S} bids/s, which is behind by so many bids after them");
    for kind in [&by_key, &windows] {
        let asked = ask(kind)?;
        println!("{}, {} behind", asked.line(kind.title), feed.behind(&inside.engine)?);
    }
    let postgres = settings.pgbench.as_ref().zip(settings.postgres);
    let ask_postgres = |title: &str| -> Outcome<()> {
        if let Some((pgbench, port)) = postgres {
            let asked = pgbench::measure_postgres(pgbench, &settings.dir, port, settings.lookups)?;
            println!("{}", asked.line(title));
        }
        Ok(())
    };
    ask_postgres("PostgreSQL, a key")?;
    feed.stop()?;
    stop.cancel();
    serving.await??;
    inside.close().await;
    ask_postgres("PostgreSQL, nothing else at work")
}

/// What came of a round of lookups.
struct Asked {
    times: Vec<Duration>,
    wall: Duration,
}

impl Asked {
    fn line(mut self, title: &str) -> String {
        let (p50, p99) = report::percentiles(&mut self.times);
        let (count, max) = (self.times.len(), self.times.last().copied().unwrap_or_default());
        let rate = count as f64 / self.wall.as_secs_f64();
        format!("{title:<33} {count:>9} {rate:>9.0}/s  p50 {p50:.2?}, p99 {p99:.2?}, most {max:.2?}")
    }
}

/// Every account, in a table that has read them all.
async fn fill_accounts(inside: &Inside, accounts: u64) -> Outcome<()> {
    inside.run(ACCOUNTS_TABLE).await?;
    let (mut batches, log) = (Batches::new("changes"), inside.engine.log());
    for aid in 1..=accounts {
        let key = u32::try_from(aid)?.to_be_bytes();
        batches.push_bytes(0, &key, format!("{{\"delta\":{}}}", aid % 100).as_bytes())?;
        if aid % ACCOUNTS_A_COMMIT == 0 || aid == accounts {
            log.commit(Commit::of(batches.appends()?)).await??;
        }
    }
    while inside.engine.reports().iter().map(|r| r.records_in).sum::<u64>() < accounts {
        tokio::time::sleep(COMMIT).await;
    }
    Ok(())
}

/// A thread that commits bids as they are due: a producer beside the engine, which takes none of its threads.
struct Feed {
    accounts: u64,
    ended: Arc<AtomicBool>,
    bids: Arc<AtomicU64>,
    log: Arc<dyn RecordLog>,
    thread: JoinHandle<Outcome<()>>,
}

impl Feed {
    fn start(log: Arc<dyn RecordLog>, accounts: u64) -> Feed {
        let (ended, bids) = (Arc::<AtomicBool>::default(), Arc::<AtomicU64>::default());
        let (until, sent, to) = (ended.clone(), bids.clone(), log.clone());
        let thread = std::thread::spawn(move || send(&*to, &until, &sent));
        Feed { accounts, ended, bids, log, thread }
    }

    /// Bids that were accepted and that W2 has not read.
    fn behind(&self, engine: &Engine) -> Outcome<u64> {
        let mut ends = 0;
        for p in 0..PARTITIONS {
            ends += self.log.offsets(&TopicPartition::new(BIDS, p))?.end.unsigned_abs();
        }
        let read: u64 = engine.reports().iter().map(|r| r.records_in).sum();
        Ok((ends + self.accounts).saturating_sub(read))
    }

    fn stop(self) -> Outcome<()> {
        self.ended.store(true, Ordering::Relaxed);
        self.thread.join().map_err(|_| "who sends bids broke off")?
    }
}

fn send(log: &dyn RecordLog, until: &AtomicBool, sent: &AtomicU64) -> Outcome<()> {
    // There is no last bid: auctions follow from how many have been sent.
    let (site, started, mut batches) = (Site { bids: u64::MAX }, Instant::now(), Batches::new(BIDS));
    while !until.load(Ordering::Relaxed) {
        let due = u64::try_from(started.elapsed().as_millis())? * BIDS_PER_S / 1000;
        for n in sent.load(Ordering::Relaxed)..due {
            let bid = site.bid(n);
            batches.push(bid.time_ms, |key, value| {
                bid.write_key(key);
                bid.write_value(value);
            })?;
        }
        sent.store(due, Ordering::Relaxed);
        // Nobody waits for the answer: what is lost is behind at the end.
        drop(log.commit(Commit::of(batches.appends()?)));
        std::thread::sleep(COMMIT);
    }
    Ok(())
}
