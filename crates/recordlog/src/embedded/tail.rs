//! The latest batches in memory, so that who keeps up with the log reads without files and without copying.
//!
//! Bounded twice: each partition's tail, and all tails together, the oldest going first.

use std::{
    collections::VecDeque,
    sync::{Arc, Weak},
};

use parking_lot::Mutex;

use super::partition::Partition;
use crate::{Offset, StoredBatch};

/// What a batch in memory takes beside its bytes.
const BATCH_OVERHEAD_BYTES: usize = 96;

/// A partition's latest batches, without a gap.
#[derive(Debug, Default)]
pub(super) struct Tail {
    batches: VecDeque<StoredBatch>,
    bytes: usize,
}

fn weight(batch: &StoredBatch) -> usize {
    batch.bytes.len() + BATCH_OVERHEAD_BYTES
}

impl Tail {
    /// Append, and drop the oldest beyond `bytes_max`. What was added, in bytes.
    pub fn push(&mut self, batches: impl IntoIterator<Item = StoredBatch>, bytes_max: usize) -> usize {
        let mut added = 0;
        for batch in batches {
            added += weight(&batch);
            self.bytes += weight(&batch);
            self.batches.push_back(batch);
        }
        while self.bytes > bytes_max && self.pop() {}
        added
    }

    fn pop(&mut self) -> bool {
        let oldest = self.batches.pop_front();
        self.bytes -= oldest.as_ref().map_or(0, weight);
        oldest.is_some()
    }

    /// Drop the batches that end at or before `offset`.
    pub fn drop_before(&mut self, offset: Offset) {
        while self.batches.front().is_some_and(|oldest| oldest.next_offset <= offset) {
            self.pop();
        }
    }

    /// Drop everything.
    pub fn clear(&mut self) {
        *self = Tail::default();
    }

    /// The batches from the one with `from` on, about `bytes_max` bytes; `None` when `from` is not held.
    pub fn read(&self, from: Offset, bytes_max: usize) -> Option<Vec<StoredBatch>> {
        if self.batches.front()?.base_offset > from {
            return None;
        }
        let first = self.batches.partition_point(|batch| batch.next_offset <= from);
        let mut taken = 0;
        let batches = self.batches.range(first..).take_while(|batch| {
            let more = taken == 0 || taken + batch.bytes.len() <= bytes_max;
            taken += batch.bytes.len();
            more
        });
        Some(batches.cloned().collect()).filter(|batches: &Vec<StoredBatch>| !batches.is_empty())
    }
}

/// The bound on all tails together.
#[derive(Debug)]
pub(super) struct TailBudget {
    bytes_max: usize,
    held: Mutex<Held>,
}

#[derive(Debug, Default)]
struct Held {
    /// In the order of commits: whose, up to which offset, how many bytes.
    runs: VecDeque<(Weak<Partition>, Offset, usize)>,
    bytes: usize,
}

impl TailBudget {
    pub fn new(bytes_max: usize) -> TailBudget {
        TailBudget { bytes_max, held: Mutex::default() }
    }

    /// Count a run of batches that ends at `end`.
    pub fn add(&self, partition: &Arc<Partition>, end: Offset, bytes: usize) {
        let mut held = self.held.lock();
        held.runs.push_back((Arc::downgrade(partition), end, bytes));
        held.bytes += bytes;
    }

    /// Drop the oldest runs beyond the bound. To be called without any partition's lock.
    pub fn trim(&self) {
        loop {
            let mut held = self.held.lock();
            if held.bytes <= self.bytes_max {
                return;
            }
            let Some((partition, end, bytes)) = held.runs.pop_front() else { return };
            held.bytes -= bytes;
            drop(held);
            if let Some(partition) = partition.upgrade() {
                partition.state.write().tail.drop_before(end);
            }
        }
    }
}
