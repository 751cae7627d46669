//! What requests and answers say, as JSON.

use formats::{RegisteredSchema, SchemaReference, SchemaText, SchemaType};
use serde::{Deserialize, Serialize};

/// A schema on its way there.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct NewSchema<'a> {
    schema: &'a str,
    schema_type: &'static str,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    references: Vec<Reference>,
}

/// A schema on its way back: that of an id, or a version of a subject, which has the id too.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct KnownSchema {
    id: Option<i32>,
    schema: String,
    schema_type: Option<String>,
    #[serde(default)]
    references: Option<Vec<Reference>>,
}

/// As [`SchemaReference`].
#[derive(Debug, Serialize, Deserialize)]
struct Reference {
    name: String,
    subject: String,
    version: i32,
}

/// The id of a schema that was registered.
#[derive(Debug, Deserialize)]
pub(crate) struct Registered {
    pub id: i32,
}

/// Why not.
#[derive(Debug, Deserialize)]
pub(crate) struct Refusal {
    pub error_code: u32,
    #[serde(default)]
    pub message: String,
}

impl<'a> NewSchema<'a> {
    pub fn new(schema: &'a SchemaText) -> NewSchema<'a> {
        let reference =
            |r: &SchemaReference| Reference { name: r.name.clone(), subject: r.subject.clone(), version: r.version };
        NewSchema {
            schema: &schema.text,
            schema_type: schema.ty.name(),
            references: schema.references.iter().map(reference).collect(),
        }
    }
}

impl KnownSchema {
    /// The schema; `id` is what it was asked for by, where that was an id.
    ///
    /// # Errors
    /// Its language is none that this version knows, or it has no id.
    pub fn registered(self, id: Option<i32>) -> Result<RegisteredSchema, String> {
        // Avro is what goes without saying.
        let language = self.schema_type.as_deref().unwrap_or("AVRO");
        let ty = SchemaType::of_name(language).ok_or_else(|| format!("a schema in the language {language:?}"))?;
        let id = id.or(self.id).ok_or("a schema without an id")?;
        let reference = |r: Reference| SchemaReference { name: r.name, subject: r.subject, version: r.version };
        let references = self.references.unwrap_or_default().into_iter().map(reference).collect();
        Ok(RegisteredSchema { id, schema: SchemaText { ty, text: self.schema, references } })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(json: &str, id: Option<i32>, expect: Result<(i32, SchemaType, usize), &str>) {
        let known: KnownSchema = serde_json::from_str(json).expect("a body");
        let found = known.registered(id).map(|r| (r.id, r.schema.ty, r.schema.references.len()));
        assert_eq!(found.as_ref().map_err(String::as_str), expect.as_ref().map_err(|e| *e), "{json}");
    }

    #[test]
    fn what_registries_answer() {
        check(r#"{"schema": "\"int\""}"#, Some(3), Ok((3, SchemaType::Avro, 0)));
        let version = r#"{"subject": "s", "version": 2, "id": 7, "guid": "x", "schemaType": "JSON", "schema": "{}", "references": null}"#;
        check(version, None, Ok((7, SchemaType::Json, 0)));
        let references = r#"{"id": 1, "schemaType": "PROTOBUF", "schema": "", "references": [{"name": "a", "subject": "b", "version": 1}]}"#;
        check(references, None, Ok((1, SchemaType::Protobuf, 1)));
        check(r#"{"id": 1, "schemaType": "THRIFT", "schema": ""}"#, None, Err("a schema in the language \"THRIFT\""));
        check(r#"{"schema": ""}"#, None, Err("a schema without an id"));
    }
}
