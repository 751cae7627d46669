//! Whether a value is the one that a case expects.
//!
//! The type of the column decides: DOUBLE within a millionth, DECIMAL by all its digits (what is found must have all the
//! digits of its scale; what is expected may leave zeros at the end away), everything else exactly. A field that is missing and a field that is null differ, except where the format cannot tell them apart.

use serde_json::{Map, Value};
use types::SqlType;

/// How far two DOUBLEs may be apart.
const DOUBLE_TOLERANCE: f64 = 1e-6;
/// How far two DOUBLEs may be apart for their size: what a different order of additions makes of them.
const DOUBLE_TOLERANCE_RELATIVE: f64 = 1e-12;

/// What the comparison may take for equal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rules {
    /// The format has no difference between a missing field and a null one.
    pub missing_is_null: bool,
    /// Nor one between a null value and the default of its type.
    pub default_is_null: bool,
}

impl Rules {
    /// Missing and null differ.
    pub const STRICT: Rules = Rules { missing_is_null: false, default_is_null: false };
}

/// Compare; the error says where (`.A[2]`) and what.
///
/// # Errors
/// They differ.
pub fn compare(expected: &Value, actual: &Value, ty: Option<&SqlType>, rules: Rules) -> Result<(), String> {
    match (expected, actual, ty) {
        (Value::Array(want), Value::Array(have), _) => {
            let element = match ty {
                Some(SqlType::Array(element)) => Some(element.as_ref()),
                _ => None,
            };
            if want.len() != have.len() {
                return Err(format!(": expected {} elements, found {}", want.len(), have.len()));
            }
            for (at, (want, have)) in want.iter().zip(have).enumerate() {
                compare(want, have, element, rules).map_err(|e| format!("[{at}]{e}"))?;
            }
            Ok(())
        }
        (Value::Object(want), Value::Object(have), Some(SqlType::Map(_, value))) => maps(want, have, Some(value)),
        (Value::Object(want), Value::Object(have), _) => objects(want, have, ty, rules),
        (Value::Number(want), Value::Number(have), _) => {
            if numbers_equal(&want.to_string(), &have.to_string(), ty) {
                return Ok(());
            }
            Err(format!(": expected {want}, found {have}"))
        }
        // Avro's decimals come as text, padded to their precision.
        (Value::String(want), Value::Number(have), Some(SqlType::Decimal { .. })) => {
            if numbers_equal(want, &have.to_string(), ty) {
                return Ok(());
            }
            Err(format!(": expected {want:?}, found {have}"))
        }
        (want, have, Some(SqlType::Double)) if as_double(want).is_some() && as_double(want) == as_double(have) => {
            Ok(())
        }
        (Value::Null, have, _) if rules.default_is_null && is_default(have) => Ok(()),
        (want, have, _) if want == have => Ok(()),
        (want, have, _) => Err(format!(": expected {want}, found {have}")),
    }
}

fn is_default(value: &Value) -> bool {
    match value {
        Value::String(text) => text.is_empty(),
        Value::Number(number) => number.as_f64() == Some(0.0),
        Value::Bool(yes) => !yes,
        _ => false,
    }
}

/// Values that no JSON number can be are written as text.
fn as_double(value: &Value) -> Option<u64> {
    let number = match value {
        Value::String(text) => text.parse::<f64>().ok()?,
        Value::Number(number) => number.as_f64()?,
        _ => return None,
    };
    Some(number.to_bits())
}

fn maps(want: &Map<String, Value>, have: &Map<String, Value>, value: Option<&SqlType>) -> Result<(), String> {
    for (key, want) in want {
        let Some(have) = have.get(key) else { return Err(format!("[{key:?}]: expected {want}, found nothing")) };
        compare(want, have, value, Rules::STRICT).map_err(|e| format!("[{key:?}]{e}"))?;
    }
    match have.iter().find(|(key, _)| !want.contains_key(*key)) {
        Some((key, have)) => Err(format!("[{key:?}]: expected nothing, found {have}")),
        None => Ok(()),
    }
}

fn objects(
    want: &Map<String, Value>,
    have: &Map<String, Value>,
    ty: Option<&SqlType>,
    rules: Rules,
) -> Result<(), String> {
    let mut matched: Vec<&str> = Vec::with_capacity(want.len());
    for (name, want) in want {
        // Names in cases are as in the record, or unquoted identifiers that fold to upper case.
        let folded = name.to_uppercase();
        let found = have.get_key_value(name).or_else(|| have.get_key_value(&folded));
        let field = |name: &str| ty.and_then(|ty| ty.field(name)).map(|(_, f)| &f.ty);
        match found {
            Some((actual, have)) => {
                matched.push(actual);
                compare(want, have, field(actual), rules).map_err(|e| format!(".{actual}{e}"))?;
            }
            None if rules.missing_is_null && want.is_null() => {}
            None => return Err(format!(".{name}: expected {want}, found nothing")),
        }
    }
    let extra = have
        .iter()
        .find(|(name, value)| !(matched.contains(&name.as_str()) || rules.missing_is_null && value.is_null()));
    match extra {
        Some((name, have)) => Err(format!(".{name}: expected nothing, found {have}")),
        None => Ok(()),
    }
}

fn numbers_equal(want: &str, have: &str, ty: Option<&SqlType>) -> bool {
    if want == have && !matches!(ty, Some(SqlType::Decimal { .. })) {
        return true;
    }
    let whole = |text: &str| !text.contains(['.', 'e', 'E']);
    match ty {
        Some(SqlType::Double) => near(want, have),
        Some(SqlType::Decimal { scale, .. }) => {
            let have = digits(have).filter(|(_, _, places)| *places == i64::from(*scale));
            have.is_some() && digits(want).and_then(|want| rescaled(want, i64::from(*scale))) == have
        }
        // The same number of the wider type: 3.0 where 3 is stored.
        Some(SqlType::Int | SqlType::BigInt) if whole(have) => {
            digits(have).and_then(|have| rescaled(have, digits(want)?.2)).is_some_and(|have| Some(have) == digits(want))
        }
        None if !(whole(want) && whole(have)) => near(want, have),
        _ => false,
    }
}

fn near(want: &str, have: &str) -> bool {
    let (Ok(want), Ok(have)) = (want.parse::<f64>(), have.parse::<f64>()) else { return false };
    let apart = (want - have).abs();
    apart <= DOUBLE_TOLERANCE || apart <= DOUBLE_TOLERANCE_RELATIVE * want.abs().max(have.abs())
}

/// The same number with more digits after the point.
fn rescaled((negative, mut digits, places): (bool, String, i64), scale: i64) -> Option<(bool, String, i64)> {
    let zeros = usize::try_from(scale.checked_sub(places)?).ok()?;
    if !digits.is_empty() {
        digits.extend(std::iter::repeat_n('0', zeros));
    }
    Some((negative, digits, scale))
}

/// Sign, digits without leading zeros, and digits after the point: what a decimal is, however it is written.
fn digits(text: &str) -> Option<(bool, String, i64)> {
    let (negative, text) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    let (mantissa, exponent) = match text.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, exponent.parse::<i64>().ok()?),
        None => (text, 0),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let scale = i64::try_from(fraction.len()).ok()?.checked_sub(exponent)?;
    let mut digits = format!("{whole}{fraction}").trim_start_matches('0').to_owned();
    let mut scale = scale;
    // 1E+1 is ten without digits after the point.
    while scale < 0 && digits.len() < 40 {
        digits.push('0');
        scale += 1;
    }
    Some((negative && !digits.is_empty(), digits, scale))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(ty: Option<&str>, want: &str, have: &str, expect: Result<(), &str>) {
        let ty = ty.map(|t| planner::ddl::resolve_type(&syntax::parse_type(t).expect("a type"), None).expect("a type"));
        let parse = |text: &str| serde_json::from_str::<Value>(text).expect("JSON");
        let found = compare(&parse(want), &parse(have), ty.as_ref(), Rules::STRICT);
        assert_eq!(found.as_ref().map_err(String::as_str), expect.as_ref().map_err(|e| *e), "{want} {have}");
    }

    #[test]
    fn the_type_decides_about_numbers() {
        check(Some("DOUBLE"), "1.0000001", "1", Ok(()));
        check(Some("DOUBLE"), "1.001", "1", Err(": expected 1.001, found 1"));
        check(Some("DOUBLE"), "1e300", "1.0000000000001e300", Ok(()));
        check(Some("DECIMAL(4,2)"), "1.10", "1.1", Err(": expected 1.10, found 1.1"));
        check(Some("DECIMAL(4,2)"), "1.1", "1.1", Err(": expected 1.1, found 1.1"));
        check(Some("DECIMAL(4,2)"), "1.1", "1.10", Ok(()));
        check(Some("DECIMAL(4,2)"), "1.101", "1.10", Err(": expected 1.101, found 1.10"));
        check(Some("DECIMAL(4,2)"), "0.0", "0.00", Ok(()));
        check(Some("DECIMAL(4,0)"), "1E+1", "10", Ok(()));
        check(
            Some("BIGINT"),
            "9007199254740993",
            "9007199254740992",
            Err(": expected 9007199254740993, found 9007199254740992"),
        );
        check(Some("INT"), "3.0", "3", Ok(()));
        check(Some("INT"), "3.1", "3", Err(": expected 3.1, found 3"));
        check(Some("INT"), "3", "3.0", Err(": expected 3, found 3.0"));
        check(None, "1", "1.0", Ok(()));
        check(None, "\"1\"", "1", Err(": expected \"1\", found 1"));
    }

    #[test]
    fn fields_are_compared_by_name() {
        check(None, r#"{"A":1,"B":[1,{"C":2}]}"#, r#"{"B":[1,{"C":3}],"A":1}"#, Err(".B[1].C: expected 2, found 3"));
        check(None, r#"{"a":1}"#, r#"{"A":1}"#, Ok(()));
        check(None, r#"{"A":null}"#, "{}", Err(".A: expected null, found nothing"));
        check(None, "{}", r#"{"A":null}"#, Err(".A: expected nothing, found null"));
        check(Some("MAP<STRING,INT>"), r#"{"a":1}"#, r#"{"A":1}"#, Err("[\"a\"]: expected 1, found nothing"));
        let lenient = Rules { missing_is_null: true, ..Rules::STRICT };
        let (null, none) = (serde_json::json!({"A": null}), serde_json::json!({}));
        assert_eq!(compare(&null, &none, None, lenient), Ok(()));
        assert_eq!(compare(&none, &null, None, lenient), Ok(()));
        let zero = serde_json::json!({"A": 0});
        assert!(compare(&null, &zero, None, lenient).is_err());
        let proto3 = Rules { default_is_null: true, ..lenient };
        assert_eq!(compare(&null, &zero, None, proto3), Ok(()));
        assert!(compare(&null, &serde_json::json!({"A": 1}), None, proto3).is_err());
    }
}
