//! `TRIM`.

use arrow::array::{ArrayRef, StringArray};
use types::Result;

use crate::{
    FunctionDoc, RowErrors,
    overload::Param::String,
    scalar::definition::{Call, Overload, Scalar},
};

/// See its words.
pub static FUNCTION: Scalar = Scalar {
    doc: &FunctionDoc {
        name: "TRIM",
        aliases: &[],
        category: "STRING",
        signatures: &["TRIM(text)"],
        description: "The text without the spaces and control characters at its beginning and end.",
        examples: &[("CONCAT('<', TRIM('  a b '), '>')", "<a b>")],
    },
    overloads: &[Overload::new(&[String], String, eval)],
    deterministic: true,
};

fn eval(call: &Call<'_>, _: &mut RowErrors) -> Result<ArrayRef> {
    let texts = call.view::<StringArray>(0)?;
    call.rows::<StringArray, _>(|row| texts.get(row).map(|text| text.trim_matches(|c| c <= ' ')))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scalar::testing::check;

    #[test]
    fn values() {
        check(&FUNCTION, &["' \t with white space \t'"], "with white space");
        check(&FUNCTION, &["NULL"], "NULL");
    }
}
