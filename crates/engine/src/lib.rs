//! The library to embed: open an engine, take a session, run statements.
//!
//! Invariant: knows no wire protocol. What a wire needs (types of results, positions of errors, streams of batches
//! that never end) is in the values that come back.

mod api;

pub use api::*;

use std::sync::Arc;

use catalog::Catalog;
use datafusion::{catalog::SchemaProvider, logical_expr::{AggregateUDF, ScalarUDF}};
use recordlog::RecordLog;
use syntax::ast;
use types::{Error, Result};

/// A running engine.
pub struct Engine {}

impl Engine {
    /// Open the data directory (or memory), recover, and start the queries that were running.
    pub async fn open(config: EngineConfig) -> Result<Arc<Engine>> {
        let _ = config;
        Err(Error::unavailable("not built"))
    }

    /// A new session with the server's properties.
    pub fn session(self: &Arc<Engine>) -> Session {
        Session { engine: self.clone() }
    }

    /// The catalog as it is now.
    pub fn catalog(&self) -> Arc<Catalog> {
        Arc::new(Catalog::default())
    }

    /// The log under it.
    pub fn log(&self) -> Arc<dyn RecordLog> {
        unreachable!()
    }

    /// Make the tables of `provider` visible to queries that end as `schema.table` (pg_catalog, …).
    pub fn register_schema(&self, schema: &str, provider: Arc<dyn SchemaProvider>) {
        let _ = (schema, provider);
    }

    /// Make functions visible to queries that end.
    pub fn register_functions(&self, scalar: Vec<Arc<ScalarUDF>>, aggregate: Vec<Arc<AggregateUDF>>) {
        let _ = (scalar, aggregate);
    }

    /// Run the persistent queries in order of creation, each until it has read all that is there (manual engines).
    pub async fn drive(&self, cut: Cut) -> Result<()> {
        let _ = cut;
        Ok(())
    }

    /// Finish the running epochs, write what is to be written, stop.
    pub async fn shutdown(&self) {}
}

/// One user's connection: properties, variables, and what it has written.
pub struct Session {
    engine: Arc<Engine>,
}

impl Session {
    /// The engine.
    pub fn engine(&self) -> &Arc<Engine> {
        &self.engine
    }

    /// Text → statements; `${variables}` are substituted, also those that a DEFINE earlier in the text sets.
    pub fn parse(&self, text: &str) -> Result<Vec<ast::Statement>> {
        let _ = text;
        Ok(vec![])
    }

    /// What the statement will take and give.
    pub async fn describe(&self, statement: &ast::Statement) -> Result<Description> {
        let _ = statement;
        Err(Error::unavailable("not built"))
    }

    /// Plan a query that takes parameters once, to be run many times with [`Session::execute`]: the same statement
    /// executed again uses the plan (as long as the catalog has not changed).
    pub async fn prepare(&self, statement: &ast::Statement) -> Result<Prepared> {
        Ok(Prepared { statement: statement.clone() })
    }

    /// Carry out a statement with parameters bound. Cursor, transaction, COPY statements are the wire's own business
    /// and refused here.
    pub async fn execute(&mut self, prepared: &Prepared, parameters: &[Parameter]) -> Result<Outcome> {
        let _ = (prepared, parameters);
        Err(Error::unavailable("not built"))
    }

    /// Begin to write rows to a stream or table: COPY … FROM STDIN.
    pub async fn copy_into(&mut self, target: &ast::Ident, columns: &[ast::Ident]) -> Result<CopyInto> {
        let _ = (target, columns);
        Err(Error::unavailable("not built"))
    }
}

/// A statement planned as far as can be without its parameters.
pub struct Prepared {
    /// The statement.
    pub statement: ast::Statement,
}

/// Rows on their way into a stream or table.
pub struct CopyInto {}

impl CopyInto {
    /// How many fields a row has.
    pub fn width(&self) -> usize {
        0
    }

    /// Write a batch of rows: fields as text, `None` for NULL. The error names the row (from 0) and column, and none
    /// of the batch is written. Durable when it returns.
    pub async fn write(&mut self, rows: Vec<Vec<Option<String>>>) -> Result<u64> {
        let _ = rows;
        Ok(0)
    }
}
