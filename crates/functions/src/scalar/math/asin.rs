//! `ASIN`.

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
        name: "ASIN",
        aliases: &[],
        category: "MATHEMATICAL",
        signatures: &["ASIN(value)"],
        description: "The inverse sine, in radians; NaN outside of -1 to 1.",
        examples: &[("ASIN(0)", "0.0")],
    },
    overloads: &[Overload::new(&[Double], Double, eval)],
    deterministic: true,
};

fn eval(call: &Call<'_>, _: &mut RowErrors) -> Result<ArrayRef> {
    map_doubles(call, f64::asin)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scalar::testing::check;

    #[test]
    fn values() {
        check(&FUNCTION, &["0"], "0.0");
        check(&FUNCTION, &["-6L"], "NaN");
        check(&FUNCTION, &["1.1e0"], "NaN");
    }
}
