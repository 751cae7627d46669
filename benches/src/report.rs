//! What is printed: the machine, a line a run, the median of a workload's runs.

use std::{
    fs::OpenOptions,
    io::Write,
    os::unix::fs::FileExt,
    path::Path,
    time::{Duration, Instant},
};

use crate::{Outcome, workloads::Measured};

/// Writes that tell how long the disk takes to make one durable.
const DISK_SYNCS: usize = 100;

/// The machine: cores, and how long its disk takes to make 4 KiB durable.
///
/// # Errors
/// The disk's.
pub fn machine(dir: &Path) -> Outcome<()> {
    std::fs::create_dir_all(dir)?;
    let cores = std::thread::available_parallelism()?;
    let name = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let name =
        name.lines().find_map(|l| l.strip_prefix("model name")).map_or("", |l| l.trim_start_matches([' ', '\t', ':']));
    let (p50, p99) = sync_times(dir)?;
    println!("{cores} cores, {name}; 4 KiB written and synced: p50 {p50:.2?}, p99 {p99:.2?}\n");
    Ok(())
}

fn sync_times(dir: &Path) -> Outcome<(Duration, Duration)> {
    let path = dir.join("sync-probe");
    let mut file = OpenOptions::new().create(true).truncate(true).write(true).open(&path)?;
    file.write_all(&[0; 4096])?;
    file.sync_all()?;
    let mut times = Vec::with_capacity(DISK_SYNCS);
    for i in 0..DISK_SYNCS {
        let started = Instant::now();
        file.write_all_at(&[1; 4096], u64::try_from(i)? * 4096)?;
        file.sync_data()?;
        times.push(started.elapsed());
    }
    std::fs::remove_file(path)?;
    Ok(percentiles(&mut times))
}

/// Half of the times are at most the first, 99 of 100 at most the second.
pub fn percentiles(times: &mut [Duration]) -> (Duration, Duration) {
    times.sort_unstable();
    let at = |hundredths: usize| {
        let place = (times.len() * hundredths / 100).min(times.len().saturating_sub(1));
        times.get(place).copied().unwrap_or_default()
    };
    (at(50), at(99))
}

/// The table's head.
pub fn head() {
    println!("workload                            records   seconds   M records/s   CPU s/M   peak MB");
}

fn print(name: &str, title: &str, measured: &Measured) {
    let (seconds, millions) = (measured.wall.as_secs_f64(), measured.records as f64 / 1e6);
    println!(
        "{name:<3} {title:<27} {:>11} {seconds:>9.2} {:>13.2} {:>9.2} {:>9.0}",
        measured.records,
        millions / seconds,
        measured.cpu_s / millions,
        measured.peak_bytes as f64 / 1e6
    );
}

/// One run.
pub fn line(name: &str, title: &str, measured: &Measured) {
    print(name, title, measured);
}

/// The median by time of several runs, and their spread.
pub fn median(name: &str, runs: &[Measured]) {
    if runs.len() < 3 {
        return;
    }
    let mut sorted = runs.to_vec();
    sorted.sort_unstable_by_key(|m| m.wall);
    if let (Some(median), Some(first), Some(last)) = (sorted.get(sorted.len() / 2), sorted.first(), sorted.last()) {
        print(name, "median", median);
        let rate = |m: &Measured| m.records as f64 / m.wall.as_secs_f64() / 1e6;
        println!("{:<3} {:<27} {:>35.2} to {:.2}", name, "from, to", rate(last), rate(first));
    }
}
