//! Queries that end and are not in the streaming grammar: ORDER BY, window functions, set operations and all else
//! that DataFusion knows, parsed by sqlparser.
//!
//! Ours is tried first, so that a plain SELECT always comes out as one of ours. When neither can read the query, the
//! error is that of the parser that got further, because that is the grammar the user wrote in.

use std::ops::ControlFlow;

use sqlparser::{ast, parser::Parser as SqlParser, tokenizer::Token as Sql, tokenizer::Tokenizer};
use types::{Error, Result, Span};

use super::{SELECTS_MAX, relation::JOINS_MAX, too_many_selects};
use crate::{
    ast::{Query, QueryBody},
    dialect::General,
    lexer::Tok,
    parser::Parser,
};

/// How many operators, joins and set operations a general query may have. sqlparser bounds how deep a text nests but
/// not how long a row of operators grows, and each of them is a level of its tree.
const OPERATORS_MAX: usize = 1_000;

/// How many sources a general query may name: planning them takes time that grows with the third power.
const SOURCES_MAX: usize = 128;

/// How deep sqlparser may nest.
const NESTING_MAX: usize = 50;

impl Parser<'_> {
    /// A query that may be a general one, from here to the end of the statement, or to the bracket that closes
    /// before it if `bracketed`.
    pub(crate) fn ending_query(&mut self, bracketed: bool) -> Result<Query> {
        let mark = self.mark();
        let end = self.end_of_query(bracketed);
        let ours =
            self.query().and_then(|query| if self.mark() == end { Ok(query) } else { Err(self.beyond(bracketed)) });
        let error = match ours {
            Ok(query) => return Ok(query),
            Err(error) => error,
        };
        let reached = self.peek().span.start;
        self.rewind(mark);
        let emits = (0..end - mark)
            .any(|n| self.is_word(n, "EMIT") && (self.is_word(n + 1, "CHANGES") || self.is_word(n + 1, "FINAL")));
        if emits || !self.is_misfit(&error) {
            return Err(error);
        }
        while self.mark() < end {
            self.advance();
        }
        let (text, span) = (self.text_from(mark).to_owned(), self.span_from(mark));
        match self.general(mark, &text, end - mark) {
            Ok(body) => Ok(Query { ctes: Vec::new(), body, emit: None, limit: None, span, text }),
            Err(general) => {
                let further = general.span().is_some_and(|span| span.start > reached);
                Err(if further { general } else { error })
            }
        }
    }

    /// The error that the query goes on where ours ends.
    fn beyond(&mut self, bracketed: bool) -> Error {
        self.note(if bracketed { ")" } else { "the end of the statement" });
        self.unexpected()
    }

    fn end_of_query(&self, bracketed: bool) -> usize {
        let (mut depth, mut n) = (0_usize, 0);
        loop {
            match self.tok(n) {
                Tok::Symbol("(") => depth += 1,
                Tok::Symbol(")") if depth == 0 && bracketed => break,
                Tok::Symbol(")") => depth = depth.saturating_sub(1),
                Tok::End => break,
                _ => {}
            }
            n += 1;
        }
        self.mark() + n
    }

    fn general(&mut self, mark: usize, text: &str, tokens: usize) -> Result<QueryBody> {
        let after = self.mark();
        self.rewind(mark);
        let start = self.peek().start;
        let operators = (0..tokens).filter(|n| is_operator(self.tok(*n))).count();
        let words = |words: &[&str]| (0..tokens).filter(|n| words.iter().any(|word| self.is_word(*n, word))).count();
        let (sets, joins) = (words(&["UNION", "INTERSECT", "EXCEPT"]), words(&["JOIN"]));
        self.rewind(after);
        let at = |offset: usize| {
            let first = start + offset;
            let rest = self.source.text.get(first..).unwrap_or("");
            let word = |c: char| c.is_alphanumeric() || c == '_';
            let length = rest.find(|c| !word(c)).unwrap_or(rest.len());
            let length = length.max(rest.chars().next().map_or(0, char::len_utf8));
            self.source.origin(first..first + length)
        };
        if operators > OPERATORS_MAX {
            return Err(Error::syntax(format!("the query has more than {OPERATORS_MAX} operators")).at(at(0)));
        }
        if sets >= SELECTS_MAX {
            // At the end: this grammar could have gone that far, and its error is the one to show.
            return Err(too_many_selects().at(at(text.len())));
        }
        if joins > JOINS_MAX {
            return Err(Error::syntax(format!("more than {JOINS_MAX} joins in one query")).at(at(text.len())));
        }
        let dialect = General::new(tokens);
        let tokens = Tokenizer::new(&dialect, text).tokenize_with_location();
        let tokens = tokens.map_err(|e| sql_error(&e.to_string(), text, &at))?;
        let mut parser = SqlParser::new(&dialect).with_recursion_limit(NESTING_MAX).with_tokens_with_locations(tokens);
        let query = parser.parse_query().map_err(|e| match dialect.is_exhausted() {
            true => Error::syntax("the query has too many levels of what can be read in several ways").at(at(0)),
            false => sql_error(&e.to_string(), text, &at),
        })?;
        let rest = parser.peek_token();
        if rest.token != Sql::EOF {
            let message = format!("`{}` does not belong here", rest.token);
            let offset = offset_of(text, rest.span.start.line, rest.span.start.column);
            return Err(Error::syntax(message).at(at(offset)));
        }
        let mut sources = 0;
        let _ = ast::visit_relations(&query, |_| {
            sources += 1;
            ControlFlow::<()>::Continue(())
        });
        if sources > SOURCES_MAX {
            return Err(Error::syntax(format!("more than {SOURCES_MAX} sources in one query")).at(at(text.len())));
        }
        // SELECT … INTO and the like are statements in a query's clothes.
        match query.body.as_ref() {
            ast::SetExpr::Insert(_) | ast::SetExpr::Update(_) | ast::SetExpr::Delete(_) | ast::SetExpr::Merge(_) => {
                Err(Error::syntax("a query cannot change data").at(at(0)))
            }
            _ => Ok(QueryBody::General(query)),
        }
    }
}

fn is_operator(tok: &Tok) -> bool {
    match tok {
        Tok::Symbol(symbol) => !matches!(*symbol, "," | "(" | ")" | ";"),
        Tok::Word(word) => matches!(
            word.as_str(),
            "AND" | "OR" | "NOT" | "IS" | "LIKE" | "IN" | "BETWEEN" | "JOIN" | "UNION" | "INTERSECT" | "EXCEPT" | "AT"
        ),
        Tok::Other => true,
        _ => false,
    }
}

/// sqlparser's message as ours: its place taken out of the text, its prefix left away.
fn sql_error(message: &str, text: &str, at: &dyn Fn(usize) -> Span) -> Error {
    let message = message.strip_prefix("sql parser error: ").unwrap_or(message);
    let (message, offset) = match message.rsplit_once(" at Line: ") {
        Some((message, place)) => {
            let number = |part: Option<&str>| part.and_then(|part| part.trim().parse::<u64>().ok()).unwrap_or(0);
            let mut parts = place.split(", Column:");
            let (line, column) = (number(parts.next()), number(parts.next()));
            (message, offset_of(text, line, column))
        }
        None => (message, 0),
    };
    let expectation = message.strip_prefix("Expected: ").or_else(|| message.strip_prefix("Expected "));
    match expectation.and_then(|m| m.rsplit_once(", found: ")) {
        Some((expected, "EOF")) => {
            Error::syntax(format!("found the end of the statement, expected {expected}")).at(at(text.len()))
        }
        Some((expected, found)) => Error::syntax(format!("found `{found}`, expected {expected}")).at(at(offset)),
        None => Error::syntax(message).at(at(offset)),
    }
}

/// The byte of `text` at a line and column from 1, the column in characters.
fn offset_of(text: &str, line: u64, column: u64) -> usize {
    let (mut at_line, mut at_column) = (1, 1);
    for (offset, ch) in text.char_indices() {
        if (at_line, at_column) >= (line, column) {
            return offset;
        }
        (at_line, at_column) = if ch == '\n' { (at_line + 1, 1) } else { (at_line, at_column + 1) };
    }
    text.len()
}
