//! `PARSE_TIMESTAMP`.

use arrow::array::{ArrayRef, TimestampMillisecondArray};
use types::Result;

use super::text::parse;
use crate::{
    FunctionDoc, RowErrors,
    javatime::Parsed,
    overload::Param::{String, Timestamp},
    scalar::definition::{Call, Overload, Scalar},
};

/// See its words.
pub static FUNCTION: Scalar = Scalar {
    doc: &FunctionDoc {
        name: "PARSE_TIMESTAMP",
        aliases: &[],
        category: "DATE / TIME",
        signatures: &["PARSE_TIMESTAMP(text, pattern[, zone])"],
        description: "The TIMESTAMP that the text is. Where the text itself names no zone, it is read as clocks show \
                      it in that time zone (a name such as 'Europe/London' or an offset such as '+02:00'; UTC, if none \
                      is said). The pattern is one of Java's DateTimeFormatter; quotes in it are written twice. Text \
                      that does not follow it is an error.",
        examples: &[("PARSE_TIMESTAMP('2018-05-11T21:58:33', 'yyyy-MM-dd''T''HH:mm:ss')", "2018-05-11T21:58:33.000")],
    },
    overloads: &[
        Overload::new(&[String, String], Timestamp, eval),
        Overload::new(&[String, String, String], Timestamp, eval),
    ],
    deterministic: true,
};

fn eval(call: &Call<'_>, errors: &mut RowErrors) -> Result<ArrayRef> {
    parse::<TimestampMillisecondArray, _>(call, errors, Parsed::instant)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scalar::testing::check;

    #[test]
    fn values() {
        check(&FUNCTION, &["'2018-05-11 21:58:33 PST'", "'yyyy-MM-dd HH:mm:ss zzz'"], "2018-05-12T04:58:33.000");
        check(&FUNCTION, &["'2021-06-31 12:18:39.446'", "'yyyy-MM-dd HH:mm:ss.SSS'"], "2021-06-30T12:18:39.446");
        check(&FUNCTION, &["'2018-05-11 21:58'", "'yyyy-MM-dd HH:mm'", "'Europe/London'"], "2018-05-11T20:58:00.000");
        check(&FUNCTION, &["'x'", "'yyyy'"], "!");
        check(&FUNCTION, &["'2018'", "'yyyy'", "'Nowhere'"], "!");
        check(&FUNCTION, &["NULL", "'yyyy'"], "NULL");
    }
}
