//! `INITCAP`.

use arrow::array::{ArrayRef, StringArray};
use types::Result;

use crate::{
    FunctionDoc, RowErrors,
    overload::Param::String,
    scalar::definition::{Call, Overload, Scalar},
};

/// See its words.
pub static FUNCTION: Scalar = Scalar {
    doc: &FunctionDoc {
        name: "INITCAP",
        aliases: &[],
        category: "STRING",
        signatures: &["INITCAP(text)"],
        description: "The text with the first letter of each word in upper case and the others in lower case. White \
                      space ends a word.",
        examples: &[("INITCAP('the quick bROWN fox')", "The Quick Brown Fox")],
    },
    overloads: &[Overload::new(&[String], String, eval)],
    deterministic: true,
};

fn eval(call: &Call<'_>, _: &mut RowErrors) -> Result<ArrayRef> {
    let texts = call.view::<StringArray>(0)?;
    call.rows::<StringArray, _>(|row| texts.get(row).map(capitalize))
}

fn capitalize(text: &str) -> std::string::String {
    let mut out = std::string::String::with_capacity(text.len());
    let mut first = true;
    for c in text.chars() {
        if first {
            out.extend(c.to_uppercase());
        } else {
            out.extend(c.to_lowercase());
        }
        first = c.is_whitespace();
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scalar::testing::check;

    #[test]
    fn values() {
        check(&FUNCTION, &["'some_string'"], "Some_string");
        check(&FUNCTION, &["'the   Quick br0wn fOx'"], "The   Quick Br0wn Fox");
        check(&FUNCTION, &["STRING NULL"], "NULL");
    }
}
