//! Starting and stopping.

use super::{
    load,
    process::{PATIENCE, Server},
};

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap()
}

#[test]
fn a_second_server_on_the_same_data_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let mut first = Server::start(dir.path(), &[]);
    first.ready();
    let (status, log) = Server::start(dir.path(), &[]).wait();
    assert_eq!(status.code(), Some(1));
    assert!(log.contains("another process has it open") && log.contains(dir.path().to_str().unwrap()), "{log}");
    let (status, log) = first.terminate();
    assert!(status.success(), "{log}");
    let mut third = Server::start(dir.path(), &[]);
    third.ready();
}

/// Who can reach the server can also stop it: no signal falls between its first port and its being ready.
#[test]
fn sigterm_stops_cleanly_from_the_first_connection_on() {
    let dir = tempfile::tempdir().unwrap();
    for _ in 0..5 {
        let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let server = Server::start(dir.path(), &["--kafka", &free.to_string()]);
        let begun = std::time::Instant::now();
        while std::net::TcpStream::connect(free).is_err() {
            assert!(begun.elapsed() < PATIENCE, "{}", server.log());
        }
        let (status, log) = server.terminate();
        assert!(status.success(), "{status}\n{log}");
    }
}

/// A start that cannot be ends with words that say which option is about it.
fn check_refused(arguments: &[&str], words: &[&str]) {
    let dir = tempfile::tempdir().unwrap();
    let (status, log) = Server::start(dir.path(), arguments).wait();
    assert_eq!(status.code(), Some(1), "{log}");
    assert!(words.iter().all(|word| log.contains(word)), "{words:?} in {log}");
}

#[test]
fn ports_that_are_taken_or_open_to_everybody_are_refused() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    check_refused(&["--kafka", &address], &["--kafka", &address, "in use", "--kafka off"]);
    check_refused(&["--kafka", "0.0.0.0:0"], &["--kafka 0.0.0.0:0", "--allow-remote"]);
}

/// A signal while clients write and a query that never ends is open: everybody is told, what was acknowledged is kept.
#[test]
fn sigterm_stops_cleanly_under_load() {
    let dir = tempfile::tempdir().unwrap();
    let mut server = Server::start(dir.path(), &[]);
    let address = server.ready();
    let runtime = runtime();
    let written = runtime.block_on(async {
        let client = load::connect(address).await.unwrap();
        let setup =
            "CREATE STREAM s (k VARCHAR KEY, v INT) WITH (kafka_topic = 's', value_format = 'JSON', partitions = 2);
                     CREATE TABLE t AS SELECT k, COUNT(*) AS n FROM s GROUP BY k EMIT CHANGES;";
        client.batch_execute(setup).await.unwrap();
        let endless = load::connect(address).await.unwrap();
        let listening = tokio::spawn(async move {
            endless.simple_query("COPY (SELECT * FROM s EMIT CHANGES) TO STDOUT;").await.map(|_| ())
        });
        let enough = std::sync::Arc::new(tokio::sync::Notify::new());
        let begun = enough.clone();
        let writing = tokio::spawn(async move {
            let mut written = 0_u64;
            while client.batch_execute("INSERT INTO s VALUES ('a', 1);").await.is_ok() {
                written += 1;
                if written == 20 {
                    enough.notify_one();
                }
            }
            written
        });
        tokio::time::timeout(PATIENCE, begun.notified()).await.expect("20 rows are written");
        let (status, log) = tokio::task::spawn_blocking(move || server.terminate()).await.unwrap();
        assert!(status.success(), "{status}\n{log}");
        assert!(!log.contains("ERROR"), "{log}");
        assert!(listening.await.unwrap().is_err(), "who listens is told");
        writing.await.unwrap()
    });
    let mut server = Server::start(dir.path(), &[]);
    let address = server.ready();
    let count = runtime.block_on(async {
        let client = load::connect(address).await.unwrap();
        let row = client.query_one("SELECT COUNT(*) AS n FROM s;", &[]).await.unwrap();
        row.get::<_, i64>(0).unsigned_abs()
    });
    assert!(count == written || count == written + 1, "{written} rows were acknowledged, {count} are there");
}
