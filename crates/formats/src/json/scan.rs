//! A validating walk over one JSON text (RFC 8259), sixteen bytes at a time inside strings.
//!
//! The text is known to be UTF-8. Nothing is allocated but error messages; nesting of what is skipped is bounded by
//! one bit a level.

use crate::{fault::Fault, tape::Range};

/// Levels of arrays and objects that a skipped value may have.
pub(crate) const SKIP_DEPTH_MAX: u32 = 127;
/// Bytes of a wrong value that a message quotes.
const EXCERPT_MAX: usize = 32;

/// A string between its quotes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Quoted {
    pub range: Range,
    /// Whether it has escapes, that is, whether the text differs from the bytes.
    pub escaped: bool,
}

/// A number's text.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Number {
    pub range: Range,
    /// Whether it has neither a fraction nor an exponent.
    pub whole: bool,
}

/// A place in a text.
#[derive(Debug)]
pub(crate) struct Scanner<'a> {
    pub text: &'a str,
    bytes: &'a [u8],
    pub at: usize,
}

impl<'a> Scanner<'a> {
    /// At the beginning of `text`.
    pub fn new(text: &'a str) -> Scanner<'a> {
        Scanner { text, bytes: text.as_bytes(), at: 0 }
    }

    /// The byte at hand, 0 at the end (which no JSON text has outside of strings).
    #[inline(always)]
    pub fn peek(&self) -> u8 {
        self.bytes.get(self.at).copied().unwrap_or(0)
    }

    /// Step over white space.
    #[inline(always)]
    pub fn space(&mut self) {
        if self.peek() <= b' ' {
            self.some_space();
        }
    }

    /// See [`Scanner::space`].
    #[inline(never)]
    pub fn some_space(&mut self) {
        while matches!(self.peek(), b' ' | b'\n' | b'\r' | b'\t') {
            self.at += 1;
        }
    }

    /// The eight bytes from `at` on, if there are as many.
    #[inline(always)]
    pub fn word(&self, at: usize) -> Option<u64> {
        let bytes = self.bytes.get(at..)?.first_chunk::<8>()?;
        Some(u64::from_le_bytes(*bytes))
    }

    /// Step over `byte`, if it is what comes next.
    #[inline(always)]
    pub fn take(&mut self, byte: u8) -> bool {
        let found = self.peek() == byte;
        self.at += usize::from(found);
        found
    }

    /// Whether `prefix` stands at `at`.
    #[inline]
    pub fn is_all_at(&self, at: usize, prefix: &[u8]) -> bool {
        self.bytes.get(at..).is_some_and(|rest| rest.starts_with(prefix))
    }

    /// Bytes from `start` to here.
    pub fn since(&self, start: usize) -> &'a str {
        self.text.get(start..self.at).unwrap_or_default()
    }

    /// `true`, `false` or `null` must come next.
    #[inline]
    pub fn literal(&mut self, word: &'static str) -> Result<(), Fault> {
        if self.is_all_at(self.at, word.as_bytes()) {
            self.at += word.len();
            return Ok(());
        }
        Err(self.not_json("a value"))
    }

    /// The text breaks JSON's rules here.
    #[cold]
    pub fn not_json(&self, expected: &str) -> Fault {
        let found = match self.text.get(self.at..).and_then(|rest| rest.chars().next()) {
            Some(c) => format!("{c:?}"),
            None => "the end".to_owned(),
        };
        Fault::new(self.at, format!("not JSON: expected {expected}, found {found}"))
    }

    /// The value at hand has the wrong type.
    #[cold]
    pub fn mismatch(&mut self, expected: &str) -> Fault {
        let start = self.at;
        if let Err(fault) = self.skip() {
            return fault;
        }
        self.wrong(start, expected)
    }

    /// The value from `start` to here is none of the expected.
    #[cold]
    pub fn wrong(&self, start: usize, expected: &str) -> Fault {
        let text = self.since(start);
        let kind = match text.as_bytes().first() {
            Some(b'{') => "object ",
            Some(b'[') => "array ",
            Some(b'"') => "string ",
            Some(b'-' | b'0'..=b'9') => "number ",
            _ => "",
        };
        let cut = (0..=EXCERPT_MAX).rev().find(|i| text.is_char_boundary(*i)).unwrap_or(0);
        let shown = if text.len() > EXCERPT_MAX { text.get(..cut).unwrap_or_default() } else { text };
        let dots = if shown.len() < text.len() { "…" } else { "" };
        Fault::new(start, format!("expected {expected}, found {kind}{shown}{dots}"))
    }

    /// The string whose opening quote is at hand.
    #[inline(always)]
    pub fn string(&mut self) -> Result<Quoted, Fault> {
        let start = self.at + 1;
        let end = special(self.bytes, start);
        if self.byte(end) == b'"' {
            self.at = end + 1;
            return Ok(Quoted { range: Range::new(start, end), escaped: false });
        }
        self.escaped_string(start, end)
    }

    /// The rest of a string that has something special at `end`.
    #[inline(never)]
    fn escaped_string(&mut self, start: usize, mut end: usize) -> Result<Quoted, Fault> {
        loop {
            match self.bytes.get(end) {
                Some(b'"') => {
                    self.at = end + 1;
                    return Ok(Quoted { range: Range::new(start, end), escaped: true });
                }
                Some(b'\\') => end = special(self.bytes, self.escape(end)?),
                _ => return Err(self.bad_string(end)),
            }
        }
    }

    /// Where the escape at `at` ends.
    fn escape(&self, at: usize) -> Result<usize, Fault> {
        match self.bytes.get(at + 1) {
            Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => Ok(at + 2),
            Some(b'u') => match self.bytes.get(at + 2..at + 6) {
                Some(digits) if digits.iter().all(u8::is_ascii_hexdigit) => Ok(at + 6),
                _ => Err(Fault::new(at, "not JSON: \\u needs four hexadecimal digits")),
            },
            _ => Err(Fault::new(at, "not JSON: no such escape in a string")),
        }
    }

    #[cold]
    fn bad_string(&self, at: usize) -> Fault {
        match self.bytes.get(at) {
            Some(_) => Fault::new(at, "not JSON: a control character in a string must be escaped"),
            None => Fault::new(self.at, "not JSON: the string does not end"),
        }
    }

    /// Append a string's text without its escapes.
    pub fn unescape(&self, quoted: Quoted, out: &mut String) -> Result<(), Fault> {
        let (mut at, end) = (quoted.range.start as usize, quoted.range.end as usize);
        while at < end {
            let plain = memchr::memchr(b'\\', self.bytes.get(at..end).unwrap_or_default()).map_or(end, |i| at + i);
            out.push_str(self.text.get(at..plain).unwrap_or_default());
            if plain == end {
                break;
            }
            at = plain + 2;
            out.push(match self.bytes.get(plain + 1) {
                Some(b'b') => '\u{8}',
                Some(b'f') => '\u{c}',
                Some(b'n') => '\n',
                Some(b'r') => '\r',
                Some(b't') => '\t',
                Some(b'u') => {
                    let (c, next) = self.code_point(plain)?;
                    at = next;
                    c
                }
                Some(other) => char::from(*other),
                None => break,
            });
        }
        Ok(())
    }

    /// The character of the `\u` escape at `at`, or of the pair of them that stands for one; where it ends.
    fn code_point(&self, at: usize) -> Result<(char, usize), Fault> {
        let alone = || Fault::new(at, "not JSON: half of a surrogate pair stands alone");
        let high = self.hex(at + 2);
        if !(0xd800..0xe000).contains(&high) {
            return Ok((char::from_u32(high).ok_or_else(alone)?, at + 6));
        }
        if self.bytes.get(at + 6..at + 8) != Some(b"\\u") {
            return Err(alone());
        }
        let low = self.hex(at + 8);
        if high >= 0xdc00 || !(0xdc00..0xe000).contains(&low) {
            return Err(alone());
        }
        let c = 0x10000 + ((high - 0xd800) << 10) + (low - 0xdc00);
        Ok((char::from_u32(c).ok_or_else(alone)?, at + 12))
    }

    /// Four digits, which [`Scanner::escape`] has seen.
    fn hex(&self, at: usize) -> u32 {
        let digits = self.text.get(at..at + 4).unwrap_or_default();
        u32::from_str_radix(digits, 16).unwrap_or(0)
    }

    /// The number at hand.
    #[inline]
    pub fn number(&mut self) -> Result<Number, Fault> {
        let start = self.at;
        let first = start + usize::from(self.peek() == b'-');
        let mut at = digits(self.bytes, first);
        // No digit, or another one after a zero.
        if at == first || (at > first + 1 && self.bytes.get(first) == Some(&b'0')) {
            self.at = (first + 1).min(at);
            return Err(self.not_json(if at == first { "a value" } else { "',' or the end after a zero" }));
        }
        let mut whole = true;
        let mut byte = self.bytes.get(at).copied().unwrap_or(0);
        if byte == b'.' {
            whole = false;
            at = self.some_digits(at + 1)?;
            byte = self.bytes.get(at).copied().unwrap_or(0);
        }
        if matches!(byte, b'e' | b'E') {
            whole = false;
            at += 1;
            at += usize::from(matches!(self.bytes.get(at), Some(b'+' | b'-')));
            at = self.some_digits(at)?;
        }
        self.at = at;
        Ok(Number { range: Range::new(start, at), whole })
    }

    #[inline]
    fn some_digits(&mut self, from: usize) -> Result<usize, Fault> {
        let end = digits(self.bytes, from);
        if end == from {
            self.at = from;
            return Err(self.not_json("a digit"));
        }
        Ok(end)
    }

    /// The byte at `at`, 0 at the end.
    #[inline(always)]
    pub fn byte(&self, at: usize) -> u8 {
        self.bytes.get(at).copied().unwrap_or(0)
    }

    /// Whether a field follows at once after the value that ends at `at`, as in compact objects.
    #[inline(always)]
    pub fn is_next_field(&self, at: usize) -> bool {
        self.bytes.get(at..).and_then(|rest| rest.first_chunk()) == Some(b",\"")
    }

    /// The string that begins at `at`, if it is one without escapes: what is between the quotes.
    #[inline(always)]
    pub fn plain_string(&self, at: usize) -> Option<Range> {
        if self.byte(at) != b'"' {
            return None;
        }
        let end = special(self.bytes, at + 1);
        (self.byte(end) == b'"').then(|| Range::new(at + 1, end))
    }

    /// The whole number of at most 15 digits at `at`: itself and where it ends. `None`: a number of another kind, or
    /// none, or the record ends within the next 16 bytes.
    #[inline(always)]
    pub fn short_integer(&self, at: usize) -> Option<(i64, usize)> {
        const TENS: [u64; 8] = [1, 10, 100, 1_000, 10_000, 100_000, 1_000_000, 10_000_000];
        let negative = self.byte(at) == b'-';
        let first = at + usize::from(negative);
        let (mut n, mut length) = leading_digits(self.word(first)?);
        if length == 8 {
            let (low, more) = leading_digits(self.word(first + 8)?);
            n = n * TENS.get(more)? + low;
            length += more;
        }
        let end = first + length;
        let other_kind = matches!(self.byte(end), b'.' | b'e' | b'E');
        if other_kind || length == 0 || (length > 1 && self.byte(first) == b'0') {
            return None;
        }
        let n = n.cast_signed();
        Some((if negative { -n } else { n }, end))
    }

    /// Step over the value at hand, whatever it is.
    #[inline]
    pub fn skip(&mut self) -> Result<(), Fault> {
        match self.peek() {
            b'"' => self.string().map(|_| ()),
            b'{' | b'[' => self.skip_nested(),
            _ => self.skip_scalar(),
        }
    }

    fn skip_scalar(&mut self) -> Result<(), Fault> {
        match self.peek() {
            b'"' => self.string().map(|_| ()),
            b't' => self.literal("true"),
            b'f' => self.literal("false"),
            b'n' => self.literal("null"),
            _ => self.number().map(|_| ()),
        }
    }

    /// Step over an array or object without recursion: bit `n` of `objects` says what level `n` is.
    fn skip_nested(&mut self) -> Result<(), Fault> {
        let (mut objects, mut depth) = (0u128, 0u32);
        loop {
            // Before a value.
            self.space();
            let open = self.peek();
            if matches!(open, b'{' | b'[') {
                if depth >= SKIP_DEPTH_MAX {
                    return Err(Fault::new(self.at, format!("more than {SKIP_DEPTH_MAX} levels of nesting")));
                }
                self.at += 1;
                depth += 1;
                objects = (objects << 1) | u128::from(open == b'{');
                self.space();
                if !self.take(if open == b'{' { b'}' } else { b']' }) {
                    if open == b'{' {
                        self.key()?;
                    }
                    continue;
                }
                objects >>= 1;
                depth -= 1;
            } else {
                self.skip_scalar()?;
            }
            // After a value: close what ends here, or go on to the next.
            loop {
                if depth == 0 {
                    return Ok(());
                }
                self.space();
                let object = objects & 1 == 1;
                if self.take(b',') {
                    if object {
                        self.space();
                        self.key()?;
                    }
                    break;
                }
                if !self.take(if object { b'}' } else { b']' }) {
                    return Err(self.not_json(if object { "',' or '}'" } else { "',' or ']'" }));
                }
                objects >>= 1;
                depth -= 1;
            }
        }
    }

    /// A key and its colon.
    pub fn key(&mut self) -> Result<Quoted, Fault> {
        if self.peek() != b'"' {
            return Err(self.not_json("a field's name in quotes"));
        }
        let key = self.string()?;
        self.space();
        if !self.take(b':') {
            return Err(self.not_json("':'"));
        }
        Ok(key)
    }

    /// Nothing but white space may follow.
    #[inline]
    pub fn finish(&mut self) -> Result<(), Fault> {
        self.space();
        if self.at == self.bytes.len() { Ok(()) } else { Err(self.not_json("the end")) }
    }
}

/// Where the digits from `from` on end.
#[inline(always)]
fn digits(bytes: &[u8], from: usize) -> usize {
    let mut at = from;
    while bytes.get(at).is_some_and(u8::is_ascii_digit) {
        at += 1;
    }
    at
}

/// The place of the first quote, backslash or control character from `from` on, or a place after the end.
#[inline(always)]
pub(crate) fn special(bytes: &[u8], from: usize) -> usize {
    let (blocks, rest) = bytes.get(from..).unwrap_or_default().as_chunks::<16>();
    let mut at = from;
    for block in blocks {
        let hits = specials(block);
        if hits != 0 {
            return at + hits.trailing_zeros() as usize;
        }
        at += 16;
    }
    special_in_rest(bytes, rest, at)
}

/// The same for the last bytes, fewer than 16, which are `rest` and begin at `at`.
#[inline]
fn special_in_rest(bytes: &[u8], rest: &[u8], at: usize) -> usize {
    let hits = match bytes.last_chunk::<16>() {
        // What lies before the rest is shifted out.
        Some(last) => specials(last) >> (16 - rest.len()),
        None => {
            let mut padded = [b' '; 16];
            padded.iter_mut().zip(rest).for_each(|(to, from)| *to = *from);
            specials(&padded)
        }
    };
    at + if hits == 0 { rest.len() } else { hits.trailing_zeros() as usize }
}

/// A bit for every quote, backslash and control character of 16 bytes, the first byte's the lowest.
#[cfg(target_arch = "x86_64")]
#[inline(always)]
fn specials(block: &[u8; 16]) -> u32 {
    // SAFETY: every x86_64 processor has SSE2.
    #[expect(unsafe_code, reason = "the compiler does not take it from the architecture")]
    unsafe {
        specials_sse2(block)
    }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "sse2")]
#[inline]
fn specials_sse2(block: &[u8; 16]) -> u32 {
    use std::arch::x86_64::{
        _mm_cmpeq_epi8, _mm_min_epu8, _mm_movemask_epi8, _mm_or_si128, _mm_set_epi64x, _mm_set1_epi8,
    };

    let all = |byte: u8| _mm_set1_epi8(byte.cast_signed());
    let [low, high] = halves(block);
    let block = _mm_set_epi64x(high.cast_signed(), low.cast_signed());
    let ends = _mm_or_si128(_mm_cmpeq_epi8(block, all(b'"')), _mm_cmpeq_epi8(block, all(b'\\')));
    let controls = _mm_cmpeq_epi8(_mm_min_epu8(block, all(0x1f)), block);
    _mm_movemask_epi8(_mm_or_si128(ends, controls)).cast_unsigned()
}

/// A bit for every quote, backslash and control character of 16 bytes, the first byte's the lowest.
#[cfg(not(target_arch = "x86_64"))]
#[inline(always)]
fn specials(block: &[u8; 16]) -> u32 {
    // One bit of each byte to a byte of bits.
    const GATHER: u64 = 0x0102_0408_1020_4080;
    let bits = |word: u64| ((special_in(word) >> 7).wrapping_mul(GATHER) >> 56) as u32;
    let [low, high] = halves(block);
    bits(low) | (bits(high) << 8)
}

#[inline(always)]
fn halves(block: &[u8; 16]) -> [u64; 2] {
    let (words, _) = block.as_chunks::<8>();
    [0, 1].map(|i| words.get(i).map_or(0, |word| u64::from_le_bytes(*word)))
}

/// The high bit of every special byte among eight.
#[cfg(not(target_arch = "x86_64"))]
#[inline(always)]
fn special_in(word: u64) -> u64 {
    const LOWS: u64 = 0x7f7f_7f7f_7f7f_7f7f;
    const ONES: u64 = 0x0101_0101_0101_0101;
    // No carry leaves a byte: its high bit is set on its own.
    let not_zero = |w: u64| ((w & LOWS) + LOWS) | w;
    let quote = not_zero(word ^ (ONES * 0x22));
    let backslash = not_zero(word ^ (ONES * 0x5c));
    let no_control = ((word & LOWS) + ONES * 0x60) | word;
    !(quote & backslash & no_control) & !LOWS
}

/// The number that the digits at the beginning of eight bytes make, and how many they are.
#[inline(always)]
fn leading_digits(word: u64) -> (u64, usize) {
    const ONES: u64 = 0x0101_0101_0101_0101;
    const EACH_FOURTH: u64 = 0x0000_00ff_0000_00ff;
    let digits = word ^ (ONES * 0x30);
    // The high bit of every byte that is more than nine; bits above the first true one may be wrong.
    let others = (digits.wrapping_add(ONES * 0x76) | digits) & (ONES * 0x80);
    let bits = others.trailing_zeros() & !7;
    if bits == 0 {
        return (0, 0);
    }
    // Digits to the top, zeros before them; then pairs, fours, and all eight at once.
    let padded = digits << (64 - bits);
    let pairs = padded.wrapping_mul(10).wrapping_add(padded >> 8);
    let high = (pairs & EACH_FOURTH).wrapping_mul(100 + (1_000_000 << 32));
    let low = ((pairs >> 16) & EACH_FOURTH).wrapping_mul(1 + (10_000 << 32));
    (high.wrapping_add(low) >> 32, (bits / 8) as usize)
}
