//! What a further query over the same topic costs: the CPU of many queries with filters and windows of their own,
//! against one of them.
//!
//! The queries are defined while the topic is empty, and the server is stopped while it is filled, so that all of them
//! begin at once.

use std::time::Instant;

use crate::{
    Outcome, Settings,
    generator::Site,
    load::{self, Data, PARTITIONS},
    server::Server,
    verify::{self, Output},
    workloads::{BIDS_STREAM, PROGRESS, wait_for},
};

/// What some queries came to.
struct Cost {
    seconds: f64,
    cpu_s: f64,
    peak_bytes: u64,
}

/// Measure one query that filters, one that counts, and all; print how they compare.
///
/// # Errors
/// The server's, or a wrong output.
pub async fn measure(settings: &Settings) -> Outcome<()> {
    let all = settings.growth_queries;
    let filter = run(settings, all, &[0]).await?;
    let count = run(settings, all, &[1]).await?;
    let many = run(settings, all, &(0..all).collect::<Vec<_>>()).await?;
    let one = (filter.cpu_s + count.cpu_s) / 2.0;
    println!("\nqueries over {} bids         seconds     CPU s   peak MB", settings.bids);
    for (name, cost) in [("a filter", &filter), ("a count by window", &count), ("all", &many)] {
        let Cost { seconds, cpu_s, peak_bytes } = cost;
        println!("{name:<28} {seconds:>9.2} {cpu_s:>9.2} {:>9.0}", *peak_bytes as f64 / 1e6);
    }
    println!("{all} queries take {:.1} times the CPU of one", many.cpu_s / one);
    Ok(())
}

fn name(query: u64) -> String {
    format!("growth_{query}")
}

/// Every query has its own bidders; every second one counts them, by windows of its own size.
fn statement(all: u64, query: u64) -> String {
    let name = name(query);
    let with = format!("kafka_topic = '{name}', value_format = 'JSON', retention_ms = -1");
    match query % 2 {
        0 => format!(
            "CREATE STREAM {name} WITH ({with}) AS SELECT auction_key, auction, price FROM bids \
             WHERE bidder % {all} = {query} EMIT CHANGES;"
        ),
        _ => format!(
            "CREATE TABLE {name} WITH ({with}) AS SELECT channel, COUNT(*) AS n FROM bids \
             WINDOW TUMBLING (SIZE {query} SECONDS) WHERE bidder % {all} = {query} GROUP BY channel EMIT CHANGES;"
        ),
    }
}

async fn run(settings: &Settings, all: u64, queries: &[u64]) -> Outcome<Cost> {
    let dir = tempfile::tempdir_in(&settings.dir)?;
    let data = Data { dir: dir.path().to_path_buf(), site: Site { bids: settings.bids } };
    let server = Server::start(&settings.server, &data.dir).await?;
    let client = server.connect().await?;
    let topic = format!("partitions = {PARTITIONS}, retention_ms = -1, kafka_topic");
    client.batch_execute(&BIDS_STREAM.replace("kafka_topic", &topic)).await?;
    for query in queries {
        client.batch_execute(&statement(all, *query)).await?;
    }
    drop(client);
    server.stop()?;
    load::fill(&data).await?;
    let begun = Instant::now();
    let server = Server::start(&settings.server, &data.dir).await?;
    let watcher = server.connect().await?;
    let sinks: Vec<String> = queries.iter().map(|query| name(*query)).collect();
    wait_for(&watcher, PROGRESS, &sinks, settings.bids).await?;
    let usage = server.usage()?;
    let cost = Cost { seconds: begun.elapsed().as_secs_f64(), cpu_s: usage.cpu_s, peak_bytes: usage.peak_bytes };
    drop(watcher);
    server.stop()?;
    for query in queries {
        let output = Output::read(&data, &name(*query))?;
        type Check = fn(&Output, Site, (u64, u64)) -> Outcome<()>;
        let check: Check = if query % 2 == 0 { verify::filtered } else { verify::counted };
        check(&output, data.site, (all, *query)).map_err(|e| format!("{}: the output is wrong: {e}", name(*query)))?;
    }
    Ok(cost)
}
