//! `TANH`.

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
        name: "TANH",
        aliases: &[],
        category: "MATHEMATICAL",
        signatures: &["TANH(angle)"],
        description: "The hyperbolic tangent of an angle in radians.",
        examples: &[("TANH(0)", "0.0")],
    },
    overloads: &[Overload::new(&[Double], Double, eval)],
    deterministic: true,
};

fn eval(call: &Call<'_>, _: &mut RowErrors) -> Result<ArrayRef> {
    map_doubles(call, f64::tanh)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scalar::testing::check;

    #[test]
    fn values() {
        check(&FUNCTION, &["0"], "0.0");
    }
}
