//! What a server is started with: defaults, then the configuration file, then the command line.

use std::{
    collections::BTreeMap,
    net::{Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
};

use serde::Deserialize;

use crate::{
    cli::{LogFormat, Logging, Start},
    failure::Failure,
};

/// Where PostgreSQL clients connect unless told otherwise: one above PostgreSQL's own port.
const PG_PORT: u16 = 5433;

/// Where HTTP is served unless told otherwise.
const HTTP_PORT: u16 = 8088;

/// Connections at once unless told otherwise.
const CONNECTIONS_MAX: usize = 1000;

/// What a server is started with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Config {
    /// Where data lives; `None`: in memory.
    pub(crate) data: Option<PathBuf>,
    /// Where PostgreSQL clients connect.
    pub(crate) pg: SocketAddr,
    /// Where HTTP is served.
    pub(crate) http: SocketAddr,
    /// Listen on addresses that other machines reach.
    pub(crate) allow_remote: bool,
    /// PostgreSQL connections at once.
    pub(crate) connections_max: usize,
    /// Threads that compute.
    pub(crate) threads: usize,
    /// Partitions of new topics.
    pub(crate) partitions: u32,
    /// What sessions start with.
    pub(crate) properties: BTreeMap<String, String>,
    /// Which log lines.
    pub(crate) log: String,
    /// How they look.
    pub(crate) log_format: LogFormat,
}

/// The configuration file.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    data: Option<PathBuf>,
    in_memory: Option<bool>,
    pg: Option<SocketAddr>,
    http: Option<SocketAddr>,
    allow_remote: Option<bool>,
    connections_max: Option<usize>,
    threads: Option<usize>,
    partitions: Option<u32>,
    log: Option<String>,
    log_format: Option<LogFormat>,
    #[serde(default)]
    properties: BTreeMap<String, Scalar>,
}

/// A property's value as TOML has it.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Scalar {
    Text(String),
    Boolean(bool),
    Integer(i64),
    Float(f64),
}

impl Scalar {
    fn text(self) -> String {
        match self {
            Scalar::Text(text) => text,
            Scalar::Boolean(value) => value.to_string(),
            Scalar::Integer(value) => value.to_string(),
            Scalar::Float(value) => value.to_string(),
        }
    }
}

impl Config {
    /// From the command line and the file that it names.
    pub(crate) fn new(args: Start) -> Result<Config, Failure> {
        let file = match &args.config {
            Some(path) => read(path)?,
            None => File::default(),
        };
        Ok(Config::merge(args, file))
    }

    fn merge(args: Start, file: File) -> Config {
        let local = |port| SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let in_memory = args.in_memory || (args.data.is_none() && file.in_memory == Some(true));
        let data = args.data.or(file.data).unwrap_or_else(|| PathBuf::from("millstream-data"));
        let mut properties: BTreeMap<String, String> =
            file.properties.into_iter().map(|(name, value)| (name, value.text())).collect();
        properties.extend(args.properties);
        let Logging { log, log_format } = args.logging;
        Config {
            data: (!in_memory).then_some(data),
            pg: args.pg.or(file.pg).unwrap_or_else(|| local(PG_PORT)),
            http: args.http.or(file.http).unwrap_or_else(|| local(HTTP_PORT)),
            allow_remote: args.allow_remote || file.allow_remote == Some(true),
            connections_max: args.connections_max.or(file.connections_max).unwrap_or(CONNECTIONS_MAX),
            threads: args.threads.or(file.threads).unwrap_or_else(cores),
            partitions: args.partitions.or(file.partitions).unwrap_or(1),
            properties,
            log: log.or(file.log).unwrap_or_else(|| "info".to_owned()),
            log_format: log_format.or(file.log_format).unwrap_or_default(),
        }
    }
}

fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

fn read(path: &Path) -> Result<File, Failure> {
    let text = std::fs::read_to_string(path).map_err(|e| Failure::from(e).context(path.display()))?;
    // The error shows the line and names the key.
    toml::from_str(&text).map_err(|e| Failure::new(e).context(path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(file: &str, args: Start, want: impl FnOnce(&mut Config)) {
        let file: File = toml::from_str(file).unwrap_or_else(|e| panic!("{e}"));
        let mut expected = Config::merge(Start::default(), File::default());
        want(&mut expected);
        assert_eq!(Config::merge(args, file), expected);
    }

    #[test]
    fn the_command_line_counts_before_the_file() {
        check("", Start::default(), |_| {});
        check("pg = '127.0.0.1:1'\nhttp = '[::1]:2'\n[properties]\na = 1\n\"b.c\" = 'x'", Start::default(), |c| {
            c.pg = SocketAddr::from(([127, 0, 0, 1], 1));
            c.http = "[::1]:2".parse().unwrap_or(c.http);
            c.properties = [("a", "1"), ("b.c", "x")].map(|(k, v)| (k.to_owned(), v.to_owned())).into();
        });
        let args = Start { data: Some("d".into()), properties: vec![("a".into(), "2".into())], ..Start::default() };
        check("in_memory = true\ndata = 'e'\n[properties]\na = 1", args, |c| {
            c.data = Some("d".into());
            c.properties = [("a".to_owned(), "2".to_owned())].into();
        });
        check("in_memory = true", Start::default(), |c| c.data = None);
    }

    #[test]
    fn unknown_names_are_errors_that_name_name_and_line() {
        let error = toml::from_str::<File>("pg = '127.0.0.1:1'\nprot = 3\n").map(|_| ()).unwrap_err().to_string();
        assert!(error.contains("line 2") && error.contains("prot"), "{error}");
    }
}
