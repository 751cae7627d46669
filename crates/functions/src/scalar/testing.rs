//! What the tests of scalar functions share: calls written as SQL literals, results as text.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, BinaryArray, BooleanArray, Date32Array, Decimal128Array, Float64Array, Int32Array, Int64Array,
    StringArray, Time32MillisecondArray, TimestampMillisecondArray, UInt32Array,
};
use base64::{Engine, prelude::BASE64_STANDARD};
use types::SqlType;

use crate::{
    Arg, ArgType, RowErrors, ScalarFunction, bind_cast,
    calendar::{parse_date, parse_time, parse_timestamp},
    javanum::parse_decimal,
    operator::value_to_string,
};

/// Calls `function` with literals and compares the result as text: once with constants, once with columns.
///
/// Literals: `NULL`, `true`, `1`, `1L`, `1.50` (DECIMAL), `1e0` (DOUBLE), `'text'`, `b'base64'`, `DATE 2020-01-31`,
/// `TIME 13:25`, `TIMESTAMP 2020-01-31T13:25`, `STRING NULL` (and other types), `DAYS`. The result `!` is a row error.
pub(crate) fn check(function: &dyn ScalarFunction, args: &[&str], expect: &str) {
    let args: Vec<Literal> = args.iter().map(|text| literal(text)).collect();
    for constant in [true, false] {
        let got = call(function, &args, constant).unwrap_or_else(|error| format!("error: {}", error.message()));
        assert_eq!(got, expect, "{} with constants: {constant}", function.doc().name);
    }
}

pub(crate) struct Literal {
    pub ty: ArgType,
    pub value: Option<ArrayRef>,
}

fn call(function: &dyn ScalarFunction, args: &[Literal], constant: bool) -> types::Result<String> {
    let types: Vec<ArgType> = args.iter().map(|a| a.ty.clone()).collect();
    let bound = function.bind(&types)?;
    let rows = if constant { 1 } else { 3 };
    let mut errors = RowErrors::default();
    let mut values = Vec::new();
    for (arg, to) in args.iter().zip(&bound.arg_types) {
        let (ArgType::Value(from), ArgType::Value(Some(to))) = (&arg.ty, to) else {
            let ArgType::TimeUnit(unit) = &arg.ty else { panic!("a literal is wanted") };
            values.push(Arg::TimeUnit(unit.clone()));
            continue;
        };
        let array = arg.value.clone();
        let array = array.unwrap_or_else(|| arrow::array::new_null_array(&from.as_ref().unwrap_or(to).to_arrow(), 1));
        let cast = match from {
            Some(from) => bind_cast(Some(from), to, false)?.kernel.evaluate(&[Arg::Constant(array)], 1, &mut errors)?,
            None => array,
        };
        let column = || arrow::compute::take(&cast, &UInt32Array::from(vec![0; rows]), None).expect("in bounds");
        values.push(if constant { Arg::Constant(Arc::clone(&cast)) } else { Arg::Column(column()) });
    }
    let out = bound.kernel.evaluate(&values, rows, &mut errors)?;
    assert_eq!(*out.data_type(), bound.return_type.to_arrow(), "{}", function.doc().name);
    assert!(out.len() == rows || (out.len() == 1 && constant));
    if !errors.rows.is_empty() {
        assert!(out.is_null(0));
        return Ok("!".into());
    }
    Ok(value_to_string(&out, out.len() - 1).unwrap_or_else(|| "NULL".into()))
}

fn literal(text: &str) -> Literal {
    let of = |ty: SqlType, value: ArrayRef| Literal { ty: ArgType::Value(Some(ty)), value: Some(value) };
    if text == "NULL" {
        return Literal { ty: ArgType::Value(None), value: None };
    }
    if let Some(ty) = text.strip_suffix(" NULL") {
        return Literal { ty: ArgType::Value(Some(crate::testing::ty(ty))), value: None };
    }
    if let Some(text) = text.strip_prefix("b'").and_then(|t| t.strip_suffix('\'')) {
        return of(
            SqlType::Bytes,
            Arc::new(BinaryArray::from_iter_values([BASE64_STANDARD.decode(text).expect("base64")])),
        );
    }
    if let Some(text) = text.strip_prefix('\'').and_then(|t| t.strip_suffix('\'')) {
        return of(SqlType::String, Arc::new(StringArray::from(vec![text])));
    }
    if let Some(text) = text.strip_prefix("DATE ") {
        let days = i32::try_from(parse_date(text).expect("a date")).expect("small");
        return of(SqlType::Date, Arc::new(Date32Array::from(vec![days])));
    }
    if let Some(text) = text.strip_prefix("TIME ") {
        let ms = i32::try_from(parse_time(text).expect("a time")).expect("small");
        return of(SqlType::Time, Arc::new(Time32MillisecondArray::from(vec![ms])));
    }
    if let Some(text) = text.strip_prefix("TIMESTAMP ") {
        return of(
            SqlType::Timestamp,
            Arc::new(TimestampMillisecondArray::from(vec![parse_timestamp(text).expect("one")])),
        );
    }
    if let Ok(value) = text.parse::<bool>() {
        return of(SqlType::Boolean, Arc::new(BooleanArray::from(vec![value])));
    }
    if let Ok(value) = text.parse::<i32>() {
        return of(SqlType::Int, Arc::new(Int32Array::from(vec![value])));
    }
    if let Some(value) = text.strip_suffix('L').and_then(|t| t.parse::<i64>().ok()) {
        return of(SqlType::BigInt, Arc::new(Int64Array::from(vec![value])));
    }
    if text.chars().all(|c| c.is_ascii_uppercase()) {
        return Literal { ty: ArgType::TimeUnit(text.to_owned()), value: None };
    }
    if text.contains('e') || text == "NaN" {
        return of(SqlType::Double, Arc::new(Float64Array::from(vec![text.parse::<f64>().expect("a double")])));
    }
    let (whole, fraction) = text.split_once('.').expect("a decimal");
    let scale = u8::try_from(fraction.len()).expect("short");
    let precision = u8::try_from(whole.trim_start_matches('-').len()).expect("short") + scale;
    let array = Decimal128Array::from(vec![parse_decimal(text, precision, scale).expect("a decimal")]);
    let array = array.with_precision_and_scale(precision, scale.cast_signed()).expect("fits");
    of(SqlType::Decimal { precision, scale }, Arc::new(array))
}
