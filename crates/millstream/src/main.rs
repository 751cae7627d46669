//! The `millstream` binary: configuration and wiring. What it starts is in other crates; what it shows is here.

mod client;
mod cluster;
mod completions;
mod config;
mod kafka;
mod machine;
mod memory;
mod peers;
mod quickstart;
mod server;
mod shell;
mod signals;
mod table;
mod told;
mod topics;

use std::{net::SocketAddr, path::PathBuf, process::ExitCode};

use clap::{CommandFactory, Parser, Subcommand, ValueEnum};
use tracing_subscriber::EnvFilter;

/// Most of what a streaming database does between two system calls is to allocate and free small buffers.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// What a command ends with: on failure the sentence for standard error.
pub type CommandResult<T = ()> = Result<T, String>;

/// A streaming database: SQL over topics, in one process.
#[derive(Parser)]
#[command(
    version,
    disable_help_subcommand = true,
    after_help = "A first tour:
  millstream quickstart                          a server, fed with what this machine does
  psql -h localhost -p 5433                      ask it, with psql or any PostgreSQL driver
  millstream sql                                 the same with our own shell

A server of your own:
  millstream start --data /var/lib/millstream
  millstream topics --create orders --partitions 4
  echo 'k1:{\"amount\": 5}' | millstream produce orders --key-separator :
  millstream consume orders --from-beginning

Exit codes: 0 done, 1 failed, 2 wrong arguments."
)]
struct Cli {
    /// Which log lines: error, warn, info, debug, trace; or by module: pgserver=debug,info.
    #[arg(long, global = true, value_name = "LEVEL", default_value = "info", env = "MILLSTREAM_LOG")]
    log: String,
    /// How log lines look.
    #[arg(long, global = true, value_enum, default_value_t = LogFormat::Text, env = "MILLSTREAM_LOG_FORMAT")]
    log_format: LogFormat,
    #[command(subcommand)]
    command: Command,
}

/// How log lines look.
#[derive(Clone, Copy, ValueEnum)]
enum LogFormat {
    /// For people.
    Text,
    /// For machines: one JSON object a line.
    Json,
}

#[derive(Subcommand)]
enum Command {
    /// Run a server.
    Start(Box<config::StartArgs>),
    /// Run SQL on a server: a shell, statements, or a file.
    Sql(shell::SqlArgs),
    /// List, create, delete or describe topics.
    Topics(topics::TopicsArgs),
    /// Write lines of standard input to a topic.
    Produce(topics::ProduceArgs),
    /// Print a topic's records as they come.
    Consume(topics::ConsumeArgs),
    /// Run test scripts (.sql) and query tests (.json) in process, on an engine of their own each.
    Test(testkit::TestArgs),
    /// Print what makes a shell complete commands and options.
    Completions(completions::CompletionsArgs),
    /// Run a server that watches this machine: something to look at from the first minute.
    Quickstart {
        /// Where data lives.
        #[arg(long, value_name = "DIR", default_value = "millstream-data")]
        data: PathBuf,
        /// Where PostgreSQL clients connect.
        #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:5433")]
        pg: SocketAddr,
        /// Where Kafka clients connect, or off [default: 127.0.0.1:9092, any free port where that is taken].
        #[arg(long, value_name = "ADDR")]
        kafka: Option<kafka::Listen>,
    },
}

fn main() -> ExitCode {
    memory::use_small_pages();
    let cli = Cli::parse();
    if let Command::Test(args) = &cli.command {
        return ExitCode::from(testkit::run(args));
    }
    let result = log(&cli.log, cli.log_format).and_then(|()| match cli.command {
        Command::Start(args) => server::start(*args),
        Command::Sql(args) => shell::run(args),
        Command::Topics(args) => topics::topics(args),
        Command::Produce(args) => topics::produce(args),
        Command::Consume(args) => topics::consume(args),
        Command::Completions(args) => completions::run(&args, &mut Cli::command()),
        Command::Quickstart { data, pg, kafka } => quickstart::run(data, pg, kafka),
        Command::Test(_) => Ok(()),
    });
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("millstream: {message}");
            ExitCode::FAILURE
        }
    }
}

/// Log lines on standard error: those that `filter` lets through.
fn log(filter: &str, format: LogFormat) -> CommandResult {
    let filter = EnvFilter::builder().parse(filter).map_err(|e| format!("--log {filter}: {e}"))?;
    let lines = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    let result = match format {
        LogFormat::Text => lines.with_ansi(std::io::IsTerminal::is_terminal(&std::io::stderr())).try_init(),
        LogFormat::Json => lines.json().try_init(),
    };
    result.map_err(|e| format!("logging: {e}"))
}

/// Runs a command on a runtime with a thread a core.
pub fn block_on<T>(command: impl Future<Output = CommandResult<T>>) -> CommandResult<T> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let runtime = runtime.map_err(|e| format!("starting: {e}"))?;
    let result = runtime.block_on(command);
    // A thread that still waits for standard input must not keep the process.
    runtime.shutdown_background();
    result
}

#[cfg(test)]
mod tests {
    use super::Cli;
    use clap::CommandFactory as _;

    #[test]
    fn the_command_line_is_sound() {
        Cli::command().debug_assert();
    }
}
