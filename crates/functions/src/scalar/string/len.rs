//! `LEN`.

use arrow::array::{ArrayRef, BinaryArray, Int32Array, StringArray};
use types::Result;

use crate::{
    FunctionDoc, RowErrors,
    overload::Param::{Bytes, Int, String},
    scalar::definition::{Call, Overload, Scalar},
};

/// See its words.
pub static FUNCTION: Scalar = Scalar {
    doc: &FunctionDoc {
        name: "LEN",
        aliases: &[],
        category: "STRING",
        signatures: &["LEN(text)", "LEN(bytes)"],
        description: "How many characters the text has, or how many bytes there are.",
        examples: &[("LEN('stream')", "6")],
    },
    overloads: &[Overload::new(&[String], Int, texts), Overload::new(&[Bytes], Int, bytes)],
    deterministic: true,
};

fn texts(call: &Call<'_>, _: &mut RowErrors) -> Result<ArrayRef> {
    let texts = call.view::<StringArray>(0)?;
    call.rows::<Int32Array, _>(|row| i32::try_from(texts.get(row)?.chars().count()).ok())
}

fn bytes(call: &Call<'_>, _: &mut RowErrors) -> Result<ArrayRef> {
    let bytes = call.view::<BinaryArray>(0)?;
    call.rows::<Int32Array, _>(|row| i32::try_from(bytes.get(row)?.len()).ok())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scalar::testing::check;

    #[test]
    fn values() {
        check(&FUNCTION, &["'größe'"], "5");
        check(&FUNCTION, &["b'eWVz'"], "3");
        check(&FUNCTION, &["STRING NULL"], "NULL");
    }
}
