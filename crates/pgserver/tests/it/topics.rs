//! Statements about topics, over a log in memory.

use crate::common::{Fake, Server, simple};
use bytes::Bytes;
use futures::{SinkExt, StreamExt, pin_mut};
use host::Host;
use recordlog::embedded::EmbeddedLog;

async fn server() -> Server {
    let log = EmbeddedLog::open_in_memory(&Host::in_memory()).unwrap();
    Server::with(Fake { log: Some(log), ..Fake::default() }, Default::default()).await
}

async fn write(client: &tokio_postgres::Client, statement: &str, text: &'static str) -> Result<u64, String> {
    let sink = client.copy_in::<_, Bytes>(statement).await.map_err(|e| crate::common::shown(&e))?;
    pin_mut!(sink);
    sink.send(Bytes::from_static(text.as_bytes())).await.map_err(|e| crate::common::shown(&e))?;
    sink.finish().await.map_err(|e| crate::common::shown(&e))
}

#[tokio::test]
async fn made_written_read_described_dropped() {
    let server = server().await;
    let client = server.client().await;
    let run = async |text: &str| simple(&client, text).await;
    assert_eq!(run("CREATE TOPIC \"t-1\" PARTITIONS 2 WITH ('retention.ms' = '1000000')").await, "[0]");
    assert_eq!(run("CREATE TOPIC IF NOT EXISTS 't-1'").await, "[0]");
    assert!(run("CREATE TOPIC 't-1'").await.starts_with("42710: "));
    let all = "COPY TOPIC 't-1' (KEY, VALUE, PARTITION, TIMESTAMP, HEADERS) FROM STDIN";
    let rows = "a\tone\t0\t1500\t{\"h\":\"x\"}\nb\t\\N\t1\t2500\t\\N\n";
    assert_eq!(write(&client, all, rows).await, Ok(2));
    let read = "READ TOPIC 't-1' PARTITION 0 FROM BEGINNING";
    assert_eq!(run(read).await, "0|0|1970-01-01 00:00:01.5|\\x61|\\x6f6e65|{\"h\":\"x\"}\n[1]");
    assert_eq!(
        run("READ TOPIC t-1 PARTITION 1 FROM OFFSET 0 LIMIT 1").await,
        "1|0|1970-01-01 00:00:02.5|\\x62|NULL|NULL\n[1]"
    );
    assert_eq!(run("READ TOPIC t-1").await, "[0]");
    let described = run("DESCRIBE TOPIC t-1").await;
    assert!(
        described.starts_with("0|0|1|") && described.contains("\n1|0|1|") && described.contains("retention.ms=1000000"),
        "{described}"
    );
    assert_eq!(
        write(&client, "COPY TOPIC t-1 (VALUE, PARTITION) FROM STDIN", "x\t0\ny\t7\n").await,
        Err("22P02: line 2: no such partition: \"7\"".into())
    );
    assert_eq!(run("DROP TOPIC t-1; DROP TOPIC IF EXISTS t-1").await, "[0]\n[0]");
    assert!(run("READ TOPIC t-1").await.starts_with("42P01: "));
    assert!(write(&client, "COPY TOPIC t-1 FROM STDIN", "").await.is_err_and(|e| e.starts_with("42P01: ")));
}

#[tokio::test]
async fn many_records_keep_their_order_within_a_key() {
    let server = server().await;
    let client = server.client().await;
    simple(&client, "CREATE TOPIC t PARTITIONS 3").await;
    let sink = client.copy_in::<_, Bytes>("COPY TOPIC t FROM STDIN").await.unwrap();
    pin_mut!(sink);
    for chunk in 0..50 {
        let lines: String = (0..1000).map(|i| format!("k{}\t{}\n", i % 7, chunk * 1000 + i)).collect();
        sink.send(Bytes::from(lines)).await.unwrap();
    }
    assert_eq!(sink.finish().await.unwrap(), 50_000);
    let rows = client.query("READ TOPIC t FROM BEGINNING", &[]).await.unwrap();
    let mut last = std::collections::HashMap::new();
    for row in &rows {
        let value: i64 = std::str::from_utf8(row.get(4)).unwrap().parse().unwrap();
        let before = last.insert(row.get::<_, Vec<u8>>(3), value);
        assert!(before.is_none_or(|before| before < value));
    }
    assert_eq!((rows.len(), last.len()), (50_000, 7));
}

#[tokio::test]
async fn reading_goes_on() {
    let server = server().await;
    let (writer, reader) = (server.client().await, server.client().await);
    simple(&writer, "CREATE TOPIC t").await;
    let none: [i64; 0] = [];
    let rows = reader.query_raw("READ TOPIC t FROM BEGINNING LIMIT 2 EMIT CHANGES", none).await.unwrap();
    pin_mut!(rows);
    for (line, want) in [("\\N\tone\n", "one"), ("\\N\ttwo\n", "two")] {
        assert_eq!(write(&writer, "COPY TOPIC t FROM STDIN", line).await, Ok(1));
        assert_eq!(rows.next().await.unwrap().unwrap().get::<_, &[u8]>(4), want.as_bytes());
    }
    assert!(rows.next().await.is_none());
}
