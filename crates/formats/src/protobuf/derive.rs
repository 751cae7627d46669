//! The `.proto` file that SQL columns get, in the form that ksqlDB registers.

use types::{Column, Error, Result, SqlType};

use crate::FormatSpec;

/// The name of a message without one.
const NAME: &str = "ConnectDefault";

/// How NULL differs from a type's default.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Nulls {
    /// It does not.
    Default,
    /// Fields are `optional`.
    Optional,
    /// Scalars are wrapped in messages.
    Wrapper,
}

/// What the options say about NULL.
pub(crate) fn nulls(spec: &FormatSpec) -> Nulls {
    let said = spec.extra.iter().find(|(key, _)| key.ends_with("PROTOBUF_NULLABLE_REPRESENTATION"));
    match said.map(|(_, value)| value.to_uppercase()).as_deref() {
        Some("OPTIONAL") => Nulls::Optional,
        Some("WRAPPER") => Nulls::Wrapper,
        _ => Nulls::Default,
    }
}

/// The file's text.
pub(crate) fn schema(columns: &[Column], spec: &FormatSpec) -> String {
    let full = spec.schema_full_name.clone().unwrap_or_else(|| format!("{NAME}1"));
    let (package, name) = full.rsplit_once('.').unwrap_or(("", &full));
    let mut file = File { nulls: nulls(spec), imports: Vec::new(), messages: 1 };
    let fields = columns.iter().map(|c| (c.name.as_str(), &c.ty)).collect::<Vec<_>>();
    let mut body = String::new();
    file.message(name, &fields, "", &mut body);
    let mut out = "syntax = \"proto3\";\n".to_owned();
    if !package.is_empty() {
        out.push_str(&format!("package {package};\n"));
    }
    out.push('\n');
    file.imports.sort_unstable();
    file.imports.dedup();
    for import in &file.imports {
        out.push_str(&format!("import \"{import}\";\n"));
    }
    if !file.imports.is_empty() {
        out.push('\n');
    }
    out + &body
}

struct File {
    nulls: Nulls,
    imports: Vec<&'static str>,
    /// Messages so far, which are counted to give them names.
    messages: usize,
}

impl File {
    fn message(&mut self, name: &str, fields: &[(&str, &SqlType)], indent: &str, out: &mut String) {
        let inner = format!("{indent}  ");
        out.push_str(&format!("{indent}message {name} {{\n"));
        let mut nested = String::new();
        for (number, (field, ty)) in (1u32..).zip(fields) {
            let declared = self.field(ty, &inner, &mut nested);
            let options = if let SqlType::Decimal { precision, scale } = element(ty) {
                self.imports.push("confluent/meta.proto");
                let parameter = |key: &str, value: &u8| format!("{{key: \"{key}\", value: \"{value}\"}}");
                let (precision, scale) = (parameter("precision", precision), parameter("scale", scale));
                format!(" [(confluent.field_meta) = {{params: [{precision}, {scale}]}}]")
            } else {
                String::new()
            };
            out.push_str(&format!("{inner}{declared} {} = {number}{options};\n", scrub(field)));
        }
        if !nested.is_empty() {
            out.push('\n');
            out.push_str(&nested);
        }
        out.push_str(&format!("{indent}}}\n"));
    }

    /// What stands before a field's name.
    fn field(&mut self, ty: &SqlType, indent: &str, nested: &mut String) -> String {
        match ty {
            SqlType::Array(element) => format!("repeated {}", self.one(element, indent, nested)),
            SqlType::Map(_, value) => format!("map<string, {}>", self.one(value, indent, nested)),
            SqlType::Struct(_) | SqlType::Decimal { .. } | SqlType::Date | SqlType::Time | SqlType::Timestamp => {
                self.one(ty, indent, nested)
            }
            _ if self.nulls == Nulls::Optional => format!("optional {}", self.one(ty, indent, nested)),
            _ => self.one(ty, indent, nested),
        }
    }

    fn one(&mut self, ty: &SqlType, indent: &str, nested: &mut String) -> String {
        let (scalar, wrapper) = match ty {
            SqlType::Boolean => ("bool", "BoolValue"),
            SqlType::Int => ("int32", "Int32Value"),
            SqlType::BigInt => ("int64", "Int64Value"),
            SqlType::Double => ("double", "DoubleValue"),
            SqlType::String => ("string", "StringValue"),
            SqlType::Bytes | SqlType::Array(_) | SqlType::Map(_, _) => ("bytes", "BytesValue"),
            SqlType::Date => return self.imported("google/type/date.proto", "google.type.Date"),
            SqlType::Time => return self.imported("google/type/timeofday.proto", "google.type.TimeOfDay"),
            SqlType::Timestamp => {
                return self.imported("google/protobuf/timestamp.proto", "google.protobuf.Timestamp");
            }
            SqlType::Decimal { .. } => {
                return self.imported("confluent/type/decimal.proto", "confluent.type.Decimal");
            }
            SqlType::Struct(fields) => {
                self.messages += 1;
                let name = format!("{NAME}{}", self.messages);
                let fields: Vec<_> = fields.iter().map(|f| (f.name.as_str(), &f.ty)).collect();
                self.message(&name, &fields, indent, nested);
                return name;
            }
        };
        if self.nulls == Nulls::Wrapper {
            return self.imported("google/protobuf/wrappers.proto", &format!("google.protobuf.{wrapper}"));
        }
        scalar.to_owned()
    }

    fn imported(&mut self, file: &'static str, ty: &str) -> String {
        self.imports.push(file);
        ty.to_owned()
    }
}

/// The type of an array's elements or a map's values, or the type itself.
fn element(ty: &SqlType) -> &SqlType {
    match ty {
        SqlType::Array(element) | SqlType::Map(_, element) => element,
        other => other,
    }
}

/// A name as Protobuf can have it: what it cannot have becomes its code in hexadecimal.
pub(crate) fn scrub(name: &str) -> String {
    let mut out = String::with_capacity(name.len());
    for (i, c) in name.chars().enumerate() {
        if c.is_ascii_alphabetic() || c == '_' || (c.is_ascii_digit() && i > 0) {
            out.push(c);
        } else {
            out.push_str(&format!("_x{:02X}", u32::from(c)));
        }
    }
    out
}

/// Refuse types that no `.proto` file can say.
pub(crate) fn check(format: &str, columns: &[Column]) -> Result<()> {
    columns.iter().try_for_each(|c| check_type(format, &c.name, &c.ty))
}

fn check_type(format: &str, name: &str, ty: &SqlType) -> Result<()> {
    let inner = match ty {
        SqlType::Map(key, _) if **key != SqlType::String => {
            let message = format!("{format} format only supports MAP types with STRING keys, and {name} is {ty}");
            return Err(Error::unsupported(message));
        }
        SqlType::Array(inner) | SqlType::Map(_, inner) => inner,
        SqlType::Struct(fields) => return fields.iter().try_for_each(|f| check_type(format, &f.name, &f.ty)),
        _ => return Ok(()),
    };
    if matches!(**inner, SqlType::Array(_) | SqlType::Map(_, _)) {
        let message = format!("{format} cannot nest ARRAY and MAP directly: {name} is {ty}");
        return Err(Error::unsupported(message).with_hint("put a STRUCT between them"));
    }
    check_type(format, name, inner)
}
