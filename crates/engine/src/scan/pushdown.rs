//! What a query's conditions say of keys, partitions and offsets: an upper bound of the rows that it needs. DataFusion
//! evaluates the conditions themselves on what is read.

use std::collections::BTreeMap;

use arrow::datatypes::DataType;
use datafusion::{
    common::ScalarValue,
    logical_expr::{BinaryExpr, Expr, Operator},
};
use planner::pull::prefix_bounds;
use recordlog::Offset;
use statestore::{Mode, RowEncoder};
use types::{Error, Result};

use crate::kept::Wanted;

/// Keys that are looked up at most; beyond, all rows are read.
const KEYS_MAX: usize = 10_000;

/// Sorts behind everything that begins with what stands before it.
const BEHIND: u8 = 0xff;

/// What is known of one column.
#[derive(Debug, Clone, Default, PartialEq)]
struct Test {
    /// It is one of these.
    is: Option<Vec<ScalarValue>>,
    /// It is at least (or above) this.
    from: Option<(ScalarValue, bool)>,
    /// It is at most (or below) this.
    to: Option<(ScalarValue, bool)>,
}

/// What is known of the columns, by name.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Tests(BTreeMap<String, Test>);

impl Tests {
    /// What `filters`, all of which must be true, say.
    pub fn of(filters: &[Expr]) -> Tests {
        let mut tests = Tests::default();
        filters.iter().for_each(|filter| tests.and(filter));
        tests
    }

    /// Whether nothing is known.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn and(&mut self, filter: &Expr) {
        if let Expr::BinaryExpr(BinaryExpr { left, op: Operator::And, right }) = filter {
            self.and(left);
            return self.and(right);
        }
        let Some((column, test)) = test(filter) else { return };
        let known = self.0.entry(column).or_default();
        // Of two tests of a kind the first is as right as the second.
        known.is = known.is.take().or(test.is);
        known.from = known.from.take().or(test.from);
        known.to = known.to.take().or(test.to);
    }

    /// The rows of a table with these key columns that can pass.
    pub fn wanted(&self, key: &[(String, DataType)]) -> Result<Wanted> {
        let mut prefixes: Vec<Vec<u8>> = vec![vec![]];
        for (at, (name, ty)) in key.iter().enumerate() {
            let test = self.0.get(name).cloned().unwrap_or_default();
            let values = test.is.as_ref().and_then(|all| all.iter().map(|v| encoded(v, ty)).collect());
            let Some(values): Option<Vec<Option<Vec<u8>>>> = values else {
                return Ok(ranges(&prefixes, &test, ty, at));
            };
            // NULL equals nothing.
            let values: Vec<Vec<u8>> = values.into_iter().flatten().collect();
            if prefixes.len().saturating_mul(values.len()) > KEYS_MAX {
                return Ok(ranges(&prefixes, &Test::default(), ty, at));
            }
            let joined = |prefix: &Vec<u8>, value: &Vec<u8>| [prefix.as_slice(), value].concat();
            prefixes = prefixes.iter().flat_map(|p| values.iter().map(move |v| joined(p, v))).collect();
            prefixes.sort_unstable();
            prefixes.dedup();
        }
        Ok(if key.is_empty() { Wanted::All } else { Wanted::Keys(prefixes) })
    }

    /// The offsets that can pass: from, and one past the last.
    pub fn offsets(&self) -> (Offset, Offset) {
        let Some(test) = self.0.get("ROWOFFSET") else { return (0, Offset::MAX) };
        let whole = |value: &ScalarValue| match value {
            ScalarValue::Int64(value) => *value,
            _ => None,
        };
        let is: Option<Vec<i64>> = test.is.as_ref().and_then(|all| all.iter().map(whole).collect());
        let from = test.from.as_ref().and_then(|(v, _)| whole(v));
        let to = test.to.as_ref().and_then(|(v, _)| whole(v)).map(|v| v.saturating_add(1));
        let least = is.as_ref().and_then(|all| all.iter().min().copied());
        let most = is.as_ref().and_then(|all| all.iter().max()).map(|v| v.saturating_add(1));
        (from.max(least).unwrap_or(0), to.into_iter().chain(most).min().unwrap_or(Offset::MAX))
    }

    /// Whether rows of that partition can pass.
    pub fn takes_partition(&self, partition: u32) -> bool {
        let Some(is) = self.0.get("ROWPARTITION").and_then(|t| t.is.as_ref()) else { return true };
        is.iter().any(|value| match value {
            ScalarValue::Int32(Some(p)) => u32::try_from(*p) == Ok(partition),
            ScalarValue::Int64(Some(p)) => u32::try_from(*p) == Ok(partition),
            ScalarValue::Int32(None) | ScalarValue::Int64(None) => false,
            _ => true,
        })
    }
}

/// Keys that begin with one of `prefixes` and whose next column passes `test`.
fn ranges(prefixes: &[Vec<u8>], test: &Test, ty: &DataType, fixed: usize) -> Wanted {
    let bound = |side: &Option<(ScalarValue, bool)>| {
        let (value, inclusive) = side.as_ref()?;
        Some((encoded(value, ty).flatten()?, *inclusive))
    };
    let (from, to) = (bound(&test.from), bound(&test.to));
    if fixed == 0 && from.is_none() && to.is_none() {
        return Wanted::All;
    }
    let end = |prefix: &Vec<u8>, bound: &Option<(Vec<u8>, bool)>, lower: bool| {
        let mut key = prefix.clone();
        if let Some((value, _)) = bound {
            key.extend_from_slice(value);
        }
        // Behind every key that begins with this value, or before all of them.
        if bound.as_ref().map_or(!lower, |(_, inclusive)| lower != *inclusive) {
            key.push(BEHIND);
        }
        key
    };
    Wanted::Ranges(prefixes.iter().map(|p| (end(p, &from, true), end(p, &to, false))).collect())
}

/// The value as part of a key of that type. `None`: it may equal keys with other bytes. `Some(None)`: NULL.
#[allow(clippy::option_option)]
fn encoded(value: &ScalarValue, ty: &DataType) -> Option<Option<Vec<u8>>> {
    if value.is_null() {
        return Some(None);
    }
    let value = match value {
        ScalarValue::Utf8View(text) | ScalarValue::LargeUtf8(text) => ScalarValue::Utf8(text.clone()),
        ScalarValue::Float64(_) => return None,
        other => other.clone(),
    };
    if value.data_type() != *ty {
        return None;
    }
    let array = [value.to_array_of_size(1).ok()?];
    let encoder = RowEncoder::new(&array, Mode::Ordered).map_err(|e| Error::internal(e.to_string())).ok()?;
    let mut out = vec![];
    encoder.encode(0, &mut out);
    Some(Some(out))
}

/// A condition on one column.
fn test(filter: &Expr) -> Option<(String, Test)> {
    let column = |e: &Expr| if let Expr::Column(c) = e { Some(c.name.clone()) } else { None };
    let literal = |e: &Expr| if let Expr::Literal(v, _) = e { Some(v.clone()) } else { None };
    match filter {
        Expr::BinaryExpr(BinaryExpr { left, op: Operator::Or, right }) => {
            let ((a, left), (b, right)) = (test(left)?, test(right)?);
            let (mut is, more) = (left.is?, right.is?);
            is.extend(more);
            (a == b && is.len() <= KEYS_MAX).then_some((a, Test { is: Some(is), ..Test::default() }))
        }
        Expr::BinaryExpr(BinaryExpr { left, op, right }) => {
            let (name, value, op) = match (column(left), column(right)) {
                (Some(name), None) => (name, literal(right)?, *op),
                (None, Some(name)) => (name, literal(left)?, op.swap()?),
                _ => return None,
            };
            let test = match op {
                Operator::Eq => Test { is: Some(vec![value]), ..Test::default() },
                Operator::Gt | Operator::GtEq => Test { from: Some((value, op == Operator::GtEq)), ..Test::default() },
                Operator::Lt | Operator::LtEq => Test { to: Some((value, op == Operator::LtEq)), ..Test::default() },
                _ => return None,
            };
            Some((name, test))
        }
        Expr::InList(list) if !list.negated && list.list.len() <= KEYS_MAX => {
            let is = list.list.iter().map(literal).collect::<Option<Vec<_>>>()?;
            Some((column(&list.expr)?, Test { is: Some(is), ..Test::default() }))
        }
        Expr::Between(between) if !between.negated => {
            let (from, to) = (literal(&between.low)?, literal(&between.high)?);
            let test = Test { is: None, from: Some((from, true)), to: Some((to, true)) };
            Some((column(&between.expr)?, test))
        }
        Expr::Like(like) if !like.negated && !like.case_insensitive && like.escape_char.is_none() => {
            let name = column(&like.expr)?;
            let (ScalarValue::Utf8(Some(pattern)) | ScalarValue::Utf8View(Some(pattern))) = literal(&like.pattern)?
            else {
                return None;
            };
            let (from, to) = prefix_bounds(&pattern)?;
            let text = |text: String| ScalarValue::Utf8(Some(text));
            Some((name, Test { is: None, from: Some((text(from), true)), to: Some((text(to), false)) }))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use datafusion::logical_expr::{col, lit};

    use super::*;

    /// The keys of a table `(ID VARCHAR, N INT)` that a filter leaves.
    fn check(filters: &[Expr], want: &str) {
        let key = [("ID".to_string(), DataType::Utf8), ("N".to_string(), DataType::Int32)];
        let got = match Tests::of(filters).wanted(&key).unwrap() {
            Wanted::All | Wanted::First => "all".to_string(),
            Wanted::Keys(keys) => format!("{} key(s)", keys.len()),
            Wanted::Ranges(ranges) => {
                assert!(ranges.iter().all(|(from, to)| from <= to));
                format!("{} range(s)", ranges.len())
            }
        };
        assert_eq!(got, want, "{filters:?}");
    }

    #[test]
    fn conditions_on_keys_spare_reading() {
        let (id, n) = (|| col("\"ID\""), || col("\"N\""));
        let one = |v: i32| lit(v);
        check(&[], "all");
        check(&[id().eq(lit("a"))], "1 range(s)");
        check(&[id().eq(lit("a")), one(3).eq(n())], "1 key(s)");
        check(&[id().eq(lit("a")).and(n().in_list(vec![one(1), one(2), one(1)], false))], "2 key(s)");
        check(&[id().eq(lit("a")).or(id().eq(lit("b")))], "2 range(s)");
        check(&[id().eq(lit("a")).or(n().eq(one(1)))], "all");
        check(&[id().like(lit("ab%"))], "1 range(s)");
        check(&[id().like(lit("%b"))], "all");
        check(&[id().gt(lit("a")), id().lt_eq(lit("c"))], "1 range(s)");
        check(&[n().eq(one(1))], "all");
        check(&[id().not_eq(lit("a"))], "all");
        check(&[id().eq(lit(1_i64))], "all");
        check(&[id().eq(lit(ScalarValue::Utf8(None))), n().eq(one(1))], "0 key(s)");
    }

    #[test]
    fn conditions_on_places_spare_reading() {
        let tests = Tests::of(&[
            col("\"ROWPARTITION\"").in_list(vec![lit(1_i32), lit(3_i32)], false),
            col("\"ROWOFFSET\"").gt_eq(lit(10_i64)),
            col("\"ROWOFFSET\"").lt(lit(20_i64)),
        ]);
        assert_eq!((0..5).filter(|p| tests.takes_partition(*p)).collect::<Vec<_>>(), [1, 3]);
        assert_eq!(tests.offsets(), (10, 21), "bounds are inclusive at most");
    }
}
