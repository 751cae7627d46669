//! `STRINGTOTIMESTAMP`.

use arrow::array::{ArrayRef, Int64Array};
use types::Result;

use super::text::parse;
use crate::{
    FunctionDoc, RowErrors,
    javatime::Parsed,
    overload::Param::{BigInt, String},
    scalar::definition::{Call, Overload, Scalar},
};

/// See its words.
pub static FUNCTION: Scalar = Scalar {
    doc: &FunctionDoc {
        name: "STRINGTOTIMESTAMP",
        aliases: &[],
        category: "DATE / TIME",
        signatures: &["STRINGTOTIMESTAMP(text, pattern[, zone])"],
        description: "The instant that the text is, as milliseconds since 1970-01-01T00:00Z. Where the text itself \
                      names no zone, it is read as clocks show it in that time zone (a name such as 'Europe/London' or \
                      an offset such as '+02:00'; UTC, if none is said). The pattern is one of Java's \
                      DateTimeFormatter; quotes in it are written twice. Text that does not follow it is an error. \
                      PARSE_TIMESTAMP does the same and gives a TIMESTAMP.",
        examples: &[("STRINGTOTIMESTAMP('2018-05-11T21:58:33Z', 'yyyy-MM-dd''T''HH:mm:ssX')", "1526075913000")],
    },
    overloads: &[
        Overload::new(&[String, String], BigInt, eval),
        Overload::new(&[String, String, String], BigInt, eval),
    ],
    deterministic: true,
};

fn eval(call: &Call<'_>, errors: &mut RowErrors) -> Result<ArrayRef> {
    parse::<Int64Array, _>(call, errors, Parsed::instant)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scalar::testing::check;

    #[test]
    fn values() {
        check(&FUNCTION, &["'2018-05-11 21:58:33Z'", "'yyyy-MM-dd HH:mm:ssX'"], "1526075913000");
        check(&FUNCTION, &["'2020-05-11 21:58:33z'", "'yyyy-MM-dd HH:mm:ssX'"], "1589234313000");
        check(&FUNCTION, &["'x'", "'yyyy'"], "!");
    }
}
