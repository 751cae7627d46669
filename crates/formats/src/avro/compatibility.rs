//! Whether data written with one Avro schema can be read with another: the specification's rules of schema resolution,
//! applied to types instead of values.

use std::collections::HashSet;

use super::schema::{Kind, NodeId, Schema};

/// What keeps data of `writer` from being read with `reader`, each with the place in the reader's schema.
pub(crate) fn incompatibilities(reader: &Schema, writer: &Schema) -> Vec<String> {
    let mut check = Check { reader, writer, met: HashSet::new() };
    check.types(reader.root, writer.root, "/")
}

struct Check<'a> {
    reader: &'a Schema,
    writer: &'a Schema,
    /// Pairs that were compared or are being compared: types may contain themselves.
    met: HashSet<(NodeId, NodeId)>,
}

impl Check<'_> {
    fn types(&mut self, reader: NodeId, writer: NodeId, at: &str) -> Vec<String> {
        if !self.met.insert((reader, writer)) {
            return Vec::new();
        }
        let (read, written) = (&self.reader.node(reader).kind, &self.writer.node(writer).kind);
        match (read, written) {
            (_, Kind::Union(branches)) => {
                let (branches, mut found) = (branches.clone(), Vec::new());
                for branch in branches {
                    found.extend(self.types(reader, branch, at));
                }
                found
            }
            (Kind::Union(branches), _) => {
                let branches = branches.clone();
                if branches.iter().any(|branch| self.trial(*branch, writer, at)) {
                    return Vec::new();
                }
                vec![format!("{at}: no branch of the reader's union takes the writer's {}", written.name())]
            }
            (Kind::Record(_), Kind::Record(_)) => self.records(reader, writer, at),
            (Kind::Array(read), Kind::Array(written)) => self.types(*read, *written, &format!("{at}items/")),
            (Kind::Map(read), Kind::Map(written)) => self.types(*read, *written, &format!("{at}values/")),
            (Kind::Enum(read), Kind::Enum(written)) => {
                let mut found = self.names(reader, writer, at);
                let missing: Vec<_> = written.iter().filter(|symbol| !read.contains(symbol)).cloned().collect();
                let default = self.reader.named(reader).is_some_and(|n| n.default.is_some());
                if !missing.is_empty() && !default {
                    found.push(format!(
                        "{at}symbols: the reader's enum lacks {} and has no default",
                        missing.join(", ")
                    ));
                }
                found
            }
            (Kind::Fixed(read), Kind::Fixed(written)) => {
                let mut found = self.names(reader, writer, at);
                if read != written {
                    found.push(format!("{at}size: the reader's fixed has {read} bytes, the writer's {written}"));
                }
                found
            }
            _ if promotes(read, written) => Vec::new(),
            _ => vec![format!("{at}: the reader's type is {}, the writer's {}", read.name(), written.name())],
        }
    }

    /// Whether a branch of a union takes the writer's type; what was met on the way to a failure is forgotten.
    fn trial(&mut self, reader: NodeId, writer: NodeId, at: &str) -> bool {
        let before = self.met.clone();
        let fits = self.types(reader, writer, at).is_empty();
        if !fits {
            self.met = before;
        }
        fits
    }

    fn records(&mut self, reader: NodeId, writer: NodeId, at: &str) -> Vec<String> {
        let mut found = self.names(reader, writer, at);
        for field in self.reader.fields(reader).to_vec() {
            let here = format!("{at}fields/{}/", field.name);
            let same = |name: &str| name == field.name || field.aliases.iter().any(|alias| alias == name);
            let written = self.writer.fields(writer).iter().find(|f| same(&f.name)).map(|f| f.node);
            match written {
                Some(written) => found.extend(self.types(field.node, written, &here)),
                None if field.default.is_none() => found.push(format!(
                    "{here}: the field '{}' is not in the writer's schema and has no default in the reader's",
                    field.name
                )),
                None => {}
            }
        }
        found
    }

    fn names(&self, reader: NodeId, writer: NodeId, at: &str) -> Vec<String> {
        let (Some(read), Some(written)) = (self.reader.named(reader), self.writer.named(writer)) else {
            return Vec::new();
        };
        if read.short() == written.short() || read.aliases.contains(&written.name) {
            return Vec::new();
        }
        vec![format!("{at}name: expected {}, found {}", written.name, read.name)]
    }
}

/// Whether a value of one primitive type can be read as another.
fn promotes(reader: &Kind, writer: &Kind) -> bool {
    use Kind::{Boolean, Bytes, Double, Float, Int, Long, Null, String};
    matches!(
        (reader, writer),
        (Null, Null)
            | (Boolean, Boolean)
            | (Int, Int)
            | (Long, Int | Long)
            | (Float, Int | Long | Float)
            | (Double, Int | Long | Float | Double)
            | (Bytes | String, Bytes | String)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whether data of `writer` can be read with `reader`, and what is said if not.
    fn check(reader: &str, writer: &str, expect: &[&str]) {
        let parse = |text: &str| Schema::parse(text, &[]).expect(text);
        assert_eq!(incompatibilities(&parse(reader), &parse(writer)), expect, "{reader} reads {writer}");
    }

    fn record(fields: &str) -> String {
        format!(r#"{{"type": "record", "name": "a.R", "fields": [{fields}]}}"#)
    }

    #[test]
    fn fields_come_and_go() {
        let one = record(r#"{"name": "X", "type": "int"}"#);
        let defaulted =
            record(r#"{"name": "X", "type": "int"}, {"name": "Y", "type": ["null", "string"], "default": null}"#);
        let required = record(r#"{"name": "X", "type": "int"}, {"name": "Y", "type": "string"}"#);
        check(&defaulted, &one, &[]);
        check(&one, &required, &[]);
        check(
            &required,
            &one,
            &["/fields/Y/: the field 'Y' is not in the writer's schema and has no default in the reader's"],
        );
        let renamed = record(r#"{"name": "Z", "aliases": ["X"], "type": "long"}"#);
        check(&renamed, &one, &[]);
        check(
            &one,
            &record(r#"{"name": "X", "type": "long"}"#),
            &["/fields/X/: the reader's type is int, the writer's long"],
        );
    }

    #[test]
    fn unions_enums_and_names() {
        check(r#"["null", "string"]"#, r#""string""#, &[]);
        check(r#""string""#, r#"["null", "string"]"#, &["/: the reader's type is string, the writer's null"]);
        check(r#"["null", "int"]"#, r#""string""#, &["/: no branch of the reader's union takes the writer's string"]);
        let ab = r#"{"type": "enum", "name": "E", "symbols": ["A", "B"]}"#;
        let a = r#"{"type": "enum", "name": "E", "symbols": ["A"]}"#;
        check(ab, a, &[]);
        check(a, ab, &["/symbols: the reader's enum lacks B and has no default"]);
        check(r#"{"type": "enum", "name": "E", "symbols": ["A"], "default": "A"}"#, ab, &[]);
        let fixed = |name: &str, size: u8| format!(r#"{{"type": "fixed", "name": "{name}", "size": {size}}}"#);
        check(&fixed("F", 4), &fixed("F", 8), &["/size: the reader's fixed has 4 bytes, the writer's 8"]);
        check(&fixed("F", 4), &fixed("G", 4), &["/name: expected G, found F"]);
    }

    #[test]
    fn types_that_contain_themselves_end() {
        let list = record(r#"{"name": "NEXT", "type": ["null", "a.R"], "default": null}"#);
        check(&list, &list, &[]);
    }
}
