//! `SUBSTRING`.

use arrow::array::{ArrayRef, BinaryArray, Int32Array, StringArray};
use types::Result;

use crate::{
    FunctionDoc, RowErrors,
    kernel::View,
    overload::Param::{Bytes, Int, String},
    scalar::definition::{Call, Overload, Scalar},
};

/// See its words.
pub static FUNCTION: Scalar = Scalar {
    doc: &FunctionDoc {
        name: "SUBSTRING",
        aliases: &[],
        category: "STRING",
        signatures: &["SUBSTRING(text, position[, length])", "SUBSTRING(bytes, position[, length])"],
        description: "The part of the text or bytes that starts at the position, counted from 1 (from the end, if it \
                      is negative), and has that length, or goes to the end. NULL if any argument is.",
        examples: &[("SUBSTRING('stream', 1, 4)", "stre"), ("SUBSTRING('stream', -3)", "eam")],
    },
    overloads: &[
        Overload::new(&[String, Int], String, texts),
        Overload::new(&[String, Int, Int], String, texts),
        Overload::new(&[Bytes, Int], Bytes, bytes),
        Overload::new(&[Bytes, Int, Int], Bytes, bytes),
    ],
    deterministic: true,
};

/// Position and length of each row; no length is one that reaches any end.
fn extents(call: &Call<'_>) -> Result<impl Fn(usize) -> Option<(i32, i32)>> {
    let positions: View<'_, Int32Array> = call.view(1)?;
    let lengths: Option<View<'_, Int32Array>> = call.optional(2)?;
    Ok(move |row| Some((positions.get(row)?, lengths.map_or(Some(i32::MAX), |l| l.get(row))?)))
}

fn texts(call: &Call<'_>, _: &mut RowErrors) -> Result<ArrayRef> {
    let (texts, extents) = (call.view::<StringArray>(0)?, extents(call)?);
    call.rows::<StringArray, _>(|row| {
        let (text, (position, length)) = (texts.get(row)?, extents(row)?);
        if text.is_ascii() {
            let (start, end) = range(text.len(), position, length);
            return text.get(start..end);
        }
        let (start, end) = range(text.chars().count(), position, length);
        let byte = |at: usize| text.char_indices().nth(at).map_or(text.len(), |(byte, _)| byte);
        text.get(byte(start)..byte(end))
    })
}

fn bytes(call: &Call<'_>, _: &mut RowErrors) -> Result<ArrayRef> {
    let (values, extents) = (call.view::<BinaryArray>(0)?, extents(call)?);
    call.rows::<BinaryArray, _>(|row| {
        let (value, (position, length)) = (values.get(row)?, extents(row)?);
        let (start, end) = range(value.len(), position, length);
        value.get(start..end)
    })
}

/// First and one past the last of `len` that are wanted, always within it.
fn range(len: usize, position: i32, length: i32) -> (usize, usize) {
    let magnitude = usize::try_from(position.unsigned_abs()).unwrap_or(usize::MAX);
    let start = if position < 0 { len.saturating_sub(magnitude) } else { magnitude.saturating_sub(1).min(len) };
    let length = usize::try_from(length).unwrap_or(0);
    (start, start.saturating_add(length).min(len))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scalar::testing::check;

    #[test]
    fn values() {
        check(&FUNCTION, &["'some_string'", "6"], "string");
        check(&FUNCTION, &["'some_string'", "6", "3"], "str");
        check(&FUNCTION, &["'another'", "6", "3"], "er");
        check(&FUNCTION, &["'short'", "6", "3"], "");
        check(&FUNCTION, &["'some'", "0", "2"], "so");
        check(&FUNCTION, &["'some'", "-2147483648", "2"], "so");
        check(&FUNCTION, &["'größe'", "-3", "2"], "öß");
        check(&FUNCTION, &["'some'", "2", "-1"], "");
        check(&FUNCTION, &["'some'", "NULL"], "NULL");
        check(&FUNCTION, &["b'c29tZV9zdHJpbmc='", "6"], "c3RyaW5n");
    }
}
