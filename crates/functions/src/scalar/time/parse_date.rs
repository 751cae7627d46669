//! `PARSE_DATE`.

use arrow::array::{ArrayRef, Date32Array};
use types::Result;

use super::text::{days, parse_with};
use crate::{
    FunctionDoc, RowErrors,
    javatime::Pattern,
    overload::Param::{Date, String},
    scalar::definition::{Call, Overload, Scalar},
};

/// See its words.
pub static FUNCTION: Scalar = Scalar {
    doc: &FunctionDoc {
        name: "PARSE_DATE",
        aliases: &[],
        category: "DATE / TIME",
        signatures: &["PARSE_DATE(text, pattern)"],
        description: "The DATE that the text is. The pattern is one of Java's DateTimeFormatter; quotes in it are \
                      written twice. Text that does not follow it is an error; text behind the date is not looked at.",
        examples: &[("PARSE_DATE('31-Jan-2020', 'dd-MMM-yyyy')", "2020-01-31")],
    },
    overloads: &[Overload::new(&[String, String], Date, eval)],
    deterministic: true,
};

fn eval(call: &Call<'_>, errors: &mut RowErrors) -> Result<ArrayRef> {
    parse_with::<Date32Array, _>(call, errors, Pattern::parse_start, |parsed, _| days(parsed))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scalar::testing::check;

    #[test]
    fn values() {
        check(&FUNCTION, &["'2003-12-24'", "'yyyy-MM-dd'"], "2003-12-24");
        check(&FUNCTION, &["'2003-12-24-01-01'", "'yyyy-MM-dd'"], "2003-12-24");
        check(&FUNCTION, &["'2004'", "'yyyy-MM-dd'"], "!");
        check(&FUNCTION, &["'2004'", "'yyyy'"], "2004-01-01");
        check(&FUNCTION, &["NULL", "'yyyy'"], "NULL");
    }
}
