//! `ARRAY_UNION`.

use arrow::array::ArrayRef;
use types::Result;

use super::sets::{Combination, combine};
use crate::{
    FunctionDoc, RowErrors,
    overload::Param::{Array, Var},
    scalar::definition::{Call, Overload, Scalar},
};

/// See its words.
pub static FUNCTION: Scalar = Scalar {
    doc: &FunctionDoc {
        name: "ARRAY_UNION",
        aliases: &[],
        category: "ARRAY",
        signatures: &["ARRAY_UNION(array1, array2)"],
        description: "The different elements that are in either array, in the order in which each comes first. NULL \
                      if either array is.",
        examples: &[("ARRAY_UNION(ARRAY[1, 2, 3, 1, 2], ARRAY[2, 4])", "[1, 2, 3, 4]")],
    },
    overloads: &[Overload::new(&[Array(&Var('T')), Array(&Var('T'))], Array(&Var('T')), eval)],
    deterministic: true,
};

fn eval(call: &Call<'_>, _: &mut RowErrors) -> Result<ArrayRef> {
    combine(call, Combination::Union)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::check_call;

    #[test]
    fn values() {
        check_call(&FUNCTION, &["ARRAY<INTEGER> [1,2,1]", "ARRAY<INTEGER> [4,1,null,null]"], "[1,2,4,null]");
        check_call(&FUNCTION, &["ARRAY<INTEGER> []", "ARRAY<DOUBLE> [1.5]"], "[1.5]");
        check_call(&FUNCTION, &["ARRAY<INTEGER> null", "ARRAY<INTEGER> [1]"], "null");
        check_call(&FUNCTION, &["ARRAY<INTEGER> [1]", "ARRAY<INTEGER> null"], "null");
    }
}
