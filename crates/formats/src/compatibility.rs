//! Schemas that follow each other: what a text means, whatever its spaces, and whether data of one can be read with
//! another. Each language has its rules in a file `compatibility.rs` of its folder.

use serde_json::Value;

use crate::{SchemaRegistry, SchemaText, SchemaType, avro, json_sr, protobuf};

/// The same schema as it is kept: JSON without spaces, a compiled `.proto` file as its text. With `normalize`, also without what has no meaning: the order
/// of members.
///
/// # Errors
/// The text is not a schema of its language, or refers to one that `registry` does not have.
pub fn canonical(
    schema: &SchemaText,
    registry: Option<&dyn SchemaRegistry>,
    normalize: bool,
) -> Result<SchemaText, String> {
    let text = match schema.ty {
        SchemaType::Avro => {
            avro::load(schema, registry)?;
            match serde_json::from_str::<Value>(&schema.text) {
                Ok(value) => compact(value, normalize),
                Err(_) => Value::from(schema.text.as_str()).to_string(),
            }
        }
        SchemaType::Json => {
            let value: Value = serde_json::from_str(&schema.text).map_err(|e| format!("JSON is expected: {e}"))?;
            if !matches!(value, Value::Object(_) | Value::Bool(_)) {
                return Err(format!("a JSON schema is an object or a boolean, found {value}"));
            }
            compact(value, normalize)
        }
        SchemaType::Protobuf => {
            let text = protobuf::descriptor::text_of(&schema.text).unwrap_or_else(|| schema.text.trim().to_owned());
            let schema = SchemaText { text, ..schema.clone() };
            protobuf::load(&schema, registry)?;
            schema.text
        }
    };
    Ok(SchemaText { ty: schema.ty, text, references: schema.references.clone() })
}

/// What keeps data written with `writer` from being read with `reader`; empty where nothing does.
///
/// # Errors
/// One of them is not a schema, or refers to one that `registry` does not have.
pub fn incompatibilities(
    reader: &SchemaText,
    writer: &SchemaText,
    registry: Option<&dyn SchemaRegistry>,
) -> Result<Vec<String>, String> {
    if reader.ty != writer.ty {
        return Ok(vec![format!("the reader's schema is {}, the writer's {}", reader.ty.name(), writer.ty.name())]);
    }
    Ok(match reader.ty {
        SchemaType::Avro => {
            avro::compatibility::incompatibilities(&avro::load(reader, registry)?, &avro::load(writer, registry)?)
        }
        SchemaType::Json => {
            let parse = |s: &SchemaText| serde_json::from_str(&s.text).map_err(|e| format!("JSON is expected: {e}"));
            json_sr::compatibility::incompatibilities(&parse(reader)?, &parse(writer)?)
        }
        SchemaType::Protobuf => protobuf::compatibility::incompatibilities(
            &protobuf::load(reader, registry)?,
            &protobuf::load(writer, registry)?,
        ),
    })
}

fn compact(value: Value, sorted: bool) -> String {
    if sorted { sort(value).to_string() } else { value.to_string() }
}

fn sort(value: Value) -> Value {
    match value {
        Value::Object(members) => {
            let mut members: Vec<_> = members.into_iter().map(|(name, value)| (name, sort(value))).collect();
            members.sort_by(|a, b| a.0.cmp(&b.0));
            Value::Object(members.into_iter().collect())
        }
        Value::Array(items) => Value::Array(items.into_iter().map(sort).collect()),
        other => other,
    }
}
