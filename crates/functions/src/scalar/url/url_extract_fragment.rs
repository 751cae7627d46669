//! `URL_EXTRACT_FRAGMENT`.

use arrow::array::{ArrayRef, StringArray};
use types::Result;

use super::uri::{Uri, percent_decode};
use crate::{
    FunctionDoc, RowErrors,
    overload::Param::String,
    scalar::definition::{Call, Overload, Scalar},
};

/// See its words.
pub static FUNCTION: Scalar = Scalar {
    doc: &FunctionDoc {
        name: "URL_EXTRACT_FRAGMENT",
        aliases: &[],
        category: "URL",
        signatures: &["URL_EXTRACT_FRAGMENT(url)"],
        description: "The decoded fragment of the URL; NULL if it has none, or the text is no URL.",
        examples: &[("URL_EXTRACT_FRAGMENT('http://test.com#frag%20space')", "frag space")],
    },
    overloads: &[Overload::new(&[String], String, eval)],
    deterministic: true,
};

fn eval(call: &Call<'_>, _: &mut RowErrors) -> Result<ArrayRef> {
    let urls = call.view::<StringArray>(0)?;
    call.rows::<StringArray, _>(|row| {
        let uri = Uri::parse(urls.get(row)?)?;
        percent_decode(uri.fragment?)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scalar::testing::check;

    #[test]
    fn values() {
        check(&FUNCTION, &["'http://test.com#frag'"], "frag");
        check(&FUNCTION, &["'http://test.com'"], "NULL");
        check(&FUNCTION, &["'a b'"], "NULL");
    }
}
