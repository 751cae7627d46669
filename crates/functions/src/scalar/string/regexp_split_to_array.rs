//! `REGEXP_SPLIT_TO_ARRAY`.

use std::sync::Arc;

use arrow::array::{ArrayRef, ListBuilder, StringArray, StringBuilder};
use types::Result;

use super::{regex::compile, split::split_text};
use crate::{
    FunctionDoc, RowErrors,
    overload::Param::{Array, String},
    scalar::definition::{Call, Overload, Scalar},
};

/// See its words.
pub static FUNCTION: Scalar = Scalar {
    doc: &FunctionDoc {
        name: "REGEXP_SPLIT_TO_ARRAY",
        aliases: &[],
        category: "STRING",
        signatures: &["REGEXP_SPLIT_TO_ARRAY(text, pattern)"],
        description: "The parts of the text between what the regular expression matches; empty parts, too. An empty \
                      expression splits every character from the next. NULL if either argument is.",
        examples: &[("REGEXP_SPLIT_TO_ARRAY('one1two22three', '[0-9]+')", "[one, two, three]")],
    },
    overloads: &[Overload::new(&[String, String], Array(&String), eval)],
    deterministic: true,
};

fn eval(call: &Call<'_>, errors: &mut RowErrors) -> Result<ArrayRef> {
    let (texts, patterns) = (call.view::<StringArray>(0)?, call.view::<StringArray>(1)?);
    let mut compiled = call.cache.by_row(compile);
    let mut out = ListBuilder::new(StringBuilder::new());
    for row in 0..call.rows {
        let mut add = |part: &str| out.values().append_value(part);
        let is_split = match texts.get(row).zip(patterns.get(row)) {
            None => false,
            Some((text, "")) => {
                split_text(text, "", add);
                true
            }
            Some((text, pattern)) => match compiled.get(pattern) {
                Ok(regex) => {
                    regex.split(text).for_each(&mut add);
                    true
                }
                Err(reason) => {
                    errors.push(row, reason);
                    false
                }
            },
        };
        out.append(is_split);
    }
    Ok(Arc::new(out.finish()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scalar::testing::check;

    #[test]
    fn values() {
        check(&FUNCTION, &["'aabcda'", "'(ab|cd)'"], "[a, , a]");
        check(&FUNCTION, &["'abc'", "''"], "[a, b, c]");
        check(&FUNCTION, &["'z'", "'y'"], "[z]");
        check(&FUNCTION, &["'ab'", "'^a'"], "[, b]");
        check(&FUNCTION, &["'ab'", "'('"], "!");
        check(&FUNCTION, &["'ab'", "NULL"], "NULL");
    }
}
