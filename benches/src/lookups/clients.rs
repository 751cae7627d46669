//! Connections of this process that look up.

use std::time::{Duration, Instant};

use tokio_postgres::{Client, NoTls};

use super::{Asked, CLIENTS, Kind};
use crate::{Outcome, generator::mix};

/// `lookups` of a kind by all clients.
pub(super) fn measure(port: u16, kind: &Kind, lookups: u64) -> Outcome<Asked> {
    apart(async {
        let clients = (0..CLIENTS).map(|client| ask(port, kind, client, lookups.div_ceil(CLIENTS)));
        Ok(futures::future::try_join_all(clients).await?.concat())
    })
}

/// A query, some times by one client.
pub(super) fn scan(port: u16, sql: &str, scans: usize) -> Outcome<Asked> {
    apart(async {
        let (asking, mut times) = (connect(port).await?, vec![]);
        for _ in 0..scans {
            let since = Instant::now();
            asking.simple_query(sql).await?;
            times.push(since.elapsed());
        }
        Ok(times)
    })
}

/// Ask on a thread beside the engine's.
fn apart(asking: impl Future<Output = Outcome<Vec<Duration>>> + Send) -> Outcome<Asked> {
    std::thread::scope(|threads| {
        let asked = threads.spawn(|| {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            let started = Instant::now();
            let times = runtime.block_on(asking)?;
            Ok(Asked { times, wall: started.elapsed() })
        });
        asked.join().map_err(|_| "who looks up broke off")?
    })
}

async fn connect(port: u16) -> Outcome<Client> {
    let config = format!("host=127.0.0.1 port={port} user=bench dbname=bench");
    let (client, connection) = tokio_postgres::connect(&config, NoTls).await?;
    tokio::spawn(connection);
    Ok(client)
}

async fn ask(port: u16, kind: &Kind, client: u64, lookups: u64) -> Outcome<Vec<Duration>> {
    let asking = connect(port).await?;
    let statement = asking.prepare(kind.sql).await?;
    let is_number = statement.params().first() == Some(&tokio_postgres::types::Type::INT4);
    let mut times = vec![];
    for n in 0..lookups {
        let number = kind.from + mix(client << 32 | n) % (kind.to - kind.from + 1);
        let (text, number) = (number.to_string(), i32::try_from(number)?);
        let parameter: &(dyn tokio_postgres::types::ToSql + Sync) = if is_number { &number } else { &text };
        let since = Instant::now();
        asking.query(&statement, &[parameter]).await?;
        times.push(since.elapsed());
    }
    Ok(times)
}
