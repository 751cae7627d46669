//! `start` on a Kafka cluster.
//!
//! The processes of a service share its work: each runs the tasks of the slots that a consumer group gives it, and another
//! group says which of them leads. When a process is gone, the cluster gives what it had to the others within seconds, and
//! they go on from what was committed. Any of them answers any client.

use std::{
    collections::BTreeMap,
    fmt,
    fs::{File, TryLockError},
    net::SocketAddr,
    path::Path,
    sync::Arc,
    time::Duration,
};

use ::kafka::{ClusterConfig, ClusterLog, Holders, Seat, SlotSet, Slots};
use engine::{Engine, ServiceConfig};
use recordlog::RecordLog;
use serde::Deserialize;
use types::ErrorKind;

use crate::{
    CommandResult,
    config::{Config, Scalar},
    kafka::{Advertised, parsed},
    peers::WirePeers,
    server,
    signals::StopSignals,
};

/// The id of a service that is given none.
const SERVICE_DEFAULT: &str = "default";

/// The password for SASL, which the configuration file need not have then.
const SASL_PASSWORD: &str = "MILLSTREAM_KAFKA_SASL_PASSWORD";

/// Pause of a process that has the seat and yet could not begin to lead, or not go on.
const RETRY_PAUSE: Duration = Duration::from_secs(1);

/// Into how many shares the tasks of a service are cut. It is in the topic that is made for them: all its processes have
/// to say the same.
const SLOTS: u32 = 64;

/// The table `[kafka_cluster]`.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClusterTable {
    /// Brokers to ask first, with commas between.
    bootstrap: Option<String>,
    /// Which service this is.
    service_id: Option<String>,
    /// This process's name among those of its service.
    instance_id: Option<String>,
    /// Where other processes of the service reach this one's PostgreSQL port.
    #[serde(default, deserialize_with = "parsed")]
    advertise: Option<Advertised>,
    /// How many other processes keep the state of a task warm.
    #[serde(default)]
    standby_replicas: usize,
    /// Settings of librdkafka, passed through.
    #[serde(default)]
    properties: BTreeMap<String, Scalar>,
}

/// A Kafka cluster to run on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cluster {
    bootstrap: String,
    service: String,
    instance: Option<String>,
    advertise: Option<Advertised>,
    standby_replicas: usize,
    properties: Properties,
}

/// Settings whose values are not shown: passwords are among them.
#[derive(Clone, Default, PartialEq, Eq)]
struct Properties(BTreeMap<String, String>);

impl fmt::Debug for Properties {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

/// What the command line says of it; see [`crate::config::StartArgs`].
pub struct ClusterOptions {
    /// `--kafka-bootstrap`.
    pub bootstrap: Option<String>,
    /// `--service-id`.
    pub service_id: Option<String>,
    /// `--instance-id`.
    pub instance_id: Option<String>,
    /// `--advertise`.
    pub advertise: Option<Advertised>,
}

impl ClusterTable {
    /// With what the command line says; `None`: it is not about a cluster.
    pub fn resolve(self, said: ClusterOptions) -> CommandResult<Option<Cluster>> {
        let Some(bootstrap) = said.bootstrap.or(self.bootstrap) else {
            return match said.service_id.or(self.service_id) {
                Some(id) => Err(format!("--service-id {id}: only on a Kafka cluster; say --kafka-bootstrap, too")),
                None => Ok(None),
            };
        };
        Ok(Some(Cluster {
            bootstrap,
            service: said.service_id.or(self.service_id).unwrap_or_else(|| SERVICE_DEFAULT.to_owned()),
            instance: said.instance_id.or(self.instance_id),
            advertise: said.advertise.or(self.advertise),
            standby_replicas: self.standby_replicas,
            properties: Properties(self.properties.into_iter().map(|(name, value)| (name, value.text())).collect()),
        }))
    }
}

impl Cluster {
    fn config(&self) -> ClusterConfig {
        let mut properties = self.properties.0.clone();
        if properties.contains_key("sasl.username")
            && let Ok(password) = std::env::var(SASL_PASSWORD)
        {
            properties.entry("sasl.password".to_owned()).or_insert(password);
        }
        ClusterConfig { bootstrap: self.bootstrap.clone(), service: self.service.clone(), properties }
    }

    /// Where it is, and whose.
    pub fn place(&self) -> String {
        format!("service {} on {}", self.service, self.bootstrap)
    }

    /// Where other processes reach this one, whose port for PostgreSQL clients is `pg`.
    fn advertised(&self, pg: SocketAddr) -> String {
        self.advertise.as_ref().map_or_else(|| pg.to_string(), ToString::to_string)
    }

    fn failed(&self) -> impl Fn(&dyn fmt::Display) -> String {
        move |error| format!("--kafka-bootstrap {}: {error}", self.bootstrap)
    }
}

/// Run until a signal says stop.
pub async fn run(config: &Config, cluster: &Cluster, signals: &mut StopSignals) -> CommandResult {
    // From here on it is one port, also where any was asked for: others are to find this process there.
    let listener = server::listen_pg(config.pg, config.allow_remote).await?;
    let pg = listener.local_addr().map_err(|e| format!("--pg {}: {e}", config.pg))?;
    let config = Config { pg, ..config.clone() };
    let opened = tokio::select! {
        opened = open(&config, cluster) => opened?,
        () = signals.stop() => return Ok(()),
    };
    let Opened { engine, seat, mut slots, _state } = opened;
    let ended = async {
        tokio::select! {
            () = signals.stop() => {}
            () = lead(&engine, seat, &cluster.service) => {}
            () = work(&engine, &mut slots) => {}
        }
        // Others go on where this process has stopped.
        engine.let_go(&SlotSet::new()).await;
        let _ = tokio::task::spawn_blocking(move || drop(slots)).await;
    };
    server::serve(&config, &engine, (listener, None), ended).await
}

/// A process of a service before it does anything.
struct Opened {
    engine: Arc<Engine>,
    seat: Seat,
    slots: Slots,
    /// Keeps others from its directory.
    _state: Option<File>,
}

/// The directory for copies of state, as this process's own.
fn own_directory(directory: &Path) -> CommandResult<File> {
    let failed = |error: &dyn fmt::Display| format!("--data {}: {error}", directory.display());
    std::fs::create_dir_all(directory).map_err(|e| failed(&e))?;
    let lock = File::create(directory.join("lock")).map_err(|e| failed(&e))?;
    match lock.try_lock() {
        Ok(()) => Ok(lock),
        Err(TryLockError::WouldBlock) => Err(failed(&"another process uses it; each needs one of its own")),
        Err(TryLockError::Error(e)) => Err(failed(&e)),
    }
}

async fn open(config: &Config, cluster: &Cluster) -> CommandResult<Opened> {
    let (at, advertise) = (cluster.config(), cluster.advertised(config.pg));
    if cluster.advertise.is_none() && config.pg.ip().is_unspecified() {
        tracing::warn!(pg = %config.pg, "other processes of the service cannot reach this one there; say --advertise");
    }
    let failed = cluster.failed();
    let state = config.state.as_deref().map(own_directory).transpose()?;
    let log = ClusterLog::open(at.clone(), host::Host::real()).await.map_err(|e| failed(&e))?;
    let log: Arc<dyn RecordLog> = log;
    let topics = engine::service_topics(&log, &cluster.service, SLOTS).await;
    let (owner, tasks) = topics.map_err(|e| failed(&e))?;
    let slots = log.topic(&tasks).map_err(|e| failed(&e))?.map_or(SLOTS, |topic| topic.config.partitions);
    let holders = Holders::of(&at, &tasks).map_err(|e| failed(&e))?;
    let service = ServiceConfig {
        id: cluster.service.clone(),
        advertise: Some(advertise.clone()),
        slots,
        standby_replicas: cluster.standby_replicas,
        peers: Arc::new(WirePeers::new(holders)),
    };
    let engine_config = server::engine_config(config, Some(service))?;
    let engine = Engine::open_on(engine_config, log, None, host::Host::real()).await.map_err(|e| failed(&e))?;
    // Whoever takes part is to be able to work.
    let instance = cluster.instance.as_deref();
    let seat = Seat::apply(&at, &owner, instance).map_err(|e| failed(&e))?;
    let slots = Slots::join(&at, &tasks, instance, &advertise).map_err(|e| failed(&e))?;
    Ok(Opened { engine, seat, slots, _state: state })
}

/// Lead the service whenever the cluster says so.
async fn lead(engine: &Engine, mut seat: Seat, service: &str) {
    loop {
        seat.wait(true).await;
        match engine.lead().await {
            Ok(()) => {
                tokio::select! {
                    () = seat.wait(false) => {
                        tracing::warn!(service, "the cluster lets another process lead the service");
                        engine.step_down();
                        continue;
                    }
                    () = engine.replaced() => tracing::warn!(service, "another process leads the service"),
                }
            }
            Err(error) if error.kind() == ErrorKind::Unavailable => {
                tracing::warn!(service, %error, "the service cannot be led now");
            }
            Err(error) => tracing::error!(service, %error, "the service cannot be led"),
        }
        engine.step_down();
        tokio::time::sleep(RETRY_PAUSE).await;
    }
}

/// Run the tasks of the slots that the cluster gives.
async fn work(engine: &Engine, slots: &mut Slots) {
    loop {
        let held = slots.held();
        engine.let_go(&held).await;
        slots.works_in(held.clone());
        engine.take(&held).await;
        tracing::info!(slots = held.len(), "this process works in its slots");
        slots.changed().await;
    }
}
