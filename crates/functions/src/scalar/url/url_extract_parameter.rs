//! `URL_EXTRACT_PARAMETER`.

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
        name: "URL_EXTRACT_PARAMETER",
        aliases: &[],
        category: "URL",
        signatures: &["URL_EXTRACT_PARAMETER(url, name)"],
        description: "The decoded value of that parameter in the query of the URL; NULL if it has none, or the text is \
                      no URL.",
        examples: &[("URL_EXTRACT_PARAMETER('http://test.com?a%20b=c%20d', 'a b')", "c d")],
    },
    overloads: &[Overload::new(&[String, String], String, eval)],
    deterministic: true,
};

fn eval(call: &Call<'_>, _: &mut RowErrors) -> Result<ArrayRef> {
    let (urls, names) = (call.view::<StringArray>(0)?, call.view::<StringArray>(1)?);
    call.rows::<StringArray, _>(|row| {
        let (url, name) = (urls.get(row)?, names.get(row)?);
        let mut pairs = Uri::parse(url)?.query?.split('&').filter_map(|pair| pair.split_once('='));
        let (_, value) = pairs.find(|(key, _)| percent_decode(key).as_deref() == Some(name))?;
        percent_decode(value)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scalar::testing::check;

    #[test]
    fn values() {
        let url = "'http://www.test.com/?one=a&two=url%20encoded&three'";
        check(&FUNCTION, &[url, "'one'"], "a");
        check(&FUNCTION, &[url, "'two'"], "url encoded");
        check(&FUNCTION, &[url, "'three'"], "NULL");
        check(&FUNCTION, &["'not a url'", "'one'"], "NULL");
        check(&FUNCTION, &[url, "NULL"], "NULL");
    }
}
