//! `cargo run --release -p benches`: the workloads, start-up and latency, on the server's release binary.

use std::{path::PathBuf, process::ExitCode};

use benches::{Outcome, Settings};
use clap::Parser;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Measure the server: records a second, CPU seconds a million records, peak memory; start-up; latency.
#[derive(Parser)]
struct Args {
    /// Workloads (W1 … W5) [default: all].
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
    })
}

fn main() -> ExitCode {
    match settings(Args::parse()).and_then(|settings| benches::run(&settings)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}
