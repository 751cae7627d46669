//! Parameters: bytes of a Bind message → a value → an Arrow array of one row of the type that the statement wants.
//!
//! The type on the wire and the type that the statement wants need not be the same: a driver that knows a number
//! as int4 sends it as int4, whatever the column is. So a value is read by the former and made by the latter.

use std::sync::Arc;

use arrow::{
    array::{
        ArrayRef, BinaryArray, BooleanArray, Date32Array, Decimal128Array, Float64Array, Int32Array, Int64Array,
        ListArray, MapArray, StringArray, StructArray, Time32MillisecondArray, TimestampMillisecondArray,
        new_empty_array, new_null_array,
    },
    buffer::OffsetBuffer,
    compute::concat,
    datatypes::DataType,
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use types::{Error, Result, SqlType};

use super::{binary, datetime, number, pg_array, pg_type::PgType};
use crate::protocol::Format;

/// A value as it was sent.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Value {
    /// boolean.
    Bool(bool),
    /// smallint, integer, bigint, oid.
    Int(i64),
    /// real, double precision.
    Float(f64),
    /// Any type's text form; numerics as digits.
    Text(String),
    /// bytea.
    Bytes(Vec<u8>),
    /// Days since 1970-01-01.
    Date(i64),
    /// Microseconds since midnight.
    Time(i64),
    /// Microseconds since 1970-01-01T00:00:00Z.
    Timestamp(i64),
    /// An array of one dimension.
    Array(Vec<Option<Value>>),
}

/// Reads a parameter of type `oid` and makes an array of one row of type `ty` of it.
pub(crate) fn decode_parameter(bytes: Option<&[u8]>, format: Format, oid: u32, ty: &SqlType) -> Result<ArrayRef> {
    let value = match (bytes, format) {
        (None, _) => None,
        (Some(bytes), Format::Text) => Some(Value::Text(utf8(bytes)?)),
        (Some(bytes), Format::Binary) => Some(from_binary(bytes, oid)?),
    };
    scalar_array(value.as_ref(), ty)
}

fn utf8(bytes: &[u8]) -> Result<String> {
    String::from_utf8(bytes.to_vec()).map_err(|_| {
        Error::new(types::ErrorKind::User, "22021", "invalid byte sequence for encoding \"UTF8\" in a parameter")
    })
}

fn from_binary(bytes: &[u8], oid: u32) -> Result<Value> {
    let ty = PgType::by_oid(oid).unwrap_or(PgType::TEXT);
    let value = match (ty.name, bytes) {
        ("bool", [b]) => Some(Value::Bool(*b != 0)),
        ("int2", b) => b.try_into().ok().map(|b| Value::Int(i16::from_be_bytes(b).into())),
        ("int4", b) => b.try_into().ok().map(|b| Value::Int(i32::from_be_bytes(b).into())),
        ("oid" | "regclass" | "regproc" | "regtype", b) => {
            b.try_into().ok().map(|b| Value::Int(u32::from_be_bytes(b).into()))
        }
        ("int8", b) => b.try_into().ok().map(|b| Value::Int(i64::from_be_bytes(b))),
        ("float4", b) => b.try_into().ok().map(|b| Value::Float(f32::from_be_bytes(b).into())),
        ("float8", b) => b.try_into().ok().map(|b| Value::Float(f64::from_be_bytes(b))),
        ("numeric", b) => number::numeric_text(b).map(Value::Text),
        ("bytea", b) => Some(Value::Bytes(b.to_vec())),
        ("date", b) => b.try_into().ok().map(|b| Value::Date(binary::days_from_2000(i32::from_be_bytes(b)))),
        ("time", b) => b.try_into().ok().map(|b| Value::Time(i64::from_be_bytes(b))),
        ("timestamp" | "timestamptz", b) => {
            b.try_into().ok().map(|b| Value::Timestamp(binary::micros_from_2000(i64::from_be_bytes(b))))
        }
        ("jsonb", [1, b @ ..]) => Some(Value::Text(utf8(b)?)),
        ("uuid", b) => <[u8; 16]>::try_from(b).ok().map(|b| Value::Text(uuid_text(b))),
        ("bool" | "jsonb" | "interval", _) => None,
        _ if ty.element != 0 => match pg_array::parse_binary(bytes) {
            Some((element, values)) => {
                let value = |v: Option<&[u8]>| v.map(|v| from_binary(v, element)).transpose();
                Some(Value::Array(values.into_iter().map(value).collect::<Result<_>>()?))
            }
            None => None,
        },
        (_, b) => Some(Value::Text(utf8(b)?)),
    };
    value.ok_or_else(|| {
        Error::new(types::ErrorKind::User, "22P03", format!("incorrect binary data format of type {}", ty.sql_name))
    })
}

fn uuid_text(bytes: [u8; 16]) -> String {
    let hex = |range: std::ops::Range<usize>| -> String {
        bytes.get(range).unwrap_or(&[]).iter().map(|b| format!("{b:02x}")).collect()
    };
    [0..4, 4..6, 6..8, 8..10, 10..16].map(hex).join("-")
}

/// An array of one row: `value` as type `ty`, NULL for `None`.
pub(crate) fn scalar_array(value: Option<&Value>, ty: &SqlType) -> Result<ArrayRef> {
    let Some(value) = value else { return Ok(new_null_array(&ty.to_arrow(), 1)) };
    let misfit = || misfit(value, ty);
    Ok(match ty {
        SqlType::Boolean => Arc::new(BooleanArray::from(vec![as_bool(value).ok_or_else(misfit)?])),
        SqlType::Int => {
            let int = as_int(value).ok_or_else(misfit)?;
            let int = i32::try_from(int).map_err(|_| out_of_range(&int.to_string(), ty))?;
            Arc::new(Int32Array::from(vec![int]))
        }
        SqlType::BigInt => Arc::new(Int64Array::from(vec![as_int(value).ok_or_else(misfit)?])),
        SqlType::Double => Arc::new(Float64Array::from(vec![as_float(value).ok_or_else(misfit)?])),
        SqlType::Decimal { precision, scale } => {
            let unscaled = as_decimal(value, *precision, *scale, ty)?;
            let array = Decimal128Array::from(vec![unscaled]);
            Arc::new(array.with_precision_and_scale(*precision, scale.cast_signed()).map_err(|_| misfit())?)
        }
        SqlType::String => Arc::new(StringArray::from(vec![as_text(value)])),
        SqlType::Bytes => Arc::new(BinaryArray::from_vec(vec![&as_bytes(value).ok_or_else(misfit)?])),
        SqlType::Date => {
            let days = as_date(value).and_then(|d| i32::try_from(d).ok()).ok_or_else(misfit)?;
            Arc::new(Date32Array::from(vec![days]))
        }
        SqlType::Time => {
            let micros = match value {
                Value::Time(micros) => Some(*micros),
                Value::Text(text) => datetime::parse_time(text),
                _ => None,
            };
            let ms = micros.and_then(|m| i32::try_from(m.div_euclid(1000)).ok()).ok_or_else(misfit)?;
            Arc::new(Time32MillisecondArray::from(vec![ms]))
        }
        SqlType::Timestamp => {
            let micros = as_timestamp(value).ok_or_else(misfit)?;
            Arc::new(TimestampMillisecondArray::from(vec![micros.div_euclid(1000)]))
        }
        SqlType::Array(element) => return array_of(value, element, ty),
        SqlType::Map(..) | SqlType::Struct(_) => {
            let Value::Text(text) = value else { return Err(misfit()) };
            let json = serde_json::from_str(text).map_err(|e| misfit().with_detail(e.to_string()))?;
            return json_array(&json, ty);
        }
    })
}

fn misfit(value: &Value, ty: &SqlType) -> Error {
    match value {
        Value::Text(text) => Error::bad_value(format!("invalid input syntax for type {ty}: \"{text}\"")),
        _ => Error::type_mismatch(format!("the parameter's type does not fit {ty}")),
    }
}

fn out_of_range(value: &str, ty: &SqlType) -> Error {
    Error::new(types::ErrorKind::User, "22003", format!("value \"{value}\" is out of range for type {ty}"))
}

fn as_bool(value: &Value) -> Option<bool> {
    match value {
        Value::Bool(value) => Some(*value),
        Value::Text(text) => match text.trim().to_ascii_lowercase().as_str() {
            "t" | "true" | "y" | "yes" | "on" | "1" => Some(true),
            "f" | "false" | "n" | "no" | "off" | "0" => Some(false),
            _ => None,
        },
        _ => None,
    }
}

fn as_int(value: &Value) -> Option<i64> {
    match value {
        Value::Int(value) => Some(*value),
        Value::Text(text) => {
            let text = text.trim();
            text.parse().ok().or_else(|| {
                // numeric sends 5 as 5 and 5.00 as 5.00.
                let (whole, fraction) = text.split_once('.')?;
                fraction.bytes().all(|b| b == b'0').then(|| whole.parse().ok()).flatten()
            })
        }
        _ => None,
    }
}

fn as_float(value: &Value) -> Option<f64> {
    match value {
        Value::Float(value) => Some(*value),
        // Every integer that a driver sends for a double is meant as the nearest double.
        Value::Int(value) => value.to_string().parse().ok(),
        Value::Text(text) => text.trim().parse().ok(),
        _ => None,
    }
}

fn as_text(value: &Value) -> String {
    use bytes::BytesMut;
    let written = |write: &dyn Fn(&mut BytesMut)| {
        let mut out = BytesMut::new();
        write(&mut out);
        String::from_utf8_lossy(&out).into_owned()
    };
    match value {
        Value::Bool(value) => value.to_string(),
        Value::Int(value) => value.to_string(),
        Value::Float(value) => written(&|out| number::put_f64(out, *value)),
        Value::Text(text) => text.clone(),
        Value::Bytes(bytes) => bytes.iter().fold("\\x".to_owned(), |text, b| text + &format!("{b:02x}")),
        Value::Date(days) => written(&|out| datetime::put_date(out, *days)),
        Value::Time(micros) => written(&|out| datetime::put_time(out, *micros)),
        Value::Timestamp(micros) => written(&|out| datetime::put_timestamp(out, *micros, b' ', false)),
        Value::Array(elements) => {
            let element = |e: &Option<Value>| e.as_ref().map_or("NULL".to_owned(), as_text);
            format!("{{{}}}", elements.iter().map(element).collect::<Vec<_>>().join(","))
        }
    }
}

fn as_bytes(value: &Value) -> Option<Vec<u8>> {
    match value {
        Value::Bytes(bytes) => Some(bytes.clone()),
        Value::Text(text) => match text.strip_prefix("\\x") {
            Some(hex) => unhex(hex),
            None => unescape(text),
        },
        _ => None,
    }
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    let digit = |b: &u8| char::from(*b).to_digit(16).and_then(|d| u8::try_from(d).ok());
    let pair = |pair: &[u8]| match pair {
        [high, low] => Some(digit(high)? << 4 | digit(low)?),
        _ => None,
    };
    text.as_bytes().chunks(2).map(pair).collect()
}

/// bytea's older text form: `\\` and `\ooo`.
fn unescape(text: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        rest = after;
        match (first, after) {
            (b'\\', [b'\\', after @ ..]) => {
                bytes.push(b'\\');
                rest = after;
            }
            (b'\\', [a @ b'0'..=b'3', b @ b'0'..=b'7', c @ b'0'..=b'7', after @ ..]) => {
                bytes.push((a - b'0') << 6 | (b - b'0') << 3 | (c - b'0'));
                rest = after;
            }
            (b'\\', _) => return None,
            (byte, _) => bytes.push(*byte),
        }
    }
    Some(bytes)
}

fn as_date(value: &Value) -> Option<i64> {
    match value {
        Value::Date(days) => Some(*days),
        Value::Timestamp(micros) => Some(micros.div_euclid(86_400_000_000)),
        Value::Text(text) => {
            datetime::parse_date(text).or_else(|| Some(datetime::parse_timestamp(text)?.div_euclid(86_400_000_000)))
        }
        _ => None,
    }
}

fn as_timestamp(value: &Value) -> Option<i64> {
    match value {
        Value::Timestamp(micros) => Some(*micros),
        Value::Date(days) => days.checked_mul(86_400_000_000),
        Value::Text(text) => datetime::parse_timestamp(text),
        _ => None,
    }
}

/// `value` × 10^`scale`, rounded half away from zero.
fn as_decimal(value: &Value, precision: u8, scale: u8, ty: &SqlType) -> Result<i128> {
    let text = match value {
        Value::Int(int) => int.to_string(),
        Value::Float(_) | Value::Text(_) => as_text(value),
        _ => return Err(misfit(value, ty)),
    };
    let text = text.trim();
    let (mantissa, exponent) = text.split_once(['e', 'E']).unwrap_or((text, "0"));
    let exponent: i32 = exponent.parse().map_err(|_| misfit(value, ty))?;
    let (negative, mantissa) = match mantissa.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, mantissa.strip_prefix('+').unwrap_or(mantissa)),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits = || whole.bytes().chain(fraction.bytes());
    if whole.len() + fraction.len() == 0 || !digits().all(|b| b.is_ascii_digit()) {
        return Err(misfit(value, ty));
    }
    let point = i64::try_from(whole.len()).unwrap_or(i64::MAX).saturating_add(exponent.into());
    let kept = point.saturating_add(scale.into());
    let too_large = || out_of_range(text, ty);
    let mut unscaled: i128 = 0;
    let mut round_up = false;
    let mut seen = 0_i64;
    for digit in digits() {
        if seen < kept {
            unscaled =
                unscaled.checked_mul(10).and_then(|u| u.checked_add(i128::from(digit - b'0'))).ok_or_else(too_large)?;
        } else if seen == kept {
            round_up = digit >= b'5';
        }
        seen += 1;
    }
    if unscaled != 0 {
        let missing = u32::try_from((kept - seen).max(0)).map_err(|_| too_large())?;
        let factor = 10_i128.checked_pow(missing).ok_or_else(too_large)?;
        unscaled = unscaled.checked_mul(factor).ok_or_else(too_large)?;
    }
    unscaled = unscaled.checked_add(round_up.into()).ok_or_else(too_large)?;
    if unscaled >= 10_i128.pow(precision.into()) {
        return Err(too_large());
    }
    Ok(if negative { -unscaled } else { unscaled })
}

fn array_of(value: &Value, element: &SqlType, ty: &SqlType) -> Result<ArrayRef> {
    let elements = match value {
        Value::Array(values) => values.clone(),
        Value::Text(text) => match pg_array::parse_text(text) {
            Some(elements) => elements.into_iter().map(|e| e.map(Value::Text)).collect(),
            None => {
                let json = serde_json::from_str(text).map_err(|_| misfit(value, ty))?;
                return json_array(&json, ty);
            }
        },
        _ => return Err(misfit(value, ty)),
    };
    let rows = elements.iter().map(|e| scalar_array(e.as_ref(), element)).collect::<Result<Vec<_>>>()?;
    list(rows, element, ty)
}

fn joined(rows: &[ArrayRef], ty: &DataType) -> Result<ArrayRef> {
    if rows.is_empty() {
        return Ok(new_empty_array(ty));
    }
    let rows: Vec<_> = rows.iter().map(AsRef::as_ref).collect();
    concat(&rows).map_err(|e| Error::internal(format!("building a parameter: {e}")))
}

fn list(rows: Vec<ArrayRef>, element: &SqlType, ty: &SqlType) -> Result<ArrayRef> {
    let DataType::List(field) = ty.to_arrow() else { return Err(Error::internal("an ARRAY that is no list")) };
    let values = joined(&rows, &element.to_arrow())?;
    let list = ListArray::try_new(field, OffsetBuffer::from_lengths([rows.len()]), values, None);
    Ok(Arc::new(list.map_err(|e| Error::internal(format!("building a parameter: {e}")))?))
}

/// An array of one row from JSON. Fields of a STRUCT are found in any case of letters.
fn json_array(json: &serde_json::Value, ty: &SqlType) -> Result<ArrayRef> {
    use serde_json::Value as Json;
    let broken = |e: arrow::error::ArrowError| Error::internal(format!("building a parameter: {e}"));
    match (json, ty) {
        (Json::Null, ty) => scalar_array(None, ty),
        (Json::Array(elements), SqlType::Array(element)) => {
            let rows = elements.iter().map(|e| json_array(e, element)).collect::<Result<Vec<_>>>()?;
            list(rows, element, ty)
        }
        (Json::Object(object), SqlType::Map(key, value)) => {
            let DataType::Map(entries, _) = ty.to_arrow() else { return Err(Error::internal("a MAP that is no map")) };
            let DataType::Struct(fields) = entries.data_type() else { return Err(Error::internal("a MAP's entries")) };
            let keys = object.keys().map(|k| scalar_array(Some(&Value::Text(k.clone())), key));
            let keys = joined(&keys.collect::<Result<Vec<_>>>()?, &key.to_arrow())?;
            let values = object.values().map(|v| json_array(v, value)).collect::<Result<Vec<_>>>()?;
            let values = joined(&values, &value.to_arrow())?;
            let pairs = StructArray::try_new(fields.clone(), vec![keys, values], None).map_err(broken)?;
            let offsets = OffsetBuffer::from_lengths([object.len()]);
            Ok(Arc::new(MapArray::try_new(entries, offsets, pairs, None, false).map_err(broken)?))
        }
        (Json::Object(object), SqlType::Struct(fields)) => {
            let DataType::Struct(arrow_fields) = ty.to_arrow() else { return Err(Error::internal("a STRUCT")) };
            let column = |field: &types::StructField| {
                let exact = object.get(&field.name);
                let found =
                    exact.or_else(|| object.iter().find(|(k, _)| k.eq_ignore_ascii_case(&field.name)).map(|e| e.1));
                json_array(found.unwrap_or(&Json::Null), &field.ty)
            };
            let columns = fields.iter().map(column).collect::<Result<Vec<_>>>()?;
            if columns.is_empty() {
                return Ok(Arc::new(StructArray::new_empty_fields(1, None)));
            }
            Ok(Arc::new(StructArray::try_new(arrow_fields, columns, None).map_err(broken)?))
        }
        (Json::Bool(value), ty) => scalar_array(Some(&Value::Bool(*value)), ty),
        (Json::Number(number), ty) => scalar_array(Some(&Value::Text(number.to_string())), ty),
        (Json::String(text), SqlType::Bytes) => {
            let bytes =
                STANDARD.decode(text).map_err(|e| misfit(&Value::Text(text.clone()), ty).with_detail(e.to_string()))?;
            scalar_array(Some(&Value::Bytes(bytes)), ty)
        }
        (Json::String(text), ty) => scalar_array(Some(&Value::Text(text.clone())), ty),
        (other, ty) => scalar_array(Some(&Value::Text(other.to_string())), ty),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::util::display::array_value_to_string;
    use types::StructField;

    fn check(text: &str, ty: &SqlType, want: &str) {
        let got = scalar_array(Some(&Value::Text(text.into())), ty).map(|array| {
            assert_eq!(array.data_type(), &ty.to_arrow());
            array_value_to_string(&array, 0).unwrap_or_default()
        });
        assert_eq!(got.unwrap_or_else(|e| format!("{}: {e}", e.sqlstate())), want, "{text} as {ty}");
    }

    #[test]
    fn text_of_every_type() {
        let decimal = SqlType::Decimal { precision: 5, scale: 2 };
        check(" true", &SqlType::Boolean, "true");
        check("maybe", &SqlType::Boolean, "22P02: invalid input syntax for type BOOLEAN: \"maybe\"");
        check("-7", &SqlType::Int, "-7");
        check("3000000000", &SqlType::Int, "22003: value \"3000000000\" is out of range for type INTEGER");
        check("1.5", &SqlType::Double, "1.5");
        check("1.005", &decimal, "1.01");
        check("-1e2", &decimal, "-100.00");
        check("1000", &decimal, "22003: value \"1000\" is out of range for type DECIMAL(5, 2)");
        check("1e999999999", &decimal, "22003: value \"1e999999999\" is out of range for type DECIMAL(5, 2)");
        check("1e-999999999", &decimal, "0.00");
        check("\\x0aff", &SqlType::Bytes, "0aff");
        check("a\\001", &SqlType::Bytes, "6101");
        check("2020-02-29", &SqlType::Date, "2020-02-29");
        check("12:34:56.789", &SqlType::Time, "12:34:56.789");
        check("2020-01-01 00:00:00.5", &SqlType::Timestamp, "2020-01-01T00:00:00.500");
        check("{1,NULL}", &SqlType::Array(Box::new(SqlType::Int)), "[1, ]");
        check("{}", &SqlType::Array(Box::new(SqlType::Int)), "[]");
        let nested = SqlType::Struct(vec![
            StructField { name: "A".into(), ty: SqlType::Map(Box::new(SqlType::String), Box::new(SqlType::BigInt)) },
            StructField { name: "B".into(), ty: SqlType::Array(Box::new(SqlType::Array(Box::new(SqlType::Int)))) },
        ]);
        check(r#"{"a":{"x":1},"B":[[1],[]]}"#, &nested, "{A: {x: 1}, B: [[1], []]}");
    }

    #[test]
    fn binary_by_the_type_on_the_wire() {
        let check = |bytes: &[u8], name: &str, ty: &SqlType, want: &str| {
            let oid = PgType::by_name(name).map_or(0, |t| t.oid);
            let array = decode_parameter(Some(bytes), Format::Binary, oid, ty);
            let got = array.map(|a| array_value_to_string(&a, 0).unwrap_or_default());
            assert_eq!(got.unwrap_or_else(|e| e.sqlstate().to_owned()), want);
        };
        check(&[0, 0, 0, 5], "int4", &SqlType::BigInt, "5");
        check(&[0, 0, 0, 5], "int4", &SqlType::String, "5");
        check(&[0, 0, 0, 0], "date", &SqlType::Date, "2000-01-01");
        check(&[0; 8], "timestamptz", &SqlType::Timestamp, "2000-01-01T00:00:00");
        check(&[1], "int4", &SqlType::Int, "22P03");
        check(&[0, 1, 0, 0, 0, 0, 0, 0, 0, 5], "numeric", &SqlType::Int, "5");
    }
}
