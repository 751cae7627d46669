//! The registry's API over HTTP, request by request.

use std::collections::BTreeMap;

use engine::{Engine, EngineConfig};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::oneshot,
};

/// A server on an engine in memory.
struct Server {
    address: std::net::SocketAddr,
    _stop: oneshot::Sender<()>,
}

impl Server {
    async fn start() -> Server {
        let config = EngineConfig {
            data_dir: None,
            threads: 1,
            properties: BTreeMap::new(),
            manual: false,
            default_partitions: 1,
            ..EngineConfig::default()
        };
        let engine = Engine::open(config).await.expect("an engine in memory");
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("an address");
        let (stop, stopped) = oneshot::channel::<()>();
        tokio::spawn(httpserver::serve(engine, listener, async {
            let _ = stopped.await;
        }));
        Server { address, _stop: stop }
    }

    /// Status and body.
    async fn ask(&self, method: &str, path: &str, body: Option<Value>) -> (u16, Value) {
        let mut socket = TcpStream::connect(self.address).await.expect("connected");
        let body = body.map(|b| b.to_string()).unwrap_or_default();
        let request = format!(
            "{method} {path} HTTP/1.1\r\nhost: test\r\nconnection: close\r\n\
             content-type: application/vnd.schemaregistry.v1+json\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        );
        socket.write_all(request.as_bytes()).await.expect("written");
        let mut answer = String::new();
        socket.read_to_string(&mut answer).await.expect("read");
        let status = answer.split(' ').nth(1).and_then(|s| s.parse().ok()).expect("a status");
        let body = answer.split_once("\r\n\r\n").map(|(_, body)| body).unwrap_or_default();
        (status, serde_json::from_str(body).unwrap_or(Value::Null))
    }

    async fn check(&self, method: &str, path: &str, body: Option<Value>, status: u16, expect: Value) {
        let found = self.ask(method, path, body).await;
        assert_eq!(found, (status, expect), "{method} {path}");
    }

    /// An error with that code.
    async fn refuse(&self, method: &str, path: &str, body: Option<Value>, status: u16, code: u32) -> String {
        let (found, body) = self.ask(method, path, body).await;
        assert_eq!((found, &body["error_code"]), (status, &json!(code)), "{method} {path}: {body}");
        body["message"].as_str().expect("a message").to_owned()
    }
}

fn avro(fields: &str) -> Value {
    json!({"schema": format!(r#"{{"type": "record", "name": "R", "fields": [{fields}]}}"#)})
}

const X: &str = r#"{"name": "X", "type": "int"}"#;

#[tokio::test]
async fn registered_found_and_deleted() {
    let server = Server::start().await;
    server.check("GET", "/subjects", None, 200, json!([])).await;
    server.check("POST", "/subjects/a-value/versions", Some(avro(X)), 200, json!({"id": 1})).await;
    server.check("POST", "/subjects/a-value/versions", Some(avro(X)), 200, json!({"id": 1})).await;
    server.check("POST", "/subjects/b-value/versions?normalize=False", Some(avro(X)), 200, json!({"id": 1})).await;
    server.refuse("GET", "/subjects?offset=x", None, 400, 400).await;
    let text = r#"{"type":"record","name":"R","fields":[{"name":"X","type":"int"}]}"#;
    let version = json!({"subject": "a-value", "version": 1, "id": 1, "schema": text});
    server.check("GET", "/subjects/a-value/versions/latest", None, 200, version.clone()).await;
    server.check("POST", "/subjects/a-value", Some(avro(X)), 200, version).await;
    server.check("GET", "/schemas/ids/1", None, 200, json!({"schema": text})).await;
    server.check("GET", "/schemas/ids/1/subjects", None, 200, json!(["a-value", "b-value"])).await;
    server.check("GET", "/subjects/a-value/versions", None, 200, json!([1])).await;
}

#[tokio::test]
async fn deleted_softly_then_for_good() {
    let server = Server::start().await;
    server.check("POST", "/subjects/a/versions", Some(avro(X)), 200, json!({"id": 1})).await;
    server.refuse("DELETE", "/subjects/a?permanent=true", None, 404, 40405).await;
    server.check("DELETE", "/subjects/a", None, 200, json!([1])).await;
    server.refuse("DELETE", "/subjects/a", None, 404, 40404).await;
    server.check("GET", "/subjects", None, 200, json!([])).await;
    server.check("GET", "/subjects?deleted=true", None, 200, json!(["a"])).await;
    assert_eq!(server.ask("GET", "/schemas/ids/1", None).await.0, 200);
    server.check("DELETE", "/subjects/a?permanent=true", None, 200, json!([1])).await;
    server.refuse("GET", "/schemas/ids/1", None, 404, 40403).await;
    server.refuse("GET", "/subjects/a/versions", None, 404, 40401).await;
}

#[tokio::test]
async fn versions_have_to_fit() {
    let server = Server::start().await;
    let wider = avro(&format!(r#"{X}, {{"name": "Y", "type": "string"}}"#));
    server.check("POST", "/subjects/a/versions", Some(avro(X)), 200, json!({"id": 1})).await;
    let path = "/compatibility/subjects/a/versions/latest?verbose=true";
    let why = "reading the data of version 1: /fields/Y/: the field 'Y' is not in the writer's schema and has no \
               default in the reader's";
    server.check("POST", path, Some(wider.clone()), 200, json!({"is_compatible": false, "messages": [why]})).await;
    let message = server.refuse("POST", "/subjects/a/versions", Some(wider.clone()), 409, 409).await;
    assert!(message.contains(why), "{message}");
    server.check("GET", "/config", None, 200, json!({"compatibilityLevel": "BACKWARD"})).await;
    server.refuse("GET", "/config/a", None, 404, 40408).await;
    let none = json!({"compatibility": "NONE"});
    server.check("PUT", "/config/a", Some(none.clone()), 200, none).await;
    server.check("POST", "/subjects/a/versions", Some(wider), 200, json!({"id": 2})).await;
    server.refuse("PUT", "/config", Some(json!({"compatibility": "SOME"})), 422, 42203).await;
}

#[tokio::test]
async fn what_is_wrong_is_said() {
    let server = Server::start().await;
    let broken = json!({"schema": "{\"type\": \"record\"}"});
    let message = server.refuse("POST", "/subjects/a/versions", Some(broken), 422, 42201).await;
    assert!(message.contains("without \"name\""), "{message}");
    let unknown = json!({"schema": "x", "schemaType": "XML"});
    server.refuse("POST", "/subjects/a/versions", Some(unknown), 422, 42201).await;
    server.refuse("POST", "/subjects/a/versions", Some(json!([])), 400, 400).await;
    server.check("POST", "/subjects/a/versions", Some(avro(X)), 200, json!({"id": 1})).await;
    server.refuse("GET", "/subjects/a/versions/0", None, 422, 42202).await;
    server.refuse("GET", "/subjects/a/versions/9", None, 404, 40402).await;
    server.refuse("GET", "/subjects/none/versions/1", None, 404, 40401).await;
}

#[tokio::test]
async fn references_hold_what_they_refer_to() {
    let server = Server::start().await;
    server.check("POST", "/subjects/r/versions", Some(avro(X)), 200, json!({"id": 1})).await;
    let user = json!({
        "schema": r#"{"type": "record", "name": "U", "fields": [{"name": "R", "type": "R"}]}"#,
        "references": [{"name": "R", "subject": "r", "version": 1}],
    });
    server.check("POST", "/subjects/u/versions", Some(user), 200, json!({"id": 2})).await;
    server.check("GET", "/subjects/r/versions/1/referencedby", None, 200, json!([2])).await;
    server.refuse("DELETE", "/subjects/r", None, 422, 42206).await;
    let dangling = json!({
        "schema": r#"{"type": "record", "name": "U", "fields": [{"name": "R", "type": "S"}]}"#,
        "references": [{"name": "S", "subject": "s", "version": 1}],
    });
    server.refuse("POST", "/subjects/u/versions", Some(dangling), 422, 42201).await;
}

#[tokio::test]
async fn modes_are_kept() {
    let server = Server::start().await;
    server.check("PUT", "/mode/a", Some(json!({"mode": "READONLY"})), 200, json!({"mode": "READONLY"})).await;
    server.refuse("POST", "/subjects/a/versions", Some(avro(X)), 422, 42205).await;
    server.check("PUT", "/mode/a", Some(json!({"mode": "IMPORT"})), 200, json!({"mode": "IMPORT"})).await;
    let mut with_id = avro(X);
    with_id["id"] = 77.into();
    with_id["version"] = 5.into();
    server.check("POST", "/subjects/a/versions", Some(with_id), 200, json!({"id": 77})).await;
    server.check("GET", "/subjects/a/versions", None, 200, json!([5])).await;
    server.check("GET", "/mode", None, 200, json!({"mode": "READWRITE"})).await;
}
