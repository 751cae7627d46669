//! `start`: the engine behind its listeners.

use std::{net::SocketAddr, path::PathBuf, sync::Arc};

use engine::{Engine, EngineConfig};
use tokio_util::sync::CancellationToken;

use crate::{
    CommandResult, block_on,
    config::{Config, StartArgs},
    kafka, memory,
    signals::StopSignals,
};

/// Run until a signal says stop.
pub fn start(args: StartArgs) -> CommandResult {
    let config = args.resolve()?;
    block_on(async move {
        let mut signals = StopSignals::listen()?;
        // A port that is taken is told of before anything is recovered.
        let kafka_settings = config.kafka.settings(config.allow_remote);
        let kafka_listener = kafka::listen(config.kafka_at, &kafka_settings).await?;
        let engine = tokio::select! {
            engine = open(config.data.clone(), config.threads, &config) => engine?,
            // What recovery has done so far is done again the next time.
            () = signals.stop() => return Ok(()),
        };
        let stop = CancellationToken::new();
        let (pg_at, pg) = serve_pg(&engine, config.pg, config.allow_remote, &stop).await?;
        let (http_at, http) = serve_http(&engine, config.http, config.allow_remote, &stop).await?;
        let (kafka_at, kafka) = match kafka_listener {
            Some(listener) => {
                let (at, serving) = kafka::serve(&engine, listener, kafka_settings, &stop).await?;
                (at.to_string(), Some(serving))
            }
            None => ("off".to_owned(), None),
        };
        let data = config.data.display();
        tracing::info!(%data, pg = %pg_at, kafka = %kafka_at, http = %http_at, "ready");
        signals.stop().await;
        tracing::info!("stopping");
        stop.cancel();
        let _ = pg.await;
        let _ = http.await;
        if let Some(kafka) = kafka {
            let _ = kafka.await;
        }
        engine.shutdown().await;
        Ok(())
    })
}

async fn open(data: PathBuf, threads: Option<usize>, config: &Config) -> CommandResult<Arc<Engine>> {
    let defaults = EngineConfig::default();
    let registry = config.schema_registry.as_ref().map(|registry| {
        let clock = host::Host::real().clock;
        let client = registryclient::Client::new(&registry.settings(), clock).map_err(|e| e.to_string())?;
        tracing::info!(url = client.url(), "schemas are in another registry");
        Ok::<_, String>(Arc::new(client) as Arc<dyn formats::SchemaRegistry>)
    });
    let engine = EngineConfig {
        registry: registry.transpose()?,
        data_dir: Some(data.clone()),
        threads: threads.unwrap_or(defaults.threads),
        properties: config.properties.clone(),
        log: config.log.settings(),
        state_bytes_max: config.state_bytes_max.or_else(memory::state_bytes_max),
        ..defaults
    };
    Engine::open(engine).await.map_err(|e| format!("{}: {e}", data.display()))
}

/// A listener that serves: where, and until when.
pub type Serving = (SocketAddr, tokio::task::JoinHandle<()>);

/// Serve Postgres clients until `stop`.
pub async fn serve_pg(
    engine: &Arc<Engine>,
    address: SocketAddr,
    allow_remote: bool,
    stop: &CancellationToken,
) -> CommandResult<Serving> {
    let settings = pgserver::Settings { allow_remote, ..pgserver::Settings::default() };
    let listener = pgserver::listen(address, &settings).await.map_err(|e| format!("--pg {address}: {e}"))?;
    let at = listener.local_addr().map_err(|e| format!("--pg {address}: {e}"))?;
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
