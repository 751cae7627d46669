//! Literals are more willing than other expressions: a STRING literal may stand for the number, BOOLEAN, date or time
//! that it spells, and any literal for a STRING, where others of a list decide what is wanted.

use types::{Error, Result, SqlType, decimal};

use crate::{
    calendar::{parse_date, parse_time, parse_timestamp},
    javanum::{parse_double, parse_integer},
};

/// The type as which a STRING literal joins values of type `wanted` (in IN, BETWEEN, ARRAY\[…\] and so on): for
/// numbers the narrowest type that holds what it spells, else `wanted` itself.
///
/// The literal is then CAST to that type, or to the common type of all; a BOOLEAN is read by [`literal_boolean`]. The
/// error names the text and the type.
pub fn literal_type(text: &str, wanted: &SqlType) -> Result<SqlType> {
    let error = || Error::bad_value(format!("invalid input syntax for type {wanted}: \"{text}\""));
    let fits = match wanted {
        SqlType::Int | SqlType::BigInt | SqlType::Double | SqlType::Decimal { .. } => {
            return number_type(text.trim()).ok_or_else(error);
        }
        SqlType::Boolean => literal_boolean(text).is_some(),
        SqlType::Date => parse_date(text).is_ok(),
        SqlType::Time => parse_time(text).is_ok(),
        SqlType::Timestamp => parse_timestamp(text).is_ok(),
        SqlType::String => true,
        _ => false,
    };
    if fits { Ok(wanted.clone()) } else { Err(error()) }
}

/// `true`, `yes` and what begins them; `false`, `no` and what begins them; in whatever case.
pub fn literal_boolean(text: &str) -> Option<bool> {
    let text = text.trim().to_ascii_lowercase();
    let begins = |word: &str| !text.is_empty() && word.starts_with(&text);
    if begins("true") || begins("yes") {
        Some(true)
    } else if begins("false") || begins("no") {
        Some(false)
    } else {
        None
    }
}

/// The narrowest type of the number that `text` spells: `1` INTEGER, `2147483648` BIGINT, `1.50` DECIMAL(3, 2), `3e2`
/// DOUBLE.
fn number_type(text: &str) -> Option<SqlType> {
    if parse_integer::<i32>(text).is_some() {
        return Some(SqlType::Int);
    }
    if parse_integer::<i64>(text).is_some() {
        return Some(SqlType::BigInt);
    }
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let plain = !digits.is_empty() && whole.bytes().chain(fraction.bytes()).all(|b| b.is_ascii_digit());
    if plain && !(whole.is_empty() && fraction.is_empty()) {
        let scale = u32::try_from(fraction.len()).ok()?;
        let whole = u32::try_from(whole.trim_start_matches('0').len()).ok()?;
        if let Ok(ty) = decimal((whole + scale).max(1), scale) {
            return Some(ty);
        }
    }
    parse_double(text).map(|_| SqlType::Double)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_of_literals() {
        let check = |text: &str, wanted: SqlType, expect: Option<SqlType>| {
            assert_eq!(literal_type(text, &wanted).ok(), expect, "{text}");
        };
        let dec = |precision, scale| SqlType::Decimal { precision, scale };
        check("4.000", SqlType::Int, Some(dec(4, 3)));
        check("0.5", SqlType::Int, Some(dec(1, 1)));
        check("2147483648", SqlType::Int, Some(SqlType::BigInt));
        check("99999999999999999999", SqlType::Int, Some(dec(20, 0)));
        check("3e2", SqlType::BigInt, Some(SqlType::Double));
        check("10 - not a number", SqlType::BigInt, None);
        check(".", SqlType::BigInt, None);
        check("fal", SqlType::Boolean, Some(SqlType::Boolean));
        check("", SqlType::Boolean, None);
        check("2020-05", SqlType::Date, Some(SqlType::Date));
        check("x", SqlType::Timestamp, None);
        check("x", SqlType::Bytes, None);
        assert_eq!(literal_boolean("Y"), Some(true));
        let message = literal_type("not 10", &SqlType::BigInt).expect_err("no number").message().to_owned();
        assert_eq!(message, "invalid input syntax for type BIGINT: \"not 10\"");
    }
}
