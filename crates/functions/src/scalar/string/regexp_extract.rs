//! `REGEXP_EXTRACT`.

use arrow::array::{ArrayRef, Int32Array, StringArray};
use types::Result;

use super::regex::compile;
use crate::{
    FunctionDoc, RowErrors,
    overload::Param::{Int, String},
    scalar::definition::{Call, Overload, Scalar},
};

/// See its words.
pub static FUNCTION: Scalar = Scalar {
    doc: &FunctionDoc {
        name: "REGEXP_EXTRACT",
        aliases: &[],
        category: "STRING",
        signatures: &["REGEXP_EXTRACT(pattern, text)", "REGEXP_EXTRACT(pattern, text, group)"],
        description: "The first part of the text that the regular expression matches, or that group of it. NULL if \
                      nothing matches, there is no such group, or an argument is NULL.",
        examples: &[("REGEXP_EXTRACT('(.*) (.*)', 'hello there', 2)", "there")],
    },
    overloads: &[Overload::new(&[String, String], String, eval), Overload::new(&[String, String, Int], String, eval)],
    deterministic: true,
};

fn eval(call: &Call<'_>, errors: &mut RowErrors) -> Result<ArrayRef> {
    let (patterns, texts) = (call.view::<StringArray>(0)?, call.view::<StringArray>(1)?);
    let groups = call.optional::<Int32Array>(2)?;
    let mut compiled = call.cache.by_row(compile);
    call.try_rows::<StringArray, _, std::string::String>(errors, |row| {
        let group = groups.map_or(Some(0), |g| g.get(row));
        let (Some(pattern), Some(text), Some(group)) = (patterns.get(row), texts.get(row), group) else {
            return Ok(None);
        };
        let regex = compiled.get(pattern)?;
        let group = usize::try_from(group).ok();
        let found = group.and_then(|group| regex.captures(text)?.get(group));
        Ok(found.map(|m| m.as_str()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scalar::testing::check;

    #[test]
    fn values() {
        check(&FUNCTION, &["'test.'", "'some_test_string'"], "test_");
        check(&FUNCTION, &["'test.'", "'anothertest'"], "NULL");
        check(&FUNCTION, &["'(.*) (.*)'", "'steven zhang'", "2"], "zhang");
        check(&FUNCTION, &["'(.*) (.*)'", "'steven zhang'", "3"], "NULL");
        check(&FUNCTION, &["'(.*) (.*)'", "'steven zhang'", "-1"], "NULL");
        check(&FUNCTION, &["'('", "'x'"], "!");
        check(&FUNCTION, &["'x'", "NULL"], "NULL");
    }
}
