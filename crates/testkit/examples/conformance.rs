//! The command `test` as a program of its own: `conformance PATH… [--filter TEXT] [--summary] …`.

use std::process::ExitCode;

use clap::Parser;
use testkit::TestArgs;

#[derive(Parser)]
struct Arguments {
    #[command(flatten)]
    test: TestArgs,
}

fn main() -> ExitCode {
    ExitCode::from(testkit::run(&Arguments::parse().test))
}
