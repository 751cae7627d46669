//! Numbers as Java writes and reads them, because that is what ksqlDB's texts hold: `Double.toString`,
//! `BigDecimal.toPlainString`, `Integer.parseInt`, `Double.parseDouble`, `new BigDecimal(text)`, and Java's narrowing
//! casts. DECIMALs are unscaled 128-bit integers with a scale.

use bigdecimal::num_bigint::{BigInt, Sign};
use types::DECIMAL_PRECISION_MAX;

/// Powers of ten that fit into an i128: 10^0 to 10^38.
const POWERS: [i128; 39] = {
    let mut powers = [1_i128; 39];
    let mut i = 1;
    while i < 39 {
        powers[i] = powers[i - 1] * 10;
        i += 1;
    }
    powers
};

/// 10^`exponent`, if it fits.
pub fn power_of_ten(exponent: u32) -> Option<i128> {
    POWERS.get(usize::try_from(exponent).ok()?).copied()
}

/// `Double.toString`: the shortest digits that read back as `value`, plain from 1e-3 to 1e7, else `1.0E10`.
pub fn double_to_string(value: f64) -> String {
    if value.is_nan() {
        return "NaN".to_owned();
    }
    if value.is_infinite() {
        return if value > 0.0 { "Infinity" } else { "-Infinity" }.to_owned();
    }
    let sign = if value.is_sign_negative() { "-" } else { "" };
    if value == 0.0 {
        return format!("{sign}0.0");
    }
    let (digits, exponent) = shortest_digits(value.abs());
    // The value is 0.d1d2d3… × 10^exponent.
    let magnitude = value.abs();
    if (1e-3..1e7).contains(&magnitude) {
        if exponent <= 0 {
            let zeros = "0".repeat(usize::try_from(-exponent).unwrap_or(0));
            return format!("{sign}0.{zeros}{digits}");
        }
        let point = usize::try_from(exponent).unwrap_or(0);
        if digits.len() <= point {
            return format!("{sign}{digits}{}.0", "0".repeat(point - digits.len()));
        }
        let (whole, fraction) = digits.split_at(point);
        return format!("{sign}{whole}.{fraction}");
    }
    let (first, rest) = digits.split_at(1);
    let rest = if rest.is_empty() { "0" } else { rest };
    format!("{sign}{first}.{rest}E{}", exponent - 1)
}

/// The shortest digits of a finite positive number without zeros at either end, and `e` with value = 0.digits × 10^e.
fn shortest_digits(value: f64) -> (String, i32) {
    let mut buffer = ryu::Buffer::new();
    let mut text = buffer.format_finite(value).to_owned();
    // Java writes two digits at least, and then the two that are nearest: 4.9E-324, not 5.0E-324.
    let two = format!("{value:.1e}");
    let mantissa_digits = text.bytes().take_while(|b| *b != b'e').filter(|b| matches!(b, b'1'..=b'9')).count();
    if mantissa_digits <= 1 && two.parse() == Ok(value) {
        text = two;
    }
    let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let all = format!("{whole}{fraction}");
    let leading = all.len() - all.trim_start_matches('0').len();
    let digits = all.trim_start_matches('0').trim_end_matches('0');
    let point = i32::try_from(whole.len()).unwrap_or(0) - i32::try_from(leading).unwrap_or(0);
    (digits.to_owned(), point + exponent)
}

/// `BigDecimal.toPlainString`: `scale` digits after the point.
pub fn decimal_to_plain(unscaled: i128, scale: u8) -> String {
    let sign = if unscaled < 0 { "-" } else { "" };
    let scale = usize::from(scale);
    let digits = unscaled.unsigned_abs().to_string();
    if scale == 0 {
        return format!("{sign}{digits}");
    }
    let digits = format!("{digits:0>width$}", width = scale + 1);
    let (whole, fraction) = digits.split_at(digits.len() - scale);
    format!("{sign}{whole}.{fraction}")
}

/// `BigDecimal.toString`: plain, but `1E-7` where there are more than six zeros behind the point.
pub fn decimal_to_string(unscaled: i128, scale: u8) -> String {
    let digits = unscaled.unsigned_abs().to_string();
    let adjusted = i64::try_from(digits.len()).unwrap_or(0) - 1 - i64::from(scale);
    if adjusted >= -6 {
        return decimal_to_plain(unscaled, scale);
    }
    let sign = if unscaled < 0 { "-" } else { "" };
    let (first, rest) = digits.split_at(1);
    let point = if rest.is_empty() { "" } else { "." };
    format!("{sign}{first}{point}{rest}E{adjusted}")
}

/// `Integer.parseInt` (and for other widths): an optional sign and ASCII digits, no spaces.
pub fn parse_integer<T: std::str::FromStr>(text: &str) -> Option<T> {
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    text.parse().ok()
}

/// `Double.parseDouble`: surrounding spaces, a sign, `NaN`, `Infinity`, a decimal number with a trailing `d` or `f`.
pub fn parse_double(text: &str) -> Option<f64> {
    let text = text.trim();
    let body = text.strip_prefix(['+', '-']).unwrap_or(text);
    match body {
        "NaN" => return Some(f64::NAN),
        "Infinity" => return Some(if text.starts_with('-') { f64::NEG_INFINITY } else { f64::INFINITY }),
        _ => {}
    }
    let number = text.strip_suffix(['d', 'D', 'f', 'F']).unwrap_or(text);
    // What Rust reads besides (`inf`, `nan`) Java does not.
    let known = |b: u8| b.is_ascii_digit() || matches!(b, b'.' | b'e' | b'E' | b'+' | b'-');
    if !number.bytes().all(known) || !number.bytes().any(|b| b.is_ascii_digit()) {
        return None;
    }
    number.parse().ok()
}

/// Why a number is no DECIMAL of the wanted kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum DecimalError {
    /// Not a number.
    #[error("not a number")]
    NotANumber,
    /// Too many digits before the point.
    #[error("numeric overflow: more than {0} digits before the decimal point do not fit into DECIMAL({1}, {2})")]
    Overflow(u8, u8, u8),
}

impl DecimalError {
    fn overflow(precision: u8, scale: u8) -> DecimalError {
        DecimalError::Overflow(precision.saturating_sub(scale), precision, scale)
    }
}

/// `new BigDecimal(text)` as a DECIMAL(`precision`, `scale`), rounded half up.
pub fn parse_decimal(text: &str, precision: u8, scale: u8) -> Result<i128, DecimalError> {
    let (negative, body) = match text.strip_prefix('-') {
        Some(body) => (true, body),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let (mantissa, exponent) = match body.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, parse_integer::<i32>(exponent).ok_or(DecimalError::NotANumber)?),
        None => (body, 0),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits: Vec<u8> = whole.bytes().chain(fraction.bytes()).collect();
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return Err(DecimalError::NotANumber);
    }
    let fraction_len = i64::try_from(fraction.len()).map_err(|_| DecimalError::NotANumber)?;
    let shift = i64::from(exponent) - fraction_len + i64::from(scale);
    let first = digits.iter().position(|d| *d != b'0').unwrap_or(digits.len());
    let digits = digits.get(first..).unwrap_or(&[]);
    let magnitude = shifted(digits, shift).ok_or(DecimalError::overflow(precision, scale))?;
    fit_decimal(if negative { -magnitude } else { magnitude }, precision, scale)
}

/// `digits` × 10^`shift` rounded half up; `None` if it has more than 38 digits.
fn shifted(digits: &[u8], shift: i64) -> Option<i128> {
    if digits.is_empty() {
        return Some(0);
    }
    let len = i64::try_from(digits.len()).ok()?;
    if len + shift > i64::from(DECIMAL_PRECISION_MAX) {
        return None;
    }
    if len + shift < 0 {
        return Some(0);
    }
    let number = |digits: &[u8]| digits.iter().fold(0_i128, |n, d| n * 10 + i128::from(d - b'0'));
    if shift >= 0 {
        return Some(number(digits) * power_of_ten(u32::try_from(shift).ok()?)?);
    }
    let keep = usize::try_from(len + shift).ok()?;
    let round_up = digits.get(keep).is_some_and(|d| *d >= b'5');
    Some(number(digits.get(..keep)?) + i128::from(round_up))
}

/// `unscaled` if it has no more than `precision` digits.
pub fn fit_decimal(unscaled: i128, precision: u8, scale: u8) -> Result<i128, DecimalError> {
    let limit = power_of_ten(u32::from(precision)).ok_or(DecimalError::overflow(precision, scale))?;
    if unscaled.unsigned_abs() < limit.unsigned_abs() {
        Ok(unscaled)
    } else {
        Err(DecimalError::overflow(precision, scale))
    }
}

/// `unscaled` of scale `from` at scale `to`, rounded half up; `None` if it does not fit into 128 bits.
pub fn rescale(unscaled: i128, from: u8, to: u8) -> Option<i128> {
    if to >= from {
        return unscaled.checked_mul(power_of_ten(u32::from(to - from))?);
    }
    let divisor = power_of_ten(u32::from(from - to))?;
    Some(divide_half_up(unscaled, divisor))
}

/// `value / divisor`, rounded to the nearest, halves away from zero. `divisor` is positive.
pub fn divide_half_up(value: i128, divisor: i128) -> i128 {
    let quotient = value / divisor;
    let rest = (value % divisor).unsigned_abs();
    // rest < divisor, so this compares 2 × rest with divisor without overflow.
    if rest >= divisor.unsigned_abs() - rest { quotient + value.signum() } else { quotient }
}

/// As [`divide_half_up`] for any integers; `None` for a zero divisor or a quotient beyond 128 bits.
pub fn divide_big_half_up(value: &BigInt, divisor: &BigInt) -> Option<i128> {
    if divisor.sign() == Sign::NoSign {
        return None;
    }
    let quotient = value / divisor;
    let rest = (value % divisor).magnitude() * 2_u32;
    let negative = (value.sign() == Sign::Minus) != (divisor.sign() == Sign::Minus);
    let rounded = match (rest >= *divisor.magnitude(), negative) {
        (false, _) => quotient,
        (true, false) => quotient + 1,
        (true, true) => quotient - 1,
    };
    i128::try_from(rounded).ok()
}

/// `BigDecimal.valueOf(value)` as a DECIMAL, rounded half up: what `Double.toString` shows, not the binary value.
pub fn double_to_decimal(value: f64, precision: u8, scale: u8) -> Result<i128, DecimalError> {
    if !value.is_finite() {
        return Err(DecimalError::NotANumber);
    }
    let mut buffer = ryu::Buffer::new();
    parse_decimal(buffer.format_finite(value), precision, scale)
}

/// `BigDecimal.doubleValue`: the nearest double.
pub fn decimal_to_double(unscaled: i128, scale: u8) -> f64 {
    // Both are exact up to 2^53 and 10^22, and one division rounds once.
    const EXACT: u128 = 1 << 53;
    if unscaled.unsigned_abs() <= EXACT && scale <= 22 {
        let power = power_of_ten(u32::from(scale)).unwrap_or(1);
        return exact_double(unscaled) / exact_double(power);
    }
    let mut text = unscaled.to_string();
    text.push_str("e-");
    text.push_str(&scale.to_string());
    text.parse().unwrap_or(f64::NAN)
}

/// For integers that a double holds exactly (10^22 is the largest power of ten of them).
fn exact_double(value: i128) -> f64 {
    value as f64
}

/// Java's `(double) value`: the nearest.
pub fn long_to_double(value: i64) -> f64 {
    value as f64
}

/// Java's `(int) value`: the low 32 bits.
pub fn long_to_int(value: i64) -> i32 {
    value as i32
}

/// Java's `(int) value` of a double: toward zero, saturating, 0 for NaN.
pub fn double_to_int(value: f64) -> i32 {
    value as i32
}

/// Java's `(long) value` of a double: toward zero, saturating, 0 for NaN.
pub fn double_to_long(value: f64) -> i64 {
    value as i64
}

/// `BigDecimal.longValue`: without the fraction, the low 64 bits.
pub fn decimal_to_long(unscaled: i128, scale: u8) -> i64 {
    let whole = power_of_ten(u32::from(scale)).map_or(0, |power| unscaled / power);
    whole as i64
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn doubles_as_java_writes_them() {
        let cases = [
            (0.0, "0.0"),
            (-0.0, "-0.0"),
            (1.0, "1.0"),
            (-1.5, "-1.5"),
            (100.0, "100.0"),
            (1234567.0, "1234567.0"),
            (12345678.0, "1.2345678E7"),
            (1e7, "1.0E7"),
            (0.001, "0.001"),
            (0.0001, "1.0E-4"),
            (1.234e-5, "1.234E-5"),
            (1e100, "1.0E100"),
            (f64::NAN, "NaN"),
            (f64::NEG_INFINITY, "-Infinity"),
            (5e-324, "4.9E-324"),
            (5e-300, "5.0E-300"),
            (f64::MAX, "1.7976931348623157E308"),
        ];
        for (value, expect) in cases {
            assert_eq!(double_to_string(value), expect);
        }
    }

    #[test]
    fn decimals_as_java_writes_them() {
        assert_eq!(decimal_to_plain(1000, 2), "10.00");
        assert_eq!(decimal_to_plain(-1, 3), "-0.001");
        assert_eq!(decimal_to_plain(0, 2), "0.00");
        assert_eq!(decimal_to_string(1, 7), "1E-7");
        assert_eq!(decimal_to_string(-12, 8), "-1.2E-7");
        assert_eq!(decimal_to_string(1, 6), "0.000001");
    }

    #[test]
    fn decimals_read() {
        let check = |text: &str, expect: Option<i128>| assert_eq!(parse_decimal(text, 4, 2).ok(), expect, "{text}");
        check("10.12", Some(1012));
        check("-0.005", Some(-1));
        check("0.0049", Some(0));
        check("1e1", Some(1000));
        check("99.995", None);
        check("1e-999999999", Some(0));
        check("1e999999999", None);
        check("0e999999999", Some(0));
        check(".5", Some(50));
        check("5.", Some(500));
        check("", None);
        check(".", None);
        check("1 ", None);
    }

    #[test]
    fn doubles_read() {
        assert_eq!(parse_double(" 1.5d "), Some(1.5));
        assert_eq!(parse_double("inf"), None);
        assert_eq!(parse_double("-Infinity"), Some(f64::NEG_INFINITY));
        assert_eq!(parse_double("1e3"), Some(1000.0));
        assert_eq!(parse_double("d"), None);
    }

    proptest! {
        #[test]
        fn double_round_trip(value in any::<f64>()) {
            let text = double_to_string(value);
            let back = parse_double(&text);
            prop_assert!(back == Some(value) || value.is_nan());
        }

        #[test]
        fn decimal_round_trip(unscaled in -(10_i128.pow(38) - 1)..10_i128.pow(38), scale in 0_u8..=38) {
            prop_assert_eq!(parse_decimal(&decimal_to_plain(unscaled, scale), 38, scale), Ok(unscaled));
            prop_assert_eq!(parse_decimal(&decimal_to_string(unscaled, scale), 38, scale), Ok(unscaled));
        }

        #[test]
        fn big_division_agrees(value in any::<i64>(), divisor in 1_i64..) {
            let big = divide_big_half_up(&BigInt::from(value), &BigInt::from(divisor));
            prop_assert_eq!(big, Some(divide_half_up(i128::from(value), i128::from(divisor))));
        }
    }
}
