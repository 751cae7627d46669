//! `URL_EXTRACT_PATH`.

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
        name: "URL_EXTRACT_PATH",
        aliases: &[],
        category: "URL",
        signatures: &["URL_EXTRACT_PATH(url)"],
        description: "The decoded path of the URL, which may be empty; NULL if the text is no URL.",
        examples: &[("URL_EXTRACT_PATH('http://test.com/path/to#a')", "/path/to")],
    },
    overloads: &[Overload::new(&[String], String, eval)],
    deterministic: true,
};

fn eval(call: &Call<'_>, _: &mut RowErrors) -> Result<ArrayRef> {
    let urls = call.view::<StringArray>(0)?;
    call.rows::<StringArray, _>(|row| {
        let uri = Uri::parse(urls.get(row)?)?;
        percent_decode(uri.path?)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scalar::testing::check;

    #[test]
    fn values() {
        check(&FUNCTION, &["'http://www.test.com?query#fragment'"], "");
        check(&FUNCTION, &["'http://www.test.com/path?query'"], "/path");
        check(&FUNCTION, &["'a b'"], "NULL");
    }
}
