//! `TIMESTAMPADD`.

use super::interval::{Direction, timestamps};
use crate::{
    FunctionDoc,
    overload::Param::{Int, Timestamp, Unit},
    scalar::definition::{Overload, Scalar},
};

/// See its words.
pub static FUNCTION: Scalar = Scalar {
    doc: &FunctionDoc {
        name: "TIMESTAMPADD",
        aliases: &[],
        category: "DATE / TIME",
        signatures: &["TIMESTAMPADD(unit, count, timestamp)"],
        description: "The timestamp that many units later. Units are DAYS, HOURS, MINUTES, SECONDS and MILLISECONDS; a \
                      negative number goes the other way.",
        examples: &[("TIMESTAMPADD(HOURS, 2, FROM_UNIXTIME(0))", "1970-01-01T02:00:00.000")],
    },
    overloads: &[Overload::new(&[Unit, Int, Timestamp], Timestamp, |call, errors| {
        timestamps(call, errors, Direction::Forward)
    })],
    deterministic: true,
};

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scalar::testing::check;

    #[test]
    fn values() {
        check(&FUNCTION, &["MILLISECONDS", "-5", "TIMESTAMP 1970-01-01T00:00:00.002"], "1969-12-31T23:59:59.997");
        check(&FUNCTION, &["DAYS", "1", "NULL"], "NULL");
    }
}
