//! sqlparser's tokens made ours: blanks and comments gone, keywords not yet told from names, each with its place in
//! bytes.
//!
//! sqlparser counts lines and columns; its tokens cover the text without gaps, so one walk along the text turns them
//! into byte offsets. Which words are keywords is decided by the grammar at each place, because almost every keyword
//! of the dialect may also be a name.

use sqlparser::tokenizer::{Location, Token as Sql, Tokenizer};
use types::{Error, Result, Span};

use crate::{dialect::Tokens, variables::Substituted};

/// What a token is.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Tok {
    /// A bare word: a keyword or a name, upper case.
    Word(String),
    /// A quoted name, without its quotes.
    Quoted(String),
    /// Digits, perhaps with a point or an exponent.
    Number(String),
    /// A string, without its quotes.
    String(String),
    /// `$1`.
    Parameter(usize),
    /// An operator or a bracket.
    Symbol(&'static str),
    /// Something that only other dialects know.
    Other,
    /// The end of the statement.
    End,
}

/// A token and its place.
#[derive(Debug, Clone)]
pub(crate) struct Token {
    /// What it is.
    pub(crate) tok: Tok,
    /// Its place in the text that the user gave.
    pub(crate) span: Span,
    /// First byte in the statement's own text.
    pub(crate) start: usize,
    /// One past its last byte in the statement's own text.
    pub(crate) end: usize,
}

/// The tokens of one statement, with an end after the last.
pub(crate) fn tokens(source: &Substituted) -> Result<Vec<Token>> {
    let mut raw = Vec::new();
    let outcome = Tokenizer::new(&Tokens, &source.text).tokenize_with_location_into_buf(&mut raw);
    let mut walk = Walk::new(&source.text);
    let mut out: Vec<Token> = Vec::new();
    for token in raw {
        let mut start = walk.to(token.span.start);
        let end = walk.to(token.span.end);
        let mut push = |tok, start, end| out.push(Token { tok, span: source.origin(start..end), start, end });
        match token.token {
            Sql::Whitespace(_) => continue,
            // Two closing brackets of types: ARRAY<ARRAY<INT>>.
            Sql::ShiftRight => {
                push(Tok::Symbol(">"), start, start + 1);
                push(Tok::Symbol(">"), start + 1, end);
                continue;
            }
            token => {
                let text = |start| source.text.get(start..end).unwrap_or("");
                // Names may start with digits. `1R` is a number and a word to the tokenizer, `0x1` and `1L` are more.
                let is_word = matches!(&token, Sql::Word(word) if word.quote_style.is_none());
                if let Some(digits) = out.pop_if(|t| is_word && t.end == start && is_digits(text(t.start))) {
                    start = digits.start;
                }
                let tok = if is_digits(text(start)) { digit_word(text(start), token) } else { tok(token) };
                out.push(Token { tok, span: source.origin(start..end), start, end });
            }
        }
    }
    if let Err(error) = outcome {
        let start = walk.to(error.location);
        return Err(untokenizable(source, start));
    }
    let end = source.text.len();
    out.push(Token { tok: Tok::End, span: source.origin(end..end), start: end, end });
    Ok(out)
}

/// Whether `text` starts with a digit and has only letters, digits and underscores.
fn is_digits(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_digit()) && text.chars().all(|c| c.is_alphanumeric() || c == '_' || c == '@')
}

/// A name that starts with digits, unless it is a number.
fn digit_word(text: &str, token: Sql) -> Tok {
    match token {
        Sql::Number(digits, false) => Tok::Number(digits),
        _ => Tok::Word(text.to_uppercase()),
    }
}

fn tok(token: Sql) -> Tok {
    match token {
        Sql::Word(word) if word.quote_style.is_some() => Tok::Quoted(word.value),
        Sql::Word(word) => Tok::Word(word.value.to_uppercase()),
        Sql::Number(digits, false) => Tok::Number(digits),
        Sql::SingleQuotedString(text) => Tok::String(text),
        Sql::Placeholder(name) => {
            name.strip_prefix('$').and_then(|n| n.parse().ok()).filter(|n| *n > 0).map_or(Tok::Other, Tok::Parameter)
        }
        other => symbol(&other).map_or(Tok::Other, Tok::Symbol),
    }
}

fn symbol(token: &Sql) -> Option<&'static str> {
    Some(match token {
        Sql::LParen => "(",
        Sql::RParen => ")",
        Sql::LBracket => "[",
        Sql::RBracket => "]",
        Sql::LBrace => "{",
        Sql::RBrace => "}",
        Sql::Comma => ",",
        Sql::Period => ".",
        Sql::SemiColon => ";",
        Sql::Colon => ":",
        Sql::DoubleColon => "::",
        Sql::Assignment => ":=",
        Sql::Arrow => "->",
        Sql::RArrow => "=>",
        Sql::Eq => "=",
        Sql::DoubleEq => "==",
        Sql::Neq => "<>",
        Sql::Lt => "<",
        Sql::LtEq => "<=",
        Sql::Gt => ">",
        Sql::GtEq => ">=",
        Sql::Plus => "+",
        Sql::Minus => "-",
        Sql::Mul => "*",
        Sql::Div => "/",
        Sql::Mod => "%",
        Sql::StringConcat => "||",
        _ => return None,
    })
}

fn untokenizable(source: &Substituted, start: usize) -> Error {
    let rest = source.text.get(start..).unwrap_or("");
    let opening = rest.chars().next();
    let span = source.origin(start..start + opening.map_or(0, char::len_utf8));
    match opening {
        Some('\'') => Error::syntax("the string that starts here has no closing quote")
            .with_hint("a quote within a string is written twice: 'it''s'"),
        Some(quote @ ('`' | '"')) => Error::syntax(format!("the name that starts here has no closing {quote}")),
        None => Error::syntax("the comment that starts with `/*` has no closing `*/`"),
        Some(_) => Error::syntax("this cannot be read as SQL"),
    }
    .at(span)
}

/// Turns ascending lines and columns, both from 1 and in characters, into byte offsets.
struct Walk<'a> {
    chars: std::str::CharIndices<'a>,
    at: usize,
    line: u64,
    column: u64,
}

impl<'a> Walk<'a> {
    fn new(text: &'a str) -> Walk<'a> {
        Walk { chars: text.char_indices(), at: 0, line: 1, column: 1 }
    }

    fn to(&mut self, goal: Location) -> usize {
        while (self.line, self.column) < (goal.line, goal.column) {
            let Some((at, ch)) = self.chars.next() else { break };
            self.at = at + ch.len_utf8();
            (self.line, self.column) = if ch == '\n' { (self.line + 1, 1) } else { (self.line, self.column + 1) };
        }
        self.at
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, want: &[&str]) {
        let source = Substituted::unchanged(text, 0..text.len());
        let got = match tokens(&source) {
            Ok(tokens) => tokens.iter().map(|t| t.span.of(text).to_owned()).collect(),
            Err(error) => vec![error.message().to_owned(), error.span().unwrap_or_default().of(text).to_owned()],
        };
        let want: Vec<String> = want.iter().map(|w| (*w).to_owned()).collect();
        assert_eq!(got, want, "{text}");
    }

    #[test]
    fn finds_the_bytes_of_every_token() {
        check("", &[""]);
        check("a->b[1] AS 'ü''x' -- c\n/* d */ ;", &["a", "->", "b", "[", "1", "]", "AS", "'ü''x'", ";", ""]);
        check("é\r\n`q``r` \"S\"\n1.5e-3 .5 1. $1", &["é", "`q``r`", "\"S\"", "1.5e-3", ".5", "1.", "$1", ""]);
        check("ARRAY<MAP<a,b>>", &["ARRAY", "<", "MAP", "<", "a", ",", "b", ">", ">", ""]);
        check("1R 0x1F 10L_2 2e 1e5 1.5", &["1R", "0x1F", "10L_2", "2e", "1e5", "1.5", ""]);
        check("a<-1 x=>-y s->_z", &["a", "<", "-", "1", "x", "=>", "-", "y", "s", "->", "_z", ""]);
    }

    #[test]
    fn says_what_is_left_open() {
        check("a 'b", &["the string that starts here has no closing quote", "'"]);
        check("a `b", &["the name that starts here has no closing `", "`"]);
        check("a /* b", &["the comment that starts with `/*` has no closing `*/`", ""]);
    }
}
