//! How to reach the cluster, and how the clients are set: what a user gives comes over our defaults, and what the log
//! depends on comes over both.

use std::{collections::BTreeMap, time::Duration};

use rdkafka::config::{ClientConfig, RDKafkaLogLevel};
use recordlog::{LogError, Result, batch::Compression};

/// Where the cluster is and how to talk to it.
#[derive(Debug, Clone, Default)]
pub struct ClusterConfig {
    /// Brokers to ask first: `host:port`, several with commas between.
    pub bootstrap: String,
    /// Whose log it is: processes of one service share their work, those of another have nothing to do with it.
    pub service: String,
    /// Settings of librdkafka's, by its names, such as `security.protocol`, `sasl.mechanism`, `sasl.username`,
    /// `sasl.password`, `ssl.ca.location`, `compression.type`.
    pub properties: BTreeMap<String, String>,
}

/// Bounds and waits of fetches.
#[derive(Debug, Clone)]
pub(crate) struct FetchSettings {
    /// Longest that a broker waits for a fetch to have something.
    pub wait: Duration,
    /// Bytes of an answer, over all its partitions.
    pub answer_bytes: i32,
    /// Bytes of an answer for one partition; where it is not set, by what a queue holds.
    pub partition_bytes: Option<i32>,
    /// Wait before what failed is tried again.
    pub backoff: Duration,
    /// Whether checksums are compared.
    pub verify: bool,
}

/// How is written.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ProduceSettings {
    /// `None`: as batches are built.
    pub compression: Option<Compression>,
    /// A transaction whose process is gone holds readers up for so long at most.
    pub transaction_timeout: Duration,
    /// A record outside of transactions is tried to be written for so long.
    pub message_timeout: Duration,
}

/// What a user may not set: the log's promises rest on them.
const FIXED: &[&str] = &[
    "acks",
    "auto.offset.reset",
    "bootstrap.servers",
    "delivery.report.only.error",
    "enable.auto.commit",
    "enable.auto.offset.store",
    "enable.gapless.guarantee",
    "enable.idempotence",
    "enable.partition.eof",
    "group.id",
    "isolation.level",
    "request.required.acks",
    "transactional.id",
];

/// Longest that a broker waits for a fetch to have something. A partition that begins to be read has to wait for the
/// fetch under way, so it is short.
const FETCH_WAIT_MS: u32 = 30;
/// Wait before a fetch that failed is repeated.
const ERROR_BACKOFF_MS: u32 = 100;
/// Bytes of a fetch's answer, over all its partitions.
const FETCH_BYTES: i32 = 4 << 20;
/// Where brokers listen if nothing else is said.
const DEFAULT_PORT: u16 = 9092;
/// A process of which nothing was heard for so long has lost its seat, ms: the least that brokers take by default.
const SESSION_TIMEOUT_MS: u32 = 6_000;
/// How often a process says that it is there, ms; it learns as often that another one is gone.
const HEARTBEAT_MS: u32 = 500;
/// How often a client looks whether a topic that it waits for is there, ms.
const METADATA_REFRESH_MS: u32 = 5_000;
/// A transaction whose process is gone holds readers up for so long at most, ms.
const TRANSACTION_TIMEOUT_MS: u32 = 10_000;
/// A record outside of transactions is tried to be delivered for so long, ms.
const MESSAGE_TIMEOUT_MS: u32 = 10_000;

impl ClusterConfig {
    /// Whether the properties are such that the log can keep its promises.
    pub(crate) fn check(&self) -> Result<()> {
        if self.bootstrap.trim().is_empty() {
            return Err(LogError::Invalid("no address of the cluster is given".to_owned()));
        }
        match self.properties.keys().find(|name| FIXED.contains(&name.as_str())) {
            Some(name) => Err(LogError::Invalid(format!("{name} cannot be set: the log depends on it"))),
            None => Ok(()),
        }
    }

    /// Names of this service's things on the cluster begin so.
    pub(crate) fn prefix(&self) -> String {
        format!("_millstream.{}-", self.service)
    }

    /// What brokers call this process in what they write down.
    pub(crate) fn client_id(&self) -> String {
        format!("millstream-{}", self.service)
    }

    fn base(&self, defaults: &[(&str, String)], fixed: &[(&str, String)]) -> ClientConfig {
        let mut config = ClientConfig::new();
        config.set_log_level(RDKafkaLogLevel::Info);
        config.set("client.id", self.client_id());
        config.set("socket.nagle.disable", "true");
        config.set("reconnect.backoff.max.ms", "1000");
        for (name, value) in defaults {
            config.set(*name, value);
        }
        for (name, value) in &self.properties {
            config.set(name, value);
        }
        for (name, value) in fixed {
            config.set(*name, value);
        }
        config.set("bootstrap.servers", &self.bootstrap);
        config
    }

    /// For one that asks and changes what topics there are.
    pub(crate) fn admin(&self) -> ClientConfig {
        self.base(&[], &[])
    }

    /// How partitions are fetched.
    ///
    /// # Errors
    /// [`LogError::Invalid`]: a number that is none.
    pub(crate) fn fetching(&self) -> Result<FetchSettings> {
        let bytes = |set: Option<u32>| set.and_then(|bytes| i32::try_from(bytes).ok());
        Ok(FetchSettings {
            wait: millis(self.number(&["fetch.wait.max.ms"])?, FETCH_WAIT_MS),
            answer_bytes: bytes(self.number(&["fetch.max.bytes"])?).unwrap_or(FETCH_BYTES),
            partition_bytes: bytes(self.number(&["max.partition.fetch.bytes", "fetch.message.max.bytes"])?),
            backoff: millis(self.number(&["fetch.error.backoff.ms"])?, ERROR_BACKOFF_MS),
            verify: self.properties.get("check.crcs").is_none_or(|value| value != "false"),
        })
    }

    /// The brokers to ask first.
    ///
    /// # Errors
    /// [`LogError::Invalid`]: one that is not `host:port`.
    pub(crate) fn bootstrap_addresses(&self) -> Result<Vec<(String, u16)>> {
        let address = |text: &str| {
            // As librdkafka takes them: a protocol may stand before, the port may be left out.
            let rest = text.split_once("://").map_or(text, |(_, rest)| rest);
            let (host, port) = match rest.rsplit_once(':') {
                Some((host, port)) if !host.ends_with(':') && !port.contains(']') => (host, port.parse().ok()),
                _ => (rest, Some(DEFAULT_PORT)),
            };
            let host = host.trim_start_matches('[').trim_end_matches(']');
            let port = port.filter(|_| !host.is_empty());
            let port = port.ok_or_else(|| LogError::Invalid(format!("{text}: no address of a broker")))?;
            Ok((host.to_owned(), port))
        };
        self.bootstrap.split(',').map(str::trim).filter(|text| !text.is_empty()).map(address).collect()
    }

    /// For one that asks for what readers may see.
    pub(crate) fn asker(&self) -> ClientConfig {
        self.base(&[], &[("isolation.level", "read_committed".to_owned())])
    }

    /// For one that asks for ends behind which there may be open transactions.
    pub(crate) fn asker_of_all(&self) -> ClientConfig {
        self.base(&[], &[("isolation.level", "read_uncommitted".to_owned())])
    }

    /// For one of a group that shares out `topic`; `instance`: which of its members it is.
    pub(crate) fn member(&self, topic: &str, instance: Option<&str>) -> ClientConfig {
        let defaults = [
            ("session.timeout.ms", SESSION_TIMEOUT_MS.to_string()),
            ("heartbeat.interval.ms", HEARTBEAT_MS.to_string()),
            ("topic.metadata.refresh.interval.ms", METADATA_REFRESH_MS.to_string()),
        ];
        let mut fixed = vec![
            ("group.id", topic.to_owned()),
            ("partition.assignment.strategy", "cooperative-sticky".to_owned()),
            ("auto.offset.reset", "latest".to_owned()),
            ("enable.auto.commit", "false".to_owned()),
            ("enable.auto.offset.store", "false".to_owned()),
        ];
        fixed.extend(instance.map(|name| ("group.instance.id", name.to_owned())));
        self.base(&defaults, &fixed)
    }

    /// How is written.
    ///
    /// # Errors
    /// [`LogError::Invalid`]: a number or a name that is none.
    pub(crate) fn producing(&self) -> Result<ProduceSettings> {
        let codec = ["compression.type", "compression.codec"];
        let codec = codec.iter().find_map(|name| self.properties.get_key_value(*name));
        let codec = codec.map(|(name, text)| match Compression::from_name(text) {
            Some(codec) => Ok(codec),
            None => Err(LogError::Invalid(format!("{name}: {text} is no way to compress"))),
        });
        Ok(ProduceSettings {
            compression: codec.transpose()?,
            transaction_timeout: millis(self.number(&["transaction.timeout.ms"])?, TRANSACTION_TIMEOUT_MS),
            message_timeout: millis(
                self.number(&["message.timeout.ms", "delivery.timeout.ms"])?.filter(|ms| *ms > 0),
                MESSAGE_TIMEOUT_MS,
            ),
        })
    }

    /// A property that is a number, by any of its names.
    fn number(&self, names: &[&str]) -> Result<Option<u32>> {
        let Some((name, text)) = names.iter().find_map(|name| self.properties.get_key_value(*name)) else {
            return Ok(None);
        };
        let number = text.parse::<u32>().ok().filter(|number| i32::try_from(*number).is_ok());
        number.map(Some).ok_or_else(|| LogError::Invalid(format!("{name}: {text} is no number that can be")))
    }
}

/// So many milliseconds, or what stands for none.
fn millis(set: Option<u32>, or_ms: u32) -> Duration {
    Duration::from_millis(set.unwrap_or(or_ms).into())
}
