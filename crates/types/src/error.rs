//! The error that statements end with: a kind, an SQLSTATE, a message that names the culprit, and its position.
//!
//! Libraries below the SQL layer have enums of their own and convert into this one where they meet a statement.

use crate::Span;

/// What the one who gets the error can do about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ErrorKind {
    /// The statement or the data is wrong: mend it.
    User,
    /// It is right, but this version cannot do it.
    Unsupported,
    /// It contradicts what exists (a name is taken, something depends on it).
    Conflict,
    /// Something is not there for the moment (disk full, cluster lost): try again.
    Unavailable,
    /// Stored bytes are not what was written.
    Corrupt,
    /// Our mistake.
    Internal,
}

/// Result with [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// An error for users. `Display` gives the message alone; position and hint are rendered by whoever has the text.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}", .0.message)]
pub struct Error(Box<Parts>);

#[derive(Debug, Clone, PartialEq, Eq)]
struct Parts {
    kind: ErrorKind,
    sqlstate: &'static str,
    message: String,
    span: Option<Span>,
    hint: Option<String>,
    detail: Option<String>,
}

impl Error {
    /// An error of `kind` with the five-character `sqlstate` of PostgreSQL's appendix A and one sentence.
    pub fn new(kind: ErrorKind, sqlstate: &'static str, message: impl Into<String>) -> Error {
        Error(Box::new(Parts { kind, sqlstate, message: message.into(), span: None, hint: None, detail: None }))
    }

    /// The text cannot be read as SQL (42601).
    pub fn syntax(message: impl Into<String>) -> Error {
        Error::new(ErrorKind::User, "42601", message)
    }

    /// The statement contradicts itself or the rules (42P10 has no better class: 42000).
    pub fn invalid(message: impl Into<String>) -> Error {
        Error::new(ErrorKind::User, "42000", message)
    }

    /// A type does not fit (42804).
    pub fn type_mismatch(message: impl Into<String>) -> Error {
        Error::new(ErrorKind::User, "42804", message)
    }

    /// No stream or table of that name (42P01).
    pub fn undefined_source(message: impl Into<String>) -> Error {
        Error::new(ErrorKind::User, "42P01", message)
    }

    /// No column of that name (42703).
    pub fn undefined_column(message: impl Into<String>) -> Error {
        Error::new(ErrorKind::User, "42703", message)
    }

    /// No function of that name, or none for these arguments (42883).
    pub fn undefined_function(message: impl Into<String>) -> Error {
        Error::new(ErrorKind::User, "42883", message)
    }

    /// A value cannot be read as its type (22P02).
    pub fn bad_value(message: impl Into<String>) -> Error {
        Error::new(ErrorKind::User, "22P02", message)
    }

    /// A right statement that this version cannot run (0A000).
    pub fn unsupported(message: impl Into<String>) -> Error {
        Error::new(ErrorKind::Unsupported, "0A000", message)
    }

    /// The name is taken (42710).
    pub fn exists(message: impl Into<String>) -> Error {
        Error::new(ErrorKind::Conflict, "42710", message)
    }

    /// Something else depends on it (2BP01).
    pub fn depended_on(message: impl Into<String>) -> Error {
        Error::new(ErrorKind::Conflict, "2BP01", message)
    }

    /// Not there for the moment (57P03).
    pub fn unavailable(message: impl Into<String>) -> Error {
        Error::new(ErrorKind::Unavailable, "57P03", message)
    }

    /// Stored bytes are damaged (XX001).
    pub fn corrupt(message: impl Into<String>) -> Error {
        Error::new(ErrorKind::Corrupt, "XX001", message)
    }

    /// Our mistake (XX000).
    pub fn internal(message: impl Into<String>) -> Error {
        Error::new(ErrorKind::Internal, "XX000", message)
    }

    /// The same error at `span`, unless it has a position already.
    #[must_use]
    pub fn at(mut self, span: Span) -> Error {
        self.0.span.get_or_insert(span);
        self
    }

    /// The same error at `span`, wherever it was before.
    #[must_use]
    pub fn moved(mut self, span: Span) -> Error {
        self.0.span = Some(span);
        self
    }

    /// The same error with advice.
    #[must_use]
    pub fn with_hint(mut self, hint: impl Into<String>) -> Error {
        self.0.hint = Some(hint.into());
        self
    }

    /// The same error with context.
    #[must_use]
    pub fn with_detail(mut self, detail: impl Into<String>) -> Error {
        self.0.detail = Some(detail.into());
        self
    }

    /// The same error with `prefix` before its message.
    #[must_use]
    pub fn context(mut self, prefix: impl std::fmt::Display) -> Error {
        self.0.message = format!("{prefix}: {}", self.0.message);
        self
    }

    /// See [`ErrorKind`].
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// Five characters, as PostgreSQL's appendix A has them.
    pub fn sqlstate(&self) -> &'static str {
        self.0.sqlstate
    }

    /// One sentence that names the culprit.
    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// Where in the statement's text.
    pub fn span(&self) -> Option<Span> {
        self.0.span
    }

    /// What to do about it.
    pub fn hint(&self) -> Option<&str> {
        self.0.hint.as_deref()
    }

    /// More context than one line.
    pub fn detail(&self) -> Option<&str> {
        self.0.detail.as_deref()
    }

    /// Message, the line of `text` with a caret under the culprit, hint: what a terminal shows.
    pub fn render(&self, text: &str) -> String {
        let mut out = format!("ERROR: {}", self.message());
        if let Some(span) = self.span() {
            let start = (span.start as usize).min(text.len());
            let line_start = text.get(..start).and_then(|t| t.rfind('\n')).map_or(0, |i| i + 1);
            let line_end = text.get(start..).and_then(|t| t.find('\n')).map_or(text.len(), |i| start + i);
            let line = text.get(line_start..line_end).unwrap_or("");
            let number = text.get(..start).unwrap_or("").matches('\n').count() + 1;
            let before = text.get(line_start..start).unwrap_or("").chars().count();
            let under = span.of(text).lines().next().unwrap_or("").chars().count().max(1);
            let head = format!("LINE {number}: ");
            let pad = " ".repeat(head.len() + before);
            out.push_str(&format!("\n{head}{line}\n{pad}{}", "^".repeat(under)));
        }
        for (label, text) in [("DETAIL", self.detail()), ("HINT", self.hint())] {
            if let Some(text) = text {
                out.push_str(&format!("\n{label}: {text}"));
            }
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn renders_a_caret_under_the_culprit() {
        let text = "SELECT a\nFROM nowhere;";
        let error = Error::undefined_source("NOWHERE does not exist").at(Span::new(14, 21)).with_hint("SHOW STREAMS");
        let want = "ERROR: NOWHERE does not exist\nLINE 2: FROM nowhere;\n             ^^^^^^^\nHINT: SHOW STREAMS";
        assert_eq!(error.render(text), want);
    }
}
