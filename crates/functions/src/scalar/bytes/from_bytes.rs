//! `FROM_BYTES`.

use arrow::array::{ArrayRef, BinaryArray, StringArray};
use types::Result;

use super::encoding::Encoding;
use crate::{
    FunctionDoc, RowErrors,
    overload::Param::{Bytes, String},
    scalar::definition::{Call, Overload, Scalar},
};

/// See its words.
pub static FUNCTION: Scalar = Scalar {
    doc: &FunctionDoc {
        name: "FROM_BYTES",
        aliases: &[],
        category: "BYTES",
        signatures: &["FROM_BYTES(bytes, encoding)"],
        description: "The bytes as text in that encoding: hex, utf8, ascii or base64. Any other encoding is an error.",
        examples: &[("FROM_BYTES(TO_BYTES('abc', 'utf8'), 'hex')", "616263")],
    },
    overloads: &[Overload::new(&[Bytes, String], String, eval)],
    deterministic: true,
};

fn eval(call: &Call<'_>, errors: &mut RowErrors) -> Result<ArrayRef> {
    let (values, encodings) = (call.view::<BinaryArray>(0)?, call.view::<StringArray>(1)?);
    call.try_rows::<StringArray, _, std::string::String>(errors, |row| {
        let Some((value, encoding)) = values.get(row).zip(encodings.get(row)) else { return Ok(None) };
        Ok(Some(Encoding::parse(encoding)?.encode(value, true)))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scalar::testing::check;

    #[test]
    fn values() {
        check(&FUNCTION, &["b'GrI='", "'hex'"], "1AB2");
        check(&FUNCTION, &["b'IQ=='", "'ascii'"], "!");
        check(&FUNCTION, &["b'YWI='", "'utf8'"], "ab");
        check(&FUNCTION, &["b'YWI='", "'base64'"], "YWI=");
        check(&FUNCTION, &["NULL", "'base64'"], "NULL");
    }
}
