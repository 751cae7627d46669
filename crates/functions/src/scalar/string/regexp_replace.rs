//! `REGEXP_REPLACE`.

use arrow::array::{ArrayRef, StringArray};
use types::Result;

use super::regex::{compile, replacement};
use crate::{
    FunctionDoc, RowErrors,
    overload::Param::String,
    scalar::definition::{Call, Overload, Scalar},
};

/// See its words.
pub static FUNCTION: Scalar = Scalar {
    doc: &FunctionDoc {
        name: "REGEXP_REPLACE",
        aliases: &[],
        category: "STRING",
        signatures: &["REGEXP_REPLACE(text, pattern, new)"],
        description: "The text with everything that the regular expression matches replaced; `$1` in the new text \
                      stands for the first group of the match, and so on. NULL if any argument is.",
        examples: &[("REGEXP_REPLACE('baababaa', '(ab)+', 'x')", "baxaa")],
    },
    overloads: &[Overload::new(&[String, String, String], String, eval)],
    deterministic: true,
};

fn eval(call: &Call<'_>, errors: &mut RowErrors) -> Result<ArrayRef> {
    let (texts, patterns, news) =
        (call.view::<StringArray>(0)?, call.view::<StringArray>(1)?, call.view::<StringArray>(2)?);
    let mut compiled = call.cache.by_row(compile);
    call.try_rows::<StringArray, _, std::string::String>(errors, |row| {
        let (Some(text), Some(pattern), Some(new)) = (texts.get(row), patterns.get(row), news.get(row)) else {
            return Ok(None);
        };
        let regex = compiled.get(pattern)?;
        Ok(Some(regex.replace_all(text, replacement(new).as_str()).into_owned()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scalar::testing::check;

    #[test]
    fn values() {
        check(&FUNCTION, &["'foobar'", "'foo'", "'cat'"], "catbar");
        check(&FUNCTION, &["'john smith'", "'(\\w+) (\\w+)'", "'$2, $1'"], "smith, john");
        check(&FUNCTION, &["'a'", "'('", "'x'"], "!");
        check(&FUNCTION, &["'a'", "'a'", "NULL"], "NULL");
    }
}
