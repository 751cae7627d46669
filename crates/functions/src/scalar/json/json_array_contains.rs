//! `JSON_ARRAY_CONTAINS`.

use arrow::{
    array::{Array, ArrayRef, AsArray, BooleanArray, StringArray},
    datatypes::{DataType, Decimal128Type, Float64Type},
};
use serde_json::Value;
use types::Result;

use super::parse;
use crate::{
    FunctionDoc, RowErrors,
    javanum::decimal_to_double,
    operator::value_to_string,
    overload::Param::{Boolean, String, Var},
    scalar::definition::{Call, Overload, Scalar},
};

/// See its words.
pub static FUNCTION: Scalar = Scalar {
    doc: &FunctionDoc {
        name: "JSON_ARRAY_CONTAINS",
        aliases: &[],
        category: "JSON",
        signatures: &["JSON_ARRAY_CONTAINS(json, value)"],
        description: "Whether the text is a JSON array that has the value among its elements; NULL is found as null. \
                      False if the text is no JSON array.",
        examples: &[("JSON_ARRAY_CONTAINS('[1, 2, 3]', 3)", "true"), ("JSON_ARRAY_CONTAINS('[1, 2]', '1')", "false")],
    },
    overloads: &[Overload::new(&[String, Var('T')], Boolean, eval)],
    deterministic: true,
};

fn eval(call: &Call<'_>, _: &mut RowErrors) -> Result<ArrayRef> {
    let texts = call.view::<StringArray>(0)?;
    let wanted = call.arg(1)?;
    let values = wanted.array()?;
    call.rows::<BooleanArray, _>(|row| {
        let at = if wanted.is_constant() { 0 } else { row };
        let json = texts.get(row).and_then(|text| parse(text).ok());
        let elements = json.as_ref().and_then(Value::as_array);
        Some(elements.is_some_and(|elements| elements.iter().any(|e| equals(e, values, at))))
    })
}

fn equals(element: &Value, values: &dyn Array, at: usize) -> bool {
    if at >= values.len() || values.is_null(at) {
        return element.is_null();
    }
    match (element, values.data_type()) {
        (Value::String(text), DataType::Utf8) => text == values.as_string::<i32>().value(at),
        (Value::Bool(value), DataType::Boolean) => *value == values.as_boolean().value(at),
        (Value::Number(number), DataType::Int32 | DataType::Int64) => {
            number.is_i64() && Some(number.to_string()) == value_to_string(values, at)
        }
        (Value::Number(number), DataType::Float64) => {
            number.as_f64() == Some(values.as_primitive::<Float64Type>().value(at))
        }
        (Value::Number(number), DataType::Decimal128(_, scale)) => {
            let scale = u8::try_from(*scale).unwrap_or(0);
            number.as_f64() == Some(decimal_to_double(values.as_primitive::<Decimal128Type>().value(at), scale))
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scalar::testing::check;

    #[test]
    fn values() {
        let array = "'[\"Pink\", null, 3, 1.5, true]'";
        check(&FUNCTION, &[array, "'Pink'"], "true");
        check(&FUNCTION, &[array, "'Red'"], "false");
        check(&FUNCTION, &[array, "STRING NULL"], "true");
        check(&FUNCTION, &[array, "3L"], "true");
        check(&FUNCTION, &[array, "1.50"], "true");
        check(&FUNCTION, &[array, "1.5e0"], "true");
        check(&FUNCTION, &[array, "true"], "true");
        check(&FUNCTION, &["'{}'", "1"], "false");
        check(&FUNCTION, &["'['", "1"], "false");
        check(&FUNCTION, &["NULL", "1"], "false");
    }
}
