//! Time: the system's, or one that a test sets. Wall time names moments (and may jump); monotonic time measures.

use std::{
    fmt::Debug,
    sync::atomic::{AtomicI64, Ordering},
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

/// Where time comes from.
pub trait Clock: Send + Sync + Debug + 'static {
    /// Wall time, milliseconds since 1970.
    fn now_ms(&self) -> i64;
    /// Time since some fixed moment; never runs backwards.
    fn monotonic(&self) -> Duration;
}

/// The operating system's clock.
#[derive(Debug)]
pub struct SystemClock {
    started: Instant,
}

impl SystemClock {
    /// A clock whose monotonic time starts now.
    pub fn new() -> SystemClock {
        SystemClock { started: Instant::now() }
    }
}

impl Default for SystemClock {
    fn default() -> SystemClock {
        SystemClock::new()
    }
}

impl Clock for SystemClock {
    fn now_ms(&self) -> i64 {
        match SystemTime::now().duration_since(UNIX_EPOCH) {
            Ok(since) => i64::try_from(since.as_millis()).unwrap_or(i64::MAX),
            Err(before) => i64::try_from(before.duration().as_millis()).map_or(i64::MIN, |ms| -ms),
        }
    }

    fn monotonic(&self) -> Duration {
        self.started.elapsed()
    }
}

/// A clock that stands still until it is moved.
#[derive(Debug)]
pub struct VirtualClock {
    now_ms: AtomicI64,
    monotonic_ms: AtomicI64,
}

impl VirtualClock {
    /// A clock that stands at `now_ms`.
    pub fn at(now_ms: i64) -> VirtualClock {
        VirtualClock { now_ms: AtomicI64::new(now_ms), monotonic_ms: AtomicI64::new(0) }
    }

    /// Set wall time; monotonic time follows when this is forwards and stands when it is backwards.
    pub fn set_ms(&self, now_ms: i64) {
        let before_ms = self.now_ms.swap(now_ms, Ordering::SeqCst);
        self.monotonic_ms.fetch_add(now_ms.saturating_sub(before_ms).max(0), Ordering::SeqCst);
    }

    /// Let `ms` pass.
    pub fn advance_ms(&self, ms: u32) {
        self.now_ms.fetch_add(i64::from(ms), Ordering::SeqCst);
        self.monotonic_ms.fetch_add(i64::from(ms), Ordering::SeqCst);
    }
}

impl Clock for VirtualClock {
    fn now_ms(&self) -> i64 {
        self.now_ms.load(Ordering::SeqCst)
    }

    fn monotonic(&self) -> Duration {
        Duration::from_millis(self.monotonic_ms.load(Ordering::SeqCst).unsigned_abs())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_virtual_clock_moves_only_when_told_and_monotonic_never_back() {
        let clock = VirtualClock::at(1_000);
        clock.advance_ms(5);
        assert_eq!((clock.now_ms(), clock.monotonic()), (1_005, Duration::from_millis(5)));
        clock.set_ms(10);
        assert_eq!((clock.now_ms(), clock.monotonic()), (10, Duration::from_millis(5)));
        clock.set_ms(30);
        assert_eq!((clock.now_ms(), clock.monotonic()), (30, Duration::from_millis(25)));
    }

    #[test]
    fn the_system_clock_is_after_2020() {
        assert!(SystemClock::new().now_ms() > 1_577_836_800_000);
    }
}
