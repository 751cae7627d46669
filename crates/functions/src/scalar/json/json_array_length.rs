//! `JSON_ARRAY_LENGTH`.

use arrow::array::{ArrayRef, Int32Array, StringArray};
use types::Result;

use super::parse;
use crate::{
    FunctionDoc, RowErrors,
    overload::Param::{Int, String},
    scalar::definition::{Call, Overload, Scalar},
};

/// See its words.
pub static FUNCTION: Scalar = Scalar {
    doc: &FunctionDoc {
        name: "JSON_ARRAY_LENGTH",
        aliases: &[],
        category: "JSON",
        signatures: &["JSON_ARRAY_LENGTH(json)"],
        description: "How many elements the JSON array has that the text is; NULL for other JSON and for NULL. Invalid \
                      JSON is an error.",
        examples: &[("JSON_ARRAY_LENGTH('[1, [2, 3], 4]')", "3"), ("JSON_ARRAY_LENGTH('{}')", "NULL")],
    },
    overloads: &[Overload::new(&[String], Int, eval)],
    deterministic: true,
};

fn eval(call: &Call<'_>, errors: &mut RowErrors) -> Result<ArrayRef> {
    let texts = call.view::<StringArray>(0)?;
    call.try_rows::<Int32Array, _, std::string::String>(errors, |row| {
        let Some(text) = texts.get(row) else { return Ok(None) };
        Ok(parse(text)?.as_array().and_then(|elements| i32::try_from(elements.len()).ok()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scalar::testing::check;

    #[test]
    fn values() {
        check(&FUNCTION, &["'[1, [1, [2]], 3]'"], "3");
        check(&FUNCTION, &["'[]'"], "0");
        check(&FUNCTION, &["'123'"], "NULL");
        check(&FUNCTION, &["NULL"], "NULL");
        check(&FUNCTION, &["''"], "!");
    }
}
