//! `= <> < <= > >=` and IS [NOT] DISTINCT FROM.
//!
//! ksqlDB knows no third truth value here: a comparison in which one side is NULL is false, `<>` included. Numbers
//! compare as the type that holds both; a DATE with a TIMESTAMP as TIMESTAMPs; a STRING beside a DATE, TIME or
//! TIMESTAMP is read as one. ARRAY, MAP, STRUCT and BOOLEAN are equal or not, and have no order.

use std::sync::Arc;

use arrow::{
    array::{Array, ArrayRef, BooleanArray, Float64Array, Scalar},
    buffer::BooleanBuffer,
    compute::kernels::cmp,
    datatypes::DataType,
};
use types::{Error, Result, SqlType};

use crate::{
    Arg, ArgType, BoundScalar, RowErrors,
    kernel::{closure, row_count},
    overload::describe,
};

use super::{coercion::numeric_common_type, common_type, value::values_equal};

/// An operator that compares.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Comparison {
    /// `=`.
    Equal,
    /// `<>`.
    NotEqual,
    /// `<`.
    Less,
    /// `<=`.
    LessOrEqual,
    /// `>`.
    Greater,
    /// `>=`.
    GreaterOrEqual,
    /// `IS DISTINCT FROM`.
    Distinct,
    /// `IS NOT DISTINCT FROM`.
    NotDistinct,
}

impl Comparison {
    fn symbol(self) -> &'static str {
        match self {
            Comparison::Equal => "=",
            Comparison::NotEqual => "<>",
            Comparison::Less => "<",
            Comparison::LessOrEqual => "<=",
            Comparison::Greater => ">",
            Comparison::GreaterOrEqual => ">=",
            Comparison::Distinct => "IS DISTINCT FROM",
            Comparison::NotDistinct => "IS NOT DISTINCT FROM",
        }
    }

    fn orders(self) -> bool {
        matches!(self, Comparison::Less | Comparison::LessOrEqual | Comparison::Greater | Comparison::GreaterOrEqual)
    }

    fn knows_null(self) -> bool {
        matches!(self, Comparison::Distinct | Comparison::NotDistinct)
    }
}

/// `left op right`, a BOOLEAN that is never NULL. The caller casts both sides to `arg_types` first. The error names
/// both types. A literal NULL can only be compared by IS [NOT] DISTINCT FROM.
pub fn bind_comparison(op: Comparison, left: &ArgType, right: &ArgType) -> Result<BoundScalar> {
    let (ArgType::Value(a), ArgType::Value(b)) = (left, right) else { return Err(not_comparable(op, left, right)) };
    let ty = match (a, b) {
        (None, _) | (_, None) if !op.knows_null() => {
            let text = format!("{} {} {}", describe(left), op.symbol(), describe(right));
            return Err(Error::type_mismatch(format!("Comparison with NULL not supported: {text}"))
                .with_hint("use IS NULL or IS NOT NULL"));
        }
        (None, None) => SqlType::Boolean,
        (Some(ty), None) | (None, Some(ty)) => ty.clone(),
        (Some(a), Some(b)) => compared_as(a, b).ok_or_else(|| not_comparable(op, left, right))?,
    };
    let unordered = matches!(ty, SqlType::Boolean | SqlType::Array(_) | SqlType::Map(..) | SqlType::Struct(_));
    if op.orders() && unordered {
        return Err(not_comparable(op, left, right));
    }
    let kernel = closure(move |args: &[Arg], rows, _: &mut RowErrors| compare(op, args, rows));
    let side = ArgType::Value(Some(ty));
    Ok(BoundScalar { arg_types: vec![side.clone(), side], return_type: SqlType::Boolean, kernel, deterministic: true })
}

fn not_comparable(op: Comparison, left: &ArgType, right: &ArgType) -> Error {
    let (left, right) = (describe(left), describe(right));
    Error::type_mismatch(format!("Cannot compare {left} to {right} with {}", op.symbol()))
}

/// The type to which both sides are cast.
fn compared_as(a: &SqlType, b: &SqlType) -> Option<SqlType> {
    match (a, b) {
        (a, b) if a == b => Some(a.clone()),
        (a, b) if a.is_numeric() && b.is_numeric() => {
            // DECIMALs of too many digits in common compare as the nearest DOUBLEs.
            Some(numeric_common_type(a, b).unwrap_or(SqlType::Double))
        }
        (SqlType::Date, SqlType::Timestamp) | (SqlType::Timestamp, SqlType::Date) => Some(SqlType::Timestamp),
        (time, SqlType::String) | (SqlType::String, time) if time.is_temporal() => Some(time.clone()),
        (SqlType::Array(_), SqlType::Array(_))
        | (SqlType::Map(..), SqlType::Map(..))
        | (SqlType::Struct(_), SqlType::Struct(_)) => common_type(&[Some(a.clone()), Some(b.clone())]).ok().flatten(),
        _ => None,
    }
}

fn internal(error: impl std::fmt::Display) -> Error {
    Error::internal(format!("comparison: {error}"))
}

fn compare(op: Comparison, args: &[Arg], rows: usize) -> Result<ArrayRef> {
    let [left, right] = args else { return Err(internal("two operands are wanted")) };
    let (a, b) = (left.array()?, right.array()?);
    let rows = row_count(args, rows);
    if rows == 0 {
        return Ok(Arc::new(BooleanArray::new(BooleanBuffer::new_unset(0), None)));
    }
    let result = match a.data_type() {
        DataType::List(_) | DataType::Map(..) | DataType::Struct(_) => by_value(op, left, right, rows)?,
        DataType::Float64 if !op.knows_null() => doubles(op, left, right)?,
        _ => match (left.is_constant(), right.is_constant()) {
            (false, false) | (true, true) => vectorized(op, a, b)?,
            (true, false) => vectorized(op, &Scalar::new(Arc::clone(a)), b)?,
            (false, true) => vectorized(op, a, &Scalar::new(Arc::clone(b)))?,
        },
    };
    Ok(Arc::new(null_is_false(&result)))
}

fn vectorized(op: Comparison, a: &dyn arrow::array::Datum, b: &dyn arrow::array::Datum) -> Result<BooleanArray> {
    match op {
        Comparison::Equal => cmp::eq(a, b),
        Comparison::NotEqual => cmp::neq(a, b),
        Comparison::Less => cmp::lt(a, b),
        Comparison::LessOrEqual => cmp::lt_eq(a, b),
        Comparison::Greater => cmp::gt(a, b),
        Comparison::GreaterOrEqual => cmp::gt_eq(a, b),
        Comparison::Distinct => cmp::distinct(a, b),
        Comparison::NotDistinct => cmp::not_distinct(a, b),
    }
    .map_err(internal)
}

/// As Java's primitive doubles: 0.0 equals -0.0, NaN equals nothing. Arrow's kernels compare bits.
fn doubles(op: Comparison, left: &Arg, right: &Arg) -> Result<BooleanArray> {
    match op {
        Comparison::Equal => doubles_by(left, right, |a, b| a == b),
        Comparison::NotEqual => doubles_by(left, right, |a, b| a != b),
        Comparison::Less => doubles_by(left, right, |a, b| a < b),
        Comparison::LessOrEqual => doubles_by(left, right, |a, b| a <= b),
        Comparison::Greater => doubles_by(left, right, |a, b| a > b),
        _ => doubles_by(left, right, |a, b| a >= b),
    }
}

fn doubles_by(left: &Arg, right: &Arg, op: impl Fn(f64, f64) -> bool) -> Result<BooleanArray> {
    let (a, b) = (left.view::<Float64Array>()?, right.view::<Float64Array>()?);
    let column = |array: &Float64Array, with: &dyn Fn(f64) -> bool| BooleanArray::from_unary(array, with);
    let none = |rows| BooleanArray::new(BooleanBuffer::new_unset(rows), None);
    Ok(match (a.is_constant(), b.is_constant()) {
        (false, true) => b.get(0).map_or_else(|| none(a.array.len()), |y| column(a.array, &|x| op(x, y))),
        (true, false) => a.get(0).map_or_else(|| none(b.array.len()), |x| column(b.array, &|y| op(x, y))),
        _ => {
            if a.array.len() != b.array.len() {
                return Err(internal("operands of different lengths"));
            }
            let values = BooleanBuffer::collect_bool(a.array.len(), |i| op(a.array.value(i), b.array.value(i)));
            let nulls = arrow::buffer::NullBuffer::union(a.array.nulls(), b.array.nulls());
            BooleanArray::new(values, nulls)
        }
    })
}

/// ARRAY, MAP and STRUCT, value by value.
fn by_value(op: Comparison, left: &Arg, right: &Arg, rows: usize) -> Result<BooleanArray> {
    let (a, b) = (left.array()?, right.array()?);
    let at = |arg: &Arg, row: usize| if arg.is_constant() { 0 } else { row };
    let null = |array: &ArrayRef, row: usize| row >= array.len() || array.is_null(row);
    let result = (0..rows).map(|row| {
        let (i, j) = (at(left, row), at(right, row));
        if !op.knows_null() && (null(a, i) || null(b, j)) {
            return false;
        }
        let equal = values_equal(a, i, b, j);
        if matches!(op, Comparison::Equal | Comparison::NotDistinct) { equal } else { !equal }
    });
    Ok(result.collect::<Vec<bool>>().into())
}

fn null_is_false(result: &BooleanArray) -> BooleanArray {
    match result.nulls() {
        Some(nulls) => BooleanArray::new(result.values() & nulls.inner(), None),
        None => result.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::array::{AsArray, Int32Array, StringArray};

    fn value(ty: SqlType) -> ArgType {
        ArgType::Value(Some(ty))
    }

    #[test]
    fn types_that_compare() {
        let check = |op, a: SqlType, b: SqlType, expect: Option<SqlType>| {
            let bound = bind_comparison(op, &value(a), &value(b)).ok();
            assert_eq!(bound.and_then(|b| b.arg_types.into_iter().next()), expect.map(value));
        };
        use Comparison::*;
        let dec = |precision, scale| SqlType::Decimal { precision, scale };
        check(Less, SqlType::Int, SqlType::Double, Some(SqlType::Double));
        check(Equal, dec(4, 2), SqlType::Int, Some(dec(12, 2)));
        check(Less, SqlType::Date, SqlType::Timestamp, Some(SqlType::Timestamp));
        check(Less, SqlType::String, SqlType::Time, Some(SqlType::Time));
        check(Equal, SqlType::Boolean, SqlType::Boolean, Some(SqlType::Boolean));
        check(Less, SqlType::Boolean, SqlType::Boolean, None);
        check(Less, SqlType::Int, SqlType::String, None);
        check(Equal, SqlType::Time, SqlType::Timestamp, None);
    }

    fn run(op: Comparison, a: ArrayRef, b: Arg) -> Vec<bool> {
        let rows = a.len();
        let out = compare(op, &[Arg::Column(a), b], rows).expect("compares");
        assert_eq!(out.null_count(), 0);
        out.as_boolean().values().iter().collect()
    }

    #[test]
    fn nulls_are_false() {
        let a: ArrayRef = Arc::new(Int32Array::from(vec![Some(1), None, Some(3)]));
        let b = Arg::Column(Arc::new(Int32Array::from(vec![Some(1), None, Some(4)])));
        assert_eq!(run(Comparison::Equal, Arc::clone(&a), b.clone()), [true, false, false]);
        assert_eq!(run(Comparison::NotEqual, Arc::clone(&a), b.clone()), [false, false, true]);
        assert_eq!(run(Comparison::NotDistinct, Arc::clone(&a), b), [true, true, false]);
        let none = Arg::Constant(Arc::new(Int32Array::from(vec![None])));
        assert_eq!(run(Comparison::NotEqual, Arc::clone(&a), none.clone()), [false, false, false]);
        assert_eq!(run(Comparison::Distinct, a, none), [true, false, true]);
        let text: ArrayRef = Arc::new(StringArray::from(vec!["a", "b"]));
        assert_eq!(
            run(Comparison::Greater, text, Arg::Constant(Arc::new(StringArray::from(vec!["a"])))),
            [false, true]
        );
    }

    #[test]
    fn doubles_are_ieee() {
        let a: ArrayRef = Arc::new(Float64Array::from(vec![Some(0.0), Some(f64::NAN), None]));
        let b = Arg::Constant(Arc::new(Float64Array::from(vec![-0.0])));
        assert_eq!(run(Comparison::Equal, Arc::clone(&a), b), [true, false, false]);
        let same = Arg::Column(Arc::clone(&a));
        assert_eq!(run(Comparison::GreaterOrEqual, a, same), [true, false, false]);
    }
}
