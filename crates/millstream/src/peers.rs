//! The other processes of a service, over the PostgreSQL wire.

use std::{
    collections::{BTreeMap, HashMap},
    fmt::Write,
    sync::Arc,
    time::Duration,
};

use ::kafka::Holders;
use async_trait::async_trait;
use engine::{AskError, Peers};
use parking_lot::Mutex;
use tokio::time::timeout;
use tokio_postgres::{Client, Config, NoTls};
use types::{Error, Result};

use crate::told::describe;

/// How long another process may take to take a connection.
const CONNECT_WAIT: Duration = Duration::from_secs(3);

/// How long it may take to answer.
const ANSWER_WAIT: Duration = Duration::from_secs(60);

/// Connections to one process that are kept for the next request.
const KEPT_MAX: usize = 8;

/// See the module.
pub struct WirePeers {
    holders: Arc<Holders>,
    /// Connections that nobody uses just now, by address.
    idle: Mutex<HashMap<String, Vec<Client>>>,
}

impl WirePeers {
    /// Those that `holders` finds.
    pub fn new(holders: Holders) -> WirePeers {
        WirePeers { holders: Arc::new(holders), idle: Mutex::default() }
    }

    fn kept(&self, address: &str) -> Option<Client> {
        let mut idle = self.idle.lock();
        let clients = idle.get_mut(address)?;
        clients.retain(|client| !client.is_closed());
        clients.pop()
    }

    fn keep(&self, address: &str, client: Client) {
        let mut idle = self.idle.lock();
        // Processes come and go: what is closed is forgotten.
        idle.retain(|_, clients| {
            clients.retain(|client| !client.is_closed());
            !clients.is_empty()
        });
        let clients = idle.entry(address.to_owned()).or_default();
        if clients.len() < KEPT_MAX && !client.is_closed() {
            clients.push(client);
        }
    }
}

async fn connect(address: &str) -> Result<Client, String> {
    let mut config: Config = format!("postgres://{address}").parse().map_err(|e| format!("{address}: {e}"))?;
    config.application_name("millstream peer").user("millstream").dbname("millstream");
    let connected = timeout(CONNECT_WAIT, config.connect(NoTls)).await;
    let (client, connection) = connected.map_err(|e| e.to_string())?.map_err(|e| describe(&e))?;
    tokio::spawn(async move {
        if let Err(error) = connection.await {
            tracing::debug!(%error, "a connection to another process ended");
        }
    });
    Ok(client)
}

/// A request as a statement.
fn statement(request: &str) -> String {
    let mut text = String::with_capacity(request.len() * 2 + 5);
    text.push_str("PEER ");
    for byte in request.bytes() {
        // Writing to a string does not fail.
        let _ = write!(text, "{byte:02x}");
    }
    text
}

#[async_trait]
impl Peers for WirePeers {
    async fn holders(&self) -> Result<BTreeMap<u32, String>> {
        self.holders.addresses().await.map_err(|e| Error::unavailable(e.to_string()))
    }

    async fn ask(&self, address: &str, request: &str) -> Result<Vec<u8>, AskError> {
        let client = match self.kept(address) {
            Some(client) => client,
            None => connect(address).await.map_err(AskError::Unreached)?,
        };
        let text = statement(request);
        let rows = match timeout(ANSWER_WAIT, client.query(text.as_str(), &[])).await {
            Ok(Ok(rows)) => rows,
            Ok(Err(error)) => return Err(AskError::Broken(describe(&error))),
            Err(late) => return Err(AskError::Broken(late.to_string())),
        };
        self.keep(address, client);
        let mut answer = vec![];
        for row in rows {
            answer.extend(row.try_get::<_, &[u8]>(0).map_err(|e| AskError::Broken(e.to_string()))?);
        }
        Ok(answer)
    }
}
