//! The server over an engine.

use std::sync::Arc;

use crate::common::{shown, simple};
use bytes::Bytes;
use engine::{Engine, EngineConfig};
use futures::{SinkExt, StreamExt, pin_mut};
use tokio_postgres::{Client, NoTls};
use tokio_util::sync::CancellationToken;

struct Running {
    engine: Arc<Engine>,
    port: u16,
    stop: CancellationToken,
    server: tokio::task::JoinHandle<std::io::Result<()>>,
}

impl Running {
    async fn start() -> Running {
        let engine = Engine::open(EngineConfig { threads: 2, ..EngineConfig::default() }).await.unwrap();
        let settings = pgserver::Settings::default();
        let listener = pgserver::listen(([127, 0, 0, 1], 0).into(), &settings).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let stop = CancellationToken::new();
        let server = tokio::spawn(pgserver::serve(Arc::clone(&engine), listener, settings, stop.clone()));
        Running { engine, port, stop, server }
    }

    async fn client(&self) -> Client {
        let url = format!("postgres://tester@127.0.0.1:{}/shop", self.port);
        let (client, connection) = tokio_postgres::connect(&url, NoTls).await.unwrap();
        tokio::spawn(connection);
        client
    }

    async fn stop(self) {
        self.stop.cancel();
        self.server.await.unwrap().unwrap();
        self.engine.shutdown().await;
    }
}

const VIEWS: &str = "
    CREATE STREAM views (id BIGINT KEY, page STRING, ms INT) WITH (kafka_topic = 'views', value_format = 'JSON', partitions = 1);
    CREATE TABLE pages AS SELECT page, COUNT(*) AS n, SUM(ms) AS total FROM views GROUP BY page EMIT CHANGES;
";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn from_rows_to_a_lookup() {
    let running = Running::start().await;
    let client = running.client().await;
    let run = async |text: &str| simple(&client, text).await;
    let made = run(VIEWS).await;
    assert!(!made.contains(": "), "{made}");
    assert_eq!(run("INSERT INTO views (id, page, ms) VALUES (1, '/a', 5), (2, '/b', 7), (3, '/a', 6)").await, "[3]");
    // A session sees what it wrote.
    assert_eq!(run("SELECT page, n, total FROM pages WHERE page = '/a'").await, "/a|2|11\n[1]");
    let lookup = client.prepare("SELECT n, total FROM pages WHERE page = $1").await.unwrap();
    for (page, n) in [("/a", Some(2)), ("/b", Some(1)), ("/c", None)] {
        let row = client.query_opt(&lookup, &[&page]).await.unwrap();
        assert_eq!(row.map(|r| r.get::<_, i64>(0)), n, "{page}");
    }
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn live_rows_and_copy() {
    let running = Running::start().await;
    let (writer, reader) = (running.client().await, running.client().await);
    simple(&writer, VIEWS).await;
    let none: [i64; 0] = [];
    simple(&reader, "SET 'auto.offset.reset' = 'earliest'").await;
    let rows = reader.query_raw("SELECT id, page FROM views EMIT CHANGES", none).await.unwrap();
    pin_mut!(rows);
    let sink = writer.copy_in::<_, Bytes>("COPY views (id, page, ms) FROM STDIN").await.unwrap();
    pin_mut!(sink);
    sink.send(Bytes::from_static(b"1\t/a\t5\n2\t")).await.unwrap();
    sink.send(Bytes::from_static(b"\\N\t7\n")).await.unwrap();
    assert_eq!(sink.finish().await.unwrap(), 2);
    let row = rows.next().await.unwrap().unwrap();
    assert_eq!((row.get::<_, i64>(0), row.get::<_, Option<&str>>(1)), (1, Some("/a")));
    let row = rows.next().await.unwrap().unwrap();
    assert_eq!((row.get::<_, i64>(0), row.get::<_, Option<&str>>(1)), (2, None));
    let error = copy_error(&writer, "1\t/a\t5\n2\t/b\tmany\n").await;
    assert!(error.contains("line 2"), "{error}");
    running.stop().await;
}

async fn copy_error(client: &Client, text: &'static str) -> String {
    let sink = client.copy_in::<_, Bytes>("COPY views FROM STDIN").await.unwrap();
    pin_mut!(sink);
    sink.send(Bytes::from_static(text.as_bytes())).await.unwrap();
    shown(&sink.finish().await.unwrap_err())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn errors_and_the_catalog() {
    let running = Running::start().await;
    let client = running.client().await;
    let run = async |text: &str| simple(&client, text).await;
    simple(&client, VIEWS).await;
    let unknown = run("SELECT * FROM viewz EMIT CHANGES").await;
    assert!(unknown.starts_with("42P01: ") && unknown.ends_with(" at 15"), "{unknown}");
    let columns = "SELECT column_name, data_type FROM information_schema.columns WHERE table_name = 'PAGES' ORDER BY 1";
    assert_eq!(run(columns).await, "N|bigint\nPAGE|text\nTOTAL|integer\n[3]");
    assert_eq!(run("SELECT count(*) FROM pg_tables WHERE tablename IN ('VIEWS', 'PAGES')").await, "2\n[1]");
    assert_eq!(run("SELECT 1 + 1 AS two").await, "2\n[1]");
    running.stop().await;
}
