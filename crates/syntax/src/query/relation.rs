//! FROM: sources, subqueries, joins.

use types::{Error, Result, Span};

use crate::{
    ast::{Ident, Join, JoinKind, Properties, Relation, Within},
    keywords::CLAUSES,
    lexer::Tok,
    parser::Parser,
};

/// How many joins one FROM may have: whoever walks the tree later goes this deep.
pub(super) const JOINS_MAX: usize = 64;

impl Parser<'_> {
    /// What follows FROM.
    pub(super) fn relation(&mut self) -> Result<Relation> {
        let mut left = self.primary_relation()?;
        let mut joins = 0;
        loop {
            let mark = self.mark();
            let Some(kind) = self.join_kind()? else { return Ok(left) };
            joins += 1;
            if joins > JOINS_MAX {
                return Err(Error::syntax(format!("more than {JOINS_MAX} joins in one FROM")).at(self.span_from(mark)));
            }
            let right = self.primary_relation()?;
            let within = if self.accept("WITHIN") { Some(self.within()?) } else { None };
            if !self.accept("ON") {
                return Err(self.join_without_condition());
            }
            let on = self.expr()?;
            left = Relation::Join(Box::new(Join { left, right, kind, within, on, span: self.span_from(mark) }));
        }
    }

    fn join_without_condition(&self) -> Error {
        let error = self.unexpected();
        let ends = match self.tok(0) {
            Tok::Word(word) => CLAUSES.iter().any(|clause| clause.split(' ').next() == Some(word)) || word == "ORDER",
            tok => matches!(tok, Tok::End | Tok::Symbol(")")),
        };
        // sqlparser would read a join of everything with everything.
        if ends { self.definite(error) } else { error }
    }

    fn join_kind(&mut self) -> Result<Option<JoinKind>> {
        let sided = [("LEFT", JoinKind::Left), ("RIGHT", JoinKind::Right), ("FULL", JoinKind::Full)];
        let kind = if self.accept("JOIN") {
            return Ok(Some(JoinKind::Inner));
        } else if self.accept("INNER") {
            JoinKind::Inner
        } else if self.accept("OUTER") {
            JoinKind::Full
        } else if let Some((_, kind)) = sided.into_iter().find(|(word, _)| self.accept(word)) {
            self.accept("OUTER");
            kind
        } else {
            return Ok(None);
        };
        self.expect("JOIN")?;
        Ok(Some(kind))
    }

    fn primary_relation(&mut self) -> Result<Relation> {
        let mark = self.mark();
        if self.accept_symbol("(") {
            if self.is_string() {
                // sqlparser would read it as a name, and write it as one that is none.
                return Err(self.name_error());
            }
            let query = Box::new(self.query()?);
            self.expect_symbol(")")?;
            let alias = self.alias()?;
            return Ok(Relation::Subquery { query, alias, span: self.span_from(mark) });
        }
        let name = self.name("a stream or table")?;
        if self.is_symbol(0, "(") {
            return Err(self.function_as_source(&name));
        }
        let mut options = self.source_options()?;
        let alias = self.alias()?;
        if options.entries.is_empty() {
            options = self.source_options()?;
        }
        Ok(Relation::Named { name, alias, options })
    }

    /// `WITH (start = 'latest')` after a source, which is not the WITH of anything else.
    fn source_options(&mut self) -> Result<Properties> {
        if self.is_word(0, "WITH") && self.is_symbol(1, "(") {
            return self.with_properties();
        }
        Ok(Properties::default())
    }

    fn function_as_source(&self, name: &Ident) -> Error {
        let error = Error::syntax(format!("{} is called where a stream or table is expected", name.value));
        self.misfit(error.at(name.span).with_hint("table functions stand in the select list"))
    }

    /// What follows WITHIN: `10 SECONDS` or `(1 MINUTE, 2 MINUTES)`, then GRACE PERIOD.
    fn within(&mut self) -> Result<Within> {
        let mark = self.mark() - 1;
        let (before_ms, after_ms) = if self.accept_symbol("(") {
            let before = self.duration_ms(true)?;
            self.expect_symbol(",")?;
            let after = self.duration_ms(true)?;
            self.expect_symbol(")")?;
            (before, after)
        } else {
            let both = self.duration_ms(true)?;
            (both, both)
        };
        let grace_ms = if self.accept_two("GRACE PERIOD") { Some(self.duration_ms(true)?) } else { None };
        let span: Span = self.span_from(mark);
        Ok(Within { before_ms, after_ms, grace_ms, span })
    }

    /// Whether the token under the cursor is a string.
    pub(crate) fn is_string(&self) -> bool {
        matches!(self.tok(0), Tok::String(_))
    }
}
