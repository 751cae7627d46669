//! SHOW, LIST, DESCRIBE and PRINT.

use types::{Error, Result, did_you_mean};

use crate::{
    ast::{Ident, ObjectKind, Show, ShowWhat, StatementKind},
    lexer::Tok,
    parser::Parser,
};

/// What can be listed with one word.
const LISTS: &[(&str, ShowWhat)] = &[
    ("CONNECTORS", ShowWhat::Connectors),
    ("FUNCTIONS", ShowWhat::Functions),
    ("PROPERTIES", ShowWhat::Properties),
    ("QUERIES", ShowWhat::Queries),
    ("STREAMS", ShowWhat::Streams),
    ("TABLES", ShowWhat::Tables),
    ("TOPICS", ShowWhat::Topics { all: false }),
    ("TYPES", ShowWhat::Types),
    ("VARIABLES", ShowWhat::Variables),
    ("VIEWS", ShowWhat::Views),
];

/// Those that EXTENDED says more about.
const EXTENDED: &[&str] = &["QUERIES", "STREAMS", "TABLES", "TOPICS"];

impl Parser<'_> {
    /// What follows SHOW, or LIST (`only_lists`), which knows no session variables.
    pub(super) fn show(&mut self, only_lists: bool) -> Result<StatementKind> {
        let what = if self.looking_at(&["ALL", "TOPICS"]) {
            self.advance();
            self.advance();
            let extended = self.accept("EXTENDED");
            return Ok(StatementKind::Show(Show { what: ShowWhat::Topics { all: true }, extended }));
        } else if self.looking_at(&["CONNECTOR", "PLUGINS"]) {
            self.advance();
            self.advance();
            ShowWhat::ConnectorPlugins
        } else if ["SOURCE", "SINK"].iter().any(|side| self.looking_at(&[side, "CONNECTORS"])) {
            self.advance();
            self.advance();
            ShowWhat::Connectors
        } else if let Some((word, what)) = LISTS.iter().find(|(word, _)| self.is_word(0, word)) {
            self.advance();
            let extended = EXTENDED.contains(word) && self.accept("EXTENDED");
            return Ok(StatementKind::Show(Show { what: *what, extended }));
        } else if only_lists || self.is_misspelt_list() {
            LISTS.iter().for_each(|(word, _)| self.note(word));
            return Err(self.unexpected());
        } else {
            return self.show_variable();
        };
        Ok(StatementKind::Show(Show { what, extended: false }))
    }

    fn is_misspelt_list(&self) -> bool {
        match self.tok(0) {
            Tok::Word(word) => did_you_mean(word, LISTS.iter().map(|(word, _)| *word)).is_some(),
            _ => false,
        }
    }

    /// What follows DESCRIBE.
    pub(super) fn describe(&mut self) -> Result<StatementKind> {
        // A stream may be called FUNCTION: then no name follows.
        if self.is_word(0, "FUNCTION") && self.is_name(1) && !self.is_word(1, "EXTENDED") {
            self.advance();
            return Ok(StatementKind::DescribeFunction { name: self.name("a function's name")? });
        }
        if self.is_word(0, "CONNECTOR") && self.is_name(1) && !self.is_word(1, "EXTENDED") {
            self.advance();
            return Ok(StatementKind::DescribeConnector { name: self.name("a connector's name")? });
        }
        for (word, object) in [("STREAMS", ObjectKind::Stream), ("TABLES", ObjectKind::Table)] {
            if self.accept(word) {
                return Ok(StatementKind::DescribeAll { object, extended: self.accept("EXTENDED") });
            }
        }
        // ksqlDB's older form has EXTENDED before the name.
        let before = self.is_word(0, "EXTENDED") && self.is_name(1);
        if before {
            self.advance();
        }
        let name = self.name("a stream's or table's name")?;
        Ok(StatementKind::Describe { name, extended: self.accept("EXTENDED") || before })
    }

    /// What follows PRINT.
    pub(super) fn print(&mut self) -> Result<StatementKind> {
        let topic = self.topic()?;
        let from_beginning = self.accept_two("FROM BEGINNING");
        let interval = if self.accept("INTERVAL") || self.accept("SAMPLE") {
            let span = self.peek().span;
            let interval = self.whole_number("a number of records")?;
            if interval == 0 {
                return Err(Error::syntax("the interval must be at least 1").at(span));
            }
            Some(interval)
        } else {
            None
        };
        let limit = if self.accept("LIMIT") { Some(self.whole_number("a number of records")?) } else { None };
        Ok(StatementKind::Print { topic, from_beginning, interval, limit })
    }

    /// A topic's name: a name, a string, or letters, dots and dashes without a blank. Topics are case-sensitive, so
    /// the name is kept as written and counts as quoted.
    pub(super) fn topic(&mut self) -> Result<Ident> {
        self.note("a topic's name");
        let mark = self.mark();
        match self.tok(0).clone() {
            Tok::Quoted(value) | Tok::String(value) => {
                self.advance();
                Ok(Ident { value, quoted: true, span: self.span_from(mark) })
            }
            Tok::Word(_) | Tok::Number(_) => {
                loop {
                    let end = self.peek().end;
                    self.advance();
                    let more = matches!(self.tok(0), Tok::Word(_) | Tok::Number(_) | Tok::Symbol("." | "-"));
                    if !more || self.peek().start != end {
                        break;
                    }
                }
                let value = self.text_from(mark).to_owned();
                Ok(Ident { value, quoted: true, span: self.span_from(mark) })
            }
            _ => Err(self.unexpected()),
        }
    }
}
