//! `REPLACE`.

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
        name: "REPLACE",
        aliases: &[],
        category: "STRING",
        signatures: &["REPLACE(text, old, new)"],
        description: "The text with all occurrences of the old part replaced by the new one. NULL if any argument is.",
        examples: &[("REPLACE('anaconda', 'a', 'o')", "onocondo")],
    },
    overloads: &[Overload::new(&[String, String, String], String, eval)],
    deterministic: true,
};

fn eval(call: &Call<'_>, _: &mut RowErrors) -> Result<ArrayRef> {
    let (texts, olds, news) =
        (call.view::<StringArray>(0)?, call.view::<StringArray>(1)?, call.view::<StringArray>(2)?);
    call.rows::<StringArray, _>(|row| Some(texts.get(row)?.replace(olds.get(row)?, news.get(row)?)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scalar::testing::check;

    #[test]
    fn values() {
        check(&FUNCTION, &["'anaconda'", "'a'", "'o'"], "onocondo");
        check(&FUNCTION, &["'popcorn'", "'a'", "'o'"], "popcorn");
        check(&FUNCTION, &["'a'", "NULL", "'o'"], "NULL");
        check(&FUNCTION, &["'a'", "'a'", "NULL"], "NULL");
    }
}
