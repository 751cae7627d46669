//! CREATE STREAM|TABLE … AS SELECT.

use std::cell::RefCell;

use catalog::{Catalog, PersistentQuery, Source, SourceKind};
use syntax::ast::CreateAsSelect;
use types::{Error, Result, Span};

use super::{
    Env, Mode, prune,
    select::{self, Selected},
    sink, upgrade,
};
use crate::{
    ddl,
    plan::{Planned, QueryPlan, Surroundings},
    properties::{COMMON, OF_QUERIES, Topic, With},
};

/// Plan CREATE STREAM|TABLE … AS SELECT; `statement` is its text, which the catalog keeps.
///
/// # Errors
/// What is wrong with the query, the WITH clause, or the name, with its place in the statement.
pub fn plan_create_as_select(
    create: &CreateAsSelect,
    statement: &str,
    catalog: &Catalog,
    world: &dyn Surroundings,
) -> Result<Planned> {
    let reads = RefCell::default();
    let env = Env::new(catalog, world, &reads);
    let (name, kind) = (&create.name, sink::kind_of(create.object));
    let free = ddl::check_free(&name.value, kind, create.or_replace, create.if_not_exists, catalog, world);
    if let Some(why) = free.map_err(|e| e.at(name.span))? {
        return Ok(Planned::Nothing(why));
    }
    let existing = catalog.source(&name.value);
    if let Some(existing) = existing {
        upgrade::check_replaceable(create, existing)?;
    }
    let made = make(&env, create, statement, existing.and_then(|s| s.created_by.clone()))?;
    let Made { source, query_id, plan } = made;
    let replaces = match existing {
        Some(existing) => upgrade::check(&env, create, existing, &source, &plan)?,
        None => None,
    };
    let query = PersistentQuery {
        id: query_id,
        statement: statement.to_owned(),
        reads: reads.borrow().clone(),
        writes: source.name.clone(),
        paused: false,
    };
    Ok(Planned::CreateAsSelect { source, query, plan: QueryPlan { reads: reads.into_inner(), ..plan }, replaces })
}

/// What the statement makes, whatever is there already.
pub(super) struct Made {
    pub source: Source,
    pub query_id: String,
    pub plan: QueryPlan,
}

/// Plan the query and its sink. `old_id` is the id of the query that it takes the place of, if there is one.
pub(super) fn make(env: &Env<'_>, create: &CreateAsSelect, statement: &str, old_id: Option<String>) -> Result<Made> {
    let with = With::new(&create.properties, &[COMMON, OF_QUERIES])?;
    let kind = sink::kind_of(create.object);
    if create.query.limit.is_some() {
        let what = ddl::kind_name(kind).to_uppercase();
        let message = format!("CREATE {what} AS SELECT statements don't support LIMIT clause");
        return Err(Error::unsupported(message).at(create.query.span));
    }
    let mode = Mode::Persistent { name: create.name.value.clone(), kind };
    let selected = select::plan_query(env, &create.query, &mode).map_err(|e| timestamp_first(env, create, &with, e))?;
    select::check_kind(&selected.plan, kind, create.name.span)?;
    if !selected.distinct {
        check_values(&selected, create.query.span)?;
    }
    let prefix = if kind == SourceKind::Table { "CTAS" } else { "CSAS" };
    let query_id = match old_id {
        Some(old) if with.get("QUERY_ID").is_none() => old,
        _ => new_query_id(env.catalog, prefix, Some(&create.name.value), &with)?,
    };
    let source = sink::source(env, create, &with, &selected, statement, &query_id)?;
    let plan = stored(env, selected, source.clone(), with.topic()?);
    Ok(Made { source, query_id, plan })
}

/// The plan of a query with a sink.
pub(super) fn stored(env: &Env<'_>, selected: Selected, source: Source, topic: Topic) -> QueryPlan {
    let sink = sink::spec(env, source, topic, &selected);
    let from_earliest = env.starts_at_earliest();
    let root = prune::prune(selected.plan);
    QueryPlan { root, sink: Some(sink), limit: None, reads: Vec::new(), from_earliest, output: Vec::new() }
}

fn check_values(selected: &Selected, span: Span) -> Result<()> {
    if (0..selected.visible).all(|at| selected.key.contains(&at)) {
        let error = Error::invalid("The projection contains no value columns").at(span);
        return Err(error.with_hint("AS_VALUE(…) makes a value of a key column"));
    }
    Ok(())
}

/// `CSAS_NAME_7`, or what QUERY_ID asks for.
pub(super) fn new_query_id(catalog: &Catalog, prefix: &str, name: Option<&str>, with: &With<'_>) -> Result<String> {
    let Some(wanted) = with.text("QUERY_ID")? else {
        let n = catalog.next_query;
        return Ok(name.map_or_else(|| format!("{prefix}_{n}"), |name| format!("{prefix}_{name}_{n}")));
    };
    let (id, span) = (wanted.trim().to_uppercase(), with.span("QUERY_ID"));
    if id.is_empty() || !id.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') {
        let message = "Configuration QUERY_ID is invalid: it must consist of letters, digits and underscores";
        return Err(Error::invalid(message).at(span));
    }
    if catalog.queries.contains_key(&id) {
        return Err(Error::exists(format!("Query ID '{id}' already exists")).at(span));
    }
    Ok(id)
}

/// What a query cannot be stored for, or that its TIMESTAMP column is not there, if that is wrong too.
fn timestamp_first(env: &Env<'_>, create: &CreateAsSelect, with: &With<'_>, error: Error) -> Error {
    if with.get("TIMESTAMP").is_none() {
        return error;
    }
    let Ok(selected) = select::plan_query(env, &create.query, &Mode::Derived) else { return error };
    sink::schema(&selected).and_then(|schema| ddl::timestamp(with, &schema)).err().unwrap_or(error)
}
