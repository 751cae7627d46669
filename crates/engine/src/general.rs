//! Queries that end and are more than a lookup: DataFusion runs them whole, over tables' rows, streams' topics and
//! the schemas that were registered.
//!
//! Identifiers follow the dialect: unquoted ones are upper case; in a query over a system schema they are lower case.

use std::{collections::BTreeSet, ops::ControlFlow, sync::Arc};

use arrow::array::ArrayRef;
use async_trait::async_trait;
use datafusion::{
    catalog::{SchemaProvider, TableProvider},
    common::{ParamValues, ScalarValue, tree_node::TreeNodeRecursion},
    error::DataFusionError,
    execution::context::SessionContext,
    logical_expr::LogicalPlan,
    prelude::SessionConfig,
    sql::parser::Statement as DfStatement,
};
use futures::StreamExt;
use planner::expr::{
    udaf::aggregate_udfs,
    udf::{OnRowErrors, scalar_udfs},
};
use sqlparser::{
    ast::{Statement as SqlStatement, visit_relations},
    parser::Parser,
    tokenizer::{Token, Tokenizer},
};
use syntax::{General, ast};
use types::{Error, Result, SqlType};

use crate::{
    Engine, Session,
    api::{Description, Outcome, Parameter, Rows},
    bounded::bound,
    deep::deep_stream,
    foreign::{df_error, in_query},
    rows::output_columns,
    scan::{SourceTable, outside},
    system::{self, System},
    warnings::Warnings,
};

/// What the query would take and give.
pub(crate) async fn describe(session: &Session, query: &ast::Query) -> Result<Description> {
    let planned = plan(session, query).await?;
    let types = planned.plan.get_parameter_types().map_err(df_error)?;
    let mut parameters = vec![None; types.len()];
    for (name, ty) in types {
        let at = name.trim_start_matches('$').parse::<usize>().ok().and_then(|n| n.checked_sub(1));
        if let Some(place) = at.and_then(|at| parameters.get_mut(at)) {
            *place = ty.as_ref().and_then(SqlType::from_arrow);
        }
    }
    let schema = planned.plan.schema().inner().clone();
    Ok(Description { parameters, columns: Some(output_columns(&schema)) })
}

/// Run it.
pub(crate) async fn run(session: &mut Session, query: &ast::Query, parameters: &[Parameter]) -> Result<Outcome> {
    let Planned { context, mut plan, warnings } = plan(session, query).await?;
    let catalog = session.engine.catalog();
    for name in sources_of(&plan)? {
        // A view's sources are those that its text names.
        let view = catalog.views.get(&name).map(|v| v.query.to_uppercase());
        let read = |source: &&String| view.as_ref().is_some_and(|text| text.contains(source.as_str()));
        for source in catalog.sources.keys().filter(read).chain([&name]) {
            session.wait_for_own_writes(source).await.into_iter().for_each(|missed| warnings.say(missed));
        }
    }
    if !parameters.is_empty() {
        let value = |p: &ArrayRef| ScalarValue::try_from_array(p, 0).map_err(df_error);
        let values = parameters.iter().map(value).collect::<Result<Vec<_>>>()?;
        let values: Vec<_> = values.into_iter().map(Into::into).collect();
        plan = plan.with_param_values(ParamValues::List(values)).map_err(df_error)?;
    }
    let frame = context.execute_logical_plan(plan).await.map_err(df_error)?;
    let stream = frame.execute_stream().await.map_err(df_error)?;
    let schema = stream.schema();
    let batches = deep_stream(stream).map(|b| b.map_err(df_error)).boxed();
    let columns = output_columns(&schema).into();
    Ok(Outcome::Rows(Rows { columns, schema, batches, live: false, tag: "SELECT", warnings }))
}

/// A query planned by DataFusion.
pub(crate) struct Planned {
    /// What it runs in.
    pub context: SessionContext,
    /// What it does.
    pub plan: LogicalPlan,
    /// Rows that fail while it is planned and run.
    pub warnings: Warnings,
}

/// Plan it with DataFusion.
pub(crate) async fn plan(session: &Session, query: &ast::Query) -> Result<Planned> {
    let warnings = Warnings::default();
    let context = context(&session.engine, &query.text, &warnings)?;
    let statement = folded(&session.engine, &query.text)?;
    let plan = context.state().statement_to_plan(DfStatement::Statement(Box::new(statement))).await;
    let plan = plan.map_err(|error| {
        let catalog = session.engine.catalog();
        in_query(error, query, catalog.sources.keys().chain(catalog.views.keys()).map(String::as_str))
    })?;
    Ok(Planned { context, plan, warnings })
}

/// The streams and tables that are read.
fn sources_of(plan: &LogicalPlan) -> Result<BTreeSet<String>> {
    let mut names = BTreeSet::new();
    let visited = plan.apply_with_subqueries(|node| {
        if let LogicalPlan::TableScan(scan) = node {
            names.insert(scan.table_name.table().to_string());
        }
        Ok(TreeNodeRecursion::Continue)
    });
    visited.map_err(df_error)?;
    Ok(names)
}

/// The statement with unquoted identifiers as the dialect means them.
fn folded(engine: &Engine, text: &str) -> Result<SqlStatement> {
    let unreadable = |e: String| Error::syntax(e);
    // Back quotes are this dialect's; DataFusion's parser has double quotes for the same.
    let text = text.replace('`', "\"");
    let parse = |tokens: Vec<Token>| -> Result<SqlStatement> {
        let dialect = General::new(tokens.len());
        Parser::new(&dialect).with_tokens(tokens).parse_statement().map_err(|e| unreadable(e.to_string()))
    };
    let tokens = Tokenizer::new(&General::new(0), &text).tokenize().map_err(|e| unreadable(e.to_string()))?;
    let statement = parse(tokens.clone())?;
    let schemas = engine.schemas.read();
    let mut of_system = false;
    let _ = visit_relations(&statement, |name| {
        let first = name.0.first().map(|p| p.to_string().to_lowercase()).unwrap_or_default();
        of_system |= (name.0.len() > 1 && schemas.contains_key(&first)) || first.starts_with("pg_");
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

/// What the query `text` runs in: its catalog, functions, memory.
fn context(engine: &Arc<Engine>, text: &str, warnings: &Warnings) -> Result<SessionContext> {
    let mut config = SessionConfig::new()
        .with_default_catalog_and_schema("millstream", "PUBLIC")
        .with_create_default_catalog_and_schema(true)
        .with_target_partitions(engine.config.threads.max(1));
    config.options_mut().sql_parser.enable_ident_normalization = false;
    let context = SessionContext::new_with_config_rt(config, engine.ending.clone());
    bound(&context);
    let told = warnings.clone();
    let on_errors: OnRowErrors = Arc::new(move |name, rows, reason| told.add(name, rows as u64, reason));
    for function in scalar_udfs(&on_errors) {
        context.register_udf(function.as_ref().clone());
    }
    for function in aggregate_udfs() {
        context.register_udaf(function.as_ref().clone());
    }
    let (scalar, aggregate) = &*engine.functions.read();
    scalar.iter().for_each(|f| context.register_udf(f.as_ref().clone()));
    aggregate.iter().for_each(|f| context.register_udaf(f.as_ref().clone()));
    let catalog = context.catalog("millstream").ok_or_else(|| Error::internal("no catalog"))?;
    let own = Arc::new(Sources { engine: engine.clone(), text: text.to_uppercase(), warnings: warnings.clone() });
    catalog.register_schema("PUBLIC", own.clone()).map_err(df_error)?;
    catalog.register_schema("public", own).map_err(df_error)?;
    catalog.register_schema(system::SCHEMA, Arc::new(System(engine.clone()))).map_err(df_error)?;
    for (name, provider) in engine.schemas.read().iter() {
        catalog.register_schema(name, provider.clone()).map_err(df_error)?;
        catalog.register_schema(&name.to_uppercase(), provider.clone()).map_err(df_error)?;
    }
    Ok(context)
}

/// Streams, tables and views as DataFusion finds them.
struct Sources {
    engine: Arc<Engine>,
    /// The query's, in upper case.
    text: String,
    warnings: Warnings,
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
        if let Some(source) = catalog.source(name) {
            let named = |word: &str| self.text.contains(word);
            return Ok(Some(Arc::new(SourceTable::new(&self.engine, source, &named, &self.warnings))));
        }
        let Some(view) = catalog.views.get(name) else { return Ok(None) };
        let context = context(&self.engine, &view.query, &self.warnings).map_err(outside)?;
        let statement = folded(&self.engine, &view.query).map_err(outside)?;
        let plan = context.state().statement_to_plan(DfStatement::Statement(Box::new(statement))).await?;
        Ok(Some(Arc::new(datafusion::datasource::ViewTable::new(plan, Some(view.query.clone())))))
    }

    fn table_exist(&self, name: &str) -> bool {
        let catalog = self.engine.catalog();
        catalog.source(name).is_some() || catalog.views.contains_key(name)
    }
}
