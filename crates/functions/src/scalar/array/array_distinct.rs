//! `ARRAY_DISTINCT`.

use std::collections::HashSet;

use arrow::array::ArrayRef;
use types::Result;

use super::lists::{Lists, Picks};
use crate::{
    FunctionDoc, RowErrors,
    encoded::Rows,
    overload::Param::{Array, Var},
    scalar::definition::{Call, Overload, Scalar},
};

/// See its words.
pub static FUNCTION: Scalar = Scalar {
    doc: &FunctionDoc {
        name: "ARRAY_DISTINCT",
        aliases: &[],
        category: "ARRAY",
        signatures: &["ARRAY_DISTINCT(array)"],
        description: "The different elements of the array, NULL included, in the order in which each comes first. \
                      NULL if the array is.",
        examples: &[("ARRAY_DISTINCT(ARRAY[1, 1, 2, 3, 1, 2])", "[1, 2, 3]")],
    },
    overloads: &[Overload::new(&[Array(&Var('T'))], Array(&Var('T')), eval)],
    deterministic: true,
};

fn eval(call: &Call<'_>, _: &mut RowErrors) -> Result<ArrayRef> {
    let lists = Lists::of(call, 0)?;
    let elements = Rows::of(lists.values().as_ref())?;
    let mut picks = Picks::new(call.rows);
    let mut seen = HashSet::new();
    for row in 0..call.rows {
        seen.clear();
        let range = lists.range(row);
        let valid = range.is_some();
        range.into_iter().flatten().filter(|at| seen.insert(elements.get(*at))).for_each(|at| picks.push(0, at));
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
        check_call(&FUNCTION, &["ARRAY<STRING> [\"a\",null,\"a\",null,\"b\"]"], "[\"a\",null,\"b\"]");
        check_call(&FUNCTION, &["ARRAY<DOUBLE> [\"NaN\",\"NaN\",0.0,-0.0]"], "[NaN,0.0,-0.0]");
        check_call(&FUNCTION, &["ARRAY<ARRAY<INTEGER>> [[1],[1,1],[1]]"], "[[1],[1,1]]");
        check_call(&FUNCTION, &["ARRAY<INTEGER> null"], "null");
    }
}
