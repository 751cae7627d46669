//! Processes are killed, stopped and added at random while rows come.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use futures::TryStreamExt;
use parking_lot::Mutex;
use rand::{Rng, SeedableRng, rngs::StdRng};
use tokio_postgres::{Client, SimpleQueryMessage};

use super::{
    super::process::{PATIENCE, Server},
    Cluster, KEYS, Member, ROWS, SOURCES, THIRDS, block_on, connect, create, halves, insert, rows, thirds, totals,
    until_rows,
};

/// How long processes are killed when nobody says.
const SECONDS_DEFAULT: u64 = 12;
/// Processes of the service that come and go.
const PROCESSES: (usize, usize) = (2, 4);
/// The results, as streams of another engine's.
const RESULTS: &str = "
    CREATE STREAM passed (k VARCHAR KEY, n BIGINT) WITH (kafka_topic = 'passed$run', value_format = 'JSON');
    CREATE STREAM totals (k VARCHAR KEY, rows_in BIGINT, total BIGINT)
        WITH (kafka_topic = 'totals$run', value_format = 'JSON');
    CREATE STREAM by_half (half BIGINT KEY, rows_in BIGINT) WITH (kafka_topic = 'by_half$run', value_format = 'JSON');
    CREATE STREAM totalled (k VARCHAR KEY, n BIGINT) WITH (kafka_topic = 'totalled$run', value_format = 'JSON');
    CREATE STREAM pairs (n BIGINT KEY, k VARCHAR, other_k VARCHAR) WITH (kafka_topic = 'pairs$run', value_format = 'JSON');
";

#[test]
fn processes_of_a_service_stand_in_for_each_other() {
    let seconds = std::env::var("MILLSTREAM_CLUSTER_SECONDS").ok().and_then(|text| text.parse().ok());
    let seed = std::env::var("MILLSTREAM_SEED").ok().and_then(|text| text.parse().ok()).unwrap_or_else(rand::random);
    println!("MILLSTREAM_SEED={seed}");
    block_on(kills(Duration::from_secs(seconds.unwrap_or(SECONDS_DEFAULT)), seed));
}

async fn kills(time: Duration, seed: u64) {
    let (cluster, mut rng) = (Cluster::start(), StdRng::seed_from_u64(seed));
    // Who writes, and looks at what comes out, is a service of its own that nobody kills.
    let writer = cluster.member("writer");
    let feed = connect(writer.address).await;
    feed.batch_execute(&cluster.named(SOURCES)).await.expect("the stream is created");
    // Some keep copies of state on their disks, some have names, and all keep state warm that others have.
    let config = cluster.data.path().join("killed.toml");
    std::fs::write(&config, "[kafka_cluster]\nstandby_replicas = 1\n").expect("is written");
    let (config, mut started) = (config.to_str().expect("a path of text").to_owned(), 0);
    let mut start = |rng: &mut StdRng| {
        started += 1;
        let name = format!("p{started}");
        let data = cluster.data.path().join(&name).to_str().expect("a path of text").to_owned();
        let mut arguments = vec!["--config", &config];
        if rng.random_bool(0.5) {
            arguments.extend(["--data", &data]);
        }
        if rng.random_bool(0.5) {
            arguments.extend(["--instance-id", &name]);
        }
        cluster.member_with("killed", &arguments)
    };
    let mut members = vec![start(&mut rng)];
    create(&cluster, &connect(members[0].address).await).await;
    members.extend([start(&mut rng), start(&mut rng)]);
    // One that nobody kills is watched for what the others do.
    let witness = start(&mut rng);
    let pushed = pushed(&witness, "SELECT k, n FROM passed EMIT CHANGES;").await;
    let (began, mut written, mut kills, mut longest) = (Instant::now(), 0, 0, Duration::ZERO);
    while kills < 3 || began.elapsed() < time {
        for _ in 0..rng.random_range(1..15) {
            feed.batch_execute(&insert(written)).await.expect("is written");
            written += ROWS;
        }
        if rng.random_bool(0.3) {
            // Whoever is asked answers for all.
            for member in &members {
                until_rows(member.address, "SELECT * FROM totals;", &totals(written), &member.server).await;
            }
        }
        tokio::time::sleep(Duration::from_millis(rng.random_range(0..500))).await;
        let victim = rng.random_range(0..members.len());
        match rng.random_range(0..4) {
            0 if members.len() < PROCESSES.1 => members.push(start(&mut rng)),
            1 if members.len() > PROCESSES.0 => {
                let (status, log) = members.swap_remove(victim).server.terminate();
                assert!(status.success(), "SIGTERM ends a process cleanly: {status}\n{log}");
            }
            _ => {
                members.swap_remove(victim).server.kill();
                let killed = Instant::now();
                feed.batch_execute(&insert(written)).await.expect("is written");
                written += ROWS;
                if members.len() < PROCESSES.0 {
                    members.push(start(&mut rng));
                }
                let member = &members[rng.random_range(0..members.len())];
                until_rows(member.address, "SELECT * FROM totals;", &totals(written), &member.server).await;
                longest = longest.max(killed.elapsed());
                kills += 1;
            }
        }
    }
    println!("{kills} kills, {written} rows, the longest until all was answered again {longest:?}");
    for Member { server, address } in &members {
        until_rows(*address, "SELECT * FROM totals;", &totals(written), server).await;
        until_rows(*address, "SELECT * FROM by_half;", &halves(written), server).await;
        until_rows(*address, THIRDS, &thirds(written), server).await;
        for row in totals(written) {
            let key = row.split(' ').next().expect("a key");
            let lookup = format!("SELECT * FROM totals WHERE k = '{key}';");
            until_rows(*address, &lookup, std::slice::from_ref(&row), server).await;
        }
    }
    check_results(&cluster, &feed, written, &members[0].server).await;
    let began = Instant::now();
    while pushed.lock().len() < passed(written).len() {
        assert!(began.elapsed() < PATIENCE, "{} rows were pushed\n{}", pushed.lock().len(), witness.server.log());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let mut pushed = pushed.lock().clone();
    pushed.sort();
    assert_eq!(pushed, passed(written), "each row is pushed once");
    drop((members, witness));
    drop(cluster.server);
    drop(cluster.data);
}

/// The rows that a push query gives to a client, as they come.
async fn pushed(member: &Member, text: &'static str) -> Arc<Mutex<Vec<String>>> {
    let (client, found) = (connect(member.address).await, Arc::new(Mutex::new(vec![])));
    client.batch_execute("SET 'auto.offset.reset' = 'earliest';").await.expect("is set");
    let into = found.clone();
    tokio::spawn(async move {
        let mut rows = std::pin::pin!(client.simple_query_raw(text).await.expect("is watched"));
        // It ends with the process; what is missing then is missed at the end.
        while let Ok(Some(message)) = rows.try_next().await {
            if let SimpleQueryMessage::Row(row) = message {
                let cells: Vec<&str> = (0..row.len()).map(|at| row.get(at).unwrap_or("null")).collect();
                into.lock().push(cells.join(" "));
            }
        }
    });
    found
}

/// What comes through the query that does nothing but pass rows on.
fn passed(written: i64) -> Vec<String> {
    let mut passed: Vec<String> = (0..written).map(|n| format!("k{} {}", n % KEYS, n + 1000)).collect();
    passed.sort();
    passed
}

/// The records of the results, read committed.
pub(super) async fn check_results(cluster: &Cluster, feed: &Client, written: i64, log: &Server) {
    feed.batch_execute(&cluster.named(RESULTS)).await.expect("the results are there");
    let (passed, began) = (passed(written), Instant::now());
    loop {
        let found = rows(feed, "SELECT * FROM passed;").await.expect("is read");
        if found == passed {
            break;
        }
        assert!(
            found.len() <= passed.len() && began.elapsed() < PATIENCE,
            "{} rows of {}\n{}",
            found.len(),
            passed.len(),
            log.log()
        );
    }
    let count = |of: &str| format!("SELECT COUNT(*) FROM (SELECT DISTINCT k, n FROM {of}) x;");
    let all = vec![written.to_string()];
    assert_eq!(rows(feed, &count("passed")).await.expect("is read"), all);
    let joined = "SELECT COUNT(*) FROM totalled;";
    while rows(feed, joined).await.expect("is read") != all {
        assert!(began.elapsed() < PATIENCE, "{:?}\n{}", rows(feed, joined).await, log.log());
    }
    assert_eq!(rows(feed, &count("totalled")).await.expect("is read"), all);
    let paired = "SELECT COUNT(*) FROM pairs WHERE k = other_k;";
    while rows(feed, paired).await.expect("is read") != all {
        assert!(began.elapsed() < PATIENCE, "{:?}\n{}", rows(feed, paired).await, log.log());
    }
    let pairs = "SELECT COUNT(*) FROM (SELECT DISTINCT n FROM pairs) x;";
    assert_eq!(rows(feed, pairs).await.expect("is read"), all);
    // Records of a key count up by what an epoch had of it, and never back: none was computed on another's state.
    let last = "SELECT k, MAX(rows_in), MAX(total) FROM totals GROUP BY k;";
    assert_eq!(rows(feed, last).await.expect("is read"), totals(written));
    let twice = "SELECT k, rows_in FROM totals GROUP BY k, rows_in HAVING COUNT(*) > 1;";
    assert_eq!(rows(feed, twice).await.expect("is read"), Vec::<String>::new());
}

#[test]
fn a_service_goes_on_when_the_cluster_is_back() {
    block_on(async {
        let mut cluster = Cluster::of_ours(tempfile::tempdir().unwrap());
        let member = cluster.member("left");
        let client = connect(member.address).await;
        create(&cluster, &client).await;
        client.batch_execute(&insert(0)).await.expect("is written");
        until_rows(member.address, "SELECT * FROM totals;", &totals(ROWS), &member.server).await;
        cluster.stop();
        let feed = connect(cluster.start_again()).await;
        feed.batch_execute(&cluster.named(SOURCES)).await.expect("the stream is created");
        feed.batch_execute(&insert(ROWS)).await.expect("is written");
        until_rows(member.address, "SELECT * FROM totals;", &totals(2 * ROWS), &member.server).await;
        check_results(&cluster, &feed, 2 * ROWS, &member.server).await;
    });
}
