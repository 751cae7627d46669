//! `MD5` (RFC 1321).

use arrow::array::{ArrayRef, StringArray};
use types::Result;

use crate::{
    FunctionDoc, RowErrors,
    overload::Param::String,
    scalar::{
        bytes::encoding::hex,
        definition::{Call, Overload, Scalar},
    },
};

/// See its words.
pub static FUNCTION: Scalar = Scalar {
    doc: &FunctionDoc {
        name: "MD5",
        aliases: &[],
        category: "STRING",
        signatures: &["MD5(text)"],
        description: "The MD5 hash of the text's UTF-8 bytes in lower-case hexadecimal digits.",
        examples: &[("MD5('hash me')", "17b31dce96b9d6c6d0a6ba95f47796fb")],
    },
    overloads: &[Overload::new(&[String], String, eval)],
    deterministic: true,
};

fn eval(call: &Call<'_>, _: &mut RowErrors) -> Result<ArrayRef> {
    let texts = call.view::<StringArray>(0)?;
    call.rows::<StringArray, _>(|row| texts.get(row).map(|text| hex(&md5(text.as_bytes()), false)))
}

/// Rotations of the four rounds.
const ROTATIONS: [[u32; 4]; 4] = [[7, 12, 17, 22], [5, 9, 14, 20], [4, 11, 16, 23], [6, 10, 15, 21]];

fn md5(message: &[u8]) -> [u8; 16] {
    // The integer parts of |sin(i)| × 2^32, for i from 1.
    let constants: Vec<u32> = (1..=64_u32).map(|i| (f64::from(i).sin().abs() * 4_294_967_296.0) as u32).collect();
    let mut state: [u32; 4] = [0x6745_2301, 0xefcd_ab89, 0x98ba_dcfe, 0x1032_5476];
    let bits = u64::try_from(message.len()).unwrap_or(0).wrapping_mul(8);
    let mut padded = message.to_vec();
    padded.push(0x80);
    while padded.len() % 64 != 56 {
        padded.push(0);
    }
    padded.extend(bits.to_le_bytes());
    for block in padded.chunks_exact(64) {
        let word = |bytes: &[u8]| bytes.iter().rev().fold(0_u32, |word, byte| (word << 8) | u32::from(*byte));
        let words: Vec<u32> = block.chunks_exact(4).map(word).collect();
        let [mut a, mut b, mut c, mut d] = state;
        for (i, constant) in constants.iter().enumerate() {
            let round = i / 16;
            let (mix, at) = match round {
                0 => ((b & c) | (!b & d), i),
                1 => ((d & b) | (!d & c), (5 * i + 1) % 16),
                2 => (b ^ c ^ d, (3 * i + 5) % 16),
                _ => (c ^ (b | !d), (7 * i) % 16),
            };
            let rotation = ROTATIONS.get(round).and_then(|r| r.get(i % 4)).copied().unwrap_or(0);
            let sum = a.wrapping_add(mix).wrapping_add(*constant).wrapping_add(words.get(at).copied().unwrap_or(0));
            (a, d, c, b) = (d, c, b, b.wrapping_add(sum.rotate_left(rotation)));
        }
        for (total, part) in state.iter_mut().zip([a, b, c, d]) {
            *total = total.wrapping_add(part);
        }
    }
    let mut digest = [0; 16];
    for (out, byte) in digest.iter_mut().zip(state.iter().flat_map(|word| word.to_le_bytes())) {
        *out = byte;
    }
    digest
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scalar::testing::check;

    #[test]
    fn values() {
        check(&FUNCTION, &["''"], "d41d8cd98f00b204e9800998ecf8427e");
        check(&FUNCTION, &["'abc'"], "900150983cd24fb0d6963f7d28e17f72");
        let digits = "'12345678901234567890123456789012345678901234567890123456789012345678901234567890'";
        check(&FUNCTION, &[digits], "57edf4a22be3c955ac49da2e2107b67a");
        check(&FUNCTION, &["NULL"], "NULL");
    }
}
