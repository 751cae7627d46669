//! The command line.

use std::{net::SocketAddr, path::PathBuf};

use clap::{Args, Parser, Subcommand, ValueEnum};

/// A streaming database: SQL over topics, in one process.
#[derive(Debug, Parser)]
#[command(version, after_help = TOUR, disable_help_subcommand = true)]
pub(crate) struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub(crate) command: Command,
}

const TOUR: &str = "\
A first tour:
  millstream quickstart                          a server, fed with what this machine does
  psql -h localhost -p 5433                      ask it, with psql or any PostgreSQL driver
  millstream sql                                 the same with our own shell

A server of your own:
  millstream start --data /var/lib/millstream
  millstream topics --create orders --partitions 4
  echo 'k1:{\"amount\": 5}' | millstream produce orders --key-separator :
  millstream consume orders --from-beginning

Exit codes: 0 done, 1 failed, 2 wrong arguments.";

/// The commands.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run a server.
    #[command(after_help = START_HELP)]
    Start(Start),
    /// Run SQL on a server: a shell, statements, or a file.
    #[command(after_help = SQL_HELP)]
    Sql(Sql),
    /// List, create, delete or describe topics.
    #[command(after_help = TOPICS_HELP)]
    Topics(Topics),
    /// Write lines of standard input to a topic.
    #[command(after_help = PRODUCE_HELP)]
    Produce(Produce),
    /// Print a topic's records as they come.
    #[command(after_help = CONSUME_HELP)]
    Consume(Consume),
    /// Run a server that watches this machine: something to look at from the first minute.
    #[command(after_help = QUICKSTART_HELP)]
    Quickstart(Quickstart),
}

const START_HELP: &str = "\
Examples:
  millstream start
  millstream start --data /var/lib/millstream --pg 127.0.0.1:5433
  millstream start --config millstream.toml
  millstream start --in-memory --property auto.offset.reset=earliest

The configuration file is TOML. Its names are those of the options:
  data = \"/var/lib/millstream\"
  pg = \"127.0.0.1:5433\"
  http = \"127.0.0.1:8088\"
  log = \"info\"
  log_format = \"json\"
  [properties]
  \"auto.offset.reset\" = \"earliest\"
An option on the command line counts before the file.

SIGINT and SIGTERM end the server: running work is finished and written first.";

/// Options of `start`.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct Start {
    /// Where data lives; made if it is not there [default: ./millstream-data]
    #[arg(long, value_name = "DIR", conflicts_with = "in_memory")]
    pub(crate) data: Option<PathBuf>,
    /// Keep data in memory: it is gone when the server ends
    #[arg(long)]
    pub(crate) in_memory: bool,
    /// Where PostgreSQL clients connect [default: 127.0.0.1:5433]
    #[arg(long, value_name = "ADDR")]
    pub(crate) pg: Option<SocketAddr>,
    /// Where health and metrics are served [default: 127.0.0.1:8088]
    #[arg(long, value_name = "ADDR")]
    pub(crate) http: Option<SocketAddr>,
    /// Listen also on addresses that other machines reach. There is no authentication!
    #[arg(long)]
    pub(crate) allow_remote: bool,
    /// PostgreSQL connections at once [default: 1000]
    #[arg(long, value_name = "N")]
    pub(crate) connections_max: Option<usize>,
    /// Threads that compute [default: one a core]
    #[arg(long, value_name = "N")]
    pub(crate) threads: Option<usize>,
    /// Partitions of topics that a statement creates without saying how many [default: 1]
    #[arg(long, value_name = "N")]
    pub(crate) partitions: Option<u32>,
    /// A property that sessions start with, as SET would set it; may be repeated
    #[arg(long = "property", value_name = "NAME=VALUE", value_parser = name_value)]
    pub(crate) properties: Vec<(String, String)>,
    /// A file with these options
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) logging: Logging,
}

/// How to log.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct Logging {
    /// error, warn, info, debug or trace; or by module: pgserver=debug,info [default: info]
    #[arg(long, value_name = "LEVEL")]
    pub(crate) log: Option<String>,
    /// How log lines look [default: text]
    #[arg(long, value_name = "FORMAT")]
    pub(crate) log_format: Option<LogFormat>,
}

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// For machines: one JSON object a line.
    Json,
}

/// Which server to talk to.
#[derive(Debug, Clone, Args)]
pub(crate) struct Connect {
    /// The server, as postgres://[user@]host[:port][/database]
    #[arg(long, value_name = "URL", conflicts_with_all = ["host", "port"])]
    pub(crate) url: Option<String>,
    /// The server's host
    #[arg(long, default_value = "127.0.0.1")]
    pub(crate) host: String,
    /// The server's PostgreSQL port
    #[arg(long, default_value_t = 5433)]
    pub(crate) port: u16,
}

const SQL_HELP: &str = "\
Examples:
  millstream sql
  millstream sql -c 'SHOW STREAMS' -c 'SHOW TABLES'
  millstream sql -f schema.sql
  millstream sql -c \"SELECT * FROM pageviews EMIT CHANGES\"      Ctrl-C ends it

In the shell, a statement ends with `;`, Ctrl-C ends a query, Ctrl-D the shell. \\? lists its own commands.";

/// Options of `sql`.
#[derive(Debug, Clone, Args)]
pub(crate) struct Sql {
    /// Run this text and end; may be repeated
    #[arg(short, long, value_name = "SQL")]
    pub(crate) command: Vec<String>,
    /// Run this file and end (- is standard input); may be repeated
    #[arg(short, long, value_name = "FILE")]
    pub(crate) file: Vec<PathBuf>,
    #[command(flatten)]
    pub(crate) connect: Connect,
}

const TOPICS_HELP: &str = "\
Examples:
  millstream topics
  millstream topics --create orders --partitions 4 --setting retention.ms=86400000
  millstream topics --describe orders
  millstream topics --delete orders";

/// Options of `topics`.
#[derive(Debug, Clone, Args)]
pub(crate) struct Topics {
    /// Create a topic
    #[arg(long, value_name = "NAME", group = "action")]
    pub(crate) create: Option<String>,
    /// Delete a topic and its records
    #[arg(long, value_name = "NAME", group = "action")]
    pub(crate) delete: Option<String>,
    /// Show a topic's partitions
    #[arg(long, value_name = "NAME", group = "action")]
    pub(crate) describe: Option<String>,
    /// Partitions of the new topic
    #[arg(long, value_name = "N", default_value_t = 1, requires = "create")]
    pub(crate) partitions: u32,
    /// A setting of the new topic; may be repeated
    #[arg(long = "setting", value_name = "NAME=VALUE", value_parser = name_value, requires = "create")]
    pub(crate) settings: Vec<(String, String)>,
    #[command(flatten)]
    pub(crate) connect: Connect,
}

const PRODUCE_HELP: &str = "\
Each line is a record: its value, or its key and value with --key-separator.

Examples:
  millstream produce logs < server.log
  echo 'u1:{\"page\": \"/\"}' | millstream produce pageviews --key-separator :
  echo 'u1:NULL' | millstream produce users --key-separator : --null-value NULL      deletes u1";

/// Options of `produce`.
#[derive(Debug, Clone, Args)]
pub(crate) struct Produce {
    /// The topic
    pub(crate) topic: String,
    /// What stands between key and value; lines without it have no key
    #[arg(long, value_name = "TEXT")]
    pub(crate) key_separator: Option<String>,
    /// A value that stands for none: the record deletes its key
    #[arg(long, value_name = "TEXT")]
    pub(crate) null_value: Option<String>,
    /// Write to this partition, whatever the key
    #[arg(long, value_name = "N")]
    pub(crate) partition: Option<u32>,
    /// A header of every record; may be repeated
    #[arg(long = "header", value_name = "NAME=VALUE", value_parser = name_value)]
    pub(crate) headers: Vec<(String, String)>,
    #[command(flatten)]
    pub(crate) connect: Connect,
}

const CONSUME_HELP: &str = "\
Waits for new records like `tail -f`, until Ctrl-C or --max-messages.

Examples:
  millstream consume pageviews --from-beginning
  millstream consume pageviews --key-separator ' => ' --max-messages 10
  millstream consume pageviews --from-beginning --exit --format '{partition}:{offset} {key} {value}'
  millstream consume pageviews --partition 0 --offset 100";

/// Options of `consume`.
#[derive(Debug, Clone, Args)]
pub(crate) struct Consume {
    /// The topic
    pub(crate) topic: String,
    /// Begin with the first record held
    #[arg(long, conflicts_with = "offset")]
    pub(crate) from_beginning: bool,
    /// End after so many records
    #[arg(long, value_name = "N")]
    pub(crate) max_messages: Option<u64>,
    /// End when there are no more records
    #[arg(long)]
    pub(crate) exit: bool,
    /// Read this partition alone
    #[arg(long, value_name = "N")]
    pub(crate) partition: Option<u32>,
    /// Begin at this offset
    #[arg(long, value_name = "N")]
    pub(crate) offset: Option<u64>,
    /// Print keys, with this between key and value
    #[arg(long, value_name = "TEXT", conflicts_with = "format")]
    pub(crate) key_separator: Option<String>,
    /// How to print a record: {topic} {partition} {offset} {timestamp} {key} {value} {headers}, \n \t
    #[arg(long, value_name = "TEMPLATE")]
    pub(crate) format: Option<String>,
    #[command(flatten)]
    pub(crate) connect: Connect,
}

const QUICKSTART_HELP: &str = "\
Feeds topic `machine` with several hundred events a second of this machine (processors, memory, disks, network,
processes), keeps two tables of them, and shows one of them live. Ctrl-C ends it; the data stay.

While it runs:
  psql -h localhost -p 5433 -c 'SELECT * FROM latest'
  millstream sql -c 'SELECT * FROM per_10s EMIT CHANGES'
  millstream consume machine --key-separator ' '";

/// Options of `quickstart`.
#[derive(Debug, Clone, Args)]
pub(crate) struct Quickstart {
    /// Where data lives
    #[arg(long, value_name = "DIR", default_value = "millstream-data")]
    pub(crate) data: PathBuf,
    /// Where PostgreSQL clients connect
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:5433")]
    pub(crate) pg: SocketAddr,
    #[command(flatten)]
    pub(crate) logging: Logging,
}

/// `name=value`.
fn name_value(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err("expected NAME=VALUE".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_sound_and_every_command_shows_examples() {
        let command = Cli::command();
        command.clone().debug_assert();
        assert!(command.get_subcommands().all(|c| c.get_after_help().is_some()));
    }

    #[test]
    fn name_value_pairs() {
        assert_eq!(name_value("a=b=c"), Ok(("a".to_owned(), "b=c".to_owned())));
        assert!(name_value("=x").is_err() && name_value("x").is_err());
    }
}
