//! `TO_JSON_STRING`.

use arrow::array::{ArrayRef, StringArray};
use types::Result;

use super::write::write_json;
use crate::{
    FunctionDoc, RowErrors,
    overload::Param::{String, Var},
    scalar::definition::{Call, Overload, Scalar},
};

/// See its words.
pub static FUNCTION: Scalar = Scalar {
    doc: &FunctionDoc {
        name: "TO_JSON_STRING",
        aliases: &[],
        category: "JSON",
        signatures: &["TO_JSON_STRING(value)"],
        description: "The value of any type as JSON text. NULL is 'null'; dates, times and timestamps are strings as \
                      CAST writes them, bytes are strings in base64.",
        examples: &[
            ("TO_JSON_STRING('abc')", "\"abc\""),
            ("TO_JSON_STRING(ARRAY[1, 2])", "[1,2]"),
            ("TO_JSON_STRING(1)", "1"),
        ],
    },
    overloads: &[Overload::new(&[Var('T')], String, eval)],
    deterministic: true,
};

fn eval(call: &Call<'_>, _: &mut RowErrors) -> Result<ArrayRef> {
    let arg = call.arg(0)?;
    let array = arg.array()?;
    call.rows::<StringArray, _>(|row| {
        let mut out = std::string::String::new();
        write_json(&mut out, array, if arg.is_constant() { 0 } else { row });
        Some(out)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scalar::testing::check;

    #[test]
    fn values() {
        check(&FUNCTION, &["1"], "1");
        check(&FUNCTION, &["15.30"], "15.30");
        check(&FUNCTION, &["1e10"], "1.0E10");
        check(&FUNCTION, &["NaN"], "\"NaN\"");
        check(&FUNCTION, &["'a\"b'"], "\"a\\\"b\"");
        check(&FUNCTION, &["true"], "true");
        check(&FUNCTION, &["NULL"], "null");
        check(&FUNCTION, &["DATE 1972-09-27"], "\"1972-09-27\"");
        check(&FUNCTION, &["TIME 16:43:40"], "\"16:43:40\"");
        check(&FUNCTION, &["TIMESTAMP 1971-11-28T23:46:40"], "\"1971-11-28T23:46:40.000\"");
        check(&FUNCTION, &["ARRAY<INT> NULL"], "null");
    }

    #[test]
    fn collections() {
        use crate::{Arg, ArgType, ScalarFunction, testing};
        let ty = testing::ty("STRUCT<A ARRAY<INTEGER>, m MAP<STRING, DOUBLE>>");
        let array = testing::column(&ty, &[serde_json::json!({"A": [1, null], "m": {"x": 1.5}})]);
        let bound = FUNCTION.bind(&[ArgType::Value(Some(ty))]).expect("binds");
        let out = bound.kernel.evaluate(&[Arg::Column(array)], 1, &mut RowErrors::default()).expect("evaluates");
        let texts = out.as_any().downcast_ref::<StringArray>().expect("texts");
        assert_eq!(texts.value(0), r#"{"A":[1,null],"m":{"x":1.5}}"#);
    }
}
