//! Tables as text says them: `oid:oid relname:name …`, and rows as values.

use std::{collections::HashMap, sync::Arc};

use arrow::{
    array::{
        ArrayRef, BooleanArray, Float32Array, Int16Array, Int32Array, Int64Array, ListBuilder, RecordBatch,
        StringArray, StringBuilder, TimestampMicrosecondArray,
    },
    datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit},
};
use catalog::Catalog;
use types::{Error, Result};

use super::{information_schema, relations, server};
use crate::{connection::Identity, values::PG_TYPE_KEY};

/// What rows are made of.
pub(super) struct View {
    /// Streams, tables, views.
    pub(super) catalog: Arc<Catalog>,
    /// Who asks; `None` where nobody in particular does.
    pub(super) identity: Option<Identity>,
}

impl View {
    /// The database's name.
    pub(super) fn database(&self) -> &str {
        self.identity.as_ref().map_or("millstream", |i| i.database.as_str())
    }

    /// The user's name.
    pub(super) fn user(&self) -> &str {
        self.identity.as_ref().map_or("millstream", |i| i.user.as_str())
    }
}

/// A value.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum V {
    /// NULL.
    Null,
    /// boolean.
    Bool(bool),
    /// Any integer.
    Int(i64),
    /// Any text.
    Text(String),
    /// An array of texts (of integers as text).
    List(Vec<String>),
}

impl From<bool> for V {
    fn from(value: bool) -> V {
        V::Bool(value)
    }
}
impl From<i64> for V {
    fn from(value: i64) -> V {
        V::Int(value)
    }
}
impl From<&str> for V {
    fn from(value: &str) -> V {
        V::Text(value.to_owned())
    }
}
impl From<String> for V {
    fn from(value: String) -> V {
        V::Text(value)
    }
}
impl From<Vec<String>> for V {
    fn from(value: Vec<String>) -> V {
        V::List(value)
    }
}
impl<T: Into<V>> From<Option<T>> for V {
    fn from(value: Option<T>) -> V {
        value.map_or(V::Null, Into::into)
    }
}

/// A row: values by the names of their columns; the others are NULL, false or 0, as [`Table::columns`] says.
pub(super) type Row = Vec<(&'static str, V)>;

/// A table.
pub(super) struct Table {
    /// Its schema: `pg_catalog` or `information_schema`.
    pub(super) schema: &'static str,
    /// Its name.
    pub(super) name: &'static str,
    /// `name:type …`; a type with `=` behind it has a value for rows that do not say (`relpages:int4=0`).
    pub(super) columns: &'static str,
    /// Its rows; `None`: it never has any.
    pub(super) rows: Option<fn(&View) -> Vec<Row>>,
}

/// All of them.
pub(super) fn all() -> impl Iterator<Item = &'static Table> {
    [relations::TABLES, server::TABLES, server::EMPTY, information_schema::TABLES].into_iter().flatten()
}

/// The table of that name; without a schema, one of pg_catalog.
pub(super) fn find(schema: Option<&str>, name: &str) -> Option<&'static Table> {
    let schema = schema.unwrap_or("pg_catalog");
    all().find(|table| table.schema == schema && table.name == name)
}

impl Table {
    fn fields(&self) -> impl Iterator<Item = (&'static str, &'static str, Option<&'static str>)> {
        self.columns.split_ascii_whitespace().map(|column| {
            let (name, ty) = column.split_once(':').unwrap_or((column, "text"));
            match ty.split_once('=') {
                Some((ty, default)) => (name, ty, Some(default)),
                None => (name, ty, None),
            }
        })
    }

    /// Names and types of the columns.
    pub(super) fn column_types(&self) -> impl Iterator<Item = (&'static str, &'static str)> {
        self.fields().map(|(name, ty, _)| (name, ty))
    }

    /// Its Arrow schema; fields carry PostgreSQL's type.
    pub(super) fn arrow_schema(&self) -> SchemaRef {
        let fields = self.fields().map(|(name, ty, _)| {
            let metadata = HashMap::from([(PG_TYPE_KEY.to_owned(), ty.to_owned())]);
            Field::new(name, arrow_type(ty), true).with_metadata(metadata)
        });
        Arc::new(Schema::new(fields.collect::<Vec<_>>()))
    }

    /// Its rows.
    pub(super) fn batch(&self, view: &View) -> Result<RecordBatch> {
        let rows: Vec<HashMap<&str, V>> =
            self.rows.map(|rows| rows(view)).unwrap_or_default().into_iter().map(|r| r.into_iter().collect()).collect();
        let schema = self.arrow_schema();
        let columns = self.fields().map(|(name, ty, default)| {
            let default = default.map_or(V::Null, |text| default_value(ty, text));
            let values: Vec<&V> = rows.iter().map(|row| row.get(name).unwrap_or(&default)).collect();
            array(&arrow_type(ty), &values)
        });
        let columns = columns.collect::<Result<Vec<_>>>()?;
        RecordBatch::try_new(schema, columns).map_err(|e| Error::internal(format!("{}: {e}", self.name)))
    }
}

fn default_value(ty: &str, text: &str) -> V {
    match (ty, text) {
        ("bool", text) => V::Bool(text == "t"),
        (_, "''") => V::Text(String::new()),
        (_, text) => text.parse().map_or_else(|_| V::Text(text.to_owned()), V::Int),
    }
}

/// The Arrow type of a column of that PostgreSQL type.
pub(super) fn arrow_type(ty: &str) -> DataType {
    match ty {
        "bool" => DataType::Boolean,
        "int2" => DataType::Int16,
        "int4" => DataType::Int32,
        "int8" | "oid" | "regproc" | "regclass" | "regtype" => DataType::Int64,
        "float4" => DataType::Float32,
        "timestamptz" => DataType::Timestamp(TimeUnit::Microsecond, Some("+00:00".into())),
        ty if ty.starts_with('_') => DataType::new_list(DataType::Utf8, true),
        _ => DataType::Utf8,
    }
}

/// An array of `values`; one that does not fit is NULL.
pub(super) fn array(ty: &DataType, values: &[&V]) -> Result<ArrayRef> {
    let ints = || {
        values.iter().map(|v| match v {
            V::Int(value) => Some(*value),
            V::Bool(value) => Some(i64::from(*value)),
            V::Text(text) => text.trim().parse().ok(),
            _ => None,
        })
    };
    Ok(match ty {
        DataType::Boolean => Arc::new(BooleanArray::from_iter(values.iter().map(|v| match v {
            V::Bool(value) => Some(*value),
            _ => None,
        }))),
        DataType::Int16 => Arc::new(Int16Array::from_iter(ints().map(|v| v.and_then(|v| i16::try_from(v).ok())))),
        DataType::Int32 => Arc::new(Int32Array::from_iter(ints().map(|v| v.and_then(|v| i32::try_from(v).ok())))),
        DataType::Int64 => Arc::new(Int64Array::from_iter(ints())),
        DataType::Float32 => {
            Arc::new(Float32Array::from_iter(ints().map(|v| v.and_then(|v| i16::try_from(v).ok()).map(f32::from))))
        }
        DataType::Timestamp(..) => Arc::new(TimestampMicrosecondArray::from_iter(ints()).with_timezone("+00:00")),
        DataType::List(_) => {
            let mut lists = ListBuilder::new(StringBuilder::new());
            for value in values {
                match value {
                    V::List(items) => {
                        items.iter().for_each(|item| lists.values().append_value(item));
                        lists.append(true);
                    }
                    _ => lists.append(false),
                }
            }
            Arc::new(lists.finish())
        }
        DataType::Utf8 => Arc::new(StringArray::from_iter(values.iter().map(|v| match v {
            V::Text(text) => Some(text.clone()),
            V::Int(value) => Some(value.to_string()),
            V::Bool(value) => Some(if *value { "t" } else { "f" }.to_owned()),
            V::List(items) => Some(format!("{{{}}}", items.join(","))),
            V::Null => None,
        }))),
        other => return Err(Error::internal(format!("no array of {other}"))),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::values::PgType;

    #[test]
    fn every_table_can_be_made() {
        let view = View { catalog: Arc::default(), identity: None };
        let mut names = std::collections::HashSet::new();
        for table in all() {
            assert!(names.insert((table.schema, table.name)), "{} twice", table.name);
            for (column, ty) in table.column_types() {
                assert!(PgType::by_name(ty).is_some(), "{}.{column} is of type {ty}", table.name);
            }
            let batch = table.batch(&view);
            assert!(batch.is_ok(), "{}: {batch:?}", table.name);
            for row in table.rows.map(|rows| rows(&view)).unwrap_or_default() {
                for (column, _) in row {
                    assert!(table.column_types().any(|(c, _)| c == column), "{}.{column}", table.name);
                }
            }
        }
    }
}
