//! How long a server takes to accept its first connection: on an empty directory, and with many queries defined.

use std::{path::Path, time::Duration};

use crate::{Outcome, Settings, report, server::Server};

/// Starts on an empty directory.
const COLD_STARTS: usize = 5;
/// Starts with queries.
const WARM_STARTS: usize = 3;

/// Measure both and print them.
///
/// # Errors
/// The server's.
pub async fn measure(settings: &Settings) -> Outcome<()> {
    let dir = tempfile::tempdir_in(&settings.dir)?;
    let mut times = vec![];
    for i in 0..COLD_STARTS {
        let server = Server::start(&settings.server, &dir.path().join(format!("empty-{i}"))).await?;
        times.push(server.started_in);
        if i == 0 {
            println!("\nan empty server has {:.0} MB resident", server.usage()?.resident_bytes as f64 / 1e6);
        }
        server.stop()?;
    }
    println!("start on an empty directory: {}", shown(&mut times));
    let data = dir.path().join("queries");
    define(settings, &data).await?;
    let mut times = vec![];
    for _ in 0..WARM_STARTS {
        let server = Server::start(&settings.server, &data).await?;
        times.push(server.started_in);
        check(&server, settings.startup_queries).await?;
        server.stop()?;
    }
    println!("start with {} queries: {}", settings.startup_queries, shown(&mut times));
    Ok(())
}

fn shown(times: &mut [Duration]) -> String {
    let (median, _) = report::percentiles(times);
    let (first, last) = (times.first().copied().unwrap_or_default(), times.last().copied().unwrap_or_default());
    format!("{median:.1?} (from {first:.1?} to {last:.1?})")
}

/// Half of the queries filter, half count by windows.
async fn define(settings: &Settings, data: &Path) -> Outcome<()> {
    let server = Server::start(&settings.server, data).await?;
    let client = server.connect().await?;
    let source = "CREATE STREAM clicks (user_id VARCHAR KEY, page VARCHAR, ms BIGINT) \
                  WITH (kafka_topic = 'clicks', value_format = 'JSON', partitions = 4);";
    client.batch_execute(source).await?;
    for i in 0..settings.startup_queries {
        let statement = match i % 2 {
            0 => format!("CREATE STREAM slow_{i} AS SELECT * FROM clicks WHERE ms > {i} EMIT CHANGES;"),
            _ => format!(
                "CREATE TABLE pages_{i} AS SELECT page, COUNT(*) AS n FROM clicks \
                 WINDOW TUMBLING (SIZE {i} SECONDS) GROUP BY page EMIT CHANGES;"
            ),
        };
        client.batch_execute(&statement).await?;
    }
    client
        .batch_execute("INSERT INTO clicks (user_id, page, ms) VALUES ('ann', '/a', 500), ('bob', '/b', 20);")
        .await?;
    drop(client);
    server.stop()
}

async fn check(server: &Server, expected: usize) -> Outcome<()> {
    let client = server.connect().await?;
    let rows = client.simple_query("SHOW QUERIES;").await?;
    let found = rows.iter().filter(|m| matches!(m, tokio_postgres::SimpleQueryMessage::Row(_))).count();
    if found != expected {
        return Err(format!("{found} queries run instead of {expected}").into());
    }
    Ok(())
}
