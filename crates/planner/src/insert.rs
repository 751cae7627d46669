//! INSERT INTO … VALUES and DELETE FROM …: rows for a topic.

use std::{collections::BTreeMap, sync::Arc};

use arrow::{
    array::{Array, ArrayRef, AsArray, new_null_array},
    datatypes::Int64Type,
    record_batch::{RecordBatch, RecordBatchOptions},
};
use catalog::{Catalog, Source, SourceKind};
use datafusion::common::ScalarValue;
use functions::RowErrors;
use syntax::ast::{Expr, ExprKind, Ident, Literal};
use types::{Error, Namespace, Result, Span, SqlType, did_you_mean, quote_ident};

use crate::{
    ddl::{kind_name, unknown},
    expr::{
        Context, Parameters, Scope, bind_as, bind_predicate, bind_values, constant_or_reason, evaluate, instant,
        name_text, source_fields,
    },
    keys::{self, KEYS_MAX, KeyColumn},
    plan::{BoundExpr, InsertRows, KeyRange},
};

/// Rows of one INSERT.
pub const INSERT_ROWS_MAX: usize = 100_000;

/// An INSERT whose values are bound; parameters may be missing.
#[derive(Clone)]
pub struct BoundInsert {
    source: Arc<Source>,
    targets: Vec<Target>,
    /// By row, then by target.
    rows: Vec<Vec<(BoundExpr, Span)>>,
    /// NULL VALUES: the rows are keys, and what is written under each has no value.
    tombstones: bool,
}

/// Where a value goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Target {
    /// The column at that place of the schema.
    Column(usize),
    Rowtime,
}

/// The rows of INSERT INTO `target` [(`columns`)] VALUES `rows`; `tombstones`: of NULL VALUES.
pub fn plan_insert_values(
    target: &Ident,
    columns: &[Ident],
    rows: &[Vec<Expr>],
    tombstones: bool,
    catalog: &Catalog,
) -> Result<InsertRows> {
    bind_insert(target, columns, rows, tombstones, catalog, None)?.evaluate(&[])
}

/// Bind the values of an INSERT; the types of parameters are told to `parameters`.
pub fn bind_insert(
    target: &Ident,
    columns: &[Ident],
    rows: &[Vec<Expr>],
    tombstones: bool,
    catalog: &Catalog,
    parameters: Option<&Parameters>,
) -> Result<BoundInsert> {
    let source = insertable(target, catalog)?;
    let targets = targets(&source, columns, tombstones)?;
    if rows.len() > INSERT_ROWS_MAX {
        return Err(Error::unsupported(format!(
            "{} rows in one INSERT: at most {INSERT_ROWS_MAX} are possible",
            rows.len()
        ))
        .with_hint("split them, or use COPY"));
    }
    let context = Context { parameters, lenient_structs: true, ..Context::new(catalog, "VALUES") };
    let mut bound = Vec::with_capacity(rows.len());
    for row in rows {
        check_count(&source, columns, &targets, row)?;
        let values = targets.iter().zip(row).map(|(target, value)| bind_value(&source, *target, value, &context));
        bound.push(values.collect::<Result<Vec<_>>>()?);
    }
    check_primary_key(&source, &targets, target)?;
    if tombstones {
        check_whole_key(&source, &targets, target)?;
    }
    Ok(BoundInsert { source, targets, rows: bound, tombstones })
}

/// The source, if rows can be inserted into it.
fn insertable(target: &Ident, catalog: &Catalog) -> Result<Arc<Source>> {
    let Some(source) = catalog.source(&target.value) else {
        let message = format!("Cannot insert values into an unknown stream/table: {}", quote_ident(&target.value));
        return Err(unknown(message, target, catalog));
    };
    let what = kind_name(source.kind);
    if source.read_only {
        return Err(
            Error::invalid(format!("Cannot insert values into read-only {what}: {}", source.name)).at(target.span)
        );
    }
    if source.windowed.is_some() {
        let message = format!("Cannot insert values into windowed {what}: {}", source.name);
        return Err(Error::unsupported(message)
            .at(target.span)
            .with_hint("its keys have a window that VALUES cannot say"));
    }
    Ok(Arc::clone(source))
}

fn targets(source: &Source, columns: &[Ident], tombstones: bool) -> Result<Vec<Target>> {
    if columns.is_empty() {
        // In order of the schema, the key first.
        let of = |namespace: Namespace| {
            source.schema.columns.iter().enumerate().filter(move |(_, c)| c.namespace == namespace).map(|(at, _)| at)
        };
        let values = of(Namespace::Value).filter(|_| !tombstones);
        return Ok(of(Namespace::Key).chain(values).map(Target::Column).collect());
    }
    let mut targets: Vec<Target> = Vec::with_capacity(columns.len());
    for name in columns {
        let target = target_of(source, name)?;
        let is_value = |at: usize| source.schema.columns.get(at).is_some_and(|c| c.namespace == Namespace::Value);
        if let Target::Column(at) = target
            && tombstones
            && is_value(at)
        {
            let message = format!("Column {} is no part of the key", quote_ident(&name.value));
            let hint = "NULL VALUES takes key columns and ROWTIME: the value is NULL as a whole";
            return Err(Error::invalid(message).at(name.span).with_hint(hint));
        }
        if targets.contains(&target) {
            return Err(Error::invalid(format!("Column {} is given twice", quote_ident(&name.value))).at(name.span));
        }
        targets.push(target);
    }
    Ok(targets)
}

fn target_of(source: &Source, name: &Ident) -> Result<Target> {
    if let Some((at, column)) = source.schema.find(&name.value) {
        if let Namespace::Headers(_) = column.namespace {
            return Err(Error::invalid(format!("Cannot insert into HEADER columns: {}", name.value)).at(name.span));
        }
        return Ok(Target::Column(at));
    }
    match name.value.as_str() {
        "ROWTIME" => return Ok(Target::Rowtime),
        "ROWPARTITION" | "ROWOFFSET" => {
            let message = format!("Inserting into column {} is not allowed", quote_ident(&name.value));
            return Err(Error::invalid(message).at(name.span).with_hint("the log decides where a record goes"));
        }
        _ => {}
    }
    let message = format!("Column {} does not exist in {}", quote_ident(&name.value), quote_ident(&source.name));
    let error = Error::undefined_column(message).at(name.span);
    Err(match did_you_mean(&name.value, source.schema.columns.iter().map(|c| c.name.as_str())) {
        Some(near) => error.with_hint(format!("did you mean {}?", name_text(near))),
        None => error,
    })
}

fn check_count(source: &Source, columns: &[Ident], targets: &[Target], row: &[Expr]) -> Result<()> {
    if row.len() == targets.len() {
        return Ok(());
    }
    let span = row.iter().map(|e| e.span).reduce(Span::to).unwrap_or_default();
    let expected = if columns.is_empty() { "the source has" } else { "are named" };
    let error = Error::invalid(format!(
        "Expected number columns and values to match: {} columns {expected}, {} values are given",
        targets.len(),
        row.len()
    ));
    Err(error.at(span).with_hint(format!("{}: {}", source.name, source.schema)))
}

fn bind_value(source: &Source, target: Target, value: &Expr, context: &Context<'_>) -> Result<(BoundExpr, Span)> {
    let scope = Scope::empty();
    let (ty, name) = match target {
        Target::Rowtime => {
            if let ExprKind::Literal(Literal::String(text)) = &value.kind {
                let ms = instant::parse(text).map_err(|e| e.at(value.span))?;
                let literal = datafusion::physical_expr::expressions::lit(ms);
                return Ok((literal, value.span));
            }
            (&SqlType::BigInt, "ROWTIME")
        }
        Target::Column(at) => match source.schema.columns.get(at) {
            Some(column) => (&column.ty, column.name.as_str()),
            None => return Err(Error::internal("a target of INSERT is no column")),
        },
    };
    // What the type alone does not allow, the value may: 5 fits into a DECIMAL(4, 2) as 5.00.
    let bound = bind_as(value, &scope, context, ty, true)
        .or_else(|error| exact_number(value, &scope, context, ty).ok_or(error));
    let bound = bound.map_err(|e| {
        let at = e.span().unwrap_or(value.span);
        e.context(format!("Value for column {}", quote_ident(name))).at(at)
    })?;
    Ok((bound, value.span))
}

/// A constant number that is the same number in type `ty`.
fn exact_number(value: &Expr, scope: &Scope, context: &Context<'_>, ty: &SqlType) -> Option<BoundExpr> {
    let plain = crate::expr::bind(value, scope, context).ok()?;
    let from = plain.ty.clone().filter(|from| from.is_numeric() && ty.is_numeric())?;
    let there = crate::expr::cast(plain.clone(), ty, false).ok()?;
    let back = crate::expr::Bound { expr: Arc::clone(&there), ty: Some(ty.clone()) };
    let back = crate::expr::cast(back, &from, false).ok()?;
    let (before, after) = (constant_or_reason(&plain.expr).ok()??, constant_or_reason(&back).ok()??);
    functions::operator::values_equal(before.as_ref(), 0, after.as_ref(), 0).then_some(there)
}

fn check_primary_key(source: &Source, targets: &[Target], target: &Ident) -> Result<()> {
    if source.kind != SourceKind::Table {
        return Ok(());
    }
    let columns = source.schema.columns.iter().enumerate();
    let mut missing =
        columns.filter(|(at, c)| c.namespace == Namespace::Key && !targets.contains(&Target::Column(*at)));
    match missing.next() {
        None => Ok(()),
        Some((_, column)) => Err(key_required(source, &column.name).at(target.span)),
    }
}

/// A record without a value says nothing but its key.
fn check_whole_key(source: &Source, targets: &[Target], target: &Ident) -> Result<()> {
    let columns = source.schema.columns.iter().enumerate();
    let mut keys = columns.filter(|(_, c)| c.namespace == Namespace::Key).peekable();
    if keys.peek().is_none() {
        let message = format!("{} has no key, so a record without a value would be empty", source.name);
        return Err(Error::invalid(message).at(target.span));
    }
    match keys.find(|(at, _)| !targets.contains(&Target::Column(*at))) {
        None => Ok(()),
        Some((_, column)) => Err(Error::invalid(format!(
            "NULL VALUES needs the whole key, and {} is missing",
            quote_ident(&column.name)
        ))
        .at(target.span)),
    }
}

fn key_required(source: &Source, column: &str) -> Error {
    Error::new(
        types::ErrorKind::User,
        "23502",
        format!(
            "Failed to insert values into {}. Value for primary key column {} is required for tables",
            source.name,
            quote_ident(column)
        ),
    )
}

impl BoundInsert {
    /// The rows, with `values` (arrays of one row) in place of the parameters `$1`, `$2`, ….
    pub fn evaluate(&self, values: &[ArrayRef]) -> Result<InsertRows> {
        let rows = self.rows.len();
        let mut by_target: Vec<Vec<ScalarValue>> = vec![Vec::with_capacity(rows); self.targets.len()];
        for row in &self.rows {
            for (cells, (expr, span)) in by_target.iter_mut().zip(row) {
                cells.push(cell(expr, values).map_err(|e| e.at(*span))?);
            }
        }
        let mut given: BTreeMap<usize, ArrayRef> = BTreeMap::new();
        let mut rowtime = vec![None; rows];
        for (target, cells) in self.targets.iter().zip(by_target) {
            match target {
                Target::Rowtime => {
                    let times = array_of(cells, &SqlType::BigInt)?;
                    rowtime = times.as_primitive_opt::<Int64Type>().map(|t| t.iter().collect()).unwrap_or(rowtime);
                }
                Target::Column(at) => {
                    let column = self
                        .source
                        .schema
                        .columns
                        .get(*at)
                        .ok_or_else(|| Error::internal("a column of INSERT was lost"))?;
                    given.insert(*at, array_of(cells, &column.ty)?);
                }
            }
        }
        let columns = self.source.schema.columns.iter().enumerate();
        let columns: Vec<ArrayRef> = columns
            .map(|(at, c)| given.remove(&at).unwrap_or_else(|| new_null_array(&c.ty.to_arrow(), rows)))
            .collect();
        self.check_keys(&columns)?;
        let tombstones = vec![self.tombstones; rows];
        Ok(InsertRows { source: Arc::clone(&self.source), columns, rowtime, tombstones, rows })
    }

    fn check_keys(&self, columns: &[ArrayRef]) -> Result<()> {
        if self.source.kind != SourceKind::Table {
            return Ok(());
        }
        for (column, array) in self.source.schema.columns.iter().zip(columns) {
            if column.namespace == Namespace::Key && array.null_count() > 0 {
                return Err(key_required(&self.source, &column.name)
                    .with_hint("a row whose key is NULL has no place in a table"));
            }
        }
        Ok(())
    }
}

fn cell(expr: &BoundExpr, values: &[ArrayRef]) -> Result<ScalarValue> {
    let expr = bind_values(expr, values)?;
    if let Some(literal) = expr.downcast_ref::<datafusion::physical_expr::expressions::Literal>() {
        return Ok(literal.value().clone());
    }
    // RANDOM() and its like are no constants, but one evaluation is what is wanted.
    let mut errors = RowErrors::default();
    let array = evaluate(&expr, &one_row()?, &mut errors)?;
    if let Some((_, reason)) = errors.rows.pop() {
        return Err(Error::bad_value(reason));
    }
    ScalarValue::try_from_array(&array, 0).map_err(|e| Error::internal(format!("a value of INSERT: {e}")))
}

fn one_row() -> Result<RecordBatch> {
    let options = RecordBatchOptions::new().with_row_count(Some(1));
    RecordBatch::try_new_with_options(Arc::new(arrow::datatypes::Schema::empty()), Vec::new(), &options)
        .map_err(|e| Error::internal(format!("a batch of one row: {e}")))
}

fn array_of(cells: Vec<ScalarValue>, ty: &SqlType) -> Result<ArrayRef> {
    if cells.is_empty() {
        return Ok(arrow::array::new_empty_array(&ty.to_arrow()));
    }
    ScalarValue::iter_to_array(cells).map_err(|e| Error::internal(format!("the values of a column of INSERT: {e}")))
}

/// The tombstones of DELETE FROM `target` WHERE `condition`: the condition has to name whole keys by `=` or IN.
pub fn plan_delete(target: &Ident, condition: Option<&Expr>, catalog: &Catalog) -> Result<InsertRows> {
    let source = deletable(target, catalog)?;
    let hint =
        format!("DELETE FROM {} WHERE key = value; every column of the key has to be given", name_text(&source.name));
    let Some(condition) = condition else {
        return Err(Error::unsupported("DELETE without WHERE is not supported: rows are deleted by key")
            .at(target.span)
            .with_hint(hint));
    };
    let scope = Scope::of_source(&source, &source.name);
    let filter = bind_predicate(condition, &scope, &Context::new(catalog, "WHERE"))?;
    let key = key_columns(&source);
    let used = crate::expr::columns_used(&filter);
    let only_keys = used.iter().all(|at| key.iter().any(|k| k.position == *at));
    let (true, KeyRange::Points(points)) = (only_keys, keys::key_range(Some(&filter), &key)?) else {
        return Err(Error::unsupported("DELETE is by key only").at(condition.span).with_hint(hint));
    };
    let rows = points.first().map_or(0, |p| p.len());
    let columns: Vec<ArrayRef> = source.schema.columns.iter().map(|c| new_null_array(&c.ty.to_arrow(), rows)).collect();
    let mut columns = columns;
    for (key, points) in key.iter().zip(points) {
        if let Some(slot) = columns.get_mut(key.position) {
            *slot = points;
        }
    }
    let columns = matching(&source, &filter, columns, rows)?;
    let rows = columns.first().map_or(0, |c| c.len());
    Ok(InsertRows { source, columns, rowtime: vec![None; rows], tombstones: vec![true; rows], rows })
}

fn deletable(target: &Ident, catalog: &Catalog) -> Result<Arc<Source>> {
    let Some(source) = catalog.source(&target.value) else {
        return Err(unknown(format!("Table {} does not exist", quote_ident(&target.value)), target, catalog));
    };
    let refuse =
        |why: &str| Err(Error::unsupported(format!("Cannot delete from {}: {why}", source.name)).at(target.span));
    if source.kind == SourceKind::Stream {
        return refuse("it is a stream, and events cannot be undone");
    }
    if source.read_only {
        return refuse("it is read-only");
    }
    if source.created_by.is_some() {
        return refuse("a query writes it; delete from the tables that the query reads");
    }
    if source.windowed.is_some() {
        return refuse("its keys have a window");
    }
    Ok(Arc::clone(source))
}

/// The key columns of a source by their places in its schema.
pub(crate) fn key_columns(source: &Source) -> Vec<KeyColumn> {
    let columns = source.schema.columns.iter().enumerate().filter(|(_, c)| c.namespace == Namespace::Key);
    columns.map(|(position, c)| KeyColumn { position, ty: c.ty.clone() }).collect()
}

/// Those of the rows for which `filter` (over nothing but key columns) is true.
fn matching(source: &Source, filter: &BoundExpr, columns: Vec<ArrayRef>, rows: usize) -> Result<Vec<ArrayRef>> {
    debug_assert!(rows <= KEYS_MAX);
    let internal = |e: arrow::error::ArrowError| Error::internal(format!("the keys of a DELETE: {e}"));
    let fields = source_fields(source, &source.name);
    let hidden = fields.columns.iter().skip(columns.len()).map(|f| new_null_array(&f.ty.to_arrow(), rows));
    let all: Vec<ArrayRef> = columns.iter().cloned().chain(hidden).collect();
    let options = RecordBatchOptions::new().with_row_count(Some(rows));
    let batch = RecordBatch::try_new_with_options(fields.to_arrow(), all, &options).map_err(internal)?;
    let passes = evaluate(filter, &batch, &mut RowErrors::default())?;
    let Some(passes) = passes.as_boolean_opt() else { return Err(Error::internal("a condition is no BOOLEAN")) };
    columns.iter().map(|c| arrow::compute::filter(c, passes).map_err(internal)).collect()
}

#[cfg(test)]
mod tests;
