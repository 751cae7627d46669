//! The client against our own registry behind HTTP, and against servers that answer in other ways.

#![allow(clippy::unwrap_used, missing_docs)]

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::{Arc, mpsc},
    thread,
};

use engine::{Cut, Engine, EngineConfig, Outcome};
use formats::{SchemaReference, SchemaRegistry, SchemaText, SchemaType};
use host::VirtualClock;
use registryclient::{Client, Settings};
use tokio::{runtime::Runtime, sync::oneshot};
use types::ErrorKind;

/// A server with the registry that is built in, on a runtime of its own.
struct Registry {
    engine: Arc<Engine>,
    address: SocketAddr,
    runtime: Runtime,
    _stop: oneshot::Sender<()>,
}

fn in_memory() -> EngineConfig {
    EngineConfig { threads: 1, manual: true, default_partitions: 1, ..EngineConfig::default() }
}

impl Registry {
    fn start() -> Registry {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let (stop, stopped) = oneshot::channel::<()>();
        let (engine, address) = runtime.block_on(async {
            let engine = Engine::open(in_memory()).await.unwrap();
            let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
            let address = listener.local_addr().unwrap();
            tokio::spawn(httpserver::serve(engine.clone(), listener, async {
                let _ = stopped.await;
            }));
            (engine, address)
        });
        Registry { engine, address, runtime, _stop: stop }
    }

    fn client(&self) -> Client {
        client(&format!("http://{}", self.address))
    }
}

fn client(url: &str) -> Client {
    let settings = Settings { url: url.to_owned(), ..Settings::default() };
    Client::new(&settings, Arc::new(VirtualClock::at(0))).unwrap()
}

fn avro(text: &str) -> SchemaText {
    SchemaText { ty: SchemaType::Avro, text: text.to_owned(), references: vec![] }
}

#[test]
fn registered_and_found() {
    let registry = Registry::start();
    let (writer, reader) = (registry.client(), registry.client());
    assert_eq!(reader.latest("a-value"), Ok(None));
    assert_eq!(reader.by_id(1), Ok(None));
    assert_eq!(writer.register("a-value", &avro("\"int\"")), Ok(1));
    assert_eq!(writer.register("a-value", &avro("\"int\"")), Ok(1));
    assert_eq!(writer.register("b/odd name%-value", &avro("\"string\"")), Ok(2));
    assert_eq!(writer.register("a-value", &avro("\"long\"")), Ok(3));
    let found = reader.latest("a-value").unwrap().unwrap();
    assert_eq!((found.id, found.schema.text.as_str()), (3, "\"long\""));
    assert_eq!(reader.by_id(2).unwrap().unwrap().schema, avro("\"string\""));
    assert_eq!(reader.latest("b/odd name%-value").unwrap().unwrap().id, 2);
    assert_eq!(reader.version("a-value", 1).unwrap().unwrap().id, 1);
    assert_eq!(reader.version("a-value", 9), Ok(None));
    let refused = writer.register("a-value", &avro("\"bytes\"")).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Conflict);
    assert!(refused.message().contains(&registry.address.to_string()), "{refused}");
    let wrong = writer.register("a-value", &avro("\"nothing\"")).unwrap_err();
    assert!(wrong.message().contains("42201"), "{wrong}");
    assert_eq!(writer.delete_subject("a-value"), Ok(()));
    assert_eq!(writer.delete_subject("a-value"), Ok(()));
    assert_eq!(reader.latest("a-value"), Ok(None));
    // Old records can still be read, and what is registered again is asked for again.
    assert_eq!(registry.client().by_id(1).unwrap().unwrap().id, 1);
    assert_eq!(writer.register("a-value", &avro("\"int\"")), Ok(1));
    assert_eq!(reader.latest("a-value").unwrap().unwrap().id, 1);
}

#[test]
fn languages_and_references() {
    let registry = Registry::start();
    let client = registry.client();
    let event = "syntax = \"proto3\"; message Event { int64 at = 1; }";
    let event = SchemaText { ty: SchemaType::Protobuf, text: event.to_owned(), references: vec![] };
    client.register("event.proto", &event).unwrap();
    let reference = SchemaReference { name: "event.proto".into(), subject: "event.proto".into(), version: 1 };
    let text = "syntax = \"proto3\"; import \"event.proto\"; message Log { Event event = 1; }";
    let log = SchemaText { ty: SchemaType::Protobuf, text: text.to_owned(), references: vec![reference] };
    let id = client.register("log-value", &log).unwrap();
    assert_eq!(registry.client().by_id(id).unwrap().unwrap().schema, log);
    let json = SchemaText { ty: SchemaType::Json, text: r#"{"type":"object"}"#.to_owned(), references: vec![] };
    let id = client.register("j-value", &json).unwrap();
    assert_eq!(registry.client().latest("j-value").unwrap().unwrap().schema, json);
    assert_eq!(registry.client().by_id(id).unwrap().unwrap().schema, json);
}

/// Statements one after another; what the last one says, rows as one text.
async fn run(engine: &Arc<Engine>, text: &str) -> Result<String, String> {
    use futures::StreamExt;
    let mut session = engine.session();
    let mut last = String::new();
    for statement in session.parse(text).map_err(|e| e.render(text))? {
        let prepared = session.prepare(&statement).await.map_err(|e| e.to_string())?;
        last = match session.execute(&prepared, &[]).await.map_err(|e| e.to_string())? {
            Outcome::Done { tag, .. } => tag,
            Outcome::Rows(rows) => {
                let batches: Vec<_> = rows.batches.map(|b| b.unwrap()).collect().await;
                arrow::util::pretty::pretty_format_batches(&batches).unwrap().to_string()
            }
        };
        engine.drive(Cut::All).await.map_err(|e| e.to_string())?;
    }
    Ok(last)
}

#[test]
fn an_engine_uses_it() {
    let registry = Registry::start();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let config = EngineConfig { registry: Some(Arc::new(registry.client())), ..in_memory() };
    runtime.block_on(async {
        let engine = Engine::open(config).await.unwrap();
        let statements = "
            CREATE STREAM orders (id BIGINT KEY, item VARCHAR) WITH (kafka_topic = 'orders', value_format = 'AVRO', partitions = 1);
            CREATE TABLE items AS SELECT item, COUNT(*) AS n FROM orders GROUP BY item;
            INSERT INTO orders (id, item) VALUES (1, 'pen'), (2, 'pen');
            CREATE STREAM same WITH (kafka_topic = 'orders', value_format = 'AVRO');
            SELECT * FROM items WHERE item = 'pen';";
        let rows = run(&engine, statements).await.unwrap();
        assert!(rows.contains("| pen  | 2 |"), "{rows}");
        let known = run(&engine, "DESCRIBE same").await.unwrap();
        assert!(known.contains("ITEM"), "{known}");
        assert!(engine.subjects().subjects(schemaregistry::Deleted::With).is_empty(), "nothing is in its own registry");
        run(&engine, "DROP STREAM same; TERMINATE ALL; DROP TABLE items; DROP STREAM orders DELETE TOPIC;").await.unwrap();
        engine.shutdown().await;
    });
    let there = registry.engine.subjects();
    assert_eq!(there.subjects(schemaregistry::Deleted::Without), ["ITEMS-value"]);
    assert_eq!(there.subjects(schemaregistry::Deleted::With), ["ITEMS-value", "orders-value"]);
    registry.runtime.shutdown_background();
}

/// A server that gives these answers (status and body), one to each connection; it sends on what it was asked.
fn scripted(answers: Vec<(u16, String)>) -> (String, mpsc::Receiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        for (status, body) in answers {
            let (mut socket, _) = listener.accept().unwrap();
            sender.send(request(&mut socket)).unwrap();
            let length = body.len();
            let head = format!("HTTP/1.1 {status} X\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n");
            let _ = socket.write_all(head.as_bytes()).and_then(|()| socket.write_all(body.as_bytes()));
        }
    });
    (url, receiver)
}

/// Head and body of a request.
fn request(socket: &mut TcpStream) -> String {
    let mut reader = BufReader::new(socket);
    let (mut out, mut length) = (String::new(), 0);
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).unwrap();
        if let Some(value) = line.to_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().unwrap();
        }
        if line.trim().is_empty() {
            break;
        }
        out.push_str(&line);
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).unwrap();
    out + &String::from_utf8(body).unwrap()
}

/// Ask for schema 7: what comes of it, and how often the server was asked.
fn check(answers: &[(u16, &str)], expect: Result<Option<i32>, &str>, asked: usize) {
    let (url, requests) = scripted(answers.iter().map(|(status, body)| (*status, (*body).to_owned())).collect());
    let found = client(&url).by_id(7).map(|f| f.map(|schema| schema.id));
    match (found, expect) {
        (Ok(found), Ok(expect)) => assert_eq!(found, expect, "{answers:?}"),
        (Err(error), Err(part)) => {
            assert!(error.message().contains(part) && error.message().contains(&url), "{error} ({part}?)");
        }
        (found, _) => panic!("{answers:?}: {found:?}"),
    }
    assert_eq!(requests.try_iter().count(), asked, "{answers:?}");
}

#[test]
fn what_registries_may_answer() {
    let good = r#"{"schema": "\"int\""}"#;
    check(&[(200, good)], Ok(Some(7)), 1);
    check(&[(404, r#"{"error_code": 40403, "message": "Schema not found"}"#)], Ok(None), 1);
    check(&[(500, "{}"), (503, "busy"), (200, good)], Ok(Some(7)), 3);
    check(&[(500, "a"), (502, "b"), (503, "c")], Err("c (status 503 of /schemas/ids/7)"), 3);
    check(&[(401, r#"{"error_code": 401, "message": "Unauthorized"}"#)], Err("refuses us (401): Unauthorized"), 1);
    check(&[(422, r#"{"error_code": 42205, "message": "no"}"#)], Err("no (error 42205"), 1);
    check(&[(200, "<html>")], Err("the answer to /schemas/ids/7 is strange"), 1);
    check(&[(301, "")], Err("status 301"), 1);
    check(&[(200, r#"{"schema": "", "schemaType": "THRIFT"}"#)], Err("THRIFT"), 1);
    let long = "x".repeat(9 << 20);
    check(&[(200, &long), (200, &long), (200, &long)], Err("does not answer"), 3);
}

#[test]
fn who_we_are_and_what_we_ask() {
    let (url, requests) = scripted(vec![(200, r#"{"id": 5}"#.to_owned())]);
    let settings = Settings { url: url.clone(), user: Some("u".into()), password: Some("secret".into()), ca: None };
    let client = Client::new(&settings, Arc::new(VirtualClock::at(0))).unwrap();
    assert_eq!(client.register("t-value", &avro("\"int\"")), Ok(5));
    let request = requests.recv().unwrap();
    assert!(request.starts_with("POST /subjects/t-value/versions HTTP/1.1\r\n"), "{request}");
    assert!(request.to_lowercase().contains("authorization: basic "), "{request}");
    assert!(request.contains("dTpzZWNyZXQ="), "{request}");
    assert!(request.ends_with(r#"{"schema":"\"int\"","schemaType":"AVRO"}"#), "{request}");
}

#[test]
fn the_next_address_is_asked_where_one_does_not_answer() {
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let (url, _requests) = scripted(vec![(200, r#"{"schema": "\"int\""}"#.to_owned())]);
    assert_eq!(client(&format!("http://{closed},{url}")).by_id(7).unwrap().unwrap().id, 7);
    let error = client(&format!("http://{closed}")).by_id(7).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert!(error.message().contains(&format!("schema registry http://{closed} does not answer")), "{error}");
}

#[test]
fn what_is_known_or_missing_is_not_asked_for_again() {
    let clock = Arc::new(VirtualClock::at(0));
    let (missing, good) = (r#"{"error_code": 40403, "message": "-"}"#, r#"{"schema": "\"int\""}"#);
    let (url, requests) = scripted(vec![(404, missing.to_owned()), (200, good.to_owned())]);
    let settings = Settings { url, ..Settings::default() };
    let client = Client::new(&settings, clock.clone()).unwrap();
    assert_eq!((client.by_id(7), client.by_id(7)), (Ok(None), Ok(None)));
    assert_eq!(requests.try_iter().count(), 1);
    clock.advance_ms(6_000);
    assert_eq!(client.by_id(7).unwrap().unwrap().id, 7);
    assert_eq!(client.by_id(7).unwrap().unwrap().id, 7);
    assert_eq!(requests.try_iter().count(), 1);
}
