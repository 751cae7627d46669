//! Where and how Kafka clients are served: option `--kafka`, table `[kafka]` of the configuration file.

use std::{
    collections::BTreeMap,
    fmt,
    io::ErrorKind,
    net::{Ipv4Addr, SocketAddr},
    path::PathBuf,
    str::FromStr,
    sync::Arc,
    time::Duration,
};

use engine::Engine;
use kafkaserver::{Broker, Names, Operation, ResourceKind, Rule, Settings, TlsFiles, User};
use serde::Deserialize;
use tokio::{net::TcpListener, task::JoinHandle};
use tokio_util::sync::CancellationToken;

use crate::CommandResult;

/// Kafka's own port.
const KAFKA_PORT: u16 = 9092;

/// Where Kafka clients connect.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Listen {
    /// There.
    At(SocketAddr),
    /// Nowhere.
    Off,
}

impl Listen {
    /// Any port that is free, for programs on this machine.
    pub fn any_port() -> Listen {
        Listen::At(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)))
    }
}

impl Default for Listen {
    fn default() -> Listen {
        Listen::At(SocketAddr::from((Ipv4Addr::LOCALHOST, KAFKA_PORT)))
    }
}

impl FromStr for Listen {
    type Err = String;

    fn from_str(text: &str) -> Result<Listen, String> {
        match text {
            "off" => Ok(Listen::Off),
            text => text.parse().map(Listen::At).map_err(|_| format!("{text:?}: expected IP:PORT or off")),
        }
    }
}

/// The table `[kafka]`; what is not there is as the listener has it by default.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KafkaConfig {
    /// Where Kafka clients connect.
    #[serde(default, deserialize_with = "parsed")]
    pub listen: Option<Listen>,
    /// Listen on addresses that other machines reach.
    pub allow_remote: Option<bool>,
    /// `HOST:PORT` that clients are told to connect to.
    #[serde(default, deserialize_with = "parsed")]
    pub advertised: Option<Advertised>,
    /// Most connections.
    pub connections_max: Option<usize>,
    /// Whether asking for a topic that does not exist makes it.
    pub auto_create_topics: Option<bool>,
    /// Partitions of a topic whose creator does not say.
    pub partitions_default: Option<u32>,
    /// Most bytes of requests in work, over all connections.
    pub request_bytes_max: Option<usize>,
    /// Most bytes of answers in work, over all connections.
    pub answer_bytes_max: Option<usize>,
    /// How long the first rebalance of a group waits for more members, ms.
    pub group_initial_delay_ms: Option<u64>,
    /// How long a member of the consumer protocol may be silent, ms.
    pub group_session_ms: Option<u64>,
    /// How often members of the consumer protocol are told to heartbeat, ms.
    pub group_heartbeat_ms: Option<u64>,
    /// Files of certificates and keys; without, connections are plain text.
    pub tls: Option<TlsConfig>,
    /// Names and passwords; without, nobody has to say who he is.
    #[serde(default)]
    pub users: BTreeMap<String, Password>,
    /// Who may do what; without, everybody may do everything.
    #[serde(default)]
    pub rules: Vec<RuleConfig>,
    /// Principals whom the rules do not bind.
    #[serde(default)]
    pub super_users: Vec<String>,
}

/// The table `[kafka.tls]`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TlsConfig {
    /// The server's certificate, PEM.
    pub certificate: PathBuf,
    /// Its private key, PEM.
    pub key: PathBuf,
    /// What clients' certificates have to be signed by, PEM; without, clients need none.
    pub client_ca: Option<PathBuf>,
}

/// A password, which is not shown.
#[derive(Clone, PartialEq, Eq, Deserialize)]
pub struct Password(String);

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Password")
    }
}

/// An element of `[[kafka.rules]]`: what it is about is one of `topic`, `group`, `transactional_id` and `cluster`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "RuleTable")]
pub struct RuleConfig(Rule);

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RuleTable {
    principal: String,
    topic: Option<String>,
    group: Option<String>,
    transactional_id: Option<String>,
    cluster: Option<bool>,
    operations: Vec<String>,
}

impl TryFrom<RuleTable> for RuleConfig {
    type Error = String;

    fn try_from(table: RuleTable) -> Result<RuleConfig, String> {
        let named = [
            (ResourceKind::Topic, table.topic),
            (ResourceKind::Group, table.group),
            (ResourceKind::TransactionalId, table.transactional_id),
            (ResourceKind::Cluster, table.cluster.filter(|about| *about).map(|_| "*".to_owned())),
        ];
        let mut about = named.into_iter().filter_map(|(kind, name)| Some((kind, name?)));
        let (Some((kind, name)), None) = (about.next(), about.next()) else {
            return Err("a rule is about one of topic, group, transactional_id and cluster".to_owned());
        };
        if !table.principal.starts_with("User:") {
            return Err(format!("principal {:?}: expected User:NAME or User:*", table.principal));
        }
        let names = match name.strip_suffix('*') {
            Some("") => Names::All,
            Some(prefix) => Names::BeginWith(prefix.to_owned()),
            None => Names::Is(name),
        };
        let operation = |word: &String| {
            Operation::of_word(word).ok_or_else(|| {
                let words = "all, read, write, create, delete, alter, describe, describe_configs, alter_configs, \
                             cluster_action, idempotent_write";
                format!("operation {word:?}: expected one of {words}")
            })
        };
        let operations = match table.operations.iter().any(|word| word == "all") {
            true => None,
            false => Some(table.operations.iter().map(operation).collect::<Result<_, _>>()?),
        };
        Ok(RuleConfig(Rule { principal: table.principal, kind, names, operations }))
    }
}

/// A host and a port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Advertised(String, u16);

impl fmt::Display for Advertised {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Advertised(host, port) = self;
        if host.contains(':') { write!(f, "[{host}]:{port}") } else { write!(f, "{host}:{port}") }
    }
}

impl FromStr for Advertised {
    type Err = String;

    fn from_str(text: &str) -> Result<Advertised, String> {
        let parts = text.rsplit_once(':').and_then(|(host, port)| Some((host, port.parse().ok()?)));
        let (host, port) = parts.ok_or_else(|| format!("{text:?}: expected HOST:PORT"))?;
        let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
        if bare.is_empty() { Err(format!("{text:?}: expected HOST:PORT")) } else { Ok(Advertised(bare.into(), port)) }
    }
}

/// A text that is parsed.
pub fn parsed<'de, D, T>(from: D) -> Result<Option<T>, D::Error>
where
    D: serde::Deserializer<'de>,
    T: FromStr<Err = String>,
{
    let text = Option::<String>::deserialize(from)?;
    text.map(|text| text.parse().map_err(serde::de::Error::custom)).transpose()
}

impl KafkaConfig {
    /// As the listener takes it; `allow_remote` is what all listeners were told.
    pub fn settings(&self, allow_remote: bool) -> Settings {
        let defaults = Settings::default();
        Settings {
            allow_remote: self.allow_remote.unwrap_or(allow_remote),
            advertised: self.advertised.clone().map(|Advertised(host, port)| (host, port)),
            connections_max: self.connections_max.unwrap_or(defaults.connections_max),
            auto_create_topics: self.auto_create_topics.unwrap_or(defaults.auto_create_topics),
            partitions_default: self.partitions_default.unwrap_or(defaults.partitions_default),
            request_bytes_max: self.request_bytes_max.unwrap_or(defaults.request_bytes_max),
            answer_bytes_max: self.answer_bytes_max.unwrap_or(defaults.answer_bytes_max),
            group_initial_delay: self
                .group_initial_delay_ms
                .map_or(defaults.group_initial_delay, Duration::from_millis),
            group_session: self.group_session_ms.map_or(defaults.group_session, Duration::from_millis),
            group_heartbeat: self.group_heartbeat_ms.map_or(defaults.group_heartbeat, Duration::from_millis),
            tls: self.tls.clone().map(|TlsConfig { certificate, key, client_ca }| TlsFiles {
                certificate,
                key,
                client_ca,
            }),
            users: self.users.iter().map(|(name, Password(password))| user(name, password)).collect(),
            rules: self.rules.iter().map(|RuleConfig(rule)| rule.clone()).collect(),
            super_users: self.super_users.clone(),
        }
    }
}

fn user(name: &str, password: &str) -> User {
    User { name: name.to_owned(), password: password.to_owned() }
}

/// Open the port; the error says which option is about it.
pub async fn listen(at: Listen, settings: &Settings) -> CommandResult<Option<TcpListener>> {
    let Listen::At(address) = at else { return Ok(None) };
    kafkaserver::listen(address, settings).await.map(Some).map_err(|error| match error.kind() {
        ErrorKind::PermissionDenied if !settings.allow_remote => {
            format!("--kafka {address}: reachable from other machines; say --allow-remote if that is meant")
        }
        _ => format!("--kafka {address}: {error}; give another with --kafka ADDR, or --kafka off for none"),
    })
}

/// Serve Kafka clients until `stop`; the address says the port also where any was asked for.
pub async fn serve(
    engine: &Engine,
    listener: TcpListener,
    settings: Settings,
    stop: &CancellationToken,
) -> CommandResult<(SocketAddr, JoinHandle<()>)> {
    let bound = listener.local_addr().map_err(|error| format!("--kafka: {error}"))?;
    let log = engine.embedded_log().ok_or("--kafka: Kafka clients can be served on the embedded log only")?;
    let broker = Broker::open(log, settings, stop.clone()).await?;
    Ok((bound, tokio::spawn(kafkaserver::serve(Arc::new(broker), listener))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read() {
        let check = |text: &str, expect: Result<Listen, &str>| {
            assert_eq!(text.parse::<Listen>(), expect.map_err(str::to_owned), "{text}");
        };
        check("off", Ok(Listen::Off));
        check("127.0.0.1:9", Ok(Listen::At(SocketAddr::from(([127, 0, 0, 1], 9)))));
        check("9092", Err("\"9092\": expected IP:PORT or off"));
        let check = |text: &str, expect: Option<(&str, u16)>| {
            let expect = expect.map(|(host, port)| Advertised(host.to_owned(), port));
            assert_eq!(text.parse().ok(), expect, "{text}");
        };
        check("kafka.example:1", Some(("kafka.example", 1)));
        check("[::1]:2", Some(("::1", 2)));
        check(":2", None);
        check("kafka.example", None);
        check("kafka.example:70000", None);
    }

    #[test]
    fn the_table_is_read() {
        let text = "listen = 'off'\nadvertised = 'h:1'\nconnections_max = 5\nauto_create_topics = true";
        let config: KafkaConfig = toml::from_str(text).expect("reads");
        assert_eq!(config.listen, Some(Listen::Off));
        let settings = config.settings(true);
        assert_eq!(settings.advertised, Some(("h".to_owned(), 1)));
        assert!(settings.allow_remote && settings.auto_create_topics && settings.connections_max == 5);
        assert!(!KafkaConfig { allow_remote: Some(false), ..config }.settings(true).allow_remote);
    }

    #[test]
    fn users_and_rules_are_read() {
        let text = "super_users = ['User:root']
            [users]
            ann = 'secret'
            [tls]
            certificate = 'c.pem'
            key = 'k.pem'
            [[rules]]
            principal = 'User:ann'
            topic = 'open-*'
            operations = ['read', 'alter_configs']
            [[rules]]
            principal = 'User:*'
            cluster = true
            operations = ['all']";
        let config: KafkaConfig = toml::from_str(text).expect("reads");
        assert!(!format!("{config:?}").contains("secret"));
        let settings = config.settings(false);
        assert!(!format!("{settings:?}").contains("secret"));
        assert_eq!(settings.users, [user("ann", "secret")]);
        assert_eq!(settings.tls.expect("is there").client_ca, None);
        let operations = Some(vec![Operation::Read, Operation::AlterConfigs]);
        let rule = |principal: &str, kind, names, operations| Rule {
            principal: principal.to_owned(),
            kind,
            names,
            operations,
        };
        assert_eq!(
            settings.rules,
            [
                rule("User:ann", ResourceKind::Topic, Names::BeginWith("open-".to_owned()), operations),
                rule("User:*", ResourceKind::Cluster, Names::All, None),
            ]
        );
        let check = |rule: &str, word: &str| {
            let text = format!("[[rules]]\nprincipal = 'User:ann'\n{rule}");
            let error = toml::from_str::<KafkaConfig>(&text).expect_err("is wrong").to_string();
            assert!(error.contains(word), "{error}");
        };
        check("operations = ['read']", "one of topic");
        check("operations = ['read']\ntopic = 'a'\ngroup = 'b'", "one of topic");
        check("operations = ['raed']\ntopic = 'a'", "raed");
        check("operation = ['read']\ntopic = 'a'", "operation");
    }
}
