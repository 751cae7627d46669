//! A compiled `.proto` file (`google.protobuf.FileDescriptorProto`, in base64) → its text.
//!
//! Some clients register the descriptor that their compiler made instead of the text. Numbers of fields are those of
//! `descriptor.proto`. Of options only those that decide how bytes become columns are kept.

use std::fmt::Write;

use base64::{Engine, engine::general_purpose::STANDARD};

/// Levels of nested messages.
const DEPTH_MAX: usize = 32;

/// The text of a file that was registered as a descriptor; `None` where `text` is none.
pub(crate) fn text_of(text: &str) -> Option<String> {
    let bytes = STANDARD.decode(text.trim()).ok()?;
    let file = Message::parse(&bytes)?;
    // A text in base64's alphabet alone could be anything: a descriptor has a name and a message or an enum.
    file.text(1)?;
    if file.messages(4).next().is_none() && file.messages(5).next().is_none() {
        return None;
    }
    let mut out = String::new();
    write_file(&file, &mut out).ok()?;
    Some(out)
}

/// A message's fields in the order of their bytes.
#[derive(Debug)]
struct Message<'a> {
    fields: Vec<(u64, Value<'a>)>,
}

#[derive(Debug, Clone, Copy)]
enum Value<'a> {
    Number(u64),
    Bytes(&'a [u8]),
}

impl<'a> Message<'a> {
    fn parse(mut bytes: &'a [u8]) -> Option<Message<'a>> {
        let mut fields = Vec::new();
        while !bytes.is_empty() {
            let tag = varint(&mut bytes)?;
            let value = match tag & 7 {
                0 => Value::Number(varint(&mut bytes)?),
                1 => Value::Bytes(take(&mut bytes, 8)?),
                2 => {
                    let length = usize::try_from(varint(&mut bytes)?).ok()?;
                    Value::Bytes(take(&mut bytes, length)?)
                }
                5 => Value::Bytes(take(&mut bytes, 4)?),
                _ => return None,
            };
            fields.push((tag >> 3, value));
        }
        Some(Message { fields })
    }

    fn all(&self, number: u64) -> impl Iterator<Item = Value<'a>> {
        self.fields.iter().filter(move |(n, _)| *n == number).map(|(_, value)| *value)
    }

    fn number(&self, number: u64) -> Option<u64> {
        self.all(number).find_map(|value| match value {
            Value::Number(n) => Some(n),
            Value::Bytes(_) => None,
        })
    }

    fn texts(&self, number: u64) -> impl Iterator<Item = &'a str> {
        self.all(number).filter_map(|value| match value {
            Value::Bytes(bytes) => std::str::from_utf8(bytes).ok(),
            Value::Number(_) => None,
        })
    }

    fn text(&self, number: u64) -> Option<&'a str> {
        self.texts(number).next()
    }

    fn messages(&self, number: u64) -> impl Iterator<Item = Message<'a>> {
        self.all(number).filter_map(|value| match value {
            Value::Bytes(bytes) => Message::parse(bytes),
            Value::Number(_) => None,
        })
    }
}

fn take<'a>(bytes: &mut &'a [u8], length: usize) -> Option<&'a [u8]> {
    let (taken, rest) = bytes.split_at_checked(length)?;
    *bytes = rest;
    Some(taken)
}

fn varint(bytes: &mut &[u8]) -> Option<u64> {
    let mut value = 0u64;
    for shift in (0..64).step_by(7) {
        let byte = *take(bytes, 1)?.first()?;
        value |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return Some(value);
        }
    }
    None
}

fn write_file(file: &Message<'_>, out: &mut String) -> std::fmt::Result {
    // No syntax is proto2's.
    writeln!(out, "syntax = \"{}\";", file.text(12).unwrap_or("proto2"))?;
    if let Some(package) = file.text(2) {
        writeln!(out, "package {package};")?;
    }
    for import in file.texts(3) {
        writeln!(out, "import \"{import}\";")?;
    }
    let proto3 = file.text(12) == Some("proto3");
    for message in file.messages(4) {
        out.push('\n');
        write_message(&message, proto3, 0, out)?;
    }
    for item in file.messages(5) {
        out.push('\n');
        write_enum(&item, 0, out)?;
    }
    Ok(())
}

fn indent(depth: usize) -> String {
    "  ".repeat(depth)
}

fn write_message(message: &Message<'_>, proto3: bool, depth: usize, out: &mut String) -> std::fmt::Result {
    if depth > DEPTH_MAX {
        return Err(std::fmt::Error);
    }
    writeln!(out, "{}message {} {{", indent(depth), message.text(1).unwrap_or_default())?;
    let entries: Vec<Message<'_>> = message.messages(3).filter(is_map_entry).collect();
    for item in message.messages(4) {
        write_enum(&item, depth + 1, out)?;
    }
    for nested in message.messages(3).filter(|nested| !is_map_entry(nested)) {
        write_message(&nested, proto3, depth + 1, out)?;
    }
    let oneofs: Vec<&str> = message.messages(8).map(|oneof| oneof.text(1).unwrap_or_default()).collect();
    let mut written = Vec::new();
    for field in message.messages(2) {
        // `optional` of proto3 is a oneof that nobody wrote.
        let place = field.number(9).filter(|_| field.number(17) != Some(1));
        let Some(place) = place else {
            write_field(&field, &entries, proto3, depth + 1, out)?;
            continue;
        };
        if written.contains(&place) {
            continue;
        }
        written.push(place);
        let name = usize::try_from(place).ok().and_then(|place| oneofs.get(place)).copied().unwrap_or_default();
        writeln!(out, "{}oneof {name} {{", indent(depth + 1))?;
        for member in message.messages(2).filter(|f| f.number(9) == Some(place)) {
            write!(out, "{}", indent(depth + 2))?;
            write_typed(&member, out)?;
        }
        writeln!(out, "{}}}", indent(depth + 1))?;
    }
    writeln!(out, "{}}}", indent(depth))
}

fn is_map_entry(message: &Message<'_>) -> bool {
    message.messages(7).any(|options| options.number(7) == Some(1))
}

fn write_field(
    field: &Message<'_>,
    entries: &[Message<'_>],
    proto3: bool,
    depth: usize,
    out: &mut String,
) -> std::fmt::Result {
    write!(out, "{}", indent(depth))?;
    let own_name = |name: &str| name.rsplit('.').next().unwrap_or_default().to_owned();
    let entry = field.text(6).and_then(|ty| entries.iter().find(|e| e.text(1) == Some(own_name(ty).as_str())));
    if let Some(entry) = entry {
        let part = |number| entry.messages(2).find(|f| f.number(3) == Some(number));
        let ty = |part: Option<Message<'_>>| part.map(|f| type_name(&f).to_owned()).unwrap_or_default();
        let (name, number) = (field.text(1).unwrap_or_default(), field.number(3).unwrap_or(0));
        return writeln!(out, "map<{}, {}> {name} = {number};", ty(part(1)), ty(part(2)));
    }
    match field.number(4) {
        Some(3) => out.push_str("repeated "),
        Some(2) => out.push_str("required "),
        _ if !proto3 || field.number(17) == Some(1) => out.push_str("optional "),
        _ => {}
    }
    write_typed(field, out)
}

fn write_typed(field: &Message<'_>, out: &mut String) -> std::fmt::Result {
    write!(out, "{} {} = {}", type_name(field), field.text(1).unwrap_or_default(), field.number(3).unwrap_or(0))?;
    // confluent.field_meta is the extension 1088; its parameters are a map.
    let metas = field.messages(8).flat_map(|options| options.messages(1088).collect::<Vec<_>>());
    let parameters: Vec<String> = metas
        .flat_map(|meta| meta.messages(2).collect::<Vec<_>>())
        .filter_map(|entry| Some(format!("{{key: {:?}, value: {:?}}}", entry.text(1)?, entry.text(2)?)))
        .collect();
    if !parameters.is_empty() {
        write!(out, " [(confluent.field_meta) = {{params: [{}]}}]", parameters.join(", "))?;
    }
    writeln!(out, ";")
}

fn type_name<'a>(field: &Message<'a>) -> &'a str {
    match field.number(5) {
        Some(1) => "double",
        Some(2) => "float",
        Some(3) => "int64",
        Some(4) => "uint64",
        Some(5) => "int32",
        Some(6) => "fixed64",
        Some(7) => "fixed32",
        Some(8) => "bool",
        Some(9) => "string",
        Some(12) => "bytes",
        Some(13) => "uint32",
        Some(15) => "sfixed32",
        Some(16) => "sfixed64",
        Some(17) => "sint32",
        Some(18) => "sint64",
        _ => field.text(6).unwrap_or_default(),
    }
}

fn write_enum(item: &Message<'_>, depth: usize, out: &mut String) -> std::fmt::Result {
    writeln!(out, "{}enum {} {{", indent(depth), item.text(1).unwrap_or_default())?;
    for value in item.messages(2) {
        // Negative numbers are written as 64 bits.
        let number = value.number(2).unwrap_or(0).cast_signed();
        writeln!(out, "{}{} = {number};", indent(depth + 1), value.text(1).unwrap_or_default())?;
    }
    writeln!(out, "{}}}", indent(depth))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A field with a length.
    fn bytes(number: u8, inner: &[u8]) -> Vec<u8> {
        let (low, high) = (inner.len() & 0x7f, inner.len() >> 7);
        let length = [u8::try_from(low | 0x80).expect("7 bits"), u8::try_from(high).expect("14 bits")];
        [&[(number << 3) | 2], &length[..], inner].concat()
    }

    fn number(number: u8, value: u8) -> Vec<u8> {
        vec![number << 3, value]
    }

    fn field(name: &str, place: u8, label: u8, ty: u8, more: &[u8]) -> Vec<u8> {
        let parts = [bytes(1, name.as_bytes()), number(3, place), number(4, label), number(5, ty), more.to_vec()];
        bytes(2, &parts.concat())
    }

    #[test]
    fn a_descriptor_is_printed() {
        let entry_fields = [field("key", 1, 1, 9, &[]), field("value", 2, 1, 5, &[])].concat();
        let entry = bytes(3, &[bytes(1, b"TagsEntry"), entry_fields, bytes(7, &number(7, 1))].concat());
        let fields = [
            field("id", 1, 1, 3, &[]),
            field("names", 2, 3, 9, &[]),
            field("tags", 3, 3, 11, &bytes(6, b".p.M.TagsEntry")),
            field("at", 4, 1, 11, &bytes(6, b".google.protobuf.Timestamp")),
        ];
        let message = bytes(4, &[bytes(1, b"M"), fields.concat(), entry].concat());
        let import = bytes(3, b"google/protobuf/timestamp.proto");
        let file = [bytes(1, b"m.proto"), bytes(2, b"p"), import, message, bytes(12, b"proto3")].concat();
        let expect = "syntax = \"proto3\";\npackage p;\nimport \"google/protobuf/timestamp.proto\";\n\nmessage M {\n  \
                      int64 id = 1;\n  repeated string names = 2;\n  map<string, int32> tags = 3;\n  \
                      .google.protobuf.Timestamp at = 4;\n}\n";
        assert_eq!(text_of(&STANDARD.encode(file)).as_deref(), Some(expect));
        assert_eq!(text_of("syntax = \"proto3\";"), None);
        assert_eq!(text_of("abcd"), None);
    }
}
