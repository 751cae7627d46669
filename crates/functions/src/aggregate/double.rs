//! A sum of DOUBLEs from which values can be taken back without drifting away or being stuck at NaN.

use types::Result;

use super::number::{read_whole, write_whole};
use crate::encoded::{corrupt, take};

/// The sum of finite values with the rounding errors made on the way (Neumaier's variant of Kahan's summation), and
/// counts of the others; of no values it is exactly 0.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct RetractableSum {
    sum: f64,
    lost: f64,
    finite: i64,
    nan: i64,
    plus: i64,
    minus: i64,
}

impl RetractableSum {
    pub(crate) fn add(&mut self, value: f64) {
        self.step(value, value, 1);
    }

    pub(crate) fn subtract(&mut self, value: f64) {
        self.step(value, -value, -1);
    }

    fn step(&mut self, value: f64, change: f64, by: i64) {
        if value.is_finite() {
            self.finite = self.finite.saturating_add(by);
            self.accumulate(change);
            if self.finite == 0 {
                (self.sum, self.lost) = (0.0, 0.0);
            }
        } else if value.is_nan() {
            self.nan = self.nan.saturating_add(by);
        } else if value > 0.0 {
            self.plus = self.plus.saturating_add(by);
        } else {
            self.minus = self.minus.saturating_add(by);
        }
    }

    fn accumulate(&mut self, change: f64) {
        let next = self.sum + change;
        self.lost +=
            if self.sum.abs() >= change.abs() { (self.sum - next) + change } else { (change - next) + self.sum };
        self.sum = next;
    }

    pub(crate) fn merge(&mut self, other: &RetractableSum) {
        self.accumulate(other.sum);
        self.lost += other.lost;
        self.finite = self.finite.saturating_add(other.finite);
        self.nan = self.nan.saturating_add(other.nan);
        self.plus = self.plus.saturating_add(other.plus);
        self.minus = self.minus.saturating_add(other.minus);
    }

    pub(crate) fn get(&self) -> f64 {
        if self.nan > 0 || (self.plus > 0 && self.minus > 0) {
            f64::NAN
        } else if self.plus > 0 {
            f64::INFINITY
        } else if self.minus > 0 {
            f64::NEG_INFINITY
        } else if self.lost.is_finite() {
            self.sum + self.lost
        } else {
            self.sum
        }
    }

    /// How many values there are.
    pub(crate) fn count(&self) -> i64 {
        self.finite.saturating_add(self.nan).saturating_add(self.plus).saturating_add(self.minus)
    }

    pub(crate) fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.sum.to_le_bytes());
        out.extend_from_slice(&self.lost.to_le_bytes());
        for count in [self.finite, self.nan, self.plus, self.minus] {
            write_whole(i128::from(count), out);
        }
    }

    pub(crate) fn read(input: &mut &[u8]) -> Result<RetractableSum> {
        let sum = f64::from_le_bytes(take(input)?);
        let lost = f64::from_le_bytes(take(input)?);
        let mut count = || i64::try_from(read_whole(input)?).map_err(|_| corrupt("a count is too large"));
        Ok(RetractableSum { sum, lost, finite: count()?, nan: count()?, plus: count()?, minus: count()? })
    }
}
