//! `MASK`.

use super::masking::{self, Part};
use crate::{
    FunctionDoc,
    overload::Param::String,
    scalar::definition::{Overload, Scalar},
};

/// See its words.
pub static FUNCTION: Scalar = Scalar {
    doc: &FunctionDoc {
        name: "MASK",
        aliases: &[],
        category: "STRING",
        signatures: &["MASK(text)", "MASK(text, upper, lower, digit, other)"],
        description: "Upper-case letters, lower-case letters, digits and all other characters of the text replaced by \
                      'X', 'x', 'n' and '-', or by the characters given; NULL instead of one of those lets that kind \
                      stand.",
        examples: &[("MASK('My Test $123')", "Xx-Xxxx--nnn")],
    },
    overloads: &[
        Overload::new(&[String], String, |call, errors| masking::eval(call, errors, Part::All)),
        Overload::new(&[String, String, String, String, String], String, |call, errors| {
            masking::eval(call, errors, Part::All)
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
        check(&FUNCTION, &["'My Test $123'"], "Xx-Xxxx--nnn");
        check(&FUNCTION, &["'My Test $123'", "'*'", "NULL", "'1'", "NULL"], "*y *est $111");
        check(&FUNCTION, &["STRING NULL"], "NULL");
        check(&FUNCTION, &["'a'", "''", "''", "''", "''"], "!");
    }
}
