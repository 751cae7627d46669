//! `CONCAT_WS`.

use arrow::array::{ArrayRef, BinaryArray, StringArray};
use types::Result;

use crate::{
    FunctionDoc, RowErrors,
    kernel::View,
    overload::Param::{Bytes, String},
    scalar::definition::{Call, Overload, Scalar},
};

/// See its words.
pub static FUNCTION: Scalar = Scalar {
    doc: &FunctionDoc {
        name: "CONCAT_WS",
        aliases: &[],
        category: "STRING",
        signatures: &["CONCAT_WS(separator, text, ...)", "CONCAT_WS(separator, bytes, ...)"],
        description: "All texts, or all bytes, with the separator between them. What is NULL is left out; NULL if the \
                      separator is.",
        examples: &[("CONCAT_WS(', ', 'apple', NULL, 'date')", "apple, date")],
    },
    overloads: &[
        Overload::variadic(&[String, String], String, String, texts),
        Overload::variadic(&[Bytes, Bytes], Bytes, Bytes, bytes),
    ],
    deterministic: true,
};

fn texts(call: &Call<'_>, _: &mut RowErrors) -> Result<ArrayRef> {
    let separators = call.view::<StringArray>(0)?;
    let parts: Vec<View<'_, StringArray>> = (1..call.args.len()).map(|at| call.view(at)).collect::<Result<_>>()?;
    call.rows::<StringArray, _>(|row| {
        let separator = separators.get(row)?;
        let present: Vec<&str> = parts.iter().filter_map(|p| p.get(row)).collect();
        Some(present.join(separator))
    })
}

fn bytes(call: &Call<'_>, _: &mut RowErrors) -> Result<ArrayRef> {
    let separators = call.view::<BinaryArray>(0)?;
    let parts: Vec<View<'_, BinaryArray>> = (1..call.args.len()).map(|at| call.view(at)).collect::<Result<_>>()?;
    call.rows::<BinaryArray, _>(|row| {
        let separator = separators.get(row)?;
        let present: Vec<&[u8]> = parts.iter().filter_map(|p| p.get(row)).collect();
        Some(present.join(separator))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scalar::testing::check;

    #[test]
    fn values() {
        check(&FUNCTION, &["'SEP'", "'foo'", "NULL", "'baz'"], "fooSEPbaz");
        check(&FUNCTION, &["STRING NULL", "'foo'"], "NULL");
        check(&FUNCTION, &["'SEP'", "NULL"], "");
        check(&FUNCTION, &["b'YQ=='", "b'Yg=='", "b'eWVz'", "NULL", "b'bm8='"], "YmF5ZXNhbm8=");
    }
}
