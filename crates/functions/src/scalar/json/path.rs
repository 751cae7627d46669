//! JSON paths that lead to one place: `$.name`, `$['name']`, `$[0]`, and so on, one after the other.
//!
//! The place is found while the text is read; what lies beside the path is checked but not built.

use std::{borrow::Cow, fmt};

use serde::{
    Deserialize,
    de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor},
};
use serde_json::Value;

/// A compiled path.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Path(Vec<Step>);

#[derive(Debug, PartialEq, Eq)]
enum Step {
    Key(String),
    Index(usize),
    /// An index that no array has.
    Nowhere,
}

impl Path {
    /// Compile; the error says what is wrong.
    pub(super) fn parse(text: &str) -> Result<Path, String> {
        let error = |what: &str| format!("invalid JSON path '{text}': {what}");
        let mut rest = text.trim().strip_prefix('$').ok_or_else(|| error("it does not begin with $"))?;
        let mut steps = Vec::new();
        while !rest.is_empty() {
            if let Some(after) = rest.strip_prefix('.') {
                let end = after.find(['.', '[']).unwrap_or(after.len());
                let (name, tail) = after.split_at(end);
                if name.is_empty() || name == "*" {
                    return Err(error("a name is missing, or stands for several places"));
                }
                steps.push(Step::Key(name.to_owned()));
                rest = tail;
            } else if let Some(after) = rest.strip_prefix('[') {
                let (step, tail) =
                    bracket(after).ok_or_else(|| error("expected a name in quotes or an index, and ]"))?;
                steps.push(step);
                rest = tail;
            } else {
                return Err(error("expected . or ["));
            }
        }
        Ok(Path(steps))
    }

    /// The value at the end of the path in the JSON `text`, if there is one; the error says why it is no JSON.
    pub(super) fn find(&self, text: &str) -> Result<Option<Value>, String> {
        let mut reader = serde_json::Deserializer::from_str(text);
        let found = Seek(&self.0).deserialize(&mut reader).and_then(|found| reader.end().map(|()| found));
        found.map_err(|e| format!("invalid JSON: {e}"))
    }
}

/// What stands in brackets, after the opening one; and what follows the closing one.
fn bracket(text: &str) -> Option<(Step, &str)> {
    for quote in ['\'', '"'] {
        if let Some(after) = text.strip_prefix(quote) {
            let (name, tail) = after.split_once(quote)?;
            return Some((Step::Key(name.to_owned()), tail.strip_prefix(']')?));
        }
    }
    let (index, tail) = text.split_once(']')?;
    let index: i64 = index.trim().parse().ok()?;
    Some((usize::try_from(index).map_or(Step::Nowhere, Step::Index), tail))
}

/// Reads one value and finds in it the place to which the steps lead.
struct Seek<'p>(&'p [Step]);

impl<'de> DeserializeSeed<'de> for Seek<'_> {
    type Value = Option<Value>;

    fn deserialize<D: Deserializer<'de>>(self, reader: D) -> Result<Option<Value>, D::Error> {
        if self.0.is_empty() { Value::deserialize(reader).map(Some) } else { reader.deserialize_any(self) }
    }
}

impl<'de> Visitor<'de> for Seek<'_> {
    type Value = Option<Value>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any JSON value")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Option<Value>, A::Error> {
        let mut found = None;
        while let Some(name) = members.next_key::<Cow<'_, str>>()? {
            match self.0 {
                [Step::Key(wanted), rest @ ..] if *wanted == name => found = members.next_value_seed(Seek(rest))?,
                _ => {
                    members.next_value::<IgnoredAny>()?;
                }
            }
        }
        Ok(found)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<Option<Value>, A::Error> {
        let (wanted, rest) = match self.0 {
            [Step::Index(at), rest @ ..] => (Some(*at), rest),
            _ => (None, &[] as &[Step]),
        };
        let mut at = 0;
        let mut found = None;
        loop {
            if wanted == Some(at) {
                match elements.next_element_seed(Seek(rest))? {
                    Some(value) => found = value,
                    None => return Ok(found),
                }
            } else if elements.next_element::<IgnoredAny>()?.is_none() {
                return Ok(found);
            }
            at += 1;
        }
    }

    // Where steps are left, these have nothing inside.

    fn visit_bool<E>(self, _: bool) -> Result<Option<Value>, E> {
        Ok(None)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Option<Value>, E> {
        Ok(None)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Option<Value>, E> {
        Ok(None)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Option<Value>, E> {
        Ok(None)
    }

    fn visit_str<E>(self, _: &str) -> Result<Option<Value>, E> {
        Ok(None)
    }

    fn visit_unit<E>(self) -> Result<Option<Value>, E> {
        Ok(None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths() {
        let json = r#"{"a": {"b c": [1, {"d": null}], "n": 1.50}, "x": "y"}"#;
        let check = |path: &str, expect: Option<&str>| {
            let found = Path::parse(path).expect("a path").find(json).expect("JSON");
            assert_eq!(found.map(|v| v.to_string()).as_deref(), expect, "{path}");
        };
        check("$", Some(r#"{"a":{"b c":[1,{"d":null}],"n":1.50},"x":"y"}"#));
        check("$.a['b c'][0]", Some("1"));
        check("$[\"a\"].b c[1].d", Some("null"));
        check("$.a.n", Some("1.50"));
        check("$.a.n.z", None);
        check("$.x[0]", None);
        check("$.a.b c[-1]", None);
        check("$.a.b c[2]", None);
        check("$.z.y", None);
        for bad in ["a", "$a", "$..a", "$.*", "$[*]", "$['a", "$[", ""] {
            assert!(Path::parse(bad).is_err(), "{bad}");
        }
        let path = Path::parse("$.a").expect("a path");
        for bad in ["", "{", "{\"a\": 1", "{\"a\": 1} 2", "{\"a\": 1, \"b\": x}"] {
            assert!(path.find(bad).is_err(), "{bad}");
        }
    }
}
