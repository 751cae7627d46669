//! `cargo run --release -p benches`: the workloads, start-up and latency, on the server's release binary.

use std::{path::PathBuf, process::ExitCode};

use benches::{Outcome, Settings};
use clap::Parser;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Measure the server: records a second, CPU seconds a million records, peak memory; start-up; latency.
#[derive(Parser)]
struct Args {
    /// Workloads (W1 … W5, and q0 … q22 where there are Nexmark events) [default: all].
    workloads: Vec<String>,
    /// The server's binary [default: `millstream` beside this one].
    #[arg(long, value_name = "FILE")]
    server: Option<PathBuf>,
    /// Where data directories are made; its topics are kept for the next run.
    #[arg(long, value_name = "DIR", default_value = "millstream-bench")]
    dir: PathBuf,
    /// Bids.
    #[arg(long, default_value_t = 2_000_000)]
    bids: u64,
    /// Runs of each workload.
    #[arg(long, default_value_t = 3)]
    runs: usize,
    /// Records of the latency measurement at 2,000 a second; 0: none.
    #[arg(long, default_value_t = 0)]
    latency_records: u64,
    /// Queries of the start-up measurement; 0: none.
    #[arg(long, default_value_t = 0)]
    startup_queries: usize,
    /// Queries over one topic that are compared with one; 0: none.
    #[arg(long, default_value_t = 0)]
    growth_queries: u64,
    /// Streams that nobody writes to, for the measurement of what they cost; 0: none.
    #[arg(long, default_value_t = 0)]
    idle_streams: usize,
    /// Queries over the first of them; no more than streams.
    #[arg(long, default_value_t = 0)]
    idle_queries: usize,
    /// Keys of the measurement of state that does not fit into memory; 0: none.
    #[arg(long, default_value_t = 0)]
    state_keys: u64,
    /// What of that state may be in memory, MB.
    #[arg(long, default_value_t = 51)]
    state_limit_mb: u64,
    /// Lookups of each kind by eight clients while W2 runs at 200,000 records a second; 0: none.
    #[arg(long, default_value_t = 0)]
    lookups: u64,
    /// Rows of the table that they look at.
    #[arg(long, default_value_t = 1_000_000)]
    accounts: u64,
    /// A pgbench that makes them instead of clients of this process.
    #[arg(long, value_name = "FILE")]
    pgbench: Option<PathBuf>,
    /// A PostgreSQL server on this machine that `pgbench -i` has filled: its lookups are measured too.
    #[arg(long, value_name = "PORT", requires = "pgbench")]
    postgres: Option<u16>,
    /// Events of the Nexmark queries; 0: none.
    #[arg(long, default_value_t = 0)]
    nexmark_events: u64,
    /// Run them on this Kafka cluster instead of the embedded log.
    #[arg(long, value_name = "HOST:PORT")]
    kafka_bootstrap: Option<String>,
    /// Run one workload on a Kafka cluster, as `benches/peers/millstream.sh` says, and tell what came of it.
    #[arg(long)]
    peer: bool,
    /// Everything once, on little.
    #[arg(long)]
    quick: bool,
}

fn settings(args: Args) -> Outcome<Settings> {
    let server = match args.server {
        Some(server) => server,
        None => std::env::current_exe()?.with_file_name(format!("millstream{}", std::env::consts::EXE_SUFFIX)),
    };
    if !server.is_file() {
        let path = server.display();
        return Err(
            format!("no server at {path}: build it (cargo build --release -p millstream) or say --server").into()
        );
    }
    if args.quick {
        return Ok(Settings { workloads: args.workloads, ..Settings::quick(server, args.dir) });
    }
    Ok(Settings {
        server,
        dir: args.dir,
        bids: args.bids,
        runs: args.runs,
        workloads: args.workloads,
        latency_records: args.latency_records,
        startup_queries: args.startup_queries,
        growth_queries: args.growth_queries,
        idle_streams: args.idle_streams,
        idle_queries: args.idle_queries.min(args.idle_streams),
        state_keys: args.state_keys,
        state_limit_bytes: args.state_limit_mb * 1_000_000,
        lookups: args.lookups,
        accounts: args.accounts,
        pgbench: args.pgbench,
        postgres: args.postgres,
        nexmark_events: args.nexmark_events,
        kafka_bootstrap: args.kafka_bootstrap,
    })
}

fn main() -> ExitCode {
    let args = Args::parse();
    let run = if args.peer { benches::peer::run } else { benches::run };
    match settings(args).and_then(|settings| run(&settings)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // What a server says is in what its client's error comes from.
            let reasons = std::iter::successors(Some(&*error as &dyn std::error::Error), |error| error.source());
            eprintln!("{}", reasons.map(ToString::to_string).collect::<Vec<_>>().join(": "));
            ExitCode::FAILURE
        }
    }
}
