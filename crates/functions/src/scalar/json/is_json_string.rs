//! `IS_JSON_STRING`.

use arrow::array::{ArrayRef, BooleanArray, StringArray};
use serde::de::IgnoredAny;
use types::Result;

use crate::{
    FunctionDoc, RowErrors,
    overload::Param::{Boolean, String},
    scalar::definition::{Call, Overload, Scalar},
};

/// See its words.
pub static FUNCTION: Scalar = Scalar {
    doc: &FunctionDoc {
        name: "IS_JSON_STRING",
        aliases: &[],
        category: "JSON",
        signatures: &["IS_JSON_STRING(text)"],
        description: "Whether the text is a JSON value; false for NULL.",
        examples: &[("IS_JSON_STRING('[1, 2]')", "true"), ("IS_JSON_STRING('abc')", "false")],
    },
    overloads: &[Overload::new(&[String], Boolean, eval)],
    deterministic: true,
};

fn eval(call: &Call<'_>, _: &mut RowErrors) -> Result<ArrayRef> {
    let texts = call.view::<StringArray>(0)?;
    call.rows::<BooleanArray, _>(|row| {
        Some(texts.get(row).is_some_and(|t| serde_json::from_str::<IgnoredAny>(t).is_ok()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scalar::testing::check;

    #[test]
    fn values() {
        for json in ["'[1, 2, 3]'", "'{}'", "'1'", "'\"abc\"'", "'null'"] {
            check(&FUNCTION, &[json], "true");
        }
        for other in ["''", "'abc'", "NULL", "'{'"] {
            check(&FUNCTION, &[other], "false");
        }
    }
}
