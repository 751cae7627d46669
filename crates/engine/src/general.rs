//! Queries that end and are more than a lookup: DataFusion runs them whole, over tables' rows, streams' topics and
//! the schemas that were registered.
//!
//! Identifiers follow the dialect: unquoted ones are upper case; in a query over a system schema they are lower case.

use std::{ops::ControlFlow, sync::Arc};

use arrow::array::ArrayRef;
use async_trait::async_trait;
use catalog::SourceKind;
use datafusion::{
    catalog::{MemTable, SchemaProvider, TableProvider},
    common::{ParamValues, ScalarValue},
    error::DataFusionError,
    execution::context::SessionContext,
    logical_expr::LogicalPlan,
    prelude::SessionConfig,
    sql::parser::Statement as DfStatement,
};
use futures::StreamExt;
use sqlparser::{
    ast::{Statement as SqlStatement, visit_relations},
    dialect::PostgreSqlDialect,
    parser::Parser,
    tokenizer::{Token, Tokenizer},
};
use syntax::ast;
use types::{Error, ErrorKind, Result, SqlType};

use crate::{
    Engine, Session,
    api::{Description, Outcome, Parameter, Rows},
    pull::source_rows,
    rows::output_columns,
};

/// What the query would take and give.
pub(crate) async fn describe(session: &Session, query: &ast::Query) -> Result<Description> {
    let (_, plan) = plan(session, query).await?;
    let types = plan.get_parameter_types().map_err(df_error)?;
    let mut parameters = vec![None; types.len()];
    for (name, ty) in types {
        let at = name.trim_start_matches('$').parse::<usize>().ok().and_then(|n| n.checked_sub(1));
        if let Some(place) = at.and_then(|at| parameters.get_mut(at)) {
            *place = ty.as_ref().and_then(SqlType::from_arrow);
        }
    }
    let schema = plan.schema().inner().clone();
    Ok(Description { parameters, columns: Some(output_columns(&schema)) })
}

/// Run it.
pub(crate) async fn run(session: &mut Session, query: &ast::Query, parameters: &[Parameter]) -> Result<Outcome> {
    for name in session.engine.catalog().sources.keys() {
        if query.text.to_uppercase().contains(name.as_str()) {
            session.wait_for_own_writes(name).await;
        }
    }
    let (context, mut plan) = plan(session, query).await?;
    if !parameters.is_empty() {
        let value = |p: &ArrayRef| ScalarValue::try_from_array(p, 0).map_err(df_error);
        let values = parameters.iter().map(value).collect::<Result<Vec<_>>>()?;
        let values: Vec<_> = values.into_iter().map(Into::into).collect();
        plan = plan.with_param_values(ParamValues::List(values)).map_err(df_error)?;
    }
    let frame = context.execute_logical_plan(plan).await.map_err(df_error)?;
    let stream = frame.execute_stream().await.map_err(df_error)?;
    let schema = stream.schema();
    let batches = stream.map(|b| b.map_err(df_error)).boxed();
    Ok(Outcome::Rows(Rows { columns: output_columns(&schema), schema, batches, live: false, tag: "SELECT" }))
}

/// Plan it with DataFusion.
pub(crate) async fn plan(session: &Session, query: &ast::Query) -> Result<(SessionContext, LogicalPlan)> {
    let engine = session.engine.clone();
    let context = context(&engine)?;
    let statement = folded(&engine, &query.text)?;
    let plan = context.state().statement_to_plan(DfStatement::Statement(Box::new(statement))).await;
    Ok((context, plan.map_err(df_error)?))
}

/// The statement with unquoted identifiers as the dialect means them.
fn folded(engine: &Engine, text: &str) -> Result<SqlStatement> {
    let dialect = PostgreSqlDialect {};
    let unreadable = |e: String| Error::syntax(e);
    // Back quotes are this dialect's; DataFusion's parser has double quotes for the same.
    let text = text.replace('`', "\"");
    let parse = |tokens: Vec<Token>| -> Result<SqlStatement> {
        Parser::new(&dialect).with_tokens(tokens).parse_statement().map_err(|e| unreadable(e.to_string()))
    };
    let tokens = Tokenizer::new(&dialect, &text).tokenize().map_err(|e| unreadable(e.to_string()))?;
    let statement = parse(tokens.clone())?;
    let system = engine.schemas.read();
    let mut of_system = false;
    let _ = visit_relations(&statement, |name| {
        let first = name.0.first().map(|p| p.to_string().to_lowercase()).unwrap_or_default();
        of_system |= (name.0.len() > 1 && system.contains_key(&first)) || first.starts_with("pg_");
        ControlFlow::<()>::Continue(())
    });
    let fold = |token: Token| match token {
        Token::Word(mut word) if word.quote_style.is_none() => {
            word.value = if of_system { word.value.to_lowercase() } else { word.value.to_uppercase() };
            Token::Word(word)
        }
        other => other,
    };
    parse(tokens.into_iter().map(fold).collect())
}

fn context(engine: &Arc<Engine>) -> Result<SessionContext> {
    let mut config = SessionConfig::new()
        .with_default_catalog_and_schema("millstream", "PUBLIC")
        .with_create_default_catalog_and_schema(true)
        .with_target_partitions(engine.config.threads.max(1));
    config.options_mut().sql_parser.enable_ident_normalization = false;
    let context = SessionContext::new_with_config(config);
    for function in planner::expr::udf::scalar_udfs() {
        context.register_udf(function.as_ref().clone());
    }
    let (scalar, aggregate) = &*engine.functions.read();
    scalar.iter().for_each(|f| context.register_udf(f.as_ref().clone()));
    aggregate.iter().for_each(|f| context.register_udaf(f.as_ref().clone()));
    let catalog = context.catalog("millstream").ok_or_else(|| Error::internal("no catalog"))?;
    let own = Arc::new(Sources { engine: engine.clone() });
    catalog.register_schema("PUBLIC", own.clone()).map_err(df_error)?;
    catalog.register_schema("public", own).map_err(df_error)?;
    for (name, provider) in engine.schemas.read().iter() {
        catalog.register_schema(name, provider.clone()).map_err(df_error)?;
        catalog.register_schema(&name.to_uppercase(), provider.clone()).map_err(df_error)?;
    }
    Ok(context)
}

/// Streams and tables as DataFusion sees them: their rows at the moment when a query is planned.
struct Sources {
    engine: Arc<Engine>,
}

impl std::fmt::Debug for Sources {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Sources")
    }
}

#[async_trait]
impl SchemaProvider for Sources {
    fn table_names(&self) -> Vec<String> {
        self.engine.catalog().sources.keys().cloned().collect()
    }

    async fn table(&self, name: &str) -> Result<Option<Arc<dyn TableProvider>>, DataFusionError> {
        let catalog = self.engine.catalog();
        let outside = |e: Error| DataFusionError::External(Box::new(e));
        let Some(source) = catalog.source(name) else {
            let Some(view) = catalog.views.get(name) else { return Ok(None) };
            let context = context(&self.engine).map_err(outside)?;
            let statement = folded(&self.engine, &view.query).map_err(outside)?;
            let plan = context.state().statement_to_plan(DfStatement::Statement(Box::new(statement))).await?;
            return Ok(Some(Arc::new(datafusion::datasource::ViewTable::new(plan, Some(view.query.clone())))));
        };
        let kept = self.engine.kept_table(name).filter(|_| source.kind == SourceKind::Table);
        let batches = match kept {
            Some((_, view)) => crate::pull::whole_view(&view).map_err(outside)?,
            None => source_rows(&self.engine, source).await.map_err(outside)?,
        };
        // By plain names: what stands before the dot in stored rows is the query's business.
        let plain = |schema: &arrow::datatypes::Schema| {
            let fields: Vec<_> = schema
                .fields()
                .iter()
                .map(|f| {
                    let name = f.name().rsplit_once('.').map_or(f.name().as_str(), |(_, last)| last);
                    f.as_ref().clone().with_name(name)
                })
                .collect();
            Arc::new(arrow::datatypes::Schema::new(fields))
        };
        let schema = match batches.first() {
            Some(batch) => plain(&batch.schema()),
            None => plain(&planner::expr::source_fields(source, name).to_arrow()),
        };
        let renamed = batches
            .into_iter()
            .map(|b| arrow::array::RecordBatch::try_new(schema.clone(), b.columns().to_vec()))
            .collect::<Result<Vec<_>, _>>()?;
        let table = MemTable::try_new(schema, vec![renamed])?;
        Ok(Some(Arc::new(table)))
    }

    fn table_exist(&self, name: &str) -> bool {
        let catalog = self.engine.catalog();
        catalog.source(name).is_some() || catalog.views.contains_key(name)
    }
}

/// DataFusion's error, as users see it.
pub(crate) fn df_error(error: DataFusionError) -> Error {
    let error = match error.find_root() {
        DataFusionError::External(own) => match own.downcast_ref::<Error>() {
            Some(own) => return own.clone(),
            None => error,
        },
        _ => error,
    };
    let text = error.strip_backtrace();
    let text = text.strip_prefix("Error during planning: ").unwrap_or(&text).to_string();
    match error.find_root() {
        DataFusionError::SchemaError(_, _) => Error::undefined_column(text),
        DataFusionError::Plan(_) if text.contains("not found") => Error::undefined_source(text),
        DataFusionError::Plan(_) => Error::invalid(text),
        DataFusionError::SQL(_, _) => Error::syntax(text),
        DataFusionError::NotImplemented(_) => Error::unsupported(text),
        DataFusionError::ResourcesExhausted(_) => Error::new(ErrorKind::Unavailable, "53200", text),
        DataFusionError::Execution(_) | DataFusionError::ArrowError(_, _) => Error::bad_value(text),
        _ => Error::internal(text),
    }
}
