//! The Avro schema that SQL columns get, in the form that ksqlDB registers: every field a union with null, MAPs as
//! arrays of entries (their keys may be null there), logical types with Kafka Connect's names beside Avro's.

use serde_json::{Map, Value, json};
use types::{Column, Error, Result, SqlType};

use crate::{FormatSpec, Part};

/// Where ksqlDB's records live.
const NAMESPACE: &str = "io.confluent.ksql.avro_schemas";
/// The name of a value's record.
const VALUE_NAME: &str = "KsqlDataSourceSchema";

/// The schema's text.
pub(crate) fn schema(part: Part, columns: &[Column], wrapped: bool, spec: &FormatSpec, topic: &str) -> String {
    let full = match &spec.schema_full_name {
        Some(name) => name.clone(),
        None => match part {
            Part::Key => format!("{NAMESPACE}.{}Key", camel(topic)),
            Part::Value => format!("{NAMESPACE}.{VALUE_NAME}"),
        },
    };
    let (namespace, name) = full.rsplit_once('.').unwrap_or(("", &full));
    let names = Names { namespace };
    let root = match columns {
        [column] if !wrapped => names.of_type(&column.ty, name, true),
        _ => names.record(columns.iter().map(|c| (c.name.as_str(), &c.ty)), name, true),
    };
    root.to_string()
}

struct Names<'a> {
    namespace: &'a str,
}

impl Names<'_> {
    fn record<'a>(&self, fields: impl Iterator<Item = (&'a str, &'a SqlType)>, name: &str, root: bool) -> Value {
        let field = |(field, ty): (&str, &SqlType)| self.field(field, ty, name);
        let fields: Vec<Value> = fields.map(field).collect();
        let mut record = self.begin(name, root);
        record.insert("fields".to_owned(), Value::Array(fields));
        record.insert("connect.name".to_owned(), Value::from(self.full(name)));
        Value::Object(record)
    }

    /// A field of the record `name`.
    fn field(&self, field: &str, ty: &SqlType, name: &str) -> Value {
        json!({"name": field, "type": self.nullable(ty, &format!("{name}_{field}")), "default": null})
    }

    fn begin(&self, name: &str, root: bool) -> Map<String, Value> {
        let mut record = Map::new();
        record.insert("type".to_owned(), Value::from("record"));
        record.insert("name".to_owned(), Value::from(name));
        if root && !self.namespace.is_empty() {
            record.insert("namespace".to_owned(), Value::from(self.namespace));
        }
        record
    }

    fn full(&self, name: &str) -> String {
        if self.namespace.is_empty() { name.to_owned() } else { format!("{}.{name}", self.namespace) }
    }

    fn nullable(&self, ty: &SqlType, name: &str) -> Value {
        json!(["null", self.of_type(ty, name, false)])
    }

    fn of_type(&self, ty: &SqlType, name: &str, root: bool) -> Value {
        match ty {
            SqlType::Boolean => json!("boolean"),
            SqlType::Int => json!("int"),
            SqlType::BigInt => json!("long"),
            SqlType::Double => json!("double"),
            SqlType::String => json!("string"),
            SqlType::Bytes => json!("bytes"),
            SqlType::Date => connect("int", "org.apache.kafka.connect.data.Date", "date"),
            SqlType::Time => connect("int", "org.apache.kafka.connect.data.Time", "time-millis"),
            SqlType::Timestamp => connect("long", "org.apache.kafka.connect.data.Timestamp", "timestamp-millis"),
            SqlType::Decimal { precision, scale } => json!({
                "type": "bytes",
                "scale": scale,
                "precision": precision,
                "connect.version": 1,
                "connect.parameters": {"scale": scale.to_string(), "connect.decimal.precision": precision.to_string()},
                "connect.name": "org.apache.kafka.connect.data.Decimal",
                "logicalType": "decimal",
            }),
            SqlType::Array(element) => json!({"type": "array", "items": self.nullable(element, name)}),
            SqlType::Map(key, value) => {
                let mut entry = self.begin(name, root);
                let fields = json!([self.field("key", key, name), self.field("value", value, name)]);
                entry.insert("fields".to_owned(), fields);
                entry.insert("connect.internal.type".to_owned(), Value::from("MapEntry"));
                json!({"type": "array", "items": entry})
            }
            SqlType::Struct(fields) => self.record(fields.iter().map(|f| (f.name.as_str(), &f.ty)), name, root),
        }
    }
}

fn connect(ty: &str, name: &str, logical: &str) -> Value {
    json!({"type": ty, "connect.version": 1, "connect.name": name, "logicalType": logical})
}

/// `MY_TOPIC` → `MyTopic`; what Avro's names cannot have is left out.
fn camel(topic: &str) -> String {
    let words = topic.split(|c: char| !c.is_ascii_alphanumeric());
    let mut out: String = words.map(capitalized).collect();
    if out.starts_with(|c: char| c.is_ascii_digit()) {
        out.insert(0, '_');
    }
    out
}

fn capitalized(word: &str) -> String {
    let mut chars = word.chars();
    let first = chars.next().map(|c| c.to_ascii_uppercase());
    first.into_iter().chain(chars.map(|c| c.to_ascii_lowercase())).collect()
}

/// Refuse names that Avro's fields cannot have.
pub(crate) fn check_names(columns: &[Column]) -> Result<()> {
    columns.iter().try_for_each(|c| check_name(&c.name).and_then(|()| check_type(&c.ty)))
}

/// Refuse names within types that Avro's fields cannot have.
pub(crate) fn check_types(columns: &[Column]) -> Result<()> {
    columns.iter().try_for_each(|c| check_type(&c.ty))
}

fn check_type(ty: &SqlType) -> Result<()> {
    match ty {
        SqlType::Array(element) => check_type(element),
        SqlType::Map(_, value) => check_type(value),
        SqlType::Struct(fields) => fields.iter().try_for_each(|f| check_name(&f.name).and_then(|()| check_type(&f.ty))),
        _ => Ok(()),
    }
}

fn check_name(name: &str) -> Result<()> {
    let wrong = |what: &str| Err(Error::invalid(format!("Schema is not compatible with Avro: {what}: {name}")));
    match name.chars().next() {
        None => wrong("Empty name"),
        Some(c) if !c.is_ascii_alphabetic() && c != '_' => wrong("Illegal initial character"),
        _ if name.chars().any(|c| !c.is_ascii_alphanumeric() && c != '_') => wrong("Illegal character in"),
        _ => Ok(()),
    }
}
