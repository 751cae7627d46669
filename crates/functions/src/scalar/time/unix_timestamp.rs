//! `UNIX_TIMESTAMP`.

use arrow::array::{ArrayRef, Int64Array, TimestampMillisecondArray};
use types::Result;

use crate::{
    FunctionDoc, RowErrors, ambient,
    overload::Param::{BigInt, Timestamp},
    scalar::definition::{Call, Overload, Scalar},
};

/// See its words.
pub static FUNCTION: Scalar = Scalar {
    doc: &FunctionDoc {
        name: "UNIX_TIMESTAMP",
        aliases: &[],
        category: "DATE / TIME",
        signatures: &["UNIX_TIMESTAMP()", "UNIX_TIMESTAMP(timestamp)"],
        description: "Milliseconds from 1970-01-01T00:00Z to the timestamp, or to now.",
        examples: &[("UNIX_TIMESTAMP(CAST('2018-05-11T21:58:33' AS TIMESTAMP))", "1526075913000")],
    },
    overloads: &[Overload::new(&[], BigInt, now), Overload::new(&[Timestamp], BigInt, of_timestamp)],
    deterministic: false,
};

fn now(call: &Call<'_>, _: &mut RowErrors) -> Result<ArrayRef> {
    let now = ambient::now_ms();
    call.rows::<Int64Array, _>(|_| Some(now))
}

fn of_timestamp(call: &Call<'_>, _: &mut RowErrors) -> Result<ArrayRef> {
    let timestamps = call.view::<TimestampMillisecondArray>(0)?;
    call.rows::<Int64Array, _>(|row| timestamps.get(row))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scalar::testing::check;

    #[test]
    fn values() {
        check(&FUNCTION, &["TIMESTAMP 2018-05-11T21:58:33"], "1526075913000");
        check(&FUNCTION, &["TIMESTAMP NULL"], "NULL");
    }
}
