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
    /// The epoch's rows of each input alone, where there are several.
    inputs: Vec<TimeLine>,
}

impl TimeLine {
    /// The time line of an epoch whose rows, by partition (and input), are these. `before` is where the last one ended.
    pub fn new(before: Option<i64>, rows: &[(&UInt64Array, &Int64Array)]) -> TimeLine {
        let mut line = TimeLine { before, ..TimeLine::default() };
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
            // Each partition's are in order: a stable sort merges them.
            advances.sort_by_key(|(seq, _)| *seq);
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

    /// The time line of an epoch of an operator with several inputs, of which the rows, by partition, are these.
    pub fn of_inputs(before: Option<i64>, inputs: &[Vec<(&UInt64Array, &Int64Array)>]) -> TimeLine {
        let mut line = TimeLine::new(before, &inputs.concat());
        if inputs.len() > 1 {
            line.inputs = inputs.iter().map(|rows| TimeLine::new(None, rows)).collect();
        }
        line
    }

    /// Time goes on to `time` at `seq`, which lies behind all rows, without a row: where nothing has come for long.
    pub fn advance(&mut self, seq: u64, time: i64) {
        if self.end().is_none_or(|end| end < time) {
            self.seqs.push(seq);
            self.times.push(time);
        }
    }

    /// How the time of one input advances. It begins with the epoch: an operator that goes by it keeps what it was
    /// before.
    pub fn input(&self, at: usize) -> &TimeLine {
        self.inputs.get(at).unwrap_or(self)
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
        self.cursor_from(i64::MIN)
    }

    /// A cursor to ask in order, where time was at least `now` before the epoch.
    pub fn cursor_from(&self, now: i64) -> TimeCursor<'_> {
        TimeCursor { line: self, next: 0, now: now.max(self.before.unwrap_or(i64::MIN)) }
    }

    /// The order at which stream time first was at least `time`, and what it was then, if that was within the epoch.
    pub fn when(&self, time: i64) -> Option<(u64, i64)> {
        if self.before.is_some_and(|b| b >= time) {
            return None;
        }
        let at = self.times.partition_point(|t| *t < time);
        self.seqs.get(at).copied().zip(self.times.get(at).copied())
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
            self.now = self.now.max(self.line.times.get(self.next).copied().unwrap_or(self.now));
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
        let line = TimeLine::of_inputs(Some(8), &[vec![(&a, &at)], vec![(&b, &bt)]]);
        let mut cursor = line.cursor();
        assert_eq!([1, 2, 3, 4, 5, 6].map(|s| cursor.at(s)), [10, 10, 30, 30, 30, 40]);
        assert_eq!([8, 9, 31, 41].map(|t| line.when(t)), [None, Some((1, 10)), Some((6, 40)), None]);
        assert_eq!((line.end(), line.input(0).end(), line.input(1).end()), (Some(40), Some(40), Some(30)));
        let mut right = line.input(1).cursor_from(25);
        assert_eq!([1, 2, 3, 6].map(|s| right.at(s)), [25, 25, 30, 30]);
        let mut line = line;
        line.advance(7, 40);
        line.advance(8, 50);
        assert_eq!((line.end(), line.when(41), line.when(50)), (Some(50), Some((8, 50)), Some((8, 50))));
    }
}
