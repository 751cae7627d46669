//! `COALESCE`.

use arrow::array::{Array, ArrayRef};
use types::Result;

use crate::{
    Arg, FunctionDoc, RowErrors,
    kernel::pick,
    overload::Param::Var,
    scalar::definition::{Call, Overload, Scalar},
};

/// See its words.
pub static FUNCTION: Scalar = Scalar {
    doc: &FunctionDoc {
        name: "COALESCE",
        aliases: &[],
        category: "NULLS",
        signatures: &["COALESCE(value, ...)"],
        description: "The first of the values that is not NULL; NULL if all are. The values are of one type. A \
                      collection that holds NULLs is not NULL itself.",
        examples: &[("COALESCE(NULL, 'a', 'b')", "a")],
    },
    overloads: &[Overload::variadic(&[Var('T')], Var('T'), Var('T'), eval)],
    deterministic: true,
};

/// The first argument that is not NULL, for each row.
pub(super) fn eval(call: &Call<'_>, _: &mut RowErrors) -> Result<ArrayRef> {
    let arrays: Vec<(&ArrayRef, bool)> =
        call.args.iter().map(|a| Ok((a.array()?, Arg::is_constant(a)))).collect::<Result<_>>()?;
    pick(call.args, call.rows, |row| {
        arrays.iter().position(|(array, constant)| {
            let at = if *constant { 0 } else { row };
            at < array.len() && array.is_valid(at)
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scalar::testing::check;

    #[test]
    fn values() {
        check(&FUNCTION, &["NULL", "'a'", "'b'"], "a");
        check(&FUNCTION, &["INT NULL", "2L"], "2");
        check(&FUNCTION, &["ARRAY<INT> NULL"], "NULL");
        check(
            &FUNCTION,
            &[],
            "error: Function 'COALESCE' does not accept arguments of types (). It accepts: COALESCE(T, T...)",
        );
    }
}
