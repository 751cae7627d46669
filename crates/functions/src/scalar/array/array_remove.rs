//! `ARRAY_REMOVE`.

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
        name: "ARRAY_REMOVE",
        aliases: &[],
        category: "ARRAY",
        signatures: &["ARRAY_REMOVE(array, value)"],
        description: "The array without the elements that equal the value; NULL equals NULL here. NULL if the array \
                      is.",
        examples: &[("ARRAY_REMOVE(ARRAY[1, 2, 3, 2, 1], 2)", "[1, 3, 1]")],
    },
    overloads: &[Overload::new(&[Array(&Var('T')), Var('T')], Array(&Var('T')), eval)],
    deterministic: true,
};

fn eval(call: &Call<'_>, _: &mut RowErrors) -> Result<ArrayRef> {
    let lists = Lists::of(call, 0)?;
    let (elements, victim) = (Rows::of(lists.values().as_ref())?, call.arg(1)?);
    let (victim, constant) = (Rows::of(victim.array()?.as_ref())?, victim.is_constant());
    let mut picks = Picks::new(call.rows);
    for row in 0..call.rows {
        let victim = victim.get(if constant { 0 } else { row });
        let range = lists.range(row);
        let valid = range.is_some();
        range.into_iter().flatten().filter(|at| elements.get(*at) != victim).for_each(|at| picks.push(0, at));
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
        check_call(&FUNCTION, &["ARRAY<INTEGER> [1,2,3,2,1]", "INTEGER 2"], "[1,3,1]");
        check_call(&FUNCTION, &["ARRAY<STRING> [\"a\",null,\"b\"]", "STRING null"], "[\"a\",\"b\"]");
        check_call(&FUNCTION, &["ARRAY<ARRAY<STRING>> [null,[\"a\"],[]]", "ARRAY<STRING> [\"a\"]"], "[null,[]]");
        check_call(&FUNCTION, &["ARRAY<STRING> null", "STRING a"], "null");
    }
}
