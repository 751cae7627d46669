//! Any bytes of a client are answered or end its connection; nothing panics, and the next client is served.

use std::{net::SocketAddr, path::Path, sync::Arc, time::Duration};

use engine::{Cut, Engine, EngineConfig};
use fuzz::{Damage, Room, kind_of};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};
use tokio_util::sync::CancellationToken;

/// What is there before a client comes.
const WORLD: &str = "
    CREATE STREAM orders (id BIGINT KEY, amount DECIMAL(9, 2), tags ARRAY<STRING>, at TIMESTAMP, item STRING, raw BYTES)
        WITH (kafka_topic = 'orders', value_format = 'JSON', partitions = 1);
    CREATE TABLE items AS SELECT item, COUNT(*) AS n, SUM(amount) AS total FROM orders GROUP BY item;
    INSERT INTO orders (id, amount, tags, at, item) VALUES (1, 2.50, ARRAY['a', NULL], '2020-01-01T00:00:00', 'pen'),
        (2, NULL, NULL, NULL, 'ink');
";

/// Inputs that one server gets: what they create stays within bounds.
const SERVER_INPUTS: u32 = 100;

/// A connection that neither sends nor ends is left after so long: a statement may wait for more.
const WAIT_MS: u64 = 300;
/// Bytes of an answer that are looked at.
const ANSWER_BYTES_MAX: usize = 1 << 20;

/// A message: its type, and fields one after another.
fn message(kind: u8, fields: &[&[u8]]) -> Vec<u8> {
    let body = fields.concat();
    let length = u32::try_from(body.len() + 4).unwrap();
    [&[kind][..], &length.to_be_bytes(), &body].concat()
}

fn startup() -> Vec<u8> {
    let body = b"\0\x03\0\0user\0fuzz\0database\0d\0application_name\0x\0\0";
    [&u32::try_from(body.len() + 4).unwrap().to_be_bytes()[..], body].concat()
}

/// What good clients send.
fn seeds() -> Vec<Vec<u8>> {
    let query = |text: &str| message(b'Q', &[text.as_bytes(), b"\0"]);
    let parse =
        |name: &str, text: &str, types: &[u8]| message(b'P', &[name.as_bytes(), b"\0", text.as_bytes(), b"\0", types]);
    let sync = || message(b'S', &[]);
    let execute = |portal: &str, rows: u8| message(b'E', &[portal.as_bytes(), b"\0\0\0\0", &[rows]]);
    let describe = |target: u8, name: &str| message(b'D', &[&[target], name.as_bytes(), b"\0"]);
    let bind = message(b'B', &[b"p\0s\0", b"\0\x01\0\0", b"\0\x01\0\0\0\x011", b"\0\x01\0\x01"]);
    let sessions: Vec<Vec<Vec<u8>>> = vec![
        vec![query("SELECT * FROM orders")],
        vec![query("SELECT 1; SELECT * FROM items; BEGIN; COMMIT"), query("SHOW server_version")],
        vec![query("DECLARE c CURSOR FOR SELECT * FROM orders"), query("FETCH 2 FROM c; CLOSE c")],
        vec![
            parse("s", "SELECT * FROM items WHERE n = $1", b"\0\x01\0\0\0\x17"),
            describe(b'S', "s"),
            bind.clone(),
            describe(b'P', "p"),
            execute("p", 2),
            execute("p", 0),
            message(b'C', &[b"Ss\0"]),
            sync(),
        ],
        vec![
            parse("", "SELECT * FROM orders", b"\0\0"),
            message(b'B', &[b"\0\0\0\0\0\0\0\0"]),
            execute("", 1),
            message(b'H', &[]),
            sync(),
        ],
        vec![
            query("COPY orders (id, amount) FROM STDIN WITH (FORMAT csv, HEADER)"),
            message(b'd', &[b"id,amount\n1,\"2.50\"\n"]),
            message(b'd', &[b"2,\\N\n"]),
            message(b'c', &[]),
        ],
        vec![
            query("COPY orders FROM STDIN"),
            message(b'd', &[b"1\t2.5\t{a,b}\t2020-01-01\n\\.\n"]),
            message(b'f', &[b"no\0"]),
        ],
        vec![query("COPY (SELECT * FROM orders) TO STDOUT WITH (FORMAT binary)")],
        vec![
            query("COPY orders FROM STDIN WITH (FORMAT binary)"),
            message(b'd', &[b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0\0\x01\0\0\0\x08\0\0\0\0\0\0\0\x01\xff\xff"]),
            message(b'c', &[]),
        ],
        vec![message(b'F', &[b"\0\0\0\x01\0\0\0\0\0\0"]), message(b'p', &[b"secret\0"]), sync(), message(b'X', &[])],
        vec![query(
            "SET datestyle = 'ISO'; SET x TO DEFAULT; DISCARD ALL; DEALLOCATE ALL; PREPARE q AS SELECT 1; EXECUTE q",
        )],
        vec![query(
            "SELECT n.nspname, c.relname FROM pg_catalog.pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.relname ~ '^o'",
        )],
    ];
    let mut out: Vec<Vec<u8>> =
        sessions.into_iter().map(|messages| [startup(), messages.concat(), message(b'X', &[])].concat()).collect();
    // What may come before a session: TLS, GSS, a cancellation.
    out.push(
        [
            &b"\0\0\0\x08\x04\xd2\x16\x2f"[..],
            &b"\0\0\0\x08\x04\xd2\x16\x30"[..],
            &startup(),
            &query("SELECT * FROM orders"),
        ]
        .concat(),
    );
    out.push(b"\0\0\0\x10\x04\xd2\x16\x2e\0\0\0\x01\0\0\0\x02".to_vec());
    out
}

const WORDS: &[&str] = &[
    "orders",
    "items",
    "amount",
    "SELECT",
    "FROM",
    "FETCH ALL",
    "DECLARE",
    "CURSOR",
    "COPY",
    "STDIN",
    "FORMAT binary",
    "NULL",
    "DELIMITER ','",
    "QUOTE '\"'",
    "$1",
    "$65536",
    "\0",
    "\n",
    "\\.",
    "\\N",
    "\\x00",
    "1999-02-30",
    "infinity",
    "NaN",
    "{{a},b}",
    "BEGIN",
    "ROLLBACK",
    "pg_type",
    "::regclass",
    ";",
    "PRINT",
    "LIMIT 1",
    "EMIT CHANGES",
];

/// Sends bytes, and reads to the end; the types of the messages that came, and the words of the first error.
async fn talk(address: SocketAddr, input: &[u8]) -> String {
    let mut socket = TcpStream::connect(address).await.expect("the server listens");
    let (mut reader, mut writer) = socket.split();
    let mut answer = vec![];
    let exchange = async {
        // A server that has heard enough may have closed its side.
        let send = async {
            let _ = writer.write_all(input).await;
            let _ = writer.shutdown().await;
        };
        let receive = async {
            let mut part = vec![0; 1 << 14];
            while let Ok(count @ 1..) = reader.read(&mut part).await {
                answer.extend_from_slice(&part[..count]);
                if answer.len() > ANSWER_BYTES_MAX {
                    break;
                }
            }
        };
        tokio::join!(send, receive);
    };
    let ended = tokio::time::timeout(Duration::from_millis(WAIT_MS), exchange).await;
    let mut kinds = if ended.is_ok() { String::new() } else { "waits ".to_owned() };
    let mut rest = answer.as_slice();
    while let [kind, a, b, c, d, ..] = rest {
        let length = u32::from_be_bytes([*a, *b, *c, *d]) as usize + 1;
        if *kind == b'E' && !kinds.contains('E') {
            let body = rest.get(5..length.min(rest.len())).unwrap_or_default();
            kinds.push_str(&kind_of(&String::from_utf8_lossy(body)));
        }
        if !kinds.ends_with(char::from(*kind)) {
            kinds.push(char::from(*kind));
        }
        rest = rest.get(length..).unwrap_or_default();
    }
    kinds.chars().take(200).collect()
}

/// A server over an engine in memory.
struct Server {
    engine: Arc<Engine>,
    address: SocketAddr,
    stop: CancellationToken,
    inputs: u32,
}

impl Server {
    async fn start() -> Server {
        let engine = Engine::open(EngineConfig { threads: 1, manual: true, ..EngineConfig::default() }).await.unwrap();
        let mut session = engine.session();
        for statement in session.parse(WORLD).unwrap() {
            let prepared = session.prepare(&statement).await.unwrap();
            session.execute(&prepared, &[]).await.unwrap();
        }
        engine.drive(Cut::All).await.unwrap();
        let settings = pgserver::Settings::default();
        let listener = pgserver::listen(([127, 0, 0, 1], 0).into(), &settings).await.unwrap();
        let address = listener.local_addr().unwrap();
        let stop = CancellationToken::new();
        tokio::spawn(pgserver::serve(Arc::clone(&engine), listener, settings, stop.clone()));
        Server { engine, address, stop, inputs: 0 }
    }

    async fn stop(self) {
        self.stop.cancel();
        self.engine.shutdown().await;
    }
}

/// The answer to an input, from a server that is not worn out.
async fn ask(server: &mut Option<Server>, input: &[u8]) -> String {
    if let Some(old) = server.take_if(|s| s.inputs >= SERVER_INPUTS) {
        old.stop().await;
    }
    let server = match server {
        Some(server) => server,
        none => none.insert(Server::start().await),
    };
    server.inputs += 1;
    talk(server.address, input).await
}

#[test]
fn frontend_messages() {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime");
    let room = Room {
        name: "frontend_messages",
        corpus: Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/corpus/frontend_messages"),
        seeds: seeds(),
        damage: Damage { words: WORDS, nests: &[], bytes_max: 10_000 },
        inputs: 600,
    };
    let mut server = None;
    room.run(|input| runtime.block_on(ask(&mut server, input)));
}
