//! State that does not fit into memory: how fast it is updated when few keys are updated often, against the same in
//! memory; how much memory it takes; how long a start takes.
//!
//! Every key comes once, and then as many updates as a quarter of the keys, by Zipf's law over keys that lie anywhere.

use std::time::{Duration, Instant};

use futures::StreamExt;
use tokio_postgres::{Client, SimpleQueryMessage};

use crate::{
    Outcome, Settings,
    generator::{Site, mix},
    load::{Batches, Data, Loader},
    server::Server,
    workloads::{PROGRESS, progress_of},
    zipf::Zipf,
};

/// The topic.
const CHANGES: &str = "changes";
/// Records between two commits while the topic is filled.
const COMMIT_RECORDS: u64 = 50_000;
/// A limit that all of it stays below.
const IN_MEMORY_BYTES: u64 = 1 << 36;
/// Between two looks at the size of the state.
const LOOK_PAUSE: Duration = Duration::from_millis(100);
/// Keys whose rows are compared with what they must be.
const CHECKED_KEYS: u64 = 300;

/// What one run came to.
struct Cost {
    first_s: f64,
    updates_s: f64,
    cpu_s: f64,
    state_bytes: u64,
    disk_bytes: u64,
    peak_bytes: u64,
    start: Duration,
}

/// The keys of a run.
#[derive(Clone, Copy)]
struct Keys {
    count: u64,
    zipf: Zipf,
}

impl Keys {
    fn updates(self) -> u64 {
        self.count / 4
    }

    /// Record `n`: its key and what it adds.
    fn record(self, n: u64) -> (u64, u64) {
        let key = match n < self.count {
            true => n,
            // Which keys come often has nothing to do with where they lie.
            false => mix(self.zipf.draw(mix(n))) % self.count,
        };
        (key, mix(!n) % 1000)
    }
}

/// Measure in memory and within the limit, and print both.
///
/// # Errors
/// The server's, or a wrong row.
pub async fn measure(settings: &Settings) -> Outcome<()> {
    let keys = Keys { count: settings.state_keys, zipf: Zipf::below(settings.state_keys) };
    let dir = tempfile::tempdir_in(&settings.dir)?;
    let data = Data { dir: dir.path().join("large"), site: Site { bids: 0 } };
    fill(&data, keys).await?;
    println!(
        "\n{} keys, then {} updates      keys/s   updates/s     CPU s   state, at most, MB   on disk, MB   resident, at \
         most, MB   start after SIGKILL, s",
        keys.count,
        keys.updates()
    );
    let limits = [("in memory", IN_MEMORY_BYTES), ("within the limit", settings.state_limit_bytes)];
    let mut rates = vec![];
    for (name, limit) in limits {
        let cost = run(settings, &data, keys, limit, name).await?;
        let rate = keys.updates() as f64 / cost.updates_s;
        println!(
            "{name:<34} {:>9.0} {rate:>11.0} {:>9.1} {:>20.0} {:>13.0} {:>24.0} {:>24.2}",
            keys.count as f64 / cost.first_s,
            cost.cpu_s,
            cost.state_bytes as f64 / 1e6,
            cost.disk_bytes as f64 / 1e6,
            cost.peak_bytes as f64 / 1e6,
            cost.start.as_secs_f64()
        );
        rates.push((rate, cost.state_bytes));
    }
    if let [(all, _), (some, bytes)] = rates.as_slice() {
        let of_limit = *bytes as f64 / settings.state_limit_bytes as f64;
        println!(
            "updates at {:.0} % of the speed in memory; {:.0} % of the limit",
            some / all * 100.0,
            of_limit * 100.0
        );
    }
    Ok(())
}

async fn fill(data: &Data, keys: Keys) -> Outcome<()> {
    std::fs::create_dir_all(&data.dir)?;
    let mut loader = Loader::open(data, &[CHANGES]).await?;
    let (mut batches, all) = (Batches::new(CHANGES), keys.count + keys.updates());
    for n in 0..all {
        let (key, add) = keys.record(n);
        batches.push(crate::generator::BASE_MS + (n / 100).cast_signed(), |k, value| {
            k.push_str(&key.to_string());
            value.push_str(&format!("{{\"V\":{add}}}"));
        })?;
        if (n + 1) % COMMIT_RECORDS == 0 || n + 1 == all {
            loader.commit(&mut [&mut batches]).await?;
        }
    }
    loader.finish().await
}

async fn run(settings: &Settings, data: &Data, keys: Keys, limit: u64, name: &str) -> Outcome<Cost> {
    let sink = format!("totals_{}", name.replace(' ', "_"));
    let more = ["--state-bytes-max".to_string(), limit.to_string()];
    let server = Server::start_with(&settings.server, &data.dir, &more).await?;
    let client = server.connect().await?;
    let stream = format!(
        "CREATE STREAM IF NOT EXISTS changes (k VARCHAR KEY, v BIGINT) \
         WITH (kafka_topic = '{CHANGES}', value_format = 'JSON');"
    );
    client.batch_execute(&stream).await?;
    let query = format!(
        "CREATE TABLE {sink} WITH (kafka_topic = '{sink}', value_format = 'JSON') AS \
         SELECT k, COUNT(*) AS n, SUM(v) AS total FROM changes GROUP BY k EMIT CHANGES;"
    );
    let (started, watcher) = (Instant::now(), server.connect().await?);
    client.batch_execute(&query).await?;
    let numbers = [keys.count, keys.count + keys.updates()];
    let (times, state_bytes) = watched(&client, &watcher, &sink, &numbers).await?;
    let (first, last) = (times.first().copied().unwrap_or(started), times.last().copied().unwrap_or(started));
    let (usage, disk_bytes) = (server.usage()?, state(&client, &sink, "disk_bytes").await?);
    drop((client, watcher));
    server.kill()?;
    let server = Server::start_with(&settings.server, &data.dir, &more).await?;
    let start = server.started_in;
    let client = server.connect().await?;
    check(&client, &sink, keys).await?;
    client.batch_execute(&format!("DROP TABLE {sink} DELETE TOPIC;")).await?;
    drop(client);
    server.stop()?;
    Ok(Cost {
        first_s: first.duration_since(started).as_secs_f64(),
        updates_s: last.duration_since(first).as_secs_f64(),
        cpu_s: usage.cpu_s,
        state_bytes,
        disk_bytes,
        peak_bytes: usage.peak_bytes,
        start,
    })
}

/// As [`reach`], and the most that the state took until then.
async fn watched(client: &Client, watcher: &Client, sink: &str, numbers: &[u64]) -> Outcome<(Vec<Instant>, u64)> {
    let mut reached = std::pin::pin!(reach(watcher, sink, numbers));
    let mut looks = tokio::time::interval(LOOK_PAUSE);
    let mut state_bytes = 0;
    loop {
        tokio::select! {
            times = &mut reached => return Ok((times?, state_bytes)),
            _ = looks.tick() => state_bytes = state_bytes.max(state(client, sink, "state_bytes").await?),
        }
    }
}

/// When the query had read so many records, one time for each number.
async fn reach(client: &Client, sink: &str, numbers: &[u64]) -> Outcome<Vec<Instant>> {
    let rows = client.simple_query_raw(&format!("READ TOPIC \"{PROGRESS}\" FROM BEGINNING EMIT CHANGES")).await?;
    let mut rows = std::pin::pin!(rows);
    let mut times = vec![];
    while let Some(message) = rows.next().await {
        let SimpleQueryMessage::Row(row) = message? else { continue };
        let Some(read) = progress_of(&row, sink)? else { continue };
        while numbers.get(times.len()).is_some_and(|number| read >= *number) {
            times.push(Instant::now());
        }
        if times.len() == numbers.len() {
            return Ok(times);
        }
    }
    Err("the server ended before its query had read everything".into())
}

async fn state(client: &Client, sink: &str, column: &str) -> Outcome<u64> {
    let sink = sink.to_uppercase();
    let rows = client.simple_query(&format!("SELECT {column} FROM system.queries WHERE sink = '{sink}';")).await?;
    let found = rows.iter().find_map(|m| match m {
        SimpleQueryMessage::Row(row) => row.get(0).map(str::parse::<u64>),
        _ => None,
    });
    Ok(found.ok_or("there is no such query")??)
}

/// Compare the rows of some keys with what they must be.
async fn check(client: &Client, sink: &str, keys: Keys) -> Outcome<()> {
    // The most used ones, and others.
    let often = (0..CHECKED_KEYS / 2).map(|n| mix(n) % keys.count);
    let any = (0..CHECKED_KEYS / 2).map(|n| mix(n ^ 0x5555) % keys.count);
    let mut want: std::collections::BTreeMap<u64, (u64, u64)> = often.chain(any).map(|key| (key, (0, 0))).collect();
    for (key, add) in (0..keys.count + keys.updates()).map(|n| keys.record(n)) {
        if let Some((count, total)) = want.get_mut(&key) {
            *count += 1;
            *total += add;
        }
    }
    for (key, want) in want {
        let rows = client.simple_query(&format!("SELECT n, total FROM {sink} WHERE k = '{key}';")).await?;
        let got = rows.iter().find_map(|m| match m {
            SimpleQueryMessage::Row(row) => Some((row.get(0)?.parse().ok()?, row.get(1)?.parse().ok()?)),
            _ => None,
        });
        if got != Some(want) {
            return Err(format!("key {key} has {got:?} instead of {want:?}").into());
        }
    }
    Ok(())
}
