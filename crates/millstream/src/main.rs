//! The `millstream` binary: configuration and wiring. What it starts is in other crates; what it shows is here.

mod cli;
mod client;
mod config;
mod consume;
mod failure;
mod logging;
mod produce;
mod quickstart;
mod sql;
mod start;
mod table;
mod topics;

use std::process::ExitCode;

use clap::Parser;

use cli::{Cli, Command};
use failure::Failure;

/// Most of what a streaming database does between two system calls is to allocate and free small buffers.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let cli = Cli::parse();
    match run(cli) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            if let Some(message) = failure.message() {
                eprintln!("millstream: {message}");
            }
            failure.code()
        }
    }
}

fn run(cli: Cli) -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let runtime = runtime.map_err(|e| Failure::from(e).context("starting"))?;
    let result = match cli.command {
        Command::Start(args) => runtime.block_on(start::run(args)),
        Command::Sql(args) => sql::run(&runtime, args),
        Command::Topics(args) => runtime.block_on(topics::run(args)),
        Command::Produce(args) => runtime.block_on(produce::run(args)),
        Command::Consume(args) => runtime.block_on(consume::run(args)),
        Command::Quickstart(args) => runtime.block_on(quickstart::run(args)),
    };
    // A thread that still waits for standard input must not keep the process.
    runtime.shutdown_background();
    result
}
