//! `FLOOR`.

use super::{ceil::decimals, map_doubles, places::Mode, round::integer};
use crate::{
    FunctionDoc,
    overload::Param::{BigInt, Decimal, Double, Int},
    scalar::definition::{Overload, Scalar},
};

/// See its words.
pub static FUNCTION: Scalar = Scalar {
    doc: &FunctionDoc {
        name: "FLOOR",
        aliases: &[],
        category: "MATHEMATICAL",
        signatures: &["FLOOR(number)"],
        description: "The largest whole number that is not greater, of the same type as the argument.",
        examples: &[("FLOOR(2.90)", "2.00"), ("FLOOR(-2.1e0)", "-3.0")],
    },
    overloads: &[
        Overload::new(&[Int], Int, integer),
        Overload::new(&[BigInt], BigInt, integer),
        Overload::new(&[Decimal], Decimal, |call, errors| decimals(call, errors, Mode::Floor)),
        Overload::new(&[Double], Double, |call, _| map_doubles(call, f64::floor)),
    ],
    deterministic: true,
};

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scalar::testing::check;

    #[test]
    fn values() {
        check(&FUNCTION, &["5L"], "5");
        check(&FUNCTION, &["1.99"], "1.00");
        check(&FUNCTION, &["-1.01"], "-2.00");
        check(&FUNCTION, &["-9.01"], "!");
    }
}
