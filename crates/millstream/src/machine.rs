//! Events of the machine itself, from the kernel's counters: what the quickstart feeds its topic with.

use std::fs;

/// One reading.
pub struct Reading {
    /// What was read, as `net.eth0.rx_bytes`.
    pub metric: String,
    /// Which part of the machine: cpu, memory, net, disk, process.
    pub kind: &'static str,
    /// The counter's or gauge's value.
    pub value: f64,
    /// Its unit.
    pub unit: &'static str,
}

/// Most processes that are read each time.
const PROCESSES_MAX: usize = 24;

/// Read everything that this system has; nothing where there is no /proc but the process's own share.
pub fn read() -> Vec<Reading> {
    let mut out = vec![];
    cpu(&mut out);
    memory(&mut out);
    network(&mut out);
    disks(&mut out);
    processes(&mut out);
    if out.is_empty() {
        let threads = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        push(&mut out, "cpu.threads".into(), "cpu", threads as f64, "count");
    }
    out
}

fn push(out: &mut Vec<Reading>, metric: String, kind: &'static str, value: f64, unit: &'static str) {
    out.push(Reading { metric, kind, value, unit });
}

fn numbers(line: &str) -> Vec<f64> {
    line.split_whitespace().filter_map(|w| w.parse().ok()).collect()
}

fn cpu(out: &mut Vec<Reading>) {
    for line in fs::read_to_string("/proc/stat").unwrap_or_default().lines() {
        let Some((name, rest)) = line.split_once(' ') else { continue };
        let values = numbers(rest);
        if name.starts_with("cpu") {
            for (field, value) in ["user", "nice", "system", "idle", "iowait"].iter().zip(&values) {
                push(out, format!("{name}.{field}"), "cpu", *value, "ticks");
            }
        } else if let ("ctxt" | "processes" | "procs_running", Some(value)) = (name, values.first()) {
            push(out, format!("cpu.{name}"), "cpu", *value, "count");
        }
    }
}

fn memory(out: &mut Vec<Reading>) {
    const SHOWN: [&str; 5] = ["MemFree", "MemAvailable", "Buffers", "Cached", "Dirty"];
    for line in fs::read_to_string("/proc/meminfo").unwrap_or_default().lines() {
        if let Some((name, rest)) = line.split_once(':')
            && SHOWN.contains(&name)
            && let Some(kib) = numbers(rest).first()
        {
            push(out, format!("memory.{}", name.to_lowercase()), "memory", kib * 1024.0, "bytes");
        }
    }
}

fn network(out: &mut Vec<Reading>) {
    for line in fs::read_to_string("/proc/net/dev").unwrap_or_default().lines() {
        let Some((name, rest)) = line.split_once(':') else { continue };
        let values = numbers(rest);
        for (field, at, unit) in
            [("rx_bytes", 0, "bytes"), ("rx_packets", 1, "count"), ("tx_bytes", 8, "bytes"), ("tx_packets", 9, "count")]
        {
            if let Some(value) = values.get(at) {
                push(out, format!("net.{}.{field}", name.trim()), "net", *value, unit);
            }
        }
    }
}

fn disks(out: &mut Vec<Reading>) {
    for line in fs::read_to_string("/proc/diskstats").unwrap_or_default().lines() {
        let mut words = line.split_whitespace().skip(2);
        let Some(name) = words.next() else { continue };
        if name.starts_with("loop") || name.starts_with("ram") {
            continue;
        }
        let values: Vec<f64> = words.filter_map(|w| w.parse().ok()).collect();
        for (field, at) in [("reads", 0), ("sectors_read", 2), ("writes", 4), ("sectors_written", 6)] {
            if let Some(value) = values.get(at) {
                push(out, format!("disk.{name}.{field}"), "disk", *value, "count");
            }
        }
    }
}

fn processes(out: &mut Vec<Reading>) {
    let Ok(entries) = fs::read_dir("/proc") else { return };
    let mut pids: Vec<u32> = entries.flatten().filter_map(|e| e.file_name().to_str()?.parse().ok()).collect();
    pids.sort_unstable_by(|a, b| b.cmp(a));
    for pid in pids.into_iter().take(PROCESSES_MAX) {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        // The name stands in parentheses and may hold anything.
        let Some((head, rest)) = stat.rsplit_once(')') else { continue };
        let name = head.split_once('(').map_or("", |(_, n)| n);
        let values: Vec<&str> = rest.split_whitespace().collect();
        let number = |at: usize| values.get(at).and_then(|v| v.parse::<f64>().ok());
        if let (Some(user), Some(system)) = (number(11), number(12)) {
            push(out, format!("process.{name}.{pid}.cpu"), "process", user + system, "ticks");
        }
        if let Some(pages) = number(21) {
            push(out, format!("process.{name}.{pid}.rss"), "process", pages * 4096.0, "bytes");
        }
    }
}
