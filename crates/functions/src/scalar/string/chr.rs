//! `CHR`.

use arrow::array::{ArrayRef, Int32Array, StringArray};
use types::Result;

use crate::{
    FunctionDoc, RowErrors,
    overload::Param::{Int, String},
    scalar::definition::{Call, Overload, Scalar},
};

/// See its words.
pub static FUNCTION: Scalar = Scalar {
    doc: &FunctionDoc {
        name: "CHR",
        aliases: &[],
        category: "STRING",
        signatures: &["CHR(code)", "CHR(escape)"],
        description: "The character of a Unicode code point, given as a number or as text of the form \\uXXXX (two of \
                      them for a surrogate pair). NULL if there is no such character.",
        examples: &[("CHR(75)", "K"), ("CHR('\\u597d')", "好")],
    },
    overloads: &[Overload::new(&[Int], String, by_code), Overload::new(&[String], String, by_escape)],
    deterministic: true,
};

fn by_code(call: &Call<'_>, _: &mut RowErrors) -> Result<ArrayRef> {
    let codes = call.view::<Int32Array>(0)?;
    call.rows::<StringArray, _>(|row| {
        u32::try_from(codes.get(row)?).ok().and_then(char::from_u32).map(std::string::String::from)
    })
}

fn by_escape(call: &Call<'_>, _: &mut RowErrors) -> Result<ArrayRef> {
    let escapes = call.view::<StringArray>(0)?;
    call.rows::<StringArray, _>(|row| unescape(escapes.get(row)?))
}

/// The text of `\uXXXX…`.
fn unescape(text: &str) -> Option<std::string::String> {
    let mut units = Vec::new();
    for escape in text.split("\\u").skip(1) {
        let hex = escape.get(..4).filter(|_| escape.len() == 4)?;
        units.push(u16::from_str_radix(hex, 16).ok()?);
    }
    if units.is_empty() || !text.starts_with("\\u") {
        return None;
    }
    std::string::String::from_utf16(&units).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scalar::testing::check;

    #[test]
    fn values() {
        check(&FUNCTION, &["75"], "K");
        check(&FUNCTION, &["22909"], "好");
        check(&FUNCTION, &["99000"], "𘊸");
        check(&FUNCTION, &["-1"], "NULL");
        check(&FUNCTION, &["'\\u004b'"], "K");
        check(&FUNCTION, &["'\\ud820\\udeb8'"], "𘊸");
        check(&FUNCTION, &["'K'"], "NULL");
        check(&FUNCTION, &["'\\u00'"], "NULL");
        check(&FUNCTION, &["INT NULL"], "NULL");
    }
}
