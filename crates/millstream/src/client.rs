//! Connecting to a server.

use tokio::io::{AsyncRead, AsyncWrite};
use tokio_postgres::{AsyncMessage, Client, Connection, NoTls};

use crate::{CommandResult, told::describe};

/// Which server to talk to.
#[derive(Debug, Clone, clap::Args)]
pub struct ServerArgs {
    /// The server, as HOST:PORT or postgres://[user@]host[:port][/database].
    #[arg(long, alias = "url", value_name = "ADDR", env = "MILLSTREAM_SERVER", default_value = "127.0.0.1:5433")]
    pub server: String,
}

impl ServerArgs {
    /// Connect.
    pub async fn connect(&self) -> CommandResult<Client> {
        let url = match self.server.contains("://") {
            true => self.server.clone(),
            false => format!("postgres://{}", self.server),
        };
        let mut config: tokio_postgres::Config = url.parse().map_err(|e| format!("--server {}: {e}", self.server))?;
        config.application_name("millstream");
        if config.get_user().is_none() {
            config.user(std::env::var("USER").unwrap_or_else(|_| "millstream".to_string()));
        }
        if config.get_dbname().is_none() {
            config.dbname("millstream");
        }
        let (client, connection) = config.connect(NoTls).await.map_err(|e| {
            let why = describe(&e);
            format!("no server at {}: {why}\nmillstream start runs one; --server says where it is", self.server)
        })?;
        tokio::spawn(listen(connection));
        Ok(client)
    }
}

/// Carries the connection on, and shows what the server says besides its answers.
async fn listen<S, T>(mut connection: Connection<S, T>)
where
    S: AsyncRead + AsyncWrite + Unpin,
    T: AsyncRead + AsyncWrite + Unpin,
{
    loop {
        match std::future::poll_fn(|context| connection.poll_message(context)).await {
            Some(Ok(AsyncMessage::Notice(notice))) => eprintln!("{}: {}", notice.severity(), notice.message()),
            Some(Ok(_)) => {}
            Some(Err(error)) => return tracing::debug!(%error, "the connection ended"),
            None => return,
        }
    }
}
