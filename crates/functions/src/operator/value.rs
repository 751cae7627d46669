//! Equality and order of single values inside of arrays of any type, as `Objects.equals` and `compareTo` have them in
//! Java: DOUBLEs by their bits (NaN equals NaN, -0.0 comes before 0.0), MAPs whatever the order of their entries.

use std::cmp::Ordering;

use arrow::{
    array::{Array, AsArray, MapArray},
    datatypes::{
        DataType, Date32Type, Decimal128Type, Float64Type, Int32Type, Int64Type, Time32MillisecondType, TimeUnit,
        TimestampMillisecondType,
    },
};

/// Whether value `i` of `a` and value `j` of `b`, arrays of the same type, are equal; two NULLs are. Values that do not
/// exist are NULL.
pub fn values_equal(a: &dyn Array, i: usize, b: &dyn Array, j: usize) -> bool {
    match (is_null(a, i), is_null(b, j)) {
        (true, true) => return true,
        (false, false) => {}
        _ => return false,
    }
    match (a.data_type(), b.data_type()) {
        (DataType::List(_), DataType::List(_)) => {
            let (x, y) = (a.as_list::<i32>().value(i), b.as_list::<i32>().value(j));
            x.len() == y.len() && (0..x.len()).all(|k| values_equal(&x, k, &y, k))
        }
        (DataType::Map(..), DataType::Map(..)) => maps_equal(a.as_map(), i, b.as_map(), j),
        (DataType::Struct(_), DataType::Struct(_)) => {
            let (x, y) = (a.as_struct(), b.as_struct());
            let pairs = || x.columns().iter().zip(y.columns());
            x.num_columns() == y.num_columns() && pairs().all(|(x, y)| values_equal(x, i, y, j))
        }
        _ => compare_values(a, i, b, j) == Some(Ordering::Equal),
    }
}

fn is_null(array: &dyn Array, at: usize) -> bool {
    at >= array.len() || array.data_type() == &DataType::Null || array.is_null(at)
}

fn maps_equal(a: &MapArray, i: usize, b: &MapArray, j: usize) -> bool {
    let (x, y) = (a.value(i), b.value(j));
    if x.len() != y.len() {
        return false;
    }
    let (x_keys, x_values, y_keys, y_values) = (x.column(0), x.column(1), y.column(0), y.column(1));
    (0..x.len()).all(|k| {
        let same = (0..y.len()).find(|m| values_equal(x_keys, k, y_keys, *m));
        same.is_some_and(|m| values_equal(x_values, k, y_values, m))
    })
}

/// The order of value `i` of `a` and value `j` of `b`, arrays of the same type; `None` if one is NULL or the type has
/// no order (ARRAY, MAP, STRUCT).
pub fn compare_values(a: &dyn Array, i: usize, b: &dyn Array, j: usize) -> Option<Ordering> {
    if is_null(a, i) || is_null(b, j) || a.data_type() != b.data_type() {
        return None;
    }
    macro_rules! primitives {
        ($ty:ty) => {
            a.as_primitive_opt::<$ty>()?.value(i).cmp(&b.as_primitive_opt::<$ty>()?.value(j))
        };
    }
    Some(match a.data_type() {
        DataType::Boolean => a.as_boolean().value(i).cmp(&b.as_boolean().value(j)),
        DataType::Int32 => primitives!(Int32Type),
        DataType::Int64 => primitives!(Int64Type),
        DataType::Float64 => {
            a.as_primitive::<Float64Type>().value(i).total_cmp(&b.as_primitive::<Float64Type>().value(j))
        }
        DataType::Decimal128(..) => primitives!(Decimal128Type),
        DataType::Utf8 => a.as_string::<i32>().value(i).cmp(b.as_string::<i32>().value(j)),
        DataType::Binary => a.as_binary::<i32>().value(i).cmp(b.as_binary::<i32>().value(j)),
        DataType::Date32 => primitives!(Date32Type),
        DataType::Time32(TimeUnit::Millisecond) => primitives!(Time32MillisecondType),
        DataType::Timestamp(TimeUnit::Millisecond, None) => primitives!(TimestampMillisecondType),
        _ => return None,
    })
}
