//! Functions on text that holds JSON.

pub mod extractjsonfield;
pub mod is_json_string;
pub mod json_array_contains;
pub mod json_array_length;
pub mod json_concat;
pub mod json_items;
pub mod json_keys;
pub mod json_records;
pub mod to_json_string;

mod path;
mod write;

use serde_json::Value;

use crate::ScalarFunction;

/// All of them, by name.
pub(super) static FUNCTIONS: &[&dyn ScalarFunction] = &[
    &extractjsonfield::FUNCTION,
    &is_json_string::FUNCTION,
    &json_array_contains::FUNCTION,
    &json_array_length::FUNCTION,
    &json_concat::FUNCTION,
    &json_items::FUNCTION,
    &json_keys::FUNCTION,
    &json_records::FUNCTION,
    &to_json_string::FUNCTION,
];

/// The JSON value that `text` is.
fn parse(text: &str) -> Result<Value, String> {
    serde_json::from_str(text).map_err(|e| format!("invalid JSON: {e}"))
}

/// The value as text: strings without their quotes, everything else as JSON.
fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}
