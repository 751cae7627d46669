//! `WITH (name = literal, …)`.

use types::{Error, Result};

use crate::{
    ast::{Literal, Properties, Property},
    lexer::Tok,
    parser::Parser,
};

/// How the names of properties are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Names {
    /// In upper case: those of streams, tables and topics.
    Folded,
    /// Strings as written: those of connectors, which are another system's.
    AsWritten,
}

impl Parser<'_> {
    /// `WITH (…)` if it is next.
    pub(crate) fn optional_properties(&mut self) -> Result<Properties> {
        self.note("WITH");
        if self.is_word(0, "WITH") { self.with_properties() } else { Ok(Properties::default()) }
    }

    /// `WITH (…)`.
    pub(crate) fn with_properties(&mut self) -> Result<Properties> {
        self.properties(Names::Folded)
    }

    /// `WITH (…)` of a connector.
    pub(crate) fn connector_properties(&mut self) -> Result<Properties> {
        self.properties(Names::AsWritten)
    }

    fn properties(&mut self, names: Names) -> Result<Properties> {
        let mark = self.mark();
        self.expect("WITH")?;
        self.expect_symbol("(")?;
        let mut properties = Properties::default();
        if !self.is_symbol(0, ")") {
            self.list(|p| p.property(names, &mut properties))?;
        }
        self.expect_symbol(")")?;
        properties.span = self.span_from(mark);
        Ok(properties)
    }

    fn property(&mut self, names: Names, properties: &mut Properties) -> Result<()> {
        let name_span = self.peek().span;
        let name = match self.tok(0).clone() {
            Tok::String(name) => {
                self.advance();
                if names == Names::Folded { name.to_uppercase() } else { name }
            }
            _ => self.name("a property's name")?.value.to_uppercase(),
        };
        self.expect_symbol("=")?;
        let mark = self.mark();
        let value = self.literal()?;
        let property = Property { name_span, value, span: self.span_from(mark) };
        match properties.entries.insert(name.clone(), property) {
            None => Ok(()),
            Some(_) => Err(Error::syntax(format!("property {name} is set twice")).at(name_span)),
        }
    }

    /// A constant.
    pub(crate) fn literal(&mut self) -> Result<Literal> {
        self.note("a constant");
        let literal = match self.tok(0).clone() {
            Tok::String(text) => Literal::String(text),
            Tok::Number(_) => return self.number(false),
            Tok::Symbol("-") if matches!(self.tok(1), Tok::Number(_)) => {
                self.advance();
                return self.number(true);
            }
            Tok::Word(word) => match word.as_str() {
                "NULL" => Literal::Null,
                "TRUE" => Literal::Boolean(true),
                "FALSE" => Literal::Boolean(false),
                _ => {
                    let text = self.found(self.peek());
                    let hint = format!("a text stands in single quotes: '{}'", text.trim_matches('`'));
                    return Err(self.unexpected().with_hint(hint));
                }
            },
            _ => return Err(self.unexpected()),
        };
        self.advance();
        Ok(literal)
    }
}
