//! Why a case failed, for people and for counting.

use std::fmt::Write;

/// Widest cell of a side-by-side list.
const CELL_CHARS_MAX: usize = 100;
/// Most rows of a side-by-side list.
const ROWS_MAX: usize = 40;

/// A failure: one line to count by, and the rest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// One line.
    pub reason: String,
    /// Lines that help to find the fault; may be empty.
    pub detail: String,
}

impl Failure {
    /// A failure without more to say.
    pub fn new(reason: impl Into<String>) -> Failure {
        Failure { reason: reason.into(), detail: String::new() }
    }

    /// With lines that help.
    #[must_use]
    pub fn with(mut self, detail: impl Into<String>) -> Failure {
        self.detail = detail.into();
        self
    }
}

impl From<String> for Failure {
    fn from(reason: String) -> Failure {
        Failure::new(reason)
    }
}

/// Two lists side by side, the row of the first difference marked.
pub fn side_by_side(expected: &[String], actual: &[String], differs_at: usize) -> String {
    let cut = |text: Option<&String>| match text {
        None => String::new(),
        Some(text) if text.chars().count() <= CELL_CHARS_MAX => text.clone(),
        Some(text) => format!("{}…", text.chars().take(CELL_CHARS_MAX - 1).collect::<String>()),
    };
    let rows = expected.len().max(actual.len());
    let first = differs_at.saturating_sub(ROWS_MAX / 2);
    let shown: Vec<(usize, String, String)> =
        (first..rows.min(first + ROWS_MAX)).map(|i| (i, cut(expected.get(i)), cut(actual.get(i)))).collect();
    let width = shown.iter().map(|(_, e, _)| e.chars().count()).max().unwrap_or(0).max("expected".len());
    let mut out = format!("      {:width$} | actual\n", "expected");
    for (at, expected, actual) in shown {
        let mark = if at == differs_at { '>' } else { ' ' };
        let pad = " ".repeat(width.saturating_sub(expected.chars().count()));
        let line = format!("{mark} {at:3} {expected}{pad} | {actual}");
        let _ = writeln!(out, "{}", line.trim_end());
    }
    if first + ROWS_MAX < rows {
        let _ = writeln!(out, "      … {} more", rows - first - ROWS_MAX);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_difference_is_marked() {
        let list = |words: &[&str]| words.iter().map(|w| (*w).to_owned()).collect::<Vec<_>>();
        let found = side_by_side(&list(&["a", "b"]), &list(&["a", "c", "d"]), 1);
        assert_eq!(found, "      expected | actual\n    0 a        | a\n>   1 b        | c\n    2          | d\n");
    }
}
