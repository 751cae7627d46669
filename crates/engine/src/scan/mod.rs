//! Streams and tables as DataFusion reads them: rows are read when the query runs, piece by piece, only the columns and
//! keys that it asks for, partitions in parallel.
//!
//! A table is read as of one committed epoch; a stream up to where its topic ended when the query was planned.

mod leaf;
mod pushdown;
mod state;
mod topic;

use std::sync::Arc;

use arrow::datatypes::{Field, Schema, SchemaRef};
use async_trait::async_trait;
use catalog::{Source, SourceKind};
use datafusion::{
    catalog::{Session, TableProvider},
    error::{DataFusionError, Result as DfResult},
    logical_expr::{Expr, TableProviderFilterPushDown, TableType},
    physical_plan::ExecutionPlan,
};
use planner::{expr::source_fields, plan::Fields};
use types::Error;

use crate::{Engine, warnings::Warnings};

use pushdown::Tests;

/// A stream or table in a query that ends.
pub(crate) struct SourceTable {
    engine: Arc<Engine>,
    source: Arc<Source>,
    fields: Fields,
    /// Positions in `fields` of the columns that the query may name.
    shown: Vec<usize>,
    schema: SchemaRef,
    warnings: Warnings,
}

impl SourceTable {
    /// `named`: whether the query has that word in it. ROWTIME and its like are columns only if it has: `*` is the key,
    /// the window and the values, as everywhere.
    pub fn new(
        engine: &Arc<Engine>,
        source: &Arc<Source>,
        named: &dyn Fn(&str) -> bool,
        warnings: &Warnings,
    ) -> SourceTable {
        let fields = source_fields(source, &source.name);
        let window = |name: &str| matches!(name, "WINDOWSTART" | "WINDOWEND");
        let mut shown: Vec<usize> = (0..fields.columns.len())
            .filter(|at| {
                let kept = source.kind == SourceKind::Table;
                fields.columns.get(*at).is_some_and(|f| {
                    let there = !kept || !matches!(f.name.as_str(), "ROWPARTITION" | "ROWOFFSET");
                    !f.hidden || window(&f.name) || (named(&f.name) && there)
                })
            })
            .collect();
        shown.sort_by_key(|at| {
            fields.columns.get(*at).map(|f| match (f.key, f.hidden && window(&f.name), f.hidden) {
                (true, ..) => 0,
                (_, true, _) => 1,
                (.., false) => 2,
                _ => 3,
            })
        });
        let field = |at: &usize| fields.columns.get(*at).map(|f| Field::new(&f.name, f.ty.to_arrow(), true));
        let schema = Arc::new(Schema::new(shown.iter().filter_map(field).collect::<Vec<_>>()));
        let (engine, source, warnings) = (engine.clone(), source.clone(), warnings.clone());
        SourceTable { engine, source, fields, shown, schema, warnings }
    }
}

impl std::fmt::Debug for SourceTable {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "SourceTable({})", self.source.name)
    }
}

/// One of our errors inside of DataFusion.
pub(crate) fn outside(error: Error) -> DataFusionError {
    DataFusionError::External(Box::new(error))
}

#[async_trait]
impl TableProvider for SourceTable {
    fn schema(&self) -> SchemaRef {
        self.schema.clone()
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    /// What can be said of keys, partitions and offsets spares reading; it is checked again all the same.
    fn supports_filters_pushdown(&self, filters: &[&Expr]) -> DfResult<Vec<TableProviderFilterPushDown>> {
        let use_of = |filter: &&Expr| match Tests::of(std::slice::from_ref(*filter)).is_empty() {
            true => TableProviderFilterPushDown::Unsupported,
            false => TableProviderFilterPushDown::Inexact,
        };
        Ok(filters.iter().map(use_of).collect())
    }

    async fn scan(
        &self,
        _state: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> DfResult<Arc<dyn ExecutionPlan>> {
        let (columns, schema) = match projection {
            None => (self.shown.clone(), self.schema.clone()),
            Some(projection) => {
                let columns = projection.iter().filter_map(|at| self.shown.get(*at).copied()).collect();
                (columns, Arc::new(self.schema.project(projection)?))
            }
        };
        let tests = Tests::of(filters);
        let rows_max = limit.filter(|_| filters.is_empty()).unwrap_or(usize::MAX);
        let asked = Asked { source: self.source.clone(), fields: self.fields.clone(), columns, schema, rows_max };
        match self.source.kind {
            SourceKind::Table => state::scan(&self.engine, asked, &tests).map_err(outside),
            SourceKind::Stream => topic::scan(&self.engine, asked, &tests, &self.warnings).map_err(outside),
        }
    }
}

/// What a scan is to give.
#[derive(Clone)]
pub(crate) struct Asked {
    pub source: Arc<Source>,
    /// All columns of the source.
    pub fields: Fields,
    /// Positions among them of those that are asked for.
    pub columns: Vec<usize>,
    /// The same with their plain names.
    pub schema: SchemaRef,
    /// Rows that a partition gives at most.
    pub rows_max: usize,
}

impl Asked {
    /// The columns' names, as EXPLAIN shows them.
    pub fn names(&self) -> String {
        self.schema.fields().iter().map(|f| f.name().as_str()).collect::<Vec<_>>().join(", ")
    }
}
