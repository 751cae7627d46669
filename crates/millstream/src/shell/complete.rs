//! What Tab completes: keywords of the dialect, functions, and the names of what there is.

use std::sync::Arc;

use parking_lot::Mutex;
use rustyline::{
    Context, Helper,
    completion::{Completer, Pair},
    highlight::Highlighter,
    hint::Hinter,
    validate::Validator,
};

/// Statements that list names, and the column that has them.
pub const NAMES: &[(&str, &str)] = &[
    ("SHOW STREAMS;", "stream"),
    ("SHOW TABLES;", "table"),
    ("SHOW VIEWS;", "view"),
    ("SHOW TOPICS;", "topic"),
    ("SHOW QUERIES;", "id"),
    ("SHOW FUNCTIONS;", "function"),
];

/// Keywords, sorted.
const KEYWORDS: &[&str] = &[
    "ADVANCE",
    "ALTER",
    "AND",
    "ARRAY",
    "AS",
    "ASSERT",
    "BEGINNING",
    "BETWEEN",
    "BIGINT",
    "BOOLEAN",
    "BY",
    "BYTES",
    "CASE",
    "CAST",
    "CHANGES",
    "COLUMN",
    "CONNECTOR",
    "COPY",
    "CREATE",
    "DATE",
    "DECIMAL",
    "DEFINE",
    "DELETE",
    "DESCRIBE",
    "DISTINCT",
    "DOUBLE",
    "DROP",
    "ELSE",
    "EMIT",
    "END",
    "EXISTS",
    "EXPLAIN",
    "EXTENDED",
    "FILTER",
    "FINAL",
    "FROM",
    "FULL",
    "FUNCTIONS",
    "GRACE",
    "GROUP",
    "HAVING",
    "HEADERS",
    "HOPPING",
    "IDLE",
    "IF",
    "IN",
    "INCLUDE",
    "INNER",
    "INSERT",
    "INT",
    "INTERVAL",
    "INTO",
    "IS",
    "JOIN",
    "KEY",
    "LEFT",
    "LIKE",
    "LIMIT",
    "LIST",
    "MAP",
    "NOT",
    "NULL",
    "NULLS",
    "ON",
    "OR",
    "ORDER",
    "OUTER",
    "PARTITION",
    "PAUSE",
    "PERIOD",
    "PRIMARY",
    "PRINT",
    "PROPERTIES",
    "QUERIES",
    "REPLACE",
    "RESUME",
    "RETENTION",
    "RIGHT",
    "RUN",
    "SCRIPT",
    "SELECT",
    "SESSION",
    "SET",
    "SHOW",
    "SIZE",
    "SOURCE",
    "SPOOL",
    "STREAM",
    "STREAMS",
    "STRING",
    "STRUCT",
    "TABLE",
    "TABLES",
    "TERMINATE",
    "THEN",
    "TIME",
    "TIMEOUT",
    "TIMESTAMP",
    "TOPIC",
    "TOPICS",
    "TUMBLING",
    "TYPE",
    "TYPES",
    "UNDEFINE",
    "UNION",
    "UNSET",
    "VALUES",
    "VARCHAR",
    "VARIABLES",
    "VIEW",
    "WHEN",
    "WHERE",
    "WINDOW",
    "WITH",
    "WITHIN",
];

/// Whether other names may be there after the statements of `text`.
pub fn changes_names(text: &str) -> bool {
    let words = ["CREATE", "DROP", "TERMINATE", "RUN", "INSERT"];
    let upper = text.to_uppercase();
    upper.split_whitespace().any(|word| words.contains(&word))
}

/// The words that can be completed to. Clones share the names.
#[derive(Clone, Default)]
pub struct Words {
    names: Arc<Mutex<Vec<String>>>,
}

impl Words {
    /// These are the names now.
    pub fn learn(&self, mut names: Vec<String>) {
        names.sort();
        names.dedup();
        *self.names.lock() = names;
    }

    /// Where the word begins that ends at `end` of `line`, and what it can become: in lower case if it is typed so.
    fn candidates(&self, line: &str, end: usize) -> (usize, Vec<String>) {
        let head = line.get(..end).unwrap_or(line);
        let start = head
            .rfind(|c: char| !c.is_alphanumeric() && !matches!(c, '_' | '-'))
            .map_or(0, |at| at + head.get(at..).and_then(|rest| rest.chars().next()).map_or(1, char::len_utf8));
        let typed = head.get(start..).unwrap_or("");
        if typed.is_empty() {
            return (start, vec![]);
        }
        let lower = typed.chars().all(|c| !c.is_uppercase());
        let names = self.names.lock();
        let all = KEYWORDS.iter().copied().chain(names.iter().map(String::as_str));
        let fits = all.filter(|w| w.get(..typed.len()).is_some_and(|head| head.eq_ignore_ascii_case(typed)));
        let mut found: Vec<String> = fits.map(|w| if lower { w.to_lowercase() } else { w.to_string() }).collect();
        found.sort();
        found.dedup();
        (start, found)
    }
}

impl Completer for Words {
    type Candidate = Pair;

    fn complete(&self, line: &str, end: usize, _: &Context<'_>) -> rustyline::Result<(usize, Vec<Pair>)> {
        let (start, found) = self.candidates(line, end);
        let pair = |word: String| Pair { display: word.clone(), replacement: word };
        Ok((start, found.into_iter().map(pair).collect()))
    }
}

impl Hinter for Words {
    type Hint = String;
}

impl Highlighter for Words {}

impl Validator for Words {}

impl Helper for Words {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keywords_and_names_are_completed() {
        let words = Words::default();
        words.learn(vec!["PER_USER".into(), "PER_PAGE".into(), "clicks".into()]);
        let check = |line: &str, want: (usize, &[&str])| {
            let (start, found) = words.candidates(line, line.len());
            assert_eq!((start, found.iter().map(String::as_str).collect::<Vec<_>>().as_slice()), want, "{line}");
        };
        check("SEL", (0, &["SELECT"]));
        check("select * fr", (9, &["from"]));
        check("SELECT * FROM PER_", (14, &["PER_PAGE", "PER_USER"]));
        check("select * from per_u", (14, &["per_user"]));
        check("PRINT cl", (6, &["clicks"]));
        check("SELECT ", (7, &[]));
        check("SELECT ü", (7, &[]));
        check("ünsel(sel", (7, &["select"]));
    }

    #[test]
    fn keywords_are_sorted() {
        assert!(KEYWORDS.is_sorted());
    }
}
