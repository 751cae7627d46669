//! Values as text: what CAST to STRING gives, that is, what Java's `toString` prints.

use std::fmt::Write;

use arrow::{
    array::{Array, AsArray},
    datatypes::{
        DataType, Date32Type, Decimal128Type, Float64Type, Int32Type, Int64Type, Time32MillisecondType, TimeUnit,
        TimestampMillisecondType,
    },
};
use base64::{Engine, prelude::BASE64_STANDARD};

use crate::{
    calendar::{format_date, format_time, format_timestamp},
    javanum::{decimal_to_plain, decimal_to_string, double_to_string},
};

/// The text of value `row` of `array`; `None` if it is NULL.
///
/// Numbers as Java writes them, `[1, null]`, `{a=1}`, `Struct{A=1}` (fields that are NULL left out).
pub fn value_to_string(array: &dyn Array, row: usize) -> Option<String> {
    if row >= array.len() || array.is_null(row) {
        return None;
    }
    if let DataType::Decimal128(_, scale) = array.data_type() {
        let scale = u8::try_from(*scale).unwrap_or(0);
        return Some(decimal_to_plain(array.as_primitive::<Decimal128Type>().value(row), scale));
    }
    let mut out = String::new();
    write_value(&mut out, array, row);
    Some(out)
}

/// Append a value as it stands inside of a collection.
fn write_value(out: &mut String, array: &dyn Array, row: usize) {
    if row >= array.len() || array.is_null(row) {
        out.push_str("null");
        return;
    }
    match array.data_type() {
        DataType::Boolean => out.push_str(if array.as_boolean().value(row) { "true" } else { "false" }),
        DataType::Int32 => out.push_str(itoa::Buffer::new().format(array.as_primitive::<Int32Type>().value(row))),
        DataType::Int64 => out.push_str(itoa::Buffer::new().format(array.as_primitive::<Int64Type>().value(row))),
        DataType::Float64 => out.push_str(&double_to_string(array.as_primitive::<Float64Type>().value(row))),
        DataType::Decimal128(_, scale) => {
            let scale = u8::try_from(*scale).unwrap_or(0);
            out.push_str(&decimal_to_string(array.as_primitive::<Decimal128Type>().value(row), scale));
        }
        DataType::Utf8 => out.push_str(array.as_string::<i32>().value(row)),
        DataType::Binary => out.push_str(&BASE64_STANDARD.encode(array.as_binary::<i32>().value(row))),
        DataType::Date32 => out.push_str(&format_date(i64::from(array.as_primitive::<Date32Type>().value(row)))),
        DataType::Time32(TimeUnit::Millisecond) => {
            out.push_str(&format_time(i64::from(array.as_primitive::<Time32MillisecondType>().value(row))));
        }
        DataType::Timestamp(TimeUnit::Millisecond, _) => {
            out.push_str(&format_timestamp(array.as_primitive::<TimestampMillisecondType>().value(row)));
        }
        DataType::List(_) => write_list(out, &array.as_list::<i32>().value(row)),
        DataType::Map(..) => {
            let entries = array.as_map().value(row);
            write_entries(out, entries.column(0), entries.column(1));
        }
        DataType::Struct(_) => write_struct(out, array, row),
        other => {
            // No SQL type has another Arrow type.
            let _ = write!(out, "{other}");
        }
    }
}

fn write_list(out: &mut String, elements: &dyn Array) {
    out.push('[');
    for i in 0..elements.len() {
        if i > 0 {
            out.push_str(", ");
        }
        write_value(out, elements, i);
    }
    out.push(']');
}

fn write_entries(out: &mut String, keys: &dyn Array, values: &dyn Array) {
    out.push('{');
    for i in 0..keys.len() {
        if i > 0 {
            out.push_str(", ");
        }
        write_value(out, keys, i);
        out.push('=');
        write_value(out, values, i);
    }
    out.push('}');
}

fn write_struct(out: &mut String, array: &dyn Array, row: usize) {
    let fields = array.as_struct();
    out.push_str("Struct{");
    let mut comma = "";
    for (field, column) in fields.fields().iter().zip(fields.columns()) {
        if column.is_null(row) {
            continue;
        }
        out.push_str(comma);
        comma = ",";
        out.push_str(field.name());
        out.push('=');
        write_value(out, column, row);
    }
    out.push('}');
}
