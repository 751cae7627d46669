//! The columns of a stream or table.

use std::{fmt, sync::Arc};

use arrow::datatypes::{Field, Schema as ArrowSchema, SchemaRef};
use serde::{Deserialize, Serialize};

use crate::SqlType;

/// Which part of a record a column is read from.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Namespace {
    /// The record's key.
    Key,
    /// The record's value.
    Value,
    /// The record's headers: all of them (`None`) as ARRAY<STRUCT<KEY STRING, VALUE BYTES>>, or the last one of a
    /// name (`Some`) as BYTES. Read only.
    Headers(Option<String>),
}

/// A column: name (as meant: unquoted names are upper case already), type, place.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Column {
    /// Its name.
    pub name: String,
    /// Its type.
    pub ty: SqlType,
    /// Where in a record it lives.
    pub namespace: Namespace,
}

/// Columns in the order in which they were declared.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
pub struct Schema {
    /// All of them.
    pub columns: Vec<Column>,
}

impl Schema {
    /// A schema of `columns`.
    pub fn new(columns: Vec<Column>) -> Schema {
        Schema { columns }
    }

    /// Key columns, in order.
    pub fn key(&self) -> impl Iterator<Item = &Column> {
        self.columns.iter().filter(|c| c.namespace == Namespace::Key)
    }

    /// Value columns, in order.
    pub fn value(&self) -> impl Iterator<Item = &Column> {
        self.columns.iter().filter(|c| c.namespace == Namespace::Value)
    }

    /// The column of that exact name and its place.
    pub fn find(&self, name: &str) -> Option<(usize, &Column)> {
        self.columns.iter().enumerate().find(|(_, c)| c.name == name)
    }

    /// The Arrow schema: one nullable field a column, in order.
    pub fn to_arrow(&self) -> SchemaRef {
        let fields = self.columns.iter().map(|c| Field::new(c.name.as_str(), c.ty.to_arrow(), true));
        Arc::new(ArrowSchema::new(fields.collect::<Vec<_>>()))
    }
}

impl Column {
    /// A key column.
    pub fn key(name: impl Into<String>, ty: SqlType) -> Column {
        Column { name: name.into(), ty, namespace: Namespace::Key }
    }

    /// A value column.
    pub fn value(name: impl Into<String>, ty: SqlType) -> Column {
        Column { name: name.into(), ty, namespace: Namespace::Value }
    }
}

/// `name` in back quotes, as every statement can read it again.
pub fn quote_ident(name: &str) -> String {
    format!("`{}`", name.replace('`', "``"))
}

impl fmt::Display for Schema {
    /// `` `ID` BIGINT KEY, `V` STRING ``.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, column) in self.columns.iter().enumerate() {
            let comma = if i == 0 { "" } else { ", " };
            write!(f, "{comma}{} {}", quote_ident(&column.name), column.ty)?;
            match &column.namespace {
                Namespace::Key => f.write_str(" KEY")?,
                Namespace::Value => {}
                Namespace::Headers(None) => f.write_str(" HEADERS")?,
                Namespace::Headers(Some(key)) => write!(f, " HEADER('{}')", key.replace('\'', "''"))?,
            }
        }
        Ok(())
    }
}
