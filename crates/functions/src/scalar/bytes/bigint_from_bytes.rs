//! `BIGINT_FROM_BYTES`.

use arrow::array::Int64Array;

use super::numbers::read;
use crate::{
    FunctionDoc,
    overload::Param::{BigInt, Bytes, String},
    scalar::definition::{Overload, Scalar},
};

/// See its words.
pub static FUNCTION: Scalar = Scalar {
    doc: &FunctionDoc {
        name: "BIGINT_FROM_BYTES",
        aliases: &[],
        category: "BYTES",
        signatures: &["BIGINT_FROM_BYTES(bytes[, byte_order])"],
        description: "The BIGINT that 8 bytes stand for, in the order BIG_ENDIAN (if none is said) or LITTLE_ENDIAN. \
                      NULL for another number of bytes or another order.",
        examples: &[("BIGINT_FROM_BYTES(TO_BYTES('000000012a05f200', 'hex'))", "5000000000")],
    },
    overloads: &[
        Overload::new(&[Bytes], BigInt, |call, _| read::<Int64Array, _, 8>(call, i64::from_be_bytes)),
        Overload::new(&[Bytes, String], BigInt, |call, _| read::<Int64Array, _, 8>(call, i64::from_be_bytes)),
    ],
    deterministic: true,
};

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scalar::testing::check;

    #[test]
    fn values() {
        check(&FUNCTION, &["b'AAAAASoF8gA='"], "5000000000");
        check(&FUNCTION, &["b'APIFKgEAAAA='", "'LITTLE_ENDIAN'"], "5000000000");
        check(&FUNCTION, &["b'APIFKgEAAAA='", "NULL"], "NULL");
    }
}
