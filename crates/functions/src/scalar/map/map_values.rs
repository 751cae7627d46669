//! `MAP_VALUES`.

use arrow::array::ArrayRef;
use types::Result;

use crate::{
    FunctionDoc, RowErrors,
    overload::Param::{Array, Map, Var},
    scalar::{
        array::lists::{Maps, Picks},
        definition::{Call, Overload, Scalar},
    },
};

/// See its words.
pub static FUNCTION: Scalar = Scalar {
    doc: &FunctionDoc {
        name: "MAP_VALUES",
        aliases: &[],
        category: "MAP",
        signatures: &["MAP_VALUES(map)"],
        description: "The values of the map as an ARRAY, in the order of its entries. NULL if the map is.",
        examples: &[("MAP_VALUES(MAP('a' := 1, 'b' := 2))", "[1, 2]")],
    },
    overloads: &[Overload::new(&[Map(&Var('K'), &Var('V'))], Array(&Var('V')), eval)],
    deterministic: true,
};

fn eval(call: &Call<'_>, _: &mut RowErrors) -> Result<ArrayRef> {
    let maps = Maps::of(call, 0)?;
    let mut picks = Picks::new(call.rows);
    for row in 0..call.rows {
        let range = maps.range(row);
        let valid = range.is_some();
        range.into_iter().flatten().for_each(|at| picks.push(0, at));
        picks.end_row(valid)?;
    }
    picks.into_lists(&call.return_type.to_arrow(), &[maps.values()])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::check_call;

    #[test]
    fn values() {
        check_call(&FUNCTION, &["MAP<STRING, INTEGER> {\"b\":2,\"a\":null}"], "[2,null]");
        check_call(&FUNCTION, &["MAP<STRING, ARRAY<INTEGER>> {}"], "[]");
        check_call(&FUNCTION, &["MAP<STRING, INTEGER> null"], "null");
    }
}
