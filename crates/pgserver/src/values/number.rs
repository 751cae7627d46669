//! Numbers as PostgreSQL writes them.

use bytes::{BufMut, BytesMut};

/// The digits and the decimal exponent of a finite number: 0.d1d2d3… × 10^exponent.
struct Digits {
    digits: [u8; 32],
    count: usize,
    exponent: i32,
}

impl Digits {
    /// Takes apart what `ryu` wrote: `1.25`, `1e-7`, `1.5e300`.
    fn parse(text: &str) -> Digits {
        let (mantissa, exponent) = text.split_once('e').unwrap_or((text, "0"));
        let mut all = Digits { digits: [0; 32], count: 0, exponent: exponent.parse().unwrap_or(0) };
        let mut seen_point = false;
        for byte in mantissa.bytes() {
            match byte {
                b'.' => seen_point = true,
                b'0' if all.count == 0 => all.exponent -= i32::from(seen_point),
                digit @ b'0'..=b'9' => {
                    if let Some(slot) = all.digits.get_mut(all.count) {
                        *slot = digit;
                        all.count += 1;
                    }
                    all.exponent += i32::from(!seen_point);
                }
                _ => {}
            }
        }
        while all.count > 0 && all.digits.get(all.count - 1) == Some(&b'0') {
            all.count -= 1;
        }
        all
    }

    fn slice(&self) -> &[u8] {
        self.digits.get(..self.count).unwrap_or(&[])
    }

    /// Writes them plainly, or with an exponent below 10^-4 or from 10^`plain_digits_max` on.
    fn put(&self, out: &mut BytesMut, plain_digits_max: i32) {
        let scientific = self.exponent - 1;
        if self.count == 0 {
            return out.put_u8(b'0');
        }
        if scientific < -4 || scientific >= plain_digits_max {
            if let Some((first, rest)) = self.slice().split_first() {
                out.put_u8(*first);
                if !rest.is_empty() {
                    out.put_u8(b'.');
                    out.put_slice(rest);
                }
            }
            out.put_slice(if scientific < 0 { b"e-" } else { b"e+" });
            return super::datetime::put_padded(out, scientific.unsigned_abs().into(), 2);
        }
        let whole = usize::try_from(self.exponent).unwrap_or(0);
        if whole == 0 {
            out.put_slice(b"0.");
            (self.exponent..0).for_each(|_| out.put_u8(b'0'));
            return out.put_slice(self.slice());
        }
        out.put_slice(self.slice().get(..whole.min(self.count)).unwrap_or(&[]));
        (self.count..whole).for_each(|_| out.put_u8(b'0'));
        if let Some(fraction) = self.slice().get(whole..).filter(|f| !f.is_empty()) {
            out.put_u8(b'.');
            out.put_slice(fraction);
        }
    }
}

/// double precision: the shortest digits that read back the same.
pub(crate) fn put_f64(out: &mut BytesMut, value: f64) {
    if put_special(out, value) {
        Digits::parse(ryu::Buffer::new().format_finite(value.abs())).put(out, 15);
    }
}

/// real.
pub(crate) fn put_f32(out: &mut BytesMut, value: f32) {
    if put_special(out, value.into()) {
        Digits::parse(ryu::Buffer::new().format_finite(value.abs())).put(out, 6);
    }
}

/// Writes what is not finite, or else the sign; whether digits are to follow.
fn put_special(out: &mut BytesMut, value: f64) -> bool {
    if value.is_nan() {
        out.put_slice(b"NaN");
    } else {
        if value.is_sign_negative() {
            out.put_u8(b'-');
        }
        if value.is_infinite() {
            out.put_slice(b"Infinity");
        }
    }
    value.is_finite()
}

/// numeric: `unscaled` × 10^-`scale`, with all its digits.
pub(crate) fn put_decimal(out: &mut BytesMut, unscaled: i128, scale: i8) {
    let mut buffer = itoa::Buffer::new();
    let digits = buffer.format(unscaled.unsigned_abs());
    if unscaled < 0 {
        out.put_u8(b'-');
    }
    let Ok(scale) = usize::try_from(scale) else {
        out.put_slice(digits.as_bytes());
        if unscaled != 0 {
            (0..scale.unsigned_abs()).for_each(|_| out.put_u8(b'0'));
        }
        return;
    };
    let whole = digits.len().saturating_sub(scale);
    let (whole, fraction) = digits.split_at_checked(whole).unwrap_or((digits, ""));
    out.put_slice(if whole.is_empty() { b"0" } else { whole.as_bytes() });
    if scale > 0 {
        out.put_u8(b'.');
        (fraction.len()..scale).for_each(|_| out.put_u8(b'0'));
        out.put_slice(fraction.as_bytes());
    }
}

/// Writes a numeric's binary form from its text (`-123.4500`): PostgreSQL's digits to the base 10,000.
pub(crate) fn put_numeric_binary(out: &mut BytesMut, text: &str) {
    let (negative, text) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let whole = whole.trim_start_matches('0');
    let digit = |index: i64| -> u16 {
        // The index counts from the point: 0 is the first digit behind it, -1 the last before it.
        let byte = match usize::try_from(index) {
            Ok(behind) => fraction.as_bytes().get(behind),
            Err(_) => {
                let from_end = usize::try_from(-index).unwrap_or(usize::MAX);
                whole.len().checked_sub(from_end).and_then(|i| whole.as_bytes().get(i))
            }
        };
        byte.map_or(0, |b| u16::from(b.wrapping_sub(b'0')))
    };
    let length = |text: &str| i64::try_from(text.len()).unwrap_or(0);
    let (mut first, mut last) = (-((length(whole) + 3) / 4), (length(fraction) + 3) / 4);
    let group = |g: i64| (0..4).fold(0_u16, |sum, i| sum * 10 + digit(g * 4 + i));
    while first < last && group(first) == 0 {
        first += 1;
    }
    while last > first && group(last - 1) == 0 {
        last -= 1;
    }
    let narrow = |n: i64| i16::try_from(n).unwrap_or(i16::MAX);
    out.put_i16(narrow(last - first));
    out.put_i16(if first == last { 0 } else { narrow(-first - 1) });
    out.put_u16(if negative && first < last { 0x4000 } else { 0 });
    out.put_i16(narrow(length(fraction)));
    (first..last).for_each(|g| out.put_u16(group(g)));
}

/// Reads a numeric's binary form into its text, `None` when it is not sound.
pub(crate) fn numeric_text(bytes: &[u8]) -> Option<String> {
    let mut words = bytes.chunks_exact(2).map(|c| c.first_chunk::<2>().map_or(0, |c| u16::from_be_bytes(*c)));
    let count = words.next()?;
    let weight = i64::from(words.next()?.cast_signed());
    let (sign, scale) = (words.next()?, i64::from(words.next()?));
    if bytes.len() != 8 + 2 * usize::from(count) {
        return None;
    }
    match sign {
        0xC000 => return Some("NaN".to_owned()),
        0xD000 => return Some("Infinity".to_owned()),
        0xF000 => return Some("-Infinity".to_owned()),
        0 | 0x4000 => {}
        _ => return None,
    }
    let groups: Vec<u16> = words.collect();
    // A weight or scale that no DECIMAL has would make a text as long as it says.
    if groups.iter().any(|g| *g > 9999) || scale > 1000 || !(-250..=250).contains(&weight) {
        return None;
    }
    let group = |power: i64| usize::try_from(weight - power).ok().and_then(|i| groups.get(i)).copied().unwrap_or(0);
    let mut text: String = (0..=weight.max(0)).rev().map(|power| format!("{:04}", group(power))).collect();
    let whole = text.trim_start_matches('0');
    text = format!("{}{}", if sign == 0 { "" } else { "-" }, if whole.is_empty() { "0" } else { whole });
    if scale > 0 {
        let fraction: String = (1..=(scale + 3) / 4).map(|i| format!("{:04}", group(-i))).collect();
        text.push('.');
        text.push_str(fraction.get(..usize::try_from(scale).ok()?)?);
    }
    Some(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn text(write: impl FnOnce(&mut BytesMut)) -> String {
        let mut out = BytesMut::new();
        write(&mut out);
        String::from_utf8_lossy(&out).into_owned()
    }

    #[test]
    fn floats_as_postgres_writes_them() {
        let check = |value: f64, want: &str| assert_eq!(text(|o| put_f64(o, value)), want);
        check(0.0, "0");
        check(-0.0, "-0");
        check(1.0, "1");
        check(0.1, "0.1");
        check(100.0, "100");
        check(123456.789, "123456.789");
        check(0.0001, "0.0001");
        check(0.00001, "1e-05");
        check(1e14, "100000000000000");
        check(1e15, "1e+15");
        check(1.5e300, "1.5e+300");
        check(-2.5e-10, "-2.5e-10");
        check(f64::NAN, "NaN");
        check(f64::NEG_INFINITY, "-Infinity");
        assert_eq!(text(|o| put_f32(o, 0.1)), "0.1");
        assert_eq!(text(|o| put_f32(o, 1e6)), "1e+06");
        assert_eq!(text(|o| put_f32(o, 123456.0)), "123456");
    }

    #[test]
    fn decimals() {
        let check = |value, scale, want: &str| assert_eq!(text(|o| put_decimal(o, value, scale)), want);
        check(0, 0, "0");
        check(0, 2, "0.00");
        check(-5, 2, "-0.05");
        check(12345, 2, "123.45");
        check(12, -2, "1200");
        check(i128::MIN, 0, "-170141183460469231731687303715884105728");
    }

    proptest! {
        #[test]
        fn floats_read_back_the_same(bits in any::<u64>()) {
            let value = f64::from_bits(bits);
            prop_assume!(value.is_finite());
            let text = text(|o| put_f64(o, value));
            prop_assert_eq!(text.parse::<f64>().map(f64::to_bits), Ok(bits));
        }

        #[test]
        fn numerics_round_trip(value in any::<i128>(), scale in 0_i8..=38) {
            let plain = text(|o| put_decimal(o, value, scale));
            let mut binary = BytesMut::new();
            put_numeric_binary(&mut binary, &plain);
            prop_assert_eq!(numeric_text(&binary), Some(plain));
        }

        #[test]
        fn numeric_text_never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..40)) {
            _ = numeric_text(&bytes);
        }
    }
}
