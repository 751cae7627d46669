//! `URL_EXTRACT_HOST`.

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
        name: "URL_EXTRACT_HOST",
        aliases: &[],
        category: "URL",
        signatures: &["URL_EXTRACT_HOST(url)"],
        description: "The name of the host in the URL; NULL if it has none, or the text is no URL.",
        examples: &[("URL_EXTRACT_HOST('http://test.com:8080/path')", "test.com")],
    },
    overloads: &[Overload::new(&[String], String, eval)],
    deterministic: true,
};

fn eval(call: &Call<'_>, _: &mut RowErrors) -> Result<ArrayRef> {
    let urls = call.view::<StringArray>(0)?;
    call.rows::<StringArray, _>(|row| {
        let uri = Uri::parse(urls.get(row)?)?;
        uri.host.map(str::to_owned)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scalar::testing::check;

    #[test]
    fn values() {
        check(&FUNCTION, &["'http://www.test.com/?query#fragment'"], "www.test.com");
        check(&FUNCTION, &["'http://test@confluent.io:8080'"], "confluent.io");
        check(&FUNCTION, &["'x y'"], "NULL");
        check(&FUNCTION, &["NULL"], "NULL");
    }
}
