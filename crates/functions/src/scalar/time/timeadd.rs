//! `TIMEADD`.

use super::interval::{Direction, times};
use crate::{
    FunctionDoc,
    overload::Param::{Int, Time, Unit},
    scalar::definition::{Overload, Scalar},
};

/// See its words.
pub static FUNCTION: Scalar = Scalar {
    doc: &FunctionDoc {
        name: "TIMEADD",
        aliases: &[],
        category: "DATE / TIME",
        signatures: &["TIMEADD(unit, count, time)"],
        description: "The time that many units later. Units are DAYS, HOURS, MINUTES, SECONDS and MILLISECONDS; a \
                      negative number goes the other way. Midnight is passed.",
        examples: &[("TIMEADD(MINUTES, 45, CAST('23:30:00' AS TIME))", "00:15")],
    },
    overloads: &[Overload::new(&[Unit, Int, Time], Time, |call, errors| times(call, errors, Direction::Forward))],
    deterministic: true,
};

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scalar::testing::check;

    #[test]
    fn values() {
        check(&FUNCTION, &["MILLISECONDS", "10", "TIME 23:59:59.995"], "00:00:00.005");
        check(&FUNCTION, &["HOURS", "-1", "TIME 00:30"], "23:30");
        check(&FUNCTION, &["DAYS", "1", "TIME 00:30"], "00:30");
        check(&FUNCTION, &["HOURS", "NULL", "TIME 00:30"], "NULL");
    }
}
