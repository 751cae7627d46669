//! The simple and the extended protocol: statements, errors, portals, cursors, transactions, cancelling.

use crate::common::{Server, shown, simple};
use futures::{StreamExt, TryStreamExt, pin_mut};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_postgres::NoTls;

async fn check(text: &str, want: &str) {
    let server = Server::start().await;
    let client = server.client().await;
    assert_eq!(simple(&client, text).await, want, "{text}");
    // Whatever happened, the session goes on.
    assert_eq!(simple(&client, "SELECT * FROM numbers LIMIT 1").await, "0\n[1]");
}

#[tokio::test]
async fn statements_of_a_message() {
    check("", "[0]").await;
    check("  ; -- nothing\n", "[0]").await;
    check(
        "SELECT * FROM numbers LIMIT 2; INSERT INTO t VALUES (1), (2); SELECT * FROM numbers LIMIT 1",
        "0\n1\n[2]\n[2]\n0\n[1]",
    )
    .await;
    check("SELECT * FROM numbers LIMIT 1; SELECT * FROM nowhere", "42P01: NOWHERE does not exist (SHOW STREAMS) at 46")
        .await;
    check("SELECT 'grüße', x FROM nowhere", "42P01: NOWHERE does not exist (SHOW STREAMS) at 24").await;
    check("SELECT version(); SELECT * FROM nowhere", "42P01: NOWHERE does not exist (SHOW STREAMS) at 33").await;
    check("SELECT * FROM breaks", "22012: division by zero").await;
}

#[tokio::test]
async fn syntax_errors_have_a_position() {
    let server = Server::start().await;
    let client = server.client().await;
    let got = simple(&client, "SELECT * FROM numbers LIMIT 1;\n SELEKT 2").await;
    assert!(got.starts_with("42601: ") && got.ends_with(" at 33"), "{got}");
}

#[tokio::test]
async fn many_rows_arrive_in_order() {
    let server = Server::start().await;
    let client = server.client().await;
    let rows = client.query("SELECT * FROM numbers LIMIT 50000", &[]).await.unwrap();
    let got: Vec<i64> = rows.iter().map(|r| r.get(0)).collect();
    assert_eq!(got, (0..50_000).collect::<Vec<i64>>());
}

#[tokio::test]
async fn portals_are_read_in_pieces() {
    let server = Server::start().await;
    let mut client = server.client().await;
    let transaction = client.transaction().await.unwrap();
    let portal = transaction.bind("SELECT * FROM numbers LIMIT 5", &[]).await.unwrap();
    let mut got = Vec::new();
    for rows_max in [2, 0] {
        let rows = transaction.query_portal(&portal, rows_max).await.unwrap();
        got.push(rows.iter().map(|r| r.get::<_, i64>(0)).collect::<Vec<_>>());
    }
    assert_eq!(got, [vec![0, 1], vec![2, 3, 4]]);
    transaction.commit().await.unwrap();
}

#[tokio::test]
async fn errors_of_the_extended_protocol_end_with_sync() {
    let server = Server::start().await;
    let client = server.client().await;
    let error = client.query("SELECT * FROM nowhere", &[]).await.unwrap_err();
    assert_eq!(shown(&error), "42P01: NOWHERE does not exist (SHOW STREAMS) at 15");
    let error = client.query("SELECT * FROM breaks", &[]).await.unwrap_err();
    assert_eq!(shown(&error), "22012: division by zero");
    let error = client.query("SELECT * FROM numbers; SELECT * FROM numbers", &[]).await.unwrap_err();
    assert_eq!(shown(&error), "42601: cannot insert multiple commands into a prepared statement");
    assert_eq!(client.execute("INSERT INTO t VALUES (1)", &[]).await.unwrap(), 1);
    assert_eq!(client.query("", &[]).await.unwrap().len(), 0);
}

#[tokio::test]
async fn transactions_track_their_status() {
    let server = Server::start().await;
    let client = server.client().await;
    let run = async |text: &str| simple(&client, text).await;
    assert_eq!(run("BEGIN; SELECT * FROM numbers LIMIT 1; COMMIT").await, "[0]\n0\n[1]\n[0]");
    run("BEGIN").await;
    run("SELECT * FROM nowhere").await;
    let refused = "25P02: current transaction is aborted, commands ignored until end of transaction block";
    assert_eq!(run("SELECT * FROM numbers LIMIT 1").await, refused);
    assert_eq!(run("SELECT version()").await, refused);
    assert_eq!(run("COMMIT").await, "[0]");
    assert_eq!(run("SELECT * FROM numbers LIMIT 1").await, "0\n[1]");
}

#[tokio::test]
async fn cursors_over_queries_that_end() {
    let server = Server::start().await;
    let client = server.client().await;
    let run = async |text: &str| simple(&client, text).await;
    run("BEGIN; DECLARE c CURSOR FOR SELECT * FROM numbers LIMIT 4").await;
    assert_eq!(run("FETCH 3 FROM c").await, "0\n1\n2\n[3]");
    assert_eq!(run("FETCH FORWARD 3 FROM c").await, "3\n[1]");
    assert_eq!(run("FETCH 3 FROM c").await, "[0]");
    assert_eq!(run("CLOSE c; FETCH c").await, "34000: cursor \"C\" does not exist");
    run("ROLLBACK; BEGIN; DECLARE d CURSOR FOR SELECT * FROM numbers LIMIT 4; COMMIT").await;
    assert_eq!(run("FETCH ALL FROM d").await, "34000: cursor \"D\" does not exist");
}

#[tokio::test]
async fn cursors_over_queries_that_never_end() {
    let server = Server::start().await;
    let client = server.client().await;
    let run = async |text: &str| simple(&client, text).await;
    let feed = server.feed();
    run("BEGIN; DECLARE c CURSOR FOR SELECT * FROM live EMIT CHANGES").await;
    (1..=5).for_each(|n| feed.send(n).unwrap());
    assert_eq!(run("FETCH 2 FROM c").await, "1\n2\n[2]");
    assert_eq!(run("FETCH 100 FROM c").await, "3\n4\n5\n[3]");
    assert_eq!(run("SET fetch_wait_ms = 1; FETCH 100 FROM c").await, "[0]\n[0]");
    feed.send(6).unwrap();
    assert_eq!(run("FETCH ALL FROM c; CLOSE c").await, "6\n[1]\n[0]");
    // psql takes a short page for the end, so its cursor waits for a whole one.
    let feed = server.feed();
    run("BEGIN; DECLARE _psql_cursor NO SCROLL CURSOR FOR SELECT * FROM live EMIT CHANGES").await;
    feed.send(1).unwrap();
    let (page, ()) = tokio::join!(run("FETCH FORWARD 2 FROM _psql_cursor"), async { feed.send(2).unwrap() });
    assert_eq!(page, "1\n2\n[2]");
}

#[tokio::test]
async fn live_rows_arrive_one_by_one() {
    let server = Server::start().await;
    let client = server.client().await;
    let feed = server.feed();
    let none: [i64; 0] = [];
    let rows = client.query_raw("SELECT * FROM live EMIT CHANGES", none).await.unwrap();
    pin_mut!(rows);
    for n in 1..4 {
        feed.send(n).unwrap();
        assert_eq!(rows.next().await.unwrap().unwrap().get::<_, i64>(0), n);
    }
    drop(feed);
    assert!(rows.next().await.is_none());
}

#[tokio::test]
async fn a_client_that_leaves_ends_its_query() {
    let server = Server::start().await;
    let (client, connection) = server.config().connect(NoTls).await.unwrap();
    let connection = tokio::spawn(connection);
    let feed = server.feed();
    let none: [i64; 0] = [];
    let mut rows = Box::pin(client.query_raw("SELECT * FROM live EMIT CHANGES", none).await.unwrap());
    feed.send(1).unwrap();
    rows.next().await.unwrap().unwrap();
    connection.abort();
    feed.closed().await;
}

#[tokio::test]
async fn cancelling() {
    let server = Server::start().await;
    let client = server.client().await;
    let cancel = client.cancel_token();
    // Nothing runs: nothing happens.
    cancel.cancel_query(NoTls).await.unwrap();
    assert_eq!(simple(&client, "SELECT * FROM numbers LIMIT 1").await, "0\n[1]");
    for text in ["SELECT * FROM hangs", "SELECT * FROM endless EMIT CHANGES"] {
        let running = client.simple_query(text);
        pin_mut!(running);
        let error = loop {
            // The request may come before the query: it is for the statement that runs, so ask until it is heard.
            tokio::select! {
                result = &mut running => break result.unwrap_err(),
                asked = cancel.cancel_query(NoTls) => asked.unwrap(),
            }
        };
        assert_eq!(shown(&error), "57014: canceling statement due to user request");
        assert_eq!(simple(&client, "SELECT * FROM numbers LIMIT 1").await, "0\n[1]");
    }
    simple(&client, "SET statement_timeout = '5ms'").await;
    assert_eq!(simple(&client, "SELECT * FROM hangs").await, "57014: canceling statement due to statement timeout");
}

#[tokio::test]
async fn a_slow_client_holds_back_nobody_else() {
    let server = Server::start().await;
    let mut slow = tokio::net::TcpStream::connect(server.address).await.unwrap();
    let startup = b"\0\0\0\x15\0\x03\0\0user\0slow\0\0\0";
    let mut startup = startup.to_vec();
    startup[3] = u8::try_from(startup.len()).unwrap();
    slow.write_all(&startup).await.unwrap();
    let query = b"SELECT * FROM endless EMIT CHANGES\0";
    let mut message = vec![b'Q', 0, 0, 0, u8::try_from(query.len() + 4).unwrap()];
    message.extend_from_slice(query);
    slow.write_all(&message).await.unwrap();
    // It has begun, and from here on reads nothing.
    slow.read_exact(&mut [0; 1000]).await.unwrap();
    let client = server.client().await;
    for _ in 0..200 {
        assert_eq!(simple(&client, "SELECT * FROM numbers LIMIT 1").await, "0\n[1]");
    }
    // A batch is 1000 rows of 12 bytes or more: what was made fits into the sockets' buffers.
    let made = server.fake.made.load(std::sync::atomic::Ordering::SeqCst);
    assert!(made < 2000, "{made} batches were made for a client that does not read");
}

#[tokio::test]
async fn connections_are_limited_and_end_at_shutdown() {
    let settings = pgserver::Settings { connections_max: 1, ..Default::default() };
    let server = Server::with(crate::common::Fake::default(), settings).await;
    let client = server.client().await;
    let error = server.config().connect(NoTls).await.err().unwrap();
    assert_eq!(shown(&error), "53300: sorry, too many clients already");
    let running = client.simple_query("SELECT * FROM hangs");
    let (result, ()) = tokio::join!(running, server.stop());
    assert_eq!(shown(&result.unwrap_err()), "57P01: terminating connection: the server is shutting down");
}

#[tokio::test]
async fn remote_addresses_need_permission() {
    let error = pgserver::listen(([0, 0, 0, 0], 0).into(), &pgserver::Settings::default()).await.unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::PermissionDenied);
    let allowed = pgserver::Settings { allow_remote: true, ..Default::default() };
    assert!(pgserver::listen(([127, 0, 0, 1], 0).into(), &allowed).await.is_ok());
}

#[tokio::test]
async fn session_variables() {
    let server = Server::start().await;
    let client = server.client().await;
    let run = async |text: &str| simple(&client, text).await;
    assert_eq!(run("SHOW server_version").await, "16.0 (Millstream 0.1)\n[0]");
    run("SET application_name TO 'x'; SET extra_float_digits = 3; SET search_path = a").await;
    assert_eq!(run("SHOW application_name").await, "x\n[0]");
    assert_eq!(run("RESET application_name; SHOW application_name").await, "[0]\n\n[0]");
    assert_eq!(
        run("SET client_encoding = 'LATIN1'").await,
        "22023: invalid value for parameter \"client_encoding\": \"LATIN1\" (only UTF8 is supported)"
    );
    assert_eq!(run("SELECT set_config('search_path', 'b', false)").await, "b\n[1]");
    assert_eq!(run("SELECT current_setting('search_path')").await, "b\n[1]");
    assert_eq!(run("DISCARD ALL; SHOW search_path").await, "[0]\npublic\n[0]");
}

#[tokio::test]
async fn garbage_ends_the_connection_alone() {
    let server = Server::start().await;
    for garbage in [b"\0\0\0\x04".as_slice(), b"GET / HTTP/1.1\r\n\r\n", b"\xff\xff\xff\xff\xff\xff\xff\xff"] {
        let mut socket = tokio::net::TcpStream::connect(server.address).await.unwrap();
        socket.write_all(garbage).await.unwrap();
        let mut answer = Vec::new();
        socket.read_to_end(&mut answer).await.unwrap();
        assert_eq!(answer.first(), Some(&b'E'));
    }
    assert_eq!(simple(&server.client().await, "SELECT * FROM numbers LIMIT 1").await, "0\n[1]");
}

#[tokio::test]
async fn notices_reach_the_client() {
    let server = Server::start().await;
    let (client, mut connection) = server.config().connect(NoTls).await.unwrap();
    let (sender, notices) = futures::channel::mpsc::unbounded();
    let messages = futures::stream::poll_fn(move |cx| connection.poll_message(cx));
    tokio::spawn(messages.map_err(drop).try_for_each(move |message| {
        if let tokio_postgres::AsyncMessage::Notice(notice) = message {
            sender.unbounded_send(notice.message().to_owned()).unwrap();
        }
        futures::future::ready(Ok(()))
    }));
    simple(&client, "BEGIN; INSERT INTO t VALUES (1); INSERT INTO t VALUES (2); COMMIT; SET client_min_messages = error; INSERT INTO t VALUES (3)").await;
    drop(client);
    let got: Vec<String> = notices.collect().await;
    let autocommit = "statements take effect at once: ROLLBACK will not undo this one";
    assert_eq!(got, [autocommit, "kept in mind", "kept in mind"]);
}
