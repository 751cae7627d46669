//! `REGEXP_EXTRACT_ALL`.

use std::sync::Arc;

use arrow::array::{ArrayRef, Int32Array, ListBuilder, StringArray, StringBuilder};
use types::Result;

use super::regex::compile;
use crate::{
    FunctionDoc, RowErrors,
    overload::Param::{Array, Int, String},
    scalar::definition::{Call, Overload, Scalar},
};

/// See its words.
pub static FUNCTION: Scalar = Scalar {
    doc: &FunctionDoc {
        name: "REGEXP_EXTRACT_ALL",
        aliases: &[],
        category: "STRING",
        signatures: &["REGEXP_EXTRACT_ALL(pattern, text)", "REGEXP_EXTRACT_ALL(pattern, text, group)"],
        description: "All parts of the text that the regular expression matches, or that group of each match; none if \
                      nothing matches. NULL if there is no such group, or an argument is NULL.",
        examples: &[("REGEXP_EXTRACT_ALL('(\\w+) (\\w+)', 'hello there nice day', 2)", "[there, day]")],
    },
    overloads: &[
        Overload::new(&[String, String], Array(&String), eval),
        Overload::new(&[String, String, Int], Array(&String), eval),
    ],
    deterministic: true,
};

fn eval(call: &Call<'_>, errors: &mut RowErrors) -> Result<ArrayRef> {
    let (patterns, texts) = (call.view::<StringArray>(0)?, call.view::<StringArray>(1)?);
    let groups = call.optional::<Int32Array>(2)?;
    let mut compiled = call.cache.by_row(compile);
    let mut out = ListBuilder::new(StringBuilder::new());
    for row in 0..call.rows {
        let group = groups.map_or(Some(0), |g| g.get(row));
        let (Some(pattern), Some(text), Some(group)) = (patterns.get(row), texts.get(row), group) else {
            out.append(false);
            continue;
        };
        let regex = match compiled.get(pattern) {
            Ok(regex) => regex,
            Err(reason) => {
                errors.push(row, reason);
                out.append(false);
                continue;
            }
        };
        let group = usize::try_from(group).ok().filter(|group| *group < regex.captures_len());
        for captures in regex.captures_iter(text).take_while(|_| group.is_some()) {
            out.values().append_option(group.and_then(|group| captures.get(group)).map(|m| m.as_str()));
        }
        out.append(group.is_some());
    }
    Ok(Arc::new(out.finish()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scalar::testing::check;

    #[test]
    fn values() {
        check(&FUNCTION, &["'e.'", "'hello there'"], "[el, er]");
        check(&FUNCTION, &["'(\\w+) (\\w+)'", "'hello there nice day'", "2"], "[there, day]");
        check(&FUNCTION, &["'x'", "'hello'"], "[]");
        check(&FUNCTION, &["'x'", "'hello'", "1"], "NULL");
        check(&FUNCTION, &["'('", "'hello'"], "!");
        check(&FUNCTION, &["NULL", "'hello'"], "NULL");
    }
}
