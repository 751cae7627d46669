//! `MASK_KEEP_LEFT`.

use super::masking::{self, Part};
use crate::{
    FunctionDoc,
    overload::Param::{Int, String},
    scalar::definition::{Overload, Scalar},
};

/// See its words.
pub static FUNCTION: Scalar = Scalar {
    doc: &FunctionDoc {
        name: "MASK_KEEP_LEFT",
        aliases: &[],
        category: "STRING",
        signatures: &["MASK_KEEP_LEFT(text, count)", "MASK_KEEP_LEFT(text, count, upper, lower, digit, other)"],
        description: "As MASK, but the first characters, as many as said, stay. A negative number of them is an error.",
        examples: &[("MASK_KEEP_LEFT('My Test $123', 4)", "My Txxx--nnn")],
    },
    overloads: &[
        Overload::new(&[String, Int], String, |call, errors| masking::eval(call, errors, Part::AllButLeft)),
        Overload::new(&[String, Int, String, String, String, String], String, |call, errors| {
            masking::eval(call, errors, Part::AllButLeft)
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
        check(&FUNCTION, &["'My Test $123'", "4"], "My Txxx--nnn");
        check(&FUNCTION, &["'ab'", "5"], "ab");
        check(&FUNCTION, &["'ab'", "-1"], "!");
        check(&FUNCTION, &["'ab'", "NULL"], "NULL");
    }
}
