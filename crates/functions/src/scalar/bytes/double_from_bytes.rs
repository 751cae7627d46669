//! `DOUBLE_FROM_BYTES`.

use arrow::array::Float64Array;

use super::numbers::read;
use crate::{
    FunctionDoc,
    overload::Param::{Bytes, Double, String},
    scalar::definition::{Overload, Scalar},
};

/// See its words.
pub static FUNCTION: Scalar = Scalar {
    doc: &FunctionDoc {
        name: "DOUBLE_FROM_BYTES",
        aliases: &[],
        category: "BYTES",
        signatures: &["DOUBLE_FROM_BYTES(bytes[, byte_order])"],
        description: "The DOUBLE that 8 bytes stand for, in the order BIG_ENDIAN (if none is said) or LITTLE_ENDIAN. \
                      NULL for another number of bytes or another order.",
        examples: &[("DOUBLE_FROM_BYTES(TO_BYTES('3ff8000000000000', 'hex'))", "1.5")],
    },
    overloads: &[
        Overload::new(&[Bytes], Double, |call, _| read::<Float64Array, _, 8>(call, f64::from_be_bytes)),
        Overload::new(&[Bytes, String], Double, |call, _| read::<Float64Array, _, 8>(call, f64::from_be_bytes)),
    ],
    deterministic: true,
};

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scalar::testing::check;

    #[test]
    fn values() {
        check(&FUNCTION, &["b'QICm/ZvJ9YI='"], "532.8738323");
        check(&FUNCTION, &["b'gvXJm/2mgEA='", "'LITTLE_ENDIAN'"], "532.8738323");
        check(&FUNCTION, &["BYTES NULL"], "NULL");
    }
}
