//! The grammar of statements about topics.

use std::{collections::BTreeMap, iter::Peekable, str::CharIndices};

use syntax::ast::CopyOptions;
use types::{Error, Result, Span};

use super::{From, Read, TopicColumn, TopicStatement};

/// Partitions of a topic that CREATE TOPIC says nothing about.
const PARTITIONS_DEFAULT: u32 = 1;

/// The statement, if the text is about a topic as such: its first two words tell.
pub(crate) fn parse_topic_statement(text: &str) -> Option<Result<TopicStatement>> {
    let mut words = text.split_ascii_whitespace();
    let (first, second) = (words.next()?, words.next()?);
    let verbs = ["CREATE", "DROP", "DESCRIBE", "COPY", "READ"];
    if !second.eq_ignore_ascii_case("TOPIC") || !verbs.iter().any(|v| first.eq_ignore_ascii_case(v)) {
        return None;
    }
    Some(tokens(text).and_then(|tokens| {
        let mut parser = Parser { tokens, at: 0, end: text.len() };
        let statement = parser.statement()?;
        parser.end()?;
        Ok(statement)
    }))
}

#[derive(Debug, Clone, PartialEq)]
enum Token {
    Word(String),
    Quoted(String),
    Number(String),
    Symbol(char),
}

fn tokens(text: &str) -> Result<Vec<(Token, Span)>> {
    let mut tokens = Vec::new();
    let mut chars = text.char_indices().peekable();
    while let Some((start, c)) = chars.next() {
        let token = match c {
            c if c.is_whitespace() => continue,
            '-' if chars.next_if(|(_, c)| *c == '-').is_some() => {
                while chars.next_if(|(_, c)| *c != '\n').is_some() {}
                continue;
            }
            '\'' | '"' | '`' => {
                let mut word = String::new();
                loop {
                    match chars.next() {
                        Some((_, end)) if end == c && chars.next_if(|(_, next)| *next == c).is_none() => break,
                        Some((_, inner)) => word.push(inner),
                        None => {
                            return Err(Error::syntax("unterminated quoted text").at(Span::new(start, text.len())));
                        }
                    }
                }
                Token::Quoted(word)
            }
            c if c.is_ascii_digit() => Token::Number(run(c, &mut chars, |c| c.is_ascii_digit())),
            c if c.is_alphabetic() || c == '_' => {
                Token::Word(run(c, &mut chars, |c| c.is_alphanumeric() || matches!(c, '_' | '-' | '.')))
            }
            c => Token::Symbol(c),
        };
        let end = chars.peek().map_or(text.len(), |(at, _)| *at);
        tokens.push((token, Span::new(start, end)));
    }
    Ok(tokens)
}

/// `first` and the characters after it that fit.
fn run(first: char, rest: &mut Peekable<CharIndices<'_>>, fits: fn(char) -> bool) -> String {
    let mut word = String::from(first);
    while let Some((_, c)) = rest.next_if(|(_, c)| fits(*c)) {
        word.push(c);
    }
    word
}

struct Parser {
    tokens: Vec<(Token, Span)>,
    at: usize,
    end: usize,
}

impl Parser {
    fn peek(&self) -> Option<&Token> {
        self.tokens.get(self.at).map(|t| &t.0)
    }

    fn unexpected<T>(&self, expected: &str) -> Result<T> {
        let (found, span) = match self.tokens.get(self.at) {
            None => ("the end of the statement".to_owned(), Span::new(self.end, self.end)),
            Some((Token::Word(w) | Token::Number(w), span)) => (format!("`{w}`"), *span),
            Some((Token::Quoted(w), span)) => (format!("`'{w}'`"), *span),
            Some((Token::Symbol(c), span)) => (format!("`{c}`"), *span),
        };
        Err(Error::syntax(format!("found {found}, expected {expected}")).at(span))
    }

    fn accept(&mut self, word: &str) -> bool {
        let fits = matches!(self.peek(), Some(Token::Word(w)) if w.eq_ignore_ascii_case(word));
        self.at += usize::from(fits);
        fits
    }

    fn expect(&mut self, word: &str) -> Result<()> {
        if self.accept(word) { Ok(()) } else { self.unexpected(word) }
    }

    fn accept_symbol(&mut self, symbol: char) -> bool {
        let fits = self.peek() == Some(&Token::Symbol(symbol));
        self.at += usize::from(fits);
        fits
    }

    fn expect_symbol(&mut self, symbol: char) -> Result<()> {
        if self.accept_symbol(symbol) { Ok(()) } else { self.unexpected(&format!("`{symbol}`")) }
    }

    fn text(&mut self, what: &str) -> Result<String> {
        match self.peek() {
            Some(Token::Word(text) | Token::Quoted(text) | Token::Number(text)) => {
                let text = text.clone();
                self.at += 1;
                Ok(text)
            }
            _ => self.unexpected(what),
        }
    }

    fn number<T: std::str::FromStr>(&mut self, what: &str) -> Result<T> {
        let number = match self.peek() {
            Some(Token::Number(digits)) => digits.parse().ok(),
            _ => None,
        };
        match number {
            Some(number) => {
                self.at += 1;
                Ok(number)
            }
            None => self.unexpected(what),
        }
    }

    fn end(&self) -> Result<()> {
        if self.peek().is_some() { self.unexpected("the end of the statement") } else { Ok(()) }
    }

    fn statement(&mut self) -> Result<TopicStatement> {
        let verb = self.text("a statement")?.to_ascii_uppercase();
        self.expect("TOPIC")?;
        match verb.as_str() {
            "CREATE" => self.create(),
            "DROP" => {
                let if_exists = self.accept("IF");
                if if_exists {
                    self.expect("EXISTS")?;
                }
                Ok(TopicStatement::Drop { name: self.text("the topic's name")?, if_exists })
            }
            "DESCRIBE" => Ok(TopicStatement::Describe { name: self.text("the topic's name")? }),
            "COPY" => self.copy(),
            _ => self.read(),
        }
    }

    fn create(&mut self) -> Result<TopicStatement> {
        let if_not_exists = self.accept("IF");
        if if_not_exists {
            self.expect("NOT")?;
            self.expect("EXISTS")?;
        }
        let name = self.text("the topic's name")?;
        let partitions =
            if self.accept("PARTITIONS") { self.number("a number of partitions")? } else { PARTITIONS_DEFAULT };
        let mut settings = BTreeMap::new();
        if self.accept("WITH") {
            self.expect_symbol('(')?;
            loop {
                let setting = self.text("a setting")?;
                self.expect_symbol('=')?;
                settings.insert(setting, self.text("a value")?);
                if !self.accept_symbol(',') {
                    break;
                }
            }
            self.expect_symbol(')')?;
        }
        Ok(TopicStatement::Create { name, if_not_exists, partitions, settings })
    }

    fn copy(&mut self) -> Result<TopicStatement> {
        let name = self.text("the topic's name")?;
        let mut columns = Vec::new();
        if self.accept_symbol('(') {
            loop {
                columns.push(self.column(&columns)?);
                if !self.accept_symbol(',') {
                    break;
                }
            }
            self.expect_symbol(')')?;
        } else {
            columns = vec![TopicColumn::Key, TopicColumn::Value];
        }
        self.expect("FROM")?;
        self.expect("STDIN")?;
        let options = self.options()?;
        Ok(TopicStatement::CopyIn { name, columns, options })
    }

    fn column(&mut self, before: &[TopicColumn]) -> Result<TopicColumn> {
        const COLUMNS: [(&str, TopicColumn); 5] = [
            ("KEY", TopicColumn::Key),
            ("VALUE", TopicColumn::Value),
            ("PARTITION", TopicColumn::Partition),
            ("TIMESTAMP", TopicColumn::Timestamp),
            ("HEADERS", TopicColumn::Headers),
        ];
        let found = COLUMNS.into_iter().find(|(name, column)| !before.contains(column) && self.accept(name));
        found.map_or_else(|| self.unexpected("KEY, VALUE, PARTITION, TIMESTAMP or HEADERS, each once"), |c| Ok(c.1))
    }

    fn options(&mut self) -> Result<CopyOptions> {
        let mut options = CopyOptions::default();
        self.accept("WITH");
        if !self.accept_symbol('(') {
            return Ok(options);
        }
        loop {
            if self.accept("FORMAT") {
                options.csv = self.accept("CSV");
                if !options.csv {
                    self.expect("TEXT")?;
                }
            } else if self.accept("DELIMITER") {
                options.delimiter = Some(self.character()?);
            } else if self.accept("QUOTE") {
                options.quote = Some(self.character()?);
            } else if self.accept("NULL") {
                options.null = Some(self.text("a text for NULL")?);
            } else if self.accept("HEADER") {
                options.header = !self.accept("FALSE");
                self.accept("TRUE");
            } else {
                return self.unexpected("FORMAT, DELIMITER, QUOTE, NULL or HEADER");
            }
            if !self.accept_symbol(',') {
                break;
            }
        }
        self.expect_symbol(')')?;
        Ok(options)
    }

    fn character(&mut self) -> Result<char> {
        let one = match self.peek() {
            Some(Token::Quoted(text)) => {
                let mut chars = text.chars();
                chars.next().filter(|_| chars.next().is_none())
            }
            _ => None,
        };
        match one {
            Some(c) => {
                self.at += 1;
                Ok(c)
            }
            None => self.unexpected("one character in quotes"),
        }
    }

    fn read(&mut self) -> Result<TopicStatement> {
        let name = self.text("the topic's name")?;
        let mut read = Read { name, partition: None, from: From::End, limit: None, live: false };
        if self.accept("PARTITION") {
            read.partition = Some(self.number("a partition")?);
        }
        if self.accept("FROM") {
            read.from = if self.accept("BEGINNING") {
                From::Beginning
            } else if self.accept("END") {
                From::End
            } else {
                self.expect("OFFSET")?;
                From::Offset(self.number("an offset")?)
            };
        }
        if self.accept("LIMIT") {
            read.limit = Some(self.number("a number of records")?);
        }
        if self.accept("EMIT") {
            self.expect("CHANGES")?;
            read.live = true;
        }
        Ok(TopicStatement::Read(read))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, want: &str) {
        let got = match parse_topic_statement(text) {
            None => "none".to_owned(),
            Some(Ok(statement)) => format!("{statement:?}"),
            Some(Err(e)) => format!("{e} at {:?}", e.span().map(|s| s.start)),
        };
        assert_eq!(got, want, "{text}");
    }

    #[test]
    fn statements() {
        check("SELECT 1", "none");
        check("COPY topics FROM STDIN", "none");
        check(
            "create topic IF NOT EXISTS \"My-Topic\" PARTITIONS 3 WITH ('retention.ms' = '5', a.b = 1)",
            r#"Create { name: "My-Topic", if_not_exists: true, partitions: 3, settings: {"a.b": "1", "retention.ms": "5"} }"#,
        );
        check("DROP TOPIC my-topic -- gone", r#"Drop { name: "my-topic", if_exists: false }"#);
        check(
            "READ TOPIC t PARTITION 1 FROM OFFSET 7 LIMIT 2 EMIT CHANGES",
            r#"Read(Read { name: "t", partition: Some(1), from: Offset(7), limit: Some(2), live: true })"#,
        );
        check(
            "COPY TOPIC t (VALUE, KEY) FROM STDIN (FORMAT csv, DELIMITER ';', NULL '')",
            r#"CopyIn { name: "t", columns: [Value, Key], options: CopyOptions { csv: true, delimiter: Some(';'), null: Some(""), header: false, quote: None } }"#,
        );
        check(
            "COPY TOPIC t (KEY, KEY) FROM STDIN",
            "found `KEY`, expected KEY, VALUE, PARTITION, TIMESTAMP or HEADERS, each once at Some(19)",
        );
        check("CREATE TOPIC", "found the end of the statement, expected the topic's name at Some(12)");
        check("CREATE TOPIC 'x", "unterminated quoted text at Some(13)");
    }
}
