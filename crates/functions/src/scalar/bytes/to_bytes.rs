//! `TO_BYTES`.

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
        name: "TO_BYTES",
        aliases: &[],
        category: "BYTES",
        signatures: &["TO_BYTES(text, encoding)"],
        description: "The bytes that the text stands for in that encoding: hex, utf8, ascii or base64. Any other \
                      encoding is an error, and so is text that is not in it.",
        examples: &[("LEN(TO_BYTES('616263', 'hex'))", "3")],
    },
    overloads: &[Overload::new(&[String, String], Bytes, eval)],
    deterministic: true,
};

fn eval(call: &Call<'_>, errors: &mut RowErrors) -> Result<ArrayRef> {
    let (texts, encodings) = (call.view::<StringArray>(0)?, call.view::<StringArray>(1)?);
    call.try_rows::<BinaryArray, _, std::string::String>(errors, |row| {
        let Some((text, encoding)) = texts.get(row).zip(encodings.get(row)) else { return Ok(None) };
        Encoding::parse(encoding)?.decode(text).map(Some)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scalar::testing::check;

    #[test]
    fn values() {
        check(&FUNCTION, &["'1aB2'", "'hex'"], "GrI=");
        check(&FUNCTION, &["'!'", "'ascii'"], "IQ==");
        check(&FUNCTION, &["'IQ=='", "'BASE64'"], "IQ==");
        check(&FUNCTION, &["'x'", "'hex'"], "!");
        check(&FUNCTION, &["'x'", "NULL"], "NULL");
    }
}
