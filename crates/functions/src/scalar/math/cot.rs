//! `COT`.

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
        name: "COT",
        aliases: &[],
        category: "MATHEMATICAL",
        signatures: &["COT(angle)"],
        description: "The cotangent of an angle in radians: large near the multiples of pi, Infinity at 0.",
        examples: &[("COT(0)", "Infinity")],
    },
    overloads: &[Overload::new(&[Double], Double, eval)],
    deterministic: true,
};

fn eval(call: &Call<'_>, _: &mut RowErrors) -> Result<ArrayRef> {
    map_doubles(call, |angle| 1.0 / angle.tan())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scalar::testing::check;

    #[test]
    fn values() {
        check(&FUNCTION, &["0"], "Infinity");
        check(&FUNCTION, &["NULL"], "NULL");
    }
}
