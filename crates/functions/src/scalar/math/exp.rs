//! `EXP`.

use arrow::array::ArrayRef;
use types::Result;

use super::map_doubles;
use crate::{
    FunctionDoc, RowErrors,
    overload::Param::Double,
    scalar::definition::{Call, Overload, Scalar},
};

/// See its words.
pub static FUNCTION: Scalar = Scalar {
    doc: &FunctionDoc {
        name: "EXP",
        aliases: &[],
        category: "MATHEMATICAL",
        signatures: &["EXP(exponent)"],
        description: "e raised to the power of the argument.",
        examples: &[("EXP(0)", "1.0")],
    },
    overloads: &[Overload::new(&[Double], Double, eval)],
    deterministic: true,
};

fn eval(call: &Call<'_>, _: &mut RowErrors) -> Result<ArrayRef> {
    map_doubles(call, f64::exp)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scalar::testing::check;

    #[test]
    fn values() {
        check(&FUNCTION, &["0"], "1.0");
        check(&FUNCTION, &["1"], "2.718281828459045");
    }
}
