//! `DATETOSTRING`.

use arrow::array::{ArrayRef, Int32Array};
use types::Result;

use super::text::format;
use crate::{
    FunctionDoc, RowErrors,
    javatime::Moment,
    overload::Param::{Int, String},
    scalar::definition::{Call, Overload, Scalar},
};

/// See its words.
pub static FUNCTION: Scalar = Scalar {
    doc: &FunctionDoc {
        name: "DATETOSTRING",
        aliases: &[],
        category: "DATE / TIME",
        signatures: &["DATETOSTRING(days, pattern)"],
        description: "The date that is so many days after 1970-01-01 as text. The pattern is one of Java's \
                      DateTimeFormatter; quotes in it are written twice. FORMAT_DATE does the same for a DATE.",
        examples: &[("DATETOSTRING(17662, 'yyyy-MM-dd')", "2018-05-11")],
    },
    overloads: &[Overload::new(&[Int, String], String, eval)],
    deterministic: true,
};

fn eval(call: &Call<'_>, errors: &mut RowErrors) -> Result<ArrayRef> {
    format::<Int32Array>(call, errors, |days, _| Moment::date(i64::from(days)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scalar::testing::check;

    #[test]
    fn values() {
        check(&FUNCTION, &["17662", "'yyyy-MM-dd'"], "2018-05-11");
        check(&FUNCTION, &["-1", "'dd-MM-yyyy'"], "31-12-1969");
        check(&FUNCTION, &["NULL", "'dd'"], "NULL");
    }
}
