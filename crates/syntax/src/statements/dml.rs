//! INSERT and DELETE.

use types::{Error, Result};

use crate::{
    ast::{Expr, Ident, StatementKind},
    parser::Parser,
};

impl Parser<'_> {
    /// What follows INSERT.
    pub(super) fn insert(&mut self) -> Result<StatementKind> {
        self.expect("INTO")?;
        let target = self.name("the name of a stream or table")?;
        if self.is_word(0, "WITH") && self.is_symbol(1, "(") {
            let properties = self.with_properties()?;
            return Ok(StatementKind::InsertSelect { target, properties, query: self.continuous_query()? });
        }
        if self.starts_query(0) {
            let properties = Default::default();
            return Ok(StatementKind::InsertSelect { target, properties, query: self.query()? });
        }
        let columns = self.optional_columns()?;
        if let Some(first) = columns.first().filter(|_| self.starts_query(0)) {
            let error = Error::syntax("INSERT INTO … SELECT takes no list of columns").at(first.span);
            return Err(error.with_hint("name the columns in the select list: SELECT a AS x, …"));
        }
        if columns.is_empty() {
            self.note("SELECT");
        }
        let tombstones = self.accept("NULL");
        self.expect("VALUES")?;
        let rows = self.list(Self::row_of_values)?;
        let width = rows.first().map_or(0, Vec::len);
        if let Some(row) = rows.iter().find(|row| row.len() != width) {
            let span = row.iter().fold(row.first().map_or(target.span, |e| e.span), |span, e| span.to(e.span));
            let message = format!("all rows of VALUES have {width} values, this one has {}", row.len());
            return Err(Error::syntax(message).at(span));
        }
        Ok(StatementKind::InsertValues { target, columns, rows, tombstones })
    }

    /// `(a, b)` if it is next.
    pub(super) fn optional_columns(&mut self) -> Result<Vec<Ident>> {
        if !self.accept_symbol("(") {
            return Ok(Vec::new());
        }
        let columns = self.list(|p| p.name("a column's name"))?;
        self.expect_symbol(")")?;
        Ok(columns)
    }

    /// `(1, 'x')`.
    pub(super) fn row_of_values(&mut self) -> Result<Vec<Expr>> {
        self.expect_symbol("(")?;
        let values = self.list(Self::expr)?;
        self.expect_symbol(")")?;
        Ok(values)
    }

    /// What follows DELETE.
    pub(super) fn delete(&mut self) -> Result<StatementKind> {
        self.expect("FROM")?;
        let target = self.name("a table's name")?;
        let condition = if self.accept("WHERE") { Some(self.expr()?) } else { None };
        Ok(StatementKind::Delete { target, condition })
    }
}
