//! Random numbers: the system's, or a sequence from a seed.

use std::fmt::Debug;

use parking_lot::Mutex;
use rand::{RngCore, SeedableRng, rngs::StdRng};

/// Where random numbers come from.
pub trait Random: Send + Sync + Debug + 'static {
    /// Sixty-four random bits.
    fn next_u64(&self) -> u64;

    /// A hundred and twenty-eight random bits, such as for an identifier.
    fn next_u128(&self) -> u128 {
        (u128::from(self.next_u64()) << 64) | u128::from(self.next_u64())
    }
}

/// The thread's generator, seeded by the operating system; fit for identifiers that must not be guessed.
#[derive(Debug, Default)]
pub struct SystemRandom;

impl Random for SystemRandom {
    fn next_u64(&self) -> u64 {
        rand::rng().next_u64()
    }
}

/// The same numbers for the same seed.
#[derive(Debug)]
pub struct SeededRandom {
    rng: Mutex<StdRng>,
}

impl SeededRandom {
    /// The sequence of `seed`.
    pub fn new(seed: u64) -> SeededRandom {
        SeededRandom { rng: Mutex::new(StdRng::seed_from_u64(seed)) }
    }
}

impl Random for SeededRandom {
    fn next_u64(&self) -> u64 {
        self.rng.lock().next_u64()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_gives_one_sequence() {
        let (a, b, c) = (SeededRandom::new(7), SeededRandom::new(7), SeededRandom::new(8));
        let first = a.next_u128();
        assert_eq!(first, b.next_u128());
        assert_ne!(first, c.next_u128());
    }
}
