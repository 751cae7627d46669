//! `ARRAY_CONCAT`.

use arrow::array::ArrayRef;
use types::Result;

use super::lists::{Lists, Picks};
use crate::{
    FunctionDoc, RowErrors,
    overload::Param::{Array, Var},
    scalar::definition::{Call, Overload, Scalar},
};

/// See its words.
pub static FUNCTION: Scalar = Scalar {
    doc: &FunctionDoc {
        name: "ARRAY_CONCAT",
        aliases: &[],
        category: "ARRAY",
        signatures: &["ARRAY_CONCAT(array1, array2)"],
        description: "The elements of the first array, then those of the second. Where one of them is NULL, the \
                      other; NULL if both are.",
        examples: &[("ARRAY_CONCAT(ARRAY[1, 2], ARRAY[2, 3])", "[1, 2, 2, 3]")],
    },
    overloads: &[Overload::new(&[Array(&Var('T')), Array(&Var('T'))], Array(&Var('T')), eval)],
    deterministic: true,
};

fn eval(call: &Call<'_>, _: &mut RowErrors) -> Result<ArrayRef> {
    let (left, right) = (Lists::of(call, 0)?, Lists::of(call, 1)?);
    let mut picks = Picks::new(call.rows);
    for row in 0..call.rows {
        let (first, second) = (left.range(row), right.range(row));
        let valid = first.is_some() || second.is_some();
        first.into_iter().flatten().for_each(|at| picks.push(0, at));
        second.into_iter().flatten().for_each(|at| picks.push(1, at));
        picks.end_row(valid)?;
    }
    picks.into_lists(&call.return_type.to_arrow(), &[left.values(), right.values()])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::check_call;

    #[test]
    fn values() {
        check_call(&FUNCTION, &["ARRAY<INTEGER> [1,null]", "ARRAY<INTEGER> [1,2]"], "[1,null,1,2]");
        check_call(&FUNCTION, &["ARRAY<INTEGER> [1]", "ARRAY<DOUBLE> [2.5]"], "[1.0,2.5]");
        check_call(&FUNCTION, &["ARRAY<STRING> null", "ARRAY<STRING> [\"a\"]"], "[\"a\"]");
        check_call(&FUNCTION, &["ARRAY<STRING> []", "ARRAY<STRING> null"], "[]");
        check_call(&FUNCTION, &["ARRAY<STRING> null", "ARRAY<STRING> null"], "null");
        check_call(&FUNCTION, &["NULL", "ARRAY<MAP<STRING, INTEGER>> [{\"a\":1}]"], "[{\"a\":1}]");
    }
}
