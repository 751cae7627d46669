//! Planning and running queries over pg_catalog: a DataFusion context of its own, made for one query and one session.

use std::sync::Arc;

use arrow::datatypes::Field;
use catalog::Catalog;
use datafusion::{
    catalog::{CatalogProvider, MemTable, MemoryCatalogProvider, MemorySchemaProvider, SchemaProvider, TableProvider},
    common::{ParamValues, ScalarValue, metadata::ScalarAndMetadata},
    error::DataFusionError,
    execution::context::{SessionConfig, SessionContext},
    logical_expr::LogicalPlan,
    sql::parser::Statement as DfStatement,
};
use engine::Parameter;
use futures::StreamExt;
use types::{Error, ErrorKind, Result, SqlType};

use super::{
    PUBLIC, functions,
    recognize::SystemQuery,
    rewrite::NUMBER_MARK,
    tables::{self, Table, View},
};
use crate::{
    connection::{Identity, RowStream},
    values::{PgType, ResultColumn},
};

/// Where the engine's catalog is had from.
pub(crate) type CatalogSource = Arc<dyn Fn() -> Arc<Catalog> + Send + Sync>;

/// Columns (and parameters) of a query.
pub(crate) type Description = (Vec<Option<SqlType>>, Arc<[ResultColumn]>);

/// pg_catalog and information_schema over an engine's catalog.
pub(crate) struct SystemCatalog {
    catalog: CatalogSource,
}

impl SystemCatalog {
    /// Over the catalog that `catalog` gives.
    pub(crate) fn new(catalog: CatalogSource) -> SystemCatalog {
        SystemCatalog { catalog }
    }

    /// What a query takes and gives.
    pub(crate) async fn describe(&self, query: &SystemQuery, identity: &Identity) -> Result<Description> {
        let context = self.context(identity)?;
        let plan = plan(&context, query).await?;
        let known = plan.get_parameter_fields().map_err(|e| error(&e))?;
        let count = known.keys().filter_map(|name| name.strip_prefix('$')?.parse::<usize>().ok()).max().unwrap_or(0);
        let parameter = |i: usize| {
            let field = known.get(&format!("${i}")).cloned().flatten()?;
            SqlType::from_arrow(field.data_type())
        };
        Ok(((1..=count).map(parameter).collect(), columns(&plan)))
    }

    /// Runs a query.
    pub(crate) async fn run(
        &self,
        query: &SystemQuery,
        identity: &Identity,
        parameters: &[Parameter],
    ) -> Result<RowStream> {
        let context = self.context(identity)?;
        let mut plan = plan(&context, query).await?;
        if !parameters.is_empty() {
            let value = |p: &Parameter| ScalarValue::try_from_array(p.as_ref(), 0).map(ScalarAndMetadata::from);
            let values = parameters.iter().map(value).collect::<Result<Vec<_>, _>>().map_err(|e| error(&e))?;
            plan = plan.with_param_values(ParamValues::List(values)).map_err(|e| error(&e))?;
        }
        let columns = columns(&plan);
        let frame = context.execute_logical_plan(plan).await.map_err(|e| error(&e))?;
        let batches = frame.execute_stream().await.map_err(|e| error(&e))?;
        let batches = engine::deep_stream(batches).map(|batch| batch.map_err(|e| error(&e)));
        Ok(RowStream::with_columns(columns, batches.boxed(), false, "SELECT"))
    }

    fn context(&self, identity: &Identity) -> Result<SessionContext> {
        let view = Arc::new(View { catalog: (self.catalog)(), identity: Some(identity.clone()) });
        // The tables are small, and a query over them is not worth a second thread.
        let config = SessionConfig::new().with_default_catalog_and_schema("system", PUBLIC).with_target_partitions(1);
        let context = SessionContext::new_with_config(config);
        let catalog = MemoryCatalogProvider::new();
        let schemas: [(&str, Arc<dyn SchemaProvider>); 3] = [
            (PUBLIC, Arc::new(MemorySchemaProvider::new())),
            ("pg_catalog", Arc::new(SystemSchema { name: "pg_catalog", view: Arc::clone(&view) })),
            ("information_schema", Arc::new(SystemSchema { name: "information_schema", view: Arc::clone(&view) })),
        ];
        for (name, schema) in schemas {
            catalog.register_schema(name, schema).map_err(|e| error(&e))?;
        }
        context.register_catalog("system", Arc::new(catalog));
        functions::functions(&view).for_each(|function| context.register_udf(function));
        Ok(context)
    }
}

async fn plan(context: &SessionContext, query: &SystemQuery) -> Result<LogicalPlan> {
    let statement = DfStatement::Statement(Box::new(query.statement.as_ref().clone()));
    context.state().statement_to_plan(statement).await.map_err(|e| error(&e))
}

fn columns(plan: &LogicalPlan) -> Arc<[ResultColumn]> {
    let column = |field: &Arc<Field>| {
        let name = field.name().split(NUMBER_MARK).next().unwrap_or_default().to_owned();
        ResultColumn { name, pg_type: PgType::of_field(field), data_type: field.data_type().clone() }
    };
    plan.schema().fields().iter().map(column).collect()
}

/// DataFusion's error as ours.
fn error(error: &DataFusionError) -> Error {
    let root = error.find_root();
    let message = match root {
        DataFusionError::Plan(message)
        | DataFusionError::Execution(message)
        | DataFusionError::NotImplemented(message) => message.clone(),
        other => other.to_string(),
    };
    match root {
        DataFusionError::SchemaError(..) => Error::undefined_column(message),
        DataFusionError::NotImplemented(_) => Error::unsupported(message),
        DataFusionError::Execution(_) if message.contains("does not exist") => Error::undefined_source(message),
        DataFusionError::Plan(_) if message.contains("Invalid function") => Error::undefined_function(message),
        _ => Error::new(ErrorKind::User, "42000", message),
    }
}

/// A schema whose tables are made when they are read.
#[derive(Clone)]
struct SystemSchema {
    name: &'static str,
    view: Arc<View>,
}

impl std::fmt::Debug for SystemSchema {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name)
    }
}

impl SystemSchema {
    fn tables(&self) -> impl Iterator<Item = &'static Table> {
        let name = self.name;
        tables::all().filter(move |table| table.schema == name)
    }
}

#[async_trait::async_trait]
impl SchemaProvider for SystemSchema {
    fn table_names(&self) -> Vec<String> {
        self.tables().map(|t| t.name.to_owned()).collect()
    }

    async fn table(&self, name: &str) -> Result<Option<Arc<dyn TableProvider>>, DataFusionError> {
        let Some(table) = self.tables().find(|t| t.name == name) else { return Ok(None) };
        let batch = table.batch(&self.view).map_err(|e| DataFusionError::Execution(e.to_string()))?;
        Ok(Some(Arc::new(MemTable::try_new(batch.schema(), vec![vec![batch]])?)))
    }

    fn table_exist(&self, name: &str) -> bool {
        self.tables().any(|t| t.name == name)
    }
}
