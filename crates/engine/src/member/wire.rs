//! What processes of a service say to each other. It goes over the PostgreSQL wire, as text there and as bytes back.

use std::collections::BTreeMap;

use recordlog::Offset;
use serde::{Deserialize, Serialize};
use types::{Error, ErrorKind, Result, Span};

use crate::{Engine, kept::Wanted};

/// What one asks another for.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) enum Request {
    /// Carry out a statement that changes the catalog.
    Change {
        text: String,
        /// Of the session.
        properties: BTreeMap<String, String>,
    },
    /// Rows of a table as this process has them.
    Rows {
        /// The query that keeps them, by the id under which it runs.
        query: String,
        /// With the epoch at which each has to be at least.
        partitions: Vec<(u32, u64)>,
        wanted: Wanted,
        /// Of a partition at most.
        rows_max: usize,
    },
    /// How the queries do.
    States,
    /// Change the schema registry.
    Schemas { change: schemaregistry::Change },
}

/// What came of a statement.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) enum ChangeAnswer {
    Done {
        tag: String,
        notices: Vec<String>,
        /// The statement log's offset behind it.
        next: Offset,
    },
    /// Nothing was done: another process leads the service.
    NotLeading,
    Failed(ErrorText),
}

/// An error on its way.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct ErrorText {
    kind: String,
    sqlstate: String,
    message: String,
    span: Option<Span>,
    hint: Option<String>,
    detail: Option<String>,
}

const KINDS: &[(&str, ErrorKind, &str)] = &[
    ("user", ErrorKind::User, "42000"),
    ("unsupported", ErrorKind::Unsupported, "0A000"),
    ("conflict", ErrorKind::Conflict, "42710"),
    ("unavailable", ErrorKind::Unavailable, "57P03"),
    ("corrupt", ErrorKind::Corrupt, "XX001"),
    ("internal", ErrorKind::Internal, "XX000"),
];

/// Codes that statements end with.
const SQLSTATES: &[&str] = &[
    "0A000", "22003", "22007", "22023", "22P02", "22P04", "23502", "25P02", "2BP01", "42000", "42601", "42701",
    "42702", "42703", "42704", "42710", "42712", "42725", "42803", "42804", "42809", "42883", "42P01", "42P10",
    "42P16", "53200", "54000", "54001", "57014", "57P03", "58030", "XX000", "XX001",
];

impl From<&Error> for ErrorText {
    fn from(error: &Error) -> ErrorText {
        let kind = KINDS.iter().find(|(_, kind, _)| *kind == error.kind()).map_or("internal", |(name, ..)| *name);
        ErrorText {
            kind: kind.to_string(),
            sqlstate: error.sqlstate().to_string(),
            message: error.message().to_string(),
            span: error.span(),
            hint: error.hint().map(str::to_string),
            detail: error.detail().map(str::to_string),
        }
    }
}

impl ErrorText {
    pub fn error(self) -> Error {
        let known = KINDS.iter().find(|(name, ..)| *name == self.kind);
        let (kind, plain) = known.map_or((ErrorKind::Internal, "XX000"), |(_, kind, plain)| (*kind, *plain));
        let sqlstate = SQLSTATES.iter().find(|code| **code == self.sqlstate).copied().unwrap_or(plain);
        let mut error = Error::new(kind, sqlstate, self.message);
        if let Some(span) = self.span {
            error = error.at(span);
        }
        if let Some(hint) = self.hint {
            error = error.with_hint(hint);
        }
        match self.detail {
            Some(detail) => error.with_detail(detail),
            None => error,
        }
    }
}

pub(super) fn unreadable(error: impl std::fmt::Display) -> Error {
    Error::internal(format!("a message of another process cannot be read: {error}"))
}

impl Request {
    /// As text.
    pub fn text(&self) -> Result<String> {
        serde_json::to_string(self).map_err(unreadable)
    }
}

impl ChangeAnswer {
    pub fn read(bytes: &[u8]) -> Result<ChangeAnswer> {
        serde_json::from_slice(accepted(bytes)?).map_err(unreadable)
    }
}

/// What stands in front of an answer.
const DONE: u8 = 0;
const FAILED: u8 = 1;

/// What an answer has in it, or the error that it is.
pub(super) fn accepted(bytes: &[u8]) -> Result<&[u8]> {
    match bytes.split_first() {
        Some((&DONE, bytes)) => Ok(bytes),
        Some((&FAILED, bytes)) => Err(serde_json::from_slice::<ErrorText>(bytes).map_err(unreadable)?.error()),
        _ => Err(unreadable("it begins with no known byte")),
    }
}

/// The answer that an error is.
pub(super) fn refused(error: &Error) -> Vec<u8> {
    let mut out = vec![FAILED];
    // Texts and numbers: they can be written.
    out.extend(serde_json::to_vec(&ErrorText::from(error)).unwrap_or_default());
    out
}

fn write(out: &mut Vec<u8>, answer: &impl Serialize) -> Result<()> {
    serde_json::to_writer(out, answer).map_err(unreadable)
}

impl Engine {
    /// Answer another process of the service.
    pub async fn answer(self: &std::sync::Arc<Engine>, request: &str) -> Vec<u8> {
        let answered = async {
            let mut out = vec![DONE];
            match serde_json::from_str::<Request>(request).map_err(unreadable)? {
                Request::Change { text, properties } => {
                    write(&mut out, &super::change::answer(self, &text, properties).await)?;
                }
                Request::Schemas { change } => write(&mut out, &super::schemas::answer(self, change).await?)?,
                Request::States => write(&mut out, &self.own_states())?,
                Request::Rows { query, partitions, wanted, rows_max } => {
                    super::rows::answer(self, &query, partitions, wanted, rows_max, &mut out).await?;
                }
            }
            Ok(out)
        };
        answered.await.unwrap_or_else(|error: Error| refused(&error))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_arrive_as_they_were() {
        let check = |error: Error| {
            assert_eq!(accepted(&refused(&error)), Err(error));
        };
        check(Error::undefined_source("X does not exist").at(Span::new(3, 4)).with_hint("did you mean Y?"));
        check(Error::exists("X exists already").with_detail("since then"));
        check(Error::unavailable("nobody is there"));
        check(Error::new(ErrorKind::User, "42P16", "no"));
    }
}
