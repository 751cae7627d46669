//! What is done to an input: bytes, numbers, words and brackets of it change, and parts of others come in.

use rand::{Rng, rngs::StdRng, seq::IndexedRandom};

/// Changes of one input, at most.
const CHANGES_MAX: usize = 5;
/// A part is repeated so many times at most: deep enough to overflow a stack where nothing counts levels.
const REPEATS_LOG2_MAX: u32 = 15;

/// Numbers at which things end.
const NUMBERS: &[i64] = &[
    0,
    1,
    2,
    -1,
    127,
    128,
    255,
    256,
    32_767,
    32_768,
    65_535,
    1 << 20,
    0x7fff_ff00,
    i32::MAX as i64,
    i32::MIN as i64,
    u32::MAX as i64,
    1 << 53,
    i64::MAX,
    i64::MIN,
];

/// Numbers as text.
const NUMBER_TEXTS: &[&str] = &[
    "0",
    "-1",
    "1",
    "2",
    "100",
    "127",
    "128",
    "255",
    "1000",
    "32768",
    "65536",
    "1000000",
    "2147483647",
    "2147483648",
    "-2147483648",
    "4294967296",
    "9223372036854775807",
    "9223372036854775808",
    "-9223372036854775808",
    "99999999999999999999999999999999999999",
    "1e400",
    "-0.0",
    "1e-400",
    "0.1",
    "1.5e308",
    "NaN",
];

/// Opening and closing of what nests in many languages.
const BRACKETS: &[(&str, &str)] = &[("(", ")"), ("[", "]"), ("{", "}"), ("<", ">"), ("\"", "\""), ("'", "'")];

/// How inputs are damaged.
#[derive(Debug, Clone, Copy, Default)]
pub struct Damage<'a> {
    /// Words of the language.
    pub words: &'a [&'a str],
    /// What stands around something that may nest.
    pub nests: &'a [(&'a str, &'a str)],
    /// Inputs are at most this long.
    pub bytes_max: usize,
}

impl Damage<'_> {
    /// An input made from `parent` and parts of `others`.
    pub fn apply(&self, rng: &mut StdRng, parent: &[u8], others: &[Vec<u8>]) -> Vec<u8> {
        let mut out = parent.to_vec();
        let mut changes = 1;
        while changes < CHANGES_MAX && rng.random_bool(0.4) {
            changes += 1;
        }
        for _ in 0..changes {
            self.change(rng, &mut out, others);
            out.truncate(self.bytes_max);
        }
        out
    }

    fn change(&self, rng: &mut StdRng, out: &mut Vec<u8>, others: &[Vec<u8>]) {
        match rng.random_range(0..18) {
            0 => flip(rng, out),
            1 => {
                let (at, byte) = (place(rng, out.len()), rng.random());
                out.get_mut(at).into_iter().for_each(|b| *b = byte);
            }
            2 => {
                let at = place(rng, out.len() + 1);
                let bytes: Vec<u8> = (0..rng.random_range(1..9)).map(|_| rng.random()).collect();
                splice(out, at..at, &bytes);
            }
            3 => drop(out.drain(part(rng, out.len()))),
            4 => {
                let to = place(rng, out.len() + 1);
                out.truncate(to);
            }
            5 => number(rng, out),
            6 | 7 => {
                let word = self.words.choose(rng).copied().unwrap_or_default();
                let at = token(rng, out);
                let padded = format!(" {word} ");
                splice(out, at.start..at.start, padded.as_bytes());
            }
            8 | 9 => {
                let word = self.words.choose(rng).copied().unwrap_or_default();
                let at = token(rng, out);
                splice(out, at, word.as_bytes());
            }
            10 => {
                let at = token(rng, out);
                splice(out, at, &[]);
            }
            11 => {
                let text = NUMBER_TEXTS.choose(rng).copied().unwrap_or_default();
                let at = digits(rng, out);
                splice(out, at, text.as_bytes());
            }
            12 | 13 => {
                let Some(other) = others.choose(rng) else { return };
                let (from, to) = (tokens(rng, other), tokens(rng, out));
                let bytes = other.get(from).unwrap_or_default().to_vec();
                let to = if rng.random_bool(0.5) { to } else { to.start..to.start };
                splice(out, to, &bytes);
            }
            14 => {
                let (from, to) = (tokens(rng, out), token(rng, out));
                let bytes = out.get(from).unwrap_or_default().to_vec();
                splice(out, to, &bytes);
            }
            15 => self.repeat(rng, out),
            16 => self.nest(rng, out),
            _ => {
                let (a, b) = (token(rng, out), token(rng, out));
                let (a, b) = if a.start <= b.start { (a, b) } else { (b, a) };
                if a.end <= b.start {
                    let (first, second) = (out[a.clone()].to_vec(), out[b.clone()].to_vec());
                    splice(out, b, &first);
                    splice(out, a, &second);
                }
            }
        }
    }

    /// A part many times.
    fn repeat(&self, rng: &mut StdRng, out: &mut Vec<u8>) {
        let from = if rng.random_bool(0.5) { token(rng, out) } else { part(rng, out.len()) };
        let bytes = out.get(from.clone()).unwrap_or_default().to_vec();
        if bytes.is_empty() {
            return;
        }
        let times = (1_usize << rng.random_range(0..=REPEATS_LOG2_MAX)).min(self.bytes_max / bytes.len());
        splice(out, from.start..from.start, &bytes.repeat(times));
    }

    /// A part inside of many brackets.
    fn nest(&self, rng: &mut StdRng, out: &mut Vec<u8>) {
        let inside = tokens(rng, out);
        let own = self.nests.choose(rng).filter(|_| rng.random_bool(0.8));
        let Some((open, close)) = own.or_else(|| BRACKETS.choose(rng)) else { return };
        let room = self.bytes_max / (open.len() + close.len()).max(1);
        let times = (1_usize << rng.random_range(0..=REPEATS_LOG2_MAX)).min(room);
        // What is around stays inside of the bound, so that the brackets close.
        out.truncate(self.bytes_max.saturating_sub(times * (open.len() + close.len())).max(inside.end));
        splice(out, inside.end..inside.end, close.repeat(times).as_bytes());
        splice(out, inside.start..inside.start, open.repeat(times).as_bytes());
    }
}

fn place(rng: &mut StdRng, length: usize) -> usize {
    rng.random_range(0..length.max(1))
}

fn splice(out: &mut Vec<u8>, range: std::ops::Range<usize>, bytes: &[u8]) {
    let (start, end) = (range.start.min(out.len()), range.end.min(out.len()));
    out.splice(start..end, bytes.iter().copied());
}

fn flip(rng: &mut StdRng, out: &mut [u8]) {
    let (at, bit) = (place(rng, out.len()), rng.random_range(0..8));
    out.get_mut(at).into_iter().for_each(|byte| *byte ^= 1 << bit);
}

/// A short range.
fn part(rng: &mut StdRng, length: usize) -> std::ops::Range<usize> {
    let start = place(rng, length).min(length);
    let most = if rng.random_bool(0.8) { 16 } else { length };
    start..(start + rng.random_range(0..=most)).min(length)
}

/// A number of 1, 2, 4 or 8 bytes is another one.
fn number(rng: &mut StdRng, out: &mut [u8]) {
    let bytes = NUMBERS.choose(rng).copied().unwrap_or_default().to_be_bytes();
    let width = 1 << rng.random_range(0..4);
    let mut bytes = bytes[8 - width..].to_vec();
    if rng.random_bool(0.2) {
        bytes.reverse();
    }
    let at = place(rng, out.len());
    out.iter_mut().skip(at).zip(bytes).for_each(|(place, byte)| *place = byte);
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || byte >= 0x80
}

/// The word, or other byte, at a place.
fn token(rng: &mut StdRng, bytes: &[u8]) -> std::ops::Range<usize> {
    let at = place(rng, bytes.len()).min(bytes.len());
    let alike = |b: &&u8| is_word(**b);
    match bytes.get(at) {
        None => at..at,
        Some(byte) if !is_word(*byte) => at..at + 1,
        Some(_) => {
            let before = bytes[..at].iter().rev().take_while(alike).count();
            let after = bytes[at..].iter().take_while(alike).count();
            at - before..at + after
        }
    }
}

/// Some words one after another.
fn tokens(rng: &mut StdRng, bytes: &[u8]) -> std::ops::Range<usize> {
    let first = token(rng, bytes);
    let most = if rng.random_bool(0.7) { 24 } else { 240 };
    let rest = bytes.len() - first.end;
    let mut end = first.end + rng.random_range(0..=most.min(rest));
    while end < bytes.len() && end > first.end && is_word(bytes[end - 1]) && is_word(bytes[end]) {
        end += 1;
    }
    first.start..end
}

/// A run of digits at or behind a place; else a word.
fn digits(rng: &mut StdRng, bytes: &[u8]) -> std::ops::Range<usize> {
    let from = place(rng, bytes.len()).min(bytes.len());
    match bytes[from..].iter().position(u8::is_ascii_digit) {
        Some(at) => {
            let start = from + at;
            start..start + bytes[start..].iter().take_while(|b| b.is_ascii_digit()).count()
        }
        None => token(rng, bytes),
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;

    use super::*;

    #[test]
    fn inputs_stay_within_bounds_and_differ() {
        let damage = Damage { words: &["SELECT", "x"], nests: &[("CASE WHEN a THEN ", " END")], bytes_max: 1_000 };
        let others = vec![b"SELECT 1 + (2 * 3) FROM s".to_vec(), vec![], vec![0, 255, 7]];
        let mut rng = StdRng::seed_from_u64(7);
        let mut seen = std::collections::HashSet::new();
        for round in 0..5_000 {
            let out = damage.apply(&mut rng, &others[round % 3], &others);
            assert!(out.len() <= 1_000);
            seen.insert(out);
        }
        assert!(seen.len() > 2_000, "{}", seen.len());
        assert!(seen.iter().any(|input| input.windows(4).any(|w| w == b"((((")), "deep ones are among them");
    }
}
