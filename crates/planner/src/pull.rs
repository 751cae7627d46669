//! Lookups: SELECTs that end, over one source, without grouping. Everything else that ends is DataFusion's.

use std::sync::Arc;

use arrow::array::ArrayRef;
use catalog::{Catalog, Source, SourceKind};
use syntax::ast::{Expr, ExprKind, Ident, Literal, Query, QueryBody, Relation, Select, SelectItem};
use types::{Error, Result, Span, SqlType, quote_ident};

use crate::{
    ddl::unknown,
    expr::{Bound, Context, Parameters, Scope, bind, bind_predicate, bind_values, cast, name_text, source_fields},
    insert::key_columns,
    keys,
    naming::Namer,
    plan::{FieldDef, Fields, KeyRange, PullPlan, Surroundings},
    properties::is_on,
    visit,
};

pub use crate::keys::prefix_bounds;

/// Pseudo columns that rows of state do not have.
const NOT_IN_PULL: [&str; 2] = ["ROWPARTITION", "ROWOFFSET"];

/// The plan of a lookup; `None`: the query is for DataFusion (joins, grouping, views, general SQL, tables of which no
/// rows are kept). `parameters` is told the types of `$1`, ….
pub fn plan_pull(
    query: &Query,
    catalog: &Catalog,
    surroundings: &dyn Surroundings,
    parameters: &Parameters,
) -> Result<Option<PullPlan>> {
    let Some((select, name, alias)) = simple(query) else { return Ok(None) };
    let Some(source) = catalog.source(&name.value) else {
        if catalog.views.contains_key(&name.value) || is_system(&name.value) {
            return Ok(None);
        }
        return Err(unknown(format!("{} does not exist", name_text(&name.value)), name, catalog));
    };
    if !is_queryable(source) || needs_datafusion(select) {
        return Ok(None);
    }
    let alias = alias.map_or(source.name.as_str(), |a| a.value.as_str());
    refuse_offsets(select)?;
    let scope = Scope::of_source(source, alias);
    let context = Context::new(catalog, "SELECT").with_parameters(parameters);
    let filter = match &select.filter {
        Some(filter) => {
            refuse_text_keys(filter, source)?;
            Some(bind_predicate(filter, &scope, &context.in_clause("WHERE"))?)
        }
        None => None,
    };
    let mut list = List {
        source,
        scope: &scope,
        context,
        output: Fields::default(),
        exprs: Vec::new(),
        namer: namer(select, &scope),
    };
    for item in &select.projection {
        list.item(item)?;
    }
    let (output, exprs) = (list.output, list.exprs);
    refuse_twice(&output, select.span)?;
    let fields = source_fields(source, alias);
    let key = key_columns(source);
    let keys = match source.kind {
        SourceKind::Table => keys::key_range(filter.as_ref(), &key)?,
        SourceKind::Stream => KeyRange::All,
    };
    if source.kind == SourceKind::Table {
        check_scan(filter.as_ref(), &keys, source, surroundings, select)?;
    }
    let position = |name: &str| fields.columns.iter().position(|f| f.hidden && f.name == name);
    let bounds = |name: &str| keys::bounds(filter.as_ref(), position(name));
    let (window_start, window_end) = (bounds("WINDOWSTART"), bounds("WINDOWEND"));
    let source = Arc::clone(source);
    Ok(Some(PullPlan { source, fields, keys, window_start, window_end, filter, exprs, output, limit: query.limit }))
}

/// Whether WHERE is true for exactly the key that `plan` looks up, so that it need not be evaluated.
pub fn is_exact(plan: &PullPlan) -> bool {
    let one = matches!(plan.keys, KeyRange::Points(_) | KeyRange::PointExprs(_));
    one && plan.source.windowed.is_none() && keys::is_exact(plan.filter.as_ref(), &key_columns(&plan.source))
}

/// `plan` with values (arrays of one row) in place of its parameters.
pub fn bind_parameters(plan: &PullPlan, values: &[ArrayRef]) -> Result<PullPlan> {
    let key = key_columns(&plan.source);
    let filter = plan.filter.as_ref().map(|f| bind_values(f, values)).transpose()?;
    let position = |name: &str| plan.fields.columns.iter().position(|f| f.hidden && f.name == name);
    Ok(PullPlan {
        keys: match (&plan.keys, plan.source.kind) {
            (KeyRange::PointExprs(_), _) => keys::with_values(&plan.keys, values, &key)?,
            (KeyRange::All, SourceKind::Table) => keys::key_range(filter.as_ref(), &key)?,
            (known, _) => known.clone(),
        },
        window_start: keys::bounds(filter.as_ref(), position("WINDOWSTART")),
        window_end: keys::bounds(filter.as_ref(), position("WINDOWEND")),
        exprs: plan.exprs.iter().map(|e| bind_values(e, values)).collect::<Result<Vec<_>>>()?,
        filter,
        ..plan.clone()
    })
}

/// One SELECT over one name.
fn simple(query: &Query) -> Option<(&Select, &Ident, Option<&Ident>)> {
    let QueryBody::Select(select) = &query.body else { return None };
    let plain = query.ctes.is_empty()
        && query.emit.is_none()
        && !select.distinct
        && select.window.is_none()
        && select.group_by.is_empty()
        && select.partition_by.is_empty()
        && select.having.is_none();
    match &select.from {
        Some(Relation::Named { name, alias, .. }) if plain => Some((select, name, alias.as_ref())),
        _ => None,
    }
}

/// Names that PostgreSQL's clients ask for.
fn is_system(name: &str) -> bool {
    let lower = name.to_lowercase();
    lower.starts_with("pg_") || lower == "information_schema"
}

/// Whether its rows are kept, or are events that can be read again.
fn is_queryable(source: &Source) -> bool {
    source.kind == SourceKind::Stream || source.created_by.is_some() || source.read_only
}

/// Aggregates over all rows, and functions that are not ours.
fn needs_datafusion(select: &Select) -> bool {
    let foreign = |expr: &Expr| match &expr.kind {
        ExprKind::Call { name, .. } => {
            functions::aggregate::lookup(&name.value).is_some()
                || (functions::scalar::lookup(&name.value).is_none()
                    && functions::table::lookup(&name.value).is_none()
                    && crate::expr::udf::is_datafusion_function(&name.value))
        }
        _ => false,
    };
    let items = select.projection.iter().filter_map(|item| match item {
        SelectItem::Expr { expr, .. } => Some(expr),
        SelectItem::StructAll { base, .. } => Some(base),
        SelectItem::All { .. } => None,
    });
    items.chain(&select.filter).any(|expr| visit::any(expr, &foreign))
}

/// ROWPARTITION and ROWOFFSET.
fn refuse_offsets(select: &Select) -> Result<()> {
    let find = |expr: &Expr| {
        visit::find(
            expr,
            &|e| matches!(&e.kind, ExprKind::Column { name, .. } if NOT_IN_PULL.contains(&name.value.as_str())),
        )
        .map(|e| (e.span, e.clone()))
    };
    let refuse = |clause: &str, expr: &Expr| match find(expr) {
        Some((span, Expr { kind: ExprKind::Column { name, .. }, .. })) => Err(Error::invalid(format!(
            "Pull queries don't support the following columns in {clause} clauses: {}",
            quote_ident(&name.value)
        ))
        .at(span)
        .with_hint("a push query (EMIT CHANGES) has them")),
        _ => Ok(()),
    };
    for item in &select.projection {
        if let SelectItem::Expr { expr, .. } = item {
            refuse("SELECT", expr)?;
        }
    }
    select.filter.as_ref().map_or(Ok(()), |filter| refuse("WHERE", filter))
}

/// `key IN ('10')` where the key is a number: a lookup would have to guess which of the two was meant.
fn refuse_text_keys(filter: &Expr, source: &Source) -> Result<()> {
    let culprit = visit::find(filter, &|e| text_item(e, source).is_some());
    match culprit.and_then(|e| text_item(e, source)) {
        Some((span, typed, column)) if source.kind == SourceKind::Table => Err(Error::type_mismatch(format!(
            "'{typed}' can not be converted to the type of the key column: {} {} KEY",
            name_text(&column.name),
            column.ty
        ))
        .at(span)
        .with_hint("leave out the quotes")),
        _ => Ok(()),
    }
}

fn text_item<'a>(expr: &'a Expr, source: &'a Source) -> Option<(Span, &'a str, &'a types::Column)> {
    let ExprKind::InList { expr: value, list, .. } = &expr.kind else { return None };
    let ExprKind::Column { name, .. } = &value.kind else { return None };
    let (_, column) = source.schema.find(&name.value)?;
    if column.namespace != types::Namespace::Key || !column.ty.is_numeric() {
        return None;
    }
    list.iter().find_map(|item| match &item.kind {
        ExprKind::Literal(Literal::String(typed)) => Some((item.span, typed.as_str(), column)),
        _ => None,
    })
}

fn namer(select: &Select, scope: &Scope) -> Namer {
    let aliases = select.projection.iter().filter_map(|item| match item {
        SelectItem::Expr { alias: Some(alias), .. } => Some(alias.value.clone()),
        _ => None,
    });
    Namer::new(scope.columns.iter().map(|c| c.name.clone()).chain(aliases))
}

/// The select list while it is being bound.
struct List<'a> {
    source: &'a Arc<Source>,
    scope: &'a Scope,
    context: Context<'a>,
    output: Fields,
    exprs: Vec<crate::plan::BoundExpr>,
    namer: Namer,
}

impl List<'_> {
    fn item(&mut self, item: &SelectItem) -> Result<()> {
        match item {
            SelectItem::All { qualifier, .. } => {
                if let Some(qualifier) = qualifier
                    && !self.scope.has_qualifier(&qualifier.value)
                {
                    return Err(self.scope.unknown_qualifier(qualifier));
                }
                self.star();
                Ok(())
            }
            SelectItem::StructAll { base, span } => self.fields_of(base, *span),
            SelectItem::Expr { expr, alias } => {
                let bound = bind(expr, self.scope, &self.context)?;
                let name = match (alias, &expr.kind) {
                    (Some(alias), _) => alias.value.clone(),
                    (None, ExprKind::Column { name, .. }) => name.value.clone(),
                    (None, ExprKind::Deref { field, .. }) => self.namer.field(&field.value),
                    _ => self.namer.column(),
                };
                self.push(name, bound);
                Ok(())
            }
        }
    }

    /// The key, the window, then the rest.
    fn star(&mut self) {
        let columns = &self.scope.columns;
        let is_key = |c: &&crate::expr::ScopeColumn| {
            self.source.schema.columns.get(c.position).is_some_and(|s| s.namespace == types::Namespace::Key)
        };
        let is_window = |c: &&crate::expr::ScopeColumn| c.hidden && is_window_bound(&c.name);
        let keys = columns.iter().filter(is_key);
        let window = columns.iter().filter(is_window);
        let rest = columns.iter().filter(|c| !c.hidden && !is_key(c));
        let all: Vec<crate::expr::ScopeColumn> = keys.chain(window).chain(rest).cloned().collect();
        for column in all {
            let bound = Bound::column(&name_text(&column.name), column.position, column.ty);
            self.push(column.name, bound);
        }
    }

    fn fields_of(&mut self, base: &Expr, span: Span) -> Result<()> {
        let bound = bind(base, self.scope, &self.context)?;
        let Some(SqlType::Struct(fields)) = bound.ty else {
            let ty = bound.ty.map_or_else(|| "NULL".to_owned(), |ty| ty.to_string());
            return Err(Error::type_mismatch(format!("->* needs a STRUCT, not {ty}")).at(span));
        };
        for field in fields {
            let ident = Ident { value: field.name.clone(), quoted: true, span };
            let deref = Expr { kind: ExprKind::Deref { base: Box::new(base.clone()), field: ident }, span };
            let bound = bind(&deref, self.scope, &self.context)?;
            self.push(field.name, bound);
        }
        Ok(())
    }

    fn push(&mut self, name: String, bound: Bound) {
        let key = self.source.kind == SourceKind::Table && self.is_key(&bound);
        let ty = bound.ty.clone().unwrap_or(SqlType::String);
        // The literal NULL alone, or a parameter alone, is a STRING, as in PostgreSQL.
        let expr = match bound.ty {
            Some(_) => bound.expr,
            None => match cast(bound.clone(), &ty, false) {
                Ok(text) => text,
                Err(_) => bound.expr,
            },
        };
        self.output.columns.push(FieldDef { qualifier: None, name, ty, key, hidden: false });
        self.exprs.push(expr);
    }

    /// Whether it is nothing but a key column, or a bound of the key's window.
    fn is_key(&self, bound: &Bound) -> bool {
        let Some(position) = crate::expr::as_column(&bound.expr) else { return false };
        match self.source.schema.columns.get(position) {
            Some(column) => column.namespace == types::Namespace::Key,
            None => self.scope.columns.iter().any(|c| c.position == position && is_window_bound(&c.name)),
        }
    }
}

fn is_window_bound(name: &str) -> bool {
    matches!(name, "WINDOWSTART" | "WINDOWEND")
}

fn refuse_twice(output: &Fields, span: Span) -> Result<()> {
    let columns = output.columns.iter().enumerate();
    let mut twice = columns.filter(|(at, c)| output.columns.iter().take(*at).any(|d| d.name == c.name));
    match twice.next() {
        None => Ok(()),
        Some((_, column)) => {
            let message =
                format!("Duplicate value columns found in schema: {} {}", quote_ident(&column.name), column.ty);
            Err(Error::new(types::ErrorKind::User, "42701", message)
                .at(span)
                .with_hint("give one of them another name with AS"))
        }
    }
}

/// Whether all rows may be read, where the key does not say which.
fn check_scan(
    filter: Option<&crate::plan::BoundExpr>,
    range: &KeyRange,
    source: &Source,
    surroundings: &dyn Surroundings,
    select: &Select,
) -> Result<()> {
    if is_on(surroundings, "ksql.query.pull.table.scan.enabled", true) {
        return Ok(());
    }
    let ranges = is_on(surroundings, "ksql.query.pull.range.scan.enabled", true);
    let why = keys::obstacle(filter, &key_columns(source), source.windowed.is_some());
    let why = why.or_else(|| match range {
        KeyRange::All => Some("the condition leaves all keys open".to_owned()),
        KeyRange::Range { .. } if !ranges => Some("Query requires range scan to be enabled".to_owned()),
        _ => None,
    });
    let Some(why) = why else { return Ok(()) };
    let span = select.filter.as_ref().map_or(select.span, |f| f.span);
    let error = Error::invalid(format!("The query would read the whole table, which is disabled. {why}")).at(span);
    let is_like = |e: &Expr| matches!(e.kind, ExprKind::Like { .. });
    let error = match select.filter.as_ref().and_then(|f| visit::find(f, &is_like)) {
        Some(like) => error.at(like.span).with_detail(
            "a LIKE condition between strings finds rows by key only where it asks a key for its beginning",
        ),
        None => error,
    };
    Err(error.with_hint("name the key: WHERE key = value; or SET 'ksql.query.pull.table.scan.enabled' = 'true';"))
}

#[cfg(test)]
mod tests;
