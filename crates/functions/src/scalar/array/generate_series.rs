//! `GENERATE_SERIES`.

use std::sync::Arc;

use arrow::{
    array::{ArrayRef, ArrowPrimitiveType, Int32Array, Int64Array, PrimitiveArray},
    datatypes::{Int32Type, Int64Type},
};
use types::Result;

use super::lists::{ELEMENTS_MAX, list_column};
use crate::{
    FunctionDoc, RowErrors,
    kernel::View,
    overload::Param::{Array, BigInt, Int},
    scalar::definition::{Call, Overload, Scalar},
};

/// Elements of one series.
pub const SERIES_ELEMENTS_MAX: usize = 1_000_000;

/// See its words.
pub static FUNCTION: Scalar = Scalar {
    doc: &FunctionDoc {
        name: "GENERATE_SERIES",
        aliases: &[],
        category: "ARRAY",
        signatures: &["GENERATE_SERIES(start, end[, step])"],
        description: "The numbers from start to end, both included, at a distance of step: 1, or -1 where end is \
                      below start, if it is not given. Fails for a step of 0, for one that leads away from the end, \
                      and for more than 1000000 elements. NULL if an argument is.",
        examples: &[("GENERATE_SERIES(1, 4)", "[1, 2, 3, 4]"), ("GENERATE_SERIES(9, 0, -3)", "[9, 6, 3, 0]")],
    },
    overloads: &[
        Overload::new(&[Int, Int], Array(&Int), ints),
        Overload::new(&[BigInt, BigInt], Array(&BigInt), bigints),
        Overload::new(&[Int, Int, Int], Array(&Int), ints),
        Overload::new(&[BigInt, BigInt, Int], Array(&BigInt), bigints),
    ],
    deterministic: true,
};

fn ints(call: &Call<'_>, errors: &mut RowErrors) -> Result<ArrayRef> {
    let (from, to) = (call.view::<Int32Array>(0)?, call.view::<Int32Array>(1)?);
    let bounds = |row| Some((i64::from(from.get(row)?), i64::from(to.get(row)?)));
    series::<Int32Type>(call, errors, bounds, |value| i32::try_from(value).ok())
}

fn bigints(call: &Call<'_>, errors: &mut RowErrors) -> Result<ArrayRef> {
    let (from, to) = (call.view::<Int64Array>(0)?, call.view::<Int64Array>(1)?);
    series::<Int64Type>(call, errors, |row| Some((from.get(row)?, to.get(row)?)), Some)
}

fn series<T: ArrowPrimitiveType>(
    call: &Call<'_>,
    errors: &mut RowErrors,
    bounds: impl Fn(usize) -> Option<(i64, i64)>,
    narrow: impl Fn(i64) -> Option<T::Native>,
) -> Result<ArrayRef> {
    let steps: Option<View<'_, Int32Array>> = call.optional(2)?;
    let mut values: Vec<T::Native> = Vec::new();
    let (mut offsets, mut valid) = (vec![0_i32], Vec::with_capacity(call.rows));
    for row in 0..call.rows {
        let given = steps.map(|s| s.get(row));
        let known = bounds(row).filter(|_| given != Some(None));
        let length = known.map(|(from, to)| {
            let step = given.flatten().map_or(if to < from { -1 } else { 1 }, i64::from);
            length(from, to, step).map(|count| (from, step, count))
        });
        let fits = |count: usize| count <= SERIES_ELEMENTS_MAX && values.len() + count <= ELEMENTS_MAX;
        let made = match length {
            None => None,
            Some(Err(reason)) => {
                errors.push(row, reason);
                None
            }
            Some(Ok((_, _, count))) if !fits(count) => {
                errors.push(row, format!("GENERATE_SERIES: {count} elements are more than {SERIES_ELEMENTS_MAX}"));
                None
            }
            Some(Ok(series)) => Some(series),
        };
        if let Some((from, step, count)) = made {
            let nth = |n: usize| i64::try_from(n).ok().and_then(|n| from.checked_add(step.checked_mul(n)?));
            values.extend((0..count).filter_map(nth).filter_map(&narrow));
        }
        offsets.push(i32::try_from(values.len()).unwrap_or(i32::MAX));
        valid.push(made.is_some());
    }
    let values: ArrayRef = Arc::new(PrimitiveArray::<T>::new(values.into(), None));
    list_column(&call.return_type.to_arrow(), offsets, values, valid)
}

fn length(from: i64, to: i64, step: i64) -> Result<usize, &'static str> {
    let distance = i128::from(to) - i128::from(from);
    if step == 0 {
        return Err("GENERATE_SERIES: a step of zero leads nowhere");
    }
    if distance.signum() * i128::from(step.signum()) < 0 {
        return Err("GENERATE_SERIES: the step leads away from the end");
    }
    Ok(usize::try_from(distance / i128::from(step) + 1).unwrap_or(usize::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::check_call;

    #[test]
    fn values() {
        check_call(&FUNCTION, &["INTEGER -2", "INTEGER 1", "INTEGER 2"], "[-2,0]");
        check_call(&FUNCTION, &["INTEGER 3", "INTEGER 0"], "[3,2,1,0]");
        check_call(&FUNCTION, &["BIGINT 1", "INTEGER 1"], "[1]");
        check_call(
            &FUNCTION,
            &["BIGINT 9223372036854775806", "BIGINT 9223372036854775807"],
            "[9223372036854775806,9223372036854775807]",
        );
        check_call(&FUNCTION, &["INTEGER 1", "INTEGER 2", "INTEGER 0"], "!");
        check_call(&FUNCTION, &["INTEGER 1", "INTEGER 2", "INTEGER -1"], "!");
        check_call(&FUNCTION, &["BIGINT -9223372036854775808", "BIGINT 9223372036854775807"], "!");
        check_call(&FUNCTION, &["INTEGER 1", "INTEGER null"], "null");
    }
}
