//! What the states of all queries together may take of the machine's memory.
//!
//! State lives in memory, and where it may leave, its lesser used part on disk. A query that would all the same take more
//! than is allowed fails by name, keeps what it has committed, and is tried again; without a bound the system would end
//! the whole process, and with it every other query.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use types::Error;

/// So much state is read back from changelogs in seconds.
const COLD_FROM_BYTES_MAX: u64 = 512 << 20;

/// A bound over all queries' states, and how much of it is taken.
#[derive(Debug)]
pub struct StateBudget {
    bytes_max: u64,
    hot_bytes: u64,
    bytes: AtomicU64,
}

impl StateBudget {
    /// A budget of so many bytes. State that may leave memory does so from three quarters of it on, since an epoch may
    /// bring in much at once.
    pub fn new(bytes_max: u64) -> Arc<StateBudget> {
        StateBudget::with_hot_bytes(bytes_max, bytes_max / 4 * 3)
    }

    /// The same, with the bytes of state from which on it leaves memory.
    pub fn with_hot_bytes(bytes_max: u64, hot_bytes: u64) -> Arc<StateBudget> {
        Arc::new(StateBudget { bytes_max, hot_bytes, bytes: AtomicU64::new(0) })
    }

    /// Bytes of state that stay in memory where the rest may leave.
    pub fn hot_bytes(&self) -> u64 {
        self.hot_bytes
    }

    /// Bytes of state from which on a query that may begins to keep a copy on disk: before memory is short, and before
    /// a start, which reads all that is not on disk, takes long.
    pub fn cold_from_bytes(&self) -> u64 {
        (self.hot_bytes / 3 * 2).min(COLD_FROM_BYTES_MAX)
    }

    /// Bytes taken, about.
    pub fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }

    /// Bytes that may be taken.
    pub fn bytes_max(&self) -> u64 {
        self.bytes_max
    }
}

/// What one query takes of a budget; given back when dropped.
#[derive(Debug)]
pub(crate) struct Charge {
    budget: Arc<StateBudget>,
    bytes: u64,
}

/// A query grew beyond what all may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct OverBudget {
    own: u64,
    all: u64,
    max: u64,
}

impl Charge {
    pub fn new(budget: Arc<StateBudget>) -> Charge {
        Charge { budget, bytes: 0 }
    }

    /// Bytes that all the others take.
    pub fn others(&self) -> u64 {
        self.budget.bytes().saturating_sub(self.bytes)
    }

    /// The query takes so many bytes now. Only a query that grows is told that there is no more room: the others can
    /// go on with what they have.
    pub fn set(&mut self, bytes: u64) -> Result<(), OverBudget> {
        let before = std::mem::replace(&mut self.bytes, bytes);
        if bytes <= before {
            self.budget.bytes.fetch_sub(before - bytes, Ordering::Relaxed);
            return Ok(());
        }
        let grown = bytes - before;
        let all = self.budget.bytes.fetch_add(grown, Ordering::Relaxed).saturating_add(grown);
        let max = self.budget.bytes_max;
        if all > max { Err(OverBudget { own: bytes, all, max }) } else { Ok(()) }
    }
}

impl Drop for Charge {
    fn drop(&mut self) {
        self.budget.bytes.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

impl OverBudget {
    pub fn error(self, query: &str, largest: &str) -> Error {
        let OverBudget { own, all, max } = self;
        let message = format!(
            "query {query} needs more memory than states may take: its state is {own} bytes (most of it in {largest}), \
             all queries' {all}, the limit {max}"
        );
        Error::unavailable(message).with_hint(
            "raise state_bytes_max, terminate queries, or give windows and joins a shorter GRACE PERIOD or RETENTION",
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_grows_over_the_bound_is_told() {
        let budget = StateBudget::new(100);
        let (mut a, mut b) = (Charge::new(budget.clone()), Charge::new(budget.clone()));
        assert_eq!((a.set(60), b.set(40)), (Ok(()), Ok(())));
        assert_eq!(b.set(41), Err(OverBudget { own: 41, all: 101, max: 100 }));
        assert_eq!(a.set(59), Ok(()));
        assert_eq!(a.set(60), Err(OverBudget { own: 60, all: 101, max: 100 }));
        drop(b);
        assert_eq!((a.set(100), budget.bytes()), (Ok(()), 100));
        drop(a);
        assert_eq!(budget.bytes(), 0);
    }
}
