//! `TIMESUB`.

use super::interval::{Direction, times};
use crate::{
    FunctionDoc,
    overload::Param::{Int, Time, Unit},
    scalar::definition::{Overload, Scalar},
};

/// See its words.
pub static FUNCTION: Scalar = Scalar {
    doc: &FunctionDoc {
        name: "TIMESUB",
        aliases: &[],
        category: "DATE / TIME",
        signatures: &["TIMESUB(unit, count, time)"],
        description: "The time that many units earlier. Units are DAYS, HOURS, MINUTES, SECONDS and MILLISECONDS; a \
                      negative number goes the other way. Midnight is passed.",
        examples: &[("TIMESUB(MINUTES, 45, CAST('00:15:00' AS TIME))", "23:30")],
    },
    overloads: &[Overload::new(&[Unit, Int, Time], Time, |call, errors| times(call, errors, Direction::Backward))],
    deterministic: true,
};

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scalar::testing::check;

    #[test]
    fn values() {
        check(&FUNCTION, &["MILLISECONDS", "10", "TIME 00:00:00.005"], "23:59:59.995");
        check(&FUNCTION, &["MILLISECONDS", "-5", "TIME 23:59:59.997"], "00:00:00.002");
    }
}
