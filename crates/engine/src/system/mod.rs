//! Schema SYSTEM: what the engine knows of itself, as tables for queries that end.
//!
//! A table's rows are made when a query that reads it is planned. Names are upper case, as unquoted ones are, so that
//! these tables can be joined with streams and tables.

mod columns;
mod functions;
mod operators;
mod partitions;
mod queries;
mod sources;
mod tasks;
mod topics;

use std::sync::Arc;

use arrow::{
    array::{ArrayRef, BooleanArray, Int64Array, RecordBatch, StringArray},
    datatypes::{DataType, Field, Schema},
};
use async_trait::async_trait;
use datafusion::{
    catalog::{MemTable, SchemaProvider, TableProvider},
    error::DataFusionError,
};

use crate::Engine;

/// The schema's name.
pub(crate) const SCHEMA: &str = "SYSTEM";

/// A table.
struct Table {
    name: &'static str,
    columns: &'static [(&'static str, Kind)],
    /// One cell a column.
    rows: fn(&Engine) -> Vec<Vec<Cell>>,
}

/// The type of a column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Flag,
    Number,
    Text,
}

use Kind::{Flag, Number, Text};

/// A value.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Cell {
    Flag(bool),
    Number(i64),
    Text(String),
    Null,
}

/// All tables, sorted by name.
static TABLES: &[Table] = &[
    columns::TABLE,
    functions::TABLE,
    operators::TABLE,
    partitions::TABLE,
    queries::TABLE,
    sources::TABLE,
    tasks::TABLE,
    topics::TABLE,
];

impl From<bool> for Cell {
    fn from(value: bool) -> Cell {
        Cell::Flag(value)
    }
}

impl From<i64> for Cell {
    fn from(value: i64) -> Cell {
        Cell::Number(value)
    }
}

impl From<u64> for Cell {
    fn from(value: u64) -> Cell {
        Cell::Number(i64::try_from(value).unwrap_or(i64::MAX))
    }
}

impl From<usize> for Cell {
    fn from(value: usize) -> Cell {
        Cell::Number(i64::try_from(value).unwrap_or(i64::MAX))
    }
}

impl From<u32> for Cell {
    fn from(value: u32) -> Cell {
        Cell::Number(i64::from(value))
    }
}

impl From<&str> for Cell {
    fn from(value: &str) -> Cell {
        Cell::Text(value.to_string())
    }
}

impl From<String> for Cell {
    fn from(value: String) -> Cell {
        Cell::Text(value)
    }
}

impl<T: Into<Cell>> From<Option<T>> for Cell {
    fn from(value: Option<T>) -> Cell {
        value.map_or(Cell::Null, Into::into)
    }
}

impl Table {
    fn batch(&self, engine: &Engine) -> Result<RecordBatch, DataFusionError> {
        let rows = (self.rows)(engine);
        let column = |(at, (_, kind)): (usize, &(&str, Kind))| -> ArrayRef {
            let cells = rows.iter().map(|row| row.get(at));
            match kind {
                Kind::Flag => Arc::new(BooleanArray::from_iter(cells.map(|cell| match cell {
                    Some(Cell::Flag(value)) => Some(*value),
                    _ => None,
                }))),
                Kind::Number => Arc::new(Int64Array::from_iter(cells.map(|cell| match cell {
                    Some(Cell::Number(value)) => Some(*value),
                    _ => None,
                }))),
                Kind::Text => Arc::new(StringArray::from_iter(cells.map(|cell| match cell {
                    Some(Cell::Text(value)) => Some(value.as_str()),
                    _ => None,
                }))),
            }
        };
        let fields = self.columns.iter().map(|(name, kind)| {
            let ty = match kind {
                Kind::Flag => DataType::Boolean,
                Kind::Number => DataType::Int64,
                Kind::Text => DataType::Utf8,
            };
            Field::new(*name, ty, true)
        });
        let schema = Arc::new(Schema::new(fields.collect::<Vec<_>>()));
        let columns = self.columns.iter().enumerate().map(column).collect();
        Ok(RecordBatch::try_new(schema, columns)?)
    }
}

/// The schema as DataFusion finds it.
pub(crate) struct System(pub Arc<Engine>);

impl std::fmt::Debug for System {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(SCHEMA)
    }
}

#[async_trait]
impl SchemaProvider for System {
    fn table_names(&self) -> Vec<String> {
        TABLES.iter().map(|t| t.name.to_string()).collect()
    }

    async fn table(&self, name: &str) -> Result<Option<Arc<dyn TableProvider>>, DataFusionError> {
        let Some(table) = TABLES.iter().find(|t| t.name == name) else { return Ok(None) };
        let batch = table.batch(&self.0)?;
        Ok(Some(Arc::new(MemTable::try_new(batch.schema(), vec![vec![batch]])?)))
    }

    fn table_exist(&self, name: &str) -> bool {
        TABLES.iter().any(|t| t.name == name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::EngineConfig;

    #[tokio::test(flavor = "multi_thread")]
    async fn every_table_has_as_many_cells_as_columns_of_their_types() {
        let engine = Engine::open(EngineConfig { manual: true, ..EngineConfig::default() }).await.expect("opens");
        let text =
            "CREATE STREAM s (id INT KEY, n INT) WITH (kafka_topic = 's', value_format = 'JSON', partitions = 2);
             CREATE TABLE t AS SELECT id, COUNT(*) AS c FROM s GROUP BY id EMIT CHANGES;";
        let mut session = engine.session();
        for statement in session.parse(text).expect("parses") {
            let prepared = session.prepare(&statement).await.expect("prepares");
            session.execute(&prepared, &[]).await.expect("runs");
        }
        assert!(TABLES.iter().map(|t| t.name).is_sorted());
        for table in TABLES {
            let rows = (table.rows)(&engine);
            assert!(!rows.is_empty(), "{} is empty", table.name);
            for row in rows {
                assert_eq!(row.len(), table.columns.len(), "{}", table.name);
                for (cell, (name, kind)) in row.iter().zip(table.columns) {
                    let right = match cell {
                        Cell::Flag(_) => *kind == Kind::Flag,
                        Cell::Number(_) => *kind == Kind::Number,
                        Cell::Text(_) => *kind == Kind::Text,
                        Cell::Null => true,
                    };
                    assert!(right, "{}.{name}: {cell:?}", table.name);
                }
            }
            assert!(table.batch(&engine).is_ok());
        }
    }
}
