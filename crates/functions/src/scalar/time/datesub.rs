//! `DATESUB`.

use super::interval::{Direction, dates};
use crate::{
    FunctionDoc,
    overload::Param::{Date, Int, Unit},
    scalar::definition::{Overload, Scalar},
};

/// See its words.
pub static FUNCTION: Scalar = Scalar {
    doc: &FunctionDoc {
        name: "DATESUB",
        aliases: &[],
        category: "DATE / TIME",
        signatures: &["DATESUB(unit, count, date)"],
        description: "The date that many units earlier. Units are DAYS, HOURS, MINUTES, SECONDS and MILLISECONDS; a \
                      negative number goes the other way. What is left beside whole days is dropped.",
        examples: &[("DATESUB(DAYS, 10, CAST('2020-02-10' AS DATE))", "2020-01-31")],
    },
    overloads: &[Overload::new(&[Unit, Int, Date], Date, |call, errors| dates(call, errors, Direction::Backward))],
    deterministic: true,
};

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scalar::testing::check;

    #[test]
    fn values() {
        check(&FUNCTION, &["DAYS", "10", "DATE 1970-01-06"], "1969-12-27");
        check(&FUNCTION, &["DAYS", "-5", "DATE 1970-01-06"], "1970-01-11");
        check(&FUNCTION, &["MILLISECONDS", "5", "NULL"], "NULL");
    }
}
