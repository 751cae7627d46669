//! `SIGN`.

use arrow::array::{ArrayRef, Float64Array, Int32Array};
use types::Result;

use crate::{
    FunctionDoc, RowErrors,
    overload::Param::{Double, Int},
    scalar::definition::{Call, Overload, Scalar},
};

/// See its words.
pub static FUNCTION: Scalar = Scalar {
    doc: &FunctionDoc {
        name: "SIGN",
        aliases: &[],
        category: "MATHEMATICAL",
        signatures: &["SIGN(number)"],
        description: "-1, 0 or 1 for a number that is negative, zero or positive.",
        examples: &[("SIGN(-7)", "-1"), ("SIGN(0.0)", "0")],
    },
    overloads: &[Overload::new(&[Double], Int, eval)],
    deterministic: true,
};

fn eval(call: &Call<'_>, _: &mut RowErrors) -> Result<ArrayRef> {
    let values = call.view::<Float64Array>(0)?;
    call.rows::<Int32Array, _>(|row| values.get(row).map(|v| i32::from(v > 0.0) - i32::from(v < 0.0)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scalar::testing::check;

    #[test]
    fn values() {
        check(&FUNCTION, &["-7"], "-1");
        check(&FUNCTION, &["0e0"], "0");
        check(&FUNCTION, &["0.1"], "1");
        check(&FUNCTION, &["NULL"], "NULL");
    }
}
