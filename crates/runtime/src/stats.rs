//! What every operator counts, always.

use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};

use operators::ReportKind;

/// Counters of one operator over all partitions.
#[derive(Debug, Default)]
pub struct NodeStats {
    /// As EXPLAIN shows it.
    pub label: String,
    /// Nodes that it reads.
    pub inputs: Vec<usize>,
    /// Whether it sends rows to other partitions: a stage ends before it.
    pub exchange: bool,
    /// The stage that it belongs to.
    pub stage: u32,
    /// Rows out.
    pub rows: AtomicU64,
    /// Time spent, ns, over all threads.
    pub busy_ns: AtomicU64,
    /// Entries of state in memory.
    pub state_rows: AtomicU64,
    /// Bytes of state in memory, about.
    pub state_bytes: AtomicU64,
    /// Whether all of its state may leave memory.
    pub may_leave: AtomicBool,
    /// Bytes of state on disk, about.
    pub disk_bytes: AtomicU64,
    /// Once there is state on disk: entries that were looked for and in memory.
    pub state_hits: AtomicU64,
    /// The same, that were not in memory: the disk was asked.
    pub state_misses: AtomicU64,
}

/// Counters of a query.
#[derive(Debug, Default)]
pub struct QueryStats {
    /// Operators, inputs before what reads them.
    pub nodes: Vec<NodeStats>,
    /// Records of its changelog that were read to open it: none of those that a copy of its state had already.
    pub restored: AtomicU64,
    /// Records read.
    pub records_in: AtomicU64,
    /// Records written.
    pub records_out: AtomicU64,
    /// Epochs committed.
    pub epochs: AtomicU64,
    /// Time that it took to compute them, ns: of all, of the last one, of the longest one.
    pub epoch_ns: [AtomicU64; 3],
    /// Records that cannot be decoded.
    pub undecodable: AtomicU64,
    /// Rows without a key where one is needed.
    pub null_keys: AtomicU64,
    /// Expressions that failed.
    pub failed_expressions: AtomicU64,
    /// Rows too late for their window.
    pub late: AtomicU64,
    /// Rows that the sink's format cannot write.
    pub unwritable: AtomicU64,
    /// Stream time, ms since 1970; `i64::MIN` before the first row.
    pub stream_time_ms: AtomicI64,
    /// Records that wait to be read.
    pub lag: AtomicU64,
}

impl QueryStats {
    pub(crate) fn count(&self, kind: ReportKind) {
        let counter = match kind {
            ReportKind::Undecodable => &self.undecodable,
            ReportKind::NullKey => &self.null_keys,
            ReportKind::Expression => &self.failed_expressions,
            ReportKind::Late => &self.late,
            ReportKind::Unwritable => &self.unwritable,
        };
        counter.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn epoch_took(&self, ns: u64) {
        let [all, last, longest] = &self.epoch_ns;
        all.fetch_add(ns, Ordering::Relaxed);
        last.store(ns, Ordering::Relaxed);
        longest.fetch_max(ns, Ordering::Relaxed);
    }

    /// Bytes of state in memory, all operators.
    pub fn state_bytes(&self) -> u64 {
        self.nodes.iter().map(|n| n.state_bytes.load(Ordering::Relaxed)).sum()
    }

    /// Bytes of state on disk, all operators.
    pub fn disk_bytes(&self) -> u64 {
        self.nodes.iter().map(|n| n.disk_bytes.load(Ordering::Relaxed)).sum()
    }

    /// How often state was looked for and in memory, and not, all operators.
    pub fn state_lookups(&self) -> (u64, u64) {
        let sum =
            |counter: fn(&NodeStats) -> &AtomicU64| self.nodes.iter().map(|n| counter(n).load(Ordering::Relaxed)).sum();
        (sum(|n| &n.state_hits), sum(|n| &n.state_misses))
    }

    /// Entries of state in memory, all operators.
    pub fn state_rows(&self) -> u64 {
        self.nodes.iter().map(|n| n.state_rows.load(Ordering::Relaxed)).sum()
    }
}
