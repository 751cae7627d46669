//! `SLICE`.

use arrow::array::{ArrayRef, Int32Array};
use types::Result;

use super::lists::{Lists, Picks};
use crate::{
    FunctionDoc, RowErrors,
    overload::Param::{Array, Int, Var},
    scalar::definition::{Call, Overload, Scalar},
};

/// See its words.
pub static FUNCTION: Scalar = Scalar {
    doc: &FunctionDoc {
        name: "SLICE",
        aliases: &[],
        category: "ARRAY",
        signatures: &["SLICE(array, from, to)"],
        description: "The elements from place `from` to place `to`, both included, counted from 1; from the first if \
                      `from` is NULL, to the last if `to` is. NULL if the array is, or has no such places.",
        examples: &[("SLICE(ARRAY[1, 2, 3, 4], 2, 3)", "[2, 3]")],
    },
    overloads: &[Overload::new(&[Array(&Var('T')), Int, Int], Array(&Var('T')), eval)],
    deterministic: true,
};

fn eval(call: &Call<'_>, _: &mut RowErrors) -> Result<ArrayRef> {
    let lists = Lists::of(call, 0)?;
    let (from, to) = (call.view::<Int32Array>(1)?, call.view::<Int32Array>(2)?);
    let mut picks = Picks::new(call.rows);
    for row in 0..call.rows {
        let part = lists.range(row).and_then(|range| {
            let start = from.get(row).map_or(Some(0), |from| usize::try_from(i64::from(from) - 1).ok())?;
            let end = to.get(row).map_or(Some(range.len()), |to| usize::try_from(to).ok())?;
            (start <= end && end <= range.len()).then(|| range.start + start..range.start + end)
        });
        let valid = part.is_some();
        part.into_iter().flatten().for_each(|at| picks.push(0, at));
        picks.end_row(valid)?;
    }
    picks.into_lists(&call.return_type.to_arrow(), &[lists.values()])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::check_call;

    #[test]
    fn values() {
        let of = |from: &str, to: &str, want: &str| {
            check_call(
                &FUNCTION,
                &["ARRAY<INTEGER> [1,2,null,4]", &format!("INTEGER {from}"), &format!("INTEGER {to}")],
                want,
            );
        };
        of("2", "3", "[2,null]");
        of("null", "2", "[1,2]");
        of("4", "null", "[4]");
        of("3", "2", "[]");
        of("4", "2", "null");
        of("0", "2", "null");
        of("1", "5", "null");
        of("-2147483648", "2147483647", "null");
        check_call(&FUNCTION, &["ARRAY<STRING> null", "INTEGER 1", "INTEGER 1"], "null");
    }
}
