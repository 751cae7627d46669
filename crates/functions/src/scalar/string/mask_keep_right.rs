//! `MASK_KEEP_RIGHT`.

use super::masking::{self, Part};
use crate::{
    FunctionDoc,
    overload::Param::{Int, String},
    scalar::definition::{Overload, Scalar},
};

/// See its words.
pub static FUNCTION: Scalar = Scalar {
    doc: &FunctionDoc {
        name: "MASK_KEEP_RIGHT",
        aliases: &[],
        category: "STRING",
        signatures: &["MASK_KEEP_RIGHT(text, count)", "MASK_KEEP_RIGHT(text, count, upper, lower, digit, other)"],
        description: "As MASK, but the last characters, as many as said, stay. A negative number of them is an error.",
        examples: &[("MASK_KEEP_RIGHT('My Test $123', 4)", "Xx-Xxxx-$123")],
    },
    overloads: &[
        Overload::new(&[String, Int], String, |call, errors| masking::eval(call, errors, Part::AllButRight)),
        Overload::new(&[String, Int, String, String, String, String], String, |call, errors| {
            masking::eval(call, errors, Part::AllButRight)
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
        check(&FUNCTION, &["'My Test $123'", "4"], "Xx-Xxxx-$123");
        check(&FUNCTION, &["'ab'", "5"], "ab");
    }
}
