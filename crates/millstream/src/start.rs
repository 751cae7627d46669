//! `start`: an engine and the servers in front of it, until a signal.

use std::{net::SocketAddr, path::PathBuf, sync::Arc};

use engine::{Engine, EngineConfig};
use tokio::{
    net::TcpListener,
    signal::unix::{SignalKind, signal},
    task::JoinHandle,
};
use tokio_util::sync::CancellationToken;
use tracing::{error, info};

use crate::{cli, config::Config, failure::Failure, logging};

/// Runs `start`.
pub(crate) async fn run(args: cli::Start) -> Result<(), Failure> {
    let config = Config::new(args)?;
    logging::start(&config.log, config.log_format)?;
    let server = Server::start(&config).await?;
    let stopped = server.stopped();
    tokio::select! {
        signal = stop_signal() => info!("{} received: stopping", signal?),
        () = stopped.cancelled() => error!("a server ended by itself: stopping"),
    }
    server.stop().await
}

/// A running engine with its servers.
pub(crate) struct Server {
    /// The engine.
    pub(crate) engine: Arc<Engine>,
    /// Where PostgreSQL clients connect.
    pub(crate) pg: SocketAddr,
    shutdown: CancellationToken,
    failed: CancellationToken,
    servers: Vec<JoinHandle<std::io::Result<()>>>,
}

impl Server {
    /// Opens the ports, then the engine: who cannot be reached should not begin to work.
    pub(crate) async fn start(config: &Config) -> Result<Server, Failure> {
        let settings =
            pgserver::Settings { connections_max: config.connections_max, allow_remote: config.allow_remote };
        let pg_listener = listen("--pg", config.pg, config.allow_remote).await?;
        let http_listener = listen("--http", config.http, config.allow_remote).await?;
        let pg = pg_listener.local_addr()?;
        let engine = Engine::open(EngineConfig {
            data_dir: config.data.clone(),
            threads: config.threads,
            properties: config.properties.clone(),
            manual: false,
            default_partitions: config.partitions,
        });
        let place = config.data.clone().unwrap_or_else(|| PathBuf::from("memory"));
        let engine = engine.await.map_err(|e| Failure::from(e).context(format!("opening {}", place.display())))?;
        let shutdown = CancellationToken::new();
        let http = http_listener.local_addr()?;
        info!(data = %place.display(), %pg, %http, "ready");
        let failed = CancellationToken::new();
        let pg_server = pgserver::serve(Arc::clone(&engine), pg_listener, settings, shutdown.clone());
        let http_server = httpserver::serve(Arc::clone(&engine), http_listener, shutdown.clone());
        let servers = vec![watched(pg_server, &failed), watched(http_server, &failed)];
        Ok(Server { engine, pg, shutdown, failed, servers })
    }

    /// Cancelled when one of the servers ended by itself.
    fn stopped(&self) -> CancellationToken {
        self.failed.clone()
    }

    /// Lets connections end, then the engine finish and write.
    pub(crate) async fn stop(self) -> Result<(), Failure> {
        self.shutdown.cancel();
        let mut result = Ok(());
        for server in self.servers {
            match server.await {
                Ok(Ok(())) => {}
                Ok(Err(e)) => result = Err(Failure::from(e)),
                Err(e) => result = Err(Failure::new(e)),
            }
        }
        self.engine.shutdown().await;
        info!("stopped");
        result
    }
}

/// Runs a server; when it ends, for whatever reason, `ended` is cancelled.
fn watched(
    server: impl Future<Output = std::io::Result<()>> + Send + 'static,
    ended: &CancellationToken,
) -> JoinHandle<std::io::Result<()>> {
    let ended = ended.clone();
    tokio::spawn(async move {
        let _guard = ended.drop_guard();
        server.await
    })
}

async fn listen(option: &str, address: SocketAddr, allow_remote: bool) -> Result<TcpListener, Failure> {
    let settings = pgserver::Settings { allow_remote, ..pgserver::Settings::default() };
    let listener = pgserver::listen(address, &settings).await;
    listener.map_err(|e| Failure::from(e).context(format!("{option} {address}")))
}

/// The name of the signal that asks to stop, when it comes.
pub(crate) async fn stop_signal() -> Result<&'static str, Failure> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    Ok(tokio::select! {
        _ = interrupt.recv() => "SIGINT",
        _ = terminate.recv() => "SIGTERM",
    })
}
