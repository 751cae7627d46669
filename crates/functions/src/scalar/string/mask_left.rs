//! `MASK_LEFT`.

use super::masking::{self, Part};
use crate::{
    FunctionDoc,
    overload::Param::{Int, String},
    scalar::definition::{Overload, Scalar},
};

/// See its words.
pub static FUNCTION: Scalar = Scalar {
    doc: &FunctionDoc {
        name: "MASK_LEFT",
        aliases: &[],
        category: "STRING",
        signatures: &["MASK_LEFT(text, count)", "MASK_LEFT(text, count, upper, lower, digit, other)"],
        description: "As MASK, but for the first characters only, as many as said. A negative number of them is an \
                      error.",
        examples: &[("MASK_LEFT('My Test $123', 4)", "Xx-Xest $123")],
    },
    overloads: &[
        Overload::new(&[String, Int], String, |call, errors| masking::eval(call, errors, Part::Left)),
        Overload::new(&[String, Int, String, String, String, String], String, |call, errors| {
            masking::eval(call, errors, Part::Left)
        }),
    ],
    deterministic: true,
};

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scalar::testing::check;

    #[test]
    fn values() {
        check(&FUNCTION, &["'My Test $123'", "4"], "Xx-Xest $123");
        check(&FUNCTION, &["'ab'", "5"], "xx");
    }
}
