//! `URL_DECODE_PARAM`.

use arrow::array::{ArrayRef, StringArray};
use types::Result;

use super::uri::percent_decode;
use crate::{
    FunctionDoc, RowErrors,
    overload::Param::String,
    scalar::definition::{Call, Overload, Scalar},
};

/// See its words.
pub static FUNCTION: Scalar = Scalar {
    doc: &FunctionDoc {
        name: "URL_DECODE_PARAM",
        aliases: &[],
        category: "URL",
        signatures: &["URL_DECODE_PARAM(text)"],
        description: "The text that was encoded as application/x-www-form-urlencoded: `+` and `%20` are spaces. A `%` \
                      without two hexadecimal digits is an error. The inverse of URL_ENCODE_PARAM.",
        examples: &[("URL_DECODE_PARAM('url%20encoded')", "url encoded")],
    },
    overloads: &[Overload::new(&[String], String, eval)],
    deterministic: true,
};

fn eval(call: &Call<'_>, errors: &mut RowErrors) -> Result<ArrayRef> {
    let texts = call.view::<StringArray>(0)?;
    call.try_rows::<StringArray, _, std::string::String>(errors, |row| {
        let Some(text) = texts.get(row) else { return Ok(None) };
        let decoded = percent_decode(&text.replace('+', " "));
        decoded.map(Some).ok_or_else(|| format!("'{text}' is not encoded as a URL's parameter"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scalar::testing::check;

    #[test]
    fn values() {
        check(&FUNCTION, &["'%3Ffoo+%24bar'"], "?foo $bar");
        check(&FUNCTION, &["'nothing'"], "nothing");
        check(&FUNCTION, &["'%x'"], "!");
        check(&FUNCTION, &["NULL"], "NULL");
    }
}
