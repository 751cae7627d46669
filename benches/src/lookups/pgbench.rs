//! The same by pgbench: prepared statements, eight clients on two threads.

use std::{
    path::Path,
    process::Command,
    time::{Duration, Instant},
};

use super::{Asked, CLIENTS, Kind};
use crate::Outcome;

/// `lookups` of a kind.
pub(super) fn measure(pgbench: &Path, dir: &Path, port: u16, kind: &Kind, lookups: u64) -> Outcome<Asked> {
    let script = dir.join("lookup.sql");
    let sql = kind.sql.replace("$1", ":id");
    std::fs::write(&script, format!("\\set id random({}, {})\n{sql};\n", kind.from, kind.to))?;
    let mut command = Command::new(pgbench);
    command.args(["-n", "-U", "bench", "-f"]).arg(script);
    run(command.args(["-p", &port.to_string()]).arg("bench"), dir, lookups)
}

/// As many of a PostgreSQL server's accounts.
pub(super) fn measure_postgres(pgbench: &Path, dir: &Path, port: u16, lookups: u64) -> Outcome<Asked> {
    let mut command = Command::new(pgbench);
    run(command.args(["-n", "-S", "-U", "postgres", "-p", &port.to_string()]).arg("postgres"), dir, lookups)
}

fn run(command: &mut Command, dir: &Path, lookups: u64) -> Outcome<Asked> {
    let (logs, started) = (tempfile::tempdir_in(dir)?, Instant::now());
    let each = lookups.div_ceil(CLIENTS).to_string();
    command.args(["-h", "127.0.0.1", "-M", "prepared", "-c", &CLIENTS.to_string(), "-j", "2", "-t", &each]);
    let output = command.arg("-l").arg("--log-prefix").arg(logs.path().join("times")).output()?;
    let wall = started.elapsed();
    if !output.status.success() {
        return Err(format!("pgbench: {}", String::from_utf8_lossy(&output.stderr)).into());
    }
    let mut times = vec![];
    for file in std::fs::read_dir(logs.path())? {
        for line in std::fs::read_to_string(file?.path())?.lines() {
            let us = line.split(' ').nth(2).ok_or("a line of pgbench's log without a time")?;
            times.push(Duration::from_micros(us.parse()?));
        }
    }
    Ok(Asked { times, wall })
}
