//! `MASK_RIGHT`.

use super::masking::{self, Part};
use crate::{
    FunctionDoc,
    overload::Param::{Int, String},
    scalar::definition::{Overload, Scalar},
};

/// See its words.
pub static FUNCTION: Scalar = Scalar {
    doc: &FunctionDoc {
        name: "MASK_RIGHT",
        aliases: &[],
        category: "STRING",
        signatures: &["MASK_RIGHT(text, count)", "MASK_RIGHT(text, count, upper, lower, digit, other)"],
        description: "As MASK, but for the last characters only, as many as said. A negative number of them is an \
                      error.",
        examples: &[("MASK_RIGHT('My Test $123', 4)", "My Test -nnn")],
    },
    overloads: &[
        Overload::new(&[String, Int], String, |call, errors| masking::eval(call, errors, Part::Right)),
        Overload::new(&[String, Int, String, String, String, String], String, |call, errors| {
            masking::eval(call, errors, Part::Right)
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
        check(&FUNCTION, &["'My Test $123'", "4"], "My Test -nnn");
        check(&FUNCTION, &["'ab'", "5"], "xx");
    }
}
