//! `FORMAT_TIMESTAMP`.

use arrow::array::{ArrayRef, TimestampMillisecondArray};
use types::Result;

use super::text::format;
use crate::{
    FunctionDoc, RowErrors,
    javatime::Moment,
    overload::Param::{String, Timestamp},
    scalar::definition::{Call, Overload, Scalar},
};

/// See its words.
pub static FUNCTION: Scalar = Scalar {
    doc: &FunctionDoc {
        name: "FORMAT_TIMESTAMP",
        aliases: &[],
        category: "DATE / TIME",
        signatures: &["FORMAT_TIMESTAMP(timestamp, pattern[, zone])"],
        description: "The timestamp as text, in that time zone (a name such as 'Europe/London' or an offset such as \
                      '+02:00'; UTC, if none is said). The pattern is one of Java's DateTimeFormatter; quotes in it \
                      are written twice.",
        examples: &[("FORMAT_TIMESTAMP(FROM_UNIXTIME(1526075913000), 'yyyy-MM-dd HH:mm:ss')", "2018-05-11 21:58:33")],
    },
    overloads: &[
        Overload::new(&[Timestamp, String], String, eval),
        Overload::new(&[Timestamp, String, String], String, eval),
    ],
    deterministic: true,
};

fn eval(call: &Call<'_>, errors: &mut RowErrors) -> Result<ArrayRef> {
    format::<TimestampMillisecondArray>(call, errors, Moment::instant)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scalar::testing::check;

    #[test]
    fn values() {
        check(&FUNCTION, &["TIMESTAMP 2018-05-11T21:58:33", "'yyyy-MM-dd HH:mm:ss'"], "2018-05-11 21:58:33");
        check(&FUNCTION, &["TIMESTAMP 2018-05-11T21:58:33", "'HH:mm z'", "'Europe/London'"], "22:58 BST");
        check(&FUNCTION, &["TIMESTAMP 2018-05-11", "'HH'", "'Nowhere'"], "!");
        check(&FUNCTION, &["TIMESTAMP 2018-05-11", "'foo'"], "!");
        check(&FUNCTION, &["NULL", "'HH'"], "NULL");
        check(&FUNCTION, &["TIMESTAMP 2018-05-11", "'HH'", "NULL"], "NULL");
    }
}
