//! CREATE, DROP and ALTER.

use types::{Error, Result};

use crate::{
    ast::{ColumnConstraint, ColumnDef, CreateAsSelect, CreateSource, ObjectKind, Query, StatementKind},
    parser::Parser,
};

impl Parser<'_> {
    /// What follows CREATE.
    pub(super) fn create(&mut self) -> Result<StatementKind> {
        let or_replace = self.accept_two("OR REPLACE");
        if !or_replace {
            if self.accept("TYPE") {
                return self.create_type();
            }
            for (phrase, source) in [("SOURCE CONNECTOR", true), ("SINK CONNECTOR", false)] {
                if self.accept_two(phrase) {
                    return self.create_connector(source);
                }
            }
        }
        let is_source = self.accept("SOURCE");
        match self.object(!is_source) {
            Some(ObjectKind::View) => {
                let if_not_exists = self.if_not_exists();
                let name = self.name("the view's name")?;
                self.expect("AS")?;
                Ok(StatementKind::CreateView { or_replace, if_not_exists, name, query: self.ending_query(false)? })
            }
            Some(object) => self.create_source(object, or_replace, is_source),
            None => Err(self.unexpected()),
        }
    }

    fn create_source(&mut self, object: ObjectKind, or_replace: bool, is_source: bool) -> Result<StatementKind> {
        let if_not_exists = self.if_not_exists();
        let name = match object {
            ObjectKind::Stream => self.name("the stream's name")?,
            _ => self.name("the table's name")?,
        };
        let elements = self.elements(object)?;
        let properties = self.optional_properties()?;
        let as_query = self.peek().span;
        if !is_source && self.accept("AS") {
            if let Some(first) = elements.first() {
                let error =
                    Error::syntax("a stream or table takes its columns from AS SELECT or from a list, not both");
                return Err(error.at(first.span));
            }
            let query = self.continuous_query()?;
            let create = CreateAsSelect { object, or_replace, if_not_exists, name, properties, query };
            return Ok(StatementKind::CreateAsSelect(create));
        }
        if is_source && self.is_word(0, "AS") {
            let error = Error::syntax("a SOURCE stream or table cannot be the result of a query");
            return Err(error.at(as_query));
        }
        let create = CreateSource { object, or_replace, if_not_exists, is_source, name, elements, properties };
        Ok(StatementKind::CreateSource(create))
    }

    /// A query whose result is kept up to date, which only the streaming grammar has.
    pub(super) fn continuous_query(&mut self) -> Result<Query> {
        if !self.starts_query(0) {
            self.note("SELECT");
            return Err(self.unexpected());
        }
        self.query()
    }

    /// `(name type, …)` if it is next.
    pub(super) fn elements(&mut self, object: ObjectKind) -> Result<Vec<ColumnDef>> {
        if !self.accept_symbol("(") {
            return Ok(Vec::new());
        }
        let elements = self.list(Self::element)?;
        self.expect_symbol(")")?;
        elements.iter().try_for_each(|element| check_key(element, object))?;
        Ok(elements)
    }

    /// A column: name, type, constraint.
    pub(crate) fn element(&mut self) -> Result<ColumnDef> {
        let mark = self.mark();
        let name = self.name("a column's name")?;
        let ty = self.type_name()?;
        let constraint = if self.accept("KEY") {
            Some(ColumnConstraint::Key)
        } else if self.accept_two("PRIMARY KEY") {
            Some(ColumnConstraint::PrimaryKey)
        } else if self.accept("HEADERS") {
            Some(ColumnConstraint::Headers)
        } else if self.accept("HEADER") {
            self.expect_symbol("(")?;
            let header = self.string("the header's name")?;
            self.expect_symbol(")")?;
            Some(ColumnConstraint::Header(header))
        } else {
            None
        };
        Ok(ColumnDef { name, ty, constraint, span: self.span_from(mark) })
    }

    fn create_type(&mut self) -> Result<StatementKind> {
        let if_not_exists = self.if_not_exists();
        let name = self.name("the type's name")?;
        self.expect("AS")?;
        Ok(StatementKind::CreateType { if_not_exists, name, ty: self.type_name()? })
    }

    fn create_connector(&mut self, source: bool) -> Result<StatementKind> {
        let if_not_exists = self.if_not_exists();
        let name = self.name("the connector's name")?;
        let properties = self.connector_properties()?;
        Ok(StatementKind::CreateConnector { source, if_not_exists, name, properties })
    }

    /// What follows DROP.
    pub(super) fn drop_object(&mut self) -> Result<StatementKind> {
        if self.accept("TYPE") {
            let if_exists = self.if_exists();
            return Ok(StatementKind::DropType { if_exists, name: self.name("the type's name")? });
        }
        if self.accept("CONNECTOR") {
            let if_exists = self.if_exists();
            return Ok(StatementKind::DropConnector { if_exists, name: self.name("the connector's name")? });
        }
        let Some(object) = self.object(true) else { return Err(self.unexpected()) };
        let if_exists = self.if_exists();
        let name = self.name("the name of what to drop")?;
        let delete_topic = object != ObjectKind::View && self.accept_two("DELETE TOPIC");
        Ok(StatementKind::Drop { object, if_exists, name, delete_topic })
    }

    /// What follows ALTER.
    pub(super) fn alter(&mut self) -> Result<StatementKind> {
        if self.accept("SYSTEM") {
            let name = self.string("a property's name in single quotes")?;
            self.expect_symbol("=")?;
            return Ok(StatementKind::AlterSystem { name, value: self.string("a value in single quotes")? });
        }
        let Some(object) = self.object(false) else { return Err(self.unexpected()) };
        let name = self.name("the name of what to alter")?;
        let mut add = vec![self.added_column(true)?];
        // ksqlDB separates the options by commas; its documentation also shows them without.
        while self.accept_symbol(",") || self.is_word(0, "ADD") {
            add.push(self.added_column(false)?);
        }
        Ok(StatementKind::AlterSource { object, name, add })
    }

    fn added_column(&mut self, first: bool) -> Result<ColumnDef> {
        if !self.accept("ADD") && first {
            return Err(self.unexpected());
        }
        // A column may itself be called COLUMN: then its type is the only name that follows.
        if self.is_word(0, "COLUMN") && self.is_name(1) && self.is_name(2) {
            self.advance();
        }
        let mark = self.mark();
        let name = self.name("a column's name")?;
        let ty = self.type_name()?;
        Ok(ColumnDef { name, ty, constraint: None, span: self.span_from(mark) })
    }
}

/// Streams have KEY columns, tables PRIMARY KEY columns.
fn check_key(element: &ColumnDef, object: ObjectKind) -> Result<()> {
    let (wrong, right, kind) = match (&element.constraint, object) {
        (Some(ColumnConstraint::Key), ObjectKind::Table) => ("KEY", "PRIMARY KEY", "table"),
        (Some(ColumnConstraint::PrimaryKey), ObjectKind::Stream) => ("PRIMARY KEY", "KEY", "stream"),
        _ => return Ok(()),
    };
    let name = &element.name.value;
    let message = format!("column `{name}` is a '{wrong}' column, but the key of a {kind} is declared '{right}'");
    Err(Error::syntax(message).at(element.span))
}
