//! A cursor over the tokens of one statement, and the errors of what does not fit.
//!
//! Every question that the grammar asks (`accept_…`) is remembered for the place where it was asked. When nothing
//! fits, those questions are what was expected there, so no rule writes its own list of what may follow. The cursor
//! also bounds what recursion may cost: a text can nest only so deep, and a tree can be only so tall, whoever walks
//! it later.

use std::cell::Cell;

use types::{Error, Result, Span, did_you_mean};

use crate::{
    ast::Ident,
    keywords::{self, CLAUSES, ENDING_ONLY, STATEMENTS, is_never_an_alias, is_reserved},
    lexer::{Tok, Token},
    variables::Substituted,
};

/// How deep brackets, calls, subqueries and types may nest.
pub const NESTING_MAX: usize = 64;

/// How tall an expression may be: the longest way from it to a leaf.
pub const EXPRESSION_HEIGHT_MAX: usize = 256;

/// How many things an error says it expected.
const EXPECTED_MAX: usize = 8;

/// How many characters of what it found an error shows.
const FOUND_CHARS_MAX: usize = 40;

/// A statement being read.
pub(crate) struct Parser<'a> {
    /// The statement's text.
    pub(crate) source: &'a Substituted,
    tokens: &'a [Token],
    end: Token,
    at: usize,
    nesting: usize,
    /// The height of the tallest expression read since the enclosing one began.
    pub(crate) tallest: usize,
    expected: Vec<&'static str>,
    expected_at: usize,
    implicit_alias: Option<usize>,
    misfit: Cell<Option<Span>>,
}

impl<'a> Parser<'a> {
    /// A cursor at the first of `tokens`, which end with [`Tok::End`].
    pub(crate) fn new(source: &'a Substituted, tokens: &'a [Token]) -> Parser<'a> {
        let length = source.text.len();
        let span = source.origin(length..length);
        let end = Token { tok: Tok::End, span, start: length, end: length };
        Parser {
            source,
            tokens,
            end,
            at: 0,
            nesting: 0,
            tallest: 0,
            expected: Vec::new(),
            expected_at: 0,
            implicit_alias: None,
            misfit: Cell::new(None),
        }
    }

    /// The token under the cursor.
    pub(crate) fn peek(&self) -> &Token {
        self.ahead(0)
    }

    /// The token `n` after the cursor.
    pub(crate) fn ahead(&self, n: usize) -> &Token {
        self.tokens.get(self.at + n).unwrap_or(&self.end)
    }

    /// What the token `n` after the cursor is.
    pub(crate) fn tok(&self, n: usize) -> &Tok {
        &self.ahead(n).tok
    }

    /// The cursor, to come back to or to take spans from.
    pub(crate) fn mark(&self) -> usize {
        self.at
    }

    /// Goes back to a mark.
    pub(crate) fn rewind(&mut self, mark: usize) {
        self.at = mark;
    }

    /// Steps over the token under the cursor.
    pub(crate) fn advance(&mut self) {
        self.at = (self.at + 1).min(self.tokens.len());
    }

    /// From the token at `mark` to the one before the cursor.
    pub(crate) fn span_from(&self, mark: usize) -> Span {
        let first = self.tokens.get(mark).unwrap_or(&self.end).span;
        match self.at.checked_sub(1).and_then(|last| self.tokens.get(last)) {
            Some(last) if self.at > mark => first.to(last.span),
            _ => Span { start: first.start, end: first.start },
        }
    }

    /// The statement's text from the token at `mark` to the one before the cursor.
    pub(crate) fn text_from(&self, mark: usize) -> &'a str {
        let start = self.tokens.get(mark).map_or(self.end.start, |t| t.start);
        let end = self.at.checked_sub(1).and_then(|last| self.tokens.get(last)).map_or(start, |t| t.end);
        self.source.text.get(start..end).unwrap_or("")
    }

    /// Whether the token `n` after the cursor is the bare word `word`.
    pub(crate) fn is_word(&self, n: usize, word: &str) -> bool {
        matches!(self.tok(n), Tok::Word(w) if w == word)
    }

    /// Whether the token `n` after the cursor is `symbol`.
    pub(crate) fn is_symbol(&self, n: usize, symbol: &str) -> bool {
        matches!(self.tok(n), Tok::Symbol(s) if *s == symbol)
    }

    /// Whether the next tokens are these words.
    pub(crate) fn looking_at(&self, words: &[&str]) -> bool {
        words.iter().enumerate().all(|(n, word)| self.is_word(n, word))
    }

    /// Remembers that `what` would have fitted here.
    pub(crate) fn note(&mut self, what: &'static str) {
        if self.expected_at != self.at {
            self.expected.clear();
            self.expected_at = self.at;
        }
        if !self.expected.contains(&what) {
            self.expected.push(what);
        }
    }

    /// Steps over the keyword `word` if it is next.
    pub(crate) fn accept(&mut self, word: &'static str) -> bool {
        self.note(word);
        let fits = self.is_word(0, word);
        if fits {
            self.advance();
        }
        fits
    }

    /// Steps over the two keywords if both are next; `phrase` is how an error calls them.
    pub(crate) fn accept_two(&mut self, phrase: &'static str) -> bool {
        self.note(phrase);
        let fits = phrase.split(' ').enumerate().all(|(n, word)| self.is_word(n, word));
        if fits {
            phrase.split(' ').for_each(|_| self.advance());
        }
        fits
    }

    /// Steps over `symbol` if it is next.
    pub(crate) fn accept_symbol(&mut self, symbol: &'static str) -> bool {
        self.note(symbol);
        let fits = self.is_symbol(0, symbol);
        if fits {
            self.advance();
        }
        fits
    }

    /// Steps over the keyword `word`, or fails.
    pub(crate) fn expect(&mut self, word: &'static str) -> Result<()> {
        if self.accept(word) { Ok(()) } else { Err(self.unexpected()) }
    }

    /// Steps over `symbol`, or fails.
    pub(crate) fn expect_symbol(&mut self, symbol: &'static str) -> Result<()> {
        if self.accept_symbol(symbol) { Ok(()) } else { Err(self.unexpected()) }
    }

    /// Whether the token `n` after the cursor can be a name.
    pub(crate) fn is_name(&self, n: usize) -> bool {
        match self.tok(n) {
            Tok::Quoted(_) => true,
            Tok::Word(word) => !is_reserved(word),
            _ => false,
        }
    }

    /// A name; `what` is how an error calls it ("the stream's name").
    pub(crate) fn name(&mut self, what: &'static str) -> Result<Ident> {
        self.note(what);
        if !self.is_name(0) {
            return Err(self.name_error());
        }
        self.any_name(what)
    }

    /// A name where no keyword can stand, so that even reserved words are names: after `->` and `.`.
    pub(crate) fn any_name(&mut self, what: &'static str) -> Result<Ident> {
        self.note(what);
        let token = self.peek().clone();
        let (value, quoted) = match token.tok {
            Tok::Quoted(value) => (value, true),
            Tok::Word(value) => (value, false),
            _ => return Err(self.name_error()),
        };
        if value.is_empty() {
            return Err(Error::syntax("a name cannot be empty").at(token.span));
        }
        self.advance();
        Ok(Ident { value, quoted, span: token.span })
    }

    /// An alias: after AS any name, without AS a word that cannot begin the next clause.
    pub(crate) fn alias(&mut self) -> Result<Option<Ident>> {
        if self.accept("AS") {
            return self.name("an alias").map(Some);
        }
        let fits = match self.tok(0) {
            Tok::Quoted(_) => true,
            Tok::Word(word) => !is_never_an_alias(word),
            _ => false,
        };
        if !fits {
            return Ok(None);
        }
        self.implicit_alias = Some(self.at);
        self.any_name("an alias").map(Some)
    }

    /// A string.
    pub(crate) fn string(&mut self, what: &'static str) -> Result<String> {
        self.note(what);
        match self.tok(0) {
            Tok::String(text) => {
                let text = text.clone();
                self.advance();
                Ok(text)
            }
            _ => Err(self.unexpected()),
        }
    }

    /// A whole number that is not negative.
    pub(crate) fn whole_number(&mut self, what: &'static str) -> Result<u64> {
        self.note(what);
        let token = self.peek();
        let span = token.span;
        match &token.tok {
            Tok::Number(digits) if digits.bytes().all(|b| b.is_ascii_digit()) => {
                let number =
                    digits.parse().map_err(|_| Error::syntax(format!("{digits} is too large for {what}")).at(span))?;
                self.advance();
                Ok(number)
            }
            _ => Err(self.unexpected()),
        }
    }

    /// `item, item, …`: at least one.
    pub(crate) fn list<T>(&mut self, mut item: impl FnMut(&mut Self) -> Result<T>) -> Result<Vec<T>> {
        let mut items = vec![item(self)?];
        while self.accept_symbol(",") {
            items.push(item(self)?);
        }
        Ok(items)
    }

    /// Reads `inner` one level deeper.
    pub(crate) fn nested<T>(&mut self, inner: impl FnOnce(&mut Self) -> Result<T>) -> Result<T> {
        if self.nesting >= NESTING_MAX {
            return Err(Error::syntax(format!("the statement nests more than {NESTING_MAX} levels deep here"))
                .at(self.peek().span));
        }
        self.nesting += 1;
        let result = inner(self);
        self.nesting -= 1;
        result
    }

    /// Fails unless the statement ends here.
    pub(crate) fn expect_end(&mut self) -> Result<()> {
        self.note("the end of the statement");
        if self.peek().tok == Tok::End { Ok(()) } else { Err(self.unexpected()) }
    }

    /// The error that what is under the cursor fits nothing that was asked for here.
    pub(crate) fn unexpected(&self) -> Error {
        let expected: &[&'static str] = if self.expected_at == self.at { &self.expected } else { &[] };
        // `GROUP a`: half of a phrase is there.
        if let Tok::Word(word) = self.tok(0)
            && let Some((_, rest)) = expected.iter().filter_map(|what| what.split_once(' ')).find(|(w, _)| w == word)
            && is_keyword(rest)
        {
            let found = self.found(self.ahead(1));
            return self
                .misfit(Error::syntax(format!("found {found}, expected {rest} after {word}")).at(self.ahead(1).span));
        }
        let meant = |token: &Token| match &token.tok {
            Tok::Word(word) => nearest(word, expected),
            _ => None,
        };
        // `SELECT a FORM s`: the misspelt keyword was taken for an alias.
        let alias = self.implicit_alias.filter(|alias| alias + 1 == self.at).and_then(|alias| self.tokens.get(alias));
        let misspelt = alias.filter(|alias| meant(alias).is_some());
        let token = misspelt.unwrap_or_else(|| self.peek());
        let found = self.found(token);
        let error = match (meant(token), expected) {
            (Some(meant), _) => Error::syntax(format!("found {found}, expected {meant}")),
            (None, []) => Error::syntax(format!("{found} does not belong here")),
            (None, expected) => Error::syntax(format!("found {found}, expected {}", listed(expected))),
        };
        let hint = match meant(token) {
            Some(meant) => Some(format!("did you mean {meant}?")),
            None => self.hint(token, expected),
        };
        let error = self.misfit(error.at(token.span));
        match hint {
            Some(hint) => error.with_hint(hint),
            None => error,
        }
    }

    /// Marks `error` as one that another grammar may not have.
    pub(crate) fn misfit(&self, error: Error) -> Error {
        self.misfit.set(error.span());
        error
    }

    /// Marks `error` as one that every grammar has.
    pub(crate) fn definite(&self, error: Error) -> Error {
        self.misfit.set(None);
        error
    }

    /// Whether `error` says that the text is in another grammar than ours, rather than wrong in any.
    pub(crate) fn is_misfit(&self, error: &Error) -> bool {
        error.span().is_some() && self.misfit.get() == error.span()
    }

    /// Why the token under the cursor is no name.
    pub(crate) fn name_error(&self) -> Error {
        let error = self.unexpected();
        if error.hint().is_some() {
            return error;
        }
        match &self.peek().tok {
            Tok::Word(word) => self
                .definite(error.with_hint(format!("{word} is a reserved word; in back quotes it is a name: `{word}`"))),
            Tok::String(text) => self.definite(
                error.with_hint(format!("single quotes make a string; a name stands in back quotes: `{text}`")),
            ),
            Tok::Number(_) => error.with_hint("a name that is a number stands in back quotes"),
            _ => error,
        }
    }

    fn hint(&self, token: &Token, expected: &[&'static str]) -> Option<String> {
        let Tok::Word(word) = &token.tok else { return None };
        if ENDING_ONLY.binary_search(&word.as_str()).is_ok() {
            return Some(format!("{word} is for queries that end: without EMIT, and not in CREATE … AS or INSERT"));
        }
        if self.at == 0 || !expected.contains(&"the end of the statement") {
            return None;
        }
        if STATEMENTS.binary_search(&word.as_str()).is_ok() {
            return Some(format!("is the `;` missing that ends the statement before {word}?"));
        }
        let clause = CLAUSES.iter().find(|clause| clause.split(' ').next() == Some(word))?;
        Some(format!("{clause} stands at another place; the clauses' order is {}", CLAUSES.join(", ")))
    }

    /// How a message calls `token`.
    pub(crate) fn found(&self, token: &Token) -> String {
        let text = self.source.text.get(token.start..token.end).unwrap_or("");
        match &token.tok {
            Tok::End => "the end of the statement".to_owned(),
            _ if text.chars().count() > FOUND_CHARS_MAX => {
                format!("`{}…`", text.chars().take(FOUND_CHARS_MAX).collect::<String>())
            }
            _ if text.contains('`') => text.to_owned(),
            _ => format!("`{text}`"),
        }
    }
}

fn is_keyword(what: &str) -> bool {
    what.bytes().all(|b| b.is_ascii_uppercase() || b == b' ' || b == b'_')
}

/// The expected keyword that `word` is probably a misspelling of.
fn nearest(word: &str, expected: &[&'static str]) -> Option<&'static str> {
    let first = |what: &&'static str| -> &'static str { what.split(' ').next().unwrap_or(what) };
    let known = || expected.iter().filter(|what| is_keyword(what));
    if keywords::is_keyword(word) {
        return None;
    }
    did_you_mean(word, known().map(first)).and_then(|near| known().find(|k| first(k) == near)).copied()
}

/// "A, B or C".
fn listed(expected: &[&'static str]) -> String {
    let show = |what: &&str| match *what {
        what if is_keyword(what) || what.contains(' ') => what.to_owned(),
        symbol => format!("`{symbol}`"),
    };
    let mut shown: Vec<String> = expected.iter().take(EXPECTED_MAX).map(show).collect();
    if expected.len() > EXPECTED_MAX {
        shown.push("…".to_owned());
    }
    match shown.split_last() {
        Some((last, [])) => last.clone(),
        Some((last, rest)) => format!("{} or {last}", rest.join(", ")),
        None => String::new(),
    }
}
