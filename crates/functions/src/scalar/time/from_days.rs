//! `FROM_DAYS`.

use arrow::array::{ArrayRef, Date32Array, Int32Array};
use types::Result;

use crate::{
    FunctionDoc, RowErrors,
    overload::Param::{Date, Int},
    scalar::definition::{Call, Overload, Scalar},
};

/// See its words.
pub static FUNCTION: Scalar = Scalar {
    doc: &FunctionDoc {
        name: "FROM_DAYS",
        aliases: &[],
        category: "DATE / TIME",
        signatures: &["FROM_DAYS(days)"],
        description: "The DATE that is so many days after 1970-01-01.",
        examples: &[("FROM_DAYS(17662)", "2018-05-11")],
    },
    overloads: &[Overload::new(&[Int], Date, eval)],
    deterministic: true,
};

fn eval(call: &Call<'_>, _: &mut RowErrors) -> Result<ArrayRef> {
    let days = call.view::<Int32Array>(0)?;
    call.rows::<Date32Array, _>(|row| days.get(row))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scalar::testing::check;

    #[test]
    fn values() {
        check(&FUNCTION, &["10"], "1970-01-11");
        check(&FUNCTION, &["-10"], "1969-12-22");
        check(&FUNCTION, &["NULL"], "NULL");
    }
}
