//! `LN`.

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
        name: "LN",
        aliases: &[],
        category: "MATHEMATICAL",
        signatures: &["LN(value)"],
        description: "The natural logarithm: -Infinity for 0, NaN for what is negative.",
        examples: &[("LN(1)", "0.0")],
    },
    overloads: &[Overload::new(&[Double], Double, eval)],
    deterministic: true,
};

fn eval(call: &Call<'_>, _: &mut RowErrors) -> Result<ArrayRef> {
    map_doubles(call, f64::ln)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scalar::testing::check;

    #[test]
    fn values() {
        check(&FUNCTION, &["1"], "0.0");
        check(&FUNCTION, &["0"], "-Infinity");
        check(&FUNCTION, &["-1"], "NaN");
    }
}
