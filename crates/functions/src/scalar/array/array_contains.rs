//! `ARRAY_CONTAINS`.

use arrow::array::{ArrayRef, BooleanArray};
use types::Result;

use super::lists::Lists;
use crate::{
    FunctionDoc, RowErrors,
    encoded::Rows,
    overload::Param::{self, Array, Var},
    scalar::definition::{Call, Overload, Scalar},
};

/// See its words.
pub static FUNCTION: Scalar = Scalar {
    doc: &FunctionDoc {
        name: "ARRAY_CONTAINS",
        aliases: &[],
        category: "ARRAY",
        signatures: &["ARRAY_CONTAINS(array, value)"],
        description: "Whether the value is an element of the array; NULL equals NULL here. False if the array is \
                      NULL.",
        examples: &[("ARRAY_CONTAINS(ARRAY[1, 2, 3], 3)", "true")],
    },
    overloads: &[Overload::new(&[Array(&Var('T')), Var('T')], Param::Boolean, eval)],
    deterministic: true,
};

fn eval(call: &Call<'_>, _: &mut RowErrors) -> Result<ArrayRef> {
    let lists = Lists::of(call, 0)?;
    let (elements, wanted) = (Rows::of(lists.values().as_ref())?, call.arg(1)?);
    let (wanted, constant) = (Rows::of(wanted.array()?.as_ref())?, wanted.is_constant());
    call.rows::<BooleanArray, bool>(|row| {
        let wanted = wanted.get(if constant { 0 } else { row });
        Some(lists.range(row).is_some_and(|mut range| range.any(|at| elements.get(at) == wanted)))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::check_call;

    #[test]
    fn values() {
        check_call(&FUNCTION, &["ARRAY<INTEGER> [1,2,3]", "INTEGER 3"], "true");
        check_call(&FUNCTION, &["ARRAY<BIGINT> [1,2,3]", "INTEGER 4"], "false");
        check_call(&FUNCTION, &["ARRAY<STRING> [\"a\",null]", "STRING null"], "true");
        check_call(&FUNCTION, &["ARRAY<STRING> [\"a\"]", "NULL"], "false");
        check_call(&FUNCTION, &["ARRAY<STRING> null", "STRING a"], "false");
        check_call(
            &FUNCTION,
            &["ARRAY<MAP<STRING, INTEGER>> [{\"a\":1,\"b\":2}]", "MAP<STRING, INTEGER> {\"b\":2,\"a\":1}"],
            "true",
        );
    }
}
