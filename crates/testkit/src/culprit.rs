//! Whether an error says what a case expects it to say.
//!
//! Two implementations never use the same words, so words are not compared. What is compared is the *culprit*: the
//! names, types, numbers and properties that the expected message points at. The rule:
//!
//! 1. An error that is our own fault, damage or want of a resource never counts. One that says that something cannot
//!    be done yet counts only when the expected message speaks of support too. One about an unknown function, source,
//!    format or column counts only when the expected message is about one.
//! 2. The expected message is stripped of what names nothing: positions, links, advice, examples, the statement's own
//!    text.
//! 3. If it quotes names (`` `A` ``, 'A', "A"), one of them must be in our error (message, detail or hint, as a whole
//!    word, in any case), or three of the names in capitals: a type such as MAP<STRING, INTEGER>.
//! 4. Otherwise, if it has words in capitals or numbers (functions, types, columns), one of them must be.
//! 5. Otherwise one of the clauses that it names must be in both, or two words of five letters or more (or the only
//!    such word).
//!
//! A message about syntax wants an error of parsing (or of a rule that is checked right after it), whatever it names.

use types::{Error, ErrorKind};

use crate::case::ExpectedError;

/// Words in capitals that name no culprit.
const NO_CULPRITS: &[&str] = &["A", "AND", "I", "IF", "KSQL", "NOT", "OR", "SQL", "THE"];
/// Clauses: culprits only where nothing else is named.
const CLAUSES: &[&str] = &[
    "ALTER",
    "AS",
    "BY",
    "CASE",
    "CAST",
    "CHANGES",
    "CLAUSE",
    "CREATE",
    "EMIT",
    "FINAL",
    "FROM",
    "GROUP",
    "HAVING",
    "IN",
    "INNER",
    "INSERT",
    "INTO",
    "JOIN",
    "KEY",
    "LEFT",
    "LIMIT",
    "MAP",
    "NULL",
    "ON",
    "ORDER",
    "OUTER",
    "PARTITION",
    "PRIMARY",
    "REPLACE",
    "SELECT",
    "SESSION",
    "STREAM",
    "TABLE",
    "VALUES",
    "WHERE",
    "WINDOW",
    "WITH",
];
/// So many names that are not quoted stand for a quoted one.
const TYPES_MIN: usize = 3;
/// Words that begin with so many letters alike are of one family.
const FAMILY_CHARS: usize = 6;
/// Words shorter than this say nothing.
const SHORTEST_WORD: usize = 5;

/// Check `found` against `expected`.
///
/// # Errors
/// Why it is not the expected one.
pub fn check(expected: &ExpectedError, found: &Error) -> Result<(), String> {
    let message = expected.message.as_deref().unwrap_or_default();
    right_kind(expected, message, found)?;
    let ours = words(&format!(
        "{} {} {}",
        found.message(),
        found.detail().unwrap_or_default(),
        found.hint().unwrap_or_default()
    ));
    let message = stripped(message);
    if is_about_syntax(&message) {
        return Ok(());
    }
    let quoted: Vec<String> = quoted(&message).into_iter().flat_map(|text| words(&text)).collect();
    let quoted: Vec<String> = quoted.into_iter().filter(|w| !w.is_empty()).collect();
    let (clauses, capitals) = capitals(&message);
    if !quoted.is_empty() {
        let types = capitals.iter().filter(|word| ours.iter().any(|our| same_stem(word, our))).count();
        return one_of(&quoted, &ours, "quoted names").or_else(|e| if types >= TYPES_MIN { Ok(()) } else { Err(e) });
    }
    if !capitals.is_empty() {
        return one_of(&capitals, &ours, "names");
    }
    if !clauses.is_empty() && one_of(&clauses, &ours, "clauses").is_ok() {
        return Ok(());
    }
    let long: Vec<String> = words(&message).into_iter().filter(|w| w.len() >= SHORTEST_WORD).collect();
    let shared = long.iter().filter(|word| ours.iter().any(|our| alike(word, our))).count();
    if shared >= 2.min(long.len()) {
        return Ok(());
    }
    Err(format!("shares {shared} words with the expected message {message:?}"))
}

fn right_kind(expected: &ExpectedError, message: &str, found: &Error) -> Result<(), String> {
    let lower = message.to_lowercase();
    let about = |words: &[&str]| words.iter().any(|word| lower.contains(word));
    match found.kind() {
        ErrorKind::Internal | ErrorKind::Corrupt | ErrorKind::Unavailable => {
            return Err(format!("the error is of the kind {:?}", found.kind()));
        }
        // A command that the dialect does not have is a matter of syntax to one and of support to the other.
        ErrorKind::Unsupported if is_about_syntax(message) => {
            let ours = words(found.message());
            let named = message.split_once("Unknown statement").map(|(_, rest)| words(rest)).unwrap_or_default();
            return one_of(&named, &ours, "statements");
        }
        ErrorKind::Unsupported if !about(&["support", "can not handle", "queryable", "not allowed", "overflow"]) => {
            return Err("it says that something is not supported, the expected message does not".to_owned());
        }
        _ => {}
    }
    if is_about_syntax(message) {
        return match found.sqlstate() {
            "42601" | "42000" | "0A000" => Ok(()),
            _ if expected.kind.contains("Parse") && found.sqlstate().starts_with("42") => Ok(()),
            other => Err(format!("an error of syntax is expected, SQLSTATE is {other}")),
        };
    }
    let needs: &[(&str, &[&str])] = &[
        ("42883", &["function", "operator", "arithmetic", "compare", "condition"]),
        ("42P01", &["stream", "table", "source", "exist", "unknown"]),
        ("42703", &["column", "resolve", "unknown", "exist", "valid", "field"]),
    ];
    for (sqlstate, words) in needs {
        if found.sqlstate() == *sqlstate && !about(words) {
            return Err(format!("SQLSTATE {sqlstate} ({}) is another complaint", found.message()));
        }
    }
    if found.message().starts_with("Unknown format") && !about(&["unknown format"]) {
        return Err("the format is unknown".to_owned());
    }
    Ok(())
}

fn is_about_syntax(message: &str) -> bool {
    let lower = message.to_lowercase();
    lower.contains("syntax error") || lower.contains("mismatched input") || lower.contains("extraneous input")
}

/// The message without what names nothing.
fn stripped(message: &str) -> String {
    let mut text = message.replace("\\n", "\n");
    for end in [
        "Statement:",
        "See http",
        "(see http",
        "(eg, ",
        "(ie, ",
        "Valid alternatives",
        "Did you mean",
        "Hint:",
        "reason:",
    ] {
        if end == "reason:" {
            // A reason says it better than the whole.
            if let Some((_, reason)) = text.split_once(end) {
                text = reason.to_owned();
            }
        } else if let Some((before, _)) = text.split_once(end).filter(|(before, _)| !before.trim().is_empty()) {
            text = before.to_owned();
        }
    }
    for prefix in ["Failed to prepare statement:", "Exception while preparing statement:", "Line:", "line "] {
        let Some(rest) = text.strip_prefix(prefix) else { continue };
        text = match prefix {
            "Line:" | "line " => rest.split_once(": ").map_or(rest, |(_, after)| after).to_owned(),
            _ => rest.trim_start().to_owned(),
        };
        // "Line: 3, Col: 70: …" has a second number.
        let digits = text.split_once(": ").filter(|(n, _)| n.trim().chars().all(|c| c.is_ascii_digit()));
        text = digits.map(|(_, rest)| rest.to_owned()).unwrap_or(text);
    }
    text
}

/// What stands between quotes of any kind.
fn quoted(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut rest = text;
    while let Some(start) = rest.find(['`', '\'', '"']) {
        let quote = rest.get(start..).and_then(|r| r.chars().next()).unwrap_or('`');
        let before = rest.get(..start).and_then(|b| b.chars().next_back());
        let after = rest.get(start + 1..).unwrap_or_default();
        // An apostrophe is no quote.
        let apostrophe = quote == '\'' && before.is_some_and(char::is_alphanumeric);
        match after.find(quote) {
            Some(end) if !apostrophe => {
                found.push(after.get(..end).unwrap_or_default().to_owned());
                rest = after.get(end + 1..).unwrap_or_default();
            }
            _ => rest = after,
        }
    }
    found
}

/// Words in capitals: clauses, and the others with the numbers.
fn capitals(text: &str) -> (Vec<String>, Vec<String>) {
    let parts = text.split(|c: char| !(c.is_alphanumeric() || c == '_'));
    let capital = |word: &&str| {
        let letters = word.chars().any(char::is_alphabetic);
        (letters && !word.chars().any(char::is_lowercase) && !NO_CULPRITS.contains(word))
            || (!word.is_empty() && word.chars().all(|c| c.is_ascii_digit()))
    };
    let (clauses, names): (Vec<&str>, Vec<&str>) = parts.filter(capital).partition(|word| CLAUSES.contains(word));
    let lower = |words: Vec<&str>| words.into_iter().map(str::to_lowercase).collect();
    (lower(clauses), lower(names))
}

fn words(text: &str) -> Vec<String> {
    let parts = text.split(|c: char| !(c.is_alphanumeric() || c == '_'));
    parts.filter(|w| !w.is_empty()).map(str::to_lowercase).collect()
}

/// Synonyms of types, and the endings of words.
fn same_stem(a: &str, b: &str) -> bool {
    let plain = |word: &str| match word {
        "integer" => "int".to_owned(),
        "varchar" => "string".to_owned(),
        other => other.trim_end_matches("ing").trim_end_matches("ed").trim_end_matches('s').to_owned(),
    };
    plain(a) == plain(b)
}

/// Words of one family: comparison, compares.
fn alike(a: &str, b: &str) -> bool {
    let shared = a.chars().zip(b.chars()).take_while(|(a, b)| a == b).count();
    same_stem(a, b) || shared >= FAMILY_CHARS
}

fn one_of(culprits: &[String], ours: &[String], what: &str) -> Result<(), String> {
    if culprits.iter().any(|culprit| ours.iter().any(|our| same_stem(culprit, our))) {
        return Ok(());
    }
    Err(format!("names none of the {what} {}", culprits.join(", ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check_message(expected: &str, found: Error, expect: bool) {
        let expected = ExpectedError { message: Some(expected.to_owned()), kind: String::new() };
        let result = check(&expected, &found);
        assert_eq!(result.is_ok(), expect, "{expected:?} {found:?} {result:?}");
    }

    #[test]
    fn the_culprit_has_to_be_named() {
        let expected = "Line: 3, Col: 70: JOIN ON column 'T.IID' cannot be resolved.";
        check_message(expected, Error::undefined_column("T has no column IID"), true);
        check_message(expected, Error::undefined_column("FOO has no column BAR"), false);
        check_message(
            "GROUP BY does not support aggregate functions: SUM is an aggregate function.",
            Error::invalid("SUM(x) cannot stand in a list of groups"),
            true,
        );
        check_message("Numeric field overflow", Error::bad_value("a numeric value overflows the field's type"), true);
        check_message(
            "Key format does not support schema.\nschema: [`K` ARRAY]\nreason: The 'KAFKA' format does not support type 'ARRAY'",
            Error::invalid("KAFKA has no arrays"),
            true,
        );
    }

    #[test]
    fn the_kind_has_to_fit() {
        check_message("Column `A` is ambiguous", Error::internal("A is lost"), false);
        check_message("Column `A` is ambiguous", Error::unsupported("A is not supported"), false);
        check_message("The `A` format does not support it", Error::unsupported("A does not have it"), true);
        check_message("Duplicate columns `A`", Error::undefined_function("no function A"), false);
        check_message("line 1:1: Syntax Error", Error::syntax("expected SELECT"), true);
        check_message("line 1:1: Syntax Error", Error::undefined_source("no X"), false);
        check_message("The 'KAFKA' format is bad", Error::invalid("Unknown format: KAFKA"), false);
    }
}
