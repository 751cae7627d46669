//! CAST: every pair of types that ksqlDB converts.
//!
//! A cast of a pair of types is put together once, when it is bound; casts of ARRAY, MAP and STRUCT hold those of their
//! parts. A value that does not convert makes its row NULL, with the reason on the side; inside of an ARRAY, MAP or
//! STRUCT it takes the whole value with it.

mod nested;
mod scalar;

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, BooleanArray};
use types::{Error, Result, SqlType};

use crate::{
    Arg, ArgType, BoundScalar, RowErrors,
    kernel::{closure, nulls, row_count},
};

use super::coercion::implicitly_castable;

/// Converts a column; rows that fail are noted (once at least) and their values do not matter.
type Cast = Arc<dyn Fn(&ArrayRef, &mut Failures) -> Result<ArrayRef> + Send + Sync>;

/// (row, reason) of values that do not convert.
type Failures = Vec<(usize, String)>;

/// `CAST(from AS to)`: every pair that ksqlDB can cast; `implicit` allows only those that it does by itself. The
/// kernel takes one argument of type `from`; `None` is the literal NULL, which becomes a NULL of any type.
pub fn bind_cast(from: Option<&SqlType>, to: &SqlType, implicit: bool) -> Result<BoundScalar> {
    let bound = |from: Option<&SqlType>, kernel| BoundScalar {
        arg_types: vec![ArgType::Value(from.cloned())],
        return_type: to.clone(),
        kernel,
        deterministic: true,
    };
    let Some(from) = from else {
        let ty = to.clone();
        return Ok(bound(
            None,
            closure(move |args: &[Arg], rows, _: &mut RowErrors| Ok(nulls(&ty, row_count(args, rows)))),
        ));
    };
    if implicit && !implicitly_castable(from, to) {
        return Err(Error::type_mismatch(format!("{from} does not convert to {to} without CAST")));
    }
    let unsupported = || Error::type_mismatch(format!("Cast of {from} to {to} is not supported"));
    let cast = cast_of(from, to).ok_or_else(unsupported)?;
    let kernel = closure(move |args: &[Arg], rows, errors: &mut RowErrors| {
        let arg = args.first().ok_or_else(|| Error::internal("a cast got no argument"))?;
        let array = arg.array()?;
        let rows = row_count(args, rows);
        let array = if array.len() > rows { array.slice(0, rows) } else { Arc::clone(array) };
        let mut failures = Failures::new();
        let out = cast(&array, &mut failures)?;
        finish(out, failures, errors)
    });
    Ok(bound(Some(from), kernel))
}

/// How `from` becomes `to`; `None` if it cannot.
fn cast_of(from: &SqlType, to: &SqlType) -> Option<Cast> {
    if from == to {
        return Some(Arc::new(|array, _| Ok(Arc::clone(array))));
    }
    match (from, to) {
        (SqlType::Array(from), SqlType::Array(to)) => Some(nested::array(cast_of(from, to)?, to)),
        (SqlType::Map(from_key, from_value), SqlType::Map(to_key, to_value)) => {
            Some(nested::map(cast_of(from_key, to_key)?, cast_of(from_value, to_value)?, to_key, to_value))
        }
        (SqlType::Struct(from), SqlType::Struct(to)) => nested::fields(from, to),
        _ => scalar::cast_of(from, to),
    }
}

/// Report the failures, the first of each row, and make their rows NULL.
fn finish(out: ArrayRef, mut failures: Failures, errors: &mut RowErrors) -> Result<ArrayRef> {
    if failures.is_empty() {
        return Ok(out);
    }
    failures.sort_by_key(|(row, _)| *row);
    failures.dedup_by_key(|(row, _)| *row);
    let mut failed = vec![false; out.len()];
    for (row, reason) in failures {
        if let Some(slot) = failed.get_mut(row) {
            *slot = true;
            errors.push(row, reason);
        }
    }
    arrow::compute::nullif(out.as_ref(), &BooleanArray::from(failed)).map_err(|e| Error::internal(format!("cast: {e}")))
}

#[cfg(test)]
mod tests;
