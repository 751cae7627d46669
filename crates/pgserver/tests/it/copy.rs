//! COPY both ways.

use crate::common::{Server, shown, simple};
use bytes::Bytes;
use futures::{SinkExt, StreamExt, TryStreamExt, pin_mut};

async fn copy_in(server: &Server, statement: &str, chunks: &[&'static str]) -> Result<u64, tokio_postgres::Error> {
    let client = server.client().await;
    let sink = client.copy_in::<_, Bytes>(statement).await?;
    pin_mut!(sink);
    for chunk in chunks {
        sink.send(Bytes::from_static(chunk.as_bytes())).await?;
    }
    sink.finish().await
}

async fn check(statement: &str, chunks: &[&'static str], want: &str) {
    let server = Server::start().await;
    let result = copy_in(&server, statement, chunks).await;
    let rows = server.fake.copied.lock().unwrap().clone();
    let rows = rows.iter().map(|r| r.iter().map(|f| f.as_deref().unwrap_or("NULL")).collect::<Vec<_>>().join("|"));
    let rows = rows.collect::<Vec<_>>().join("; ");
    let got = match result {
        Ok(n) => format!("{n}: {rows}"),
        Err(e) => shown(&e),
    };
    assert_eq!(got, want, "{statement}");
}

#[tokio::test]
async fn from_stdin() {
    check("COPY t FROM STDIN", &["1\ta", "\n2\t", "\\N\n3\tx\\ty"], "3: 1|a; 2|NULL; 3|x\ty").await;
    check("COPY t (a, b) FROM STDIN WITH (FORMAT csv, HEADER)", &["a,b\n1,\"x", ",\ny\"\n2,\n"], "2: 1|x,\ny; 2|NULL")
        .await;
    check("COPY t FROM STDIN (FORMAT csv, DELIMITER ';', NULL '-')", &["1;-\n"], "1: 1|NULL").await;
    check("COPY t FROM STDIN", &[], "0: ").await;
}

#[tokio::test]
async fn errors_name_the_line() {
    check("COPY t FROM STDIN", &["1\ta\n2\n"], "22P04: line 2: missing data: 1 of 2 columns").await;
    check("COPY t FROM STDIN", &["1\ta\n2\tb\n3\tbad\n"], "22P02: line 3, column B: bad is bad").await;
    check("COPY t FROM STDIN CSV", &["1,\"a\n"], "22P04: line 1: unterminated CSV quoted field").await;
    check("COPY nowhere FROM STDIN", &[], "42P01: NOWHERE does not exist at 6").await;
}

#[tokio::test]
async fn the_session_goes_on_after_a_copy_that_failed() {
    let server = Server::start().await;
    let client = server.client().await;
    for statement in ["COPY t FROM STDIN", "COPY t FROM STDIN CSV"] {
        let sink = client.copy_in::<_, Bytes>(statement).await.unwrap();
        pin_mut!(sink);
        _ = sink.send(Bytes::from_static(b"1\n2\n3\n4\n")).await;
        assert!(sink.finish().await.is_err());
        assert_eq!(simple(&client, "SELECT * FROM numbers LIMIT 1").await, "0\n[1]");
    }
    // A client that gives up.
    let sink = client.copy_in::<_, Bytes>("COPY t FROM STDIN").await.unwrap();
    drop(sink);
    assert_eq!(simple(&client, "SELECT * FROM numbers LIMIT 1").await, "0\n[1]");
}

#[tokio::test]
async fn to_stdout() {
    let server = Server::start().await;
    let client = server.client().await;
    let copy = async |statement: &str| -> String {
        let stream = client.copy_out(statement).await.unwrap();
        let chunks: Vec<Bytes> = stream.try_collect().await.unwrap();
        String::from_utf8(chunks.concat()).unwrap()
    };
    assert_eq!(copy("COPY (SELECT * FROM numbers LIMIT 3) TO STDOUT").await, "0\n1\n2\n");
    let text = copy("COPY (SELECT * FROM types) TO STDOUT").await;
    assert!(text.starts_with("t\t-7\t1099511627776\t0.1\t-123.45\tgrüß\t\\\\x00ff\t2020-02-29"), "{text}");
    let csv = copy("COPY (SELECT * FROM types) TO STDOUT (FORMAT csv, HEADER)").await;
    assert!(csv.starts_with("boolean,int,"), "{csv}");
    assert!(csv.contains(",\"{\"\"a b\"\",NULL,\"\"NULL\"\"}\","), "{csv}");
}

#[tokio::test]
async fn live_rows_to_stdout() {
    let server = Server::start().await;
    let client = server.client().await;
    let feed = server.feed();
    let stream = client.copy_out("COPY (SELECT * FROM live EMIT CHANGES) TO STDOUT").await.unwrap();
    pin_mut!(stream);
    for (n, want) in [(1, "1\n"), (2, "2\n")] {
        feed.send(n).unwrap();
        assert_eq!(stream.next().await.unwrap().unwrap(), want);
    }
}
