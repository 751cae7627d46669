//! JSON Schema ⇄ SQL types, with the annotations that Kafka Connect adds (`connect.type`, `connect.index`, titles).

use serde_json::{Map, Value, json};
use types::{Column, Error, Result, SqlType, StructField};

/// Levels of nesting and references that a schema may have.
const DEPTH_MAX: usize = 64;
/// Types that are looked at: definitions may be used again and again within each other.
const VISITS_MAX: usize = 10_000;
/// What Kafka Connect calls its logical types.
const CONNECT: &str = "org.apache.kafka.connect.data.";
/// Digits of a DECIMAL whose schema does not say.
const PRECISION_DEFAULT: u32 = 38;

/// The schema's text for columns.
pub(crate) fn derive(columns: &[Column], wrapped: bool) -> String {
    let root = match columns {
        [column] if !wrapped => nullable(&column.ty),
        _ => object(columns.iter().map(|c| (c.name.as_str(), &c.ty))),
    };
    root.to_string()
}

fn object<'a>(fields: impl Iterator<Item = (&'a str, &'a SqlType)>) -> Value {
    let mut properties = Map::new();
    for (i, (name, ty)) in fields.enumerate() {
        let mut property = Map::new();
        property.insert("connect.index".to_owned(), Value::from(i));
        if let Value::Object(one_of) = nullable(ty) {
            property.extend(one_of);
        }
        properties.insert(name.to_owned(), Value::Object(property));
    }
    json!({"type": "object", "properties": properties})
}

fn nullable(ty: &SqlType) -> Value {
    json!({"oneOf": [{"type": "null"}, of_type(ty)]})
}

fn of_type(ty: &SqlType) -> Value {
    let connect = |json: &str, ty: &str| json!({"type": json, "connect.type": ty});
    let logical = |json: &str, ty: &str, name: &str| {
        let title = format!("{CONNECT}{name}");
        json!({"type": json, "title": title, "connect.version": 1, "connect.type": ty})
    };
    match ty {
        SqlType::Boolean => json!({"type": "boolean"}),
        SqlType::Int => connect("integer", "int32"),
        SqlType::BigInt => connect("integer", "int64"),
        SqlType::Double => connect("number", "float64"),
        SqlType::String => json!({"type": "string"}),
        SqlType::Bytes => connect("string", "bytes"),
        SqlType::Date => logical("integer", "int32", "Date"),
        SqlType::Time => logical("integer", "int32", "Time"),
        SqlType::Timestamp => logical("integer", "int64", "Timestamp"),
        SqlType::Decimal { precision, scale } => {
            let parameters = json!({"scale": scale.to_string(), "connect.decimal.precision": precision.to_string()});
            let mut decimal = logical("number", "bytes", "Decimal");
            if let Some(object) = decimal.as_object_mut() {
                object.insert("connect.parameters".to_owned(), parameters);
            }
            decimal
        }
        SqlType::Array(element) => json!({"type": "array", "items": nullable(element)}),
        SqlType::Map(_, value) => {
            json!({"type": "object", "connect.type": "map", "additionalProperties": nullable(value)})
        }
        SqlType::Struct(fields) => object(fields.iter().map(|f| (f.name.as_str(), &f.ty))),
    }
}

/// The SQL type of a schema's values; `None` where there is none. Fields' names pass through `rename`.
///
/// # Errors
/// The text is not JSON.
pub(crate) fn sql_type(text: &str, rename: fn(&str) -> String) -> Result<Option<SqlType>> {
    let root = parse(text)?;
    Ok(Walk { root: &root, rename, visits: 0 }.sql_type(&root, 0))
}

fn parse(text: &str) -> Result<Value> {
    serde_json::from_str(text).map_err(|e| Error::invalid(format!("a JSON schema must be JSON: {e}")))
}

/// The properties of a schema that no column has, with what stands for them: their default, or null.
pub(crate) fn other_fields(text: &str, columns: &[Column]) -> Result<Vec<(String, String)>> {
    let root = parse(text)?;
    let walk = Walk { root: &root, rename: str::to_owned, visits: 0 };
    let object = walk.without_null(walk.resolve(&root, 0), 0);
    let Some(properties) = object.get("properties").and_then(Value::as_object) else { return Ok(Vec::new()) };
    let has_column = |name: &str| columns.iter().any(|c| c.name.to_uppercase() == name.to_uppercase());
    let constant = |property: &Value| property.get("default").unwrap_or(&Value::Null).to_string();
    let others = properties.iter().filter(|(name, _)| !has_column(name));
    Ok(others.map(|(name, property)| (name.clone(), constant(property))).collect())
}

struct Walk<'a> {
    root: &'a Value,
    rename: fn(&str) -> String,
    visits: usize,
}

impl<'a> Walk<'a> {
    /// What a reference within the schema refers to.
    fn resolve(&self, value: &'a Value, depth: usize) -> &'a Value {
        match value.get("$ref").and_then(Value::as_str).and_then(|r| r.strip_prefix('#')) {
            Some(pointer) if depth < DEPTH_MAX => match self.root.pointer(pointer) {
                Some(found) => self.resolve(found, depth + 1),
                None => value,
            },
            _ => value,
        }
    }

    /// The one alternative that is not null.
    fn without_null(&self, value: &'a Value, depth: usize) -> &'a Value {
        let branches = ["oneOf", "anyOf"].iter().find_map(|key| value.get(*key)).and_then(Value::as_array);
        let Some(branches) = branches else { return value };
        let is_null = |b: &&Value| b.get("type").and_then(Value::as_str) == Some("null");
        let mut others = branches.iter().filter(|b| !is_null(b));
        match (others.next(), others.next()) {
            (Some(one), None) if depth < DEPTH_MAX => self.without_null(self.resolve(one, depth + 1), depth + 1),
            _ => value,
        }
    }

    fn sql_type(&mut self, value: &'a Value, depth: usize) -> Option<SqlType> {
        self.visits += 1;
        if depth > DEPTH_MAX || self.visits > VISITS_MAX {
            return None;
        }
        let value = self.without_null(self.resolve(value, depth), depth);
        let text = |key: &str| value.get(key).and_then(Value::as_str);
        let title = text("title").and_then(|t| t.strip_prefix(CONNECT));
        let connect = text("connect.type");
        Some(match type_name(value)? {
            "boolean" => SqlType::Boolean,
            "integer" => match (title, connect) {
                (Some("Date"), _) => SqlType::Date,
                (Some("Time"), _) => SqlType::Time,
                (Some("Timestamp"), _) => SqlType::Timestamp,
                (_, Some("int8" | "int16" | "int32")) => SqlType::Int,
                _ => SqlType::BigInt,
            },
            "number" if title == Some("Decimal") => decimal(value)?,
            "number" => SqlType::Double,
            "string" if connect == Some("bytes") => SqlType::Bytes,
            "string" => SqlType::String,
            "array" => {
                let items = value.get("items")?;
                if connect == Some("map") {
                    let entry = self.without_null(self.resolve(items, depth), depth).get("properties")?.get("value")?;
                    return Some(map_of(self.sql_type(entry, depth + 1)?));
                }
                SqlType::Array(Box::new(self.sql_type(items, depth + 1)?))
            }
            "object" if connect == Some("map") => map_of(self.sql_type(value.get("additionalProperties")?, depth + 1)?),
            "object" => self.fields(value, depth)?,
            _ => return None,
        })
    }

    fn fields(&mut self, value: &'a Value, depth: usize) -> Option<SqlType> {
        let properties = value.get("properties")?.as_object()?;
        // Where Connect wrote the schema, it says in which order fields were declared.
        let index = |property: &Value| property.get("connect.index").and_then(Value::as_u64).unwrap_or(u64::MAX);
        let mut sorted: Vec<_> = properties.iter().collect();
        sorted.sort_by_key(|(_, property)| index(property));
        let mut fields = Vec::with_capacity(sorted.len());
        for (name, property) in sorted {
            if let Some(ty) = self.sql_type(property, depth + 1) {
                fields.push(StructField { name: (self.rename)(name), ty });
            }
        }
        (!fields.is_empty()).then_some(SqlType::Struct(fields))
    }
}

fn map_of(value: SqlType) -> SqlType {
    SqlType::Map(Box::new(SqlType::String), Box::new(value))
}

/// `type`, which may be a list with null; of an enum without one, string.
fn type_name(value: &Value) -> Option<&str> {
    match value.get("type") {
        Some(Value::String(name)) => Some(name),
        Some(Value::Array(names)) => names.iter().filter_map(Value::as_str).find(|name| *name != "null"),
        _ if value.get("enum").is_some() => Some("string"),
        _ if value.get("properties").is_some() => Some("object"),
        _ => None,
    }
}

fn decimal(value: &Value) -> Option<SqlType> {
    let parameters = value.get("connect.parameters")?;
    let digits = |key: &str| parameters.get(key).and_then(Value::as_str).and_then(|n| n.parse().ok());
    types::decimal(digits("connect.decimal.precision").unwrap_or(PRECISION_DEFAULT), digits("scale")?).ok()
}
