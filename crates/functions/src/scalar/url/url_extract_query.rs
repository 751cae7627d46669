//! `URL_EXTRACT_QUERY`.

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
        name: "URL_EXTRACT_QUERY",
        aliases: &[],
        category: "URL",
        signatures: &["URL_EXTRACT_QUERY(url)"],
        description: "The decoded query of the URL; NULL if it has none, or the text is no URL.",
        examples: &[("URL_EXTRACT_QUERY('http://test.com?a=foo%20bar&b=baz')", "a=foo bar&b=baz")],
    },
    overloads: &[Overload::new(&[String], String, eval)],
    deterministic: true,
};

fn eval(call: &Call<'_>, _: &mut RowErrors) -> Result<ArrayRef> {
    let urls = call.view::<StringArray>(0)?;
    call.rows::<StringArray, _>(|row| {
        let uri = Uri::parse(urls.get(row)?)?;
        percent_decode(uri.query?)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scalar::testing::check;

    #[test]
    fn values() {
        check(&FUNCTION, &["'http://www.test.com?query#fragment'"], "query");
        check(&FUNCTION, &["'http://x.y/path'"], "NULL");
        check(&FUNCTION, &["'a b'"], "NULL");
    }
}
