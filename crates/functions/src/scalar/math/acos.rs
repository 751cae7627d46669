//! `ACOS`.

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
        name: "ACOS",
        aliases: &[],
        category: "MATHEMATICAL",
        signatures: &["ACOS(value)"],
        description: "The inverse cosine, in radians; NaN outside of -1 to 1.",
        examples: &[("ACOS(1)", "0.0")],
    },
    overloads: &[Overload::new(&[Double], Double, eval)],
    deterministic: true,
};

fn eval(call: &Call<'_>, _: &mut RowErrors) -> Result<ArrayRef> {
    map_doubles(call, f64::acos)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scalar::testing::check;

    #[test]
    fn values() {
        check(&FUNCTION, &["1"], "0.0");
        check(&FUNCTION, &["2"], "NaN");
    }
}
