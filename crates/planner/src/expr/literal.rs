//! Constants as typed → values.

use arrow::array::{Array, ArrayRef};
use bigdecimal::BigDecimal;
use datafusion::common::ScalarValue;
use syntax::ast::Literal;
use types::{DECIMAL_PRECISION_MAX, Error, Result, SqlType};

/// The value and type of a literal; `None`: NULL, which has none.
pub(crate) fn value(literal: &Literal) -> Result<(ScalarValue, Option<SqlType>)> {
    Ok(match literal {
        Literal::Null => (ScalarValue::Null, None),
        Literal::Boolean(value) => (ScalarValue::Boolean(Some(*value)), Some(SqlType::Boolean)),
        Literal::String(text) => (ScalarValue::Utf8(Some(text.clone())), Some(SqlType::String)),
        Literal::Integer(digits) => integer(digits)?,
        Literal::Decimal(digits) => decimal(digits)?,
        Literal::Double(text) => double(text)?,
    })
}

/// The literal with the other sign, if it is a number.
pub(crate) fn negated(literal: &Literal) -> Option<Literal> {
    let flip = |text: &str| match text.strip_prefix('-') {
        Some(positive) => positive.to_owned(),
        None => format!("-{}", text.strip_prefix('+').unwrap_or(text)),
    };
    Some(match literal {
        Literal::Integer(text) => Literal::Integer(flip(text)),
        Literal::Decimal(text) => Literal::Decimal(flip(text)),
        Literal::Double(text) => Literal::Double(flip(text)),
        _ => return None,
    })
}

fn integer(digits: &str) -> Result<(ScalarValue, Option<SqlType>)> {
    if let Ok(small) = digits.parse::<i32>() {
        return Ok((ScalarValue::Int32(Some(small)), Some(SqlType::Int)));
    }
    match digits.parse::<i64>() {
        Ok(large) => Ok((ScalarValue::Int64(Some(large)), Some(SqlType::BigInt))),
        Err(_) => Err(Error::new(types::ErrorKind::User, "22003", format!("Invalid numeric literal: {digits}"))
            .with_hint(format!("a BIGINT lies between {} and {}; write {digits}.0 for a DECIMAL", i64::MIN, i64::MAX))),
    }
}

fn double(text: &str) -> Result<(ScalarValue, Option<SqlType>)> {
    match text.parse::<f64>() {
        Ok(value) if value.is_finite() => Ok((ScalarValue::Float64(Some(value)), Some(SqlType::Double))),
        Ok(_) => Err(Error::new(types::ErrorKind::User, "22003", format!("Number overflows DOUBLE: {text}"))),
        Err(_) => Err(Error::syntax(format!("Invalid numeric literal: {text}"))),
    }
}

fn decimal(text: &str) -> Result<(ScalarValue, Option<SqlType>)> {
    let invalid = || Error::syntax(format!("Invalid numeric literal: {text}"));
    let too_long = || {
        Error::unsupported(format!("{text} has too many digits: a DECIMAL has at most {DECIMAL_PRECISION_MAX}"))
            .with_hint("with an exponent (1.5E0) the number is a DOUBLE")
    };
    let parsed: BigDecimal = text.parse().map_err(|_| invalid())?;
    let (unscaled, scale) = parsed.into_bigint_and_exponent();
    let scale = u8::try_from(scale).ok().filter(|s| *s <= DECIMAL_PRECISION_MAX).ok_or_else(too_long)?;
    let unscaled = i128::try_from(unscaled).map_err(|_| too_long())?;
    let digits = u8::try_from(unscaled.unsigned_abs().checked_ilog10().unwrap_or(0) + 1).map_err(|_| too_long())?;
    let precision = digits.max(scale);
    if precision > DECIMAL_PRECISION_MAX {
        return Err(too_long());
    }
    let value = ScalarValue::Decimal128(Some(unscaled), precision, scale.cast_signed());
    Ok((value, Some(SqlType::Decimal { precision, scale })))
}

/// The value that a text stands for where a value of type `ty` is wanted, as a one-row array; `None` if the text is
/// no such value.
///
/// Numbers are read as literals; BOOLEAN is any beginning of true, yes, false, no.
pub(crate) fn from_text(text: &str, ty: &SqlType) -> Option<ArrayRef> {
    let cast_from = |from: &SqlType, value: ScalarValue| {
        let bound = functions::bind_cast(Some(from), ty, false).ok()?;
        let mut errors = functions::RowErrors::default();
        let array = value.to_array_of_size(1).ok()?;
        let cast = bound.kernel.evaluate(&[functions::Arg::Constant(array)], 1, &mut errors).ok()?;
        (errors.rows.is_empty() && cast.len() == 1 && cast.is_valid(0)).then_some(cast)
    };
    match ty {
        SqlType::Boolean => {
            let lower = text.to_lowercase();
            let starts = |word: &str| !lower.is_empty() && word.starts_with(&lower);
            let value = match (starts("true") || starts("yes"), starts("false") || starts("no")) {
                (true, _) => true,
                (_, true) => false,
                _ => return None,
            };
            ScalarValue::Boolean(Some(value)).to_array_of_size(1).ok()
        }
        ty if ty.is_numeric() => {
            let (value, from) = number(text)?;
            cast_from(&from, value)
        }
        _ => cast_from(&SqlType::String, ScalarValue::Utf8(Some(text.to_owned()))),
    }
}

/// A text that is a number, with its type.
pub(crate) fn number(text: &str) -> Option<(ScalarValue, SqlType)> {
    let text = text.trim();
    let whole = text.strip_prefix(['-', '+']).unwrap_or(text);
    if whole.is_empty() || !whole.bytes().all(|b| b.is_ascii_digit() || matches!(b, b'.' | b'e' | b'E' | b'+' | b'-')) {
        return None;
    }
    if text.contains(['e', 'E']) {
        return exponential(text);
    }
    let literal =
        if text.contains('.') { Literal::Decimal(text.to_owned()) } else { Literal::Integer(text.to_owned()) };
    let (value, ty) = value(&literal).ok()?;
    Some((value, ty?))
}

/// `2e1` as the DECIMAL 20, or as a DOUBLE where that has too many digits.
fn exponential(text: &str) -> Option<(ScalarValue, SqlType)> {
    let parsed: BigDecimal = text.parse().ok()?;
    let (_, scale) = parsed.as_bigint_and_exponent();
    let plain = if scale.unsigned_abs() > u64::from(DECIMAL_PRECISION_MAX) {
        None
    } else {
        decimal(&parsed.with_scale(scale.max(0)).to_plain_string()).ok()
    };
    let (value, ty) = match plain {
        Some(decimal) => decimal,
        None => double(text).ok()?,
    };
    Some((value, ty?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(literal: Literal, expect: &str) {
        let got = match value(&literal) {
            Ok((_, Some(ty))) => ty.to_string(),
            Ok((_, None)) => "NULL".to_owned(),
            Err(error) => error.message().to_owned(),
        };
        assert_eq!(got, expect, "{literal:?}");
    }

    #[test]
    fn types_of_literals() {
        let integer = |text: &str| Literal::Integer(text.to_owned());
        let decimal = |text: &str| Literal::Decimal(text.to_owned());
        check(integer("2147483647"), "INTEGER");
        check(integer("2147483648"), "BIGINT");
        check(integer("-2147483648"), "INTEGER");
        check(integer("-9223372036854775808"), "BIGINT");
        check(integer("9223372036854775808"), "Invalid numeric literal: 9223372036854775808");
        check(decimal("2.345"), "DECIMAL(4, 3)");
        check(decimal("0.005"), "DECIMAL(3, 3)");
        check(decimal("04.90"), "DECIMAL(3, 2)");
        check(decimal("100.0"), "DECIMAL(4, 1)");
        check(Literal::Double("4.9E-324".to_owned()), "DOUBLE");
        check(
            Literal::Double("-1.7976931348623160E308".to_owned()),
            "Number overflows DOUBLE: -1.7976931348623160E308",
        );
    }
}
