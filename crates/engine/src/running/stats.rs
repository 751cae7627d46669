//! What several tasks of a query have counted, together.

use std::sync::{
    Arc,
    atomic::{AtomicI64, AtomicU64, Ordering},
};

use runtime::{NodeStats, QueryStats};

fn add(to: &AtomicU64, from: &AtomicU64) {
    to.fetch_add(from.load(Ordering::Relaxed), Ordering::Relaxed);
}

fn later(to: &AtomicI64, from: &AtomicI64) {
    to.fetch_max(from.load(Ordering::Relaxed), Ordering::Relaxed);
}

/// The sum of them; operators are the same in all.
pub(super) fn sum(all: &[Arc<QueryStats>]) -> QueryStats {
    let most = all.iter().max_by_key(|stats| stats.nodes.len());
    let node = |node: &NodeStats| NodeStats {
        label: node.label.clone(),
        inputs: node.inputs.clone(),
        exchange: node.exchange,
        ..NodeStats::default()
    };
    let nodes = most.into_iter().flat_map(|stats| stats.nodes.iter().map(node)).collect();
    let sum = QueryStats { nodes, stream_time_ms: AtomicI64::new(i64::MIN), ..QueryStats::default() };
    for stats in all {
        for (to, from) in sum.nodes.iter().zip(&stats.nodes) {
            add(&to.rows, &from.rows);
            add(&to.busy_ns, &from.busy_ns);
            add(&to.state_rows, &from.state_rows);
            add(&to.state_bytes, &from.state_bytes);
            to.may_leave.fetch_or(from.may_leave.load(Ordering::Relaxed), Ordering::Relaxed);
            add(&to.disk_bytes, &from.disk_bytes);
            add(&to.state_hits, &from.state_hits);
            add(&to.state_misses, &from.state_misses);
        }
        add(&sum.restored, &stats.restored);
        add(&sum.records_in, &stats.records_in);
        add(&sum.records_out, &stats.records_out);
        add(&sum.epochs, &stats.epochs);
        let ([all, last, longest], [one, one_last, one_longest]) = (&sum.epoch_ns, &stats.epoch_ns);
        add(all, one);
        last.fetch_max(one_last.load(Ordering::Relaxed), Ordering::Relaxed);
        longest.fetch_max(one_longest.load(Ordering::Relaxed), Ordering::Relaxed);
        add(&sum.undecodable, &stats.undecodable);
        add(&sum.null_keys, &stats.null_keys);
        add(&sum.failed_expressions, &stats.failed_expressions);
        add(&sum.late, &stats.late);
        add(&sum.unwritable, &stats.unwritable);
        add(&sum.lag, &stats.lag);
        // A task that has just been opened has no time yet.
        if !stats.nodes.is_empty() {
            later(&sum.stream_time_ms, &stats.stream_time_ms);
        }
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_add_up_and_times_are_the_latest() {
        let one = |rows: u64, time: i64| {
            let node = NodeStats { label: "Filter".into(), rows: rows.into(), ..NodeStats::default() };
            let stats = QueryStats { nodes: vec![node], records_in: rows.into(), ..QueryStats::default() };
            stats.stream_time_ms.store(time, Ordering::Relaxed);
            Arc::new(stats)
        };
        let all = sum(&[one(3, 7), Arc::default(), one(4, 5)]);
        assert_eq!(all.records_in.load(Ordering::Relaxed), 7);
        assert_eq!(all.nodes.iter().map(|n| n.rows.load(Ordering::Relaxed)).collect::<Vec<_>>(), [7]);
        assert_eq!(all.stream_time_ms.load(Ordering::Relaxed), 7);
    }
}
