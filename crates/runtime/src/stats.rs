//! What every operator counts, always.

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

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
    /// Rows out.
    pub rows: AtomicU64,
    /// Time spent, ns, over all threads.
    pub busy_ns: AtomicU64,
    /// Entries of state.
    pub state_rows: AtomicU64,
    /// Bytes of state, about.
    pub state_bytes: AtomicU64,
}

/// Counters of a query.
#[derive(Debug, Default)]
pub struct QueryStats {
    /// Operators, inputs before what reads them.
    pub nodes: Vec<NodeStats>,
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

    /// Bytes of state, all operators.
    pub fn state_bytes(&self) -> u64 {
        self.nodes.iter().map(|n| n.state_bytes.load(Ordering::Relaxed)).sum()
    }

    /// Entries of state, all operators.
    pub fn state_rows(&self) -> u64 {
        self.nodes.iter().map(|n| n.state_rows.load(Ordering::Relaxed)).sum()
    }
}
