//! Who writes to the server while it is killed: what was acknowledged, and what is not known.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use bytes::Bytes;
use futures::SinkExt;
use rand::{Rng, SeedableRng, rngs::StdRng};
use tokio_postgres::{Client, NoTls};

/// Keys of one producer. No two producers share one, so that all records of a key have an order that is known.
const KEYS: u32 = 4;
/// Groups of one producer.
const GROUPS: u32 = 2;

/// A statement that wrote.
pub struct Write {
    pub topic: &'static str,
    /// Numbers of the rows; of a deletion none.
    pub rows: Vec<i64>,
    /// The server said that it is done.
    pub acknowledged: bool,
}

/// Writes one statement after another; goes on where it was when the server is back.
pub struct Producer {
    number: u32,
    rng: StdRng,
    next: i64,
    clock_ms: i64,
    pub writes: Vec<Write>,
}

/// A row as text fields, in the order of its stream's columns: time, key, then the rest.
type Row = Vec<Option<String>>;

impl Producer {
    pub fn new(number: u32, seed: u64, clock_ms: i64) -> Producer {
        let rng = StdRng::seed_from_u64(seed ^ (u64::from(number) << 32));
        Producer { number, rng, next: i64::from(number) << 32, clock_ms, writes: vec![] }
    }

    /// Write until the server is gone.
    pub async fn work(&mut self, server: SocketAddr, acknowledged: Arc<AtomicU64>) {
        let Some(client) = connect(server).await else { return };
        loop {
            if !self.statement(&client).await {
                return;
            }
            acknowledged.fetch_add(1, Ordering::SeqCst);
        }
    }

    /// One statement; whether the server is still there.
    async fn statement(&mut self, client: &Client) -> bool {
        let (topic, columns) = match self.rng.random_range(0..20) {
            0..13 => ("events", "rowtime, id, n, grp, amount"),
            13..16 => ("pays", "rowtime, id, n, paid"),
            16..19 => ("accounts", "rowtime, id, name, ver"),
            _ => return self.delete(client).await,
        };
        let count = if topic == "accounts" { 1 } else { self.rng.random_range(1..6) };
        let (mut rows, mut numbers) = (vec![], vec![]);
        for _ in 0..count {
            rows.push(self.row(topic));
            numbers.push(self.next);
        }
        self.writes.push(Write { topic, rows: numbers, acknowledged: false });
        let done = if self.rng.random_bool(0.2) {
            copy(client, topic, columns, &rows).await
        } else {
            let literal = |field: &Option<String>| match field {
                None => "NULL".to_string(),
                Some(text) if text.parse::<i64>().is_ok() => text.clone(),
                Some(text) => format!("'{text}'"),
            };
            let row = |r: &Row| format!("({})", r.iter().map(literal).collect::<Vec<_>>().join(", "));
            let rows: Vec<String> = rows.iter().map(row).collect();
            client.batch_execute(&format!("INSERT INTO {topic} ({columns}) VALUES {};", rows.join(", "))).await
        };
        self.note(done)
    }

    async fn delete(&mut self, client: &Client) -> bool {
        let key = self.key();
        self.writes.push(Write { topic: "accounts", rows: vec![], acknowledged: false });
        let done = client.batch_execute(&format!("DELETE FROM accounts WHERE id = '{key}';")).await;
        self.note(done)
    }

    fn note(&mut self, done: Result<(), tokio_postgres::Error>) -> bool {
        if let Err(error) = &done {
            // Only a server that is gone may not answer.
            assert!(error.as_db_error().is_none(), "a statement failed: {error:?}");
        }
        let acknowledged = done.is_ok();
        self.writes.last_mut().expect("a write").acknowledged = acknowledged;
        acknowledged
    }

    fn key(&mut self) -> String {
        format!("p{}k{}", self.number, self.rng.random_range(0..KEYS))
    }

    fn row(&mut self, topic: &str) -> Row {
        self.next += 1;
        self.clock_ms += self.rng.random_range(0..200);
        let late = match self.rng.random_range(0..10) {
            0 => self.rng.random_range(0..60_000),
            1..4 => self.rng.random_range(0..6_000),
            _ => 0,
        };
        let (time, key, n) = ((self.clock_ms - late).to_string(), self.key(), self.next.to_string());
        let small = Some(self.rng.random_range(0..100).to_string()).filter(|_| self.rng.random_bool(0.9));
        let rest = match topic {
            "events" => vec![Some(n), Some(format!("p{}g{}", self.number, self.rng.random_range(0..GROUPS))), small],
            "pays" => vec![Some(n), small],
            _ => vec![Some(format!("name{}", self.rng.random_range(0..4))), Some(n)],
        };
        [vec![Some(time), Some(key)], rest].concat()
    }
}

async fn copy(client: &Client, topic: &str, columns: &str, rows: &[Row]) -> Result<(), tokio_postgres::Error> {
    let text = |r: &Row| r.iter().map(|f| f.as_deref().unwrap_or("\\N")).collect::<Vec<_>>().join("\t") + "\n";
    let text: String = rows.iter().map(text).collect();
    let sink = client.copy_in::<_, Bytes>(&format!("COPY {topic} ({columns}) FROM STDIN")).await?;
    let mut sink = std::pin::pin!(sink);
    sink.send(Bytes::from(text)).await?;
    assert_eq!(sink.finish().await?, rows.len() as u64);
    Ok(())
}

/// Connect; `None`: the server is gone already.
pub async fn connect(server: SocketAddr) -> Option<Client> {
    let mut config = tokio_postgres::Config::new();
    config.host(server.ip().to_string()).port(server.port()).user("kill").dbname("kill");
    let (client, connection) = config.connect(NoTls).await.ok()?;
    tokio::spawn(connection);
    Some(client)
}

/// Creates and drops a table over and over, so that kills fall into statements, too.
#[derive(Default)]
pub struct Churner {
    /// Whether the table is there, as far as is known.
    pub exists: Option<bool>,
}

impl Churner {
    pub async fn work(&mut self, server: SocketAddr) {
        let Some(client) = connect(server).await else { return };
        if !no_cache(&client).await || !self.run(&client, DROP_IF_THERE, false).await {
            return;
        }
        loop {
            if !self.run(&client, CREATE, true).await || !self.run(&client, DROP, false).await {
                return;
            }
        }
    }

    async fn run(&mut self, client: &Client, statement: &str, exists: bool) -> bool {
        self.exists = None;
        match client.batch_execute(statement).await {
            Ok(()) => {
                self.exists = Some(exists);
                true
            }
            Err(error) => {
                assert!(error.as_db_error().is_none(), "{statement} failed: {error:?}");
                false
            }
        }
    }
}

const CREATE: &str = "CREATE TABLE churned AS SELECT grp, COUNT(*) AS n FROM events GROUP BY grp EMIT CHANGES;";
const DROP: &str = "DROP TABLE churned DELETE TOPIC;";
const DROP_IF_THERE: &str = "DROP TABLE IF EXISTS churned DELETE TOPIC;";

/// Every change is to be written; whether the server is still there.
pub async fn no_cache(client: &Client) -> bool {
    client.batch_execute("SET 'ksql.streams.cache.max.bytes.buffering' = '0';").await.is_ok()
}
