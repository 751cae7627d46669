//! Sums of twice the precision of a DOUBLE, each a pair whose parts do not overlap (T. J. Dekker, "A floating-point
//! technique for extending the available precision", 1971). Differences from a mean can be told from plain sums with
//! them, and plain sums can be taken back.

use types::Result;

use crate::encoded::take;

/// Values above that are not summed: their squares would overflow.
pub(crate) const SUMMED_MAX: f64 = 1e150;

/// What a sum of squares may be off by rounding, relative to its terms, before it counts as zero.
const ROUNDING: f64 = 8.1e-28;

/// A number of about 32 digits.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Wide {
    high: f64,
    low: f64,
}

impl Wide {
    pub(crate) fn of(value: f64) -> Wide {
        Wide { high: value, low: 0.0 }
    }

    /// `a` × `b`, exactly.
    pub(crate) fn product(a: f64, b: f64) -> Wide {
        let high = a * b;
        Wide { high, low: a.mul_add(b, -high) }
    }

    fn sum(a: f64, b: f64) -> Wide {
        let high = a + b;
        let part = high - a;
        Wide { high, low: (a - (high - part)) + (b - part) }
    }

    fn renormalized(high: f64, low: f64) -> Wide {
        let sum = high + low;
        Wide { high: sum, low: low - (sum - high) }
    }

    pub(crate) fn plus(self, other: Wide) -> Wide {
        let (high, low) = (Wide::sum(self.high, other.high), Wide::sum(self.low, other.low));
        let first = Wide::renormalized(high.high, high.low + low.high);
        Wide::renormalized(first.high, first.low + low.low)
    }

    pub(crate) fn minus(self, other: Wide) -> Wide {
        self.plus(Wide { high: -other.high, low: -other.low })
    }

    fn times(self, other: Wide) -> Wide {
        let exact = Wide::product(self.high, other.high);
        Wide::renormalized(exact.high, exact.low + (self.high * other.low + self.low * other.high))
    }

    fn divided_by(self, divisor: f64) -> Wide {
        let first = self.high / divisor;
        let rest = self.minus(Wide::product(first, divisor));
        let second = rest.high / divisor;
        let rest = rest.minus(Wide::product(second, divisor));
        let quotient = Wide::renormalized(first, second);
        quotient.plus(Wide::of(rest.high / divisor))
    }

    pub(crate) fn get(self) -> f64 {
        self.high + self.low
    }

    pub(crate) fn write(self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.high.to_le_bytes());
        out.extend_from_slice(&self.low.to_le_bytes());
    }

    pub(crate) fn read(input: &mut &[u8]) -> Result<Wide> {
        Ok(Wide { high: f64::from_le_bytes(take(input)?), low: f64::from_le_bytes(take(input)?) })
    }
}

/// The sum of the products of two variables' differences from their means, given the sum of their products and their
/// sums over `count` pairs. Exactly 0 where rounding leaves next to nothing.
pub(crate) fn centered(products: Wide, sum_x: Wide, sum_y: Wide, count: f64) -> f64 {
    let expected = sum_x.times(sum_y).divided_by(count);
    let centered = products.minus(expected).get();
    if centered.abs() <= ROUNDING * products.get().abs().max(expected.get().abs()) { 0.0 } else { centered }
}
