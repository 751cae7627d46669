//! A service of several processes on a Kafka cluster, which come, go and are killed at random: what comes out is what its
//! input says, once, and any of them answers for all.
//!
//! The cluster is a server of ours with its Kafka listener, or the one at `MILLSTREAM_TEST_KAFKA`. Kills go on for
//! `MILLSTREAM_CLUSTER_SECONDS`.

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    time::{Duration, Instant},
};

use rand::{Rng, SeedableRng, rngs::StdRng};
use tokio_postgres::{Client, SimpleQueryMessage, error::ErrorPosition};

use super::{
    load,
    process::{PATIENCE, Server},
};

/// How long processes are killed when nobody says.
const SECONDS_DEFAULT: u64 = 12;
/// Processes of the service that come and go.
const PROCESSES: (usize, usize) = (2, 4);
/// Rows of one statement.
const ROWS: i64 = 20;
const KEYS: i64 = 7;

/// `$run` stands for what tells this run from others on the same cluster.
const SOURCES: &str = "CREATE STREAM src (k VARCHAR KEY, n BIGINT)
    WITH (kafka_topic = 'src$run', value_format = 'JSON', partitions = 3);";

/// The windows are so long that none of them ends while a test runs.
const QUERIES: &str = "
    CREATE STREAM passed WITH (kafka_topic = 'passed$run') AS SELECT k, n + 1000 AS n FROM src EMIT CHANGES;
    CREATE TABLE totals WITH (kafka_topic = 'totals$run') AS
        SELECT k, COUNT(*) AS rows_in, SUM(n) AS total FROM src GROUP BY k EMIT CHANGES;
    CREATE TABLE by_half WITH (kafka_topic = 'by_half$run') AS
        SELECT n % 2 AS half, COUNT(*) AS rows_in FROM src GROUP BY n % 2 EMIT CHANGES;
    CREATE STREAM totalled WITH (kafka_topic = 'totalled$run') AS
        SELECT src.k AS k, src.n AS n, t.total AS total
        FROM src LEFT JOIN totals t ON src.k = t.k EMIT CHANGES;
    CREATE TABLE by_third WITH (kafka_topic = 'by_third$run') AS
        SELECT n % 3 AS third, COUNT(*) AS rows_in FROM src WINDOW TUMBLING (SIZE 10000 DAYS)
        GROUP BY n % 3 EMIT CHANGES;
";

/// The results, as streams of another engine's.
const RESULTS: &str = "
    CREATE STREAM passed (k VARCHAR KEY, n BIGINT) WITH (kafka_topic = 'passed$run', value_format = 'JSON');
    CREATE STREAM totals (k VARCHAR KEY, rows_in BIGINT, total BIGINT)
        WITH (kafka_topic = 'totals$run', value_format = 'JSON');
    CREATE STREAM by_half (half BIGINT KEY, rows_in BIGINT) WITH (kafka_topic = 'by_half$run', value_format = 'JSON');
    CREATE STREAM totalled (k VARCHAR KEY, n BIGINT) WITH (kafka_topic = 'totalled$run', value_format = 'JSON');
";

/// The Kafka cluster.
struct Cluster {
    server: Option<Server>,
    bootstrap: String,
    data: tempfile::TempDir,
    /// In the names of its topics and services.
    run: String,
}

impl Cluster {
    fn start() -> Cluster {
        let data = tempfile::tempdir().unwrap();
        if let Ok(bootstrap) = std::env::var("MILLSTREAM_TEST_KAFKA") {
            return Cluster { server: None, bootstrap, data, run: format!("_{:08x}", rand::random::<u32>()) };
        }
        println!("MILLSTREAM_TEST_KAFKA is not set: the cluster is a server of ours");
        Cluster::of_ours(data)
    }

    fn of_ours(data: tempfile::TempDir) -> Cluster {
        let mut server = Server::start(data.path(), &[]);
        server.ready();
        let bootstrap = server.kafka().to_string();
        Cluster { server: Some(server), bootstrap, data, run: String::new() }
    }

    /// Kill the server of ours.
    fn stop(&mut self) {
        self.server.take().expect("one of ours").kill();
    }

    /// Start it again; where its own clients connect.
    fn start_again(&mut self) -> SocketAddr {
        let server = self.server.insert(Server::start(self.data.path(), &["--kafka", &self.bootstrap]));
        server.ready()
    }

    /// Statements with the names of this run.
    fn named(&self, text: &str) -> String {
        text.replace("$run", &self.run)
    }

    /// A process of service `service`.
    fn member(&self, service: &str) -> Member {
        self.member_with(service, &[])
    }

    fn member_with(&self, service: &str, more: &[&str]) -> Member {
        let service = &format!("{service}{}", self.run);
        let arguments = ["--kafka-bootstrap", &self.bootstrap, "--service-id", service];
        let mut server = Server::launch(&[&arguments, more].concat());
        let address = server.ready();
        Member { server, address }
    }
}

struct Member {
    server: Server,
    address: SocketAddr,
}

async fn connect(address: SocketAddr) -> Client {
    load::connect(address).await.unwrap_or_else(|| panic!("{address} takes connections"))
}

/// Make the service's streams, tables and queries.
async fn create(cluster: &Cluster, client: &Client) {
    client.batch_execute(&cluster.named(SOURCES)).await.expect("the stream is created");
    client.batch_execute("SET 'auto.offset.reset' = 'earliest';").await.expect("is set");
    client.batch_execute(&cluster.named(QUERIES)).await.expect("the queries are created");
}

/// Rows of a statement, cells with spaces between.
async fn rows(client: &Client, text: &str) -> Result<Vec<String>, tokio_postgres::Error> {
    let mut found = vec![];
    for message in client.simple_query(text).await? {
        if let SimpleQueryMessage::Row(row) = message {
            let cells: Vec<&str> = (0..row.len()).map(|at| row.get(at).unwrap_or("null")).collect();
            found.push(cells.join(" "));
        }
    }
    found.sort();
    Ok(found)
}

/// Ask again until the rows are as wanted, or for too long.
async fn until_rows(address: SocketAddr, text: &str, wanted: &[String], log: &Server) {
    let began = Instant::now();
    let mut last = String::new();
    while began.elapsed() < PATIENCE {
        if let Some(client) = load::connect(address).await {
            match rows(&client, text).await {
                Ok(found) if found == wanted => return,
                found => last = format!("{found:?}"),
            }
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("{text} gives {last}, not {wanted:?}\n{}", log.log());
}

/// The next rows, as a statement that writes them; one key after another in each row.
fn insert(from: i64) -> String {
    let values: Vec<String> = (from..from + ROWS).map(|n| format!("('k{}', {n})", n % KEYS)).collect();
    format!("INSERT INTO src (k, n) VALUES {};", values.join(", "))
}

/// What comes of the first `count` rows: by key how many and their sum.
fn totals(count: i64) -> Vec<String> {
    let mut all: BTreeMap<String, (i64, i64)> = BTreeMap::new();
    for n in 0..count {
        let (rows, sum) = all.entry(format!("k{}", n % KEYS)).or_default();
        (*rows, *sum) = (*rows + 1, *sum + n);
    }
    all.into_iter().map(|(k, (rows, sum))| format!("{k} {rows} {sum}")).collect()
}

fn halves(count: i64) -> Vec<String> {
    vec![format!("0 {}", (count + 1) / 2), format!("1 {}", count / 2)]
}

fn block_on(test: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(test);
}

fn thirds(count: i64) -> Vec<String> {
    (0..3).map(|third| format!("{third} {}", (count + 2 - third) / 3)).collect()
}

const THIRDS: &str = "SELECT third, SUM(rows_in) AS n FROM by_third GROUP BY third;";

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
    drop(members);
    drop(cluster.server);
    drop(cluster.data);
}

/// The records of the results, read committed.
async fn check_results(cluster: &Cluster, feed: &Client, written: i64, log: &Server) {
    feed.batch_execute(&cluster.named(RESULTS)).await.expect("the results are there");
    let mut passed: Vec<String> = (0..written).map(|n| format!("k{} {}", n % KEYS, n + 1000)).collect();
    passed.sort();
    let began = Instant::now();
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

/// What a statement is refused with: code, message, place.
async fn refusal(client: &Client, text: &str) -> (String, String, Option<ErrorPosition>) {
    let error = client.batch_execute(text).await.expect_err("is refused");
    let error = error.as_db_error().unwrap_or_else(|| panic!("{error}"));
    (error.code().code().to_owned(), error.message().to_owned(), error.position().cloned())
}

#[test]
fn any_process_takes_any_statement() {
    block_on(async {
        let cluster = Cluster::start();
        let members = [cluster.member("any"), cluster.member("any"), cluster.member("any")];
        let clients =
            [connect(members[0].address).await, connect(members[1].address).await, connect(members[2].address).await];
        create(&cluster, &clients[0]).await;
        // Seen by who made it, whoever that is, and by the others a moment later.
        for (number, client) in clients.iter().enumerate() {
            let name = format!("copy{number}");
            let create =
                format!("CREATE STREAM {name} WITH (kafka_topic = '{name}$run') AS SELECT * FROM src EMIT CHANGES;");
            client.batch_execute(&cluster.named(&create)).await.expect("is created");
            client.batch_execute(&format!("DESCRIBE {name};")).await.expect("is there");
        }
        // Refused in the same words at the same place.
        for text in ["SELECT 1; CREATE STREAM again AS SELECT nothing FROM src EMIT CHANGES;", "DROP STREAM src;"] {
            let refusals =
                [refusal(&clients[0], text).await, refusal(&clients[1], text).await, refusal(&clients[2], text).await];
            assert!(refusals.iter().all(|other| *other == refusals[0]), "{refusals:?}");
        }
        // A session sees what it has written, wherever the rows are kept.
        for (number, client) in (0..).zip(&clients) {
            client.batch_execute(&insert(number * ROWS)).await.expect("is written");
            let count = (number + 1) * ROWS;
            let server = &members[0].server;
            for (text, wanted) in [
                ("SELECT * FROM totals;", totals(count)),
                ("SELECT * FROM by_half;", halves(count)),
                (THIRDS, thirds(count)),
            ] {
                assert_eq!(rows(client, text).await.expect("is read"), wanted, "{text}\n{}", server.log());
            }
        }
        let written = 3 * ROWS;
        for (Member { server, address }, number) in members.iter().zip(1..) {
            let limited = format!("SELECT k FROM totals LIMIT {number};");
            let first: Vec<String> = totals(written).iter().map(|row| row[..2].to_owned()).take(number).collect();
            until_rows(*address, &limited, &first, server).await;
            let range = "SELECT third FROM by_third WHERE third = 1;";
            until_rows(*address, range, &["1".to_owned()], server).await;
            let joined = "SELECT COUNT(*) AS n FROM totals t JOIN by_half h ON t.rows_in % 2 = h.half;";
            until_rows(*address, joined, &["7".to_owned()], server).await;
        }
        // Each task is with one of them, and all say so.
        for query in rows(&clients[0], "SHOW QUERIES;").await.expect("are shown") {
            assert!(query.contains(" PERSISTENT RUNNING "), "{query}");
            let explain = format!("EXPLAIN {};", query.split(' ').next().expect("an id"));
            let (mut here, mut tasks) = (0, vec![]);
            for client in &clients {
                let lines = rows(client, &explain).await.expect("is explained");
                tasks.push(lines.iter().filter(|line| line.starts_with("Task ")).count());
                here +=
                    lines.iter().filter(|line| line.starts_with("Task ") && line.contains(": here, RUNNING")).count();
            }
            assert!(tasks.iter().all(|count| *count == here && here > 0), "{query}: {tasks:?}, {here} here");
        }
        // Paused and resumed everywhere.
        clients[1].batch_execute("PAUSE ALL;").await.expect("is paused");
        clients[2].batch_execute(&insert(written)).await.expect("is written");
        for client in &clients {
            let states = rows(client, "SELECT DISTINCT state FROM system.queries;").await.expect("is read");
            assert!(states.iter().all(|state| state == "PAUSED"), "{states:?}");
        }
        clients[2].batch_execute("RESUME ALL;").await.expect("goes on");
        for Member { server, address } in &members {
            until_rows(*address, "SELECT * FROM totals;", &totals(written + ROWS), server).await;
        }
        // Replaced, then dropped, with what it kept.
        let replace = "SET 'auto.offset.reset' = 'earliest'; CREATE OR REPLACE TABLE by_half WITH (kafka_topic = 'by_half$run') AS
            SELECT n % 2 AS half, COUNT(*) AS rows_in FROM src WHERE n >= 0 GROUP BY n % 2 EMIT CHANGES;";
        clients[1].batch_execute(&cluster.named(replace)).await.expect("is replaced");
        for Member { server, address } in &members {
            until_rows(*address, "SELECT * FROM by_half;", &halves(written + ROWS), server).await;
        }
        clients[2].batch_execute("DROP TABLE by_half DELETE TOPIC;").await.expect("is dropped");
        clients[2]
            .batch_execute("CREATE TABLE by_half AS SELECT k, COUNT(*) AS rows_in FROM src GROUP BY k EMIT CHANGES;")
            .await
            .expect("the name is free");
        for Member { server, address } in &members {
            let counts: Vec<String> =
                totals(written + ROWS).iter().map(|row| row.rsplit_once(' ').expect("three").0.to_owned()).collect();
            until_rows(*address, "SELECT * FROM by_half;", &counts, server).await;
        }
    });
}

#[test]
fn what_cannot_be_is_told_at_start() {
    let check = |arguments: &[&str], words: &[&str]| {
        let (status, log) = Server::launch(arguments).wait();
        assert_eq!(status.code(), Some(1), "{arguments:?}: {log}");
        words.iter().for_each(|word| assert!(log.contains(word), "{arguments:?}: {log}"));
    };
    check(&["--kafka-bootstrap", "127.0.0.1:1"], &["127.0.0.1:1"]);
    check(&["--kafka-bootstrap", "127.0.0.1:1", "--kafka", "127.0.0.1:0"], &["--kafka 127.0.0.1:0", "leave it out"]);
    check(&["--service-id", "x"], &["--kafka-bootstrap"]);
}
