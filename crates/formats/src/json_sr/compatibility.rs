//! Whether one JSON Schema accepts everything that another accepts.
//!
//! In general that cannot be decided; these rules say yes only where it is certain. A keyword of the reader that the
//! writer lacks narrows; one of the writer that the reader lacks widens.

use std::{collections::BTreeSet, sync::LazyLock};

use serde_json::{Map, Value};

/// Levels that are compared, references resolved; below them schemas count as the same.
const DEPTH_MAX: usize = 48;
/// Pairs of schemas that are compared.
const VISITS_MAX: usize = 20_000;
/// What a value can be.
const TYPES: [&str; 7] = ["array", "boolean", "integer", "null", "number", "object", "string"];

/// What `reader` refuses though `writer` may write it, each with its place.
pub(crate) fn incompatibilities(reader: &Value, writer: &Value) -> Vec<String> {
    let mut check = Check { reader, writer, visits: 0, found: Vec::new() };
    check.schemas(reader, writer, "#", 0);
    check.found
}

struct Check<'a> {
    reader: &'a Value,
    writer: &'a Value,
    visits: usize,
    found: Vec<String>,
}

/// The keywords of `true`.
static NONE: LazyLock<Map<String, Value>> = LazyLock::new(Map::new);

/// What a limit compares as.
#[derive(Clone, Copy)]
enum Limit {
    AtMost,
    AtLeast,
}

/// Keywords with a number, and which way they limit.
const LIMITS: [(&str, Limit); 10] = [
    ("maximum", Limit::AtMost),
    ("exclusiveMaximum", Limit::AtMost),
    ("minimum", Limit::AtLeast),
    ("exclusiveMinimum", Limit::AtLeast),
    ("maxLength", Limit::AtMost),
    ("minLength", Limit::AtLeast),
    ("maxItems", Limit::AtMost),
    ("minItems", Limit::AtLeast),
    ("maxProperties", Limit::AtMost),
    ("minProperties", Limit::AtLeast),
];

impl<'a> Check<'a> {
    fn fault(&mut self, at: &str, what: impl std::fmt::Display) {
        self.found.push(format!("{at}: {what}"));
    }

    fn schemas(&mut self, reader: &'a Value, writer: &'a Value, at: &str, depth: usize) {
        self.visits += 1;
        if depth > DEPTH_MAX || self.visits > VISITS_MAX {
            return;
        }
        let (new, old) = (resolve(self.reader, reader), resolve(self.writer, writer));
        if new == old && self.reader == self.writer || accepts_all(new) || *old == Value::Bool(false) {
            return;
        }
        if *new == Value::Bool(false) {
            return self.fault(at, "nothing is accepted any more");
        }
        if let Some(branches) = sum(old) {
            for branch in branches {
                self.schemas(reader, branch, at, depth + 1);
            }
            return;
        }
        if let Some(branches) = sum(new) {
            if !branches.iter().any(|branch| self.trial(branch, writer, at, depth)) {
                self.fault(at, "no alternative accepts what was accepted");
            }
            return;
        }
        let (new, old) = (new.as_object().unwrap_or(&NONE), old.as_object().unwrap_or(&NONE));
        self.products(new, writer, at, depth);
        self.types(new, old, at);
        self.values(new, old, at);
        self.items(new, old, at, depth);
        self.properties(new, old, at, depth);
    }

    fn trial(&mut self, reader: &'a Value, writer: &'a Value, at: &str, depth: usize) -> bool {
        let before = self.found.len();
        self.schemas(reader, writer, at, depth + 1);
        let fits = self.found.len() == before;
        self.found.truncate(before);
        fits
    }

    /// `allOf`: each part has to accept; what the writer demanded in parts counts part by part.
    fn products(&mut self, new: &'a Map<String, Value>, writer: &'a Value, at: &str, depth: usize) {
        let parts = |value: &'a Value| value.get("allOf").and_then(Value::as_array);
        let demanded: Vec<&'a Value> = match parts(resolve(self.writer, writer)) {
            Some(old) => old.iter().chain([writer]).collect(),
            None => vec![writer],
        };
        for part in new.get("allOf").and_then(Value::as_array).into_iter().flatten() {
            if !demanded.iter().any(|old| self.trial(part, old, at, depth)) {
                self.fault(&format!("{at}/allOf"), "a part does not accept what was accepted");
            }
        }
    }

    fn types(&mut self, new: &Map<String, Value>, old: &Map<String, Value>, at: &str) {
        let (new, old) = (types(new), types(old));
        let missing: Vec<_> = old
            .iter()
            .filter(|ty| !(new.contains(*ty) || **ty == "integer" && new.contains("number")))
            .copied()
            .collect();
        if !missing.is_empty() {
            self.fault(&format!("{at}/type"), format!("{} is not accepted any more", missing.join(", ")));
        }
    }

    /// `enum`, `const`, `pattern`, `format`, `not` and limits.
    fn values(&mut self, new: &Map<String, Value>, old: &Map<String, Value>, at: &str) {
        if let Some(allowed) = choices(new) {
            match choices(old) {
                Some(before) => {
                    let lost: Vec<_> = before.iter().filter(|v| !allowed.contains(v)).map(|v| v.to_string()).collect();
                    if !lost.is_empty() {
                        self.fault(&format!("{at}/enum"), format!("{} is not accepted any more", lost.join(", ")));
                    }
                }
                None => self.fault(&format!("{at}/enum"), "values were not limited"),
            }
        }
        for keyword in ["pattern", "multipleOf", "not"] {
            if let Some(wanted) = new.get(keyword).filter(|wanted| old.get(keyword) != Some(wanted)) {
                let multiple = keyword == "multipleOf" && divides(wanted, old.get(keyword));
                if !multiple {
                    self.fault(&format!("{at}/{keyword}"), "was added or changed");
                }
            }
        }
        for (keyword, limit) in LIMITS {
            let Some(now) = new.get(keyword).and_then(Value::as_f64) else { continue };
            let narrower = match (old.get(keyword).and_then(Value::as_f64), limit) {
                (None, _) => true,
                (Some(before), Limit::AtMost) => now < before,
                (Some(before), Limit::AtLeast) => now > before,
            };
            if narrower {
                self.fault(&format!("{at}/{keyword}"), format!("{now} is narrower than before"));
            }
        }
        if new.get("uniqueItems") == Some(&Value::Bool(true)) && old.get("uniqueItems") != Some(&Value::Bool(true)) {
            self.fault(&format!("{at}/uniqueItems"), "was added");
        }
    }

    fn items(&mut self, new: &'a Map<String, Value>, old: &'a Map<String, Value>, at: &str, depth: usize) {
        const ANY: &Value = &Value::Bool(true);
        if !types(new).contains("array") || !types(old).contains("array") {
            return;
        }
        let (now, now_rest) = tuple(new);
        let (before, before_rest) = tuple(old);
        let at = format!("{at}/items");
        for index in 0..now.len().max(before.len()) {
            let read = now.get(index).or(now_rest).unwrap_or(ANY);
            let written = before.get(index).or(before_rest).unwrap_or(ANY);
            self.schemas(read, written, &format!("{at}/{index}"), depth + 1);
        }
        self.schemas(now_rest.unwrap_or(ANY), before_rest.unwrap_or(ANY), &at, depth + 1);
    }

    fn properties(&mut self, new: &'a Map<String, Value>, old: &'a Map<String, Value>, at: &str, depth: usize) {
        const ANY: &Value = &Value::Bool(true);
        if !types(new).contains("object") || !types(old).contains("object") {
            return;
        }
        let members = |map: &'a Map<String, Value>| map.get("properties").and_then(Value::as_object);
        let rest = |map: &'a Map<String, Value>| map.get("additionalProperties").unwrap_or(ANY);
        let names: BTreeSet<&'a String> =
            members(new).into_iter().chain(members(old)).flat_map(|map| map.keys()).collect();
        for name in names {
            let here = format!("{at}/properties/{name}");
            let read = members(new).and_then(|map| map.get(name)).unwrap_or(rest(new));
            // A property that the writer did not know: whatever its open content model let through.
            let written = members(old).and_then(|map| map.get(name)).unwrap_or(rest(old));
            self.schemas(read, written, &here, depth + 1);
        }
        self.schemas(rest(new), rest(old), &format!("{at}/additionalProperties"), depth + 1);
        let required = |map: &'a Map<String, Value>| -> Vec<&'a str> {
            map.get("required").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str).collect()
        };
        let before = required(old);
        for name in required(new) {
            let defaulted = members(new).and_then(|m| m.get(name)).is_some_and(|p| p.get("default").is_some());
            if !before.contains(&name) && !defaulted {
                self.fault(&format!("{at}/required"), format!("'{name}' was not required and has no default"));
            }
        }
    }
}

/// What a reference within the document refers to.
fn resolve<'a>(root: &'a Value, value: &'a Value) -> &'a Value {
    let mut value = value;
    for _ in 0..DEPTH_MAX {
        let pointer = value.get("$ref").and_then(Value::as_str).and_then(|r| r.strip_prefix('#'));
        match pointer.and_then(|pointer| root.pointer(pointer)) {
            Some(found) => value = found,
            None => break,
        }
    }
    value
}

fn accepts_all(schema: &Value) -> bool {
    // Annotations limit nothing.
    const ANNOTATIONS: [&str; 7] = ["$schema", "$id", "title", "description", "default", "examples", "$comment"];
    match schema {
        Value::Bool(accepts) => *accepts,
        Value::Object(map) => map.keys().all(|key| ANNOTATIONS.contains(&key.as_str())),
        _ => false,
    }
}

/// The alternatives of a schema.
fn sum(schema: &Value) -> Option<&Vec<Value>> {
    ["oneOf", "anyOf"].iter().find_map(|key| schema.get(*key)).and_then(Value::as_array)
}

fn types(schema: &Map<String, Value>) -> BTreeSet<&str> {
    match schema.get("type") {
        Some(Value::String(name)) => BTreeSet::from([name.as_str()]),
        Some(Value::Array(names)) => names.iter().filter_map(Value::as_str).collect(),
        _ => match choices(schema) {
            Some(values) => values.into_iter().map(type_of).collect(),
            None => TYPES.into_iter().collect(),
        },
    }
}

fn type_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(n) if n.is_f64() => "number",
        Value::Number(_) => "integer",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

/// The values that `enum` or `const` allow.
fn choices(schema: &Map<String, Value>) -> Option<Vec<&Value>> {
    match (schema.get("enum"), schema.get("const")) {
        (Some(Value::Array(values)), _) => Some(values.iter().collect()),
        (_, Some(value)) => Some(vec![value]),
        _ => None,
    }
}

/// Whether every multiple of `before` is one of `now`.
fn divides(now: &Value, before: Option<&Value>) -> bool {
    match (now.as_f64(), before.and_then(Value::as_f64)) {
        (Some(now), Some(before)) if now > 0.0 => (before / now).fract() == 0.0,
        _ => false,
    }
}

/// The schemas of the first items, and of those after them.
fn tuple(schema: &Map<String, Value>) -> (&[Value], Option<&Value>) {
    match (schema.get("prefixItems"), schema.get("items")) {
        (Some(Value::Array(first)), rest) => (first, rest),
        (_, Some(Value::Array(first))) => (first, schema.get("additionalItems")),
        (_, rest) => (&[], rest),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(reader: &str, writer: &str, expect: &[&str]) {
        let parse = |text: &str| serde_json::from_str::<Value>(text).expect(text);
        assert_eq!(incompatibilities(&parse(reader), &parse(writer)), expect, "{reader} reads {writer}");
    }

    #[test]
    fn types_widen() {
        check(r#"{"type": "number"}"#, r#"{"type": "integer"}"#, &[]);
        check(r#"{"type": "integer"}"#, r#"{"type": "number"}"#, &["#/type: number is not accepted any more"]);
        check(r#"{"type": ["string", "null"]}"#, r#"{"type": "string"}"#, &[]);
        check("{}", r#"{"type": "string"}"#, &[]);
        check("false", r#"{"type": "string"}"#, &["#: nothing is accepted any more"]);
        check(r#"{"oneOf": [{"type": "null"}, {"type": "string"}]}"#, r#"{"type": "string"}"#, &[]);
        check(
            r#"{"type": "string"}"#,
            r#"{"oneOf": [{"type": "null"}, {"type": "string"}]}"#,
            &["#/type: null is not accepted any more"],
        );
        check(r#"{"enum": ["a"]}"#, r#"{"enum": ["a", "b"]}"#, &[r#"#/enum: "b" is not accepted any more"#]);
        check(
            r#"{"type": "string", "maxLength": 3}"#,
            r#"{"type": "string", "maxLength": 5}"#,
            &["#/maxLength: 3 is narrower than before"],
        );
    }

    #[test]
    fn properties_come_and_go() {
        let open = r#"{"type": "object", "properties": {"a": {"type": "string"}}}"#;
        let closed = r#"{"type": "object", "properties": {"a": {"type": "string"}}, "additionalProperties": false}"#;
        let more = r#"{"type": "object", "properties": {"a": {"type": "string"}, "b": {"type": "integer"}},
            "additionalProperties": false}"#;
        check(more, closed, &[]);
        check(closed, more, &["#/properties/b: nothing is accepted any more"]);
        check(open, more, &[]);
        let typed = r#"{"type": "object", "properties": {"a": {"type": "string"}, "b": {"type": "integer"}}}"#;
        check(
            typed,
            open,
            &["#/properties/b/type: array, boolean, null, number, object, string is not accepted any more"],
        );
        let required = r#"{"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"]}"#;
        check(required, open, &["#/required: 'a' was not required and has no default"]);
        check(open, required, &[]);
    }

    #[test]
    fn references_and_items() {
        let list = r##"{"$ref": "#/definitions/n", "definitions": {"n": {"type": "object",
            "properties": {"next": {"$ref": "#/definitions/n"}}}}}"##;
        check(list, list, &[]);
        check(
            r#"{"type": "array", "items": {"type": "string"}}"#,
            r#"{"type": "array", "items": {"type": "null"}}"#,
            &["#/items/type: null is not accepted any more"],
        );
    }
}
