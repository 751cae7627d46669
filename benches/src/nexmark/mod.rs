//! The Nexmark queries that the dialect can express, each on a fresh server over the same events, its output compared
//! with what a loop over these events gives.
//!
//! The events are those of the `nexmark` crate, in a topic for each kind. Where a query's result depends on when things
//! come (a bid that comes before its auction), the order of arrival in the log counts, on a Kafka cluster the time. q6 (a window over the last ten
//! auctions of a seller), q10 (files) and q12 (windows by the clock) are left out: the dialect has nothing for them.

mod events;
mod oracle;
mod place;
mod queries;

use std::{
    collections::HashMap,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use serde_json::Value;
use tokio_postgres::{Client, SimpleQueryMessage};

use self::{
    events::{Events, TOPICS},
    place::Place,
    queries::{NexmarkQuery, QUERIES, SOURCES},
};
use crate::{Outcome, Settings, peer, report, verify::Output, workloads::Measured};

/// Between two looks at how far the queries are.
const LOOK_PAUSE: Duration = Duration::from_millis(5);

/// Columns that COUNT(DISTINCT …) estimates, with a standard error of 1.6 %.
const ESTIMATES: &[&str] = &["BIDDERS", "AUCTIONS"];
/// Five standard errors.
const ESTIMATE_TOLERANCE: f64 = 0.08;

/// The queries' names.
pub fn names() -> impl Iterator<Item = &'static str> {
    QUERIES.iter().map(|q| q.name)
}

/// Measure the queries that are asked for.
///
/// # Errors
/// The server's, or a wrong output.
pub async fn measure(settings: &Settings) -> Outcome<()> {
    let place = Place::open(settings).await?;
    let events = place.in_order(events::events(settings.nexmark_events)?);
    println!("\nNexmark, {} events", settings.nexmark_events);
    report::head();
    for query in QUERIES.iter().filter(|q| settings.wants(q.name)) {
        let mut all = vec![];
        for run in 0..settings.runs.max(1) {
            let measured =
                measure_one(query, run, settings, &place, &events).await.map_err(|e| format!("{}: {e}", query.name))?;
            report::line(query.name, query.title, &measured);
            all.push(measured);
        }
        report::median(query.name, &all);
    }
    Ok(())
}

async fn measure_one(
    query: &NexmarkQuery,
    run: usize,
    settings: &Settings,
    place: &Place,
    events: &Events,
) -> Outcome<Measured> {
    let sink = format!("{}_{run}", query.name);
    let kind = if query.is_table { "TABLE" } else { "STREAM" };
    let server = place.start(settings, &sink).await?;
    let client = server.connect().await?;
    client.batch_execute(&place.statements(SOURCES)).await?;
    let (before, started) = (server.usage()?, Instant::now());
    let with = format!("kafka_topic = '{sink}', value_format = 'JSON', key_format = 'JSON'");
    let create = place.statements(&format!("CREATE {kind} {sink} WITH ({with}) AS {};", query.sql));
    client.batch_execute(&create).await?;
    let watcher = server.connect().await?;
    let (records, wall) = match place {
        Place::Directory(_) => {
            all_read(&watcher).await?;
            let wall = started.elapsed();
            (single(&client, "SELECT SUM(records_in) FROM system.queries").await?, wall)
        }
        Place::Cluster { .. } => {
            let records = topics_of(query.sql).map(|topic| events.count(topic)).sum();
            let done_ms = peer::all_read(&watcher, records, peer::STAYS).await?;
            let since_ms = SystemTime::now().duration_since(UNIX_EPOCH)?.as_millis().saturating_sub(done_ms);
            (records, started.elapsed().saturating_sub(Duration::from_millis(u64::try_from(since_ms)?)))
        }
    };
    let usage = server.usage()?;
    drop((client, watcher));
    server.stop()?;
    let checked = check(query, &place.output(&sink)?, events);
    place.tidy_up(settings, kind, &sink).await?;
    checked.map_err(|e| format!("the output is wrong: {e}"))?;
    let peak_bytes = usage.peak_bytes;
    Ok(Measured { records, wall, cpu_s: usage.cpu_s - before.cpu_s, peak_bytes })
}

/// The topics that a query reads: what follows FROM or JOIN, or its plural as a table.
fn topics_of(sql: &str) -> impl Iterator<Item = &'static str> {
    let words = sql.split_whitespace().zip(sql.split_whitespace().skip(1));
    let named = words.filter(|(before, _)| matches!(*before, "FROM" | "JOIN")).map(|(_, name)| name);
    named.filter_map(|name| TOPICS.into_iter().find(|topic| name.strip_suffix('s').unwrap_or(name) == *topic))
}

async fn single(client: &Client, sql: &str) -> Outcome<u64> {
    for message in client.simple_query(sql).await? {
        if let SimpleQueryMessage::Row(row) = message {
            return Ok(row.get(0).ok_or("a NULL where a number was expected")?.parse()?);
        }
    }
    Err(format!("no row: {sql}").into())
}

/// Wait until no query has anything left to read.
async fn all_read(client: &Client) -> Outcome<()> {
    while single(client, "SELECT SUM(lag) FROM system.queries").await? > 0 {
        tokio::time::sleep(LOOK_PAUSE).await;
    }
    Ok(())
}

/// A row as text that is the same for the same row, and what of it is an estimate.
type Row = (String, Vec<f64>);

/// The values of a stream, or the last ones of a table's keys, against those that should be there.
fn check(query: &NexmarkQuery, output: &Output, events: &Events) -> Outcome<()> {
    let (mut rows, mut last): (Vec<Row>, HashMap<Vec<u8>, Row>) = Default::default();
    output.each(|key, value| {
        let key = key.unwrap_or_default();
        match value.map(serde_json::from_slice).transpose()? {
            None => drop(last.remove(key)),
            Some(value) if query.is_table => drop(last.insert(key.to_vec(), row(value))),
            Some(value) => rows.push(row(value)),
        }
        Ok(())
    })?;
    rows.extend(last.into_values());
    let mut expected: Vec<Row> = (query.expected)(events).into_iter().map(row).collect();
    rows.sort_unstable_by(|a, b| a.0.cmp(&b.0));
    expected.sort_unstable_by(|a, b| a.0.cmp(&b.0));
    if expected.is_empty() {
        return Err("nothing is expected: the query shows nothing".into());
    }
    let near = |(a, b): (&f64, &f64)| (a - b).abs() <= b * ESTIMATE_TOLERANCE;
    let same = |(a, b): &(&Row, &Row)| a.0 == b.0 && a.1.len() == b.1.len() && a.1.iter().zip(&b.1).all(near);
    match rows.iter().zip(&expected).find(|pair| !same(pair)) {
        Some((found, expected)) => Err(format!("{found:?} instead of {expected:?}").into()),
        None if rows.len() == expected.len() => Ok(()),
        None => Err(format!("{} rows instead of {}", rows.len(), expected.len()).into()),
    }
}

fn row(mut value: Value) -> Row {
    let take = |fields: &mut serde_json::Map<String, Value>| {
        ESTIMATES.iter().filter_map(|name| fields.remove(*name)?.as_f64()).collect()
    };
    let estimates = value.as_object_mut().map(take).unwrap_or_default();
    (canonical(&value), estimates)
}

/// A value as text that is the same for the same value: fields by name, numbers with nine digits.
fn canonical(value: &Value) -> String {
    match value {
        Value::Object(fields) => {
            let mut fields: Vec<String> = fields.iter().map(|(k, v)| format!("{k}:{}", canonical(v))).collect();
            fields.sort_unstable();
            format!("{{{}}}", fields.join(","))
        }
        Value::Array(items) => format!("[{}]", items.iter().map(canonical).collect::<Vec<_>>().join(",")),
        Value::Number(n) => match (n.as_i64(), n.as_f64()) {
            (Some(n), _) => n.to_string(),
            (_, Some(n)) if n.fract() == 0.0 && n.abs() < 1e15 => format!("{n:.0}"),
            (_, n) => format!("{:.8e}", n.unwrap_or(f64::NAN)),
        },
        other => other.to_string(),
    }
}
