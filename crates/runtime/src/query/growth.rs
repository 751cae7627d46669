//! How much an epoch may read, so that what it brings into memory finds room there.
//!
//! What an epoch changes cannot leave memory before it is committed, and nobody knows beforehand how much that will be:
//! a record may bring a group of a hundred bytes, a batch that is compressed many of them. So what epochs brought in says
//! what the next may read.
//!
//! An epoch costs something whatever it holds. Where others have decoded what is read, and little of it passes the
//! filter, epochs read more, so that they hold about as much.

use crate::source::Cut;

/// By how much an epoch may be larger than the one before.
const REGROWTH: f64 = 1.5;

/// An epoch reads a batch of records in any case.
const PART_MIN: f64 = 1.0 / 1024.0;

/// So many times as much is read at most where little of it passes.
const SPREAD_MAX: f64 = 8.0;

/// See the module.
#[derive(Debug)]
pub(super) struct Growth {
    /// Bytes of state when the last epoch had ended; `None`: not known yet.
    before: Option<u64>,
    /// Of what epochs may read at most: the part that the next one may.
    part: f64,
    /// How many times as much it may read, since little of that passes.
    spread: f64,
}

impl Default for Growth {
    fn default() -> Growth {
        Growth { before: None, part: 1.0, spread: 1.0 }
    }
}

impl Growth {
    /// The next epoch's cut, where `cut` is the largest.
    pub fn cut(&self, cut: Cut) -> Cut {
        match cut {
            Cut::Bytes(bytes) => Cut::Bytes(((bytes as f64 * self.part * self.spread) as usize).max(1)),
            Cut::Records(_) => cut,
        }
    }

    /// Of what an epoch read so many rows passed, and so many others did not.
    pub fn passed(&mut self, rows: usize, others: usize) {
        self.spread = ((rows + others) as f64 / rows.max(1) as f64).clamp(1.0, SPREAD_MAX);
    }

    /// An epoch ends with so many bytes of state, of which it was to bring no more than `room`.
    pub fn grew_to(&mut self, bytes: u64, room: u64) {
        let Some(before) = self.before else { return };
        let fits = room as f64 / bytes.saturating_sub(before).max(1) as f64;
        self.part = (self.part * fits.min(REGROWTH)).clamp(PART_MIN, 1.0);
    }

    /// So many bytes are left, after some may have left memory.
    pub fn left_with(&mut self, bytes: u64) {
        self.before = Some(bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn epochs_are_cut_to_what_finds_room() {
        let (mut growth, room) = (Growth::default(), 1_000);
        // Each byte read brings four.
        let mut state = 0;
        growth.left_with(state);
        let sizes: Vec<usize> = (0..40)
            .map(|_| {
                let Cut::Bytes(read) = growth.cut(Cut::Bytes(100_000)) else { panic!("a cut in bytes") };
                state += 4 * read as u64;
                growth.grew_to(state, room);
                state /= 2;
                growth.left_with(state);
                read
            })
            .collect();
        assert_eq!(sizes[0], 100_000);
        assert!(sizes[1..].iter().all(|read| (200..=250).contains(read)), "{sizes:?}");
        // They grow again where little comes of them.
        for _ in 0..40 {
            growth.grew_to(state, room);
        }
        assert_eq!(growth.cut(Cut::Bytes(100_000)), Cut::Bytes(100_000));
        assert_eq!(growth.cut(Cut::Records(7)), Cut::Records(7));
        // They read more where little passes.
        for (rows, others, times) in [(50, 50, 2), (1, 99, 8), (0, 10, 8), (10, 0, 1), (0, 0, 1)] {
            growth.passed(rows, others);
            assert_eq!(growth.cut(Cut::Bytes(100_000)), Cut::Bytes(100_000 * times));
        }
    }
}
