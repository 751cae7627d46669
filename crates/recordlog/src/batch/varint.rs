//! Zigzag variable-length integers, as in protocol buffers: seven bits a byte, lowest first.

/// Longest encoding of 32 bits.
pub(super) const VARINT_BYTES_MAX: usize = 5;
/// Longest encoding of 64 bits.
pub(super) const VARLONG_BYTES_MAX: usize = 10;

fn zigzag(value: i64) -> u64 {
    ((value << 1) ^ (value >> 63)).cast_unsigned()
}

fn unzigzag(value: u64) -> i64 {
    (value >> 1).cast_signed() ^ -(value & 1).cast_signed()
}

/// Bytes that `value` takes.
pub(super) fn length(value: i64) -> usize {
    let bits = 64 - (zigzag(value) | 1).leading_zeros();
    bits.div_ceil(7) as usize
}

/// Write `value` at `at`; the place after it. Nothing is written beyond the array.
#[inline]
pub(super) fn put<const N: usize>(to: &mut [u8; N], mut at: usize, value: i64) -> usize {
    let mut rest = zigzag(value);
    loop {
        let low = (rest & 0x7f) as u8;
        rest >>= 7;
        let more = rest != 0;
        if let Some(byte) = to.get_mut(at) {
            *byte = if more { low | 0x80 } else { low };
        }
        at += 1;
        if !more {
            return at;
        }
    }
}

/// Read 64 bits at `*at` and step over them; `None` at the end of the bytes or beyond ten bytes.
#[inline]
pub(super) fn long(bytes: &[u8], at: &mut usize) -> Option<i64> {
    // Most are short: times that are near each other, lengths, offsets.
    let rest = bytes.get(*at..)?;
    let (value, length) = match rest {
        [a, ..] if *a < 0x80 => (u64::from(*a), 1),
        [a, b, ..] if *b < 0x80 => (u64::from(a & 0x7f) | (u64::from(*b) << 7), 2),
        [a, b, c, ..] if *c < 0x80 => (u64::from(a & 0x7f) | (u64::from(b & 0x7f) << 7) | (u64::from(*c) << 14), 3),
        _ => return long_slow(bytes, at),
    };
    *at += length;
    Some(unzigzag(value))
}

#[inline(never)]
fn long_slow(bytes: &[u8], at: &mut usize) -> Option<i64> {
    let mut value = 0_u64;
    for (index, byte) in bytes.get(*at..)?.iter().take(VARLONG_BYTES_MAX).enumerate() {
        value |= u64::from(byte & 0x7f) << (7 * index);
        if *byte < 0x80 {
            *at += index + 1;
            return Some(unzigzag(value));
        }
    }
    None
}

/// Read 32 bits at `*at` and step over them; `None` at the end of the bytes or when the value takes more.
#[inline]
pub(super) fn int(bytes: &[u8], at: &mut usize) -> Option<i32> {
    i32::try_from(long(bytes, at)?).ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn check(value: i64) {
        let mut bytes = [0; VARLONG_BYTES_MAX];
        let end = put(&mut bytes, 0, value);
        assert_eq!(end, length(value));
        let mut at = 0;
        assert_eq!(long(&bytes[..end], &mut at), Some(value));
        assert_eq!(at, end);
        assert_eq!(long(&bytes[..end - 1], &mut 0), None);
        assert_eq!(int(&bytes[..end], &mut 0), i32::try_from(value).ok());
    }

    #[test]
    fn known_encodings() {
        let encode = |value| {
            let mut bytes = [0; VARLONG_BYTES_MAX];
            let end = put(&mut bytes, 0, value);
            bytes[..end].to_vec()
        };
        assert_eq!(encode(0), [0]);
        assert_eq!(encode(-1), [1]);
        assert_eq!(encode(1), [2]);
        assert_eq!(encode(300), [0xd8, 0x04]);
        [i64::MIN, i64::MAX, i64::from(i32::MIN), i64::from(i32::MAX)].into_iter().for_each(check);
        assert_eq!(long(&[0x80; 11], &mut 0), None);
    }

    proptest! {
        #[test]
        fn round_trip(value: i64, shift in 0_u32..64) {
            check(value >> shift);
        }
    }
}
