//! A service of several processes on a Kafka cluster, which come, go and are killed at random: what comes out is what its
//! input says, once, and any of them answers for all.
//!
//! The cluster is a server of ours with its Kafka listener, or the one at `MILLSTREAM_TEST_KAFKA`. Kills go on for
//! `MILLSTREAM_CLUSTER_SECONDS`.

mod any;
mod kills;
mod schemas;
mod standby;

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    time::{Duration, Instant},
};

use tokio_postgres::{Client, SimpleQueryMessage};

use super::{
    load,
    process::{PATIENCE, Server},
};

/// Rows of one statement.
const ROWS: i64 = 20;
const KEYS: i64 = 7;

/// `$run` stands for what tells this run from others on the same cluster.
const SOURCES: &str = "CREATE STREAM src (k VARCHAR KEY, n BIGINT)
    WITH (kafka_topic = 'src$run', value_format = 'JSON', partitions = 3);
    CREATE STREAM other (k VARCHAR KEY, n BIGINT)
    WITH (kafka_topic = 'other$run', value_format = 'JSON', partitions = 2);";

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
    CREATE STREAM pairs WITH (kafka_topic = 'pairs$run') AS
        SELECT s.n AS n, s.k AS k, o.k AS other_k FROM src s JOIN other o WITHIN 10000 DAYS ON s.n = o.n EMIT CHANGES;
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

/// The next rows, as statements that write them to both streams; one key after another.
fn insert(from: i64) -> String {
    let values: Vec<String> = (from..from + ROWS).map(|n| format!("('k{}', {n})", n % KEYS)).collect();
    let values = values.join(", ");
    format!("INSERT INTO src (k, n) VALUES {values}; INSERT INTO other (k, n) VALUES {values};")
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
