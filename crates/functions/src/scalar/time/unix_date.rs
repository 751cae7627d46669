//! `UNIX_DATE`.

use arrow::array::{ArrayRef, Date32Array, Int32Array};
use types::Result;

use crate::{
    FunctionDoc, RowErrors, ambient,
    calendar::split_timestamp,
    overload::Param::{Date, Int},
    scalar::definition::{Call, Overload, Scalar},
};

/// See its words.
pub static FUNCTION: Scalar = Scalar {
    doc: &FunctionDoc {
        name: "UNIX_DATE",
        aliases: &[],
        category: "DATE / TIME",
        signatures: &["UNIX_DATE()", "UNIX_DATE(date)"],
        description: "Days from 1970-01-01 to the date, or to today in UTC.",
        examples: &[("UNIX_DATE(CAST('2018-05-11' AS DATE))", "17662")],
    },
    overloads: &[Overload::new(&[], Int, today), Overload::new(&[Date], Int, of_date)],
    deterministic: false,
};

fn today(call: &Call<'_>, _: &mut RowErrors) -> Result<ArrayRef> {
    let (days, _) = split_timestamp(ambient::now_ms());
    call.rows::<Int32Array, _>(|_| i32::try_from(days).ok())
}

fn of_date(call: &Call<'_>, _: &mut RowErrors) -> Result<ArrayRef> {
    let dates = call.view::<Date32Array>(0)?;
    call.rows::<Int32Array, _>(|row| dates.get(row))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scalar::testing::check;

    #[test]
    fn values() {
        check(&FUNCTION, &["DATE 2018-05-11"], "17662");
        check(&FUNCTION, &["DATE NULL"], "NULL");
    }
}
