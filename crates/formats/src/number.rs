//! Numbers as text: exact decimals, integers and doubles as Java reads and prints them.
//!
//! Topics are shared with programs on the JVM, so what we print must be what they print (`1.0E10`, `4.9E-324`), and
//! what their parsers accept we accept. Decimals never pass through floating point.

/// Digits that fit into an `i128` whatever they are.
const DIGITS_MAX: u32 = 38;
/// Longest text that Java's Double.toString gives, with room to spare.
const DOUBLE_TEXT_MAX: usize = 32;

/// What reading a decimal gave.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scaled {
    /// The number times ten to the scale; `exact` is false when digits after the scale were cut off.
    Value { unscaled: i128, exact: bool },
    /// More than 38 digits.
    TooLarge,
    /// Not a number.
    Invalid,
}

/// Read `text` (sign, digits, point, exponent: what Java's BigDecimal reads) as an integer times 10^-`scale`, cutting
/// off what lies below towards zero.
pub(crate) fn scaled(text: &[u8], scale: u8) -> Scaled {
    let (negative, digits) = sign(text);
    let mantissa_end = digits.iter().position(|b| matches!(b, b'e' | b'E')).unwrap_or(digits.len());
    let (mantissa, exponent) = digits.split_at(mantissa_end);
    let Some(exponent) = exponent_of(exponent) else { return Scaled::Invalid };
    let whole = mantissa.iter().position(|b| *b == b'.').unwrap_or(mantissa.len());
    // The power of ten of the digit at hand, counted so that the last digit kept has zero.
    let length = |n: usize| i64::try_from(n).unwrap_or(i64::MAX);
    let mut weight = length(whole).saturating_sub(1).saturating_add(exponent).saturating_add(i64::from(scale));
    let (mut unscaled, mut exact, mut seen) = (0i128, true, false);
    for (i, byte) in mantissa.iter().enumerate() {
        let digit = match byte {
            b'0'..=b'9' => byte - b'0',
            b'.' if i == whole => continue,
            _ => return Scaled::Invalid,
        };
        seen = true;
        if weight >= 0 {
            match unscaled.checked_mul(10).and_then(|n| n.checked_add(i128::from(digit))) {
                Some(n) => unscaled = n,
                None => return Scaled::TooLarge,
            }
        } else {
            exact &= digit == 0;
        }
        weight = weight.saturating_sub(1);
    }
    if !seen {
        return Scaled::Invalid;
    }
    // Zeros that the exponent stands for; more than the limit cannot fit unless there is nothing to move.
    if unscaled != 0 && weight >= 0 {
        let shifted = u32::try_from(weight.saturating_add(1)).ok().filter(|n| *n <= DIGITS_MAX);
        match shifted.and_then(|n| unscaled.checked_mul(10i128.pow(n))) {
            Some(n) => unscaled = n,
            None => return Scaled::TooLarge,
        }
    }
    Scaled::Value { unscaled: if negative { -unscaled } else { unscaled }, exact }
}

/// Whether an unscaled number has at most `precision` digits.
pub(crate) fn fits(unscaled: i128, precision: u8) -> bool {
    10u128.checked_pow(u32::from(precision)).is_none_or(|limit| unscaled.unsigned_abs() < limit)
}

/// Read a DECIMAL(`precision`, `scale`): exactly, or an error that says why not.
pub(crate) fn decimal(text: &[u8], precision: u8, scale: u8) -> Result<i128, &'static str> {
    match scaled(text, scale) {
        Scaled::Value { unscaled, .. } if !fits(unscaled, precision) => Err("has too many digits"),
        Scaled::Value { exact: false, .. } => Err("has too many digits after the point"),
        Scaled::Value { unscaled, .. } => Ok(unscaled),
        Scaled::TooLarge => Err("has too many digits"),
        Scaled::Invalid => Err("is not a number"),
    }
}

/// Read an integer as Java's parseInt and parseLong do: a sign and digits, nothing else.
pub(crate) fn integer(text: &[u8]) -> Option<i64> {
    let (negative, digits) = sign(text);
    if digits.is_empty() {
        return None;
    }
    let mut n = 0i64;
    for byte in digits {
        let digit = i64::from(byte.checked_sub(b'0').filter(|d| *d <= 9)?);
        // Counting down reaches the least number, which has no positive twin.
        n = n.checked_mul(10)?.checked_sub(digit)?;
    }
    if negative { Some(n) } else { n.checked_neg() }
}

/// Read a double as Java's parseDouble does: blanks around it, `NaN`, `Infinity`, a type suffix. `None` also for
/// numbers beyond the largest double, which would become infinite unseen.
pub(crate) fn double(text: &str) -> Option<f64> {
    let text = text.trim_matches(|c: char| c <= ' ');
    let (negative, digits) = sign(text.as_bytes());
    match digits {
        b"NaN" => return Some(f64::NAN),
        b"Infinity" => return Some(if negative { f64::NEG_INFINITY } else { f64::INFINITY }),
        _ => {}
    }
    let digits = match digits {
        [head @ .., b'd' | b'D' | b'f' | b'F'] => head,
        all => all,
    };
    if !matches!(digits.first(), Some(b'0'..=b'9' | b'.')) {
        return None;
    }
    let n: f64 = fast_float2::parse(digits).ok()?;
    n.is_finite().then_some(if negative { -n } else { n })
}

/// Digits of the longest integer, and room for one more pair.
const INTEGER_BYTES: usize = 24;

/// The two digits of each number below 100.
const PAIRS: [[u8; 2]; 100] = {
    let mut pairs = [[b'0'; 2]; 100];
    let mut n = 0;
    while n < 100 {
        pairs[n] = [b'0' + (n / 10) as u8, b'0' + (n % 10) as u8];
        n += 1;
    }
    pairs
};

/// Append an integer.
#[inline]
pub(crate) fn write_integer(n: i64, out: &mut Vec<u8>) {
    if n < 0 {
        out.push(b'-');
    }
    let mut rest = n.unsigned_abs();
    let length = rest.checked_ilog10().unwrap_or(0) as usize + 1;
    // Digits stand at the beginning of a place of fixed size: a copy of so many bytes needs no call.
    let mut digits = [0u8; INTEGER_BYTES];
    let mut at = length;
    while at >= 2 {
        at -= 2;
        let pair = PAIRS.get((rest % 100) as usize).copied().unwrap_or_default();
        rest /= 100;
        if let Some(place) = digits.get_mut(at..).and_then(|rest| rest.first_chunk_mut::<2>()) {
            *place = pair;
        }
    }
    if at == 1 {
        digits[0] = b'0' + (rest % 10) as u8;
    }
    let end = out.len() + length;
    out.extend_from_slice(&digits);
    out.truncate(end);
}

/// Append `n` as Java's Float.toString prints it: with the digits that tell it from other floats.
pub(crate) fn write_float(n: f32, out: &mut Vec<u8>) {
    let wide = f64::from(n);
    if !n.is_finite() || n == 0.0 {
        return write_double(wide, out);
    }
    let mut buffer = ryu::Buffer::new();
    if (1e-3..1e7).contains(&wide.abs()) {
        return out.extend_from_slice(buffer.format_finite(n).as_bytes());
    }
    if n < 0.0 {
        out.push(b'-');
    }
    write_scientific(buffer.format_finite(n.abs()).as_bytes(), out);
}

/// Append `n` as Java's Double.toString prints it.
pub(crate) fn write_double(n: f64, out: &mut Vec<u8>) {
    if n.is_nan() {
        return out.extend_from_slice(b"NaN");
    }
    if n.is_infinite() {
        return out.extend_from_slice(if n < 0.0 { b"-Infinity" } else { b"Infinity" });
    }
    let size = n.abs();
    let mut buffer = ryu::Buffer::new();
    if n == 0.0 || (1e-3..1e7).contains(&size) {
        return out.extend_from_slice(buffer.format_finite(n).as_bytes());
    }
    if n < 0.0 {
        out.push(b'-');
    }
    // Java prints at least two digits and takes the nearest two, which differs from the shortest one only where
    // doubles are so sparse that a single digit tells them apart.
    let nearest;
    let shortest = if size < 1e-300 && buffer.format_finite(size).bytes().take_while(|b| *b != b'e').count() == 1 {
        nearest = format!("{size:.1e}");
        nearest.as_str()
    } else {
        buffer.format_finite(size)
    };
    write_scientific(shortest.as_bytes(), out);
}

/// Rewrite a finite positive number (`123.0`, `1.5e-7`, `0.00012`) as `d.dddE±n`.
fn write_scientific(shortest: &[u8], out: &mut Vec<u8>) {
    let mantissa_end = shortest.iter().position(|b| *b == b'e').unwrap_or(shortest.len());
    let (mantissa, exponent) = shortest.split_at(mantissa_end);
    let exponent = exponent_of(exponent).unwrap_or(0);
    let point = mantissa.iter().position(|b| *b == b'.').unwrap_or(mantissa.len());
    let mut digits = [0u8; DOUBLE_TEXT_MAX];
    let mut length = 0;
    for (slot, byte) in digits.iter_mut().zip(mantissa.iter().filter(|b| **b != b'.')) {
        *slot = *byte;
        length += 1;
    }
    let all = digits.get(..length).unwrap_or_default();
    let zeros = all.iter().take_while(|b| **b == b'0').count();
    let significant = all.get(zeros..).unwrap_or_default();
    let kept = significant.iter().rposition(|b| *b != b'0').map_or(0, |i| i + 1);
    let (first, rest) = significant.get(..kept).unwrap_or_default().split_at(kept.min(1));
    out.extend_from_slice(first);
    out.push(b'.');
    out.extend_from_slice(if rest.is_empty() { b"0" } else { rest });
    out.push(b'E');
    let place = |n: usize| i64::try_from(n).unwrap_or(0);
    out.extend_from_slice(itoa::Buffer::new().format(exponent + place(point) - place(zeros) - 1).as_bytes());
}

/// Append an unscaled decimal with `scale` digits after the point.
pub(crate) fn write_decimal(unscaled: i128, scale: u8, out: &mut Vec<u8>) {
    let scale = usize::from(scale);
    let mut buffer = itoa::Buffer::new();
    let digits = buffer.format(unscaled.unsigned_abs()).as_bytes();
    if unscaled < 0 {
        out.push(b'-');
    }
    if scale == 0 {
        return out.extend_from_slice(digits);
    }
    let whole = digits.len().saturating_sub(scale);
    let (before, after) = digits.split_at(whole);
    out.extend_from_slice(if before.is_empty() { b"0" } else { before });
    out.push(b'.');
    out.extend(std::iter::repeat_n(b'0', scale - after.len()));
    out.extend_from_slice(after);
}

/// Append a JSON number's text as Java's BigDecimal.toString prints it: what a number read into text becomes.
pub(crate) fn write_big_decimal(text: &str, out: &mut String) {
    let (negative, unsigned) = sign(text.as_bytes());
    if !unsigned.iter().any(|b| matches!(b, b'.' | b'e' | b'E')) {
        return out.push_str(if unsigned == b"0" { "0" } else { text });
    }
    let mantissa_end = unsigned.iter().position(|b| matches!(b, b'e' | b'E')).unwrap_or(unsigned.len());
    let (mantissa, exponent) = unsigned.split_at(mantissa_end);
    let exponent = exponent_of(exponent).unwrap_or(0);
    let point = mantissa.iter().position(|b| *b == b'.').unwrap_or(mantissa.len());
    let fraction = mantissa.len().saturating_sub(point + 1);
    let all: String = mantissa.iter().filter(|b| **b != b'.').map(|b| char::from(*b)).collect();
    let trimmed = all.trim_start_matches('0');
    let digits = if trimmed.is_empty() { "0" } else { trimmed };
    let place = |n: usize| i64::try_from(n).unwrap_or(i64::MAX);
    let scale = place(fraction).saturating_sub(exponent);
    let adjusted = place(digits.len() - 1).saturating_sub(scale);
    if negative && digits != "0" {
        out.push('-');
    }
    if scale >= 0 && adjusted >= -6 {
        let scale = usize::try_from(scale).unwrap_or(0);
        if scale == 0 {
            return out.push_str(digits);
        }
        let (before, after) = digits.split_at(digits.len().saturating_sub(scale));
        out.push_str(if before.is_empty() { "0" } else { before });
        out.push('.');
        out.extend(std::iter::repeat_n('0', scale - after.len()));
        return out.push_str(after);
    }
    let (first, rest) = digits.split_at(1);
    out.push_str(first);
    if !rest.is_empty() {
        out.push('.');
        out.push_str(rest);
    }
    if adjusted != 0 {
        out.push_str(if adjusted < 0 { "E-" } else { "E+" });
        out.push_str(itoa::Buffer::new().format(adjusted.unsigned_abs()));
    }
}

/// A big-endian two's complement number of `from_scale` as an unscaled number of `scale`.
pub(crate) fn rescale(bytes: &[u8], from_scale: u8, precision: u8, scale: u8) -> Result<i128, &'static str> {
    let negative = bytes.first().is_some_and(|b| b & 0x80 != 0);
    let fill = if negative { 0xff } else { 0 };
    // More bytes than the number needs are allowed.
    let redundant = bytes.len().saturating_sub(16);
    let (extra, rest) = bytes.split_at(redundant);
    if extra.iter().any(|b| *b != fill) || rest.first().is_some_and(|b| redundant > 0 && (b & 0x80 != 0) != negative) {
        return Err("too many digits");
    }
    let unscaled = rest.iter().fold(if negative { -1i128 } else { 0 }, |n, b| (n << 8) | i128::from(*b));
    let shift = u32::from(scale.abs_diff(from_scale)).min(DIGITS_MAX);
    let power = 10i128.pow(shift);
    let rescaled = if scale >= from_scale {
        unscaled.checked_mul(power).ok_or("too many digits")?
    } else if unscaled % power == 0 {
        unscaled / power
    } else {
        return Err("too many digits after the point");
    };
    if fits(rescaled, precision) { Ok(rescaled) } else { Err("too many digits") }
}

/// The shortest two's complement of a number: leading bytes that say nothing are left out.
pub(crate) fn twos_complement(all: &[u8; 16]) -> &[u8] {
    let mut short: &[u8] = all;
    while let [first, second, ..] = short {
        let redundant = (*first == 0 && second & 0x80 == 0) || (*first == 0xff && second & 0x80 != 0);
        match short.split_first() {
            Some((_, rest)) if redundant => short = rest,
            _ => break,
        }
    }
    short
}

/// The sign and what follows it.
fn sign(text: &[u8]) -> (bool, &[u8]) {
    match text {
        [b'-', rest @ ..] => (true, rest),
        [b'+', rest @ ..] => (false, rest),
        _ => (false, text),
    }
}

/// `e±n` as a number, zero when empty, held within ±2^62 because nothing beyond it can differ.
fn exponent_of(text: &[u8]) -> Option<i64> {
    let [_, rest @ ..] = text else { return Some(0) };
    let (negative, digits) = sign(rest);
    if digits.is_empty() {
        return None;
    }
    let mut n = 0i64;
    for byte in digits {
        let digit = byte.checked_sub(b'0').filter(|d| *d <= 9)?;
        n = n.saturating_mul(10).saturating_add(i64::from(digit)).min(1 << 62);
    }
    Some(if negative { -n } else { n })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn check_double(n: f64, expect: &str) {
        let mut out = Vec::new();
        write_double(n, &mut out);
        assert_eq!(String::from_utf8_lossy(&out), expect);
    }

    #[test]
    fn doubles_print_as_on_the_jvm() {
        for (n, expect) in [
            (0.0, "0.0"),
            (-0.0, "-0.0"),
            (1.0, "1.0"),
            (0.001, "0.001"),
            (0.0001, "1.0E-4"),
            (0.00012, "1.2E-4"),
            (9_999_999.0, "9999999.0"),
            (1e7, "1.0E7"),
            (-12_345_678.9, "-1.23456789E7"),
            (1e10, "1.0E10"),
            (1e16, "1.0E16"),
            (123_456_789_012_345_680.0, "1.2345678901234568E17"),
            (f64::from_bits(1), "4.9E-324"),
            (-f64::from_bits(1), "-4.9E-324"),
            (f64::MIN_POSITIVE, "2.2250738585072014E-308"),
            (f64::MAX, "1.7976931348623157E308"),
            (f64::NAN, "NaN"),
            (f64::NEG_INFINITY, "-Infinity"),
        ] {
            check_double(n, expect);
        }
    }

    #[test]
    fn decimals_are_exact_or_refused() {
        for (text, expect) in [
            ("10", Ok(100_000)),
            ("-0.1", Ok(-1_000)),
            (".12", Ok(1_200)),
            ("1.", Ok(10_000)),
            ("+1e1", Ok(100_000)),
            ("1230e-2", Ok(123_000)),
            ("0.10000000000000000000000000000000000000000000", Ok(1_000)),
            ("0e999999999999999999999", Ok(0)),
            ("1e-999999999999999999999", Err("has too many digits after the point")),
            ("1e999999999999999999999", Err("has too many digits")),
            ("100", Err("has too many digits")),
            ("1.00001", Err("has too many digits after the point")),
            ("", Err("is not a number")),
            ("1e", Err("is not a number")),
            ("1.2.3", Err("is not a number")),
            ("abc", Err("is not a number")),
        ] {
            assert_eq!(decimal(text.as_bytes(), 6, 4), expect, "{text}");
        }
    }

    #[test]
    fn numbers_read_into_text_print_as_big_decimals() {
        for (text, expect) in [
            ("12", "12"),
            ("-0", "0"),
            ("-0.0", "0.0"),
            ("1.10", "1.10"),
            ("1e3", "1E+3"),
            ("1.5e3", "1.5E+3"),
            ("1.5e1", "15"),
            ("1.5e0", "1.5"),
            ("0.000001", "0.000001"),
            ("0.0000001", "1E-7"),
            ("-12.3e-2", "-0.123"),
        ] {
            let mut out = String::new();
            write_big_decimal(text, &mut out);
            assert_eq!(out, expect, "{text}");
        }
    }

    #[test]
    fn integers_and_doubles_are_read_as_on_the_jvm() {
        assert_eq!(integer(b"-9223372036854775808"), Some(i64::MIN));
        assert_eq!(integer(b"9223372036854775808"), None);
        assert_eq!((integer(b"+7"), integer(b""), integer(b" 7"), integer(b"1.0")), (Some(7), None, None, None));
        assert_eq!((double(" 1.5 "), double("-2d"), double("1e400"), double("x")), (Some(1.5), Some(-2.0), None, None));
        assert_eq!((double("-Infinity"), double("--1"), double("inf")), (Some(f64::NEG_INFINITY), None, None));
    }

    proptest! {
        #[test]
        fn integers_are_printed(n: i64, shift in 0u32..64) {
            for n in [n >> shift, i64::MIN, i64::MAX, 0, 9, 10, 99, 100] {
                let mut out = b"x".to_vec();
                write_integer(n, &mut out);
                prop_assert_eq!(String::from_utf8_lossy(&out), format!("x{n}"));
            }
        }

        #[test]
        fn what_is_printed_is_read(bits: u64, unscaled: i128, scale in 0u8..=38) {
            let n = f64::from_bits(bits);
            let mut out = Vec::new();
            write_double(n, &mut out);
            let back = double(&String::from_utf8_lossy(&out)).expect("a number");
            prop_assert!(back == n || (back.is_nan() && n.is_nan()));
            out.clear();
            let unscaled = unscaled % 10i128.pow(38);
            write_decimal(unscaled, scale, &mut out);
            prop_assert_eq!(decimal(&out, 38, scale), Ok(unscaled));
        }
    }
}
