//! `PARSE_TIME`.

use arrow::array::{ArrayRef, Time32MillisecondArray};
use types::Result;

use super::text::parse;
use crate::{
    FunctionDoc, RowErrors,
    javatime::TimeError,
    overload::Param::{String, Time},
    scalar::definition::{Call, Overload, Scalar},
};

/// See its words.
pub static FUNCTION: Scalar = Scalar {
    doc: &FunctionDoc {
        name: "PARSE_TIME",
        aliases: &[],
        category: "DATE / TIME",
        signatures: &["PARSE_TIME(text, pattern)"],
        description: "The TIME that the text is. The pattern is one of Java's DateTimeFormatter; quotes in it are \
                      written twice. Text that does not follow it is an error.",
        examples: &[("PARSE_TIME('1:25 PM', 'h:mm a')", "13:25")],
    },
    overloads: &[Overload::new(&[String, String], Time, eval)],
    deterministic: true,
};

fn eval(call: &Call<'_>, errors: &mut RowErrors) -> Result<ArrayRef> {
    parse::<Time32MillisecondArray, _>(call, errors, |parsed, _| {
        let ms = parsed.time();
        i32::try_from(ms).map_err(|_| TimeError::TooWide(ms))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scalar::testing::check;

    #[test]
    fn values() {
        check(&FUNCTION, &["'11/05/19'", "'HH/mm/ss'"], "11:05:19");
        check(&FUNCTION, &["'01:00:00 Pm'", "'hh:mm:ss a'"], "13:00");
        check(&FUNCTION, &["'1'", "'HH'"], "!");
        check(&FUNCTION, &["NULL", "'HH'"], "NULL");
    }
}
