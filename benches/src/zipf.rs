//! Numbers of which the smaller ones come much more often: Zipf's law, as YCSB has it (Gray et al., "Quickly generating
//! billion-record synthetic databases", 1994), with its usual skew.

/// How steep it is.
const SKEW: f64 = 0.99;

/// Draws numbers below a bound.
#[derive(Debug, Clone, Copy)]
pub struct Zipf {
    bound: f64,
    zeta: f64,
    eta: f64,
}

fn zeta(bound: u64) -> f64 {
    (1..=bound).map(|n| (n as f64).powf(-SKEW)).sum()
}

impl Zipf {
    /// Of numbers below `bound`, at least 2.
    pub fn below(bound: u64) -> Zipf {
        let (bound, zeta) = (bound.max(2), zeta(bound.max(2)));
        let eta = (1.0 - (2.0 / bound as f64).powf(1.0 - SKEW)) / (1.0 - self::zeta(2) / zeta);
        Zipf { bound: bound as f64, zeta, eta }
    }

    /// The number that 64 random bits give.
    pub fn draw(&self, random: u64) -> u64 {
        let uniform = (random >> 11) as f64 / (1u64 << 53) as f64;
        let scaled = uniform * self.zeta;
        if scaled < 1.0 {
            return 0;
        }
        if scaled < 1.0 + 0.5f64.powf(SKEW) {
            return 1;
        }
        let number = self.bound * (self.eta * uniform - self.eta + 1.0).powf(1.0 / (1.0 - SKEW));
        (number as u64).min(self.bound as u64 - 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tenth_of_the_numbers_takes_most_draws() {
        let (zipf, draws) = (Zipf::below(10_000), 20_000u64);
        let step = u64::MAX / draws;
        let drawn = || (0..draws).map(|n| zipf.draw(n * step));
        assert!(drawn().all(|n| n < 10_000));
        let of_first = drawn().filter(|n| *n < 1_000).count() as f64 / draws as f64;
        assert!((0.6..0.9).contains(&of_first), "{of_first}");
    }
}
