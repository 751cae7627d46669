//! Accepting connections.

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use tokio::{
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore},
    task::JoinSet,
};
use tracing::{debug, warn};

use crate::{
    Settings,
    auth::{Connection, tls},
    broker::Broker,
    connection, group, txn,
};

/// How long accepting rests after the system refused a connection (out of file descriptors, mostly).
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// How long connections may take to say good-bye at a shutdown.
const SHUTDOWN_WAIT: Duration = Duration::from_secs(5);

/// Opens the port. An address that other machines reach is refused unless the settings allow it.
///
/// # Errors
/// The address is not to be had, or other machines reach it.
pub async fn listen(address: SocketAddr, settings: &Settings) -> io::Result<TcpListener> {
    if !address.ip().is_loopback() && !settings.allow_remote {
        return Err(io::Error::new(
            io::ErrorKind::PermissionDenied,
            format!("{address} is reachable from other machines: allow that explicitly, or listen on 127.0.0.1"),
        ));
    }
    TcpListener::bind(address).await
}

/// Serves connections until the broker's token is cancelled, then lets the running ones end.
pub async fn serve(broker: Arc<Broker>, listener: TcpListener) {
    let places = Arc::new(Semaphore::new(broker.settings.connections_max));
    let mut connections = JoinSet::new();
    let timers =
        [tokio::spawn(group::run_timers(Arc::clone(&broker))), tokio::spawn(txn::run_timers(Arc::clone(&broker)))];
    loop {
        let accepted = tokio::select! {
            () = broker.stop.cancelled() => break,
            accepted = listener.accept() => accepted,
            Some(_) = connections.join_next() => continue,
        };
        let (socket, peer) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                warn!(%error, "accepting a Kafka connection");
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        match Arc::clone(&places).try_acquire_owned() {
            Ok(place) => {
                connections.spawn(connect(Arc::clone(&broker), socket, peer, place));
            }
            Err(_) => warn!(%peer, max = broker.settings.connections_max, "too many Kafka connections"),
        }
    }
    let all = async { while connections.join_next().await.is_some() {} };
    if tokio::time::timeout(SHUTDOWN_WAIT, all).await.is_err() {
        warn!("Kafka connections were cut at shutdown");
    }
    timers.iter().for_each(tokio::task::JoinHandle::abort);
}

async fn connect(broker: Arc<Broker>, socket: TcpStream, peer: SocketAddr, place: OwnedSemaphorePermit) {
    let result = async {
        socket.set_nodelay(true)?;
        let local = socket.local_addr()?;
        let known = |subject| Arc::new(Connection::new(peer, local, &broker.auth, subject));
        match broker.tls.clone() {
            None => {
                let connection = known(None);
                connection::run(Arc::clone(&broker), socket, connection).await
            }
            Some(acceptor) => {
                let (stream, subject) = tls::accept(&acceptor, socket).await?;
                let connection = known(subject);
                connection::run(Arc::clone(&broker), stream, connection).await
            }
        }
    };
    match result.await {
        Ok(()) => debug!(%peer, "Kafka connection closed"),
        Err(error) => debug!(%peer, %error, "Kafka connection lost"),
    }
    drop(place);
}
