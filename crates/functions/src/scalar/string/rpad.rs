//! `RPAD`.

use super::pad::{self, Side};
use crate::{
    FunctionDoc,
    overload::Param::{Bytes, Int, String},
    scalar::definition::{Overload, Scalar},
};

/// See its words.
pub static FUNCTION: Scalar = Scalar {
    doc: &FunctionDoc {
        name: "RPAD",
        aliases: &[],
        category: "STRING",
        signatures: &["RPAD(text, length, padding)", "RPAD(bytes, length, padding)"],
        description: "The text or bytes with the padding repeated after it until it has that length; cut at the end if \
                      it is longer. NULL if the padding is empty or the length negative.",
        examples: &[("RPAD('Foo', 7, 'Bar')", "FooBarB"), ("RPAD('Foo', 2, 'Bar')", "Fo")],
    },
    overloads: &[
        Overload::new(&[String, Int, String], String, |call, errors| pad::texts(call, errors, Side::Right)),
        Overload::new(&[Bytes, Int, Bytes], Bytes, |call, errors| pad::bytes(call, errors, Side::Right)),
    ],
    deterministic: true,
};

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scalar::testing::check;

    #[test]
    fn values() {
        check(&FUNCTION, &["'foo'", "5", "'Bar'"], "fooBa");
        check(&FUNCTION, &["b'eWVz'", "8", "b'bm8='"], "eWVzbm9ub24=");
        check(&FUNCTION, &["b'eWVz'", "0", "b'bm8='"], "");
        check(&FUNCTION, &["b'eWVz'", "2", "b'bm8='"], "eWU=");
        check(&FUNCTION, &["b'eWVz'", "3", "b''"], "NULL");
    }
}
