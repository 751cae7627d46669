//! Which windows a time lies in.

use planner::plan::WindowSpec;
use syntax::ast::WindowKind;

/// Tumbling or hopping windows.
#[derive(Debug, Clone, Copy)]
pub(crate) struct TimeWindows {
    pub size_ms: i64,
    pub advance_ms: i64,
    pub grace_ms: i64,
    pub retention_ms: i64,
}

impl TimeWindows {
    /// `None` for session windows.
    pub fn new(spec: &WindowSpec) -> Option<TimeWindows> {
        let (size_ms, advance_ms) = match spec.kind {
            WindowKind::Tumbling { size_ms } => (size_ms, size_ms),
            WindowKind::Hopping { size_ms, advance_ms } => (size_ms, advance_ms),
            WindowKind::Session { .. } => return None,
        };
        let (grace_ms, retention_ms) = (spec.grace_ms, spec.retention_ms);
        Some(TimeWindows { size_ms: size_ms.max(1), advance_ms: advance_ms.max(1), grace_ms, retention_ms })
    }

    /// Starts of the windows that hold `time_ms`, ascending. `near` is the start of a window that may well be the only
    /// one, such as that of the time before: then nothing is divided.
    pub fn starts(&self, time_ms: i64, near: Option<i64>) -> impl Iterator<Item = i64> {
        let advance = self.advance_ms;
        let is_same = |start: &i64| self.size_ms == advance && (0..advance).contains(&time_ms.saturating_sub(*start));
        let (first, count) = match near.filter(is_same) {
            Some(start) => (start, 1),
            None => {
                let first = time_ms.saturating_sub(self.size_ms).saturating_add(advance).max(0) / advance * advance;
                (first, if first > time_ms { 0 } else { (time_ms - first) / advance + 1 })
            }
        };
        (0..count).map(move |i| first + i * advance)
    }

    /// Whether the window no longer takes rows at that stream time.
    pub fn is_closed(&self, start_ms: i64, stream_time_ms: i64) -> bool {
        self.close_ms(start_ms) <= stream_time_ms
    }

    /// The stream time at which the window closes.
    pub fn close_ms(&self, start_ms: i64) -> i64 {
        start_ms.saturating_add(self.size_ms).saturating_add(self.grace_ms)
    }

    /// Whether the window's state is to be forgotten at that stream time. As in ksqlDB it is the start of the newest
    /// window that retention is measured by.
    pub fn is_expired(&self, start_ms: i64, stream_time_ms: i64) -> bool {
        let newest = stream_time_ms.div_euclid(self.advance_ms).saturating_mul(self.advance_ms);
        self.is_closed(start_ms, stream_time_ms) && start_ms.saturating_add(self.retention_ms) < newest
    }
}

/// A time as 8 bytes that order like it.
pub(crate) fn time_bytes(time_ms: i64) -> [u8; 8] {
    (time_ms.cast_unsigned() ^ (1 << 63)).to_be_bytes()
}

/// Back from [`time_bytes`].
pub(crate) fn bytes_time(bytes: [u8; 8]) -> i64 {
    (u64::from_be_bytes(bytes) ^ (1 << 63)).cast_signed()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn starts() {
        let w = |size_ms, advance_ms| TimeWindows { size_ms, advance_ms, grace_ms: 5, retention_ms: 100 };
        let check = |w: TimeWindows, t, want: &[i64]| {
            assert_eq!(w.starts(t, None).collect::<Vec<_>>(), want, "{t}");
            for near in [0, 10, 20] {
                assert_eq!(w.starts(t, Some(near)).collect::<Vec<_>>(), want, "{t} near {near}");
            }
        };
        check(w(10, 10), 0, &[0]);
        check(w(10, 10), 29, &[20]);
        check(w(10, 4), 11, &[4, 8]);
        check(w(10, 4), 3, &[0]);
        assert!(!w(10, 10).is_closed(20, 34) && w(10, 10).is_closed(20, 35));
        assert!(!w(10, 10).is_expired(20, 129) && w(10, 10).is_expired(20, 130));
        assert_eq!(bytes_time(time_bytes(-3)), -3);
    }
}
