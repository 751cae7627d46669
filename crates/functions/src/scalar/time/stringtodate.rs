//! `STRINGTODATE`.

use arrow::array::{ArrayRef, Int32Array};
use types::Result;

use super::text::{days, parse};
use crate::{
    FunctionDoc, RowErrors,
    overload::Param::{Int, String},
    scalar::definition::{Call, Overload, Scalar},
};

/// See its words.
pub static FUNCTION: Scalar = Scalar {
    doc: &FunctionDoc {
        name: "STRINGTODATE",
        aliases: &[],
        category: "DATE / TIME",
        signatures: &["STRINGTODATE(text, pattern)"],
        description: "The date that the text is, as days since 1970-01-01. The pattern is one of Java's \
                      DateTimeFormatter; quotes in it are written twice. Text that does not follow it is an error. \
                      PARSE_DATE does the same and gives a DATE.",
        examples: &[("STRINGTODATE('2018-05-11', 'yyyy-MM-dd')", "17662")],
    },
    overloads: &[Overload::new(&[String, String], Int, eval)],
    deterministic: true,
};

fn eval(call: &Call<'_>, errors: &mut RowErrors) -> Result<ArrayRef> {
    parse::<Int32Array, _>(call, errors, |parsed, _| days(parsed))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scalar::testing::check;

    #[test]
    fn values() {
        check(&FUNCTION, &["'2018-05-11'", "'yyyy-MM-dd'"], "17662");
        check(&FUNCTION, &["'01-Jan-2022'", "'dd-MMM-yyyy'"], "18993");
        check(&FUNCTION, &["'x'", "'yyyy'"], "!");
    }
}
