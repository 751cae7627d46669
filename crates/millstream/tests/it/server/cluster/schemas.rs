//! The schema registry that is built in, over any process's HTTP.

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
};

use serde_json::{Value, json};

use super::{Cluster, block_on};

/// Status and body of what a process answers.
fn ask(process: SocketAddr, method: &str, path: &str, body: &Value) -> (u16, Value) {
    let mut socket = TcpStream::connect(process).expect("connected");
    let body = body.to_string();
    let length = body.len();
    let head = format!("{method} {path} HTTP/1.1\r\nhost: test\r\nconnection: close\r\ncontent-length: {length}\r\n");
    write!(socket, "{head}content-type: application/json\r\n\r\n{body}").expect("sent");
    let mut answer = String::new();
    socket.read_to_string(&mut answer).expect("answered");
    let status = answer.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status");
    let body = answer.split_once("\r\n\r\n").map(|(_, body)| body).unwrap_or_default();
    (status, serde_json::from_str(body).unwrap_or(Value::Null))
}

fn schema(fields: &str) -> Value {
    let schema = format!("{{\"type\": \"record\", \"name\": \"r\", \"fields\": [{fields}]}}");
    json!({ "schema": schema })
}

#[test]
fn schemas_are_changed_through_any_process() {
    block_on(async {
        let cluster = Cluster::start();
        let members = [cluster.member("schemas"), cluster.member("schemas")];
        let http = [members[0].server.http(), members[1].server.http()];
        let number = r#"{"name": "a", "type": "long"}"#;
        let added = r#"{"name": "a", "type": "long"}, {"name": "b", "type": "long"}"#;
        let mut ids = vec![];
        for (at, process) in http.into_iter().enumerate() {
            let path = format!("/subjects/s{at}/versions");
            let (status, body) = ask(process, "POST", &path, &schema(number));
            assert_eq!(status, 200, "{body}\n{}", members[at].server.log());
            ids.push(body["id"].clone());
            // It sees what it has changed.
            assert_eq!(ask(process, "GET", &path, &Value::Null), (200, json!([1])));
            // What does not fit is refused in the same words and with the same code.
            let (status, body) = ask(process, "POST", &path, &schema(added));
            assert_eq!((status, &body["error_code"]), (409, &json!(409)), "{body}");
            let level = json!({"compatibility": "NONE"});
            assert_eq!(ask(process, "PUT", &format!("/config/s{at}"), &level), (200, level));
            assert_eq!(ask(process, "POST", &path, &schema(added)).0, 200);
            assert_eq!(ask(process, "DELETE", &format!("{path}/1"), &Value::Null), (200, json!(1)));
            let mode = json!({"mode": "READONLY"});
            assert_eq!(ask(process, "PUT", "/mode/other", &mode), (200, mode));
        }
        assert_eq!(ids[0], ids[1], "one schema has one id");
        for process in http {
            for path in ["/subjects/s0/versions", "/subjects/s1/versions"] {
                assert_eq!(ask(process, "GET", path, &Value::Null), (200, json!([2])));
            }
            assert_eq!(ask(process, "DELETE", "/subjects/nothing", &Value::Null).0, 404);
        }
    });
}
