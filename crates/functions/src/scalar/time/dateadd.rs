//! `DATEADD`.

use super::interval::{Direction, dates};
use crate::{
    FunctionDoc,
    overload::Param::{Date, Int, Unit},
    scalar::definition::{Overload, Scalar},
};

/// See its words.
pub static FUNCTION: Scalar = Scalar {
    doc: &FunctionDoc {
        name: "DATEADD",
        aliases: &[],
        category: "DATE / TIME",
        signatures: &["DATEADD(unit, count, date)"],
        description: "The date that many units later. Units are DAYS, HOURS, MINUTES, SECONDS and MILLISECONDS; a \
                      negative number goes the other way. What is left beside whole days is dropped.",
        examples: &[("DATEADD(DAYS, 10, CAST('2020-01-31' AS DATE))", "2020-02-10")],
    },
    overloads: &[Overload::new(&[Unit, Int, Date], Date, |call, errors| dates(call, errors, Direction::Forward))],
    deterministic: true,
};

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scalar::testing::check;

    #[test]
    fn values() {
        check(&FUNCTION, &["DAYS", "10", "DATE 2020-01-31"], "2020-02-10");
        check(&FUNCTION, &["HOURS", "25", "DATE 2020-01-31"], "2020-02-01");
        check(&FUNCTION, &["DAYS", "-5", "DATE 1970-01-03"], "1969-12-29");
        check(&FUNCTION, &["DAYS", "NULL", "DATE 1970-01-03"], "NULL");
        check(&FUNCTION, &["DAYS", "2147483647", "DATE 1971-01-03"], "!");
        check(
            &FUNCTION,
            &["YEARS", "1", "DATE 1971-01-03"],
            "error: 'YEARS' is no unit of time: expected DAYS, HOURS, MINUTES, SECONDS or MILLISECONDS",
        );
    }
}
