//! `FORMAT_DATE`.

use arrow::array::{ArrayRef, Date32Array};
use types::Result;

use super::text::format;
use crate::{
    FunctionDoc, RowErrors,
    javatime::Moment,
    overload::Param::{Date, String},
    scalar::definition::{Call, Overload, Scalar},
};

/// See its words.
pub static FUNCTION: Scalar = Scalar {
    doc: &FunctionDoc {
        name: "FORMAT_DATE",
        aliases: &[],
        category: "DATE / TIME",
        signatures: &["FORMAT_DATE(date, pattern)"],
        description: "The date as text. The pattern is one of Java's DateTimeFormatter; quotes in it are written \
                      twice. One that asks for a time is an error.",
        examples: &[("FORMAT_DATE(CAST('2020-01-31' AS DATE), 'dd-MMM-yyyy')", "31-Jan-2020")],
    },
    overloads: &[Overload::new(&[Date, String], String, eval)],
    deterministic: true,
};

fn eval(call: &Call<'_>, errors: &mut RowErrors) -> Result<ArrayRef> {
    format::<Date32Array>(call, errors, |days, _| Moment::date(i64::from(days)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scalar::testing::check;

    #[test]
    fn values() {
        check(&FUNCTION, &["DATE 2022-01-01", "'dd-MMM-yyyy'"], "01-Jan-2022");
        check(&FUNCTION, &["DATE 1969-12-31", "'dd-MM-yyyy\'Sophia\''"], "31-12-1969Sophia");
        check(&FUNCTION, &["DATE 1969-12-31", "'HH'"], "!");
        check(&FUNCTION, &["NULL", "'yyyy'"], "NULL");
        check(&FUNCTION, &["DATE 2022-01-01", "NULL"], "NULL");
    }
}
