//! ASSERT: about topics and schemas, and the statements of tests about records and sources.

use types::{Error, Result};

use crate::{
    ast::{CreateSource, ObjectKind, Properties, StatementKind},
    parser::Parser,
};

impl Parser<'_> {
    /// What follows ASSERT.
    pub(super) fn assert(&mut self) -> Result<StatementKind> {
        if self.accept_two("NULL VALUES") {
            return self.assert_tombstone();
        }
        if self.accept("VALUES") {
            return self.assert_values();
        }
        if let Some(object) = self.object(false) {
            return self.assert_source(object);
        }
        let exists = !self.accept_two("NOT EXISTS");
        if self.accept("TOPIC") {
            return self.assert_topic(exists);
        }
        if self.accept("SCHEMA") {
            return self.assert_schema(exists);
        }
        Err(self.unexpected())
    }

    fn assert_values(&mut self) -> Result<StatementKind> {
        let source = self.name("the name of a stream or table")?;
        let columns = self.optional_columns()?;
        self.expect("VALUES")?;
        let values = self.row_of_values()?;
        Ok(StatementKind::AssertValues { source, columns, values })
    }

    fn assert_tombstone(&mut self) -> Result<StatementKind> {
        let source = self.name("a table's name")?;
        let columns = self.optional_columns()?;
        self.expect("KEY")?;
        let values = self.row_of_values()?;
        Ok(StatementKind::AssertTombstone { source, columns, values })
    }

    fn assert_source(&mut self, object: ObjectKind) -> Result<StatementKind> {
        let name = self.name("the name of a stream or table")?;
        let elements = self.elements(object)?;
        let properties = self.optional_properties()?;
        Ok(StatementKind::AssertSource(CreateSource {
            object,
            or_replace: false,
            if_not_exists: false,
            is_source: false,
            name,
            elements,
            properties,
        }))
    }

    fn assert_topic(&mut self, exists: bool) -> Result<StatementKind> {
        let topic = self.topic()?;
        let properties = if exists { self.optional_properties()? } else { Properties::default() };
        Ok(StatementKind::AssertTopic { exists, topic, properties, timeout_ms: self.timeout_ms()? })
    }

    fn assert_schema(&mut self, exists: bool) -> Result<StatementKind> {
        let start = self.peek().span;
        let subject = match self.accept("SUBJECT") {
            true => Some(self.topic()?.value),
            false => None,
        };
        let id = if self.accept("ID") { Some(self.whole_number("a schema's id")?) } else { None };
        if subject.is_none() && id.is_none() {
            return Err(Error::syntax("ASSERT SCHEMA needs a SUBJECT, an ID or both").at(start));
        }
        Ok(StatementKind::AssertSchema { exists, subject, id, timeout_ms: self.timeout_ms()? })
    }

    fn timeout_ms(&mut self) -> Result<Option<u64>> {
        if !self.accept("TIMEOUT") {
            return Ok(None);
        }
        let span = self.peek().span;
        // A duration is never negative.
        let ms = self.duration_ms(true)?;
        u64::try_from(ms).map(Some).map_err(|_| Error::syntax("a timeout cannot be negative").at(span))
    }
}
