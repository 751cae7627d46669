//! Which keys a run certainly does not hold: a Bloom filter whose bits of one key share a cache line.

/// Bits a key: about one question in a hundred for an absent key is answered wrongly.
const BITS_PER_KEY: usize = 10;

/// Bits set for a key.
const PROBES: u32 = 6;

/// Words of 64 bits in a cache line.
const LINE_WORDS: usize = 8;

/// A key's hash. It is part of the file format: what it gives never changes.
pub(crate) fn hash(key: &[u8]) -> u64 {
    let mut h = 0x9e37_79b9_7f4a_7c15 ^ key.len() as u64;
    let (words, tail) = key.as_chunks::<8>();
    for word in words {
        h = fold(h ^ u64::from_le_bytes(*word), 0xa076_1d64_78bd_642f);
    }
    let mut last = [0; 8];
    last.iter_mut().zip(tail).for_each(|(to, from)| *to = *from);
    fold(h ^ u64::from_le_bytes(last), 0xe703_7ed1_a0b4_28db)
}

fn fold(a: u64, b: u64) -> u64 {
    let wide = u128::from(a) * u128::from(b);
    (wide as u64) ^ ((wide >> 64) as u64)
}

/// The filter.
#[derive(Debug, Default)]
pub(crate) struct Bloom {
    words: Vec<u64>,
}

impl Bloom {
    /// For at most so many keys.
    pub fn for_keys(keys: u64) -> Bloom {
        let keys = usize::try_from(keys).unwrap_or(usize::MAX / BITS_PER_KEY).max(1);
        let lines = keys.saturating_mul(BITS_PER_KEY).div_ceil(LINE_WORDS * 64);
        Bloom { words: vec![0; lines * LINE_WORDS] }
    }

    fn line(&self, hash: u64) -> usize {
        let lines = (self.words.len() / LINE_WORDS) as u64;
        (((u128::from(hash) * u128::from(lines)) >> 64) as usize) * LINE_WORDS
    }

    /// The word and the bit of each probe. What picks the line are the upper bits, so these come from another mixing.
    fn probes(hash: u64) -> impl Iterator<Item = (usize, u64)> {
        let bits = fold(hash, 0x8ebc_6af0_9c88_c6e3);
        (0..PROBES).map(move |i| {
            let at = (bits >> (i * 9)) & 511;
            ((at >> 6) as usize, 1 << (at & 63))
        })
    }

    pub fn insert(&mut self, hash: u64) {
        let line = self.line(hash);
        for (word, bit) in Bloom::probes(hash) {
            if let Some(word) = self.words.get_mut(line + word) {
                *word |= bit;
            }
        }
    }

    /// Whether a key of that hash may have been inserted.
    pub fn may_hold(&self, hash: u64) -> bool {
        let line = self.line(hash);
        Bloom::probes(hash).all(|(word, bit)| self.words.get(line + word).is_some_and(|w| w & bit != 0))
    }

    pub fn size_bytes(&self) -> usize {
        self.words.len() * 8
    }

    pub fn to_bytes(&self) -> Vec<u8> {
        self.words.iter().flat_map(|w| w.to_le_bytes()).collect()
    }

    /// Back from [`Bloom::to_bytes`].
    pub fn from_bytes(bytes: &[u8]) -> Option<Bloom> {
        let (words, rest) = bytes.as_chunks::<8>();
        let sound = rest.is_empty() && !words.is_empty() && words.len().is_multiple_of(LINE_WORDS);
        sound.then(|| Bloom { words: words.iter().map(|w| u64::from_le_bytes(*w)).collect() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn knows_its_keys_and_few_others() {
        let mut bloom = Bloom::for_keys(10_000);
        (0..10_000u32).for_each(|n| bloom.insert(hash(&n.to_be_bytes())));
        let bloom = Bloom::from_bytes(&bloom.to_bytes()).unwrap();
        assert!((0..10_000u32).all(|n| bloom.may_hold(hash(&n.to_be_bytes()))));
        let wrong = (10_000..110_000u32).filter(|n| bloom.may_hold(hash(&n.to_be_bytes()))).count();
        assert!(wrong < 3_000, "{wrong} of 100000");
    }

    #[test]
    fn hashes_never_change() {
        assert_eq!([hash(b""), hash(b"key"), hash(b"a longer key")].map(|h| h & 0xffff), HASHES);
    }

    const HASHES: [u64; 3] = [2228, 7957, 38716];
}
