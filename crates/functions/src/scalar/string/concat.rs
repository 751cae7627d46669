//! `CONCAT`.

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
        name: "CONCAT",
        aliases: &[],
        category: "STRING",
        signatures: &["CONCAT(text, ...)", "CONCAT(bytes, ...)"],
        description: "All texts, or all bytes, one after the other. NULL counts as empty.",
        examples: &[("CONCAT('a', NULL, 'b')", "ab")],
    },
    overloads: &[
        Overload::variadic(&[String], String, String, texts),
        Overload::variadic(&[Bytes], Bytes, Bytes, bytes),
    ],
    deterministic: true,
};

fn texts(call: &Call<'_>, _: &mut RowErrors) -> Result<ArrayRef> {
    let parts: Vec<View<'_, StringArray>> = (0..call.args.len()).map(|at| call.view(at)).collect::<Result<_>>()?;
    call.rows::<StringArray, _>(|row| {
        let present = parts.iter().filter_map(|p| p.get(row));
        Some(present.collect::<std::string::String>())
    })
}

fn bytes(call: &Call<'_>, _: &mut RowErrors) -> Result<ArrayRef> {
    let parts: Vec<View<'_, BinaryArray>> = (0..call.args.len()).map(|at| call.view(at)).collect::<Result<_>>()?;
    call.rows::<BinaryArray, _>(|row| {
        let present: Vec<&[u8]> = parts.iter().filter_map(|p| p.get(row)).collect();
        Some(present.concat())
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scalar::testing::check;

    #[test]
    fn values() {
        check(&FUNCTION, &["'prefix-'", "'s1'", "'-postfix'"], "prefix-s1-postfix");
        check(&FUNCTION, &["b'eWVz'", "NULL", "b'bm8='"], "eWVzbm8=");
        check(&FUNCTION, &["STRING NULL", "NULL"], "");
        check(
            &FUNCTION,
            &["'a'", "1"],
            "error: Function 'CONCAT' does not accept arguments of types (STRING, INTEGER). It accepts: \
             CONCAT(STRING, STRING...); CONCAT(BYTES, BYTES...)",
        );
    }
}
