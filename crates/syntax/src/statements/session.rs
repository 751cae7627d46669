//! What concerns the session: SET, UNSET, DEFINE, RUN SCRIPT.

use types::{Error, Result};

use crate::{
    ast::{Ident, StatementKind},
    lexer::Tok,
    parser::Parser,
};

impl Parser<'_> {
    /// What follows SET: `'name' = 'value'`, or PostgreSQL's forms, whose names are lower case.
    pub(super) fn set(&mut self) -> Result<StatementKind> {
        if let Tok::String(name) = self.tok(0).clone() {
            self.advance();
            self.expect_symbol("=")?;
            let value = self.setting()?;
            return Ok(StatementKind::Set { name, value });
        }
        if self.is_word(0, "TRANSACTION") || self.looking_at(&["SESSION", "CHARACTERISTICS"]) {
            self.skip_rest();
            return Ok(StatementKind::Discard);
        }
        if (self.is_word(0, "SESSION") || self.is_word(0, "LOCAL")) && self.is_name(1) && !self.is_word(1, "TO") {
            self.advance();
        }
        if self.accept_two("TIME ZONE") {
            return Ok(StatementKind::Set { name: "timezone".to_owned(), value: self.setting()? });
        }
        if self.is_word(0, "NAMES") && !self.is_symbol(1, "=") && !self.is_word(1, "TO") {
            self.advance();
            return Ok(StatementKind::Set { name: "client_encoding".to_owned(), value: self.setting()? });
        }
        self.note("a property's name in single quotes");
        let name = self.variable_name()?;
        if !self.accept_symbol("=") && !self.accept("TO") {
            return Err(self.unexpected());
        }
        Ok(StatementKind::Set { name, value: self.setting()? })
    }

    /// `a.b`, lower case unless quoted.
    pub(super) fn variable_name(&mut self) -> Result<String> {
        let lower = |name: Ident| if name.quoted { name.value } else { name.value.to_lowercase() };
        let mut name = lower(self.name("a variable's name")?);
        while self.accept_symbol(".") {
            name = format!("{name}.{}", lower(self.any_name("the rest of the name")?));
        }
        Ok(name)
    }

    /// A value of SET: a string, a number, words; a list is kept as text.
    fn setting(&mut self) -> Result<String> {
        let items = self.list(|p| {
            p.note("a value");
            let mark = p.mark();
            match p.tok(0).clone() {
                Tok::String(text) => {
                    p.advance();
                    Ok(text)
                }
                Tok::Quoted(text) => {
                    p.advance();
                    Ok(text)
                }
                Tok::Word(_) => {
                    p.advance();
                    Ok(p.text_from(mark).to_owned())
                }
                Tok::Symbol("-" | "+") if matches!(p.tok(1), Tok::Number(_)) => {
                    p.advance();
                    p.advance();
                    Ok(p.text_from(mark).to_owned())
                }
                Tok::Number(digits) => {
                    p.advance();
                    Ok(digits)
                }
                _ => Err(p.unexpected()),
            }
        })?;
        Ok(items.join(", "))
    }

    /// Steps over all that is left of the statement.
    pub(super) fn skip_rest(&mut self) {
        while self.peek().tok != Tok::End {
            self.advance();
        }
    }

    /// What follows UNSET.
    pub(super) fn unset(&mut self) -> Result<StatementKind> {
        Ok(StatementKind::Unset { name: self.string("a property's name in single quotes")? })
    }

    /// What follows DEFINE.
    pub(super) fn define(&mut self) -> Result<StatementKind> {
        let name = self.name("a variable's name")?;
        self.expect_symbol("=")?;
        let hint = !self.is_string();
        let value = self.string("a value in single quotes").map_err(|error| match hint {
            true => error.with_hint(format!("DEFINE {} = 'value';", name.value.to_lowercase())),
            false => error,
        })?;
        Ok(StatementKind::Define { name, value })
    }

    /// What follows RUN.
    pub(super) fn run_script(&mut self) -> Result<StatementKind> {
        self.expect("SCRIPT")?;
        Ok(StatementKind::RunScript { path: self.string("a file's name in single quotes")? })
    }

    /// A first word that begins no statement.
    pub(super) fn unexpected_statement(&self) -> Error {
        let error = self.unexpected();
        let hint = error.hint().map(str::to_owned);
        let plain = Error::syntax(format!("found {}, expected a statement", self.found(self.peek())));
        let plain = plain.at(self.peek().span);
        match hint {
            Some(hint) => plain.with_hint(hint),
            None => plain.with_hint("statements begin with CREATE, SELECT, INSERT, SHOW, DESCRIBE, DROP, …"),
        }
    }
}
