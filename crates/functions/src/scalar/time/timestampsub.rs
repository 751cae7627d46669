//! `TIMESTAMPSUB`.

use super::interval::{Direction, timestamps};
use crate::{
    FunctionDoc,
    overload::Param::{Int, Timestamp, Unit},
    scalar::definition::{Overload, Scalar},
};

/// See its words.
pub static FUNCTION: Scalar = Scalar {
    doc: &FunctionDoc {
        name: "TIMESTAMPSUB",
        aliases: &[],
        category: "DATE / TIME",
        signatures: &["TIMESTAMPSUB(unit, count, timestamp)"],
        description: "The timestamp that many units earlier. Units are DAYS, HOURS, MINUTES, SECONDS and MILLISECONDS; \
                      a negative number goes the other way.",
        examples: &[("TIMESTAMPSUB(HOURS, 2, FROM_UNIXTIME(7200000))", "1970-01-01T00:00:00.000")],
    },
    overloads: &[Overload::new(&[Unit, Int, Timestamp], Timestamp, |call, errors| {
        timestamps(call, errors, Direction::Backward)
    })],
    deterministic: true,
};

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scalar::testing::check;

    #[test]
    fn values() {
        check(&FUNCTION, &["SECONDS", "5", "TIMESTAMP 1970-01-01"], "1969-12-31T23:59:55.000");
        check(&FUNCTION, &["DAYS", "NULL", "TIMESTAMP 1970-01-01"], "NULL");
    }
}
