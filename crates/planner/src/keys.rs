//! Which keys a condition can be true for.
//!
//! Read off the bound condition: comparisons of key columns with what does not depend on the row, joined by AND and
//! OR. What is found is an upper bound of the keys, never too few; the whole condition is evaluated on the rows all the
//! same.

use std::sync::Arc;

use arrow::{
    array::{Array, ArrayRef},
    compute::concat,
};
use datafusion::{
    common::ScalarValue,
    physical_expr::expressions::{Column, Literal},
};
use functions::operator;
use types::{Error, Result, SqlType};

use crate::{
    expr::{
        Bound, CallStyle, InSetExpr, KernelExpr, LogicalExpr, as_column, cast, columns_used, constant_value,
        has_parameters,
    },
    plan::{BoundExpr, Bounds, KeyRange},
};

/// Keys that a lookup names at most; beyond, all rows are read.
pub const KEYS_MAX: usize = 10_000;

/// A key column.
#[derive(Debug, Clone)]
pub(crate) struct KeyColumn {
    /// Its place in the batch.
    pub position: usize,
    /// Its type.
    pub ty: SqlType,
}

/// What is known of one key column.
#[derive(Debug, Clone, Default)]
struct Part {
    /// It equals this (no columns in it).
    is: Option<BoundExpr>,
    /// It is at least (or above) this.
    from: Option<(BoundExpr, bool)>,
    /// It is at most (or below) this.
    to: Option<(BoundExpr, bool)>,
}

/// Keys that fulfil all parts.
type Row = Vec<Part>;

/// The keys for which `filter` can be true.
pub(crate) fn key_range(filter: Option<&BoundExpr>, key: &[KeyColumn]) -> Result<KeyRange> {
    let Some(filter) = filter.filter(|_| !key.is_empty()) else { return Ok(KeyRange::All) };
    let Some(rows) = rows_of(filter, key) else { return Ok(KeyRange::All) };
    if rows.iter().all(|row| row.iter().all(|part| part.is.is_some())) {
        return points(rows, key);
    }
    match rows.as_slice() {
        [only] => Ok(range(only)),
        _ => Ok(KeyRange::All),
    }
}

/// The alternatives, `None` if there are too many or they leave all open.
fn rows_of(expr: &BoundExpr, key: &[KeyColumn]) -> Option<Vec<Row>> {
    if let Some(logical) = expr.downcast_ref::<LogicalExpr>() {
        let (left, right) = (rows_of(logical.left(), key), rows_of(logical.right(), key));
        return match (logical.is_and(), left, right) {
            (true, Some(left), Some(right)) => Some(both(left, right)),
            (true, Some(one), None) | (true, None, Some(one)) => Some(one),
            (false, Some(mut left), Some(right)) if left.len() + right.len() <= KEYS_MAX => {
                left.extend(right);
                Some(left)
            }
            _ => None,
        };
    }
    if let Some(set) = expr.downcast_ref::<InSetExpr>() {
        return in_set(set, key);
    }
    comparison(expr, key)
}

/// All combinations of alternatives that do not contradict each other.
fn both(left: Vec<Row>, right: Vec<Row>) -> Vec<Row> {
    if left.len().saturating_mul(right.len()) > KEYS_MAX {
        return if left.len() <= right.len() { left } else { right };
    }
    left.iter().flat_map(|l| right.iter().filter_map(move |r| merged(l, r))).collect()
}

/// A row that fulfils both; `None`: there is none.
fn merged(left: &Row, right: &Row) -> Option<Row> {
    let merge = |(l, r): (&Part, &Part)| {
        if let (Some(a), Some(b)) = (&l.is, &r.is)
            && let (Some(x), Some(y)) = (constant_value(a), constant_value(b))
            && !operator::values_equal(x.as_ref(), 0, y.as_ref(), 0)
        {
            return None;
        }
        let first = |l: &Option<(BoundExpr, bool)>, r: &Option<(BoundExpr, bool)>| l.clone().or_else(|| r.clone());
        Some(Part { is: l.is.clone().or_else(|| r.is.clone()), from: first(&l.from, &r.from), to: first(&l.to, &r.to) })
    };
    left.iter().zip(right).map(merge).collect()
}

fn in_set(set: &InSetExpr, key: &[KeyColumn]) -> Option<Vec<Row>> {
    let (at, column) = key_side(set.value(), key)?;
    let items = set.items();
    if items.len() > KEYS_MAX {
        return None;
    }
    let mut rows = Vec::with_capacity(items.len());
    for item in 0..items.len() {
        if items.is_null(item) {
            continue;
        }
        let value = ScalarValue::try_from_array(items, item).ok()?;
        let literal: BoundExpr = Arc::new(Literal::new(value));
        if let Some(value) = as_key(&literal, column)? {
            rows.push(row_with(key.len(), at, Part { is: Some(value), ..Part::default() }));
        }
    }
    Some(rows)
}

fn row_with(width: usize, at: usize, part: Part) -> Row {
    let mut row: Row = vec![Part::default(); width];
    if let Some(slot) = row.get_mut(at) {
        *slot = part;
    }
    row
}

/// `key op value`, or the other way round.
fn comparison(expr: &BoundExpr, key: &[KeyColumn]) -> Option<Vec<Row>> {
    let (name, left, right) = compared(expr)?;
    if name == "LIKE" {
        return beginning(left, right, key);
    }
    let (at, column, value, name) = match (key_side(left, key), key_side(right, key)) {
        (Some((at, column)), None) => (at, column, right, name),
        (None, Some((at, column))) => (at, column, left, flipped(name)),
        _ => return None,
    };
    if !columns_used(value).is_empty() {
        return None;
    }
    let exact = as_key(value, column)?;
    let part = match (name, exact) {
        ("=" | "IS NOT DISTINCT FROM", Some(value)) if is_null(&value) => {
            return if name == "=" { Some(Vec::new()) } else { None };
        }
        ("=" | "IS NOT DISTINCT FROM", Some(value)) => Part { is: Some(value), ..Part::default() },
        ("=", None) => return Some(Vec::new()),
        (">" | ">=", Some(value)) => Part { from: Some((value, name == ">=")), ..Part::default() },
        ("<" | "<=", Some(value)) => Part { to: Some((value, name == "<=")), ..Part::default() },
        _ => return None,
    };
    Some(vec![row_with(key.len(), at, part)])
}

/// `key LIKE 'beginning%'`: keys between two texts.
fn beginning(value: &BoundExpr, pattern: &BoundExpr, key: &[KeyColumn]) -> Option<Vec<Row>> {
    let (at, column) = key_side(value, key)?;
    let pattern = constant_value(pattern)?;
    let pattern = pattern.as_any().downcast_ref::<arrow::array::StringArray>()?.iter().next()??.to_owned();
    let (from, to) = prefix_bounds(&pattern).filter(|_| column.ty == SqlType::String)?;
    let text = |text: String| Arc::new(Literal::new(ScalarValue::Utf8(Some(text)))) as BoundExpr;
    let part = Part { is: None, from: Some((text(from), true)), to: Some((text(to), false)) };
    Some(vec![row_with(key.len(), at, part)])
}

/// Texts that a LIKE pattern which begins with plain characters can match: from the first text, up to and without the
/// second.
pub fn prefix_bounds(pattern: &str) -> Option<(String, String)> {
    let end = pattern.find(['%', '_', '\\']).unwrap_or(pattern.len());
    let prefix = pattern.get(..end).filter(|p| !p.is_empty())?;
    let last = prefix.chars().next_back()?;
    let next = (u32::from(last) + 1..=u32::from(char::MAX)).find_map(char::from_u32)?;
    let head = prefix.get(..prefix.len() - last.len_utf8())?;
    Some((prefix.to_owned(), format!("{head}{next}")))
}

fn is_null(expr: &BoundExpr) -> bool {
    expr.downcast_ref::<Literal>().is_some_and(|l| l.value().is_null())
}

/// A comparison's operator and sides.
fn compared(expr: &BoundExpr) -> Option<(&str, &BoundExpr, &BoundExpr)> {
    let call = expr
        .downcast_ref::<KernelExpr>()
        .filter(|c| c.style == CallStyle::Infix && c.return_type == SqlType::Boolean)?;
    let (left, right) = call.both_values()?;
    Some((call.name.as_str(), left, right))
}

fn flipped(name: &str) -> &str {
    match name {
        "<" => ">",
        "<=" => ">=",
        ">" => "<",
        ">=" => "<=",
        same => same,
    }
}

/// The key column that `expr` is, perhaps converted to a wider number.
fn key_side<'k>(expr: &BoundExpr, key: &'k [KeyColumn]) -> Option<(usize, &'k KeyColumn)> {
    let position = match expr.downcast_ref::<KernelExpr>() {
        Some(call) if call.is_cast() && call.return_type.is_numeric() => as_column(call.only_value()?)?,
        _ => as_column(expr)?,
    };
    let (at, column) = key.iter().enumerate().find(|(_, k)| k.position == position)?;
    let plain = expr.downcast_ref::<Column>().is_some();
    (plain || column.ty.is_numeric()).then_some((at, column))
}

/// `value` as a value of the column's type. `Some(None)`: there is no such value. `None`: nobody knows yet.
#[allow(clippy::option_option)]
fn as_key(value: &BoundExpr, column: &KeyColumn) -> Option<Option<BoundExpr>> {
    let wanted = column.ty.to_arrow();
    let empty = arrow::datatypes::Schema::empty();
    let ty = value.data_type(&empty).ok()?;
    if ty == wanted {
        return Some(Some(Arc::clone(value)));
    }
    let known = constant_value(value)?;
    let from = SqlType::from_arrow(&ty)?;
    let bound = Bound { expr: Arc::clone(value), ty: Some(from.clone()) };
    let there = cast(bound, &column.ty, false).ok()?;
    let Some(there_value) = constant_value(&there) else { return Some(None) };
    if there_value.is_null(0) {
        return Some(None);
    }
    let back = cast(Bound { expr: Arc::clone(&there), ty: Some(column.ty.clone()) }, &from, false).ok()?;
    let same = constant_value(&back).is_some_and(|b| operator::values_equal(b.as_ref(), 0, known.as_ref(), 0));
    Some(same.then_some(there))
}

fn points(rows: Vec<Row>, key: &[KeyColumn]) -> Result<KeyRange> {
    let values = |row: Row| row.into_iter().filter_map(|part| part.is).collect::<Vec<_>>();
    let rows: Vec<Vec<BoundExpr>> = rows.into_iter().map(values).collect();
    if rows.iter().flatten().any(has_parameters) {
        return Ok(KeyRange::PointExprs(rows));
    }
    point_arrays(&rows, key)
}

/// `rows`, all constant, as one array a key column; each key once.
fn point_arrays(rows: &[Vec<BoundExpr>], key: &[KeyColumn]) -> Result<KeyRange> {
    let mut distinct: Vec<Vec<ArrayRef>> = Vec::with_capacity(rows.len());
    let mut seen = std::collections::HashSet::with_capacity(rows.len());
    for row in rows {
        let Some(values) = row.iter().map(constant_value).collect::<Option<Vec<_>>>() else {
            return Ok(KeyRange::All);
        };
        let null = values.iter().any(|v| v.is_null(0));
        let shown: Vec<String> = row.iter().map(crate::expr::expr_text).collect();
        if !null && seen.insert(shown) {
            distinct.push(values);
        }
    }
    let mut columns = Vec::with_capacity(key.len());
    for (at, column) in key.iter().enumerate() {
        let values: Vec<&dyn Array> = distinct.iter().filter_map(|row| row.get(at)).map(AsRef::as_ref).collect();
        columns.push(if values.is_empty() {
            arrow::array::new_empty_array(&column.ty.to_arrow())
        } else {
            concat(&values).map_err(|e| Error::internal(format!("the keys of a lookup: {e}")))?
        });
    }
    Ok(KeyRange::Points(columns))
}

/// The first columns equal, then one between bounds.
fn range(row: &Row) -> KeyRange {
    let mut prefix = Vec::new();
    let mut parts = row.iter();
    let mut next = parts.next();
    while let Some(value) = next.and_then(|part| part.is.as_ref()) {
        match constant_value(value) {
            Some(value) => prefix.push(value),
            None => return KeyRange::All,
        }
        next = parts.next();
    }
    let bound = |side: Option<&(BoundExpr, bool)>| {
        side.and_then(|(value, inclusive)| Some((constant_value(value)?, *inclusive)))
    };
    let from = bound(next.and_then(|part| part.from.as_ref()));
    let to = bound(next.and_then(|part| part.to.as_ref()));
    if prefix.is_empty() && from.is_none() && to.is_none() {
        return KeyRange::All;
    }
    KeyRange::Range { prefix, from, to }
}

/// Whether `filter` says `=` of each key column once and nothing else, so that the key found is all there is to check.
/// DOUBLE has two zeroes that are equal and are two keys.
pub(crate) fn is_exact(filter: Option<&BoundExpr>, key: &[KeyColumn]) -> bool {
    let Some(filter) = filter.filter(|_| !key.is_empty()) else { return false };
    let place = |expr: &BoundExpr| {
        let position = as_column(expr)?;
        key.iter().position(|k| k.position == position && k.ty != SqlType::Double)
    };
    let mut named = vec![false; key.len()];
    for part in crate::expr::conjuncts(filter) {
        let Some(("=", left, right)) = compared(&part) else { return false };
        let at = match (place(left), place(right)) {
            (Some(at), None) if columns_used(right).is_empty() => at,
            (None, Some(at)) if columns_used(left).is_empty() => at,
            _ => return false,
        };
        match named.get_mut(at) {
            Some(named) if !*named => *named = true,
            _ => return false,
        }
    }
    named.iter().all(|n| *n)
}

/// The keys of `range` now that the parameters in it have values.
pub(crate) fn with_values(range: &KeyRange, values: &[ArrayRef], key: &[KeyColumn]) -> Result<KeyRange> {
    let KeyRange::PointExprs(rows) = range else { return Ok(range.clone()) };
    let bind =
        |row: &Vec<BoundExpr>| row.iter().map(|e| crate::expr::bind_values(e, values)).collect::<Result<Vec<_>>>();
    let rows = rows.iter().map(bind).collect::<Result<Vec<_>>>()?;
    point_arrays(&rows, key)
}

/// Bounds that `filter` sets to the BIGINT column at `position`, taken from its parts that must all be true.
pub(crate) fn bounds(filter: Option<&BoundExpr>, position: Option<usize>) -> Bounds {
    let mut bounds = Bounds::default();
    let (Some(filter), Some(position)) = (filter, position) else { return bounds };
    for part in crate::expr::conjuncts(filter) {
        let Some((name, left, right)) = compared(&part) else { continue };
        let (name, value) = match (as_column(left) == Some(position), as_column(right) == Some(position)) {
            (true, false) => (name, right),
            (false, true) => (flipped(name), left),
            _ => continue,
        };
        let Some(value) = constant_value(value) else { continue };
        let Some(value) = value.as_any().downcast_ref::<arrow::array::Int64Array>() else { continue };
        let Some(value) = value.iter().next().flatten() else { continue };
        let (from, to) = match name {
            "=" => (Some(value), Some(value)),
            ">" => (Some(value.saturating_add(1)), None),
            ">=" => (Some(value), None),
            "<" => (None, Some(value.saturating_sub(1))),
            "<=" => (None, Some(value)),
            _ => continue,
        };
        bounds.from = bounds.from.max(from);
        bounds.to = match (bounds.to, to) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        };
    }
    bounds
}

/// Why a scan is needed, for those who forbid it: the first part of the condition that names no key, or names one in
/// a way that is no lookup.
pub(crate) fn obstacle(filter: Option<&BoundExpr>, key: &[KeyColumn], windowed: bool) -> Option<String> {
    let Some(filter) = filter else { return Some("there is no WHERE clause".to_owned()) };
    let alternatives = disjuncts(filter);
    let several = alternatives.len() > 1;
    alternatives.iter().find_map(|alternative| obstacle_in(alternative, key, windowed || several))
}

fn disjuncts(expr: &BoundExpr) -> Vec<BoundExpr> {
    match expr.downcast_ref::<LogicalExpr>() {
        Some(or) if !or.is_and() => {
            let mut all = disjuncts(or.left());
            all.extend(disjuncts(or.right()));
            all
        }
        _ => vec![Arc::clone(expr)],
    }
}

fn obstacle_in(alternative: &BoundExpr, key: &[KeyColumn], ranges_scan: bool) -> Option<String> {
    let parts = crate::expr::conjuncts(alternative);
    let mut named = vec![0_usize; key.len()];
    let mut ranges = 0_usize;
    for part in &parts {
        let used = columns_used(part);
        let touches = |k: &KeyColumn| used.contains(&k.position);
        if !key.iter().any(touches) {
            continue;
        }
        let shown = crate::expr::expr_text(part);
        let Some(rows) = rows_of(part, key) else {
            return Some(format!("{shown} compares no key column with a value by ="));
        };
        ranges += usize::from(rows.iter().flatten().any(|p| p.from.is_some() || p.to.is_some()));
        for (count, column) in named.iter_mut().zip(key) {
            *count += usize::from(touches(column));
        }
    }
    let shown = || crate::expr::expr_text(alternative);
    if named.iter().all(|n| *n == 0) {
        return Some(format!("WHERE clause missing key column for disjunct: {}", shown()));
    }
    if named.contains(&0) {
        return Some(format!("Multi-column sources must specify every key in the WHERE clause, {} does not", shown()));
    }
    if named.iter().any(|n| *n > 1) {
        return Some(format!(
            "A comparison condition on the key column cannot be combined with other comparisons on it: {}",
            shown()
        ));
    }
    (ranges > 0 && (ranges_scan || key.len() > 1))
        .then(|| format!("Query requires table scan to be enabled: {}", shown()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn like_patterns_have_bounds() {
        let check = |pattern: &str, want: Option<(&str, &str)>| {
            assert_eq!(prefix_bounds(pattern), want.map(|(from, to)| (from.to_owned(), to.to_owned())), "{pattern}");
        };
        check("ab%", Some(("ab", "ac")));
        check("a_c", Some(("a", "b")));
        check("%", None);
        check("x\u{d7ff}%", Some(("x\u{d7ff}", "x\u{e000}")));
        check("\u{10ffff}%", None);
    }

    #[test]
    fn an_open_part_says_nothing() {
        assert!(matches!(range(&vec![Part::default()]), KeyRange::All));
    }
}
