//! Queries of the streaming grammar.
//!
//! The clauses have ksqlDB's order: SELECT, FROM, WINDOW, WHERE, GROUP BY, PARTITION BY, HAVING, EMIT, LIMIT. A query
//! that ends may be anything else that SQL has; see `general`.

mod general;
mod relation;
mod window;

use types::{Error, Result};

use crate::{
    ast::{Emit, Expr, Ident, Query, QueryBody, Select, SelectItem},
    lexer::Tok,
    parser::Parser,
};

/// How many SELECTs one query may have side by side: whoever plans it goes this deep.
const SELECTS_MAX: usize = 64;

fn too_many_selects() -> Error {
    Error::syntax(format!("more than {SELECTS_MAX} SELECTs in one query"))
}

impl Parser<'_> {
    /// A query in the streaming grammar.
    pub(crate) fn query(&mut self) -> Result<Query> {
        self.nested(Self::query_inner)
    }

    /// Whether a query starts `n` tokens after the cursor.
    pub(crate) fn starts_query(&self, n: usize) -> bool {
        ["SELECT", "WITH"].iter().any(|word| self.is_word(n, word))
    }

    fn query_inner(&mut self) -> Result<Query> {
        let mark = self.mark();
        let ctes = if self.accept("WITH") { self.list(Self::cte)? } else { Vec::new() };
        let mut selects = vec![self.select()?];
        while self.accept_two("UNION ALL") {
            selects.push(self.select()?);
            if selects.len() > SELECTS_MAX {
                return Err(too_many_selects().at(self.span_from(mark)));
            }
        }
        let emit = self.emit()?;
        let limit = if self.accept("LIMIT") { Some(self.limit()?) } else { None };
        if limit.is_some() && emit.is_none() && self.is_word(0, "EMIT") {
            return Err(Error::syntax("found `EMIT` after LIMIT")
                .at(self.peek().span)
                .with_hint("write EMIT CHANGES before LIMIT"));
        }
        let body = match selects.pop() {
            Some(select) if selects.is_empty() => QueryBody::Select(select),
            last => {
                selects.extend(last);
                QueryBody::UnionAll(selects)
            }
        };
        Ok(Query { ctes, body, emit, limit, span: self.span_from(mark), text: self.text_from(mark).to_owned() })
    }

    fn limit(&mut self) -> Result<u64> {
        if self.is_symbol(0, "-") {
            return Err(Error::syntax("LIMIT cannot be negative").at(self.peek().span.to(self.ahead(1).span)));
        }
        let names_something = self.is_name(0) && !self.is_word(0, "ALL");
        self.whole_number("a number of rows").map_err(|error| match names_something {
            true => self.definite(error),
            false => error,
        })
    }

    fn cte(&mut self) -> Result<(Ident, Query)> {
        let name = self.name("a name for the subquery")?;
        self.expect("AS")?;
        self.expect_symbol("(")?;
        let query = self.query()?;
        self.expect_symbol(")")?;
        Ok((name, query))
    }

    /// `EMIT CHANGES`, `EMIT FINAL [IDLE TIMEOUT 30 SECONDS]`.
    fn emit(&mut self) -> Result<Option<Emit>> {
        if !self.accept("EMIT") {
            return Ok(None);
        }
        if self.accept("CHANGES") {
            Ok(Some(Emit::Changes))
        } else if self.accept("FINAL") {
            let idle_ms = if self.accept_two("IDLE TIMEOUT") { Some(self.duration_ms(false)?) } else { None };
            Ok(Some(Emit::Final { idle_ms }))
        } else {
            Err(self.unexpected())
        }
    }

    fn select(&mut self) -> Result<Select> {
        let mark = self.mark();
        self.expect("SELECT")?;
        let distinct = self.accept("DISTINCT");
        let projection = self.list(Self::select_item)?;
        let from = if self.accept("FROM") { Some(self.relation()?) } else { None };
        let window = if self.accept("WINDOW") { Some(self.window()?) } else { None };
        let filter = if self.accept("WHERE") { Some(self.expr()?) } else { None };
        let group_by = if self.accept_two("GROUP BY") { self.keys("GROUP BY")? } else { Vec::new() };
        let null_groups = !group_by.is_empty() && self.accept_two("INCLUDE NULLS");
        let partition_by = if self.accept_two("PARTITION BY") { self.keys("PARTITION BY")? } else { Vec::new() };
        let having = if self.accept("HAVING") { Some(self.expr()?) } else { None };
        let span = self.span_from(mark);
        Ok(Select { distinct, projection, from, window, filter, group_by, null_groups, partition_by, having, span })
    }

    fn select_item(&mut self) -> Result<SelectItem> {
        let mark = self.mark();
        self.note("*");
        if self.is_symbol(0, "*") {
            self.advance();
            return Ok(SelectItem::All { qualifier: None, span: self.span_from(mark) });
        }
        if self.is_name(0) && self.is_symbol(1, ".") && self.is_symbol(2, "*") {
            let qualifier = Some(self.name("a source's name")?);
            self.advance();
            self.advance();
            return Ok(SelectItem::All { qualifier, span: self.span_from(mark) });
        }
        let expr = self.expr()?;
        if self.is_symbol(0, "->") && self.is_symbol(1, "*") {
            self.advance();
            self.advance();
            return Ok(SelectItem::StructAll { base: expr, span: self.span_from(mark) });
        }
        Ok(SelectItem::Expr { expr, alias: self.alias()? })
    }

    /// What GROUP BY and PARTITION BY take: `a, b` or `(a, b)`.
    fn keys(&mut self, clause: &str) -> Result<Vec<Expr>> {
        if self.is_symbol(0, "(") && self.is_symbol(1, ")") {
            let span = self.peek().span.to(self.ahead(1).span);
            return Err(Error::syntax(format!("{clause} requires at least one expression")).at(span));
        }
        if !self.opens_key_list() {
            return self.list(Self::value_expr);
        }
        self.advance();
        let keys = self.list(Self::value_expr)?;
        self.expect_symbol(")")?;
        Ok(keys)
    }

    /// Whether the bracket under the cursor encloses a list, and that is all there is.
    fn opens_key_list(&self) -> bool {
        if !self.is_symbol(0, "(") {
            return false;
        }
        let (mut depth, mut n, mut commas) = (0_usize, 0, false);
        loop {
            match self.tok(n) {
                Tok::Symbol("(" | "[") => depth += 1,
                Tok::Symbol(")" | "]") if depth <= 1 => return commas && !matches!(self.tok(n + 1), Tok::Symbol(",")),
                Tok::Symbol(")" | "]") => depth -= 1,
                Tok::Symbol(",") if depth == 1 => commas = true,
                Tok::End => return false,
                _ => {}
            }
            n += 1;
        }
    }
}
