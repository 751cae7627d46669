//! JSON paths that lead to one place: `$.name`, `$['name']`, `$[0]`, and so on, one after the other.

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

    /// The value at the end of the path, if there is one.
    pub(super) fn find<'a>(&self, value: &'a Value) -> Option<&'a Value> {
        self.0.iter().try_fold(value, |value, step| match step {
            Step::Key(name) => value.as_object()?.get(name),
            Step::Index(at) => value.as_array()?.get(*at),
            Step::Nowhere => None,
        })
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths() {
        let value: Value = serde_json::from_str(r#"{"a": {"b c": [1, {"d": null}]}}"#).expect("JSON");
        let check = |path: &str, expect: Option<&str>| {
            let path = Path::parse(path).expect("a path");
            assert_eq!(path.find(&value).map(ToString::to_string).as_deref(), expect);
        };
        check("$", Some(r#"{"a":{"b c":[1,{"d":null}]}}"#));
        check("$.a['b c'][0]", Some("1"));
        check("$[\"a\"].b c[1].d", Some("null"));
        check("$.a.b c[-1]", None);
        check("$.a.b c[2]", None);
        check("$.x.y", None);
        for bad in ["a", "$a", "$..a", "$.*", "$[*]", "$['a", "$[", ""] {
            assert!(Path::parse(bad).is_err(), "{bad}");
        }
    }
}
