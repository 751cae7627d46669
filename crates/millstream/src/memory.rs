//! How much memory the machine, or the container, gives this process.

/// The share of memory that the states of queries may take: the rest is for the log's tails, epochs at work, answers.
const STATE_SHARE: (u64, u64) = (6, 10);

/// Have the system give memory in small pages. The allocator asks for pages of 2 MiB where it may, and then whatever an
/// epoch leaves behind holds on to one: a filter kept 220 MB where it needs 130 MB, and was no faster.
pub fn use_small_pages() {
    // SAFETY: it sets a flag of the process, and reads and writes no memory of it.
    #[cfg(target_os = "linux")]
    #[expect(unsafe_code, reason = "the standard library has no way to say so")]
    unsafe {
        // Where it is refused, pages are as large as they were.
        libc::prctl(libc::PR_SET_THP_DISABLE, 1, 0, 0, 0);
    }
}

/// Bytes that states may take when nobody says; `None` where the system does not tell what there is.
pub fn state_bytes_max() -> Option<u64> {
    let machine = std::fs::read_to_string("/proc/meminfo").ok().and_then(|text| meminfo_total(&text));
    let limits = ["/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"];
    let container = limits.iter().find_map(|path| std::fs::read_to_string(path).ok()?.trim().parse::<u64>().ok());
    let there = machine.into_iter().chain(container).min()?;
    Some(there / STATE_SHARE.1 * STATE_SHARE.0)
}

/// `MemTotal` of /proc/meminfo, bytes.
fn meminfo_total(text: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    kib.checked_mul(1024)
}

#[cfg(test)]
mod tests {
    use super::meminfo_total;

    #[test]
    fn the_total_is_found() {
        assert_eq!(meminfo_total("MemTotal:        4032 kB\nMemFree: 1 kB\n"), Some(4032 << 10));
        assert_eq!(meminfo_total("MemFree: 1 kB\n"), None);
    }
}
