//! Messages, enums and fields, and the SQL types that they stand for.

use types::{SqlType, StructField};

/// Levels of messages within messages that a SQL type can have.
const DEPTH_MAX: usize = 32;
/// Fields that are looked at: messages may use each other again and again.
const VISITS_MAX: usize = 10_000;
/// Digits of a DECIMAL whose schema does not say.
const PRECISION_DEFAULT: u32 = 38;

/// A file with all that it imports.
#[derive(Debug, Default)]
pub(crate) struct Schema {
    pub messages: Vec<Message>,
    pub enums: Vec<Enum>,
}

/// A message type.
#[derive(Debug)]
pub(crate) struct Message {
    /// With its package and the messages around it.
    pub name: String,
    pub fields: Vec<Field>,
    /// Where it stands in the file: the place of the outermost message, the place within that, …; empty for what is
    /// imported.
    pub path: Vec<usize>,
    /// Whether it is the key and value of a `map`.
    pub entry: bool,
}

/// An enum type: symbols and their numbers.
#[derive(Debug)]
pub(crate) struct Enum {
    pub name: String,
    pub symbols: Vec<(String, i64)>,
}

/// A message's field.
#[derive(Debug, Clone)]
pub(crate) struct Field {
    pub name: String,
    pub number: u32,
    pub kind: Kind,
    pub label: Label,
    /// Precision and scale, if its options say them.
    pub decimal: Option<(u32, u32)>,
    /// The group of fields of which one at most is there.
    pub oneof: Option<String>,
}

/// Whether a field can be missing, or be there many times.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Label {
    /// Missing means the type's default.
    Single,
    /// Missing means nothing.
    Optional,
    /// Any number of times.
    Repeated,
}

/// A field's type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Double,
    Float,
    Int32,
    Int64,
    Uint32,
    Uint64,
    Sint32,
    Sint64,
    Fixed32,
    Fixed64,
    Sfixed32,
    Sfixed64,
    Bool,
    String,
    Bytes,
    Enum(usize),
    Message(usize),
    /// `google.protobuf.…Value`.
    Wrapper(Scalar),
    /// `google.protobuf.Timestamp`.
    Timestamp,
    /// `google.type.Date`.
    Date,
    /// `google.type.TimeOfDay`.
    TimeOfDay,
    /// `confluent.type.Decimal`.
    Decimal,
}

/// What a wrapper wraps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scalar {
    Double,
    Float,
    Int32,
    Int64,
    Uint32,
    Uint64,
    Bool,
    String,
    Bytes,
}

impl Scalar {
    /// The kind of the wrapper's one field.
    pub fn kind(self) -> Kind {
        match self {
            Scalar::Double => Kind::Double,
            Scalar::Float => Kind::Float,
            Scalar::Int32 => Kind::Int32,
            Scalar::Int64 => Kind::Int64,
            Scalar::Uint32 => Kind::Uint32,
            Scalar::Uint64 => Kind::Uint64,
            Scalar::Bool => Kind::Bool,
            Scalar::String => Kind::String,
            Scalar::Bytes => Kind::Bytes,
        }
    }
}

impl Kind {
    /// The scalar type of that name.
    pub fn scalar(name: &str) -> Option<Kind> {
        Some(match name {
            "double" => Kind::Double,
            "float" => Kind::Float,
            "int32" => Kind::Int32,
            "int64" => Kind::Int64,
            "uint32" => Kind::Uint32,
            "uint64" => Kind::Uint64,
            "sint32" => Kind::Sint32,
            "sint64" => Kind::Sint64,
            "fixed32" => Kind::Fixed32,
            "fixed64" => Kind::Fixed64,
            "sfixed32" => Kind::Sfixed32,
            "sfixed64" => Kind::Sfixed64,
            "bool" => Kind::Bool,
            "string" => Kind::String,
            "bytes" => Kind::Bytes,
            _ => return None,
        })
    }

    /// Whether values have a length before them.
    pub fn has_length(self) -> bool {
        matches!(
            self,
            Kind::String
                | Kind::Bytes
                | Kind::Message(_)
                | Kind::Wrapper(_)
                | Kind::Timestamp
                | Kind::Date
                | Kind::TimeOfDay
                | Kind::Decimal
        )
    }

    /// Whether values are messages, of which a missing one is nothing.
    pub fn is_message(self) -> bool {
        self.has_length() && !matches!(self, Kind::String | Kind::Bytes)
    }
}

/// Types of files that everybody imports and nobody registers.
pub(crate) fn builtin(name: &str) -> Option<Kind> {
    Some(match name {
        "google.protobuf.DoubleValue" => Kind::Wrapper(Scalar::Double),
        "google.protobuf.FloatValue" => Kind::Wrapper(Scalar::Float),
        "google.protobuf.Int32Value" => Kind::Wrapper(Scalar::Int32),
        "google.protobuf.Int64Value" => Kind::Wrapper(Scalar::Int64),
        "google.protobuf.UInt32Value" => Kind::Wrapper(Scalar::Uint32),
        "google.protobuf.UInt64Value" => Kind::Wrapper(Scalar::Uint64),
        "google.protobuf.BoolValue" => Kind::Wrapper(Scalar::Bool),
        "google.protobuf.StringValue" => Kind::Wrapper(Scalar::String),
        "google.protobuf.BytesValue" => Kind::Wrapper(Scalar::Bytes),
        "google.protobuf.Timestamp" => Kind::Timestamp,
        "google.type.Date" => Kind::Date,
        "google.type.TimeOfDay" => Kind::TimeOfDay,
        "confluent.type.Decimal" => Kind::Decimal,
        _ => return None,
    })
}

impl Schema {
    /// A message; one that does not exist has no fields.
    pub fn message(&self, id: usize) -> &Message {
        const NONE: &Message = &Message { name: String::new(), fields: Vec::new(), path: Vec::new(), entry: false };
        self.messages.get(id).unwrap_or(NONE)
    }

    /// An enum's symbols.
    pub fn symbols(&self, id: usize) -> &[(String, i64)] {
        self.enums.get(id).map(|e| e.symbols.as_slice()).unwrap_or_default()
    }

    /// The message of that full name, the first of the file if none is given.
    pub fn named(&self, name: Option<&str>) -> Option<usize> {
        self.messages.iter().position(|m| !m.path.is_empty() && name.is_none_or(|name| m.name == name))
    }

    /// The message at that path in the file.
    pub fn at_path(&self, path: &[usize]) -> Option<usize> {
        self.messages.iter().position(|m| m.path == path)
    }

    /// Key and value of a message that stands for a map's entry.
    pub fn entry(&self, id: usize) -> Option<(&Field, &Field)> {
        let message = self.message(id);
        match message.fields.as_slice() {
            [key, value] if message.entry => Some((key, value)),
            [key, value] if message.name.ends_with("Entry") && key.name == "key" && value.name == "value" => {
                Some((key, value))
            }
            _ => None,
        }
    }

    /// A message as a STRUCT. Fields' names pass through `rename`; fields without a SQL type are left out.
    pub fn struct_of(&self, id: usize, rename: fn(&str) -> String) -> Option<SqlType> {
        self.struct_at(id, rename, 0, &mut 0)
    }

    fn struct_at(&self, id: usize, rename: fn(&str) -> String, depth: usize, visits: &mut usize) -> Option<SqlType> {
        if depth > DEPTH_MAX {
            return None;
        }
        let mut fields = Vec::new();
        for field in &self.message(id).fields {
            *visits += 1;
            if *visits > VISITS_MAX {
                return None;
            }
            if let Some(ty) = self.field_type(field, rename, depth, visits) {
                fields.push(StructField { name: rename(&field.name), ty });
            }
        }
        (!fields.is_empty()).then_some(SqlType::Struct(fields))
    }

    fn field_type(
        &self,
        field: &Field,
        rename: fn(&str) -> String,
        depth: usize,
        visits: &mut usize,
    ) -> Option<SqlType> {
        if let (Label::Repeated, Kind::Message(id)) = (field.label, field.kind)
            && let Some((key, value)) = self.entry(id)
        {
            let key = self.field_type(key, rename, depth + 1, visits)?;
            return Some(SqlType::Map(Box::new(key), Box::new(self.field_type(value, rename, depth + 1, visits)?)));
        }
        let one = match field.kind {
            Kind::Message(id) => self.struct_at(id, rename, depth + 1, visits)?,
            Kind::Decimal => {
                let (precision, scale) = field.decimal.unwrap_or((PRECISION_DEFAULT, 0));
                types::decimal(precision, scale).ok()?
            }
            other => scalar_type(other),
        };
        Some(if field.label == Label::Repeated { SqlType::Array(Box::new(one)) } else { one })
    }
}

fn scalar_type(kind: Kind) -> SqlType {
    match kind {
        Kind::Double | Kind::Float => SqlType::Double,
        Kind::Int32 | Kind::Sint32 | Kind::Sfixed32 => SqlType::Int,
        Kind::Int64 | Kind::Sint64 | Kind::Sfixed64 => SqlType::BigInt,
        Kind::Uint32 | Kind::Uint64 | Kind::Fixed32 | Kind::Fixed64 => SqlType::BigInt,
        Kind::Bool => SqlType::Boolean,
        Kind::String | Kind::Enum(_) => SqlType::String,
        Kind::Bytes | Kind::Message(_) | Kind::Decimal => SqlType::Bytes,
        Kind::Wrapper(scalar) => scalar_type(scalar.kind()),
        Kind::Timestamp => SqlType::Timestamp,
        Kind::Date => SqlType::Date,
        Kind::TimeOfDay => SqlType::Time,
    }
}
