//! A message's text → statements, each known by who will run it: the engine, pg_catalog, or the log.

use std::ops::Range;

use syntax::ast;
use types::Error;

use crate::{
    backend::Session,
    peer,
    pg_catalog::{SystemQuery, recognize},
    topics::{TopicStatement, parse_topic_statement},
};

/// A statement of a message.
pub(crate) struct Statement {
    /// What it is.
    pub(crate) kind: Kind,
    /// Where in the message the text began that its spans count from.
    pub(crate) offset: usize,
}

/// Who will run it.
pub(crate) enum Kind {
    /// The engine (or the wire itself).
    Sql(Box<ast::Statement>),
    /// pg_catalog and information_schema.
    System(SystemQuery),
    /// The log.
    Topic(TopicStatement),
    /// The engine, asked by another process of its service.
    Peer(String),
}

/// An error, and where in the message the text began that its span counts from.
#[derive(Debug)]
pub(crate) struct Failure {
    /// The error.
    pub(crate) error: Error,
    /// The byte.
    pub(crate) offset: usize,
}

impl Failure {
    /// The character of `text`, counted from 1, that the error points at.
    pub(crate) fn position(&self, text: &str) -> Option<usize> {
        let start = self.offset.checked_add(usize::try_from(self.error.span()?.start).ok()?)?;
        Some(text.get(..start)?.chars().count() + 1)
    }
}

/// Reads the statements of `text`.
///
/// Statements of the engine that stand side by side are read together, because a DEFINE counts for those behind it.
pub(crate) fn parse<S: Session>(session: &S, text: &str) -> Result<Vec<Statement>, Failure> {
    let (mut pieces, rest) = syntax::split_statements(text);
    if !rest.is_empty() {
        pieces.push(rest);
    }
    let mut statements = Vec::new();
    let mut run: Option<Range<usize>> = None;
    for piece in pieces {
        let piece_text = text.get(piece.clone()).unwrap_or("");
        let offset = piece.start;
        let other = match parse_topic_statement(piece_text) {
            Some(topic) => Some(Kind::Topic(topic.map_err(|error| Failure { error, offset })?)),
            None => match peer::recognize(piece_text) {
                Some(request) => Some(Kind::Peer(request.map_err(|error| Failure { error, offset })?)),
                None => recognize(piece_text).map(Kind::System),
            },
        };
        match other {
            Some(kind) => {
                parse_run(session, text, run.take(), &mut statements)?;
                statements.push(Statement { kind, offset });
            }
            None => run = Some(run.map_or(piece.start, |r| r.start)..piece.end),
        }
    }
    parse_run(session, text, run, &mut statements)?;
    Ok(statements)
}

fn parse_run<S: Session>(
    session: &S,
    text: &str,
    run: Option<Range<usize>>,
    statements: &mut Vec<Statement>,
) -> Result<(), Failure> {
    let Some(run) = run else { return Ok(()) };
    let offset = run.start;
    let parsed = session.parse(text.get(run).unwrap_or("")).map_err(|error| Failure { error, offset })?;
    statements.extend(parsed.into_iter().map(|s| Statement { kind: Kind::Sql(Box::new(s)), offset }));
    Ok(())
}
