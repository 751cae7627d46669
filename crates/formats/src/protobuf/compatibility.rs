//! Whether data written with one Protobuf schema can be read with another. Fields go by number, so that names may
//! change, and fields and messages may be added; a number keeps its wire type.

use std::collections::HashSet;

use super::schema::{Field, Kind, Label, Message, Schema};

/// What keeps data of `writer` from being read with `reader`, each with the field at fault.
pub(crate) fn incompatibilities(reader: &Schema, writer: &Schema) -> Vec<String> {
    let mut check = Check { reader, writer, met: HashSet::new(), found: Vec::new() };
    for (id, message) in writer.messages.iter().enumerate() {
        // What is imported has a subject of its own; entries of maps are compared where the map is.
        if message.path.is_empty() || message.entry {
            continue;
        }
        match reader.messages.iter().position(|m| m.name == message.name) {
            Some(other) => check.messages(other, id),
            // Records name a message by its place in the file: one that was there has to stay.
            None => check.found.push(format!("{}: the message is missing", message.name)),
        }
    }
    check.found
}

struct Check<'a> {
    reader: &'a Schema,
    writer: &'a Schema,
    met: HashSet<(usize, usize)>,
    found: Vec<String>,
}

impl Check<'_> {
    fn messages(&mut self, reader: usize, writer: usize) {
        if !self.met.insert((reader, writer)) {
            return;
        }
        let (read, written) = (self.reader.message(reader), self.writer.message(writer));
        for old in &written.fields {
            match read.fields.iter().find(|new| new.number == old.number) {
                Some(new) => self.field(&written.name, new, old),
                None if old.oneof.is_some() => {
                    self.found.push(format!("{}.{}: a field of a oneof was removed", written.name, old.name));
                }
                None => {}
            }
        }
        self.oneofs(read, written);
    }

    fn field(&mut self, message: &str, new: &Field, old: &Field) {
        let at = format!("{message}.{} = {}", old.name, old.number);
        if (new.label == Label::Repeated) != (old.label == Label::Repeated) && !old.kind.has_length() {
            self.found.push(format!("{at}: a number cannot become or cease to be repeated"));
        }
        let in_group = |found: bool| if found { None } else { Some(format!("{at}: the type changed")) };
        let fault = match (new.kind, old.kind) {
            (Kind::Message(new), Kind::Message(old)) => {
                let (read, written) = (self.reader.message(new), self.writer.message(old));
                match read.name == written.name || (read.entry && written.entry) {
                    true => {
                        self.messages(new, old);
                        None
                    }
                    false => Some(format!("{at}: the type changed from {} to {}", written.name, read.name)),
                }
            }
            (new, old) => in_group(group(new) == group(old)),
        };
        self.found.extend(fault);
    }

    /// Several fields that stood alone cannot move into one oneof: data may have both.
    fn oneofs(&mut self, read: &Message, written: &Message) {
        let mut seen: Vec<&str> = Vec::new();
        for name in read.fields.iter().filter_map(|f| f.oneof.as_deref()) {
            if seen.contains(&name) {
                continue;
            }
            seen.push(name);
            let inside = |f: &&Field| f.oneof.as_deref() == Some(name);
            let stood_alone =
                |number: u32| written.fields.iter().any(|old| old.number == number && old.oneof.is_none());
            let moved = read.fields.iter().filter(inside).filter(|new| stood_alone(new.number)).count();
            if moved > 1 {
                self.found.push(format!("{}: {moved} fields moved into the oneof {name}", written.name));
            }
        }
    }
}

/// Kinds with the same number are read for each other without loss of framing.
fn group(kind: Kind) -> u8 {
    match kind {
        Kind::Int32 | Kind::Uint32 | Kind::Int64 | Kind::Uint64 | Kind::Bool | Kind::Enum(_) => 0,
        Kind::Sint32 | Kind::Sint64 => 1,
        Kind::String | Kind::Bytes => 2,
        Kind::Fixed32 | Kind::Sfixed32 => 3,
        Kind::Fixed64 | Kind::Sfixed64 => 4,
        Kind::Double => 5,
        Kind::Float => 6,
        Kind::Message(_) => 7,
        Kind::Timestamp => 8,
        Kind::Date => 9,
        Kind::TimeOfDay => 10,
        Kind::Decimal => 11,
        Kind::Wrapper(scalar) => 20_u8.saturating_add(group(scalar.kind())),
    }
}

#[cfg(test)]
mod tests {
    use super::{super::parse::parse, *};

    fn check(reader: &str, writer: &str, expect: &[&str]) {
        let parse = |body: &str| parse(&format!("syntax = \"proto3\";\n{body}"), &|_| None).expect(body);
        assert_eq!(incompatibilities(&parse(reader), &parse(writer)), expect, "{reader} reads {writer}");
    }

    #[test]
    fn fields_go_by_number() {
        let one = "message M { int32 a = 1; }";
        check("message M { int64 b = 1; string c = 2; }", one, &[]);
        check(one, "message M { int32 a = 1; string c = 2; }", &[]);
        check("message M { string a = 1; }", one, &["M.a = 1: the type changed"]);
        check("message M { repeated int32 a = 1; }", one, &["M.a = 1: a number cannot become or cease to be repeated"]);
        check("message M { repeated string a = 1; }", "message M { string a = 1; }", &[]);
        check("message N { int32 a = 1; }", one, &["M: the message is missing"]);
    }

    #[test]
    fn messages_within_and_oneofs() {
        let old = "message M { I i = 1; message I { int32 x = 1; } }";
        check("message M { I i = 1; message I { string x = 1; } }", old, &["M.I.x = 1: the type changed"]);
        check(
            "message M { J i = 1; message J {} message I { int32 x = 1; } }",
            old,
            &["M.i = 1: the type changed from M.I to M.J"],
        );
        let alone = "message M { int32 a = 1; int32 b = 2; }";
        check("message M { oneof o { int32 a = 1; } int32 b = 2; }", alone, &[]);
        check("message M { oneof o { int32 a = 1; int32 b = 2; } }", alone, &["M: 2 fields moved into the oneof o"]);
        check(
            "message M { int32 b = 2; }",
            "message M { oneof o { int32 a = 1; int32 b = 2; } }",
            &["M.a: a field of a oneof was removed"],
        );
        check(
            "message M { map<string, string> m = 1; }",
            "message M { map<string, int32> m = 1; }",
            &["M.m.entry.value = 2: the type changed"],
        );
    }
}
