//! `JSON_ITEMS`.

use std::sync::Arc;

use arrow::array::{ArrayRef, ListBuilder, StringArray, StringBuilder};
use serde_json::Value;
use types::Result;

use super::parse;
use crate::{
    FunctionDoc, RowErrors,
    overload::Param::{Array, String},
    scalar::definition::{Call, Overload, Scalar},
};

/// See its words.
pub static FUNCTION: Scalar = Scalar {
    doc: &FunctionDoc {
        name: "JSON_ITEMS",
        aliases: &[],
        category: "JSON",
        signatures: &["JSON_ITEMS(json)"],
        description: "The elements of the JSON array that the text is, each as JSON text; NULL for other JSON and for \
                      NULL. Invalid JSON is an error.",
        examples: &[("JSON_ITEMS('[1, {\"a\": 2}]')", "[1, {\"a\":2}]")],
    },
    overloads: &[Overload::new(&[String], Array(&String), eval)],
    deterministic: true,
};

fn eval(call: &Call<'_>, errors: &mut RowErrors) -> Result<ArrayRef> {
    let texts = call.view::<StringArray>(0)?;
    let mut out = ListBuilder::new(StringBuilder::new());
    for row in 0..call.rows {
        let elements = match texts.get(row).map(parse) {
            Some(Ok(Value::Array(elements))) => Some(elements),
            Some(Err(reason)) => {
                errors.push(row, reason);
                None
            }
            _ => None,
        };
        elements.iter().flatten().for_each(|element| out.values().append_value(element.to_string()));
        out.append(elements.is_some());
    }
    Ok(Arc::new(out.finish()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scalar::testing::check;

    #[test]
    fn values() {
        check(&FUNCTION, &["'[{\"a\": \"x\"}, 2]'"], "[{\"a\":\"x\"}, 2]");
        check(&FUNCTION, &["'[]'"], "[]");
        check(&FUNCTION, &["'{}'"], "NULL");
        check(&FUNCTION, &["'abc'"], "!");
        check(&FUNCTION, &["NULL"], "NULL");
    }
}
