//! `SQRT`.

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
        name: "SQRT",
        aliases: &[],
        category: "MATHEMATICAL",
        signatures: &["SQRT(value)"],
        description: "The square root; NaN for what is negative.",
        examples: &[("SQRT(9)", "3.0")],
    },
    overloads: &[Overload::new(&[Double], Double, eval)],
    deterministic: true,
};

fn eval(call: &Call<'_>, _: &mut RowErrors) -> Result<ArrayRef> {
    map_doubles(call, f64::sqrt)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scalar::testing::check;

    #[test]
    fn values() {
        check(&FUNCTION, &["2L"], "1.4142135623730951");
        check(&FUNCTION, &["-1"], "NaN");
        check(&FUNCTION, &["3e0"], "1.7320508075688772");
    }
}
