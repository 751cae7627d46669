//! The text that a nested JSON value becomes in a STRING column.
//!
//! An object becomes compact JSON with its keys sorted, so that equal objects are equal texts; an array becomes its
//! elements' texts between brackets, strings without quotes, as ksqlDB has it. Rare enough to go by a tree.

use serde_json::{Number, Value};

use super::encode;
use crate::number;

/// Append the text of the nested value `json`.
///
/// # Errors
/// What is not JSON in it (half a surrogate pair).
pub(crate) fn write(json: &str, out: &mut String) -> Result<(), String> {
    let value: Value = serde_json::from_str(json).map_err(|e| e.to_string())?;
    text(&value, out);
    Ok(())
}

fn text(value: &Value, out: &mut String) {
    match value {
        Value::Array(elements) => {
            out.push('[');
            for (i, element) in elements.iter().enumerate() {
                out.push_str(if i == 0 { "" } else { ", " });
                text(element, out);
            }
            out.push(']');
        }
        Value::String(s) => out.push_str(s),
        _ => compact(value, out),
    }
}

fn compact(value: &Value, out: &mut String) {
    match value {
        Value::Null => out.push_str("null"),
        Value::Bool(b) => out.push_str(if *b { "true" } else { "false" }),
        Value::Number(n) => digits(n, out),
        Value::String(s) => quoted(s, out),
        Value::Array(elements) => {
            out.push('[');
            for (i, element) in elements.iter().enumerate() {
                out.push_str(if i == 0 { "" } else { "," });
                compact(element, out);
            }
            out.push(']');
        }
        Value::Object(fields) => {
            let mut sorted: Vec<_> = fields.iter().collect();
            sorted.sort_by_key(|(name, _)| *name);
            out.push('{');
            for (i, (name, field)) in sorted.into_iter().enumerate() {
                out.push_str(if i == 0 { "" } else { "," });
                quoted(name, out);
                out.push(':');
                compact(field, out);
            }
            out.push('}');
        }
    }
}

fn digits(n: &Number, out: &mut String) {
    number::write_big_decimal(n.as_str(), out);
}

fn quoted(text: &str, out: &mut String) {
    let mut bytes = Vec::with_capacity(text.len() + 2);
    encode::write_string(text, &mut bytes);
    // What write_string gives is UTF-8.
    out.push_str(&String::from_utf8_lossy(&bytes));
}
