//! `LCASE`.

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
        name: "LCASE",
        aliases: &[],
        category: "STRING",
        signatures: &["LCASE(text)"],
        description: "The text in lower case.",
        examples: &[("LCASE('MiXeD')", "mixed")],
    },
    overloads: &[Overload::new(&[String], String, eval)],
    deterministic: true,
};

fn eval(call: &Call<'_>, _: &mut RowErrors) -> Result<ArrayRef> {
    let texts = call.view::<StringArray>(0)?;
    call.rows::<StringArray, _>(|row| texts.get(row).map(str::to_lowercase))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scalar::testing::check;

    #[test]
    fn values() {
        check(&FUNCTION, &["'MiXeD Ä'"], "mixed ä");
        check(&FUNCTION, &["NULL"], "NULL");
    }
}
