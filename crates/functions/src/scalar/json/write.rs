//! Values of any SQL type as compact JSON.

use arrow::{
    array::{Array, AsArray},
    datatypes::{DataType, Decimal128Type, Float64Type},
};
use serde_json::Value;

use crate::{
    javanum::{decimal_to_plain, double_to_string},
    operator::value_to_string,
};

/// Append value `row` of `array`. Times and bytes are strings as CAST writes them, bytes in base64; numbers that JSON
/// does not have are strings, too.
pub(super) fn write_json(out: &mut String, array: &dyn Array, row: usize) {
    if row >= array.len() || array.is_null(row) {
        out.push_str("null");
        return;
    }
    match array.data_type() {
        DataType::Boolean | DataType::Int32 | DataType::Int64 => {
            out.push_str(&value_to_string(array, row).unwrap_or_default());
        }
        DataType::Float64 => {
            let value = array.as_primitive::<Float64Type>().value(row);
            let text = double_to_string(value);
            if value.is_finite() { out.push_str(&text) } else { write_text(out, &text) }
        }
        DataType::Decimal128(_, scale) => {
            let scale = u8::try_from(*scale).unwrap_or(0);
            out.push_str(&decimal_to_plain(array.as_primitive::<Decimal128Type>().value(row), scale));
        }
        DataType::List(_) => {
            let elements = array.as_list::<i32>().value(row);
            out.push('[');
            for i in 0..elements.len() {
                comma(out, i);
                write_json(out, &elements, i);
            }
            out.push(']');
        }
        DataType::Map(..) => {
            let entries = array.as_map().value(row);
            out.push('{');
            for i in 0..entries.len() {
                comma(out, i);
                write_text(out, &value_to_string(entries.column(0), i).unwrap_or_default());
                out.push(':');
                write_json(out, entries.column(1), i);
            }
            out.push('}');
        }
        DataType::Struct(_) => {
            let fields = array.as_struct();
            out.push('{');
            for (i, (field, column)) in fields.fields().iter().zip(fields.columns()).enumerate() {
                comma(out, i);
                write_text(out, field.name());
                out.push(':');
                write_json(out, column, row);
            }
            out.push('}');
        }
        _ => write_text(out, &value_to_string(array, row).unwrap_or_default()),
    }
}

fn comma(out: &mut String, place: usize) {
    if place > 0 {
        out.push(',');
    }
}

fn write_text(out: &mut String, text: &str) {
    out.push_str(&Value::from(text).to_string());
}
