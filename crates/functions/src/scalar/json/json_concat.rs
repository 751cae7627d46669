//! `JSON_CONCAT`.

use arrow::array::{ArrayRef, StringArray};
use serde_json::{Map, Value};
use types::Result;

use super::parse;
use crate::{
    FunctionDoc, RowErrors,
    kernel::View,
    overload::Param::String,
    scalar::definition::{Call, Overload, Scalar},
};

/// See its words.
pub static FUNCTION: Scalar = Scalar {
    doc: &FunctionDoc {
        name: "JSON_CONCAT",
        aliases: &[],
        category: "JSON",
        signatures: &["JSON_CONCAT(json, ...)"],
        description: "The JSON values in one: objects become an object with the members of all, the last one of a name \
                      counting; anything else becomes an array, in which arrays contribute their elements and other \
                      values themselves. Only the outermost level is joined. NULL if any argument is; invalid JSON is \
                      an error.",
        examples: &[
            ("JSON_CONCAT('{\"a\": 1}', '{\"b\": 2}')", "{\"a\":1,\"b\":2}"),
            ("JSON_CONCAT('[1, 2]', '3')", "[1,2,3]"),
        ],
    },
    overloads: &[Overload::variadic(&[String], String, String, eval)],
    deterministic: true,
};

fn eval(call: &Call<'_>, errors: &mut RowErrors) -> Result<ArrayRef> {
    let parts: Vec<View<'_, StringArray>> = (0..call.args.len()).map(|at| call.view(at)).collect::<Result<_>>()?;
    call.try_rows::<StringArray, _, std::string::String>(errors, |row| {
        let Some(texts) = parts.iter().map(|p| p.get(row)).collect::<Option<Vec<&str>>>() else { return Ok(None) };
        let values = texts.into_iter().map(parse).collect::<std::result::Result<Vec<Value>, _>>()?;
        Ok(Some(join(values).to_string()))
    })
}

fn join(values: Vec<Value>) -> Value {
    if values.iter().all(Value::is_object) {
        let mut members = Map::new();
        for value in values {
            if let Value::Object(object) = value {
                members.extend(object);
            }
        }
        return Value::Object(members);
    }
    let mut elements = Vec::new();
    for value in values {
        match value {
            Value::Array(array) => elements.extend(array),
            other => elements.push(other),
        }
    }
    Value::Array(elements)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scalar::testing::check;

    #[test]
    fn values() {
        check(&FUNCTION, &["'{\"a\": {\"5\": 6}}'", "'{\"a\": {\"3\": 4}}'"], "{\"a\":{\"3\":4}}");
        check(&FUNCTION, &["'[1, 2]'", "'{\"a\": 1}'", "'4'"], "[1,2,{\"a\":1},4]");
        check(&FUNCTION, &["'null'", "'null'"], "[null,null]");
        check(&FUNCTION, &["'{}'", "'{}'"], "{}");
        check(&FUNCTION, &["'1'", "''"], "!");
        check(&FUNCTION, &["'1'", "NULL"], "NULL");
    }
}
