//! `LPAD`.

use super::pad::{self, Side};
use crate::{
    FunctionDoc,
    overload::Param::{Bytes, Int, String},
    scalar::definition::{Overload, Scalar},
};

/// See its words.
pub static FUNCTION: Scalar = Scalar {
    doc: &FunctionDoc {
        name: "LPAD",
        aliases: &[],
        category: "STRING",
        signatures: &["LPAD(text, length, padding)", "LPAD(bytes, length, padding)"],
        description: "The text or bytes with the padding repeated before it until it has that length; cut at the end \
                      if it is longer. NULL if the padding is empty or the length negative.",
        examples: &[("LPAD('123', 5, '0')", "00123"), ("LPAD('Foo', 2, 'Bar')", "Fo")],
    },
    overloads: &[
        Overload::new(&[String, Int, String], String, |call, errors| pad::texts(call, errors, Side::Left)),
        Overload::new(&[Bytes, Int, Bytes], Bytes, |call, errors| pad::bytes(call, errors, Side::Left)),
    ],
    deterministic: true,
};

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scalar::testing::check;

    #[test]
    fn values() {
        check(&FUNCTION, &["'foo'", "7", "'Bar'"], "BarBfoo");
        check(&FUNCTION, &["'foo'", "2", "'Bar'"], "fo");
        check(&FUNCTION, &["'foo'", "-1", "'Bar'"], "NULL");
        check(&FUNCTION, &["'foo'", "7", "''"], "NULL");
        check(&FUNCTION, &["''", "7", "'Bar'"], "BarBarB");
        check(&FUNCTION, &["''", "2147483647", "'Bar'"], "!");
        check(&FUNCTION, &["STRING NULL", "7", "'Bar'"], "NULL");
    }
}
