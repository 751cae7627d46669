//! Stream time: the latest event time that an operator has seen, over all partitions, in order of arrival.
//!
//! It is global on purpose. Were it kept by partition, the number of partitions and the assignment of keys to them
//! would decide which rows are late.

use arrow::array::{Int64Array, UInt64Array};

/// How stream time advances within an epoch.
#[derive(Debug, Clone, Default)]
pub struct TimeLine {
    /// Stream time before the epoch.
    before: Option<i64>,
    /// Orders at which it advances, ascending …
    seqs: Vec<u64>,
    /// … and to what.
    times: Vec<i64>,
}

impl TimeLine {
    /// The time line of an epoch whose rows, by partition (and input), are these. `before` is where the last one ended.
    pub fn new(before: Option<i64>, rows: &[(&UInt64Array, &Int64Array)]) -> TimeLine {
        let mut line = TimeLine { before, seqs: vec![], times: vec![] };
        let mut now = before.unwrap_or(i64::MIN);
        let mut advances: Vec<(u64, i64)> = vec![];
        for (seqs, times) in rows {
            // Within one partition, only rows that advance its own time can advance the whole.
            let mut own = before.unwrap_or(i64::MIN);
            for (seq, time) in seqs.values().iter().zip(times.values()) {
                if *time > own {
                    own = *time;
                    advances.push((*seq, *time));
                }
            }
        }
        if rows.len() > 1 {
            advances.sort_unstable();
        }
        for (seq, time) in advances {
            if time > now {
                now = time;
                if line.seqs.last() == Some(&seq) {
                    if let Some(last) = line.times.last_mut() {
                        *last = time;
                    }
                } else {
                    line.seqs.push(seq);
                    line.times.push(time);
                }
            }
        }
        line
    }

    /// Stream time after the epoch; `None` when nothing was ever seen.
    pub fn end(&self) -> Option<i64> {
        self.times.last().copied().or(self.before)
    }

    /// Stream time before the epoch.
    pub fn start(&self) -> Option<i64> {
        self.before
    }

    /// A cursor to ask in order.
    pub fn cursor(&self) -> TimeCursor<'_> {
        TimeCursor { line: self, next: 0, now: self.before.unwrap_or(i64::MIN) }
    }

    /// The order at which stream time first was at least `time`, if that was within the epoch.
    pub fn when(&self, time: i64) -> Option<u64> {
        if self.before.is_some_and(|b| b >= time) {
            return None;
        }
        self.seqs.get(self.times.partition_point(|t| *t < time)).copied()
    }
}

/// Walks a time line in order.
pub struct TimeCursor<'a> {
    line: &'a TimeLine,
    next: usize,
    now: i64,
}

impl TimeCursor<'_> {
    /// Stream time once the row at `seq` was seen (it included). Orders are asked in ascending order.
    pub fn at(&mut self, seq: u64) -> i64 {
        while self.line.seqs.get(self.next).is_some_and(|s| *s <= seq) {
            self.now = self.line.times.get(self.next).copied().unwrap_or(self.now);
            self.next += 1;
        }
        self.now
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn advances_over_partitions_in_order_of_arrival() {
        let (a, at) = (UInt64Array::from(vec![1, 4, 6]), Int64Array::from(vec![10, 5, 40]));
        let (b, bt) = (UInt64Array::from(vec![2, 3, 5]), Int64Array::from(vec![7, 30, 20]));
        let line = TimeLine::new(Some(8), &[(&a, &at), (&b, &bt)]);
        let mut cursor = line.cursor();
        assert_eq!([1, 2, 3, 4, 5, 6].map(|s| cursor.at(s)), [10, 10, 30, 30, 30, 40]);
        assert_eq!((line.end(), line.when(8), line.when(9), line.when(31), line.when(41)), (Some(40), None, Some(1), Some(6), None));
    }
}
