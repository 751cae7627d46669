//! One SELECT: FROM → WHERE → table functions → GROUP BY, HAVING or PARTITION BY → projection.

use std::sync::Arc;

use catalog::{KeyWindow, Source, SourceKind};
use formats::FormatSpec;
use syntax::ast::{Emit, Expr, ExprKind, Query, QueryBody, Select};
use types::{Error, Result, Span, SqlType};

use super::{
    Env, Mode, aggregate, distinct, filter, flat_map,
    input::{Input, KeyColumn, KeyOrigin, Partitioning},
    key, partition, relation,
    resolve::resolve,
    select_list::{self, Item},
    union, walk,
};
use crate::plan::{BoundExpr, FieldDef, Fields, Plan, PlanNode};

/// A planned SELECT.
#[derive(Clone)]
pub(super) struct Selected {
    /// What is selected, then hidden columns: key columns that are not selected, window bounds.
    pub plan: Plan,
    /// How many columns are selected.
    pub visible: usize,
    /// Where the key's columns are, in order of the key.
    pub key: Vec<usize>,
    /// Whether rows whose key columns are all NULL have a key: those of tables do, and PARTITION BY several columns makes
    /// one of any values.
    pub whole_key: bool,
    /// Whether PARTITION BY has given the rows their key.
    pub rekeyed: bool,
    /// Whether key columns may be NULL: GROUP BY … INCLUDE NULLS.
    pub null_keys: bool,
    /// Whether all that is selected is the key: SELECT DISTINCT.
    pub distinct: bool,
    /// Where WINDOWSTART and WINDOWEND are, if rows are keyed by window.
    pub window: Option<(usize, usize)>,
    /// The left-most source.
    pub first: Arc<Source>,
    /// How the key was written last.
    pub key_format: FormatSpec,
    /// Where rows are.
    pub partitioning: Partitioning,
    /// Where each selected column stands in the text.
    pub spans: Vec<Span>,
}

/// Plan a query of the streaming grammar.
pub(super) fn plan_query(env: &Env<'_>, query: &Query, mode: &Mode) -> Result<Selected> {
    let env = env.with_queries(&query.ctes);
    match &query.body {
        QueryBody::Select(select) => plan(&env, select, query.emit, mode),
        QueryBody::UnionAll(selects) => union::plan(&env, selects, query.emit, mode),
        QueryBody::General(_) => {
            let error = Error::unsupported("this form of query cannot run continuously").at(query.span);
            Err(error.with_hint("ORDER BY, window functions and set operations are for queries that end"))
        }
    }
}

/// Plan one SELECT.
pub(super) fn plan(env: &Env<'_>, select: &Select, emit: Option<Emit>, mode: &Mode) -> Result<Selected> {
    let Some(from) = &select.from else {
        return Err(Error::unsupported("a continuous query without FROM").at(select.span));
    };
    let mut input = relation::plan(env, from)?;
    check_windowed_tables(&input, mode, select.span)?;
    if let Some(condition) = &select.filter {
        check_no_aggregates(condition, "WHERE")?;
        let condition = resolve(condition, &input.scope, "WHERE", &[])?;
        input = filter::apply(env, input, &condition, "WHERE")?;
    }
    let new_key = partition::resolve_key(select, &input)?;
    let items = select_list::expand(env, select, &input, &new_key, mode)?;
    if let Mode::Persistent { kind, .. } = mode {
        select_list::check_stored(&items, *kind)?;
    }
    let (input, items) = flat_map::apply(env, input, items)?;
    let grouped = !select.group_by.is_empty() || uses_aggregates(select, &items);
    if select.distinct {
        return distinct::plan(env, select, emit, input, items, mode);
    }
    let (input, items) = if grouped {
        aggregate::apply(env, select, emit, input, items, mode)?
    } else {
        check_not_grouped(select, emit)?;
        (partition::apply(env, input, new_key, select, mode)?, items)
    };
    project(env, input, items, mode, select.span)
}

pub(super) fn uses_aggregates(select: &Select, items: &[Item]) -> bool {
    items.iter().any(|i| aggregate::contains(&i.expr)) || select.having.as_ref().is_some_and(aggregate::contains)
}

fn check_not_grouped(select: &Select, emit: Option<Emit>) -> Result<()> {
    if let Some(window) = &select.window {
        return Err(Error::invalid("WINDOW clause requires a GROUP BY clause").at(window.span));
    }
    if let Some(having) = &select.having {
        return Err(Error::invalid("HAVING requires a GROUP BY clause")
            .at(having.span)
            .with_hint("did you mean WHERE?"));
    }
    check_emit_final(select, emit)
}

/// Refuse EMIT FINAL without anything that ends.
pub(super) fn check_emit_final(select: &Select, emit: Option<Emit>) -> Result<()> {
    if !matches!(emit, Some(Emit::Final { .. })) || select.window.is_some() {
        return Ok(());
    }
    let error = Error::invalid("EMIT FINAL is only supported for windowed aggregations").at(select.span);
    Err(error.with_hint("add WINDOW and GROUP BY, or write EMIT CHANGES"))
}

/// Refuse aggregates in a clause that is evaluated row by row.
pub(super) fn check_no_aggregates(expr: &Expr, clause: &str) -> Result<()> {
    let mut found: Option<Error> = None;
    walk::visit(expr, &mut |e| {
        if let ExprKind::Call { name, .. } = &e.kind
            && found.is_none()
        {
            let name = name.value.to_uppercase();
            if functions::aggregate::lookup(&name).is_some() {
                let message = format!("{clause} does not support aggregate functions: {name} is an aggregate function");
                found = Some(Error::invalid(message).at(e.span));
            } else if functions::table::lookup(&name).is_some() {
                let message = format!("{clause} does not support table functions: {name} is a table function");
                found = Some(Error::invalid(message).at(e.span));
            }
        }
        found.is_none()
    });
    found.map_or(Ok(()), Err)
}

fn check_windowed_tables(input: &Input, mode: &Mode, span: Span) -> Result<()> {
    if !matches!(mode, Mode::Persistent { .. }) {
        return Ok(());
    }
    let windowed = |s: &&super::input::FromSource| s.table && s.windowed.is_some() && s.source.is_some();
    match input.sources.iter().find(windowed) {
        Some(source) => {
            let message = format!("persistent queries on windowed tables are not supported: {} is one", source.alias);
            let hint = "declare a stream over its topic and group that";
            Err(Error::unsupported(message).at(span).with_hint(hint))
        }
        None => Ok(()),
    }
}

/// The last step: compute what is selected, and mark what of it is the key.
pub(super) fn project(env: &Env<'_>, input: Input, items: Vec<Item>, mode: &Mode, span: Span) -> Result<Selected> {
    let bound = items.iter().map(|i| env.bind(&i.expr, &input.scope, "SELECT")).collect::<Result<Vec<_>>>()?;
    let chosen = key::choose(env, &input, &items, mode, span)?;
    let mut root = Root::default();
    for (at, (item, bound)) in items.iter().zip(bound).enumerate() {
        let (value, ty, key) = match chosen.of_item(at) {
            Some(column) => (Arc::clone(&column.value), column.ty.clone(), true),
            None => (bound.expr, bound.ty.ok_or_else(|| untyped(item.span))?, false),
        };
        root.push(&item.name, value, ty, key, false);
    }
    let visible = items.len();
    let key = chosen.keys.iter().map(|(column, item)| match item {
        Some(at) => *at,
        None => root.push_key(column),
    });
    let key: Vec<usize> = key.collect();
    let bounds = input.window_bounds().filter(|_| !key.is_empty());
    let window = bounds.map(|(start, end)| {
        let mut push = |name: &str, at: usize| {
            root.push(name, super::input::column(&input.plan.fields, at), SqlType::BigInt, false, true)
        };
        (push("WINDOWSTART", start), push("WINDOWEND", end))
    });
    let windowed = if window.is_some() { input.plan.windowed } else { None };
    let kind = input.plan.kind;
    let node = PlanNode::Project { input: Box::new(input.plan), exprs: root.exprs };
    Ok(Selected {
        plan: Plan { node, fields: root.fields, kind, windowed },
        visible,
        whole_key: kind == SourceKind::Table || input.key_origin == KeyOrigin::Partition && key.len() > 1,
        rekeyed: input.key_origin == KeyOrigin::Partition,
        null_keys: input.null_keys,
        distinct: false,
        key,
        window,
        first: input.first,
        key_format: input.key_format,
        partitioning: input.partitioning,
        spans: items.iter().map(|i| i.span).collect(),
    })
}

#[derive(Default)]
struct Root {
    exprs: Vec<BoundExpr>,
    fields: Fields,
}

impl Root {
    fn push(&mut self, name: &str, expr: BoundExpr, ty: SqlType, key: bool, hidden: bool) -> usize {
        self.exprs.push(expr);
        self.fields.columns.push(FieldDef { qualifier: None, name: name.to_owned(), ty, key, hidden });
        self.exprs.len() - 1
    }

    fn push_key(&mut self, column: &KeyColumn) -> usize {
        let name = column.names.first().map(|n| n.text.clone()).unwrap_or_default();
        self.push(&name, Arc::clone(&column.value), column.ty.clone(), true, true)
    }
}

fn untyped(span: Span) -> Error {
    let message =
        "Can't infer a type of null. Please explicitly cast it to a required type, e.g. CAST(null AS VARCHAR)";
    Error::type_mismatch(message).at(span)
}

/// Whether a stream or a table comes out, and what to write to get it.
pub(super) fn check_kind(plan: &Plan, wanted: SourceKind, span: Span) -> Result<()> {
    if plan.kind == wanted {
        return Ok(());
    }
    let (is, other) = match plan.kind {
        SourceKind::Stream => ("STREAM", "TABLE"),
        SourceKind::Table => ("TABLE", "STREAM"),
    };
    let message = format!("Invalid result type. The SELECT query produces a {is}, not a {other}");
    Err(Error::invalid(message).at(span).with_hint(format!("use CREATE {is} … AS SELECT")))
}

/// The window of the result, for messages.
pub(super) fn window_name(windowed: Option<KeyWindow>) -> &'static str {
    match windowed {
        None => "not",
        Some(KeyWindow::Session) => "SESSION",
        Some(KeyWindow::Time { hopping: true, .. }) => "HOPPING",
        Some(KeyWindow::Time { hopping: false, .. }) => "TUMBLING",
    }
}
