//! `ENCODE`.

use arrow::array::{ArrayRef, StringArray};
use types::Result;

use super::encoding::Encoding;
use crate::{
    FunctionDoc, RowErrors,
    overload::Param::String,
    scalar::definition::{Call, Overload, Scalar},
};

/// See its words.
pub static FUNCTION: Scalar = Scalar {
    doc: &FunctionDoc {
        name: "ENCODE",
        aliases: &[],
        category: "STRING",
        signatures: &["ENCODE(text, input_encoding, output_encoding)"],
        description: "The text, which is in one encoding, in another: hex, utf8, ascii or base64. Any other encoding \
                      is an error, and so is text that is not in the first one.",
        examples: &[("ENCODE('4578616d706c65', 'hex', 'utf8')", "Example")],
    },
    overloads: &[Overload::new(&[String, String, String], String, eval)],
    deterministic: true,
};

fn eval(call: &Call<'_>, errors: &mut RowErrors) -> Result<ArrayRef> {
    let (texts, inputs, outputs) =
        (call.view::<StringArray>(0)?, call.view::<StringArray>(1)?, call.view::<StringArray>(2)?);
    call.try_rows::<StringArray, _, std::string::String>(errors, |row| {
        let (Some(text), Some(input), Some(output)) = (texts.get(row), inputs.get(row), outputs.get(row)) else {
            return Ok(None);
        };
        let (input, output) = (Encoding::parse(input)?, Encoding::parse(output)?);
        Ok(Some(output.encode(&input.decode(text)?, false)))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scalar::testing::check;

    #[test]
    fn values() {
        check(&FUNCTION, &["'Example!'", "'ascii'", "'hex'"], "4578616d706c6521");
        check(&FUNCTION, &["'Ελλάδα'", "'ascii'", "'base64'"], "Pz8/Pz8/");
        check(&FUNCTION, &["'zpXOu867zqzOtM6x'", "'base64'", "'utf8'"], "Ελλάδα");
        check(&FUNCTION, &["'zpU='", "'base64'", "'ascii'"], "\u{fffd}\u{fffd}");
        check(&FUNCTION, &["'0x4578'", "'hex'", "'ascii'"], "Ex");
        check(&FUNCTION, &["'X\\'4578\\''", "'hex'", "'ascii'"], "!");
        check(&FUNCTION, &["'457'", "'hex'", "'ascii'"], "!");
        check(&FUNCTION, &["'x'", "'base64'", "'null'"], "!");
        check(&FUNCTION, &["NULL", "'base64'", "'hex'"], "NULL");
    }
}
