//! `INT_FROM_BYTES`.

use arrow::array::Int32Array;

use super::numbers::read;
use crate::{
    FunctionDoc,
    overload::Param::{Bytes, Int, String},
    scalar::definition::{Overload, Scalar},
};

/// See its words.
pub static FUNCTION: Scalar = Scalar {
    doc: &FunctionDoc {
        name: "INT_FROM_BYTES",
        aliases: &[],
        category: "BYTES",
        signatures: &["INT_FROM_BYTES(bytes[, byte_order])"],
        description: "The INTEGER that 4 bytes stand for, in the order BIG_ENDIAN (if none is said) or LITTLE_ENDIAN. \
                      NULL for another number of bytes or another order.",
        examples: &[("INT_FROM_BYTES(TO_BYTES('000007e5', 'hex'))", "2021")],
    },
    overloads: &[
        Overload::new(&[Bytes], Int, |call, _| read::<Int32Array, _, 4>(call, i32::from_be_bytes)),
        Overload::new(&[Bytes, String], Int, |call, _| read::<Int32Array, _, 4>(call, i32::from_be_bytes)),
    ],
    deterministic: true,
};

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scalar::testing::check;

    #[test]
    fn values() {
        check(&FUNCTION, &["b'AAAH5Q=='"], "2021");
        check(&FUNCTION, &["b'5QcAAA=='", "'LITTLE_ENDIAN'"], "2021");
        check(&FUNCTION, &["b'5QcAAA=='", "'MIDDLE'"], "NULL");
        check(&FUNCTION, &["b'5Qc='"], "NULL");
    }
}
