//! What a server is started with: defaults, then the configuration file, then the environment, then the command line.

use std::{
    collections::BTreeMap,
    net::{Ipv4Addr, SocketAddr},
    path::PathBuf,
};

use recordlog::embedded::{Durability, Settings};
use serde::Deserialize;

use crate::{
    CommandResult,
    cluster::{Cluster, ClusterOptions, ClusterTable},
    kafka::{Advertised, KafkaConfig, Listen},
};

/// The password of the schema registry's user, which neither a command line nor a file needs to have then.
const REGISTRY_PASSWORD: &str = "MILLSTREAM_SCHEMA_REGISTRY_PASSWORD";

/// Where PostgreSQL clients connect unless told otherwise: one above PostgreSQL's own port.
const PG_PORT: u16 = 5433;

/// Where HTTP is served unless told otherwise.
const HTTP_PORT: u16 = 8088;

/// Options of `start`.
#[derive(Default, clap::Args)]
#[command(after_help = "Examples:
  millstream start
  millstream start --data /var/lib/millstream --pg 127.0.0.1:5433
  millstream start --config millstream.toml --property auto.offset.reset=earliest

The configuration file is TOML with the names of the options:
  data = \"/var/lib/millstream\"
  pg = \"127.0.0.1:5433\"
  [properties]
  \"auto.offset.reset\" = \"earliest\"
  [log]
  durability = \"fsync\"
  [kafka]
  listen = \"127.0.0.1:9092\"
  [schema_registry]
  url = \"https://registry:8081\"
  [kafka_cluster]
  bootstrap = \"broker1:9092,broker2:9092\"
An option on the command line counts before its environment variable, that before the file.

SIGINT and SIGTERM end the server: running work is finished and written first.")]
pub struct StartArgs {
    /// Where data lives; made if it is not there [default: ./millstream-data].
    #[arg(long, value_name = "DIR", env = "MILLSTREAM_DATA")]
    data: Option<PathBuf>,
    /// Where PostgreSQL clients connect; port 0 takes a free one [default: 127.0.0.1:5433].
    #[arg(long, value_name = "ADDR", env = "MILLSTREAM_PG")]
    pg: Option<SocketAddr>,
    /// Where Kafka clients connect, or off [default: 127.0.0.1:9092].
    #[arg(long, value_name = "ADDR", env = "MILLSTREAM_KAFKA")]
    kafka: Option<Listen>,
    /// Where health and metrics are served [default: 127.0.0.1:8088].
    #[arg(long, value_name = "ADDR", env = "MILLSTREAM_HTTP")]
    http: Option<SocketAddr>,
    /// Listen also on addresses that other machines reach. There is no authentication!
    #[arg(long, env = "MILLSTREAM_ALLOW_REMOTE")]
    allow_remote: bool,
    /// Threads that compute [default: one a core].
    #[arg(long, value_name = "N", env = "MILLSTREAM_THREADS")]
    threads: Option<usize>,
    /// A property that sessions start with, as SET would set it; may be repeated.
    #[arg(long = "property", value_name = "NAME=VALUE")]
    properties: Vec<String>,
    /// When a write counts as done: fsync (it survives a loss of power), interval:MS (a loss of power takes at most
    /// the last milliseconds), none (it survives the process) [default: fsync].
    #[arg(long, value_name = "WHEN", value_parser = durability)]
    durability: Option<Durability>,
    /// Bytes of memory that the states of all queries may take [default: six tenths of what the machine has].
    #[arg(long, value_name = "BYTES")]
    state_bytes_max: Option<u64>,
    /// A schema registry to use instead of the one that is built in; its user and password are in the configuration
    /// file, the password perhaps in MILLSTREAM_SCHEMA_REGISTRY_PASSWORD.
    #[arg(long, value_name = "URL", env = "MILLSTREAM_SCHEMA_REGISTRY")]
    schema_registry: Option<String>,
    /// Run on a Kafka cluster instead of a log of one's own: brokers to ask first, with commas between.
    #[arg(long, value_name = "HOST:PORT", env = "MILLSTREAM_KAFKA_BOOTSTRAP")]
    kafka_bootstrap: Option<String>,
    /// On a cluster: which service this is. Processes of one service stand in for each other [default: default].
    #[arg(long, value_name = "ID", env = "MILLSTREAM_SERVICE_ID")]
    service_id: Option<String>,
    /// On a cluster: this process's name among those of its service; one that is there again within the session
    /// timeout goes on where it was.
    #[arg(long, value_name = "NAME", env = "MILLSTREAM_INSTANCE_ID")]
    instance_id: Option<String>,
    /// On a cluster: where other processes of the service reach this one's PostgreSQL port [default: what --pg says].
    #[arg(long, value_name = "HOST:PORT", env = "MILLSTREAM_ADVERTISE")]
    advertise: Option<Advertised>,
    /// A file with these options.
    #[arg(long, value_name = "FILE", env = "MILLSTREAM_CONFIG")]
    config: Option<PathBuf>,
}

/// What a server is started with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// Where data lives.
    pub data: PathBuf,
    /// The same where it was said: a process on a cluster may keep copies of its state there.
    pub state: Option<PathBuf>,
    /// Where PostgreSQL clients connect.
    pub pg: SocketAddr,
    /// Where Kafka clients connect.
    pub kafka_at: Listen,
    /// How Kafka clients are served.
    pub kafka: KafkaConfig,
    /// Where HTTP is served.
    pub http: SocketAddr,
    /// Listen on addresses that other machines reach.
    pub allow_remote: bool,
    /// Threads that compute; `None`: one a core.
    pub threads: Option<usize>,
    /// What sessions start with.
    pub properties: BTreeMap<String, String>,
    /// How the record log works.
    pub log: LogConfig,
    /// Bytes of memory that the states of all queries may take; `None`: a share of what the machine has.
    pub state_bytes_max: Option<u64>,
    /// The schema registry elsewhere; `None`: the one that is built in.
    pub schema_registry: Option<RegistryConfig>,
    /// The Kafka cluster to run on; `None`: a log in the data directory.
    pub cluster: Option<Cluster>,
}

impl Config {
    /// Where what is durable lives.
    pub fn place(&self) -> String {
        match &self.cluster {
            Some(cluster) => cluster.place(),
            None => self.data.display().to_string(),
        }
    }
}

/// A schema registry elsewhere.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RegistryConfig {
    /// `http://host:8081` or `https://…`; several of one cluster with commas between.
    #[serde(default)]
    pub url: String,
    /// A user, for basic authentication.
    pub user: Option<String>,
    /// The user's password.
    password: Option<Secret>,
    /// A file of certificates (PEM) that are trusted instead of the well-known ones.
    pub ca: Option<PathBuf>,
}

/// Text that is not shown.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
struct Secret(String);

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("…")
    }
}

impl RegistryConfig {
    /// As the client takes it.
    pub fn settings(&self) -> registryclient::Settings {
        let password = self.password.as_ref().map(|p| p.0.clone());
        let password = password.or_else(|| self.user.as_ref().and_then(|_| std::env::var(REGISTRY_PASSWORD).ok()));
        registryclient::Settings { url: self.url.clone(), user: self.user.clone(), password, ca: self.ca.clone() }
    }
}

/// How the record log works; what is not there is as the log has it by default.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LogConfig {
    /// When a write counts as done.
    #[serde(default, deserialize_with = "durability_text")]
    pub durability: Option<Durability>,
    /// The journal's length at which a checkpoint is taken, bytes.
    pub checkpoint_bytes: Option<u64>,
    /// How often retention and compaction look around, ms.
    pub maintenance_interval_ms: Option<u64>,
    /// Bytes of latest batches that are kept in memory.
    pub tail_bytes_max: Option<usize>,
    /// Bytes of commits that wait for the writer.
    pub queue_bytes_max: Option<usize>,
    /// Segment files that are open at a time.
    pub files_open_max: Option<usize>,
}

impl LogConfig {
    /// As the log takes it.
    pub fn settings(&self) -> Settings {
        let defaults = Settings::default();
        Settings {
            durability: self.durability.unwrap_or(defaults.durability),
            checkpoint_bytes: self.checkpoint_bytes.unwrap_or(defaults.checkpoint_bytes),
            maintenance_interval_ms: self.maintenance_interval_ms.unwrap_or(defaults.maintenance_interval_ms),
            tail_bytes_max: self.tail_bytes_max.unwrap_or(defaults.tail_bytes_max),
            queue_bytes_max: self.queue_bytes_max.unwrap_or(defaults.queue_bytes_max),
            files_open_max: self.files_open_max.unwrap_or(defaults.files_open_max),
            ..defaults
        }
    }
}

/// `fsync`, `interval:MS` or `none`.
fn durability(text: &str) -> Result<Durability, String> {
    match (text, text.strip_prefix("interval:").map(str::parse)) {
        ("fsync", _) => Ok(Durability::Fsync),
        ("none", _) => Ok(Durability::None),
        (_, Some(Ok(ms))) => Ok(Durability::Interval(ms)),
        _ => Err(format!("{text:?}: expected fsync, interval:MS or none")),
    }
}

fn durability_text<'de, D: serde::Deserializer<'de>>(from: D) -> Result<Option<Durability>, D::Error> {
    let text = Option::<String>::deserialize(from)?;
    text.map(|t| durability(&t).map_err(serde::de::Error::custom)).transpose()
}

/// The configuration file.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct ConfigFile {
    data: Option<PathBuf>,
    pg: Option<SocketAddr>,
    http: Option<SocketAddr>,
    allow_remote: Option<bool>,
    threads: Option<usize>,
    state_bytes_max: Option<u64>,
    #[serde(default)]
    properties: BTreeMap<String, Scalar>,
    #[serde(default)]
    log: LogConfig,
    #[serde(default)]
    kafka: KafkaConfig,
    schema_registry: Option<RegistryConfig>,
    #[serde(default)]
    kafka_cluster: ClusterTable,
}

/// A property's value as TOML has it.
#[derive(Deserialize)]
#[serde(untagged)]
pub enum Scalar {
    Text(String),
    Boolean(bool),
    Integer(i64),
    Float(f64),
}

impl Scalar {
    /// As text.
    pub fn text(self) -> String {
        match self {
            Scalar::Text(text) => text,
            Scalar::Boolean(value) => value.to_string(),
            Scalar::Integer(value) => value.to_string(),
            Scalar::Float(value) => value.to_string(),
        }
    }
}

impl StartArgs {
    /// With what the file says and the defaults.
    pub fn resolve(self) -> CommandResult<Config> {
        let file = match &self.config {
            Some(path) => {
                let text = std::fs::read_to_string(path).map_err(|e| format!("{}: {e}", path.display()))?;
                // The error shows the line and names the key.
                toml::from_str(&text).map_err(|e| format!("{}: {}", path.display(), e.to_string().trim_end()))?
            }
            None => ConfigFile::default(),
        };
        self.over(file)
    }

    fn over(self, file: ConfigFile) -> CommandResult<Config> {
        let local = |port| SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let mut properties: BTreeMap<String, String> =
            file.properties.into_iter().map(|(name, value)| (name, value.text())).collect();
        for property in &self.properties {
            let pair = property.split_once('=').filter(|(name, _)| !name.is_empty());
            let (name, value) = pair.ok_or_else(|| format!("--property {property}: expected NAME=VALUE"))?;
            properties.insert(name.to_string(), value.to_string());
        }
        let given = self.kafka.or(file.kafka.listen);
        let said_data = self.data.or(file.data);
        let cluster = file.kafka_cluster.resolve(ClusterOptions {
            bootstrap: self.kafka_bootstrap,
            service_id: self.service_id,
            instance_id: self.instance_id,
            advertise: self.advertise,
        })?;
        if let (Some(_), Some(Listen::At(address))) = (&cluster, given) {
            return Err(format!("--kafka {address}: on a Kafka cluster clients connect to the cluster; leave it out"));
        }
        let kafka_at = given.unwrap_or_else(|| if cluster.is_some() { Listen::Off } else { Listen::default() });
        Ok(Config {
            data: said_data.clone().unwrap_or_else(|| PathBuf::from("millstream-data")),
            state: said_data,
            pg: self.pg.or(file.pg).unwrap_or_else(|| local(PG_PORT)),
            kafka_at,
            kafka: file.kafka,
            http: self.http.or(file.http).unwrap_or_else(|| local(HTTP_PORT)),
            allow_remote: self.allow_remote || file.allow_remote == Some(true),
            threads: self.threads.or(file.threads),
            properties,
            log: LogConfig { durability: self.durability.or(file.log.durability), ..file.log },
            state_bytes_max: self.state_bytes_max.or(file.state_bytes_max),
            schema_registry: match self.schema_registry {
                Some(url) => Some(RegistryConfig { url, ..file.schema_registry.unwrap_or_default() }),
                None => file.schema_registry,
            },
            cluster,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(file: &str, args: StartArgs, want: impl FnOnce(&mut Config)) {
        let file: ConfigFile = toml::from_str(file).expect("reads");
        let mut expected = StartArgs::default().over(ConfigFile::default()).expect("has defaults");
        want(&mut expected);
        assert_eq!(args.over(file), Ok(expected));
    }

    #[test]
    fn the_command_line_counts_before_the_file() {
        check("", StartArgs::default(), |_| {});
        check("pg = '127.0.0.1:1'\n[properties]\na = 1\n\"b.c\" = 'x'", StartArgs::default(), |c| {
            c.pg = SocketAddr::from(([127, 0, 0, 1], 1));
            c.properties = [("a", "1"), ("b.c", "x")].map(|(k, v)| (k.to_string(), v.to_string())).into();
        });
        let log = "state_bytes_max = 9\n[log]\ndurability = 'interval:20'\ncheckpoint_bytes = 7";
        check(log, StartArgs { durability: Some(Durability::None), ..StartArgs::default() }, |c| {
            c.state_bytes_max = Some(9);
            c.log = LogConfig { durability: Some(Durability::None), checkpoint_bytes: Some(7), ..c.log.clone() };
        });
        check(log, StartArgs { state_bytes_max: Some(8), ..StartArgs::default() }, |c| {
            c.state_bytes_max = Some(8);
            let durability = Some(Durability::Interval(20));
            c.log = LogConfig { durability, checkpoint_bytes: Some(7), ..c.log.clone() };
        });
        check("[kafka]\nlisten = 'off'\npartitions_default = 3", StartArgs::default(), |c| {
            c.kafka_at = Listen::Off;
            c.kafka.listen = Some(Listen::Off);
            c.kafka.partitions_default = Some(3);
        });
        let args = StartArgs { kafka: Some(Listen::Off), ..StartArgs::default() };
        check("[kafka]\nlisten = '127.0.0.1:1'", args, |c| {
            c.kafka_at = Listen::Off;
            c.kafka.listen = Some(Listen::At(SocketAddr::from(([127, 0, 0, 1], 1))));
        });
        let registry = "[schema_registry]\nurl = 'http://a'\nuser = 'u'\npassword = 'p'";
        let wanted = |url: &str| RegistryConfig {
            url: url.to_owned(),
            user: Some("u".to_owned()),
            password: Some(Secret("p".to_owned())),
            ca: None,
        };
        check(registry, StartArgs::default(), |c| c.schema_registry = Some(wanted("http://a")));
        let args = StartArgs { schema_registry: Some("http://b".into()), ..StartArgs::default() };
        check(registry, args, |c| c.schema_registry = Some(wanted("http://b")));
        let args = StartArgs { data: Some("d".into()), properties: vec!["a=2".into()], ..StartArgs::default() };
        check("data = 'e'\n[properties]\na = 1", args, |c| {
            (c.data, c.state) = ("d".into(), Some("d".into()));
            c.properties = [("a".to_string(), "2".to_string())].into();
        });
    }

    #[test]
    fn unknown_names_are_errors_that_name_name_and_line() {
        let error = toml::from_str::<ConfigFile>("pg = '127.0.0.1:1'\nprot = 3\n").map(|_| ()).unwrap_err().to_string();
        assert!(error.contains("line 2") && error.contains("prot"), "{error}");
    }
}
