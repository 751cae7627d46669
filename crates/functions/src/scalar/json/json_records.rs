//! `JSON_RECORDS`.

use std::sync::Arc;

use arrow::array::{ArrayRef, StringArray, StringBuilder};
use serde_json::Value;
use types::{Error, Result};

use super::{parse, plain};
use crate::{
    FunctionDoc, RowErrors,
    overload::Param::{Map, String},
    scalar::{
        definition::{Call, Overload, Scalar},
        misc::map_builder,
    },
};

/// See its words.
pub static FUNCTION: Scalar = Scalar {
    doc: &FunctionDoc {
        name: "JSON_RECORDS",
        aliases: &[],
        category: "JSON",
        signatures: &["JSON_RECORDS(json)"],
        description: "The members of the JSON object that the text is: names, and values as text, strings as they are \
                      and others as JSON. NULL for other JSON and for NULL. Invalid JSON is an error.",
        examples: &[("JSON_RECORDS('{\"a\": \"abc\", \"d\": [1]}')", "{a=abc, d=[1]}")],
    },
    overloads: &[Overload::new(&[String], Map(&String, &String), eval)],
    deterministic: true,
};

fn eval(call: &Call<'_>, errors: &mut RowErrors) -> Result<ArrayRef> {
    let texts = call.view::<StringArray>(0)?;
    let mut out = map_builder(StringBuilder::new(), StringBuilder::new());
    for row in 0..call.rows {
        let members = match texts.get(row).map(parse) {
            Some(Ok(Value::Object(members))) => Some(members),
            Some(Err(reason)) => {
                errors.push(row, reason);
                None
            }
            _ => None,
        };
        for (name, value) in members.iter().flatten() {
            out.keys().append_value(name);
            out.values().append_value(plain(value));
        }
        out.append(members.is_some()).map_err(|e| Error::internal(format!("a map: {e}")))?;
    }
    Ok(Arc::new(out.finish()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scalar::testing::check;

    #[test]
    fn values() {
        check(
            &FUNCTION,
            &["'{\"White\": \"Seven\", \"n\": 7, \"o\": {\"c\": \"a\"}}'"],
            "{White=Seven, n=7, o={\"c\":\"a\"}}",
        );
        check(&FUNCTION, &["'{}'"], "{}");
        check(&FUNCTION, &["'[]'"], "NULL");
        check(&FUNCTION, &["'abc'"], "!");
        check(&FUNCTION, &["NULL"], "NULL");
    }
}
