//! `${name}`: text that stands for other text, replaced before the statement is read.
//!
//! Substitution is textual, as in ksqlDB, so that a variable can stand for a name, a literal or a part of either.
//! Within quotes the value's own quotes are doubled, so a value can never end the literal that it stands in; outside
//! it is taken as it is, and a `;` in it is no end of a statement. `$${name}` is written where `${name}` is meant.

use std::{collections::HashMap, ops::Range};

use types::{Error, Result, Span};

use crate::{
    scan::{Region, Scanner},
    script::Lookup,
};

/// A statement's text after substitution, and where in the given text each part of it comes from.
#[derive(Debug)]
pub(crate) struct Substituted {
    /// The text to read.
    pub(crate) text: String,
    /// In order: a range of `text` and the range of the given text that it stands for.
    parts: Vec<(Range<usize>, Range<usize>)>,
}

impl Substituted {
    /// The part `range` of `text` as it is.
    pub(crate) fn unchanged(text: &str, range: Range<usize>) -> Substituted {
        let part = text.get(range.clone()).unwrap_or("").to_owned();
        Substituted { parts: vec![(0..part.len(), range)], text: part }
    }

    /// Where bytes `range` of the substituted text come from: for a variable's value, the whole `${name}`.
    pub(crate) fn origin(&self, range: Range<usize>) -> Span {
        let start = self.place(range.start).start;
        let last = self.place(range.end.saturating_sub(1).max(range.start));
        let end = if range.is_empty() { start } else { last.end };
        Span::new(start, end.max(start))
    }

    /// What byte `at` stands for: one byte, or a whole variable. The end of the text stands for the end.
    fn place(&self, at: usize) -> Range<usize> {
        let index = self.parts.partition_point(|(here, _)| here.end <= at);
        match self.parts.get(index) {
            Some((here, there)) if here.len() == there.len() => {
                let start = there.start + at.saturating_sub(here.start);
                start..start + 1
            }
            Some((_, there)) => there.clone(),
            None => {
                let end = self.parts.last().map_or(0, |(_, there)| there.end);
                end..end
            }
        }
    }

    fn push(&mut self, text: &str, origin: Range<usize>) {
        let start = self.text.len();
        self.text.push_str(text);
        self.parts.push((start..self.text.len(), origin));
    }
}

/// What variables stand for while a script is read: what DEFINE and UNDEFINE in the script itself said, then what
/// the session knows.
pub(crate) struct Variables<'a> {
    session: Lookup<'a>,
    /// `None` after UNDEFINE.
    script: HashMap<String, Option<String>>,
}

impl<'a> Variables<'a> {
    /// The session's variables, as `session` finds them by name.
    pub(crate) fn new(session: Lookup<'a>) -> Variables<'a> {
        Variables { session, script: HashMap::new() }
    }

    /// DEFINE (or UNDEFINE, with `None`) for the statements that follow.
    pub(crate) fn set(&mut self, name: &str, value: Option<String>) {
        self.script.insert(name.to_owned(), value);
    }

    fn get(&self, name: &str) -> Option<String> {
        // Names are case-insensitive; the session is asked for the name as typed, then folded both ways.
        let folded = name.to_uppercase();
        match self.script.get(&folded) {
            Some(value) => value.clone(),
            None => [name, &folded, &name.to_lowercase()].into_iter().find_map(|name| (self.session)(name)),
        }
    }

    /// The part `range` of `text` with its variables replaced.
    pub(crate) fn substitute(&self, text: &str, range: Range<usize>) -> Result<Substituted> {
        let statement = text.get(range.clone()).unwrap_or("");
        if !statement.contains("${") {
            return Ok(Substituted::unchanged(text, range));
        }
        let mut out = Substituted { text: String::with_capacity(statement.len()), parts: Vec::new() };
        let mut scanner = Scanner::new(statement);
        let mut done = 0;
        while let Some((step, region)) = scanner.step() {
            if step.start < done || matches!(region, Region::LineComment | Region::BlockComment) {
                continue;
            }
            let Some(reference) = Reference::at(statement, step.start) else { continue };
            let place = range.start + step.start..range.start + reference.end;
            let value = match (reference.escaped, self.get(reference.name), region) {
                (true, ..) => format!("${{{}}}", reference.name),
                (false, Some(value), Region::Quoted(quote)) => {
                    let quote = char::from(quote);
                    value.replace(quote, &format!("{quote}{quote}"))
                }
                (false, Some(value), _) => value,
                // ksqlDB leaves an unknown variable in a literal as it is.
                (false, None, Region::Quoted(_)) => continue,
                (false, None, _) => return Err(undefined(reference.name, Span::new(place.start, place.end))),
            };
            out.push(statement.get(done..step.start).unwrap_or(""), range.start + done..place.start);
            out.push(&value, place);
            done = reference.end;
        }
        out.push(statement.get(done..).unwrap_or(""), range.start + done..range.end);
        out.parts.retain(|(here, _)| !here.is_empty());
        Ok(out)
    }
}

fn undefined(name: &str, span: Span) -> Error {
    Error::syntax(format!("variable `{name}` is not defined"))
        .at(span)
        .with_hint(format!("define it first: DEFINE {name} = 'value';"))
}

/// `${name}` or `$${name}` in a text.
struct Reference<'a> {
    name: &'a str,
    escaped: bool,
    /// One past its closing brace.
    end: usize,
}

impl<'a> Reference<'a> {
    fn at(text: &'a str, start: usize) -> Option<Reference<'a>> {
        let rest = text.get(start..)?;
        let (escaped, inner) = match rest.strip_prefix("$${") {
            Some(inner) => (true, inner),
            None => (false, rest.strip_prefix("${")?),
        };
        // The search ends at the first character that no name has, so that a long text of `${` costs no more.
        let length = inner.find(|c: char| !c.is_alphanumeric() && c != '_')?;
        let name = inner.get(..length)?;
        if name.is_empty() || !inner.get(length..)?.starts_with('}') {
            return None;
        }
        let end = start + (rest.len() - inner.len()) + length + 1;
        Some(Reference { name, escaped, end })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, want: &str) {
        let session = |name: &str| match name {
            "a" => Some("1".to_owned()),
            "quoted" => Some("it's".to_owned()),
            "name" => Some("streams".to_owned()),
            _ => None,
        };
        let variables = Variables::new(&session);
        let got = variables.substitute(text, 0..text.len()).map(|s| s.text).unwrap_or_else(|e| e.to_string());
        assert_eq!(got, want, "{text}");
    }

    #[test]
    fn replaces_variables_anywhere_but_in_comments() {
        check("x", "x");
        check("${a}", "1");
        check("x_${a}_${name}", "x_1_streams");
        check("'v ${a}' `${a}`", "'v 1' `1`");
        check("'${quoted}' ${quoted}", "'it''s' it's");
        check("$${a} '$${a}'", "${a} '${a}'");
        check("-- ${b}\n/* ${c} */ ${a}", "-- ${b}\n/* ${c} */ 1");
        check("'${unknown}'", "'${unknown}'");
        check("${unknown}", "variable `unknown` is not defined");
        check("'${topic_${a}}' ${}", "'${topic_1}' ${}");
    }

    #[test]
    fn knows_where_the_parts_come_from() {
        let session = |_: &str| Some("long value".to_owned());
        let text = "ab ${x} cd";
        let out = Variables::new(&session).substitute(text, 0..text.len()).expect("substitutes");
        assert_eq!(out.text, "ab long value cd");
        let origin = |part: &str| {
            let start = out.text.find(part).expect("is there");
            out.origin(start..start + part.len()).of(text).to_owned()
        };
        assert_eq!(["ab", "long", "value", "cd"].map(origin), ["ab", "${x}", "${x}", "cd"]);
        assert_eq!(out.origin(16..16), Span::new(10, 10));
    }
}
