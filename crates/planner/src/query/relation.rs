//! FROM: sources by name, subqueries, views and WITH queries.

use std::{collections::BTreeMap, sync::Arc};

use catalog::{Source, SourceKind, View};
use syntax::ast::{Ident, Literal, Properties, Query, Relation, StatementKind};
use types::{Error, Namespace, Result, Span};

use super::{
    Env, Mode,
    input::{FromSource, Input, KeyColumn, KeyName, KeyOrigin, Partitioning, column},
    join, resolve, select,
};
use crate::{
    ddl,
    expr::{Scope, source_fields},
    plan::{FieldDef, Fields, Plan, PlanNode, Start},
};

/// Plan what FROM names.
pub(super) fn plan(env: &Env<'_>, relation: &Relation) -> Result<Input> {
    match relation {
        Relation::Named { name, alias, options } => named(env, name, alias.as_ref(), options),
        Relation::Subquery { query, alias, span } => {
            let alias = alias.as_ref().map_or("", |a| a.value.as_str());
            subquery(&env.deeper(*span)?, query, alias)
        }
        Relation::Join(join) => join::plan(env, join),
    }
}

fn named(env: &Env<'_>, name: &Ident, alias: Option<&Ident>, options: &Properties) -> Result<Input> {
    let known_as = alias.unwrap_or(name).value.as_str();
    let derived = if let Some((at, query)) = env.cte(&name.value) {
        Some((env.deeper(name.span)?.with_ctes(at), query))
    } else if env.catalog.source(&name.value).is_none() {
        match env.catalog.views.get(&name.value) {
            Some(view) => return of_view(&env.deeper(name.span)?.with_ctes(0), view, name, known_as),
            None => None,
        }
    } else {
        None
    };
    if let Some((inner, query)) = derived {
        if let Some((option, property)) = options.entries.first() {
            let message = format!("{option} can only be given for a stream or table, and {} is a query", name.value);
            return Err(Error::invalid(message).at(property.name_span));
        }
        return subquery(&inner, &query, known_as);
    }
    let source = env
        .catalog
        .source(&name.value)
        .ok_or_else(|| ddl::unknown(format!("{} does not exist", name.value), name, env.catalog))?;
    env.note_read(&source.name);
    Ok(of_source(source, known_as, start(options, source.kind)?))
}

/// Reading one stream or table.
fn of_source(source: &Arc<Source>, alias: &str, start: Start) -> Input {
    let fields = source_fields(source, alias);
    let scope = Scope::of_fields(&fields);
    let keys: Vec<String> = source.schema.key().map(|c| c.name.clone()).collect();
    let not_key = source.schema.columns.iter().filter(|c| c.namespace != Namespace::Key);
    let values = not_key.map(|c| c.name.clone()).collect();
    let key = source.schema.columns.iter().enumerate().filter(|(_, c)| c.namespace == Namespace::Key);
    let key = key.map(|(at, c)| KeyColumn {
        names: vec![KeyName {
            expr: resolve::named(Some(alias), &c.name, Span::default()),
            text: crate::expr::name_text(&c.name),
        }],
        value: column(&fields, at),
        ty: c.ty.clone(),
        synthetic: false,
    });
    let key = key.collect();
    let node = PlanNode::Source { source: Arc::clone(source), start, materialize: false };
    Input {
        plan: Plan { node, fields, kind: source.kind, windowed: source.windowed },
        scope,
        sources: vec![FromSource {
            alias: alias.to_owned(),
            source: Some(Arc::clone(source)),
            keys,
            values,
            windowed: source.windowed,
            table: source.kind == SourceKind::Table,
        }],
        key,
        key_origin: KeyOrigin::Source,
        null_keys: false,
        key_format: source.key_format.clone(),
        partitioning: Partitioning::Like(Arc::clone(source)),
        first: Arc::clone(source),
    }
}

/// A view, planned where it is named. Its errors point at its name, since their places are in another text.
fn of_view(env: &Env<'_>, view: &View, name: &Ident, alias: &str) -> Result<Input> {
    let planned = view_query(view).and_then(|query| subquery(env, &query, alias));
    planned
        .map_err(|e| Error::new(e.kind(), e.sqlstate(), format!("view {}: {}", view.name, e.message())).at(name.span))
}

/// The query of a view, parsed again from its text.
fn view_query(view: &View) -> Result<Query> {
    let mut statements = syntax::parse(&view.query, None)?;
    match statements.pop().map(|s| s.kind) {
        Some(StatementKind::Query(query)) if statements.is_empty() => Ok(query),
        _ => Err(Error::internal(format!("view {} holds no query", view.name))),
    }
}

/// A query in FROM, known as `alias`.
fn subquery(env: &Env<'_>, query: &Query, alias: &str) -> Result<Input> {
    if query.limit.is_some() {
        return Err(Error::unsupported("LIMIT in a subquery of a continuous query").at(query.span));
    }
    let mut selected = select::plan_query(env, query, &Mode::Derived)?;
    let bounds = selected.window;
    for (at, field) in selected.plan.fields.columns.iter_mut().enumerate() {
        field.qualifier = Some(alias.to_owned());
        field.hidden = at >= selected.visible;
        if let Some((start, end)) = bounds {
            match () {
                () if at == start => field.name = "WINDOWSTART".to_owned(),
                () if at == end => field.name = "WINDOWEND".to_owned(),
                () => {}
            }
        }
    }
    let fields = selected.plan.fields.clone();
    let name_of = |at: &usize| fields.columns.get(*at).map(|c: &FieldDef| c.name.clone()).unwrap_or_default();
    let is_key = |at: &usize| selected.key.contains(at);
    let keys: Vec<String> = selected.key.iter().filter(|at| **at < selected.visible).map(name_of).collect();
    let values = (0..selected.visible).filter(|at| !is_key(at)).map(|at| name_of(&at)).collect();
    let key = selected.key.iter().filter_map(|at| key_column(&fields, *at)).collect();
    let windowed = selected.plan.windowed;
    let table = selected.plan.kind == SourceKind::Table;
    Ok(Input {
        scope: Scope::of_fields(&fields),
        plan: selected.plan,
        sources: vec![FromSource { alias: alias.to_owned(), source: None, keys, values, windowed, table }],
        key,
        key_origin: KeyOrigin::Source,
        null_keys: selected.null_keys,
        key_format: selected.key_format,
        partitioning: selected.partitioning,
        first: selected.first,
    })
}

fn key_column(fields: &Fields, at: usize) -> Option<KeyColumn> {
    let field = fields.columns.get(at)?;
    let expr = resolve::field(field, Span::default());
    let text = crate::expr::name_text(&field.name);
    Some(KeyColumn {
        names: vec![KeyName { expr, text }],
        value: column(fields, at),
        ty: field.ty.clone(),
        synthetic: false,
    })
}

/// `FROM s WITH (START = …)`.
fn start(options: &Properties, kind: SourceKind) -> Result<Start> {
    let mut start = Start::Default;
    for (name, property) in &options.entries {
        if name != "START" {
            let message = format!("{name} is no option of a source in FROM");
            return Err(Error::invalid(message).at(property.name_span).with_hint("START is one"));
        }
        start = start_of(&property.value).ok_or_else(|| {
            Error::invalid("START is none that is known").at(property.span).with_hint(
                "'earliest', 'latest', milliseconds since 1970, '2024-01-31T12:00:00Z', '0:17,1:4' (offsets), or for a \
                 table 'snapshot'",
            )
        })?;
        if start == Start::Snapshot && kind == SourceKind::Stream {
            let error = Error::invalid("START 'snapshot' is for tables: a stream has events and no rows that stand");
            return Err(error.at(property.span).with_hint("'earliest' begins at the stream's first record"));
        }
    }
    Ok(start)
}

fn start_of(value: &Literal) -> Option<Start> {
    match value {
        Literal::Integer(ms) => ms.parse().ok().map(Start::Time),
        Literal::String(text) => match text.trim().to_lowercase().as_str() {
            "earliest" => Some(Start::Earliest),
            "latest" => Some(Start::Latest),
            "snapshot" => Some(Start::Snapshot),
            other => offsets(other).map(Start::Offsets).or_else(|| time(text.trim()).map(Start::Time)),
        },
        _ => None,
    }
}

fn offsets(text: &str) -> Option<BTreeMap<u32, i64>> {
    let pair = |part: &str| {
        let (partition, offset) = part.split_once(':')?;
        Some((partition.trim().parse().ok()?, offset.trim().parse().ok()?))
    };
    text.split(',').map(pair).collect()
}

fn time(text: &str) -> Option<i64> {
    if let Ok(at) = chrono::DateTime::parse_from_rfc3339(text) {
        return Some(at.timestamp_millis());
    }
    let local = ["%Y-%m-%dT%H:%M:%S%.f", "%Y-%m-%d %H:%M:%S%.f"].iter();
    let at = local.filter_map(|f| chrono::NaiveDateTime::parse_from_str(text, f).ok()).next();
    let day = || chrono::NaiveDate::parse_from_str(text, "%Y-%m-%d").ok().and_then(|d| d.and_hms_opt(0, 0, 0));
    Some(at.or_else(day)?.and_utc().timestamp_millis())
}
