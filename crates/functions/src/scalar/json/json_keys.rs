//! `JSON_KEYS`.

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
        name: "JSON_KEYS",
        aliases: &[],
        category: "JSON",
        signatures: &["JSON_KEYS(json)"],
        description: "The names of the members of the JSON object that the text is; NULL for other JSON and for NULL. \
                      Invalid JSON is an error.",
        examples: &[("JSON_KEYS('{\"a\": 1, \"b\": {\"c\": 2}}')", "[a, b]")],
    },
    overloads: &[Overload::new(&[String], Array(&String), eval)],
    deterministic: true,
};

fn eval(call: &Call<'_>, errors: &mut RowErrors) -> Result<ArrayRef> {
    let texts = call.view::<StringArray>(0)?;
    let mut out = ListBuilder::new(StringBuilder::new());
    for row in 0..call.rows {
        let members = match texts.get(row).map(parse) {
            Some(Ok(Value::Object(members))) => Some(members),
            Some(Err(reason)) => {
                errors.push(row, reason);
                None
            }
            _ => None,
        };
        members.iter().flat_map(|m| m.keys()).for_each(|name| out.values().append_value(name));
        out.append(members.is_some());
    }
    Ok(Arc::new(out.finish()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scalar::testing::check;

    #[test]
    fn values() {
        check(&FUNCTION, &["'{\"z\": 3, \"a\": 5}'"], "[z, a]");
        check(&FUNCTION, &["'{}'"], "[]");
        check(&FUNCTION, &["'[]'"], "NULL");
        check(&FUNCTION, &["''"], "!");
        check(&FUNCTION, &["NULL"], "NULL");
    }
}
