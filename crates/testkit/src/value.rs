//! Arrow values as JSON, so that what was found can be compared with what a case says and shown to people.
//!
//! Integers are numbers (DATE, TIME and TIMESTAMP too: days and milliseconds), DECIMAL is a number with all digits of
//! its scale, BYTES are base64 text: as the JSON format writes them.

use arrow::{
    array::{Array, ArrayRef, AsArray},
    compute::cast,
    datatypes::{
        DataType, Date32Type, Decimal128Type, Float64Type, Int32Type, Int64Type, Time32MillisecondType, TimeUnit,
        TimestampMillisecondType,
    },
};
use base64::Engine;
use serde_json::{Map, Number, Value};

/// The value of `array` at `row`; types that no SQL type stands for become text.
pub fn to_json(array: &dyn Array, row: usize) -> Value {
    if row >= array.len() || array.is_null(row) {
        return Value::Null;
    }
    match array.data_type() {
        DataType::Null => Value::Null,
        DataType::Boolean => Value::Bool(array.as_boolean().value(row)),
        DataType::Int32 => Value::from(array.as_primitive::<Int32Type>().value(row)),
        DataType::Int64 => Value::from(array.as_primitive::<Int64Type>().value(row)),
        DataType::Float64 => double(array.as_primitive::<Float64Type>().value(row)),
        DataType::Decimal128(_, scale) => decimal(array.as_primitive::<Decimal128Type>().value(row), *scale),
        DataType::Utf8 => Value::from(array.as_string::<i32>().value(row)),
        DataType::Binary => {
            Value::from(base64::engine::general_purpose::STANDARD.encode(array.as_binary::<i32>().value(row)))
        }
        DataType::Date32 => Value::from(array.as_primitive::<Date32Type>().value(row)),
        DataType::Time32(TimeUnit::Millisecond) => {
            Value::from(array.as_primitive::<Time32MillisecondType>().value(row))
        }
        DataType::Timestamp(TimeUnit::Millisecond, _) => {
            Value::from(array.as_primitive::<TimestampMillisecondType>().value(row))
        }
        DataType::List(_) => {
            let items = array.as_list::<i32>().value(row);
            Value::Array((0..items.len()).map(|i| to_json(items.as_ref(), i)).collect())
        }
        DataType::Map(_, _) => {
            let entries = array.as_map().value(row);
            let (keys, values) = (entries.column(0), entries.column(1));
            let key = |i: usize| match to_json(keys.as_ref(), i) {
                Value::String(text) => text,
                other => other.to_string(),
            };
            Value::Object((0..entries.len()).map(|i| (key(i), to_json(values.as_ref(), i))).collect())
        }
        DataType::Struct(fields) => {
            let columns = array.as_struct();
            let entries = fields.iter().zip(columns.columns());
            Value::Object(entries.map(|(f, c)| (f.name().clone(), to_json(c.as_ref(), row))).collect::<Map<_, _>>())
        }
        _ => other(array, row),
    }
}

/// Arrow types that only queries that end give: narrower or wider integers, text views and the like.
fn other(array: &dyn Array, row: usize) -> Value {
    let slice = array.slice(row, 1);
    let plain = types::SqlType::from_arrow(array.data_type()).map(|ty| ty.to_arrow());
    let target = plain.filter(|ty| ty != array.data_type()).unwrap_or(DataType::Utf8);
    match cast(&slice, &target) {
        Ok(array) if array.data_type() != slice.data_type() => to_json(array.as_ref(), 0),
        _ => Value::from(format!("{:?}", slice.data_type())),
    }
}

/// One JSON value for every row of an array.
pub fn column_to_json(array: &ArrayRef) -> Vec<Value> {
    (0..array.len()).map(|row| to_json(array.as_ref(), row)).collect()
}

fn double(n: f64) -> Value {
    Number::from_f64(n).map_or_else(|| Value::from(n.to_string()), Value::Number)
}

fn decimal(unscaled: i128, scale: i8) -> Value {
    let digits = unscaled.unsigned_abs().to_string();
    let sign = if unscaled < 0 { "-" } else { "" };
    let places = usize::try_from(scale).unwrap_or(0);
    let padded = format!("{digits:0>width$}", width = places + 1);
    let (whole, fraction) = padded.split_at(padded.len() - places);
    let text = if places == 0 { format!("{sign}{whole}") } else { format!("{sign}{whole}.{fraction}") };
    serde_json::from_str(&text).unwrap_or(Value::String(text))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{Decimal128Array, Float64Array, Int8Array, StringViewArray};

    use super::*;

    #[test]
    fn numbers_keep_their_digits() {
        let check = |array: ArrayRef, expect: &str| assert_eq!(to_json(array.as_ref(), 0).to_string(), expect);
        let decimal = |n: i128, scale: i8| {
            Arc::new(Decimal128Array::from(vec![n]).with_precision_and_scale(20, scale).expect("a decimal")) as ArrayRef
        };
        check(decimal(1230, 2), "12.30");
        check(decimal(-5, 2), "-0.05");
        check(decimal(7, 0), "7");
        check(Arc::new(Float64Array::from(vec![1.5])), "1.5");
        check(Arc::new(Float64Array::from(vec![f64::NAN])), "\"NaN\"");
        check(Arc::new(Int8Array::from(vec![3])), "3");
        check(Arc::new(StringViewArray::from(vec!["x"])), "\"x\"");
    }
}
