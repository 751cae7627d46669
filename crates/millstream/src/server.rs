//! `start`: the engine behind its listeners.

use std::{net::SocketAddr, sync::Arc};

use engine::{Engine, EngineConfig, ServiceConfig};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::{
    CommandResult, block_on, cluster,
    config::{Config, StartArgs},
    kafka, memory,
    signals::StopSignals,
};

/// Run until a signal says stop.
pub fn start(args: StartArgs) -> CommandResult {
    let config = args.resolve()?;
    block_on(async move {
        let mut signals = StopSignals::listen()?;
        match &config.cluster {
            Some(on) => cluster::run(&config, on, &mut signals).await,
            None => run(&config, &mut signals).await,
        }
    })
}

/// Run on a log in the data directory.
async fn run(config: &Config, signals: &mut StopSignals) -> CommandResult {
    // A port that is taken is told of before anything is recovered.
    let kafka_settings = config.kafka.settings(config.allow_remote);
    let kafka_listener = kafka::listen(config.kafka_at, &kafka_settings).await?;
    let opening = Engine::open(engine_config(config, None)?);
    let engine = tokio::select! {
        engine = opening => engine.map_err(|e| format!("{}: {e}", config.data.display()))?,
        // What recovery has done so far is done again the next time.
        () = signals.stop() => return Ok(()),
    };
    let pg_listener = listen_pg(config.pg, config.allow_remote).await?;
    let kafka = kafka_listener.map(|listener| (listener, kafka_settings));
    serve(config, &engine, (pg_listener, kafka), signals.stop()).await
}

/// Serve clients until something ends it, and close the engine; what ended it.
pub async fn serve<T>(
    config: &Config,
    engine: &Arc<Engine>,
    (pg_listener, kafka_listener): (TcpListener, Option<(TcpListener, kafkaserver::Settings)>),
    until: impl Future<Output = T>,
) -> CommandResult<T> {
    let stop = CancellationToken::new();
    let (pg_at, pg) = serve_pg(engine, pg_listener, config.allow_remote, &stop)?;
    let (http_at, http) = serve_http(engine, config.http, config.allow_remote, &stop).await?;
    let (kafka_at, kafka) = match kafka_listener {
        Some((listener, settings)) => {
            let (at, serving) = kafka::serve(engine, listener, settings, &stop).await?;
            (at.to_string(), Some(serving))
        }
        None => ("off".to_owned(), None),
    };
    let data = config.place();
    tracing::info!(%data, pg = %pg_at, kafka = %kafka_at, http = %http_at, "ready");
    let ended = until.await;
    tracing::info!("stopping");
    stop.cancel();
    let _ = pg.await;
    let _ = http.await;
    if let Some(kafka) = kafka {
        let _ = kafka.await;
    }
    engine.shutdown().await;
    Ok(ended)
}

/// What an engine is opened with.
pub fn engine_config(config: &Config, service: Option<ServiceConfig>) -> CommandResult<EngineConfig> {
    let defaults = EngineConfig::default();
    let registry = config.schema_registry.as_ref().map(|registry| {
        let clock = host::Host::real().clock;
        let client = registryclient::Client::new(&registry.settings(), clock).map_err(|e| e.to_string())?;
        tracing::info!(url = client.url(), "schemas are in another registry");
        Ok::<_, String>(Arc::new(client) as Arc<dyn formats::SchemaRegistry>)
    });
    Ok(EngineConfig {
        registry: registry.transpose()?,
        data_dir: if service.is_some() { config.state.clone() } else { Some(config.data.clone()) },
        threads: config.threads.unwrap_or(defaults.threads),
        properties: config.properties.clone(),
        log: config.log.settings(),
        state_bytes_max: config.state_bytes_max.or_else(memory::state_bytes_max),
        service,
        ..defaults
    })
}

/// A listener that serves: where, and until when.
pub type Serving = (SocketAddr, tokio::task::JoinHandle<()>);

fn pg_settings(allow_remote: bool) -> pgserver::Settings {
    pgserver::Settings { allow_remote, ..pgserver::Settings::default() }
}

/// Open the port for Postgres clients.
pub async fn listen_pg(address: SocketAddr, allow_remote: bool) -> CommandResult<TcpListener> {
    pgserver::listen(address, &pg_settings(allow_remote)).await.map_err(|e| format!("--pg {address}: {e}"))
}

/// Serve Postgres clients until `stop`.
pub fn serve_pg(
    engine: &Arc<Engine>,
    listener: TcpListener,
    allow_remote: bool,
    stop: &CancellationToken,
) -> CommandResult<Serving> {
    let settings = pg_settings(allow_remote);
    let at = listener.local_addr().map_err(|e| format!("--pg: {e}"))?;
    let (engine, stop) = (engine.clone(), stop.clone());
    let serving = tokio::spawn(async move {
        if let Err(error) = pgserver::serve(engine, listener, settings, stop).await {
            tracing::error!(%error, "the Postgres listener ended");
        }
    });
    Ok((at, serving))
}

async fn serve_http(
    engine: &Arc<Engine>,
    address: SocketAddr,
    allow_remote: bool,
    stop: &CancellationToken,
) -> CommandResult<Serving> {
    if !address.ip().is_loopback() && !allow_remote {
        return Err(format!("--http {address}: reachable from other machines; say --allow-remote if that is meant"));
    }
    let listener = tokio::net::TcpListener::bind(address).await.map_err(|e| format!("--http {address}: {e}"))?;
    let at = listener.local_addr().map_err(|e| format!("--http {address}: {e}"))?;
    let (engine, stop) = (engine.clone(), stop.clone());
    let serving = tokio::spawn(async move {
        if let Err(error) = httpserver::serve(engine, listener, stop.cancelled_owned()).await {
            tracing::error!(%error, "the HTTP listener ended");
        }
    });
    Ok((at, serving))
}
