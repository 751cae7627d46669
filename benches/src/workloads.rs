//! The workloads: statements, what they read, and how a run is measured.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use futures::StreamExt;
use serde::Deserialize;
use tokio_postgres::{Client, SimpleQueryMessage, SimpleQueryRow};

use crate::{
    Outcome, Settings,
    generator::Site,
    load::{AUCTIONS, BIDS, Data},
    server::{Server, Usage},
    verify,
};

/// A workload.
#[derive(Debug)]
pub struct Workload {
    /// W1 ….
    pub name: &'static str,
    /// What it stresses.
    pub title: &'static str,
    /// The query behind CREATE … AS.
    query: &'static str,
    /// Whether its result is a table.
    is_table: bool,
    /// More about its topic: the events lie years back, and are to stay all the same.
    with: &'static str,
    /// Whether auctions are read besides bids, and what they are.
    pub(crate) auctions: Option<&'static str>,
    /// What its output must be.
    pub check: fn(&verify::Output, Site) -> Outcome<()>,
}

pub(crate) const BIDS_STREAM: &str = "CREATE STREAM IF NOT EXISTS bids (auction_key VARCHAR KEY, auction BIGINT, bidder BIGINT, \
     price BIGINT, channel VARCHAR, url VARCHAR, dateTime BIGINT, extra VARCHAR) \
     WITH (kafka_topic = 'bids', value_format = 'JSON');";

const AUCTIONS_STREAM: &str = "CREATE STREAM IF NOT EXISTS auctions_stream (auction_key VARCHAR KEY, id BIGINT, \
     itemName VARCHAR, initialBid BIGINT, reserve BIGINT, dateTime BIGINT, expires BIGINT, seller BIGINT, \
     category BIGINT) WITH (kafka_topic = 'auctions', value_format = 'JSON');";

const AUCTIONS_TABLE: &str = "CREATE TABLE IF NOT EXISTS auctions_table (auction_key VARCHAR PRIMARY KEY, id BIGINT, \
     itemName VARCHAR, initialBid BIGINT, reserve BIGINT, dateTime BIGINT, expires BIGINT, seller BIGINT, \
     category BIGINT) WITH (kafka_topic = 'auctions', value_format = 'JSON');";

/// All of them.
pub const WORKLOADS: &[Workload] = &[
    Workload {
        name: "W1",
        title: "filter, project",
        query: "SELECT auction_key, auction, bidder, price * 0.908 AS price_eur, channel FROM bids \
                WHERE price > 100000 EMIT CHANGES",
        is_table: false,
        with: ", retention_ms = -1",
        auctions: None,
        check: verify::w1,
    },
    Workload {
        name: "W2",
        title: "tumbling window by the key",
        query: "SELECT auction_key, COUNT(*) AS cnt, SUM(price) AS total, MAX(price) AS top FROM bids \
                WINDOW TUMBLING (SIZE 10 SECONDS) GROUP BY auction_key EMIT CHANGES",
        is_table: true,
        with: ", retention_ms = -1",
        auctions: None,
        check: verify::w2,
    },
    Workload {
        name: "W3",
        title: "re-key, 0.9 M groups",
        query: "SELECT bidder, COUNT(*) AS cnt, SUM(price) AS total, AVG(price) AS mean FROM bids \
                GROUP BY bidder EMIT CHANGES",
        is_table: true,
        with: "",
        auctions: None,
        check: verify::w3,
    },
    Workload {
        name: "W4",
        title: "stream-table join",
        query: "SELECT b.auction_key AS auction_key, b.auction AS auction, b.bidder AS bidder, b.price AS price, \
                a.itemName AS item_name, a.seller AS seller, a.category AS category FROM bids b \
                JOIN auctions_table a ON b.auction_key = a.auction_key EMIT CHANGES",
        is_table: false,
        with: ", retention_ms = -1",
        auctions: Some(AUCTIONS_TABLE),
        check: verify::w4,
    },
    Workload {
        name: "W5",
        title: "stream-stream join",
        query: "SELECT b.auction_key AS auction_key, b.auction AS auction, b.bidder AS bidder, b.price AS price, \
                a.itemName AS item_name, a.seller AS seller, a.category AS category FROM bids b \
                JOIN auctions_stream a WITHIN 10 SECONDS GRACE PERIOD 10 SECONDS ON b.auction_key = a.auction_key \
                EMIT CHANGES",
        is_table: false,
        with: ", retention_ms = -1",
        auctions: Some(AUCTIONS_STREAM),
        check: verify::w5,
    },
];

impl Workload {
    /// What its result is.
    fn kind(&self) -> &'static str {
        if self.is_table { "TABLE" } else { "STREAM" }
    }

    /// The statement that makes it as `name` in `topic`.
    pub(crate) fn create(&self, name: &str, topic: &str, with: &str) -> String {
        let (kind, query) = (self.kind(), self.query);
        format!("CREATE {kind} {name} WITH (kafka_topic = '{topic}', value_format = 'JSON'{with}) AS {query};")
    }
}

/// What a run came to.
#[derive(Debug, Clone, Copy)]
pub struct Measured {
    /// Records read.
    pub records: u64,
    /// From the statement to the commit that says that all was read.
    pub wall: Duration,
    /// CPU of the server in that time, s.
    pub cpu_s: f64,
    /// The server's peak of resident memory, bytes.
    pub peak_bytes: u64,
}

/// The topic in which a server on the embedded log keeps how far queries have read.
pub(crate) const PROGRESS: &str = "_millstream-offsets";

/// How far a query has read, as the server writes it down.
#[derive(Deserialize)]
struct Progress {
    offsets: BTreeMap<String, i64>,
}

/// Run a workload once on a fresh server, check its output, and tidy up.
///
/// # Errors
/// The server's, or what is wrong with the output.
pub async fn measure(workload: &Workload, settings: &Settings, data: &Data) -> Outcome<Measured> {
    let sink = format!("{}_{}", workload.name, SystemTime::now().duration_since(UNIX_EPOCH)?.as_millis());
    let server = Server::start(&settings.server, &data.dir).await?;
    let client = server.connect().await?;
    client.batch_execute(BIDS_STREAM).await?;
    if let Some(auctions) = workload.auctions {
        client.batch_execute(auctions).await?;
    }
    let kind = workload.kind();
    let create = workload.create(&sink, &sink, workload.with);
    let ends = [Some(BIDS), workload.auctions.map(|_| AUCTIONS)];
    let site = data.site;
    let count = |topic: &str| if topic == BIDS { site.bids } else { site.auctions() };
    let wanted: u64 = ends.iter().flatten().map(|t| count(t)).sum();
    let before = server.usage()?;
    let started = Instant::now();
    client.batch_execute(&create).await?;
    let watcher = server.connect().await?;
    wait_for(&watcher, PROGRESS, std::slice::from_ref(&sink), wanted).await?;
    let wall = started.elapsed();
    let Usage { cpu_s, peak_bytes, .. } = server.usage()?;
    drop((client, watcher));
    server.stop()?;
    let output = verify::Output::read(data, &sink)?;
    (workload.check)(&output, data.site).map_err(|e| format!("{}: the output is wrong: {e}", workload.name))?;
    let server = Server::start(&settings.server, &data.dir).await?;
    let client = server.connect().await?;
    client.batch_execute(&format!("DROP {kind} {sink} DELETE TOPIC;")).await?;
    drop(client);
    server.stop()?;
    Ok(Measured { records: wanted, wall, cpu_s: cpu_s - before.cpu_s, peak_bytes })
}

/// Wait until the queries that write `sinks` have each committed having read that many records, by the topic `progress`
/// in which the server keeps what queries have read: nothing is asked again and again.
pub(crate) async fn wait_for(client: &Client, progress: &str, sinks: &[String], records: u64) -> Outcome<()> {
    let rows = client.simple_query_raw(&format!("READ TOPIC \"{progress}\" FROM BEGINNING EMIT CHANGES")).await?;
    let mut rows = std::pin::pin!(rows);
    // A query's id has its sink's name between underscores.
    let mut left: Vec<String> = sinks.iter().map(|sink| format!("_{}_", sink.to_uppercase())).collect();
    while let Some(message) = rows.next().await {
        let SimpleQueryMessage::Row(row) = message? else { continue };
        let Some((query, read)) = progress_in(&row)? else { continue };
        let Some(at) = left.iter().position(|sink| query.contains(sink)) else { continue };
        if read >= records {
            left.swap_remove(at);
        }
        if left.is_empty() {
            return Ok(());
        }
    }
    Err("the server ended before the query had read everything".into())
}

/// A record of the topic of progress: which query, or task of one, and how many records it has read of sources.
pub(crate) fn progress_in(row: &SimpleQueryRow) -> Outcome<Option<(String, u64)>> {
    let (Some(query), Some(value)) = (row.try_get("key")?, row.try_get("value")?) else { return Ok(None) };
    let query = String::from_utf8_lossy(&bytes(query)?).into_owned();
    let progress: Progress = serde_json::from_slice(&bytes(value)?)?;
    // What one stage of a query reads of another (an `e` and a number) was read before.
    let sources = progress.offsets.iter().filter(|(reader, _)| !reader.starts_with('e'));
    Ok(Some((query, sources.map(|(_, next)| next).sum::<i64>().unsigned_abs())))
}

/// How many records the query that writes `sink` has read, if `row` is of its progress.
pub(crate) fn progress_of(row: &SimpleQueryRow, sink: &str) -> Outcome<Option<u64>> {
    let is_its = |(query, read): (String, u64)| query.contains(&format!("_{}_", sink.to_uppercase())).then_some(read);
    Ok(progress_in(row)?.and_then(is_its))
}

/// BYTEA as the Postgres wire has it in text.
fn bytes(hex: &str) -> Outcome<Vec<u8>> {
    let digits = hex.strip_prefix("\\x").ok_or("BYTEA that is not in hexadecimal digits")?;
    let pairs = digits.as_bytes().chunks(2).map(|pair| Ok(u8::from_str_radix(std::str::from_utf8(pair)?, 16)?));
    pairs.collect()
}
