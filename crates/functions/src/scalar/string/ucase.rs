//! `UCASE`.

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
        name: "UCASE",
        aliases: &[],
        category: "STRING",
        signatures: &["UCASE(text)"],
        description: "The text in upper case.",
        examples: &[("UCASE('MiXeD')", "MIXED")],
    },
    overloads: &[Overload::new(&[String], String, eval)],
    deterministic: true,
};

fn eval(call: &Call<'_>, _: &mut RowErrors) -> Result<ArrayRef> {
    let texts = call.view::<StringArray>(0)?;
    call.rows::<StringArray, _>(|row| texts.get(row).map(str::to_uppercase))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scalar::testing::check;

    #[test]
    fn values() {
        check(&FUNCTION, &["'MiXeD ß'"], "MIXED SS");
        check(&FUNCTION, &["NULL"], "NULL");
    }
}
