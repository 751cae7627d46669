//! `URL_EXTRACT_PORT`.

use arrow::array::{ArrayRef, Int32Array, StringArray};
use types::Result;

use super::uri::Uri;
use crate::{
    FunctionDoc, RowErrors,
    overload::Param::{Int, String},
    scalar::definition::{Call, Overload, Scalar},
};

/// See its words.
pub static FUNCTION: Scalar = Scalar {
    doc: &FunctionDoc {
        name: "URL_EXTRACT_PORT",
        aliases: &[],
        category: "URL",
        signatures: &["URL_EXTRACT_PORT(url)"],
        description: "The number of the port in the URL; NULL if it names none, or the text is no URL.",
        examples: &[("URL_EXTRACT_PORT('http://localhost:8080/path')", "8080")],
    },
    overloads: &[Overload::new(&[String], Int, eval)],
    deterministic: true,
};

fn eval(call: &Call<'_>, _: &mut RowErrors) -> Result<ArrayRef> {
    let urls = call.view::<StringArray>(0)?;
    call.rows::<Int32Array, _>(|row| {
        let uri = Uri::parse(urls.get(row)?)?;
        uri.port
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scalar::testing::check;

    #[test]
    fn values() {
        check(&FUNCTION, &["'http://test@confluent.io'"], "NULL");
        check(&FUNCTION, &["'http://test@confluent.io:8080/x'"], "8080");
        check(&FUNCTION, &["'a b'"], "NULL");
    }
}
