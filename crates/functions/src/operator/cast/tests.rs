use arrow::array::{
    Array, ArrayRef, AsArray, Float64Array, Int64Array, ListArray, StringArray, TimestampMillisecondArray,
};
use arrow::datatypes::{Decimal128Type, Int32Type, Int64Type};
use proptest::prelude::*;

use super::*;
use crate::operator::value_to_string;

fn cast(array: ArrayRef, to: &SqlType) -> (ArrayRef, RowErrors) {
    let from = SqlType::from_arrow(array.data_type()).expect("a type");
    let bound = bind_cast(Some(&from), to, false).expect("casts");
    let mut errors = RowErrors::default();
    let rows = array.len();
    let out = bound.kernel.evaluate(&[Arg::Column(array)], rows, &mut errors).expect("evaluates");
    assert_eq!(*out.data_type(), to.to_arrow());
    (out, errors)
}

fn texts(array: &ArrayRef) -> Vec<Option<String>> {
    (0..array.len()).map(|row| value_to_string(array, row)).collect()
}

/// Casts one column and compares the results as text; "!" marks a row that fails.
fn check(array: ArrayRef, to: &SqlType, expect: &[Option<&str>]) {
    let (out, errors) = cast(array, to);
    let mut got = texts(&out);
    for (row, _) in &errors.rows {
        assert_eq!(got[*row], None);
        got[*row] = Some("!".into());
    }
    let expect: Vec<Option<String>> = expect.iter().map(|e| e.map(str::to_owned)).collect();
    assert_eq!(got, expect, "to {to}");
}

fn strings(values: &[&str]) -> ArrayRef {
    Arc::new(StringArray::from(values.to_vec()))
}

fn dec(precision: u8, scale: u8) -> SqlType {
    SqlType::Decimal { precision, scale }
}

#[test]
fn from_text() {
    check(
        strings(&["1", " -7 ", "+3", "x", "2147483648"]),
        &SqlType::Int,
        &[Some("1"), Some("-7"), Some("3"), Some("!"), Some("!")],
    );
    check(strings(&["TRUE", "yes", "1"]), &SqlType::Boolean, &[Some("true"), Some("false"), Some("false")]);
    check(strings(&["0.99", "0.01", "9.95", "x"]), &dec(2, 1), &[Some("1.0"), Some("0.0"), Some("!"), Some("!")]);
    check(strings(&["1.5", "1e3", "abc"]), &SqlType::Double, &[Some("1.5"), Some("1000.0"), Some("!")]);
    let times = ["foo", "1970-01-01T00:00:00.010", "1970-01-01T00:00:01"];
    check(
        strings(&times),
        &SqlType::Timestamp,
        &[Some("!"), Some("1970-01-01T00:00:00.010"), Some("1970-01-01T00:00:01.000")],
    );
    check(strings(&["1970-01-11"]), &SqlType::Date, &[Some("1970-01-11")]);
    check(strings(&["09:16:00"]), &SqlType::Time, &[Some("09:16")]);
}

#[test]
fn between_numbers() {
    let longs: ArrayRef = Arc::new(Int64Array::from(vec![Some(2_147_483_648), None, Some(5)]));
    check(Arc::clone(&longs), &SqlType::Int, &[Some("-2147483648"), None, Some("5")]);
    check(Arc::clone(&longs), &dec(4, 2), &[Some("!"), None, Some("5.00")]);
    check(longs, &dec(21, 2), &[Some("2147483648.00"), None, Some("5.00")]);
    let doubles: ArrayRef = Arc::new(Float64Array::from(vec![0.99, 1.2, f64::NAN, -1e30]));
    check(Arc::clone(&doubles), &dec(2, 1), &[Some("1.0"), Some("1.2"), Some("!"), Some("!")]);
    check(doubles, &SqlType::Int, &[Some("0"), Some("1"), Some("0"), Some("-2147483648")]);
    let (decimals, _) = cast(strings(&["10.01", "-0.50"]), &dec(4, 2));
    check(Arc::clone(&decimals), &SqlType::Int, &[Some("10"), Some("0")]);
    check(Arc::clone(&decimals), &dec(5, 3), &[Some("10.010"), Some("-0.500")]);
    check(Arc::clone(&decimals), &dec(2, 0), &[Some("10"), Some("-1")]);
    check(decimals, &SqlType::Double, &[Some("10.01"), Some("-0.5")]);
}

#[test]
fn between_times() {
    let stamps: ArrayRef = Arc::new(TimestampMillisecondArray::from(vec![5000, -2000, 86_400_100]));
    check(Arc::clone(&stamps), &SqlType::Date, &[Some("1970-01-01"), Some("1969-12-31"), Some("1970-01-02")]);
    check(stamps, &SqlType::Time, &[Some("00:00:05"), Some("23:59:58"), Some("00:00:00.100")]);
}

#[test]
fn nested() {
    let lists = ListArray::from_iter_primitive::<Int64Type, _, _>(vec![
        Some(vec![Some(1), None]),
        None,
        Some(vec![Some(1 << 40)]),
    ]);
    let array_of = |ty| SqlType::Array(Box::new(ty));
    check(Arc::new(lists.clone()), &array_of(SqlType::String), &[Some("[1, null]"), None, Some("[1099511627776]")]);
    check(Arc::new(lists.clone()), &SqlType::String, &[Some("[1, null]"), None, Some("[1099511627776]")]);
    check(Arc::new(lists.slice(1, 2)), &array_of(dec(4, 1)), &[None, Some("!")]);
    let (words, _) = cast(Arc::new(lists), &array_of(SqlType::String));
    check(words, &array_of(SqlType::Int), &[Some("[1, null]"), None, Some("!")]);
}

#[test]
fn maps_and_structs() {
    let ty = |key, value| SqlType::Map(Box::new(key), Box::new(value));
    let mut builder = arrow::array::MapBuilder::new(
        Some(arrow::array::MapFieldNames { entry: "entries".into(), key: "key".into(), value: "value".into() }),
        arrow::array::StringBuilder::new(),
        arrow::array::Int64Builder::new(),
    );
    builder.keys().append_value("1");
    builder.values().append_value(7);
    builder.append(true).expect("one to one");
    builder.keys().append_value("x");
    builder.values().append_value(8);
    builder.append(true).expect("one to one");
    let maps: ArrayRef = Arc::new(builder.finish());
    check(Arc::clone(&maps), &ty(SqlType::String, SqlType::Double), &[Some("{1=7.0}"), Some("{x=8.0}")]);
    check(maps, &ty(SqlType::Int, SqlType::String), &[Some("{1=7}"), Some("!")]);

    let field = |name: &str, ty| types::StructField { name: name.into(), ty };
    let from = SqlType::Struct(vec![field("F0", SqlType::BigInt), field("F1", SqlType::String)]);
    let to = SqlType::Struct(vec![field("F0", SqlType::String), field("F3", SqlType::String)]);
    let DataType::Struct(fields) = from.to_arrow() else { panic!("a struct") };
    let columns: Vec<ArrayRef> = vec![Arc::new(Int64Array::from(vec![1])), strings(&["3"])];
    let structs: ArrayRef = Arc::new(arrow::array::StructArray::new(fields, columns, None));
    check(Arc::clone(&structs), &SqlType::String, &[Some("Struct{F0=1,F1=3}")]);
    check(structs, &to, &[Some("Struct{F0=1}")]);
}

use arrow::datatypes::DataType;

#[test]
fn what_does_not_cast() {
    let bad = [
        (SqlType::String, SqlType::Array(Box::new(SqlType::Int))),
        (SqlType::Bytes, SqlType::String),
        (SqlType::Boolean, SqlType::Int),
        (SqlType::Time, SqlType::Timestamp),
    ];
    for (from, to) in bad {
        let error = bind_cast(Some(&from), &to, false).err().expect("does not cast");
        assert_eq!(error.message(), format!("Cast of {from} to {to} is not supported"));
    }
    assert!(bind_cast(Some(&SqlType::BigInt), &SqlType::Int, true).is_err());
    assert!(bind_cast(None, &SqlType::Int, true).is_ok());
}

proptest! {
    #[test]
    fn numbers_round_trip(int in any::<i32>(), long in any::<i64>(), double in any::<f64>(), unscaled in any::<i64>()) {
        let (text, _) = cast(Arc::new(arrow::array::Int32Array::from(vec![int])), &SqlType::String);
        let (back, _) = cast(text, &SqlType::Int);
        prop_assert_eq!(back.as_primitive::<Int32Type>().value(0), int);
        let (text, _) = cast(Arc::new(Int64Array::from(vec![long])), &SqlType::String);
        let (back, _) = cast(text, &SqlType::BigInt);
        prop_assert_eq!(back.as_primitive::<Int64Type>().value(0), long);
        let (text, _) = cast(Arc::new(Float64Array::from(vec![double])), &SqlType::String);
        let (back, _) = cast(text, &SqlType::Double);
        let back = back.as_primitive::<arrow::datatypes::Float64Type>().value(0);
        prop_assert!(back == double || double.is_nan());
        let decimals = arrow::array::Decimal128Array::from(vec![i128::from(unscaled)]);
        let decimals = decimals.with_precision_and_scale(19, 5).expect("fits");
        let (text, _) = cast(Arc::new(decimals), &SqlType::String);
        let (back, _) = cast(text, &dec(19, 5));
        prop_assert_eq!(back.as_primitive::<Decimal128Type>().value(0), i128::from(unscaled));
    }
}
