//! Accepting connections.

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use tokio::{
    net::{TcpListener, TcpStream},
    sync::Semaphore,
    task::JoinSet,
};
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};

use crate::{Settings, backend::Backend, cancel::Sessions, connection, pg_catalog::SystemCatalog};

/// How long accepting rests after the system refused a connection (out of file descriptors, mostly).
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// How long connections may take to say good-bye at a shutdown.
const SHUTDOWN_WAIT: Duration = Duration::from_secs(5);

/// What all connections of a server share.
pub(crate) struct Server<B> {
    /// The engine.
    pub(crate) backend: Arc<B>,
    /// Whom cancel requests reach.
    pub(crate) sessions: Arc<Sessions>,
    /// pg_catalog and information_schema.
    pub(crate) system: SystemCatalog,
    /// Ends the connections.
    pub(crate) shutdown: CancellationToken,
}

/// Opens the port. An address that other machines reach is refused unless the settings allow it.
pub async fn listen(address: SocketAddr, settings: &Settings) -> io::Result<TcpListener> {
    if !address.ip().is_loopback() && !settings.allow_remote {
        return Err(io::Error::new(
            io::ErrorKind::PermissionDenied,
            format!(
                "{address} is reachable from other machines and there is no authentication: allow remote connections explicitly, or listen on 127.0.0.1"
            ),
        ));
    }
    TcpListener::bind(address).await
}

/// Serves connections until `shutdown` is cancelled, then lets the running ones end.
pub async fn serve<B: Backend>(
    backend: Arc<B>,
    listener: TcpListener,
    settings: Settings,
    shutdown: CancellationToken,
) -> io::Result<()> {
    let system = SystemCatalog::new({
        let backend = Arc::clone(&backend);
        Arc::new(move || backend.catalog())
    });
    let server = Arc::new(Server { backend, sessions: Arc::default(), system, shutdown: shutdown.clone() });
    let places = Arc::new(Semaphore::new(settings.connections_max));
    let mut connections = JoinSet::new();
    loop {
        let accepted = tokio::select! {
            () = shutdown.cancelled() => break,
            accepted = listener.accept() => accepted,
            Some(_) = connections.join_next() => continue,
        };
        let (socket, peer) = match accepted {
            Ok(accepted) => accepted,
            Err(e) => {
                warn!("accepting a connection: {e}");
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        let place = Arc::clone(&places).try_acquire_owned().ok();
        connections.spawn(connect(Arc::clone(&server), socket, peer, place));
    }
    let all = async { while connections.join_next().await.is_some() {} };
    if tokio::time::timeout(SHUTDOWN_WAIT, all).await.is_err() {
        warn!("connections were cut at shutdown");
    }
    Ok(())
}

async fn connect<B: Backend>(
    server: Arc<Server<B>>,
    socket: TcpStream,
    peer: SocketAddr,
    place: Option<tokio::sync::OwnedSemaphorePermit>,
) {
    let result = match socket.set_nodelay(true) {
        Ok(()) => connection::run(server, socket, place.is_some()).await,
        Err(e) => Err(e),
    };
    match result {
        Ok(()) => debug!(%peer, "connection closed"),
        Err(e) => debug!(%peer, "connection lost: {e}"),
    }
}
