//! `URL_ENCODE_PARAM`.

use arrow::array::{ArrayRef, StringArray};
use types::Result;

use crate::{
    FunctionDoc, RowErrors,
    overload::Param::String,
    scalar::{
        bytes::encoding::hex,
        definition::{Call, Overload, Scalar},
    },
};

/// See its words.
pub static FUNCTION: Scalar = Scalar {
    doc: &FunctionDoc {
        name: "URL_ENCODE_PARAM",
        aliases: &[],
        category: "URL",
        signatures: &["URL_ENCODE_PARAM(text)"],
        description: "The text as a parameter in a URL's query, encoded as application/x-www-form-urlencoded: a space \
                      is `+`. Not meant for the path of a URL.",
        examples: &[("URL_ENCODE_PARAM('url encoded')", "url+encoded")],
    },
    overloads: &[Overload::new(&[String], String, eval)],
    deterministic: true,
};

fn eval(call: &Call<'_>, _: &mut RowErrors) -> Result<ArrayRef> {
    let texts = call.view::<StringArray>(0)?;
    call.rows::<StringArray, _>(|row| texts.get(row).map(encode))
}

fn encode(text: &str) -> std::string::String {
    let mut out = std::string::String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b' ' => out.push('+'),
            b'.' | b'-' | b'*' | b'_' => out.push(char::from(byte)),
            byte if byte.is_ascii_alphanumeric() => out.push(char::from(byte)),
            byte => {
                out.push('%');
                out.push_str(&hex(&[byte], true));
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scalar::testing::check;

    #[test]
    fn values() {
        check(&FUNCTION, &["'?foo $bar'"], "%3Ffoo+%24bar");
        check(&FUNCTION, &["'hello&world'"], "hello%26world");
        check(&FUNCTION, &["'ä-~'"], "%C3%A4-%7E");
        check(&FUNCTION, &["NULL"], "NULL");
    }
}
