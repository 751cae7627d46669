//! `UUID` (RFC 4122).

use arrow::array::{ArrayRef, BinaryArray, StringArray};
use types::Result;

use crate::{
    FunctionDoc, RowErrors, ambient,
    overload::Param::{Bytes, String},
    scalar::{
        bytes::encoding::hex,
        definition::{Call, Overload, Scalar},
    },
};

/// See its words.
pub static FUNCTION: Scalar = Scalar {
    doc: &FunctionDoc {
        name: "UUID",
        aliases: &[],
        category: "STRING",
        signatures: &["UUID()", "UUID(bytes)"],
        description: "A random (version 4) universally unique identifier, another one for each row; or the one that 16 \
                      bytes stand for, NULL for another number of bytes.",
        examples: &[
            ("LEN(UUID())", "36"),
            ("UUID(TO_BYTES('237e9877e79b12d4a765321741963000', 'hex'))", "237e9877-e79b-12d4-a765-321741963000"),
        ],
    },
    overloads: &[Overload::new(&[], String, random), Overload::new(&[Bytes], String, of_bytes)],
    deterministic: false,
};

fn random(call: &Call<'_>, _: &mut RowErrors) -> Result<ArrayRef> {
    call.rows::<StringArray, _>(|_| {
        let bits = (u128::from(ambient::random()) << 64) | u128::from(ambient::random());
        // Version 4, variant 1.
        let bits = (bits & !(0xf << 76) & !(0x3 << 62)) | (0x4 << 76) | (0x2 << 62);
        text(&bits.to_be_bytes())
    })
}

fn of_bytes(call: &Call<'_>, _: &mut RowErrors) -> Result<ArrayRef> {
    let values = call.view::<BinaryArray>(0)?;
    call.rows::<StringArray, _>(|row| text(values.get(row)?))
}

/// Groups of 8, 4, 4, 4 and 12 digits, if there are 16 bytes.
fn text(bytes: &[u8]) -> Option<std::string::String> {
    let groups = [bytes.get(..4)?, bytes.get(4..6)?, bytes.get(6..8)?, bytes.get(8..10)?, bytes.get(10..16)?];
    (bytes.len() == 16).then(|| groups.map(|group| hex(group, false)).join("-"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scalar::testing::check;

    #[test]
    fn values() {
        check(&FUNCTION, &["b'I36Yd+ebEtSnZTIXQZYwAA=='"], "237e9877-e79b-12d4-a765-321741963000");
        check(&FUNCTION, &["b'I36Yd+ebEtQ='"], "NULL");
        check(&FUNCTION, &["BYTES NULL"], "NULL");
    }

    #[test]
    fn random_ones_differ() {
        use crate::ScalarFunction;
        let bound = FUNCTION.bind(&[]).expect("binds");
        let out = bound.kernel.evaluate(&[], 2, &mut RowErrors::default()).expect("evaluates");
        let texts = out.as_any().downcast_ref::<StringArray>().expect("texts");
        assert_ne!(texts.value(0), texts.value(1));
        assert_eq!(texts.value(0).as_bytes()[14], b'4');
        assert!(b"89ab".contains(&texts.value(1).as_bytes()[19]));
    }
}
