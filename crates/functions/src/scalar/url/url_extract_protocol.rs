//! `URL_EXTRACT_PROTOCOL`.

use arrow::array::{ArrayRef, StringArray};
use types::Result;

use super::uri::Uri;
use crate::{
    FunctionDoc, RowErrors,
    overload::Param::String,
    scalar::definition::{Call, Overload, Scalar},
};

/// See its words.
pub static FUNCTION: Scalar = Scalar {
    doc: &FunctionDoc {
        name: "URL_EXTRACT_PROTOCOL",
        aliases: &[],
        category: "URL",
        signatures: &["URL_EXTRACT_PROTOCOL(url)"],
        description: "The protocol of the URL; NULL if it names none, or the text is no URL.",
        examples: &[("URL_EXTRACT_PROTOCOL('http://test.com?a=foo')", "http")],
    },
    overloads: &[Overload::new(&[String], String, eval)],
    deterministic: true,
};

fn eval(call: &Call<'_>, _: &mut RowErrors) -> Result<ArrayRef> {
    let urls = call.view::<StringArray>(0)?;
    call.rows::<StringArray, _>(|row| {
        let uri = Uri::parse(urls.get(row)?)?;
        uri.scheme.map(str::to_owned)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scalar::testing::check;

    #[test]
    fn values() {
        check(&FUNCTION, &["'https://test@confluent.io'"], "https");
        check(&FUNCTION, &["'www.confluent.io'"], "NULL");
        check(&FUNCTION, &["'a b'"], "NULL");
    }
}
