//! `FROM_UNIXTIME`.

use arrow::array::{ArrayRef, Int64Array, TimestampMillisecondArray};
use types::Result;

use crate::{
    FunctionDoc, RowErrors,
    overload::Param::{BigInt, Timestamp},
    scalar::definition::{Call, Overload, Scalar},
};

/// See its words.
pub static FUNCTION: Scalar = Scalar {
    doc: &FunctionDoc {
        name: "FROM_UNIXTIME",
        aliases: &[],
        category: "DATE / TIME",
        signatures: &["FROM_UNIXTIME(milliseconds)"],
        description: "The TIMESTAMP that is so many milliseconds after 1970-01-01T00:00Z.",
        examples: &[("FROM_UNIXTIME(1526075913000)", "2018-05-11T21:58:33.000")],
    },
    overloads: &[Overload::new(&[BigInt], Timestamp, eval)],
    deterministic: true,
};

fn eval(call: &Call<'_>, _: &mut RowErrors) -> Result<ArrayRef> {
    let milliseconds = call.view::<Int64Array>(0)?;
    call.rows::<TimestampMillisecondArray, _>(|row| milliseconds.get(row))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scalar::testing::check;

    #[test]
    fn values() {
        check(&FUNCTION, &["100"], "1970-01-01T00:00:00.100");
        check(&FUNCTION, &["NULL"], "NULL");
    }
}
