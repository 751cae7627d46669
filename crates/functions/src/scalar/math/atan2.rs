//! `ATAN2`.

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
        name: "ATAN2",
        aliases: &[],
        category: "MATHEMATICAL",
        signatures: &["ATAN2(y, x)"],
        description: "The angle, in radians, of the point (x, y) seen from the origin: the inverse tangent of y / x in \
                      the right quadrant.",
        examples: &[("ATAN2(0, 1)", "0.0")],
    },
    overloads: &[Overload::new(&[Double, Double], Double, eval)],
    deterministic: true,
};

fn eval(call: &Call<'_>, _: &mut RowErrors) -> Result<ArrayRef> {
    map_double_pairs(call, f64::atan2)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scalar::testing::check;

    #[test]
    fn values() {
        check(&FUNCTION, &["0", "1"], "0.0");
        check(&FUNCTION, &["1", "0"], "1.5707963267948966");
        check(&FUNCTION, &["1", "NULL"], "NULL");
    }
}
