//! `FORMAT_TIME`.

use arrow::array::{ArrayRef, Time32MillisecondArray};
use types::Result;

use super::text::format;
use crate::{
    FunctionDoc, RowErrors,
    javatime::Moment,
    overload::Param::{String, Time},
    scalar::definition::{Call, Overload, Scalar},
};

/// See its words.
pub static FUNCTION: Scalar = Scalar {
    doc: &FunctionDoc {
        name: "FORMAT_TIME",
        aliases: &[],
        category: "DATE / TIME",
        signatures: &["FORMAT_TIME(time, pattern)"],
        description: "The time as text. The pattern is one of Java's DateTimeFormatter; quotes in it are written \
                      twice. One that asks for a date is an error.",
        examples: &[("FORMAT_TIME(CAST('13:25:00' AS TIME), 'h:mm a')", "1:25 PM")],
    },
    overloads: &[Overload::new(&[Time, String], String, eval)],
    deterministic: true,
};

fn eval(call: &Call<'_>, errors: &mut RowErrors) -> Result<ArrayRef> {
    format::<Time32MillisecondArray>(call, errors, |ms, _| Moment::time(i64::from(ms)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scalar::testing::check;

    #[test]
    fn values() {
        check(&FUNCTION, &["TIME 00:01:05", "'HH_mm_ss_SSS'"], "00_01_05_000");
        check(&FUNCTION, &["NULL", "'HH'"], "NULL");
        check(&FUNCTION, &["TIME 10:00", "'yyyy'"], "!");
    }
}
