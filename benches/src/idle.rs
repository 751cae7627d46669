//! What streams and queries cost that nobody writes to: how long a server with many takes to start, what it has
//! resident, and what it computes while nothing comes.

use std::{
    path::Path,
    time::{Duration, Instant},
};

use tokio_postgres::{Client, SimpleQueryMessage};

use crate::{Outcome, Settings, server::Server};

/// Streams that are defined in one message.
const STATEMENTS_A_BATCH: usize = 200;
/// After the start, until CPU is measured: what the start put off is over.
const SETTLING: Duration = Duration::from_secs(3);
/// How long CPU is measured.
const WATCHED: Duration = Duration::from_secs(10);
/// Between two looks whether all queries run.
const PAUSE: Duration = Duration::from_millis(20);

/// Measure and print.
///
/// # Errors
/// The server's.
pub async fn measure(settings: &Settings) -> Outcome<()> {
    let (streams, queries) = (settings.idle_streams, settings.idle_queries);
    let dir = tempfile::tempdir_in(&settings.dir)?;
    let data = dir.path().join("idle");
    let defining = Instant::now();
    define(settings, &data).await?;
    println!("\n{streams} streams and {queries} queries are defined in {:.1?}", defining.elapsed());
    let started = Instant::now();
    let server = Server::start(&settings.server, &data).await?;
    let client = server.connect().await?;
    while running(&client).await? != queries {
        tokio::time::sleep(PAUSE).await;
    }
    let (accepted, all) = (server.started_in, started.elapsed());
    tokio::time::sleep(SETTLING).await;
    let before = server.usage()?;
    let watched = Instant::now();
    tokio::time::sleep(WATCHED).await;
    let after = server.usage()?;
    let part = (after.cpu_s - before.cpu_s) / watched.elapsed().as_secs_f64();
    println!("start: the first connection after {accepted:.2?}, all queries run after {all:.2?}");
    println!("CPU of the start: {:.2} s; idle: {:.2} % of a core", before.cpu_s, part * 100.0);
    let (now, peak) = (after.resident_bytes as f64 / 1e6, after.peak_bytes as f64 / 1e6);
    println!("resident: {now:.0} MB, at most {peak:.0} MB");
    drop(client);
    server.stop()
}

/// Streams with a topic each; over the first of them queries, half of which filter and half count by windows.
async fn define(settings: &Settings, data: &Path) -> Outcome<()> {
    let server = Server::start(&settings.server, data).await?;
    let client = server.connect().await?;
    let stream = |i: usize| {
        format!(
            "CREATE STREAM idle_{i} (id VARCHAR KEY, page VARCHAR, ms BIGINT) \
             WITH (kafka_topic = 'idle_{i}', value_format = 'JSON', partitions = 1);"
        )
    };
    let query = |i: usize| match i % 2 {
        0 => format!("CREATE STREAM slow_{i} AS SELECT * FROM idle_{i} WHERE ms > {i} EMIT CHANGES;"),
        _ => format!(
            "CREATE TABLE pages_{i} AS SELECT page, COUNT(*) AS n FROM idle_{i} \
             WINDOW TUMBLING (SIZE {i} SECONDS) GROUP BY page EMIT CHANGES;"
        ),
    };
    let statements: Vec<String> =
        (0..settings.idle_streams).map(stream).chain((0..settings.idle_queries).map(query)).collect();
    for some in statements.chunks(STATEMENTS_A_BATCH) {
        client.batch_execute(&some.concat()).await?;
    }
    drop(client);
    server.stop()
}

/// How many queries run.
async fn running(client: &Client) -> Outcome<usize> {
    let rows = client.simple_query("SHOW QUERIES;").await?;
    let runs = |row: &SimpleQueryMessage| match row {
        SimpleQueryMessage::Row(row) => (0..row.len()).any(|at| row.get(at) == Some("RUNNING")),
        _ => false,
    };
    Ok(rows.iter().filter(|&row| runs(row)).count())
}
