//! What `LPAD` and `RPAD` share.

use arrow::array::{ArrayRef, BinaryArray, Int32Array, StringArray};
use types::Result;

use crate::{RowErrors, scalar::definition::Call};

/// Characters or bytes that one padded value may have.
const PADDED_MAX: usize = 16 * 1024 * 1024;

/// Which end is padded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Side {
    Left,
    Right,
}

/// `LPAD` and `RPAD` of STRING.
pub(super) fn texts(call: &Call<'_>, errors: &mut RowErrors, side: Side) -> Result<ArrayRef> {
    let (texts, lengths, paddings) =
        (call.view::<StringArray>(0)?, call.view::<Int32Array>(1)?, call.view::<StringArray>(2)?);
    call.try_rows::<StringArray, _, String>(errors, |row| {
        let (Some(text), Some(length), Some(padding)) = (texts.get(row), lengths.get(row), paddings.get(row)) else {
            return Ok(None);
        };
        let (text, padding): (Vec<char>, Vec<char>) = (text.chars().collect(), padding.chars().collect());
        Ok(pad(&text, length, &padding, side)?.map(|chars| chars.into_iter().collect::<String>()))
    })
}

/// `LPAD` and `RPAD` of BYTES.
pub(super) fn bytes(call: &Call<'_>, errors: &mut RowErrors, side: Side) -> Result<ArrayRef> {
    let (values, lengths, paddings) =
        (call.view::<BinaryArray>(0)?, call.view::<Int32Array>(1)?, call.view::<BinaryArray>(2)?);
    call.try_rows::<BinaryArray, _, _>(errors, |row| match (values.get(row), lengths.get(row), paddings.get(row)) {
        (Some(value), Some(length), Some(padding)) => pad(value, length, padding, side),
        _ => Ok(None),
    })
}

fn pad<T: Copy>(value: &[T], length: i32, padding: &[T], side: Side) -> Result<Option<Vec<T>>, String> {
    let Ok(length) = usize::try_from(length) else { return Ok(None) };
    if padding.is_empty() {
        return Ok(None);
    }
    if length > PADDED_MAX {
        return Err(format!("a length of {length} is more than the {PADDED_MAX} that are allowed"));
    }
    let kept = value.get(..length.min(value.len())).unwrap_or(value);
    let fill = padding.iter().cycle().take(length - kept.len()).copied();
    Ok(Some(match side {
        Side::Left => fill.chain(kept.iter().copied()).collect(),
        Side::Right => kept.iter().copied().chain(fill).collect(),
    }))
}
