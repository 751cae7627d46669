//! Records between a case's JSON and a topic's bytes.
//!
//! What a case writes must reach the engine as it stands, also where it does not fit the schema: text formats get the
//! case's own text. Binary formats need columns; the case's JSON is read with the JSON format for the columns of the
//! registered schema, or of the source that reads the topic, and written with the topic's format.

use std::sync::Arc;

use arrow::array::ArrayRef;
use catalog::{KeyWindow, Source};
use formats::{EncodedRows, FormatContext, FormatSpec, Part, RowError, SchemaRegistry};
use serde_json::{Map, Value};
use types::{Column, SqlType};

use crate::{
    case::{HeaderSpec, TopicSpec, WindowSpec},
    compare::Rules,
    value::to_json,
};

/// Bytes of a window's bound in a key.
const BOUND_BYTES: usize = 8;

/// How the records of one topic are written and read.
#[derive(Clone)]
pub struct Shape {
    /// The source that says so; `None`: no source is declared over the topic.
    pub source: Option<Arc<Source>>,
    /// Topic and registry, for formats that have schemas there.
    pub context: FormatContext,
    /// Ids of the schemas that the case registered for keys and values.
    registered: (Option<i32>, Option<i32>),
    /// Formats that the case names where no source does.
    named: (Option<String>, Option<String>),
}

/// A record of a topic as it was found.
#[derive(Debug, Clone)]
pub struct Found {
    /// Its key without its window; `None`: it has none.
    pub key: Option<Vec<u8>>,
    /// The window that its key ends with.
    pub window: Option<WindowSpec>,
    /// Its value; `None`: a tombstone.
    pub value: Option<Vec<u8>>,
    /// Its time, ms.
    pub timestamp: i64,
    /// Its headers.
    pub headers: Vec<HeaderSpec>,
}

/// One side of a record, decoded for comparison.
#[derive(Debug, Clone)]
pub struct Side {
    /// What it says.
    pub value: Value,
    /// What it is.
    pub ty: Option<SqlType>,
    /// How it is compared.
    pub rules: Rules,
}

impl Shape {
    /// The shape of `topic`'s records.
    pub fn new(
        topic: &str,
        source: Option<Arc<Source>>,
        spec: Option<&TopicSpec>,
        registry: Option<Arc<dyn SchemaRegistry>>,
    ) -> Shape {
        let context = FormatContext { registry: registry.clone(), topic: topic.to_owned(), ..Default::default() };
        let id = |part: Part, schema: bool| {
            let latest = registry.as_ref().filter(|_| schema)?.latest(&context.subject(part)).ok()??;
            Some(latest.id)
        };
        let registered = match spec {
            Some(spec) => (id(Part::Key, spec.key.schema.is_some()), id(Part::Value, spec.value.schema.is_some())),
            None => (None, None),
        };
        let named = spec.map_or((None, None), |s| (s.key.format.clone(), s.value.format.clone()));
        Shape { source, context, registered, named }
    }

    fn format(&self, part: Part) -> FormatSpec {
        let spec = self.source.as_ref().map(|s| match part {
            Part::Key => s.key_format.clone(),
            Part::Value => s.value_format.clone(),
        });
        let named = match part {
            Part::Key => &self.named.0,
            Part::Value => &self.named.1,
        };
        spec.unwrap_or_else(|| FormatSpec { name: named.clone().unwrap_or_default(), ..FormatSpec::default() })
    }

    /// The columns that the source has on a side.
    pub fn columns(&self, part: Part) -> Vec<Column> {
        let Some(source) = &self.source else { return Vec::new() };
        match part {
            Part::Key => source.schema.key().cloned().collect(),
            Part::Value => source.schema.value().cloned().collect(),
        }
    }

    /// The columns that records on a side physically have, and the format to read and write them.
    fn physical(&self, part: Part) -> Result<(Vec<Column>, FormatSpec), String> {
        let mut spec = self.format(part);
        let id = match part {
            Part::Key => self.registered.0,
            Part::Value => self.registered.1,
        };
        let format = formats::format(&spec.name).map_err(|e| e.to_string())?;
        if let Some(id) = id.or(spec.schema_id).filter(|_| format.infers()) {
            spec.schema_id = Some(id);
            let columns = format.infer(part, &spec, &self.context).map_err(|e| e.to_string())?;
            return Ok((columns, spec));
        }
        Ok((self.columns(part), spec))
    }

    /// A side of a record as bytes.
    ///
    /// # Errors
    /// The value has no bytes in this format.
    pub fn encode(&self, part: Part, value: &Value) -> Result<Option<Vec<u8>>, String> {
        if value.is_null() {
            return Ok(None);
        }
        let text = || match value {
            Value::String(text) => text.clone().into_bytes(),
            other => other.to_string().into_bytes(),
        };
        match self.format(part).name.as_str() {
            "JSON" => Ok(Some(value.to_string().into_bytes())),
            "DELIMITED" | "" => Ok(Some(text())),
            "NONE" => Ok(None),
            name => match self.typed_bytes(part, value) {
                // What does not fit the columns goes in as it stands.
                Err(_) if name == "KAFKA" => Ok(Some(text())),
                encoded => encoded.map_err(|e| format!("{name}: {e}")),
            },
        }
    }

    fn typed_bytes(&self, part: Part, value: &Value) -> Result<Option<Vec<u8>>, String> {
        let (columns, spec) = self.physical(part)?;
        let wrapped = !is_bare(part, &columns, &spec);
        let wrap_single = (columns.len() == 1).then_some(wrapped);
        let json = FormatSpec { name: "JSON".to_owned(), wrap_single, ..FormatSpec::default() };
        let wanted: Vec<usize> = (0..columns.len()).collect();
        let reader = formats::format("JSON").map_err(|e| e.to_string())?;
        // Keys have restrictions that only the topic's own format should state.
        let mut reader = reader.decoder(Part::Value, &columns, &wanted, &json).map_err(|e| e.to_string())?;
        let text = value.to_string();
        let mut errors = Vec::new();
        let arrays = reader.decode(&[Some(text.as_bytes())], &mut errors);
        first_error(errors)?;
        let format = formats::format(&spec.name).map_err(|e| e.to_string())?;
        // A key that is an object is one, whatever its fields are.
        let context = FormatContext { whole_keys: wrapped, ..self.context.clone() };
        let mut writer = format.encoder_in(part, &columns, &spec, &context).map_err(|e| e.to_string())?;
        let (mut out, mut errors) = (EncodedRows::default(), Vec::new());
        writer.encode(&arrays, 1, None, &mut out, &mut errors);
        first_error(errors)?;
        Ok(out.get(0).map(<[u8]>::to_vec))
    }

    /// A key as bytes, with its window.
    ///
    /// # Errors
    /// As [`Shape::encode`].
    pub fn encode_key(&self, key: &Value, window: Option<WindowSpec>) -> Result<Option<Vec<u8>>, String> {
        let Some(mut bytes) = self.encode(Part::Key, key)? else { return Ok(None) };
        let windowed = self.source.as_ref().and_then(|s| s.windowed);
        match (window, windowed) {
            (None, _) => {}
            (Some(window), Some(KeyWindow::Session)) => {
                bytes.extend_from_slice(&window.end.unwrap_or(window.start).to_be_bytes());
                bytes.extend_from_slice(&window.start.to_be_bytes());
            }
            (Some(window), None) if window.session => {
                bytes.extend_from_slice(&window.end.unwrap_or(window.start).to_be_bytes());
                bytes.extend_from_slice(&window.start.to_be_bytes());
            }
            (Some(window), _) => bytes.extend_from_slice(&window.start.to_be_bytes()),
        }
        Ok(Some(bytes))
    }

    /// Part a key from its window.
    pub fn split_key(&self, key: Option<&[u8]>) -> (Option<Vec<u8>>, Option<WindowSpec>) {
        let windowed = self.source.as_ref().and_then(|s| s.windowed);
        let (Some(key), Some(windowed)) = (key, windowed) else { return (key.map(<[u8]>::to_vec), None) };
        let bound = |back: usize| {
            let start = key.len().checked_sub(back * BOUND_BYTES)?;
            let bytes = key.get(start..start + BOUND_BYTES)?;
            Some((start, i64::from_be_bytes(bytes.try_into().ok()?)))
        };
        let split = match windowed {
            KeyWindow::Time { size_ms, .. } => bound(1).map(|(at, start)| {
                let end = size_ms.and_then(|size| start.checked_add(size));
                (at, WindowSpec { start, end, session: false })
            }),
            KeyWindow::Session => bound(2)
                .zip(bound(1))
                .map(|((at, end), (_, start))| (at, WindowSpec { start, end: Some(end), session: true })),
        };
        match split {
            Some((at, window)) => (key.get(..at).map(<[u8]>::to_vec), Some(window)),
            None => (Some(key.to_vec()), None),
        }
    }

    /// A side of a record for comparison.
    ///
    /// # Errors
    /// The bytes are not of the format.
    pub fn decode(&self, part: Part, bytes: Option<&[u8]>) -> Result<Side, String> {
        let format = self.format(part);
        let columns = self.columns(part);
        let ty = side_type(part, &columns, &format);
        let Some(bytes) = bytes else { return Ok(Side { value: Value::Null, ty, rules: Rules::STRICT }) };
        match format.name.as_str() {
            "JSON" => {
                let value = serde_json::from_slice(bytes).map_err(|e| format!("{e} in {}", shown(bytes)))?;
                Ok(Side { value, ty, rules: Rules::STRICT })
            }
            "DELIMITED" => Ok(Side { value: Value::from(utf8(bytes)?), ty: None, rules: Rules::STRICT }),
            "" => {
                let text = utf8(bytes)?;
                let value = serde_json::from_str(&text).unwrap_or(Value::String(text));
                Ok(Side { value, ty: None, rules: Rules::STRICT })
            }
            name => {
                let (columns, spec) = self.physical(part)?;
                let arrays = self.arrays_of(part, &columns, &spec, bytes).map_err(|e| format!("{name}: {e}"))?;
                let value = match (is_bare(part, &columns, &spec), arrays.first()) {
                    (true, Some(array)) => to_json(array.as_ref(), 0),
                    _ => object(&columns, &arrays),
                };
                let ty = side_type(part, &columns, &spec);
                let nullable = spec.extra.keys().any(|k| k.ends_with("NULLABLE_REPRESENTATION"));
                let default_is_null = name.starts_with("PROTOBUF") && !nullable;
                Ok(Side { value, ty, rules: Rules { missing_is_null: true, default_is_null } })
            }
        }
    }

    /// The source's columns of a side, one row each; a missing side is NULLs.
    ///
    /// # Errors
    /// The bytes are not of the format.
    pub fn arrays(&self, part: Part, bytes: Option<&[u8]>) -> Result<Vec<(Column, ArrayRef)>, String> {
        let columns = self.columns(part);
        let arrays = match bytes {
            Some(bytes) => self.arrays_of(part, &columns, &self.format(part), bytes)?,
            None => columns.iter().map(|c| arrow::array::new_null_array(&c.ty.to_arrow(), 1)).collect(),
        };
        Ok(columns.into_iter().zip(arrays).collect())
    }

    fn arrays_of(
        &self,
        part: Part,
        columns: &[Column],
        spec: &FormatSpec,
        bytes: &[u8],
    ) -> Result<Vec<ArrayRef>, String> {
        let format = formats::format(&spec.name).map_err(|e| e.to_string())?;
        let wanted: Vec<usize> = (0..columns.len()).collect();
        let mut reader = format.decoder_in(part, columns, &wanted, spec, &self.context).map_err(|e| e.to_string())?;
        let mut errors = Vec::new();
        let arrays = reader.decode(&[Some(bytes)], &mut errors);
        first_error(errors)?;
        Ok(arrays)
    }
}

/// Whether a single column stands alone, not as a field: values are wrapped unless the source says otherwise, keys are
/// not.
fn is_bare(part: Part, columns: &[Column], spec: &FormatSpec) -> bool {
    let wrapped = match spec.name.as_str() {
        "KAFKA" => false,
        // A message has fields and nothing else.
        "PROTOBUF" | "PROTOBUF_NOSR" => true,
        _ => spec.wrap_single.unwrap_or(part == Part::Value),
    };
    columns.len() == 1 && !wrapped
}

fn side_type(part: Part, columns: &[Column], spec: &FormatSpec) -> Option<SqlType> {
    match columns {
        [] => None,
        [column] if is_bare(part, columns, spec) => Some(column.ty.clone()),
        many => {
            let field = |c: &Column| types::StructField { name: c.name.clone(), ty: c.ty.clone() };
            Some(SqlType::Struct(many.iter().map(field).collect()))
        }
    }
}

fn object(columns: &[Column], arrays: &[ArrayRef]) -> Value {
    let field = |(c, a): (&Column, &ArrayRef)| (c.name.clone(), to_json(a.as_ref(), 0));
    Value::Object(columns.iter().zip(arrays).map(field).collect::<Map<_, _>>())
}

fn first_error(errors: Vec<RowError>) -> Result<(), String> {
    errors.into_iter().next().map_or(Ok(()), |error| Err(error.message))
}

fn utf8(bytes: &[u8]) -> Result<String, String> {
    String::from_utf8(bytes.to_vec()).map_err(|_| format!("no text: {}", shown(bytes)))
}

/// Bytes for a message.
pub fn shown(bytes: &[u8]) -> String {
    bytes.escape_ascii().to_string()
}

#[cfg(test)]
mod tests {
    use catalog::SourceKind;
    use serde_json::json;
    use types::Schema;

    use super::*;

    fn shape(key_format: &str, value_format: &str, windowed: Option<KeyWindow>) -> Shape {
        let spec = |name: &str| FormatSpec { name: name.to_owned(), ..FormatSpec::default() };
        let source = Source {
            name: "S".into(),
            kind: SourceKind::Stream,
            schema: Schema::new(vec![
                Column::key("K", SqlType::Int),
                Column::value("A", SqlType::BigInt),
                Column::value("B", SqlType::String),
            ]),
            topic: "t".into(),
            key_format: spec(key_format),
            value_format: spec(value_format),
            timestamp: None,
            windowed,
            read_only: false,
            created_by: None,
            statement: String::new(),
        };
        Shape::new("t", Some(Arc::new(source)), None, None)
    }

    #[test]
    fn values_go_in_as_they_stand_and_come_out_again() {
        let shape = shape("KAFKA", "JSON", None);
        let check = |part: Part, value: Value, bytes: &[u8]| {
            let encoded = shape.encode(part, &value).expect("encodes");
            assert_eq!(encoded.as_deref(), Some(bytes));
            assert_eq!(shape.decode(part, encoded.as_deref()).expect("decodes").value, value);
        };
        check(Part::Key, json!(258), &[0, 0, 1, 2]);
        check(Part::Value, json!({"A": 1, "other": 1.50}), br#"{"A":1,"other":1.5}"#);
        assert_eq!(shape.encode(Part::Key, &json!("x")), Ok(Some(b"x".to_vec())));
        assert_eq!(shape.encode(Part::Value, &Value::Null), Ok(None));
    }

    #[test]
    fn windows_end_a_key() {
        let check = |windowed: KeyWindow, window: WindowSpec, length: usize| {
            let shape = shape("KAFKA", "DELIMITED", Some(windowed));
            let key = shape.encode_key(&json!(7), Some(window)).expect("encodes").expect("a key");
            assert_eq!(key.len(), length);
            assert_eq!(shape.split_key(Some(&key)), (Some(vec![0, 0, 0, 7]), Some(window)));
        };
        check(KeyWindow::Session, WindowSpec { start: 5, end: Some(9), session: true }, 20);
        let time = KeyWindow::Time { hopping: false, size_ms: Some(10) };
        check(time, WindowSpec { start: 5, end: Some(15), session: false }, 12);
    }
}
