//! `POWER`.

use arrow::array::ArrayRef;
use types::Result;

use super::map_double_pairs;
use crate::{
    FunctionDoc, RowErrors,
    overload::Param::Double,
    scalar::definition::{Call, Overload, Scalar},
};

/// See its words.
pub static FUNCTION: Scalar = Scalar {
    doc: &FunctionDoc {
        name: "POWER",
        aliases: &[],
        category: "MATHEMATICAL",
        signatures: &["POWER(base, exponent)"],
        description: "The base raised to the power of the exponent; Infinity beyond what a DOUBLE holds.",
        examples: &[("POWER(2, 10)", "1024.0")],
    },
    overloads: &[Overload::new(&[Double, Double], Double, eval)],
    deterministic: true,
};

fn eval(call: &Call<'_>, _: &mut RowErrors) -> Result<ArrayRef> {
    map_double_pairs(call, f64::powf)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scalar::testing::check;

    #[test]
    fn values() {
        check(&FUNCTION, &["15", "-1"], "0.06666666666666667");
        check(&FUNCTION, &["0", "0"], "1.0");
        check(&FUNCTION, &["-15", "2"], "225.0");
    }
}
