//! A workload on a Kafka cluster, beside other engines: what it reads is there, what it writes is checked by who asks.
//!
//! The way in is the environment, as a harness for several engines gives it to each:
//!
//! | | |
//! |---|---|
//! | `PEERS_BOOTSTRAP` | brokers |
//! | `PEERS_RUN` | a name of this run's own |
//! | `PEERS_OUT` | the topic of the output, which is there |
//! | `PEERS_STATE` | an empty folder |
//! | `PEERS_MODE=forever` | go on until SIGTERM, after a line `READY`; `PEERS_BIDS` is then what is read |
//!
//! The way out is one line, `RESULT {…}`, with the records read and written and when (ms since 1970).

use std::{
    collections::BTreeMap,
    path::PathBuf,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use futures::StreamExt;
use serde::Serialize;
use tokio_postgres::{Client, SimpleQueryMessage};

use crate::{
    Outcome, Settings,
    load::{AUCTIONS, BIDS},
    server::Server,
    unknown,
    workloads::{BIDS_STREAM, WORKLOADS, Workload, progress_in},
};

/// What the stream or table of the result is called.
const NAME: &str = "result";

/// Between two questions how much is left to be read.
const PAUSE: Duration = Duration::from_millis(10);

/// The same when nothing was left: that it stays so is not to cost what is measured much.
const PAUSE_WHEN_DONE: Duration = Duration::from_millis(250);

/// How long nothing is left before it is believed, where all that is left can be seen.
pub(crate) const STAYS: Duration = Duration::from_millis(500);

/// The same where what one stage has sent another is hidden until a busy broker has marked it as committed.
const STAYS_BETWEEN_STAGES: Duration = Duration::from_secs(5);

/// Where a workload is to be run.
#[derive(Debug, Clone)]
pub struct Place {
    /// The server's binary.
    pub server: PathBuf,
    /// Brokers.
    pub bootstrap: String,
    /// The service's id.
    pub run: String,
    /// The topic of the output, which is there.
    pub out: String,
    /// What is read as bids.
    pub bids: String,
    /// A folder for what the server says.
    pub state: PathBuf,
    /// Go on until SIGTERM.
    pub forever: bool,
}

impl Place {
    /// As the environment says.
    ///
    /// # Errors
    /// The name of what is missing.
    pub fn of_environment(server: PathBuf) -> Outcome<Place> {
        let setting = |name: &str| std::env::var(name).map_err(|e| format!("{name}: {e}"));
        Ok(Place {
            server,
            bootstrap: setting("PEERS_BOOTSTRAP")?,
            // A service's id has no dashes.
            run: setting("PEERS_RUN")?.replace('-', "_"),
            out: setting("PEERS_OUT")?,
            bids: setting("PEERS_BIDS").unwrap_or_else(|_| BIDS.to_owned()),
            state: setting("PEERS_STATE")?.into(),
            forever: setting("PEERS_MODE").is_ok_and(|mode| mode == "forever"),
        })
    }
}

/// What came of it.
#[derive(Debug, Serialize)]
pub struct Told {
    /// Records read.
    #[serde(rename = "in")]
    pub records_in: u64,
    /// Records written.
    #[serde(rename = "out")]
    pub records_out: u64,
    /// When the first was read, or before.
    pub first_ms: u128,
    /// When the commit of the last was known.
    pub last_ms: u128,
    /// When the work was done.
    pub done_ms: u128,
}

/// Run the workload that `settings` name.
///
/// # Errors
/// The server's; a setting that is missing.
pub fn run(settings: &Settings) -> Outcome<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let [name] = settings.workloads.as_slice() else { return Err("one workload is run at a time".into()) };
    let found = WORKLOADS.iter().find(|w| w.name == name);
    let workload = found.ok_or_else(|| unknown(name, WORKLOADS.iter().map(|w| w.name)))?;
    if let Some(told) = runtime.block_on(measure(workload, &Place::of_environment(settings.server.clone())?))? {
        println!("RESULT {}", serde_json::to_string(&told)?);
    }
    Ok(())
}

/// Run a workload; nothing is told of one that goes on for ever.
///
/// # Errors
/// The server's.
pub async fn measure(workload: &Workload, place: &Place) -> Outcome<Option<Told>> {
    let Place { bids, out, run, .. } = place;
    let said = place.state.join("millstream.log");
    let server = Server::start_on_cluster(&place.server, &place.bootstrap, run, &said).await?;
    let client = server.connect().await?;
    client.batch_execute(&BIDS_STREAM.replace(&format!("'{BIDS}'"), &format!("'{bids}'"))).await?;
    if let Some(auctions) = workload.auctions {
        client.batch_execute(auctions).await?;
    }
    let create = workload.create(NAME, out, "");
    if place.forever {
        client.batch_execute(&create).await?;
        println!("READY");
        tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())?.recv().await;
        drop(client);
        return server.stop().map(|()| None);
    }
    let mut records_in = records(&client, bids).await?;
    if workload.auctions.is_some() {
        records_in += records(&client, AUCTIONS).await?;
    }
    // Nothing is read before the statement is sent.
    let first_ms = now_ms()?;
    client.batch_execute(&create).await?;
    let progress = format!("_millstream.{run}-offsets");
    let last_ms = wait_for_tasks(&client, &server.connect().await?, &progress, records_in).await?;
    let client = server.connect().await?;
    let records_out = number(&client, "SELECT SUM(records_out) FROM system.queries;").await?;
    drop(client);
    server.stop()?;
    Ok(Some(Told { records_in, records_out, first_ms, last_ms, done_ms: last_ms }))
}

/// Wait until the tasks of the query have committed having read that many records of its sources, and everything that
/// they sent each other; since when they have (ms since 1970).
async fn wait_for_tasks(client: &Client, asking: &Client, progress: &str, records: u64) -> Outcome<u128> {
    let rows = client.simple_query_raw(&format!("READ TOPIC \"{progress}\" FROM BEGINNING EMIT CHANGES")).await?;
    let mut rows = std::pin::pin!(rows);
    let (of_query, mut read) = (format!("_{}_", NAME.to_uppercase()), BTreeMap::new());
    while let Some(message) = rows.next().await {
        let SimpleQueryMessage::Row(row) = message? else { continue };
        let Some((task, of_task)) = progress_in(&row)?.filter(|(task, _)| task.contains(&of_query)) else { continue };
        read.insert(task, of_task);
        if read.values().sum::<u64>() >= records {
            break;
        }
    }
    // All rows are on their way to the last stage, or there.
    all_read(asking, 0, STAYS_BETWEEN_STAGES).await
}

/// Wait until no query has anything left to read of so many records; since when (ms since 1970). Where topics end is
/// asked now and then only: nothing is left when that `stays` so. A server that has ended does not answer.
pub(crate) async fn all_read(asking: &Client, records: u64, stays: Duration) -> Outcome<u128> {
    let behind = format!("SELECT COUNT(*) FROM system.queries WHERE lag IS NULL OR lag > 0 OR records_in < {records};");
    let mut since = None;
    loop {
        let looked = now_ms()?;
        let is_done = number(asking, &behind).await? == 0;
        since = if is_done { since.or(Some(looked)) } else { None };
        match since {
            Some(since) if looked - since >= stays.as_millis() => return Ok(since),
            Some(_) => tokio::time::sleep(PAUSE_WHEN_DONE.min(stays)).await,
            None => tokio::time::sleep(PAUSE).await,
        }
    }
}

fn now_ms() -> Outcome<u128> {
    Ok(SystemTime::now().duration_since(UNIX_EPOCH)?.as_millis())
}

/// Records of a topic that no transaction has written to.
async fn records(client: &Client, topic: &str) -> Outcome<u64> {
    let text = format!("SELECT SUM(end_offset - start_offset) FROM system.partitions WHERE topic = '{topic}';");
    number(client, &text).await
}

async fn number(client: &Client, text: &str) -> Outcome<u64> {
    for message in client.simple_query(text).await? {
        if let SimpleQueryMessage::Row(row) = message {
            return Ok(row.try_get(0)?.ok_or("no number where one was asked for")?.parse()?);
        }
    }
    Err(format!("{text} gives no row").into())
}
