//! `TIMESTAMPTOSTRING`.

use arrow::array::{ArrayRef, Int64Array};
use types::Result;

use super::text::format;
use crate::{
    FunctionDoc, RowErrors,
    javatime::Moment,
    overload::Param::{BigInt, String},
    scalar::definition::{Call, Overload, Scalar},
};

/// See its words.
pub static FUNCTION: Scalar = Scalar {
    doc: &FunctionDoc {
        name: "TIMESTAMPTOSTRING",
        aliases: &[],
        category: "DATE / TIME",
        signatures: &["TIMESTAMPTOSTRING(milliseconds, pattern[, zone])"],
        description: "The instant that is so many milliseconds after 1970-01-01T00:00Z as text, in that time zone (a \
                      name such as 'Europe/London' or an offset such as '+02:00'; UTC, if none is said). The pattern \
                      is one of Java's DateTimeFormatter; quotes in it are written twice. FORMAT_TIMESTAMP does the \
                      same for a TIMESTAMP.",
        examples: &[("TIMESTAMPTOSTRING(1526075913000, 'yyyy-MM-dd HH:mm:ss', 'UTC')", "2018-05-11 21:58:33")],
    },
    overloads: &[
        Overload::new(&[BigInt, String], String, eval),
        Overload::new(&[BigInt, String, String], String, eval),
    ],
    deterministic: true,
};

fn eval(call: &Call<'_>, errors: &mut RowErrors) -> Result<ArrayRef> {
    format::<Int64Array>(call, errors, Moment::instant)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scalar::testing::check;

    #[test]
    fn values() {
        check(
            &FUNCTION,
            &["1526075913000L", "'yyyy-MM-dd HH:mm:ss zzz'", "'Europe/London'"],
            "2018-05-11 22:58:33 BST",
        );
        check(&FUNCTION, &["1526075913000L", "'yyyy-MM-dd HH:mm:ss Z'", "'UTC'"], "2018-05-11 21:58:33 +0000");
        check(&FUNCTION, &["5", "'SSS'"], "005");
        check(&FUNCTION, &["NULL", "'SSS'"], "NULL");
    }
}
