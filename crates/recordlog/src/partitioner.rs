//! Which partition a record goes to: Kafka's default partitioner, so that our records and those of any Kafka client
//! with the same key meet in the same partition.

use std::sync::atomic::{AtomicU32, Ordering};

/// Kafka's seed.
const SEED: u32 = 0x9747_b28c;
const M: u32 = 0x5bd1_e995;
const R: u32 = 24;

/// MurmurHash2 of `bytes` with Kafka's seed (Austin Appleby's algorithm, 32 bits).
pub fn murmur2(bytes: &[u8]) -> u32 {
    // Kafka counts in 32 bits; only the low bits of the length matter to the hash.
    let length = (bytes.len() & 0xffff_ffff) as u32;
    let mut hash = SEED ^ length;
    let (words, rest) = bytes.as_chunks::<4>();
    for word in words {
        let mut k = u32::from_le_bytes(*word).wrapping_mul(M);
        k ^= k >> R;
        hash = hash.wrapping_mul(M) ^ k.wrapping_mul(M);
    }
    if !rest.is_empty() {
        for (index, byte) in rest.iter().enumerate() {
            hash ^= u32::from(*byte) << (8 * index);
        }
        hash = hash.wrapping_mul(M);
    }
    hash ^= hash >> 13;
    hash = hash.wrapping_mul(M);
    hash ^ (hash >> 15)
}

/// The partition, of `partitions`, of a record with this key. (0 when there are no partitions.)
pub fn partition_for_key(key: &[u8], partitions: u32) -> u32 {
    (murmur2(key) & 0x7fff_ffff).checked_rem(partitions).unwrap_or(0)
}

/// Spreads records without a key: stays with one partition until `bytes_per_turn` went there, then takes the next, so
/// that batches fill up.
#[derive(Debug, Default)]
pub struct Sticky {
    turn: AtomicU32,
    bytes: AtomicU32,
}

/// Bytes that go to one partition before [`Sticky`] moves on, Kafka's default batch size.
pub const STICKY_BYTES_PER_TURN: u32 = 16 << 10;

impl Sticky {
    /// Begins at partition `first`, modulo their number.
    pub fn starting_at(first: u32) -> Sticky {
        Sticky { turn: AtomicU32::new(first), bytes: AtomicU32::new(0) }
    }

    /// The partition, of `partitions`, of the next record of `record_bytes`.
    pub fn next(&self, partitions: u32, record_bytes: usize) -> u32 {
        let bytes = u32::try_from(record_bytes).unwrap_or(u32::MAX).min(STICKY_BYTES_PER_TURN);
        let turn = self.turn.load(Ordering::Relaxed);
        if self.bytes.fetch_add(bytes, Ordering::Relaxed).saturating_add(bytes) >= STICKY_BYTES_PER_TURN {
            self.bytes.store(0, Ordering::Relaxed);
            self.turn.store(turn.wrapping_add(1), Ordering::Relaxed);
        }
        turn.checked_rem(partitions).unwrap_or(0)
    }
}

/// Gives the partitions one record each in turn.
#[derive(Debug, Default)]
pub struct RoundRobin {
    turn: AtomicU32,
}

impl RoundRobin {
    /// The partition, of `partitions`, of the next record.
    pub fn next(&self, partitions: u32) -> u32 {
        self.turn.fetch_add(1, Ordering::Relaxed).checked_rem(partitions).unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn murmur2_is_kafkas() {
        let check = |key: &str, expect: i32| assert_eq!(murmur2(key.as_bytes()).cast_signed(), expect, "{key}");
        check("21", -973932308);
        check("foobar", -790332482);
        check("a-little-bit-long-string", -985981536);
        check("a-little-bit-longer-string", -1486304829);
        check("lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58897971);
        check("abc", 479470107);
    }

    #[test]
    fn a_key_goes_to_the_positive_hash_modulo_the_partitions() {
        assert_eq!(partition_for_key(b"abc", 10), 7);
        assert_eq!(partition_for_key(b"21", 7), ((-973932308_i32).cast_unsigned() & 0x7fff_ffff) % 7);
        assert_eq!(partition_for_key(b"any", 1), 0);
        assert_eq!(partition_for_key(b"any", 0), 0);
    }

    #[test]
    fn without_a_key_partitions_take_turns() {
        let robin = RoundRobin::default();
        assert_eq!([(); 5].map(|()| robin.next(3)), [0, 1, 2, 0, 1]);
        let sticky = Sticky::starting_at(1);
        assert_eq!([(); 5].map(|()| sticky.next(3, 8 << 10)), [1, 1, 2, 2, 0]);
        assert_eq!(sticky.next(3, usize::MAX), 0);
        assert_eq!(sticky.next(3, 1), 1);
    }
}
