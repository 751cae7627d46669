//! What functions that make maps share.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, StringArray};
use types::{Error, Result};

/// STRING keys with `null` for those that are NULL: no map of ours has a key that is NULL, and this is how one reads
/// when a map is written as JSON.
pub(crate) fn text_keys(keys: &ArrayRef) -> Result<ArrayRef> {
    if keys.null_count() == 0 {
        return Ok(Arc::clone(keys));
    }
    let texts = keys.as_string_opt::<i32>().ok_or_else(|| Error::internal("a map's keys are no strings"))?;
    Ok(Arc::new(texts.iter().map(|key| Some(key.unwrap_or("null"))).collect::<StringArray>()))
}
